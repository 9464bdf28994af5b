//! `certus export`, `inspect` and `monitor` from the outside: what they write, print and refuse.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use certus_core::artifact::{Claim, Meanings};
use certus_engine::certify::artifact::network_digest;
use certus_engine::certify::{CertificateFile, OwnedSpec, RegionCertificate};
use certus_engine::graph;
use serde_json::Value;

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets").join(name)
}

fn certus(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_certus")).args(args).output().expect("certus runs")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8 path")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// One line on standard error, exit code 2.
fn refusal(args: &[&str]) -> String {
    let output = certus(args);
    let message = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

/// A certificate with a proof of one leaf around the first state of the bundled network.
fn certificate_file(directory: &Path, change: impl FnOnce(&mut CertificateFile)) -> PathBuf {
    let chain = graph::load_chain(&asset("surrogate.onnx")).expect("bundled");
    let state = [3899.0f32, 0.7207, -1.8598, 35.6, 45.3];
    let output = chain.eval_f32(&state);
    let class =
        (0..5).max_by(|a, b| output[usize::from(*a)].total_cmp(&output[usize::from(*b)])).expect("five");
    let mut file = CertificateFile {
        network: network_digest(&chain).expect("fits"),
        spec: OwnedSpec::ArgMax,
        certificates: vec![RegionCertificate {
            lower: state.map(|x| x - 0.001).to_vec(),
            upper: state.map(|x| x + 0.001).to_vec(),
            claim: Claim::Class(class),
            bound: 0.001,
            meanings: Meanings::BOTH,
            // A leaf that names the only row of each of four disjuncts and the default slopes.
            proof: Some(vec![3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        }],
    };
    change(&mut file);
    let path = directory.join("regions.json");
    fs::write(&path, file.to_json()).expect("temporary directory");
    path
}

#[test]
fn an_export_is_repeatable_inspected_checked_and_monitored() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let (net, states) = (asset("surrogate.onnx"), asset("states.csv"));
    let regions = certificate_file(directory.path(), |_| {});
    let paths = ["a.crts", "b.crts", "m.rs"].map(|name| directory.path().join(name));
    for artifact in &paths[..2] {
        let export = certus(&[
            "export",
            text(&net),
            "--samples",
            text(&states),
            "--regions",
            text(&regions),
            "--epsilon",
            "0.0001",
            "--note",
            "time=2026-01-01T00:00:00Z",
            "--rust",
            text(&paths[2]),
            "--out",
            text(artifact),
        ]);
        assert!(stdout(&export).contains("1 region certificates"));
    }
    assert_eq!(fs::read(&paths[0]).expect("written"), fs::read(&paths[1]).expect("written"));
    assert!(fs::read_to_string(&paths[2]).expect("written").contains("include_bytes!(\"b.crts\")"));

    let json: Value =
        serde_json::from_str(&stdout(&certus(&["inspect", text(&paths[0]), "--json"]))).expect("JSON");
    assert_eq!(json["provenance"]["time"], "2026-01-01T00:00:00Z");
    assert_eq!(json["certificates"].as_array().map(Vec::len), Some(1));
    assert_eq!(json["live_bounds"], "crown");
    assert!(stdout(&certus(&["inspect", text(&paths[0])])).contains("certificate  claim"));

    let check =
        certus(&["export", "--check", text(&paths[0]), "--net", text(&net), "--samples", text(&states)]);
    let check = stdout(&check);
    assert!(check.contains("outputs agree bit for bit on 300 samples"), "{check}");
    assert!(check.contains("1 certificates by their stored proofs, 0 by"), "{check}");

    let monitor = stdout(&certus(&["monitor", text(&paths[0]), "--input", text(&states), "--json"]));
    let lines: Vec<Value> = monitor.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 301);
    // The first state is the middle of the certified box: by region, ten times epsilon to each side, less rounding.
    assert_eq!((&lines[0]["status"], &lines[0]["by"]), (&Value::from("certified"), &Value::from("region")));
    let radius = lines[0]["radius"].as_f64().expect("a number");
    assert!((9.0..=10.0).contains(&radius), "{radius}");
    let counts = &lines[300];
    let of = |name: &str| counts[name].as_u64().expect("a count");
    let rest = of("certified_by_bounds") + of("not_certified") + of("out_of_range") + of("invalid");
    assert_eq!(of("certified_by_region") + rest, 300);
    assert_eq!(of("out_of_range") + of("invalid"), 0);
}

#[test]
fn what_certify_proves_is_checked_again_and_monitored_by_region() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let [samples, regions, artifact] = ["s.csv", "c.json", "a.crts"].map(|name| directory.path().join(name));
    let (net, noise, range) = (asset("surrogate.onnx"), asset("noise.csv"), asset("range.csv"));
    // Every tenth state of the encounter: 20 balls as wide as the sensors' noise.
    let flight = fs::read_to_string(asset("trajectory.csv")).expect("bundled");
    let some: Vec<&str> = flight.lines().skip(1).step_by(10).collect();
    fs::write(&samples, some.join("\n")).expect("temporary directory");
    let (samples, noise) = (text(&samples), text(&noise));
    stdout(&certus(&[
        "certify",
        text(&net),
        "--samples",
        samples,
        "--epsilon",
        noise,
        "--out",
        text(&regions),
    ]));
    let json = fs::read_to_string(&regions).expect("written");
    let proved = CertificateFile::from_json(&json).expect("read back").certificates.len();
    assert!((10..20).contains(&proved), "{proved} of 20: some balls cross a class boundary, most do not");

    let mut export = vec!["export", text(&net), "--regions", text(&regions), "--range", text(&range)];
    export.extend(["--epsilon", noise, "--bounds", "off", "--out", text(&artifact)]);
    stdout(&certus(&export));
    let check =
        stdout(&certus(&["export", "--check", text(&artifact), "--net", text(&net), "--samples", samples]));
    assert!(check.contains(&format!("{proved} certificates by their stored proofs, 0 by")), "{check}");
    let monitor = stdout(&certus(&["monitor", text(&artifact), "--input", samples, "--json"]));
    let counts: Value = serde_json::from_str(monitor.lines().last().expect("counts")).expect("JSON");
    // Neighbouring regions may also hold a ball that was not proved itself, so at least as many.
    let by_region = counts["certified_by_region"].as_u64().expect("a count");
    assert!(by_region >= proved as u64, "{counts}");
}

