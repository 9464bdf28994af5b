//! Settings in a file, through the real binary: what it prints is what the documentation shows, and what it refuses it names.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn certus(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_certus")).args(args).current_dir(folder).output().unwrap()
}

#[test]
fn the_documentation_shows_what_the_program_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let printed = String::from_utf8(certus(root, &["settings"]).stdout).unwrap();
    let document = fs::read_to_string(root.join("docs/settings.md")).unwrap();
    let shown = document.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(shown, printed, "put the output of `certus settings` into docs/settings.md");
}

#[test]
fn a_file_is_read_and_its_mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("good.toml"), "threads = 2\nbranching = \"inputs\"\n").unwrap();
    let shown = String::from_utf8(certus(at, &["settings", "--config", "good.toml"]).stdout).unwrap();
    assert!(shown.contains("\nthreads = 2\n") && shown.contains("\nbranching = \"inputs\"\n"), "{shown}");
    fs::write(at.join("bad.toml"), "threads = 2\nbranching = \"input\"\n").unwrap();
    for command in [vec!["settings"], vec!["verify", "n.onnx", "p.vnnlib"], vec!["bench", "."]] {
        let run = certus(at, &[command.as_slice(), &["--config", "bad.toml"]].concat());
        let said = String::from_utf8(run.stderr).unwrap();
        assert_eq!((run.status.code(), run.stdout.len()), (Some(2), 0), "{command:?}: {said}");
        let expected = "error: bad.toml:2: `branching` is \"input\"; it takes one of \"automatic\", \"inputs\", \"neurons\"\n";
        assert_eq!(said, expected, "{command:?}");
    }
}

#[test]
fn a_solver_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("s.toml"), "lp_solver = \"highs\"\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_certus"));
    let command = command.args(["verify", "n.onnx", "p.vnnlib", "--config", "s.toml"]);
    let run = command.current_dir(folder.path()).env("CERTUS_HIGHS", "nowhere/libhighs.so").output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(2), "{said}");
    for part in ["s.toml: `lp_solver`", "nowhere/libhighs.so", "CERTUS_HIGHS"] {
        assert!(said.contains(part), "`{part}` is not in {said}");
    }
}
