//! LPs and MIPs of tiny networks against the exact minimum over every activation pattern, by polygons over the rationals; what they
//! claim, against the proof checker.

use certus_core::proof::{Meaning, Split};
use certus_engine::bounds::crown::{self, Bounds, Mode, Region, Scratch};
use certus_engine::property::{Case, Disjunct, InputBox, Property, Row};
use certus_engine::search::Leaf;
use certus_engine::search::Silent;
use certus_engine::search::lp::chain::{ChainDomain, row};
use certus_engine::search::lp::mip::{self, MipLimits, MipNode, MipOutcome};
use certus_engine::search::lp::{Limits, Outcome, Refuted, Solver, decide_leaf, simplex};
use certus_engine::search::tree::Claim;
use certus_engine::verify::{Branching, CaseProblem, Checker, Parts, Settings, Verdict, verify};
use certus_engine::{Chain, OwnedAffine, OwnedLayer};
use num_rational::BigRational;
use num_traits::{Signed, ToPrimitive, Zero};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

type Q = BigRational;
type Point = [Q; 2];

fn q(x: f64) -> Q {
    Q::from_float(x).expect("finite")
}

/// `a·x + b` over the plane.
#[derive(Clone)]
struct Plane {
    a: [Q; 2],
    b: Q,
}

impl Plane {
    fn at(&self, p: &Point) -> Q {
        &self.a[0] * &p[0] + &self.a[1] * &p[1] + &self.b
    }
}

/// The part of a convex polygon where `f ≥ 0`, or `f ≤ 0`.
fn clip(polygon: &[Point], f: &Plane, positive: bool) -> Vec<Point> {
    let side = |p: &Point| if positive { f.at(p) } else { -f.at(p) };
    let mut out: Vec<Point> = Vec::new();
    for (i, p) in polygon.iter().enumerate() {
        let next = &polygon[(i + 1) % polygon.len()];
        let (here, there) = (side(p), side(next));
        if !here.is_negative() {
            out.push(p.clone());
        }
        if (here.is_positive() && there.is_negative()) || (here.is_negative() && there.is_positive()) {
            let t = &here / (&here - &there);
            out.push([&p[0] + &t * (&next[0] - &p[0]), &p[1] + &t * (&next[1] - &p[1])]);
        }
    }
    out
}

/// Whether each neuron is active; layer after layer.
type Pattern = Vec<bool>;

/// The least `y₀` over the part of the square where the activation pattern holds; `None` if it is empty.
fn least_in(chain: &Chain, pattern: &Pattern) -> Option<Q> {
    let corner = |x: f64, y: f64| [q(x), q(y)];
    let mut polygon = vec![corner(-1.0, -1.0), corner(1.0, -1.0), corner(1.0, 1.0), corner(-1.0, 1.0)];
    let unit =
        |i: usize| Plane { a: std::array::from_fn(|j| q(if i == j { 1.0 } else { 0.0 })), b: Q::zero() };
    let mut x = vec![unit(0), unit(1)];
    let mut signs = pattern.iter();
    for layer in chain.layers() {
        let OwnedAffine::Dense { cols, weights, bias, .. } = &layer.affine else {
            panic!("dense layers only")
        };
        let mut z = Vec::new();
        for (w, b) in weights.chunks_exact(*cols).zip(bias) {
            let mut sum = Plane { a: [Q::zero(), Q::zero()], b: q(f64::from(*b)) };
            for (w, x) in w.iter().zip(&x) {
                let w = q(f64::from(*w));
                (0..2).for_each(|k| sum.a[k] += &w * &x.a[k]);
                sum.b += &w * &x.b;
            }
            z.push(sum);
        }
        if layer.relu {
            for z in &mut z {
                let active = *signs.next().expect("one sign per neuron");
                polygon = clip(&polygon, z, active);
                if !active {
                    *z = Plane { a: [Q::zero(), Q::zero()], b: Q::zero() };
                }
            }
        }
        x = z;
    }
    polygon.iter().map(|p| x[0].at(p)).min()
}

fn patterns(neurons: usize) -> impl Iterator<Item = Pattern> {
    (0..1u32 << neurons).map(move |bits| (0..neurons).map(|i| bits >> i & 1 == 1).collect())
}

struct Random(u64);

impl Random {
    /// Eighths between −2 and 2: ties, and neurons that are 0 at vertices, are common.
    fn eighth(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % 33) as f32 / 8.0 - 2.0
    }
}

