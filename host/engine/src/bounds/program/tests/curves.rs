//! Joint slopes where functions are curves and where maxima choose among members.

use std::sync::Arc;

use super::super::batch::{Alphas, climb_with_slopes};
use super::super::{Climb, Prepared, Region, Settings, Spec, Stop, climb};
use super::Random;
use crate::program::{Builder, Constants, Function, Groups, Map, Operation, Program, Slot};

const INPUTS: usize = 5;

/// dense → sigmoid → dense → tanh → dense → maxima → dense.
fn deep(seed: u64) -> Program {
    let mut random = Random::new(seed);
    let mut builder = Builder::new(INPUTS);
    let mut dense = |builder: &mut Builder, input: Slot, rows: usize, scale: f32| {
        let cols = builder.size(input);
        let weights = Arc::new(random.many(rows * cols, scale));
        let bias = Some(Constants::exact(random.many(rows, 0.3)));
        builder.affine("dense", input, Map::Dense { count: 1, rows, cols, weights }, bias).unwrap()
    };
    let z = dense(&mut builder, Slot::INPUT, 8, 2.0);
    let x = builder.elementwise("sigmoid", z, Function::Sigmoid).unwrap();
    let z = dense(&mut builder, x, 7, 3.0);
    let x = builder.elementwise("tanh", z, Function::Tanh).unwrap();
    let z = dense(&mut builder, x, 9, 1.5);
    let groups = Groups { starts: vec![0, 3, 6, 9], members: vec![0, 3, 5, 1, 2, 4, 6, 7, 8] };
    let x = builder.push("max", Operation::Max { input: z, groups }).unwrap();
    let out = dense(&mut builder, x, 2, 1.0);
    builder.finish(out).unwrap()
}

fn spec() -> Spec {
    Spec { weights: vec![1.0, 0.0, -1.0, 0.0, 1.0, -1.0], bias: vec![0.0; 3] }
}

#[test]
fn climbing_curves_and_maxima_gains_and_no_point_leaves_the_bounds() {
    let mut gained = 0;
    for seed in 0..12 {
        let program = deep(seed);
        let net = Prepared::new(&program);
        let mut random = Random::new(seed + 100);
        let centre = random.many(INPUTS, 1.0);
        let lower: Vec<f32> = centre.iter().map(|c| c - 0.5).collect();
        let upper: Vec<f32> = centre.iter().map(|c| c + 0.5).collect();
        let on = Region { lower: &lower, upper: &upper };
        let how = Climb { iterations: 12, stop_when_positive: false, ..Climb::default() };
        let run = |how: &Climb| {
            climb(&net, on.into(), &spec(), &Settings::default(), how, Stop::default()).unwrap()
        };
        let (found, still) = (run(&how), run(&Climb { rate: 0.0, ..how }));
        let better = found.rows.iter().zip(&still.rows).filter(|(a, b)| **a > **b + 0.05 * b.abs()).count();
        gained += better;
        for _ in 0..400 {
            let x: Vec<f64> = (0..INPUTS)
                .map(|i| f64::from(centre[i]) + 0.5 * f64::from(random.next()).clamp(-1.0, 1.0))
                .collect();
            let values = program.eval_all(&x);
            for (slot, interval) in found.slots.iter().enumerate() {
                for (y, (l, u)) in values[slot].iter().zip(interval.lower.iter().zip(&interval.upper)) {
                    assert!(f64::from(*l) - 1e-4 <= *y && *y <= f64::from(*u) + 1e-4, "{seed} slot {slot}");
                }
            }
            let y = &values[program.output().0];
            for (bound, row) in found.rows.iter().zip([y[0], -y[0], y[0] - y[1]]) {
                assert!(f64::from(*bound) <= row + 1e-4, "{seed}: {bound} above {row}");
            }
        }
    }
    assert!(gained > 18, "only {gained} of 36 rows are better by 5 %");
}

#[test]
fn the_slopes_of_curves_are_noted_on_both_sides() {
    let program = deep(3);
    let net = Prepared::new(&program);
    let (lower, upper) = (vec![-0.5; INPUTS], vec![0.5; INPUTS]);
    let on = Region { lower: &lower, upper: &upper };
    let how = Climb { iterations: 12, stop_when_positive: false, ..Climb::default() };
    let (_, slopes) =
        climb_with_slopes(&net, on.into(), &spec(), &Settings::default(), &how, Stop::default()).unwrap();
    let moved = |alphas: &Alphas| alphas.shares.iter().any(|s| *s != 128);
    assert!(slopes.rows.iter().any(moved), "the rows' slopes stay where they began");
    let neurons = slopes.slots.iter().flat_map(|s| &s.rows).flatten();
    assert!(neurons.filter(|a| moved(a)).count() > 4, "neurons' slopes stay where they began");
    for alphas in &slopes.rows {
        assert!(alphas.places.is_sorted_by(|a, b| a < b), "places ascend");
        assert!(alphas.places.len() >= 8, "two bytes for each curve");
    }
}
