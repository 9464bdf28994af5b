//! Verdicts with evidence: attack, branch and bound, and a proof that `certus_core::proof` accepted leaf by leaf.
//!
//! The search runs in `f32` and may be wrong by rounding. A counterexample is replayed in both meanings before it counts; a
//! domain counts as proved when the checker has accepted it, and `Holds` is given when the accepted leaves are exactly the
//! leaves of the tree.

mod attack;
mod input_split;
mod leaf;
mod problem;

use crate::program::Program;
use crate::property::{Property, Witness};
use crate::search::{Budget, Progress};
use certus_core::proof::Meaning;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub use leaf::{Checker, check_case};
pub use problem::CaseProblem;

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
    /// Whether to look for counterexamples. Default true; off for boxes where none is expected.
    pub attack: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(120), threads: 0, seed: 0, meaning: Meaning::Real, attack: true }
    }
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
    program: &Program,
    property: &Property,
    settings: &Settings,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Report {
    assert_eq!(
        (program.inputs(), program.outputs()),
        (property.inputs, property.outputs),
        "the property fits"
    );
    let budget = Budget::new(settings.timeout, stop);
    let mut stats = Stats::default();
    let mut proofs = Vec::with_capacity(property.cases.len());
    let parts = problem::Parts::new(program);
    for case in &property.cases {
        let problem = CaseProblem::new(&parts, property, case, settings.meaning);
        let outcome = input_split::decide(&problem, settings, &budget, progress, &mut stats);
        match outcome {
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
