//! One case of many, by one thread: its box is halved until the checker accepts every part by affine forms.
//!
//! A property of thousands of boxes with few free inputs asks for no search that threads share: the cases are what is shared. The lemma of the whole box
//! stays for its parts, which inherit from it whatever does not depend on the free inputs.

use super::attack::gradient_at;
use super::checker::{Accepted, Desk, Desktop, Referee};
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
}

impl<'n> Single<'n> {
    /// Memory for cases about `net`.
    pub fn new(net: &'n Prepared) -> Self {
        Self { memory: Desktop::default(), points: Points::new(net, LANE_MULTIPLE), floats: Vec::new() }
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
        let region = &problem.case.region;
        // A symbol for each free input: what is left in the last vector serves relaxations.
        let free = free_inputs(&region.lower, &region.upper);
        let columns = (free + 2).next_multiple_of(LANE_MULTIPLE) - 2;
        if columns > desk.columns_within(BYTES) {
            return None;
        }
        let mut referee = Referee::new(desk, &mut self.memory, columns).ok()?;
        let region = (problem.case.region.lower.as_slice(), problem.case.region.upper.as_slice());
        let (tree, accepted, lemma) = (Tree::default(), Accepted::new(region), forms_lemma(columns));
        let mut bounds = desk.bounds(&mut self.floats);
        let domain = Domain::root(region.0, region.1);
        let (claims, answer) = referee.judge_root(region, &lemma, &mut bounds, |y| favoured(problem, y), stop)?;
        let root = accepted.lemma(None, domain.place(), &lemma);
        tree.state(0, lemma.clone());
        let mut open = Vec::new();
        let mut rest = PARTS;
        let mut place = |domain: Domain, claims: Vec<LeafClaim>, answer: &Answer, own, open: &mut Vec<_>| {
            if answer.accepted {
                accepted.insert(own, domain.place(), 0, &claims);
                tree.prove(domain.node, claims);
                return Some(());
            }
            let cut = choose(&mut self.points, problem, &domain, &claims, answer)?;
            let nodes = tree.split(domain.node, cut);
            let [first, second] = domain.halve(cut, nodes);
            open.extend([second, first]);
            Some(())
        };
        place(domain, claims, &answer, root, &mut open)?;
        while let Some(domain) = open.pop() {
            rest = rest.checked_sub(1)?;
            let (claims, answer) =
                judge(&mut referee, problem, Some(&bounds), domain.place().0, &lemma, stop)?;
            let own = accepted.lemma(Some(root), domain.place(), &lemma);
            if answer.accepted {
                tree.state(domain.node, lemma.clone());
            }
            place(domain, claims, &answer, own, &mut open)?;
        }
        if std::env::var_os("DBG").is_some() { eprintln!("DBG parts {} seconds {}", PARTS - rest + 1, desk.seconds()); }
        let bytes = tree.to_bytes(PROOF_BYTES)?;
        desk.cover(&bytes, region, &accepted).ok()?;
        Some(bytes)
    }
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
