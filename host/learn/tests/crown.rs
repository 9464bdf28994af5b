//! Bounds by a backward pass, the fused loss, and their gradients against auto_LiRPA's, in `f64` (`tools/reference/crown_losses.py`); and that
//! they hold at sampled points.

mod common;

use certus_learn::graph::{Graph, Node};
use certus_learn::loss::{self, Boxes, Interval, Normalised, Slope};
use certus_learn::model::{Model, Random};
use certus_learn::run::{Plan, Reference, Run};
use common::{BATCH, Case, cases, close, inputs, scaled, transposed};
use serde_json::{Value, json};

/// The leaves of a case's graph.
struct Leaves {
    ends: [Node; 2],
    label: Node,
    parameters: Vec<Node>,
    normalised: Vec<Normalised>,
    beta: Node,
}

fn leaves(g: &mut Graph, case: &Case, model: &Model) -> Leaves {
    let shape: Vec<usize> = case.input.iter().copied().chain([BATCH]).collect();
    let ends = [(); 2].map(|()| g.leaf(&shape));
    let label = g.leaf(&[model.classes, BATCH]);
    let parameters = model.leaves(g);
    let leaf = |s: &certus_learn::model::Statistics, g: &mut Graph| Normalised {
        mean: g.leaf(&[s.mean.len()]),
        variance: g.leaf(&[s.mean.len()]),
    };
    let normalised = model.statistics.iter().map(|s| leaf(s, g)).collect();
    Leaves { ends, label, parameters, normalised, beta: g.leaf(&[1]) }
}

/// Their values.
fn values(case: &Case, model: &Model, beta: f64) -> Vec<Vec<f64>> {
    let [_, lower, upper, label] = inputs(model);
    let mut all = vec![lower, upper, label];
    all.extend(case.parameters(model));
    for (k, s) in model.statistics.iter().enumerate() {
        let (n, seed) = (s.mean.len(), 20 + 2 * k as u64);
        all.extend([scaled(n, seed, 0.5, 0.0), scaled(n, seed + 1, 0.25, 1.0)]);
    }
    all.push(vec![beta]);
    all
}

#[test]
fn bounds_losses_and_gradients_are_those_of_auto_lirpa() {
    let golden: Value = serde_json::from_str(include_str!("golden/crown_losses.json")).unwrap();
    for case in cases() {
        for (name, slope) in [("adaptive", Slope::Adaptive), ("same-slope", Slope::Same)] {
            let golden_case = &golden[case.name][name];
            let model = Model::new(&case.input, &case.layers).unwrap();
            let mut g = Graph::new();
            let l = leaves(&mut g, &case, &model);
            let input = Interval::between(&mut g, l.ends[0], l.ends[1]);
            let boxes = Boxes::new(&mut g, &model, &l.parameters, input, &l.normalised);
            let margins = boxes.margins(&mut g, l.label, slope);
            let fused = boxes.fused_losses(&mut g, l.label, None, slope);
            let mixed = boxes.fused_losses(&mut g, l.label, Some(l.beta), slope);
            let losses = [
                ("loss", loss::worst_case(&mut g, margins)),
                ("fused", g.mean(fused)),
                ("mixed", g.mean(mixed)),
            ];
            let gradients = losses.map(|(_, of)| g.gradient(of, &l.parameters));
            let run = Reference::new(&g, &values(&case, &model, golden["beta"].as_f64().unwrap()));
            let label = format!("{}, {name}", case.name);
            close(&format!("{label}: margins"), &transposed(run.value(margins)), &golden_case["margins"]);
            for (key, each) in [("fused", fused), ("mixed", mixed)] {
                close(&format!("{label}: {key}"), run.value(each), &golden_case[key]["each"]);
            }
            for ((key, of), gradients) in losses.iter().zip(&gradients) {
                let golden = &golden_case[*key];
                let label = format!("{label}: {key}");
                close(&label, run.value(*of), &json!([golden["value"]]));
                for (k, gradient) in gradients.iter().enumerate() {
                    let label = format!("{label}, gradient to {}", model.parameters[k].name);
                    close(&label, run.value(*gradient), &golden["gradients"][k]);
                }
            }
        }
    }
}

