//! Lines of the sine, on any interval.
//!
//! For a slope `s` the intercept of the upper line is `max over [l, u] of sin x − s x`, taken at an end or where `cos x = s` and
//! `sin x ≥ 0`, that is at `arccos s + 2πk`: with `s ≥ 0` at the first such point of the interval, with `s < 0` at the last, because a
//! period changes the value by `−2πs`. The tightest upper line at a point `p` minimises this intercept plus `s p`, which is
//! convex in `s` with the derivative `p − x*(s)`: `s` is bisected in `[−1, 1]`. Alpha is `p = l + α(u − l)`; the centre gives
//! the line of least area. The lower line is `−sin(x) = sin(−x)` mirrored.
//!
//! # Rounding
//! *Estimate*; the proved form is in `certus_core::relax`.

use std::f64::consts::TAU;

use super::{Alpha, Line, Pair, line::Rate};

/// The lines on `[lower, upper]`.
pub(super) fn lines(lower: f64, upper: f64, alpha: Alpha<f64>) -> Pair {
    if upper <= lower {
        let exact = Line::through(lower.cos(), [lower, lower.sin()]);
        return Pair::exact(exact);
    }
    // sin x ≥ s x + t on [l, u] iff sin y ≤ s y − t on [−u, −l], y = −x.
    let mirrored = above(-upper, -lower, 1.0 - alpha.lower);
    let below = Line {
        touch: [-mirrored.touch[0], -mirrored.touch[1]],
        by_alpha: Rate { slope: -mirrored.by_alpha.slope, intercept: mirrored.by_alpha.intercept },
        ..mirrored
    };
    Pair { lower: below, upper: above(lower, upper, alpha.upper) }
}

/// The upper line that is tightest at `lower + alpha(upper − lower)`.
fn above(lower: f64, upper: f64, alpha: f64) -> Line {
    let width = upper - lower;
    let p = (lower + alpha * width).clamp(lower, upper);
    let (mut low, mut high) = (-1.0f64, 1.0f64);
    for _ in 0..44 {
        let s = 0.5 * (low + high);
        if highest(s, lower, upper) < p {
            high = s;
        } else {
            low = s;
        }
    }
    let slope = 0.5 * (low + high);
    let x = highest(slope, lower, upper);
    // Where the hull is the curve itself, the line follows it; on a straight piece it stays.
    let follows = (x - p).abs() <= 1e-6 * width && p > lower && p < upper;
    let rate = if follows { -p.sin() * width } else { 0.0 };
    Line {
        slope,
        touch: [x, x.sin()],
        by_alpha: Rate { slope: rate, intercept: -x * rate },
        ..Line::default()
    }
}

/// Where `sin x − s x` is greatest on `[lower, upper]`, `|s| ≤ 1`.
fn highest(s: f64, lower: f64, upper: f64) -> f64 {
    let first = s.acos();
    let period = if s >= 0.0 { ((lower - first) / TAU).ceil() } else { ((upper - first) / TAU).floor() };
    let inside = first + TAU * period;
    let value = |x: f64| x.sin() - s * x;
    let end = if value(lower) >= value(upper) { lower } else { upper };
    if inside > lower && inside < upper && value(inside) >= value(end) { inside } else { end }
}

/// What the sine may be on `[lower, upper]`.
pub(super) fn image(lower: f64, upper: f64) -> (f64, f64) {
    extremes(f64::sin, [-0.25 * TAU, 0.25 * TAU], lower, upper)
}

/// Extremes of a wave with a trough and a crest at the given points.
pub(super) fn extremes(f: fn(f64) -> f64, [trough, crest]: [f64; 2], lower: f64, upper: f64) -> (f64, f64) {
    let (a, b) = (f(lower), f(upper));
    let holds = |point: f64| point + TAU * ((lower - point) / TAU).ceil() <= upper;
    (if holds(trough) { -1.0 } else { a.min(b) }, if holds(crest) { 1.0 } else { a.max(b) })
}
