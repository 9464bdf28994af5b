//! The inputs of the bit-equality run: mostly ordinary, with every kind of awkward float mixed in.
//!
//! Host and firmware include this file and draw the same sequence from the same seed. The generator
//! is Marsaglia's xorshift32 (2003); a uniform draw takes its upper 24 bits, so it is exact in `f32`.

/// Draws samples around a box of input ranges.
#[derive(Clone, Debug)]
pub struct Samples {
    state: u32,
    drawn: u32,
}

impl Samples {
    /// Starts the sequence of `seed`; a zero seed would stay zero, so 0 means 1.
    pub fn new(seed: u32) -> Self {
        Self { state: seed.max(1), drawn: 0 }
    }

    fn next_u32(&mut self) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        self.state
    }

    /// Uniform in `[0, 1)`, a multiple of 2⁻²⁴.
    #[expect(clippy::cast_precision_loss, reason = "24 bits are exact in f32")]
    fn unit(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Writes the next sample, one value per feature of the box `lower ≤ x ≤ upper`.
    ///
    /// Of 16 samples 9 lie in the box; the others put one of these into a random feature: an end
    /// point of its range, the float just outside, ±0, a subnormal, a huge value, an infinity or NaN,
    /// any 32 bits, or leave the box by a little in every feature.
    pub fn draw(&mut self, lower: &[f32], upper: &[f32], sample: &mut [f32]) {
        let kind = self.drawn % 16;
        self.drawn = self.drawn.wrapping_add(1);
        for ((x, l), u) in sample.iter_mut().zip(lower).zip(upper) {
            let t = self.unit();
            *x = if kind == 15 { l + (t * 1.2 - 0.1) * (u - l) } else { (l + t * (u - l)).clamp(*l, *u) };
        }
        if !(8..15).contains(&kind) {
            return;
        }
        let feature = self.next_u32() as usize % sample.len().max(1);
        let (bits, high) = (self.next_u32(), self.next_u32() & 1 == 1);
        let sign = (bits & 1) << 31;
        let range = lower.get(feature).zip(upper.get(feature));
        if let (Some(x), Some((&l, &u))) = (sample.get_mut(feature), range) {
            *x = match kind {
                8 => {
                    if high {
                        u
                    } else {
                        l
                    }
                }
                9 => {
                    if high {
                        u.next_up()
                    } else {
                        l.next_down()
                    }
                }
                10 => f32::from_bits(sign),
                11 => f32::from_bits(sign | (bits >> 9)),
                12 => f32::from_bits(sign | 0x7f00_0000 | (bits >> 9)),
                13 => [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN][(bits >> 30) as usize],
                _ => f32::from_bits(bits),
            };
        }
    }
}
