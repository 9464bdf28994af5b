//! What the workers of one case share, and the tools that each has for itself.

use super::attack::{Attacker, PointBox, root_effort};
use super::leaf::{Accepted, Checker};
use super::problem::CaseProblem;
use super::proof_file::case_key;
use super::{Reason, Settings, Stats, Verdict};
use crate::bounds::crown::{Interval, Scratch};
use crate::property::Witness;
use crate::search::lp::planes::Plane;
use crate::search::tree::Cut;
use crate::search::{Budget, Leaf, Pool, Progress, Snapshot, Tree, Waiting, memory};
use certus_core::proof;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What an optimised row hands on to the halves of its domain.
#[derive(Clone, Debug)]
pub(super) struct Hint {
    pub disjunct: usize,
    /// `α·255`, `[neurons]`.
    pub alpha: Arc<[u8]>,
    pub beta: Arc<[f32]>,
}

/// A subproblem waiting to be bounded: a box, and neurons fixed to one side.
#[derive(Clone, Debug)]
pub(super) struct Domain {
    pub node: u32,
    pub depth: u32,
    pub lower: Vec<f64>,
    pub upper: Vec<f64>,
    /// Hidden layer, neuron, `z ≥ 0`; in order of depth.
    pub splits: Vec<(usize, usize, bool)>,
    pub hints: Vec<Hint>,
    /// Hidden layer of the neuron that was split last, if that made this domain.
    pub cut: Option<usize>,
    /// Intervals of the domain that was split, shared by its halves.
    pub known: Option<Arc<Vec<Interval>>>,
    /// Planes that were tight in the domain that was split.
    pub planes: Vec<Arc<Plane>>,
    /// How many times the checker refused what the search held for proved, here and above.
    pub refused: u8,
    /// Lower bound that is known of it, the highest of those above.
    pub bound: f32,
}

impl Waiting for Domain {
    fn bytes(&self) -> usize {
        let hint = |h: &Hint| size_of::<Hint>() + h.alpha.len() + size_of_val(&*h.beta);
        let known = |i: &Interval| size_of_val(&*i.lower) + size_of_val(&*i.upper);
        size_of::<Self>()
            + size_of_val(&*self.lower)
            + size_of_val(&*self.upper)
            + size_of_val(&*self.splits)
            + self.hints.iter().map(hint).sum::<usize>()
            + self.known.iter().flat_map(|layers| layers.iter()).map(known).sum::<usize>()
            + self.planes.iter().map(|p| size_of_val(&*p.shares)).sum::<usize>()
    }

    fn shed(&mut self) {
        (self.hints, self.known, self.planes) = (Vec::new(), None, Vec::new());
    }

    fn bound(&self) -> f32 {
        self.bound
    }
}

/// A domain that the checker refuses for the last time stays open: its bound is within rounding of the threshold.
const MOST_REFUSALS: u8 = 12;

impl Domain {
    /// The box in `f32`, rounded outward.
    pub fn rounded(&self) -> (Vec<f32>, Vec<f32>) {
        super::rounded_box(&self.lower, &self.upper)
    }

    /// Whether halving it further has no prospect.
    pub fn is_hopeless(&self) -> bool {
        self.refused >= MOST_REFUSALS
    }

    /// A point of `f32` strictly inside coordinate `j`, about the middle.
    pub fn middle(&self, j: usize) -> Option<f64> {
        let (l, u) = (self.lower[j], self.upper[j]);
        let middle = f64::from((0.5 * l + 0.5 * u) as f32);
        (l < middle && middle < u).then_some(middle)
    }

    /// The widest coordinate that can be halved, and where.
    pub fn widest(&self) -> Option<(usize, f64)> {
        let width = |j: usize| self.upper[j] - self.lower[j];
        let halves = (0..self.lower.len()).filter_map(|j| self.middle(j).map(|at| (j, at)));
        halves.max_by(|a, b| width(a.0).total_cmp(&width(b.0)))
    }
}

/// What the workers share.
pub(super) struct Shared<'a> {
    pub problem: &'a CaseProblem<'a>,
    pub budget: &'a Budget<'a>,
    pub progress: &'a dyn Progress,
    pub settings: &'a Settings,
    pub pool: Pool<Domain>,
    pub tree: Tree,
    pub accepted: Accepted,
    found: Mutex<Option<Verdict>>,
    domains: AtomicUsize,
    pub leaves: AtomicUsize,
    rejected: AtomicUsize,
    /// Nanoseconds in the checker.
    pub checking: AtomicU64,
    state: Mutex<State>,
}

