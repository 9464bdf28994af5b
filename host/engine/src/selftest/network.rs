//! Small networks as ONNX operators, with their exact meaning: a lowering of its own, over the rationals.

use super::exact::{Q, Step, Sum, exact};
use num_bigint::BigInt;
use num_traits::{One, Signed, Zero};

/// A network: value 0 is the input, value `k + 1` what node `k` gives; the last one is the output.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Shape of the input without the batch dimension: `[n]`, `[C, L]` or `[C, H, W]`.
    pub input: Vec<usize>,
    /// The nodes in order.
    pub nodes: Vec<Node>,
}

/// One ONNX operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The operator.
    pub op: Op,
    /// The values it reads.
    pub inputs: Vec<usize>,
}

/// A window that slides over the spatial axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Taps along each axis.
    pub kernel: Vec<usize>,
    /// Steps along each axis.
    pub stride: Vec<usize>,
    /// Padding before each axis, then behind each.
    pub pad: Vec<usize>,
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `alpha · W x + beta · b`, as Gemm, or MatMul and Add (alpha and beta are 1 then).
    Dense {
        /// `[rows, cols]`.
        weights: Vec<f32>,
        /// `[rows]`.
        bias: Vec<f32>,
        /// Factors of product and bias.
        factors: [f32; 2],
        /// Whether it is written as MatMul and Add.
        matmul: bool,
    },
    /// Convolution.
    Conv {
        /// `[channels, channels_in / groups, kernel…]`.
        weights: Vec<f32>,
        /// `[channels]`.
        bias: Vec<f32>,
        /// Kernel, steps, padding.
        window: Window,
        /// Groups of channels.
        groups: usize,
    },
    /// `(x − mean) / √(var + epsilon) · scale + bias` by channel; `var + epsilon` is the square of a rational.
    BatchNorm {
        /// Scale, bias, mean, variance, `[channels]` each.
        constants: [Vec<f32>; 4],
        /// Added to the variance.
        epsilon: f32,
    },
    /// `max(x, 0)`.
    Relu,
    /// `x` or `slope · x`.
    Leaky(f32),
    /// `|x|`.
    Abs,
    /// `min(max(x, lower), upper)`.
    Clip(f32, f32),
    /// Largest of each window.
    MaxPool(Window),
    /// Mean of each window.
    AveragePool {
        /// Kernel, steps, padding.
        window: Window,
        /// Whether padding counts.
        include_pad: bool,
    },
    /// `x · factor`, elementwise.
    Mul(Vec<f32>),
    /// `x + shift`, elementwise.
    Shift(Vec<f32>),
    /// Sum of two values.
    Add,
    /// Difference of two values.
    Sub,
    /// All elements in one row.
    Flatten,
}

impl Network {
    /// Shapes of all values, without the batch dimension.
    pub fn shapes(&self) -> Vec<Vec<usize>> {
        let mut shapes = vec![self.input.clone()];
        for node in &self.nodes {
            let x = &shapes[node.inputs[0]];
            let next = match &node.op {
                Op::Dense { bias, .. } => vec![bias.len()],
                Op::Conv { bias, window, .. } => window.shape(bias.len(), x),
                Op::MaxPool(window) | Op::AveragePool { window, .. } => window.shape(x[0], x),
                Op::Flatten => vec![x.iter().product()],
                _ => x.clone(),
            };
            shapes.push(next);
        }
        shapes
    }

    /// Elements of the input.
    pub fn inputs(&self) -> usize {
        self.input.iter().product()
    }

    /// Elements of the output.
    pub fn outputs(&self) -> usize {
        self.shapes().last().expect("at least the input").iter().product()
    }

    /// The network as exact steps, and the value that is the output.
    pub fn steps(&self) -> (Vec<Step>, usize) {
        let shapes = self.shapes();
        let mut steps = Vec::new();
        // Where each of the network's values is among those of the steps.
        let mut place = vec![0];
        for node in &self.nodes {
            let values: Vec<usize> = node.inputs.iter().map(|v| place[*v]).collect();
            let shape = &shapes[node.inputs[0]];
            node.op.lower(&values, shape, &mut steps);
            place.push(steps.len());
        }
        let last = place[self.nodes.len()];
        (steps, last)
    }

