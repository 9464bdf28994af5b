//! Lines in `f32` for the device: leaky ReLU, the logistic function, the hyperbolic tangent and the maximum of a group.
//!
//! Each encloses both meanings on `[lower, upper]` (see [`crate::bounds`]): the real function, and the device's `f32` function
//! applied to an `f32` in the interval.
//!
//! # Rounding
//! Slopes are taken as chosen; whatever was rounded in choosing them is harmless. An intercept encloses `f(x) − slope·x` at the points that
//! decide, each operation moved outward by one unit (`next_up` of a rounded result is at least the exact one).
//!
//! *S-shaped functions.* With `E ≥ |f̃ − f|` for the `f32` function `f̃`, `f̃(x) ± E` encloses `f(x)`, and intercepts grow by `E` once more for the device's
//! own result. Let the slope be `s > 0`. Left of 0 `f` is convex, so `f(x) − s x` is at most its value at an end, `lower` or 0. Right of 0 it is
//! concave, so with any point `c` there `f(x) − s x ≤ f(c) − s c + (f′(c) − s)(x − c)`, and the computed slope `f̃′` is within `D` of
//! `f′`: the last term is at most `(f̃′(c) − s + D)⁺(upper − c)` or `(s − f̃′(c) + D)⁺(c − x)`. The point 0 belongs to the right side. For the lower line by symmetry.
//!
//! *Source:* Singh et al. 2019 and Zhang et al. 2018 (arXiv:1811.00866); slopes of least area by a fixed number of bisections for the tangent through an end.

use crate::bounds::BoundError;
use crate::elementary::{SIGMOID_ERROR, TANH_ERROR, sigmoid_f32, tanh_f32};
use crate::round::{ETA, UNIT};

/// `lower_slope·x + lower_intercept ≤ f(x) ≤ upper_slope·x + upper_intercept` on an interval, exactly, for both meanings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lines {
    /// Slope of the lower line.
    pub lower_slope: f32,
    /// Its value at 0.
    pub lower_intercept: f32,
    /// Slope of the upper line.
    pub upper_slope: f32,
    /// Its value at 0.
    pub upper_intercept: f32,
}

impl Lines {
    fn checked(self) -> Result<Self, BoundError> {
        let finite = self.lower_slope.is_finite()
            && self.lower_intercept.is_finite()
            && self.upper_slope.is_finite()
            && self.upper_intercept.is_finite();
        if finite { Ok(self) } else { Err(BoundError::NonFinite) }
    }
}

fn check(lower: f32, upper: f32) -> Result<(), BoundError> {
    if lower.is_finite() && upper.is_finite() && lower <= upper {
        Ok(())
    } else {
        Err(BoundError::BadInterval)
    }
}

fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// At least `y − s·x`.
fn residual_up(y: f32, s: f32, x: f32) -> f32 {
    (y - (s * x).next_down()).next_up()
}

/// Leaky ReLU in `f32`, as the device computes it: `z` where `z ≥ 0`, else `slope·z`. NaN stays NaN.
#[inline]
pub fn leaky_relu_f32(slope: f32, z: f32) -> f32 {
    if z < 0.0 { slope * z } else { z }
}

/// Lines of leaky ReLU of a slope in `[0, 1]`; slope 0 is ReLU. Where 0 is inside, the lower line is the steeper one if `upper > −lower`.
///
/// # Errors
/// [`BoundError::BadInterval`] if the ends are no finite interval or the slope is not in `[0, 1]`, [`BoundError::NonFinite`] on overflow.
///
/// # Rounding
/// Sound for both meanings: the device's product is within `u·slope·|z| + η` of the real one.
pub fn leaky_relu(slope: f32, lower: f32, upper: f32) -> Result<Lines, BoundError> {
    check(lower, upper)?;
    if !(0.0..=1.0).contains(&slope) {
        return Err(BoundError::BadInterval);
    }
    if lower >= 0.0 {
        return Ok(Lines { lower_slope: 1.0, lower_intercept: 0.0, upper_slope: 1.0, upper_intercept: 0.0 });
    }
    // Slopes 0 and 1 are exact on the device too.
    let error =
        if slope == 0.0 || slope == 1.0 { 0.0 } else { (slope * -lower * UNIT).next_up().next_up() + ETA };
    if upper <= 0.0 {
        return Lines {
            lower_slope: slope,
            lower_intercept: -error,
            upper_slope: slope,
            upper_intercept: error,
        }
        .checked();
    }
    // Convex, so the greatest value of f − s x is at an end, and every slope between the pieces' is below through 0.
    let upper_slope = (upper - slope * lower) / (upper - lower);
    let at_lower = residual_up((slope * lower).next_up(), upper_slope, lower);
    let at_upper = residual_up(upper, upper_slope, upper);
    Lines {
        lower_slope: if upper > -lower { 1.0 } else { slope },
        lower_intercept: -error,
        upper_slope,
        upper_intercept: (larger(at_lower, at_upper) + error).next_up(),
    }
    .checked()
}

