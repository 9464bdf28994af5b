//! The operations of a graph.

use std::hash::Hash;

/// An `f64` that can be compared and hashed: by its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scalar(u64);

impl From<f64> for Scalar {
    fn from(x: f64) -> Self {
        Self(x.to_bits())
    }
}

impl Scalar {
    /// The number.
    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// A function of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    /// `−x`.
    Neg,
    /// `|x|`.
    Abs,
    /// `−1`, `0` or `1`; its derivative is 0.
    Sign,
    /// `max(x, 0)`.
    Relu,
    /// 1 where `x > 0`, else 0; its derivative is 0.
    Step,
    /// `eˣ`.
    Exp,
    /// Natural logarithm.
    Log,
    /// `√x`; its derivative at 0 is taken as 0.
    Sqrt,
    /// `1/x`, and 0 at 0.
    Recip,
    /// `x²`.
    Square,
    /// Hyperbolic tangent.
    Tanh,
    /// `1/(1 + e⁻ˣ)`.
    Sigmoid,
    /// `x·c`.
    Scale(Scalar),
    /// `x + c`.
    Shift(Scalar),
}

/// A function of two elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// `a + b`.
    Add,
    /// `a − b`.
    Sub,
    /// `a·b`.
    Mul,
    /// `max(a, b)`.
    Max,
    /// `min(a, b)`.
    Min,
    /// 1 where `a > b`, else 0; its derivative is 0.
    Greater,
    /// 1 where `a = b`, else 0; its derivative is 0.
    Equal,
}

/// One axis of a tensor, by its place in memory: element `k` lies at index `k / inner % len` of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Axis {
    /// Elements of the axes before.
    pub outer: usize,
    /// Elements of the axis itself.
    pub len: usize,
    /// Elements of the axes behind.
    pub inner: usize,
}

impl Axis {
    /// Elements in all.
    pub fn elements(self) -> usize {
        self.outer * self.len * self.inner
    }
}

/// A two-dimensional convolution of images `[channels_in, size_in, lanes]` with weights
/// `[channels_out, channels_in / groups, kernel]` to `[channels_out, size_out, lanes]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv {
    /// Channels of the input, of the output.
    pub channels: [usize; 2],
    /// Height and width of the input.
    pub size_in: [usize; 2],
    /// Height and width of the output.
    pub size_out: [usize; 2],
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Steps of the window.
    pub stride: [usize; 2],
    /// Zeros before the first row and the first column.
    pub pad: [usize; 2],
    /// Groups of channels that do not mix; divides both numbers of channels.
    pub groups: usize,
}

impl Conv {
    /// The shape of the weights.
    pub fn weights(&self) -> [usize; 4] {
        [self.channels[1], self.channels[0] / self.groups, self.kernel[0], self.kernel[1]]
    }

    /// Elements of an input and of an output.
    pub fn elements(&self) -> [usize; 2] {
        let area = |s: [usize; 2]| s[0] * s[1];
        [self.channels[0] * area(self.size_in), self.channels[1] * area(self.size_out)]
    }
}

/// What a node computes from its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// A tensor that is handed over, by number.
    Leaf(u32),
    /// A tensor that the graph holds, by number.
    Tensor(u32),
    /// The same number everywhere.
    Constant(Scalar),
    /// A function of each element.
    Unary(Unary),
    /// A function of pairs of elements.
    Binary(Binary),
    /// A vector `[len]` repeated along the other axes. The derivative of [`Op::Sum`].
    Expand(Axis),
    /// Sums along all axes but one: `[len]`. The derivative of [`Op::Expand`].
    Sum(Axis),
    /// As [`Op::Sum`], the largest element.
    Largest(Axis),
    /// The same elements in another shape.
    Reshape,
    /// `A·B`, each transposed if marked.
    MatMul([bool; 2]),
    /// Images and weights to images.
    Conv(Conv),
    /// Gradient of [`Op::Conv`] to its images, from that of its output and the weights.
    ConvData(Conv),
    /// Gradient of [`Op::Conv`] to its weights, from that of its output and the images.
    ConvWeight(Conv),
    /// `rows` entries of the first axis, from `start` on.
    Slice {
        /// First entry.
        start: usize,
    },
    /// Zeros, with the input's entries of the first axis from `start` on. The derivative of [`Op::Slice`].
    Embed {
        /// First entry that is not zero.
        start: usize,
    },
    /// Each run of `inner` elements `times` times over. The derivative of [`Op::Fold`].
    Repeat {
        /// How often.
        times: usize,
        /// Elements of a run.
        inner: usize,
    },
    /// Sums of `times` runs of `inner` elements each. The derivative of [`Op::Repeat`].
    Fold {
        /// How many.
        times: usize,
        /// Elements of a run.
        inner: usize,
    },
    /// The same elements, without a derivative.
    Detach,
}

impl Op {
    /// Whether each element depends on the same elements of the inputs alone.
    pub fn is_elementwise(self) -> bool {
        matches!(self, Self::Unary(_) | Self::Binary(_))
    }
}
