//! The table of operators: what import reads, and by which function.
//!
//! `docs/onnx.md` is generated from it.

use super::super::error::Fault;
use super::node::OpenNode;
use super::{
    Builder, constants, elementwise, linear, moves, normalize, pool, reduce, reshape, resize, slice,
};

/// Reads one node.
type Import = fn(&mut Builder<'_>, &OpenNode<'_>) -> Result<(), Fault>;

/// An operator that import reads.
pub struct Operator {
    /// Its name in ONNX.
    pub name: &'static str,
    /// Versions of the operator set from 7 on in which its definition changes (the first: since when it is
    /// read).
    pub versions: &'static [i64],
    /// What is accepted, in words; empty if everything is.
    pub limits: &'static str,
    pub(super) import: Import,
}

/// For operators of other domains.
pub(super) const FOREIGN: &str =
    "only those of the domain ai.onnx are; export without fusions of a runtime (see docs/onnx.md)";

const fn op(name: &'static str, versions: &'static [i64], import: Import, limits: &'static str) -> Operator {
    Operator { name, versions, limits, import }
}

const CONSTANT: &str = "operands constant";
const AXES: &str = "axes constant";

/// Every operator that import reads, by name.
pub static OPERATORS: &[Operator] = &[
    op("Abs", &[7, 13], elementwise::import_unary, ""),
    op("Add", &[7, 13, 14], elementwise::import_binary, ""),
    op("And", &[7], constants::import_comparison, CONSTANT),
    op("Atan", &[7, 22], elementwise::import_unary, ""),
    op("AveragePool", &[7, 10, 11, 19, 22], pool::import_pool, ""),
    op("BatchNormalization", &[7, 9, 14, 15], normalize::import_batch_normalization, "not in training mode"),
    op(
        "Cast",
        &[7, 9, 13, 19, 21, 23, 24, 25],
        constants::import_cast,
        "float and double; integers and bool on constants",
    ),
    op("CastLike", &[15, 19, 21, 23, 24, 25], constants::import_cast, "as Cast"),
    op("Ceil", &[7, 13], elementwise::import_unary, ""),
    op("Celu", &[12], elementwise::import_unary, ""),
    op("Clip", &[7, 11, 12, 13], elementwise::import_clip, "limits constant"),
    op("Concat", &[7, 11, 13], moves::import_concat, ""),
    op(
        "Constant",
        &[7, 9, 11, 12, 13, 19, 21, 23, 24, 25],
        constants::import_constant,
        "no sparse tensors, no text",
    ),
    op("ConstantOfShape", &[9, 20, 21, 23, 24, 25], constants::import_constant_of_shape, CONSTANT),
    op("Conv", &[7, 11, 22], linear::import_conv, ""),
    op("ConvTranspose", &[7, 11, 22], linear::import_conv_transpose, ""),
    op("Cos", &[7, 22], elementwise::import_unary, ""),
    op("DepthToSpace", &[7, 11, 13], moves::import_depth_to_space, ""),
    op("Div", &[7, 13, 14], elementwise::import_binary, ""),
    op("Dropout", &[7, 10, 12, 13, 22], reshape::import_dropout, "not in training mode; no mask"),
    op("Elu", &[7, 22], elementwise::import_unary, ""),
    op("Equal", &[7, 11, 13, 19], constants::import_comparison, CONSTANT),
    op("Erf", &[9, 13], elementwise::import_unary, ""),
    op("Exp", &[7, 13], elementwise::import_unary, ""),
    op("Expand", &[8, 13], moves::import_expand, "shape constant"),
    op("Flatten", &[7, 9, 11, 13, 21, 23, 24, 25], reshape::import_flatten, ""),
    op("Floor", &[7, 13], elementwise::import_unary, ""),
    op("Gather", &[7, 11, 13], moves::import_gather, "indices constant"),
    op("GatherElements", &[11, 13], moves::import_gather_elements, "indices constant"),
    op("Gelu", &[20], elementwise::import_unary, ""),
    op("Gemm", &[7, 9, 11, 13], linear::import_gemm, ""),
    op("GlobalAveragePool", &[7, 22], pool::import_global_pool, ""),
    op("GlobalMaxPool", &[7, 22], pool::import_global_pool, ""),
    op("Greater", &[7, 9, 13], constants::import_comparison, CONSTANT),
    op("GreaterOrEqual", &[12, 16], constants::import_comparison, CONSTANT),
    op("GroupNormalization", &[18, 21], normalize::import_group_normalization, ""),
    op("HardSigmoid", &[7, 22], elementwise::import_unary, ""),
    op("HardSwish", &[14, 22], elementwise::import_unary, ""),
    op("Identity", &[7, 13, 14, 16, 19, 21, 23, 24, 25], reshape::import_identity, ""),
    op("InstanceNormalization", &[7, 22], normalize::import_group_normalization, ""),
    op("LayerNormalization", &[17], normalize::import_layer_normalization, "no mean or deviation as outputs"),
    op("LeakyRelu", &[7, 16], elementwise::import_unary, ""),
    op("Less", &[7, 9, 13], constants::import_comparison, CONSTANT),
    op("LessOrEqual", &[12, 16], constants::import_comparison, CONSTANT),
    op("Log", &[7, 13], elementwise::import_unary, ""),
    op("LogSoftmax", &[7, 11, 13], normalize::import_softmax, ""),
    op("MatMul", &[7, 9, 13], linear::import_matmul, ""),
    op("Max", &[7, 8, 12, 13], elementwise::import_variadic, ""),
    op("MaxPool", &[7, 8, 10, 11, 12, 22], pool::import_pool, "no indices"),
    op("Mean", &[7, 8, 13], elementwise::import_variadic, ""),
    op("Min", &[7, 8, 12, 13], elementwise::import_variadic, ""),
    op("Mish", &[18, 22], elementwise::import_unary, ""),
    op("Mod", &[10, 13], constants::import_comparison, "constant integers"),
    op("Mul", &[7, 13, 14], elementwise::import_binary, ""),
    op("Neg", &[7, 13], elementwise::import_unary, ""),
    op("Not", &[7], constants::import_not, CONSTANT),
    op("Or", &[7], constants::import_comparison, CONSTANT),
    op("PRelu", &[7, 9, 16], elementwise::import_prelu, ""),
    op("Pad", &[7, 11, 13, 18, 19, 21, 23, 24, 25], slice::import_pad, "pads and value constant"),
    op("Pow", &[7, 12, 13, 15], elementwise::import_pow, ""),
    op("RMSNormalization", &[23], normalize::import_rms_normalization, ""),
    op("Range", &[11], constants::import_range, "constant; numbers whole"),
    op("Reciprocal", &[7, 13], elementwise::import_unary, ""),
    op("ReduceL1", &[7, 11, 13, 18], reduce::import_reduce, AXES),
    op("ReduceL2", &[7, 11, 13, 18], reduce::import_reduce, AXES),
    op("ReduceLogSum", &[7, 11, 13, 18], reduce::import_reduce, AXES),
    op("ReduceLogSumExp", &[7, 11, 13, 18], reduce::import_reduce, AXES),
    op("ReduceMax", &[7, 11, 12, 13, 18, 20], reduce::import_reduce, AXES),
    op("ReduceMean", &[7, 11, 13, 18], reduce::import_reduce, AXES),
    op("ReduceMin", &[7, 11, 12, 13, 18, 20], reduce::import_reduce, AXES),
    op("ReduceProd", &[7, 11, 13, 18], reduce::import_reduce, AXES),
    op("ReduceSum", &[7, 11, 13], reduce::import_reduce, AXES),
    op("ReduceSumSquare", &[7, 11, 13, 18], reduce::import_reduce, AXES),
    op("Relu", &[7, 13, 14], elementwise::import_unary, ""),
    op("Reshape", &[7, 13, 14, 19, 21, 23, 24, 25], reshape::import_reshape, "shape constant"),
    op(
        "Resize",
        &[10, 11, 13, 18, 19],
        resize::import_resize,
        "nearest; linear by powers of two without aligned corners; sizes or scales constant",
    ),
    op("Round", &[11, 22], elementwise::import_unary, ""),
    op("Selu", &[7, 22], elementwise::import_unary, ""),
    op("Shape", &[7, 13, 15, 19, 21, 23, 24, 25], constants::import_shape, ""),
    op("Sigmoid", &[7, 13], elementwise::import_unary, ""),
    op("Sign", &[9, 13], elementwise::import_unary, ""),
    op("Sin", &[7, 22], elementwise::import_unary, ""),
    op("Size", &[7, 13, 19, 21, 23, 24, 25], constants::import_size, ""),
    op("Slice", &[7, 10, 11, 13], slice::import_slice, "starts, ends, axes and steps constant"),
    op("Softmax", &[7, 11, 13], normalize::import_softmax, ""),
    op("Softplus", &[7, 22], elementwise::import_unary, ""),
    op("Softsign", &[7, 22], elementwise::import_unary, ""),
    op("SpaceToDepth", &[7, 13], moves::import_depth_to_space, ""),
    op("Split", &[7, 11, 13, 18], slice::import_split, "sizes constant"),
    op("Sqrt", &[7, 13], elementwise::import_unary, ""),
    op("Squeeze", &[7, 11, 13, 21, 23, 24, 25], reshape::import_squeeze, AXES),
    op("Sub", &[7, 13, 14], elementwise::import_binary, ""),
    op("Sum", &[7, 8, 13], elementwise::import_variadic, ""),
    op("Swish", &[24], elementwise::import_unary, ""),
    op("Tan", &[7, 22], elementwise::import_unary, ""),
    op("Tanh", &[7, 13], elementwise::import_unary, ""),
    op("ThresholdedRelu", &[10, 22], elementwise::import_unary, ""),
    op("Tile", &[7, 13], moves::import_tile, "repeats constant"),
    op("Transpose", &[7, 13, 21, 23, 24, 25], moves::import_transpose, ""),
    op("Trilu", &[14], moves::import_trilu, ""),
    op("Unsqueeze", &[7, 11, 13, 21, 23, 24, 25], reshape::import_squeeze, AXES),
    op("Upsample", &[7, 9], resize::import_resize, "as Resize"),
    op("Where", &[9, 16], moves::import_where, "condition constant"),
    op("Xor", &[7], constants::import_comparison, CONSTANT),
];

