//! What holds of a tiny network with two inputs, over the rationals: the box is cut into the polygons on which the network is
//! affine.

use num_rational::BigRational;
use num_traits::Zero;

use super::tree::{Node, Style};

pub type Q = BigRational;
type Point = [Q; 2];

pub fn q(x: f64) -> Q {
    Q::from_float(x).expect("finite")
}

/// An affine layer `[rows, cols]`, with ReLU or without.
#[derive(Clone, Debug)]
pub struct Layer {
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
    pub relu: bool,
}

/// ReLU after all layers but the last.
#[derive(Clone, Debug)]
pub struct Net {
    pub layers: Vec<Layer>,
}

impl Net {
    pub fn of(layers: &[(Vec<f32>, Vec<f32>, bool)]) -> Self {
        let layer = |(w, b, relu): &(Vec<f32>, Vec<f32>, bool)| Layer {
            weights: w.clone(),
            bias: b.clone(),
            relu: *relu,
        };
        Self { layers: layers.iter().map(layer).collect() }
    }

    /// Claim bytes of a leaf: one per neuron, in a chain the outputs too.
    pub fn claims_len(&self, style: Style) -> usize {
        let outputs = if style == Style::Chain { 0 } else { 1 };
        self.layers[..self.layers.len() - outputs].iter().map(|l| l.bias.len()).sum()
    }
}

/// No input in the box makes all rows `c·y ≤ rhs` of a disjunct true.
#[derive(Clone, Debug)]
pub struct Question {
    pub net: Net,
    pub lower: Vec<f64>,
    pub upper: Vec<f64>,
    pub disjuncts: Vec<Vec<(Vec<f64>, f64)>>,
}

/// `a·x + b` over the plane.
#[derive(Clone, Debug)]
struct Affine {
    a: [Q; 2],
    b: Q,
}

impl Affine {
    fn zero() -> Self {
        Self { a: [Q::zero(), Q::zero()], b: Q::zero() }
    }
    fn at(&self, p: &Point) -> Q {
        &self.a[0] * &p[0] + &self.a[1] * &p[1] + &self.b
    }
    fn sum(factors: impl Iterator<Item = Q>, of: &[Self], constant: Q) -> Self {
        let mut sum = Self { b: constant, ..Self::zero() };
        for (w, f) in factors.zip(of) {
            sum.a[0] += &w * &f.a[0];
            sum.a[1] += &w * &f.a[1];
            sum.b += &w * &f.b;
        }
        sum
    }
}

/// The part of a convex polygon where `f ≥ at` (or `≤ at`).
fn clip(polygon: &[Point], f: &Affine, at: &Q, above: bool) -> Vec<Point> {
    let side = |p: &Point| if above { f.at(p) - at } else { at - f.at(p) };
    let mut out: Vec<Point> = Vec::new();
    for (i, p) in polygon.iter().enumerate() {
        let next = &polygon[(i + 1) % polygon.len()];
        let (here, there) = (side(p), side(next));
        if here >= Q::zero() {
            out.push(p.clone());
        }
        if (here > Q::zero() && there < Q::zero()) || (here < Q::zero() && there > Q::zero()) {
            let t = &here / (&here - &there);
            let mix = |j: usize| &p[j] + &t * (&next[j] - &p[j]);
            out.push([mix(0), mix(1)]);
        }
    }
    out
}

/// A split of a path.
#[derive(Clone, Debug)]
struct Cut {
    layer: usize,
    neuron: usize,
    point: f32,
    above: bool,
}

