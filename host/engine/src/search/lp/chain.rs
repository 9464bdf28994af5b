//! The relaxation of a chain on a domain: a box, and ReLUs fixed to a side.

use super::LpError;
use super::relaxation::{Kink, Linear, Relaxation};
use crate::bounds::crown::Interval;
use certus_core::Layer;
use certus_core::layer::Affine;

/// A domain of a chain.
#[derive(Clone, Copy, Debug)]
pub struct ChainDomain<'a> {
    /// The network, its constants taken exactly.
    pub layers: &'a [Layer<'a>],
    /// The box, `[inputs]` each.
    pub region: (&'a [f64], &'a [f64]),
    /// Bounds of the pre-activations of each layer with ReLU, cut at the splits.
    pub intervals: &'a [Interval],
    /// Layer among those with ReLU, neuron, `z ≥ 0`; in order of depth.
    pub splits: &'a [(usize, usize, bool)],
}

impl ChainDomain<'_> {
    /// The relaxation, and what the network gives in its columns. A neuron's id is its place among all neurons with ReLU.
    ///
    /// # Errors
    /// [`LpError`] where the box or a coefficient is not finite.
    pub fn relax(&self) -> Result<(Relaxation, Vec<Linear>), LpError> {
        self.relax_before(usize::MAX)
    }

    /// The relaxation of the layers before the ReLU of layer `hidden` (among those with ReLU), and its pre-activations.
    ///
    /// # Errors
    /// As [`Self::relax`].
    pub fn relax_before(&self, hidden: usize) -> Result<(Relaxation, Vec<Linear>), LpError> {
        let (lower, upper) = self.region;
        let mut relaxation = Relaxation::new(lower, upper, self.splits.len())?;
        let mut values: Vec<Linear> = (0..lower.len()).map(Linear::Column).collect();
        let (mut k, mut first) = (0, 0);
        for layer in self.layers {
            values = affine(&layer.affine(), &values);
            if !layer.relu() {
                continue;
            }
            if k == hidden {
                break;
            }
            let interval = &self.intervals[k];
            for (i, value) in values.iter_mut().enumerate() {
                let z = std::mem::replace(value, Linear::ZERO);
                *value = relaxation.kink(z, self.neuron((k, i), first, interval))?;
            }
            first += values.len();
            k += 1;
        }
        Ok((relaxation, values))
    }

    fn neuron(&self, (layer, neuron): (usize, usize), first: usize, interval: &Interval) -> Kink {
        let split = self.splits.iter().position(|(k, i, _)| (*k, *i) == (layer, neuron));
        Kink {
            id: first + neuron,
            interval: (f64::from(interval.lower[neuron]), f64::from(interval.upper[neuron])),
            negative: 0.0,
            positive: 1.0,
            split: split.map(|index| (index, self.splits[index].2)),
        }
    }

    /// About how many numbers the relaxation holds: what building it costs in memory.
    pub fn size(&self) -> usize {
        let unstable =
            |i: &Interval| i.lower.iter().zip(&i.upper).filter(|(l, u)| **l < 0.0 && **u > 0.0).count();
        let columns = self.region.0.len() + self.intervals.iter().map(unstable).sum::<usize>();
        let widest = self.layers.iter().map(Layer::outputs).max().unwrap_or(0);
        columns * (widest + 3 * (columns - self.region.0.len()) + self.splits.len())
    }
}

/// An affine map of linear functions.
fn affine(map: &Affine<'_>, values: &[Linear]) -> Vec<Linear> {
    match map {
        Affine::Dense(dense) => dense
            .row_iter()
            .map(|(weights, bias)| {
                let mut out = Linear::constant(f64::from(bias));
                weights.iter().zip(values).for_each(|(w, v)| out.add(f64::from(*w), v));
                out
            })
            .collect(),
        Affine::Sparse(sparse) => sparse
            .row_iter()
            .map(|(row, bias)| {
                let mut out = Linear::constant(f64::from(bias));
                row.iter().for_each(|(j, w)| out.add(f64::from(w), &values[j]));
                out
            })
            .collect(),
        Affine::Scale(scale) => {
            let constants = scale.scale().iter().zip(scale.shift());
            constants
                .zip(values)
                .map(|((s, b), v)| {
                    let mut out = Linear::constant(f64::from(*b));
                    out.add(f64::from(*s), v);
                    out
                })
                .collect()
        }
    }
}

/// Rows `coefficients·y − rhs` in the columns of `outputs`.
pub fn row(outputs: &[Linear], coefficients: &[f64], rhs: f64) -> Linear {
    let mut out = Linear::constant(-rhs);
    coefficients.iter().zip(outputs).for_each(|(c, y)| out.add(*c, y));
    out
}
