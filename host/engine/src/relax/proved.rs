//! Proved lines: slopes of the search with intercepts of the core.
//!
//! The estimate's slopes need no trust; [`certus_core::relax::residual`] encloses `f(x) − slope·x` over the interval, and its ends are
//! the intercepts.

use certus_core::relax as core;

use super::{Alpha, Lines, Refusal, relax};
use crate::program::Function;

/// The lines of [`relax`], their intercepts proved.
///
/// # Errors
/// As [`relax`].
///
/// # Rounding
/// *Sound over the reals*.
pub fn relax_proved(
    function: Function,
    lower: f64,
    upper: f64,
    alpha: Alpha<f64>,
) -> Result<Lines<f64>, Refusal> {
    let pair = relax(function, lower, upper, alpha)?;
    let slopes = (pair.lower.slope, pair.upper.slope);
    let lines = core::lines(function, slopes, lower, upper).map_err(|_| Refusal::Overflow)?;
    Ok(Lines {
        lower_slope: lines.lower_slope,
        lower_intercept: lines.lower_intercept,
        upper_slope: lines.upper_slope,
        upper_intercept: lines.upper_intercept,
    })
}
