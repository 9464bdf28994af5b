//! Layers over borrowed weights, and the chain of them that is a network.
//!
//! A network is a chain of affine maps, each optionally followed by ReLU:
//! `x₀ → z₁ = A₁x₀ + b₁ → x₁ = relu?(z₁) → … → y`. Three kinds of affine map: [`Dense`] (`W x + b`),
//! [`Sparse`] (the same of few weights) and [`Scale`] (element by element, for input normalisation).
//! Weights are finite `f32`, row-major, and may lie in flash.

use core::fmt;

pub use crate::sparse::{Sparse, SparseRow};

use crate::round::{EtaCount, K_MAX, gamma_factor};

/// Why layers do not form a network, or a buffer does not fit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ShapeError {
    /// A network needs at least one layer, and a layer at least one row and one column.
    Empty,
    /// A slice has `found` elements where the shape asks for `expected`.
    Length {
        /// Elements the shape asks for.
        expected: usize,
        /// Elements the slice has.
        found: usize,
    },
    /// Layer `layer` takes `expected` inputs, the layer before gives `found`.
    Chain {
        /// Index of the layer that does not fit.
        layer: usize,
        /// Inputs that layer takes.
        expected: usize,
        /// Outputs the layer before it gives.
        found: usize,
    },
    /// A weight or bias of layer `layer` is NaN or infinite.
    NonFinite {
        /// Index of that layer.
        layer: usize,
    },
    /// Layer `layer` is too wide for the rounding argument (see [`crate::round`]).
    TooWide {
        /// Index of that layer.
        layer: usize,
    },
    /// The columns of a sparse row do not ascend, or its rows do not follow one another.
    Order,
    /// A buffer has `found` elements where at least `needed` are needed.
    Buffer {
        /// Elements needed.
        needed: usize,
        /// Elements the buffer has.
        found: usize,
    },
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => write!(f, "a layer or network is empty"),
            Self::Length { expected, found } => write!(f, "{found} elements where {expected} are needed"),
            Self::Chain { layer, expected, found } => {
                write!(f, "layer {layer} takes {expected} inputs but the layer before it gives {found}")
            }
            Self::NonFinite { layer } => write!(f, "layer {layer} has a weight that is NaN or infinite"),
            Self::TooWide { layer } => write!(f, "layer {layer} is too wide for the rounding argument"),
            Self::Order => write!(f, "the weights of a sparse layer are out of order"),
            Self::Buffer { needed, found } => {
                write!(f, "buffer of {found} elements where {needed} are needed")
            }
        }
    }
}

impl core::error::Error for ShapeError {}

/// `W x + b` with `W` row-major, `rows × cols`.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a> {
    rows: usize,
    cols: usize,
    weights: &'a [f32],
    bias: &'a [f32],
}

impl<'a> Dense<'a> {
    /// Borrows `weights` (`[rows, cols]`, row-major) and `bias` (`[rows]`).
    ///
    /// # Errors
    /// [`ShapeError::Empty`] if a dimension is 0, [`ShapeError::Length`] if a slice does not fit.
    pub fn new(rows: usize, cols: usize, weights: &'a [f32], bias: &'a [f32]) -> Result<Self, ShapeError> {
        if rows == 0 || cols == 0 {
            return Err(ShapeError::Empty);
        }
        let expected = rows.saturating_mul(cols);
        if weights.len() != expected {
            return Err(ShapeError::Length { expected, found: weights.len() });
        }
        if bias.len() != rows {
            return Err(ShapeError::Length { expected: rows, found: bias.len() });
        }
        Ok(Self { rows, cols, weights, bias })
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Inputs.
    pub fn cols(&self) -> usize {
        self.cols
    }
    /// Weights, `[rows, cols]`, row-major.
    pub fn weights(&self) -> &'a [f32] {
        self.weights
    }
    /// Bias, `[rows]`.
    pub fn bias(&self) -> &'a [f32] {
        self.bias
    }
    /// Each row of weights with its bias.
    pub fn row_iter(&self) -> impl Iterator<Item = (&'a [f32], f32)> {
        self.weights.chunks_exact(self.cols.max(1)).zip(self.bias.iter().copied())
    }
}

