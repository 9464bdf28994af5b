//! Random small networks of every family, and statements about them.

use super::exact::{Q, Region, evaluate, exact};
use super::network::{Network, Node, Op, Window};
use super::random::Random;
use super::statement::{Case, Row, Statement};
use num_bigint::BigInt;
use num_traits::{ToPrimitive, Zero};

/// Kinds of networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Dense layers with ReLU.
    Dense,
    /// Dense layers with leaky ReLU, absolute values, clipping.
    Bent,
    /// Convolutions along one axis.
    Conv1,
    /// Convolutions along two axes.
    Conv2,
    /// Skips around dense layers.
    Residual,
    /// Max pooling.
    MaxPool,
    /// Average pooling.
    AveragePool,
    /// Batch normalization.
    BatchNorm,
    /// Everything in a row.
    Mixed,
    /// A violation in a narrow bump, with nothing around it that leads there.
    Needle,
    /// Constants from 1e-38 to 1e30, zeros of both signs, sums that cancel.
    Cruel,
    /// Networks that say in floating point what they do not over the reals.
    Detector,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Dense,
        Self::Bent,
        Self::Conv1,
        Self::Conv2,
        Self::Residual,
        Self::MaxPool,
        Self::AveragePool,
        Self::BatchNorm,
        Self::Mixed,
        Self::Needle,
        Self::Cruel,
        Self::Detector,
    ];
}

/// How constants are drawn.
#[derive(Clone, Copy)]
enum Constants {
    /// Eighths in [−2, 2]: ties and exact zeros are common.
    Eighths,
    /// 24 random bits in [−1.5, 1.5].
    Floats,
    /// See [`Family::Cruel`].
    Cruel,
}

impl Constants {
    fn draw(self, random: &mut Random) -> f32 {
        match self {
            Self::Eighths => random.within(-16, 16) as f32 / 8.0,
            Self::Floats => 1.5 * random.unit(),
            Self::Cruel => {
                let scale = *random.pick(&[0.0, 1e-42, 1e-38, 1e-30, 1e-6, 1.0, 1.0, 1.0, 1e6, 1e30f32]);
                let sign = if random.once_in(2) { -1.0 } else { 1.0 };
                sign * scale * *random.pick(&[1.0, 1.0, 0.5, 3.0, 1.0 + f32::EPSILON])
            }
        }
    }

    fn many(self, count: usize, random: &mut Random) -> Vec<f32> {
        (0..count).map(|_| self.draw(random)).collect()
    }
}

/// A network under construction.
struct Draft<'r> {
    network: Network,
    constants: Constants,
    random: &'r mut Random,
}

