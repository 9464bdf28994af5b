//! Lines of the greatest integer not above `x`.
//!
//! The hull of its graph, see `hull`. Jumps at the integers `k` in `(l, u]`: from `k − 1` to `k`. The lower sides of the
//! jumps lie on one straight line and so do the upper ones: the first and the last jump are all the hull needs.

use super::hull::Graph;

/// The graph on `[lower, upper]`.
pub(super) fn graph(lower: f64, upper: f64) -> Graph {
    let (first, last) = (lower.floor() + 1.0, upper.floor());
    let mut graph = Graph::new(0.0, 0.0);
    graph.push(lower, lower.floor());
    if first <= last {
        graph.push(first, first - 1.0);
        graph.push(first, first);
    }
    if first < last {
        graph.push(last, last - 1.0);
        graph.push(last, last);
    }
    graph.push(upper, upper.floor());
    graph
}
