//! How good a network is: clean, under attack, certified by the device's own bounds, then by the verifier.
//!
//! Every certified count is what the `no_std` monitor says at that radius, or a proof that the checker accepted, for the network over the
//! reals and in the device's `f32`. The attack bounds all of them from above; a recording that is both broken and certified is an error.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use certus_core::Status;
use certus_core::artifact::{Claim, LiveBounds};
use certus_engine::Chain;
use certus_engine::certify::prove::{Outcome, prove_region};
use certus_engine::certify::{EmitError, OwnedSpec};
use certus_learn::attack::{Reach, Strength, counterexamples};
use certus_learn::data::Set;
use certus_learn::model::Model;
use certus_learn::sensor::digits::{Rows, SPEAKERS};
use certus_learn::sensor::logmel::{DECIBEL, FEATURES};
use rayon::prelude::*;

use super::results::{Evaluation, GroupResult, RadiusResult};
use super::{data, recipe, run};
use crate::control::sweep;

/// What is done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Radii, decibels.
    pub radii_db: Vec<f64>,
    /// Those at which the verifier takes what CROWN leaves open, decibels.
    pub verify_db: Vec<f64>,
    /// Time for each of those, milliseconds.
    pub verify_ms: u64,
    /// How hard the attack tries.
    pub strength: Strength,
    /// Seed of its starts.
    pub seed: u64,
}

impl Plan {
    /// What the quickstart reports: a curve of radii, the verifier up to that of the monitor.
    pub fn report(seed: u64) -> Self {
        Self {
            radii_db: vec![0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0],
            verify_db: vec![0.5, recipe::RADIUS_DB],
            verify_ms: 500,
            strength: Strength::default(),
            seed,
        }
    }

    /// The radii that are published, bounds only.
    pub fn short(seed: u64) -> Self {
        Self { radii_db: recipe::RADII_DB.to_vec(), verify_db: Vec::new(), ..Self::report(seed) }
    }
}

/// Why there is no evaluation.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The network does not fit an artifact.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// A certificate is wrong.
    #[error(
        "recording {input} is certified at {radius_db} dB by {by}, yet a point within that radius has another class: \
         please report this with the seed"
    )]
    Contradiction {
        /// The recording's place in its set.
        input: usize,
        /// The radius.
        radius_db: f64,
        /// What certified it.
        by: &'static str,
    },
}

/// Evaluates on `rows`; `progress` is called after each of [`parts`] parts.
///
/// # Errors
/// [`EvaluateError::Contradiction`] if something certified is broken by the attack.
pub fn evaluate(
    (model, chain): (&Model, &Chain),
    rows: &Rows,
    plan: &Plan,
    stop: &AtomicBool,
    progress: &dyn Fn(),
) -> Result<Evaluation, EvaluateError> {
    let (inputs, labels) = (data::inputs(&rows.set), data::labels(&rows.set));
    let right: Vec<bool> =
        inputs.iter().zip(labels).map(|(x, label)| u32::from(sweep::class_of(chain, x)) == *label).collect();
    let mut radii = Vec::new();
    let mut shipped = vec![false; inputs.len()];
    for &radius_db in &plan.radii_db {
        let broken = broken((model, chain), &rows.set, radius_db, plan);
        progress();
        let mut certified = Vec::new();
        for (live_bounds, by) in run::METHODS {
            let by_method = certified_by(chain, live_bounds, radius_db, &inputs, labels)?;
            contradiction(&by_method, &broken, radius_db, by)?;
            certified.push(by_method);
        }
        progress();
        if radius_db == recipe::RADIUS_DB {
            shipped.clone_from(&certified[run::SHIPPED]);
        }
        let mut verified = None;
        if plan.verify_db.contains(&radius_db) {
            let open = |k: usize| right[k] && !broken[k] && !certified[run::SHIPPED][k];
            let proved: Vec<bool> = (0..inputs.len())
                .into_par_iter()
                .map(|k| open(k) && prove(chain, labels[k], &inputs[k], radius_db, plan.verify_ms, stop))
                .collect();
            contradiction(&proved, &broken, radius_db, "the verifier")?;
            let count = |of: &dyn Fn(usize) -> bool| (0..inputs.len()).filter(|k| of(*k)).count();
            let all = count(&|k| proved[k] || certified[run::SHIPPED][k]);
            verified = Some((all, count(&|k| open(k) && !proved[k])));
            progress();
        }
        radii.push(RadiusResult {
            radius_db,
            unbroken: right.iter().zip(&broken).filter(|(right, broken)| **right && !**broken).count(),
            certified: certified.iter().map(|c| c.iter().filter(|c| **c).count()).collect(),
            verified,
        });
    }
    let group = |name: String, is: &dyn Fn(usize) -> bool| {
        let members = || (0..inputs.len()).filter(|k| is(*k));
        GroupResult {
            name,
            count: members().count(),
            correct: members().filter(|k| right[*k]).count(),
            certified: members().filter(|k| shipped[*k]).count(),
        }
    };
    Ok(Evaluation {
        count: inputs.len(),
        correct: right.iter().filter(|r| **r).count(),
        radii,
        digits: (0..10).map(|d: u32| group(d.to_string(), &|k| labels[k] == d)).collect(),
        speakers: (0u32..)
            .zip(SPEAKERS)
            .map(|(s, name)| group(name.to_owned(), &|k| rows.speakers[k] == s))
            .collect(),
    })
}

