//! The regularisers of short warm-ups: boxes shall neither explode nor leave the neurons on one side.
//!
//! Over the layers before a ReLU, with centres `c` and radii `r`: `tight = relu(tol − mean(r_input)/mean(r))/tol`, and
//! `relu = [relu(tol − a₁) + relu(tol − a₂)]/tol` where `a = min(q, 1/q)`: `q₁` is the sum of the centres of active neurons over that of inactive
//! ones (negated), `q₂` the same of squared distances from the mean.
//!
//! Source: Shi et al. 2021 (arXiv:2103.17268), sections 4.2 and 4.3. Where a sum is 0, the ratio counts as 0.

use super::boxes::Interval;
use crate::graph::{Graph, Node, Unary};

/// How much each counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// The share below which a ratio is punished.
    pub tolerance: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { tolerance: 0.5 }
    }
}

/// The mean over `before` of both regularisers, `[1]`; `input` is the box that training propagates.
pub fn regularisers(g: &mut Graph, input: Interval, before: &[Interval], weights: Weights) -> Node {
    let tolerance = weights.tolerance;
    // How far `x` stays below the tolerance.
    let lack = |g: &mut Graph, x: Node| {
        let negated = g.unary(Unary::Neg, x);
        let rest = g.shift(negated, tolerance);
        let rest = g.relu(rest);
        g.scale(rest, 1.0 / tolerance)
    };
    let radius = g.mean(input.radius);
    let mut sum = g.constant(0.0, &[1]);
    for now in before {
        let mean = g.mean(now.radius);
        let ratio = g.div(radius, mean);
        let tight = lack(g, ratio);
        let balance = balances(g, *now).map(|a| lack(g, a));
        for part in [tight, balance[0], balance[1]] {
            sum = g.add(sum, part);
        }
    }
    g.scale(sum, 1.0 / before.len().max(1) as f64)
}

/// `min(q, 1/q)` of the sums of centres and of squared distances over active and inactive neurons.
fn balances(g: &mut Graph, now: Interval) -> [Node; 2] {
    let [lower, upper] = now.ends(g);
    let active = g.unary(Unary::Step, lower);
    let below = g.unary(Unary::Neg, upper);
    let inactive = g.unary(Unary::Step, below);
    let mean = g.mean(now.centre);
    let shape = g.shape(now.centre).to_vec();
    let wide = g.fill(mean, &shape);
    let off = g.sub(now.centre, wide);
    let squares = g.unary(Unary::Square, off);
    let negated = g.unary(Unary::Neg, now.centre);
    [(now.centre, negated), (squares, squares)].map(|(above, below)| {
        let sums = [(above, active), (below, inactive)].map(|(x, mask)| {
            let part = g.mul(x, mask);
            g.sum(part)
        });
        let (first, second) = (g.div(sums[0], sums[1]), g.div(sums[1], sums[0]));
        g.min(first, second)
    })
}
