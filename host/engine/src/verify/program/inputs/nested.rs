//! Boxes of some free inputs in large networks: each has a lemma below that of its parent, and the checker alone bounds it.
//!
//! What a parent's rows decided, a ReLU on one side of its kink or an output far from the threshold, is decided for its halves too, so that theirs
//! are only the rows of what is left open: fewer at every split. The search bounds no value itself; from the checker's bounds it climbs the
//! slopes of the rows that are to be proved, and halves what is left.
//!
//! Of an earlier run no more than the root is taken over: each of its lemmas would have to be derived again, which is what a search costs.

use std::sync::Arc;

use super::super::checker::Kept;
use super::super::domain::Domain;
use super::super::forms::favoured;
use super::super::root::{free_inputs, splits_inputs};
use super::super::shared::Shared;
use super::super::tree::{LeafClaim, adaptive_lemma};
use super::super::worker::{Answer, Base, Worker};
use super::{Climbed, Judged, lowest};
use crate::bounds::program::Region;
use crate::verify::proof_file::LEVELS;

/// From this many products at a point on, the bounds of a box are too dear to be computed by the search and again by the checker.
const PRODUCTS: usize = 10_000_000;

/// Whether boxes are bounded so.
pub fn applies(shared: &Shared<'_>) -> bool {
    let (region, products) = (&shared.problem.case.region, shared.problem.parts.net.products());
    let free = free_inputs(&region.lower, &region.upper);
    shared.columns == 0 && splits_inputs(shared.settings.branching, free) && products >= PRODUCTS
}

impl Worker<'_, '_> {
    /// The bounds of the root's lemma, if an earlier run left one that boxes stand below.
    pub fn root_kept(&mut self, base: &Base<'_>) -> Option<Arc<Kept>> {
        let shared = self.shared;
        let region = &shared.problem.case.region;
        let place = ((region.lower.as_slice(), region.upper.as_slice()), [].as_slice());
        let lemma = adaptive_lemma();
        let what = (&lemma, shared.accepted.lemma(None, place, &lemma));
        if what.1 != base.lemma {
            return None;
        }
        self.referee.derive_below((self.threads, None), place, what, shared.stop()).map(Arc::new)
    }

    /// Has the checker bound a box; proves it, or returns its halves.
    pub fn step_nested(&mut self, mut domain: Domain) -> Vec<Domain> {
        let (shared, lemma) = (self.shared, adaptive_lemma());
        let above = domain.above.clone();
        let own = shared.accepted.lemma(above.as_ref().map(|a| a.lemma), domain.place(), &lemma);
        let parent = (self.threads, above.as_deref());
        let kept = self.referee.derive_below(parent, domain.place(), (&lemma, own), shared.stop());
        if shared.out_of_budget() {
            return vec![domain];
        }
        let (lower, upper) = domain.rounded();
        let region = Region { lower: &lower, upper: &upper };
        let intervals = kept.as_ref().and_then(|kept| self.referee.intervals(kept));
        let (Some(kept), Some(slots)) = (kept, intervals) else {
            // A function left its domain: nothing is known.
            let rows = vec![(0, f32::NEG_INFINITY); shared.problem.disjuncts()];
            return self.halve_nested(domain, region, &rows, &[]);
        };
        let outputs = &slots[shared.problem.parts.program.output().0];
        let ends = |x: &[f32]| -> Vec<f64> { x.iter().map(|v| f64::from(*v)).collect() };
        let claims = favoured(shared.problem, (&ends(&outputs.lower), &ends(&outputs.upper)));
        let answer = self.referee.ask(&kept, domain.place().0, &claims);
        let judged = judged(&claims, &answer, slots);
        let climbed = if answer.accepted { Vec::new() } else { self.climb_box(region, &judged) };
        let lowest = lowest(&judged, &climbed);
        let claims = if answer.accepted { claims } else { self.claims_of(&judged, &climbed) };
        if answer.accepted || (lowest > 0.0 && self.referee.ask(&kept, domain.place().0, &claims).accepted) {
            self.remember(Some(own), &domain, &claims);
            shared.tree.state(domain.node, lemma);
            shared.tree.prove(domain.node, claims);
            shared.note(lowest, 0.5f64.powi(domain.depth.cast_signed()));
            return Vec::new();
        }
        shared.note(lowest, 0.0);
        domain.bound = domain.bound.max(lowest);
        if shared.settings.attack && (self.attack_at(&climbed) || self.attack(region)) {
            return Vec::new();
        }
        // The last level is for the lemmas of leaves.
        if kept.levels < LEVELS {
            shared.tree.state(domain.node, lemma);
            domain.above = Some(Arc::new(kept));
        }
        self.halve_nested(domain, region, &judged.rows, &climbed)
    }

