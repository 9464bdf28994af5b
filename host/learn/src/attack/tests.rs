//! Attacks on networks whose worst points are known, and on a trained one.

use super::{Attack, AutoPgd, Objective, Pgd, Reach, Region, Strength, counterexamples};
use crate::data::{Set, Targets};
use crate::model::{Layer, Model, Random};
use crate::train::{Method, Settings, Task, Trainer};

const LANES: usize = 32;

fn dense(outputs: usize) -> Layer {
    Layer::Dense { outputs }
}

/// Class 1 wins within 0.05 of `planted` in all of four inputs alone: `logit 1 = 0.1 − Σ|x − planted|`, which is at most 0.1, and logit 0 is 0.
fn planted_at(planted: [f32; 4]) -> Model {
    let mut model = Model::new(&[4], &[dense(8), Layer::Relu, dense(2)]).unwrap();
    for (k, centre) in planted.into_iter().enumerate() {
        for (side, sign) in [1.0, -1.0].into_iter().enumerate() {
            let neuron = 2 * k + side;
            model.parameters[0].values[neuron * 4 + k] = sign;
            model.parameters[1].values[neuron] = -sign * centre;
            model.parameters[2].values[8 + neuron] = -1.0;
        }
    }
    model.parameters[3].values = vec![0.0, 0.1];
    model
}

fn labels(classes: usize, of: impl Fn(usize) -> usize) -> Vec<f32> {
    (0..classes * LANES).map(|at| f32::from(u8::from(of(at % LANES) == at / LANES))).collect()
}

/// Boxes with a side for each input; some have no width.
fn sides(random: &mut Random, inputs: usize) -> [Vec<f32>; 2] {
    let lower: Vec<f32> = (0..inputs * LANES).map(|_| random.unit() as f32 - 0.5).collect();
    let upper = lower.iter().map(|l| if random.below(4) == 0 { *l } else { l + random.unit() as f32 });
    let upper = upper.collect();
    [lower, upper]
}

fn is_inside(x: &[f32], region: Region<'_>) -> bool {
    x.iter().zip(region.lower).zip(region.upper).all(|((x, l), u)| l <= x && x <= u)
}

/// The logits by plain sums.
fn logits(model: &Model, x: &[f32]) -> Vec<f64> {
    let mut now: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
    for layer in model.parameters.chunks(2) {
        let rows = layer[0].values.chunks_exact(now.len()).zip(&layer[1].values);
        let next = rows.map(|(row, b)| {
            f64::from(*b) + row.iter().zip(&now).map(|(w, x)| f64::from(*w) * x).sum::<f64>()
        });
        let is_last = layer[1].name == model.parameters.last().unwrap().name;
        now = next.map(|z| if is_last { z } else { z.max(0.0) }).collect();
    }
    now
}

fn lane(x: &[f32], k: usize) -> Vec<f32> {
    x[k..].iter().step_by(LANES).copied().collect()
}

#[test]
fn a_planted_counterexample_is_found_and_nothing_is_found_where_there_is_none() {
    let model = planted_at([0.3, -0.2, 0.7, 0.1]);
    let targets = labels(2, |_| 0);
    let lower = vec![-1.0; 4 * LANES];
    // Odd lanes end before the planted third value: the logits there are at most 0.1 − 0.5.
    let upper: Vec<f32> =
        (0..4 * LANES).map(|at| if at / LANES == 2 && at % 2 == 1 { 0.2 } else { 1.0 }).collect();
    let region = Region { lower: &lower, upper: &upper };
    for objective in [Objective::CrossEntropy, Objective::Margin, Objective::Dlr] {
        let mut attack = Attack::new(&model, objective, LANES, 1);
        let few = Pgd { steps: 0, ..Pgd::default() };
        let none = attack.pgd(&model, region, &targets, &few, &mut Random(1));
        assert!(none.broken.iter().filter(|b| **b).count() < LANES / 4, "random points alone do it");
        let settings = Pgd { steps: 60, step: 0.03, ..Pgd::default() };
        let found = attack.pgd(&model, region, &targets, &settings, &mut Random(1));
        let auto = attack.auto_pgd(&model, region, &targets, &AutoPgd::default(), &mut Random(1));
        for (name, found) in [("pgd", found), ("auto", auto)] {
            assert!(is_inside(&found.points, region));
            for k in 0..LANES {
                assert_eq!(found.broken[k], k % 2 == 0, "{name}, {objective:?}, lane {k}");
                let z = logits(&model, &lane(&found.points, k));
                assert_eq!(z[1] > z[0], found.broken[k], "{name}: {z:?}");
            }
        }
    }
}

