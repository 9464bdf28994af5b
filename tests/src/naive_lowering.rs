//! A second lowering of networks, written apart from the engine's and as plainly as ONNX's definitions are.
//!
//! Every linear operator becomes a list of products for each output element, found by counting coordinates;
//! every other operator is its formula. It shares nothing with the engine but the operators themselves
//! ([`certus_engine::graph::Op`]); evaluation is in `f64` with the constants unrounded.

mod formula;
mod linear;

use std::collections::HashMap;

use certus_engine::graph::{Binary, Network, Node, Op, Reduce, Unary, ValueId};

/// A value: where its elements are.
type Values = HashMap<ValueId, Vec<f64>>;

/// What one node computes from the values before it.
type Step = Box<dyn Fn(&Values) -> Vec<f64>>;

/// A network lowered to formulas.
pub struct Naive {
    constants: Values,
    input: ValueId,
    output: ValueId,
    /// What each gives, how, and whether that is rounded.
    steps: Vec<(ValueId, Step, bool)>,
}

impl Naive {
    /// Lowers every node of `network`; `None` if its output is its input.
    ///
    /// # Panics
    /// If no node reads the input.
    pub fn lower(network: &Network) -> Option<Self> {
        let mut constants = Values::new();
        let mut given: Vec<ValueId> = Vec::new();
        let mut input = None;
        let mut steps = Vec::new();
        for node in network.nodes() {
            for id in &node.inputs {
                if let Some(floats) = network.value(*id).floats() {
                    constants.insert(*id, floats.iter().map(|c| f64::from(*c)).collect());
                } else if !given.contains(id) {
                    input = Some(*id);
                }
            }
            steps.push((node.output, step(network, node), rounds(&node.op)));
            given.push(node.output);
        }
        let is_output = |id: &ValueId| std::ptr::eq(network.value(*id), network.output());
        let output = given.into_iter().find(is_output)?;
        Some(Self { constants, input: input.expect("a node reads the input"), output, steps })
    }

    /// The output at `input`, and the largest magnitude of any value on the way, NaN if one of them is.
    pub fn eval(&self, input: &[f64]) -> (Vec<f64>, f64) {
        self.eval_shaken(input, || 0.0)
    }

    /// As [`Self::eval`], with every value that is rounded off by what `shake` says, relative to it: how far the output is off by that shows
    /// what rounding does to it, where it is amplified or carries an argument over a jump.
    pub fn eval_shaken(&self, input: &[f64], mut shake: impl FnMut() -> f64) -> (Vec<f64>, f64) {
        let mut values = self.constants.clone();
        values.insert(self.input, input.to_vec());
        for (output, step, rounds) in &self.steps {
            let mut result = step(&values);
            if *rounds {
                result.iter_mut().for_each(|y| *y += *y * shake());
            }
            values.insert(*output, result);
        }
        // A number that is none makes the magnitude none, whatever comes after it.
        let larger = |m: f64, v: &f64| if m.is_nan() || v.is_nan() { f64::NAN } else { m.max(v.abs()) };
        let magnitude = values.values().flatten().fold(0.0, larger);
        (values[&self.output].clone(), magnitude)
    }
}

/// Whether what a node gives is rounded; else it is exact, or one of what it reads.
fn rounds(op: &Op) -> bool {
    match op {
        Op::Reshape | Op::Index { .. } | Op::MaxPool(_) => false,
        Op::Unary(function) => !matches!(
            function,
            Unary::Relu
                | Unary::Abs
                | Unary::Neg
                | Unary::Sign
                | Unary::Floor
                | Unary::Ceil
                | Unary::Round
                | Unary::Clip { .. }
        ),
        Op::Binary(function) => !matches!(function, Binary::Max | Binary::Min),
        Op::Reduce { kind, .. } => !matches!(kind, Reduce::Max | Reduce::Min),
        _ => true,
    }
}

/// Shape of what a node reads or gives.
fn shape(network: &Network, id: ValueId) -> Vec<usize> {
    network.value(id).shape.clone()
}

/// The coordinates of element `index` of `shape`.
fn coordinates(shape: &[usize], mut index: usize) -> Vec<usize> {
    let mut found = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        found[axis] = index % shape[axis];
        index /= shape[axis];
    }
    found
}

/// The element of `shape` at `at`.
fn element(shape: &[usize], at: &[usize]) -> usize {
    assert_eq!(shape.len(), at.len());
    shape.iter().zip(at).fold(0, |index, (size, i)| index * size + i)
}

/// The element of `shape` that broadcasts to `at`.
fn broadcast_element(shape: &[usize], at: &[usize]) -> usize {
    let last = &at[at.len() - shape.len()..];
    let own: Vec<usize> = shape.iter().zip(last).map(|(size, i)| if *size == 1 { 0 } else { *i }).collect();
    element(shape, &own)
}

fn length(shape: &[usize]) -> usize {
    shape.iter().product()
}

