//! Lines of `min(max(slope·x + offset, 0), 1)`.
//!
//! Three straight pieces with kinks where `slope·x + offset` is 0 and 1: the hull of its vertices, see `hull`.

use super::hull::Graph;

/// The graph on `[lower, upper]`.
pub(super) fn graph(slope: f64, offset: f64, lower: f64, upper: f64) -> Graph {
    let line = |x: f64| slope * x + offset;
    let value = |x: f64| line(x).clamp(0.0, 1.0);
    let slope_at = |x: f64| if line(x) > 0.0 && line(x) < 1.0 { slope } else { 0.0 };
    let mut graph = Graph::new(slope_at(lower), slope_at(upper));
    graph.push(lower, value(lower));
    let (zero, one) = (-offset / slope, (1.0 - offset) / slope);
    let kinks = if slope >= 0.0 { [(zero, 0.0), (one, 1.0)] } else { [(one, 1.0), (zero, 0.0)] };
    for (x, y) in kinks {
        if lower < x && x < upper {
            graph.push(x, y);
        }
    }
    graph.push(upper, value(upper));
    graph
}
