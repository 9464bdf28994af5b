//! One random node of each family of operators.

use certus_engine::graph::onnx::AttributeProto;

use super::{Draft, int, with_float, with_int, with_ints, with_word};
use crate::random::Random;

/// What can be drawn.
pub const FAMILIES: &[&str] = &[
    "Conv",
    "ConvTranspose",
    "MaxPool",
    "AveragePool",
    "Global",
    "BatchNormalization",
    "Gemm",
    "Gemm of computed values",
    "MatMul right",
    "MatMul left",
    "MatMul of computed values",
    "Add constant",
    "Sub from constant",
    "Mul constant",
    "Div by constant",
    "constant over computed",
    "Max constant",
    "sum of computed values",
    "product of computed values",
    "quotient",
    "extreme of computed values",
    "PRelu",
    "folded constants",
    "function",
    "function of positive numbers",
    "Clip",
    "Pow",
    "gated",
    "Softmax",
    "normalisation",
    "Transpose",
    "Slice",
    "Gather",
    "Concat",
    "Pad",
    "Expand",
    "Tile",
    "Resize",
    "Reshape",
    "Reduce",
    "Reduce of positive numbers",
];

/// Adds one node of `family`; false if it does not fit.
pub(super) fn add(d: &mut Draft, family: &str, r: &mut Random) -> bool {
    match family {
        "Conv" | "ConvTranspose" => convolution(d, family, r),
        "MaxPool" | "AveragePool" => pool(d, family, r),
        "Global" => node(d, ["GlobalAveragePool", "GlobalMaxPool"][r.below(2)], vec![]),
        "BatchNormalization" => batch_normalization(d, r),
        "Gemm" | "Gemm of computed values" => gemm(d, r, family == "Gemm"),
        "MatMul right" | "MatMul left" | "MatMul of computed values" => matmul(d, family, r),
        "Add constant" => with_constant(d, "Add", r, false),
        "Sub from constant" => with_constant(d, "Sub", r, true),
        "Mul constant" => with_constant(d, "Mul", r, false),
        "Div by constant" => with_constant(d, "Div", r, false),
        "constant over computed" => positive(d) && with_constant(d, "Div", r, true),
        "Max constant" => {
            let side = r.below(2) == 0;
            with_constant(d, ["Max", "Min"][r.below(2)], r, side)
        }
        "sum of computed values" => with_computed(d, ["Add", "Sub"][r.below(2)], r),
        "product of computed values" => with_computed(d, "Mul", r),
        "extreme of computed values" => with_computed(d, ["Max", "Min"][r.below(2)], r),
        "quotient" => positive(d) && with_computed(d, "Div", r),
        "PRelu" => prelu(d, r),
        "folded constants" => folded(d, r),
        "function" => function(d, r),
        "function of positive numbers" => {
            positive(d) && node(d, ["Sqrt", "Log", "Reciprocal"][r.below(3)], vec![])
        }
        "Clip" => clip(d, r),
        "Pow" => power(d, r),
        "gated" => gated(d, r),
        "Softmax" => {
            let axis = r.below(d.shape().len());
            node(d, ["Softmax", "LogSoftmax"][r.below(2)], vec![with_int("axis", int(axis))])
        }
        "normalisation" => normalisation(d, r),
        "Transpose" => {
            let order = shuffled(d.shape().len(), r);
            node(d, "Transpose", vec![with_ints("perm", &order)])
        }
        "Slice" => slice(d, r),
        "Gather" => gather(d, r),
        "Concat" => concat(d, r),
        "Pad" => pad(d, r),
        "Expand" => expand(d, r),
        "Tile" => {
            let repeats: Vec<i64> = d.shape().iter().map(|_| int(1 + r.below(2))).collect();
            let repeats = d.ints(&repeats);
            with(d, "Tile", &repeats, vec![])
        }
        "Resize" => resize(d, r),
        "Reshape" => {
            let len = d.shape().iter().product::<usize>();
            let first = (1..=len).filter(|f| len.is_multiple_of(*f)).nth(r.below(3)).unwrap_or(1);
            let shape = d.ints(&[int(first), -1]);
            with(d, "Reshape", &shape, vec![])
        }
        "Reduce" => {
            reduce(d, r, &["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSumExp"])
        }
        "Reduce of positive numbers" => positive(d) && reduce(d, r, &["LogSum", "L2", "Prod"]),
        other => panic!("no family is called {other}"),
    }
}

