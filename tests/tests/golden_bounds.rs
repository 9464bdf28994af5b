//! Interval bounds, CROWN and α-CROWN against auto_LiRPA's values (`CERTUS_DATA`).
//!
//! auto_LiRPA bounds by backward rows only what interval arithmetic leaves undecided, and does not intersect the two; on
//! `mnist_256x2` this matters (89 unstable neurons in layer 2; bounding all gives 132), so the chain, which bounds all in its
//! reference mode, is not compared there. `oval_base` is left out: the data hold the file of its box no more.

use certus_engine::bounds::Net;
use certus_engine::bounds::alpha_beta::{Climb, Lane, optimise};
use certus_engine::bounds::crown::{self, Bounds, Mode, Region, Scratch};
use certus_engine::bounds::program as general;
use certus_engine::property::Row;
use certus_engine::{graph, property};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Case {
    case: String,
    model: String,
    vnnlib: String,
    label: usize,
    #[serde(rename = "CROWN_margin")]
    crown: Values,
    #[serde(rename = "IBP_margin")]
    ibp: Values,
    #[serde(rename = "alphaCROWN_20it_margin_fixed_interm")]
    alpha: Values,
    #[serde(rename = "alphaCROWN_20it_margin_joint_interm")]
    joint: Values,
    #[serde(rename = "CROWN_outputs")]
    crown_outputs: Ends,
    #[serde(rename = "IBP_outputs")]
    ibp_outputs: Ends,
    unstable_per_relu_layer: Vec<[usize; 2]>,
}

#[derive(Deserialize)]
struct Values {
    lb: Vec<f32>,
}

#[derive(Deserialize)]
struct Ends {
    lb: Vec<f32>,
    ub: Vec<f32>,
}

fn data() -> Option<PathBuf> {
    let data = std::env::var_os("CERTUS_DATA").map(PathBuf::from);
    if data.is_none() {
        println!("CERTUS_DATA is not set: the golden bounds were not compared");
    }
    data
}

/// Bounds differ in the order of their `f32` sums only.
const RELATIVE: f32 = 1e-4;

struct Loaded {
    net: Net,
    lower: Vec<f32>,
    upper: Vec<f32>,
}

fn load(data: &Path, case: &Case) -> (Loaded, certus_engine::bounds::Spec) {
    let file = |name: &str| data.join("benchmarks/vnncomp2021").join(name.replacen('/', "/onnx/", 1) + ".gz");
    let chain = graph::load_chain(&file(&case.model)).expect("the golden network loads");
    let path = data.join("benchmarks/vnncomp2021").join(case.vnnlib.replacen('/', "/vnnlib/", 1) + ".gz");
    let property = property::load_property(&path).expect("the golden property loads");
    let region = &property.cases[0].region;
    let rows: Vec<Row> = (0..chain.outputs())
        .filter(|other| *other != case.label)
        .map(|other| {
            let mut coefficients = vec![0.0; chain.outputs()];
            (coefficients[case.label], coefficients[other]) = (1.0, -1.0);
            Row { coefficients, rhs_lower: 0.0, rhs_upper: 0.0, strict: false }
        })
        .collect();
    let net = Net::new(&chain);
    let spec = net.spec(&rows.iter().collect::<Vec<_>>());
    (
        Loaded {
            net,
            lower: region.lower.iter().map(|x| *x as f32).collect(),
            upper: region.upper.iter().map(|x| *x as f32).collect(),
        },
        spec,
    )
}

