//! Branch and bound on a program: what the workers share, and the loop of each.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use super::attack::Attacker;
use super::checker::{Accepted, Cut, Desk, LeafClaim, Referee, Tree};
use super::domain::Domain;
use super::problem::CaseProblem;
use crate::bounds::program::{self as bounds, BoundError, Intermediate, Region, Stop};
use crate::search::{Budget, Pool, Progress, Snapshot};
use crate::verify::attack::PointBox;
use crate::verify::{Reason, Settings, Stats, Verdict};

/// Points attacked together.
pub const ATTACK_LANES: usize = 32;
/// Steps of an attack on the whole box.
pub const ATTACK_STEPS: usize = 40;
/// Steps of an attack on a domain.
const DOMAIN_STEPS: usize = 6;
/// One domain in this many is attacked.
const ATTACK_EVERY: usize = 16;

/// What the workers share.
pub struct Shared<'a> {
    pub problem: &'a CaseProblem<'a>,
    pub settings: &'a Settings,
    pub budget: &'a Budget<'a>,
    pub progress: &'a dyn Progress,
    pub pool: Pool<Domain>,
    pub tree: Tree,
    accepted: Accepted,
    found: Mutex<Option<Verdict>>,
    domains: AtomicUsize,
    leaves: AtomicUsize,
    rejected: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    proved: f64,
    lowest: f32,
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
            pool: Pool::new([]),
            tree: Tree::default(),
            accepted: Accepted::default(),
            found: Mutex::new(None),
            domains: AtomicUsize::new(0),
            leaves: AtomicUsize::new(0),
            rejected: AtomicUsize::new(0),
            state: Mutex::new(State { proved: 0.0, lowest: f32::INFINITY, said: Instant::now() }),
        }
    }

    /// The whole case as a domain.
    pub fn root(&self) -> Domain {
        let region = &self.problem.case.region;
        Domain { node: 0, depth: 0, lower: region.lower.clone(), upper: region.upper.clone(), refused: 0 }
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
        let lowest = self.state.lock().expect("no worker panics while it holds the state").lowest;
        self.end(Verdict::Unknown { reason, lower_bound: lowest.is_finite().then_some(lowest) });
    }

    /// Whether time is up; then ends the search.
    fn out_of_budget(&self) -> bool {
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

    /// Takes note of a bounded domain; now and then tells the progress.
    fn note(&self, lowest: f32, proved: f64) {
        let domains = self.domains.fetch_add(1, Relaxed) + 1;
        let mut state = self.state.lock().expect("no worker panics while it holds the state");
        state.proved += proved;
        state.lowest = if domains == 1 { lowest } else { state.lowest.min(lowest) };
        if state.said.elapsed().as_millis() >= 200 {
            state.said = Instant::now();
            let (proved, lowest) = (state.proved, state.lowest);
            state.lowest = f32::INFINITY;
            drop(state);
            let lower_bound = lowest.is_finite().then_some(lowest);
            self.progress.update(Snapshot { domains, open: self.pool.len(), proved, lower_bound });
        }
    }

    /// The verdict, if the search has ended with one.
    pub fn verdict(&self) -> Option<Verdict> {
        self.found.lock().expect("no worker panics while it holds the verdict").clone()
    }

    /// The proof, if the search came to its end: the tree's own splits give its leaves, and each has to be one that the
    /// checker accepted.
    pub fn conclude(self, desk: &Desk<'_>, stats: &mut Stats) -> Result<Vec<u8>, Verdict> {
        stats.domains += self.domains.load(Relaxed);
        stats.leaves += self.leaves.load(Relaxed);
        stats.rejected += self.rejected.load(Relaxed);
        if let Some(verdict) = self.verdict() {
            return Err(verdict);
        }
        let region = &self.problem.case.region;
        match self.tree.to_bytes() {
            Some(bytes) if desk.cover(&bytes, (&region.lower, &region.upper), &self.accepted).is_ok() => {
                Ok(bytes)
            }
            _ => Err(Verdict::Unknown { reason: Reason::Rounding, lower_bound: None }),
        }
    }
}

/// One thread's tools.
pub struct Worker<'a, 'c> {
    pub shared: &'a Shared<'a>,
    pub referee: Referee<'c>,
    pub attacker: Attacker<'a>,
    /// Threads that bounds may use.
    pub threads: usize,
    since_attack: usize,
}

impl<'a, 'c> Worker<'a, 'c> {
    pub fn new(shared: &'a Shared<'a>, referee: Referee<'c>, index: usize, threads: usize) -> Self {
        let seed = shared.settings.seed.wrapping_add(index as u64 * 0x1_0001);
        let attacker = Attacker::new(shared.problem, ATTACK_LANES, seed);
        Self { shared, referee, attacker, threads, since_attack: 0 }
    }

    /// Works until the pool is empty or the search ends.
    pub fn run(&mut self) {
        while let Some(domain) = self.shared.pool.take() {
            if self.shared.out_of_budget() {
                self.shared.pool.finish([]);
                return;
            }
            let children = self.step(domain);
            self.shared.pool.finish(children);
        }
    }