/// A node of the last value alone.
fn node(d: &mut Draft, operator: &str, attributes: Vec<AttributeProto>) -> bool {
    let (x, _) = d.last();
    d.node(operator, &[&x], attributes)
}

/// A node of the last value and another.
fn with(d: &mut Draft, operator: &str, other: &str, attributes: Vec<AttributeProto>) -> bool {
    let (x, _) = d.last();
    d.node(operator, &[&x, other], attributes)
}

/// Makes the last value at least 1/2.
fn positive(d: &mut Draft) -> bool {
    let half = d.constant(&[], vec![0.5]);
    node(d, "Softplus", vec![]) && with(d, "Add", &half, vec![])
}

fn shuffled(n: usize, r: &mut Random) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    (1..n).rev().for_each(|i| order.swap(i, r.below(i + 1)));
    order
}

/// Random window settings for `axes` spatial axes.
fn window(axes: usize, r: &mut Random, pad_max: usize) -> (Vec<usize>, Vec<AttributeProto>) {
    let mut draw =
        |least: usize, range: usize| -> Vec<usize> { (0..axes).map(|_| least + r.below(range)).collect() };
    let kernel = draw(1, 3);
    let strides = with_ints("strides", &draw(1, 3));
    let dilations = with_ints("dilations", &draw(1, 2));
    let pads: Vec<usize> = (0..2 * axes).map(|i| r.below(pad_max.min(kernel[i % axes] - 1) + 1)).collect();
    let shape = with_ints("kernel_shape", &kernel);
    (kernel, vec![shape, strides, dilations, with_ints("pads", &pads)])
}

fn convolution(d: &mut Draft, operator: &str, r: &mut Random) -> bool {
    let shape = d.shape();
    if !(3..=4).contains(&shape.len()) {
        return false;
    }
    let groups = if shape[1].is_multiple_of(2) { 1 + r.below(2) } else { 1 };
    let (kernel, mut attributes) = window(shape.len() - 2, r, 2);
    attributes.push(with_int("group", int(groups)));
    let outputs = groups * (1 + r.below(2));
    let leading =
        if operator == "Conv" { [outputs, shape[1] / groups] } else { [shape[1], outputs / groups] };
    let weights = d.floats(&[&leading, kernel.as_slice()].concat(), r, [-1.0, 1.0]);
    let bias = d.floats(&[outputs], r, [-1.0, 1.0]);
    let (x, _) = d.last();
    if r.below(2) == 0 {
        d.node(operator, &[&x, &weights, &bias], attributes)
    } else {
        d.node(operator, &[&x, &weights], attributes)
    }
}

fn pool(d: &mut Draft, operator: &str, r: &mut Random) -> bool {
    let shape = d.shape();
    if !(3..=4).contains(&shape.len()) {
        return false;
    }
    let (_, mut attributes) = window(shape.len() - 2, r, 1);
    attributes.push(with_int("ceil_mode", int(r.below(2))));
    if operator == "AveragePool" {
        attributes.push(with_int("count_include_pad", int(r.below(2))));
    }
    node(d, operator, attributes)
}

fn batch_normalization(d: &mut Draft, r: &mut Random) -> bool {
    let shape = d.shape();
    if shape.len() < 2 {
        return false;
    }
    let channel = [shape[1]];
    let [scale, bias, mean] = [(); 3].map(|()| d.floats(&channel, r, [-1.5, 1.5]));
    let var = d.floats(&channel, r, [0.1, 2.0]);
    let (x, _) = d.last();
    d.node("BatchNormalization", &[&x, &scale, &bias, &mean, &var], vec![with_float("epsilon", 1e-3)])
}

