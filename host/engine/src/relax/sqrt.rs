//! Lines of the square root, on intervals that are not negative.
//!
//! Concave: secant below, tangent above (alpha is its point), see `curve`. The tangent at 0 is vertical: the point
//! is kept a billionth of the width away from 0.
//!
//! # Rounding
//! *Estimate*; the proved form is in `certus_core::relax`.

use super::curve::{Curve, concave};
use super::{Alpha, Line, Pair};

/// The curve.
#[derive(Clone, Copy)]
pub(super) struct Sqrt;

impl Curve for Sqrt {
    fn value(self, x: f64) -> f64 {
        x.sqrt()
    }
    fn slope(self, x: f64) -> f64 {
        0.5 / x.sqrt()
    }
    fn curvature(self, x: f64) -> f64 {
        -0.25 / (x * x.sqrt())
    }
}

/// The lines on `[lower, upper]`.
pub(super) fn lines(lower: f64, upper: f64, alpha: Alpha<f64>) -> Pair {
    if upper == 0.0 {
        return Pair::exact(Line::constant(0.0));
    }
    let nearest = if lower < 1e-9 * upper { 1e-9 } else { 0.0 };
    concave(Sqrt, lower, upper, Alpha { upper: alpha.upper.max(nearest), ..alpha })
}
