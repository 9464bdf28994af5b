//! The monitor over the encounter, at growing sensor noise.

use certus_core::monitor::{MonitorRef, memory_len};
use certus_core::{ArtifactView, Decision, Evidence, Status};
use certus_engine::certify::{AlignedBytes, Artifact, EmitError};
use certus_engine::chain::Chain;

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
        .map(|(d, state)| d.class != Some(class_of(&artifact.chain, state)))
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
pub fn class_of(chain: &Chain, state: &[f32]) -> u16 {
    let outputs = chain.eval_f32(state);
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

#[cfg(test)]
mod tests {
    use super::super::{example::Example, run};
    use super::*;

    #[test]
    fn noise_stays_inside_its_box_and_fills_it() {
        let (state, epsilon) = ([1000.0, 0.0, -3.0, 25.0, 80.0], epsilon_at(1.0));
        let mut random = SplitMix(7);
        let mut widest = [0.0f64; 5];
        for _ in 0..2000 {
            let measured = disturb(&state, &epsilon, &mut random);
            for ((x, m), (e, widest)) in state.iter().zip(&measured).zip(epsilon.iter().zip(&mut widest)) {
                let error = (f64::from(*m) - f64::from(*x)).abs() / f64::from(*e);
                assert!(error <= 1.0);
                *widest = widest.max(error);
            }
        }
        assert!(widest.iter().all(|w| *w > 0.99), "{widest:?}");
    }

    #[test]
    fn splitmix_gives_the_published_sequence() {
        // First outputs for seed 1234567, from the reference implementation of Vigna.
        let mut random = SplitMix(1_234_567);
        assert_eq!(
            [random.next(), random.next(), random.next()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn no_certified_answer_differs_from_the_answer_at_the_true_state() {
        let example = Example::load().unwrap();
        let artifact = run::artifact(&example, Vec::new());
        let (mut certified, mut changed) = (0, 0);
        for (level, seed) in [(1.0, 1), (2.0, 2), (4.0, 3), (8.0, 4)] {
            let run = noisy_run(&artifact, level, &example.states, seed).unwrap();
            assert_eq!(run.changed_although_certified, 0, "level {level}");
            certified += run.answers.iter().filter(|a| a.is_certified()).count();
            changed += run.changed;
        }
        assert!(certified > 300 && changed > 0, "{certified} certified, {changed} changed");
    }

    #[test]
    fn a_tighter_method_certifies_no_less_on_the_encounter() {
        let example = Example::load().unwrap();
        let mut artifact = run::artifact(&example, Vec::new());
        let mut shares = Vec::new();
        for (live_bounds, _) in run::METHODS {
            artifact.settings.live_bounds = live_bounds;
            let level = noisy_run(&artifact, 2.0, &example.trajectory, 1).unwrap();
            shares.push(level.share(Answer::is_certified));
        }
        assert!(shares.is_sorted() && shares[0] < shares[2], "{shares:?}");
    }
}
