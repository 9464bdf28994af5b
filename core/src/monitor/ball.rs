//! The ball around a sample, and how far it is from the sides of a region.

/// Writes a box that contains every real `x'` with `|x'ᵢ − xᵢ| ≤ epsilonᵢ`, `[inputs]` each.
///
/// # Rounding
/// Outward: one step beyond the rounded sum, except where epsilon is 0 and the sum exact.
pub(super) fn enclose(sample: &[f32], epsilon: &[f32], lower: &mut [f32], upper: &mut [f32]) {
    for (((x, e), l), u) in sample.iter().zip(epsilon).zip(lower).zip(upper) {
        (*l, *u) = if *e == 0.0 { (*x, *x) } else { ((x - e).next_down(), (x + e).next_up()) };
    }
}

/// Whether the box `[lower, upper]` lies inside `[from, to]`; false if anything is NaN.
pub(super) fn lies_inside(lower: &[f32], upper: &[f32], from: &[f32], to: &[f32]) -> bool {
    lower.iter().zip(upper).zip(from.iter().zip(to)).all(|((l, u), (from, to))| from <= l && u <= to)
}

/// A factor `ρ` such that every `x'` with `|x'ᵢ − xᵢ| ≤ ρ·epsilonᵢ` lies inside `[from, to]`, given that
/// `ρ = 1` does. Infinite if every epsilon is 0.
///
/// # Rounding
/// Down: each difference and each quotient is one step below the rounded one.
pub(super) fn radius_inside(sample: &[f32], epsilon: &[f32], from: &[f32], to: &[f32]) -> f32 {
    let mut radius = f32::INFINITY;
    for ((x, e), (from, to)) in sample.iter().zip(epsilon).zip(from.iter().zip(to)) {
        if *e > 0.0 {
            let (below, above) = (x - from, to - x);
            let distance = if below < above { below } else { above };
            let factor = (distance.next_down() / e).next_down();
            if factor < radius {
                radius = factor;
            }
        }
    }
    // What is given makes 1 a valid answer too, also where rounding ends just below it.
    if radius > 1.0 { radius } else { 1.0 }
}