    /// All constants, to be changed.
    pub fn constants_mut(&mut self) -> Vec<&mut Vec<f32>> {
        self.nodes.iter_mut().flat_map(|node| node.op.constants_mut()).collect()
    }
}

impl Window {
    /// `[channels, size…]` of what the window gives over an operand of shape `x`.
    fn shape(&self, channels: usize, x: &[usize]) -> Vec<usize> {
        let axes = self.kernel.len();
        let size =
            |a: usize| (x[1 + a] + self.pad[a] + self.pad[axes + a] - self.kernel[a]) / self.stride[a] + 1;
        [channels].into_iter().chain((0..axes).map(size)).collect()
    }

    /// For each position, the taps inside the operand: index of the tap in the kernel, index in the channel's plane.
    fn taps(&self, x: &[usize]) -> Vec<Vec<(usize, usize)>> {
        let axes = self.kernel.len();
        let out = self.shape(1, x);
        indices(&out[1..])
            .into_iter()
            .map(|at| {
                let inside = |k: &Vec<usize>| {
                    let along = |a: usize| (at[a] * self.stride[a] + k[a]).checked_sub(self.pad[a]);
                    (0..axes).map(|a| along(a).filter(|p| *p < x[1 + a])).collect::<Option<Vec<_>>>()
                };
                let flat = |p: &[usize]| p.iter().zip(&x[1..]).fold(0, |s, (p, size)| s * size + p);
                let taps = indices(&self.kernel);
                taps.iter().enumerate().filter_map(|(t, k)| Some((t, flat(&inside(k)?)))).collect()
            })
            .collect()
    }

    /// What each position's sum is divided by where padding counts: taps up to the padded end.
    fn taps_with_padding(&self) -> usize {
        self.kernel.iter().product()
    }
}

/// All index tuples below `shape`, the last axis fastest.
fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let extend = |all: Vec<Vec<usize>>, size: &usize| {
        all.iter().flat_map(|i| (0..*size).map(move |k| [i.as_slice(), &[k]].concat())).collect()
    };
    shape.iter().fold(vec![vec![]], extend)
}

/// `√x` of the square of a rational.
///
/// # Panics
/// If `x` is none.
fn root(x: &Q) -> Q {
    let (p, q) = (x.numer().sqrt(), x.denom().sqrt());
    assert!(&(&p * &p) == x.numer() && &(&q * &q) == x.denom(), "{x} is no square");
    Q::new(p, q)
}

fn number(n: usize) -> Q {
    Q::from(BigInt::from(n))
}

impl Op {
    /// The constants that may be changed without changing the operator.
    fn constants_mut(&mut self) -> Vec<&mut Vec<f32>> {
        match self {
            Self::Dense { weights, bias, .. } | Self::Conv { weights, bias, .. } => vec![weights, bias],
            Self::BatchNorm { constants: [scale, bias, mean, _], .. } => vec![scale, bias, mean],
            Self::Mul(x) | Self::Shift(x) => vec![x],
            _ => vec![],
        }
    }

