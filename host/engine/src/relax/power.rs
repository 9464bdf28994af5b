//! Lines of `x` to a natural power `n ≥ 2`.
//!
//! Even: convex. Odd: concave up to 0, convex after, so `−xⁿ` is S-shaped. See `curve`.
//!
//! # Rounding
//! *Estimate*; the proved form is in `certus_core::relax`.

use super::curve::{CENTRE, Curve, Negated, convex, s_shaped, s_shaped_start};
use super::{Alpha, Pair};

/// The curve of an exponent.
#[derive(Clone, Copy)]
pub(super) struct Power(pub i32);

impl Curve for Power {
    fn value(self, x: f64) -> f64 {
        x.powi(self.0)
    }
    fn slope(self, x: f64) -> f64 {
        f64::from(self.0) * x.powi(self.0 - 1)
    }
    fn curvature(self, x: f64) -> f64 {
        f64::from(self.0) * f64::from(self.0 - 1) * x.powi(self.0 - 2)
    }
}

/// The lines on `[lower, upper]`.
pub(super) fn lines(exponent: u32, lower: f64, upper: f64, alpha: Alpha<f64>) -> Pair {
    let f = Power(exponent.cast_signed());
    if exponent.is_multiple_of(2) {
        return convex(f, lower, upper, alpha);
    }
    s_shaped(Negated(f), 0.0, lower, upper, alpha.swapped()).negate()
}

/// Alphas of the lines of least area.
pub(super) fn start(exponent: u32, lower: f64, upper: f64) -> Alpha<f64> {
    if exponent.is_multiple_of(2) {
        return CENTRE;
    }
    s_shaped_start(Negated(Power(exponent.cast_signed())), 0.0, lower, upper).swapped()
}

/// What the power may be on `[lower, upper]`.
pub(super) fn image(exponent: u32, lower: f64, upper: f64) -> (f64, f64) {
    let (a, b) = (lower.powi(exponent.cast_signed()), upper.powi(exponent.cast_signed()));
    if exponent % 2 == 1 {
        (a, b)
    } else {
        (if lower <= 0.0 && upper >= 0.0 { 0.0 } else { a.min(b) }, a.max(b))
    }
}
