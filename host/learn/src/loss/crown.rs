//! Bounds of outputs by one backward pass: CROWN over the boxes of interval propagation (CROWN-IBP).
//!
//! A row `a` of outputs, `Σₖ aₖ zₖ`, is bounded from below by a linear function of the inputs, layer by layer from the last. An affine layer
//! makes `a ← Wᵀ a` and adds `a·b` to the constant. A ReLU on `[l, u]` lies above `α z` and below `s (z − l⁻)`, where `l⁻ = min(l, 0)`,
//! `u⁺ = max(u, 0, l⁻ + 10⁻⁸)` and `s = u⁺/(u⁺ − l⁻)`; a coefficient `a ≥ 0` takes the line below and `a < 0` the line above:
//!
//! ```text
//! a ← max(a, 0) α + min(a, 0) s,        constant ← constant − Σ min(a, 0) s l⁻.
//! ```
//!
//! On the box with centre `c` and radius `r` the bound is `Σ a c − Σ |a| r + constant`. Intervals before each ReLU are those of
//! [`super::propagate`], so that all rows cost one backward pass; gradients flow through them too.
//!
//! Rows lie beside lanes: `a` is `[neurons, rows·lanes]`, so that a layer is one product whatever the number of rows.
//!
//! Source: Zhang et al. 2018 (arXiv:1811.00866); with boxes of intervals: Zhang et al. 2020 (arXiv:1906.06316).
//!
//! # Rounding
//! *Estimate*: plain `f32`. What is certified is bounded anew by `certus_engine`.

use super::boxes::{self, Interval, propagate};
use super::points::{Normalised, affine, affine_of, lanes};
use crate::graph::{Graph, Node, Unary};
use crate::model::{Model, Shaped};

/// The slope `α` of the line below a ReLU whose sign is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Slope {
    /// 1 where `s > ½`, else 0: the smaller of the two triangles.
    #[default]
    Adaptive,
    /// That of the line above. Looser, and a row's signs count less: the pass is cheaper and the loss smoother.
    Same,
}

/// The least width of an interval below the line above it.
const LEAST_WIDTH: f64 = 1e-8;

/// A network with the boxes that interval propagation makes of a box of inputs.
#[derive(Clone, Debug)]
pub struct Boxes<'m> {
    model: &'m Model,
    pub(super) parameters: &'m [Node],
    normalised: &'m [Normalised],
    /// Of the inputs.
    pub input: Interval,
    /// Before each ReLU.
    pub before: Vec<Interval>,
    /// Before the last layer.
    pub last: Interval,
}

/// Lines about a layer of ReLUs, `[neurons, lanes]` each.
struct Lines {
    lower_slope: Node,
    upper_slope: Node,
    intercept: Node,
}

impl<'m> Boxes<'m> {
    /// Propagates `input`.
    ///
    /// # Panics
    /// If shapes are other than the model's.
    pub fn new(
        g: &mut Graph,
        model: &'m Model,
        parameters: &'m [Node],
        input: Interval,
        normalised: &'m [Normalised],
    ) -> Self {
        let (last, before) = propagate(g, model, parameters, input, normalised);
        Self { model, parameters, normalised, input, before, last }
    }

    /// Lower bounds of the margins to the label by intervals, `[classes, lanes]`; see [`boxes::margins`].
    pub fn interval_margins(&self, g: &mut Graph, label: Node) -> Node {
        boxes::margins(g, self.model, self.parameters, self.last, label)
    }

    /// The logits of the last box's centre, `[classes, lanes]`.
    pub(super) fn centre_logits(&self, g: &mut Graph) -> Node {
        let lanes = lanes(g, self.last.centre);
        affine(g, self.last_layer(), self.parameters, self.last.centre, lanes)
    }

