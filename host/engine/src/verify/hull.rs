//! Branch and bound by fixing the signs of ReLUs, for networks of one hidden layer: LPs with planes above the neurons.
//!
//! With one hidden layer a row is `Σ cᵢ relu(zᵢ)` of affine `z`: where `cᵢ > 0` the LP is exact, where `cᵢ < 0` it is as good as the plane
//! above the neuron. The planes of the convex hull over the box ([`crate::search::lp::planes`]) leave so little that one LP is
//! worth hundreds of domains bounded by slopes alone. The neuron to split is the one that the minimiser is furthest off, times
//! its coefficient.

use super::problem::CaseProblem;
use super::relu_split;
use super::shared::{Domain, Shared, Tools};
use crate::search::Leaf;
use crate::search::lp::chain::{ChainDomain, row};
use crate::search::lp::planes::{FIRST_ROUNDS, Minimum, Plane, ROUNDS, minimise};
use crate::search::lp::{Linear, Relaxation};
use crate::search::tree::{Claim, Cut, Planes};
use certus_core::Affine;

/// Largest first layer, in weights, for which LPs are built.
const LARGEST: usize = 1 << 14;

/// Whether the network has the one hidden layer, and is small enough.
pub(super) fn applies(problem: &CaseProblem<'_>) -> bool {
    let Some(first) = problem.parts.layers.first() else { return false };
    let small = matches!(first.affine(), Affine::Dense(d) if d.rows() * d.cols() <= LARGEST);
    first.relu() && small && problem.parts.net.hidden.len() == 1
}

/// Works until the pool is empty or the search ends.
pub(super) fn run(shared: &Shared<'_>, tools: &mut Tools<'_>) {
    while let Some(domain) = shared.pool.take() {
        if shared.out_of_budget(1) {
            return;
        }
        let children = step(shared, tools, domain);
        shared.pool.finish(children);
    }
}

/// What LPs say of a domain.
struct Decided {
    /// Per disjunct: the row, and its minimum unless slopes alone prove it.
    minima: Vec<(u16, Option<Minimum>)>,
    /// Loss of each unstable neuron at the minimisers of disjuncts that need LPs: neuron, loss.
    losses: Vec<(usize, f64)>,
}

/// Bounds a domain; proves it, or returns its halves.
fn step(shared: &Shared<'_>, tools: &mut Tools<'_>, domain: Domain) -> Vec<Domain> {
    let mut b = relu_split::bound(shared, tools, domain);
    let lowest = b.lowest();
    if lowest > 0.0 {
        let leaf = relu_split::leaf(shared, &b);
        if tools.prove(shared, &mut b.domain, leaf) {
            shared.note(lowest, 0.5f64.powi(b.domain.depth as i32));
            return Vec::new();
        }
    }
    let decided = if b.possible { decide(shared, &b) } else { None };
    let Some(decided) = decided else { return relu_split::step_with(shared, tools, vec![b.domain], false) };
    let bounds = decided.minima.iter().flat_map(|(_, m)| m).map(|m| m.bound as f32);
    let lowest = bounds.fold(f32::INFINITY, f32::min);
    if lowest > 0.0 {
        let leaf = leaf(shared.problem, &b, &decided);
        if tools.prove(shared, &mut b.domain, leaf) {
            shared.note(lowest, 0.5f64.powi(b.domain.depth as i32));
            return Vec::new();
        }
    }
    let points: Vec<Vec<f32>> = points(shared.problem, &decided);
    if shared.settings.attack && tools.try_points(shared, points.iter().map(Vec::as_slice)) {
        return Vec::new();
    }
    // Where no neuron is off, only rounding or a disjunct of several rows leaves the domain open.
    let Some((neuron, _)) = decided.losses.iter().max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return relu_split::step_with(shared, tools, vec![b.domain], false);
    };
    shared.note(lowest, 0.0);
    b.domain.bound = b.domain.bound.max(lowest);
    b.domain.known = Some(std::sync::Arc::new(b.bounds.layers));
    b.domain.planes = decided.minima.iter().flat_map(|(_, m)| m).flat_map(|m| m.tight.clone()).collect();
    let (layer, neuron) = shared.problem.hidden_neuron(*neuron);
    let layer = shared.problem.program_layer(layer);
    shared.halve(b.domain, Cut::Neuron { layer, neuron: neuron as u32 })
}