fn step(network: &Network, node: &Node) -> Step {
    let shapes: Vec<Vec<usize>> = node.inputs.iter().map(|id| shape(network, *id)).collect();
    let to = shape(network, node.output);
    let ids = node.inputs.clone();
    match node.op.clone() {
        Op::Reshape => Box::new(move |v| v[&ids[0]].clone()),
        Op::Index { indices } => Box::new(move |v| {
            let all: Vec<f64> = ids.iter().flat_map(|id| v[id].clone()).collect();
            indices.iter().map(|i| all[*i as usize]).collect()
        }),
        Op::MatMul => linear::matmul(&ids, &shapes, &to),
        Op::Gemm { alpha, beta, trans_a, trans_b } => {
            linear::gemm(&ids, &shapes, &to, [alpha.into(), beta.into()], [trans_a, trans_b])
        }
        Op::Conv { window, groups } => linear::conv(&ids, &shapes, &to, window, groups),
        Op::ConvTranspose { window, groups } => linear::conv_transpose(&ids, &shapes, &to, window, groups),
        Op::MaxPool(window) => {
            let windows = linear::windows(&to, &window);
            each_group(ids[0], windows, |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max))
        }
        Op::AveragePool { window, count_include_pad } => {
            let windows = linear::windows(&to, &window);
            let counts = linear::average_counts(&to, &window, count_include_pad);
            Box::new(move |v| {
                let x = &v[&ids[0]];
                let sum = |g: &Vec<usize>| g.iter().map(|i| x[*i]).sum::<f64>();
                windows.iter().zip(&counts).map(|(g, count)| sum(g) / count).collect()
            })
        }
        Op::BatchNormalization { epsilon } => Box::new(move |v| {
            let [x, scale, bias, mean, var] = [0, 1, 2, 3, 4].map(|i| &v[&ids[i]]);
            let normal = |(i, x): (usize, &f64)| {
                let c = coordinates(&to, i)[1];
                (x - mean[c]) / (var[c] + f64::from(epsilon)).sqrt() * scale[c] + bias[c]
            };
            x.iter().enumerate().map(normal).collect()
        }),
        Op::Normalize { size, epsilon } => Box::new(move |v| {
            let normal = |run: &[f64]| -> Vec<f64> {
                let mean = run.iter().sum::<f64>() / run.len() as f64;
                let var = run.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / run.len() as f64;
                run.iter().map(|x| (x - mean) / (var + f64::from(epsilon)).sqrt()).collect()
            };
            v[&ids[0]].chunks(size).flat_map(normal).collect()
        }),
        Op::Softmax { outer, size, inner, log } => Box::new(move |v| {
            let x = &v[&ids[0]];
            let seen = [outer, size, inner];
            let value = |i: usize| {
                let at = coordinates(&seen, i);
                let run = (0..size).map(|j| x[element(&seen, &[at[0], j, at[2]])]);
                let sum: f64 = run.map(|other| (other - x[i]).exp()).sum();
                if log { -sum.ln() } else { 1.0 / sum }
            };
            (0..x.len()).map(value).collect()
        }),
        Op::Unary(function) => {
            Box::new(move |v| v[&ids[0]].iter().map(|x| formula::unary(function, *x)).collect())
        }
        Op::Binary(function) => binary(&ids, &shapes, &to, function),
        Op::Reduce { kind, axes } => reduce(ids[0], &shapes[0], &to, kind, &axes),
    }
}

/// A function of each group of elements of one value.
fn each_group(id: ValueId, groups: Vec<Vec<usize>>, function: fn(&[f64]) -> f64) -> Step {
    Box::new(move |v| {
        let x = &v[&id];
        let value = |g: &Vec<usize>| function(&g.iter().map(|i| x[*i]).collect::<Vec<f64>>());
        groups.iter().map(value).collect()
    })
}

fn binary(ids: &[ValueId], shapes: &[Vec<usize>], to: &[usize], function: Binary) -> Step {
    let pair = |i: usize| {
        let at = coordinates(to, i);
        (broadcast_element(&shapes[0], &at), broadcast_element(&shapes[1], &at))
    };
    let pairs: Vec<(usize, usize)> = (0..length(to)).map(pair).collect();
    let (left, right) = (ids[0], ids[1]);
    Box::new(move |v| {
        pairs.iter().map(|(i, j)| formula::binary(function, v[&left][*i], v[&right][*j])).collect()
    })
}

fn reduce(id: ValueId, from: &[usize], to: &[usize], kind: Reduce, axes: &[usize]) -> Step {
    let kept: Vec<usize> = (0..from.len()).filter(|a| !axes.contains(a)).collect();
    let kept_shape: Vec<usize> = kept.iter().map(|a| from[*a]).collect();
    let mut groups = vec![Vec::new(); length(to)];
    for i in 0..length(from) {
        let at = coordinates(from, i);
        let kept_at: Vec<usize> = kept.iter().map(|a| at[*a]).collect();
        groups[element(&kept_shape, &kept_at)].push(i);
    }
    each_group(
        id,
        groups,
        match kind {
            Reduce::Sum => |x| x.iter().sum(),
            Reduce::Mean => |x| x.iter().sum::<f64>() / x.len() as f64,
            Reduce::Max => |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Reduce::Min => |x| x.iter().copied().fold(f64::INFINITY, f64::min),
            Reduce::Prod => |x| x.iter().product(),
            Reduce::L1 => |x| x.iter().map(|x| x.abs()).sum(),
            Reduce::L2 => |x| x.iter().map(|x| x * x).sum::<f64>().sqrt(),
            Reduce::SumSquare => |x| x.iter().map(|x| x * x).sum(),
            Reduce::LogSum => |x| x.iter().sum::<f64>().ln(),
            Reduce::LogSumExp => |x| x.iter().map(|x| x.exp()).sum::<f64>().ln(),
        },
    )
}
