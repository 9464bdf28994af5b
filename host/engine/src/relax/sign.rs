//! Lines of the sign, −1, 0 or 1.
//!
//! The hull of its graph, both sides of the jump included, see `hull`: over 0 the upper line turns about `(0, 1)` with a
//! slope from 0 to `2/−l`, the lower one about `(0, −1)` with a slope from 0 to `2/u`.

use super::hull::Graph;

/// The graph on `[lower, upper]`.
pub(super) fn graph(lower: f64, upper: f64) -> Graph {
    let value = |x: f64| {
        if x > 0.0 {
            1.0
        } else if x < 0.0 {
            -1.0
        } else {
            0.0
        }
    };
    let mut graph = Graph::new(0.0, 0.0);
    graph.push(lower, value(lower));
    if lower < 0.0 && upper >= 0.0 {
        graph.push(0.0, -1.0);
    }
    if lower <= 0.0 && upper > 0.0 {
        graph.push(0.0, 1.0);
    }
    graph.push(upper, value(upper));
    graph
}
