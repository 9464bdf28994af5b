//! Residuals of functions made of straight pieces, jumps included: ReLU, leaky ReLU, clip, absolute value, sign, hard sigmoid, floor.
//!
//! Between two vertices of the graph `f(x) − s x` is affine, so the vertices decide: the ends, the kinks inside, and both sides of a jump.

use super::at;
use crate::elementary::Interval;
use crate::program::Function;

/// From here on every `f64` is an integer.
const INTEGERS: f64 = 4_503_599_627_370_496.0;

/// The greatest integer not above `x`, `|x| < 2⁵²`.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "below 2^52")]
fn floor(x: f64) -> f64 {
    let truncated = x as i64 as f64;
    if truncated > x { truncated - 1.0 } else { truncated }
}

/// Collects vertices.
struct Vertices {
    s: f64,
    lower: f64,
    upper: f64,
    values: Interval,
}

impl Vertices {
    /// Starts with the values at both ends.
    fn new(s: f64, lower: f64, upper: f64, at_lower: Interval, at_upper: Interval) -> Self {
        let values = at(at_lower, s, lower).hull(at(at_upper, s, upper));
        Self { s, lower, upper, values }
    }
    /// A vertex at `x` of the value `y`, if `x` is in the interval.
    fn kink(mut self, x: f64, y: f64) -> Self {
        if self.lower <= x && x <= self.upper {
            self.values = self.values.hull(at(Interval::point(y), self.s, x));
        }
        self
    }
    /// A vertex somewhere in `x`, if that meets the interval; a vertex outside would only widen the result.
    fn kink_in(mut self, x: Interval, y: f64) -> Self {
        if x.lower <= self.upper && x.upper >= self.lower {
            self.values = self.values.hull(Interval::point(y).minus(Interval::point(self.s).times(x)));
        }
        self
    }
}

/// Encloses `f(x) − s x` on `[lower, upper]`; `None` if `f` is not made of straight pieces.
pub(super) fn residual(function: Function, s: f64, lower: f64, upper: f64) -> Option<Interval> {
    let start = |value: &dyn Fn(f64) -> Interval| Vertices::new(s, lower, upper, value(lower), value(upper));
    Some(match function {
        Function::Relu => leaky(0.0, &start).kink(0.0, 0.0).values,
        Function::LeakyRelu { slope } => leaky(f64::from(slope), &start).kink(0.0, 0.0).values,
        Function::Abs => leaky(-1.0, &start).kink(0.0, 0.0).values,
        Function::Clip { lower: from, upper: to } => {
            let (from, to) = (f64::from(from), f64::from(to));
            let clipped = |x: f64| {
                Interval::point(if x < from {
                    from
                } else if x > to {
                    to
                } else {
                    x
                })
            };
            start(&clipped).kink(from, from).kink(to, to).values
        }
        Function::Sign => {
            let value = |x: f64| {
                Interval::point(if x > 0.0 {
                    1.0
                } else if x < 0.0 {
                    -1.0
                } else {
                    0.0
                })
            };
            // Both sides of the jump where there is one; a side that the interval does not have only widens.
            let v = start(&value);
            let v = if lower < 0.0 { v.kink(0.0, -1.0) } else { v };
            (if upper > 0.0 { v.kink(0.0, 1.0) } else { v }).values
        }
        Function::HardSigmoid { alpha, beta } => hard_sigmoid(f64::from(alpha), f64::from(beta), &start),
        Function::Floor => steps(s, lower, upper, &start),
        _ => return None,
    })
}

type Start<'a> = dyn Fn(&dyn Fn(f64) -> Interval) -> Vertices + 'a;

fn leaky(slope: f64, start: &Start<'_>) -> Vertices {
    start(&|x: f64| {
        if x >= 0.0 { Interval::point(x) } else { Interval::point(slope).times(Interval::point(x)) }
    })
}

fn hard_sigmoid(alpha: f64, beta: f64, start: &Start<'_>) -> Interval {
    let line = |x: f64| Interval::point(alpha).times(Interval::point(x)).plus(Interval::point(beta));
    let clip = |y: f64| y.clamp(0.0, 1.0);
    let value = |x: f64| {
        let y = line(x);
        Interval { lower: clip(y.lower), upper: clip(y.upper) }
    };
    let v = start(&value);
    if alpha == 0.0 {
        return v.values;
    }
    let inverse = Interval::point(alpha).reciprocal();
    let zero = Interval::point(-beta).times(inverse);
    let one = Interval::point(1.0).minus(Interval::point(beta)).times(inverse);
    v.kink_in(zero, 0.0).kink_in(one, 1.0).values
}

fn steps(s: f64, lower: f64, upper: f64, start: &Start<'_>) -> Interval {
    if lower.abs() >= INTEGERS || upper.abs() >= INTEGERS {
        // x − 1 ≤ floor(x) ≤ x.
        let below = |x: f64| at(Interval::point(x).plus(Interval { lower: -1.0, upper: 0.0 }), s, x);
        return below(lower).hull(below(upper));
    }
    // Jumps at the integers k of (lower, upper], from k − 1 to k: both sides lie on straight lines in k, so the first and last decide.
    let (first, last) = (floor(lower) + 1.0, floor(upper));
    let v = start(&|x: f64| Interval::point(floor(x)));
    if first > last {
        return v.values;
    }
    v.kink(first, first - 1.0).kink(first, first).kink(last, last - 1.0).kink(last, last).values
}
