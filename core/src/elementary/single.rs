//! Logistic function and hyperbolic tangent in `f32`: the device's own forward pass.
//!
//! Only sums, products, quotients and bit patterns of `f32`, in the order written (no fused `mul_add`), so host, Cortex-M4F and soft floats agree
//! bit for bit. `t = exp(−a)`, `a ≥ 0`, with two-step reduction and a polynomial of degree 6; then `σ = 1/(1 + t)` or `t/(1 + t)`, and
//! `tanh = (1 − t²)/(1 + t²)`, near 0 the odd series.
//!
//! # Rounding
//! [`SIGMOID_ERROR`] and [`TANH_ERROR`] are verified, not estimated: a test compares all `2³²` arguments with the proved enclosures of
//! [`super::sigmoid`] and [`super::tanh`] (`exhaustive`, ignored by default; every 251st block of 32 neighbours in each run). All values lie in
//! `[0, 1]` and `[−1, 1]`. They are *not* monotone: where `k` changes, or a unit of `t` is lost, neighbours may be out of order by a unit.

/// `|sigmoid_f32(x) − σ(x)|` is at most this for every `f32` that is not NaN (`exhaustive` finds 1.0307·10⁻⁷).
pub const SIGMOID_ERROR: f32 = 1.05e-7;
/// `|tanh_f32(x) − tanh(x)|` is at most this for every `f32` that is not NaN (`exhaustive` finds 1.3727·10⁻⁷).
pub const TANH_ERROR: f32 = 1.4e-7;

/// `1.5·2²³`: adding and subtracting it rounds to an integer.
const ROUNDER: f32 = 12_582_912.0;
/// First 16 bits of `ln 2`; products with small integers are exact.
const LN2_HI: f32 = 0.693_145_75;
/// The rest.
const LN2_LO: f32 = 1.428_606_8e-6;

/// `exp(−a)` for `0 ≤ a ≤ 88`, about two roundings off.
#[inline]
fn exp_minus(a: f32) -> f32 {
    let k = (a * core::f32::consts::LOG2_E + ROUNDER) - ROUNDER;
    let r = (k * LN2_HI - a) + k * LN2_LO;
    // exp(r) on |r| ≤ 0.35.
    let q = 1.0 / 720.0;
    let q = q * r + 1.0 / 120.0;
    let q = q * r + 1.0 / 24.0;
    let q = q * r + 1.0 / 6.0;
    let q = q * r + 0.5;
    let y = 1.0 + (r + (r * r) * q);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an integer from 0 to 127")]
    let k = k as u32;
    // 2⁻ᵏ, normal for k ≤ 126; a ≤ 87.3 keeps it so.
    y * f32::from_bits((127 - k.min(126)) << 23)
}

/// The logistic function in `f32`. NaN gives NaN.
#[inline]
pub fn sigmoid_f32(x: f32) -> f32 {
    let a = x.abs();
    if a > 87.0 {
        // Below 2⁻¹²⁵ from 0 or 1.
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let t = exp_minus(a);
    let down = t / (1.0 + t);
    if x < 0.0 { down } else { 1.0 - down }
}

/// The hyperbolic tangent in `f32`. NaN gives NaN, and −0 gives −0.
#[inline]
pub fn tanh_f32(x: f32) -> f32 {
    let a = x.abs();
    if a > 10.0 {
        return if x > 0.0 { 1.0 } else { -1.0 };
    }
    let y = if a < 0.25 {
        let w = a * a;
        let q = 62.0 / 2835.0;
        let q = q * w - 17.0 / 315.0;
        let q = q * w + 2.0 / 15.0;
        let q = q * w - 1.0 / 3.0;
        a + a * (w * q)
    } else {
        let t = exp_minus(2.0 * a);
        1.0 - (2.0 * t) / (1.0 + t)
    };
    if x < 0.0 || x.to_bits() == 0x8000_0000 { -y } else { y }
}
