//! Log-mel features of one second of sound at 8 kHz: 32 frames of 20 bands.
//!
//! ```text
//! x    one second, padded with zeros or cropped on both sides      [8000]
//! P_t  = |DFT(hann ⊙ x[250t .. 250t+256])|²                        [32, 129]
//! p_tb = Σ_k T_b(f_k) P_t(k)         20 triangles, even in mel from 100 Hz to 3900 Hz
//! y_tb = 255 (ln(p_tb + 10⁻⁶) + 10) / 14, cut off at 0 and 255
//! ```
//!
//! The Hann window is the symmetric one, `½ − ½ cos(2πn/255)`; mel is `2595 log₁₀(1 + f/700)`; the last frame ends after the second and
//! reads zeros there. A decibel more in a band moves its feature by [`DECIBEL`], wherever `p` is well above 10⁻⁶ and the feature not cut off.
//!
//! A radius in these units is about features, not about sound: a certificate says that no change of up to so many decibels in each of the
//! 640 bins *independently* changes the answer. Which noises of the sound stay within that is another question, which nothing here answers.

use std::f64::consts::PI;

/// Samples a second.
pub const RATE: usize = 8000;
/// Frames of a recording.
pub const FRAMES: usize = 32;
/// Bands of a frame.
pub const BANDS: usize = 20;
/// Features of a recording.
pub const FEATURES: usize = FRAMES * BANDS;
/// Largest feature; the smallest is 0.
pub const MOST: f32 = 255.0;
/// What one decibel is in features: `ln(10)/10` of the logarithm, of which 14 are 255.
pub const DECIBEL: f64 = std::f64::consts::LN_10 / 10.0 * 255.0 / 14.0;

const WINDOW: usize = 256;
const HOP: usize = 250;
const BINS: usize = WINDOW / 2 + 1;

/// Tables of the window, the transform and the bands.
#[derive(Clone, Debug)]
pub struct LogMel {
    window: Vec<f64>,
    /// Cosines of `2πn/256`; the sine is a quarter turn behind.
    cosine: Vec<f64>,
    /// Weight of each bin in each band, `[BANDS, BINS]`.
    bands: Vec<f64>,
}

impl Default for LogMel {
    fn default() -> Self {
        Self::new()
    }
}

impl LogMel {
    /// Fills the tables.
    pub fn new() -> Self {
        let turn = |n: usize, of: usize| (2.0 * PI * n as f64 / of as f64).cos();
        Self {
            window: (0..WINDOW).map(|n| 0.5 - 0.5 * turn(n, WINDOW - 1)).collect(),
            cosine: (0..WINDOW).map(|n| turn(n, WINDOW)).collect(),
            bands: bands(),
        }
    }

    /// Features `[FRAMES, BANDS]` of `sound`, samples in `[−1, 1]`, within 0 and [`MOST`].
    pub fn features(&self, sound: &[f32]) -> Vec<f32> {
        let second = one_second(sound);
        (0..FRAMES).flat_map(|frame| self.frame(&second[frame * HOP..][..WINDOW])).collect()
    }

    fn frame(&self, samples: &[f64]) -> Vec<f32> {
        let windowed: Vec<f64> = samples.iter().zip(&self.window).map(|(x, w)| x * w).collect();
        let power: Vec<f64> = (0..BINS).map(|k| self.power(&windowed, k)).collect();
        let band = |weights: &[f64]| {
            let sum: f64 = weights.iter().zip(&power).map(|(w, p)| w * p).sum();
            let feature = ((sum + 1e-6).ln() + 10.0) / 14.0 * f64::from(MOST);
            feature.clamp(0.0, f64::from(MOST)) as f32
        };
        self.bands.chunks_exact(BINS).map(band).collect()
    }

    /// `|Σ xₙ e^(−2πikn/256)|²`.
    fn power(&self, x: &[f64], k: usize) -> f64 {
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (n, x) in x.iter().enumerate() {
            let at = k * n % WINDOW;
            real += x * self.cosine[at];
            imaginary += x * self.cosine[(at + 3 * WINDOW / 4) % WINDOW];
        }
        real * real + imaginary * imaginary
    }
}

/// The middle second of `sound`, zeros around if it is shorter, and zeros behind for the last frame.
fn one_second(sound: &[f32]) -> Vec<f64> {
    let mut second = vec![0.0; (FRAMES - 1) * HOP + WINDOW];
    let from = sound.len().saturating_sub(RATE) / 2;
    let to = RATE.saturating_sub(sound.len()) / 2;
    let middle = sound[from..].iter().take(RATE);
    second[to..].iter_mut().zip(middle).for_each(|(to, x)| *to = f64::from(*x));
    second
}

/// Triangles over the frequencies of the bins, `[BANDS, BINS]`.
fn bands() -> Vec<f64> {
    let mel = |f: f64| 2595.0 * (1.0 + f / 700.0).log10();
    let (least, most) = (mel(100.0), mel(3900.0));
    let edge = |k: usize| {
        let at = least + (most - least) * k as f64 / (BANDS + 1) as f64;
        700.0 * (10f64.powf(at / 2595.0) - 1.0)
    };
    let weight = |band: usize, bin: usize| {
        let f = (bin * RATE) as f64 / WINDOW as f64;
        let [from, middle, to] = [0, 1, 2].map(|k| edge(band + k));
        ((f - from) / (middle - from)).min((to - f) / (to - middle)).max(0.0)
    };
    (0..BANDS).flat_map(|band| (0..BINS).map(move |bin| weight(band, bin))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_louder_sound_moves_every_audible_feature_by_its_decibels() {
        let mut random = crate::model::Random(5);
        let noise: Vec<f32> =
            (0..RATE / 2).flat_map(|_| random.normal_pair()).map(|x| 0.05 * x as f32).collect();
        let louder: Vec<f32> = noise.iter().map(|x| x * 10f32.powf(0.1)).collect();
        let logmel = LogMel::new();
        let (a, b) = (logmel.features(&noise), logmel.features(&louder));
        for (a, b) in a.iter().zip(&b) {
            assert!((0.0..MOST).contains(a) && (f64::from(b - a) - 2.0 * DECIBEL).abs() < 1e-2, "{a} {b}");
        }
    }

    #[test]
    fn a_tone_is_loudest_in_the_band_around_it() {
        let tone = |f: f64| -> Vec<f32> {
            (0..RATE).map(|n| (2.0 * PI * f * n as f64 / RATE as f64).sin() as f32 * 0.1).collect()
        };
        // Band 0 lies around 180 Hz, band 19 around 3.5 kHz.
        for (frequency, band) in [(180.0, 0), (3560.0, 19)] {
            let features = LogMel::new().features(&tone(frequency));
            let frame = &features[10 * BANDS..11 * BANDS];
            let loudest = (0..BANDS).max_by(|a, b| frame[*a].total_cmp(&frame[*b]));
            assert_eq!(loudest, Some(band), "{frame:?}");
        }
    }

    #[test]
    fn silence_nothing_and_long_sounds_have_features() {
        let logmel = LogMel::new();
        assert_eq!(logmel.features(&[]), vec![0.0; FEATURES]);
        assert_eq!(logmel.features(&[0.0; 3]), vec![0.0; FEATURES]);
        // Only the middle second counts.
        let mut long = vec![1.0f32; 3 * RATE];
        long[RATE..2 * RATE].fill(0.0);
        assert_eq!(logmel.features(&long), vec![0.0; FEATURES]);
    }
}
