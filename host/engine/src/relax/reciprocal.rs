//! Lines of `1/x`, on intervals without 0.
//!
//! Convex right of 0: tangent below (alpha is its point), secant above. Concave left of 0, the other way round.
//! See `curve`.
//!
//! # Rounding
//! *Estimate*; the proved form is in `certus_core::relax`.

use super::curve::{Curve, concave, convex};
use super::{Alpha, Pair};

/// The curve.
#[derive(Clone, Copy)]
pub(super) struct Reciprocal;

impl Curve for Reciprocal {
    fn value(self, x: f64) -> f64 {
        x.recip()
    }
    fn slope(self, x: f64) -> f64 {
        -x.recip() * x.recip()
    }
    fn curvature(self, x: f64) -> f64 {
        2.0 * x.recip().powi(3)
    }
}

/// The lines on `[lower, upper]`.
pub(super) fn lines(lower: f64, upper: f64, alpha: Alpha<f64>) -> Pair {
    if lower > 0.0 {
        convex(Reciprocal, lower, upper, alpha)
    } else {
        concave(Reciprocal, lower, upper, alpha)
    }
}
