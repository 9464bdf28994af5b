use std::sync::atomic::AtomicBool;

use certus_engine::model::Model as Network;
use certus_engine::property::Evaluate;
use certus_learn::attack::Strength;
use certus_learn::data::{Set, Targets};
use certus_learn::model::{Init, Layer, Model, Random};

use super::bounds::Bounder;
use super::cascade::{EvaluateError, fate};
use super::*;
use crate::training::network::{Normalise, program};

fn dense(outputs: usize) -> Layer {
    Layer::Dense { outputs }
}

fn model(input: &[usize], layers: &[Layer], random: &mut Random) -> Model {
    let mut model = Model::new(input, layers).expect("the layers fit");
    Init::Uniform.fill(&mut model, random);
    // Weights of a size that leaves ReLUs unstable on the boxes below.
    model.parameters.iter_mut().for_each(|p| p.values.iter_mut().for_each(|x| *x *= 2.0));
    model
}

fn networks(random: &mut Random) -> Vec<(Vec<usize>, Network)> {
    let conv = Layer::Conv { channels: 3, kernel: 3, stride: 2, pad: 1 };
    let cases: [(&[usize], Vec<Layer>); 3] = [
        (&[4], vec![dense(8), Layer::Relu, dense(8), Layer::Relu, dense(3)]),
        (&[1, 5, 5], vec![conv, Layer::Relu, dense(4)]),
        // No ReLU before the last layer: nothing to elide.
        (&[4], vec![dense(6), Layer::Relu, dense(5), dense(3)]),
    ];
    let mut all = Vec::new();
    for (input, layers) in cases {
        for normalised in [false, true] {
            let model = model(input, &layers, random);
            let n = model.inputs();
            let normalise = Normalise {
                scale: (0..n).map(|_| 0.5 + random.unit() as f32).collect(),
                shift: (0..n).map(|_| random.normal() as f32).collect(),
            };
            let program = program(&model, normalised.then_some(&normalise)).expect("finite weights");
            all.push((input.to_vec(), Network::Program(program)));
        }
    }
    all
}

fn winner(y: &[f32]) -> usize {
    (0..y.len()).max_by(|a, b| y[*a].total_cmp(&y[*b])).expect("outputs")
}

fn set_of(shape: &[usize], network: &Network, count: usize, random: &mut Random) -> Set {
    let width: usize = shape.iter().product();
    let inputs: Vec<f32> = (0..count * width).map(|_| random.unit() as f32).collect();
    let labels = inputs.chunks(width).map(|x| winner(&network.eval_f32(x)) as u32).collect();
    let names = (0..network.outputs()).map(|k| k.to_string()).collect();
    Set { shape: shape.to_vec(), inputs, targets: Targets::Classes { labels, names } }
}

static GO: AtomicBool = AtomicBool::new(false);

fn plan<'a>(radius: &'a [f64], range: Option<&'a [Vec<f32>; 2]>) -> Plan<'a> {
    Plan {
        radius,
        range,
        count: 0,
        attack: usize::MAX,
        strength: Strength { steps: 20, starts: 2, lanes: 32 },
        verify: 0,
        verify_timeout: 20.0,
        seed: 1,
        threads: 1,
        stop: &GO,
    }
}

/// A point of the box: a corner or one within.
fn draw(x: &[f32], radius: &[f64], range: &[Vec<f32>; 2], random: &mut Random) -> Vec<f32> {
    let corner = random.below(2) == 0;
    let mut point = x.to_vec();
    for (k, x) in point.iter_mut().enumerate() {
        let way = if corner { 2.0 * random.below(2) as f64 - 1.0 } else { 2.0 * random.unit() - 1.0 };
        *x = ((f64::from(*x) + way * radius[k]) as f32).clamp(range[0][k], range[1][k]);
    }
    point
}

