//! Verdicts about published networks, against sampling: where `unsat` is said, no sampled input violates.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use certus_engine::graph::load_model;
use certus_engine::property::{Evaluate, Property, load_property};
use certus_engine::search::Silent;
use certus_engine::selftest::Random;
use certus_engine::verify::{Instance, Settings, Verdict};
use certus_tests::certus_data;

/// Sampled inputs of each property.
const POINTS: usize = 100_000;
/// Instances of each set, evenly over its list.
const INSTANCES: usize = 4;

/// Row values may come this near to their threshold by rounding, relative to it.
const SLACK: f64 = 1e-9;

#[test]
#[ignore = "samples a million points: `CERTUS_DATA=… cargo test --release -p certus-tests --test soundness -- --ignored`"]
fn no_sampled_point_violates_what_was_proved() {
    let Some(root) = certus_data("no_sampled_point_violates_what_was_proved") else { return };
    let sets = [
        "vnncomp2021/acasxu",
        "vnncomp2022/reach_prob_density",
        "vnncomp2022/rl_benchmarks",
        "vnncomp2024/safenlp",
    ];
    let mut proved = 0;
    for set in sets {
        let folder = root.join("benchmarks").join(set);
        let list = std::fs::read_to_string(folder.join("instances.csv")).expect("instances.csv");
        let lines: Vec<&str> = list.lines().skip(1).filter(|l| l.contains("unsat")).collect();
        for line in lines.iter().step_by(lines.len().div_ceil(INSTANCES)) {
            let mut columns = line.split(',');
            let (onnx, vnnlib) = (columns.next().expect("onnx"), columns.next().expect("vnnlib"));
            proved += usize::from(holds_where_sampled(&folder.join(onnx), &folder.join(vnnlib)));
        }
    }
    assert!(proved >= 10, "{proved} proved");
}

/// Whether the property was proved; if so, no sampled point may violate it.
fn holds_where_sampled(onnx: &Path, vnnlib: &Path) -> bool {
    let model = load_model(onnx, None).expect("a network");
    let Ok(property) = load_property(vnnlib) else { return false };
    let lowered = certus_engine::property::parse_vnnlib1(&text(vnnlib)).expect("a property");
    let settings = Settings { timeout: Duration::from_secs(20), ..Settings::default() };
    let instance = Instance::new(lowered, vec![model.clone()]).expect("they fit");
    let report = instance.verify(&settings, &AtomicBool::new(false), &Silent);
    if !matches!(report.verdict, Verdict::Holds(_)) {
        return false;
    }
    let mut random = Random::new(1);
    for k in 0..POINTS {
        let case = &property.cases[k % property.cases.len()];
        let at = |(l, u): (&f64, &f64)| match (k / property.cases.len()) % 3 {
            // Inside, and corners, and edges.
            0 => l + (u - l) * (0.5 + 0.5 * f64::from(random.unit())),
            1 => {
                if random.once_in(2) {
                    *l
                } else {
                    *u
                }
            }
            _ => match random.below(3) {
                0 => *l,
                1 => *u,
                _ => l + (u - l) * (0.5 + 0.5 * f64::from(random.unit())),
            },
        };
        let x: Vec<f64> = case.region.lower.iter().zip(&case.region.upper).map(at).collect();
        assert!(
            !violates(&property, k % property.cases.len(), &model.eval_f64(&x)),
            "{} {}: {x:?}",
            onnx.display(),
            vnnlib.display()
        );
    }
    true
}

fn violates(property: &Property, case: usize, y: &[f64]) -> bool {
    property.cases[case].disjuncts.iter().any(|d| {
        d.rows.iter().all(|row| {
            let value: f64 = row.coefficients.iter().zip(y).map(|(c, y)| c * y).sum();
            value < row.rhs_lower - SLACK * row.rhs_lower.abs()
        })
    })
}

fn text(path: &Path) -> String {
    use std::io::Read as _;
    let bytes = std::fs::read(path).expect("a file");
    let mut text = String::new();
    if path.extension().is_some_and(|e| e == "gz") {
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip");
    } else {
        text = String::from_utf8(bytes).expect("text");
    }
    text
}
