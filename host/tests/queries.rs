//! VNN-LIB 2.0 through the real binary: the examples, the standard's output, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use certus_engine::graph::onnx::OnnxModel;
use certus_engine::{Chain, OwnedAffine, OwnedLayer, graph};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn certus(directory: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_certus")).args(args).current_dir(directory).output().unwrap()
}

fn stdout(directory: &Path, args: &[&str]) -> String {
    let run = certus(directory, args);
    assert_eq!(run.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

fn refusal(directory: &Path, args: &[&str]) -> String {
    let run = certus(directory, args);
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(2), "{args:?}: {stderr}");
    assert!(run.stdout.is_empty() && stderr.lines().count() == 1, "{args:?}: {stderr}");
    stderr
}

/// `y = relu(weight·(x₀ + x₁))`, `[1, 2]` to `[1, 1]`.
fn model(weight: f32) -> OnnxModel {
    let affine = OwnedAffine::Dense { rows: 1, cols: 2, weights: vec![weight, weight], bias: vec![0.0] };
    graph::to_onnx(&Chain::new(vec![OwnedLayer { affine, relu: true }]).unwrap())
}

const QUERY: &str = "(vnnlib-version <2.0>)
(declare-network f (declare-input A float32 [1,2]) (declare-output B float32 []))
(declare-network g (isomorphic-to f) (declare-input C float32 [1,2]) (declare-output D float32 []))
(assert (and (>= A[0,0] 0) (<= A[0,0] 1) (== A[0,1] 0.5) (== A[0,0] C[0,0]) (== A[0,1] C[0,1])))
(assert (>= B D))
";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("f.onnx"), model(2.0).to_bytes()).unwrap();
    fs::write(folder.path().join("g.onnx"), model(3.0).to_bytes()).unwrap();
    fs::write(folder.path().join("q.vnnlib"), QUERY).unwrap();
    fs::write(folder.path().join("sat.vnnlib"), QUERY.replace("(>= B D)", "(<= B D)")).unwrap();
    folder
}

const NETWORKS: [&str; 4] = ["--network", "f=f.onnx", "--network", "g=g.onnx"];

#[test]
fn the_examples_are_decided_as_the_guide_says() {
    let guide = fs::read_to_string(root().join("docs/vnnlib.md")).unwrap();
    let commands: Vec<&str> = guide.lines().filter_map(|l| l.strip_prefix("$ certus verify ")).collect();
    assert_eq!(commands.len(), 2);
    for (command, expected) in commands.into_iter().zip(["unsat", "sat"]) {
        let args: Vec<&str> = ["verify"].into_iter().chain(command.split_whitespace()).collect();
        let answer = stdout(&root(), &args);
        assert_eq!(answer.lines().next(), Some(expected), "{command}");
    }
}

#[test]
fn an_assignment_lists_every_variable_as_the_standard_prescribes() {
    let folder = folder();
    let args: Vec<&str> = ["verify", "sat.vnnlib"].into_iter().chain(NETWORKS).collect();
    let answer = stdout(folder.path(), &args);
    let lines: Vec<&str> = answer.lines().collect();
    let heads: Vec<(usize, &str)> =
        lines.iter().enumerate().filter(|(_, l)| l.contains('[')).map(|(i, l)| (i, *l)).collect();
    assert_eq!(lines[0], "sat");
    assert_eq!(
        heads,
        [(1, "A float32 [1,2]"), (4, "B float32 []"), (6, "C float32 [1,2]"), (9, "D float32 []")]
    );
    let value = |i: usize| lines[i].parse::<f32>().unwrap();
    let (x, b, d) = (value(2), value(5), value(10));
    assert_eq!((value(3), value(7), value(8)), (0.5, x, 0.5));
    assert_eq!((b, d), (2.0 * x + 1.0, 3.0 * x + 1.5));
    assert!((0.0..=1.0).contains(&x) && b <= d);
    let unsat: Vec<&str> = ["verify", "q.vnnlib"].into_iter().chain(NETWORKS).collect();
    assert_eq!(stdout(folder.path(), &unsat), "unsat\n");
}

#[test]
fn serialised_assignments_are_tensors_of_the_declared_shape() {
    let folder = folder();
    let args: Vec<&str> =
        ["verify", "sat.vnnlib", "--serialise-assignments", "out"].into_iter().chain(NETWORKS).collect();
    assert_eq!(stdout(folder.path(), &args), "sat\n");
    let bytes = fs::read(folder.path().join("out/A.pb")).unwrap();
    // Field 1 (dims) packed or not, field 2 (type) = 1, and eight bytes of raw data that end in 0.5.
    assert!(bytes.windows(4).any(|w| w == 0.5f32.to_le_bytes()));
    for name in ["A", "B", "C", "D"] {
        assert!(folder.path().join(format!("out/{name}.pb")).exists());
    }
}

