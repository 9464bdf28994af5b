//! Lines of `|x|`.
//!
//! Leaky ReLU of slope −1: below, a line through 0 with a free slope in `[−1, 1]`; above, the secant. See `hull`.

use super::hull::Graph;

/// The graph on `[lower, upper]`.
pub(super) fn graph(lower: f64, upper: f64) -> Graph {
    super::leaky_relu::graph(-1.0, lower, upper)
}

/// What the absolute value may be on `[lower, upper]`.
pub(super) fn image(lower: f64, upper: f64) -> (f64, f64) {
    let (a, b) = (lower.abs(), upper.abs());
    (if lower <= 0.0 && upper >= 0.0 { 0.0 } else { a.min(b) }, a.max(b))
}
