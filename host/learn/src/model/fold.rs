//! A network without batch normalisations: each is folded into the affine layer before it.

use super::{Model, Parameter, Shaped};
use crate::loss::EPSILON;

impl Model {
    /// The network that divides by the means and variances of training, with those divisions in the weights of the layers before.
    ///
    /// # Rounding
    /// Factors in `f64`, weights rounded once: the folded network is another one than the one trained, by rounding. It is the one that is
    /// exported, evaluated and certified.
    ///
    /// # Panics
    /// If a batch normalisation does not follow an affine layer ([`Model::new`] accepts none).
    pub fn folded(&self) -> Self {
        let mut folded = Self { layers: vec![], parameters: vec![], statistics: vec![], ..self.clone() };
        for layer in &self.layers {
            match layer {
                Shaped::Relu => folded.layers.push(Shaped::Relu),
                Shaped::Dense { first, .. } | Shaped::Conv { first, .. } => {
                    let place = folded.parameters.len();
                    let at = folded.layers.len();
                    for (part, parameter) in ["weight", "bias"].iter().zip(&self.parameters[*first..]) {
                        folded
                            .parameters
                            .push(Parameter { name: format!("{at}.{part}"), ..parameter.clone() });
                    }
                    folded.layers.push(match layer {
                        Shaped::Dense { size, .. } => Shaped::Dense { size: *size, first: place },
                        Shaped::Conv { geometry, .. } => Shaped::Conv { geometry: *geometry, first: place },
                        _ => unreachable!("an affine layer"),
                    });
                }
                Shaped::BatchNorm { first, index, .. } => {
                    let affine = folded.parameters.len() - 2;
                    self.fold_into(&mut folded.parameters[affine..], *first, *index);
                }
            }
        }
        folded
    }

    fn fold_into(&self, affine: &mut [Parameter], first: usize, index: usize) {
        let [scale, shift] = [0, 1].map(|k| &self.parameters[first + k].values);
        let of = &self.statistics[index];
        let [weight, bias] = affine else { unreachable!("weight and bias") };
        // A dense layer's channels are its rows, a convolution's its first axis.
        let per_channel = weight.values.len() / scale.len();
        for (c, row) in weight.values.chunks_exact_mut(per_channel).enumerate() {
            let factor = f64::from(scale[c]) / (f64::from(of.variance[c]) + EPSILON).sqrt();
            row.iter_mut().for_each(|w| *w = (f64::from(*w) * factor) as f32);
            let b = (f64::from(bias.values[c]) - f64::from(of.mean[c])) * factor + f64::from(shift[c]);
            bias.values[c] = b as f32;
        }
    }
}
