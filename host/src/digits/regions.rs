//! Regions around the recordings that the firmware plays, proved before export.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use certus_core::artifact::Claim;
use certus_engine::Chain;
use certus_engine::certify::prove::{Outcome, prove_region};
use certus_engine::certify::{OwnedSpec, RegionCertificate};
use rayon::prelude::*;

use super::evaluate::ball;
use crate::control::sweep::class_of;

/// Radii that are tried, decibels.
pub const LADDER_DB: [f64; 4] = [1.0, 1.25, 1.5, 2.0];
/// Time for each box, milliseconds.
const BOX_MS: u64 = 400;

/// The largest proved region around an input.
#[derive(Clone, Debug)]
pub struct Region {
    /// Its radius, decibels; 0 if none was proved.
    pub radius_db: f64,
    /// Its certificate.
    pub certificate: Option<RegionCertificate>,
}

/// Regions around `inputs`, each of the class that the network gives there; `done` is called after each.
pub fn certify(
    chain: &Chain,
    inputs: &[Vec<f32>],
    stop: &AtomicBool,
    done: &(dyn Fn() + Sync),
) -> Vec<Region> {
    let one = |input: &Vec<f32>| {
        let region = largest(chain, input, stop);
        done();
        region
    };
    inputs.par_iter().map(one).collect()
}

/// By bisection along the ladder.
fn largest(chain: &Chain, input: &[f32], stop: &AtomicBool) -> Region {
    let claim = Claim::Class(class_of(chain, input));
    let mut best = Region { radius_db: 0.0, certificate: None };
    let (mut proved, mut failed) = (0, LADDER_DB.len());
    while proved < failed && !stop.load(Ordering::Relaxed) {
        let next = (proved + failed) / 2;
        let (lower, upper) = ball(input, LADDER_DB[next]);
        let budget = (Duration::from_millis(BOX_MS), 1);
        match prove_region(chain, &OwnedSpec::ArgMax, claim, (&lower, &upper), budget, stop) {
            Outcome::Proved(certificate) => {
                best = Region { radius_db: LADDER_DB[next], certificate: Some(*certificate) };
                proved = next + 1;
            }
            _ => failed = next,
        }
    }
    best
}
