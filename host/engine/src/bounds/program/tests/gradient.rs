//! The adjoint against finite differences of a slow twin in `f64`.
//!
//! The twin carries one row at a time through plain loops and knows nothing of blocks, live neurons or packed matrices. Each row has
//! alphas of its own for every neuron below it; bounds of neurons are functions of theirs, and so is the sum of the spec rows.

use std::collections::HashMap;

use super::super::alpha::{Ascent, Block};
use super::super::crown::Job;
use super::super::interval::Interval;
use super::super::memory::Memory;
use super::super::prepare::Prepared;
use super::super::{Bounds, Climb, Region, Settings, Spec, Stop};
use super::{Kind, Random, program, region};
use crate::program::{Function, Operation, Program, Slot};
use certus_kernels::lanes::Adam;

/// Start slot, element (or spec row), lane sign; relaxed slot, neuron.
type Key = (usize, usize, bool, usize, usize);

struct Twin<'a> {
    program: &'a Program,
    lower: Vec<f64>,
    upper: Vec<f64>,
    alphas: HashMap<Key, f64>,
    /// Neurons that are bounded again, per slot.
    undecided: HashMap<usize, Vec<usize>>,
    /// Intervals where nothing is bounded again.
    fixed: Vec<Interval>,
}

impl Twin<'_> {
    fn lines(&self, function: Function, l: f64, u: f64, alpha: f64) -> [f64; 4] {
        let slope = match function {
            Function::Relu => 0.0,
            Function::LeakyRelu { slope } => f64::from(slope),
            _ => panic!("the twin knows ReLU and leaky ReLU"),
        };
        if l >= 0.0 {
            return [1.0, 0.0, 1.0, 0.0];
        }
        if u <= 0.0 {
            return [slope, 0.0, slope, 0.0];
        }
        let upper = (u - slope * l) / (u - l);
        [slope + (1.0 - slope) * alpha, 0.0, upper, u - upper * u]
    }

    /// Lower bound of `row·v(slot)`.
    fn row(&self, slot: usize, row: Vec<f64>, who: (usize, usize, bool), ends: &[Vec<[f64; 2]>]) -> f64 {
        let mut pending: Vec<Vec<f64>> =
            (0..self.program.slots()).map(|s| vec![0.0; self.program.size(Slot(s))]).collect();
        pending[slot] = row;
        let mut bound = 0.0;
        for at in (1..=slot).rev() {
            let a = std::mem::take(&mut pending[at]);
            match &self.program.steps()[at - 1].operation {
                Operation::Affine(affine) => {
                    if let Some(bias) = &affine.bias {
                        bound += a.iter().zip(&bias.values).map(|(a, b)| a * f64::from(*b)).sum::<f64>();
                    }
                    for term in &affine.terms {
                        term.map.add_transposed_to(&a, &mut pending[term.input.0]);
                    }
                }
                Operation::Elementwise { input, function } => {
                    for (j, a) in a.iter().enumerate() {
                        let [l, u] = ends[input.0][j];
                        let alpha = self.alphas.get(&(who.0, who.1, who.2, at, j)).copied().unwrap_or(0.0);
                        let [below, below_0, above, above_0] = self.lines(*function, l, u, alpha);
                        pending[input.0][j] += a.max(0.0) * below + a.min(0.0) * above;
                        bound += a.max(0.0) * below_0 + a.min(0.0) * above_0;
                    }
                }
                _ => panic!("the twin knows affine and elementwise steps"),
            }
        }
        let box_terms = pending[0].iter().zip(self.lower.iter().zip(&self.upper));
        bound + box_terms.map(|(a, (l, u))| a.max(0.0) * l + a.min(0.0) * u).sum::<f64>()
    }

    fn objective(&self, spec: &Spec) -> f64 {
        let mut ends: Vec<Vec<[f64; 2]>> = self
            .fixed
            .iter()
            .map(|i| i.lower.iter().zip(&i.upper).map(|(l, u)| [f64::from(*l), f64::from(*u)]).collect())
            .collect();
        for slot in 1..self.program.slots() {
            for j in self.undecided.get(&slot).into_iter().flatten().copied() {
                let bound = |sign: f64| {
                    let mut row = vec![0.0; self.program.size(Slot(slot))];
                    row[j] = sign;
                    self.row(slot, row, (slot, j, sign > 0.0), &ends)
                };
                let both = [bound(1.0), -bound(-1.0)];
                ends[slot][j] = both;
            }
        }
        let outputs = self.program.outputs();
        let output = self.program.output().0;
        (0..spec.bias.len())
            .map(|r| {
                let row = spec.weights[r * outputs..][..outputs].iter().map(|w| f64::from(*w)).collect();
                f64::from(spec.bias[r]) + self.row(output, row, (output, r, true), &ends)
            })
            .sum()
    }
}

