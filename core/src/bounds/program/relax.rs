//! Lines below `a·f(z)` on an interval, in `f32`.
//!
//! For a coefficient `a` on `y = f(z)`, `z ∈ [l, u]`, a backward pass needs `a·y ≥ ŝ·z + c`. The slope `ŝ` may be any
//! number: it is taken as chosen, and `c` fits it. For a function made of lines, `a·f(z) − ŝ·z` is made of lines too,
//! so its minimum is at an end of the interval or at a knot between: `c` is the least of those values, rounded down.
//!
//! | function | knots | rounds on the device |
//! | --- | --- | --- |
//! | ReLU, absolute value | 0 | no |
//! | leaky ReLU | 0 | `slope·z` for `z < 0`: by `u·\|slope·z\| + η` |
//! | clip | its limits | no |
//! | sigmoid, tanh | | [`crate::relax::device`] gives two lines that hold for both meanings |
//!
//! What the device's value rounds is deducted too, times `|a|`, so the line holds for both meanings.
//!
//! *Rounding of `c`.* Where `f(p) = p` the value is `(a − ŝ)·p`, a difference and a product, so within `4u` of itself;
//! elsewhere `a·f(p)` (two products), `ŝ·p` and their difference are off by at most
//! `4u(|a·f(p)| + |ŝ·p|)`, and by `η(1 + |a|)` where they underflow. [`down`] and the margin cover both.
//!
//! *Slopes.* Of a convex function (ReLU, leaky ReLU with slope up to 1) the upper line is the chord and the lower line
//! one of the two pieces: the right one if the interval reaches further to the right of the knot, the smaller area.
//! A clip that is cut on both sides has the lines from its knots to the far ends, or level ones, by the same rule.
//!
//! *Max.* `y = max xⱼ`: below, `y ≥ xⱼ` for the member with the greatest lower bound. Above, for the member with the
//! greatest upper bound `u`, and `U` the greatest of the others, `y ≤ max(xⱼ, U)`, which is convex in `xⱼ`: the chord.
//!
//! Source: Zhang et al. 2018 (arXiv:1811.00866), section 3; rounding analysis ours.

use super::intervals::magnitude;
use crate::bounds::BoundError;
use crate::program::forward::apply;
use crate::program::{Function, to_usize};
use crate::relax::device::{Lines, sigmoid, sigmoid_image, tanh, tanh_image};
use crate::round::{ETA, UNIT, up};

/// `a·y ≥ slope·z + constant`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) slope: f32,
    pub(super) constant: f32,
}

/// A value at most `x` minus two roundings of it and an underflow; the mirror of [`up`].
fn down(x: f32) -> f32 {
    x - (x.abs() * (4.0 * UNIT) + f32::MIN_POSITIVE)
}

/// The line below `a·f` that two lines around `f` give.
///
/// The rounded slope is within `u|a·s| + η` of `a·s`, so off by at most that times `|z|`; the constant is one product.
fn from_lines(lines: Result<Lines, BoundError>, lower: f32, upper: f32, a: f32) -> Line {
    let Ok(lines) = lines else { return Line { slope: 0.0, constant: f32::NAN } };
    let (s, t) = if a > 0.0 {
        (lines.lower_slope, lines.lower_intercept)
    } else {
        (lines.upper_slope, lines.upper_intercept)
    };
    let slope = a * s;
    let reach = magnitude(lower, upper);
    let off = up(up(2.0 * UNIT * slope.abs() + 2.0 * ETA) * reach);
    Line { slope, constant: (down(a * t) - off).next_down() }
}

/// Where the function's pieces meet.
fn knots(function: Function) -> [f32; 2] {
    match function {
        Function::Clip { lower, upper } => [lower, upper],
        _ => [0.0, 0.0],
    }
}

/// The function's slope left of 0, for those of two pieces; right of it the slope is 1.
fn left_slope(function: Function) -> f32 {
    match function {
        Function::LeakyRelu { slope } => slope,
        Function::Abs => -1.0,
        _ => 0.0,
    }
}

/// The ends of the interval and the knots inside it; an end stands in for a knot outside.
fn corners(function: Function, lower: f32, upper: f32) -> [f32; 4] {
    let [first, second] = knots(function).map(|k| if lower < k && k < upper { k } else { lower });
    [lower, upper, first, second]
}

/// Whether the line is exact on the interval: no knot lies inside.
pub(super) fn is_exact(function: Function, lower: f32, upper: f32) -> bool {
    match function {
        Function::Sigmoid | Function::Tanh => lower >= upper,
        _ => !knots(function).iter().any(|k| lower < *k && *k < upper),
    }
}

