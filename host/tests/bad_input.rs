//! Bad input through the real binary: exit code 2, one line on standard error that names file and place,
//! nothing on standard output, no file left behind.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use certus_engine::graph::onnx::{AttributeProto, GraphProto, OnnxModel, StringEntry};
use certus_engine::{Chain, OwnedAffine, OwnedLayer, graph};

const PROPERTY: &str = "(declare-const X_0 Real)
(declare-const X_1 Real)
(declare-const Y_0 Real)
(assert (>= X_0 0))(assert (<= X_0 1))
(assert (>= X_1 0))(assert (<= X_1 1))
(assert (>= Y_0 100))
";

/// `y = relu(x₀ + 2·x₁ + 1/2)`.
fn model() -> OnnxModel {
    let affine = OwnedAffine::Dense { rows: 1, cols: 2, weights: vec![1.0, 2.0], bias: vec![0.5] };
    graph::to_onnx(&Chain::new(vec![OwnedLayer { affine, relu: true }]).unwrap())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Files of `directory`, to see what a run leaves behind.
fn listing(directory: &Path) -> BTreeSet<String> {
    fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

/// Runs `certus` with `args` in `directory` and checks that it fails as it must; returns the message.
fn refusal(directory: &Path, args: &[&str]) -> String {
    let before = listing(directory);
    let run = Command::new(env!("CARGO_BIN_EXE_certus")).args(args).current_dir(directory).output().unwrap();
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(2), "{args:?}: {stderr}");
    assert!(run.stdout.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&run.stdout));
    assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    assert!(stderr.starts_with("error: ") && stderr.ends_with('\n'), "{args:?}: {stderr}");
    assert_eq!(listing(directory), before, "{args:?} left a file behind");
    stderr
}

fn check(directory: &Path, args: &[&str], expected: &[&str]) {
    let message = refusal(directory, args);
    for part in expected {
        assert!(message.contains(part), "{args:?}\n gave: {message} not:  {part}");
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("good.onnx"), model().to_bytes()).unwrap();
    fs::write(folder.path().join("good.vnnlib"), PROPERTY).unwrap();
    fs::create_dir(folder.path().join("directory")).unwrap();
    folder
}

fn changed(change: impl FnOnce(&mut GraphProto)) -> Vec<u8> {
    let mut m = model();
    change(m.graph.as_mut().unwrap());
    m.to_bytes()
}

fn external(location: &str) -> Vec<u8> {
    changed(|g| {
        let tensor = &mut g.initializer[0];
        tensor.raw_data = None;
        tensor.data_location = Some(1);
        let entry = StringEntry { key: Some("location".into()), value: Some(location.into()) };
        tensor.external_data = vec![entry];
    })
}

fn with_weights(weights: [f32; 2]) -> Vec<u8> {
    changed(|g| g.initializer[0].raw_data = Some(weights.map(f32::to_le_bytes).concat().into()))
}

#[test]
fn bad_networks() {
    let folder = folder();
    let good = model().to_bytes();
    let packed = gzip(&good);
    let transposed = AttributeProto { name: Some("transA".into()), i: Some(1), ..Default::default() };
    let cases: Vec<(Vec<u8>, &[&str])> = vec![
        (vec![], &["holds no graph"]),
        (b"hello, this is no network".to_vec(), &["is not an ONNX model, or is cut short"]),
        (good[..good.len() / 2].to_vec(), &["is not an ONNX model, or is cut short"]),
        (packed[..packed.len() / 2].to_vec(), &["damaged gzip stream"]),
        (gzip(b"hello, this is no network"), &["is not an ONNX model"]),
        (
            changed(|g| g.node[1].input = vec!["output".into()]),
            &["node `layer0.relu`", "the graph is cyclic"],
        ),
        (changed(|g| g.initializer[1].raw_data = None), &["tensor `layer0.bias`: has 0 elements of data"]),
        (changed(|g| drop(g.initializer.pop())), &["node `layer0.gemm` reads `layer0.bias`, which no node"]),
        (external("weights.bin"), &["tensor `layer0.weight`: external data `weights.bin`: no such file"]),
        (external("../good.onnx"), &["tensor `layer0.weight`", "below the model's directory"]),
        (
            changed(|g| g.initializer[0].dims = vec![2, 1]),
            &["node `layer0.gemm` (Gemm): shapes [1, 2] and [2, 1] do not go together"],
        ),
        (
            changed(|g| g.initializer[0].dims = vec![1 << 40, 1 << 40]),
            &["`layer0.weight`: shape [1099511627776, 1099511627776] has more than"],
        ),
        (
            changed(|g| g.node[1].op_type = Some("NoSuchOperator".into())),
            &["node `layer0.relu`: operator `NoSuchOperator` is not supported"],
        ),
        (with_weights([f32::NAN, 0.0]), &["tensor `layer0.weight`: element 0 is NaN"]),
        (with_weights([0.0, f32::INFINITY]), &["tensor `layer0.weight`: element 1 is inf"]),
        (
            changed(|g| g.node[0].attribute.push(transposed)),
            &["node `layer0.gemm` (Gemm): shapes [1, 2] and [1, 2] do not go together"],
        ),
        (changed(|g| g.input.push(g.output[0].clone())), &["has 2 inputs (`input`, `output`)"]),
        (changed(|g| g.output.push(g.output[0].clone())), &["has 2 outputs (`output`, `output`)"]),
    ];
    let path = folder.path().join("bad.onnx");
    for (bytes, expected) in cases {
        fs::write(&path, bytes).unwrap();
        let args = ["verify", "bad.onnx", "good.vnnlib", "--witness", "witness.txt"];
        check(folder.path(), &args, &[&["error: bad.onnx: "], expected].concat());
    }
}