/// An odd S-shaped function up to a shift: `f(−x) = mirror − f(x)`.
#[derive(Clone, Copy)]
struct Curve {
    value: fn(f32) -> f32,
    slope: fn(f32) -> f32,
    /// `E`.
    error: f32,
    /// `D`.
    slope_error: f32,
}

/// `f̃(1 − f̃)`: with `|f̃ − f| ≤ E` it is within `E·|1 − f − f̃| ≤ E(1 + E)` of `f(1 − f)`, and two roundings of numbers below 1 and 1/4 add
/// less than `u`.
const SIGMOID: Curve = Curve {
    value: sigmoid_f32,
    slope: |x| {
        let y = sigmoid_f32(x);
        y * (1.0 - y)
    },
    error: SIGMOID_ERROR,
    slope_error: 1.001 * SIGMOID_ERROR + UNIT,
};

/// `1 − f̃²`: within `2E(1 + E)` of `1 − f²`, and two roundings of numbers below 1 add at most `2u`.
const TANH: Curve = Curve {
    value: tanh_f32,
    slope: |x| {
        let y = tanh_f32(x);
        1.0 - y * y
    },
    error: TANH_ERROR,
    slope_error: 2.001 * TANH_ERROR + 2.0 * UNIT,
};

/// Steps of the search for a tangent: each is one evaluation; the slope need not be exact.
const BISECTIONS: usize = 16;

impl Curve {
    /// The slope and the point `c ≥ 0` of the upper line on `[lower, upper]`, `upper > 0`: a tangent right of 0, as
    /// near to the centre as the curve's lower end allows; the secant if no tangent passes over that end.
    fn choose(&self, lower: f32, upper: f32) -> (f32, f32) {
        let centre = 0.5 * lower + 0.5 * upper;
        let first = if lower > 0.0 { lower } else { 0.0 };
        let at_lower = (self.value)(lower);
        // Whether the tangent at d passes above the lower end.
        let clears = |d: f32| (self.value)(d) - (self.slope)(d) * (d - lower) >= at_lower;
        if lower >= 0.0 {
            return ((self.slope)(centre), centre);
        }
        if !clears(upper) {
            return (((self.value)(upper) - at_lower) / (upper - lower), upper);
        }
        let (mut low, mut high) = (larger(first, centre), upper);
        if clears(low) {
            return ((self.slope)(low), low);
        }
        for _ in 0..BISECTIONS {
            let d = 0.5 * low + 0.5 * high;
            if clears(d) {
                high = d;
            } else {
                low = d;
            }
        }
        ((self.slope)(high), high)
    }

    /// The upper line.
    fn upper(&self, lower: f32, upper: f32) -> (f32, f32) {
        let above = |x: f32| ((self.value)(x) + self.error).next_up();
        if upper <= 0.0 {
            // Convex: the ends decide.
            let width = upper - lower;
            let slope = if width > 0.0 { ((self.value)(upper) - (self.value)(lower)) / width } else { 0.0 };
            let at_end = |x: f32| residual_up(above(x), slope, x);
            return (slope, larger(at_end(lower), at_end(upper)));
        }
        let (slope, c) = self.choose(lower, upper);
        let start = if lower > 0.0 { lower } else { 0.0 };
        // (f′(c) − s)(x − c) at either end of the right side; each factor is rounded up, and is 0 if it is negative.
        let tilt = (self.slope)(c) - slope;
        let part = |tilt: f32, reach: f32| {
            let (tilt, reach) = ((tilt.next_up() + self.slope_error).next_up(), reach.next_up());
            if tilt > 0.0 && reach > 0.0 { (tilt * reach).next_up() } else { 0.0 }
        };
        let tilted = larger(part(tilt, upper - c), part(-tilt, c - start));
        let right = (residual_up(above(c), slope, c) + tilted).next_up();
        let left = if lower < 0.0 { residual_up(above(lower), slope, lower) } else { right };
        (slope, larger(left, right))
    }

    /// Both lines; `mirror` is `f(x) + f(−x)`, and with it the lower line is the upper one of the mirrored interval.
    fn lines(&self, mirror: f32, lower: f32, upper: f32) -> Result<Lines, BoundError> {
        check(lower, upper)?;
        let (upper_slope, above) = self.upper(lower, upper);
        // f(x) = mirror − f(−x) ≥ mirror − (s·(−x) + t) = s x + (mirror − t).
        let (lower_slope, below) = self.upper(-upper, -lower);
        Lines {
            lower_slope,
            lower_intercept: ((mirror - below).next_down() - self.error).next_down(),
            upper_slope,
            upper_intercept: (above + self.error).next_up(),
        }
        .checked()
    }
}