    fn halve_nested(
        &mut self,
        domain: Domain,
        region: Region<'_>,
        rows: &[(u16, f32)],
        climbed: &[Climbed],
    ) -> Vec<Domain> {
        match self.choose_coordinate(&domain, region, rows, climbed) {
            Some(cut) => self.shared.halve(domain, cut),
            None => {
                self.shared.pool.lose(&domain);
                Vec::new()
            }
        }
    }
}

/// What the checker says, as the search reads it.
fn judged(claims: &[LeafClaim], answer: &Answer, slots: Vec<crate::bounds::program::Interval>) -> Judged {
    let known = |m: f64| if m.is_nan() { f32::NEG_INFINITY } else { m as f32 };
    let rows: Vec<(u16, f32)> = claims.iter().zip(&answer.margins).map(|(c, m)| (c.row, known(*m))).collect();
    let lowest = rows.iter().map(|(_, m)| *m).fold(f32::INFINITY, f32::min);
    Judged { lowest, rows, slots }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::super::super::checker::{Desk, Desktop, Referee};
    use super::super::super::problem::{CaseProblem, Parts};
    use super::super::super::testing::{deep, numbers, property};
    use super::*;
    use crate::search::{Budget, Silent};
    use crate::verify::program::check_program;
    use crate::verify::{CaseProof, Settings, Stats, Verdict};

    /// Halves until nothing is open or there are too many boxes; the number of boxes, and what the search concludes.
    fn decide(seed: u64, above_sampled: f64) -> (usize, Result<bool, Verdict>) {
        let program = deep(seed);
        let mut number = numbers(seed + 5);
        let sampled = (0..5_000).map(|_| {
            let y = program.eval(&[number(), number(), number()].map(f64::from));
            y[0] - y[1]
        });
        let property = property(-1.0, 1.0, sampled.fold(f64::INFINITY, f64::min) + above_sampled);
        let parts = Parts::new(&program, &program);
        let problem = CaseProblem::new(&parts, &property, &property.cases[0]);
        let disjuncts: Vec<&[_]> = problem.rows.iter().map(Vec::as_slice).collect();
        let (settings, stop) = (Settings { attack: false, ..Settings::default() }, AtomicBool::new(false));
        let budget = Budget::new(settings.timeout, &stop);
        let (mut words, mut memory) = (Vec::new(), Desktop::default());
        let kernel = &problem.parts.kernel;
        let desk =
            Desk::new(problem.parts.tables.program(), &disjuncts, settings.meaning, kernel, &mut words);
        let desk = desk.unwrap();
        let referee = Referee::new(&desk, &mut memory, 0).unwrap();
        let shared = Shared::new(&problem, &settings, &budget, &Silent);
        let mut worker = Worker::new(&shared, referee, 0, 1);
        let (mut open, mut boxes) = (vec![Domain::root(&[-1.0; 3], &[1.0; 3])], 0);
        while let Some(domain) = open.pop().filter(|_| boxes < 400) {
            boxes += 1;
            open.extend(worker.step_nested(domain));
        }
        let concluded = shared.conclude(&desk, &mut Stats::default());
        let checked =
            |bytes| check_program(&program, &property, &CaseProof { cases: vec![0], bytes }).is_ok();
        (boxes, concluded.map(checked))
    }

    #[test]
    fn nested_lemmas_prove_what_holds_and_the_checker_accepts_their_bytes() {
        let mut boxes = 0;
        for seed in 0..4 {
            let (used, concluded) = decide(seed, -0.3);
            assert_eq!(concluded, Ok(true), "seed {seed}");
            boxes += used;
            assert!(decide(seed, 0.01).1.is_err(), "seed {seed}: a sample violates it");
        }
        assert!(boxes > 40, "{boxes} boxes are too few for lemmas to nest");
    }
}