#[test]
fn bounds_reproduce_those_of_auto_lirpa() {
    let Some(data) = data() else { return };
    let text = std::fs::read_to_string(data.join("golden/bounds/micro_bounds.json"))
        .expect("the golden bounds are there");
    let cases: Vec<Case> = serde_json::from_str(&text).expect("the golden bounds parse");
    let dense = |c: &&Case| ["acasxu_1_1", "mnist_256x6"].contains(&c.case.as_str());
    let mut compared = 0;
    for case in cases.iter().filter(dense) {
        let (loaded, spec) = load(&data, case);
        let region = Region { lower: &loaded.lower, upper: &loaded.upper };
        let (mut scratch, mut reference, mut tighter) =
            (Scratch::default(), Bounds::default(), Bounds::default());
        crown::bound(&loaded.net, &spec, region, &[], Mode::Reference, &mut scratch, &mut reference);
        crown::bound(&loaded.net, &spec, region, &[], Mode::Default, &mut scratch, &mut tighter);
        for ((ours, golden), default) in reference.rows.iter().zip(&case.crown.lb).zip(&tighter.rows) {
            let slack = RELATIVE * golden.abs().max(1.0);
            assert!((ours - golden).abs() <= slack, "{}: CROWN {ours}, auto_LiRPA {golden}", case.case);
            assert!(
                *default >= golden - slack,
                "{}: the default mode {default} is looser than {golden}",
                case.case
            );
            compared += 1;
        }
        let unstable: Vec<usize> = reference
            .layers
            .iter()
            .map(|i| i.lower.iter().zip(&i.upper).filter(|(l, u)| **l < 0.0 && **u > 0.0).count())
            .collect();
        let golden: Vec<usize> = case.unstable_per_relu_layer.iter().map(|x| x[0]).collect();
        assert_eq!(unstable, golden, "{}: unstable neurons", case.case);

        let lanes: Vec<Lane<'_>> = (0..spec.rows)
            .map(|row| Lane { intervals: &reference.layers, row, splits: &[], alpha: &[], beta: &[] })
            .collect();
        // Margins may be positive, and optimising stops there: only undecided rows are compared.
        let climb = Climb { iterations: 20, alpha_rate: 0.1, beta_rate: 0.0, decay: 0.98 };
        let found = optimise(&loaded.net, &spec, region, &lanes, climb);
        for ((found, golden), start) in found.iter().zip(&case.alpha.lb).zip(&reference.rows) {
            assert!(found.bound >= *start, "{}: climbing went down", case.case);
            let reached = found.bound >= golden - 0.01 * golden.abs().max(0.01);
            assert!(
                found.bound > 0.0 || reached,
                "{}: α-CROWN {}, auto_LiRPA {golden}",
                case.case,
                found.bound
            );
        }
        assert!(
            case.ibp.lb.iter().zip(&tighter.rows).all(|(ibp, crown)| crown >= ibp),
            "{}: looser than IBP",
            case.case
        );
    }
    assert!(compared == 13, "only {compared} values were compared");
}

/// The data hold the file of its box no more.
const LEFT_OUT: [&str; 1] = ["oval_base"];

/// The network, its box, and the rows `label − other`.
fn program(data: &Path, case: &Case) -> (certus_engine::program::Program, [Vec<f32>; 2], general::Spec) {
    let (set, network) = case.model.split_once('/').expect("set/network");
    let base = data.join("benchmarks/vnncomp2021").join(set);
    let name =
        |path: &str| Path::new(path).file_name().expect("a file").to_string_lossy().into_owned() + ".gz";
    let program =
        graph::load_program(&base.join("onnx").join(name(network))).expect("the golden network lowers");
    let property =
        property::load_property(&base.join("vnnlib").join(name(&case.vnnlib))).expect("the property loads");
    let region = &property.cases[0].region;
    let narrow = |x: &[f64]| x.iter().map(|x| *x as f32).collect::<Vec<f32>>();
    let n = program.outputs();
    let mut weights = Vec::new();
    for other in (0..n).filter(|other| *other != case.label) {
        let mut row = vec![0.0; n];
        (row[case.label], row[other]) = (1.0, -1.0);
        weights.extend(row);
    }
    let spec = general::Spec { weights, bias: vec![0.0; n - 1] };
    (program, [narrow(&region.lower), narrow(&region.upper)], spec)
}

/// `y` and `−y`.
fn outputs(n: usize) -> general::Spec {
    let mut weights = vec![0.0; 2 * n * n];
    for i in 0..n {
        (weights[i * n + i], weights[(n + i) * n + i]) = (1.0, -1.0);
    }
    general::Spec { weights, bias: vec![0.0; 2 * n] }
}

