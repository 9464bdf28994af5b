//! Bounds computed for one sample: the smallest margin on the ball around it.

use crate::artifact::Spec;
use crate::bounds::{self, BoundError, Method};
use crate::infer;
use crate::layer::{Network, ShapeError};
use crate::program::Planned;
use crate::program::forward as program;

/// What a monitor does with a network of any kind.
pub(super) trait Runs {
    fn outputs(&self) -> usize;
    fn forward(&self, input: &[f32], memory: &mut [f32], output: &mut [f32]) -> Result<(), ShapeError>;
    fn prepare(
        &self,
        lower: &[f32],
        upper: &[f32],
        method: Method,
        memory: &mut [f32],
    ) -> Result<(), BoundError>;
    fn row_lower(&self, method: Method, row: &[f32], memory: &mut [f32]) -> Result<f32, BoundError>;
}

impl Runs for Network<'_> {
    #[inline]
    fn outputs(&self) -> usize {
        Network::outputs(self)
    }
    #[inline]
    fn forward(&self, input: &[f32], memory: &mut [f32], output: &mut [f32]) -> Result<(), ShapeError> {
        infer::forward(self, input, memory, output)
    }
    #[inline]
    fn prepare(
        &self,
        lower: &[f32],
        upper: &[f32],
        method: Method,
        memory: &mut [f32],
    ) -> Result<(), BoundError> {
        bounds::prepare(self, lower, upper, method, memory)
    }
    #[inline]
    fn row_lower(&self, method: Method, row: &[f32], memory: &mut [f32]) -> Result<f32, BoundError> {
        bounds::row_lower(self, method, row, memory)
    }
}

impl Runs for Planned<'_> {
    fn outputs(&self) -> usize {
        self.program().outputs()
    }
    fn forward(&self, input: &[f32], memory: &mut [f32], output: &mut [f32]) -> Result<(), ShapeError> {
        program::forward(self, input, memory, output)
    }
    fn prepare(
        &self,
        lower: &[f32],
        upper: &[f32],
        method: Method,
        memory: &mut [f32],
    ) -> Result<(), BoundError> {
        bounds::program::prepare(self, lower, upper, method, memory)
    }
    fn row_lower(&self, method: Method, row: &[f32], memory: &mut [f32]) -> Result<f32, BoundError> {
        bounds::program::row_lower(self, method, row, memory)
    }
}

/// Where a bound is asked for, and the memory it needs.
pub(super) struct Live<'m, N> {
    pub(super) network: &'m N,
    pub(super) method: Method,
    pub(super) lower: &'m [f32],
    pub(super) upper: &'m [f32],
    /// One row, `[outputs]`.
    pub(super) row: &'m mut [f32],
    pub(super) memory: &'m mut [f32],
}

impl<N: Runs> Live<'_, N> {
    /// Lower bound of the margin on the box: of every row, or of `class` against every other class.
    /// Minus infinity if there is none.
    ///
    /// # Rounding
    /// Sound for `Real` and `F32`.
    pub(super) fn margin_lower(mut self, spec: Spec<'_>, class: Option<u16>) -> f32 {
        if self.network.prepare(self.lower, self.upper, self.method, self.memory).is_err() {
            return f32::NEG_INFINITY;
        }
        match (spec, class.map(usize::from)) {
            (Spec::ArgMax, Some(class)) => self.class_margin(class, 1.0),
            (Spec::ArgMin, Some(class)) => self.class_margin(class, -1.0),
            (Spec::Rows { coefficients, constants }, None) => self.smallest_row(coefficients, constants),
            _ => f32::NEG_INFINITY,
        }
    }

    /// Smallest `sign·(y_class − yⱼ)` over the other classes `j`.
    fn class_margin(&mut self, class: usize, sign: f32) -> f32 {
        let mut smallest = f32::INFINITY;
        for other in (0..self.network.outputs()).filter(|other| *other != class) {
            for (index, slot) in self.row.iter_mut().enumerate() {
                *slot = if index == class {
                    sign
                } else if index == other {
                    -sign
                } else {
                    0.0
                };
            }
            smallest = smaller(smallest, self.bound());
        }
        smallest
    }

    /// Smallest `C·y + d`.
    fn smallest_row(&mut self, coefficients: &[f32], constants: &[f32]) -> f32 {
        let mut smallest = f32::INFINITY;
        let outputs = self.network.outputs().max(1);
        for (row, constant) in coefficients.chunks_exact(outputs).zip(constants) {
            for (slot, c) in self.row.iter_mut().zip(row) {
                *slot = *c;
            }
            let bound = self.bound();
            smallest =
                smaller(smallest, if *constant == 0.0 { bound } else { (bound + constant).next_down() });
        }
        smallest
    }

    fn bound(&mut self) -> f32 {
        self.network.row_lower(self.method, self.row, self.memory).unwrap_or(f32::NEG_INFINITY)
    }
}

/// The smaller of two bounds; minus infinity if the second is NaN.
fn smaller(smallest: f32, bound: f32) -> f32 {
    if bound >= smallest {
        smallest
    } else if bound.is_nan() {
        f32::NEG_INFINITY
    } else {
        bound
    }
}
