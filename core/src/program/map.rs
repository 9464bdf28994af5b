//! Linear maps over borrowed constants.

use super::{runs, to_usize};

/// `f32` constants, each within a stated distance of the real number it stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constants<'a> {
    /// The constants.
    pub values: &'a [f32],
    /// `error[i]` bounds `|values[i] − real[i]|`; `None` if all are exact (not folded).
    pub error: Option<&'a [f32]>,
}

impl<'a> Constants<'a> {
    /// Constants without error.
    pub fn exact(values: &'a [f32]) -> Self {
        Self { values, error: None }
    }
    /// The error of each constant, `[n]`; empty if all are exact.
    pub fn errors(&self) -> &'a [f32] {
        self.error.unwrap_or_default()
    }
}

/// A linear map.
#[derive(Clone, Copy, Debug)]
pub enum Map<'a> {
    /// `x`.
    Identity,
    /// `scale ⊙ x`.
    Scale(Constants<'a>),
    /// `W` on each of `count` consecutive vectors: `[count, cols] → [count, rows]`.
    Dense {
        /// Vectors that the same `W` is applied to; 1 for a plain layer.
        count: usize,
        /// Outputs of each.
        rows: usize,
        /// Inputs of each.
        cols: usize,
        /// `[rows, cols]`, row-major.
        weights: &'a [f32],
    },
    /// A convolution (ONNX's: a cross-correlation).
    Conv(Conv<'a>),
    /// The transpose of a convolution: reads what `Conv` gives, gives what it reads.
    ConvTranspose(Conv<'a>),
    /// A sparse matrix.
    Sparse(Sparse<'a>),
}

/// A convolution in one or two dimensions (one: height and kernel height 1). Padding is zero.
#[derive(Clone, Copy, Debug)]
pub struct Conv<'a> {
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
    pub weights: &'a [f32],
}

impl Conv<'_> {
    /// Elements of the operand; saturates.
    pub fn inputs(&self) -> usize {
        let [height, width] = self.size_in;
        self.channels_in.saturating_mul(height).saturating_mul(width)
    }
    /// Elements of the result; saturates.
    pub fn outputs(&self) -> usize {
        let [height, width] = self.size_out;
        self.channels_out.saturating_mul(height).saturating_mul(width)
    }
    /// Channels that one output reads.
    pub fn group_channels_in(&self) -> usize {
        self.channels_in.checked_div(self.groups).unwrap_or(0)
    }
    /// Channels that read one input.
    pub fn group_channels_out(&self) -> usize {
        self.channels_out.checked_div(self.groups).unwrap_or(0)
    }
    /// Positions of the window.
    pub fn taps(&self) -> usize {
        let [height, width] = self.kernel;
        height.saturating_mul(width)
    }

    /// Calls `visit(output, input, weight)` with the flat indices of every product that is not padding,
    /// outputs in order, each output's inputs by channel, then row, then column.
    pub fn for_each(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let ([ih, iw], [oh, ow], [kh, kw]) = (self.size_in, self.size_out, self.kernel);
        let ([sy, sx], [dy, dx], [py, px]) = (self.stride, self.dilation, self.pad);
        let at = |o: usize, s: usize, k: usize, d: usize, p: usize, len: usize| {
            (o * s + k * d).checked_sub(p).filter(|i| *i < len)
        };
        let (cin, cout) = (self.group_channels_in(), self.group_channels_out().max(1));
        for oc in 0..self.channels_out {
            for oy in 0..oh {
                for ox in 0..ow {
                    let output = (oc * oh + oy) * ow + ox;
                    for c in 0..cin {
                        let ic = oc / cout * cin + c;
                        for ky in 0..kh {
                            let Some(iy) = at(oy, sy, ky, dy, py, ih) else { continue };
                            for kx in 0..kw {
                                let Some(ix) = at(ox, sx, kx, dx, px, iw) else { continue };
                                visit(output, (ic * ih + iy) * iw + ix, ((oc * cin + c) * kh + ky) * kw + kx);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A sparse matrix by rows.
#[derive(Clone, Copy, Debug)]
pub struct Sparse<'a> {
    /// Inputs.
    pub cols: usize,
    /// Row `i` is `columns[starts[i]..starts[i + 1]]` with the values beside; one more start than rows.
    pub starts: &'a [u32],
    /// Column of each value.
    pub columns: &'a [u32],
    /// The values.
    pub values: Constants<'a>,
}

impl Sparse<'_> {
    /// Outputs.
    pub fn rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Calls `visit(output, input, value index)` for every stored value, rows in order.
    pub fn for_each(&self, mut visit: impl FnMut(usize, usize, usize)) {
        for (row, run) in runs(self.starts).enumerate() {
            let columns = self.columns.get(run.clone()).unwrap_or_default();
            run.zip(columns).for_each(|(k, column)| visit(row, to_usize(*column), k));
        }
    }
}

impl Map<'_> {
    /// Elements it reads and gives, of an operand of `len` elements; saturates.
    pub fn shape(&self, len: usize) -> (usize, usize) {
        match self {
            Self::Identity => (len, len),
            Self::Scale(scale) => (scale.values.len(), scale.values.len()),
            Self::Dense { count, rows, cols, .. } => {
                (count.saturating_mul(*cols), count.saturating_mul(*rows))
            }
            Self::Conv(conv) => (conv.inputs(), conv.outputs()),
            Self::ConvTranspose(conv) => (conv.outputs(), conv.inputs()),
            Self::Sparse(sparse) => (sparse.cols, sparse.rows()),
        }
    }
}
