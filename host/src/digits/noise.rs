//! The monitor on held-out recordings under growing noise: on the features, where its certificates hold, and in the sound, where they say
//! nothing.

use certus_core::{Decision, Status};
use certus_engine::Chain;
use certus_engine::certify::EmitError;
use certus_learn::model::Random;
use certus_learn::sensor::digits::Recording;
use certus_learn::sensor::logmel::{DECIBEL, LogMel, MOST};

use super::results::{NoiseLevel, SoundLevel};
use super::{evaluate, recipe, run};
use crate::control::sweep::class_of;

/// Levels of the noise on features, decibels.
pub const LEVELS_DB: [f64; 12] = [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0];
/// Signal-to-noise ratios of the noise in the sound, decibels.
pub const SNR_DB: [f64; 8] = [f64::INFINITY, 60.0, 50.0, 40.0, 30.0, 20.0, 10.0, 0.0];

/// The monitor on `inputs` with each feature off by a random amount of up to `level_db`; the monitor is told that radius.
///
/// # Errors
/// [`EmitError`] if the network does not fit an artifact.
pub fn on_features(
    chain: &Chain,
    inputs: &[Vec<f32>],
    labels: &[u32],
    level_db: f64,
    seed: u64,
) -> Result<NoiseLevel, EmitError> {
    let mut random = Random(seed ^ level_db.to_bits());
    let measured: Vec<Vec<f32>> = inputs.iter().map(|input| disturb(input, level_db, &mut random)).collect();
    let decisions = evaluate::decisions(chain, run::METHODS[run::SHIPPED].0, level_db, &measured)?;
    let changed = |k: usize| decisions[k].class != Some(class_of(chain, &inputs[k]));
    let count = |of: &dyn Fn(usize) -> bool| (0..inputs.len()).filter(|k| of(*k)).count();
    Ok(NoiseLevel {
        level_db,
        count: inputs.len(),
        correct: count(&|k| decisions[k].class.map(u32::from) == Some(labels[k])),
        certified: count(&|k| is_certified(&decisions[k])),
        changed: count(&changed),
        changed_although_certified: count(&|k| changed(k) && is_certified(&decisions[k])),
    })
}

/// `input` with each feature off by at most `level_db`, within the range of features.
fn disturb(input: &[f32], level_db: f64, random: &mut Random) -> Vec<f32> {
    let most = level_db * DECIBEL;
    let one = |x: &f32| {
        let error = most * (2.0 * random.unit() - 1.0);
        #[expect(clippy::cast_possible_truncation, reason = "the test below takes what rounding adds away")]
        let measured = ((f64::from(*x) + error) as f32).clamp(0.0, MOST);
        if (f64::from(measured) - f64::from(*x)).abs() <= most { measured } else { *x }
    };
    input.iter().map(one).collect()
}

/// Whether the answer is certified.
pub fn is_certified(decision: &Decision) -> bool {
    matches!(decision.status, Status::Certified { .. })
}

/// The monitor on recordings with white noise mixed into the sound, `snr_db` below the recording's own power; its radius is that of the artifact.
///
/// # Errors
/// [`EmitError`] if the network does not fit an artifact.
pub fn in_sound(
    chain: &Chain,
    recordings: &[Recording],
    snr_db: f64,
    seed: u64,
) -> Result<SoundLevel, EmitError> {
    let logmel = LogMel::new();
    let mut random = Random(seed ^ snr_db.to_bits());
    let clean: Vec<Vec<f32>> = recordings.iter().map(|r| logmel.features(&r.samples)).collect();
    let noisy: Vec<Vec<f32>> =
        recordings.iter().map(|r| logmel.features(&mixed(&r.samples, snr_db, &mut random))).collect();
    let shipped = run::METHODS[run::SHIPPED].0;
    let decisions = evaluate::decisions(chain, shipped, recipe::RADIUS_DB, &noisy)?;
    let moves = |k: usize| {
        clean[k].iter().zip(&noisy[k]).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs() / DECIBEL)
    };
    let mut mean: Vec<f64> =
        (0..clean.len()).map(|k| moves(k).sum::<f64>() / clean[k].len().max(1) as f64).collect();
    mean.sort_by(f64::total_cmp);
    let changed = |k: usize| decisions[k].class != Some(class_of(chain, &clean[k]));
    let count = |of: &dyn Fn(usize) -> bool| (0..recordings.len()).filter(|k| of(*k)).count();
    Ok(SoundLevel {
        snr_db,
        count: recordings.len(),
        correct: count(&|k| decisions[k].class.map(u32::from) == Some(recordings[k].digit)),
        certified: count(&|k| is_certified(&decisions[k])),
        changed_although_certified: count(&|k| changed(k) && is_certified(&decisions[k])),
        within: count(&|k| moves(k).all(|m| m <= recipe::RADIUS_DB)),
        moved_db: mean.get(mean.len() / 2).copied().unwrap_or(0.0),
    })
}

/// `samples` with white Gaussian noise of their mean power less `snr_db`.
fn mixed(samples: &[f32], snr_db: f64, random: &mut Random) -> Vec<f32> {
    let power =
        samples.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>() / samples.len().max(1) as f64;
    let deviation = (power * 10f64.powf(-snr_db / 10.0)).sqrt();
    #[expect(clippy::cast_possible_truncation, reason = "sound is in f32")]
    samples.iter().map(|x| (f64::from(*x) + deviation * random.normal()) as f32).collect()
}
