//! The Gauss error function and its derivative.
//!
//! `erf x = 2/√π·x·exp(−x²)·Σ tₙ`, `t₀ = 1`, `tₙ₊₁ = tₙ·2x²/(2n + 3)` (Abramowitz and Stegun 7.1.6): all terms have one sign, so nothing cancels.
//!
//! `u = 2⁻⁵³`. Term `n` passes `3n` roundings (`w = 2x²` has one, each step a quotient and a product) and at most `N` sums: the sum of `N`
//! terms is within `γ₄ₙ` at `n = N` (Higham 2002, ch. 3). What follows term `N` is at most `t_N` once the ratio `w/(2N + 3)` is below 1/2.
//! `exp(−x²)` is enclosed at both neighbours of `fl(x²)`. For `|x| ≥ 6`, `1 − erf|x| ≤ 2.2·10⁻¹⁷ < 2⁻⁵³`.

use core::f64::consts::FRAC_2_SQRT_PI;

use super::exp::exp;
use super::interval::{Interval, down, up};

/// `2/√π`.
const TWO_OVER_ROOT_PI: Interval =
    Interval { lower: FRAC_2_SQRT_PI.next_down(), upper: FRAC_2_SQRT_PI.next_up() };

/// Encloses `exp(−x²)`.
fn gauss(x: f64) -> Interval {
    let square = x * x;
    let far = up(square);
    let near = down(square);
    Interval::new(exp(-far).lower, exp(if near > 0.0 { -near } else { 0.0 }).upper).within(0.0, 1.0)
}

/// Encloses `erf(x)`.
pub fn erf(x: f64) -> Interval {
    if x.is_nan() {
        return Interval::ALL;
    }
    let a = x.abs();
    let y = if a >= 6.0 { Interval::new(1.0f64.next_down(), 1.0) } else { series(a) };
    if x < 0.0 { y.negate() } else { y }
}

/// `0 ≤ x < 6`.
fn series(x: f64) -> Interval {
    let w = 2.0 * (x * x);
    let (mut term, mut sum, mut n) = (1.0f64, 1.0f64, 0.0f64);
    // w ≤ 72: the terms fall from n = 36 on and are below 2⁻⁶⁰ of the sum before n = 200.
    while n < 400.0 && (w > 0.5 * (2.0 * n + 3.0) || term > sum * 8.7e-19) {
        term *= w / (2.0 * n + 3.0);
        sum += term;
        n += 1.0;
    }
    let error = 1.01 * (4.0 * n + 4.0) * 0.5 * f64::EPSILON;
    let sum = Interval::around(sum, error);
    let sum = Interval::new(sum.lower, up(sum.upper + 1.01 * term));
    TWO_OVER_ROOT_PI.times(Interval::point(x)).times(gauss(x)).times(sum).within(0.0, 1.0)
}

/// Encloses `erf′(x) = 2/√π·exp(−x²)`.
pub fn erf_slope(x: f64) -> Interval {
    if x.is_nan() { Interval::ALL } else { TWO_OVER_ROOT_PI.times(gauss(x)).within(0.0, 1.13) }
}
