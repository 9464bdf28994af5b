//! Every operator, at every operator set in which its definition changed, evaluates as the ONNX standard's
//! test cases and onnxruntime say.
//!
//! The cases are written by `tools/onnx-cases/make_cases.py`; the file names the versions of the tools.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use certus_engine::graph::{self, Network, OPERATORS, OnnxModel};
use certus_engine::verify::program::is_provable;
use flate2::read::GzDecoder;

/// Largest difference, relative to the largest output: golden values are sums in f32.
const TOLERANCE: f64 = 1e-5;

#[derive(serde::Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    operator: String,
    operator_sets: Vec<i64>,
    model: String,
    x: Vec<f32>,
    shape: Vec<usize>,
    y: Vec<f32>,
}

impl Case {
    fn load(&self, operator_set: i64) -> Result<Network, String> {
        let bytes = BASE64_STANDARD.decode(&self.model).unwrap();
        let mut model = OnnxModel::parse(&bytes).unwrap();
        model.opset_import[0].version = Some(operator_set);
        graph::parse_onnx_bytes(&model.to_bytes(), &self.name).map_err(|e| e.to_string())
    }

    /// What is wrong with `found`, if anything.
    fn problem(&self, found: &[f64]) -> Option<String> {
        let largest = self.y.iter().fold(0.0f64, |m, y| m.max(f64::from(y.abs())));
        let wrong = self.y.iter().zip(found).position(|(y, f)| {
            let close = (f64::from(*y) - f).abs() <= TOLERANCE * largest;
            !close
        });
        wrong.map(|i| format!("output {i} is {}, golden {}", found[i], self.y[i]))
    }

