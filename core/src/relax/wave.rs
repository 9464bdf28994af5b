//! Residuals of sine and cosine, `sin(x + q π/2)`, `q = 0` or 1.
//!
//! *One period is enough.* `h(x) = sin(x + qπ/2) − s x` falls by `2πs` a period: with `s ≥ 0` its greatest value is in the first
//! period of the interval and its least in the last; with `s < 0` the other way round. A little more than a period covers it.
//!
//! *Pieces.* The wave turns from convex to concave where `x + qπ/2 = kπ`. These points are known between neighbouring numbers; the pieces end
//! outside of those gaps, and inside a gap `h` differs from its value at one end by at most `(1 + |s|)` times the width.

use super::at;
use super::curve::{Bend, Curve};
use crate::elementary::{Interval, cos, half_pi, sin};

/// Above a period.
const PERIOD: f64 = 6.283_185_4;
/// Beyond this the argument is not reduced, see [`crate::elementary::sin`].
const RANGE: f64 = 1.4e6;

/// Encloses `sin(x + q π/2) − s x` on `[lower, upper]`.
pub(super) fn residual(q: i32, s: f64, lower: f64, upper: f64) -> Interval {
    if lower < -RANGE || upper > RANGE {
        let any = Interval { lower: -1.0, upper: 1.0 };
        return at(any, s, lower).hull(at(any, s, upper));
    }
    if upper - lower <= PERIOD {
        return pieces(q, s, lower, upper);
    }
    let first = pieces(q, s, lower, (lower + PERIOD).next_up());
    let last = pieces(q, s, (upper - PERIOD).next_down(), upper);
    if s >= 0.0 {
        Interval { lower: last.lower, upper: first.upper }
    } else {
        Interval { lower: first.lower, upper: last.upper }
    }
}

/// As [`residual`], on at most a little more than a period.
fn pieces(q: i32, s: f64, lower: f64, upper: f64) -> Interval {
    let value = |x: f64| if q == 0 { sin(x) } else { cos(x) };
    let slope = |x: f64| if q == 0 { cos(x) } else { sin(x).negate() };
    let curve = Curve { value, slope };
    // The last turning point kπ − qπ/2 that is surely not above `lower`.
    #[expect(clippy::cast_possible_truncation, reason = "below 2^20")]
    let mut k = ((lower / core::f64::consts::PI) + 0.5 * f64::from(q)) as i32 - 2;
    while turning(k + 1, q).upper <= lower {
        k += 1;
    }
    let mut values = at(value(lower), s, lower).hull(at(value(upper), s, upper));
    // A period has two turning points, so at most four pieces begin here; the guess of k may cost two more.
    for _ in 0..8 {
        let (start, end) = (turning(k, q), turning(k + 1, q));
        let (a, b) = (larger(start.upper, lower), smaller(end.lower, upper));
        if a <= b {
            // sin is positive, so concave, between kπ and (k + 1)π for even k.
            let bend = if k.rem_euclid(2) == 0 { Bend::Concave } else { Bend::Convex };
            values = values.hull(curve.piece(bend, s, a, b));
        }
        // The gap around the turning point at the end of the piece, as far as it is in the interval.
        let (from, to) = (larger(end.lower, lower), smaller(end.upper, upper));
        if from <= to {
            let reach = ((1.0 + s.abs()).next_up() * (to - from).next_up()).next_up();
            values = values.hull(at(value(from), s, from).plus(Interval { lower: -reach, upper: reach }));
        }
        if end.upper >= upper {
            break;
        }
        k += 1;
    }
    values
}

/// Encloses `kπ − qπ/2`.
fn turning(k: i32, q: i32) -> Interval {
    half_pi().times(Interval::point(f64::from(2 * k - q)))
}

fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

fn smaller(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}
