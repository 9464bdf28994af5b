//! Branch and bound by fixing the signs of ReLUs, with α,β-CROWN: for networks with many inputs.
//!
//! A domain is a set of split neurons over the whole box. Its intervals are bounded anew by CROWN with the splits' cuts; rows
//! that this leaves undecided are optimised by α,β-CROWN, several domains in lanes. Slopes and multipliers go into
//! the leaf as hints for the checker, and on to the halves as a start. The neuron to split is the one whose relaxation loses
//! most in the undecided rows. Where few unstable neurons are left an LP decides, exactly where none is; what even that leaves
//! open, by rounding, is halved at the widest input. A tiny network is branched on by LPs alone.
//!
//! Source: Wang et al. 2021 (arXiv:2103.06624); scores after Bunel et al. 2020 (BaBSR, arXiv:1909.06588), intercept part.

use super::exact::{self, Decided};
use super::hull;
use super::shared::{Domain, Hint, Shared, Tools};
use crate::bounds::alpha_beta::{Climb, Found, Lane, optimise, optimised_bounds};
use crate::bounds::crown::{Bounds, Inherited, Mode, Region, bound_below};
use crate::search::Leaf;
use crate::search::tree::{Claim, Cut};
use std::sync::Arc;

/// Domains optimised together.
const BATCH: usize = 16;

/// For the root: longer, because its slopes start all others.
const ROOT: Climb = Climb { iterations: 60, alpha_rate: 0.1, beta_rate: 0.05, decay: 0.98 };
/// For every other domain.
const NODE: Climb = Climb { iterations: 20, alpha_rate: 0.05, beta_rate: 0.1, decay: 0.95 };

/// For looking at the halves of a candidate.
const LOOK: Climb = Climb { iterations: 5, alpha_rate: 0.05, beta_rate: 0.2, decay: 0.9 };

/// Neurons of a domain whose halves are looked at.
const CANDIDATES: usize = 3;

/// Most unstable neurons for which an undecided domain gets an LP.
const FEW: usize = 16;

/// Where every neuron is fixed, the multipliers alone decide, and the LP is too large.
const EXACT: Climb = Climb { iterations: 200, alpha_rate: 0.0, beta_rate: 0.3, decay: 0.97 };

/// What a bounded domain knows.
pub(super) struct Bounded {
    pub domain: Domain,
    /// Whether every interval has a point; else the intervals are not all there.
    pub possible: bool,
    pub bounds: Bounds,
    pub claims: Vec<Judged>,
}

impl Bounded {
    /// The neurons whose relaxation loses most in the undecided rows, at most `most`, best first.
    fn candidates(&self, shared: &Shared<'_>, most: usize) -> Vec<usize> {
        let mut scores = vec![0.0f32; shared.problem.parts.net.neurons()];
        let all_proved = self.claims.iter().all(|c| c.bound > 0.0);
        for found in
            self.claims.iter().filter(|c| c.bound <= 0.0 || all_proved).filter_map(|c| c.found.as_ref())
        {
            scores.iter_mut().zip(&found.gaps).for_each(|(s, g)| *s += g);
        }
        let mut neurons: Vec<usize> = (0..scores.len()).filter(|i| scores[*i] > 0.0).collect();
        let best_first = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]);
        if neurons.len() > most {
            neurons.select_nth_unstable_by(most, best_first);
            neurons.truncate(most);
        }
        neurons.sort_unstable_by(best_first);
        neurons
    }

    fn unstable(&self) -> usize {
        let unstable = |(l, u): &(&f32, &f32)| **l < 0.0 && **u > 0.0;
        self.bounds.layers.iter().map(|i| i.lower.iter().zip(&i.upper).filter(unstable).count()).sum()
    }

    fn no_neuron_left(&self) -> bool {
        self.unstable() == 0
    }

    pub(super) fn lowest(&self) -> f32 {
        self.claims.iter().map(|c| c.bound).fold(f32::INFINITY, f32::min)
    }

    /// What LPs say of a domain, if they are not too large.
    fn by_lp(&self, shared: &Shared<'_>) -> Option<Decided> {
        let deadline = Some(shared.budget.deadline());
        let decide = || {
            exact::decide(
                shared.problem,
                &self.domain,
                &self.bounds.layers,
                (shared.settings.lp_solver, deadline),
            )
        };
        self.possible.then(decide).flatten()
    }
}

/// How a disjunct stands.
pub(super) struct Judged {
    pub row: u16,
    pub bound: f32,
    found: Option<Found>,
}

