//! A verdict of the verifier held against the exact answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::exact::{Minimum, Q, Step, Stopped, evaluate, exact, minima};
use super::network::{Network, Op, masses};
use super::onnx::onnx_bytes;
use super::statement::{Case, Statement};
use crate::Model;
use crate::graph::parse_onnx_bytes;
use crate::property::{Evaluate, Problem, Property, Witness, parse_vnnlib1};
use crate::search::Silent;
use crate::verify::program::check_program;
use crate::verify::{CaseProblem, CaseProof, Instance, Parts, Reason, Settings, Verdict, check_case};
use certus_core::proof::Meaning;
use num_traits::{Signed, Zero};

/// A margin within this part of the mass (all absolute values that enter a row, added up) is near: `unknown` is an answer there,
/// since a witness has to hold in `f32` and a proof in intervals.
pub const NEAR: f64 = 1.0 / 65536.0;

/// A witness is evaluated in `f64`; this part of the mass is more than that rounds.
const ROUNDING: f64 = 1.0 / (1u64 << 44) as f64;

/// The same where constants are folded into others and rounded to `f32`.
const FOLDING: f64 = 1.0 / (1u64 << 21) as f64;

fn rounding(network: &Network) -> Q {
    let is_folded = |op: &Op| match op {
        Op::BatchNorm { .. } | Op::AveragePool { .. } => true,
        Op::Dense { factors, .. } => *factors != [1.0, 1.0],
        _ => false,
    };
    exact(if network.nodes.iter().any(|n| is_folded(&n.op)) { FOLDING } else { ROUNDING })
}

/// A network, a statement, and how the verifier is to be run.
#[derive(Clone, Debug)]
pub struct Question {
    /// The network.
    pub network: Network,
    /// The statement.
    pub statement: Statement,
    /// How to run the verifier.
    pub settings: Settings,
    /// Whether the network goes the way of general programs although it is a chain.
    pub as_program: bool,
}

/// The exact answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// For each case and disjunct the least of the largest excess of its rows: negative if and only if all hold strictly
    /// somewhere.
    pub minima: Vec<Vec<Minimum>>,
    /// Largest mass of a row.
    pub mass: Q,
}

/// How a verdict compares with the exact answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// The same.
    Agrees(Word),
    /// A counterexample that holds in `f32` and `f64` as the verdict says, and misses over the reals by no more than `f64` rounds.
    WithinRounding,
    /// No verdict, threshold near the exact value (see [`NEAR`]).
    UnknownNear,
    /// No verdict, and none was to be expected: the violation is narrow, or the numbers leave the range of `f32`.
    UnknownHard,
    /// No verdict for no good reason.
    UnknownFar(String),
    /// The file was refused with a message.
    Refused(String),
    /// A wrong verdict, or a panic.
    Wrong(String),
}

/// A verdict in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The violation has no solution.
    Unsat,
    /// It has one.
    Sat,
}

/// The exact answer about `network` and `statement`; at most `cells_max` polytopes per case.
///
/// # Errors
/// [`Stopped::Cells`].
pub fn truth(network: &Network, statement: &Statement, cells_max: usize) -> Result<Truth, Stopped> {
    let (steps, last) = network.steps();
    let steps = &steps[..last];
    let mut all = Vec::new();
    let mut mass = Q::zero();
    for case in &statement.cases {
        let objectives: Vec<_> =
            case.disjuncts.iter().map(|d| d.iter().map(|r| r.excess(last)).collect()).collect();
        all.push(minima(steps, &objectives, &case.region, cells_max)?);
        let reach: Vec<Q> =
            case.region.lower.iter().zip(&case.region.upper).map(|(l, u)| l.abs().max(u.abs())).collect();
        let outputs = masses(steps, last, &reach);
        for row in case.disjuncts.iter().flatten() {
            let terms = row.coefficients.iter().zip(&outputs).map(|(c, m)| c.abs() * m);
            mass = mass.max(terms.fold(row.rhs.abs(), |s, t| s + t));
        }
    }
    Ok(Truth { minima: all, mass })
}

