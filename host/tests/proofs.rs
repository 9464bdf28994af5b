//! `certus verify --proof` and `certus check` through the real binary.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use certus_engine::selftest::{Network, Node, Op, onnx_bytes};

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

/// A program of two hidden layers of 40 on 8 inputs, and the property that its output stays above `bound`,
/// which takes a search of seconds: the nearer to the minimum, the longer.
fn long_question(folder: &Path, bound: f64) {
    let mut state = 1u64;
    let mut draw = |count: usize, scale: f32| -> Vec<f32> {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) % 129) as f32 - 64.0
        };
        (0..count).map(|_| next() / 64.0 * scale).collect()
    };
    let mut nodes = Vec::new();
    for (cols, rows) in [(8, 40), (40, 40), (40, 1)] {
        let (weights, bias) = (draw(rows * cols, 0.75), draw(rows, 0.25));
        let op = Op::Dense { weights, bias, factors: [1.0, 1.0], matmul: false };
        nodes.push(Node { op, inputs: vec![nodes.len()] });
        if rows > 1 {
            nodes.push(Node { op: Op::Leaky(0.125), inputs: vec![nodes.len()] });
        }
    }
    fs::write(folder.join("net.onnx"), onnx_bytes(&Network { input: vec![8], nodes })).unwrap();
    let mut property = format!("(declare-const Y_0 Real)\n(assert (<= Y_0 {bound}))\n");
    for i in 0..8 {
        writeln!(property, "(declare-const X_{i} Real)\n(assert (>= X_{i} -1))\n(assert (<= X_{i} 1))")
            .unwrap();
    }
    fs::write(folder.join("p.vnnlib"), property).unwrap();
}

/// How a run ends too early.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Ctrl-C.
    Interrupt,
    /// `kill -9`.
    Kill,
}

/// Starts a run and ends it once its journal has grown by `bytes`; what it said on standard error.
fn start_and_end(folder: &Path, args: &[&str], bytes: u64, end: End) -> String {
    let journal = || fs::metadata(folder.join("proof.part")).map_or(0, |m| m.len());
    let before = journal();
    let mut child = Command::new(env!("CARGO_BIN_EXE_certus"))
        .args(args)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while journal() < before + bytes {
        assert!(child.try_wait().unwrap().is_none(), "{args:?} came to its end before {bytes} bytes");
        assert!(start.elapsed() < Duration::from_secs(120), "{args:?}: no journal of {bytes} bytes more");
        std::thread::sleep(Duration::from_millis(2));
    }
    match end {
        End::Kill => child.kill().unwrap(),
        End::Interrupt => {
            use nix::sys::signal::{Signal, kill};
            kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
        }
    }
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success() && !folder.join("proof").exists(), "{args:?}");
    text(&output.stderr)
}

/// Leaves that a run counts on standard error: proved now, or accepted again.
fn domains_of(output: &Output) -> u64 {
    let said: serde_json::Value = serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap();
    said["domains"].as_u64().unwrap()
}

#[test]
#[cfg(unix)]
fn a_run_that_is_killed_goes_on_from_its_journal() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("neurons.toml"), "branching = \"neurons\"\n").unwrap();
    let verify = ["verify", "net.onnx", "p.vnnlib", "--threads", "1", "--json", "--proof", "proof"];
    // Splits of values begin anew with refined bounds, which a run that ends before does not note.
    for (more, bound, late) in [(vec![], -13.0, 50_000), (vec!["--config", "neurons.toml"], -10.5, 300_000)] {
        long_question(at, bound);
        let args = [&verify[..], &more].concat();
        let whole = domains_of(&certus(at, &args));
        fs::remove_file(at.join("proof")).unwrap();
        // Once early and once late; each run goes on from the one before.
        let said = start_and_end(at, &args, 500, End::Kill);
        assert!(!said.contains("going on"), "{said}");
        let said = start_and_end(at, &args, late, End::Interrupt);
        assert!(said.contains("going on from an earlier run"), "{said}");
        let last = certus(at, &args);
        assert!(text(&last.stdout).starts_with("unsat\n"), "{}", text(&last.stderr));
        assert!(text(&last.stderr).contains("going on from an earlier run"));
        assert!(domains_of(&last) < whole, "{more:?}: domains of {whole} that are proved need no search");
        assert!(!at.join("proof.part").exists(), "the journal is gone");
        let check = certus(at, &["check", "net.onnx", "p.vnnlib", "proof"]);
        assert!(check.status.success(), "{}", text(&check.stderr));
        fs::remove_file(at.join("proof")).unwrap();
    }
}