/// Works until the pool is empty or the search ends.
pub(super) fn run(shared: &Shared<'_>, tools: &mut Tools<'_>) {
    loop {
        let batch = shared.pool.take_many(BATCH);
        if batch.is_empty() || shared.out_of_budget(batch.len()) {
            return;
        }
        let taken = batch.len();
        let children = step(shared, tools, batch);
        shared.pool.finish_many(taken, children);
    }
}

/// Bounds a batch; proves its domains, or returns their halves.
pub(super) fn step(shared: &Shared<'_>, tools: &mut Tools<'_>, batch: Vec<Domain>) -> Vec<Domain> {
    step_with(shared, tools, batch, hull::applies(shared.problem))
}

/// As [`step`]; a root that a climb does not prove is left as it is if `hand_over`.
pub(super) fn step_with(
    shared: &Shared<'_>,
    tools: &mut Tools<'_>,
    batch: Vec<Domain>,
    hand_over: bool,
) -> Vec<Domain> {
    let mut children = Vec::new();
    // What no neuron is left to split in, the LP decides: climbing could only approach it.
    let mut bounded = Vec::new();
    for domain in batch {
        let b = bound(shared, tools, domain);
        let decided = (b.lowest() <= 0.0 && b.no_neuron_left()).then(|| b.by_lp(shared)).flatten();
        match decided {
            Some(decided) => children.extend(conclude(shared, tools, b, decided)),
            None => bounded.push(b),
        }
    }
    climb(shared, &mut bounded);
    let mut open = Vec::new();
    for mut b in bounded {
        let lowest = b.lowest();
        if lowest > 0.0 {
            let leaf = leaf(shared, &b);
            if tools.prove(shared, &mut b.domain, leaf) {
                shared.note(lowest, 0.5f64.powi(b.domain.depth as i32));
                continue;
            }
        }
        if hand_over && b.domain.depth == 0 && b.possible {
            shared.note(lowest, 0.0);
            children.push(Domain { known: Some(Arc::new(b.bounds.layers)), ..b.domain });
            continue;
        }
        // Below the root, so that the attack on the whole box comes first.
        if b.domain.depth == 1 && b.possible {
            match exact::branch(shared, tools, b.domain, &b.bounds.layers) {
                Ok(left) => {
                    children.extend(left);
                    continue;
                }
                Err(domain) => b.domain = *domain,
            }
        }
        if b.unstable() <= FEW
            && let Some(decided) = b.by_lp(shared)
        {
            children.extend(conclude(shared, tools, b, decided));
            continue;
        }
        shared.note(lowest, 0.0);
        b.domain.bound = b.domain.bound.max(lowest);
        if shared.settings.attack && attack(shared, tools, &b) {
            return Vec::new();
        }
        if b.domain.is_hopeless() {
            shared.pool.lose(&b.domain);
        } else {
            open.push(b);
        }
    }
    let chosen = look_ahead(shared, &open);
    for (b, chosen) in open.into_iter().zip(chosen) {
        children.extend(split(shared, b, chosen));
    }
    children
}

/// Acts on what LPs say of a domain: proves it, tries its points, or returns its halves.
fn conclude(shared: &Shared<'_>, tools: &mut Tools<'_>, mut b: Bounded, decided: Decided) -> Vec<Domain> {
    let lowest = decided.lowest as f32;
    if let Some(leaf) = decided.leaf
        && tools.prove(shared, &mut b.domain, leaf)
    {
        shared.note(lowest, 0.5f64.powi(b.domain.depth as i32));
        return Vec::new();
    }
    shared.note(lowest, 0.0);
    b.domain.bound = b.domain.bound.max(lowest);
    if shared.settings.attack && tools.try_points(shared, decided.points.iter().map(Vec::as_slice)) {
        return Vec::new();
    }
    // The LP's point is the network's where nothing is relaxed: only rounding, or a disjunct of several rows, leaves that open.
    b.domain.refused += u8::from(b.no_neuron_left());
    if b.domain.is_hopeless() {
        shared.pool.lose(&b.domain);
        return Vec::new();
    }
    split(shared, b, None)
}

/// Runs of domains that share a box.
fn same_box(bounded: &[Bounded]) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut at = 0;
    bounded.chunk_by(|a, b| a.domain.lower == b.domain.lower && a.domain.upper == b.domain.upper).map(
        move |run| {
            at += run.len();
            at - run.len()..at
        },
    )
}