/// `scale ⊙ x + shift`, element by element.
#[derive(Clone, Copy, Debug)]
pub struct Scale<'a> {
    scale: &'a [f32],
    shift: &'a [f32],
}

impl<'a> Scale<'a> {
    /// Borrows `scale` and `shift`, both `[n]`.
    ///
    /// # Errors
    /// [`ShapeError::Empty`] if `n` is 0, [`ShapeError::Length`] if the lengths differ.
    pub fn new(scale: &'a [f32], shift: &'a [f32]) -> Result<Self, ShapeError> {
        if scale.is_empty() {
            return Err(ShapeError::Empty);
        }
        if shift.len() != scale.len() {
            return Err(ShapeError::Length { expected: scale.len(), found: shift.len() });
        }
        Ok(Self { scale, shift })
    }

    /// Factors, `[n]`.
    pub fn scale(&self) -> &'a [f32] {
        self.scale
    }
    /// Summands, `[n]`.
    pub fn shift(&self) -> &'a [f32] {
        self.shift
    }
}

/// The affine map of a layer.
#[derive(Clone, Copy, Debug)]
pub enum Affine<'a> {
    /// `W x + b`.
    Dense(Dense<'a>),
    /// `scale ⊙ x + shift`.
    Scale(Scale<'a>),
    /// `W x + b` of few weights.
    Sparse(Sparse<'a>),
}

impl<'a> Affine<'a> {
    /// What is added, one number for each output.
    pub fn bias(&self) -> &'a [f32] {
        match self {
            Self::Dense(dense) => dense.bias,
            Self::Scale(scale) => scale.shift,
            Self::Sparse(sparse) => sparse.bias(),
        }
    }
}

/// An affine map, then ReLU if `relu`.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    affine: Affine<'a>,
    relu: bool,
}

