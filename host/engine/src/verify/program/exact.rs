//! The complete fallback on programs: LPs decide a domain with few or no kinks left undecided.

use std::sync::Arc;

use super::domain::Domain;
use super::tree::LeafClaim;
use super::worker::Worker;
use crate::bounds::program::Interval;
use crate::bounds::program::batch::{Alphas, claims};
use crate::program::Function::{Abs, LeakyRelu, Relu};
use crate::program::Operation;
use crate::search::lp::chain::row;
use crate::search::lp::program::ProgramDomain;
use crate::search::lp::{Refuted, Relaxation, decide_leaf};

/// Most undecided operands of functions for which a domain gets an LP.
const FEW: usize = 16;
/// Most numbers of an LP's linear functions.
const LARGEST: usize = 2_000_000;

impl Worker<'_, '_> {
    /// Asks LPs about the disjuncts of a domain that are still open: what they refute becomes a claim, what they do not is tried as a
    /// counterexample. True if that ends the search.
    pub fn ask_lp(&mut self, domain: &mut Domain, intervals: &[Interval]) -> bool {
        if self.undecided(intervals) > FEW {
            return false;
        }
        let problem = self.shared.problem;
        let view = ProgramDomain {
            program: problem.parts.program,
            region: (&domain.lower, &domain.upper),
            intervals,
            splits: &domain.splits,
            limit: LARGEST,
        };
        let Ok(Some((relaxation, outputs))) = view.relax() else { return false };
        let open: Vec<usize> = (0..domain.hints.len()).filter(|d| domain.hints[*d].claim.is_none()).collect();
        let rows = |d: &usize| {
            let disjunct = &problem.case.disjuncts[domain.first + *d];
            disjunct.rows.iter().map(|r| row(&outputs, &r.coefficients, r.rhs_upper)).collect()
        };
        let disjuncts: Vec<Vec<_>> = open.iter().map(rows).collect();
        let decision = decide_leaf(
            &relaxation,
            &disjuncts,
            self.shared.settings.lp_solver,
            Some(self.shared.budget.deadline()),
        );
        for (d, refuted) in open.iter().zip(&decision.refuted) {
            if let Some(refuted) = refuted {
                domain.hints[*d].claim = Some(self.claim(&relaxation, intervals, refuted));
            }
        }
        // An exact LP leaves open what rounding hides, or what only several rows together exclude: a few more tries.
        domain.refused += u8::from(relaxation.is_exact() && !decision.is_proved());
        let points: Vec<Vec<f32>> =
            decision.points.iter().map(|p| p.iter().map(|x| *x as f32).collect()).collect();
        self.shared.settings.attack && points.iter().any(|p| self.try_point(p))
    }

    /// Operands of kinks whose bounds leave a choice; without end where a step has no straight pieces.
    fn undecided(&self, intervals: &[Interval]) -> usize {
        let steps = self.shared.problem.parts.program.steps();
        let count = |operation: &Operation| match operation {
            Operation::Elementwise { input, function: Relu | LeakyRelu { .. } | Abs } => {
                let ends = intervals.get(input.0).map(|i| i.lower.iter().zip(&i.upper));
                ends.map_or(usize::MAX, |ends| ends.filter(|(l, u)| **l < 0.0 && **u > 0.0).count())
            }
            Operation::Elementwise { .. } | Operation::Product { .. } => usize::MAX,
            Operation::Affine(_) | Operation::Index { .. } | Operation::Max { .. } => 0,
        };
        steps.iter().map(|s| count(&s.operation)).fold(0, usize::saturating_add)
    }

    /// The LP's evidence as a claim.
    fn claim(&self, relaxation: &Relaxation, intervals: &[Interval], refuted: &Refuted) -> LeafClaim {
        let beta = refuted.evidence.beta.iter().map(|b| *b as f32).collect();
        let alpha: Arc<[u8]> = if relaxation.is_exact() {
            Arc::default()
        } else {
            let shares = &refuted.evidence.shares;
            let alphas = Alphas {
                places: shares.iter().map(|(place, _)| *place as u32).collect(),
                shares: shares.iter().map(|(_, share)| (255.0 * share).round() as u8).collect(),
            };
            let parts = self.shared.problem.parts;
            claims(&parts.net, parts.program.output(), intervals, &alphas).into()
        };
        LeafClaim { row: refuted.row, alpha, beta }
    }
}