struct State {
    proved: f64,
    /// Bound of the first domain.
    root: f32,
    said: Instant,
}

impl<'a> Shared<'a> {
    pub fn new(
        problem: &'a CaseProblem<'a>,
        settings: &'a Settings,
        budget: &'a Budget<'a>,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            problem,
            budget,
            progress,
            settings,
            pool: Pool::with_limit([], memory::limit(settings.memory)),
            tree: Tree::recorded(progress.recorder(), || case_key(problem.case), |cut| problem.has(cut)),
            accepted: Accepted::default(),
            found: Mutex::new(None),
            domains: AtomicUsize::new(0),
            leaves: AtomicUsize::new(0),
            rejected: AtomicUsize::new(0),
            checking: AtomicU64::new(0),
            state: Mutex::new(State { proved: 0.0, root: f32::NEG_INFINITY, said: Instant::now() }),
        }
    }

    /// The whole case as a domain.
    pub fn root(&self) -> Domain {
        let region = &self.problem.case.region;
        let (lower, upper) = (region.lower.clone(), region.upper.clone());
        Domain {
            node: 0,
            depth: 0,
            lower,
            upper,
            splits: Vec::new(),
            hints: Vec::new(),
            cut: None,
            known: None,
            planes: Vec::new(),
            refused: 0,
            bound: f32::NEG_INFINITY,
        }
    }

    /// Whether the whole case was proved as one leaf.
    pub fn root_is_proved(&self) -> bool {
        self.leaves.load(Ordering::Relaxed) > 0
    }

    /// Ends the search with a verdict; a counterexample beats running out of time.
    pub fn end(&self, verdict: Verdict) {
        let mut found = self.found.lock().expect("no worker panics while it holds the verdict");
        if found.is_none() || matches!(verdict, Verdict::Violated(_)) {
            *found = Some(verdict);
        }
        self.pool.end();
    }

    /// Ends the search without a verdict.
    pub fn give_up(&self, reason: Reason) {
        let root = self.state.lock().expect("no worker panics while it holds the state").root;
        self.end(Verdict::Unknown { reason, lower_bound: self.lower_bound(root) });
    }

    /// The lowest bound of what is open; of the root while nothing is.
    fn lower_bound(&self, root: f32) -> Option<f32> {
        Some(self.pool.lowest()).filter(|b| b.is_finite()).or_else(|| Some(root).filter(|b| b.is_finite()))
    }

    /// Whether time is up; then gives back `taken` domains and ends the search.
    pub fn out_of_budget(&self, taken: usize) -> bool {
        if !self.budget.is_spent() {
            return false;
        }
        self.give_up(if self.budget.is_stopped() { Reason::Stopped } else { Reason::Timeout });
        self.pool.finish_many(taken, []);
        true
    }

    /// Splits a domain in the tree; returns its halves, the first one last.
    pub fn halve(&self, domain: Domain, cut: Cut) -> Vec<Domain> {
        let (first, second) = self.tree.split(domain.node, cut);
        let mut below = Domain { node: first, depth: domain.depth + 1, ..domain };
        let mut above = Domain { node: second, ..below.clone() };
        self.cut(&mut below, cut, false);
        self.cut(&mut above, cut, true);
        vec![above, below]
    }

    /// Cuts a domain to one side, the second half if `second`.
    pub fn cut(&self, domain: &mut Domain, cut: Cut, second: bool) {
        match cut {
            Cut::Input { coordinate, value } => {
                let ends = if second { &mut domain.lower } else { &mut domain.upper };
                ends[usize::from(coordinate)] = value;
                domain.cut = None;
            }
            Cut::Neuron { layer, neuron } => {
                let hidden = self.problem.hidden_layer(layer);
                domain.splits.push((hidden, neuron as usize, !second));
                domain.cut = Some(hidden);
            }
        }
    }

    /// Takes note of a bounded domain; now and then tells the progress.
    pub fn note(&self, lowest: f32, proved: f64) {
        let domains = self.domains.fetch_add(1, Ordering::Relaxed) + 1;
        let mut state = self.state.lock().expect("no worker panics while it holds the state");
        state.proved += proved;
        if domains == 1 {
            state.root = lowest;
        }
        if state.said.elapsed().as_millis() >= 200 {
            state.said = Instant::now();
            let (proved, root) = (state.proved, state.root);
            drop(state);
            let lower_bound = self.lower_bound(root);
            self.progress.update(Snapshot { domains, open: self.pool.len(), proved, lower_bound });
        }
    }

    /// The proof, if the search came to its end: the tree's own splits give its leaves, and each has to be one that the
    /// checker accepted.
    pub fn conclude(self, stats: &mut Stats) -> Result<Vec<u8>, Verdict> {
        stats.domains += self.domains.load(Ordering::Relaxed);
        stats.leaves += self.leaves.load(Ordering::Relaxed);
        stats.rejected += self.rejected.load(Ordering::Relaxed);
        stats.checker_seconds += self.checking.load(Ordering::Relaxed) as f64 * 1e-9;
        if let Some(verdict) = self.found.into_inner().expect("no worker panics while it holds the verdict") {
            return Err(verdict);
        }
        let lost = Some(self.pool.lowest()).filter(|b| b.is_finite());
        match self.tree.to_bytes() {
            Some(bytes) if self.accepted.cover(self.problem, &bytes).is_ok() => Ok(bytes),
            _ => Err(Verdict::Unknown { reason: Reason::Rounding, lower_bound: lost }),
        }
    }
}

