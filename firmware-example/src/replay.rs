//! The bit-equality run: the same samples through the same code, every result word written down.
//!
//! Host and firmware include this file, [`crate::model`] and [`crate::samples`].

use crate::model::{self, INPUTS, OUTPUTS};
use crate::samples::Samples;

/// Samples compared.
pub const SAMPLES: usize = 10_000;
/// Seed of their generator.
pub const SEED: u32 = 0x5eed_2026;
/// Words recorded per sample: the input, then everything that was computed from it.
pub const WORDS: usize = INPUTS + OUTPUTS;

/// The bits of `x`; every NaN counts as one, since neither IEEE 754 nor Rust fixes its sign and payload.
pub fn bits(x: f32) -> u32 {
    if x.is_nan() { 0x7fc0_0000 } else { x.to_bits() }
}

/// Runs all samples and hands each one's words to `write`.
///
/// # Errors
/// What the core says if the network does not fit.
pub fn run(mut write: impl FnMut(usize, &[u32; WORDS])) -> Result<(), model::Error> {
    let mut samples = Samples::new(SEED);
    let (lower, upper) = ([-1.0; INPUTS], [1.0; INPUTS]);
    let (mut x, mut y) = ([0.0; INPUTS], [0.0; OUTPUTS]);
    for index in 0..SAMPLES {
        samples.draw(&lower, &upper, &mut x);
        model::run(&x, &mut y)?;
        let mut words = [0; WORDS];
        for (word, value) in words.iter_mut().zip(x.iter().chain(&y)) {
            *word = bits(*value);
        }
        write(index, &words);
    }
    Ok(())
}

/// FNV-1a over the bytes of `words`, continuing from `digest`.
pub fn digest(digest: u64, words: &[u32]) -> u64 {
    let bytes = words.iter().flat_map(|w| w.to_le_bytes());
    bytes.fold(digest, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// Where [`digest`] starts.
pub const DIGEST_START: u64 = 0xcbf2_9ce4_8422_2325;
