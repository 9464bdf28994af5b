//! What row multipliers prove by themselves, without trust in any solver.
//!
//! For any `y`, on the box and the rows: `c·x ≥ Σᵢ min(yᵢaᵢx) + min over the box of (c − Aᵀy)·x`, where the row term is `yᵢ` times
//! the row's lower bound if `yᵢ > 0`, its upper bound if `yᵢ < 0`.

use super::Lp;

/// The lower bound of `c·x` that `y` proves, up to rounding; `−∞` if a multiplier relies on an infinite bound.
///
/// # Panics
/// If `y` is not `[rows]`.
pub fn bound(lp: &Lp, y: &[f64]) -> f64 {
    combine(lp, y, &lp.cost)
}

/// By how much `y` proves that no `x` satisfies the rows: positive is a proof.
///
/// # Panics
/// If `y` is not `[rows]`.
pub fn infeasibility(lp: &Lp, y: &[f64]) -> f64 {
    combine(lp, y, &vec![0.0; lp.columns()])
}

/// `y` with every sign that relies on an infinite bound set to 0.
pub fn admissible(lp: &Lp, y: &mut [f64]) {
    for ((y, l), u) in y.iter_mut().zip(&lp.row_lower).zip(&lp.row_upper) {
        if (*y > 0.0 && l.is_infinite()) || (*y < 0.0 && u.is_infinite()) {
            *y = 0.0;
        }
    }
}

fn combine(lp: &Lp, y: &[f64], cost: &[f64]) -> f64 {
    assert_eq!(y.len(), lp.rows(), "one multiplier per row");
    let mut reduced = cost.to_vec();
    let mut value = 0.0;
    for (i, y) in y.iter().enumerate().filter(|(_, y)| **y != 0.0) {
        value += y * if *y > 0.0 { lp.row_lower[i] } else { lp.row_upper[i] };
        lp.row(i).for_each(|(j, a)| reduced[j] -= y * a);
    }
    let ends = lp.lower.iter().zip(&lp.upper);
    let on_box: f64 = reduced.iter().zip(ends).map(|(d, (l, u))| if *d >= 0.0 { d * l } else { d * u }).sum();
    if value.is_nan() { f64::NEG_INFINITY } else { value + on_box }
}
