//! Boxes of few free inputs in large networks, bounded by the checker's affine forms.
//!
//! Rows for every value of a large network cost thousands of backward passes for a box; forms cost one pass with some columns, and what they lose shrinks
//! with the square of the box. So the search bounds nothing itself: it asks the checker, and halves what that refuses.

use super::checker::{Box64, Desk, Referee};
use super::domain::Domain;
use super::problem::CaseProblem;
use super::root::free_inputs;
use super::tree::{LeafClaim, LemmaBytes, forms_lemma};
use super::worker::{Answer, Worker};
use crate::bounds::program::{Region, Stop};
use crate::verify::{Branching, Settings};
use certus_core::proof::program::Bounds;

/// Up to this many free inputs: a box has to be halved along all of them.
const INPUTS: usize = 6;

/// From this many products at a point on, rows are too dear.
const PRODUCTS: usize = 100_000;

/// Most memory of a thread's forms.
const BYTES: usize = 192 << 20;

/// Symbols of the forms that the boxes of a case are bounded by; 0 if rows are better.
pub fn columns(desk: &Desk<'_>, problem: &CaseProblem<'_>, settings: &Settings) -> usize {
    if suit(problem, settings) { desk.columns_within(BYTES) } else { 0 }
}

/// Whether forms suit the boxes of a case better than rows.
pub fn suit(problem: &CaseProblem<'_>, settings: &Settings) -> bool {
    let region = &problem.case.region;
    let large = problem.parts.net.products() >= PRODUCTS;
    settings.branching != Branching::Neurons && large && free_inputs(&region.lower, &region.upper) <= INPUTS
}

/// Asks the checker about a box of `problem`, with adaptive slopes for the row of each disjunct that the intervals of the outputs favour; its lemma
/// inherits from the bounds `above`, if there are any.
pub fn judge(
    referee: &mut Referee<'_>,
    problem: &CaseProblem<'_>,
    above: Option<&Bounds<'_>>,
    region: Box64<'_>,
    lemma: &LemmaBytes,
    stop: Stop<'_>,
) -> Option<(Vec<LeafClaim>, Answer)> {
    referee.judge(above, region, lemma, |outputs| favoured(problem, outputs), stop)
}

/// Adaptive slopes for the row of each disjunct that the intervals of the outputs favour.
pub fn favoured(problem: &CaseProblem<'_>, (low, high): (&[f64], &[f64])) -> Vec<LeafClaim> {
    let least = |row: &certus_core::proof::program::Row<'_>| {
        let ends = row.output.iter().zip(low.iter().zip(high));
        ends.map(|(c, (l, u))| (c * l).min(c * u)).sum::<f64>() - row.rhs
    };
    let best = |rows: &Vec<certus_core::proof::program::Row<'_>>| {
        (0..rows.len()).max_by(|a, b| least(&rows[*a]).total_cmp(&least(&rows[*b]))).unwrap_or(0)
    };
    let claim = |rows| LeafClaim { row: best(rows) as u16, ..LeafClaim::default() };
    problem.rows.iter().map(claim).collect()
}

