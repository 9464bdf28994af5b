//! Bounds of programs against auto_LiRPA on networks of nine kinds (`tests/golden/auto_LiRPA-9d100ec`, whose `bounds.json` says how
//! it was made). Six of the networks are read below `CERTUS_DATA`.
//!
//! Where both use the same lines (networks whose only nonlinearity is ReLU) the two agree. Elsewhere a bound of ours may lie inside
//! the tool's and never outside, but for the cases of `OTHER_LINES`. Sampled outputs lie inside ours.

use certus_engine::bounds::program::{
    Bounds, Intermediate, Prepared, Region, Settings, Spec, Stop, bound, interval_margin,
};
use certus_engine::program::{Function, Operation, Program};
use certus_engine::{graph, property};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The tool's bounds and ours are sums of `f32` in different orders: relative to the largest output bound.
const RELATIVE: f32 = 1e-4;

/// Where neither tool's lines lie inside the other's: how much looser a row of ours may be, and how much wider our output
/// bounds on average, in mean widths of the tool's output bounds; about a third above what is measured.
const OTHER_LINES: [(&str, f32, f32); 3] = [
    // Maximum: below the member with the greatest centre, above the envelope at the centre; the tool takes the greatest lower
    // bound and the constant greatest upper bound.
    ("convnet_maxpool", 0.04, 0.015),
    // Product: the mean of two planes; the tool takes one of them.
    ("elementary", 0.05, 0.0),
    // Default mode: narrower operands of a sigmoid have other tangents.
    ("ffnn_sigmoid", 0.01, 0.0),
];

/// Points of the box whose outputs our bounds must contain.
const SAMPLES: u64 = 64;

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    case: String,
    model: String,
    /// The file of the box; without it the box stands in the case.
    vnnlib: Option<String>,
    #[serde(default)]
    lower_input: Vec<f32>,
    #[serde(default)]
    upper_input: Vec<f32>,
    label: Option<usize>,
    center_output_onnxruntime: Vec<f64>,
    ibp: Method,
    crown: Method,
}

/// One method's bounds; without `lower`, the tool could not run it.
#[derive(Deserialize)]
struct Method {
    lower: Option<Vec<f32>>,
    upper: Option<Vec<f32>>,
    margin: Option<Margin>,
    #[serde(default)]
    intermediate: Vec<Layer>,
}

#[derive(Deserialize)]
struct Margin {
    lower: Vec<f32>,
}

#[derive(Deserialize)]
struct Layer {
    feeds: String,
    unstable: usize,
}

impl Method {
    /// Lower bounds of `y`, then of `−y`.
    fn signed(&self) -> Option<Vec<f32>> {
        let (lower, upper) = (self.lower.as_ref()?, self.upper.as_ref()?);
        Some(lower.iter().copied().chain(upper.iter().map(|u| -u)).collect())
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/auto_LiRPA-9d100ec")
}

/// The cases that can be read here: all, or without `CERTUS_DATA` those that ship with the tests.
fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(golden().join("bounds.json")).expect("the golden bounds are there");
    let file: File = serde_json::from_str(&text).expect("the golden bounds parse");
    let data = certus_tests::certus_data("the benchmark networks of golden_lirpa");
    file.cases.into_iter().filter(|case| case.vnnlib.is_none() || data.is_some()).collect()
}

/// A case ready to bound.
struct Loaded {
    program: Program,
    net: Prepared,
    lower: Vec<f32>,
    upper: Vec<f32>,
}

impl Loaded {
    fn new(case: &Case) -> Self {
        let data = PathBuf::from(std::env::var_os("CERTUS_DATA").unwrap_or_default());
        let (program, lower, upper) = if let Some(vnnlib) = &case.vnnlib {
            let property = property::load_property(&data.join(vnnlib)).expect("the property loads");
            let region = &property.cases[0].region;
            let narrow = |x: &[f64]| x.iter().map(|x| *x as f32).collect::<Vec<f32>>();
            (graph::load_program(&data.join(&case.model)), narrow(&region.lower), narrow(&region.upper))
        } else {
            let path = golden().join(&case.model);
            (graph::load_program(&path), case.lower_input.clone(), case.upper_input.clone())
        };
        let program = program.expect("the network lowers");
        Self { net: Prepared::new(&program), program, lower, upper }
    }

