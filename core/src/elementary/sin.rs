//! Sine and cosine.
//!
//! `u = 2⁻⁵³`. *Reduction*, `|x| ≤ 1.5·10⁶`: `k` the integer next to `2x/π` (`|k| < 2²⁰`), `r = x − k π/2`, `|r| ≤ 0.786`. `π/2 = P₁ + P₂ + P₃ + ε`, 32 bits in `P₁`
//! and `P₂`, so `kP₁` and `kP₂` are exact, `|ε| < 2⁻¹²¹`. Three subtractions of results below 0.79 and the rounding of `kP₃ < 2⁻⁴⁸`:
//! `|r̂ − r| ≤ 2.5u`, 0 if `k = 0`.
//!
//! *Series*, `w = r²`: `sin r = r q(w)` up to `r¹⁷`, left out `< 0.786¹⁹/19! < 10⁻¹⁹`; `cos r` up to `r¹⁸`, left out `< 0.786²⁰/20! < 10⁻²⁰`. Horner: `q ∈ [0.9, 1]`,
//! `E ≤ u + 0.62(0.17u + 0.5u) + 3u·0.1`, so `sin r` is within `3u` relatively; `cos r = 1 − w(1/2 − …)`: `u + 0.31u·4 < 2.5u`.
//!
//! So the result is within `6u` (absolute), and for `k = 0` the sine within `4u` relatively; [`ERROR`] is `8u`. Beyond the range nothing is said but
//! `[−1, 1]`, which is sound and of no use; no network here reduces such angles.

use super::exp::nearest;
use super::interval::{Interval, down, up};

/// `8u`.
const ERROR: f64 = 8.0 * f64::EPSILON / 2.0;
/// Largest argument that is reduced.
const RANGE: f64 = 1.5e6;

const P1: f64 = f64::from_bits(0x3ff9_21fb_5440_0000);
const P2: f64 = f64::from_bits(0x3dd0_b461_1a60_0000);
const P3: f64 = f64::from_bits(0x3ba3_198a_2e03_7073);

/// `(−1)ⁱ/(2i + 1)!`, last first.
const SINE: [f64; 9] = [
    1.0 / 355_687_428_096_000.0,
    -1.0 / 1_307_674_368_000.0,
    1.0 / 6_227_020_800.0,
    -1.0 / 39_916_800.0,
    1.0 / 362_880.0,
    -1.0 / 5_040.0,
    1.0 / 120.0,
    -1.0 / 6.0,
    1.0,
];
/// `(−1)ⁱ/(2i)!`, last first.
const COSINE: [f64; 10] = [
    -1.0 / 6_402_373_705_728_000.0,
    1.0 / 20_922_789_888_000.0,
    -1.0 / 87_178_291_200.0,
    1.0 / 479_001_600.0,
    -1.0 / 3_628_800.0,
    1.0 / 40_320.0,
    -1.0 / 720.0,
    1.0 / 24.0,
    -0.5,
    1.0,
];

fn horner(coefficients: &[f64], w: f64) -> f64 {
    coefficients.iter().fold(0.0, |q, c| q * w + c)
}

/// Encloses `sin(x + quarters·π/2)`.
fn wave(x: f64, quarters: i32) -> Interval {
    if x.is_nan() {
        return Interval::ALL;
    }
    if x.abs() > RANGE {
        return Interval::new(-1.0, 1.0);
    }
    let k = nearest(x * core::f64::consts::FRAC_2_PI);
    let times = f64::from(k);
    let r = ((x - times * P1) - times * P2) - times * P3;
    let w = r * r;
    let quarter = (k + quarters).rem_euclid(4);
    let value = if quarter % 2 == 0 { r * horner(&SINE, w) } else { horner(&COSINE, w) };
    let value = if quarter >= 2 { -value } else { value };
    let y = if k == 0 {
        Interval::around(value, ERROR)
    } else {
        Interval::new(down(value - ERROR), up(value + ERROR))
    };
    y.within(-1.0, 1.0)
}

/// Encloses `sin(x)`.
pub fn sin(x: f64) -> Interval {
    wave(x, 0)
}

/// Encloses `cos(x)`.
pub fn cos(x: f64) -> Interval {
    wave(x, 1)
}

/// Encloses `π/2`.
pub fn half_pi() -> Interval {
    // Less than π/2, and one unit away at most.
    Interval::new(core::f64::consts::FRAC_PI_2, core::f64::consts::FRAC_PI_2.next_up())
}
