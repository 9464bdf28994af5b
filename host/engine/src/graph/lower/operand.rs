//! What a node reads: a computed value with its slot, or a constant.

use std::borrow::Cow;

use crate::program::Slot;

use super::super::error::Fault;
use super::super::shapes;
use super::Lowering;

/// What a node reads.
#[derive(Clone, Debug)]
pub(super) struct Operand<'a> {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its elements, if it is a constant.
    pub constant: Option<Cow<'a, [f32]>>,
    /// Where it is computed, if it is not.
    pub slot: Option<Slot>,
}

impl Operand<'_> {
    /// Elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

impl Lowering<'_, '_> {
    /// The elements of a constant, repeated to `shape`.
    pub(super) fn broadcast_constant(
        &mut self,
        constant: &[f32],
        from: &[usize],
        to: &[usize],
    ) -> Result<Vec<f32>, Fault> {
        self.reserve(to.iter().product())?;
        Ok(shapes::broadcast_indices(from, to).into_iter().map(|i| constant[i]).collect())
    }

    /// A computed value, repeated to `shape`.
    pub(super) fn broadcast_slot(&mut self, slot: Slot, from: &[usize], to: &[usize]) -> Result<Slot, Fault> {
        // Equal counts of elements mean that only ones were put before or between.
        if from.iter().product::<usize>() == to.iter().product::<usize>() {
            return Ok(slot);
        }
        self.reserve(to.iter().product())?;
        let indices = shapes::broadcast_indices(from, to);
        self.index(slot, indices.into_iter())
    }
}