impl Draft<'_> {
    fn shape(&self) -> Vec<usize> {
        self.network.shapes().pop().expect("at least the input")
    }

    fn last(&self) -> usize {
        self.network.nodes.len()
    }

    fn push(&mut self, op: Op) {
        let inputs = vec![self.last()];
        self.network.nodes.push(Node { op, inputs });
    }

    fn dense(&mut self, rows: usize) {
        if self.shape().len() > 1 {
            self.push(Op::Flatten);
        }
        let cols = self.shape()[0];
        let weights = self.constants.many(rows * cols, self.random);
        let bias = self.constants.many(rows, self.random);
        let matmul = self.random.once_in(2);
        let factors = if matmul || !self.random.once_in(4) { [1.0, 1.0] } else { [0.5, -1.5] };
        self.push(Op::Dense { weights, bias, factors, matmul });
    }

    fn bend(&mut self) {
        let op = match self.random.below(6) {
            0 | 1 => Op::Leaky(*self.random.pick(&[0.125, 0.01, 0.25, -0.5, 1.5])),
            2 => Op::Abs,
            3 => Op::Clip(-0.5, 0.75),
            _ => Op::Relu,
        };
        self.push(op);
    }

    fn conv(&mut self, channels: usize) {
        let shape = self.shape();
        let window = self.window(&shape, true);
        let groups = if shape[0].is_multiple_of(2) && channels.is_multiple_of(2) && self.random.once_in(3) {
            2
        } else {
            1
        };
        let kernel: usize = window.kernel.iter().product();
        let weights = self.constants.many(channels * shape[0] / groups * kernel, self.random);
        let bias = self.constants.many(channels, self.random);
        self.push(Op::Conv { weights, bias, window, groups });
    }

    /// A window that fits; padding is smaller than the kernel, so that every position has a tap inside.
    fn window(&mut self, shape: &[usize], may_pad: bool) -> Window {
        let axes = shape.len() - 1;
        let kernel: Vec<usize> = shape[1..].iter().map(|s| 1 + self.random.below((*s).min(3))).collect();
        let stride = (0..axes).map(|_| 1 + self.random.below(2)).collect();
        let pad = (0..2 * axes)
            .map(|a| if may_pad && kernel[a % axes] > 1 { self.random.below(2) } else { 0 })
            .collect();
        Window { kernel, stride, pad }
    }

    fn batch_norm(&mut self) {
        let channels = self.shape()[0];
        let epsilon = 0.0625;
        // Squares of 1/2, 1, 3/2, 3: exact in f32 after the epsilon is taken off.
        let variance = |random: &mut Random| random.pick(&[0.5f32, 1.0, 1.5, 3.0]).powi(2) - epsilon;
        let var = (0..channels).map(|_| variance(self.random)).collect();
        let [scale, bias, mean] = [(); 3].map(|()| self.constants.many(channels, self.random));
        self.push(Op::BatchNorm { constants: [scale, bias, mean, var], epsilon });
    }

    /// `x + f(x)` or `x − f(x)`, `f` dense layers with a bend between.
    fn residual(&mut self) {
        let (from, width) = (self.last(), self.shape()[0]);
        let inner = 1 + self.random.below(3);
        self.dense(inner);
        self.bend();
        self.dense(width);
        let op = if self.random.once_in(4) { Op::Sub } else { Op::Add };
        let inputs = vec![self.last(), from];
        self.network.nodes.push(Node { op, inputs });
    }

    fn pool(&mut self, max: bool) {
        let shape = self.shape();
        let window = self.window(&shape, true);
        let include_pad = self.random.once_in(2);
        self.push(if max { Op::MaxPool(window) } else { Op::AveragePool { window, include_pad } });
    }
}

/// A random network of `family`.
pub fn network(family: Family, random: &mut Random) -> Network {
    let constants = match family {
        Family::Cruel => Constants::Cruel,
        _ if random.once_in(4) => Constants::Floats,
        _ => Constants::Eighths,
    };
    match family {
        Family::Needle => return needle(random),
        Family::Detector => return detector(random),
        _ => {}
    }
    let input = match family {
        Family::Conv1 => vec![1 + random.below(2), 3 + random.below(4)],
        Family::Conv2 | Family::MaxPool | Family::AveragePool | Family::BatchNorm | Family::Mixed => {
            vec![1 + random.below(2), 2 + random.below(3), 2 + random.below(3)]
        }
        _ => vec![1 + random.below(4)],
    };
    let mut draft = Draft { network: Network { input, nodes: vec![] }, constants, random };
    body(&mut draft, family);
    let outputs = 1 + draft.random.below(3);
    draft.dense(outputs);
    if draft.random.once_in(8) {
        draft.bend();
    }
    draft.network
}

fn body(draft: &mut Draft<'_>, family: Family) {
    let rounds = 1 + draft.random.below(2);
    match family {
        Family::Dense | Family::Bent | Family::Cruel => {
            if draft.random.once_in(3) {
                let n = draft.shape()[0];
                let scale = draft.constants.many(n, draft.random);
                draft.push(Op::Mul(scale));
                let shift = draft.constants.many(n, draft.random);
                draft.push(Op::Shift(shift));
            }
            for _ in 0..=rounds {
                let width = 1 + draft.random.below(5);
                draft.dense(width);
                if family == Family::Bent { draft.bend() } else { draft.push(Op::Relu) }
            }
        }
        Family::Residual => (0..rounds).for_each(|_| {
            draft.residual();
            draft.push(Op::Relu);
        }),
        _ => {
            for _ in 0..rounds {
                let channels = 1 + draft.random.below(2);
                draft.conv(channels);
                if family == Family::BatchNorm || (family == Family::Mixed && draft.random.once_in(2)) {
                    draft.batch_norm();
                }
                if family == Family::Mixed { draft.bend() } else { draft.push(Op::Relu) }
            }
            match family {
                Family::MaxPool => draft.pool(true),
                Family::AveragePool => draft.pool(false),
                Family::Mixed => {
                    let max = draft.random.once_in(2);
                    draft.pool(max);
                    draft.push(Op::Flatten);
                    draft.residual();
                }
                _ => {}
            }
        }
    }
}

