//! Branch and bound by splitting computed values, with α,β-CROWN: for networks with many inputs.
//!
//! The checker's bounds at the root are those of all domains: a split cuts the interval of its own value, interval arithmetic
//! carries that forward, and slopes `α` and multipliers `β` of every row that is not refuted yet are optimised, many domains in lanes.
//! So a leaf costs the checker a lane of a backward pass. Below the root, every disjunct that is open is searched on its own.
//!
//! Source: Wang et al. 2021 (arXiv:2103.06624); intermediate bounds fixed at the root as in its implementation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::branch::candidates;
use super::domain::{Domain, Hint};
use super::tree::{Cut, LeafClaim};
use super::worker::{Base, Worker};
use crate::bounds::program::batch::{Found, Lane, LaneClimb, Node, Start, claims, optimise, rebound};
use crate::bounds::program::{self as bounds, Intermediate, Interval, Region};
use certus_core::proof::program::Split;

/// Lanes that a batch aims at.
const BATCH_LANES: usize = 32;

/// Candidates that a look-ahead compares.
const LOOK_AHEAD: usize = 5;

/// Iterations of a domain.
const NODE: usize = 20;

/// A domain that is being bounded.
struct Bounded {
    domain: Domain,
    /// `None` where the splits leave nothing.
    intervals: Option<Vec<Interval>>,
    /// Per open disjunct that is not refuted, by its place among the domain's hints.
    found: Vec<(usize, Found)>,
}

impl Bounded {
    fn lowest(&self) -> f32 {
        match self.intervals {
            Some(_) => self.found.iter().map(|(_, f)| f.bound).fold(f32::INFINITY, f32::min),
            None => f32::INFINITY,
        }
    }
}

/// What the checker says of a domain that is held for proved.
enum Closed {
    Proved,
    /// Rows that were refuted above are to be optimised here.
    Again,
    Open,
}

/// What the domains of a value search have in common.
pub struct Values<'b> {
    /// The lemma at the root.
    pub base: Base<'b>,
    /// Its bounds in `f32`.
    pub intervals: Vec<Interval>,
}

impl Worker<'_, '_> {
    /// Works until the pool is empty or the search ends.
    pub fn run_values(&mut self, values: &Values<'_>, workers: usize) {
        loop {
            let most = (BATCH_LANES / self.lanes_each.max(1)).max(1);
            let most = most.min(self.shared.pool.len() / workers + 1);
            let batch = self.shared.pool.take_many(most);
            if batch.is_empty() {
                return;
            }
            let taken = batch.len();
            if self.shared.out_of_budget() {
                self.shared.pool.finish_many(taken, []);
                return;
            }
            let batch = self.recheck(Some(&values.base), batch);
            let children = if batch.is_empty() { Vec::new() } else { self.step_values(values, batch, NODE) };
            self.shared.pool.finish_many(taken, children);
        }
    }

    /// Bounds the root and, for some time, what is split below it; returns what is open then.
    pub fn try_values(&mut self, values: &Values<'_>, root: Domain, time: Duration) -> Vec<Domain> {
        let mut open = self.step_root(values, root);
        let end = Instant::now() + time;
        while !open.is_empty() && Instant::now() < end && !self.shared.has_ended() {
            if self.shared.out_of_budget() {
                break;
            }
            let batch = open.split_off(open.len().saturating_sub(BATCH_LANES));
            open.extend(self.step_values(values, batch, NODE));
        }
        open
    }

    /// Bounds a batch; proves its domains, or returns their halves.
    pub fn step_values(&mut self, values: &Values<'_>, batch: Vec<Domain>, iterations: usize) -> Vec<Domain> {
        let climb = LaneClimb { iterations, threads: self.threads, ..LaneClimb::default() };
        let Some(bounded) = self.optimise_batch(values, batch, &climb) else {
            // Time is up; or nothing is known, and the domains stay open.
            self.shared.out_of_budget();
            return Vec::new();
        };
        let mut parts = Vec::new();
        for mut b in bounded {
            self.keep(&mut b);
            self.part(b, &mut parts);
        }
        let (mut refuted, mut open) = (Vec::new(), Vec::new());
        for mut b in parts {
            let mut closed = b.lowest() > 0.0;
            if !closed && let Some(intervals) = &b.intervals {
                if self.ask_lp(&mut b.domain, intervals) {
                    return Vec::new();
                }
                closed = b.domain.hints.iter().all(|h| h.claim.is_some());
            }
            if closed { &mut refuted } else { &mut open }.push(b);
        }
        let mut again = Vec::new();
        for b in &mut open {
            b.domain.bound = b.domain.bound.max(b.lowest());
            self.shared.note(b.lowest(), 0.0);
        }
        for (b, closed) in self.close(values, refuted) {
            let share = self.shared.share(&b.domain);
            self.shared.note(b.lowest(), if matches!(closed, Closed::Proved) { share } else { 0.0 });
            match closed {
                Closed::Proved => {}
                Closed::Again => again.push(b.domain),
                Closed::Open => open.push(b),
            }
        }
        if self.shared.settings.attack && self.attack_values(&open) {
            return Vec::new();
        }
        let mut children = self.split_values(values, open);
        children.append(&mut again);
        children
    }

