//! Residuals of smooth functions, and of ELU: values, slopes and the points where the curvature changes.
//!
//! | function | slope | convex where |
//! | --- | --- | --- |
//! | sigmoid, tanh, erf, softsign | `σ(x)σ(−x)`, `4σ(2x)σ(−2x)`, `2/√π·exp(−x²)`, `(1 + |x|)⁻²` | `x ≤ 0` |
//! | exp, softplus | `exp(x)`, `σ(x)` | everywhere |
//! | log, √ | `1/x`, `1/(2√x)` | nowhere |
//! | `1/x` | `−1/x²` | `x > 0` |
//! | `xⁿ` | `n xⁿ⁻¹` | everywhere, or `x ≥ 0` if `n` is odd |
//! | ELU | `α exp(x)`, 1 | `x ≤ 0` if `α ≥ 0`; straight for `x ≥ 0` |

use super::curve::{Bend, Curve};
use crate::elementary as e;
use crate::elementary::Interval;
use crate::program::Function;

/// `xⁿ` by squaring; an even power of an interval with 0 inside starts at 0.
fn power(x: f64, mut n: u32) -> Interval {
    let mut base = Interval::point(x.abs());
    let mut y = Interval::point(1.0);
    let negative = x < 0.0 && n % 2 == 1;
    while n > 0 {
        if n % 2 == 1 {
            y = y.times(base);
        }
        n /= 2;
        if n > 0 {
            base = base.times(base);
        }
    }
    // |x|ⁿ is not negative.
    let y = Interval { lower: if y.lower > 0.0 { y.lower } else { 0.0 }, upper: y.upper };
    if negative { y.negate() } else { y }
}

fn one_plus_magnitude(x: f64) -> Interval {
    Interval::point(1.0).plus(Interval::point(x.abs()))
}

fn sqrt_slope(x: f64) -> Interval {
    if x == 0.0 {
        return Interval { lower: 1e300, upper: f64::INFINITY };
    }
    let root = e::sqrt(x);
    root.plus(root).reciprocal()
}

fn elu_slope(depth: f64, x: f64) -> Interval {
    Interval::point(depth).times(e::exp(x))
}

/// Encloses `f(x) − s x` on `[lower, upper]`, an interval of the domain.
///
/// Functions of straight pieces and waves are not here; for them nothing is said.
pub(super) fn residual(function: Function, s: f64, lower: f64, upper: f64) -> Interval {
    let span = (s, lower, upper);
    match function {
        Function::Sigmoid => {
            turning(Bend::Convex, Curve { value: e::sigmoid, slope: e::sigmoid_slope }, span)
        }
        Function::Tanh => turning(Bend::Convex, Curve { value: e::tanh, slope: e::tanh_slope }, span),
        Function::Erf => turning(Bend::Convex, Curve { value: e::erf, slope: e::erf_slope }, span),
        Function::Softsign => {
            let value = |x: f64| Interval::point(x).times(one_plus_magnitude(x).reciprocal());
            let slope = |x: f64| {
                let r = one_plus_magnitude(x).reciprocal();
                r.times(r)
            };
            turning(Bend::Convex, Curve { value, slope }, span)
        }
        Function::Exp => Curve { value: e::exp, slope: e::exp }.piece(Bend::Convex, s, lower, upper),
        Function::Softplus => {
            Curve { value: e::softplus, slope: e::sigmoid }.piece(Bend::Convex, s, lower, upper)
        }
        Function::Log => {
            let slope = |x: f64| Interval::point(x).reciprocal();
            Curve { value: e::log, slope }.piece(Bend::Concave, s, lower, upper)
        }
        Function::Sqrt => Curve { value: e::sqrt, slope: sqrt_slope }.piece(Bend::Concave, s, lower, upper),
        Function::Reciprocal => {
            let value = |x: f64| Interval::point(x).reciprocal();
            let slope = |x: f64| {
                let r = Interval::point(x).reciprocal();
                r.times(r).negate()
            };
            let bend = if lower > 0.0 { Bend::Convex } else { Bend::Concave };
            Curve { value, slope }.piece(bend, s, lower, upper)
        }
        Function::Power { exponent } => {
            let value = |x: f64| power(x, exponent);
            let slope =
                |x: f64| Interval::point(f64::from(exponent)).times(power(x, exponent.saturating_sub(1)));
            let curve = Curve { value, slope };
            if exponent == 0 {
                super::at(Interval::point(1.0), s, lower).hull(super::at(Interval::point(1.0), s, upper))
            } else if exponent % 2 == 0 || exponent == 1 {
                curve.piece(Bend::Convex, s, lower, upper)
            } else {
                turning(Bend::Concave, curve, span)
            }
        }
        Function::Elu { alpha } => elu(f64::from(alpha), span),
        _ => Interval::ALL,
    }
}

/// A curve that bends as said up to 0 and the other way after.
fn turning<F: Fn(f64) -> Interval, G: Fn(f64) -> Interval>(
    first: Bend,
    curve: Curve<F, G>,
    (s, lower, upper): (f64, f64, f64),
) -> Interval {
    let then = if first == Bend::Convex { Bend::Concave } else { Bend::Convex };
    if upper <= 0.0 {
        curve.piece(first, s, lower, upper)
    } else if lower >= 0.0 {
        curve.piece(then, s, lower, upper)
    } else {
        curve.piece(first, s, lower, 0.0).hull(curve.piece(then, s, 0.0, upper))
    }
}

/// Left of 0 a curve, right of it the identity.
fn elu(depth: f64, (s, lower, upper): (f64, f64, f64)) -> Interval {
    let identity = |x: f64| super::at(Interval::point(x), s, x);
    if lower >= 0.0 {
        return identity(lower).hull(identity(upper));
    }
    let value = |x: f64| Interval::point(depth).times(e::exp_m1(x));
    let curve = Curve { value, slope: |x: f64| elu_slope(depth, x) };
    let bend = if depth >= 0.0 { Bend::Convex } else { Bend::Concave };
    let left = curve.piece(bend, s, lower, if upper < 0.0 { upper } else { 0.0 });
    if upper <= 0.0 { left } else { left.hull(identity(0.0)).hull(identity(upper)) }
}
