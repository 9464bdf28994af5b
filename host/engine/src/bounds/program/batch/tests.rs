//! Lanes against samples, finite differences, enumeration and the proof checker.

use std::sync::Arc;

use super::block::Block;
use super::optimise::spec_rows;
use super::{Found, Lane, LaneClimb, Node, Split, Start, claims, climb_with_slopes, optimise, rebound};
use crate::bounds::program::backward::Worker;
use crate::bounds::program::interval::Interval;
use crate::bounds::program::memory::Memory;
use crate::bounds::program::tests::{INPUTS, Kind, Random, kinds, program, region};
use crate::bounds::program::{Climb, Intermediate, Prepared, Region, Settings, Spec, Stop};
use crate::program::{Builder, Constants, Function, Map, Operation, Program, Slot};
use certus_core::proof::Meaning;
use certus_core::proof::program as proof;
use certus_kernels::lanes::Adam;

const SETTINGS: Settings =
    Settings { intermediate: Intermediate::Intersected, threads: 1, memory_limit: 1 << 30 };

fn sample(random: &mut Random, lower: &[f32], upper: &[f32]) -> Vec<f64> {
    let ends = lower.iter().zip(upper).map(|(l, u)| (f64::from(*l), f64::from(*u)));
    // Now and then an end.
    ends.map(|(l, u)| l + (1.5 * f64::from(random.next())).clamp(-1.0, 1.0).mul_add(0.5, 0.5) * (u - l))
        .collect()
}

/// Operands of nonlinear steps, where a split means something.
fn operands(program: &Program) -> Vec<Slot> {
    let mut slots: Vec<Slot> = Vec::new();
    for step in program.steps() {
        match &step.operation {
            Operation::Elementwise { input, .. } | Operation::Max { input, .. } => slots.push(*input),
            Operation::Product { left, right, .. } => slots.extend([*left, *right]),
            Operation::Affine(_) | Operation::Index { .. } => {}
        }
    }
    slots.retain(|s| s.0 > 0);
    slots.dedup();
    slots
}

/// Splits that the point with these values satisfies: at 0 or near its value.
fn splits(program: &Program, values: &[Vec<f64>], count: usize, random: &mut Random) -> Vec<Split> {
    let slots = operands(program);
    let mut splits: Vec<Split> = Vec::new();
    while splits.len() < count {
        let slot = slots[random.below(slots.len())];
        let element = random.below(program.size(slot));
        let value = values[slot.0][element] as f32;
        let point = if random.below(2) == 0 { 0.0 } else { value + 0.1 * random.next() };
        splits.push(Split { slot, element: element as u32, point, above: value >= point });
    }
    splits
}

fn holds(splits: &[Split], values: &[Vec<f64>]) -> bool {
    splits.iter().all(|s| {
        let (z, point) = (values[s.slot.0][s.element as usize], f64::from(s.point));
        if s.above { z >= point } else { z <= point }
    })
}

fn row_value(spec: &Spec, row: usize, y: &[f64]) -> f64 {
    let weights = &spec.weights[row * y.len()..][..y.len()];
    f64::from(spec.bias[row]) + weights.iter().zip(y).map(|(w, y)| f64::from(*w) * y).sum::<f64>()
}

/// A case: a program, a box, rows, and domains with splits that some sample satisfies.
struct Case {
    program: Program,
    lower: Vec<f32>,
    upper: Vec<f32>,
    spec: Spec,
    samples: Vec<Vec<Vec<f64>>>,
    domains: Vec<Vec<Split>>,
}

impl Case {
    fn new(kind: Kind, seed: u64, domains: usize) -> Self {
        let program = program(kind, seed);
        let mut random = Random::new(seed + 7);
        let (lower, upper) = region(&mut random, 0.4);
        let spec = Spec { weights: random.many(2 * program.outputs(), 1.0), bias: random.many(2, 0.5) };
        let samples: Vec<Vec<Vec<f64>>> =
            (0..400).map(|_| program.eval_all(&sample(&mut random, &lower, &upper))).collect();
        let domains =
            (0..domains).map(|k| splits(&program, &samples[k % samples.len()], k % 5, &mut random)).collect();
        Self { program, lower, upper, spec, samples, domains }
    }
    fn region(&self) -> Region<'_> {
        Region { lower: &self.lower, upper: &self.upper }
    }
    /// The least sampled value of a row in a domain.
    fn least(&self, domain: &[Split], row: usize) -> f64 {
        let output = self.program.output().0;
        let inside = self.samples.iter().filter(|v| holds(domain, v));
        inside.map(|v| row_value(&self.spec, row, &v[output])).fold(f64::INFINITY, f64::min)
    }
}

