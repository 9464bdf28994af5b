//! Random programs with every kind of step that a device computes.

use certus_engine::program::{
    Affine, Builder, Constants, Conv, Function, Groups, Map, Operation, Program, Slot, Sparse, Term, ZERO,
};

use crate::random::Random;

/// A weight: mostly ordinary, at times 0, tiny or large.
fn weight(random: &mut Random) -> f32 {
    match random.below(10) {
        0 => 0.0,
        1 => random.between(-1.0, 1.0) * 2f32.powi(random.below(60) as i32 - 40),
        _ => random.between(-1.0, 1.0),
    }
}

fn weights(random: &mut Random, len: usize) -> Vec<f32> {
    (0..len).map(|_| weight(random)).collect()
}

/// Constants, at times with errors: of a few units in the last place, or of a thousandth, beside which no other slack hides.
fn constants(random: &mut Random, len: usize) -> Constants {
    let values = weights(random, len);
    let folded = random.below(2) == 0;
    let most = if random.below(2) == 0 { 4e-7 } else { 2e-3 };
    let error = folded.then(|| values.iter().map(|v| v.abs() * random.between(0.0, most)).collect());
    Constants { values, error }
}

fn bias(random: &mut Random, len: usize) -> Option<Constants> {
    (random.below(3) > 0).then(|| constants(random, len))
}

/// A random convolution of an operand `[channels, height, width]`.
fn conv(random: &mut Random, [channels, height, width]: [usize; 3]) -> Conv {
    loop {
        let groups = if random.below(2) == 0 { 1 } else { channels };
        let channels_out = groups * (1 + random.below(3));
        let kernel = [1 + random.below(3), 1 + random.below(3)];
        let stride = [1 + random.below(2), 1 + random.below(3)];
        let dilation = [1 + random.below(2), 1 + random.below(2)];
        let pad = [random.below(3), random.below(3)];
        let out = |axis: usize, size: usize| {
            let reach = (kernel[axis] - 1) * dilation[axis] + 1;
            (size + pad[axis] + random_pad(axis, pad)).checked_sub(reach).map(|r| r / stride[axis] + 1)
        };
        let (Some(rows), Some(cols)) = (out(0, height), out(1, width)) else { continue };
        let len = channels_out * (channels / groups) * kernel[0] * kernel[1];
        return Conv {
            channels_in: channels,
            channels_out,
            groups,
            size_in: [height, width],
            size_out: [rows, cols],
            kernel,
            stride,
            dilation,
            pad,
            weights: weights(random, len).into(),
        };
    }
}

/// Zeros after the last row or column; not always as many as before the first.
fn random_pad(axis: usize, pad: [usize; 2]) -> usize {
    if pad[1 - axis] == 2 { pad[axis] / 2 } else { pad[axis] }
}

fn function(random: &mut Random) -> Function {
    match random.below(6) {
        0 => Function::Abs,
        1 => Function::LeakyRelu { slope: random.between(-0.3, 1.5) },
        2 => Function::LeakyRelu { slope: 0.1 },
        3 => {
            let lower = random.between(-1.0, 0.5);
            Function::Clip { lower, upper: lower + random.between(0.0, 1.0) }
        }
        _ => Function::Relu,
    }
}

fn groups(random: &mut Random, len: usize) -> Groups {
    let (mut starts, mut members) = (vec![0], Vec::new());
    let disjoint = random.below(2) == 0;
    for first in (0..len).step_by(2) {
        let count = 1 + random.below(3);
        for k in 0..count {
            let member = if disjoint { (first + k % 2).min(len - 1) } else { random.below(len) };
            members.push(member as u32);
        }
        starts.push(members.len() as u32);
    }
    Groups { starts, members }
}

/// An operand of a step under construction: a slot and its image shape.
#[derive(Clone, Copy)]
struct Value {
    slot: Slot,
    shape: [usize; 3],
}