fn network(random: &mut Random, hidden: &[usize]) -> Chain {
    let widths: Vec<usize> = [2].iter().chain(hidden).chain(&[1]).copied().collect();
    let last = widths.len() - 2;
    let layers = widths.windows(2).enumerate().map(|(i, p)| {
        let weights = (0..p[0] * p[1]).map(|_| random.eighth()).collect();
        let bias = (0..p[1]).map(|_| 0.5 * random.eighth()).collect();
        OwnedLayer { affine: OwnedAffine::Dense { rows: p[1], cols: p[0], weights, bias }, relu: i < last }
    });
    Chain::new(layers.collect()).expect("a network")
}

/// `y ≤ rhs` is the violation, on the square.
fn property(rhs: f64) -> Property {
    let region = InputBox {
        lower: vec![-1.0; 2],
        upper: vec![1.0; 2],
        witness_lower: vec![-1.0; 2],
        witness_upper: vec![1.0; 2],
    };
    let row = Row { coefficients: vec![1.0], rhs_lower: rhs, rhs_upper: rhs, strict: false };
    let disjuncts = vec![Disjunct { rows: vec![row] }];
    Property { inputs: 2, outputs: 1, cases: vec![Case { region, disjuncts }] }
}

/// Everything that a test of one network needs.
struct Bench<'a> {
    parts: &'a Parts<'a>,
    hidden: &'a [usize],
}

impl Bench<'_> {
    fn bounds(&self, splits: &[(usize, usize, bool)]) -> Option<Bounds> {
        let mut signs: Vec<Vec<i8>> = self.hidden.iter().map(|n| vec![0; *n]).collect();
        splits.iter().for_each(|(k, i, active)| signs[*k][*i] = if *active { 1 } else { -1 });
        let (mut scratch, mut bounds) = (Scratch::default(), Bounds::default());
        let region = Region { lower: &[-1.0; 2], upper: &[1.0; 2] };
        let spec = self.parts.net.output_spec();
        let possible =
            crown::bound(&self.parts.net, &spec, region, &signs, Mode::Default, &mut scratch, &mut bounds);
        possible.then_some(bounds)
    }

    fn neuron(&self, mut id: usize) -> (usize, usize) {
        let layer = self.hidden.iter().position(|n| {
            let here = id < *n;
            id -= if here { 0 } else { *n };
            here
        });
        (layer.expect("a neuron"), id)
    }

    /// Whether the checker accepts the claims on the part of the square that the splits leave.
    fn accepts(&self, rhs: f64, splits: &[(usize, usize, bool)], refuted: &[Refuted]) -> bool {
        let property = property(rhs);
        let problem = CaseProblem::new(self.parts, &property, &property.cases[0], Meaning::Real);
        let splits: Vec<Split> = splits
            .iter()
            .map(|(k, i, active)| Split { layer: *k as u16, neuron: *i as u32, active: *active })
            .collect();
        let claim = |r: &Refuted| {
            let mut alpha: Vec<f32> = vec![0.0; self.hidden.iter().sum()];
            r.evidence.shares.iter().for_each(|(id, share)| alpha[*id] = *share as f32);
            let alpha = if r.evidence.shares.is_empty() { Vec::new() } else { problem.program_alpha(&alpha) };
            Claim {
                row: r.row,
                alpha,
                beta: r.evidence.beta.iter().map(|b| *b as f32).collect(),
                ..Claim::default()
            }
        };
        let leaf = Leaf { claims: refuted.iter().map(claim).collect() };
        let mut checker = Checker::new(self.parts);
        let region: (&[f64], &[f64]) = (&[-1.0; 2], &[1.0; 2]);
        problem.with_proof_problem(|p| checker.accept(p, region, &splits, &leaf).is_ok())
    }
}