fn contains(intervals: &[Interval], values: &[Vec<f64>]) -> bool {
    intervals.iter().zip(values).all(|(interval, values)| {
        let ends = interval.lower.iter().zip(&interval.upper).zip(values);
        ends.into_iter().all(|((l, u), v)| {
            let slack = 1e-4 * (1.0 + v.abs());
            f64::from(*l) <= v + slack && v - slack <= f64::from(*u)
        })
    })
}

fn lanes<'a>(case: &'a Case, intervals: &'a [Vec<Interval>], starts: &'a [Start]) -> Vec<Lane<'a>> {
    (0..case.domains.len())
        .map(|k| Lane {
            region: case.region(),
            intervals: &intervals[k],
            row: k % 2,
            splits: &case.domains[k],
            start: starts.get(k),
        })
        .collect()
}

const ALL: LaneClimb = LaneClimb {
    iterations: 8,
    alpha_rate: 0.2,
    beta_rate: 0.2,
    decay: 0.98,
    stop_when_positive: false,
    give_up: false,
    only_bounds: false,
    threads: 1,
};

#[test]
fn no_sample_that_satisfies_the_splits_is_below_a_bound_or_outside_the_intervals() {
    for kind in kinds() {
        let case = Case::new(kind, 3, 37);
        let net = Prepared::new(&case.program);
        let root = rebound(
            &net,
            &[Node { region: case.region(), splits: &[], parent: None }],
            &SETTINGS,
            Stop::default(),
        );
        let root = root.unwrap()[0].clone().unwrap();
        for parent in [None, Some(&root[..])] {
            let nodes: Vec<Node<'_>> =
                case.domains.iter().map(|s| Node { region: case.region(), splits: s, parent }).collect();
            let found = rebound(&net, &nodes, &SETTINGS, Stop::default()).unwrap();
            // Every domain has a sample, so none is empty.
            let intervals: Vec<Vec<Interval>> = found.into_iter().map(Option::unwrap).collect();
            for (domain, intervals) in case.domains.iter().zip(&intervals) {
                for values in case.samples.iter().filter(|v| holds(domain, v)) {
                    assert!(contains(intervals, values), "{kind:?}");
                }
            }
            let found =
                optimise(&net, &case.spec, &lanes(&case, &intervals, &[]), &ALL, Stop::default()).unwrap();
            for (k, (domain, found)) in case.domains.iter().zip(&found).enumerate() {
                let least = case.least(domain, k % 2);
                assert!(found.bound.is_finite(), "{kind:?} domain {k}");
                assert!(
                    f64::from(found.bound) <= least + 1e-4 * (1.0 + least.abs()),
                    "{kind:?} domain {k}: bound {} above a sample, {least}",
                    found.bound
                );
                linear_bound_holds(&case, domain, k % 2, found);
            }
        }
    }
}

/// The linear bound on the input is below every sample of the domain, and its minimum is the bound.
fn linear_bound_holds(case: &Case, domain: &[Split], row: usize, found: &Found) {
    let at = |x: &[f64]| {
        f64::from(found.constant)
            + found.coefficients.iter().zip(x).map(|(a, x)| f64::from(*a) * x).sum::<f64>()
    };
    let point: Vec<f64> = found.point.iter().map(|x| f64::from(*x)).collect();
    assert_eq!(point.len(), INPUTS);
    let slack = |v: f64| 1e-3 * (1.0 + v.abs());
    assert!(
        (at(&point) - f64::from(found.bound)).abs() <= slack(at(&point)),
        "{} {}",
        at(&point),
        found.bound
    );
    for values in case.samples.iter().filter(|v| holds(domain, v)) {
        let y = row_value(&case.spec, row, &values[case.program.output().0]);
        assert!(at(&values[0]) <= y + slack(y), "{} {y}", at(&values[0]));
        assert!(at(&values[0]) >= at(&point) - slack(y));
    }
}