    fn region(&self) -> Region<'_> {
        Region { lower: &self.lower, upper: &self.upper }
    }

    fn bound(&self, spec: &Spec, intermediate: Intermediate) -> Bounds {
        let settings = Settings { intermediate, ..Settings::default() };
        bound(&self.net, self.region(), spec, &settings, Stop::default()).expect("bounds")
    }
}

/// The rows `y` and `−y`.
fn signed_outputs(n: usize) -> Spec {
    let mut weights = vec![0.0; 2 * n * n];
    for i in 0..n {
        (weights[i * n + i], weights[(n + i) * n + i]) = (1.0, -1.0);
    }
    Spec { weights, bias: vec![0.0; 2 * n] }
}

/// The rows `label − other`.
fn margins(n: usize, label: usize) -> Spec {
    let mut weights = Vec::new();
    for other in (0..n).filter(|other| *other != label) {
        let mut row = vec![0.0; n];
        (row[label], row[other]) = (1.0, -1.0);
        weights.extend(row);
    }
    Spec { weights, bias: vec![0.0; n - 1] }
}

/// How a bound of ours may differ from the tool's.
#[derive(Clone, Copy, PartialEq)]
enum Agreement {
    Equal,
    NotLooser,
}

/// What is wrong with `ours`, if anything.
fn compare(what: &str, ours: &[f32], theirs: &[f32], agreement: Agreement, allowance: f32) -> Option<String> {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let slack = allowance + RELATIVE * theirs.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let off = |(ours, theirs): &(&f32, &f32)| {
        let equal = agreement == Agreement::NotLooser || **ours <= *theirs + slack;
        // Written so that a NaN is off.
        !(**ours >= *theirs - slack && equal)
    };
    let rows: Vec<(&f32, &f32)> = ours.iter().zip(theirs).filter(off).collect();
    let lines = if agreement == Agreement::Equal { "same lines" } else { "looser" };
    (!rows.is_empty()).then(|| format!("{what}, {lines}: (ours, auto_LiRPA) {rows:?}"))
}

/// Whether ReLU is the only step that is relaxed.
fn only_relu(program: &Program) -> bool {
    program.steps().iter().all(|step| match &step.operation {
        Operation::Elementwise { function, .. } => *function == Function::Relu,
        Operation::Affine(_) | Operation::Index { .. } => true,
        Operation::Max { .. } | Operation::Product { .. } => false,
    })
}

/// Unstable operands of every ReLU, in order.
fn unstable(program: &Program, bounds: &Bounds) -> Vec<usize> {
    let straddles = |(l, u): (&f32, &f32)| *l < 0.0 && *u > 0.0;
    program
        .steps()
        .iter()
        .filter_map(|step| match &step.operation {
            Operation::Elementwise { input, function: Function::Relu } => Some(&bounds.slots[input.0]),
            _ => None,
        })
        .map(|pre| pre.lower.iter().zip(&pre.upper).filter(|ends| straddles(*ends)).count())
        .collect()
}

#[test]
fn outputs_at_the_centres_are_those_of_onnxruntime() {
    for case in cases() {
        let loaded = Loaded::new(&case);
        let middle = |(l, u): (&f32, &f32)| f64::from((l + u) / 2.0);
        let center: Vec<f64> = loaded.lower.iter().zip(&loaded.upper).map(middle).collect();
        let ours = loaded.program.eval(&center);
        let largest = case.center_output_onnxruntime.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        for (ours, theirs) in ours.iter().zip(&case.center_output_onnxruntime) {
            assert!((ours - theirs).abs() <= 1e-4 * largest, "{}: {ours}, onnxruntime {theirs}", case.case);
        }
    }
}

/// Mean width of the outputs, from lower bounds of `y` and of `−y`.
fn mean_width(signed: &[f32]) -> f32 {
    -signed.iter().sum::<f32>() / (signed.len() / 2) as f32
}

