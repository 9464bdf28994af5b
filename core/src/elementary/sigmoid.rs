//! The logistic function, its logarithmic integral softplus, and the hyperbolic tangent, from `exp`.
//!
//! Every step is an operation on intervals, monotone in `t = exp(−|x|)` (or `e = exp(2|x|) − 1`), so the ends go through with outward rounding:
//! `σ(|x|) = 1/(1 + t)` falls, `σ(−|x|) = t/(1 + t)` rises with `t`; `tanh|x| = e/(e + 2)` rises with `e`, and `= (1 − t²)/(1 + t²)` falls with `t²`;
//! `softplus(x) = max(x, 0) + log(1 + t)`.

use super::exp::{exp, exp_m1};
use super::interval::{Interval, down, up};
use super::log::log_1p;

/// Encloses `1/(1 + exp(−x))`.
pub fn sigmoid(x: f64) -> Interval {
    if x.is_nan() {
        return Interval::ALL;
    }
    let t = exp(-x.abs());
    if x >= 0.0 {
        Interval::new(down(1.0 / up(1.0 + t.upper)), up(1.0 / down(1.0 + t.lower))).within(0.5, 1.0)
    } else {
        Interval::new(down(t.lower / up(1.0 + t.lower)), up(t.upper / down(1.0 + t.upper))).within(0.0, 0.5)
    }
}

/// Encloses `σ′(x) = σ(x)σ(−x)`.
pub fn sigmoid_slope(x: f64) -> Interval {
    sigmoid(x).times(sigmoid(-x)).within(0.0, 0.25)
}

/// Encloses `tanh(x)`.
pub fn tanh(x: f64) -> Interval {
    if x.is_nan() {
        return Interval::ALL;
    }
    let a = x.abs();
    let y = if a <= 1.0 {
        let e = exp_m1(2.0 * a);
        Interval::new(down(e.lower / up(e.lower + 2.0)), up(e.upper / down(e.upper + 2.0)))
    } else {
        let t = exp(-2.0 * a);
        Interval::new(
            down(down(1.0 - t.upper) / up(1.0 + t.upper)),
            up(up(1.0 - t.lower) / down(1.0 + t.lower)),
        )
    };
    // 0 ≤ tanh a ≤ min(a, 1).
    let y = y.within(0.0, if a < 1.0 { a } else { 1.0 });
    if x < 0.0 { y.negate() } else { y }
}

/// Encloses `tanh′(x) = 4σ(2x)σ(−2x)`.
pub fn tanh_slope(x: f64) -> Interval {
    let product = sigmoid(2.0 * x).times(sigmoid(-2.0 * x));
    Interval::new(4.0 * product.lower, 4.0 * product.upper).within(0.0, 1.0)
}

/// Encloses `log(1 + exp(x))`.
pub fn softplus(x: f64) -> Interval {
    if x.is_nan() {
        return Interval::ALL;
    }
    let tail = log_1p(exp(-x.abs()));
    if x > 0.0 { Interval::point(x).plus(tail).within(x, f64::INFINITY) } else { tail }
}
