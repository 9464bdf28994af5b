//! Lines of the Gauss error function.
//!
//! Convex up to 0, concave after: S-shaped, see `curve`. `f′ = 2/√π·exp(−x²)`, `f″ = −2x f′`.
//!
//! # Rounding
//! *Estimate*; the proved form is in `certus_core::relax`.

use std::f64::consts::FRAC_2_SQRT_PI;

use super::curve::{Curve, s_shaped, s_shaped_start};
use super::{Alpha, Pair};

/// The curve.
#[derive(Clone, Copy)]
pub(super) struct Erf;

impl Curve for Erf {
    fn value(self, x: f64) -> f64 {
        libm::erf(x)
    }
    fn slope(self, x: f64) -> f64 {
        FRAC_2_SQRT_PI * (-x * x).exp()
    }
    fn curvature(self, x: f64) -> f64 {
        -2.0 * x * self.slope(x)
    }
}

/// The lines on `[lower, upper]`.
pub(super) fn lines(lower: f64, upper: f64, alpha: Alpha<f64>) -> Pair {
    s_shaped(Erf, 0.0, lower, upper, alpha)
}

/// Alphas of the lines of least area.
pub(super) fn start(lower: f64, upper: f64) -> Alpha<f64> {
    s_shaped_start(Erf, 0.0, lower, upper)
}