fn gemm(d: &mut Draft, r: &mut Random, is_constant: bool) -> bool {
    if d.shape().len() != 2 && !node(d, "Flatten", vec![]) {
        return false;
    }
    let (x, shape) = d.last();
    let factor = |r: &mut Random| [1.0, 0.5, 0.3][r.below(3)];
    let mut attributes = vec![with_float("alpha", factor(r)), with_float("beta", factor(r))];
    if !is_constant {
        // A·A' or A'·A, and A itself as the summand where its shape fits.
        let transposed = ["transA", "transB"][r.below(2)];
        attributes.push(with_int(transposed, 1));
        return d.node("Gemm", &[&x, &x], attributes);
    }
    let trans = r.below(2);
    attributes.push(with_int("transB", int(trans)));
    let n = 1 + r.below(3);
    let b = d.floats(&if trans == 1 { [n, shape[1]] } else { [shape[1], n] }, r, [-1.0, 1.0]);
    let c = d.floats(&[n], r, [-1.0, 1.0]);
    d.node("Gemm", &[&x, &b, &c], attributes)
}

fn matmul(d: &mut Draft, family: &str, r: &mut Random) -> bool {
    let (x, shape) = d.last();
    let rank = shape.len();
    if rank < 2 {
        return false;
    }
    let n = 1 + r.below(3);
    // One matrix for all, one for each, or a vector.
    let batch = if r.below(2) == 0 { &shape[..rank - 2] } else { &[] };
    match (family, r.below(4)) {
        ("MatMul right", 0) => {
            let w = d.floats(&[shape[rank - 1]], r, [-1.0, 1.0]);
            d.node("MatMul", &[&x, &w], vec![])
        }
        ("MatMul right", _) => {
            let w = d.floats(&[batch, &[shape[rank - 1], n]].concat(), r, [-1.0, 1.0]);
            d.node("MatMul", &[&x, &w], vec![])
        }
        ("MatMul left", 0) => {
            let w = d.floats(&[shape[rank - 2]], r, [-1.0, 1.0]);
            d.node("MatMul", &[&w, &x], vec![])
        }
        ("MatMul left", _) => {
            let w = d.floats(&[batch, &[n, shape[rank - 2]]].concat(), r, [-1.0, 1.0]);
            d.node("MatMul", &[&w, &x], vec![])
        }
        (_, way) => {
            let mut order: Vec<usize> = (0..rank).collect();
            order.swap(rank - 1, rank - 2);
            if !d.node("Transpose", &[&x], vec![with_ints("perm", &order)]) {
                return false;
            }
            let (y, _) = d.last();
            if way % 2 == 0 {
                d.node("MatMul", &[&x, &y], vec![])
            } else {
                d.node("MatMul", &[&y, &x], vec![])
            }
        }
    }
}

/// A shape that broadcasts with `shape`.
fn broadcasting(shape: &[usize], r: &mut Random) -> Vec<usize> {
    let drop = if r.below(3) == 0 { r.below(shape.len() + 1) } else { 0 };
    shape[drop..].iter().map(|d| if r.below(3) == 0 { 1 } else { *d }).collect()
}

fn with_constant(d: &mut Draft, operator: &str, r: &mut Random, is_left: bool) -> bool {
    let (x, shape) = d.last();
    let mut own = broadcasting(&shape, r);
    if r.below(6) == 0 {
        // The constant is the longer one, and the computed value is repeated.
        own = [&[2], shape.as_slice()].concat();
    }
    let range = if operator == "Div" { [0.3, 2.0] } else { [-1.0, 1.0] };
    let c = d.floats(&own, r, range);
    let inputs: [&str; 2] = if is_left { [&c, &x] } else { [&x, &c] };
    d.node(operator, &inputs, vec![])
}

/// Combines the last value with an earlier one that broadcasts, or with a part of itself.
fn with_computed(d: &mut Draft, operator: &str, r: &mut Random) -> bool {
    let (x, shape) = d.last();
    let way = r.below(3);
    if way == 0 {
        let (first, _) = d.values[r.below(d.values.len())].clone();
        if d.clone().node(operator, &[&first, &x], vec![]) {
            return d.node(operator, &[&first, &x], vec![]);
        }
    }
    if way == 1 {
        let axis = d.ints(&[int(r.below(shape.len()))]);
        if !d.node("ReduceMax", &[&x, &axis], vec![]) {
            return false;
        }
    } else if !d.node("Sin", &[&x], vec![]) {
        return false;
    }
    let (y, _) = d.last();
    if operator == "Div" { d.node("Div", &[&y, &x], vec![]) } else { d.node(operator, &[&x, &y], vec![]) }
}

