//! The square root, to neighbouring numbers.
//!
//! The argument is scaled by an even power of two into `[1, 4)`, where Newton's method (Heron's) gives a candidate that need not be trusted:
//! it is moved until `r² ≤ x < r'²` for neighbours `r < r'`, decided exactly. `r² = p + e` with `p = fl(r²)` and `e` exact by Dekker's product
//! (no overflow or underflow in `[1, 4)`); for a candidate within a few units in the last place `x − p` is exact (Sterbenz), and
//! `r² ≤ x` is `e ≤ x − p`. If the candidate is further off, the comparison of `p` alone decides the same way.

use super::interval::Interval;

/// `r² − fl(r²)`, exactly (Veltkamp's splitting, Dekker's product).
fn product_error(r: f64, p: f64) -> f64 {
    let c = 134_217_729.0 * r;
    let high = c - (c - r);
    let low = r - high;
    ((high * high - p) + 2.0 * high * low) + low * low
}

/// Whether `r² ≤ x`, exactly, for `r ∈ [1, 2]`, `x ∈ [1, 4)`.
fn square_is_at_most(r: f64, x: f64) -> bool {
    let p = r * r;
    product_error(r, p) <= x - p
}

/// Encloses `√x`: one number if that is the root, otherwise two neighbours. All numbers for `x < 0`.
pub fn sqrt(x: f64) -> Interval {
    if x == 0.0 {
        return Interval::point(0.0);
    }
    if x == f64::INFINITY {
        return Interval::new(1.3e154, f64::INFINITY);
    }
    if x.is_nan() || x < 0.0 {
        return Interval::ALL;
    }
    let (x, shift) = if x < f64::MIN_POSITIVE { (x * 18_014_398_509_481_984.0, 27) } else { (x, 0) };
    let bits = x.to_bits();
    let exponent = (bits >> 52) as i32 - 1023;
    let half = exponent.div_euclid(2);
    let mantissa = f64::from_bits(bits & 0x000f_ffff_ffff_ffff | 0x3ff0_0000_0000_0000);
    let m = if exponent.rem_euclid(2) == 1 { 2.0 * mantissa } else { mantissa };
    let mut r = 0.5 * (1.0 + m);
    for _ in 0..6 {
        r = 0.5 * (r + m / r);
    }
    // Heron's iterates end within two units of the root; the moves end in as many steps.
    while !square_is_at_most(r, m) {
        r = r.next_down();
    }
    while square_is_at_most(r.next_up(), m) {
        r = r.next_up();
    }
    let p = r * r;
    let exact = p == m && product_error(r, p) == 0.0;
    let scale = super::exp::power_of_two(half - shift);
    Interval::new(r * scale, if exact { r * scale } else { r.next_up() * scale })
}
