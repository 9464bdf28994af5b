//! Boxes through a network: interval bound propagation as training uses it.
//!
//! A box is its centre `c` and radius `r`. An affine layer gives `W c + b` and `|W| r`; ReLU takes the ends `c ± r` each. The last layer is elided:
//! the margins to the label `y` are bounded as one affine map, `m_j = (W_y − W_j) c + b_y − b_j − |W_y − W_j| r`, which is tighter than bounds of
//! the logits. Batch normalisations are the affine maps that the points' pass makes of them.
//!
//! Source: Gowal et al. 2018 (arXiv:1810.12715); batch normalisation in the bound: Shi et al. 2021 (arXiv:2103.17268).
//!
//! # Rounding
//! *Estimate*: plain `f32`. What is certified is bounded anew by `certus_engine`.

use super::points::{Normalised, affine, affine_of, lanes, linear};
use crate::graph::{Graph, Node};
use crate::model::{Model, Shaped};

/// A box around each lane's point.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    /// Centres, `[shape, lanes]`.
    pub centre: Node,
    /// Radii.
    pub radius: Node,
}

impl Interval {
    /// The box between `lower` and `upper`.
    pub fn between(g: &mut Graph, lower: Node, upper: Node) -> Self {
        let (sum, difference) = (g.add(lower, upper), g.sub(upper, lower));
        Self { centre: g.scale(sum, 0.5), radius: g.scale(difference, 0.5) }
    }

    /// Its ends.
    pub fn ends(self, g: &mut Graph) -> [Node; 2] {
        [g.sub(self.centre, self.radius), g.add(self.centre, self.radius)]
    }
}

/// The box before the last layer, and those before each ReLU.
///
/// # Panics
/// If shapes are other than the model's.
pub fn propagate(
    g: &mut Graph,
    model: &Model,
    parameters: &[Node],
    input: Interval,
    normalised: &[Normalised],
) -> (Interval, Vec<Interval>) {
    let lanes = lanes(g, input.centre);
    let (mut now, mut before) = (input, Vec::new());
    for layer in &model.layers[..model.layers.len() - 1] {
        now = match layer {
            Shaped::Dense { first, .. } | Shaped::Conv { first, .. } => {
                let centre = affine(g, layer, parameters, now.centre, lanes);
                let sizes = g.abs(parameters[*first]);
                Interval { centre, radius: linear(g, layer, sizes, now.radius, lanes) }
            }
            Shaped::BatchNorm { channels, area, first, index } => {
                let of = [parameters[*first], parameters[first + 1]];
                let (factor, summand) = affine_of(g, normalised[*index], of);
                let size = g.abs(factor);
                let (shape, flat) = (g.shape(now.centre).to_vec(), [*channels, area * lanes]);
                let [factor, summand, size] = [factor, summand, size].map(|v| g.expand(v, &flat, 0));
                let (c, r) = (g.reshape(now.centre, &flat), g.reshape(now.radius, &flat));
                let c = g.mul(c, factor);
                let (c, r) = (g.add(c, summand), g.mul(r, size));
                Interval { centre: g.reshape(c, &shape), radius: g.reshape(r, &shape) }
            }
            Shaped::Relu => {
                before.push(now);
                let [lower, upper] = now.ends(g);
                let (lower, upper) = (g.relu(lower), g.relu(upper));
                Interval::between(g, lower, upper)
            }
        };
    }
    (now, before)
}

/// Lower bounds of `logit of the label − logit j` `[classes, lanes]`, 0 for the label itself; `label` is 1 at the label, else 0.
///
/// # Panics
/// If shapes are other than the model's.
pub fn margins(g: &mut Graph, model: &Model, parameters: &[Node], last: Interval, label: Node) -> Node {
    let lanes = lanes(g, label);
    let Some(layer @ Shaped::Dense { size: [inputs, classes], first }) = model.layers.last() else {
        unreachable!("the last layer is dense")
    };
    let n = *classes;
    // Rows (y, j): logit y less logit j; whether the label is y; the sum over y.
    let pairs = |f: &dyn Fn(usize, usize, usize) -> f64| -> Vec<f64> {
        (0..n * n * n).map(|at| f(at / n / n, at / n % n, at % n)).collect()
    };
    let is = |a: usize, b: usize| if a == b { 1.0 } else { 0.0 };
    let differences = g.tensor(&[n * n, n], pairs(&|y, j, k| is(k, y) - is(k, j)));
    let chosen = g.tensor(&[n * n, n], pairs(&|y, _, k| is(k, y)));
    let summed = g.tensor(&[n * n, n], pairs(&|_, j, k| is(k, j)));
    let logits = affine(g, layer, parameters, last.centre, lanes);
    let centre = g.matmul(differences, logits, [false, false]);
    let rows = g.matmul(differences, parameters[*first], [false, false]);
    let sizes = g.abs(rows);
    let flat = g.reshape(last.radius, &[*inputs, lanes]);
    let reach = g.matmul(sizes, flat, [false, false]);
    let all = g.sub(centre, reach);
    let mask = g.matmul(chosen, label, [false, false]);
    let all = g.mul(all, mask);
    g.matmul(summed, all, [true, false])
}