/// For each domain, the one of its candidates whose halves gain most in a short climb; `None` where there is no choice.
///
/// Source: filtered smart branching, De Palma et al. 2021 (arXiv:2104.06718); a candidate's score is the product of both
/// halves' gains, as in strong branching, so that one good half does not outweigh a useless one.
fn look_ahead(shared: &Shared<'_>, open: &[Bounded]) -> Vec<Option<usize>> {
    let problem = shared.problem;
    let mut chosen = vec![None; open.len()];
    for run in same_box(open) {
        let (lower, upper) = open[run.start].domain.rounded();
        let mut looks = Vec::new();
        for index in run {
            let b = &open[index];
            let worst = (0..b.claims.len()).filter(|d| b.claims[*d].found.is_some());
            let Some(d) = worst.min_by(|a, c| b.claims[*a].bound.total_cmp(&b.claims[*c].bound)) else {
                continue;
            };
            let candidates = b.candidates(shared, CANDIDATES);
            if candidates.len() > 1 && b.claims[d].bound < 0.0 {
                looks.extend(
                    candidates
                        .into_iter()
                        .flat_map(|n| [true, false].map(|s| Look::new(shared, b, (index, d), n, s))),
                );
            }
        }
        if looks.is_empty() || shared.budget.is_spent() {
            continue;
        }
        let lanes: Vec<Lane<'_>> = looks
            .iter()
            .map(|look| Lane {
                intervals: &open[look.domain].bounds.layers,
                row: problem.first_row[look.disjunct] + open[look.domain].claims[look.disjunct].row as usize,
                splits: &look.splits,
                alpha: &look.alpha,
                beta: &look.beta,
            })
            .collect();
        let region = Region { lower: &lower, upper: &upper };
        let found = optimised_bounds(&problem.parts.net, &problem.spec, region, &lanes, LOOK);
        let mut best = vec![f32::NEG_INFINITY; open.len()];
        for (look, halves) in looks.chunks_exact(2).zip(found.chunks_exact(2)) {
            let (look, from) = (&look[0], open[look[0].domain].claims[look[0].disjunct].bound);
            // What a half gains beyond 0 counts for nothing.
            let gain = |bound: f32| (bound.min(0.0) - from).max(1e-6 * -from);
            let score = gain(halves[0]) * gain(halves[1]);
            if score > best[look.domain] {
                (best[look.domain], chosen[look.domain]) = (score, Some(look.neuron));
            }
        }
    }
    chosen
}

/// One half of a candidate's split.
struct Look {
    domain: usize,
    disjunct: usize,
    /// Among all hidden neurons.
    neuron: usize,
    splits: Vec<(usize, usize, bool)>,
    alpha: Vec<u8>,
    beta: Vec<f32>,
}

impl Look {
    fn new(
        shared: &Shared<'_>,
        b: &Bounded,
        (domain, disjunct): (usize, usize),
        neuron: usize,
        active: bool,
    ) -> Self {
        let (layer, place) = shared.problem.hidden_neuron(neuron);
        let mut splits = b.domain.splits.clone();
        splits.push((layer, place, active));
        let found = b.claims[disjunct].found.as_ref();
        let alpha =
            found.map_or_else(Vec::new, |f| f.alpha.iter().map(|a| (a * 255.0).round() as u8).collect());
        let beta = found.map_or_else(Vec::new, |f| f.beta.clone());
        Self { domain, disjunct, neuron, splits, alpha, beta }
    }
}

/// CROWN with the domain's splits.
pub(super) fn bound(shared: &Shared<'_>, tools: &mut Tools<'_>, domain: Domain) -> Bounded {
    let problem = shared.problem;
    let net = &problem.parts.net;
    let mut signs: Vec<Vec<i8>> = net.hidden.iter().map(|h| vec![0; h.rows]).collect();
    for (k, i, active) in &domain.splits {
        signs[*k][*i] = if *active { 1 } else { -1 };
    }
    let (lower, upper) = domain.rounded();
    let mut bounds = Bounds::default();
    let region = Region { lower: &lower, upper: &upper };
    // A split changes what follows its layer; half of a coordinate changes everything.
    let same = match domain.cut {
        Some(layer) => layer + 1,
        None => 0,
    };
    let inherited = domain.known.as_deref().map(|layers| Inherited { layers, same });
    let (spec, scratch) = (&problem.spec, &mut tools.scratch);
    let possible = bound_below(net, spec, region, (&signs, inherited), Mode::Default, scratch, &mut bounds);
    let claims = (0..problem.disjuncts())
        .map(|d| {
            if possible {
                let (row, bound) = problem.best_row(d, &bounds.rows);
                Judged { row, bound, found: None }
            } else {
                // Empty: the checker finds that out by itself, whatever the claim.
                Judged { row: 0, bound: f32::INFINITY, found: None }
            }
        })
        .collect();
    Bounded { domain, possible, bounds, claims }
}