/// Pieces of a leaf on which the network is affine, with its outputs there.
fn pieces(net: &Net, polygon: Vec<Point>, cuts: &[Cut]) -> Vec<(Vec<Point>, Vec<Affine>)> {
    let unit = |j: usize| {
        let mut f = Affine::zero();
        f.a[j] = q(1.0);
        f
    };
    let mut pieces = vec![(polygon, vec![unit(0), unit(1)])];
    for (index, layer) in net.layers.iter().enumerate() {
        let mut next = Vec::new();
        for (polygon, inputs) in pieces {
            let cols = inputs.len();
            let pre: Vec<Affine> = (0..layer.bias.len())
                .map(|i| {
                    let row = layer.weights[i * cols..(i + 1) * cols].iter().map(|w| q(f64::from(*w)));
                    Affine::sum(row, &inputs, q(f64::from(layer.bias[i])))
                })
                .collect();
            let mut polygon = polygon;
            for cut in cuts.iter().filter(|c| c.layer == index) {
                polygon = clip(&polygon, &pre[cut.neuron], &q(f64::from(cut.point)), cut.above);
            }
            let mut parts = vec![(polygon, Vec::new())];
            for f in &pre {
                let mut cut = Vec::new();
                for (polygon, post) in parts {
                    if !layer.relu {
                        cut.push((polygon, [post, vec![f.clone()]].concat()));
                        continue;
                    }
                    for above in [true, false] {
                        let side = clip(&polygon, f, &Q::zero(), above);
                        let value = if above { f.clone() } else { Affine::zero() };
                        if !side.is_empty() {
                            cut.push((side, [post.clone(), vec![value]].concat()));
                        }
                    }
                }
                parts = cut;
            }
            next.extend(parts.into_iter().filter(|(p, _)| !p.is_empty()));
        }
        pieces = next;
    }
    pieces
}

fn rectangle(lower: &[f64], upper: &[f64]) -> Vec<Point> {
    let corners = [(0, 0), (1, 0), (1, 1), (0, 1)];
    let ends = |j: usize, side: usize| q(if side == 0 { lower[j] } else { upper[j] });
    corners.iter().map(|(x, y)| [ends(0, *x), ends(1, *y)]).collect()
}

/// The smallest value of a row on a box.
pub fn minimum(net: &Net, lower: &[f64], upper: &[f64], row: &[f64]) -> Q {
    let on = |(polygon, outputs): &(Vec<Point>, Vec<Affine>)| {
        let f = Affine::sum(row.iter().map(|c| q(*c)), outputs, Q::zero());
        polygon.iter().map(|p| f.at(p)).min()
    };
    pieces(net, rectangle(lower, upper), &[]).iter().filter_map(on).min().expect("a box is not empty")
}

/// Whether every leaf's claim is true: the claimed row of each disjunct is above its right-hand side at every point of the leaf.
pub fn all_claims_hold(question: &Question, root: &Node) -> bool {
    let open = (0, question.disjuncts.len());
    holds((question, open), root, question.lower.clone(), question.upper.clone(), &mut Vec::new())
}

/// For the disjuncts from the first to before the second; no leaf may leave one of them out.
fn holds(
    (question, open): (&Question, (usize, usize)),
    node: &Node,
    lower: Vec<f64>,
    upper: Vec<f64>,
    cuts: &mut Vec<Cut>,
) -> bool {
    let here = (question, open);
    match node {
        Node::Lemma { below } => holds(here, below, lower, upper, cuts),
        Node::Disjuncts { at, halves } => {
            let at = usize::from(*at);
            open.0 < at
                && at < open.1
                && holds((question, (open.0, at)), &halves[0], lower.clone(), upper.clone(), cuts)
                && holds((question, (at, open.1)), &halves[1], lower, upper, cuts)
        }
        Node::Input { coordinate, value, halves } => {
            let (mut below, mut above) = (upper.clone(), lower.clone());
            (below[*coordinate as usize], above[*coordinate as usize]) = (*value, *value);
            holds(here, &halves[0], lower, below, cuts) && holds(here, &halves[1], above, upper, cuts)
        }
        Node::Value { layer, neuron, point, halves } => {
            [true, false].into_iter().zip(halves.iter()).all(|(above, half)| {
                cuts.push(Cut { layer: usize::from(*layer), neuron: *neuron as usize, point: *point, above });
                let held = holds(here, half, lower.clone(), upper.clone(), cuts);
                cuts.pop();
                held
            })
        }
        Node::Raw { .. } => panic!("no tree"),
        Node::Leaf { claims } => {
            // A box with its ends crossed holds no point.
            if lower.iter().zip(&upper).any(|(l, u)| l > u) {
                return true;
            }
            let pieces = pieces(&question.net, rectangle(&lower, &upper), cuts);
            let disjuncts = &question.disjuncts[open.0..open.1];
            claims.len() == disjuncts.len()
                && claims.iter().zip(disjuncts).all(|(claim, rows)| {
                    let Some((row, rhs)) = rows.get(usize::from(claim.row)) else { return false };
                    pieces.iter().all(|(polygon, outputs)| {
                        let f = Affine::sum(row.iter().map(|c| q(*c)), outputs, Q::zero());
                        polygon.iter().all(|p| f.at(p) > q(*rhs))
                    })
                })
        }
    }
}