#[test]
fn networks_that_are_missing_wrong_or_too_many_are_refused() {
    let folder = folder();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    write("equal.vnnlib", QUERY.replace("isomorphic-to", "equal-to"));
    write("shape.vnnlib", QUERY.replace("[1,2]", "[1,3]"));
    write(
        "hidden.vnnlib",
        QUERY.replace("(declare-output B", "(declare-hidden H float32 [1] \"no such\")(declare-output B"),
    );
    let deeper = OwnedLayer {
        affine: OwnedAffine::Dense { rows: 1, cols: 1, weights: vec![1.0], bias: vec![0.0] },
        relu: true,
    };
    let two = OwnedAffine::Dense { rows: 1, cols: 2, weights: vec![1.0, 1.0], bias: vec![0.0] };
    let deep = Chain::new(vec![OwnedLayer { affine: two, relu: true }, deeper]).unwrap();
    fs::write(folder.path().join("deep.onnx"), graph::to_onnx(&deep).to_bytes()).unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["q.vnnlib"], "--network: the query declares network f; add --network f=FILE"),
        (&["q.vnnlib", "--network", "f=f.onnx"], "--network: the query declares network g"),
        (&["q.vnnlib", "--network", "h=f.onnx"], "--network: the query declares no network h"),
        (
            &["equal.vnnlib", "--network", "f=f.onnx", "--network", "g=g.onnx"],
            "--network: g is equal-to another",
        ),
        (&["q.vnnlib", "--network", "f=f.onnx", "--network", "f=g.onnx"], "--network: f is given twice"),
        (&["q.vnnlib", "--network", "f.onnx"], "write NAME=FILE"),
        (
            &["shape.vnnlib", "--network", "f=f.onnx", "--network", "g=g.onnx"],
            "shape.vnnlib:2:20: input is declared with shape [1, 3], the model f.onnx has [1, 2]",
        ),
        (
            &["hidden.vnnlib", "--network", "f=f.onnx", "--network", "g=g.onnx"],
            "the model f.onnx computes no value named `no such`",
        ),
        (
            &["q.vnnlib", "--network", "f=f.onnx", "--network", "g=deep.onnx"],
            "the models of g and f have different graphs",
        ),
        (&["f.onnx", "q.vnnlib", "--network", "f=f.onnx"], "choose one"),
    ];
    for (args, expected) in cases {
        let args: Vec<&str> = ["verify"].iter().chain(args.iter()).copied().collect();
        let message = refusal(folder.path(), &args);
        assert!(message.contains(expected), "{args:?}\n gave: {message} not:  {expected}");
    }
}

#[test]
fn capabilities_answer_in_the_form_of_the_standard() {
    let here = root();
    assert_eq!(stdout(&here, &["--name"]), "certus\n");
    assert_eq!(stdout(&here, &["supports", "--onnx-element-types"]), "float32\nreal\n");
    assert_eq!(stdout(&here, &["supports", "--vnnlib-versions"]), "2.0\n2.1\n");
    assert_eq!(stdout(&here, &["supports", "--multiple-network-theories"]), "SNET\nMENET\nMINET\nMNET\n");
    assert_eq!(stdout(&here, &["supports", "--serialise-assignments"]), "true\n");
    assert!(stdout(&here, &["supports", "--onnx-operators"]).lines().any(|l| l == "Relu"));
    let json: serde_json::Value = serde_json::from_str(&stdout(&here, &["capabilities", "--json"])).unwrap();
    assert_eq!(json["arithmetic-complexity-theories"], serde_json::json!(["BND", "COUT", "LIN"]));
    assert!(stdout(&here, &["capabilities"]).contains("hidden-node-theories: H\n"));
    assert!(refusal(&here, &["supports"]).contains("--onnx-opset-versions"));
}

/// Normalised inputs lie within a few units of 0, so the second layer's values lie far from 1000.
const HIDDEN: &str = "(vnnlib-version <2.0>)
(declare-network net
  (declare-input S Real [1,5]) (declare-hidden H Real [1,40] \"pre1\") (declare-output A Real [1,5]))
(assert (and (>= S[0,0] 1500) (<= S[0,0] 1600) (>= S[0,1] 0.02) (<= S[0,1] 0.03)))
(assert (and (>= S[0,2] 3.04) (<= S[0,2] 3.05) (>= S[0,3] 35) (<= S[0,3] 36) (>= S[0,4] 40) (<= S[0,4] 41)))
";

#[test]
fn constraints_on_hidden_values_are_decided() {
    let folder = tempfile::tempdir().unwrap();
    let net = format!("net={}", root().join("assets/surrogate.onnx").canonicalize().unwrap().display());
    let verdict = |assertion: &str| {
        fs::write(folder.path().join("h.vnnlib"), format!("{HIDDEN}(assert {assertion})\n")).unwrap();
        let text = stdout(folder.path(), &["verify", "h.vnnlib", "--network", &net]);
        text.lines().next().unwrap().to_owned()
    };
    assert_eq!(verdict("(>= H[0,0] 1000)"), "unsat");
    // The values on the way to an output are constrained together with it.
    assert_eq!(verdict("(and (>= H[0,0] -1000) (>= A[0,4] A[0,3]))"), "sat");
    // In `float32` nothing is proved of such a network, but a counterexample is one.
    let float32 = HIDDEN.replace("Real", "float32");
    let verdict = |assertion: &str| {
        fs::write(folder.path().join("f.vnnlib"), format!("{float32}(assert {assertion})\n")).unwrap();
        stdout(folder.path(), &["verify", "f.vnnlib", "--network", &net]).lines().next().unwrap().to_owned()
    };
    assert_eq!(verdict("(>= H[0,0] 1000)"), "unknown");
    assert_eq!(verdict("(>= H[0,0] -1000)"), "sat");
}