/// α,β-CROWN on the undecided rows of all domains that share a box.
fn climb(shared: &Shared<'_>, bounded: &mut [Bounded]) {
    let problem = shared.problem;
    let runs: Vec<_> = same_box(bounded).collect();
    for run in runs {
        let (lower, upper) = bounded[run.start].domain.rounded();
        let mut owners = Vec::new();
        let mut lanes = Vec::new();
        for (index, b) in bounded[run.clone()].iter().enumerate() {
            for (d, judged) in b.claims.iter().enumerate().filter(|(_, c)| c.bound <= 0.0) {
                let hint = b.domain.hints.iter().find(|h| h.disjunct == d);
                owners.push((run.start + index, d));
                lanes.push(Lane {
                    intervals: &b.bounds.layers,
                    row: problem.first_row[d] + judged.row as usize,
                    splits: &b.domain.splits,
                    alpha: hint.map_or(&[], |h| &h.alpha),
                    beta: hint.map_or(&[], |h| &h.beta),
                });
            }
        }
        if !lanes.is_empty() {
            let exact = bounded[run.clone()].iter().all(|b| b.no_neuron_left());
            let climb = match bounded[run.start].domain.depth {
                0 => ROOT,
                _ if exact => EXACT,
                _ => NODE,
            };
            let region = Region { lower: &lower, upper: &upper };
            let found = optimise(&problem.parts.net, &problem.spec, region, &lanes, climb);
            for ((index, d), found) in owners.into_iter().zip(found) {
                let judged = &mut bounded[index].claims[d];
                judged.bound = judged.bound.max(found.bound);
                judged.found = Some(found);
            }
        }
    }
}

/// The leaf that the checker is to accept.
pub(super) fn leaf(shared: &Shared<'_>, b: &Bounded) -> Leaf {
    let claim = |judged: &Judged| {
        let found = judged.found.as_ref();
        Claim {
            row: judged.row,
            alpha: found.map_or_else(Vec::new, |f| shared.problem.program_alpha(&f.alpha)),
            beta: found.map_or_else(Vec::new, |f| f.beta.clone()),
            ..Claim::default()
        }
    };
    Leaf { claims: b.claims.iter().map(claim).collect() }
}

/// Tries the points that attain the linear bounds.
fn attack(shared: &Shared<'_>, tools: &mut Tools<'_>, b: &Bounded) -> bool {
    let box_ = &shared.problem.case.region;
    let ends = box_.witness_lower.iter().zip(&box_.witness_upper);
    let inside =
        |point: &[f32]| point.iter().zip(ends.clone()).map(|(x, (l, u))| x.max(*l).min(*u)).collect();
    // Where every bound overflowed there is no point.
    let found = b.claims.iter().filter_map(|c| c.found.as_ref()).filter(|f| !f.point.is_empty());
    let points: Vec<Vec<f32>> = found.map(|f| inside(&f.point)).collect();
    tools.try_points(shared, points.iter().map(Vec::as_slice))
}

/// The two halves of a domain: of the neuron chosen, or of the one that loses most.
fn split(shared: &Shared<'_>, b: Bounded, chosen: Option<usize>) -> Vec<Domain> {
    let best = b.candidates(shared, 1).first().copied();
    let best = chosen.or(best);
    let Bounded { domain, claims, bounds, possible } = b;
    let known = possible.then(|| Arc::new(bounds.layers));
    let mut hints = Vec::new();
    for (disjunct, judged) in claims.into_iter().enumerate() {
        let Some(found) = judged.found else { continue };
        let alpha = found.alpha.iter().map(|a| (a * 255.0).round() as u8).collect();
        hints.push(Hint { disjunct, alpha, beta: found.beta.into() });
    }
    let Some(neuron) = best else {
        let widest = domain.widest();
        return match widest {
            Some((coordinate, value)) => shared.halve(
                Domain { hints, known, ..domain },
                Cut::Input { coordinate: coordinate as u16, value },
            ),
            // Stays open: the search goes on for a counterexample, and cannot end in `Holds`.
            None => {
                shared.pool.lose(&domain);
                Vec::new()
            }
        };
    };
    let (layer, neuron) = shared.problem.hidden_neuron(neuron);
    shared.halve(
        Domain { hints, known, ..domain },
        Cut::Neuron { layer: shared.problem.program_layer(layer), neuron: neuron as u32 },
    )
}