    /// Appends the exact steps of the operator on `values`, the first of shape `x`.
    fn lower(&self, values: &[usize], x: &[usize], steps: &mut Vec<Step>) {
        let value = values[0];
        let len: usize = x.iter().product();
        let plane: usize = x.iter().skip(1).product();
        let each = |sum: &dyn Fn(usize) -> Sum| Step::Sums((0..len).map(sum).collect());
        let affine = |e: usize, factor: Q, constant: Q| Sum { terms: vec![(value, e, factor)], constant };
        let step = match self {
            Self::Dense { weights, bias, factors, .. } => {
                let [alpha, beta] = factors.map(|f| exact(f.into()));
                let row = |(w, b): (&[f32], &f32)| Sum {
                    terms: w
                        .iter()
                        .enumerate()
                        .map(|(e, w)| (value, e, &alpha * exact((*w).into())))
                        .collect(),
                    constant: &beta * exact((*b).into()),
                };
                Step::Sums(weights.chunks_exact(len).zip(bias).map(row).collect())
            }
            Self::Conv { weights, bias, window, groups } => {
                let (taps, kernel) = (window.taps(x), window.taps_with_padding());
                let (within, per_group) = (x[0] / groups, bias.len() / groups);
                let sum = |channel: usize, taps: &[(usize, usize)]| {
                    let first = channel / per_group * within;
                    let term = |c: usize, t: usize, p: usize| {
                        let w = weights[(channel * within + c) * kernel + t];
                        (value, (first + c) * plane + p, exact(w.into()))
                    };
                    let terms = (0..within).flat_map(|c| taps.iter().map(move |(t, p)| (c, *t, *p)));
                    Sum {
                        terms: terms.map(|(c, t, p)| term(c, t, p)).collect(),
                        constant: exact(bias[channel].into()),
                    }
                };
                let sums = (0..bias.len()).flat_map(|c| taps.iter().map(move |t| (c, t)));
                Step::Sums(sums.map(|(c, t)| sum(c, t)).collect())
            }
            Self::BatchNorm { constants, epsilon } => each(&|e| {
                let [scale, bias, mean, var] = constants.each_ref().map(|c| exact(c[e / plane].into()));
                let factor = scale / root(&(var + exact((*epsilon).into())));
                affine(e, factor.clone(), bias - mean * factor)
            }),
            Self::Relu => Step::Bend { value, slope: Q::zero() },
            Self::Leaky(slope) => Step::Bend { value, slope: exact((*slope).into()) },
            Self::Abs => Step::Bend { value, slope: -Q::one() },
            Self::Clip(lower, upper) => {
                // lower + relu(x − lower) − relu(x − upper)
                for end in [lower, upper] {
                    steps.push(each(&|e| affine(e, Q::one(), -exact((*end).into()))));
                    steps.push(Step::Bend { value: steps.len(), slope: Q::zero() });
                }
                let (above_upper, above_lower) = (steps.len(), steps.len() - 2);
                each(&|e| Sum {
                    terms: vec![(above_lower, e, Q::one()), (above_upper, e, -Q::one())],
                    constant: exact((*lower).into()),
                })
            }
            Self::MaxPool(window) => {
                let taps = window.taps(x);
                let group = |c: usize, t: &[(usize, usize)]| t.iter().map(|(_, p)| c * plane + p).collect();
                let groups = (0..x[0]).flat_map(|c| taps.iter().map(move |t| (c, t)));
                Step::Max { value, groups: groups.map(|(c, t)| group(c, t)).collect() }
            }
            Self::AveragePool { window, include_pad } => {
                let taps = window.taps(x);
                let sum = |c: usize, t: &[(usize, usize)]| {
                    let count = if *include_pad { window.taps_with_padding() } else { t.len() };
                    let part = Q::one() / number(count);
                    Sum {
                        terms: t.iter().map(|(_, p)| (value, c * plane + p, part.clone())).collect(),
                        constant: Q::zero(),
                    }
                };
                let sums = (0..x[0]).flat_map(|c| taps.iter().map(move |t| (c, t)));
                Step::Sums(sums.map(|(c, t)| sum(c, t)).collect())
            }
            Self::Mul(factor) => each(&|e| affine(e, exact(factor[e].into()), Q::zero())),
            Self::Shift(shift) => each(&|e| affine(e, Q::one(), exact(shift[e].into()))),
            Self::Add | Self::Sub => {
                let second = if matches!(self, Self::Add) { Q::one() } else { -Q::one() };
                each(&|e| Sum {
                    terms: vec![(value, e, Q::one()), (values[1], e, second.clone())],
                    constant: Q::zero(),
                })
            }
            Self::Flatten => each(&|e| affine(e, Q::one(), Q::zero())),
        };
        steps.push(step);
    }
}

/// For each output, an upper bound on the sum of absolute values that enter it, all paths added up: what rounding is measured
/// against.
pub fn masses(steps: &[Step], last: usize, reach: &[Q]) -> Vec<Q> {
    let mut values = vec![reach.to_vec()];
    for step in &steps[..last] {
        let next = match step {
            Step::Sums(sums) => sums
                .iter()
                .map(|s| s.terms.iter().fold(s.constant.abs(), |t, (v, e, c)| t + c.abs() * &values[*v][*e]))
                .collect(),
            Step::Bend { value, slope } => {
                let factor = slope.abs().max(Q::one());
                values[*value].iter().map(|x| x * &factor).collect()
            }
            Step::Max { value, groups } => {
                let x = &values[*value];
                groups.iter().map(|g| g.iter().map(|i| &x[*i]).max().expect("not empty").clone()).collect()
            }
        };
        values.push(next);
    }
    values.swap_remove(last)
}
