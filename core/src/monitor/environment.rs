//! Whether arithmetic is what every bound here assumes: round to nearest even, subnormals kept,
//! products and sums rounded separately, no excess precision.
//!
//! On a Cortex-M the mode lies in FPSCR (`RMode`, `FZ`, `DN`), which other code may change; reading it
//! needs assembly, computing with it does not. The operands pass through [`black_box`], so that the
//! device computes the sums and not the compiler.

use core::hint::black_box;

/// Whether a few sums and products round as IEEE 754 says by default; eight operations.
#[inline(never)]
pub(super) fn is_ieee() -> bool {
    let (one, half_ulp, ulp) = (black_box(1.0f32), black_box(f32::EPSILON * 0.5), black_box(f32::EPSILON));
    // Ties go to even: down from 1, up from 1 + ulp; directed rounding fails one of the three.
    let tie_down = one + half_ulp == one;
    let tie_up = (one + ulp) + half_ulp == one + 2.0 * f32::EPSILON;
    let tie_negative = -one - half_ulp == -one;
    // Flushing results, or operands, to zero loses these.
    let smallest = black_box(f32::from_bits(1));
    let result_kept =
        (black_box(f32::MIN_POSITIVE) * black_box(0.5)).to_bits() == f32::MIN_POSITIVE.to_bits() >> 1;
    let operand_kept = (smallest + smallest).to_bits() == 2;
    // (1 + 2⁻¹²)² = 1 + 2⁻¹¹ + 2⁻²⁴; a fused or wider product keeps the last term.
    let factor = black_box(1.0 + 1.0 / 4096.0f32);
    let separate = factor * factor - black_box(1.0 + 1.0 / 2048.0f32) == 0.0;
    tie_down & tie_up & tie_negative & result_kept & operand_kept & separate
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_default_environment_is_accepted() {
        assert!(super::is_ieee());
    }
}