#[test]
fn bad_properties() {
    let folder = folder();
    let with_variable = |declaration: &str| {
        PROPERTY.replace("(declare-const Y_0", &format!("{declaration}(declare-const Y_0"))
    };
    let with_last = |assert: &str| PROPERTY.replace("(>= Y_0 100)", assert);
    let cases: Vec<(String, &str)> = vec![
        (String::new(), ": declares no X_0"),
        (PROPERTY[..PROPERTY.len() - 3].into(), ":6:9: parenthesis is not closed"),
        (format!("{PROPERTY})"), ":7:1: parenthesis closes nothing"),
        (PROPERTY.replace("(assert (<= X_1 1))", ""), ":2:16: input X_1 has no upper bound"),
        (PROPERTY.replace("(<= X_1 1)", "(<= X_1 -1)"), ":5:28: input X_1 has an empty interval"),
        (
            with_variable("(declare-const X_2 Real)") + "(assert (>= X_2 0))(assert (<= X_2 1))",
            ": the property speaks of 3 inputs, the network has 2",
        ),
        (with_variable("(declare-const Y_1 Real)"), ": the property speaks of 2 outputs, the network has 1"),
        (with_last("(>= (* Y_0 Y_0) 100)"), ":6:13: product of variables"),
        (with_last("(>= Y_3 100)"), ":6:13: `Y_3` is not declared"),
        (with_last("(>= Y_0 NaN)"), ":6:17: `NaN` is no finite number"),
        (with_last("(>= Y_0 1e999)"), ":6:9: number out of range"),
        (
            format!("{PROPERTY}(assert (and {}))", "(or (<= Y_0 0) (<= Y_0 1))".repeat(30)),
            ":7:9: and/or expand to too many alternatives",
        ),
    ];
    let path = folder.path().join("bad.vnnlib");
    for (text, expected) in cases {
        fs::write(&path, text).unwrap();
        let args = ["verify", "good.onnx", "bad.vnnlib", "--witness", "witness.txt"];
        check(folder.path(), &args, &[&format!("error: bad.vnnlib{expected}")]);
    }
    for bytes in [vec![0xff, 0xfe, 0x00], model().to_bytes()] {
        fs::write(&path, bytes).unwrap();
        check(folder.path(), &["verify", "good.onnx", "bad.vnnlib"], &["error: bad.vnnlib"]);
    }
}

#[test]
fn bad_paths_and_options() {
    let folder = folder();
    let verify = |extra: &[&str], expected: &[&str]| {
        check(folder.path(), &[&["verify", "good.onnx", "good.vnnlib"], extra].concat(), expected);
    };
    check(folder.path(), &["verify", "none.onnx", "good.vnnlib"], &["none.onnx: no such file"]);
    check(folder.path(), &["verify", "good.onnx", "none.vnnlib"], &["none.vnnlib: no such file"]);
    check(folder.path(), &["verify", "directory", "good.vnnlib"], &["directory: is a directory"]);
    check(folder.path(), &["verify", "good.onnx", "directory"], &["directory: is a directory"]);
    verify(&["--witness", "none/witness.txt"], &["none/witness.txt: cannot write"]);
    verify(&["--witness", "directory"], &["directory: is a directory"]);
    for seconds in ["0", "-1", "-0.0", "nan", "inf", "1e300"] {
        verify(&["--timeout", seconds], &["--timeout: ", "is not a positive number of seconds"]);
    }
    verify(&["--timeout", "soon"], &["invalid value 'soon' for '--timeout <S>'"]);
    verify(&["--no-such-option"], &["unexpected argument '--no-such-option'"]);
    check(
        folder.path(),
        &["verify", "good.onnx"],
        &["good.onnx: is not UTF-8 text; a VNN-LIB property is needed"],
    );
    check(folder.path(), &["no-such-command"], &["unrecognized subcommand 'no-such-command'"]);
    check(folder.path(), &[], &["no subcommand given"]);
}

