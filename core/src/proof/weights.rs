//! Several rows of a disjunct refuted together: a violation makes all of `cₖ·y ≤ rₖ` true, so `Σ wₖcₖ·y ≤ Σ wₖrₖ` for `wₖ ≥ 0`.
//!
//! # Rounding
//! With `R` rows and `g ≥ γ` of `2R` and some: the combined coefficient of output `j` is off by at most `g Σ wₖ|cₖⱼ|` and underflow,
//! times `|yⱼ| ≤ mⱼ`, which goes into the row's deduction; the right-hand side is off by at most `g Σ wₖ|rₖ|`, and is raised by twice that.

use super::{Factors, Rejection, Row, TINY, up};

/// Weight of row `k`, of bytes as [`super::Claim::weights`] has them.
fn weight(weights: &[u8], k: usize) -> f64 {
    match weights.get(4 * k..4 * k + 4) {
        Some(&[a, b, c, d]) => f64::from(f32::from_le_bytes([a, b, c, d])),
        _ => 0.0,
    }
}

/// Whether there are none, or one for each of `rows`, in range, of rows with as many finite coefficients as `outputs`.
pub(super) fn fit(weights: &[u8], rows: &[Row<'_>], outputs: usize) -> Result<(), Rejection> {
    if weights.is_empty() {
        return Ok(());
    }
    let in_range = |k: usize| weight(weights, k) >= 0.0 && weight(weights, k).is_finite();
    if weights.len() != 4 * rows.len() || !(0..rows.len()).all(in_range) {
        return Err(Rejection::Claim);
    }
    let finite = |row: &Row<'_>| {
        let coefficients = row.coefficients;
        coefficients.len() == outputs && coefficients.iter().all(|c| c.is_finite()) && row.rhs.is_finite()
    };
    if rows.iter().all(finite) { Ok(()) } else { Err(Rejection::Shape) }
}

fn factor(rows: usize) -> f64 {
    Factors::of_terms(2 * rows + 8).g
}

/// The combination's coefficients into `slots`, one per output within the given bounds; returns what they may be off by there.
pub(super) fn combine<'a>(
    weights: &[u8],
    rows: &[Row<'_>],
    (lower, upper): (&[f64], &[f64]),
    slots: impl Iterator<Item = &'a mut f64>,
) -> f64 {
    let g = factor(rows.len());
    let mut off = 0.0;
    for (j, (slot, (l, u))) in slots.zip(lower.iter().zip(upper)).enumerate() {
        let mass = if l.abs() > u.abs() { l.abs() } else { u.abs() };
        let (mut sum, mut size) = (0.0, 0.0);
        for (k, row) in rows.iter().enumerate() {
            let term = weight(weights, k) * row.coefficients.get(j).copied().unwrap_or(f64::NAN);
            sum += term;
            size += term.abs();
        }
        *slot = sum;
        off += up(mass * up(2.0 * g * size + TINY)) + TINY;
    }
    off
}

/// At least the combination's right-hand side.
pub(super) fn right_side(weights: &[u8], rows: &[Row<'_>]) -> f64 {
    let (mut sum, mut size) = (0.0, 0.0);
    for (k, row) in rows.iter().enumerate() {
        let term = weight(weights, k) * row.rhs;
        sum += term;
        size += term.abs();
    }
    (sum + up(2.0 * factor(rows.len()) * size + TINY)).next_up()
}
