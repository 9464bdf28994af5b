//! No point of the box leaves the bounds of any slot, at corners, inside, and where bounds are attacked.

use super::super::{
    Climb, Clip, Domain, Intermediate, Prepared, Region, Settings, Spec, Stop, bound, bound_all, climb,
};
use super::{INPUTS, Kind, Random, kinds, program, region};
use crate::program::{Program, Slot};

/// `y` and `−y`.
fn both(n: usize) -> Spec {
    let mut weights = vec![0.0; 2 * n * n];
    for i in 0..n {
        (weights[i * n + i], weights[(n + i) * n + i]) = (1.0, -1.0);
    }
    Spec { weights, bias: vec![0.0; 2 * n] }
}

/// All corners of the inputs that have a width, points inside, and a descent over corners for each output.
fn points(program: &Program, lower: &[f32], upper: &[f32], random: &mut Random) -> Vec<Vec<f64>> {
    let wide: Vec<usize> = (0..INPUTS).filter(|i| lower[*i] < upper[*i]).collect();
    let corner = |bits: usize| {
        let mut x: Vec<f64> = lower.iter().map(|l| f64::from(*l)).collect();
        wide.iter()
            .enumerate()
            .filter(|(k, _)| bits >> k & 1 == 1)
            .for_each(|(_, i)| x[*i] = f64::from(upper[*i]));
        x
    };
    let mut points: Vec<Vec<f64>> = (0..1usize << wide.len()).map(corner).collect();
    for _ in 0..100 {
        points.push(
            (0..INPUTS)
                .map(|i| {
                    let t = f64::from(random.next() * 0.5 + 0.5);
                    f64::from(lower[i]) + t * (f64::from(upper[i]) - f64::from(lower[i]))
                })
                .collect(),
        );
    }
    // The best sample of each output, then one input at a time over a grid.
    for output in 0..program.outputs() {
        for sign in [1.0, -1.0] {
            let value = |x: &[f64]| sign * program.eval(x)[output];
            let mut best = points[0].clone();
            for x in &points {
                if value(x) < value(&best) {
                    best.clone_from(x);
                }
            }
            for i in &wide {
                let (l, u) = (f64::from(lower[*i]), f64::from(upper[*i]));
                for k in 0..=8 {
                    let mut x = best.clone();
                    x[*i] = l + (u - l) * f64::from(k) / 8.0;
                    if value(&x) < value(&best) {
                        best = x;
                    }
                }
            }
            points.push(best);
        }
    }
    points
}

fn check(kind: Kind, seed: u64, width: f32) {
    let program = program(kind, seed);
    let mut random = Random::new(seed + 1000);
    let (lower, upper) = region(&mut random, width);
    let points = points(&program, &lower, &upper, &mut random);
    let values: Vec<Vec<Vec<f64>>> = points.iter().map(|x| program.eval_all(x)).collect();
    let net = Prepared::new(&program);
    let region = Region { lower: &lower, upper: &upper };
    let spec = both(program.outputs());
    let n = program.outputs();
    let modes = [Intermediate::Interval, Intermediate::Reference, Intermediate::Default];
    let mut found = Vec::new();
    for intermediate in modes {
        let settings = Settings { intermediate, ..Settings::default() };
        found.push(bound(&net, region, &spec, &settings, Stop::default()).unwrap());
    }
    let how = Climb { iterations: 6, stop_when_positive: false, ..Climb::default() };
    found.push(climb(&net, region.into(), &spec, &Settings::default(), &how, Stop::default()).unwrap());
    for (bounds, what) in found.iter().zip(["interval", "reference", "default", "alpha"]) {
        assert!(bounds.complete);
        for (slot, interval) in bounds.slots.iter().enumerate() {
            for (j, (l, u)) in interval.lower.iter().zip(&interval.upper).enumerate() {
                let slack = 1e-4 * (1.0 + l.abs().max(u.abs()));
                for value in values.iter().map(|v| v[slot][j] as f32) {
                    assert!(
                        *l - slack <= value && value <= *u + slack,
                        "{kind:?} seed {seed} {what}: {value} at slot {slot} element {j} of {:?} is not in [{l}, {u}]",
                        program.size(Slot(slot))
                    );
                }
            }
        }
        for (output, value) in (0..n).flat_map(|o| values.iter().map(move |v| (o, v[v.len() - 1][o] as f32)))
        {
            let (l, u) = (bounds.rows[output], -bounds.rows[n + output]);
            let slack = 1e-4 * (1.0 + l.abs().max(u.abs()));
            assert!(
                l - slack <= value && value <= u + slack,
                "{kind:?} seed {seed} {what}: output {output} is {value}, not in [{l}, {u}]"
            );
        }
    }
    for row in 0..2 * n {
        let [_, reference, default, alpha] = [0, 1, 2, 3].map(|k: usize| found[k].rows[row]);
        let slack = 1e-4 * (1.0 + reference.abs());
        assert!(
            default >= reference - slack,
            "{kind:?} seed {seed} width {width}: default {default} below {reference}"
        );
        assert!(alpha >= default, "{kind:?} seed {seed}: climbing went down, {default} to {alpha}");
    }
}