#[test]
fn no_point_of_a_certified_box_is_of_another_class_and_no_attack_finds_one() {
    let mut random = Random(5);
    let (mut certified, mut broken, mut crown) = (0, 0, 0);
    for (shape, network) in networks(&mut random) {
        let set = set_of(&shape, &network, 40, &mut random);
        let width = set.width();
        let range = [vec![0.0; width], vec![1.0; width]];
        let subject = Subject::new(network.clone(), &shape).expect("a program");
        assert_eq!(subject.no_attack(), None);
        for scale in [0.02, 0.1, 0.3] {
            // A radius of its own for each element.
            let radius: Vec<f64> = (0..width).map(|k| scale * (0.5 + (k % 3) as f64)).collect();
            let cascade = Cascade::new(&subject, &set).expect("they fit");
            let judged = cascade.run(&plan(&radius, Some(&range)), &|_, _, _| {}).expect("no contradiction");
            for (k, fate) in judged.fates.iter().enumerate() {
                let class = winner(&network.eval_f32(set.input(k)));
                match fate {
                    Fate::Certified(bound) => {
                        certified += 1;
                        crown += usize::from(*bound == Bound::CrownIbp);
                        for _ in 0..200 {
                            let point = draw(set.input(k), &radius, &range, &mut random);
                            let y = network.eval_f32(&point);
                            assert_eq!(winner(&y), class, "{shape:?} {scale} input {k} by {}", bound.name());
                        }
                    }
                    Fate::Broken(point) => {
                        broken += 1;
                        assert_ne!(winner(&network.eval_f32(point)), class);
                        for (at, (p, x)) in point.iter().zip(set.input(k)).enumerate() {
                            assert!((f64::from(*p) - f64::from(*x)).abs() <= radius[at]);
                            assert!((0.0..=1.0).contains(p));
                        }
                    }
                    Fate::Wrong => panic!("labels are the network's own"),
                    Fate::Open => {}
                }
            }
        }
    }
    assert!(certified > 100 && broken > 100 && crown > 10, "{certified} {crown} {broken}");
}

/// Interval bounds in `f64`, and the margins with the last layer elided.
fn direct(network: &Network, lower: &[f32], upper: &[f32], class: usize) -> Vec<f64> {
    use certus_engine::program::{Map, Operation};
    let Network::Program(program) = network else { panic!("built as programs") };
    let widen = |x: &[f32]| -> Vec<f64> { x.iter().map(|x| f64::from(*x)).collect() };
    let (mut l, mut u) = (widen(lower), widen(upper));
    let last = program.steps().len() - 1;
    for (k, step) in program.steps().iter().enumerate() {
        match &step.operation {
            Operation::Affine(affine) => {
                let bias = widen(&affine.bias.as_ref().expect("a bias").values);
                // The matrix, column by column, from what the map makes of unit vectors.
                let column = |j: usize| {
                    let mut unit = vec![0.0f64; l.len()];
                    unit[j] = 1.0;
                    let mut sum = vec![0.0f64; bias.len()];
                    affine.terms[0].map.add_to(&unit, &mut sum);
                    sum
                };
                let columns: Vec<Vec<f64>> = (0..l.len()).map(column).collect();
                if k == last {
                    let Map::Dense { .. } = affine.terms[0].map else { panic!("the last layer is dense") };
                    let margin = |other: usize| -> f64 {
                        let ends = columns.iter().zip(l.iter().zip(&u));
                        let sum: f64 = ends
                            .map(|(c, (l, u))| {
                                let d = c[class] - c[other];
                                (d * l).min(d * u)
                            })
                            .sum();
                        sum + bias[class] - bias[other]
                    };
                    return (0..bias.len()).map(margin).collect();
                }
                let (mut below, mut above) = (bias.clone(), bias);
                for (c, (l, u)) in columns.iter().zip(l.iter().zip(&u)) {
                    for (k, c) in c.iter().enumerate() {
                        below[k] += (c * l).min(c * u);
                        above[k] += (c * l).max(c * u);
                    }
                }
                (l, u) = (below, above);
            }
            _ => l.iter_mut().chain(u.iter_mut()).for_each(|x| *x = x.max(0.0)),
        }
    }
    unreachable!("the last step is affine")
}

