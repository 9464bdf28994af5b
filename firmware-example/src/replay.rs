//! The bit-equality run: the same samples through the same monitor, every result word written down.
//!
//! Host and firmware include this file, [`crate::samples`] and the exported module [`crate::surrogate`].

use certus_core::artifact::LiveBounds;
use certus_core::{ArtifactError, ArtifactView, Decision, Evidence, Fault, MonitorError, Status};

use crate::samples::Samples;
use crate::surrogate::{BYTES, INPUTS, Monitor, OUTPUTS};

/// Samples compared.
pub const SAMPLES: usize = 10_000;
/// Seed of their generator.
pub const SEED: u32 = 0x5eed_2026;
/// Words recorded per sample: the input, the outputs, then class, margin and status of the decision.
pub const WORDS: usize = INPUTS + OUTPUTS + 4;
/// Word of an output that was not computed, or of a class that there is none of; not in the image of [`bits`].
pub const NONE: u32 = u32::MAX;

/// Why the run could not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The artifact is refused.
    Artifact(ArtifactError),
    /// The monitor does not fit it.
    Monitor(MonitorError),
}

/// The bits of `x`; every NaN counts as one, since neither IEEE 754 nor Rust fixes its sign and payload.
pub fn bits(x: f32) -> u32 {
    if x.is_nan() { 0x7fc0_0000 } else { x.to_bits() }
}

/// A number for the status, and the bits that it carries.
pub fn status_words(status: &Status) -> [u32; 2] {
    match *status {
        Status::Certified { by: Evidence::Region, radius } => [1, bits(radius)],
        Status::Certified { by: Evidence::Bounds, radius } => [2, bits(radius)],
        Status::NotCertified { margin_lower } => [3, bits(margin_lower)],
        Status::OutOfRange { feature } => [4, u32::from(feature)],
        Status::Invalid(Fault::Length) => [5, 0],
        Status::Invalid(Fault::NonFinite) => [5, 1],
        Status::Invalid(Fault::Overflow) => [5, 2],
        Status::Invalid(Fault::FpEnv) => [5, 3],
        _ => [0, 0],
    }
}

/// Everything that one step gave.
pub fn record(sample: &[f32; INPUTS], outputs: &[f32], decision: &Decision) -> [u32; WORDS] {
    let mut words = [NONE; WORDS];
    let (input, rest) = words.split_at_mut(INPUTS);
    let (output, verdict) = rest.split_at_mut(OUTPUTS);
    input.iter_mut().zip(sample).for_each(|(word, x)| *word = bits(*x));
    output.iter_mut().zip(outputs).for_each(|(word, y)| *word = bits(*y));
    let [tag, carried] = status_words(&decision.status);
    let class = decision.class.map_or(NONE, u32::from);
    let judged = [class, bits(decision.margin), tag, carried];
    verdict.iter_mut().zip(judged).for_each(|(slot, word)| *slot = word);
    words
}

/// A monitor of the embedded artifact.
///
/// # Errors
/// [`Error`], if the artifact or the capacities of its module are wrong.
pub fn monitor() -> Result<Monitor, Error> {
    let view = ArtifactView::new_checked(BYTES).map_err(Error::Artifact)?;
    // A monitor without bounds would leave most of the arithmetic uncompared.
    debug_assert!(view.live_bounds() != LiveBounds::Off);
    Monitor::new(view).map_err(Error::Monitor)
}

/// Runs `count` samples and hands each one's index and words to `write`.
pub fn run(monitor: &mut Monitor, count: usize, mut write: impl FnMut(usize, &[u32; WORDS])) {
    let (lower, upper) = (monitor.view().range_lower(), monitor.view().range_upper());
    let mut samples = Samples::new(SEED);
    let mut sample = [0.0; INPUTS];
    for index in 0..count {
        samples.draw(lower, upper, &mut sample);
        let decision = monitor.step(&sample);
        write(index, &record(&sample, monitor.outputs(), &decision));
    }
}

/// FNV-1a over the bytes of `words`, continuing from `digest`.
pub fn digest(digest: u64, words: &[u32]) -> u64 {
    let bytes = words.iter().flat_map(|w| w.to_le_bytes());
    bytes.fold(digest, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// Where [`digest`] starts.
pub const DIGEST_START: u64 = 0xcbf2_9ce4_8422_2325;