impl<'a> Layer<'a> {
    /// A dense layer.
    pub fn dense(dense: Dense<'a>, relu: bool) -> Self {
        Self { affine: Affine::Dense(dense), relu }
    }
    /// An element-by-element affine layer.
    pub fn scale(scale: Scale<'a>, relu: bool) -> Self {
        Self { affine: Affine::Scale(scale), relu }
    }
    /// A layer of few weights.
    pub fn sparse(sparse: Sparse<'a>, relu: bool) -> Self {
        Self { affine: Affine::Sparse(sparse), relu }
    }
    /// The affine map.
    pub fn affine(&self) -> Affine<'a> {
        self.affine
    }
    /// Whether ReLU follows.
    pub fn relu(&self) -> bool {
        self.relu
    }
    /// Inputs.
    pub fn inputs(&self) -> usize {
        match self.affine {
            Affine::Dense(d) => d.cols,
            Affine::Scale(s) => s.scale.len(),
            Affine::Sparse(s) => s.cols(),
        }
    }
    /// Outputs.
    pub fn outputs(&self) -> usize {
        match self.affine {
            Affine::Dense(d) => d.rows,
            Affine::Scale(s) => s.scale.len(),
            Affine::Sparse(s) => s.rows(),
        }
    }
    /// Roundings on the longest path of one output's `f32` computation, in the order of [`crate::infer`].
    ///
    /// Dense with `n` inputs: one product, at most `min(n, 32)` sums inside a block, `⌈n/32⌉` sums of
    /// blocks. Scale: one product, one sum.
    pub fn forward_roundings(&self) -> usize {
        let of_row = |cols: usize| 1 + cols.min(crate::infer::BLOCK) + cols.div_ceil(crate::infer::BLOCK);
        match self.affine {
            Affine::Dense(d) => of_row(d.cols),
            Affine::Scale(_) => 2,
            Affine::Sparse(s) => of_row(s.cols()),
        }
    }
    /// Products in one output, each of which can underflow by at most half of the smallest subnormal.
    pub fn products(&self) -> EtaCount {
        match self.affine {
            Affine::Dense(d) => d.cols,
            Affine::Scale(_) => 1,
            Affine::Sparse(s) => s.cols(),
        }
    }
    /// Whether both borrow the same constants and apply the same map.
    pub(crate) fn is_same(&self, other: &Layer<'_>) -> bool {
        let same = match (self.affine, other.affine) {
            (Affine::Dense(a), Affine::Dense(b)) => {
                core::ptr::eq(a.weights, b.weights) && core::ptr::eq(a.bias, b.bias) && a.cols == b.cols
            }
            (Affine::Scale(a), Affine::Scale(b)) => {
                core::ptr::eq(a.scale, b.scale) && core::ptr::eq(a.shift, b.shift)
            }
            (Affine::Sparse(a), Affine::Sparse(b)) => a.is_same(&b),
            _ => false,
        };
        same && self.relu == other.relu
    }
    /// Checks that this is layer `index` of a network whose layers before it give `width` values, and
    /// returns the values that this one gives.
    ///
    /// # Errors
    /// [`ShapeError::Chain`], [`ShapeError::NonFinite`] or [`ShapeError::TooWide`].
    pub(crate) fn check(&self, index: usize, width: usize) -> Result<usize, ShapeError> {
        if self.inputs() != width {
            return Err(ShapeError::Chain { layer: index, expected: self.inputs(), found: width });
        }
        if !self.all_finite() {
            return Err(ShapeError::NonFinite { layer: index });
        }
        // A backward product over the outputs, or a sum over the inputs, rounds once more than it has terms.
        let longest = self.forward_roundings().max(self.outputs().max(self.inputs()).saturating_add(1));
        if longest > K_MAX || gamma_factor(longest).is_none() {
            return Err(ShapeError::TooWide { layer: index });
        }
        Ok(self.outputs())
    }
    fn all_finite(&self) -> bool {
        match self.affine {
            Affine::Dense(d) => are_finite(d.weights) && are_finite(d.bias),
            Affine::Scale(s) => are_finite(s.scale) && are_finite(s.shift),
            Affine::Sparse(s) => are_finite(s.values()) && are_finite(s.bias()),
        }
    }
}

/// Whether all values are finite; in blocks, which the compiler vectorises where there are vectors.
fn are_finite(values: &[f32]) -> bool {
    values.chunks(256).all(|block| block.iter().fold(true, |all, v| all & v.is_finite()))
}

/// A checked chain of layers: shapes fit, weights are finite, every layer is inside the range of the
/// rounding argument.
#[derive(Clone, Copy, Debug)]
pub struct Network<'a> {
    layers: &'a [Layer<'a>],
}

impl<'a> Network<'a> {
    /// Checks that `layers` form a network.
    ///
    /// # Errors
    /// Every variant of [`ShapeError`] but `Length` and `Buffer`.
    pub fn new(layers: &'a [Layer<'a>]) -> Result<Self, ShapeError> {
        let mut width = layers.first().ok_or(ShapeError::Empty)?.inputs();
        for (index, layer) in layers.iter().enumerate() {
            width = layer.check(index, width)?;
        }
        Ok(Self { layers })
    }

    /// A network of layers that [`Layer::check`] accepted one after the other; reads no weight.
    pub(crate) fn from_checked(layers: &'a [Layer<'a>]) -> Self {
        Self { layers }
    }

    /// The layers, input first.
    pub fn layers(&self) -> &'a [Layer<'a>] {
        self.layers
    }
    /// Inputs of the network.
    pub fn inputs(&self) -> usize {
        self.layers.first().map_or(0, Layer::inputs)
    }
    /// Outputs of the network.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, Layer::outputs)
    }
    /// Widest of the input and all layers.
    pub fn width(&self) -> usize {
        self.layers.iter().fold(self.inputs(), |w, l| w.max(l.outputs()))
    }
    /// Sum of the outputs of all layers: how many pre-activations CROWN keeps bounds for.
    pub fn neurons(&self) -> usize {
        self.layers.iter().map(Layer::outputs).sum()
    }
}