#[test]
fn no_point_leaves_the_bounds() {
    for kind in kinds() {
        for seed in 0..4 {
            for width in [0.01, 0.2, 0.8] {
                check(kind, seed, width);
            }
        }
    }
}

/// On a box without width every bound is the value.
#[test]
fn bounds_of_a_point_are_its_values() {
    for kind in kinds() {
        let program = program(kind, 7);
        let x = Random::new(8).many(INPUTS, 0.5);
        let wide: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        let y = program.eval(&wide);
        let net = Prepared::new(&program);
        let spec = both(program.outputs());
        let found =
            bound(&net, Region { lower: &x, upper: &x }, &spec, &Settings::default(), Stop::default())
                .unwrap();
        for (row, y) in found.rows.iter().zip(y.iter().copied().chain(y.iter().map(|y| -y))) {
            let slack = 1e-3 * (1.0 + y.abs() as f32);
            assert!((row - y as f32).abs() <= slack, "{kind:?}: {row} for {y}");
        }
    }
}

/// Splits at 0 cover the box: the smaller of the two bounds still holds everywhere, and neither is looser than without.
#[test]
fn clips_keep_the_points_that_obey_them_and_contradictions_are_seen() {
    for seed in 0..8 {
        let program = program(Kind::Dense, seed);
        let mut random = Random::new(seed + 500);
        let (lower, upper) = region(&mut random, 0.4);
        let net = Prepared::new(&program);
        let region = Region { lower: &lower, upper: &upper };
        let spec = both(program.outputs());
        let whole = bound(&net, region, &spec, &Settings::default(), Stop::default()).unwrap();
        let pre = (1..program.slots()).find(|s| net.relaxed[*s]).unwrap();
        let Some(element) = (0..whole.slots[pre].lower.len())
            .find(|j| whole.slots[pre].lower[*j] < 0.0 && whole.slots[pre].upper[*j] > 0.0)
        else {
            continue;
        };
        let clip = |lower: f32, upper: f32| [Clip { slot: Slot(pre), element, lower, upper }];
        let (up, down, never) = (clip(0.0, 1e9), clip(-1e9, 0.0), clip(1e9, 2e9));
        let domains = [&up, &down, &never].map(|clips| Domain { region, clips });
        let found = bound_all(
            &net,
            &domains,
            &spec,
            &Settings { threads: 2, ..Settings::default() },
            Stop::default(),
        );
        let [up, down, never] = [0, 1, 2].map(|k: usize| found[k].as_ref().unwrap());
        assert!(never.rows.iter().all(|r| *r == f32::INFINITY));
        for x in points(&program, &lower, &upper, &mut random) {
            let values = program.eval_all(&x);
            let side = if values[pre][element] >= 0.0 { up } else { down };
            let y = &values[program.output().0];
            for (row, y) in side.rows.iter().zip(y.iter().copied().chain(y.iter().map(|y| -y))) {
                assert!(f64::from(*row) <= y + 1e-4 * (1.0 + y.abs()), "seed {seed}: {row} above {y}");
            }
        }
    }
}
