//! Directed rounding from round-to-nearest, and the rounding argument on which every bound here stands.
//!
//! # Model
//! IEEE 754 binary32, round to nearest, ties to even, gradual underflow; `u = 2⁻²⁴`, `η = 2⁻¹⁴⁹`.
//! Without overflow, `fl(a ± b) = (a ± b)(1 + δ)`, `|δ| ≤ u` (sums never underflow inexactly) and
//! `fl(a·b) = ab(1 + δ) + ε`, `|ε| ≤ η/2`. An overflow gives an infinity or NaN, and both make every
//! comparison that certifies false.
//!
//! # Dot products
//! Let `s = b + Σ wⱼxⱼ` be computed in any order in which each term passes at most `K` roundings (its
//! product and the sums above it), and let `n` be the number of products. Expanding the `(1 + δ)` along
//! each term's path (Higham 2002, ch. 3),
//! `|ŝ − s| ≤ γ_K (|b| + Σ|wⱼxⱼ|) + (1 + γ_K) n η/2`, `γ_K = Ku/(1 − Ku)`.
//! In the range below `γ_K ≤ 2⁻⁷`, so the underflow part is below `nη`.
//!
//! # The factor g
//! [`gamma_factor`] returns `g ≥ γ_{K+4}`: with `k = (K+4)u`, exact in `f32`, `k(1 + 2k) ≥ k/(1 − k)`
//! for `k ≤ 1/2`, with room `k²(1 − 2k)/(1 − k) ≥ 0.99k²` for `k ≤ 2⁻⁸`; `k(1 + 2k)` itself is computed
//! with at most two roundings, which [`up`] covers. The four spare roundings pay for multiplying by `g`
//! and forming products with it. Range: `K + 4 ≤ 2¹⁶`, that is `k ≤ 2⁻⁸`; the loader refuses more.
//!
//! # `up`
//! For finite `x ≥ 0`, `up(x) ≥ (1 + u)²x + η`: so `up` of a non-negative value computed with at most
//! two roundings is at least the exact value. Proof: `up(x) = fl(x + fl(fl(4ux) + 2⁻¹²⁶))`.
//! The inner product is exact or underflows by `η/2`, so the outer sum is at least
//! `(1 − u)(x + (1 − u)(4ux − η/2 + 2⁻¹²⁶)) ≥ x(1 − u)(1 + 4u − 4u²) + (1 − u)²(2⁻¹²⁶ − η/2)`, and
//! `(1 − u)(1 + 4u − 4u²) = 1 + 3u − 8u² + 4u³ ≥ 1 + 2u + u²`, `(1 − u)²(2⁻¹²⁶ − η/2) ≥ η`. ∎
//! Infinity and NaN pass through.

/// A number of products, each of which may underflow by half the smallest subnormal.
pub type EtaCount = usize;

/// Unit roundoff of `f32`, `2⁻²⁴`.
pub const UNIT: f32 = 5.960_464_5e-8;

/// Smallest positive subnormal, `2⁻¹⁴⁹`.
pub const ETA: f32 = f32::from_bits(1);

/// Longest rounding path that the argument covers.
pub const K_MAX: usize = (1 << 16) - 4;

/// A value at least `(1 + u)²x + η` for finite `x ≥ 0` (see the module's argument).
#[inline]
pub fn up(x: f32) -> f32 {
    x + (x * (4.0 * UNIT) + f32::MIN_POSITIVE)
}

/// `g ≥ γ_{K+4}` for a path of `roundings` roundings, or `None` if that is outside the argument's range.
#[inline]
pub fn gamma_factor(roundings: usize) -> Option<f32> {
    if roundings > K_MAX {
        return None;
    }
    // At most 2¹⁶, so the conversion and the product with a power of two are exact.
    #[expect(clippy::cast_precision_loss, reason = "at most 2^16, exact in f32")]
    let k = (roundings + 4) as f32 * UNIT;
    Some(up(k * (1.0 + 2.0 * k)))
}

/// `n · η` as an `f32`, at least the exact product.
#[inline]
pub fn eta_times(n: EtaCount) -> f32 {
    // `n ≤ 2^24` is exact; beyond that the conversion may round down, which `next_up` repairs.
    #[expect(clippy::cast_precision_loss, reason = "rounded up afterwards")]
    let n = (n as f32).next_up();
    (n * ETA).next_up()
}
