//! Points through a network.

use crate::graph::{Graph, Node, Unary};
use crate::model::{Model, Shaped};

/// Added to a variance before its root is taken.
pub const EPSILON: f64 = 1e-5;

/// Mean and variance by which a batch normalisation divides, `[channels]` each.
#[derive(Clone, Copy, Debug)]
pub struct Normalised {
    /// Means.
    pub mean: Node,
    /// Variances (divided by the count, not the count less one).
    pub variance: Node,
}

/// What a pass of points gives.
#[derive(Clone, Debug)]
pub struct Pass {
    /// `[classes, lanes]`.
    pub logits: Node,
    /// Of each batch normalisation: those of the batch, or those handed over.
    pub normalised: Vec<Normalised>,
}

/// The logits of the points `x` `[input shape, lanes]`. Batch normalisations take the batch's mean and variance, or `fixed`.
///
/// # Panics
/// If `x` or `parameters` have other shapes than the model's.
pub fn forward(
    g: &mut Graph,
    model: &Model,
    parameters: &[Node],
    x: Node,
    fixed: Option<&[Normalised]>,
) -> Pass {
    let lanes = lanes(g, x);
    let mut normalised = Vec::new();
    let mut x = x;
    for layer in &model.layers {
        x = match layer {
            Shaped::Relu => g.relu(x),
            Shaped::Dense { .. } | Shaped::Conv { .. } => affine(g, layer, parameters, x, lanes),
            Shaped::BatchNorm { channels, area, first, index } => {
                let of = match fixed {
                    Some(fixed) => fixed[*index],
                    None => statistics(g, x, *channels),
                };
                normalised.push(of);
                let (scale, shift) = affine_of(g, of, [parameters[*first], parameters[first + 1]]);
                let shape = [*channels, area * lanes];
                let flat = g.reshape(x, &shape);
                let (scale, shift) = (g.expand(scale, &shape, 0), g.expand(shift, &shape, 0));
                let scaled = g.mul(flat, scale);
                let y = g.add(scaled, shift);
                let shape = g.shape(x).to_vec();
                g.reshape(y, &shape)
            }
        };
    }
    Pass { logits: x, normalised }
}

/// Lanes of `x`.
pub(super) fn lanes(g: &Graph, x: Node) -> usize {
    *g.shape(x).last().expect("a tensor has lanes")
}

/// `W x + b` of a dense layer or a convolution.
pub(super) fn affine(g: &mut Graph, layer: &Shaped, parameters: &[Node], x: Node, lanes: usize) -> Node {
    let (y, bias) = match layer {
        Shaped::Dense { first, .. } => {
            (linear(g, layer, parameters[*first], x, lanes), parameters[first + 1])
        }
        Shaped::Conv { first, .. } => (linear(g, layer, parameters[*first], x, lanes), parameters[first + 1]),
        _ => unreachable!("an affine layer"),
    };
    let shape = g.shape(y).to_vec();
    let bias = g.expand(bias, &shape, 0);
    g.add(y, bias)
}

/// `W x`.
pub(super) fn linear(g: &mut Graph, layer: &Shaped, weights: Node, x: Node, lanes: usize) -> Node {
    match layer {
        Shaped::Dense { size, .. } => {
            let flat = g.reshape(x, &[size[0], lanes]);
            g.matmul(weights, flat, [false, false])
        }
        Shaped::Conv { geometry, .. } => g.conv(*geometry, x, weights),
        _ => unreachable!("an affine layer"),
    }
}

/// Mean and variance of each channel of `x` over image and batch.
fn statistics(g: &mut Graph, x: Node, channels: usize) -> Normalised {
    let count = g.entry(x).len() / channels;
    let flat = g.reshape(x, &[channels, count]);
    let sum = g.sum_to(flat, 0);
    let mean = g.scale(sum, 1.0 / count as f64);
    let wide = g.expand(mean, &[channels, count], 0);
    let off = g.sub(flat, wide);
    let squares = g.unary(Unary::Square, off);
    let sum = g.sum_to(squares, 0);
    Normalised { mean, variance: g.scale(sum, 1.0 / count as f64) }
}

/// The affine map that a batch normalisation is: factors and summands, `[channels]` each, from its scale and shift.
pub(super) fn affine_of(g: &mut Graph, of: Normalised, [scale, shift]: [Node; 2]) -> (Node, Node) {
    let variance = g.shift(of.variance, EPSILON);
    let deviation = g.unary(Unary::Sqrt, variance);
    let factor = g.div(scale, deviation);
    let moved = g.mul(of.mean, factor);
    (factor, g.sub(shift, moved))
}
