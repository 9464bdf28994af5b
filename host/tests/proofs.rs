//! `certus verify --proof` and `certus check` through the real binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn assets(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets").join(name)
}

fn certus(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_certus")).args(args).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_proof_is_written_checked_and_refused_where_it_does_not_belong() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (net, property) = (assets("surrogate.onnx"), assets("properties/1_falling_behind_is_clear.vnnlib"));
    let (net, property) = (net.to_str().unwrap(), property.to_str().unwrap());
    let run = certus(at, &["verify", net, property, "--proof", "p"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert_eq!(text(&run.stdout), "unsat\n");
    let files: Vec<_> = fs::read_dir(at).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(files, ["p"], "the journal is gone");
    for more in [vec![], vec!["--plain", "--threads", "1"], vec!["--threads", "3"]] {
        let run = certus(at, &[vec!["check", net, property, "p"], more].concat());
        assert!(run.status.success(), "{}", text(&run.stderr));
        let said = text(&run.stdout);
        assert!(said.starts_with("unsat\nproved over the reals: no input of 1 case(s)"), "{said}");
    }
    let refused = |args: &[&str], reason: &str| {
        let run = certus(at, args);
        assert_eq!(run.status.code(), Some(1), "{args:?}");
        assert_eq!(text(&run.stdout), "rejected\n");
        assert!(text(&run.stderr).contains(reason), "{}", text(&run.stderr));
    };
    let other = assets("properties/2_opening_ahead_is_clear.vnnlib");
    refused(&["check", net, other.to_str().unwrap(), "p"], "of another property");
    let mut bytes = fs::read(at.join("p")).unwrap();
    fs::write(at.join("short"), &bytes[..bytes.len() - 1]).unwrap();
    refused(&["check", net, property, "short"], "cut off");
    let last = bytes.len() - 6;
    bytes[last] ^= 1;
    fs::write(at.join("damaged"), &bytes).unwrap();
    refused(&["check", net, property, "damaged"], "checksum");
    fs::write(at.join("text"), "unsat").unwrap();
    refused(&["check", net, property, "text"], "no proof file");
    // Bad input is another exit code.
    let run = certus(at, &["check", net, property, "missing"]);
    assert_eq!(run.status.code(), Some(2), "{}", text(&run.stderr));
}

#[test]
fn a_proof_above_the_limit_is_said_to_be_and_a_counterexample_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (net, sat) = (assets("surrogate.onnx"), assets("properties/8_beyond_3000_m_is_clear.vnnlib"));
    let net = net.to_str().unwrap();
    let run = certus(at, &["verify", net, sat.to_str().unwrap(), "--proof", "p"]);
    assert!(run.status.success() && text(&run.stdout).starts_with("sat"), "{}", text(&run.stdout));
    assert_eq!(fs::read_dir(at).unwrap().count(), 0);
    let holds = assets("properties/1_falling_behind_is_clear.vnnlib");
    let run = certus(at, &["verify", net, holds.to_str().unwrap(), "--proof", "p", "--proof-limit-mib", "0"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(text(&run.stderr).contains("--proof-limit-mib"), "{}", text(&run.stderr));
    assert!(!at.join("p").exists());
}

#[test]
fn a_journal_of_another_question_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (net, property) = (assets("surrogate.onnx"), assets("properties/1_falling_behind_is_clear.vnnlib"));
    let (net, property) = (net.to_str().unwrap(), property.to_str().unwrap());
    fs::write(at.join("p.part"), "my notes").unwrap();
    let run = certus(at, &["verify", net, property, "--proof", "p"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(text(&run.stderr).contains("p.part"), "{}", text(&run.stderr));
    assert_eq!(fs::read_to_string(at.join("p.part")).unwrap(), "my notes");
}