impl Truth {
    /// The least margin.
    pub fn margin(&self) -> &Q {
        self.minima.iter().flatten().map(|m| &m.value).min().expect("at least one disjunct")
    }

    /// The exact answer once every right-hand side has grown by `shift`.
    pub fn shifted(&self, shift: &Q) -> Self {
        let mut shifted = self.clone();
        shifted.minima.iter_mut().flatten().for_each(|m| m.value -= shift);
        shifted.mass += shift.abs();
        shifted
    }

    /// Whether the threshold is near the exact value (see [`NEAR`]).
    pub fn is_near(&self) -> bool {
        self.margin().abs() <= exact(NEAR) * &self.mass
    }

    /// Whether some input satisfies some disjunct, as far as the minima say it.
    pub fn is_satisfiable(&self, statement: &Statement) -> bool {
        let disjuncts = statement.cases.iter().flat_map(|c| &c.disjuncts);
        disjuncts
            .zip(self.minima.iter().flatten())
            .any(|(rows, m)| m.value.is_negative() || (m.value.is_zero() && rows.iter().all(|r| !r.strict)))
    }
}

/// Runs the verifier on `question` and compares.
pub fn judge(question: &Question, truth: &Truth, is_hard: bool, stop: &AtomicBool) -> Finding {
    match catch_unwind(AssertUnwindSafe(|| run(question, stop))) {
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Finding::Wrong(format!("panic: {}", text.unwrap_or_default()))
        }
        Ok(Answer::Refused(text)) => Finding::Refused(text),
        Ok(Answer::Contradiction) if truth.is_satisfiable(&question.statement) => {
            Finding::Wrong("refused as contradictory, but it has a solution".into())
        }
        Ok(Answer::Contradiction) => Finding::Agrees(Word::Unsat),
        Ok(Answer::Verdict(_, cases, Verdict::Holds(proofs))) if !covers(&proofs, cases) => {
            Finding::Wrong(format!("unsat, but not every one of {cases} cases has a proof"))
        }
        Ok(Answer::Verdict(model, _, verdict)) => compare(question, truth, is_hard, &model, &verdict),
    }
}

enum Answer {
    Refused(String),
    Contradiction,
    /// With the number of cases that the statement was read as.
    Verdict(Model, usize, Verdict),
}

fn run(question: &Question, stop: &AtomicBool) -> Answer {
    let lowered = match parse_vnnlib1(&question.statement.vnnlib()) {
        Ok(lowered) => lowered,
        Err(e) if matches!(e.problem(), Some(Problem::Impossible | Problem::EmptyBox { .. })) => {
            return Answer::Contradiction;
        }
        Err(e) => return Answer::Refused(e.to_string()),
    };
    let program = parse_onnx_bytes(&onnx_bytes(&question.network), "selftest").and_then(|n| n.lower());
    let model = match program {
        Ok(program) if question.as_program => Model::Program(program),
        Ok(program) => Model::from(program),
        Err(e) => return Answer::Refused(e.to_string()),
    };
    let instance = match Instance::new(lowered, vec![model.clone()]) {
        Ok(instance) => instance,
        Err(e) => return Answer::Refused(e.to_string()),
    };
    let report = instance.verify(&question.settings, stop, &Silent);
    Answer::Verdict(model, instance.property().cases.len(), report.verdict)
}

fn compare(question: &Question, truth: &Truth, is_hard: bool, model: &Model, verdict: &Verdict) -> Finding {
    match verdict {
        Verdict::Holds(_) if truth.is_satisfiable(&question.statement) => {
            Finding::Wrong(format!("unsat, but the least margin is {:e}", approximate(truth.margin())))
        }
        Verdict::Holds(proofs) => match question.settings.meaning {
            _ if transplant_is_accepted(question, truth, model, proofs) => {
                Finding::Wrong("the checker accepts the same proof where the statement has a solution".into())
            }
            Meaning::RealAndF32 => float_violation(question, truth, model)
                .map_or(Finding::Agrees(Word::Unsat), |x| {
                    Finding::Wrong(format!("unsat in f32 too, but the device's pass violates it at {x:?}"))
                }),
            Meaning::Real => Finding::Agrees(Word::Unsat),
        },
        Verdict::Violated(witness) => check_witness(question, truth, model, witness),
        Verdict::Unknown { reason, lower_bound } => {
            if truth.is_near() {
                Finding::UnknownNear
            } else if is_hard || *reason == Reason::Unchecked {
                Finding::UnknownHard
            } else {
                let margin = approximate(truth.margin());
                let s = &question.settings;
                let how = format!("{:?}, {:?}, program {}", s.meaning, s.branching, question.as_program);
                Finding::UnknownFar(format!("{reason:?} at margin {margin:e}, bound {lower_bound:?}, {how}"))
            }
        }
    }
}