#[test]
fn an_artifact_of_another_network_fails_its_check() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let artifact = directory.path().join("a.crts");
    let (net, states) = (asset("surrogate.onnx"), asset("states.csv"));
    stdout(&certus(&[
        "export",
        text(&net),
        "--samples",
        text(&states),
        "--epsilon",
        "0.01",
        "--out",
        text(&artifact),
    ]));
    let mut parsed =
        certus_engine::certify::Artifact::parse(&fs::read(&artifact).expect("written")).expect("read back");
    let mut layers = parsed.chain.layers().to_vec();
    if let Some(certus_engine::OwnedAffine::Dense { bias, .. }) =
        layers.last_mut().map(|layer| &mut layer.affine)
    {
        bias[0] = bias[0].next_up();
    }
    parsed.chain = certus_engine::Chain::new(layers).expect("same shapes");
    fs::write(&artifact, parsed.emit().expect("fits")).expect("temporary directory");
    let check =
        certus(&["export", "--check", text(&artifact), "--net", text(&net), "--samples", text(&states)]);
    assert_eq!(check.status.code(), Some(1));
    let report = String::from_utf8(check.stdout).expect("UTF-8");
    assert!(report.contains("FAILED the network is that of"), "{report}");
    assert!(report.contains("FAILED outputs on sample"), "{report}");
}

#[test]
fn a_false_certificate_fails_its_check_with_a_proof_and_without() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let artifact = directory.path().join("a.crts");
    let (net, states) = (asset("surrogate.onnx"), asset("states.csv"));
    let check = |file: &Path, options: &[&str]| {
        let mut args =
            vec!["export", text(&net), "--epsilon", "0", "--samples", text(&states), "--regions", text(file)];
        args.extend(["--out", text(&artifact)]);
        args.extend(options);
        stdout(&certus(&args));
        let check = certus(&["export", "--check", text(&artifact), "--net", text(&net)]);
        (check.status.code(), String::from_utf8(check.stdout).expect("UTF-8"))
    };
    let too_large = certificate_file(directory.path(), |file| file.certificates[0].bound = 1e6);
    let (code, report) = check(&too_large, &[]);
    assert!(code == Some(1) && report.contains("FAILED certificate 0: the bound does not prove"), "{report}");
    let other_class = certificate_file(directory.path(), |file| {
        let Claim::Class(class) = file.certificates[0].claim else { unreachable!("a class") };
        file.certificates[0].claim = Claim::Class((class + 1) % 5);
    });
    let (code, report) = check(&other_class, &["--strip-proofs"]);
    assert!(code == Some(1) && report.contains("FAILED certificate 0: no proof is stored"), "{report}");
    let (code, report) = check(&certificate_file(directory.path(), |_| {}), &["--strip-proofs"]);
    assert!(code == Some(0) && report.contains("0 certificates by their stored proofs, 1 by"), "{report}");
}