    fn check(&self, operator_set: i64) -> Result<(), String> {
        let network = self.load(operator_set)?;
        if network.output().shape != self.shape {
            return Err(format!("shape {:?}, golden {:?}", network.output().shape, self.shape));
        }
        let wide: Vec<f64> = self.x.iter().copied().map(f64::from).collect();
        let narrow: Vec<f64> = network.eval(&self.x).into_iter().map(f64::from).collect();
        match self.problem(&network.eval(&wide)).or_else(|| self.problem(&narrow)) {
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/operators.json.gz");
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    serde_json::from_str::<Golden>(&text).unwrap().cases
}

/// Cases that are refused, by the start of their name, and what the refusal says.
const REFUSED: &[(&str, &str)] = &[
    ("batchnorm_epsilon_training_mode", "`training_mode` is set"),
    ("batchnorm_example_training_mode", "`training_mode` is set"),
    ("mod_float16", "does not go with the type of its operands"),
    ("mod_float", "takes the remainder of computed values"),
    ("mod_mixed_sign_float16", "does not go with the type of its operands"),
    ("mod_mixed_sign_float32", "takes the remainder of computed values"),
    ("pow_types_int32_float32", "mixes numbers and integers"),
    ("pow_types_int64_float32", "mixes numbers and integers"),
    ("reduce_l1_empty_set", "has no elements"),
    ("reduce_l2_empty_set", "has no elements"),
    ("reduce_max_empty_set", "has no elements"),
    ("reduce_prod_empty_set", "has no elements"),
    ("reduce_sum_empty_set", "has no elements"),
    ("reduce_sum_square_empty_set", "has no elements"),
    ("resize_downsample_scales_cubic", "mode \"cubic\" is not supported"),
    ("resize_downsample_scales_linear_antialias", "antialias is not supported"),
    ("resize_downsample_scales_linear", "weights that f32 cannot hold"),
    ("resize_downsample_sizes_cubic", "mode \"cubic\" is not supported"),
    ("resize_downsample_sizes_linear_antialias", "antialias is not supported"),
    ("resize_downsample_sizes_linear_pytorch", "weights that f32 cannot hold"),
    ("resize_downsample_sizes_nearest_not", "keep_aspect_ratio_policy must be stretch"),
    ("resize_tf_crop_and_resize", "\"tf_crop_and_resize\" is not supported"),
    ("resize_upsample_scales_cubic", "mode \"cubic\" is not supported"),
    ("resize_upsample_scales_linear_align", "weights that f32 cannot hold"),
    ("resize_upsample_scales_linear_half", "weights that f32 cannot hold"),
    ("resize_upsample_sizes_cubic", "mode \"cubic\" is not supported"),
    ("resize_upsample_sizes_nearest_not", "keep_aspect_ratio_policy must be stretch"),
];

#[test]
fn every_case_of_every_operator_set_evaluates_or_is_refused_as_documented() {
    let mut problems = Vec::new();
    let mut evaluated = 0;
    let mut unused: BTreeSet<&str> = REFUSED.iter().map(|(name, _)| *name).collect();
    for case in cases() {
        let refusal = REFUSED.iter().find(|(name, _)| case.name.starts_with(name));
        for set in &case.operator_sets {
            let checked = std::panic::catch_unwind(|| case.check(*set));
            match (checked.unwrap_or_else(|_| Err("panicked".into())), refusal) {
                (Ok(()), None) => evaluated += 1,
                (Err(e), Some((name, reason))) if e.contains(reason) => drop(unused.remove(name)),
                (Err(e), _) => problems.push(format!("{} at {set}: {e}", case.name)),
                (Ok(()), Some(_)) => problems.push(format!("{} at {set}: is not refused", case.name)),
            }
        }
    }
    assert!(problems.is_empty(), "{} of {evaluated}\n{}", problems.len(), problems.join("\n"));
    assert!(unused.is_empty(), "no such case: {unused:?}");
    assert!(evaluated > 2500, "{evaluated}");
}

#[test]
fn every_operator_has_a_case_at_every_operator_set_that_changes_it() {
    let cases = cases();
    let has =
        |name: &str, set: i64| cases.iter().any(|c| c.operator == name && c.operator_sets.contains(&set));
    let missing: Vec<String> = OPERATORS
        .iter()
        .flat_map(|o| o.versions.iter().map(move |v| (o.name, *v)))
        .filter(|(name, set)| !has(name, *set))
        .map(|(name, set)| format!("{name} {set}"))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// How far the cases of an operator get: all of those that import takes, some, or none.
fn reached(cases: &[Case], name: &str, reaches: impl Fn(&Network) -> bool) -> &'static str {
    let of_operator = cases.iter().filter(|c| c.operator == name);
    let loaded = of_operator.flat_map(|c| c.operator_sets.iter().filter_map(|set| c.load(*set).ok()));
    let reached: Vec<bool> = loaded.map(|network| reaches(&network)).collect();
    match (reached.iter().any(|r| *r), reached.iter().all(|r| *r)) {
        (true, true) => "yes",
        (true, false) => "part",
        (false, _) => "no",
    }
}

/// The table in `docs/onnx.md`.
fn coverage() -> String {
    let cases = cases();
    let mut text = "| operator | operator sets | evaluates | bounds | proves | accepted |\n".to_owned();
    text += "| --- | --- | --- | --- | --- | --- |\n";
    for operator in OPERATORS {
        let sets: Vec<String> = operator.versions.iter().map(i64::to_string).collect();
        let bounds = reached(&cases, operator.name, |n| n.lower().is_ok());
        let proves = reached(&cases, operator.name, |n| n.lower().is_ok_and(|p| is_provable(&p)));
        let name = operator.name;
        let limits = if operator.limits.is_empty() { "all" } else { operator.limits };
        text += &format!("| {name} | {} | yes | {bounds} | {proves} | {limits} |\n", sets.join(", "));
    }
    text
}

#[test]
fn the_coverage_table_in_the_docs_is_that_of_the_code() {
    const MARKS: [&str; 2] = ["<!-- operators -->\n", "<!-- end of operators -->\n"];
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/onnx.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(MARKS[0]).unwrap();
    let (table, behind) = rest.split_once(MARKS[1]).unwrap();
    let current = coverage();
    if std::env::var_os("CERTUS_WRITE_DOCS").is_some() {
        std::fs::write(&path, [before, MARKS[0], &current, MARKS[1], behind].concat()).unwrap();
    } else {
        let hint =
            "docs/onnx.md is old: CERTUS_WRITE_DOCS=1 cargo test -p certus-tests --test onnx_operators";
        assert_eq!(table, current, "{hint}");
    }
}
