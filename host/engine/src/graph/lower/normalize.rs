//! Normalisation: by constants (BatchNormalization) and by the operand's own mean and variance.

use crate::program::{Function, Map, Slot, Term};

use super::super::error::Fault;
use super::Lowering;
use super::enclosure::Enclosure;
use super::pool::count;
use super::steps::Rows;

impl Lowering<'_, '_> {
    /// `(x − mean) / √(var + epsilon) · scale + bias` along axis 1, as `factor · x + shift`.
    ///
    /// # Rounding
    /// Over the reals `factor = scale / √(var + epsilon)` and `shift = bias − mean · factor`. Both are computed in
    /// doubles rounded outward ([`Enclosure`]: every operation moves its ends by one unit in the last place
    /// unless exact, and the square root is monotone and correctly rounded), so the real factor lies in an
    /// interval of about five units of 2^-53. The constant is the nearest `f32` of its middle, its error the
    /// larger distance from there to either end, rounded up: half a unit of 2^-24 relative, and a little.
    pub(super) fn batch_normalization(&mut self, epsilon: f32) -> Result<Slot, Fault> {
        let x = self.computed(0)?;
        let operands = [1, 2, 3, 4].map(|i| self.operand(i));
        let [Some(scale), Some(bias), Some(mean), Some(var)] = operands.map(|o| o.known) else {
            return Err(self.refuse("has computed statistics; export the model for inference"));
        };
        let to = &self.output().shape;
        let channels = to[1];
        let mut lines = Vec::with_capacity(channels);
        for c in 0..channels {
            let spread = var.at(c) + Enclosure::float(epsilon);
            if !spread.is_positive() {
                return Err(self.refuse("has a variance plus epsilon that is not positive"));
            }
            let factor = scale.at(c) / spread.sqrt();
            lines.push((factor, bias.at(c) - mean.at(c) * factor));
        }
        let (len, pixels) = (to.iter().product::<usize>(), to[2..].iter().product::<usize>());
        let channel = |i: usize| i / pixels % channels;
        let factors = self.constants((0..len).map(|i| lines[channel(i)].0))?;
        let shifts = self.constants((0..len).map(|i| lines[channel(i)].1))?;
        self.affine(x, Map::Scale(factors), Some(shifts))
    }

    /// Each run of `size` elements less its mean, over the root of its variance plus `epsilon`.
    pub(super) fn normalize(&mut self, size: usize, epsilon: f32) -> Result<Slot, Fault> {
        let x = self.computed(0)?;
        let len = self.program.size(x);
        let mean = self.run_means(x, size)?;
        let mut spread = Rows::new(len / size);
        self.reserve(2 * len)?;
        for i in 0..len {
            spread.push(i / size, Enclosure::exact(-1.0));
            spread.end();
        }
        let spread = spread.map(self)?;
        let centred = vec![Term { input: x, map: Map::Identity }, Term { input: mean, map: spread }];
        let centred = self.sum(centred, None)?;
        let squares = self.apply(Function::Power { exponent: 2 }, centred)?;
        let variance = self.run_means(squares, size)?;
        let variance = self.line(variance, Enclosure::ONE, Enclosure::float(epsilon))?;
        let deviation = self.apply(Function::Sqrt, variance)?;
        let inverse = self.apply(Function::Reciprocal, deviation)?;
        let inverse = self.index(inverse, (0..len).map(|i| i / size))?;
        self.times(centred, inverse)
    }

    /// The mean of each run of `size` elements.
    fn run_means(&mut self, x: Slot, size: usize) -> Result<Slot, Fault> {
        let len = self.program.size(x);
        self.reserve(2 * len)?;
        let mut rows = Rows::new(len);
        let weight = Enclosure::ONE / count(size);
        for i in 0..len {
            rows.push(i, weight);
            if (i + 1) % size == 0 {
                rows.end();
            }
        }
        let map = rows.map(self)?;
        self.affine(x, map, None)
    }
}