    /// Bounds a domain; proves it, or returns its halves.
    pub fn step(&mut self, mut domain: Domain) -> Vec<Domain> {
        let (lower, upper) = domain.rounded();
        let region = Region { lower: &lower, upper: &upper };
        let Some((lowest, claims)) = self.bound(region) else { return vec![domain] };
        let cut = self.choose_cut(&domain, region, &claims);
        // Where nothing is left to halve, the search's own rounding may hide what the checker can show.
        if lowest > 0.0 || cut.is_none() {
            let claims = claims.iter().map(|(row, _)| LeafClaim { row: *row, ..LeafClaim::default() });
            if self.prove(&mut domain, claims.collect()) {
                self.shared.note(lowest, 0.5f64.powi(domain.depth.cast_signed()));
                return Vec::new();
            }
        }
        self.shared.note(lowest, 0.0);
        if self.shared.settings.attack && self.attack(region) {
            return Vec::new();
        }
        match cut {
            Some((coordinate, value)) if !domain.is_hopeless() => {
                let cut = Cut { coordinate: coordinate as u32, value };
                let nodes = self.shared.tree.split(domain.node, cut);
                let [one, two] = domain.halve(cut, nodes);
                vec![two, one]
            }
            // Stays open: the search goes on for a counterexample, and cannot end in `Holds`.
            _ => Vec::new(),
        }
    }

    /// The lowest of the best rows' bounds, and each disjunct's best row with its bound; `None` if time ran out.
    fn bound(&self, region: Region<'_>) -> Option<(f32, Vec<(u16, f32)>)> {
        let problem = self.shared.problem;
        let settings = bounds::Settings {
            // Twice as fast as the default, and hardly looser.
            intermediate: Intermediate::Intersected,
            threads: self.threads,
            ..bounds::Settings::default()
        };
        let found = bounds::bound(&problem.parts.net, region, &problem.spec, &settings, self.shared.stop());
        let rows = match found {
            // A NaN says nothing of its row.
            Ok(found) => found.rows.iter().map(|b| if b.is_nan() { f32::NEG_INFINITY } else { *b }).collect(),
            Err(BoundError::Stopped) => return None,
            // An operand's bounds leave a function's domain, or memory is short: nothing is known.
            Err(_) => vec![f32::NEG_INFINITY; problem.spec.bias.len()],
        };
        let claims: Vec<(u16, f32)> = (0..problem.disjuncts()).map(|d| problem.best_row(d, &rows)).collect();
        Some((claims.iter().map(|(_, bound)| *bound).fold(f32::INFINITY, f32::min), claims))
    }

    /// Has the checker accept a domain, and puts it into the tree.
    fn prove(&mut self, domain: &mut Domain, claims: Vec<LeafClaim>) -> bool {
        let region = (domain.lower.as_slice(), domain.upper.as_slice());
        if self.referee.accept(region, &[], &claims) {
            self.shared.leaves.fetch_add(1, Relaxed);
            self.shared.accepted.insert(region, &[], &claims);
            self.shared.tree.prove(domain.node, claims);
            true
        } else {
            self.shared.rejected.fetch_add(1, Relaxed);
            domain.refused += 1;
            false
        }
    }

    /// Attacks the whole box; ends the search if that finds a counterexample.
    pub fn attack_root(&mut self, rounds: usize) -> bool {
        let found = self.attacker.descend_root(rounds, ATTACK_STEPS, self.shared.budget);
        found.is_some_and(|witness| {
            self.shared.end(Verdict::Violated(witness));
            true
        })
    }

    /// Now and then attacks a domain's part of the box of witnesses.
    fn attack(&mut self, region: Region<'_>) -> bool {
        self.since_attack += 1;
        if self.since_attack < ATTACK_EVERY {
            return false;
        }
        self.since_attack = 0;
        let all = &self.shared.problem.case.region;
        let clip = |ends: &[f32]| -> Vec<f32> {
            let inside = all.witness_lower.iter().zip(&all.witness_upper);
            ends.iter().zip(inside).map(|(x, (l, u))| x.max(*l).min(*u)).collect()
        };
        let (lower, upper) = (clip(region.lower), clip(region.upper));
        if lower.iter().zip(&upper).any(|(l, u)| l > u) {
            return false;
        }
        let budget = self.shared.budget;
        let points = PointBox { lower: &lower, upper: &upper };
        let found = self.attacker.descend(points, DOMAIN_STEPS, || budget.is_spent());
        found.is_some_and(|witness| {
            self.shared.end(Verdict::Violated(witness));
            true
        })
    }

    /// The coordinate to halve and where, or `None` if no coordinate has a point between its ends: the one along which the rows
    /// that are not proved change most, by their gradient at the centre and the width.
    fn choose_cut(
        &mut self,
        domain: &Domain,
        region: Region<'_>,
        claims: &[(u16, f32)],
    ) -> Option<(usize, f64)> {
        let problem = self.shared.problem;
        let inputs = domain.lower.len();
        let worst = (0..claims.len()).min_by(|a, b| claims[*a].1.total_cmp(&claims[*b].1))?;
        let row = problem.rows_of(worst).start + usize::from(claims[worst].0);
        let centre: Vec<f32> =
            region.lower.iter().zip(region.upper).map(|(l, u)| 0.5 * l + 0.5 * u).collect();
        let gradient = self.attacker.gradient_at(&centre, row);
        let width = |j: usize| region.upper[j] - region.lower[j];
        let widest = (0..inputs).map(width).fold(0.0, f32::max);
        let steepest = gradient.iter().map(|g| g.abs()).filter(|g| g.is_finite()).fold(0.0, f32::max);
        // A gradient at one point may miss what matters elsewhere: every width counts for a tenth of the steepest.
        let score = |j: usize| {
            let slope = if gradient[j].is_finite() { gradient[j].abs() } else { steepest };
            (slope + 0.1 * steepest.max(f32::MIN_POSITIVE)) * width(j) / widest.max(f32::MIN_POSITIVE)
        };
        let halves = (0..inputs).filter_map(|j| domain.middle(j).map(|at| (j, at)));
        halves.max_by(|a, b| score(a.0).total_cmp(&score(b.0)))
    }
}