    /// Intervals and optimised rows of all domains of a batch; `None` if time is up.
    fn optimise_batch(
        &mut self,
        values: &Values<'_>,
        batch: Vec<Domain>,
        climb: &LaneClimb,
    ) -> Option<Vec<Bounded>> {
        let problem = self.shared.problem;
        let boxes: Vec<_> = batch.iter().map(Domain::rounded).collect();
        let all = self.inherit(values, batch.iter().zip(&boxes).map(|(d, b)| (b, d.splits.as_slice())))?;
        let mut bounded: Vec<Bounded> = batch
            .into_iter()
            .zip(all)
            .map(|(domain, intervals)| Bounded { domain, intervals, found: Vec::new() })
            .collect();
        let (mut lanes, mut owners) = (Vec::new(), Vec::new());
        for (index, (b, (lower, upper))) in bounded.iter().zip(&boxes).enumerate() {
            let Some(intervals) = &b.intervals else { continue };
            for (d, hint) in b.domain.hints.iter().enumerate().filter(|(_, h)| h.claim.is_none()) {
                owners.push((index, d));
                lanes.push(Lane {
                    region: Region { lower, upper },
                    intervals,
                    row: problem.rows_of(b.domain.first + d).start + usize::from(hint.row),
                    splits: &b.domain.splits,
                    start: Some(&hint.start),
                });
            }
        }
        self.lanes_each = lanes.len().div_ceil(bounded.len().max(1));
        let found = optimise(&problem.parts.net, &problem.spec, &lanes, climb, self.shared.stop()).ok()?;
        drop(lanes);
        for ((index, d), found) in owners.into_iter().zip(found) {
            bounded[index].found.push((d, found));
        }
        Some(bounded)
    }

