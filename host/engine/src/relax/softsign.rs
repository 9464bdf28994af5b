//! Lines of `x/(1 + |x|)`.
//!
//! Convex up to 0, concave after: S-shaped, see `curve`. `f′ = 1/(1 + |x|)²`.
//!
//! # Rounding
//! *Estimate*; the proved form is in `certus_core::relax`.

use super::curve::{Curve, s_shaped, s_shaped_start};
use super::{Alpha, Pair};

/// The curve.
#[derive(Clone, Copy)]
pub(super) struct Softsign;

impl Curve for Softsign {
    fn value(self, x: f64) -> f64 {
        x / (1.0 + x.abs())
    }
    fn slope(self, x: f64) -> f64 {
        (1.0 + x.abs()).powi(-2)
    }
    fn curvature(self, x: f64) -> f64 {
        -2.0 * x.signum() * (1.0 + x.abs()).powi(-3)
    }
}

/// The lines on `[lower, upper]`.
pub(super) fn lines(lower: f64, upper: f64, alpha: Alpha<f64>) -> Pair {
    s_shaped(Softsign, 0.0, lower, upper, alpha)
}

/// Alphas of the lines of least area.
pub(super) fn start(lower: f64, upper: f64) -> Alpha<f64> {
    s_shaped_start(Softsign, 0.0, lower, upper)
}