#[test]
fn attacks_never_leave_their_boxes_and_do_not_depend_on_threads() {
    let mut model = Model::new(&[6], &[dense(20), Layer::BatchNorm, Layer::Relu, dense(4)]).unwrap();
    crate::model::Init::Uniform.fill(&mut model, &mut Random(4));
    let [lower, upper] = sides(&mut Random(5), 6);
    let region = Region { lower: &lower, upper: &upper };
    let targets = labels(4, |lane| lane % 4);
    for objective in [Objective::CrossEntropy, Objective::Margin, Objective::Dlr, Objective::Square] {
        let run = |threads: usize| {
            let mut attack = Attack::new(&model, objective, LANES, threads);
            let settings = Pgd { steps: 9, step: 0.7, starts: 2, random: true };
            let pgd = attack.pgd(&model, region, &targets, &settings, &mut Random(6));
            let auto = AutoPgd { steps: 25, starts: 2 };
            let auto = attack.auto_pgd(&model, region, &targets, &auto, &mut Random(6));
            let last = attack.last_points(&model, region, &targets, &settings, &mut Random(6));
            [pgd.points, auto.points, last, pgd.losses, auto.losses]
        };
        let one = run(1);
        for points in &one[..3] {
            assert!(is_inside(points, region), "{objective:?}");
            assert!(points.iter().zip(&lower).any(|(x, l)| x != l), "{objective:?}: nothing moved");
        }
        assert_eq!(one, run(3), "{objective:?}");
    }
}

/// The loss of one point by its definition.
fn by_definition(objective: Objective, z: &[f64], label: usize) -> f64 {
    let other = (0..z.len()).filter(|k| *k != label).map(|k| z[k]).fold(f64::NEG_INFINITY, f64::max);
    let mut sorted = z.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    match objective {
        Objective::CrossEntropy => z.iter().map(|z| z.exp()).sum::<f64>().ln() - z[label],
        Objective::Margin => other - z[label],
        Objective::Dlr => (other - z[label]) / (sorted[0] - sorted[2]),
        Objective::Square => {
            z.iter().enumerate().map(|(k, z)| (z - f64::from(u8::from(k == label))).powi(2)).sum()
        }
    }
}

#[test]
fn losses_are_those_of_their_definitions_and_gradients_those_of_differences() {
    let mut model = Model::new(&[3], &[dense(12), Layer::Relu, dense(5)]).unwrap();
    crate::model::Init::Uniform.fill(&mut model, &mut Random(14));
    let mut random = Random(15);
    let x: Vec<f32> = (0..3 * LANES).map(|_| 4.0 * random.unit() as f32 - 2.0).collect();
    let targets = labels(5, |lane| lane % 5);
    for objective in [Objective::CrossEntropy, Objective::Margin, Objective::Dlr, Objective::Square] {
        let mut attack = Attack::new(&model, objective, LANES, 1);
        attack.evaluate(&model, &x, &targets);
        for k in 0..LANES {
            let of = |x: &[f32]| by_definition(objective, &logits(&model, x), k % 5);
            let (right, found) = (of(&lane(&x, k)), f64::from(attack.losses()[k]));
            assert!(
                (found - right).abs() < 1e-5 * (1.0 + right.abs()),
                "{objective:?}: {found}, not {right}"
            );
            for i in 0..3 {
                // A binary fraction, so that both points are exact; where it crosses a kink the sides differ.
                let at = |by: f32| {
                    let mut moved = lane(&x, k);
                    moved[i] += by;
                    of(&moved)
                };
                let h = 1.0 / 1024.0;
                let [up, down] = [(at(h) - right), (right - at(-h))].map(|d| d / f64::from(h));
                let found = f64::from(attack.gradient()[i * LANES + k]);
                let near = |q: f64| (q - found).abs() < 5e-3 * (1.0 + q.abs());
                assert!(near(up) || near(down), "{objective:?}: {found}, not {up} or {down}");
            }
        }
    }
}

/// A network trained on three rings about the origin, on few inputs: rugged.
fn rings() -> (Model, Set) {
    let mut random = Random(8);
    let (mut inputs, mut classes) = (Vec::new(), Vec::new());
    for _ in 0..400 {
        let x = [0; 8].map(|_| random.normal());
        let class = random.below(3);
        let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
        inputs.extend(x.map(|x| (x / norm * (0.4 + 0.5 * class as f64)) as f32));
        classes.push(class as u32);
    }
    let names = ["in", "mid", "out"].map(String::from).into();
    let set = Set { shape: vec![8], inputs, targets: Targets::Classes { labels: classes, names } };
    let model = Model::new(&[8], &[dense(48), Layer::Relu, dense(48), Layer::Relu, dense(3)]).unwrap();
    let settings = Settings {
        method: Method::Clean,
        epochs: 40.0,
        batch: 50,
        rate: 5e-3,
        rate_steps: vec![30.0],
        threads: 1,
        ..Settings::default()
    };
    let task = Task { radius: vec![1.0; 8], range: None };
    let mut trainer = Trainer::new(settings, task, model, set.len()).unwrap();
    while !trainer.is_done() {
        trainer.step(&set);
    }
    (trainer.result(&set), set)
}