/// Whether the proof of this true statement passes for one of a false one: the same with thresholds moved to where the exact
/// minimum meets them. The search stands aside here, so this holds the checker alone against the exact answer.
fn transplant_is_accepted(question: &Question, truth: &Truth, model: &Model, proofs: &[CaseProof]) -> bool {
    let nearest = approximate(truth.margin());
    if !nearest.is_finite() {
        return false;
    }
    let shift = if exact(nearest) < *truth.margin() { nearest.next_up() } else { nearest };
    let lie = question.statement.shifted(&exact(shift));
    if !truth.shifted(&exact(shift)).is_satisfiable(&lie) {
        return false;
    }
    let Ok(lowered) = parse_vnnlib1(&lie.vnnlib()) else { return false };
    let property = lowered.property;
    // Thresholds may decide whether a row or a case is left out as it is read: then the false statement has cases without a proof.
    covers(proofs, property.cases.len()) && proofs.iter().all(|p| accepted(question, model, &property, p))
}

/// Whether the proofs are of the cases `0..cases`, of all of them and of no other.
fn covers(proofs: &[CaseProof], cases: usize) -> bool {
    let named = |case: usize| proofs.iter().any(|p| p.cases.contains(&case));
    (0..cases).all(named) && proofs.iter().flat_map(|p| &p.cases).all(|case| *case < cases)
}

/// Whether the checker accepts a proof from its bytes.
fn accepted(question: &Question, model: &Model, property: &Property, proof: &CaseProof) -> bool {
    match model {
        Model::Chain(chain) => {
            let layers = chain.core_layers();
            let parts = Parts::new(chain, &layers, chain);
            let case = property.merged(&proof.cases);
            let problem = CaseProblem::new(&parts, property, &case, question.settings.meaning);
            check_case(&problem, &proof.bytes).is_ok()
        }
        Model::Program(program) => check_program(program, property, proof).is_ok(),
    }
}

fn approximate(q: &Q) -> f64 {
    num_traits::ToPrimitive::to_f64(q).unwrap_or(f64::NAN)
}

/// Whether the witness is what `Violated` says: in the box, in `f32` by the network's own pass, in `f64` up to its rounding.
fn check_witness(question: &Question, truth: &Truth, model: &Model, witness: &Witness) -> Finding {
    let (steps, last) = question.network.steps();
    let as_exact = |values: &[f32]| -> Option<Vec<Q>> { values.iter().map(|v| Q::from_float(*v)).collect() };
    let output = model.eval_f32(&witness.input);
    if output.iter().zip(&witness.output).any(|(a, b)| a.to_bits() != b.to_bits()) {
        return Finding::Wrong(format!("sat, but the network gives {output:?} at {:?}", witness.input));
    }
    let Some(output) = as_exact(&output) else {
        return Finding::Wrong(format!("sat with an output that is not finite: {witness:?}"));
    };
    let mut best: Option<Q> = None;
    for case in &question.statement.cases {
        let Some(inside) = place_in(case, &witness.input) else { continue };
        let real = evaluate(&steps[..last], &inside);
        for rows in &case.disjuncts {
            let holds = |y: &[Q]| {
                rows.iter().all(|r| {
                    let e = r.excess_at(y);
                    e.is_negative() || (e.is_zero() && !r.strict)
                })
            };
            if !holds(&output) {
                continue;
            }
            if holds(&real) {
                return Finding::Agrees(Word::Sat);
            }
            let excess = rows.iter().map(|r| r.excess_at(&real)).max().expect("a row");
            best = Some(best.map_or(excess.clone(), |b: Q| b.min(excess)));
        }
    }
    match best {
        Some(excess) if excess <= rounding(&question.network) * &truth.mass => Finding::WithinRounding,
        Some(excess) => Finding::Wrong(format!("sat, but the rows miss by {:e}", approximate(&excess))),
        None => {
            Finding::Wrong(format!("sat, but {:?} is in no box or violates nothing in f32", witness.input))
        }
    }
}

