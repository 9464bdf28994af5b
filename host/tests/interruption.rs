//! Long runs that are ended from outside, through the real binary: what they say, and what they leave to go on from.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use certus_engine::{Chain, OwnedAffine, OwnedLayer, graph};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A network of random weights on which nothing near its largest value is proved in a minute.
fn hard(folder: &Path) {
    let (inputs, width) = (60, 100);
    let mut state = 7u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 0.6
    };
    let mut layer = |rows: usize, cols: usize, relu: bool| {
        let weights = (0..rows * cols).map(|_| random()).collect();
        OwnedLayer { affine: OwnedAffine::Dense { rows, cols, weights, bias: vec![0.0; rows] }, relu }
    };
    let layers = vec![
        layer(width, inputs, true),
        layer(width, width, true),
        layer(width, width, true),
        layer(1, width, false),
    ];
    let chain = Chain::new(layers).unwrap();
    fs::write(folder.join("hard.onnx"), graph::to_onnx(&chain).to_bytes()).unwrap();
    let mut text = String::new();
    for i in 0..inputs {
        text.push_str(&format!("(declare-const X_{i} Real)\n(assert (>= X_{i} -1))(assert (<= X_{i} 1))\n"));
    }
    text.push_str("(declare-const Y_0 Real)\n(assert (>= Y_0 25))\n");
    fs::write(folder.join("hard.vnnlib"), text).unwrap();
}

/// `y = relu(x)` on `[0, 1]` against several thresholds.
fn easy_list(folder: &Path, count: usize) {
    let affine = OwnedAffine::Dense { rows: 1, cols: 1, weights: vec![1.0], bias: vec![0.0] };
    let chain = Chain::new(vec![OwnedLayer { affine, relu: true }]).unwrap();
    fs::write(folder.join("net.onnx"), graph::to_onnx(&chain).to_bytes()).unwrap();
    let mut list = String::from("onnx,vnnlib,timeout_s,expected,best_s\n");
    for i in 0..count {
        let threshold = if i % 2 == 0 { 2 } else { 0 };
        let text = format!(
            "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (>= X_0 0))(assert (<= X_0 1))(assert (>= Y_0 {threshold}))"
        );
        fs::write(folder.join(format!("{i}.vnnlib")), text).unwrap();
        list.push_str(&format!("net.onnx,{i}.vnnlib,10,{},1\n", if i % 2 == 0 { "unsat" } else { "sat" }));
    }
    fs::write(folder.join("instances.csv"), list).unwrap();
}

fn start(folder: &Path, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_certus"))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

#[test]
fn ctrl_c_and_a_termination_print_what_is_known_and_end_with_130() {
    let folder = tempfile::tempdir().unwrap();
    hard(folder.path());
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let child = start(folder.path(), &["verify", "hard.onnx", "hard.vnnlib", "--timeout", "100"]);
        std::thread::sleep(Duration::from_secs(4));
        send(&child, signal);
        let told = Instant::now();
        let run = child.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8(run.stdout).unwrap(), String::from_utf8(run.stderr).unwrap());
        assert_eq!(run.status.code(), Some(130), "{out}{err}");
        assert_eq!(out, "unknown (stopped)\n");
        assert!(err.contains("interrupted; ") && err.contains("bound"), "{err}");
        // Longer than two seconds and no terminal: a plain line.
        assert!(err.lines().any(|l| l.contains(" s left")), "{err}");
        assert!(told.elapsed() < Duration::from_secs(20));
    }
}

/// Rows of a result file, without the header.
fn rows(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().skip(1).map(str::to_owned).collect()
}

fn ended_and_resumed(signal: Signal, extra: &[&str]) {
    const COUNT: usize = 150;
    let folder = tempfile::tempdir().unwrap();
    easy_list(folder.path(), COUNT);
    let out = folder.path().join("bench.csv");
    let command = [&["bench", "."], extra].concat();
    let mut child = start(folder.path(), &command);
    while rows(&out).len() < 5 {
        assert!(child.try_wait().unwrap().is_none(), "ended before it was to be ended");
        std::thread::sleep(Duration::from_millis(2));
    }
    send(&child, signal);
    child.wait().unwrap();
    let before = rows(&out);
    let run = start(folder.path(), &[command.as_slice(), &["--resume"]].concat()).wait_with_output().unwrap();
    let said = String::from_utf8(run.stdout).unwrap();
    assert_eq!(run.status.code(), Some(0), "{said}");
    let after = rows(&out);
    assert_eq!(after.len(), COUNT);
    assert!((5..COUNT).contains(&before.len()), "{} rows before the end", before.len());
    assert_eq!(after[..before.len()], before, "what was there is kept as it was");
    for (index, row) in after.iter().enumerate() {
        let verdict = if index % 2 == 0 { "unsat,unsat,yes" } else { "sat,sat,yes" };
        assert!(row.starts_with(&format!("net.onnx,{index}.vnnlib,{verdict},")), "{row}");
    }
    assert!(said.contains("150/150"), "the shares of the summary: {said}");
}

#[test]
fn a_killed_list_of_processes_goes_on_where_it_was() {
    ended_and_resumed(Signal::SIGKILL, &["--process", "--threads", "1"]);
}

#[test]
fn a_terminated_list_goes_on_where_it_was() {
    ended_and_resumed(Signal::SIGTERM, &["--threads", "1"]);
}

#[test]
fn what_fails_is_a_row_and_does_not_end_the_list() {
    let folder = tempfile::tempdir().unwrap();
    easy_list(folder.path(), 3);
    fs::write(folder.path().join("1.vnnlib"), "(assert").unwrap();
    for extra in [&[][..], &["--process"]] {
        let command = [&["bench", "."], extra].concat();
        assert!(start(folder.path(), &command).wait_with_output().unwrap().status.success());
        let rows = rows(&folder.path().join("bench.csv"));
        assert_eq!(rows.len(), 3, "{extra:?}");
        assert!(rows[1].contains(",error,-,") && rows[1].contains("1.vnnlib:1"), "{}", rows[1]);
        assert!(rows[2].contains(",unsat,unsat,yes,"), "{}", rows[2]);
    }
}

#[test]
fn a_list_in_the_background_is_left_alone_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    easy_list(folder.path(), 20);
    let run = start(folder.path(), &["bench", ".", "--background"]).wait_with_output().unwrap();
    assert!(run.status.success());
    assert!(String::from_utf8(run.stdout).unwrap().contains("bench.log"));
    let start = Instant::now();
    while rows(&folder.path().join("bench.csv")).len() < 20 {
        assert!(start.elapsed() < Duration::from_secs(60), "the background run does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    while !fs::read_to_string(folder.path().join("bench.log")).unwrap().contains("20/20") {
        assert!(start.elapsed() < Duration::from_secs(60), "the summary is missing");
        std::thread::sleep(Duration::from_millis(20));
    }
}