#[test]
fn bad_input_is_one_line_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let root = directory.path();
    let write = |name: &str, content: &[u8]| {
        let path = root.join(name);
        fs::write(&path, content).expect("temporary directory");
        text(&path).to_owned()
    };
    let (net, states) = (asset("surrogate.onnx"), asset("states.csv"));
    let (net, states) = (text(&net), text(&states));
    let good = root.join("good.crts");
    stdout(&certus(&["export", net, "--samples", states, "--epsilon", "0", "--out", text(&good)]));
    let bytes = fs::read(&good).expect("written");
    let mut damaged = bytes.clone();
    damaged[200] ^= 1;
    let other = certificate_file(root, |file| file.network[0] ^= 1);
    let other = write("other.json", &fs::read(other).expect("written"));
    let outside = certificate_file(root, |file| file.certificates[0].claim = Claim::Class(9));
    let outside = write("outside.json", &fs::read(outside).expect("written"));
    let (truncated, damaged) = (write("truncated.crts", &bytes[..100]), write("damaged.crts", &damaged));
    let (garbage, empty) = (write("garbage", b"no artifact at all"), write("empty", b""));
    let (short, word) =
        (write("short.csv", b"1,2,3,4,5\n1,2\n"), write("word.csv", b"1,2,3,4,5\n1,2,x,4,5\n"));
    let three = write("three.csv", b"1,2,3,4,5\n1,2,3,4,5\n1,2,3,4,5\n");
    let crossed = write("crossed.csv", b"2,2,3,4,5\n1,2,3,4,5\n");
    let target = root.join("never.crts");
    let (good, out) = (text(&good), text(&target));
    let root_text = text(root).to_owned();
    let nowhere = format!("{root_text}/no/such/folder/a.crts");
    let cases: &[(&[&str], &str)] = &[
        (&["inspect", "/no/such/file.crts"], "no such file"),
        (&["inspect", &root_text], "is a directory"),
        (&["inspect", &truncated], "truncated.crts: artifact states"),
        (&["inspect", &damaged], "damaged.crts: section 1 (network) is damaged (CRC)"),
        (&["inspect", &garbage], "garbage: not an artifact: it does not start with `CRTS`"),
        (&["inspect", &empty], "is cut off inside its header"),
        (&["monitor", good, "--input", &short], "short.csv:2: 2 columns where 5 are needed"),
        (&["monitor", good, "--input", &word], "word.csv:2: `x` is not a number"),
        (&["monitor", &damaged, "--input", states], "damaged.crts: section 1"),
        (&["export", net, "--epsilon", "0", "--out", out], "--range: or --samples is needed"),
        (&["export", net, "--samples", states, "--epsilon", "-1", "--out", out], "--epsilon: -1"),
        (
            &["export", net, "--samples", states, "--epsilon", &three, "--out", out],
            "holds 3 rows, one is needed",
        ),
        (
            &["export", net, "--range", &three, "--epsilon", "0", "--out", out],
            "holds 3 rows, lower and upper are needed",
        ),
        (
            &["export", net, "--range", &crossed, "--epsilon", "0", "--out", out],
            "the input range of feature 0 is empty",
        ),
        (
            &["export", net, "--samples", states, "--regions", &garbage, "--epsilon", "0", "--out", out],
            "garbage: not a certificate file",
        ),
        (
            &["export", net, "--samples", states, "--regions", &other, "--epsilon", "0", "--out", out],
            "is about another network",
        ),
        (
            &["export", net, "--samples", states, "--regions", &outside, "--epsilon", "0", "--out", out],
            "the class of certificate 0",
        ),
        (
            &["export", net, "--samples", states, "--note", "nothing", "--epsilon", "0", "--out", out],
            "is not KEY=VALUE",
        ),
        (&["export", net, "--samples", states, "--epsilon", "0", "--out", &nowhere], "cannot write"),
        (&["export", net, "--samples", states, "--epsilon", "0", "--out", &root_text], "is a directory"),
        (&["export", &garbage, "--samples", states, "--epsilon", "0", "--out", out], "garbage"),
        (&["export", net, "--samples", states, "--out", out], "--epsilon"),
        (&["export", "--check", good], "needs the network too"),
        (&["export", "--check", &damaged, "--net", net], "damaged.crts: section 1"),
    ];
    let before = fs::read_dir(root).expect("temporary directory").count();
    for (args, expected) in cases {
        let message = refusal(args);
        assert!(message.contains(expected), "{args:?}: expected `{expected}`, found `{message}`");
    }
    assert_eq!(fs::read_dir(root).expect("temporary directory").count(), before, "a file was left behind");
}