/// Each lane is another random box, some elements of which have no width.
#[test]
fn bounds_hold_at_sampled_points() {
    let mut random = Random(11);
    for (case, slope) in cases().iter().flat_map(|c| [(c, Slope::Adaptive), (c, Slope::Same)]) {
        let model = Model::new(&case.input, &case.layers).unwrap();
        let mut g = Graph::new();
        let l = leaves(&mut g, case, &model);
        let shape = g.shape(l.ends[0]).to_vec();
        let x = g.leaf(&shape);
        let input = Interval::between(&mut g, l.ends[0], l.ends[1]);
        let boxes = Boxes::new(&mut g, &model, &l.parameters, input, &l.normalised);
        let margins = boxes.margins(&mut g, l.label, slope);
        let interval = boxes.interval_margins(&mut g, l.label);
        let mixture = loss::mix(&mut g, l.beta, margins, interval);
        let outputs = boxes.outputs(&mut g, slope);
        let fused = boxes.fused_losses(&mut g, l.label, None, slope);
        let mixed = boxes.fused_losses(&mut g, l.label, Some(l.beta), slope);
        let pass = loss::forward(&mut g, &model, &l.parameters, x, Some(&l.normalised));
        let each = loss::clean_each(&mut g, pass.logits, l.label);
        // How near the samples come, and how often the backward pass is the tighter one.
        let (mut nearest, mut tighter, mut bounds_seen) = (f64::INFINITY, 0, 0);
        for round in 0..60 {
            let mut leaves = values(case, &model, random.unit());
            let width = [0.02, 0.3, 1.5][round % 3];
            for at in 0..leaves[0].len() {
                let middle = 2.0 * random.unit() - 1.0;
                let half = if random.below(5) == 0 { 0.0 } else { width * random.unit() };
                (leaves[0][at], leaves[1][at]) = (middle - half, middle + half);
            }
            let corner = round % 2 == 0;
            leaves.push(
                leaves[0]
                    .iter()
                    .zip(&leaves[1])
                    .map(|(l, u)| l + (u - l) * if corner { random.below(2) as f64 } else { random.unit() })
                    .collect(),
            );
            let run = Reference::new(&g, &leaves);
            let (logits, label) = (run.value(pass.logits), &leaves[2]);
            for lane in 0..BATCH {
                let at = |x: &[f64], k: usize| x[k * BATCH + lane];
                let own: f64 = (0..model.classes).map(|k| at(logits, k) * at(label, k)).sum();
                for k in 0..model.classes {
                    let z = at(logits, k);
                    let tolerance = 1e-11 * (1.0 + z.abs() + own.abs());
                    for bounds in [margins, interval, mixture] {
                        assert!(at(run.value(bounds), k) <= own - z + tolerance, "{}, {slope:?}", case.name);
                    }
                    let [lower, upper] = outputs.map(|b| at(run.value(b), k));
                    assert!(lower <= z + tolerance && z <= upper + tolerance, "{lower} {z} {upper}");
                    if at(label, k) == 1.0 {
                        assert_eq!(at(run.value(margins), k), 0.0, "the label's own margin");
                    } else {
                        nearest = nearest.min(own - z - at(run.value(margins), k));
                        tighter += usize::from(at(run.value(margins), k) > at(run.value(interval), k));
                        bounds_seen += 1;
                    }
                }
                for of in [fused, mixed] {
                    let (bound, truth) = (run.value(of)[lane], run.value(each)[lane]);
                    assert!(bound >= truth - 1e-11 * (1.0 + truth), "{bound} for {truth}");
                }
            }
        }
        assert!(nearest < 0.05, "the bounds are all far away: {nearest}");
        assert!(tighter > bounds_seen / 4, "{tighter} of {bounds_seen}");
    }
}

#[test]
fn a_box_of_no_size_gives_the_points_own_margins_and_loss() {
    for case in cases() {
        let model = Model::new(&case.input, &case.layers).unwrap();
        let mut g = Graph::new();
        let l = leaves(&mut g, &case, &model);
        let input = Interval::between(&mut g, l.ends[0], l.ends[1]);
        let boxes = Boxes::new(&mut g, &model, &l.parameters, input, &l.normalised);
        let fused = boxes.fused_losses(&mut g, l.label, None, Slope::Adaptive);
        let pass = loss::forward(&mut g, &model, &l.parameters, l.ends[0], Some(&l.normalised));
        let each = loss::clean_each(&mut g, pass.logits, l.label);
        let of = g.mean(fused);
        let gradients = g.gradient(of, &l.parameters);
        let clean = g.mean(each);
        let right = g.gradient(clean, &l.parameters);
        let mut leaves = values(&case, &model, 1.0);
        leaves[1] = leaves[0].clone();
        let run = Reference::new(&g, &leaves);
        close("fused", run.value(fused), &json!(run.value(each)));
        for (found, right) in gradients.iter().zip(&right) {
            // Chords of 1e-8 in the place of tangents.
            for (a, b) in run.value(*found).iter().zip(run.value(*right)) {
                assert!((a - b).abs() < 1e-6 * (1.0 + b.abs()), "{}: {a}, not {b}", case.name);
            }
        }
    }
}

