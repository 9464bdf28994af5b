//! One case of many, by one thread: its box is halved until the checker accepts every part by affine forms.
//!
//! A property of thousands of boxes with few free inputs asks for no search that threads share: the cases are what is shared. The lemma of the whole box
//! stays for its parts, which inherit from it whatever does not depend on the free inputs.

use super::attack::gradient_at;
use std::collections::HashMap;

use super::checker::{Accepted, Box64, Desk, Desktop, Referee};
use super::domain::Domain;
use super::forms::{favoured, judge};
use super::inputs::steepest_half;
use super::problem::CaseProblem;
use super::root::free_inputs;
use super::tree::{Cut, LeafClaim, Tree, forms_lemma};
use super::worker::Answer;
use crate::bounds::program::{Points, Prepared, Region, Stop};
use crate::verify::Settings;
use certus_kernels::LANE_MULTIPLE;

/// Most parts that are bounded; a case that takes more is left to threads that share it.
const PARTS: usize = 1000;

/// Most cuts that are kept.
const CUTS: usize = 1 << 16;

/// One case in so many asks about parts again that earlier cases halved into two leaves.
const RETRY: usize = 4;

/// Most bytes of a proof.
const PROOF_BYTES: usize = 1 << 24;

/// Most memory of the symbols.
const BYTES: usize = 64 << 20;

/// One thread's memory.
pub struct Single<'n> {
    /// Of its checker.
    pub memory: Desktop,
    points: Points<'n>,
    floats: Vec<f64>,
    /// Where parts of earlier cases were halved: other cases have the same boxes, and nearly the same trees.
    cuts: HashMap<Part, Cut>,
    cases: usize,
}

impl<'n> Single<'n> {
    /// Memory for cases about `net`.
    pub fn new(net: &'n Prepared) -> Self {
        Self {
            memory: Desktop::default(),
            points: Points::new(net, LANE_MULTIPLE),
            floats: Vec::new(),
            cuts: HashMap::new(),
            cases: 0,
        }
    }

    /// The proof of a case, if there is one in few parts, and the seconds that the checker took.
    pub fn prove(
        &mut self,
        problem: &CaseProblem<'_>,
        settings: &Settings,
        stop: Stop<'_>,
    ) -> (Option<Vec<u8>>, f64) {
        let disjuncts: Vec<&[_]> = problem.rows.iter().map(Vec::as_slice).collect();
        let (mut words, parts) = (Vec::new(), problem.parts);
        let desk = Desk::new(parts.tables.program(), &disjuncts, settings.meaning, &parts.kernel, &mut words);
        let Ok(desk) = desk else { return (None, 0.0) };
        let bytes = self.halve(&desk, problem, stop);
        (bytes, desk.seconds())
    }

    /// Halves the box until every part is accepted.
    fn halve(&mut self, desk: &Desk<'_>, problem: &CaseProblem<'_>, stop: Stop<'_>) -> Option<Vec<u8>> {
        let region = (problem.case.region.lower.as_slice(), problem.case.region.upper.as_slice());
        // A symbol for each free input: what is left in the last vector serves relaxations.
        let columns = (free_inputs(region.0, region.1) + 2).next_multiple_of(LANE_MULTIPLE) - 2;
        if columns > desk.columns_within(BYTES) {
            return None;
        }
        let mut referee = Referee::new(desk, &mut self.memory, columns).ok()?;
        let (tree, accepted, lemma) = (Tree::default(), Accepted::new(region), forms_lemma(columns));
        let mut bounds = desk.bounds(&mut self.floats);
        let domain = Domain::root(region.0, region.1);
        let claims_of = |outputs: Box64<'_>| favoured(problem, outputs);
        let (claims, answer) = referee.judge_root(region, &lemma, &mut bounds, claims_of, stop)?;
        let root = accepted.lemma(None, domain.place(), &lemma);
        tree.state(0, lemma.clone());
        if answer.accepted {
            accepted.insert(root, domain.place(), 0, &claims);
            tree.prove(domain.node, claims);
            return closed(&tree, desk, region, &accepted);
        }
        let mut splits: Vec<Halved> = Vec::new();
        let mut split = |domain: Domain, cut: Cut, open: &mut Vec<_>| {
            splits.push(Halved { part: free_part(&domain, region), cut, leaves: 0 });
            let nodes = tree.split(domain.node, cut);
            let [first, second] = domain.halve(cut, nodes);
            let at = splits.len() - 1;
            open.extend([(second, at), (first, at)]);
        };
        let mut open: Vec<(Domain, usize)> = Vec::new();
        let cut = choose(&mut self.points, problem, &domain, &claims, &answer)?;
        split(domain, cut, &mut open);
        let (mut rest, mut leaves) = (PARTS, Vec::new());
        while let Some((domain, parent)) = open.pop() {
            rest = rest.checked_sub(1)?;
            if let Some(cut) = self.cuts.get(&free_part(&domain, region)) {
                split(domain, *cut, &mut open);
                continue;
            }
            let (claims, answer) =
                judge(&mut referee, problem, Some(&bounds), domain.place().0, &lemma, stop)?;
            if !answer.accepted {
                let cut = choose(&mut self.points, problem, &domain, &claims, &answer)?;
                split(domain, cut, &mut open);
                continue;
            }
            let own = accepted.lemma(Some(root), domain.place(), &lemma);
            accepted.insert(own, domain.place(), 0, &claims);
            tree.state(domain.node, lemma.clone());
            tree.prove(domain.node, claims);
            leaves.push(parent);
        }
        leaves.into_iter().for_each(|parent| splits[parent].leaves += 1);
        self.remember(splits);
        closed(&tree, desk, region, &accepted)
    }

