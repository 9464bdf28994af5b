//! Lines of the logistic function `1/(1 + exp(−x))`.
//!
//! Convex up to 0, concave after: S-shaped, see `curve`. Both alphas are read where both lines are tangents.
//! `f′ = f(1 − f) = f(x)·f(−x)`, without cancellation; `f″ = f′(1 − 2f)`.
//!
//! # Rounding
//! *Estimate*; the proved form is in `certus_core::relax`.

use super::curve::{Curve, s_shaped, s_shaped_start};
use super::{Alpha, Pair};

/// The curve.
#[derive(Clone, Copy)]
pub(super) struct Sigmoid;

impl Curve for Sigmoid {
    fn value(self, x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }
    fn slope(self, x: f64) -> f64 {
        self.value(x) * self.value(-x)
    }
    fn curvature(self, x: f64) -> f64 {
        self.slope(x) * (self.value(-x) - self.value(x))
    }
}

/// The lines on `[lower, upper]`.
pub(super) fn lines(lower: f64, upper: f64, alpha: Alpha<f64>) -> Pair {
    s_shaped(Sigmoid, 0.0, lower, upper, alpha)
}

/// Alphas of the lines of least area.
pub(super) fn start(lower: f64, upper: f64) -> Alpha<f64> {
    s_shaped_start(Sigmoid, 0.0, lower, upper)
}
