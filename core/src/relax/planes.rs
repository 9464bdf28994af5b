//! Residuals of planes: products of two values and the maximum of a group.
//!
//! *Product.* `x y − a x − b y` is affine in each factor, so its extremes are at the corners of the box, for any `a` and `b`.
//!
//! *Maximum, above.* `max x − w·x` is the greatest over `j` of `xⱼ − w·x`, each a sum of one-variable terms whose extremes are at the ends.
//!
//! *Maximum, below.* For weights `w ≥ 0` with the sum `W`: `max x − w·x ≥ (1 − W) max x`, so at least the smaller of `(1 − W)·max l` and `(1 − W)·max u`.

use super::RelaxError;
use crate::elementary::Interval;

/// Encloses `x y − a x − b y` for `x` and `y` in their intervals.
///
/// # Errors
/// [`RelaxError::NotAnInterval`], [`RelaxError::NonFinite`].
///
/// # Rounding
/// *Sound over the reals*.
pub fn product_residual((a, b): (f64, f64), x: Interval, y: Interval) -> Result<Interval, RelaxError> {
    let finite = |i: Interval| i.lower.is_finite() && i.upper.is_finite() && i.lower <= i.upper;
    if !(finite(x) && finite(y) && a.is_finite() && b.is_finite()) {
        return Err(RelaxError::NotAnInterval);
    }
    let corner = |x: f64, y: f64| {
        let (x, y) = (Interval::point(x), Interval::point(y));
        x.times(y).minus(Interval::point(a).times(x)).minus(Interval::point(b).times(y))
    };
    let low = corner(x.lower, y.lower).hull(corner(x.lower, y.upper));
    let high = corner(x.upper, y.lower).hull(corner(x.upper, y.upper));
    let values = low.hull(high);
    if values.lower.is_finite() && values.upper.is_finite() { Ok(values) } else { Err(RelaxError::NonFinite) }
}

/// Bounds `max x − weights·x` for `x` in the box: from above for any weights, from below if no weight is negative (else −∞).
///
/// # Shapes
/// All slices `[n]`, `n ≥ 1`.
///
/// # Errors
/// [`RelaxError::NotAnInterval`] (also if lengths differ), [`RelaxError::NonFinite`] if the upper bound is not finite.
///
/// # Rounding
/// *Sound over the reals*.
pub fn max_residual(weights: &[f64], lower: &[f64], upper: &[f64]) -> Result<Interval, RelaxError> {
    if weights.len() != lower.len() || lower.len() != upper.len() || lower.is_empty() {
        return Err(RelaxError::NotAnInterval);
    }
    let members = || weights.iter().copied().zip(lower.iter().copied()).zip(upper.iter().copied());
    if !members().all(|((w, l), u)| w.is_finite() && l.is_finite() && u.is_finite() && l <= u) {
        return Err(RelaxError::NotAnInterval);
    }
    let term = |factor: Interval, l: f64, u: f64| factor.times(Interval::point(l).hull(Interval::point(u)));
    // Σ max(−wᵢxᵢ), and for each j what exchanging its term for (1 − wⱼ)xⱼ changes.
    let mut sum = Interval::point(0.0);
    let mut weight = Interval::point(0.0);
    let (mut gain, mut floor, mut ceiling) = (f64::NEG_INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY);
    let mut no_negative = true;
    for ((w, l), u) in members() {
        let without = term(Interval::point(-w), l, u).upper;
        let with = term(Interval::point(1.0).minus(Interval::point(w)), l, u).upper;
        sum = sum.plus(Interval::point(without));
        // `without` is an upper bound that is in the sum as it is, so taking it out again is exact but for rounding.
        gain = larger(gain, (with - without).next_up());
        weight = exact_or_outward(weight, w);
        (floor, ceiling) = (larger(floor, l), larger(ceiling, u));
        no_negative &= w >= 0.0;
    }
    let above = (sum.upper + gain).next_up();
    let short = exact_or_outward(weight.negate(), 1.0);
    let below = short.times(Interval { lower: floor, upper: ceiling }).lower;
    if !above.is_finite() {
        return Err(RelaxError::NonFinite);
    }
    Ok(Interval { lower: if no_negative { below } else { f64::NEG_INFINITY }, upper: above })
}

/// `sum + w`; a sum of two numbers that is exact (Knuth's two-sum has no error) stays a number, as one weight 1 among zeros does.
fn exact_or_outward(sum: Interval, w: f64) -> Interval {
    let (a, s) = (sum.lower, sum.lower + w);
    let b = s - a;
    let error = (a - (s - b)) + (w - b);
    if sum.lower == sum.upper && error == 0.0 { Interval::point(s) } else { sum.plus(Interval::point(w)) }
}

fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}