/// The point of the box that `input` stands for: itself if inside; the nearest end where the decimals have no `f32` between.
fn place_in(case: &Case, input: &[f32]) -> Option<Vec<Q>> {
    let place = |((x, l), u): ((&f32, &Q), &Q)| {
        let value = Q::from_float(*x)?;
        if value < *l {
            (Q::from_float(x.next_up())? > *u).then(|| l.clone())
        } else if value > *u {
            (Q::from_float(x.next_down())? < *l).then(|| u.clone())
        } else {
            Some(value)
        }
    };
    input.iter().zip(&case.region.lower).zip(&case.region.upper).map(place).collect()
}

/// An `f32` input in a box, near where the exact minimum is attained, at which the network's own pass violates the statement.
fn float_violation(question: &Question, truth: &Truth, model: &Model) -> Option<Vec<f32>> {
    for (case, minima) in question.statement.cases.iter().zip(&truth.minima) {
        for (rows, minimum) in case.disjuncts.iter().zip(minima) {
            for shift in -2..=2i32 {
                let near = |q: &Q| {
                    let x = num_traits::ToPrimitive::to_f32(q).unwrap_or(0.0);
                    (0..shift.abs()).fold(x, |x, _| if shift > 0 { x.next_up() } else { x.next_down() })
                };
                let x: Vec<f32> = minimum.at.iter().map(near).collect();
                let inside = place_in(case, &x)
                    .is_some_and(|p| p.iter().zip(&x).all(|(p, x)| *p == exact((*x).into())));
                if !inside {
                    continue;
                }
                let y: Option<Vec<Q>> = model.eval_f32(&x).iter().map(|y| Q::from_float(*y)).collect();
                let violated = |y: &[Q]| {
                    rows.iter().all(|r| {
                        let e = r.excess_at(y);
                        e.is_negative() || (e.is_zero() && !r.strict)
                    })
                };
                if y.is_some_and(|y| violated(&y)) {
                    return Some(x);
                }
            }
        }
    }
    None
}

/// Settings of a run that a random number chooses.
#[allow(clippy::needless_update, reason = "settings that are added later keep their defaults")]
pub fn settings(timeout: Duration, random: &mut super::random::Random) -> Settings {
    use crate::verify::Branching;
    Settings {
        timeout,
        threads: if random.once_in(16) { 2 } else { 1 },
        seed: random.bits(),
        meaning: if random.once_in(4) { Meaning::RealAndF32 } else { Meaning::Real },
        branching: *random.pick(&[
            Branching::Automatic,
            Branching::Automatic,
            Branching::Inputs,
            Branching::Neurons,
        ]),
        // Without it nothing but bounds and checker stands between the search and a wrong proof.
        attack: !random.once_in(4),
        ..Settings::default()
    }
}

/// Whether the exact steps agree with the network's own evaluation at a point, up to rounding: a test of the oracle.
pub fn oracle_agrees(network: &Network, steps: &[Step], model: &Model, x: &[f64]) -> bool {
    let at: Vec<Q> = x.iter().map(|x| exact(*x)).collect();
    let last = network.steps().1;
    let reach: Vec<Q> = at.iter().map(Signed::abs).collect();
    let mass = masses(steps, last, &reach);
    let (ours, theirs) = (evaluate(&steps[..last], &at), model.eval_f64(x));
    ours.iter()
        .zip(theirs)
        .zip(mass)
        .all(|((q, y), m)| Q::from_float(y).is_some_and(|y| (q - y).abs() <= rounding(network) * m))
}