    pub(super) fn last_layer(&self) -> &'m Shaped {
        self.model.layers.last().expect("a network has a last layer")
    }

    /// Lower bounds of `logit of the label − logit j` `[classes, lanes]`, 0 for the label itself; `label` is 1 at the label, else 0.
    ///
    /// # Panics
    /// If shapes are other than the model's.
    pub fn margins(&self, g: &mut Graph, label: Node, slope: Slope) -> Node {
        let (n, lanes) = (self.model.classes, lanes(g, label));
        let chosen = g.repeat(label, n);
        let others = unit_rows(g, n, lanes);
        let rows = g.sub(chosen, others);
        let bounds = self.lower_bounds(g, rows, n, slope);
        g.reshape(bounds, &[n, lanes])
    }

    /// Lower and upper bounds of each output, `[outputs, lanes]`.
    pub fn outputs(&self, g: &mut Graph, slope: Slope) -> [Node; 2] {
        let (n, lanes) = (self.model.classes, lanes(g, self.input.centre));
        let rows = unit_rows(g, n, lanes);
        let negated = g.unary(Unary::Neg, rows);
        let [lower, upper] = [rows, negated].map(|rows| {
            let bounds = self.lower_bounds(g, rows, n, slope);
            g.reshape(bounds, &[n, lanes])
        });
        [lower, g.unary(Unary::Neg, upper)]
    }

    /// Lower bounds of `Σₖ aₖ·outputₖ` over the box, `[rows·lanes]`, for `a` `[outputs, rows·lanes]`.
    ///
    /// # Panics
    /// If `a` has another shape.
    pub fn lower_bounds(&self, g: &mut Graph, a: Node, rows: usize, slope: Slope) -> Node {
        let columns = rows * lanes(g, self.input.centre);
        let mut a = a;
        let mut constant = g.constant(0.0, &[columns]);
        // What is yet to be summed over the neurons of the present layer.
        let mut open: Option<Node> = None;
        let mut before = self.before.iter().rev();
        for layer in self.model.layers.iter().rev() {
            match layer {
                Shaped::Relu => {
                    let interval = *before.next().expect("a box before each ReLU");
                    let lines = relax(g, interval, rows, slope);
                    let (next, part) = through_relu(g, a, &lines, slope);
                    (a, open) = (next, Some(part));
                }
                Shaped::BatchNorm { channels, first, index, .. } => {
                    let of = [self.parameters[*first], self.parameters[first + 1]];
                    let (factor, summand) = affine_of(g, self.normalised[*index], of);
                    let (factor, summand) =
                        (per_channel(g, factor, *channels, a), per_channel(g, summand, *channels, a));
                    let part = g.mul(a, summand);
                    open = Some(open.map_or(part, |sum| g.add(sum, part)));
                    a = g.mul(a, factor);
                }
                Shaped::Dense { first, .. } | Shaped::Conv { first, .. } => {
                    let channels = g.shape(self.parameters[first + 1])[0];
                    let bias = per_channel(g, self.parameters[first + 1], channels, a);
                    let part = g.mul(a, bias);
                    let part = open.take().map_or(part, |sum| g.add(sum, part));
                    let sum = g.sum_to(part, 1);
                    constant = g.add(constant, sum);
                    a = through_affine(g, layer, self.parameters[*first], a, columns);
                }
            }
        }
        let least = least_on(g, self.input, a, rows);
        // A network that begins with a ReLU leaves a sum open.
        let rest = open.map(|part| g.sum_to(part, 1));
        let all = g.add(least, constant);
        rest.map_or(all, |rest| g.add(all, rest))
    }
}

/// `[n, n·lanes]`: row `j` is 1 at output `j`, for each lane.
fn unit_rows(g: &mut Graph, n: usize, lanes: usize) -> Node {
    let unit = (0..n * n).map(|at| if at / n == at % n { 1.0 } else { 0.0 }).collect();
    let unit = g.tensor(&[n * n], unit);
    let wide = g.expand(unit, &[n * n, lanes], 0);
    g.reshape(wide, &[n, n * lanes])
}

