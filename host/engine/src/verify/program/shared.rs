//! What the workers of one case share.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use super::checker::{Accepted, Desk};
use super::domain::Domain;
use super::problem::CaseProblem;
use super::tree::{Cut, Tree};
use crate::bounds::program::Stop;
use crate::search::{Budget, Patience, Pool, Progress, Snapshot, memory};
use crate::verify::proof_file::case_key;
use crate::verify::{Reason, Settings, Stats, Verdict};

/// Most bytes of a proof; beyond, a case that is proved stays without a verdict.
const MOST_PROOF_BYTES: usize = 1 << 30;

/// What the workers share.
pub struct Shared<'a> {
    pub problem: &'a CaseProblem<'a>,
    pub settings: &'a Settings,
    pub budget: &'a Budget<'a>,
    pub progress: &'a dyn Progress,
    pub pool: Pool<Domain>,
    pub tree: Tree,
    pub accepted: Accepted,
    /// Symbols of the affine forms that boxes are bounded by; 0: by rows.
    pub columns: usize,
    /// When the way of branching is to be given up for another.
    pub patience: OnceLock<Patience>,
    stalled: AtomicBool,
    found: Mutex<Option<Verdict>>,
    domains: AtomicUsize,
    pub leaves: AtomicUsize,
    pub rejected: AtomicUsize,
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
            settings,
            budget,
            progress,
            pool: Pool::with_limit([], memory::limit(settings.memory)),
            tree: Tree::recorded(progress.recorder(), || case_key(problem.case), |cut| problem.has(cut)),
            accepted: Accepted::new((&problem.case.region.lower, &problem.case.region.upper)),
            columns: 0,
            patience: OnceLock::new(),
            stalled: AtomicBool::new(false),
            found: Mutex::new(None),
            domains: AtomicUsize::new(0),
            leaves: AtomicUsize::new(0),
            rejected: AtomicUsize::new(0),
            state: Mutex::new(State { proved: 0.0, root: f32::NEG_INFINITY, said: Instant::now() }),
        }
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

    /// Whether time is up; then ends the search.
    pub fn out_of_budget(&self) -> bool {
        if self.budget.is_spent() {
            self.give_up(if self.budget.is_stopped() { Reason::Stopped } else { Reason::Timeout });
            return true;
        }
        false
    }

    /// When bounds have to stop.
    pub fn stop(&self) -> Stop<'a> {
        Stop { deadline: Some(self.budget.deadline()), flag: Some(self.budget.stop_flag()) }
    }

    /// Splits a domain in the tree; returns its halves, the first one last.
    pub fn halve(&self, domain: Domain, cut: Cut) -> Vec<Domain> {
        let nodes = self.tree.split(domain.node, cut);
        let [first, second] = domain.halve(cut, nodes);
        vec![second, first]
    }

    /// Takes note of a bounded domain, whose share is added to what is proved; now and then tells the progress.
    pub fn note(&self, lowest: f32, proved: f64) {
        let domains = self.domains.fetch_add(1, Relaxed) + 1;
        let mut state = self.state.lock().expect("no worker panics while it holds the state");
        state.proved += proved;
        if domains == 1 {
            state.root = lowest;
        }
        if self.patience.get().is_some_and(|p| p.is_over(state.proved, domains)) {
            self.stalled.store(true, Relaxed);
            self.pool.end();
        }
        if state.said.elapsed().as_millis() >= 200 {
            state.said = Instant::now();
            let (proved, root) = (state.proved, state.root);
            drop(state);
            let lower_bound = self.lower_bound(root);
            self.progress.update(Snapshot { domains, open: self.pool.len(), proved, lower_bound });
        }
    }

    /// The share of the whole that a domain is: halves of boxes, and parts of the disjuncts.
    pub fn share(&self, domain: &Domain) -> f64 {
        let disjuncts = if domain.hints.is_empty() {
            1.0
        } else {
            domain.hints.len() as f64 / self.problem.disjuncts().max(1) as f64
        };
        0.5f64.powi(domain.depth.cast_signed()) * disjuncts
    }

    /// Whether the search has come to an end.
    pub fn has_ended(&self) -> bool {
        self.found.lock().expect("no worker panics while it holds the verdict").is_some()
    }

    /// Whether the search has ended for want of patience, without a verdict.
    pub fn has_stalled(&self) -> bool {
        self.stalled.load(Relaxed) && !self.has_ended()
    }

    /// The proof, if the search came to its end: the tree's own splits give its leaves, and each has to be one that the
    /// checker accepted.
    pub fn conclude(self, desk: &Desk<'_>, stats: &mut Stats) -> Result<Vec<u8>, Verdict> {
        stats.domains += self.domains.load(Relaxed);
        stats.leaves += self.leaves.load(Relaxed);
        stats.rejected += self.rejected.load(Relaxed);
        stats.checker_seconds += desk.seconds();
        if let Some(verdict) = self.found.into_inner().expect("no worker panics while it holds the verdict") {
            return Err(verdict);
        }
        let region = &self.problem.case.region;
        let lost = Some(self.pool.lowest()).filter(|b| b.is_finite());
        match self.tree.to_bytes(MOST_PROOF_BYTES) {
            Some(bytes) if desk.cover(&bytes, (&region.lower, &region.upper), &self.accepted).is_ok() => {
                Ok(bytes)
            }
            _ => Err(Verdict::Unknown { reason: Reason::Rounding, lower_bound: lost }),
        }
    }
}
