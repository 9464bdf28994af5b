//! How rates and radii change in the course of training.

/// The rate of a step, as a factor of the base rate.
#[derive(Clone, Debug, PartialEq)]
pub enum Rate {
    /// Always 1.
    Constant,
    /// Multiplied by `factor` at each of these steps.
    Steps {
        /// When.
        at: Vec<u64>,
        /// By what.
        factor: f64,
    },
    /// From 1 down to `floor` along half a cosine.
    Cosine {
        /// Steps in all.
        total: u64,
        /// Where it ends.
        floor: f64,
    },
}

impl Rate {
    /// The factor at step `step`, counted from 0, after a linear rise over the first `warmup` steps.
    pub fn at(&self, step: u64, warmup: u64) -> f64 {
        let rise = if step < warmup { (step + 1) as f64 / warmup as f64 } else { 1.0 };
        rise * match self {
            Self::Constant => 1.0,
            Self::Steps { at, factor } => factor.powi(at.iter().filter(|s| **s <= step).count() as i32),
            Self::Cosine { total, floor } => {
                let share = (step as f64 / (*total).max(1) as f64).min(1.0);
                floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * share).cos())
            }
        }
    }
}

/// A rise from 0 to 1 between two steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ramp {
    /// In a straight line.
    Linear {
        /// Where it begins and ends.
        between: [u64; 2],
    },
    /// A fourth power up to the share `middle`, then a straight line with the same slope.
    ///
    /// Source: `SmoothedScheduler` of auto_LiRPA, `beta = 4`.
    Smoothed {
        /// Where it begins and ends.
        between: [u64; 2],
        /// Where the line begins, as a share; 0.25 is usual.
        middle: f64,
    },
}

impl Ramp {
    /// The share at step `step`.
    pub fn at(self, step: u64) -> f64 {
        let (Self::Linear { between: [from, to] } | Self::Smoothed { between: [from, to], .. }) = self;
        if step >= to {
            return 1.0;
        }
        if step <= from {
            return 0.0;
        }
        let (s, length) = ((step - from) as f64, (to - from) as f64);
        match self {
            Self::Linear { .. } => s / length,
            Self::Smoothed { middle, .. } => {
                // In steps from `from`: `a s⁴` up to `m`, then the tangent, which is 1 at the end.
                let m = middle * length;
                if m == 0.0 {
                    return s / length;
                }
                let a = 1.0 / ((length - m) * 4.0 * m.powi(3) + m.powi(4));
                if s <= m { a * s.powi(4) } else { a * m.powi(4) + 4.0 * a * m.powi(3) * (s - m) }
            }
        }
    }
}
