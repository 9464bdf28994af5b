//! What a node reads: a computed value with its slot, or a constant.

use std::borrow::Cow;
use std::sync::Arc;

use crate::program::{Constants, Map, Slot, Sparse};

use super::super::error::Fault;
use super::super::shapes;
use super::Lowering;
use super::enclosure::{self, Enclosure};

/// What a node reads: computed, or known.
#[derive(Clone, Debug)]
pub(super) struct Operand<'a> {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Where it is computed.
    pub slot: Option<Slot>,
    /// Its elements, if it is a constant.
    pub known: Option<Known<'a>>,
}

/// Elements of a constant.
#[derive(Clone, Debug)]
pub(super) enum Known<'a> {
    /// Those of the file, or exactly computed.
    Exact(Cow<'a, [f32]>),
    /// Computed from constants.
    Enclosed(Arc<[Enclosure]>),
}

impl<'a> Operand<'a> {
    /// Elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The elements of an exact constant.
    pub fn exact(&self) -> Option<&[f32]> {
        match &self.known {
            Some(Known::Exact(values)) => Some(values),
            _ => None,
        }
    }
}

impl Known<'_> {
    /// Element `i`.
    pub fn at(&self, i: usize) -> Enclosure {
        match self {
            Self::Exact(values) => Enclosure::float(values[i]),
            Self::Enclosed(values) => values[i],
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Exact(values) => values.len(),
            Self::Enclosed(values) => values.len(),
        }
    }

    /// Its elements.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Enclosure> {
        (0..self.len()).map(|i| self.at(i))
    }

    /// The one value that all elements have.
    pub fn uniform(&self) -> Option<f32> {
        let first = self.at(0).as_float()?;
        self.iter().all(|e| e.as_float() == Some(first)).then_some(first)
    }
}

impl<'a> Lowering<'a, '_> {
    /// Operand `i` of the node.
    pub(super) fn operand(&self, i: usize) -> Operand<'a> {
        let id = self.node.inputs[i];
        let value = self.network.value(id);
        let known = match (value.floats(), &self.known[id.0]) {
            (Some(values), _) => Some(Known::Exact(Cow::Borrowed(values))),
            (_, Some(values)) => Some(Known::Enclosed(values.clone())),
            _ => None,
        };
        Operand { shape: value.shape.clone(), slot: self.slots[id.0], known }
    }

    /// The slot of operand `i`.
    pub(super) fn computed(&mut self, i: usize) -> Result<Slot, Fault> {
        let operand = self.operand(i);
        self.slot_of(&operand)
    }

    /// The slot of a value; a constant becomes an affine step that reads no element of the input.
    pub(super) fn slot_of(&mut self, operand: &Operand<'_>) -> Result<Slot, Fault> {
        match (operand.slot, &operand.known) {
            (Some(slot), _) => Ok(slot),
            (None, Some(known)) => {
                let values = self.constants(known.iter())?;
                self.constant_slot(values)
            }
            (None, None) => Err(self.refuse("reads integers; convert them to float")),
        }
    }

    /// A slot that always holds `values`.
    pub(super) fn constant_slot(&mut self, values: Constants) -> Result<Slot, Fault> {
        let starts = vec![0; values.len() + 1];
        let cols = self.program.size(Slot::INPUT);
        let nothing = Sparse { cols, starts, columns: Vec::new(), values: Constants::exact(Vec::new()) };
        self.affine(Slot::INPUT, Map::Sparse(nothing), Some(values))
    }

    /// Constants and their errors.
    pub(super) fn constants(
        &mut self,
        reals: impl ExactSizeIterator<Item = Enclosure>,
    ) -> Result<Constants, Fault> {
        self.reserve(reals.len())?;
        let beyond =
            || self.refuse("needs a constant beyond the range of f32, or undefined; rescale the network");
        enclosure::constants(reals).ok_or_else(beyond)
    }

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

    /// `change` of the elements of a constant, repeated to `to`.
    pub(super) fn broadcast_known(
        &mut self,
        known: &Known<'_>,
        from: &[usize],
        to: &[usize],
        change: impl Fn(Enclosure) -> Enclosure,
    ) -> Result<Constants, Fault> {
        self.reserve(to.iter().product())?;
        let indices = shapes::broadcast_indices(from, to);
        self.constants(indices.into_iter().map(|i| change(known.at(i))))
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