/// `y = slope·x₀ + 1 − bump`, the bump of height 2 and half-width 1e-1 … 1e-6 at a random place: `relu(2 − Σ|xⱼ − cⱼ|/w)`
/// with the absolute values made of ReLUs. Outside the bump the gradient leads away from it, or is 0.
fn needle(random: &mut Random) -> Network {
    let n = 1 + random.below(3);
    let width = *random.pick(&[0.125, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6f32]);
    let steep = 1.0 / width;
    let centre: Vec<f32> = (0..n).map(|_| random.within(-7, 7) as f32 / 8.0 + 1e-3 * random.unit()).collect();
    let slope = *random.pick(&[0.0, 0.125, -0.125f32]);
    // Both sides of every |xⱼ − cⱼ|, and x₀ + 4, which is positive.
    let (mut weights, mut bias) = (Vec::new(), Vec::new());
    for (j, c) in centre.iter().enumerate() {
        for sign in [1.0, -1.0] {
            weights.extend((0..n).map(|k| if k == j { sign } else { 0.0 }));
            bias.push(-sign * c);
        }
    }
    weights.extend((0..n).map(|k| if k == 0 { 1.0 } else { 0.0 }));
    bias.push(4.0);
    let hidden = Op::Dense { weights, bias, factors: [1.0, 1.0], matmul: false };
    let mut second = vec![-steep; 2 * n];
    second.push(0.0);
    second.extend(vec![0.0; 2 * n]);
    second.push(1.0);
    let bump = Op::Dense { weights: second, bias: vec![2.0, 0.0], factors: [1.0, 1.0], matmul: false };
    let last = Op::Dense {
        weights: vec![-1.0, slope],
        bias: vec![1.0 - 4.0 * slope],
        factors: [1.0, 1.0],
        matmul: false,
    };
    let ops = [hidden, Op::Relu, bump, Op::Relu, last];
    let nodes = ops.into_iter().enumerate().map(|(k, op)| Node { op, inputs: vec![k] }).collect();
    Network { input: vec![n], nodes }
}

/// Sums that cancel: `relu(big + x) − relu(big)` and the like. Over the reals `x`, in floating point a step function.
fn detector(random: &mut Random) -> Network {
    let n = 1 + random.below(2);
    let big = *random.pick(&[2f32.powi(24), 2f32.powi(25), 2f32.powi(54), 1e10, 1e20, 1e30]);
    let small = *random.pick(&[1.0, 0.5, 1e-3, 1e-8]);
    let mut weights: Vec<f32> = (0..2 * n).map(|k| if k == 0 || k == n { small } else { 0.0 }).collect();
    weights[2 * n - 1] += if n > 1 { small * random.within(-2, 2) as f32 } else { 0.0 };
    let hidden = Op::Dense { weights, bias: vec![big, -big], factors: [1.0, 1.0], matmul: false };
    let middle = Op::Leaky(1.0 / 1024.0);
    let bend = if random.once_in(3) { middle } else { Op::Relu };
    let last = Op::Dense {
        weights: vec![1.0, *random.pick(&[1.0, -1.0, 0.0])],
        bias: vec![-big],
        factors: [1.0, 1.0],
        matmul: random.once_in(2),
    };
    let amplify = Op::Dense {
        weights: vec![*random.pick(&[1.0, -1.0, 1024.0])],
        bias: vec![*random.pick(&[0.0, -0.5])],
        factors: [1.0, 1.0],
        matmul: false,
    };
    let ops = [hidden, bend, last, Op::Relu, amplify];
    let nodes = ops.into_iter().enumerate().map(|(k, op)| Node { op, inputs: vec![k] }).collect();
    Network { input: vec![n], nodes }
}

