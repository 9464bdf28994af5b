//! The complete fallback on chains: LPs decide a domain with few or no neurons left unstable, a MIP a tiny network.

use super::problem::CaseProblem;
use super::shared::{Domain, Shared, Tools};
use crate::bounds::crown::Interval;
use crate::search::Leaf;
use crate::search::lp::chain::{ChainDomain, row};
use crate::search::lp::mip::{self, MipLimits, MipNode, MipOutcome};
use crate::search::lp::{Linear, Refuted, Relaxation, Solver, decide_leaf};
use crate::search::tree::{Claim, Cut};
use std::time::Instant;

/// Largest relaxation, in numbers of its rows, for which a domain's LP is built.
const LARGEST: usize = 4_000_000;
/// Most unstable neurons that a MIP takes on: with more, slopes and multipliers that are climbed in lanes
/// bound many domains in the time of one LP (`hyperrectangle_2757` of safenlp's medical set: 0.2 s of processor time for 943
/// domains, but no answer of the MIP in 4 s).
const TINY: usize = 20;
/// Nodes of a MIP.
const NODES: usize = 4_000;

/// What LPs say of a domain.
pub(super) struct Decided {
    /// Claims for the checker, if every disjunct is refuted.
    pub leaf: Option<Leaf>,
    /// Inputs to try.
    pub points: Vec<Vec<f32>>,
    /// Lowest bound over the disjuncts.
    pub lowest: f64,
}

/// A domain of `problem` in the LP's view.
fn view<'a>(problem: &'a CaseProblem<'_>, domain: &'a Domain, intervals: &'a [Interval]) -> ChainDomain<'a> {
    let region = (domain.lower.as_slice(), domain.upper.as_slice());
    ChainDomain { layers: problem.parts.layers, region, intervals, splits: &domain.splits }
}

/// The rows of the case in the columns of a relaxation.
fn rows(problem: &CaseProblem<'_>, outputs: &[Linear]) -> Vec<Vec<Linear>> {
    let of = |r: &crate::property::Row| row(outputs, &r.coefficients, r.rhs_upper);
    problem.case.disjuncts.iter().map(|d| d.rows.iter().map(of).collect()).collect()
}

/// Decides a domain by LPs; `None` if they would be too large.
pub(super) fn decide(
    problem: &CaseProblem<'_>,
    domain: &Domain,
    intervals: &[Interval],
    (solver, deadline): (Solver, Option<Instant>),
) -> Option<Decided> {
    let chain = view(problem, domain, intervals);
    if chain.size() > LARGEST {
        return None;
    }
    let (relaxation, outputs) = chain.relax().ok()?;
    let decision = decide_leaf(&relaxation, &rows(problem, &outputs), solver, deadline);
    let proved = decision.is_proved();
    let claims = decision.refuted.iter().flatten().map(|r| claim(problem, intervals, &relaxation, r));
    Some(Decided {
        leaf: proved.then(|| Leaf { claims: claims.collect() }),
        points: decision.points.iter().map(|p| witness(problem, p)).collect(),
        lowest: decision.lowest,
    })
}

/// A point of the LP, in `f32` and in the box of witnesses.
fn witness(problem: &CaseProblem<'_>, point: &[f64]) -> Vec<f32> {
    let region = &problem.case.region;
    let ends = region.witness_lower.iter().zip(&region.witness_upper);
    point.iter().zip(ends).map(|(x, (l, u))| (*x as f32).max(*l).min(*u)).collect()
}

/// The LP's evidence as a claim.
fn claim(problem: &CaseProblem<'_>, intervals: &[Interval], relaxation: &Relaxation, r: &Refuted) -> Claim {
    let beta = r.evidence.beta.iter().map(|b| *b as f32).collect();
    if relaxation.is_exact() {
        return Claim { row: r.row, beta, ..Claim::default() };
    }
    let adaptive = |(l, u): (&f32, &f32)| if *u > -*l { 1.0f32 } else { 0.0 };
    let mut alpha: Vec<f32> =
        intervals.iter().flat_map(|i| i.lower.iter().zip(&i.upper).map(adaptive)).collect();
    r.evidence.shares.iter().for_each(|(id, share)| alpha[*id] = *share as f32);
    Claim { row: r.row, alpha: problem.program_alpha(&alpha), beta, ..Claim::default() }
}

/// Decides a domain of a tiny network by a MIP: proves it in the tree, or ends the search with a counterexample, and returns the
/// subdomains that stay open. `Err` gives the domain back untouched: the network is not tiny.
pub(super) fn branch(
    shared: &Shared<'_>,
    tools: &mut Tools<'_>,
    domain: Domain,
    intervals: &[Interval],
) -> Result<Vec<Domain>, Box<Domain>> {
    let problem = shared.problem;
    let unstable =
        |i: &Interval| i.lower.iter().zip(&i.upper).filter(|(l, u)| **l < 0.0 && **u > 0.0).count();
    let chain = view(problem, &domain, intervals);
    if intervals.iter().map(unstable).sum::<usize>() > TINY || chain.size() > LARGEST {
        return Err(Box::new(domain));
    }
    let Ok((relaxation, outputs)) = chain.relax() else { return Err(Box::new(domain)) };
    let limits = MipLimits { nodes: NODES, deadline: Some(shared.budget.deadline()) };
    let mut is_violated = |point: &[f64]| {
        let point = witness(problem, point);
        shared.settings.attack && tools.try_points(shared, std::iter::once(point.as_slice()))
    };
    match mip::solve(&relaxation, &rows(problem, &outputs), limits, &mut is_violated) {
        MipOutcome::Violated(_) => Ok(Vec::new()),
        MipOutcome::Tree(tree) => {
            let (node, whole) = (domain.node, tree.len() == 1);
            let mut open = graft(shared, tools, domain, intervals, (&relaxation, &tree));
            // Nothing was split, and the checker did not take it: the search goes on with it.
            match open.pop_if(|d| whole && d.node == node) {
                Some(domain) => Err(Box::new(domain)),
                None => Ok(open),
            }
        }
    }
}

/// Puts a MIP's tree below the domain's node; returns what the checker did not accept and what stayed open.
fn graft(
    shared: &Shared<'_>,
    tools: &mut Tools<'_>,
    domain: Domain,
    intervals: &[Interval],
    (relaxation, tree): (&Relaxation, &[MipNode]),
) -> Vec<Domain> {
    let problem = shared.problem;
    let mut open = Vec::new();
    let mut stack = vec![(0usize, domain)];
    while let Some((node, mut domain)) = stack.pop() {
        match &tree[node] {
            MipNode::Open => open.push(domain),
            MipNode::Leaf(refuted) => {
                let claims = refuted.iter().map(|r| claim(problem, intervals, relaxation, r)).collect();
                let depth = domain.depth;
                if tools.prove(shared, &mut domain, Leaf { claims }) {
                    shared.note(0.0, 0.5f64.powi(depth as i32));
                } else {
                    open.push(domain);
                }
            }
            MipNode::Split { id, first } => {
                let (layer, neuron) = problem.hidden_neuron(*id);
                let cut = Cut::Neuron { layer: problem.program_layer(layer), neuron: neuron as u32 };
                let mut halves = shared.halve(domain, cut).into_iter();
                // The first one is last.
                let (inactive, active) = (halves.next(), halves.next());
                stack.extend(inactive.map(|d| (first + 1, d)));
                stack.extend(active.map(|d| (*first, d)));
            }
        }
    }
    open
}
