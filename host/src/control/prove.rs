//! Verdicts on the bundled properties, and certificates around recorded states.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use certus_core::artifact::Claim;
use certus_core::proof::Meaning;
use certus_engine::Chain;
use certus_engine::certify::prove::{Outcome as ProofOutcome, prove_region};
use certus_engine::certify::{OwnedSpec, RegionCertificate};
use certus_engine::property::{PropertyError, Witness, parse_vnnlib_str};
use certus_engine::search::Silent;
use certus_engine::verify::{Reason, Settings, Verdict, verify};
use rayon::prelude::*;

use super::bundle::{BundledProperty, RANGE_LOWER, RANGE_UPPER};
use super::results::{Outcome, PropertyResult};
use super::sweep::{class_of, epsilon_at};

/// Budget of one property.
const PROPERTY_S: u64 = 20;

/// Decides `property`; a counterexample comes along.
///
/// # Errors
/// [`PropertyError`] if its text cannot be read or does not fit `program`.
pub fn decide(
    chain: &Chain,
    property: &BundledProperty,
    stop: &AtomicBool,
) -> Result<(PropertyResult, Option<Witness>), PropertyError> {
    let parsed = parse_vnnlib_str(property.text)?;
    parsed.check_against(chain)?;
    let settings = Settings {
        timeout: Duration::from_secs(PROPERTY_S),
        meaning: Meaning::RealAndF32,
        ..Settings::default()
    };
    let report = verify(chain, &parsed, &settings, stop, &Silent);
    let (outcome, witness) = match report.verdict {
        Verdict::Holds(proofs) => {
            let proof_bytes = proofs.iter().map(|p| p.bytes.len()).sum();
            (Outcome::Holds { leaves: report.stats.leaves, proof_bytes }, None)
        }
        Verdict::Violated(witness) => {
            let (state, outputs) = (witness.input.clone(), witness.output.clone());
            (Outcome::Violated { state, outputs }, Some(witness))
        }
        Verdict::Unknown { reason, .. } => (Outcome::Unknown { reason: in_words(reason).to_owned() }, None),
    };
    let (name, meaning) = (property.name.to_owned(), property.meaning().to_owned());
    Ok((PropertyResult { name, meaning, outcome, seconds: report.stats.seconds }, witness))
}

fn in_words(reason: Reason) -> &'static str {
    match reason {
        Reason::Timeout => "not decided in time",
        Reason::Stopped => "stopped before it was decided",
        Reason::Rounding => "too close to call for the checker",
        Reason::Unchecked => "not a network the checker takes",
    }
}

/// Levels tried around a recorded state, multiples of the nominal noise.
pub const LADDER: [f64; 10] = [0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0];
/// Budget of one box, milliseconds.
const BOX_MS: u64 = 80;

/// A box with the largest level of [`LADDER`] that was proved around a state.
#[derive(Clone, Debug)]
pub struct StateRegion {
    /// Level; 0 if none was proved.
    pub level: f64,
    /// The state's class.
    pub class: u16,
    /// What was proved, if anything.
    pub certificate: Option<RegionCertificate>,
}

/// The largest box of [`LADDER`] around each of `states` in which the class stays the same; `done` is called
/// after each, from any thread. States after `stop` was set come back without a certificate.
pub fn certify_states(
    chain: &Chain,
    states: &[Vec<f32>],
    stop: &AtomicBool,
    done: &(dyn Fn() + Sync),
) -> Vec<StateRegion> {
    states
        .par_iter()
        .map(|state| {
            let region = certify_state(chain, state, stop);
            done();
            region
        })
        .collect()
}

/// The top of [`LADDER`] first, where most states are proved; then by halving, as a proof for a box is one for
/// those inside it.
fn certify_state(chain: &Chain, state: &Vec<f32>, stop: &AtomicBool) -> StateRegion {
    let class = class_of(chain, state);
    let mut best = StateRegion { level: 0.0, class, certificate: None };
    // Levels below `proved` are settled, those from `failed` on are given up.
    let (mut proved, mut failed, mut next) = (0, LADDER.len(), LADDER.len() - 1);
    while proved < failed {
        let (lower, upper) = box_around(&[state], LADDER[next]);
        match certify_box(chain, class, &lower, &upper, stop) {
            Some(certificate) => {
                best = StateRegion { level: LADDER[next], class, certificate: Some(certificate) };
                proved = next + 1;
            }
            None => failed = next,
        }
        next = (proved + failed) / 2;
    }
    best
}

/// Half-width of a corridor beyond the flight, multiples of the nominal noise: a measurement that is off by
/// level 1 still has its own box of level 1 inside.
pub const CORRIDOR: f64 = 2.0;
/// States of the shortest corridor.
const SHORTEST: usize = 4;

