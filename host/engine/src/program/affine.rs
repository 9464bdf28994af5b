//! Affine steps: sums of linear maps of earlier values, and a bias.

use std::sync::Arc;

use super::Slot;

/// `f32` constants, each within a stated distance of the real number it stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Constants {
    /// The constants.
    pub values: Vec<f32>,
    /// `error[i]` bounds `|values[i] − real[i]|`; `None` if all are exact (not folded).
    pub error: Option<Vec<f32>>,
}

impl Constants {
    /// Constants of the file, unfolded.
    pub fn exact(values: Vec<f32>) -> Self {
        Self { values, error: None }
    }
    /// How many.
    pub fn len(&self) -> usize {
        self.values.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// `bias + Σ map(x)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// The maps and what they read; at least one.
    pub terms: Vec<Term>,
    /// One for each output; `None` is zero.
    pub bias: Option<Constants>,
}

/// A linear map of one earlier value.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// What it reads.
    pub input: Slot,
    /// The map.
    pub map: Map,
}

/// A linear map.
#[derive(Clone, Debug, PartialEq)]
pub enum Map {
    /// `x`.
    Identity,
    /// `scale ⊙ x`.
    Scale(Constants),
    /// `W` on each of `count` consecutive vectors: `[count, cols] → [count, rows]`.
    Dense {
        /// Vectors that the same `W` is applied to; 1 for a plain layer.
        count: usize,
        /// Outputs of each.
        rows: usize,
        /// Inputs of each.
        cols: usize,
        /// `[rows, cols]`, row-major.
        weights: Arc<Vec<f32>>,
    },
    /// A convolution (ONNX's: a cross-correlation).
    Conv(Conv),
    /// The transpose of a convolution: reads what `Conv` gives, gives what it reads.
    ConvTranspose(Conv),
    /// A sparse matrix.
    Sparse(Sparse),
}

/// A convolution in one or two dimensions (one: height and kernel height 1). Padding is zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Channels of the operand.
    pub channels_in: usize,
    /// Channels of the result.
    pub channels_out: usize,
    /// Groups; both channel numbers are multiples of it.
    pub groups: usize,
    /// Height and width of the operand.
    pub size_in: [usize; 2],
    /// Height and width of the result.
    pub size_out: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Step of the window.
    pub stride: [usize; 2],
    /// Step inside the window.
    pub dilation: [usize; 2],
    /// Zeros before the first row and column (those after follow from the sizes).
    pub pad: [usize; 2],
    /// `[channels_out, channels_in / groups, kernel height, kernel width]`, row-major.
    pub weights: Arc<Vec<f32>>,
}

impl Conv {
    /// Elements of the operand.
    pub fn inputs(&self) -> usize {
        self.channels_in * self.size_in[0] * self.size_in[1]
    }
    /// Elements of the result.
    pub fn outputs(&self) -> usize {
        self.channels_out * self.size_out[0] * self.size_out[1]
    }

    /// Calls `visit(output, input, weight)` with the flat indices of every product that is not padding,
    /// outputs in order, each output's inputs by channel, then row, then column.
    pub fn for_each(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let ([ih, iw], [oh, ow], [kh, kw]) = (self.size_in, self.size_out, self.kernel);
        let (cin, cout) = (self.channels_in / self.groups, self.channels_out / self.groups);
        let at = |o: usize, k: usize, axis: usize| {
            (o * self.stride[axis] + k * self.dilation[axis])
                .checked_sub(self.pad[axis])
                .filter(|i| *i < self.size_in[axis])
        };
        for oc in 0..self.channels_out {
            for oy in 0..oh {
                for ox in 0..ow {
                    let output = (oc * oh + oy) * ow + ox;
                    for c in 0..cin {
                        let ic = oc / cout * cin + c;
                        for ky in 0..kh {
                            let Some(iy) = at(oy, ky, 0) else { continue };
                            for kx in 0..kw {
                                let Some(ix) = at(ox, kx, 1) else { continue };
                                let weight = ((oc * cin + c) * kh + ky) * kw + kx;
                                visit(output, (ic * ih + iy) * iw + ix, weight);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A sparse matrix by rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Sparse {
    /// Inputs.
    pub cols: usize,
    /// Row `i` is `columns[starts[i]..starts[i + 1]]` with the values beside; one more start than rows.
    pub starts: Vec<u32>,
    /// Column of each value.
    pub columns: Vec<u32>,
    /// The values.
    pub values: Constants,
}

impl Sparse {
    /// Outputs.
    pub fn rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// All values, zeros included, `[rows, cols]`, row-major.
    pub fn to_dense(&self) -> Vec<f32> {
        let mut dense = vec![0.0; self.rows() * self.cols];
        self.for_each(|i, j, k| dense[i * self.cols + j] = self.values.values[k]);
        dense
    }

    /// Calls `visit(output, input, value index)` for every stored value, rows in order.
    pub fn for_each(&self, mut visit: impl FnMut(usize, usize, usize)) {
        for (row, w) in self.starts.windows(2).enumerate() {
            (w[0] as usize..w[1] as usize).for_each(|k| visit(row, self.columns[k] as usize, k));
        }
    }
}

impl Map {
    /// Elements it reads and gives, of an operand of `len` elements.
    pub fn shape(&self, len: usize) -> (usize, usize) {
        match self {
            Self::Identity => (len, len),
            Self::Scale(scale) => (scale.len(), scale.len()),
            Self::Dense { count, rows, cols, .. } => (count * cols, count * rows),
            Self::Conv(conv) => (conv.inputs(), conv.outputs()),
            Self::ConvTranspose(conv) => (conv.outputs(), conv.inputs()),
            Self::Sparse(sparse) => (sparse.cols, sparse.rows()),
        }
    }
}
