//! Where training starts.
//!
//! Source: He et al. 2015 (arXiv:1502.01852), as PyTorch's default layers have it: uniform on `±1/√n`, `n` the fan-in; for interval bounds
//! Shi et al. 2021 (arXiv:2103.17268): normal with deviation `√(2π)/n`, which keeps the mean radius of a box the same from layer to layer.

use super::{Model, Shaped};

/// A rule for the first weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// Uniform on `±1/√n`, biases too.
    Uniform,
    /// Normal with deviation `√(2π)/n` in all layers but the last, which is uniform, as all biases are.
    Ibp,
}

/// Random numbers: SplitMix64, the same on every machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform on `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Two standard normal numbers, from as many draws as [`Self::normal`] takes for one.
    pub fn normal_pair(&mut self) -> [f64; 2] {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.unit()).sin_cos();
        [radius * cos, radius * sin]
    }

    /// A permutation of `0..n`.
    pub fn permutation(&mut self, n: usize) -> Vec<u32> {
        let mut all: Vec<u32> = (0..n as u32).collect();
        for i in (1..n).rev() {
            all.swap(i, self.below(i + 1));
        }
        all
    }
}

impl Init {
    /// Fills the parameters of `model`.
    pub fn fill(self, model: &mut Model, random: &mut Random) {
        let last = model.layers.len() - 1;
        for (at, layer) in model.layers.iter().enumerate() {
            let (fan_in, first) = match layer {
                Shaped::Dense { size, first } => (size[0], *first),
                Shaped::Conv { geometry, first } => (geometry.weights()[1..].iter().product(), *first),
                Shaped::BatchNorm { .. } | Shaped::Relu => continue,
            };
            let limit = 1.0 / (fan_in as f64).sqrt();
            let deviation = std::f64::consts::TAU.sqrt() / fan_in as f64;
            for (k, parameter) in model.parameters[first..first + 2].iter_mut().enumerate() {
                let normal = self == Self::Ibp && k == 0 && at < last;
                for value in &mut parameter.values {
                    let draw = if normal {
                        deviation * random.normal()
                    } else {
                        limit * (2.0 * random.unit() - 1.0)
                    };
                    *value = draw as f32;
                }
            }
        }
    }
}