/// Neither is sure to be better at one point: counts and summed losses of 640 boxes.
#[test]
fn auto_pgd_is_at_least_as_strong_as_pgd_of_as_many_steps_of_any_length() {
    let (model, set) = rings();
    let lengths = [0.02, 0.25, 2.0];
    let (mut broken, mut losses) = ([0; 4], [0.0f64; 4]);
    let mut attack = Attack::new(&model, Objective::CrossEntropy, LANES, 1);
    for batch in 0..20u32 {
        let which: Vec<u32> = (0..LANES as u32).map(|k| (batch / 2) * LANES as u32 + k).collect();
        let (mut x, mut targets) = (vec![0.0; 8 * LANES], vec![0.0; 3 * LANES]);
        set.gather(&which, &mut x);
        set.gather_targets(&which, &mut targets);
        let epsilon = [0.09, 0.12][batch as usize % 2];
        let [lower, upper]: [Vec<f32>; 2] = [-epsilon, epsilon].map(|e| x.iter().map(|x| x + e).collect());
        let region = Region { lower: &lower, upper: &upper };
        let pgd = lengths.map(|step| {
            let settings = Pgd { steps: 40, step, ..Pgd::default() };
            attack.pgd(&model, region, &targets, &settings, &mut Random(9))
        });
        let settings = AutoPgd { steps: 40, starts: 1 };
        let auto = attack.auto_pgd(&model, region, &targets, &settings, &mut Random(9));
        for (which, found) in pgd.iter().chain([&auto]).enumerate() {
            broken[which] += found.broken.iter().filter(|b| **b).count();
            losses[which] += found.losses.iter().map(|x| f64::from(*x)).sum::<f64>();
        }
    }
    assert!(broken[3] > 10 && broken[3] < 620, "neither no box nor all: {broken:?}");
    assert!(broken[..3].iter().all(|pgd| broken[3] >= *pgd), "{broken:?}");
    assert!(losses[3] > losses[0] && losses[3] > losses[2], "a poor length: {losses:?}");
    assert!(losses[3] > 0.99 * losses[1], "a good length: {losses:?}");
}

#[test]
fn counterexamples_of_a_set_lie_in_the_exact_boxes_and_are_wrong_there() {
    let (model, set) = rings();
    let Targets::Classes { labels, .. } = &set.targets else { unreachable!() };
    let range = [vec![-0.75f32; 8], vec![0.75; 8]];
    let run = |epsilon: f64, strength: Strength, threads: usize| {
        let radius = [epsilon; 8];
        let reach = Reach { radius: &radius, range: Some(&range) };
        let mut heard = Vec::new();
        let mut progress = |done| {
            heard.push(done);
            true
        };
        let found = counterexamples(&model, &set, (reach, 250), strength, (1, threads), &mut progress);
        assert!(heard.is_sorted() && heard.last() == Some(&250), "{heard:?}");
        found
    };
    let mut before = 0;
    for epsilon in [0.0, 0.09, 0.12, 0.5] {
        let strength = Strength { lanes: 64, ..Strength::default() };
        let found = run(epsilon, strength, 1);
        assert_eq!(found.len(), 250);
        assert_eq!(found, run(epsilon, strength, 3), "threads");
        for (k, point) in found.iter().enumerate() {
            let wrong = |x: &[f32]| {
                let z = logits(&model, x);
                (0..3).any(|c| c != labels[k] as usize && z[c] > z[labels[k] as usize])
            };
            match point {
                Some(point) => {
                    assert!(wrong(point), "input {k}");
                    for (x, centre) in point.iter().zip(set.input(k)) {
                        let off = (f64::from(*x) - f64::from(*centre)).abs();
                        // An input beyond the range stays in its box.
                        let inside = (centre.min(-0.75)..=centre.max(0.75)).contains(x);
                        assert!(off <= epsilon && inside, "input {k}: {x} at {centre}");
                    }
                }
                None => assert!(!wrong(set.input(k)), "input {k} is wrong by itself"),
            }
        }
        let broken = found.iter().flatten().count();
        assert!(broken >= before, "a larger radius breaks no fewer");
        before = broken;
    }
    assert!(before > 240, "{before} of 250 at a radius beyond the next ring");
    let radius = [0.1; 8];
    let mut calls = 0;
    let mut stop = |_| {
        calls += 1;
        false
    };
    let reach = Reach { radius: &radius, range: None };
    counterexamples(&model, &set, (reach, 250), Strength::default(), (1, 1), &mut stop);
    assert_eq!(calls, 1, "it ends when it is told to");
}