/// What is wrong with our bounds of one case.
fn problems(case: &Case) -> Vec<String> {
    let loaded = Loaded::new(case);
    let n = loaded.program.outputs();
    let mut specs = vec![("outputs", signed_outputs(n), case.ibp.signed(), case.crown.signed())];
    if let Some(label) = case.label {
        let lower = |method: &Method| method.margin.as_ref().map(|m| m.lower.clone());
        specs.push(("margins", margins(n, label), lower(&case.ibp), lower(&case.crown)));
    }
    let agreement = if only_relu(&loaded.program) { Agreement::Equal } else { Agreement::NotLooser };
    let theirs = mean_width(&case.crown.signed().expect("the tool's CROWN runs on every case"));
    let entry = OTHER_LINES.iter().find(|(name, ..)| *name == case.case);
    let (row, mean) = entry.map_or((0.0, 0.0), |(_, row, mean)| (*row, *mean));
    let allowance = row * theirs;
    let mut found = Vec::new();
    for intermediate in [Intermediate::Reference, Intermediate::Default] {
        let ours = mean_width(&loaded.bound(&specs[0].1, intermediate).rows);
        println!("{}, {intermediate:?}: mean width {ours}, auto_LiRPA {theirs}", case.case);
        let wider = ours > theirs * (1.0 + RELATIVE + mean);
        found.extend(wider.then(|| format!("{}: mean width {ours}, auto_LiRPA {theirs}", case.case)));
    }
    for (rows, spec, ibp, crown) in &specs {
        let what = |method: &str| format!("{}, {method} of {rows}", case.case);
        if let Some(ibp) = ibp {
            let ours = interval_margin(&loaded.net, loaded.region(), spec).expect("intervals");
            found.extend(compare(&what("IBP"), &ours.rows, ibp, agreement, 0.0));
        }
        let crown = crown.as_ref().expect("the tool's CROWN runs on every case");
        let reference = loaded.bound(spec, Intermediate::Reference);
        found.extend(compare(&what("CROWN"), &reference.rows, crown, agreement, allowance));
        let default = loaded.bound(spec, Intermediate::Default);
        found.extend(compare(&what("default mode"), &default.rows, crown, Agreement::NotLooser, allowance));
        if agreement == Agreement::Equal {
            let relu = case.crown.intermediate.iter().filter(|layer| layer.feeds == "Relu");
            let theirs: Vec<usize> = relu.map(|layer| layer.unstable).collect();
            let ours = unstable(&loaded.program, &reference);
            found.extend((ours != theirs).then(|| format!("{}: unstable {ours:?}, {theirs:?}", case.case)));
        }
    }
    found
}

#[test]
fn bounds_are_never_looser_than_those_of_auto_lirpa() {
    let cases = cases();
    let found: Vec<String> = cases.iter().flat_map(problems).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(cases.len() == 9 || cases.len() == 3, "only {} cases were compared", cases.len());
}

/// A number in [0, 1) from a counter (SplitMix64).
fn uniform(counter: &mut u64) -> f64 {
    *counter = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *counter;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

#[test]
fn sampled_outputs_lie_inside_the_bounds() {
    for case in cases() {
        let loaded = Loaded::new(&case);
        let n = loaded.program.outputs();
        let found = loaded.bound(&signed_outputs(n), Intermediate::Default).rows;
        let slack = f64::from(RELATIVE) * found.iter().fold(0.0f64, |m, x| m.max(f64::from(x.abs())));
        let mut counter = 7;
        for sample in 0..SAMPLES {
            // Every other sample is a corner.
            let mut place = |l: f64, u: f64| {
                let t = uniform(&mut counter);
                l + (u - l) * if sample % 2 == 0 { t.round() } else { t }
            };
            let ends = loaded.lower.iter().zip(&loaded.upper);
            let point: Vec<f64> = ends.map(|(l, u)| place(f64::from(*l), f64::from(*u))).collect();
            for (i, y) in loaded.program.eval(&point).iter().enumerate() {
                let (lower, upper) = (f64::from(found[i]), -f64::from(found[n + i]));
                let inside = lower - slack <= *y && *y <= upper + slack;
                assert!(inside, "{}: output {i} is {y}, bounds [{lower}, {upper}]", case.case);
            }
        }
    }
}
