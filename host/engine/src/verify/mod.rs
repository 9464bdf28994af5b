//! Verdicts with evidence: attack, branch and bound, and a proof that `certus_core::proof` accepted leaf by leaf.
//!
//! The search runs in `f32` and may be wrong by rounding. A counterexample is replayed in both meanings before it counts; a
//! domain counts as proved when the checker has accepted it, and `Holds` is given when the accepted leaves are exactly the
//! leaves of the tree.

mod attack;
mod contradiction;
mod crew;
mod exact;
mod group;
mod hull;
mod input_split;
mod instance;
mod leaf;
mod problem;
pub mod program;
pub mod proof_file;
mod relu_split;
mod resume;
pub mod settings;
mod shared;

use attack::{DenseLayers, DensePoints, Goal, Points};

use crate::bounds::crown::Scratch;
use crate::chain::Chain;
use crate::property::{Evaluate, Property, Witness, check_witness};
use crate::search::lp::Solver;
use crate::search::{Budget, Progress};
use certus_core::proof::Meaning;
use shared::{Domain, Shared, Tools};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub use instance::Instance;
pub use leaf::{Checker, check_case};
pub use problem::{CaseProblem, Parts};

/// How to verify.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// When to give up. Default 120 s.
    pub timeout: Duration,
    /// Worker threads; 0 (default) takes one per core.
    pub threads: usize,
    /// Seed of the attack's random starts. Default 0.
    pub seed: u64,
    /// For which executions the property is to hold. Default [`Meaning::Real`].
    pub meaning: Meaning,
    /// What is split. Default [`Branching::Automatic`].
    pub branching: Branching,
    /// Whether to look for counterexamples. Default true; off for boxes where none is expected.
    pub attack: bool,
    /// Most memory of open domains, bytes; 0 (default) is a quarter of the machine's. Above it they give up slopes and
    /// bounds that are found again, and the search goes on depth first.
    pub memory: usize,
    /// Who solves linear programs of domains. Default [`Solver::Own`].
    pub lp_solver: Solver,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(120),
            threads: 0,
            seed: 0,
            meaning: Meaning::Real,
            branching: Branching::Automatic,
            attack: true,
            memory: 0,
            lp_solver: Solver::Own,
        }
    }
}

/// What branch and bound splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Branching {
    /// Inputs of networks with few of them, else neurons.
    #[default]
    Automatic,
    /// The box of inputs.
    Inputs,
    /// Unstable neurons, with α,β-CROWN.
    Neurons,
}

/// Why there is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Time is up.
    Timeout,
    /// Somebody asked for the end.
    Stopped,
    /// A domain cannot be split further and its bound is within rounding of 0.
    Rounding,
    /// The checker bounds no step of some kind of the network in the meaning asked for, so that nothing can be proved.
    Unchecked,
}

/// A proof that some cases of a property are not violated.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseProof {
    /// Which cases, ascending; the proof is of their [`Property::merged`] case.
    pub cases: Vec<usize>,
    /// The proof, in the format of `certus_core::proof::walk`.
    pub bytes: Vec<u8>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// No input violates the property; the proofs together are of all cases.
    Holds(Vec<CaseProof>),
    /// An input that violates it, in both meanings.
    Violated(Witness),
    /// Not decided.
    Unknown {
        /// Why.
        reason: Reason,
        /// Lower bound of the best row on all that is open of the case at which the search ended: an estimate in `f32`, below 0.
        lower_bound: Option<f32>,
    },
}

/// What it took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// Domains bounded.
    pub domains: usize,
    /// Leaves that the checker accepted.
    pub leaves: usize,
    /// Leaves that the search held for proved and the checker did not accept; they were split further.
    pub rejected: usize,
    /// Seconds since the start.
    pub seconds: f64,
    /// Seconds in the checker, added up over all threads: part of what the search took.
    pub checker_seconds: f64,
}

/// A verdict and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The answer.
    pub verdict: Verdict,
    /// What it took.
    pub stats: Stats,
}