fn ratio(numerator: i32, denominator: i32) -> Q {
    Q::new(BigInt::from(numerator), BigInt::from(denominator))
}

/// A statement about `network`; the caller moves its thresholds to where it wants them.
pub fn statement(network: &Network, family: Family, random: &mut Random) -> Statement {
    let (inputs, outputs) = (network.inputs(), network.outputs());
    let boxes = if random.once_in(4) { 2 + random.below(3) } else { 1 };
    let (steps, last) = network.steps();
    let cases = (0..boxes).map(|_| {
        let region = region(inputs, family, random);
        let count = if random.once_in(3) { 2 + random.below(3) } else { 1 };
        let inside: Vec<Q> =
            region.lower.iter().zip(&region.upper).map(|(l, u)| (l + u) / ratio(2, 1)).collect();
        let centre = evaluate(&steps[..last], &inside);
        let disjuncts = (0..count).map(|_| disjunct(outputs, &centre, random)).collect();
        Case { region, disjuncts }
    });
    Statement { outputs, cases: cases.collect() }
}

/// At most three inputs have an interval, the others are fixed.
fn region(inputs: usize, family: Family, random: &mut Random) -> Region {
    if family == Family::Needle {
        return Region { lower: vec![ratio(-1, 1); inputs], upper: vec![ratio(1, 1); inputs] };
    }
    let wide: Vec<usize> = (0..3).map(|_| random.below(inputs)).collect();
    let decimal = random.once_in(3);
    let (mut lower, mut upper) = (Vec::new(), Vec::new());
    for j in 0..inputs {
        let centre =
            if decimal { ratio(random.within(-99, 99), 100) } else { ratio(random.within(-8, 8), 8) };
        let radius = match random.below(8) {
            _ if !wide.contains(&j) => Q::zero(),
            0 => Q::zero(),
            1 => ratio(1, 1000),
            2 if decimal => ratio(1, 1_000_000_000),
            3 if decimal => ratio(3, 10),
            4 => ratio(2, 1),
            _ => ratio(random.within(1, 8), 8),
        };
        lower.push(&centre - &radius);
        upper.push(centre + radius);
    }
    Region { lower, upper }
}

fn disjunct(outputs: usize, centre: &[Q], random: &mut Random) -> Vec<Row> {
    let count = if random.once_in(3) { 2 + random.below(2) } else { 1 };
    let mut rows: Vec<Row> = (0..count).map(|_| row(outputs, centre, random)).collect();
    if count > 1 && random.once_in(8) {
        // Says nothing, or that nothing is left.
        let rhs = *random.pick(&[0, 0, 1, -1]);
        rows.push(Row { coefficients: vec![Q::zero(); outputs], rhs: ratio(rhs, 1), strict: false });
    }
    rows
}

fn row(outputs: usize, centre: &[Q], random: &mut Random) -> Row {
    let mut coefficients = vec![Q::zero(); outputs];
    if outputs > 1 && random.once_in(2) {
        // Two outputs compared.
        let first = random.below(outputs);
        let second = (first + 1 + random.below(outputs - 1)) % outputs;
        (coefficients[first], coefficients[second]) = (ratio(1, 1), ratio(-1, 1));
    } else {
        coefficients.iter_mut().for_each(|c| *c = ratio(random.within(-8, 8), 4));
        if coefficients.iter().all(Zero::is_zero) {
            coefficients[0] = ratio(1, 1);
        }
    }
    let value = coefficients.iter().zip(centre).fold(Q::zero(), |s, (c, y)| s + c * y);
    let near = value.to_f64().filter(|v| v.is_finite()).unwrap_or(0.0);
    Row { coefficients, rhs: exact((near * 64.0).round() / 64.0), strict: random.once_in(4) }
}