/// `x` `[…, lanes]` as `[elements, rows·lanes]`.
fn flat(g: &mut Graph, x: Node, rows: usize) -> Node {
    let lanes = lanes(g, x);
    let elements = g.entry(x).len() / lanes;
    let x = g.reshape(x, &[elements, lanes]);
    g.repeat(x, rows)
}

/// The vector `x` `[channels]` along the channels of `like` `[channels·area, columns]`.
fn per_channel(g: &mut Graph, x: Node, channels: usize, like: Node) -> Node {
    let shape = g.shape(like).to_vec();
    let rest = shape.iter().product::<usize>() / channels;
    let wide = g.expand(x, &[channels, rest], 0);
    g.reshape(wide, &shape)
}

fn relax(g: &mut Graph, interval: Interval, rows: usize, slope: Slope) -> Lines {
    let [lower, upper] = interval.ends(g);
    let shape = g.shape(lower).to_vec();
    let zero = g.constant(0.0, &shape);
    let lower = g.min(lower, zero);
    let upper = g.relu(upper);
    let least = g.shift(lower, LEAST_WIDTH);
    let upper = g.max(upper, least);
    let width = g.sub(upper, lower);
    let upper_slope = g.div(upper, width);
    let product = g.mul(lower, upper_slope);
    let intercept = g.unary(Unary::Neg, product);
    let lower_slope = match slope {
        Slope::Adaptive => {
            let above = g.shift(upper_slope, -0.5);
            g.unary(Unary::Step, above)
        }
        Slope::Same => upper_slope,
    };
    let [lower_slope, upper_slope, intercept] =
        [lower_slope, upper_slope, intercept].map(|x| flat(g, x, rows));
    Lines { lower_slope, upper_slope, intercept }
}

/// The row before a layer of ReLUs, and what is to be summed over neurons.
fn through_relu(g: &mut Graph, a: Node, lines: &Lines, slope: Slope) -> (Node, Node) {
    let shape = g.shape(a).to_vec();
    let zero = g.constant(0.0, &shape);
    let below = g.min(a, zero);
    let part = g.mul(below, lines.intercept);
    if slope == Slope::Same {
        return (g.mul(a, lines.upper_slope), part);
    }
    let above = g.relu(a);
    let (above, below) = (g.mul(above, lines.lower_slope), g.mul(below, lines.upper_slope));
    (g.add(above, below), part)
}

/// `Wᵀ a`, `[inputs, columns]`.
fn through_affine(g: &mut Graph, layer: &Shaped, weights: Node, a: Node, columns: usize) -> Node {
    match layer {
        Shaped::Conv { geometry, .. } => {
            let [height, width] = geometry.size_out;
            let images = g.reshape(a, &[geometry.channels[1], height, width, columns]);
            let images = g.conv_data(*geometry, images, weights);
            g.reshape(images, &[geometry.elements()[0], columns])
        }
        _ => g.matmul(weights, a, [true, false]),
    }
}

/// `Σ a c − Σ |a| r`, `[columns]`.
fn least_on(g: &mut Graph, input: Interval, a: Node, rows: usize) -> Node {
    let (centre, radius) = (flat(g, input.centre, rows), flat(g, input.radius, rows));
    let at_centre = g.mul(a, centre);
    let sizes = g.abs(a);
    let reach = g.mul(sizes, radius);
    let least = g.sub(at_centre, reach);
    g.sum_to(least, 1)
}

/// `β·crown + (1 − β)·interval`, element by element; `beta` is `[1]`.
pub fn mix(g: &mut Graph, beta: Node, crown: Node, interval: Node) -> Node {
    let shape = g.shape(crown).to_vec();
    let share = g.fill(beta, &shape);
    let gain = g.sub(crown, interval);
    let gain = g.mul(gain, share);
    g.add(interval, gain)
}
