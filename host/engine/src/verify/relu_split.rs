//! Branch and bound by fixing the signs of ReLUs, with α,β-CROWN: for networks with many inputs.
//!
//! A domain is a set of split neurons over the whole box. Its intervals are bounded anew by CROWN with the splits' cuts; rows
//! that this leaves undecided are optimised by α,β-CROWN, several domains in lanes. Slopes and multipliers go into
//! the leaf as hints for the checker, and on to the halves as a start. The neuron to split is the one whose relaxation loses
//! most in the undecided rows; where no unstable neuron is left, the widest input is halved.
//!
//! Source: Wang et al. 2021 (arXiv:2103.06624); scores after Bunel et al. 2020 (BaBSR, arXiv:1909.06588), intercept part.

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

/// Where every neuron is fixed and the multipliers alone decide.
const EXACT: Climb = Climb { iterations: 200, alpha_rate: 0.0, beta_rate: 0.3, decay: 0.97 };

/// What a bounded domain knows.
struct Bounded {
    domain: Domain,
    bounds: Bounds,
    claims: Vec<Judged>,
}

impl Bounded {
    fn no_neuron_left(&self) -> bool {
        let unstable = |(l, u): (&f32, &f32)| *l < 0.0 && *u > 0.0;
        !self.bounds.layers.iter().any(|i| i.lower.iter().zip(&i.upper).any(unstable))
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
    let mut bounded: Vec<Bounded> = batch.into_iter().map(|domain| bound(shared, tools, domain)).collect();
    climb(shared, &mut bounded);
    let mut children = Vec::new();
    for mut b in bounded {
        let lowest = b.claims.iter().map(|c| c.bound).fold(f32::INFINITY, f32::min);
        if lowest > 0.0 {
            let leaf = leaf(shared, &b);
            if tools.prove(shared, &mut b.domain, leaf) {
                shared.note(lowest, 0.5f64.powi(b.domain.depth as i32));
                continue;
            }
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
    // Where every bound overflowed there is no point.
    let found = b.claims.iter().filter_map(|c| c.found.as_ref()).filter(|f| !f.point.is_empty());
    let points: Vec<Vec<f32>> = found.map(|f| inside(&f.point)).collect();
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