/// One thread's tools.
pub(super) struct Tools<'a> {
    pub proof_problem: &'a proof::Problem<'a>,
    pub checker: Checker,
    pub attacker: Attacker<'a>,
    pub scratch: Scratch,
}

impl<'a> Tools<'a> {
    pub fn new(
        shared: &Shared<'a>,
        proof_problem: &'a proof::Problem<'a>,
        index: usize,
        scratch: Scratch,
    ) -> Self {
        let seed = shared.settings.seed.wrapping_add(index as u64 * 0x1_0001);
        Self {
            proof_problem,
            checker: Checker::new(shared.problem.parts),
            attacker: Attacker::new(shared.problem, seed),
            scratch,
        }
    }

    /// Has the checker accept a domain, and puts it into the tree.
    pub fn prove(&mut self, shared: &Shared<'_>, domain: &mut Domain, leaf: Leaf) -> bool {
        let region = (domain.lower.as_slice(), domain.upper.as_slice());
        let splits = shared.problem.proof_splits(&domain.splits);
        let outcome = self.checker.accept(self.proof_problem, region, &splits, &leaf);
        let spent = std::mem::take(&mut self.checker.spent).as_nanos() as u64;
        shared.checking.fetch_add(spent, Ordering::Relaxed);
        if outcome.is_err() {
            shared.rejected.fetch_add(1, Ordering::Relaxed);
            // With neurons split, multipliers that are not optimal may be what fails; halves do better.
            domain.refused +=
                u8::from(domain.splits.is_empty() && leaf.claims.iter().all(|c| c.alpha.is_empty()));
            return false;
        }
        shared.accepted.insert(region, &splits, &leaf);
        shared.leaves.fetch_add(1, Ordering::Relaxed);
        shared.tree.prove(domain.node, leaf);
        true
    }

    /// Attacks the whole box.
    pub fn attack_root(&mut self, shared: &Shared<'_>) -> Option<Witness> {
        let region = &shared.problem.case.region;
        if region.witness_lower.iter().zip(&region.witness_upper).any(|(l, u)| l > u) {
            return None;
        }
        let points = PointBox { lower: &region.witness_lower, upper: &region.witness_upper };
        let (rounds, lanes, steps) = root_effort(shared.problem.parts.dense.work());
        (0..rounds).find_map(|_| {
            if shared.budget.is_spent() {
                return None;
            }
            let found = self.attacker.descend(points, lanes, steps);
            found.or_else(|| self.attacker.solve(points, lanes, steps))
        })
    }

    /// Tries given points of the witness box; ends the search if one is a counterexample.
    pub fn try_points<'x>(
        &mut self,
        shared: &Shared<'_>,
        points: impl ExactSizeIterator<Item = &'x [f32]>,
    ) -> bool {
        let witness = self.attacker.try_points(points);
        let found = witness.is_some();
        witness.into_iter().for_each(|w| shared.end(Verdict::Violated(w)));
        found
    }
}