fn assert_close(what: &str, ours: &[f32], golden: &[f32]) {
    assert_eq!(ours.len(), golden.len(), "{what}");
    for (ours, golden) in ours.iter().zip(golden) {
        let slack = RELATIVE * golden.abs().max(1.0);
        assert!((ours - golden).abs() <= slack, "{what}: {ours}, auto_LiRPA {golden}");
    }
}

#[test]
fn bounds_of_programs_reproduce_those_of_auto_lirpa() {
    let Some(data) = data() else { return };
    let text = std::fs::read_to_string(data.join("golden/bounds/micro_bounds.json"))
        .expect("the golden bounds are there");
    let cases: Vec<Case> = serde_json::from_str(&text).expect("the golden bounds parse");
    let compared: Vec<&Case> = cases.iter().filter(|c| !LEFT_OUT.contains(&c.case.as_str())).collect();
    assert_eq!(compared.len() + LEFT_OUT.len(), cases.len());
    for case in compared {
        let (program, [lower, upper], spec) = program(&data, case);
        let net = general::Prepared::new(&program);
        let region = general::Region { lower: &lower, upper: &upper };
        let settings =
            general::Settings { intermediate: general::Intermediate::Reference, ..Default::default() };
        let stop = general::Stop::default();

        let both = outputs(program.outputs());
        let signed =
            |ends: &Ends| ends.lb.iter().copied().chain(ends.ub.iter().map(|u| -u)).collect::<Vec<f32>>();
        let ibp = general::interval_margin(&net, region, &both).expect("intervals");
        assert_close(&format!("{}: IBP of outputs", case.case), &ibp.rows, &signed(&case.ibp_outputs));
        let ibp = general::interval_margin(&net, region, &spec).expect("intervals");
        assert_close(&format!("{}: IBP", case.case), &ibp.rows, &case.ibp.lb);
        let crown = general::bound(&net, region, &both, &settings, stop).expect("bounds");
        assert_close(&format!("{}: CROWN of outputs", case.case), &crown.rows, &signed(&case.crown_outputs));
        let crown = general::bound(&net, region, &spec, &settings, stop).expect("bounds");
        assert_close(&format!("{}: CROWN", case.case), &crown.rows, &case.crown.lb);

        let unstable: Vec<usize> = program
            .steps()
            .iter()
            .filter_map(|step| match &step.operation {
                certus_engine::program::Operation::Elementwise { input, .. } => Some(&crown.slots[input.0]),
                _ => None,
            })
            .map(|pre| pre.lower.iter().zip(&pre.upper).filter(|(l, u)| **l < 0.0 && **u > 0.0).count())
            .collect();
        let golden: Vec<usize> = case.unstable_per_relu_layer.iter().map(|x| x[0]).collect();
        assert_eq!(unstable, golden, "{}: unstable neurons", case.case);

        let default =
            general::bound(&net, region, &spec, &general::Settings::default(), stop).expect("bounds");
        for (default, reference) in default.rows.iter().zip(&crown.rows) {
            let slack = 1e-5 * reference.abs().max(1.0);
            assert!(*default >= reference - slack, "{}: default {default} below {reference}", case.case);
        }

        // Positive rows too: nothing stops early.
        for (joint, golden) in [(false, &case.alpha.lb), (true, &case.joint.lb)] {
            let how = general::Climb { joint, last: 0, stop_when_positive: false, ..Default::default() };
            let found = general::climb(&net, region.into(), &spec, &general::Settings::default(), &how, stop)
                .expect("bounds climb");
            for (found, golden) in found.rows.iter().zip(golden) {
                let slack = 0.01 * golden.abs();
                assert!(
                    *found >= golden - slack,
                    "{}: {found} after {} iterations (joint: {joint}), auto_LiRPA {golden}",
                    case.case,
                    how.iterations
                );
            }
        }
    }
}
