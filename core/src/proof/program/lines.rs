//! What an elementwise function needs: its range, good slopes, lines of any slope, and whether it needs bounds by rows.

use super::kernel::{Kink, Lines};
use super::planes::{Interval, larger, smaller};
use crate::program::Function;
use crate::relax::{RelaxError, image, residual};

/// The slopes left and right of 0 of a function with one kink, there.
fn kinked(function: Function) -> Option<(f64, f64)> {
    match function {
        Function::Relu => Some((0.0, 1.0)),
        Function::LeakyRelu { slope } => Some((f64::from(slope), 1.0)),
        Function::Abs => Some((-1.0, 1.0)),
        _ => None,
    }
}

/// Whether a function is straight on each side of 0.
pub(super) fn has_kink(function: Function) -> bool {
    kinked(function).is_some()
}

/// An interval that holds `function` of `[lower, upper]`; exact for ReLU and the absolute value.
pub(super) fn range(function: Function, (lower, upper): Interval) -> Result<Interval, RelaxError> {
    let Some((negative, positive)) = kinked(function).filter(|_| lower <= upper) else {
        return image(function, lower, upper).map(|i| (i.lower, i.upper));
    };
    let value = |x: f64| {
        let slope = if x >= 0.0 { positive } else { negative };
        let y = slope * x;
        let exact = slope == 0.0 || slope.abs() == 1.0;
        if exact { (y, y) } else { (y.next_down(), y.next_up()) }
    };
    let (a, b) = (value(lower), value(upper));
    let (low, high) = (smaller(a.0, b.0), larger(a.1, b.1));
    let inside = lower < 0.0 && upper > 0.0;
    Ok(if inside { (smaller(low, 0.0), larger(high, 0.0)) } else { (low, high) })
}

/// Whether lines of a function are searched for once and kept: all but those with one kink at 0.
pub(super) fn kept(function: Function) -> bool {
    kinked(function).is_none()
}

/// The line that a function with a kink at 0 is on an interval at one side of it.
pub(super) fn straight(function: Function, (lower, upper): Interval) -> Option<Lines> {
    let (negative, positive) = kinked(function).filter(|_| lower >= 0.0 || upper <= 0.0)?;
    let slope = if lower >= 0.0 { positive } else { negative };
    Some(Lines { lower_slope: slope, upper_slope: slope, ..Lines::default() })
}

/// Numbers kept of an element: lower slope and intercept, upper slope and intercept, least and greatest useful slope.
pub(super) const KEPT: usize = 6;

/// Sound lines of `function` on `[lower, upper]` with the slopes whose lines are best in the middle, and [`slope_range`].
pub(super) fn search(function: Function, (lower, upper): Interval) -> Result<[f64; KEPT], RelaxError> {
    let (least, most) = slope_range(function, lower, upper)?;
    let middle = 0.5 * lower + 0.5 * upper;
    // The line below is best in the middle where `inf(f − s·x) + s·middle` is greatest, a concave function of `s`.
    let [low, high] = [false, true].map(|above| {
        best(least, most, |s| match residual(function, s, lower, upper) {
            Ok(r) if above => -(r.upper + s * middle),
            Ok(r) => r.lower + s * middle,
            Err(_) => f64::NEG_INFINITY,
        })
    });
    let below = intercept(function, (lower, upper), low, false)?;
    let above = intercept(function, (lower, upper), high, true)?;
    Ok([low, below, high, above, least, most])
}

/// A proved intercept of the line of a slope below (or above) `function` on an interval.
pub(super) fn intercept(
    function: Function,
    (lower, upper): Interval,
    slope: f64,
    above: bool,
) -> Result<f64, RelaxError> {
    let values = residual(function, slope, lower, upper)?;
    Ok(if above { values.upper } else { values.lower })
}

