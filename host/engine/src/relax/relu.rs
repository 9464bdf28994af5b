//! Lines of ReLU, `max(x, 0)`.
//!
//! With `l < 0 < u` the lower line passes through 0 with the free slope `α ∈ [0, 1]`; the upper one is the secant
//! `u(x − l)/(u − l)`. Elsewhere the function is affine. The slope of least area is 1 if `u > −l`, else 0.
//!
//! Derivatives of the secant: `∂slope/∂l = u/(u − l)²`, `∂slope/∂u = −l/(u − l)²`, and of its value at `x`
//! `∂/∂u = −l(x − l)/(u − l)²`, `∂/∂l = −u(u − x)/(u − l)²`.
//!
//! Source: Zhang et al. 2018 (arXiv:1811.00866); free slope: Xu et al. 2021 (arXiv:2011.13824).

use super::hull::Graph;
use super::{Alpha, LinesMut};

/// The graph on `[lower, upper]`.
pub(super) fn graph(lower: f64, upper: f64) -> Graph {
    super::leaky_relu::graph(0.0, lower, upper)
}

/// The lines of many elements in `f32`; `None` takes the slopes of least area.
pub(super) fn lines_into(lower: &[f32], upper: &[f32], alpha: Option<Alpha<&[f32]>>, out: &mut LinesMut<'_>) {
    let free = |i: usize, l: f32, u: f32| match alpha {
        Some(alpha) => alpha.lower[i],
        None => f32::from(u8::from(u > -l)),
    };
    for (i, (l, u)) in lower.iter().copied().zip(upper.iter().copied()).enumerate() {
        let (below, above, intercept) = if l >= 0.0 {
            (1.0, 1.0, 0.0)
        } else if u <= 0.0 {
            (0.0, 0.0, 0.0)
        } else {
            let slope = u / (u - l);
            (free(i, l, u), slope, -slope * l)
        };
        out.lower_slope[i] = below;
        out.lower_intercept[i] = 0.0;
        out.upper_slope[i] = above;
        out.upper_intercept[i] = intercept;
    }
}