/// The operator called `name`, or what to do instead of using it.
pub(super) fn find(name: &str) -> Result<&'static Operator, &'static str> {
    match OPERATORS.binary_search_by(|o| o.name.cmp(name)) {
        Ok(index) => Ok(&OPERATORS[index]),
        Err(_) => Err(way_out(name)),
    }
}

fn way_out(name: &str) -> &'static str {
    match name {
        "If" | "Loop" | "Scan" | "SequenceMap" => {
            "networks have no control flow here; trace the model with fixed shapes before export"
        }
        "LSTM" | "GRU" | "RNN" => {
            "unroll it over the time steps before export (its products, Sigmoid and Tanh are read)"
        }
        "ArgMax" | "ArgMin" | "TopK" | "Hardmax" | "NonMaxSuppression" => {
            "cut the network before it: properties compare the scores themselves"
        }
        "Bernoulli" | "Multinomial" | "RandomNormal" | "RandomNormalLike" | "RandomUniform"
        | "RandomUniformLike" => "a network with chance has no one meaning; export it in evaluation mode",
        "QuantizeLinear"
        | "DequantizeLinear"
        | "DynamicQuantizeLinear"
        | "QLinearConv"
        | "QLinearMatMul"
        | "ConvInteger"
        | "MatMulInteger" => "export the network in f32, before quantisation",
        "Einsum" => "write it with Transpose, Reshape and MatMul before export",
        "Attention" | "MultiHeadAttention" => "export with an operator set that spells it out (18 does)",
        _ => "docs/onnx.md lists those that are; write it with them before export",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_sorted_so_that_they_are_found() {
        assert!(OPERATORS.windows(2).all(|w| w[0].name < w[1].name));
        assert!(OPERATORS.iter().all(|o| o.versions.is_sorted() && o.versions[0] >= 7));
        for operator in OPERATORS {
            assert_eq!(find(operator.name).ok().map(|o| o.name), Some(operator.name));
        }
        assert!(find("relu").is_err());
    }
}
