//! Linear and interval bounds of any [`Program`](crate::program::Program) over a box, in fast `f32`: *estimates*, to be proved afterwards.
//!
//! [`Prepared`] is the program with its matrices packed once. [`bound`] propagates intervals forward, bounds the operands of
//! every nonlinear step by backward passes (CROWN), and then the rows of a [`Spec`].
//!
//! A backward pass carries a block of at most [`LANES`] rows of coefficients, one per lane, from a slot to the input.
//! Only *live* neurons have a row in the block: those that some lane's coefficient can reach and whose value is not a
//! known constant. For a convolution that is a window around the starting neurons, so a pass costs what the
//! receptive field costs.
//!
//! Source: Zhang et al. 2018 (arXiv:1811.00866); programs as graphs: Xu et al. 2020 (arXiv:2002.12920).

mod alpha;
mod backward;
pub mod batch;
mod conv;
mod crown;
mod interval;
mod linear;
mod lines;
mod memory;
mod points;
mod prepare;
mod rows;
mod tape;
#[cfg(test)]
mod tests;

pub use alpha::{Climb, climb};
pub use crown::{
    Bounds, Clip, Domain, Intermediate, Settings, Spec, Stop, bound, bound_all, interval_margin,
};
pub use interval::Interval;
pub use memory::{BoundError, Memory};
pub use points::Points;
pub use prepare::Prepared;

/// Most lanes of a block: two AVX-512 vectors, so that the coefficients of a few hundred neurons stay in the level-1 cache.
pub const LANES: usize = 32;

/// A box of inputs.
#[derive(Clone, Copy, Debug)]
pub struct Region<'a> {
    /// `[inputs]`.
    pub lower: &'a [f32],
    /// `[inputs]`.
    pub upper: &'a [f32],
}

impl<'a> From<Region<'a>> for Domain<'a> {
    fn from(region: Region<'a>) -> Self {
        Self { region, clips: &[] }
    }
}
