//! Attacks on random networks, with counterexamples that plain sampling has found or that are planted.

use std::sync::atomic::AtomicBool;

use super::random::Random;
use super::{DenseLayers, DensePoints, Goal, Points, Swarm};
use crate::chain::{Chain, OwnedAffine, OwnedLayer};
use crate::property::{Case, Disjunct, InputBox, Property, Row, check_witness};
use crate::search::Silent;
use crate::verify::{Settings, Verdict, verify};

/// A chain with these widths and weights from `seed`.
pub(super) fn network(widths: &[usize], seed: u64) -> Chain {
    let mut random = Random::new(seed);
    let layers = widths.windows(2).enumerate().map(|(k, w)| {
        let scale = 2.0 / (w[0] as f32).sqrt();
        let mut draw = |n: usize| (0..n).map(|_| scale * (2.0 * random.unit() - 1.0)).collect::<Vec<f32>>();
        let affine =
            OwnedAffine::Dense { rows: w[1], cols: w[0], weights: draw(w[0] * w[1]), bias: draw(w[1]) };
        OwnedLayer { affine, relu: k + 2 < widths.len() }
    });
    Chain::new(layers.collect()).unwrap()
}

/// `[−1, 1]^inputs` and disjuncts of rows `coefficients · y ≤ rhs`.
pub(super) fn case(inputs: usize, disjuncts: &[&[Vec<f64>]], rhs: f64) -> Case {
    let row = |c: &Vec<f64>| Row { coefficients: c.clone(), rhs_lower: rhs, rhs_upper: rhs, strict: false };
    let region = InputBox {
        lower: vec![-1.0; inputs],
        upper: vec![1.0; inputs],
        witness_lower: vec![-1.0; inputs],
        witness_upper: vec![1.0; inputs],
    };
    let disjuncts = disjuncts.iter().map(|rows| Disjunct { rows: rows.iter().map(row).collect() }).collect();
    Case { region, disjuncts }
}

fn uniform(random: &mut Random, inputs: usize) -> Vec<f64> {
    (0..inputs).map(|_| f64::from(2.0 * random.unit() - 1.0)).collect()
}

#[test]
fn what_sampling_finds_once_in_thousands_of_points_the_attack_finds_in_three_short_lives() {
    let mut missed = Vec::new();
    for seed in 0..24u64 {
        let (inputs, samples) = [(2, 1000), (5, 10_000), (20, 20_000), (60, 20_000)][seed as usize % 4];
        let chain = network(&[inputs, 24, 24, 3], 100 + seed);
        let mut random = Random::new(seed);
        // The lowest value of the larger of two rows that sampling sees: both rows have to be low at once.
        let rows = [vec![1.0, -1.0, 0.0], vec![0.0, 1.0, -0.5]];
        let value = |y: &[f64]| {
            rows.iter().map(|r| r.iter().zip(y).map(|(c, y)| c * y).sum::<f64>()).fold(f64::MIN, f64::max)
        };
        let lowest = (0..samples)
            .map(|_| value(&chain.eval_f64(&uniform(&mut random, inputs))))
            .fold(f64::MAX, f64::min);
        let property = Property { inputs, outputs: 3, cases: vec![case(inputs, &[&rows], lowest)] };
        let layers = chain.core_layers();
        let dense = DenseLayers::new(&layers);
        let goal = Goal::new(&property.cases, 3);
        let judge = |x: &[f32]| check_witness(&chain, &property, x);
        let found =
            Swarm::new(&goal, 32, 24, 1000 + seed).run(&mut DensePoints::new(&dense), &judge, 72, &|| false);
        match found {
            Some(witness) => {
                let x: Vec<f64> = witness.input.iter().map(|x| f64::from(*x)).collect();
                assert!(value(&chain.eval_f64(&x)) <= lowest, "a witness is one");
            }
            None => missed.push(seed),
        }
    }
    assert!(missed.len() <= 1, "missed {missed:?}");
}

