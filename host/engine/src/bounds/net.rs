//! The search's form of a network.

use crate::chain::{Chain, OwnedAffine};
use crate::property::Row;
use certus_kernels::Packed;

/// A dense layer followed by ReLU.
#[derive(Clone, Debug)]
pub struct Hidden {
    /// Neurons.
    pub rows: usize,
    /// Inputs.
    pub cols: usize,
    /// `[rows, cols]`, row-major.
    pub weights: Vec<f32>,
    /// `[rows]`.
    pub bias: Vec<f32>,
    /// `[cols, rows]`: the transpose, for interval steps.
    pub transposed: Vec<f32>,
    /// `W`, for forward products.
    pub forward: Packed<f32>,
    /// `Wᵀ`, for backward products.
    pub backward: Packed<f32>,
}

impl Hidden {
    fn new(map: &Affine64) -> Self {
        let (rows, cols) = (map.bias.len(), map.cols);
        let weights: Vec<f32> = map.weights.iter().map(|w| *w as f32).collect();
        let transposed = (0..cols * rows).map(|k| weights[(k % rows) * cols + k / rows]).collect();
        Self {
            rows,
            cols,
            bias: map.bias.iter().map(|b| *b as f32).collect(),
            transposed,
            forward: Packed::new(rows, cols, |i, j| weights[i * cols + j]),
            backward: Packed::new(cols, rows, |j, i| weights[i * cols + j]),
            weights,
        }
    }
}

/// `W x + b` in `f64`, while layers are being merged.
#[derive(Clone, Debug)]
struct Affine64 {
    cols: usize,
    weights: Vec<f64>,
    bias: Vec<f64>,
}

impl Affine64 {
    fn of(affine: &OwnedAffine) -> Self {
        match affine {
            OwnedAffine::Dense { cols, weights, bias, .. } => Self {
                cols: *cols,
                weights: weights.iter().map(|w| f64::from(*w)).collect(),
                bias: bias.iter().map(|b| f64::from(*b)).collect(),
            },
            OwnedAffine::Scale { scale, shift } => {
                let n = scale.len();
                let mut weights = vec![0.0; n * n];
                scale.iter().enumerate().for_each(|(i, s)| weights[i * n + i] = f64::from(*s));
                Self { cols: n, weights, bias: shift.iter().map(|b| f64::from(*b)).collect() }
            }
        }
    }

    fn identity(n: usize) -> Self {
        let mut weights = vec![0.0; n * n];
        (0..n).for_each(|i| weights[i * n + i] = 1.0);
        Self { cols: n, weights, bias: vec![0.0; n] }
    }

    /// `self ∘ first`.
    fn after(&self, first: &Self) -> Self {
        let (rows, inner, cols) = (self.bias.len(), self.cols, first.cols);
        let mut weights = vec![0.0; rows * cols];
        let mut bias = self.bias.clone();
        for i in 0..rows {
            for k in 0..inner {
                let a = self.weights[i * inner + k];
                if a != 0.0 {
                    bias[i] += a * first.bias[k];
                    let (out, row) = (&mut weights[i * cols..][..cols], &first.weights[k * cols..][..cols]);
                    out.iter_mut().zip(row).for_each(|(o, w)| *o += a * w);
                }
            }
        }
        Self { cols, weights, bias }
    }
}

/// A program as the search reads it: hidden layers with ReLU, then one affine layer.
#[derive(Clone, Debug)]
pub struct Net {
    /// Inputs.
    pub inputs: usize,
    /// The layers with ReLU, input first. May be empty.
    pub hidden: Vec<Hidden>,
    last: Affine64,
}

impl Net {
    /// Merges neighbouring affine layers of `program` (in `f64`, rounded to `f32` at the end).
    pub fn new(chain: &Chain) -> Self {
        let mut hidden = Vec::new();
        let mut pending: Option<Affine64> = None;
        let mut width = chain.inputs();
        for layer in chain.layers() {
            let affine = Affine64::of(&layer.affine);
            let merged = match pending.take() {
                Some(first) => affine.after(&first),
                None => affine,
            };
            width = merged.bias.len();
            if layer.relu {
                hidden.push(Hidden::new(&merged));
            } else {
                pending = Some(merged);
            }
        }
        let last = pending.unwrap_or_else(|| Affine64::identity(width));
        Self { inputs: chain.inputs(), hidden, last }
    }

    /// Neurons with ReLU.
    pub fn neurons(&self) -> usize {
        self.hidden.iter().map(|h| h.rows).sum()
    }

    /// Widest of the input and the hidden layers.
    pub fn width(&self) -> usize {
        self.hidden.iter().fold(self.inputs, |w, h| w.max(h.rows))
    }

    /// Outputs.
    pub fn outputs(&self) -> usize {
        self.last.bias.len()
    }

    /// Folds `rows` (`coefficients·y ≤ rhs` is to be refuted) into the last layer.
    pub fn spec(&self, rows: &[&Row]) -> Spec {
        let map = Affine64 {
            cols: self.outputs(),
            weights: rows.iter().flat_map(|r| r.coefficients.iter().copied()).collect(),
            bias: rows.iter().map(|r| -r.rhs_upper).collect(),
        };
        let folded = map.after(&self.last);
        Spec::new(&folded)
    }

    /// The outputs themselves as rows.
    pub fn output_spec(&self) -> Spec {
        Spec::new(&self.last)
    }
}

/// Rows over the last hidden layer: `weights·x + bias` equals `coefficients·y − rhs`, positive iff the row is refuted.
#[derive(Clone, Debug)]
pub struct Spec {
    /// How many rows.
    pub rows: usize,
    /// Neurons of the last hidden layer (or inputs).
    pub cols: usize,
    /// `[rows, cols]`, row-major.
    pub weights: Vec<f32>,
    /// `[rows]`.
    pub bias: Vec<f32>,
    /// The rows as a matrix, for forward products.
    pub forward: Packed<f32>,
}

impl Spec {
    fn new(map: &Affine64) -> Self {
        let (rows, cols) = (map.bias.len(), map.cols);
        let weights: Vec<f32> = map.weights.iter().map(|w| *w as f32).collect();
        let bias = map.bias.iter().map(|b| *b as f32).collect();
        let forward = Packed::new(rows, cols, |i, j| weights[i * cols + j]);
        Self { rows, cols, weights, bias, forward }
    }
}
