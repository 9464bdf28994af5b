//! Every operation as its formula, in `f64`, one after the other.

use crate::graph::{Axis, Binary, Conv, Graph, Node, Op, Unary};

/// Values of all nodes of a graph.
#[derive(Debug)]
pub struct Reference {
    values: Vec<Vec<f64>>,
}

impl Reference {
    /// Evaluates `graph` with these leaves.
    ///
    /// # Panics
    /// If a leaf is missing or has another number of elements.
    pub fn new(graph: &Graph, leaves: &[Vec<f64>]) -> Self {
        assert_eq!(leaves.len(), graph.leaves().len(), "a value for each leaf");
        let mut values: Vec<Vec<f64>> = Vec::with_capacity(graph.entries().len());
        for entry in graph.entries() {
            let x: Vec<&[f64]> = entry.inputs.iter().map(|n| values[n.index()].as_slice()).collect();
            let shape_of = |k: usize| graph.shape(entry.inputs[k]);
            let value = match entry.op {
                Op::Leaf(number) => {
                    let leaf = &leaves[number as usize];
                    assert_eq!(leaf.len(), entry.len(), "leaf {number} has shape {:?}", entry.shape);
                    leaf.clone()
                }
                Op::Tensor(number) => graph.tensors()[number as usize].clone(),
                Op::Constant(c) => vec![c.get(); entry.len()],
                Op::Unary(f) => x[0].iter().map(|x| unary(f, *x)).collect(),
                Op::Binary(f) => x[0].iter().zip(x[1]).map(|(a, b)| binary(f, *a, *b)).collect(),
                Op::Expand(at) => (0..at.elements()).map(|i| x[0][place(at, i)]).collect(),
                Op::Sum(at) => fold(at, x[0], 0.0, |a, b| a + b),
                Op::Largest(at) => fold(at, x[0], f64::NEG_INFINITY, f64::max),
                Op::Reshape | Op::Detach => x[0].to_vec(),
                Op::MatMul(t) => matmul(x[0], x[1], [shape_of(0), shape_of(1)], t),
                Op::Conv(c) => {
                    let mut y = vec![0.0; entry.len()];
                    let lanes = y.len() / c.elements()[1];
                    windows(&c, lanes, |y_at, x_at, w_at| y[y_at] += x[0][x_at] * x[1][w_at]);
                    y
                }
                Op::ConvData(c) => {
                    let mut to = vec![0.0; entry.len()];
                    let lanes = to.len() / c.elements()[0];
                    windows(&c, lanes, |y_at, x_at, w_at| to[x_at] += x[0][y_at] * x[1][w_at]);
                    to
                }
                Op::ConvWeight(c) => {
                    let mut to = vec![0.0; entry.len()];
                    let lanes = x[1].len() / c.elements()[0];
                    windows(&c, lanes, |y_at, x_at, w_at| to[w_at] += x[0][y_at] * x[1][x_at]);
                    to
                }
                Op::Repeat { times, inner } => {
                    let source = |i: usize| i / (inner * times) * inner + i % inner;
                    (0..entry.len()).map(|i| x[0][source(i)]).collect()
                }
                Op::Fold { times, inner } => {
                    let place = |i: usize, k: usize| (i / inner * times + k) * inner + i % inner;
                    (0..entry.len()).map(|i| (0..times).map(|k| x[0][place(i, k)]).sum()).collect()
                }
                Op::Slice { start } => {
                    let row = entry.len() / entry.shape[0];
                    x[0][start * row..][..entry.len()].to_vec()
                }
                Op::Embed { start } => {
                    let mut to = vec![0.0; entry.len()];
                    let row = entry.len() / entry.shape[0];
                    to[start * row..][..x[0].len()].copy_from_slice(x[0]);
                    to
                }
            };
            values.push(value);
        }
        Self { values }
    }

    /// The elements of `node`.
    pub fn value(&self, node: Node) -> &[f64] {
        &self.values[node.index()]
    }
}

fn unary(f: Unary, x: f64) -> f64 {
    match f {
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Sign => {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                0.0
            }
        }
        Unary::Relu => x.max(0.0),
        Unary::Step => f64::from(x > 0.0),
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Sqrt => x.sqrt(),
        Unary::Recip => {
            if x == 0.0 {
                0.0
            } else {
                1.0 / x
            }
        }
        Unary::Square => x * x,
        Unary::Tanh => x.tanh(),
        Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Unary::Scale(c) => x * c.get(),
        Unary::Shift(c) => x + c.get(),
    }
}

fn binary(f: Binary, a: f64, b: f64) -> f64 {
    match f {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::Greater => f64::from(a > b),
        Binary::Equal => f64::from(a == b),
    }
}

fn place(at: Axis, element: usize) -> usize {
    element / at.inner % at.len
}

fn fold(at: Axis, x: &[f64], from: f64, f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let mut to = vec![from; at.len];
    for (i, x) in x.iter().enumerate() {
        let to = &mut to[place(at, i)];
        *to = f(*to, *x);
    }
    to
}

fn matmul(a: &[f64], b: &[f64], shapes: [&[usize]; 2], t: [bool; 2]) -> Vec<f64> {
    let [(m, k), (_, n)] = [0, 1].map(|i| match t[i] {
        false => (shapes[i][0], shapes[i][1]),
        true => (shapes[i][1], shapes[i][0]),
    });
    let at = |x: &[f64], t: bool, rows: usize, cols: usize, i: usize, j: usize| match t {
        false => x[i * cols + j],
        true => x[j * rows + i],
    };
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            c[i * n + j] = (0..k).map(|l| at(a, t[0], m, k, i, l) * at(b, t[1], k, n, l, j)).sum();
        }
    }
    c
}

/// Calls `each` with the places of an output, an input and a weight that are multiplied, for every such triple and lane.
fn windows(c: &Conv, lanes: usize, mut each: impl FnMut(usize, usize, usize)) {
    let [channels_in, channels_out] = [c.channels[0] / c.groups, c.channels[1] / c.groups];
    for out in 0..c.channels[1] {
        for cin in 0..channels_in {
            let channel = out / channels_out * channels_in + cin;
            for (ky, kx) in pairs(c.kernel) {
                let w = ((out * channels_in + cin) * c.kernel[0] + ky) * c.kernel[1] + kx;
                for (oy, ox) in pairs(c.size_out) {
                    let (y, x) = (oy * c.stride[0] + ky, ox * c.stride[1] + kx);
                    let inside = |at: usize, axis: usize| {
                        at.checked_sub(c.pad[axis]).filter(|at| *at < c.size_in[axis])
                    };
                    if let (Some(y), Some(x)) = (inside(y, 0), inside(x, 1)) {
                        let from = (channel * c.size_in[0] + y) * c.size_in[1] + x;
                        let to = (out * c.size_out[0] + oy) * c.size_out[1] + ox;
                        (0..lanes).for_each(|r| each(to * lanes + r, from * lanes + r, w));
                    }
                }
            }
        }
    }
}

fn pairs(of: [usize; 2]) -> impl Iterator<Item = (usize, usize)> {
    (0..of[0]).flat_map(move |a| (0..of[1]).map(move |b| (a, b)))
}
