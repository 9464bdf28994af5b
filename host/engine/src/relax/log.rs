//! Lines of the natural logarithm, on positive intervals.
//!
//! Concave: secant below, tangent above (alpha is its point), see `curve`.
//!
//! # Rounding
//! *Estimate*; the proved form is in `certus_core::relax`.

use super::curve::{Curve, concave};
use super::{Alpha, Pair};

/// The curve.
#[derive(Clone, Copy)]
pub(super) struct Log;

impl Curve for Log {
    fn value(self, x: f64) -> f64 {
        x.ln()
    }
    fn slope(self, x: f64) -> f64 {
        x.recip()
    }
    fn curvature(self, x: f64) -> f64 {
        -x.recip() * x.recip()
    }
}

/// The lines on `[lower, upper]`.
pub(super) fn lines(lower: f64, upper: f64, alpha: Alpha<f64>) -> Pair {
    concave(Log, lower, upper, alpha)
}