/// The largest squared error over an interval is that of one of its ends: tried out.
#[test]
fn the_worst_squared_error_is_that_of_an_end_and_bounds_sampled_points() {
    let case = &cases()[0];
    let model = Model::new(&case.input, &case.layers).unwrap();
    let mut g = Graph::new();
    let l = leaves(&mut g, case, &model);
    let shape = g.shape(l.ends[0]).to_vec();
    let x = g.leaf(&shape);
    let targets = g.leaf(&[model.classes, BATCH]);
    let input = Interval::between(&mut g, l.ends[0], l.ends[1]);
    let boxes = Boxes::new(&mut g, &model, &l.parameters, input, &l.normalised);
    let interval = boxes.interval_outputs(&mut g);
    let [lower, upper] = interval.ends(&mut g);
    let worst = loss::worst_squared(&mut g, interval, targets);
    let outputs = loss::forward(&mut g, &model, &l.parameters, x, Some(&l.normalised)).logits;
    let plain = loss::squared(&mut g, outputs, targets);
    let mut random = Random(12);
    for _ in 0..50 {
        let mut leaves = values(case, &model, 1.0);
        let between = |(l, u): (&f64, &f64)| l + (u - l) * random.unit();
        leaves.push(leaves[0].iter().zip(&leaves[1]).map(between).collect());
        leaves.push((0..model.classes * BATCH).map(|_| 2.0 * random.normal()).collect());
        let run = Reference::new(&g, &leaves);
        let targets = leaves.last().unwrap();
        let mean = |of: &dyn Fn(usize) -> f64| (0..targets.len()).map(of).sum::<f64>() / targets.len() as f64;
        let error = |x: &[f64], at: usize| (x[at] - targets[at]).powi(2);
        let ends = mean(&|at| error(run.value(lower), at).max(error(run.value(upper), at)));
        assert!((run.value(worst)[0] - ends).abs() < 1e-12 * ends);
        let right = mean(&|at| error(run.value(outputs), at));
        assert!((run.value(plain)[0] - right).abs() < 1e-12 * right);
        assert!(run.value(worst)[0] >= right);
        for (at, y) in run.value(outputs).iter().enumerate() {
            assert!(run.value(lower)[at] <= y + 1e-12 && *y <= run.value(upper)[at] + 1e-12);
        }
    }
}

/// As training evaluates it: a step's graph in `f32`, with one thread and with three.
#[test]
fn the_planned_executor_has_the_same_losses_and_gradients() {
    for case in cases() {
        let model = Model::new(&case.input, &case.layers).unwrap();
        let mut g = Graph::new();
        let l = leaves(&mut g, &case, &model);
        let input = Interval::between(&mut g, l.ends[0], l.ends[1]);
        let boxes = Boxes::new(&mut g, &model, &l.parameters, input, &l.normalised);
        let margins = boxes.margins(&mut g, l.label, Slope::Adaptive);
        let fused = boxes.fused_losses(&mut g, l.label, Some(l.beta), Slope::Same);
        let losses = [loss::worst_case(&mut g, margins), g.mean(fused)];
        let mut outputs = losses.to_vec();
        outputs.extend(losses.map(|of| g.gradient(of, &l.parameters)).concat());
        let values = values(&case, &model, 0.5);
        let reference = Reference::new(&g, &values);
        let narrow: Vec<Vec<f32>> = values.iter().map(|v| v.iter().map(|x| *x as f32).collect()).collect();
        let slices: Vec<&[f32]> = narrow.iter().map(Vec::as_slice).collect();
        for threads in [1, 3] {
            let mut run = Run::new(Plan::new(&g, &outputs), threads);
            run.evaluate(&slices);
            for (k, output) in outputs.iter().enumerate() {
                for (found, right) in run.output(k).iter().zip(reference.value(*output)) {
                    assert!(
                        (f64::from(*found) - right).abs() < 1e-5 * (1.0 + right.abs()),
                        "{found}, not {right}"
                    );
                }
            }
        }
    }
}