    /// The root's bounds, cut at the splits of each domain, as the checker cuts them; a smaller box is carried forward by interval
    /// arithmetic. `None` where the splits leave nothing.
    fn inherit<'d>(
        &self,
        values: &Values<'_>,
        domains: impl Iterator<Item = (&'d (Vec<f32>, Vec<f32>), &'d [Split])>,
    ) -> Option<Vec<Option<Vec<Interval>>>> {
        let net = &self.shared.problem.parts.net;
        let settings =
            bounds::Settings { intermediate: Intermediate::Interval, ..bounds::Settings::default() };
        let one = |((lower, upper), splits): (&'d (Vec<f32>, Vec<f32>), &'d [Split])| {
            let root = &values.intervals[0];
            if *lower == root.lower && *upper == root.upper {
                return Some(cut(values.intervals.clone(), splits));
            }
            let parent = Some(values.intervals.as_slice());
            let node = Node { region: Region { lower, upper }, splits, parent };
            rebound(net, &[node], &settings, self.shared.stop()).ok()?.pop()
        };
        domains.map(one).collect()
    }

    /// Puts what was found into the domain's hints; a row that is refuted becomes a claim.
    fn keep(&self, b: &mut Bounded) {
        let problem = self.shared.problem;
        let Some(intervals) = &b.intervals else { return };
        for (d, found) in &b.found {
            let hint = &mut b.domain.hints[*d];
            hint.start = Arc::new(found.start.clone());
            if found.bound > 0.0 {
                let slot = problem.parts.program.output();
                let alpha = claims(&problem.parts.net, slot, intervals, &found.start.alpha);
                hint.claim =
                    Some(LeafClaim { row: hint.row, alpha: alpha.into(), beta: found.start.beta.clone() });
            }
        }
    }

    /// Divides the disjuncts of a domain: runs of refuted ones stay together, to be leaves; every other one is searched on its own
    /// from here, since a split that is good for one is seldom so for another.
    fn part(&self, b: Bounded, parts: &mut Vec<Bounded>) {
        let first = b.domain.first;
        let refuted: Vec<bool> = b.domain.hints.iter().map(|h| h.claim.is_some()).collect();
        let whole = b.intervals.is_none() || refuted.iter().all(|r| *r);
        let Some(next) = (1..refuted.len()).find(|d| !(refuted[*d] && refuted[*d - 1])).filter(|_| !whole)
        else {
            return parts.push(b);
        };
        let Ok(at) = u16::try_from(first + next) else { return parts.push(b) };
        let Bounded { domain, intervals, found } = b;
        let cut = Cut::Disjuncts { at };
        let nodes = self.shared.tree.split(domain.node, cut);
        let [domain, other] = domain.halve(cut, nodes);
        let (own, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|(d, _)| *d < next);
        let others = others.into_iter().map(|(d, found)| (d - next, found)).collect();
        parts.push(Bounded { domain, intervals: intervals.clone(), found: own });
        self.part(Bounded { domain: other, intervals, found: others }, parts);
    }

    /// Has the checker accept domains whose rows are all refuted; rows that it refuses are open again. A claim made above may fail
    /// here, where a split value has another line: then its row is to be optimised with the splits' multipliers.
    fn close(&mut self, values: &Values<'_>, mut refuted: Vec<Bounded>) -> Vec<(Bounded, Closed)> {
        if refuted.is_empty() {
            return Vec::new();
        }
        let claim = |hint: &Hint, splits: usize| {
            let mut claim = hint.claim.clone().unwrap_or(LeafClaim { row: hint.row, ..LeafClaim::default() });
            if !claim.beta.is_empty() {
                claim.beta.resize(splits, 0.0);
            }
            claim
        };
        // Of an empty domain the checker finds out by itself, whatever the claims.
        let claims = |d: &Domain| d.hints.iter().map(|h| claim(h, d.splits.len())).collect();
        let domains = refuted.iter_mut().map(|b| {
            let claims = claims(&b.domain);
            (&mut b.domain, claims)
        });
        let answers = self.prove_many(&values.base, domains.collect());
        refuted
            .into_iter()
            .zip(answers)
            .map(|(mut b, answer)| {
                let closed = if answer.accepted { Closed::Proved } else { reopen(&mut b, &answer.margins) };
                (b, closed)
            })
            .collect()
    }

    /// Tries the points where the lowest linear bounds of open domains are smallest.
    fn attack_values(&mut self, open: &[Bounded]) -> bool {
        let worst = open
            .iter()
            .flat_map(|b| &b.found)
            .filter(|(_, f)| !f.point.is_empty())
            .min_by(|a, b| a.1.bound.total_cmp(&b.1.bound));
        worst.is_some_and(|(_, found)| self.try_point(&found.point))
    }

    /// What a climb at the root hands on to all domains.
    pub fn climb_root(&mut self, values: &Values<'_>, domain: Domain) -> Domain {
        let climb =
            LaneClimb { iterations: super::root::ROOT, threads: self.threads, ..LaneClimb::default() };
        let bounded = self.optimise_batch(values, vec![domain.clone()], &climb).and_then(|mut b| b.pop());
        bounded.map_or(domain, |mut b| {
            self.keep(&mut b);
            b.domain
        })
    }

    /// The halves of every domain, at the cut that a look-ahead finds best.
    fn split_values(&mut self, values: &Values<'_>, open: Vec<Bounded>) -> Vec<Domain> {
        let choices: Vec<Vec<Cut>> = open
            .iter()
            .map(|b| {
                let scores = b.found.iter().filter(|(_, f)| f.bound <= 0.0).map(|(_, f)| f);
                match &b.intervals {
                    Some(intervals) => {
                        candidates(self.shared.problem.parts.program, intervals, scores, LOOK_AHEAD)
                    }
                    None => Vec::new(),
                }
            })
            .collect();
        let order = self.look_ahead(values, &open, &choices);
        let mut halves = Vec::new();
        for ((b, cuts), best) in open.into_iter().zip(choices).zip(order) {
            let Bounded { mut domain, intervals, .. } = b;
            if domain.is_hopeless() {
                // Stays open: the search goes on for a counterexample, and cannot end in `Holds`.
                self.shared.pool.lose(&domain);
                continue;
            }
            let cut = match cuts.get(best) {
                Some(cut) => {
                    let mut spare = cuts.clone();
                    spare.remove(best);
                    domain.spare = Arc::new(spare);
                    Some(*cut)
                }
                None => domain
                    .spare
                    .iter()
                    .copied()
                    .find(|cut| intervals.as_ref().is_some_and(|i| super::branch::divides(*cut, i)))
                    .or_else(|| self.widest(&domain)),
            };
            match cut {
                Some(cut) => halves.extend(self.shared.halve(domain, cut)),
                None => self.shared.pool.lose(&domain),
            }
        }
        halves
    }

    /// For each domain, which of its cuts leaves the best bounds in both halves, by one pass with the slopes found.
    fn look_ahead(&self, values: &Values<'_>, open: &[Bounded], choices: &[Vec<Cut>]) -> Vec<usize> {
        let mut order = vec![0; open.len()];
        let problem = self.shared.problem;
        let boxes: Vec<_> = open.iter().map(|b| b.domain.rounded()).collect();
        let mut halves: Vec<(usize, usize, Vec<Split>)> = Vec::new();
        for (index, (b, cuts)) in open.iter().zip(choices).enumerate() {
            for (k, cut) in cuts.iter().enumerate().filter(|_| cuts.len() > 1) {
                for split in cut.splits().into_iter().flatten() {
                    halves.push((index, k, [b.domain.splits.as_slice(), &[split]].concat()));
                }
            }
        }
        let nodes = halves.iter().map(|(index, _, splits)| (&boxes[*index], splits.as_slice()));
        let Some(intervals) = self.inherit(values, nodes) else { return order };
        let (mut lanes, mut owners) = (Vec::new(), Vec::new());
        for (half, ((index, _, splits), intervals)) in halves.iter().zip(&intervals).enumerate() {
            let Some(intervals) = intervals else { continue };
            let b = &open[*index];
            let (lower, upper) = &boxes[*index];
            for (d, _) in b.found.iter().filter(|(_, f)| f.bound <= 0.0) {
                let hint = &b.domain.hints[*d];
                owners.push(half);
                lanes.push(Lane {
                    region: Region { lower, upper },
                    intervals,
                    row: problem.rows_of(b.domain.first + *d).start + usize::from(hint.row),
                    splits,
                    start: Some(&hint.start),
                });
            }
        }
        let once =
            LaneClimb { iterations: 0, only_bounds: true, threads: self.threads, ..LaneClimb::default() };
        let Ok(found) = optimise(&problem.parts.net, &problem.spec, &lanes, &once, self.shared.stop()) else {
            return order;
        };
        // Sum over the rows of what is missing, per half.
        let mut missing = vec![0.0f32; halves.len()];
        for (half, found) in owners.iter().zip(&found) {
            missing[*half] -= found.bound.min(0.0);
        }
        let mut best = vec![f32::INFINITY; open.len()];
        for (pair, missing) in halves.chunks_exact(2).zip(missing.chunks_exact(2)) {
            let (index, k, _) = &pair[0];
            let (worse, better) = (missing[0].max(missing[1]), missing[0].min(missing[1]));
            let score = worse + 0.3 * better;
            if score < best[*index] {
                (best[*index], order[*index]) = (score, *k);
            }
        }
        order
    }

    /// The widest coordinate that can be halved.
    fn widest(&self, domain: &Domain) -> Option<Cut> {
        let width = |j: usize| domain.upper[j] - domain.lower[j];
        let halves = (0..domain.lower.len()).filter_map(|j| domain.middle(j).map(|at| (j, at)));
        halves
            .max_by(|a, b| width(a.0).total_cmp(&width(b.0)))
            .map(|(j, value)| Cut::Input { coordinate: j as u32, value })
    }

    /// Hints of the root: for each disjunct its best row, with a claim where adaptive slopes refute it already.
    pub fn root_hints(&self, rows: &[(u16, f32)], starts: impl Fn(usize) -> Start) -> Vec<Hint> {
        let hint = |(d, (row, bound)): (usize, &(u16, f32))| Hint {
            row: *row,
            start: Arc::new(starts(d)),
            claim: (*bound > 0.0).then(|| LeafClaim { row: *row, ..LeafClaim::default() }),
        };
        rows.iter().enumerate().map(hint).collect()
    }
}

/// Takes back the claims that the checker refused, those without a positive margin.
fn reopen(b: &mut Bounded, margins: &[f64]) -> Closed {
    let mut closed = Closed::Open;
    for (d, (hint, margin)) in b.domain.hints.iter_mut().zip(margins).enumerate() {
        if margin.is_nan() || *margin <= 0.0 {
            hint.claim = None;
            if b.intervals.is_some() && b.found.iter().all(|(found, _)| *found != d) {
                closed = Closed::Again;
            }
        }
    }
    if matches!(closed, Closed::Again) {
        b.domain.refused -= 1;
    }
    closed
}

/// Cuts intervals at splits; `None` if one is empty.
pub fn cut(mut intervals: Vec<Interval>, splits: &[Split]) -> Option<Vec<Interval>> {
    for Split { slot, element, point, above } in splits {
        let Interval { lower, upper } = intervals.get_mut(slot.0)?;
        let (l, u) = (lower.get_mut(*element as usize)?, upper.get_mut(*element as usize)?);
        if *above {
            *l = l.max(*point);
        } else {
            *u = u.min(*point);
        }
        if *l > *u {
            return None;
        }
    }
    Some(intervals)
}