#[test]
fn elided_margins_are_those_of_the_formula_and_never_above() {
    let mut random = Random(6);
    let mut seen = 0;
    for (shape, network) in networks(&mut random).into_iter().take(4) {
        let set = set_of(&shape, &network, 20, &mut random);
        let Network::Program(program) = &network else { panic!("built as programs") };
        let (tables, mut places) = (program.tables(), Vec::new());
        let planned = tables.plan(&mut places).expect("the device runs it");
        let mut bounder = Bounder::new(program, &planned);
        for k in 0..set.len() {
            let radius = vec![0.05; set.width()];
            let (lower, upper) = outward(set.input(k), &radius, None);
            let class = winner(&network.eval_f32(set.input(k)));
            let found = bounder.interval_margins(&lower, &upper, class).expect("finite");
            let right = direct(&network, &lower, &upper, class);
            for (found, right) in
                found.iter().zip(&right).enumerate().filter(|(k, _)| *k != class).map(|p| p.1)
            {
                assert!(*found < *right && right - found < 1e-4 * (1.0 + right.abs()), "{found} for {right}");
                seen += 1;
            }
        }
    }
    assert!(seen > 100);
}

#[test]
fn outputs_lie_in_their_intervals() {
    let mut random = Random(7);
    for (shape, network) in networks(&mut random) {
        let set = set_of(&shape, &network, 5, &mut random);
        let Network::Program(program) = &network else { panic!("built as programs") };
        let (tables, mut places) = (program.tables(), Vec::new());
        let planned = tables.plan(&mut places).expect("the device runs it");
        let mut bounder = Bounder::new(program, &planned);
        let range = [vec![0.0; set.width()], vec![1.0; set.width()]];
        let radius = vec![0.2; set.width()];
        for k in 0..set.len() {
            let (lower, upper) = outward(set.input(k), &radius, Some(&range));
            let ends = bounder.outputs(&lower, &upper).expect("finite");
            let mut reached = vec![0.0f32; ends.len()];
            for _ in 0..2000 {
                let y = network.eval_f32(&draw(set.input(k), &radius, &range, &mut random));
                for ((y, [l, u]), reached) in y.iter().zip(&ends).zip(&mut reached) {
                    assert!(l <= y && y <= u, "{y} outside [{l}, {u}]");
                    *reached = reached.max((y - l) / (u - l));
                }
            }
            assert!(reached.iter().any(|r| *r > 0.5), "intervals of use: {reached:?}");
        }
    }
}

#[test]
fn the_verifier_decides_small_networks_and_agrees_with_points() {
    let mut random = Random(8);
    let (mut tight, mut broken) = (0, 0);
    for (shape, network) in networks(&mut random) {
        let set = set_of(&shape, &network, 8, &mut random);
        let range = [vec![0.0; set.width()], vec![1.0; set.width()]];
        let radius = vec![0.12; set.width()];
        let subject = Subject::new(network.clone(), &shape).expect("a program");
        let cascade = Cascade::new(&subject, &set).expect("they fit");
        let ask = Plan { verify: 8, attack: 0, ..plan(&radius, Some(&range)) };
        let judged = cascade.run(&ask, &|_, _, _| {}).expect("no contradiction");
        assert_eq!((judged.verified, judged.attacked), (8, 0));
        for (k, fate) in judged.fates.iter().enumerate() {
            assert_ne!(*fate, Fate::Open, "networks of a few neurons are decided");
            let class = winner(&network.eval_f32(set.input(k)));
            match fate {
                Fate::Certified(bound) => {
                    tight += usize::from(*bound > Bound::CrownIbp);
                    for _ in 0..500 {
                        let point = draw(set.input(k), &radius, &range, &mut random);
                        assert_eq!(winner(&network.eval_f32(&point)), class);
                    }
                }
                Fate::Broken(point) => {
                    broken += 1;
                    assert_ne!(winner(&network.eval_f32(point)), class);
                }
                _ => {}
            }
        }
    }
    assert!(tight > 0 && broken > 0, "{tight} {broken}");
}