/// What the lane `r` of a block stands for.
fn lane(block: &Block, output: usize, r: usize) -> Option<(usize, usize, bool)> {
    if block.slot == output {
        return block.starts.get(r).map(|row| (output, *row as usize, true));
    }
    block.starts.get(r / 2).map(|j| (block.slot, *j as usize, r.is_multiple_of(2)))
}

fn check(kind: Kind, seed: u64) -> usize {
    let program = program(kind, seed);
    let net = Prepared::new(&program);
    let mut random = Random::new(seed + 50);
    let (lower, upper) = region(&mut random, 0.5);
    let spec = Spec { weights: random.many(3 * program.outputs(), 1.0), bias: vec![0.0; 3] };
    let settings = Settings::default();
    let memory = Memory::new(1 << 30);
    let job = Job { net: &net, settings: &settings, stop: Stop::default(), memory: &memory };
    let (known, _) = job.intermediate(Region { lower: &lower, upper: &upper }.into()).unwrap();
    let fixed = known.intervals.clone();
    let first = Bounds { slots: fixed.clone(), rows: vec![f32::NEG_INFINITY; 3], ..Bounds::default() };
    let climb = Climb { stop_when_positive: false, ..Climb::default() };
    let mut ascent = Ascent::new(&job, known, &spec, first, &climb);
    ascent.propagate().unwrap();
    // Alphas away from the ends and from one another; the first pass made the tapes.
    for block in ascent.inner.iter_mut().flatten().chain(&mut ascent.rows) {
        for slopes in block.tape.slopes.iter_mut().flatten() {
            slopes.alpha.iter_mut().for_each(|a| *a = 0.5 + 0.4 * random.next());
        }
    }
    ascent.propagate().unwrap();
    let value: f32 = ascent.rows[0].bounds[..3].iter().sum();
    ascent.ascend(Adam { rate: 0.0, beta_1: 0.0, beta_2: 0.0 }, true).unwrap();

    let wide = |x: &[f32]| x.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
    let undecided = ascent.inner.iter().map(|blocks| {
        (blocks[0].slot, blocks.iter().flat_map(|b| b.starts.iter().map(|j| *j as usize)).collect())
    });
    let mut twin = Twin {
        program: &program,
        lower: wide(&lower),
        upper: wide(&upper),
        alphas: HashMap::new(),
        undecided: undecided.collect(),
        fixed,
    };
    let mut gradients: Vec<(Key, f64)> = Vec::new();
    for block in ascent.inner.iter().flatten().chain(&ascent.rows) {
        for (at, slopes) in block.tape.slopes.iter().enumerate().filter_map(|(at, s)| Some((at, s.as_ref()?)))
        {
            let support = block.tape.supports[at].as_ref().unwrap();
            let lanes = block.bounds.len();
            for (k, row) in slopes.rows.iter().enumerate() {
                let neuron = support.live[*row as usize] as usize;
                for r in 0..lanes {
                    if let Some((slot, element, sign)) = lane(block, program.output().0, r) {
                        let key = (slot, element, sign, at, neuron);
                        twin.alphas.insert(key, f64::from(slopes.alpha[k * lanes + r]));
                        // A block whose bounds weigh nothing is not swept.
                        let swept = block.weight.iter().any(|w| *w != 0.0);
                        gradients.push((key, if swept { f64::from(slopes.m[k * lanes + r]) } else { 0.0 }));
                    }
                }
            }
        }
    }
    let plain = twin.objective(&spec);
    assert!(
        (plain - f64::from(value)).abs() <= 1e-4 * plain.abs().max(1.0),
        "{kind:?}: {value}, twin {plain}"
    );
    let mut compared = 0;
    for (key, gradient) in gradients {
        let (h, alpha) = (1e-5, twin.alphas[&key]);
        let mut at = |shift: f64| {
            twin.alphas.insert(key, alpha + shift);
            twin.objective(&spec)
        };
        let (left, right) = ((plain - at(-h)) / h, (at(h) - plain) / h);
        at(0.0);
        if (left - right).abs() > 1e-3 * left.abs().max(1.0) {
            continue; // a kink
        }
        let difference = 0.5 * (left + right);
        let slack = 2e-3 * difference.abs().max(gradient.abs()) + 1e-4;
        assert!(
            (difference - gradient).abs() <= slack,
            "{kind:?} seed {seed} {key:?}: gradient {gradient}, finite difference {difference}"
        );
        compared += usize::from(difference.abs() > 1e-3);
    }
    compared
}

#[test]
fn the_joint_gradient_agrees_with_finite_differences() {
    for kind in [Kind::Dense, Kind::Residual, Kind::Conv, Kind::ConvTranspose, Kind::Sparse] {
        let compared: usize = (0..4).map(|seed| check(kind, seed)).sum();
        assert!(compared > 40, "{kind:?}: only {compared} derivatives are not small");
    }
}
