//! What keeps an instance open: against networks small enough to bound by hand, and through the real binary.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use certus_engine::bounds::explain::{Limits, explain};
use certus_engine::property::{Case, Disjunct, InputBox, Property, Row};
use certus_engine::{Chain, Model, OwnedAffine, OwnedLayer};

/// `y = −relu(x₀) − relu(−x₀) − relu(x₁ + 5)` on `[−1, 1] × [−1, 1]`: only the first two neurons are unstable.
fn model() -> Model {
    let dense = |rows: usize, cols: usize, weights: Vec<f32>, bias: Vec<f32>| OwnedAffine::Dense {
        rows,
        cols,
        weights,
        bias,
    };
    let first = dense(3, 2, vec![1.0, 0.0, -1.0, 0.0, 0.0, 1.0], vec![0.0, 0.0, 5.0]);
    let second = dense(1, 3, vec![-1.0, -1.0, -1.0], vec![0.0]);
    let layers = vec![OwnedLayer { affine: first, relu: true }, OwnedLayer { affine: second, relu: false }];
    Model::Chain(Chain::new(layers).unwrap())
}

#[test]
fn a_small_network_is_explained_as_one_does_by_hand() {
    // To be refuted: y ≤ −7.5, and on the same box y ≤ −100, which is far away. y = −|x₀| − x₁ − 5 ≥ −7.
    let row = |rhs: f64| Row { coefficients: vec![1.0], rhs_lower: rhs, rhs_upper: rhs, strict: false };
    let region = InputBox {
        lower: vec![-1.0; 2],
        upper: vec![1.0; 2],
        witness_lower: vec![-1.0; 2],
        witness_upper: vec![1.0; 2],
    };
    let disjuncts = [-100.0, -7.5].map(|rhs| Disjunct { rows: vec![row(rhs)] }).to_vec();
    let property = Property { inputs: 2, outputs: 1, cases: vec![Case { region, disjuncts }] };
    let stop = AtomicBool::new(false);
    let limits =
        Limits { deadline: Instant::now() + Duration::from_secs(60), flag: &stop, threads: 1, splits: 4 };
    let found = explain(&model(), &property, &limits).unwrap();
    assert_eq!((found.case, found.disjunct, found.disjuncts, found.row), (0, 1, 2, 0));
    // relu(x) ≤ (x + 1)/2 for both: y ≥ −(1/2 + 1/2) − x₁ − 5 ≥ −7: here CROWN is exact, and nothing is to be gained.
    assert!((found.crown - 0.5).abs() < 1e-5 && (found.interval + 0.5).abs() < 1e-5, "{found:?}");
    assert_eq!(found.layers.len(), 1);
    assert_eq!((found.layers[0].neurons, found.layers[0].unstable), (3, 2));
    // The bound's corner is undetermined in x₀ (its coefficient is 0); there |x₀| = 1, where both lines touch.
    assert!(found.looseness().abs() < 1e-5 && (found.value - 0.5).abs() < 1e-5, "{found:?}");
}

#[test]
fn the_neurons_that_lose_are_named_with_the_gain_of_their_split() {
    // y = −relu(x₀ + x₁) − relu(x₀ − x₁) ≥ −2 on the box (at x₀ = 1); CROWN: −(x₀ + x₁ + 2)/2 − (x₀ − x₁ + 2)/2 = −x₀ − 2 ≥ −3.
    let first =
        OwnedAffine::Dense { rows: 2, cols: 2, weights: vec![1.0, 1.0, 1.0, -1.0], bias: vec![0.0; 2] };
    let second = OwnedAffine::Dense { rows: 1, cols: 2, weights: vec![-1.0, -1.0], bias: vec![0.0] };
    let layers = vec![OwnedLayer { affine: first, relu: true }, OwnedLayer { affine: second, relu: false }];
    let model = Model::Chain(Chain::new(layers).unwrap());
    let row = Row { coefficients: vec![1.0], rhs_lower: -2.5, rhs_upper: -2.5, strict: false };
    let region = InputBox {
        lower: vec![-1.0; 2],
        upper: vec![1.0; 2],
        witness_lower: vec![-1.0; 2],
        witness_upper: vec![1.0; 2],
    };
    let case = Case { region, disjuncts: vec![Disjunct { rows: vec![row] }] };
    let property = Property { inputs: 2, outputs: 1, cases: vec![case] };
    let stop = AtomicBool::new(false);
    let limits =
        Limits { deadline: Instant::now() + Duration::from_secs(60), flag: &stop, threads: 1, splits: 4 };
    let found = explain(&model, &property, &limits).unwrap();
    assert!((found.crown + 0.5).abs() < 1e-5, "{found:?}");
    // At x₀ = 1 the row is −(1 + x₁) − (1 − x₁) + 2.5 = 0.5: one is lost, and all of it by the two neurons.
    assert!((found.value - 0.5).abs() < 1e-5 && (found.looseness() - 1.0).abs() < 1e-5, "{found:?}");
    assert!((found.layers[0].loss - 1.0).abs() < 1e-5 && found.layers[0].unstable == 2);
    let losses: f64 = found.splits.iter().map(|s| s.loss).sum();
    assert!((losses - 1.0).abs() < 1e-5, "{found:?}");
    // One neuron split at 0: where it is 0, y ≥ −(x₀ − x₁ + 2)/2 ≥ −2; where it is x₀ + x₁, y ≥ −(3 x₀ + x₁ + 2)/2 ≥ −3.
    let split = &found.splits[0];
    assert_eq!((split.point, split.lower, split.upper), (Some(0.0), -2.0, 2.0));
    let halves = split.halves.unwrap();
    assert!((halves[0] - 0.5).abs() < 1e-5 && (halves[1] + 0.5).abs() < 1e-5, "{halves:?}");
    assert_eq!(split.gain(found.crown), Some(halves[1] - found.crown));
}

#[test]
fn the_command_prints_json_whose_losses_add_up_and_writes_a_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let run = Command::new(env!("CARGO_BIN_EXE_certus"))
        .arg("explain-bound")
        .arg(root.join("assets/surrogate.onnx"))
        .arg(root.join("assets/properties/1_falling_behind_is_clear.vnnlib"))
        .args(["--json", "--top", "3", "--report"])
        .arg(&page)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let found: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let losses: f64 = found["layers"].as_array().unwrap().iter().map(|l| number(&l["loss"])).sum();
    let looseness = number(&found["looseness"]);
    assert!(looseness > 0.0 && (losses - looseness).abs() < 1e-6 * (1.0 + looseness), "{found}");
    let bounds = &found["bounds"];
    assert!(number(&bounds["intervals"]) <= number(&bounds["crown"]) + 1e-3, "{bounds}");
    assert!(number(&bounds["crown"]) <= number(&bounds["joint_alpha"]) + 1e-3, "{bounds}");
    // Nothing that a bound claims is refuted by the value where it is reached.
    assert!(number(&bounds["joint_alpha"]) <= number(&found["value"]) + 1e-3, "{found}");
    assert_eq!(found["neurons"].as_array().unwrap().len(), 3);
    let page = fs::read_to_string(page).unwrap();
    assert!(roxmltree::Document::parse(page.strip_prefix("<!DOCTYPE html>\n").unwrap()).is_ok());
}
