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
use super::shared::{Domain, Hint, Shared, Tools};
use crate::bounds::alpha_beta::{Climb, Found, Lane, optimise};
use crate::bounds::crown::{self, Bounds, Mode, Region};
use crate::search::Leaf;
use crate::search::tree::{Claim, Cut};

/// Domains optimised together.
const BATCH: usize = 8;

/// For the root: longer, because its slopes start all others.
const ROOT: Climb = Climb { iterations: 60, alpha_rate: 0.1, beta_rate: 0.05, decay: 0.98 };
/// For every other domain.
const NODE: Climb = Climb { iterations: 20, alpha_rate: 0.05, beta_rate: 0.1, decay: 0.95 };

/// Where every neuron is fixed, the multipliers alone decide, and the LP is too large.
const EXACT: Climb = Climb { iterations: 200, alpha_rate: 0.0, beta_rate: 0.3, decay: 0.97 };

/// What a bounded domain knows.
struct Bounded {
    domain: Domain,
    bounds: Bounds,
    claims: Vec<Judged>,
}

/// Most unstable neurons for which an undecided domain gets an LP.
const FEW: usize = 24;

impl Bounded {
    fn unstable(&self) -> usize {
        let unstable = |(l, u): &(&f32, &f32)| **l < 0.0 && **u > 0.0;
        self.bounds.layers.iter().map(|i| i.lower.iter().zip(&i.upper).filter(unstable).count()).sum()
    }

    fn no_neuron_left(&self) -> bool {
        self.unstable() == 0
    }

    fn lowest(&self) -> f32 {
        self.claims.iter().map(|c| c.bound).fold(f32::INFINITY, f32::min)
    }

    /// What LPs say of a domain, if they are not too large.
    fn by_lp(&self, shared: &Shared<'_>) -> Option<Decided> {
        exact::decide(shared.problem, &self.domain, &self.bounds.layers, Some(shared.budget.deadline()))
    }
}

/// How a disjunct stands.
struct Judged {
    row: u16,
    bound: f32,
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
    for mut b in bounded {
        let lowest = b.lowest();
        if lowest > 0.0 {
            let leaf = leaf(shared, &b);
            if tools.prove(shared, &mut b.domain, leaf) {
                shared.note(lowest, 0.5f64.powi(b.domain.depth as i32));
                continue;
            }
        }
        if b.domain.depth == 0 && lowest <= 0.0 {
            match exact::branch(shared, tools, b.domain, &b.bounds.layers) {
                Ok(open) => {
                    children.extend(open);
                    continue;
                }
                Err(domain) => b.domain = domain,
            }
        }
        if b.unstable() <= FEW
            && let Some(decided) = b.by_lp(shared)
        {
            children.extend(conclude(shared, tools, b, decided));
            continue;
        }
        shared.note(lowest, 0.0);
        if shared.settings.attack && attack(shared, tools, &b) {
            return Vec::new();
        }
        if !b.domain.is_hopeless() {
            children.extend(split(shared, b));
        }
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
    if shared.settings.attack && tools.try_points(shared, decided.points.iter().map(Vec::as_slice)) {
        return Vec::new();
    }
    // The LP's point is the network's where nothing is relaxed: only rounding, or a disjunct of several rows, leaves that open.
    b.domain.refused += u8::from(b.no_neuron_left());
    if b.domain.is_hopeless() { Vec::new() } else { split(shared, b) }
}

/// CROWN with the domain's splits.
fn bound(shared: &Shared<'_>, tools: &mut Tools<'_>, domain: Domain) -> Bounded {
    let problem = shared.problem;
    let net = &problem.parts.net;
    let mut signs: Vec<Vec<i8>> = net.hidden.iter().map(|h| vec![0; h.rows]).collect();
    for (k, i, active) in &domain.splits {
        signs[*k][*i] = if *active { 1 } else { -1 };
    }
    let (lower, upper) = domain.rounded();
    let mut bounds = Bounds::default();
    let region = Region { lower: &lower, upper: &upper };
    let possible =
        crown::bound(net, &problem.spec, region, &signs, Mode::Default, &mut tools.scratch, &mut bounds);
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
    Bounded { domain, bounds, claims }
}

/// α,β-CROWN on the undecided rows of all domains that share a box.
fn climb(shared: &Shared<'_>, bounded: &mut [Bounded]) {
    let problem = shared.problem;
    let mut at = 0;
    while at < bounded.len() {
        let box_of = |b: &Bounded| (b.domain.lower.clone(), b.domain.upper.clone());
        let here = box_of(&bounded[at]);
        let end = at + bounded[at..].iter().take_while(|b| box_of(b) == here).count();
        let (lower, upper) = bounded[at].domain.rounded();
        let mut owners = Vec::new();
        let mut lanes = Vec::new();
        for (index, b) in bounded[at..end].iter().enumerate() {
            for (d, judged) in b.claims.iter().enumerate().filter(|(_, c)| c.bound <= 0.0) {
                let hint = b.domain.hints.iter().find(|h| h.disjunct == d);
                owners.push((at + index, d));
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
            let exact = bounded[at..end].iter().all(|b| b.no_neuron_left());
            let climb = match bounded[at].domain.depth {
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
        at = end;
    }
}

/// The leaf that the checker is to accept.
fn leaf(shared: &Shared<'_>, b: &Bounded) -> Leaf {
    let claim = |judged: &Judged| {
        let found = judged.found.as_ref();
        Claim {
            row: judged.row,
            alpha: found.map_or_else(Vec::new, |f| shared.problem.program_alpha(&f.alpha)),
            beta: found.map_or_else(Vec::new, |f| f.beta.clone()),
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
    let points: Vec<Vec<f32>> =
        b.claims.iter().filter_map(|c| c.found.as_ref()).map(|f| inside(&f.point)).collect();
    tools.try_points(shared, points.iter().map(Vec::as_slice))
}

/// The two halves of a domain.
fn split(shared: &Shared<'_>, b: Bounded) -> Vec<Domain> {
    let Bounded { domain, claims, .. } = b;
    let mut scores = vec![0.0f32; shared.problem.parts.net.neurons()];
    let mut hints = Vec::new();
    let all_proved = claims.iter().all(|c| c.bound > 0.0);
    for (disjunct, judged) in claims.into_iter().enumerate() {
        let Some(found) = judged.found else { continue };
        if judged.bound <= 0.0 || all_proved {
            scores.iter_mut().zip(&found.gaps).for_each(|(s, g)| *s += g);
        }
        hints.push(Hint { disjunct, alpha: found.alpha, beta: found.beta });
    }
    let best =
        (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).filter(|i| scores[*i] > 0.0);
    let Some(neuron) = best else {
        let widest = domain.widest();
        return match widest {
            Some((coordinate, value)) => {
                shared.halve(Domain { hints, ..domain }, Cut::Input { coordinate: coordinate as u16, value })
            }
            // Stays open: the search goes on for a counterexample, and cannot end in `Holds`.
            None => Vec::new(),
        };
    };
    let (layer, neuron) = shared.problem.hidden_neuron(neuron);
    shared.halve(
        Domain { hints, ..domain },
        Cut::Neuron { layer: shared.problem.program_layer(layer), neuron: neuron as u32 },
    )
}
