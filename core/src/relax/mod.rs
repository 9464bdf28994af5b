//! Linear relaxations that are proved: lines and planes whose intercepts enclose.
//!
//! A line may have any slope `s`; what makes it sound is an intercept not above the least (not below the greatest) value of the residual
//! `f(x) − s x` on the interval. So slopes come from the search and are not trusted, and [`residual`] encloses the residual's values in `f64`,
//! with every rounding accounted for. Slope 0 gives the image of the interval.
//!
//! * `curve`: pieces of one curvature; a tangent encloses from one side, the ends from the other.
//! * `straight`: straight pieces and jumps; the vertices decide.
//! * `wave`: sine and cosine, by period.
//! * `planes`: products and maxima.
//! * [`device`]: lines in `f32`, computed on the device.

mod curve;
pub mod device;
mod planes;
mod smooth;
mod straight;
mod wave;

use core::fmt;

use crate::elementary::Interval;
use crate::program::Function;

pub use planes::{max_residual, product_residual};

/// Why a function has no line on an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RelaxError {
    /// The slope or an end is NaN or infinite, or `lower > upper`.
    NotAnInterval,
    /// The interval leaves the function's domain.
    Domain,
    /// The values leave the range of `f64`.
    NonFinite,
}

impl fmt::Display for RelaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnInterval => "an interval or a slope is not finite, or lower > upper",
            Self::Domain => "an interval leaves the domain of its function",
            Self::NonFinite => "a function leaves the range of f64 on its interval",
        })
    }
}

impl core::error::Error for RelaxError {}

/// Two lines that enclose a function on an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lines {
    /// Slope of the lower line.
    pub lower_slope: f64,
    /// Its value at 0.
    pub lower_intercept: f64,
    /// Slope of the upper line.
    pub upper_slope: f64,
    /// Its value at 0.
    pub upper_intercept: f64,
}

/// Encloses `f(x) − slope·x` for every real `x` in `[lower, upper]`; tight but for rounding.
///
/// # Errors
/// [`RelaxError`].
///
/// # Rounding
/// *Sound over the reals*: see the files of the pieces.
pub fn residual(function: Function, slope: f64, lower: f64, upper: f64) -> Result<Interval, RelaxError> {
    if !(slope.is_finite() && lower.is_finite() && upper.is_finite() && lower <= upper) {
        return Err(RelaxError::NotAnInterval);
    }
    let in_domain = match function {
        Function::Log => lower > 0.0,
        Function::Sqrt => lower >= 0.0,
        Function::Reciprocal => lower > 0.0 || upper < 0.0,
        _ => true,
    };
    if !in_domain {
        return Err(RelaxError::Domain);
    }
    let values = match function {
        Function::Sin => wave::residual(0, slope, lower, upper),
        Function::Cos => wave::residual(1, slope, lower, upper),
        _ => match straight::residual(function, slope, lower, upper) {
            Some(values) => values,
            None => smooth::residual(function, slope, lower, upper),
        },
    };
    if values.lower.is_finite() && values.upper.is_finite() { Ok(values) } else { Err(RelaxError::NonFinite) }
}

/// The lines of the given slopes.
///
/// # Errors
/// [`RelaxError`].
///
/// # Rounding
/// *Sound over the reals*, for any slopes.
pub fn lines(
    function: Function,
    (lower_slope, upper_slope): (f64, f64),
    lower: f64,
    upper: f64,
) -> Result<Lines, RelaxError> {
    let lower_intercept = residual(function, lower_slope, lower, upper)?.lower;
    let upper_intercept = residual(function, upper_slope, lower, upper)?.upper;
    Ok(Lines { lower_slope, lower_intercept, upper_slope, upper_intercept })
}

/// The values of a function on an interval.
///
/// # Errors
/// [`RelaxError`].
///
/// # Rounding
/// *Sound over the reals*.
pub fn image(function: Function, lower: f64, upper: f64) -> Result<Interval, RelaxError> {
    residual(function, 0.0, lower, upper)
}

/// Encloses `y − slope·x` at a point.
fn at(y: Interval, slope: f64, x: f64) -> Interval {
    y.minus(Interval::point(slope).times(Interval::point(x)))
}