/// About the greatest argument of a concave `value` on `[a, b]`; ends, 0 and 1 first, where straight pieces have theirs.
fn best(a: f64, b: f64, value: impl Fn(f64) -> f64) -> f64 {
    let mut best = (a, value(a));
    let mut consider = |s: f64| {
        let v = value(s);
        if v > best.1 {
            best = (s, v);
        }
        v
    };
    for s in [b, 0.0, 1.0].into_iter().filter(|s| *s >= a && *s <= b) {
        consider(s);
    }
    /// 1 less than the golden ratio.
    const SECTION: f64 = 0.618_033_988_749_894_9;
    let (mut from, mut to) = (a, b);
    let (mut left, mut right) = (to - SECTION * (to - from), from + SECTION * (to - from));
    let (mut at_left, mut at_right) = (consider(left), consider(right));
    for _ in 0..10 {
        if at_left >= at_right {
            (to, right, at_right) = (right, left, at_left);
            left = to - SECTION * (to - from);
            at_left = consider(left);
        } else {
            (from, left, at_left) = (left, right, at_right);
            right = from + SECTION * (to - from);
            at_right = consider(right);
        }
    }
    best.0
}

/// Between which slopes useful lines of `function` on `[lower, upper]` lie: those of sixteen chords. A claimed byte is a share of
/// this range. Any slope is sound.
///
/// # Errors
/// [`RelaxError`].
pub fn slope_range(function: Function, lower: f64, upper: f64) -> Result<(f64, f64), RelaxError> {
    if let Some((negative, positive)) = kinked(function) {
        return Ok((smaller(negative, positive), larger(negative, positive)));
    }
    match function {
        Function::Clip { .. } | Function::Floor => return Ok((0.0, 1.0)),
        Function::HardSigmoid { alpha, .. } => {
            let alpha = f64::from(alpha);
            return Ok((smaller(alpha, 0.0), larger(alpha, 0.0)));
        }
        Function::Sign => {
            let steep = [2.0 / upper, -2.0 / lower].map(|s| if s > 0.0 && s < 1e6 { s } else { 0.0 });
            return Ok((0.0, larger(steep[0], steep[1])));
        }
        _ => {}
    }
    let (mut range, mut before) = ((f64::INFINITY, f64::NEG_INFINITY), (lower, middle(function, lower)?));
    for i in 1..=16 {
        let x = if i == 16 { upper } else { lower + (upper - lower) * (f64::from(i) / 16.0) };
        let y = middle(function, x)?;
        let slope = (y - before.1) / (x - before.0);
        if slope.is_finite() {
            range = (smaller(range.0, slope), larger(range.1, slope));
        }
        before = (x, y);
    }
    // An interval too narrow for a chord.
    if range.0 <= range.1 { Ok(range) } else { Ok((0.0, 0.0)) }
}

/// About `function(x)`.
fn middle(function: Function, x: f64) -> Result<f64, RelaxError> {
    image(function, x, x).map(|i| 0.5 * i.lower + 0.5 * i.upper)
}

/// The kink of `function` if it lies inside `[lower, upper]`; charges are `factor` times what they multiply.
pub(super) fn kink(function: Function, (lower, upper): Interval, factor: f64) -> Option<Kink> {
    let (negative, positive) = kinked(function).filter(|_| lower < 0.0 && upper > 0.0)?;
    // The chord of ends that are far apart may round past the slopes, which is harmless: any slope is sound.
    let chord = (positive * upper - negative * lower) / (upper - lower);
    let value = larger((negative * lower).abs(), (positive * upper).abs());
    let mass = larger(-lower, upper);
    Some(Kink { lower, upper, negative, positive, chord, error: factor * value, error_chosen: factor * mass })
}

/// The slope of the free side of a kink for a share `0..=1`, or the adaptive choice.
pub(super) fn free_slope(kink: &Kink, share: Option<f64>) -> f64 {
    match share {
        Some(share) => kink.negative + share * (kink.positive - kink.negative),
        None if kink.upper > -kink.lower => kink.positive,
        None => kink.negative,
    }
}

/// Whether tighter bounds of the operand could help.
pub(super) fn undecided(function: Function, (lower, upper): Interval) -> bool {
    match function {
        Function::Relu | Function::LeakyRelu { .. } | Function::Abs | Function::Sign => {
            lower < 0.0 && upper > 0.0
        }
        Function::Clip { lower: a, upper: b } => {
            let inside = |v: f32| lower < f64::from(v) && upper > f64::from(v);
            inside(a) || inside(b)
        }
        _ => lower < upper,
    }
}