#[test]
fn a_bound_that_certifies_what_an_attack_breaks_is_an_error() {
    assert_eq!(fate(true, Some(vec![0.5]), Some(Bound::Ibp)), Err(Bound::Ibp));
    assert_eq!(fate(true, Some(vec![0.5]), None), Ok(Fate::Broken(vec![0.5])));
    assert_eq!(fate(true, None, Some(Bound::CrownIbp)), Ok(Fate::Certified(Bound::CrownIbp)));
    assert_eq!(fate(true, None, None), Ok(Fate::Open));
    assert_eq!(fate(false, None, Some(Bound::Ibp)), Ok(Fate::Wrong));
}

#[test]
fn networks_that_do_not_fit_the_data_are_errors() {
    let mut random = Random(9);
    let (shape, network) = networks(&mut random).remove(0);
    let mut set = set_of(&shape, &network, 3, &mut random);
    let subject = Subject::new(network, &shape).expect("a program");
    set.shape = vec![2];
    assert!(matches!(Cascade::new(&subject, &set), Err(EvaluateError::Shape { what: "inputs", .. })));
    set.inputs.clear();
    assert!(matches!(Cascade::new(&subject, &set), Err(EvaluateError::Empty)));
}

#[test]
fn boxes_hold_what_they_are_to_hold() {
    let mut random = Random(10);
    for _ in 0..20_000 {
        let x = (random.normal() * 10f64.powi(random.below(6) as i32 - 3)) as f32;
        let r = random.unit() * 10f64.powi(random.below(6) as i32 - 4);
        let (lower, upper) = outward(&[x], &[r], None);
        let (l, u) = (f64::from(lower[0]), f64::from(upper[0]));
        // Exact to twice the digits of a double: x + r = s + t.
        let exact = |r: f64| {
            let (a, b) = (f64::from(x), r);
            let s = a + b;
            let back = s - a;
            (s, (a - (s - back)) + (b - back))
        };
        let (s, t) = exact(-r);
        assert!(l < s || (l == s && t >= 0.0), "{x} - {r}");
        let (s, t) = exact(r);
        assert!(u > s || (u == s && t <= 0.0), "{x} + {r}");
        assert!(u - l <= 2.0 * r + 4.0 * f64::from(x.abs() + r as f32) * 2f64.powi(-23));
    }
    let range = [vec![0.0], vec![1.0]];
    assert_eq!(outward(&[0.05], &[0.1], Some(&range)).0, [0.0]);
    assert_eq!(outward(&[0.5], &[0.0], Some(&range)), (vec![0.5], vec![0.5]));
}

#[test]
fn margins_at_a_point_are_no_larger_than_the_devices() {
    use certus_engine::program::{Builder, Constants, Function, Map, Slot};
    let mut random = Random(11);
    let (n, outputs) = (40, 3);
    let mut near = 0;
    for _ in 0..200 {
        // Sums that cancel: what is left is of the size of the device's roundings.
        let mut weights: Vec<f32> = (0..n * outputs).map(|_| random.normal() as f32 * 1e4).collect();
        let x: Vec<f32> = (0..n).map(|_| random.unit() as f32).collect();
        for row in weights.chunks_mut(n) {
            let sum: f64 = row.iter().zip(&x).skip(1).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
            row[0] = (-sum / f64::from(x[0])) as f32;
        }
        let mut builder = Builder::new(n);
        let relu = builder.elementwise("relu", Slot::INPUT, Function::Relu).unwrap();
        let map = Map::Dense { count: 1, rows: outputs, cols: n, weights: weights.into() };
        let dense = builder.affine("dense", relu, map, Some(Constants::exact(vec![0.25; outputs]))).unwrap();
        let program = builder.finish(dense).unwrap();
        let (tables, mut places) = (program.tables(), Vec::new());
        let planned = tables.plan(&mut places).unwrap();
        let margins = Bounder::new(&program, &planned).interval_margins(&x, &x, 0).unwrap();
        let y = program.eval_device(&x).unwrap();
        let wide: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        let exact = program.eval(&wide);
        for k in 1..outputs {
            let (device, real) = (f64::from(y[0]) - f64::from(y[k]), exact[0] - exact[k]);
            assert!(margins[k] <= device.min(real), "{} above {device} or {real}", margins[k]);
            near += usize::from(device < real);
        }
    }
    assert!(near > 50, "the device rounds to either side");
}
