//! Lines of `log(1 + exp(x))`.
//!
//! Convex: tangent below (alpha is its point), secant above, see `curve`. `f′` is the logistic function.
//!
//! # Rounding
//! *Estimate*; the proved form is in `certus_core::relax`.

use super::curve::{Curve, convex};
use super::sigmoid::Sigmoid;
use super::{Alpha, Pair};

/// The curve.
#[derive(Clone, Copy)]
pub(super) struct Softplus;

impl Curve for Softplus {
    fn value(self, x: f64) -> f64 {
        x.max(0.0) + (-x.abs()).exp().ln_1p()
    }
    fn slope(self, x: f64) -> f64 {
        Sigmoid.value(x)
    }
    fn curvature(self, x: f64) -> f64 {
        Sigmoid.slope(x)
    }
}

/// The lines on `[lower, upper]`.
pub(super) fn lines(lower: f64, upper: f64, alpha: Alpha<f64>) -> Pair {
    convex(Softplus, lower, upper, alpha)
}