/// The LPs of the disjuncts that slopes alone leave open.
fn decide(shared: &Shared<'_>, b: &relu_split::Bounded) -> Option<Decided> {
    let problem = shared.problem;
    let domain = &b.domain;
    let region = (domain.lower.as_slice(), domain.upper.as_slice());
    let intervals = &b.bounds.layers;
    let chain = ChainDomain { layers: problem.parts.layers, region, intervals, splits: &domain.splits };
    let (relaxation, outputs) = chain.relax().ok()?;
    let deadline = Some(shared.budget.deadline());
    let rounds = if domain.depth == 0 { FIRST_ROUNDS } else { ROUNDS };
    let mut decided = Decided { minima: Vec::new(), losses: Vec::new() };
    for (judged, disjunct) in b.claims.iter().zip(&problem.case.disjuncts) {
        let mut minimum = None;
        if judged.bound <= 0.0 {
            let statement = &disjunct.rows[usize::from(judged.row)];
            let row = row(&outputs, &statement.coefficients, statement.rhs_upper);
            let found = minimise(&relaxation, &row, &domain.planes, rounds, deadline);
            decided.losses.extend(losses(&relaxation, &row, &found));
            minimum = Some(found);
        }
        decided.minima.push((judged.row, minimum));
    }
    Some(decided)
}

/// What neurons lose at the minimiser of a row; as good as nothing is left out.
fn losses(relaxation: &Relaxation, row: &Linear, found: &Minimum) -> Vec<(usize, f64)> {
    let Some(point) = &found.point else { return Vec::new() };
    let cost = relaxation.cost(row);
    let loss = |n: &crate::search::lp::relaxation::Unstable| (n.id, n.gap(point) * cost[n.column].abs());
    let losses = relaxation.unstable().iter().map(loss);
    losses.filter(|(_, loss)| *loss > 1e-9 * (1.0 + found.bound.abs())).collect()
}

/// The claims that the checker is to accept.
fn leaf(problem: &CaseProblem<'_>, b: &relu_split::Bounded, decided: &Decided) -> Leaf {
    let adaptive = |(l, u): (&f32, &f32)| if *u > -*l { 1.0f32 } else { 0.0 };
    let intervals = &b.bounds.layers;
    let claim = |(row, minimum): &(u16, Option<Minimum>)| {
        let Some(minimum) = minimum else { return Claim { row: *row, ..Claim::default() } };
        let mut alpha: Vec<f32> =
            intervals.iter().flat_map(|i| i.lower.iter().zip(&i.upper).map(adaptive)).collect();
        minimum.evidence.shares.iter().for_each(|(id, share)| alpha[*id] = *share as f32);
        Claim {
            row: *row,
            alpha: problem.program_alpha(&alpha),
            beta: minimum.evidence.beta.iter().map(|b| *b as f32).collect(),
            planes: to_bytes(&minimum.planes),
            ..Claim::default()
        }
    };
    Leaf { claims: decided.minima.iter().map(claim).collect() }
}

/// Planes as a proof has them; the first layer's neurons are the first.
fn to_bytes(planes: &[Plane]) -> Planes {
    let mut bytes = Vec::new();
    for plane in planes {
        bytes.extend((plane.id as u16).to_le_bytes());
        bytes.extend(plane.shares.iter().map(|share| (share * 255.0).round() as u8));
    }
    Planes { count: planes.len() as u16, bytes }
}

/// The minimisers, in `f32` and in the box of witnesses.
fn points(problem: &CaseProblem<'_>, decided: &Decided) -> Vec<Vec<f32>> {
    let region = &problem.case.region;
    let inside = |point: &Vec<f64>| {
        let ends = region.witness_lower.iter().zip(&region.witness_upper);
        point.iter().zip(ends).map(|(x, (l, u))| (*x as f32).max(*l).min(*u)).collect()
    };
    decided.minima.iter().filter_map(|(_, m)| m.as_ref()?.point.as_ref()).map(inside).collect()
}