#[test]
fn the_gradients_by_slopes_and_multipliers_agree_with_differences() {
    let kinds = [
        Kind::Dense,
        Kind::Conv,
        Kind::Residual,
        Kind::Index,
        Kind::Max,
        Kind::Product,
        Kind::MatrixProduct,
        Kind::Function(Function::LeakyRelu { slope: 0.1 }),
        Kind::Function(Function::Abs),
        Kind::Function(Function::Sigmoid),
        Kind::Function(Function::Sin),
    ];
    for kind in kinds {
        let compared: usize = (0..3).map(|seed| gradients(kind, seed)).sum();
        assert!(compared > 20, "{kind:?}: only {compared} derivatives are not small");
    }
}

fn gradients(kind: Kind, seed: u64) -> usize {
    let case = Case::new(kind, seed, 5);
    let net = Prepared::new(&case.program);
    let nodes: Vec<Node<'_>> =
        case.domains.iter().map(|s| Node { region: case.region(), splits: s, parent: None }).collect();
    let found = rebound(&net, &nodes, &SETTINGS, Stop::default()).unwrap();
    let intervals: Vec<Vec<Interval>> = found.into_iter().map(Option::unwrap).collect();
    let mut random = Random::new(seed + 90);
    let lanes = lanes(&case, &intervals, &[]);
    let memory = Memory::new(usize::MAX);
    let mut worker = Worker::new(&memory, Stop::default());
    let mut block =
        Block::new(&net, &lanes, net.output, |known, width| spec_rows(known, &case.spec, &lanes, width))
            .unwrap();
    // Shares on bytes, away from the ends, and multipliers away from 0.
    for free in block.frees() {
        free.alpha.iter_mut().for_each(|a| *a = (60 + random.below(130)) as f32 / 255.0);
    }
    for (r, lane) in lanes.iter().enumerate() {
        for index in 0..lane.splits.len() {
            *block.multipliers().state(r, index).unwrap().1 = 0.2 + 0.1 * random.next();
        }
    }
    block.backward(&mut worker).unwrap();
    let plain = block.value.clone();
    let still = Adam { rate: 0.0, beta_1: 0.0, beta_2: 0.0 };
    block.sweep((still, still), None, &mut worker).unwrap();
    let width = plain.len();
    let mut compared = 0;
    let mut compare = |gradient: f32, right: f32, left: f32, scale: f32, what: &str| {
        // At a kink any number between the differences from both sides is a derivative.
        let (low, high) = (left.min(right), left.max(right));
        let slack = 2e-2 * gradient.abs().max(low.abs().max(high.abs())) + 5e-3 * scale;
        assert!(
            low - slack <= gradient && gradient <= high + slack,
            "{kind:?} seed {seed} {what}: gradient {gradient}, differences {left} {right}"
        );
        let difference = if high - low <= slack { 0.5 * (low + high) } else { 0.0 };
        compared += usize::from(difference.abs() > 2e-2 * scale);
    };
    let h = 2.0 / 255.0;
    for k in 0..block.frees().len() {
        for at in 0..block.frees()[k].alpha.len() {
            let r = at % width;
            if r >= lanes.len() {
                continue;
            }
            let gradient = block.frees()[k].m[at];
            let mut shifted = |by: f32| {
                block.frees()[k].alpha[at] += by;
                block.backward(&mut worker).unwrap();
                block.frees()[k].alpha[at] -= by;
                block.value[r]
            };
            let (above, below) = (shifted(h), shifted(-h));
            let scale = plain[r].abs().max(1.0);
            compare(gradient, (above - plain[r]) / h, (plain[r] - below) / h, scale, "alpha");
        }
    }
    for (r, lane) in lanes.iter().enumerate() {
        for index in 0..lane.splits.len() {
            let gradient = block.multipliers().state(r, index).unwrap().0;
            let mut shifted = |by: f32| {
                *block.multipliers().state(r, index).unwrap().1 += by;
                block.backward(&mut worker).unwrap();
                *block.multipliers().state(r, index).unwrap().1 -= by;
                block.value[r]
            };
            let (above, below) = (shifted(h), shifted(-h));
            let scale = plain[r].abs().max(1.0);
            compare(gradient, (above - plain[r]) / h, (plain[r] - below) / h, scale, "beta");
        }
    }
    compared
}

