//! The cross entropy as a part of the bounded network (loss fusion): one row for each lane, however many classes there are.
//!
//! With `zⱼ = logit j − logit of the label` the cross entropy is `log Σⱼ exp(zⱼ)`. Intervals give `zⱼ ∈ [lⱼ, uⱼ]`; there `exp` lies below its
//! chord of slope `kⱼ = (exp uⱼ − exp lⱼ)/(uⱼ − lⱼ)`, so that, with margins `mⱼ = −zⱼ`,
//!
//! ```text
//! Σⱼ exp(zⱼ) ≤ Σⱼ (exp lⱼ − kⱼ lⱼ) − min over the box of Σⱼ kⱼ mⱼ,
//! ```
//!
//! and the minimum is bounded by one backward pass of the row `Σⱼ kⱼ (e_label − eⱼ)` ([`super::crown`]). Intervals alone give
//! `Σⱼ exp(zⱼ) ≤ Σⱼ exp(uⱼ)`. The loss is the logarithm of a mixture `β·crown + (1 − β)·intervals` of both sums. All sums are taken after a
//! shift by `maxⱼ uⱼ`, which the logarithm gives back.
//!
//! Source: Xu et al. 2020 (arXiv:2002.12920), section 3.4. The chord's slope is computed as `(exp u + exp l) tanh((u − l)/2)/(u − l)`, which
//! keeps its digits where the interval is narrow.
//!
//! # Rounding
//! *Estimate*: plain `f32`.

use super::crown::{Boxes, Slope, mix};
use crate::graph::{Graph, Node, Unary};

/// The least width that a chord is taken over.
const LEAST_WIDTH: f64 = 1e-8;
/// The least sum whose logarithm is taken: sums fall below it only by underflow.
const LEAST_SUM: f64 = 1e-30;

impl Boxes<'_> {
    /// Upper bounds of the cross entropy over each box, `[lanes]`; `label` `[classes, lanes]` is 1 at the label, else 0. `beta` `[1]` is the
    /// share of the backward pass, 1 if there is none.
    ///
    /// # Panics
    /// If shapes are other than the model's.
    pub fn fused_losses(&self, g: &mut Graph, label: Node, beta: Option<Node>, slope: Slope) -> Node {
        let shape = g.shape(label).to_vec();
        let [margin_lower, margin_upper] = self.margin_ends(g, label);
        let upper = g.unary(Unary::Neg, margin_lower);
        let top = g.largest_to(upper, 1);
        let top = g.detach(top);
        let wide = g.expand(top, &shape, 1);
        let [low, high] = [margin_upper, margin_lower].map(|m| {
            let z = g.unary(Unary::Neg, m);
            let z = g.sub(z, wide);
            g.unary(Unary::Exp, z)
        });
        let chord = chord_slope(g, [margin_lower, margin_upper], [low, high]);

        let weight = g.sum_to(chord, 1);
        let weight = g.expand(weight, &shape, 1);
        let weight = g.mul(weight, label);
        let row = g.sub(weight, chord);
        let least = self.lower_bounds(g, row, 1, slope);
        let reach = g.mul(chord, margin_upper);
        let reach = g.add(low, reach);
        let reach = g.sum_to(reach, 1);
        let crown = g.sub(reach, least);

        let sum = match beta {
            None => crown,
            Some(beta) => {
                let interval = g.sum_to(high, 1);
                mix(g, beta, crown, interval)
            }
        };
        let floor = g.constant(LEAST_SUM, &[shape[1]]);
        let sum = g.max(sum, floor);
        let log = g.unary(Unary::Log, sum);
        g.add(log, top)
    }

    /// Lower and upper bounds of the margins by intervals, `[classes, lanes]` each.
    fn margin_ends(&self, g: &mut Graph, label: Node) -> [Node; 2] {
        let shape = g.shape(label).to_vec();
        let lower = self.interval_margins(g, label);
        let logits = self.centre_logits(g);
        let at = g.mul(logits, label);
        let at = g.sum_to(at, 1);
        let at = g.expand(at, &shape, 1);
        let centre = g.sub(at, logits);
        let reach = g.sub(centre, lower);
        [lower, g.add(centre, reach)]
    }
}

/// Slopes of the chords of `exp`, shifted as its values `[low, high]` at the ends are.
fn chord_slope(g: &mut Graph, [margin_lower, margin_upper]: [Node; 2], [low, high]: [Node; 2]) -> Node {
    let width = g.sub(margin_upper, margin_lower);
    let shape = g.shape(width).to_vec();
    let least = g.constant(LEAST_WIDTH, &shape);
    let width = g.max(width, least);
    let half = g.scale(width, 0.5);
    let tanh = g.unary(Unary::Tanh, half);
    let ratio = g.div(tanh, width);
    let sum = g.add(high, low);
    g.mul(sum, ratio)
}
