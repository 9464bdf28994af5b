//! Lines of the hyperbolic tangent.
//!
//! Convex up to 0, concave after: S-shaped, see `curve`. `f′ = 1/cosh²`, `f″ = −2 f f′`.
//!
//! # Rounding
//! *Estimate*; the proved form is in `certus_core::relax`.

use super::curve::{Curve, s_shaped, s_shaped_start};
use super::{Alpha, Pair};

/// The curve.
#[derive(Clone, Copy)]
pub(super) struct Tanh;

impl Curve for Tanh {
    fn value(self, x: f64) -> f64 {
        x.tanh()
    }
    fn slope(self, x: f64) -> f64 {
        let c = x.cosh().recip();
        c * c
    }
    fn curvature(self, x: f64) -> f64 {
        -2.0 * x.tanh() * self.slope(x)
    }
}

/// The lines on `[lower, upper]`.
pub(super) fn lines(lower: f64, upper: f64, alpha: Alpha<f64>) -> Pair {
    s_shaped(Tanh, 0.0, lower, upper, alpha)
}

/// Alphas of the lines of least area.
pub(super) fn start(lower: f64, upper: f64) -> Alpha<f64> {
    s_shaped_start(Tanh, 0.0, lower, upper)
}
