//! The monitor over the encounter, at growing sensor noise.

use certus_core::monitor::{MonitorRef, memory_len};
use certus_core::{ArtifactView, Decision, Evidence, Status};
use certus_engine::certify::{AlignedBytes, Artifact, EmitError};
use certus_engine::program::Program;

use super::bundle::NOISE;
use super::results::{Answer, Level};

/// Largest noise level that is tried, multiples of [`NOISE`].
pub const TOP_LEVEL: f64 = 12.0;

/// Noise levels of the sweep.
pub const LEVELS: [f64; 17] =
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, TOP_LEVEL];

/// Half-width of the noise box at `level`, raw units.
pub fn epsilon_at(level: f64) -> Vec<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "any value near it is a valid epsilon")]
    NOISE.iter().map(|noise| (f64::from(*noise) * level) as f32).collect()
}

/// The answers of the core's monitor on `samples`, one after the other.
///
/// # Errors
/// [`EmitError::Refused`] if the core refuses `bytes`.
///
/// # Panics
/// If this processor does not follow IEEE 754: no answer here would mean anything.
pub fn decisions(bytes: &[u8], samples: &[Vec<f32>]) -> Result<Vec<Decision>, EmitError> {
    let aligned = AlignedBytes::from(bytes);
    let view = ArtifactView::new_checked(aligned.as_slice())?;
    let layers: Vec<_> = view.layers().collect();
    let mut memory = vec![0.0; memory_len(&view)];
    let mut monitor =
        MonitorRef::new(view, &layers, &mut memory).expect("sized for this artifact, on IEEE 754");
    Ok(samples.iter().map(|sample| monitor.step(sample)).collect())
}

/// What the monitor of `artifact` says about `samples` if the noise box has `level`.
///
/// # Errors
/// As [`decisions`].
pub fn decisions_at(
    artifact: &Artifact,
    level: f64,
    samples: &[Vec<f32>],
) -> Result<Vec<Decision>, EmitError> {
    let mut scaled = artifact.clone();
    scaled.settings.epsilon = epsilon_at(level);
    decisions(&scaled.emit()?, samples)
}

/// The answer in `decision`.
pub fn answer(decision: &Decision) -> Answer {
    match decision.status {
        Status::Certified { by: Evidence::Region, .. } => Answer::Region,
        Status::Certified { .. } => Answer::Bounds,
        Status::NotCertified { .. } => Answer::Open,
        _ => Answer::Refused,
    }
}

/// The largest noise level that is certified for each of `samples` itself, of those tried (an eighth
/// apart, up to [`TOP_LEVEL`]); the factor that the monitor reports counts too. 0 if there is none.
///
/// # Errors
/// As [`decisions`].
pub fn certified_levels(artifact: &Artifact, samples: &[Vec<f32>]) -> Result<Vec<f64>, EmitError> {
    let mut best = vec![0.0f64; samples.len()];
    let steps = (TOP_LEVEL * 8.0) as u32;
    for level in (1..=steps).map(|k| f64::from(k) / 8.0) {
        for (best, decision) in best.iter_mut().zip(decisions_at(artifact, level, samples)?) {
            if let Status::Certified { radius, .. } = decision.status {
                *best = best.max((level * f64::from(radius)).min(TOP_LEVEL));
            }
        }
    }
    Ok(best)
}

/// Runs the monitor at `level` on measurements of `states` with random errors inside the level's box, and
/// compares each advisory with that at the true state.
///
/// # Errors
/// As [`decisions`].
pub fn noisy_run(
    artifact: &Artifact,
    level: f64,
    states: &[Vec<f32>],
    seed: u64,
) -> Result<Level, EmitError> {
    let mut random = SplitMix(seed ^ level.to_bits());
    let epsilon = epsilon_at(level);
    let measured: Vec<Vec<f32>> = states.iter().map(|state| disturb(state, &epsilon, &mut random)).collect();
    let decisions = decisions_at(artifact, level, &measured)?;
    let answers: Vec<Answer> = decisions.iter().map(answer).collect();
    let differs: Vec<bool> = decisions
        .iter()
        .zip(states)
        .map(|(d, state)| d.class != Some(class_of(&artifact.program, state)))
        .collect();
    let broken = differs.iter().zip(&answers).filter(|(differs, answer)| **differs && answer.is_certified());
    Ok(Level {
        level,
        changed: differs.iter().filter(|d| **d).count(),
        changed_although_certified: broken.count(),
        answers,
    })
}

/// First index of the largest output of the device's pass, as the monitor names classes.
pub fn class_of(program: &Program, state: &[f32]) -> u16 {
    let outputs = program.eval_f32(state);
    let mut best = 0u16;
    for (index, value) in (0u16..).zip(&outputs) {
        if *value > outputs[usize::from(best)] {
            best = index;
        }
    }
    best
}

/// A measurement inside the box of half-width `epsilon` around `state`.
fn disturb(state: &[f32], epsilon: &[f32], random: &mut SplitMix) -> Vec<f32> {
    let one = |(x, e): (&f32, &f32)| {
        let error = f64::from(*e) * (2.0 * random.next_unit() - 1.0);
        #[expect(clippy::cast_possible_truncation, reason = "the test below takes what rounding adds away")]
        let measured = (f64::from(*x) + error) as f32;
        // Rounding may step out of the box; the certificate speaks of the box only.
        if (f64::from(measured) - f64::from(*x)).abs() <= f64::from(*e) { measured } else { *x }
    };
    state.iter().zip(epsilon).map(one).collect()
}

/// SplitMix64 (Steele, Lea and Flood 2014): the noise needs no more, and a seed repeats it everywhere.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// In `[0, 1)`.
    fn next_unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