/// Corridors around a flight: the hull of states in a row with the same advisory, widened by [`CORRIDOR`]. What is
/// not proved is halved, down to a few states.
pub fn certify_corridors(chain: &Chain, flight: &[Vec<f32>], stop: &AtomicBool) -> Vec<RegionCertificate> {
    let mut open: Vec<&[Vec<f32>]> =
        flight.chunk_by(|a, b| class_of(chain, a) == class_of(chain, b)).rev().collect();
    let mut proved = Vec::new();
    while let Some(piece) = open.pop().filter(|_| !stop.load(Ordering::Relaxed)) {
        let states: Vec<_> = piece.iter().collect();
        let Some(first) = states.first() else { continue };
        let (lower, upper) = box_around(&states, CORRIDOR);
        match certify_box(chain, class_of(chain, first), &lower, &upper, stop) {
            Some(certificate) => proved.push(certificate),
            None if piece.len() >= 2 * SHORTEST => {
                let (front, back) = piece.split_at(piece.len() / 2);
                open.extend([back, front]);
            }
            None => {}
        }
    }
    proved
}

/// The hull of `states`, widened by `level` and cut at the input range.
fn box_around(states: &[&Vec<f32>], level: f64) -> (Vec<f32>, Vec<f32>) {
    let epsilon = epsilon_at(level);
    let side = |feature: usize, pick: fn(f32, f32) -> f32, start: f32| {
        states.iter().filter_map(|state| state.get(feature).copied()).fold(start, pick)
    };
    let lower =
        (0..epsilon.len()).map(|i| (side(i, f32::min, f32::INFINITY) - epsilon[i]).max(RANGE_LOWER[i]));
    let upper =
        (0..epsilon.len()).map(|i| (side(i, f32::max, f32::NEG_INFINITY) + epsilon[i]).min(RANGE_UPPER[i]));
    (lower.collect(), upper.collect())
}

/// Proves that every input of the box has `class`.
fn certify_box(
    chain: &Chain,
    class: u16,
    lower: &[f32],
    upper: &[f32],
    stop: &AtomicBool,
) -> Option<RegionCertificate> {
    // States are shared out to all cores already.
    let budget = (Duration::from_millis(BOX_MS), 1);
    let claim = Claim::Class(class);
    match prove_region(chain, &OwnedSpec::ArgMax, claim, (lower, upper), budget, stop) {
        ProofOutcome::Proved(certificate) => Some(*certificate),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use certus_engine::certify::region_proof::check_proof;

    use super::super::bundle::PROPERTIES;
    use super::super::example::Example;
    use super::*;

    #[test]
    fn seven_properties_hold_and_the_last_one_is_refuted_by_a_state_in_its_box() {
        let example = Example::load().unwrap();
        let stop = AtomicBool::new(false);
        for property in PROPERTIES {
            let (result, witness) = decide(&example.chain, &property, &stop).unwrap();
            match (property.name.starts_with('8'), &result.outcome) {
                (false, Outcome::Holds { leaves, .. }) => assert!(*leaves > 0 && witness.is_none()),
                (true, Outcome::Violated { state, outputs }) => {
                    assert!((3000.0..=5000.0).contains(&state[0]) && (-0.5..=0.5).contains(&state[1]));
                    assert_eq!(outputs, &example.chain.eval_f32(state));
                    assert!(outputs[1..].iter().any(|other| *other >= outputs[0]));
                }
                (_, other) => panic!("{}: {other:?}", property.name),
            }
        }
    }

    #[test]
    fn certificates_pass_the_checker_and_no_corner_of_their_boxes_has_another_class() {
        let example = Example::load().unwrap();
        let stop = AtomicBool::new(false);
        let regions = certify_states(&example.chain, &example.states[..40], &stop, &|| ());
        let corridors = certify_corridors(&example.chain, &example.trajectory[100..], &stop);
        assert!(corridors.len() > 1, "{}", corridors.len());
        let proved: Vec<_> =
            regions.iter().filter_map(|r| r.certificate.as_ref()).chain(&corridors).collect();
        assert!(proved.len() > 30, "{}", proved.len());
        for certificate in proved {
            let proof = certificate.proof.as_ref().expect("kept");
            check_proof(&example.chain, &OwnedSpec::ArgMax, certificate, proof).expect("accepted");
            for corner in 0..32u32 {
                let side =
                    |i: usize| if corner >> i & 1 == 0 { certificate.lower[i] } else { certificate.upper[i] };
                let state: Vec<f32> = (0..5).map(side).collect();
                assert_eq!(Claim::Class(class_of(&example.chain, &state)), certificate.claim, "{state:?}");
            }
        }
    }

    #[test]
    fn a_box_with_two_classes_gets_no_certificate() {
        let example = Example::load().unwrap();
        let stop = AtomicBool::new(false);
        // Steps 10 and 40 of the encounter have different advisories.
        let ends = [&example.trajectory[10], &example.trajectory[40]];
        let class = class_of(&example.chain, ends[0]);
        assert_ne!(class, class_of(&example.chain, ends[1]));
        let (lower, upper) = box_around(&ends, 0.0);
        assert!(certify_box(&example.chain, class, &lower, &upper, &stop).is_none());
    }
}