/// Lines of the logistic function.
///
/// # Errors
/// [`BoundError::BadInterval`] if the ends are no finite interval, [`BoundError::NonFinite`] on overflow.
///
/// # Rounding
/// Sound for both meanings; the device's is [`sigmoid_f32`].
pub fn sigmoid(lower: f32, upper: f32) -> Result<Lines, BoundError> {
    SIGMOID.lines(1.0, lower, upper)
}

/// Lines of the hyperbolic tangent.
///
/// # Errors
/// [`BoundError::BadInterval`] if the ends are no finite interval, [`BoundError::NonFinite`] on overflow.
///
/// # Rounding
/// Sound for both meanings; the device's is [`tanh_f32`].
pub fn tanh(lower: f32, upper: f32) -> Result<Lines, BoundError> {
    TANH.lines(0.0, lower, upper)
}

/// Values of the logistic function on the interval, both meanings.
pub fn sigmoid_image(lower: f32, upper: f32) -> (f32, f32) {
    image(&SIGMOID, lower, upper, 0.0)
}

/// Values of the hyperbolic tangent on the interval, both meanings.
pub fn tanh_image(lower: f32, upper: f32) -> (f32, f32) {
    image(&TANH, lower, upper, -1.0)
}

/// The real function is monotone and within `E` of the device's: real values lie between `f̃(lower) − E` and `f̃(upper) + E`, the device's values within `E`
/// of those (they need not be monotone), all in `[floor, 1]`.
fn image(curve: &Curve, lower: f32, upper: f32, floor: f32) -> (f32, f32) {
    let error = 2.0 * curve.error;
    let a = ((curve.value)(lower) - error).next_down();
    let b = ((curve.value)(upper) + error).next_up();
    (if a > floor { a } else { floor }, if b < 1.0 { b } else { 1.0 })
}
/// The upper plane `slopes·x + intercept` of the maximum of a group with bounds `[lower, upper]`: writes the slopes and returns the intercept.
/// A lower plane is any one member, for instance the one that [`max_lower`] names.
///
/// With the threshold `θ`, between the greatest lower and the greatest upper bound, slope `wᵢ = (uᵢ − θ)⁺/(uᵢ − lᵢ)`: the planes of least value at a point, over
/// `θ`, are the concave envelope of the maximum. Taken is the third greatest upper bound, best at the centre of the box.
///
/// # Shapes
/// All slices `[n]`, `n ≥ 1`.
///
/// # Errors
/// [`BoundError::BadInterval`], [`BoundError::NonFinite`], or [`BoundError::Capacity`] if `slopes` is too short.
///
/// # Rounding
/// Sound for both meanings (the device's maximum is exact). For `0 ≤ w ≤ 1` the greatest `max x − w·x` over the box is
/// `max over j of (wⱼlⱼ + (1 − wⱼ)uⱼ) − Σ wᵢlᵢ`; every operation is rounded up.
pub fn max_upper(lower: &[f32], upper: &[f32], slopes: &mut [f32]) -> Result<f32, BoundError> {
    if slopes.len() != lower.len() || upper.len() != lower.len() || lower.is_empty() {
        return Err(BoundError::Capacity { needed: lower.len() });
    }
    let mut floor = f32::NEG_INFINITY;
    let (mut first, mut second, mut third) = (f32::NEG_INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY);
    for (l, u) in lower.iter().zip(upper) {
        check(*l, *u)?;
        floor = larger(floor, *l);
        if *u > first {
            (first, second, third) = (*u, first, second);
        } else if *u > second {
            (second, third) = (*u, second);
        } else if *u > third {
            third = *u;
        }
    }
    let threshold = larger(floor, third);
    let mut intercept = f32::NEG_INFINITY;
    let mut sum = 0.0f32;
    for ((l, u), slope) in lower.iter().zip(upper).zip(slopes.iter_mut()) {
        let w = if *u > threshold { (u - threshold) / (u - l) } else { 0.0 };
        *slope = if w < 1.0 { w } else { 1.0 };
        let rest = (1.0 - *slope).next_up();
        // `rest` may exceed 1 − w by a unit: with u < 0 the exact factor is the larger product.
        let rest = if *u < 0.0 { (1.0 - *slope).next_down() } else { rest };
        let at = ((*slope * l).next_up() + (rest * u).next_up()).next_up();
        intercept = larger(
            intercept,
            if *slope == 0.0 {
                *u
            } else if *slope == 1.0 {
                *l
            } else {
                at
            },
        );
        if *slope > 0.0 {
            sum = (sum + (*slope * l).next_down()).next_down();
        }
    }
    let intercept = if sum == 0.0 { intercept } else { (intercept - sum).next_up() };
    if intercept.is_finite() { Ok(intercept) } else { Err(BoundError::NonFinite) }
}

/// The member with the greatest centre; 0 of an empty group.
pub fn max_lower(lower: &[f32], upper: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (i, (l, u)) in lower.iter().zip(upper).enumerate() {
        let centre = 0.5 * l + 0.5 * u;
        if centre > best.1 {
            best = (i, centre);
        }
    }
    best.0
}