impl Value {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A random program of up to `steps` steps over a small image.
///
/// # Panics
/// Never: every step fits what it reads.
pub fn random_program(random: &mut Random, steps: usize) -> Program {
    random_program_of(random, steps, function)
}

/// A random program as [`random_program`] gives it, with sigmoid and tanh for half of its functions.
///
/// # Panics
/// Never: every step fits what it reads.
pub fn random_smooth_program(random: &mut Random, steps: usize) -> Program {
    random_program_of(random, steps, |random| match random.below(4) {
        0 => Function::Sigmoid,
        1 => Function::Tanh,
        _ => function(random),
    })
}

fn random_program_of(
    random: &mut Random,
    steps: usize,
    function: impl Fn(&mut Random) -> Function,
) -> Program {
    let shape = [1 + random.below(2), 1 + random.below(3), 2 + random.below(4)];
    let mut b = Builder::new(shape.iter().product());
    let mut values = vec![Value { slot: Slot::INPUT, shape }];
    for index in 0..steps {
        // Mostly the last value, so that the program is deep; at times an earlier one, so that it branches.
        let read = if random.below(4) == 0 { random.below(values.len()) } else { values.len() - 1 };
        let x = values[read];
        let name = format!("step {index}");
        let (operation, shape) = match random.below(10) {
            0 | 1 => linear(random, x),
            2 => residual(random, &values, x),
            3 => (
                Operation::Max { input: x.slot, groups: groups(random, x.len()) },
                [1, 1, x.len().div_ceil(2)],
            ),
            4 => gather(random, &values, x),
            5 => convolution(random, x),
            _ => (Operation::Elementwise { input: x.slot, function: function(random) }, x.shape),
        };
        let slot = b.push(&name, operation).expect("the step fits");
        values.push(Value { slot, shape });
    }
    let last = values[values.len() - 1];
    let rows = 1 + random.below(3);
    let map =
        Map::Dense { count: 1, rows, cols: last.len(), weights: weights(random, rows * last.len()).into() };
    let bias = bias(random, rows);
    let out = b.affine("out", last.slot, map, bias).expect("the output fits");
    b.finish(out).expect("the program has an output")
}

fn affine(terms: Vec<Term>, bias: Option<Constants>) -> Operation {
    Operation::Affine(Affine { terms, bias })
}

fn convolution(random: &mut Random, x: Value) -> (Operation, [usize; 3]) {
    let conv = conv(random, x.shape);
    let shape = [conv.channels_out, conv.size_out[0], conv.size_out[1]];
    let bias = bias(random, conv.outputs());
    (affine(vec![Term { input: x.slot, map: Map::Conv(conv) }], bias), shape)
}

/// A dense, sparse, diagonal or transposed map.
fn linear(random: &mut Random, x: Value) -> (Operation, [usize; 3]) {
    let n = x.len();
    let (map, shape) = match random.below(4) {
        0 => (Map::Scale(constants(random, n)), x.shape),
        1 => {
            let rows = 1 + random.below(5);
            let [count, cols] = [x.shape[0], n / x.shape[0]];
            let weights = weights(random, rows * cols).into();
            (Map::Dense { count, rows, cols, weights }, [count, 1, rows])
        }
        2 => {
            let (mut starts, mut columns) = (vec![0], Vec::new());
            for _ in 0..1 + random.below(6) {
                columns.extend((0..random.below(40)).map(|_| random.below(n) as u32));
                starts.push(columns.len() as u32);
            }
            let (rows, values) = (starts.len() - 1, constants(random, columns.len()));
            (Map::Sparse(Sparse { cols: n, starts, columns, values }), [1, 1, rows])
        }
        _ => {
            // The transpose of a convolution whose result has the shape of `x`.
            let (channels, kernel, stride) =
                (1 + random.below(2), [1 + random.below(2), 2], [1, 1 + random.below(2)]);
            let [c, height, width] = x.shape;
            let size_in = [height - 1 + kernel[0], (width - 1) * stride[1] + kernel[1]];
            let weights = weights(random, c * channels * kernel[0] * kernel[1]).into();
            let conv = Conv {
                channels_in: channels,
                channels_out: c,
                groups: 1,
                size_in,
                size_out: [height, width],
                kernel,
                stride,
                dilation: [1, 1],
                pad: [0, 0],
                weights,
            };
            (Map::ConvTranspose(conv), [channels, size_in[0], size_in[1]])
        }
    };
    let bias = bias(random, shape.iter().product());
    (affine(vec![Term { input: x.slot, map }], bias), shape)
}

/// A sum with an earlier value of the same length, through an identity or a scale.
fn residual(random: &mut Random, values: &[Value], x: Value) -> (Operation, [usize; 3]) {
    let partners: Vec<&Value> = values.iter().filter(|v| v.len() == x.len()).collect();
    let other = partners[random.below(partners.len())];
    let mut map =
        || if random.below(2) == 0 { Map::Identity } else { Map::Scale(constants(random, x.len())) };
    let terms = vec![Term { input: x.slot, map: map() }, Term { input: other.slot, map: map() }];
    let bias = bias(random, x.len());
    (affine(terms, bias), x.shape)
}

fn gather(random: &mut Random, values: &[Value], x: Value) -> (Operation, [usize; 3]) {
    let other = values[random.below(values.len())];
    let total = x.len() + other.len();
    let indices: Vec<u32> = (0..1 + random.below(total + 2))
        .map(|_| if random.below(6) == 0 { ZERO } else { random.below(total) as u32 })
        .collect();
    let len = indices.len();
    (Operation::Index { inputs: vec![x.slot, other.slot], indices }, [1, 1, len])
}
