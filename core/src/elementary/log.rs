//! The natural logarithm and `log(1 + y)`.
//!
//! `u = 2⁻⁵³`. *Reduction:* `x = m 2ᵉ`, `m ∈ [√½, √2)`; `log x = e ln 2 + log m`, `log m = 2 atanh s`, `s = (m − 1)/(m + 1)`,
//! `|s| ≤ 0.172`. `m − 1` is exact (Sterbenz), so `s` has the relative error `2u` of a sum and a quotient.
//!
//! *Series:* `atanh s = s q(s²)`, `q(w) = Σ wⁱ/(2i + 1)` up to `i = 18`, here `w ≤ 1/9`: left out is less than `9⁻¹⁹/39·1.13 < 10⁻¹⁹`. Horner with rounded
//! coefficients: `E ≤ 1.04u + w(0.4u + 0.8u)`, and `w`, with relative error `6u`, moves `q` by at most `6u·w·0.47`: together below
//! `1.6u`, relative to `q ≥ 1`. With `s` and the last product `atanh` is within `5u`.
//!
//! *Sum:* `e·HI` is exact (32 + 11 bits). `e = 0`: within `5u`. Otherwise `|log x| ≥ 0.346`, and the roundings of `2 atanh s + e LO` and of the
//! sum, with `5u·0.347`, are at most `(1.74 + 0.36 + |log x| + 0.01)u`, relative below `8u`. [`ERROR`] is `16u`.

use super::interval::{Interval, up};

/// `16u`.
const ERROR: f64 = 16.0 * f64::EPSILON / 2.0;

const LN2_HI: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN2_LO: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);

/// `atanh s`, `|s| ≤ 1/3`, relative error at most `5u` if that of `s` is at most `2u`.
fn atanh(s: f64) -> f64 {
    let w = s * s;
    let mut q = 0.0;
    let mut odd = 37.0;
    while odd >= 1.0 {
        q = q * w + 1.0 / odd;
        odd -= 2.0;
    }
    s * q
}

/// Encloses `log(x)`; −∞ for 0, all numbers for what has no logarithm.
pub fn log(x: f64) -> Interval {
    if x == 0.0 {
        return Interval::new(f64::NEG_INFINITY, -745.0);
    }
    if x == f64::INFINITY {
        return Interval::new(709.0, f64::INFINITY);
    }
    if x.is_nan() || x < 0.0 {
        return Interval::ALL;
    }
    // A subnormal is scaled by 2⁵⁴ first.
    let (x, shift) = if x < f64::MIN_POSITIVE { (x * 18_014_398_509_481_984.0, 54) } else { (x, 0) };
    let bits = x.to_bits();
    let mut e = (bits >> 52) as i32 - 1023 - shift;
    let mut m = f64::from_bits(bits & 0x000f_ffff_ffff_ffff | 0x3ff0_0000_0000_0000);
    if m > core::f64::consts::SQRT_2 {
        m *= 0.5;
        e += 1;
    }
    let half = atanh((m - 1.0) / (m + 1.0));
    let e = f64::from(e);
    Interval::around(e * LN2_HI + (2.0 * half + e * LN2_LO), ERROR)
}

/// Encloses `log(1 + y)`, `0 ≤ y ≤ 1`, relatively close also near 0: `2 atanh(y/(2 + y))`.
pub(super) fn log_1p(y: Interval) -> Interval {
    let at = |y: f64| Interval::around(2.0 * atanh(y / (2.0 + y)), ERROR);
    let lower = at(y.lower).lower;
    Interval::new(if lower > 0.0 { lower } else { 0.0 }, up(at(y.upper).upper))
}