/// A file of the convolutional example of the firmware.
fn motion(name: &str) -> PathBuf {
    asset("../firmware-example/motion").join(name)
}

/// The windows of the recorded stream, channel after channel, as samples of the network.
fn write_windows(path: &Path, count: usize) {
    let stream = fs::read_to_string(motion("stream.csv")).expect("the stream lies beside the artifact");
    let rows: Vec<Vec<&str>> = stream.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let mut text = (0..192).map(|i| format!("x{i}")).collect::<Vec<_>>().join(",");
    for rows in rows.windows(32).step_by(37).take(count) {
        let values = (0..6).flat_map(|channel| rows.iter().map(move |row| row[channel]));
        text += &format!("\n{}", values.collect::<Vec<_>>().join(","));
    }
    fs::write(path, text + "\n").expect("temporary directory");
}

#[test]
fn a_convolutional_residual_network_is_exported_checked_inspected_and_monitored() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let [artifact, module, windows] =
        ["motion.crts", "motion.rs", "windows.csv"].map(|n| directory.path().join(n));
    let (net, range, epsilon) = (motion("motion.onnx"), motion("range.csv"), motion("epsilon.csv"));
    write_windows(&windows, 20);
    stdout(&certus(&[
        "export",
        text(&net),
        "--out",
        text(&artifact),
        "--rust",
        text(&module),
        "--range",
        text(&range),
        "--epsilon",
        text(&epsilon),
        "--bounds",
        "crown",
    ]));
    let read = |path: &Path| fs::read(path).expect("written");
    assert!(
        read(&artifact) == read(&motion("motion.crts")),
        "the firmware's artifact is not what export writes"
    );
    assert_eq!(read(&module), read(&motion("motion.rs")));
    let check = stdout(&certus(&[
        "export",
        "--check",
        text(&artifact),
        "--net",
        text(&net),
        "--samples",
        text(&windows),
    ]));
    assert!(check.contains("agree bit for bit on 20 samples"), "{check}");
    let shown = stdout(&certus(&["inspect", text(&artifact)]));
    for word in ["conv 1x3, 12 groups", "identity + scale", "leaky ReLU", "max", "11134 floats"] {
        assert!(shown.contains(word), "{shown}");
    }
    let json: Value =
        serde_json::from_str(&stdout(&certus(&["inspect", text(&artifact), "--json"]))).expect("JSON");
    assert_eq!(json["steps"].as_array().map(Vec::len), Some(16));
    let said = stdout(&certus(&["monitor", text(&artifact), "--input", text(&windows)]));
    assert!(
        said.contains("20 samples") && said.contains("by bounds") && said.contains("0 invalid"),
        "{said}"
    );
    // Another network is told apart, one of another shape refused.
    let other = certus(&["export", "--check", text(&artifact), "--net", text(&asset("surrogate.onnx"))]);
    assert_eq!(other.status.code(), Some(2));
    let message = refusal(&[
        "export",
        text(&net),
        "--out",
        text(&artifact),
        "--range",
        text(&range),
        "--epsilon",
        "0.1",
        "--regions",
        text(&certificate_file(directory.path(), |_| {})),
    ]);
    assert!(message.contains("--regions"), "{message}");
}