/// `y₀ = Σᵢ |xᵢ − aᵢ|`, as `relu(x − a) + relu(a − x)`: 0 at `a` alone.
fn distance(at: &[f32]) -> Chain {
    let n = at.len();
    let mut weights = vec![0.0; 2 * n * n];
    let mut bias = vec![0.0; 2 * n];
    for i in 0..n {
        (weights[2 * i * n + i], bias[2 * i]) = (1.0, -at[i]);
        (weights[(2 * i + 1) * n + i], bias[2 * i + 1]) = (-1.0, at[i]);
    }
    let hidden = OwnedAffine::Dense { rows: 2 * n, cols: n, weights, bias };
    let last = OwnedAffine::Dense { rows: 1, cols: 2 * n, weights: vec![1.0; 2 * n], bias: vec![0.0] };
    Chain::new(vec![OwnedLayer { affine: hidden, relu: true }, OwnedLayer { affine: last, relu: false }])
        .unwrap()
}

#[test]
fn a_planted_ball_is_found_also_where_it_is_small() {
    for (inputs, radius, steps) in [(2, 0.1, 24), (4, 0.02, 60), (8, 0.1, 60), (30, 0.5, 100)] {
        for seed in 0..4 {
            let mut random = Random::new(50 + seed);
            let at: Vec<f32> = uniform(&mut random, inputs).iter().map(|x| *x as f32).collect();
            let chain = distance(&at);
            let property =
                Property { inputs, outputs: 1, cases: vec![case(inputs, &[&[vec![1.0]]], radius)] };
            let layers = chain.core_layers();
            let dense = DenseLayers::new(&layers);
            let goal = Goal::new(&property.cases, 1);
            let judge = |x: &[f32]| check_witness(&chain, &property, x);
            let found =
                Swarm::new(&goal, 32, steps, seed)
                    .run(&mut DensePoints::new(&dense), &judge, steps, &|| false);
            let witness =
                found.unwrap_or_else(|| panic!("{inputs} inputs, radius {radius}, seed {seed}: not found"));
            let far: f64 = witness.input.iter().zip(&at).map(|(x, a)| f64::from((x - a).abs())).sum();
            assert!(far <= radius * 1.001);
        }
    }
}

/// `y₀ = −relu(radius − Σᵢ |xᵢ − aᵢ|)`: flat but for a small ball around `a`.
fn funnel(at: &[f32], radius: f32) -> Chain {
    let mut layers = distance(at).layers().to_vec();
    let negated = OwnedAffine::Dense {
        rows: 1,
        cols: 2 * at.len(),
        weights: vec![-1.0; 2 * at.len()],
        bias: vec![radius],
    };
    layers[1] = OwnedLayer { affine: negated, relu: true };
    let last = OwnedAffine::Dense { rows: 1, cols: 1, weights: vec![-1.0], bias: vec![0.0] };
    layers.push(OwnedLayer { affine: last, relu: false });
    Chain::new(layers).unwrap()
}

#[test]
fn a_ball_on_a_plateau_is_found_though_the_gradient_is_zero_outside() {
    for seed in 0..4 {
        let (inputs, radius) = (20, 4.0);
        let mut random = Random::new(80 + seed);
        let at: Vec<f32> = uniform(&mut random, inputs).iter().map(|x| *x as f32).collect();
        let chain = funnel(&at, radius);
        let depth = f64::from(-radius) / 4.0;
        let property = Property { inputs, outputs: 1, cases: vec![case(inputs, &[&[vec![1.0]]], depth)] };
        let layers = chain.core_layers();
        let dense = DenseLayers::new(&layers);
        let goal = Goal::new(&property.cases, 1);
        let judge = |x: &[f32]| check_witness(&chain, &property, x);
        let found = Swarm::new(&goal, 32, 60, seed).run(&mut DensePoints::new(&dense), &judge, 60, &|| false);
        let witness = found.unwrap_or_else(|| panic!("seed {seed}: not found"));
        let far: f64 = witness.input.iter().zip(&at).map(|(x, a)| f64::from((x - a).abs())).sum();
        assert!(far <= 0.75 * f64::from(radius) + 1e-4, "seed {seed}: {far}");
    }
}