impl Worker<'_, '_> {
    /// Has the checker prove a box by forms, or returns its halves.
    pub fn step_forms(&mut self, mut domain: Domain, columns: usize) -> Vec<Domain> {
        let (shared, lemma) = (self.shared, forms_lemma(columns));
        let judged = judge(&mut self.referee, shared.problem, None, domain.place().0, &lemma, shared.stop());
        let (claims, answer) = match judged {
            Some((claims, answer)) if answer.accepted => {
                let own = shared.accepted.lemma(None, domain.place(), &lemma);
                self.remember(Some(own), &domain, &claims);
                shared.tree.state(domain.node, lemma);
                shared.tree.prove(domain.node, claims);
                let lowest = answer.margins.iter().copied().fold(f64::INFINITY, f64::min);
                shared.note(lowest as f32, 0.5f64.powi(domain.depth.cast_signed()));
                return Vec::new();
            }
            Some(judged) => judged,
            None if shared.out_of_budget() => return vec![domain],
            // Nothing is known: a function left its domain.
            None => {
                let disjuncts = shared.problem.disjuncts();
                let claims = vec![LeafClaim::default(); disjuncts];
                (claims, Answer { accepted: false, margins: vec![f64::NEG_INFINITY; disjuncts] })
            }
        };
        let known = |m: f64| if m.is_nan() { f32::NEG_INFINITY } else { m as f32 };
        let rows: Vec<(u16, f32)> =
            claims.iter().zip(&answer.margins).map(|(c, m)| (c.row, known(*m))).collect();
        let lowest = rows.iter().map(|(_, m)| *m).fold(f32::INFINITY, f32::min);
        shared.note(lowest, 0.0);
        domain.bound = domain.bound.max(lowest);
        let (lower, upper) = domain.rounded();
        let region = Region { lower: &lower, upper: &upper };
        if shared.settings.attack && self.attack(region) {
            return Vec::new();
        }
        match self.choose_coordinate(&domain, region, &rows, &[]) {
            Some(cut) => shared.halve(domain, cut),
            None => {
                shared.pool.lose(&domain);
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::checker::Desktop;
    use super::super::problem::Parts;
    use super::super::tree::Tree;
    use super::*;
    use crate::program::{Builder, Function, Map, Program};
    use crate::property::{Case, Disjunct, InputBox, Property, Row};
    use certus_core::program::Slot;
    use certus_core::proof::{Meaning, Rejection};
    use std::sync::Arc;

    /// `relu(2x) − relu(2x − 1)`: from 0 to 1.
    fn program() -> Program {
        let mut b = Builder::new(1);
        let dense = |rows, cols, weights| Map::Dense { count: 1, rows, cols, weights: Arc::new(weights) };
        let bias = crate::program::Constants { values: vec![0.0, -1.0], error: None };
        let z = b.affine("z", Slot::INPUT, dense(2, 1, vec![2.0, 2.0]), Some(bias)).unwrap();
        let y = b.elementwise("relu", z, Function::Relu).unwrap();
        let out = b.affine("y", y, dense(1, 2, vec![1.0, -1.0]), None).unwrap();
        b.finish(out).unwrap()
    }

    /// On `[0, end]`: the output is at most `least`.
    fn property(end: f64, least: f64) -> Property {
        let region = InputBox {
            lower: vec![0.0],
            upper: vec![end],
            witness_lower: vec![0.0],
            witness_upper: vec![end as f32],
        };
        let row = Row { coefficients: vec![1.0], rhs_lower: least, rhs_upper: least, strict: false };
        let disjuncts = vec![Disjunct { rows: vec![row] }];
        Property { inputs: 1, outputs: 1, cases: vec![Case { region, disjuncts }] }
    }

    /// Whether a leaf with a lemma of forms is accepted when it is found, and again from its bytes.
    fn accepted(least: f64) -> (bool, Result<(), Rejection>) {
        let (program, property) = (program(), property(1.0, least));
        let parts = Parts::new(&program, &program);
        let problem = CaseProblem::new(&parts, &property, &property.cases[0]);
        let disjuncts: Vec<&[_]> = problem.rows.iter().map(Vec::as_slice).collect();
        let mut words = Vec::new();
        let desk =
            Desk::new(parts.tables.program(), &disjuncts, Meaning::Real, &parts.kernel, &mut words).unwrap();
        let columns = desk.columns_within(1 << 20);
        assert_eq!(columns, 254, "small programs take as many as there may be");
        let mut memory = Desktop::default();
        let mut referee = Referee::new(&desk, &mut memory, columns).unwrap();
        let region: (&[f64], &[f64]) = (&[0.0], &[1.0]);
        let lemma = forms_lemma(columns);
        let (claims, answer) = judge(&mut referee, &problem, None, region, &lemma, Stop::default()).unwrap();
        let tree = Tree::default();
        tree.state(0, lemma);
        tree.prove(0, claims);
        let bytes = tree.to_bytes(1000).unwrap();
        assert_eq!(desk.columns_of(&bytes, region), Ok(columns));
        (answer.accepted, desk.check(&bytes, region).map(|_| ()))
    }

    #[test]
    fn a_leaf_with_forms_is_accepted_again_from_its_bytes_and_never_beyond_the_truth() {
        // Relaxed, `y ≥ −1/2`: the lower line of the first ReLU less the chord of the second.
        assert_eq!(accepted(-0.51), (true, Ok(())));
        let (now, later) = accepted(0.01);
        assert!(!now && matches!(later, Err(Rejection::NotProved { .. })), "{later:?}");
    }
}
