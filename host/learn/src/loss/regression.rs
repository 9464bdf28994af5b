//! Losses of networks whose outputs are numbers.
//!
//! Squared errors are means over outputs and lanes, as PyTorch's `mse_loss` takes them. Over an interval with centre `c` and radius `r` the
//! largest squared error to a target `t` is `(|c − t| + r)²`, at the end that lies farther off.

use super::boxes::Interval;
use super::crown::Boxes;
use super::points::{lanes, linear};
use crate::graph::{Graph, Node, Unary};
use crate::model::Shaped;

/// The mean squared error of `outputs` to `targets`, `[outputs, lanes]` each; `[1]`.
pub fn squared(g: &mut Graph, outputs: Node, targets: Node) -> Node {
    let off = g.sub(outputs, targets);
    let square = g.unary(Unary::Square, off);
    g.mean(square)
}

/// The mean over outputs and lanes of the largest squared error to `targets` within `outputs`, `[1]`.
pub fn worst_squared(g: &mut Graph, outputs: Interval, targets: Node) -> Node {
    let off = g.sub(outputs.centre, targets);
    let off = g.abs(off);
    let most = g.add(off, outputs.radius);
    let square = g.unary(Unary::Square, most);
    g.mean(square)
}

impl Boxes<'_> {
    /// The outputs by intervals, `[outputs, lanes]`.
    pub fn interval_outputs(&self, g: &mut Graph) -> Interval {
        let lanes = lanes(g, self.last.centre);
        let layer @ Shaped::Dense { first, .. } = self.last_layer() else {
            unreachable!("the last layer is dense")
        };
        let sizes = g.abs(self.parameters[*first]);
        Interval { centre: self.centre_logits(g), radius: linear(g, layer, sizes, self.last.radius, lanes) }
    }
}