fn with_bench(random: &mut Random, hidden: &[usize], body: impl FnOnce(&Bench<'_>, &Chain)) {
    let chain = network(random, hidden);
    let layers = chain.core_layers();
    let parts = Parts::new(&chain, &layers, &chain);
    body(&Bench { parts: &parts, hidden }, &chain);
}

/// How far above and below the exact minimum the threshold is put.
const MARGIN: f64 = 1.0 / 64.0;

#[test]
fn a_leaf_with_every_neuron_split_is_decided_and_the_checker_agrees() {
    let mut random = Random(11);
    let (mut empty, mut proved, mut refuted) = (0, 0, 0);
    for case in 0..60 {
        let hidden: &[usize] = [&[4][..], &[2, 2], &[3, 2], &[2, 2, 2]][case % 4];
        with_bench(&mut random, hidden, |bench, chain| {
            for pattern in patterns(hidden.iter().sum()) {
                let splits: Vec<(usize, usize, bool)> = pattern
                    .iter()
                    .enumerate()
                    .map(|(id, active)| {
                        let (k, i) = bench.neuron(id);
                        (k, i, *active)
                    })
                    .collect();
                // Where intervals alone show that nothing is left, the checker sees it too.
                let Some(bounds) = bench.bounds(&splits) else { continue };
                let domain = ChainDomain {
                    layers: bench.parts.layers,
                    region: (&[-1.0; 2], &[1.0; 2]),
                    intervals: &bounds.layers,
                    splits: &splits,
                };
                let (relaxation, outputs) = domain.relax().expect("finite");
                assert!(relaxation.is_exact());
                let decide = |rhs: f64| {
                    decide_leaf(&relaxation, &[vec![row(&outputs, &[1.0], rhs)]], Solver::Own, None)
                };
                let least = least_in(chain, &pattern);
                let Some(least) = least.map(|l| l.to_f64().expect("a number")) else {
                    let decision = decide(0.0);
                    assert!(decision.is_proved(), "an empty leaf is open: {pattern:?} of {chain:?}");
                    let claims: Vec<Refuted> = decision.refuted.into_iter().flatten().collect();
                    assert!(
                        bench.accepts(0.0, &splits, &claims),
                        "refused: {pattern:?} {claims:?} {chain:?}"
                    );
                    empty += 1;
                    continue;
                };
                let below = decide(least - MARGIN);
                assert!(below.is_proved(), "least {least} of {pattern:?}: {below:?}");
                let claims: Vec<Refuted> = below.refuted.into_iter().flatten().collect();
                assert!(bench.accepts(least - MARGIN, &splits, &claims), "refused: {pattern:?} {claims:?}");
                proved += 1;
                let above = decide(least + MARGIN);
                assert!(!above.is_proved(), "least {least} of {pattern:?} is hidden");
                let point = above.points.first().expect("a candidate");
                let value = chain.eval_f64(point)[0];
                assert!(value <= least + MARGIN, "{value} at {point:?} is not below {least} + {MARGIN}");
                refuted += 1;
            }
        });
    }
    assert!(
        empty > 100 && proved > 300 && refuted > 300,
        "{empty} empty, {proved} proved, {refuted} refuted"
    );
}

#[test]
fn with_some_neurons_split_the_bound_lies_between_crown_and_the_exact_minimum() {
    let mut random = Random(12);
    let (mut compared, mut better) = (0, 0);
    for case in 0..80 {
        let hidden: &[usize] = [&[5][..], &[3, 3], &[2, 2, 2]][case % 3];
        with_bench(&mut random, hidden, |bench, chain| {
            let neurons: usize = hidden.iter().sum();
            for bits in 0..3u32.pow(3) {
                let fixed = [bits % 3, bits / 3 % 3, bits / 9];
                let splits: Vec<(usize, usize, bool)> = fixed
                    .iter()
                    .enumerate()
                    .filter(|(_, f)| **f > 0)
                    .map(|(j, f)| {
                        let (k, i) = bench.neuron((j * 5 + case) % neurons);
                        (k, i, *f == 1)
                    })
                    .collect();
                let ids: std::collections::HashSet<_> = splits.iter().map(|(k, i, _)| (*k, *i)).collect();
                let Some(bounds) = (ids.len() == splits.len()).then(|| bench.bounds(&splits)).flatten()
                else {
                    continue;
                };
                let agrees = |p: &Pattern| {
                    p.iter().enumerate().all(|(id, active)| {
                        let at = bench.neuron(id);
                        splits.iter().all(|(k, i, side)| (*k, *i) != at || side == active)
                    })
                };
                let least = patterns(neurons).filter(agrees).filter_map(|p| least_in(chain, &p)).min();
                let domain = ChainDomain {
                    layers: bench.parts.layers,
                    region: (&[-1.0; 2], &[1.0; 2]),
                    intervals: &bounds.layers,
                    splits: &splits,
                };
                let (relaxation, outputs) = domain.relax().expect("finite");
                let y = row(&outputs, &[1.0], 0.0);
                let Outcome::Optimal(found) =
                    simplex::solve(&relaxation.minimising(&y), None, Limits::default()).0
                else {
                    continue;
                };
                let bound = found.value + y.offset();
                let crown = f64::from(bounds.rows[0]);
                assert!(bound >= crown - 1e-4 * (1.0 + crown.abs()), "LP {bound} below CROWN {crown}");
                if let Some(least) = least.and_then(|l| l.to_f64()) {
                    assert!(bound <= least + 1e-6, "LP {bound} above the least value {least}");
                    // What the duals say as slopes and multipliers has to be worth about the bound to the checker.
                    let decision = decide_leaf(
                        &relaxation,
                        &[vec![row(&outputs, &[1.0], bound - 0.05 * (1.0 + bound.abs()))]],
                        Solver::Own,
                        None,
                    );
                    let claims: Vec<Refuted> = decision.refuted.into_iter().flatten().collect();
                    assert_eq!(claims.len(), 1);
                    compared += 1;
                    let rhs = bound - 0.05 * (1.0 + bound.abs());
                    better += usize::from(bench.accepts(rhs, &splits, &claims));
                }
            }
        });
    }
    assert!(compared > 300, "{compared}");
    assert!(better * 100 >= compared * 95, "the checker took {better} of {compared}");
}

#[test]
fn a_mip_finds_the_exact_minimum_and_its_tree_is_a_proof() {
    let mut random = Random(13);
    let (mut leaves, mut refused, mut splits_seen, mut violated) = (0, 0, 0, 0);
    for case in 0..120 {
        let hidden: &[usize] = [&[6][..], &[4, 3], &[3, 2, 2]][case % 3];
        with_bench(&mut random, hidden, |bench, chain| {
            let bounds = bench.bounds(&[]).expect("no split");
            let least = patterns(hidden.iter().sum()).filter_map(|p| least_in(chain, &p)).min();
            let least = least.expect("the square is not empty").to_f64().expect("a number");
            let domain = ChainDomain {
                layers: bench.parts.layers,
                region: (&[-1.0; 2], &[1.0; 2]),
                intervals: &bounds.layers,
                splits: &[],
            };
            let (relaxation, outputs) = domain.relax().expect("finite");
            let solve = |rhs: f64| {
                let mut is_violated = |x: &[f64]| chain.eval_f64(x)[0] <= rhs;
                let rows = [vec![row(&outputs, &[1.0], rhs)]];
                mip::solve(&relaxation, &rows, MipLimits::default(), &mut is_violated)
            };
            let MipOutcome::Tree(tree) = solve(least - MARGIN) else {
                panic!("a counterexample where there is none")
            };
            let mut stack = vec![(0usize, Vec::new())];
            while let Some((node, path)) = stack.pop() {
                match &tree[node] {
                    MipNode::Open => panic!("open: {path:?} of {chain:?}"),
                    MipNode::Leaf(claims) => {
                        // Slopes are those of the root's triangles; the checker has others, on which they may be worth less.
                        refused += usize::from(!bench.accepts(least - MARGIN, &path, claims));
                        leaves += 1;
                    }
                    MipNode::Split { id, first } => {
                        let (k, i) = bench.neuron(*id);
                        for (child, active) in [(*first, true), (first + 1, false)] {
                            let mut path = path.clone();
                            path.push((k, i, active));
                            stack.push((child, path));
                        }
                        splits_seen += 1;
                    }
                }
            }
            match solve(least + MARGIN) {
                MipOutcome::Violated(_) => violated += 1,
                MipOutcome::Tree(_) => panic!("no counterexample at {least} + {MARGIN} of {chain:?}"),
            }
        });
    }
    assert!(leaves > 150 && splits_seen > 50 && violated == 120, "{leaves} {splits_seen} {violated}");
    assert!(refused * 50 <= leaves, "the checker refused {refused} of {leaves}");
}

#[test]
fn a_search_that_splits_neurons_only_is_right_on_both_sides_of_the_exact_minimum() {
    let mut random = Random(14);
    for case in 0..40 {
        let hidden: &[usize] = [&[6][..], &[4, 4], &[3, 3, 3]][case % 3];
        let chain = network(&mut random, hidden);
        let least = patterns(hidden.iter().sum()).filter_map(|p| least_in(&chain, &p)).min();
        let least = least.expect("the square is not empty").to_f64().expect("a number");
        let settings = Settings {
            branching: Branching::Neurons,
            threads: 1,
            timeout: Duration::from_secs(60),
            ..Settings::default()
        };
        let stop = AtomicBool::new(false);
        let decide = |rhs: f64| verify(&chain, &property(rhs), &settings, &stop, &Silent).verdict;
        let below = decide(least - 1e-4);
        assert!(matches!(below, Verdict::Holds(_)), "case {case}: {below:?} below the minimum {least}");
        let above = decide(least + 1e-4);
        assert!(matches!(above, Verdict::Violated(_)), "case {case}: {above:?} above the minimum {least}");
    }
}