fn prelu(d: &mut Draft, r: &mut Random) -> bool {
    let (x, shape) = d.last();
    if r.below(3) == 0 {
        return node(d, "Cos", vec![]) && {
            let (slope, _) = d.last();
            d.node("PRelu", &[&x, &slope], vec![])
        };
    }
    let own = broadcasting(&shape, r);
    let slope = d.floats(&own, r, [-0.5, 1.5]);
    d.node("PRelu", &[&x, &slope], vec![])
}

/// Arithmetic of constants that rounds, then a product and a sum with it.
fn folded(d: &mut Draft, r: &mut Random) -> bool {
    let shape = d.shape();
    let own = broadcasting(&shape, r);
    let a = d.floats(&own, r, [0.5, 1.0]);
    let b = d.floats(&own, r, [0.5, 2.0]);
    let quotient = d.constant_node("Div", &[&a, &b]);
    let root = d.constant_node("Sqrt", &[&quotient]);
    let difference = d.constant_node("Sub", &[&root, &b]);
    let function = d.constant_node("Tanh", &[&difference]);
    with(d, "Mul", &root, vec![]) && with(d, "Add", &difference, vec![]) && with(d, "Sub", &function, vec![])
}

fn function(d: &mut Draft, r: &mut Random) -> bool {
    let f = |r: &mut Random| r.between(0.2, 1.5);
    let names = [
        "Relu",
        "LeakyRelu",
        "ThresholdedRelu",
        "Elu",
        "Selu",
        "Celu",
        "Sigmoid",
        "HardSigmoid",
        "Tanh",
        "Softplus",
        "Softsign",
        "Erf",
        "Exp",
        "Sin",
        "Cos",
        "Abs",
        "Neg",
        "Sign",
        "Floor",
        "Ceil",
    ];
    let name = names[r.below(names.len())];
    let attributes = match name {
        "LeakyRelu" | "ThresholdedRelu" | "Elu" | "Celu" => vec![with_float("alpha", f(r))],
        "HardSigmoid" => vec![with_float("alpha", f(r)), with_float("beta", f(r))],
        _ => vec![],
    };
    node(d, name, attributes)
}

fn clip(d: &mut Draft, r: &mut Random) -> bool {
    let lower = d.floats(&[], r, [-0.5, 0.0]);
    let upper = d.floats(&[], r, [0.0, 0.5]);
    let (x, _) = d.last();
    match r.below(3) {
        0 => d.node("Clip", &[&x, &lower, &upper], vec![]),
        1 => d.node("Clip", &[&x, &lower], vec![]),
        _ => d.node("Clip", &[&x, "", &upper], vec![]),
    }
}

fn power(d: &mut Draft, r: &mut Random) -> bool {
    let exponent = [2.0, 3.0, 1.0, 0.0, 0.5, -1.0, -2.0, 1.5, 0.7][r.below(9)];
    let natural = exponent >= 0.0 && f32::fract(exponent) == 0.0;
    let exponent = d.constant(&[], vec![exponent]);
    (natural || positive(d)) && with(d, "Pow", &exponent, vec![])
}

fn gated(d: &mut Draft, r: &mut Random) -> bool {
    match r.below(5) {
        0 => node(d, "HardSwish", vec![]),
        1 => node(d, "Mish", vec![]),
        2 => node(d, "Swish", vec![with_float("alpha", 0.7)]),
        3 => node(d, "Gelu", vec![with_word("approximate", "tanh")]),
        _ => node(d, "Gelu", vec![]),
    }
}

