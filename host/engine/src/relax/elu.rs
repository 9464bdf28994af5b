//! Lines of ELU: `x` where `x ≥ 0`, else `α(exp(x) − 1)`.
//!
//! For `0 ≤ α ≤ 1` convex, with a kink at 0. For other `α`, `f` (or `−f` if `α < 0`) is convex left of 0, turns down at 0 and goes on
//! straight: the lower line is that of an S-shaped function, the upper one that of the graph's vertices
//! (the chord of the convex part is its hull). See `curve` and `hull`.
//!
//! # Rounding
//! *Estimate*; the proved form is in `certus_core::relax`.

use super::curve::{CENTRE, Curve, Negated, convex, s_shaped, s_shaped_start};
use super::hull::Graph;
use super::{Alpha, Pair};

/// The curve of a depth.
#[derive(Clone, Copy)]
pub(super) struct Elu(pub f64);

impl Curve for Elu {
    fn value(self, x: f64) -> f64 {
        if x > 0.0 { x } else { self.0 * x.exp_m1() }
    }
    fn slope(self, x: f64) -> f64 {
        if x > 0.0 { 1.0 } else { self.0 * x.exp() }
    }
    fn curvature(self, x: f64) -> f64 {
        if x > 0.0 { 0.0 } else { self.0 * x.exp() }
    }
}

/// The graph of a curve that is convex left of 0 and straight right of it, as far as its upper hull goes.
fn graph<C: Curve>(f: C, lower: f64, upper: f64) -> Graph {
    let mut graph = Graph::new(f.slope(lower), f.slope(upper));
    graph.push(lower, f.value(lower));
    graph.push(0.0, 0.0);
    graph.push(upper, f.value(upper));
    graph
}

fn kinked<C: Curve>(f: C, lower: f64, upper: f64, alpha: Alpha<f64>) -> Pair {
    let s = s_shaped(f, 0.0, lower, upper, alpha);
    if lower >= 0.0 || upper <= 0.0 {
        return s;
    }
    Pair { lower: s.lower, upper: graph(f, lower, upper).lines(alpha).upper }
}

fn kinked_start<C: Curve>(f: C, lower: f64, upper: f64) -> Alpha<f64> {
    let s = s_shaped_start(f, 0.0, lower, upper);
    if lower >= 0.0 || upper <= 0.0 {
        return s;
    }
    Alpha { lower: s.lower, upper: graph(f, lower, upper).start().upper }
}

/// The lines on `[lower, upper]`.
pub(super) fn lines(depth: f64, lower: f64, upper: f64, alpha: Alpha<f64>) -> Pair {
    let f = Elu(depth);
    if (0.0..=1.0).contains(&depth) {
        convex(f, lower, upper, alpha)
    } else if depth > 1.0 {
        kinked(f, lower, upper, alpha)
    } else {
        kinked(Negated(f), lower, upper, alpha.swapped()).negate()
    }
}

/// Alphas of the lines of least area.
pub(super) fn start(depth: f64, lower: f64, upper: f64) -> Alpha<f64> {
    if (0.0..=1.0).contains(&depth) {
        CENTRE
    } else if depth > 1.0 {
        kinked_start(Elu(depth), lower, upper)
    } else {
        kinked_start(Negated(Elu(depth)), lower, upper).swapped()
    }
}

/// What the function may be on `[lower, upper]`: monotone on each side of 0.
pub(super) fn image(depth: f64, lower: f64, upper: f64) -> (f64, f64) {
    let (a, b) = (Elu(depth).value(lower), Elu(depth).value(upper));
    let turn = if lower <= 0.0 && upper >= 0.0 { 0.0 } else { a };
    (a.min(b).min(turn), a.max(b).max(turn))
}