/// Decides `property` for `chain`.
///
/// # Panics
/// If the property's inputs or outputs are not the chain's ([`Property::check_against`]).
pub fn verify(
    chain: &Chain,
    property: &Property,
    settings: &Settings,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Report {
    verify_with(chain, chain, property, settings, stop, progress)
}

/// Decides `property` for `chain`; counterexamples are checked with `evaluator`, which is the same network on the property's
/// boxes, evaluated more directly.
///
/// # Panics
/// If the property's inputs or outputs are not those of both.
pub fn verify_with(
    chain: &Chain,
    evaluator: &dyn Evaluate,
    property: &Property,
    settings: &Settings,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Report {
    let expected = (property.inputs, property.outputs);
    assert_eq!((chain.inputs(), chain.outputs()), expected, "the property fits");
    assert_eq!((evaluator.inputs(), evaluator.outputs()), expected, "the property fits");
    let budget = Budget::new(settings.timeout, stop);
    let mut stats = Stats::default();
    let layers = chain.core_layers();
    let dense = DenseLayers::new(&layers);
    let verdict = match attack_first(&mut DensePoints::new(&dense), evaluator, property, settings, &budget) {
        Some(witness) => Verdict::Violated(witness),
        None => {
            let parts = Parts::with_dense(chain, &layers, evaluator, dense);
            decide_all(&parts, property, settings, &budget, progress, &mut stats)
        }
    };
    stats.seconds = budget.elapsed().as_secs_f64();
    Report { verdict, stats }
}

/// The attack that comes before anything else.
fn attack_first(
    points: &mut dyn Points,
    evaluator: &dyn Evaluate,
    property: &Property,
    settings: &Settings,
    budget: &Budget<'_>,
) -> Option<Witness> {
    if !settings.attack {
        return None;
    }
    let goal = Goal::new(&property.cases, property.outputs);
    let judge = |x: &[f32]| check_witness(evaluator, property, x);
    attack::first(&goal, points, &judge, settings.seed, &|| budget.is_spent())
}

/// Neighbouring cases in groups first, then each one that is left by itself.
fn decide_all(
    parts: &Parts<'_>,
    property: &Property,
    settings: &Settings,
    budget: &Budget<'_>,
    progress: &dyn Progress,
    stats: &mut Stats,
) -> Verdict {
    let grouped = group::prove_groups(parts, property, settings, budget, progress, stats);
    if let Some(witness) = grouped.witness {
        return Verdict::Violated(witness);
    }
    let mut proofs = grouped.proofs;
    for index in grouped.open {
        let problem = CaseProblem::new(parts, property, &property.cases[index], settings.meaning);
        match decide(&problem, settings, budget, progress, stats) {
            Ok(bytes) => proofs.push(CaseProof { cases: vec![index], bytes }),
            Err(verdict) => return verdict,
        }
    }
    Verdict::Holds(proofs)
}

fn worker_threads(settings: &Settings) -> usize {
    match settings.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    }
}

/// A box in `f32`, rounded outward.
fn rounded_box(lower: &[f64], upper: &[f64]) -> (Vec<f32>, Vec<f32>) {
    let down = |x: f64| {
        let y = x as f32;
        if f64::from(y) > x { y.next_down() } else { y }
    };
    (lower.iter().map(|x| down(*x)).collect(), upper.iter().map(|x| -down(-*x)).collect())
}

/// Up to this many inputs, boxes are halved; above, neurons are split.
const INPUT_SPLIT_INPUTS: usize = 20;

/// Decides a case: its proof, or another verdict.
fn decide(
    problem: &CaseProblem<'_>,
    settings: &Settings,
    budget: &Budget<'_>,
    progress: &dyn Progress,
    stats: &mut Stats,
) -> Result<Vec<u8>, Verdict> {
    let shared = Shared::new(problem, settings, budget, progress);
    let by_input = match settings.branching {
        Branching::Automatic => problem.parts.net.inputs <= INPUT_SPLIT_INPUTS,
        Branching::Inputs => true,
        Branching::Neurons => false,
    };
    let scratch = || {
        let mut scratch = if by_input { Scratch::attributing() } else { Scratch::default() };
        scratch.deadline = Some(budget.deadline());
        scratch
    };
    problem.with_proof_problem(|p| {
        let mut tools = Tools::new(&shared, p, 0, scratch());
        let root: Domain = shared.root();
        let open = if let Some(open) = resume::resume(&shared, p, worker_threads(settings)) {
            open
        } else if by_input {
            input_split::step(&shared, &mut tools, &mut input_split::Local::default(), root)
        } else {
            relu_split::step(&shared, &mut tools, vec![root])
        };
        if open.is_empty() && shared.root_is_proved() {
            return;
        }
        if settings.attack
            && let Some(witness) = tools.attack_root(&shared)
        {
            shared.end(Verdict::Violated(witness));
        }
        shared.pool.open(open);
        let run = match by_input {
            true => input_split::run,
            false if hull::applies(problem) => hull::run,
            false => relu_split::run,
        };
        let threads = worker_threads(settings);
        std::thread::scope(|scope| {
            for index in 1..threads {
                let (shared, scratch) = (&shared, scratch());
                scope.spawn(move || run(shared, &mut Tools::new(shared, p, index, scratch)));
            }
            run(&shared, &mut tools);
        });
    });
    shared.conclude(stats)
}
