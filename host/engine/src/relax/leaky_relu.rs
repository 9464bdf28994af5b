//! Lines of leaky ReLU: `x` where `x ≥ 0`, else `slope·x`.
//!
//! Two straight pieces: the hull of its vertices, see `hull`. Convex for `slope ≤ 1`: below, a line through 0 with a free slope
//! in `[slope, 1]`; above, the secant. For `slope > 1` the other way round.
//!
//! Source: as of ReLU; Zhang et al. 2018 (arXiv:1811.00866).

use super::hull::Graph;

/// The graph on `[lower, upper]`.
pub(super) fn graph(slope: f64, lower: f64, upper: f64) -> Graph {
    let value = |x: f64| if x >= 0.0 { x } else { slope * x };
    let slope_at = |positive: bool| if positive { 1.0 } else { slope };
    let mut graph = Graph::new(slope_at(lower >= 0.0), slope_at(upper > 0.0));
    graph.push(lower, value(lower));
    if lower < 0.0 && upper > 0.0 {
        graph.push(0.0, 0.0);
    }
    graph.push(upper, value(upper));
    graph
}
