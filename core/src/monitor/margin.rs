//! Class and margin of computed outputs.

use crate::artifact::Spec;
use crate::infer::dot_blocked;
use crate::layer::Dense;
use crate::layer::Layer;
use crate::round::{eta_times, gamma_factor, up};

/// `a − b` rounded down; exactly 0 if they are equal.
pub(super) fn difference_down(a: f32, b: f32) -> f32 {
    if a == b { 0.0 } else { (a - b).next_down() }
}

/// Class (for class specifications) and margin of finite `output`.
pub(super) fn class_and_margin(spec: Spec<'_>, output: &[f32]) -> (Option<u16>, f32) {
    match spec {
        Spec::ArgMax => top_two(output.iter().copied()),
        Spec::ArgMin => top_two(output.iter().map(|y| -y)),
        Spec::Rows { coefficients, constants } => (None, smallest_row(coefficients, constants, output)),
    }
}

/// First index of the largest value, and its distance to the largest of the others, rounded down.
fn top_two(values: impl Iterator<Item = f32>) -> (Option<u16>, f32) {
    let (mut class, mut top, mut second) = (None, f32::NEG_INFINITY, f32::NEG_INFINITY);
    for (index, value) in (0..=u16::MAX).zip(values) {
        if class.is_none() || value > top {
            (second, top, class) = (top, value, Some(index));
        } else if value > second {
            second = value;
        }
    }
    (class, difference_down(top, second))
}

/// Smallest `C·y + d`, rounded down.
fn smallest_row(coefficients: &[f32], constants: &[f32], output: &[f32]) -> f32 {
    let Ok(rows) = Dense::new(constants.len(), output.len(), coefficients, constants) else {
        return f32::NEG_INFINITY;
    };
    let roundings = Layer::dense(rows, false).forward_roundings();
    let Some(g) = gamma_factor(roundings) else {
        return f32::NEG_INFINITY;
    };
    let mut smallest = f32::INFINITY;
    for (row, constant) in rows.row_iter() {
        let value = row_down(row, constant, output, g);
        if value.is_nan() {
            return f32::NEG_INFINITY;
        }
        if value < smallest {
            smallest = value;
        }
    }
    smallest
}

/// `row·y + constant` rounded down; `g` as [`gamma_factor`] gives it for the row's length.
///
/// With `T = |constant| + Σ|wⱼyⱼ|` the computed value is off by at most `γ_K T + nη` ([`crate::round`]).
/// `T` itself is computed as `t` with `T ≤ (t + nη)/(1 − γ_K) ≤ (t + nη)(1 + 2g)`.
fn row_down(row: &[f32], constant: f32, output: &[f32], g: f32) -> f32 {
    let value = dot_blocked(row, output, constant);
    let mut magnitude = constant.abs();
    for (w, y) in row.iter().zip(output) {
        magnitude += (w * y).abs();
    }
    let underflow = eta_times(row.len());
    let total = up(up(magnitude + underflow) * up(1.0 + 2.0 * g));
    (value - up(up(g * total) + underflow)).next_down()
}