#[test]
fn bad_samples() {
    let folder = folder();
    let cases = [
        ("", "bad.csv: holds no rows"),
        ("1,2\n1,2,3\n", "bad.csv:2: 3 columns where 2 are needed"),
        ("1,2\n1,two\n", "bad.csv:2: `two` is not a number"),
    ];
    for (text, expected) in cases {
        fs::write(folder.path().join("bad.csv"), text).unwrap();
        check(folder.path(), &["eval", "good.onnx", "--input", "bad.csv"], &[expected]);
    }
    check(folder.path(), &["eval", "good.onnx", "--input", "directory"], &["directory: is a directory"]);
}

#[test]
fn bad_arguments_of_bench_and_certify() {
    let folder = folder();
    let two = OwnedAffine::Dense { rows: 2, cols: 2, weights: vec![1.0, 2.0, 2.0, 1.0], bias: vec![0.0; 2] };
    let classes = Chain::new(vec![OwnedLayer { affine: two, relu: false }]).unwrap();
    graph::write_onnx(&classes, &folder.path().join("classes.onnx")).unwrap();
    fs::write(folder.path().join("boxes.csv"), "0,0,1,1\n").unwrap();
    fs::write(folder.path().join("samples.csv"), "0.5,0.5\n").unwrap();
    fs::create_dir(folder.path().join("directory/set")).unwrap();
    fs::write(folder.path().join("directory/set/instances.csv"), "onnx,vnnlib,timeout_s\na,b,soon\n")
        .unwrap();
    let samples = ["certify", "classes.onnx", "--samples", "samples.csv"];
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (vec!["bench", "none"], "error: none/instances.csv: no such file"),
        (vec!["bench", "good.onnx"], "good.onnx/instances.csv: "),
        (
            vec!["bench", "directory/set"],
            "directory/set/instances.csv:2: timeout_s and best_s have to be numbers or empty",
        ),
        (vec!["bench", "none", "--timeout-cap", "0"], "--timeout-cap: 0 is not a positive"),
        (vec!["bench", "none", "--out", "none/out.csv"], "none/out.csv: cannot write"),
        (
            vec!["certify", "none.onnx", "--regions", "boxes.csv", "--out", "o.json"],
            "none.onnx: no such file",
        ),
        (
            vec!["certify", "classes.onnx", "--regions", "none.csv", "--out", "o.json"],
            "none.csv: no such file",
        ),
        (
            vec!["certify", "classes.onnx", "--regions", "samples.csv", "--out", "o.json"],
            "samples.csv:1: 2 columns where 4",
        ),
        (
            vec!["certify", "classes.onnx", "--regions", "boxes.csv", "--out", "none/o.json"],
            "none/o.json: cannot write",
        ),
        (
            [&samples[..], &["--epsilon", "-1", "--out", "o.json"]].concat(),
            "--epsilon: -1 is not a finite number",
        ),
        (
            [&samples[..], &["--epsilon", "nan", "--out", "o.json"]].concat(),
            "--epsilon: NaN is not a finite number",
        ),
        (
            [&samples[..], &["--epsilon", "0.1", "--out", "o.json", "--timeout", "0"]].concat(),
            "--timeout: 0 is not a positive",
        ),
    ];
    for (args, expected) in cases {
        check(folder.path(), &args, &[expected]);
    }
}

#[test]
fn the_same_files_unspoilt_are_accepted() {
    let folder = folder();
    fs::write(folder.path().join("good.onnx.gz"), gzip(&model().to_bytes())).unwrap();
    fs::write(folder.path().join("good.csv"), "a,b\n1,2\n-4,0.25\n").unwrap();
    for net in ["good.onnx", "good.onnx.gz"] {
        let args = ["eval", net, "--input", "good.csv"];
        let run = Command::new(env!("CARGO_BIN_EXE_certus"))
            .args(args)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        assert_eq!(String::from_utf8(run.stdout).unwrap(), "5.5\n0.0\n");
    }
    let chain = graph::load_chain(&folder.path().join("good.onnx")).unwrap();
    let property = certus_engine::property::load_property(&folder.path().join("good.vnnlib")).unwrap();
    property.check_against(&chain).unwrap();
}