#[test]
fn a_child_climbs_above_its_parent() {
    let kinds = [
        Kind::Dense,
        Kind::Conv,
        Kind::Residual,
        Kind::Function(Function::LeakyRelu { slope: 0.1 }),
        Kind::Function(Function::Abs),
    ];
    let mut gained = 0;
    for kind in kinds {
        let case = Case::new(kind, 5, 24);
        let net = Prepared::new(&case.program);
        let root = Node { region: case.region(), splits: &[], parent: None };
        let root = rebound(&net, &[root], &SETTINGS, Stop::default()).unwrap()[0].clone().unwrap();
        let parents = [0, 1].map(|row| {
            let lane = Lane { region: case.region(), intervals: &root, row, splits: &[], start: None };
            optimise(&net, &case.spec, &[lane], &ALL, Stop::default()).unwrap().remove(0)
        });
        let nodes: Vec<Node<'_>> = case
            .domains
            .iter()
            .map(|s| Node { region: case.region(), splits: s, parent: Some(&root) })
            .collect();
        let found = rebound(&net, &nodes, &SETTINGS, Stop::default()).unwrap();
        let intervals: Vec<Vec<Interval>> = found.into_iter().map(Option::unwrap).collect();
        for intervals in &intervals {
            for (ours, root) in intervals.iter().zip(&root) {
                assert!(ours.lower.iter().zip(&root.lower).all(|(a, b)| a >= b));
                assert!(ours.upper.iter().zip(&root.upper).all(|(a, b)| a <= b));
            }
        }
        let starts: Vec<Start> = (0..24).map(|k| parents[k % 2].start.clone()).collect();
        // A new multiplier begins at 0, where the row may be lower than the parent's.
        let how = LaneClimb { iterations: 30, ..ALL };
        let found = optimise(&net, &case.spec, &lanes(&case, &intervals, &starts), &how, Stop::default());
        for (k, found) in found.unwrap().iter().enumerate() {
            let parent = parents[k % 2].bound;
            assert!(
                found.bound >= parent - 1e-5 * (1.0 + parent.abs()),
                "{kind:?}: {} {parent}",
                found.bound
            );
            gained += usize::from(found.bound > parent + 1e-3);
        }
    }
    assert!(gained > 40, "only {gained} children are better");
}

/// Two inputs, ReLU layers of 4 and 3, one output.
fn tiny(seed: u64) -> Program {
    let mut random = Random::new(seed);
    let mut builder = Builder::new(2);
    let mut slot = Slot::INPUT;
    for (cols, rows) in [(2usize, 4usize), (4, 3), (3, 1)] {
        let weights = Arc::new(random.many(rows * cols, 1.2));
        let bias = Some(Constants::exact(random.many(rows, 0.4)));
        slot = builder.affine("dense", slot, Map::Dense { count: 1, rows, cols, weights }, bias).unwrap();
        if rows > 1 {
            slot = builder.elementwise("relu", slot, Function::Relu).unwrap();
        }
    }
    builder.finish(slot).unwrap()
}

/// The least output of [`tiny`] on the polygon of a pattern, at its vertices; `None` if there are none.
fn least_at_vertices(program: &Program, pattern: u32) -> Option<f64> {
    // The pattern's affine functions: seven pre-activations that are to be positive (or negated), four sides, and the output.
    let masked = |x: [f64; 2]| -> Vec<f64> {
        let (mut values, mut here, mut bit) = (Vec::new(), x.to_vec(), 0);
        for step in program.steps() {
            match &step.operation {
                Operation::Affine(affine) => {
                    let bias = affine.bias.as_ref().unwrap();
                    let mut sum: Vec<f64> = bias.values.iter().map(|b| f64::from(*b)).collect();
                    affine.terms[0].map.add_to(&here, &mut sum);
                    here = sum;
                }
                _ => {
                    for z in &mut here {
                        let active = pattern >> bit & 1 == 1;
                        values.push(if active { *z } else { -*z });
                        *z = if active { *z } else { 0.0 };
                        bit += 1;
                    }
                }
            }
        }
        values.extend([1.0 - x[0], 1.0 + x[0], 1.0 - x[1], 1.0 + x[1], here[0]]);
        values
    };
    let at_zero = masked([0.0, 0.0]);
    let by = [masked([1.0, 0.0]), masked([0.0, 1.0])];
    let line = |k: usize| [by[0][k] - at_zero[k], by[1][k] - at_zero[k], at_zero[k]];
    let mut least: Option<f64> = None;
    for (i, j) in (0..11).flat_map(|i| (0..i).map(move |j| (i, j))) {
        let ([a, b, c], [d, e, f]) = (line(i), line(j));
        let det = a * e - b * d;
        let x = [(b * f - c * e) / det, (c * d - a * f) / det];
        let values = masked(x);
        if values[..11].iter().all(|v| *v >= -1e-9) {
            least = Some(least.map_or(values[11], |l: f64| l.min(values[11])));
        }
    }
    least
}

