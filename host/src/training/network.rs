//! Trained networks as what bounds, proofs and runtimes read.
//!
//! What leaves training is the *folded* network ([`Model::folded`]) behind its [`Normalise`], if it has one: a single network of dense layers,
//! convolutions and ReLUs over the units of the data. Every number that is published is one of this network.

use std::sync::Arc;

use certus_engine::program::{Builder, Constants, Conv, Function, Map, Program, ProgramError, Slot};
use certus_learn::data::Set;
use certus_learn::model::{Model, Shaped};

/// What the network does to its input before anything else: `x · scale + shift`, element by element.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalise {
    /// Factor of each element, above 0, `[inputs]`.
    pub scale: Vec<f32>,
    /// What is added then, `[inputs]`.
    pub shift: Vec<f32>,
}

impl Normalise {
    /// To mean 0 and standard deviation 1 over the inputs of `set`; elements that do not vary are only shifted. Elements of the same channel of an
    /// image are treated alike.
    pub fn of(set: &Set) -> Self {
        let width = set.width();
        // A convolution's zeros around the image are to mean the same at each pixel.
        let (groups, area) = match set.shape[..] {
            [channels, height, columns] => (channels, height * columns),
            _ => (width, 1),
        };
        let (mut sum, mut square) = (vec![0.0f64; groups], vec![0.0f64; groups]);
        for row in set.inputs.chunks_exact(width.max(1)) {
            for (at, x) in row.iter().enumerate() {
                sum[at / area] += f64::from(*x);
                square[at / area] += f64::from(*x) * f64::from(*x);
            }
        }
        let count = (set.len() * area).max(1) as f64;
        let mut normalise = Self { scale: vec![1.0; width], shift: vec![0.0; width] };
        for at in 0..width {
            let mean = sum[at / area] / count;
            let deviation = (square[at / area] / count - mean * mean).max(0.0).sqrt();
            let scale = if deviation > 1e-6 * mean.abs().max(1e-30) { 1.0 / deviation } else { 1.0 };
            normalise.scale[at] = scale as f32;
            normalise.shift[at] = (-mean * scale) as f32;
        }
        normalise
    }

    /// One input as the layers behind see it; `x` `[inputs]`.
    pub fn apply(&self, x: &mut [f32]) {
        for ((x, scale), shift) in x.iter_mut().zip(&self.scale).zip(&self.shift) {
            *x = *x * scale + shift;
        }
    }

    /// The input that is seen as `y`, up to rounding; `y` `[inputs]`.
    pub fn undo(&self, y: &[f32]) -> Vec<f32> {
        let one = |((y, scale), shift): ((&f32, &f32), &f32)| {
            ((f64::from(*y) - f64::from(*shift)) / f64::from(*scale)) as f32
        };
        y.iter().zip(&self.scale).zip(&self.shift).map(one).collect()
    }

    /// All inputs of a set.
    pub fn apply_to(&self, set: &mut Set) {
        let width = set.width().max(1);
        set.inputs.chunks_exact_mut(width).for_each(|row| self.apply(row));
    }
}

/// The network as a program over the units of the data; `model` folded.
///
/// # Errors
/// [`ProgramError`] if a weight is not finite.
///
/// # Panics
/// If `model` has batch normalisations ([`Model::folded`]) or `normalise` another width.
pub fn program(model: &Model, normalise: Option<&Normalise>) -> Result<Program, ProgramError> {
    let mut builder = Builder::new(model.inputs());
    let mut slot = Slot::INPUT;
    if let Some(of) = normalise {
        assert_eq!(of.scale.len(), model.inputs(), "one factor for each input");
        let map = Map::Scale(Constants::exact(of.scale.clone()));
        slot = builder.affine("normalise", slot, map, Some(Constants::exact(of.shift.clone())))?;
    }
    for (at, layer) in model.layers.iter().enumerate() {
        slot = match layer {
            Shaped::Relu => builder.elementwise(&format!("{at}.relu"), slot, Function::Relu)?,
            Shaped::Dense { size: [cols, rows], first } => {
                let weights = Arc::new(model.parameters[*first].values.clone());
                let bias = Constants::exact(model.parameters[first + 1].values.clone());
                let map = Map::Dense { count: 1, rows: *rows, cols: *cols, weights };
                builder.affine(&format!("{at}.dense"), slot, map, Some(bias))?
            }
            Shaped::Conv { geometry: g, first } => {
                let weights = Arc::new(model.parameters[*first].values.clone());
                let area = g.size_out[0] * g.size_out[1];
                let bias = model.parameters[first + 1].values.iter();
                let bias = bias.flat_map(|b| std::iter::repeat_n(*b, area)).collect();
                let conv = Conv {
                    channels_in: g.channels[0],
                    channels_out: g.channels[1],
                    groups: g.groups,
                    size_in: g.size_in,
                    size_out: g.size_out,
                    kernel: g.kernel,
                    stride: g.stride,
                    dilation: [1, 1],
                    pad: g.pad,
                    weights,
                };
                builder.affine(&format!("{at}.conv"), slot, Map::Conv(conv), Some(Constants::exact(bias)))?
            }
            Shaped::BatchNorm { .. } => panic!("batch normalisations are folded before"),
        };
    }
    builder.finish(slot)
}
