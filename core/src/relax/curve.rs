//! Residuals of a curve on a piece where it bends one way.
//!
//! Let `f` be convex on `[a, b]`, `h(x) = f(x) − s x`. The greatest value is at an end. For any point `c` of the piece
//! `h(x) ≥ h(c) + h′(c)(x − c)`, so with an enclosure of `h′(c) = f′(c) − s`,
//! `h ≥ h(c) + min(0, h′(c))·(b − c)` right of `c` and `h ≥ h(c) − max(0, h′(c))·(c − a)` left of it. Every `c` gives a bound and the best
//! of those tried is taken; a false position search for `f′(c) = s` makes it tight. The search need not be trusted.

use super::at;
use crate::elementary::Interval;

/// A function and its slope, enclosed at a point.
#[derive(Clone, Copy)]
pub(super) struct Curve<F, G> {
    /// Encloses `f(x)`.
    pub value: F,
    /// Encloses `f′(x)`.
    pub slope: G,
}

/// How the curve bends on a piece.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bend {
    /// Convex, or straight.
    Convex,
    /// Concave, or straight.
    Concave,
}

/// Most points tried for the tangent.
const TRIES: usize = 60;

impl<F: Fn(f64) -> Interval, G: Fn(f64) -> Interval> Curve<F, G> {
    /// Encloses `f(x) − s x` on a piece `[a, b]` that bends one way.
    pub(super) fn piece(&self, bend: Bend, s: f64, a: f64, b: f64) -> Interval {
        let start = at((self.value)(a), s, a);
        if a == b {
            return start;
        }
        let ends = start.hull(at((self.value)(b), s, b));
        match bend {
            Bend::Convex => {
                let lowest = lowest(&self.value, &self.slope, s, a, b);
                Interval { lower: larger(lowest, f64::NEG_INFINITY), upper: ends.upper }
            }
            Bend::Concave => {
                let value = |x: f64| (self.value)(x).negate();
                let slope = |x: f64| (self.slope)(x).negate();
                Interval { lower: ends.lower, upper: -lowest(&value, &slope, -s, a, b) }
            }
        }
    }
}

fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

fn smaller(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

/// What the tangent at `c` says of the least value; −∞ if nothing.
fn bound(y: Interval, tilt: Interval, s: f64, c: f64, a: f64, b: f64) -> f64 {
    let here = at(y, s, c).lower;
    // Lengths rounded up, products away from 0, sums down.
    let right = if tilt.lower < 0.0 { (tilt.lower * (b - c).next_up()).next_down() } else { 0.0 };
    let left = if tilt.upper > 0.0 { (-tilt.upper * (c - a).next_up()).next_down() } else { 0.0 };
    // At an end there is nothing on one side.
    let right = if c >= b { 0.0 } else { right };
    let left = if c <= a { 0.0 } else { left };
    let bound = (here + smaller(left, right)).next_down();
    if bound.is_nan() { f64::NEG_INFINITY } else { bound }
}

/// A lower bound of `f(x) − s x` on `[a, b]`, `f` convex.
fn lowest(value: &impl Fn(f64) -> Interval, slope: &impl Fn(f64) -> Interval, s: f64, a: f64, b: f64) -> f64 {
    let tilt = |c: f64| slope(c).minus(Interval::point(s));
    let middle = |t: Interval| 0.5 * t.lower + 0.5 * t.upper;
    let (tilt_a, tilt_b) = (tilt(a), tilt(b));
    let mut best = larger(bound(value(a), tilt_a, s, a, a, b), bound(value(b), tilt_b, s, b, a, b));
    // The slope rises: at a rising start, or a falling end, the end is the least point.
    if tilt_a.lower >= 0.0 || tilt_b.upper <= 0.0 {
        return best;
    }
    let (mut low, mut high) = (a, b);
    let (mut at_low, mut at_high) = (middle(tilt_a), middle(tilt_b));
    for step in 0..TRIES {
        // False position with the Illinois halving; bisection where a slope is not finite, and now and then.
        let cut = (low * at_high - high * at_low) / (at_high - at_low);
        let halved = 0.5 * low + 0.5 * high;
        let c = if cut > low && cut < high && step % 4 != 3 { cut } else { halved };
        if !(c > low && c < high) {
            break;
        }
        let t = tilt(c);
        let y = value(c);
        best = larger(best, bound(y, t, s, c, a, b));
        // The tangent takes next to nothing off the residual here: what is left is rounding.
        let here = at(y, s, c).lower;
        if (t.lower <= 0.0 && t.upper >= 0.0) || here - best <= 1e-14 * y.magnitude() {
            break;
        }
        if t.upper < 0.0 {
            (low, at_low, at_high) = (c, middle(t), 0.5 * at_high);
        } else {
            (high, at_high, at_low) = (c, middle(t), 0.5 * at_low);
        }
    }
    best
}
