//! The chain of affine layers with ReLU that today's proofs and devices read.
//!
//! A [`crate::Program`] that is such a chain becomes one without rounding any constant, so the chain over the
//! reals *is* the network over the reals. It owns what [`certus_core::Network`] borrows.

mod from_program;

pub use from_program::ChainError;

use std::borrow::Cow;

use certus_core::{Dense, Layer, Network, Scale, ShapeError};

use crate::program::Sparse;

/// An affine map that owns its constants.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnedAffine {
    /// `W x + b`; `weights` `[rows, cols]` row-major, `bias` `[rows]`.
    Dense {
        /// Outputs.
        rows: usize,
        /// Inputs.
        cols: usize,
        /// `[rows, cols]`, row-major.
        weights: Vec<f32>,
        /// `[rows]`.
        bias: Vec<f32>,
    },
    /// `scale ⊙ x + shift`, both `[n]`.
    Scale {
        /// Factors, `[n]`.
        scale: Vec<f32>,
        /// Summands, `[n]`.
        shift: Vec<f32>,
    },
    /// `W x + b` of few weights: means the dense layer with zeros in all other places, and is that layer wherever layers are
    /// named, stored or exported.
    Sparse {
        /// `W` with exact values, columns ascending in each row.
        matrix: Sparse,
        /// `[rows]`.
        bias: Vec<f32>,
    },
}

impl OwnedAffine {
    /// Outputs.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Dense { rows, .. } => *rows,
            Self::Scale { scale, .. } => scale.len(),
            Self::Sparse { matrix, .. } => matrix.rows(),
        }
    }

    /// The same map, its weights written out if they are few.
    pub fn written_out(&self) -> Cow<'_, Self> {
        let Self::Sparse { matrix, bias } = self else { return Cow::Borrowed(self) };
        let (rows, cols) = (matrix.rows(), matrix.cols);
        Cow::Owned(Self::Dense { rows, cols, weights: matrix.to_dense(), bias: bias.clone() })
    }
}

/// An affine map, then ReLU if `relu`.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedLayer {
    /// The affine map.
    pub affine: OwnedAffine,
    /// Whether ReLU follows.
    pub relu: bool,
}

impl OwnedLayer {
    fn as_core(&self) -> Result<Layer<'_>, ShapeError> {
        Ok(match &self.affine {
            OwnedAffine::Dense { rows, cols, weights, bias } => {
                Layer::dense(Dense::new(*rows, *cols, weights, bias)?, self.relu)
            }
            OwnedAffine::Scale { scale, shift } => Layer::scale(Scale::new(scale, shift)?, self.relu),
            OwnedAffine::Sparse { matrix, bias } => {
                let lists = [matrix.starts.as_slice(), matrix.columns.as_slice()];
                let sparse = certus_core::Sparse::new(matrix.cols, lists, &matrix.values.values, bias)?;
                Layer::sparse(sparse, self.relu)
            }
        })
    }
}

/// A checked chain of layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    layers: Vec<OwnedLayer>,
    inputs: usize,
    outputs: usize,
}

impl Chain {
    /// Checks that `layers` form a network: shapes chain, constants are finite, widths are in range.
    ///
    /// # Errors
    /// [`ShapeError`] as [`Network::new`] gives it.
    pub fn new(layers: Vec<OwnedLayer>) -> Result<Self, ShapeError> {
        let (inputs, outputs) = {
            let borrowed = layers.iter().map(OwnedLayer::as_core).collect::<Result<Vec<_>, _>>()?;
            let network = Network::new(&borrowed)?;
            (network.inputs(), network.outputs())
        };
        Ok(Self { layers, inputs, outputs })
    }

    /// The layers, input first.
    pub fn layers(&self) -> &[OwnedLayer] {
        &self.layers
    }
    /// Inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }
    /// Outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The same layers for the core; `Network::new(&layers)` succeeds on them.
    pub fn core_layers(&self) -> Vec<Layer<'_>> {
        self.layers.iter().map(|l| l.as_core().expect("checked by Chain::new")).collect()
    }

    /// The meaning `F32`: the device's forward pass, bit for bit.
    ///
    /// # Panics
    /// If `input` is not `[inputs]`.
    pub fn eval_f32(&self, input: &[f32]) -> Vec<f32> {
        let layers = self.core_layers();
        let network = Network::new(&layers).expect("checked by Chain::new");
        let mut scratch = vec![0.0; certus_core::infer::forward_scratch_len(&network)];
        let mut output = vec![0.0; self.outputs];
        certus_core::infer::forward(&network, input, &mut scratch, &mut output)
            .expect("input has the shape [inputs]");
        output
    }

    /// Plain evaluation in `f64` (an estimate of the meaning `Real`).
    ///
    /// # Panics
    /// If `input` is not `[inputs]`.
    pub fn eval_f64(&self, input: &[f64]) -> Vec<f64> {
        assert_eq!(input.len(), self.inputs, "input has the shape [inputs]");
        let mut x = input.to_vec();
        for layer in &self.layers {
            let mut z: Vec<f64> = match &layer.affine {
                OwnedAffine::Dense { cols, weights, bias, .. } => weights
                    .chunks_exact(*cols)
                    .zip(bias)
                    .map(|(row, b)| {
                        f64::from(*b) + row.iter().zip(&x).map(|(w, x)| f64::from(*w) * x).sum::<f64>()
                    })
                    .collect(),
                OwnedAffine::Sparse { matrix, bias } => {
                    let mut sums = vec![0.0; bias.len()];
                    matrix.for_each(|i, j, k| sums[i] += f64::from(matrix.values.values[k]) * x[j]);
                    bias.iter().zip(sums).map(|(b, s)| f64::from(*b) + s).collect()
                }
                OwnedAffine::Scale { scale, shift } => x
                    .iter()
                    .zip(scale)
                    .zip(shift)
                    .map(|((x, s), t)| f64::from(*s) * x + f64::from(*t))
                    .collect(),
            };
            if layer.relu {
                z.iter_mut().for_each(|z| *z = z.max(0.0));
            }
            x = z;
        }
        x
    }
}
