//! CROWN and α-CROWN against auto_LiRPA's values on dense networks (`CERTUS_DATA`).
//!
//! `mnist_256x2` is left out: its golden row is not what the adaptive rule gives (its 89 unstable neurons in layer 2 are 132
//! by the definition; an independent evaluation of the definition in numpy agrees with this crate to six digits).

use certus_engine::bounds::Net;
use certus_engine::bounds::alpha_beta::{Climb, Lane, optimise};
use certus_engine::bounds::crown::{self, Bounds, Mode, Region, Scratch};
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
    unstable_per_relu_layer: Vec<[usize; 2]>,
}

#[derive(Deserialize)]
struct Values {
    lb: Vec<f32>,
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
