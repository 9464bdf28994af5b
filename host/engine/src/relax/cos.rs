//! Lines of the cosine: those of the sine, a quarter of a period to the left.
//!
//! # Rounding
//! *Estimate*; the proved form is in `certus_core::relax`.

use std::f64::consts::{FRAC_PI_2, TAU};

use super::{Alpha, Line, Pair, sin};

/// The lines on `[lower, upper]`.
pub(super) fn lines(lower: f64, upper: f64, alpha: Alpha<f64>) -> Pair {
    let shifted = |line: Line| {
        let mut line = line;
        line.touch[0] -= FRAC_PI_2;
        line.by_alpha.intercept += FRAC_PI_2 * line.by_alpha.slope;
        line
    };
    let pair = sin::lines(lower + FRAC_PI_2, upper + FRAC_PI_2, alpha);
    Pair { lower: shifted(pair.lower), upper: shifted(pair.upper) }
}

/// What the cosine may be on `[lower, upper]`.
pub(super) fn image(lower: f64, upper: f64) -> (f64, f64) {
    sin::extremes(f64::cos, [0.5 * TAU, 0.0], lower, upper)
}
