//! Operators of the network: what is left once import has settled attributes, defaults and operator sets.
//!
//! Several operators of ONNX become one here. Whatever only moves elements (Transpose, Slice, Gather, Concat,
//! Split, Pad, Expand, Tile, nearest Resize, …) is an [`Op::Index`]; whatever keeps their order (Flatten,
//! Squeeze, Dropout, …) an [`Op::Reshape`]; global pooling is an [`Op::Reduce`]. Axes are counted from the
//! front, shapes are known, so no operator set matters any more. [`super::Node::operator`] keeps the name in
//! the file for messages.

use std::sync::Arc;

use super::window::Window;

/// What a node computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `alpha · A'·B' + beta · C`: `A'` `[M, K]` is the first operand or its transpose, `B'` `[K, N]` the
    /// second or its transpose, `C`, if there is a third, is broadcast to `[M, N]`.
    Gemm {
        /// Factor of the product.
        alpha: f32,
        /// Factor of `C`.
        beta: f32,
        /// Whether `A` is given as `[K, M]`.
        trans_a: bool,
        /// Whether `B` is given as `[N, K]`.
        trans_b: bool,
    },
    /// Matrix product over the last two dimensions, the others broadcast.
    MatMul,
    /// Cross-correlation of `X` `[N, C, size_in…]` with `W` `[M, C / groups, kernel…]`, plus `B` `[M]` if there
    /// is a third operand, to `[N, M, size_out…]`. Outside its bounds `X` is 0.
    Conv {
        /// Kernel, steps and sizes.
        window: Window,
        /// Groups; both channel numbers are multiples of it.
        groups: usize,
    },
    /// The transpose of a convolution: `X` `[N, C, size_out…]` and `W` `[C, M / groups, kernel…]`, plus `B`
    /// `[M]` if there is a third operand, to `[N, M, size_in…]`. The window is that of the convolution whose
    /// transpose this is, so `X` has its *output* size.
    ConvTranspose {
        /// Kernel, steps and sizes.
        window: Window,
        /// Groups; both channel numbers are multiples of it.
        groups: usize,
    },
    /// Largest element in each window of each channel, padding not counted: `[N, C, size_in…]` to
    /// `[N, C, size_out…]`.
    MaxPool(Window),
    /// Mean of each window of each channel; [`Window::average_divisors`] gives what each sum is divided by.
    AveragePool {
        /// Kernel, steps and sizes.
        window: Window,
        /// Whether padding counts as zeros.
        count_include_pad: bool,
    },
    /// `(X − mean) / √(var + epsilon) · scale + B` along axis 1; operands `X`, `scale`, `B`, `mean`, `var`,
    /// the last four `[C]`.
    BatchNormalization {
        /// Added to the variance.
        epsilon: f32,
    },
    /// Each run of `size` consecutive elements, less its mean, over the root of its variance plus `epsilon`.
    /// The core of LayerNormalization, InstanceNormalization and GroupNormalization; their scale and bias
    /// are nodes of their own.
    Normalize {
        /// Elements normalised together; divides the length of the operand.
        size: usize,
        /// Added to the variance (the mean of squares, not the sample variance).
        epsilon: f32,
    },
    /// `exp(x) / Σ exp(x)` along the middle of the operand seen as `[outer, size, inner]`.
    Softmax {
        /// Product of the dimensions before.
        outer: usize,
        /// Elements that sum to 1.
        size: usize,
        /// Product of the dimensions behind.
        inner: usize,
        /// Whether the logarithm of the result is taken (LogSoftmax).
        log: bool,
    },
    /// A function of one number on each element.
    Unary(Unary),
    /// A function of two numbers on each pair of elements, operands broadcast.
    Binary(Binary),
    /// A function of many numbers along some axes. The output has the operand's shape without the axes, or
    /// with size 1 there; its elements are in the same order either way.
    Reduce {
        /// The function.
        kind: Reduce,
        /// The axes, ascending; none reduces each element alone.
        axes: Vec<usize>,
    },
    /// `y[i] = x[indices[i]]`, `x` the operands (computed or constant) one after the other.
    Index {
        /// Where each output element comes from.
        indices: Arc<[u32]>,
    },
    /// The same elements in the same order under another shape.
    Reshape,
}

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    /// `max(x, 0)`.
    Relu,
    /// `x` where `x ≥ 0`, else `slope · x`.
    LeakyRelu {
        /// Slope on the negative side.
        slope: f32,
    },
    /// `x` where `x > alpha`, else 0.
    ThresholdedRelu {
        /// Threshold.
        alpha: f32,
    },
    /// `gamma · x` where `x > 0`, else `gamma · alpha · (exp(x / divisor) − 1)`: Elu (gamma 1, divisor 1),
    /// Selu (divisor 1), Celu (gamma 1, divisor alpha).
    Elu {
        /// Depth on the negative side.
        alpha: f32,
        /// Factor of the whole.
        gamma: f32,
        /// What the exponent is divided by.
        divisor: f32,
    },
    /// `1 / (1 + exp(−x))`.
    Sigmoid,
    /// `min(max(alpha · x + beta, 0), 1)`.
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Value at 0.
        beta: f32,
    },
    /// `x · min(max(x / 6 + 1/2, 0), 1)`.
    HardSwish,
    /// `x / (1 + exp(−alpha · x))`.
    Swish {
        /// Factor in the exponent.
        alpha: f32,
    },
    /// `x · tanh(log(1 + exp(x)))`.
    Mish,
    /// Hyperbolic tangent.
    Tanh,
    /// `log(1 + exp(x))`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// Gauss error function.
    Erf,
    /// `x/2 · (1 + erf(x / √2))`.
    Gelu,
    /// `x/2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))`.
    GeluTanh,
    /// `exp(x)`.
    Exp,
    /// Natural logarithm.
    Log,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Tangent.
    Tan,
    /// Arc tangent.
    Atan,
    /// Square root.
    Sqrt,
    /// `1 / x`.
    Reciprocal,
    /// `x` to a constant power.
    Pow {
        /// The exponent.
        exponent: f32,
    },
    /// `|x|`.
    Abs,
    /// `−x`.
    Neg,
    /// −1, 0 or 1.
    Sign,
    /// Greatest integer not above `x`.
    Floor,
    /// Smallest integer not below `x`.
    Ceil,
    /// Nearest integer, halves to even.
    Round,
    /// `min(max(x, lower), upper)`; an open side is `f32::MIN` or `f32::MAX`.
    Clip {
        /// Smallest value.
        lower: f32,
        /// Largest value, at least `lower`.
        upper: f32,
    },
}

/// A function of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient.
    Div,
    /// Left to the power of right; [`Unary::Pow`] where the exponent is one constant.
    Pow,
    /// Larger of the two.
    Max,
    /// Smaller of the two.
    Min,
    /// Left where it is at least 0, else left times right (the slope).
    PRelu,
}

/// A function of many numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduce {
    /// Sum.
    Sum,
    /// Mean.
    Mean,
    /// Largest.
    Max,
    /// Smallest.
    Min,
    /// Product.
    Prod,
    /// Sum of absolute values.
    L1,
    /// Root of the sum of squares.
    L2,
    /// Sum of squares.
    SumSquare,
    /// Logarithm of the sum.
    LogSum,
    /// Logarithm of the sum of exponentials.
    LogSumExp,
}
