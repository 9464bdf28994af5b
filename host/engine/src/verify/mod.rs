//! Verdicts with evidence: attack, branch and bound, and a proof that `certus_core::proof` accepted leaf by leaf.
//!
//! The search runs in `f32` and may be wrong by rounding. A counterexample is replayed in both meanings before it counts; a
//! domain counts as proved when the checker has accepted it, and `Holds` is given when the accepted leaves are exactly the
//! leaves of the tree.

mod attack;
mod input_split;
mod leaf;
mod problem;
mod relu_split;
mod shared;

use crate::bounds::crown::Scratch;
use crate::chain::Chain;
use crate::property::{Property, Witness};
use crate::search::{Budget, Progress};
use certus_core::proof::Meaning;
use shared::{Domain, Shared, Tools};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

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
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// No input violates the property; one proof per case, in the format of `certus_core::proof::walk`.
    Holds(Vec<Vec<u8>>),
    /// An input that violates it, in both meanings.
    Violated(Witness),
    /// Not decided.
    Unknown {
        /// Why.
        reason: Reason,
        /// Lowest bound of the best row among the domains last seen.
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
}

/// A verdict and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The answer.
    pub verdict: Verdict,
    /// What it took.
    pub stats: Stats,
}

/// Decides `property` for `program`.
///
/// # Panics
/// If the property's inputs or outputs are not the program's ([`Property::check_against`]).
pub fn verify(
    chain: &Chain,
    property: &Property,
    settings: &Settings,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Report {
    assert_eq!((chain.inputs(), chain.outputs()), (property.inputs, property.outputs), "the property fits");
    let budget = Budget::new(settings.timeout, stop);
    let mut stats = Stats::default();
    let mut proofs = Vec::with_capacity(property.cases.len());
    let parts = problem::Parts::new(chain);
    for case in &property.cases {
        let problem = CaseProblem::new(&parts, property, case, settings.meaning);
        match decide(&problem, settings, &budget, progress, &mut stats) {
            Ok(proof) => proofs.push(proof),
            Err(verdict) => {
                stats.seconds = budget.elapsed().as_secs_f64();
                return Report { verdict, stats };
            }
        }
    }
    stats.seconds = budget.elapsed().as_secs_f64();
    Report { verdict: Verdict::Holds(proofs), stats }
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
        let open = if by_input {
            input_split::step(&shared, &mut tools, &mut input_split::Local::default(), root)
        } else {
            relu_split::step(&shared, &mut tools, vec![root])
        };
        if shared.root_is_proved() {
            return;
        }
        if settings.attack
            && let Some(witness) = tools.attack_root(&shared)
        {
            shared.end(Verdict::Violated(witness));
        }
        shared.pool.open(open);
        let run = if by_input { input_split::run } else { relu_split::run };
        let threads = match settings.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
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
