//! A small repeatable generator, so that a failing case is named by its seed.

/// SplitMix64 (Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Starts the sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is small.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.bits() % limit.max(1) as u64).expect("below a usize")
    }

    /// A number in `[lower, upper]`.
    #[expect(clippy::cast_precision_loss, reason = "24 bits are exact in f32")]
    pub fn between(&mut self, lower: f32, upper: f32) -> f32 {
        let t = (self.bits() >> 40) as f32 / 16_777_216.0;
        (lower + t * (upper - lower)).clamp(lower, upper)
    }
}
