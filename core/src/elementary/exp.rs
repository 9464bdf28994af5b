//! The exponential function and `exp(x) − 1`.
//!
//! `u = 2⁻⁵³`. *Reduction:* `k` the integer next to `x/ln 2`, `r = x − k ln 2`, `|r| ≤ 0.35`; `exp x = 2ᵏ exp r`. `ln 2 = HI + LO + ε` with
//! 32 bits in `HI`, so `k·HI` is exact (`|k| < 2¹¹`), and `|LO| < 2⁻³²`, `|ε| < 2⁻⁸⁵`. The computed `r̂ = fl(fl(x − k HI) − fl(k LO))` has two
//! roundings of numbers below 0.36 and one of a number below `2⁻²¹`, so `|r̂ − r| ≤ 0.73u`, which is a relative error of `exp`.
//!
//! *Series:* `exp r = 1 + r q(r)`, `q(r) = Σ rⁱ/(i+1)!` up to `r¹²`; what is left out is below `0.36¹⁴/14!·e^0.36 < 10⁻¹⁷ < 0.1u`.
//! Horner, with `|q| ≤ 1.21` and coefficients rounded: the error of `q` is `E ≤ u·1.21 + |r|(u·0.58 + E₂)`,
//! `E₂ ≤ u(0.5 + 0.58) + |r|(…) ≤ 1.3u` (the further terms shrink by `|r|/3` and less), so `E ≤ 1.9u`; that of
//! `1 + r q` is at most `u·e^r + |r|(1.21u + 1.9u) ≤ (e^r + 1.12)u`, relative at most `(1 + 1.12/0.69)u < 2.7u`. All together below `4u`; [`ERROR`] is `8u`.
//!
//! *`exp(x) − 1` for `|x| ≤ 0.35`* is `x q(x)` without reduction: relative `E/0.83 + u + 0.2u < 4u` (`0.2u` the rest of the series, which is relative to
//! `x` below `0.36¹³/14!·1.5 < 10⁻¹⁶·0.01`).

use super::interval::{Interval, down, up};

/// `8u`.
const ERROR: f64 = 8.0 * f64::EPSILON / 2.0;

const LN2_HI: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN2_LO: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
const LOG2_E: f64 = core::f64::consts::LOG2_E;

/// `1/(i + 1)!` from `i = 12` down to 0.
const COEFFICIENTS: [f64; 13] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
    1.0,
];

/// `(exp(r) − 1)/r`, `|r| ≤ 0.36`.
fn series(r: f64) -> f64 {
    let mut q = 0.0;
    for c in COEFFICIENTS {
        q = q * r + c;
    }
    q
}

/// `2ᵏ`, `−1022 ≤ k ≤ 1023`.
pub(super) fn power_of_two(k: i32) -> f64 {
    let biased = (1023 + k).clamp(1, 2046);
    f64::from_bits(u64::from(biased.unsigned_abs()) << 52)
}

/// The integer next to `x`, `|x| < 2³¹` (ties away from 0).
#[expect(clippy::cast_possible_truncation, reason = "truncation is meant")]
pub(super) fn nearest(x: f64) -> i32 {
    (if x >= 0.0 { x + 0.5 } else { x - 0.5 }) as i32
}

/// Encloses `exp(x)`.
pub fn exp(x: f64) -> Interval {
    if x.is_nan() {
        return Interval::ALL;
    }
    if x > 710.0 {
        return Interval::new(f64::MAX, f64::INFINITY);
    }
    if x < -746.0 {
        // Below half of the smallest subnormal.
        return Interval::new(0.0, f64::from_bits(1));
    }
    let k = nearest(x * LOG2_E);
    let r = (x - f64::from(k) * LN2_HI) - f64::from(k) * LN2_LO;
    let y = 1.0 + r * series(r);
    let y = Interval::around(y, ERROR);
    // |k| ≤ 1077: two factors. Both products are exact unless the second one underflows, which `down` and `up` cover.
    let (half, rest) = (power_of_two(k / 2), power_of_two(k - k / 2));
    let lower = down(y.lower * half * rest);
    Interval::new(if lower > 0.0 { lower } else { 0.0 }, up(y.upper * half * rest))
}

/// Encloses `exp(x) − 1`, relatively close also near 0.
pub fn exp_m1(x: f64) -> Interval {
    if x.abs() <= 0.35 {
        return Interval::around(x * series(x), ERROR);
    }
    if x.is_nan() {
        return Interval::ALL;
    }
    let e = exp(x);
    Interval::new(down(e.lower - 1.0), up(e.upper - 1.0)).within(-1.0, f64::INFINITY)
}