/// How often [`evaluate`] calls `progress`.
pub fn parts(plan: &Plan) -> usize {
    2 * plan.radii_db.len() + plan.radii_db.iter().filter(|r| plan.verify_db.contains(r)).count()
}

/// Which inputs have a point within the radius that the device classifies otherwise, found by PGD and AutoPGD and evaluated in the device's
/// arithmetic.
pub(super) fn broken((model, chain): (&Model, &Chain), set: &Set, radius_db: f64, plan: &Plan) -> Vec<bool> {
    let radius = vec![radius_db * DECIBEL; FEATURES];
    let reach = Reach { radius: &radius, range: None };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let found =
        counterexamples(model, set, (reach, set.len()), plan.strength, (plan.seed, threads), &mut |_| true);
    let labels = data::labels(set);
    let is_broken = |(k, point): (usize, &Option<Vec<f32>>)| {
        point.as_ref().is_some_and(|point| u32::from(sweep::class_of(chain, point)) != labels[k])
    };
    found.iter().enumerate().map(is_broken).collect()
}

/// Which inputs the monitor certifies at `radius_db`, with the right class.
///
/// # Errors
/// [`EmitError`] if the network does not fit an artifact.
pub fn certified_by(
    chain: &Chain,
    live_bounds: LiveBounds,
    radius_db: f64,
    inputs: &[Vec<f32>],
    labels: &[u32],
) -> Result<Vec<bool>, EmitError> {
    let decisions = decisions(chain, live_bounds, radius_db, inputs)?;
    let certified = |(decision, label): (&certus_core::Decision, &u32)| {
        matches!(decision.status, Status::Certified { .. }) && decision.class.map(u32::from) == Some(*label)
    };
    Ok(decisions.iter().zip(labels).map(certified).collect())
}

/// What the monitor with `live_bounds` says to `inputs` at `radius_db`, without any certificates, all cores at work.
///
/// # Errors
/// [`EmitError`] if the network does not fit an artifact.
pub fn decisions(
    chain: &Chain,
    live_bounds: LiveBounds,
    radius_db: f64,
    inputs: &[Vec<f32>],
) -> Result<Vec<certus_core::Decision>, EmitError> {
    let mut artifact = run::artifact(chain, Vec::new(), &[]);
    artifact.settings.live_bounds = live_bounds;
    artifact.settings.epsilon = vec![recipe::radius(radius_db); FEATURES];
    let bytes = artifact.emit()?;
    let parts: Result<Vec<_>, _> =
        inputs.par_chunks(50).map(|inputs| sweep::decisions(&bytes, inputs)).collect();
    Ok(parts?.concat())
}

/// Whether the verifier proves `label` on the ball around `input`.
fn prove(chain: &Chain, label: u32, input: &[f32], radius_db: f64, ms: u64, stop: &AtomicBool) -> bool {
    if stop.load(Ordering::Relaxed) {
        return false;
    }
    let (lower, upper) = ball(input, radius_db);
    let Ok(class) = u16::try_from(label) else { return false };
    let budget = (Duration::from_millis(ms), 1);
    let claim = Claim::Class(class);
    let outcome = prove_region(chain, &OwnedSpec::ArgMax, claim, (&lower, &upper), budget, stop);
    matches!(outcome, Outcome::Proved(_))
}

/// A box that holds every point within `radius_db` of `input`, and the monitor's ball around it.
pub fn ball(input: &[f32], radius_db: f64) -> (Vec<f32>, Vec<f32>) {
    let radius = recipe::radius(radius_db);
    let lower = input.iter().map(|x| (x - radius).next_down()).collect();
    (lower, input.iter().map(|x| (x + radius).next_up()).collect())
}

pub(super) fn contradiction(
    certified: &[bool],
    broken: &[bool],
    radius_db: f64,
    by: &'static str,
) -> Result<(), EvaluateError> {
    match certified.iter().zip(broken).position(|(certified, broken)| *certified && *broken) {
        Some(input) => Err(EvaluateError::Contradiction { input, radius_db, by }),
        None => Ok(()),
    }
}

/// A counter for several threads that calls `done` with its value.
pub fn counter(done: impl FnMut(usize) + Send) -> impl Fn() + Sync {
    let (count, done) = (AtomicUsize::new(0), std::sync::Mutex::new(done));
    move || {
        let now = count.fetch_add(1, Ordering::Relaxed) + 1;
        if let Ok(mut done) = done.lock() {
            done(now);
        }
    }
}
