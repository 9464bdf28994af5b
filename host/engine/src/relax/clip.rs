//! Lines of `min(max(x, floor), ceiling)`.
//!
//! Three straight pieces: the hull of its vertices, see `hull`. On an interval over both kinks the lower line turns about
//! `(floor, floor)` with a slope from 0 to that of the chord to the upper end, the upper one about `(ceiling, ceiling)`.

use super::hull::Graph;

/// The graph on `[lower, upper]`.
pub(super) fn graph([floor, ceiling]: [f64; 2], lower: f64, upper: f64) -> Graph {
    let slope = |x: f64| f64::from(u8::from(x > floor && x < ceiling));
    let mut graph = Graph::new(slope(lower), slope(upper));
    graph.push(lower, lower.max(floor).min(ceiling));
    for kink in [floor, ceiling] {
        if lower < kink && kink < upper {
            graph.push(kink, kink);
        }
    }
    graph.push(upper, upper.max(floor).min(ceiling));
    graph
}