/// With every ReLU split the network is linear on a polygon, and the multipliers are those of its linear program.
#[test]
fn with_all_neurons_split_the_bound_reaches_the_linear_programs() {
    let mut compared = 0;
    for seed in 0..4 {
        let program = tiny(seed);
        let net = Prepared::new(&program);
        let (lower, upper) = ([-1.0f32; 2], [1.0f32; 2]);
        let region = Region { lower: &lower, upper: &upper };
        let (mut patterns, mut least): (Vec<Vec<Split>>, Vec<f64>) = (Vec::new(), Vec::new());
        for pattern in 0..128u32 {
            let Some(value) = least_at_vertices(&program, pattern) else { continue };
            let slots = [(1, 0), (1, 1), (1, 2), (1, 3), (3, 0), (3, 1), (3, 2)];
            let split = |(bit, (slot, element)): (usize, (usize, u32))| Split {
                slot: Slot(slot),
                element,
                point: 0.0,
                above: pattern >> bit & 1 == 1,
            };
            patterns.push(slots.into_iter().enumerate().map(split).collect());
            least.push(value);
        }
        let nodes: Vec<Node<'_>> =
            patterns.iter().map(|s| Node { region, splits: s, parent: None }).collect();
        let found = rebound(&net, &nodes, &SETTINGS, Stop::default()).unwrap();
        let intervals: Vec<Vec<Interval>> = found.into_iter().map(Option::unwrap).collect();
        let lanes: Vec<Lane<'_>> = patterns
            .iter()
            .zip(&intervals)
            .map(|(splits, intervals)| Lane { region, intervals, row: 0, splits, start: None })
            .collect();
        let spec = Spec { weights: vec![1.0], bias: vec![0.0] };
        let how = LaneClimb { iterations: 3000, beta_rate: 2.0, decay: 0.997, ..ALL };
        let found = optimise(&net, &spec, &lanes, &how, Stop::default()).unwrap();
        let range = least.iter().copied().fold(0.0f64, |m, y| m.max(y.abs()));
        for (least, found) in least.iter().zip(&found) {
            let bound = f64::from(found.bound);
            assert!(bound <= least + 1e-5, "{bound} {least}");
            assert!(bound >= least - 0.02 * range, "seed {seed}: {bound} for {least}, range {range}");
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared}");
}

/// The margin that the checker finds for a claim, with bounds that it derives on the domain itself.
fn margin(case: &Case, net: &Prepared, (k, row): (usize, usize), claim: proof::Claim<'_>) -> f64 {
    let tables = case.program.tables();
    let outputs = case.program.outputs();
    let output: Vec<f64> =
        case.spec.weights[row * outputs..][..outputs].iter().map(|w| f64::from(*w)).collect();
    let rows = [proof::Row { output: &output, input: &[], rhs: -f64::from(case.spec.bias[row]) }];
    let problem = proof::Problem { program: tables.program(), disjuncts: &[&rows], meaning: Meaning::Real };
    let mut words = vec![0; proof::Layout::words(&problem.program)];
    let layout = proof::Layout::new(&problem.program, &mut words).unwrap();
    assert_eq!(
        layout.claims_len(problem.program.output()),
        claims(net, case.program.output(), &rebound_root(case, net), &super::Alphas::default()).len(),
        "claims as the checker lays them out"
    );
    let (mut floats, mut index) = (vec![0.0; layout.memory_len(8)], vec![0; layout.index_len(8)]);
    let memory = proof::Memory { floats: &mut floats, index: &mut index, lanes: 8 };
    let mut checker = proof::Checker::new(&problem, &layout, proof::Plain, memory).unwrap();
    let wide = |x: &[f32]| x.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
    let (lower, upper) = (wide(&case.lower), wide(&case.upper));
    let mut memory = vec![0.0; layout.bounds_len()];
    let mut bounds = proof::Bounds::new(&layout, &mut memory);
    let splits = &case.domains[k];
    checker.derive(None, (&lower, &upper), splits, &proof::Adaptive, &mut bounds).unwrap();
    let mut margins = [0.0];
    let _ = checker.check_leaf(&bounds, (&lower, &upper), splits, &[claim], &mut margins);
    margins[0]
}

fn rebound_root(case: &Case, net: &Prepared) -> Vec<Interval> {
    let root = Node { region: case.region(), splits: &[], parent: None };
    rebound(net, &[root], &SETTINGS, Stop::default()).unwrap().remove(0).unwrap()
}

#[test]
fn the_checker_finds_the_bound_of_the_claim() {
    // The checker bounds what follows a curve, a maximum or a product by planes of its own choice.
    let kinds = [
        (Kind::Dense, 2e-3),
        (Kind::Conv, 2e-3),
        (Kind::Residual, 2e-3),
        (Kind::Index, 2e-3),
        (Kind::Sparse, 2e-3),
        (Kind::Max, 5e-2),
        (Kind::Product, 5e-2),
        (Kind::MatrixProduct, 5e-2),
        (Kind::Function(Function::LeakyRelu { slope: 0.1 }), 2e-2),
        (Kind::Function(Function::LeakyRelu { slope: 1.5 }), 2e-2),
        (Kind::Function(Function::Abs), 2e-2),
        (Kind::Function(Function::Sigmoid), 2e-2),
        (Kind::Function(Function::Sin), 2e-2),
        (Kind::Function(Function::Clip { lower: -0.3, upper: 0.4 }), 2e-2),
    ];
    let mut gained = 0;
    for (kind, slack) in kinds {
        let case = Case::new(kind, 11, 8);
        let net = Prepared::new(&case.program);
        let nodes: Vec<Node<'_>> =
            case.domains.iter().map(|s| Node { region: case.region(), splits: s, parent: None }).collect();
        let found = rebound(&net, &nodes, &SETTINGS, Stop::default()).unwrap();
        let intervals: Vec<Vec<Interval>> = found.into_iter().map(Option::unwrap).collect();
        let found =
            optimise(&net, &case.spec, &lanes(&case, &intervals, &[]), &ALL, Stop::default()).unwrap();
        for (k, found) in found.iter().enumerate() {
            let alpha = claims(&net, case.program.output(), &intervals[k], &found.start.alpha);
            let beta: Vec<u8> = found.start.beta.iter().flat_map(|b| b.to_le_bytes()).collect();
            let claim = proof::Claim { row: 0, alpha: &alpha, beta: &beta };
            let ours = margin(&case, &net, (k, k % 2), claim);
            let adaptive = margin(&case, &net, (k, k % 2), proof::Claim::default());
            let bound = f64::from(found.bound);
            assert!(
                ours >= bound - slack * (1.0 + bound.abs()),
                "{kind:?} domain {k}: the checker finds {ours} for {bound}, adaptive {adaptive}"
            );
            gained += usize::from(ours > adaptive + 1e-3);
        }
    }
    assert!(gained > 40, "only {gained} claims are better than none");
}

#[test]
fn proved_lanes_leave_and_hopeless_lanes_stop_without_changing_the_others() {
    let case = Case::new(Kind::Residual, 2, 64);
    let net = Prepared::new(&case.program);
    let nodes: Vec<Node<'_>> =
        case.domains.iter().map(|s| Node { region: case.region(), splits: s, parent: None }).collect();
    let found = rebound(&net, &nodes, &SETTINGS, Stop::default()).unwrap();
    let intervals: Vec<Vec<Interval>> = found.into_iter().map(Option::unwrap).collect();
    let lanes = lanes(&case, &intervals, &[]);
    let all = optimise(&net, &case.spec, &lanes, &ALL, Stop::default()).unwrap();
    let mut bounds: Vec<f32> = all.iter().map(|f| f.bound).collect();
    bounds.sort_by(f32::total_cmp);
    // So that most are proved, some of them late.
    let spec = Spec { bias: case.spec.bias.iter().map(|b| b - bounds[20]).collect(), ..case.spec.clone() };
    let how = LaneClimb { stop_when_positive: true, give_up: true, ..ALL };
    let early = optimise(&net, &spec, &lanes, &how, Stop::default()).unwrap();
    for (all, early) in all.iter().zip(&early) {
        let full = all.bound - bounds[20];
        assert_eq!(early.bound > 1e-5, full > 1e-5, "{} {full}", early.bound);
        assert!(early.bound <= full + 1e-4);
        assert_eq!(early.scores.is_empty(), early.bound > 0.0);
        assert_eq!(early.start.alpha.places, all.start.alpha.places);
        assert_eq!(early.start.beta.len(), all.start.beta.len());
    }
}

#[test]
fn the_root_says_with_which_slopes_its_bounds_were_found() {
    let case = Case::new(Kind::Residual, 4, 1);
    let net = Prepared::new(&case.program);
    let climb = Climb { stop_when_positive: false, ..Climb::default() };
    let (bounds, slopes) =
        climb_with_slopes(&net, case.region().into(), &case.spec, &SETTINGS, &climb, Stop::default())
            .unwrap();
    assert!(!slopes.slots.is_empty() && slopes.rows.len() == 2);
    let mut tightened = 0;
    let root = rebound_root(&case, &net);
    for slot in &slopes.slots {
        for element in &slot.elements {
            let j = *element as usize;
            tightened += usize::from(bounds.slots[slot.slot].lower[j] > root[slot.slot].lower[j] + 1e-4);
        }
    }
    assert!(tightened > 0);
    let lemma = slopes.lemma(&net, &bounds.slots);
    let margins: Vec<f64> = (0..2)
        .map(|row| {
            let alpha = claims(&net, case.program.output(), &bounds.slots, &slopes.rows[row]);
            tree_margin(&case, &lemma, row, &alpha, f64::from(bounds.rows[row]))
        })
        .collect();
    assert!(margins.iter().all(|m| *m > 0.0), "{margins:?}");
}

/// 1 if the checker accepts `row > bound − slack` below this lemma with these slopes, else −1.
fn tree_margin(case: &Case, lemma: &[u8], row: usize, alpha: &[u8], bound: f64) -> f64 {
    let tables = case.program.tables();
    let outputs = case.program.outputs();
    let output: Vec<f64> =
        case.spec.weights[row * outputs..][..outputs].iter().map(|w| f64::from(*w)).collect();
    let rhs = bound - f64::from(case.spec.bias[row]) - 2e-3 * (1.0 + bound.abs());
    let rows = [proof::Row { output: &output, input: &[], rhs }];
    let problem = proof::Problem { program: tables.program(), disjuncts: &[&rows], meaning: Meaning::Real };
    let mut words = vec![0; proof::Layout::words(&problem.program)];
    let layout = proof::Layout::new(&problem.program, &mut words).unwrap();
    let (mut floats, mut index) = (vec![0.0; layout.memory_len(8)], vec![0; layout.index_len(8)]);
    let memory = proof::Memory { floats: &mut floats, index: &mut index, lanes: 8 };
    let mut checker = proof::Checker::new(&problem, &layout, proof::Plain, memory).unwrap();
    let wide = |x: &[f32]| x.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
    let (mut lower, mut upper) = (wide(&case.lower), wide(&case.upper));
    let mut memory = vec![0.0; layout.bounds_len()];
    let mut levels = [proof::Bounds::new(&layout, &mut memory)];
    let (mut frames, mut splits) = ([proof::Frame::EMPTY; 4], []);
    let (mut claims, mut margins) = ([proof::Claim::default()], [0.0]);
    let tree = proof::TreeMemory {
        frames: &mut frames,
        splits: &mut splits,
        levels: &mut levels,
        claims: &mut claims,
        margins: &mut margins,
    };
    let mut bytes = lemma.to_vec();
    bytes.extend([19, 0, 0, 1]);
    bytes.extend(alpha);
    let checked = checker.check_tree(&bytes, (&mut lower, &mut upper), tree);
    if checked.is_ok() { 1.0 } else { -1.0 }
}