fn normalisation(d: &mut Draft, r: &mut Random) -> bool {
    let (x, shape) = d.last();
    if r.below(2) == 0 && shape.len() >= 3 {
        let [scale, bias] = [(); 2].map(|()| d.floats(&[shape[1]], r, [-1.0, 1.0]));
        return d.node("InstanceNormalization", &[&x, &scale, &bias], vec![with_float("epsilon", 0.1)]);
    }
    let axis = r.below(shape.len());
    let [scale, bias] = [(); 2].map(|()| d.floats(&shape[axis..], r, [-1.0, 1.0]));
    let attributes = vec![with_int("axis", int(axis)), with_float("epsilon", 0.1)];
    d.node("LayerNormalization", &[&x, &scale, &bias], attributes)
}

fn slice(d: &mut Draft, r: &mut Random) -> bool {
    let shape = d.shape();
    let axis = r.below(shape.len());
    let backwards = r.below(2) == 0;
    let (start, end, step) = if backwards {
        (-1, i64::MIN, -1)
    } else {
        (int(r.below(shape[axis])), i64::MAX, int(1 + r.below(2)))
    };
    let [start, end, axis, step] = [start, end, int(axis), step].map(|v| d.ints(&[v]));
    let (x, _) = d.last();
    d.node("Slice", &[&x, &start, &end, &axis, &step], vec![])
}

fn gather(d: &mut Draft, r: &mut Random) -> bool {
    let shape = d.shape();
    let axis = r.below(shape.len());
    let indices: Vec<i64> = (0..1 + r.below(4)).map(|_| int(r.below(shape[axis]))).collect();
    let indices = d.ints(&indices);
    with(d, "Gather", &indices, vec![with_int("axis", int(axis))])
}

fn concat(d: &mut Draft, r: &mut Random) -> bool {
    let (x, shape) = d.last();
    let axis = r.below(shape.len());
    let mut own = shape.clone();
    own[axis] = 1 + r.below(3);
    let constant = d.floats(&own, r, [-1.0, 1.0]);
    if !d.node("Cos", &[&x], vec![]) {
        return false;
    }
    let (y, _) = d.last();
    let inputs: [&str; 3] = if r.below(2) == 0 { [&constant, &x, &y] } else { [&y, &constant, &x] };
    d.node("Concat", &inputs, vec![with_int("axis", int(axis))])
}

fn pad(d: &mut Draft, r: &mut Random) -> bool {
    let rank = d.shape().len();
    let pads: Vec<i64> = (0..2 * rank).map(|_| int(r.below(2))).collect();
    let pads = d.ints(&pads);
    let value = d.floats(&[], r, [-1.0, 1.0]);
    let (x, _) = d.last();
    match r.below(3) {
        0 => d.node("Pad", &[&x, &pads, &value], vec![]),
        1 => d.node("Pad", &[&x, &pads], vec![with_word("mode", "edge")]),
        _ => d.node("Pad", &[&x, &pads], vec![]),
    }
}

fn expand(d: &mut Draft, r: &mut Random) -> bool {
    let shape = d.shape();
    let mut to: Vec<i64> =
        shape.iter().map(|s| if *s == 1 { int(1 + r.below(3)) } else { int(*s) }).collect();
    if r.below(2) == 0 {
        to.insert(0, 2);
    }
    let to = d.ints(&to);
    with(d, "Expand", &to, vec![])
}

fn resize(d: &mut Draft, r: &mut Random) -> bool {
    let (x, shape) = d.last();
    let scales =
        shape.iter().enumerate().map(|(a, _)| if a < 2 { 1.0 } else { [1.0, 2.0][r.below(2)] }).collect();
    let scales = d.constant(&[shape.len()], scales);
    let mode = with_word("mode", ["nearest", "linear"][r.below(2)]);
    d.node("Resize", &[&x, "", &scales], vec![mode])
}

fn reduce(d: &mut Draft, r: &mut Random, kinds: &[&str]) -> bool {
    let rank = d.shape().len();
    let mut axes: Vec<i64> = (0..rank).filter(|_| r.below(2) == 0).map(int).collect();
    if axes.is_empty() {
        axes.push(-1);
    }
    let axes = d.ints(&axes);
    let operator = format!("Reduce{}", kinds[r.below(kinds.len())]);
    with(d, &operator, &axes, vec![with_int("keepdims", int(r.below(2)))])
}