#[test]
fn sparse_layers_give_the_values_and_gradients_of_full_ones() {
    let n = 300;
    let mut random = Random::new(5);
    let mut layer = |relu| {
        let weights =
            (0..n * n).map(|_| if random.below(20) == 0 { random.unit() - 0.5 } else { 0.0 }).collect();
        let bias = (0..n).map(|_| random.unit() - 0.5).collect();
        OwnedLayer { affine: OwnedAffine::Dense { rows: n, cols: n, weights, bias }, relu }
    };
    let scale =
        OwnedLayer { affine: OwnedAffine::Scale { scale: vec![-1.5; n], shift: vec![0.25; n] }, relu: true };
    let chain = Chain::new(vec![layer(true), scale, layer(false)]).unwrap();
    let layers = chain.core_layers();
    let dense = DenseLayers::new(&layers);
    assert!(dense.work() < n * n, "the layers are held as lists");
    let mut points = DensePoints::new(&dense);
    let x: Vec<f32> = (0..n * 16).map(|_| 2.0 * random.unit() - 1.0).collect();
    let y = points.evaluate(&x, 16).to_vec();
    let weights: Vec<f32> = (0..n * 16).map(|_| 2.0 * random.unit() - 1.0).collect();
    let gradient = points.gradient(&weights, 0.0).to_vec();
    for r in [0, 7, 15] {
        let at: Vec<f64> = (0..n).map(|j| f64::from(x[j * 16 + r])).collect();
        let value = |x: &[f64]| -> f64 {
            chain.eval_f64(x).iter().enumerate().map(|(i, y)| f64::from(weights[i * 16 + r]) * y).sum()
        };
        chain
            .eval_f64(&at)
            .iter()
            .enumerate()
            .for_each(|(i, v)| assert!((f64::from(y[i * 16 + r]) - v).abs() < 1e-3));
        for j in [0, 3, 299] {
            let (mut above, mut below) = (at.clone(), at.clone());
            above[j] += 1e-6;
            below[j] -= 1e-6;
            let quotient = (value(&above) - value(&below)) / 2e-6;
            let found = f64::from(gradient[j * 16 + r]);
            assert!((quotient - found).abs() < 1e-3 * (1.0 + quotient.abs()), "{r} {j}: {found} {quotient}");
        }
    }
}

#[test]
fn a_box_without_a_float_is_not_attacked() {
    let mut empty = case(1, &[&[vec![1.0]]], 0.0);
    (empty.region.witness_lower[0], empty.region.witness_upper[0]) = (0.5, 0.25);
    let goal = Goal::new([&empty], 1);
    let chain = network(&[1, 4, 1], 1);
    let layers = chain.core_layers();
    let dense = DenseLayers::new(&layers);
    let found =
        Swarm::new(&goal, 16, 4, 0).run(&mut DensePoints::new(&dense), &|_| panic!("replayed"), 4, &|| false);
    assert!(found.is_none());
}

#[test]
fn the_witness_depends_on_the_seed_and_not_on_the_threads() {
    let chain = network(&[6, 30, 30, 2], 11);
    let mut random = Random::new(1);
    let lowest = (0..4000).map(|_| chain.eval_f64(&uniform(&mut random, 6))[0]).fold(f64::MAX, f64::min);
    let property = Property { inputs: 6, outputs: 2, cases: vec![case(6, &[&[vec![1.0, 0.0]]], lowest)] };
    let witness = |seed, threads| {
        let settings = Settings { seed, threads, ..Settings::default() };
        match verify(&chain, &property, &settings, &AtomicBool::new(false), &Silent).verdict {
            Verdict::Violated(witness) => witness,
            other => panic!("{other:?}"),
        }
    };
    let first = witness(0, 1);
    assert_eq!(first, witness(0, 1));
    assert_eq!(first, witness(0, 2));
    assert_ne!(first, witness(1, 1));
}