/// An interval that holds `f` of both meanings on `[lower, upper]`.
///
/// # Rounding
/// Outward where a corner's value rounds.
pub(super) fn image(function: Function, lower: f32, upper: f32) -> (f32, f32) {
    match function {
        Function::Sigmoid => return sigmoid_image(lower, upper),
        Function::Tanh => return tanh_image(lower, upper),
        _ => {}
    }
    let (mut least, mut most) = (f32::INFINITY, f32::NEG_INFINITY);
    for corner in corners(function, lower, upper) {
        let value = apply(function, corner);
        let rounds = matches!(function, Function::LeakyRelu { .. }) && corner < 0.0;
        let (below, above) = if rounds { (value.next_down(), value.next_up()) } else { (value, value) };
        // NaN is taken over, and refused by the caller.
        if below.is_nan() || below < least {
            least = below;
        }
        if above.is_nan() || above > most {
            most = above;
        }
    }
    (least, most)
}

/// Slopes of the lower and the upper line.
fn slopes(function: Function, lower: f32, upper: f32) -> (f32, f32) {
    if let Function::Clip { lower: from, upper: to } = function {
        return clip_slopes((from, to), lower, upper);
    }
    let left = left_slope(function);
    if lower >= 0.0 {
        return (1.0, 1.0);
    }
    if upper <= 0.0 {
        return (left, left);
    }
    let chord = (upper - left * lower) / (upper - lower);
    let piece = if upper > -lower { 1.0 } else { left };
    if left <= 1.0 { (piece, chord) } else { (chord, piece) }
}

fn clip_slopes((from, to): (f32, f32), lower: f32, upper: f32) -> (f32, f32) {
    if upper <= from || lower >= to {
        return (0.0, 0.0);
    }
    let (below, above) = (lower < from, upper > to);
    let start = if below { from } else { lower };
    let end = if above { to } else { upper };
    let rise = end - start;
    let piece = |cut: f32, slope: f32| if rise > cut { slope } else { 0.0 };
    match (below, above) {
        (false, false) => (1.0, 1.0),
        // Convex: the piece below, the chord above.
        (true, false) => (piece(from - lower, 1.0), rise / (upper - lower)),
        (false, true) => (rise / (upper - lower), piece(upper - to, 1.0)),
        (true, true) => (piece(from - lower, rise / (upper - from)), piece(upper - to, rise / (to - lower))),
    }
}

/// A line below `a·f(z)` on `[lower, upper]`, for the real function and the device's.
pub(super) fn line(function: Function, lower: f32, upper: f32, a: f32) -> Line {
    if a == 0.0 {
        return Line { slope: 0.0, constant: 0.0 };
    }
    match function {
        Function::Sigmoid => return from_lines(sigmoid(lower, upper), lower, upper, a),
        Function::Tanh => return from_lines(tanh(lower, upper), lower, upper, a),
        _ => {}
    }
    let left = left_slope(function);
    let is_leaky = matches!(function, Function::LeakyRelu { .. });
    if !matches!(function, Function::Clip { .. }) {
        // One piece whose product with `a` does not round.
        if lower >= 0.0 {
            return Line { slope: a, constant: 0.0 };
        }
        if upper <= 0.0 && !is_leaky {
            return Line { slope: a * left, constant: 0.0 };
        }
    }
    let (below, above) = slopes(function, lower, upper);
    let slope = a * if a > 0.0 { below } else { above };
    let mut constant = f32::INFINITY;
    for corner in corners(function, lower, upper) {
        let value = apply(function, corner);
        let at = if value == corner {
            down((a - slope) * corner)
        } else {
            let (top, line) = (a * value, slope * corner);
            let margin = up(4.0 * UNIT * (top.abs() + line.abs()) + 2.0 * ETA * a.abs());
            down(top - line) - margin
        };
        if at.is_nan() || at < constant {
            constant = at;
        }
    }
    if is_leaky && lower < 0.0 {
        let rounds = up(up(UNIT * (left * lower).abs()) * a.abs());
        constant = (constant - rounds).next_down();
    }
    Line { slope, constant }
}

/// A line below `a·max` of the members' values in terms of one member: its index and the line.
pub(super) fn max_line(group: &[u32], lower: &[f32], upper: &[f32], a: f32) -> (usize, Line) {
    let key = if a > 0.0 { lower } else { upper };
    let (mut member, mut top, mut second) = (0usize, f32::NEG_INFINITY, f32::NEG_INFINITY);
    for index in group {
        let index = to_usize(*index);
        let value = key.get(index).copied().unwrap_or(f32::NAN);
        if value > top || top == f32::NEG_INFINITY {
            (member, top, second) = (index, value, top);
        } else if value.is_nan() || value > second {
            second = value;
        }
    }
    if a >= 0.0 {
        return (member, Line { slope: a, constant: 0.0 });
    }
    let low = lower.get(member).copied().unwrap_or(f32::NAN);
    // `top` is the member's upper bound, `second` the greatest of the others.
    if second <= low {
        return (member, Line { slope: a, constant: 0.0 });
    }
    if second >= top {
        return (member, Line { slope: 0.0, constant: down(a * top) });
    }
    let slope = a * ((top - second) / (top - low));
    let (level, line) = (a * second, slope * low);
    let at_lower = down(level - line) - up(4.0 * UNIT * (level.abs() + line.abs()));
    let at_upper = down((a - slope) * top);
    let constant = if at_upper >= at_lower { at_lower } else { at_upper };
    (member, Line { slope, constant })
}