    /// Keeps the cuts of a case for cases with the same box; now and then without those that only leaves are below, so that they are asked about again.
    fn remember(&mut self, splits: Vec<Halved>) {
        self.cases += 1;
        if self.cuts.len() > CUTS {
            self.cuts.clear();
        }
        for Halved { part, cut, leaves, .. } in splits {
            if leaves == 2 && self.cases.is_multiple_of(RETRY) {
                self.cuts.remove(&part);
            } else {
                self.cuts.insert(part, cut);
            }
        }
    }
}

/// A part that was halved, and how many of its halves are leaves.
struct Halved {
    part: Part,
    cut: Cut,
    leaves: u8,
}

/// A box by its free coordinates: which, and their ends as bits.
type Part = Vec<(u32, u64, u64)>;

/// A part of `region` by the coordinates that are free there.
fn free_part(domain: &Domain, region: Box64<'_>) -> Part {
    let free = |j: &usize| region.1[*j] - region.0[*j] > 1e-12 * (1.0 + region.0[*j].abs());
    let ends = |j: usize| (j as u32, domain.lower[j].to_bits(), domain.upper[j].to_bits());
    (0..region.0.len()).filter(free).map(ends).collect()
}

/// The bytes of a tree whose leaves were all accepted.
fn closed(tree: &Tree, desk: &Desk<'_>, region: Box64<'_>, accepted: &Accepted) -> Option<Vec<u8>> {
    let bytes = tree.to_bytes(PROOF_BYTES)?;
    desk.cover(&bytes, region, accepted).ok()?;
    Some(bytes)
}

/// The coordinate to halve and where.
fn choose(
    points: &mut Points<'_>,
    problem: &CaseProblem<'_>,
    domain: &Domain,
    claims: &[LeafClaim],
    answer: &Answer,
) -> Option<Cut> {
    let (lower, upper) = domain.rounded();
    let region = Region { lower: &lower, upper: &upper };
    let gradient = if free_inputs(&domain.lower, &domain.upper) > 1 {
        let margins = answer.margins.iter().map(|m| if m.is_nan() { f64::NEG_INFINITY } else { *m });
        let worst = margins.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(d, _)| d);
        let row = problem.rows_of(worst).start + usize::from(claims[worst].row);
        let middle: Vec<f32> = lower.iter().zip(&upper).map(|(l, u)| 0.5 * l + 0.5 * u).collect();
        gradient_at(points, problem, &middle, row)
    } else {
        vec![1.0; lower.len()]
    };
    steepest_half(domain, region, &gradient)
}

#[cfg(test)]
mod tests {
    use super::super::check_program;
    use super::super::problem::Parts;
    use super::*;
    use crate::program::{Builder, Constants, Function, Map, Program};
    use crate::property::{Case, Disjunct, InputBox, Property, Row};
    use crate::verify::CaseProof;
    use certus_core::program::Slot;
    use std::sync::Arc;

    /// `relu(3x − 1) + relu(1 − 2x)`: at least 1/3, at x = 1/3.
    fn program() -> Program {
        let mut b = Builder::new(1);
        let dense = |rows, cols, weights| Map::Dense { count: 1, rows, cols, weights: Arc::new(weights) };
        let bias = Constants { values: vec![-1.0, 1.0], error: None };
        let z = b.affine("z", Slot::INPUT, dense(2, 1, vec![3.0, -2.0]), Some(bias)).unwrap();
        let y = b.elementwise("relu", z, Function::Relu).unwrap();
        let out = b.affine("y", y, dense(1, 2, vec![1.0, 1.0]), None).unwrap();
        b.finish(out).unwrap()
    }

    /// On `[0, 1]`: the output is at most `least`.
    fn property(least: f64) -> Property {
        let region = InputBox {
            lower: vec![0.0],
            upper: vec![1.0],
            witness_lower: vec![0.0],
            witness_upper: vec![1.0],
        };
        let row = Row { coefficients: vec![1.0], rhs_lower: least, rhs_upper: least, strict: false };
        let disjuncts = vec![Disjunct { rows: vec![row] }];
        Property { inputs: 1, outputs: 1, cases: vec![Case { region, disjuncts }] }
    }

    /// What one thread says of some cases in turn: how many leaves each proof has that `check_program` accepts, or none.
    fn leaves(cases: &[f64]) -> Vec<Option<usize>> {
        let program = program();
        let parts = Parts::new(&program, &program);
        let mut single = Single::new(&parts.net);
        let one = |least: &f64| {
            let case = property(*least);
            let problem = CaseProblem::new(&parts, &case, &case.cases[0]);
            let (bytes, _) = single.prove(&problem, &Settings::default(), Stop::default());
            let proof = CaseProof { cases: vec![0], bytes: bytes? };
            // The same bytes prove nothing about what is false.
            assert!(check_program(&program, &property(0.34), &proof).is_err());
            Some(check_program(&program, &case, &proof).expect("what was accepted is").leaves)
        };
        cases.iter().map(one).collect()
    }

    #[test]
    fn cases_are_halved_until_the_checker_accepts_and_what_is_false_never_is() {
        let found = leaves(&[-1.1, 0.3, 0.34]);
        assert_eq!(found[0], Some(1));
        assert!(found[1].is_some_and(|leaves| leaves > 1), "{found:?}");
        assert_eq!(found[2], None);
    }

    #[test]
    fn cuts_of_earlier_cases_are_taken_over_and_forgotten_where_they_do_not_help() {
        let (hard, easy) = (leaves(&[0.33])[0].unwrap(), leaves(&[0.2])[0].unwrap());
        assert!(hard > easy, "{hard} {easy}");
        let found = leaves(&[&[0.33][..], &[0.2; 60]].concat());
        assert_eq!(found[1], Some(hard), "the tree of the case before");
        assert_eq!(found[60], Some(easy), "{found:?}");
    }
}
