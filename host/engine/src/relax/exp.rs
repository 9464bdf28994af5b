//! Lines of the exponential function.
//!
//! Convex: tangent below (alpha is its point), secant above, see `curve`.
//!
//! # Rounding
//! *Estimate*; the proved form is in `certus_core::relax`.

use super::curve::{Curve, convex};
use super::{Alpha, Pair};

/// The curve.
#[derive(Clone, Copy)]
pub(super) struct Exp;

impl Curve for Exp {
    fn value(self, x: f64) -> f64 {
        x.exp()
    }
    fn slope(self, x: f64) -> f64 {
        x.exp()
    }
    fn curvature(self, x: f64) -> f64 {
        x.exp()
    }
}

/// The lines on `[lower, upper]`.
pub(super) fn lines(lower: f64, upper: f64, alpha: Alpha<f64>) -> Pair {
    convex(Exp, lower, upper, alpha)
}
