//! The steps that operators are put together from.

use crate::program::{Affine, Constants, Function, Groups, Map, Operation, ProgramError, Slot, Sparse, Term};

use super::super::error::Fault;
use super::Lowering;
use super::enclosure::Enclosure;

impl Lowering<'_, '_> {
    pub(super) fn push(&mut self, operation: Operation) -> Result<Slot, Fault> {
        let pushed = self.program.push(&self.node.name, operation);
        pushed.map_err(|e: ProgramError| self.refuse(&e.to_string()))
    }

    /// `bias + map(x)`.
    pub(super) fn affine(&mut self, input: Slot, map: Map, bias: Option<Constants>) -> Result<Slot, Fault> {
        self.sum(vec![Term { input, map }], bias)
    }

    /// `bias + Σ map(x)`.
    pub(super) fn sum(&mut self, terms: Vec<Term>, bias: Option<Constants>) -> Result<Slot, Fault> {
        self.push(Operation::Affine(Affine { terms, bias }))
    }

    /// `function(x)`.
    pub(super) fn apply(&mut self, function: Function, input: Slot) -> Result<Slot, Fault> {
        self.push(Operation::Elementwise { input, function })
    }

    /// `left ⊙ right`.
    pub(super) fn times(&mut self, left: Slot, right: Slot) -> Result<Slot, Fault> {
        let count = self.program.size(left);
        self.push(Operation::Product { left, right, count, m: 1, k: 1, n: 1 })
    }

    /// The maximum of each group.
    pub(super) fn max(&mut self, input: Slot, groups: Groups) -> Result<Slot, Fault> {
        self.push(Operation::Max { input, groups })
    }

    /// `y[i] = x[indices(i)]`.
    pub(super) fn index(
        &mut self,
        input: Slot,
        indices: impl ExactSizeIterator<Item = usize>,
    ) -> Result<Slot, Fault> {
        self.reserve(indices.len())?;
        let indices = indices.map(narrow).collect();
        self.push(Operation::Index { inputs: vec![input], indices })
    }

    /// `factor` for each element of `slot`; the identity for 1.
    pub(super) fn factor(&mut self, slot: Slot, factor: Enclosure) -> Result<Map, Fault> {
        if factor == Enclosure::ONE {
            return Ok(Map::Identity);
        }
        let len = self.program.size(slot);
        Ok(Map::Scale(self.constants((0..len).map(|_| factor))?))
    }

    /// The same constant for each element of `slot`.
    pub(super) fn repeated(&mut self, slot: Slot, constant: Enclosure) -> Result<Constants, Fault> {
        let len = self.program.size(slot);
        self.constants((0..len).map(|_| constant))
    }

    /// `factor · x`.
    pub(super) fn scaled(&mut self, slot: Slot, factor: Enclosure) -> Result<Slot, Fault> {
        match self.factor(slot, factor)? {
            Map::Identity => Ok(slot),
            map => self.affine(slot, map, None),
        }
    }

    /// `factor · x + shift`.
    pub(super) fn line(&mut self, slot: Slot, factor: Enclosure, shift: Enclosure) -> Result<Slot, Fault> {
        let map = self.factor(slot, factor)?;
        let shift = self.repeated(slot, shift)?;
        self.affine(slot, map, Some(shift))
    }

    /// `factor · x + factor' · x'`.
    pub(super) fn combination(&mut self, parts: [(Slot, Enclosure); 2]) -> Result<Slot, Fault> {
        let mut terms = Vec::new();
        for (input, factor) in parts {
            terms.push(Term { input, map: self.factor(input, factor)? });
        }
        self.sum(terms, None)
    }
}

/// An index as it is stored: values have at most 2^28 elements, so every index fits.
pub(super) fn narrow(index: usize) -> u32 {
    u32::try_from(index).expect("at most 2^28")
}

/// A sparse matrix under construction, row by row.
pub(super) struct Rows {
    cols: usize,
    starts: Vec<u32>,
    columns: Vec<u32>,
    values: Vec<Enclosure>,
}

impl Rows {
    pub fn new(cols: usize) -> Self {
        Self { cols, starts: vec![0], columns: Vec::new(), values: Vec::new() }
    }

    pub fn push(&mut self, column: usize, value: Enclosure) {
        self.columns.push(narrow(column));
        self.values.push(value);
    }

    /// Ends a row.
    pub fn end(&mut self) {
        self.starts.push(narrow(self.columns.len()));
    }

    /// The matrix.
    pub fn map(self, lowering: &mut Lowering<'_, '_>) -> Result<Map, Fault> {
        let values = lowering.constants(self.values.into_iter())?;
        Ok(Map::Sparse(Sparse { cols: self.cols, starts: self.starts, columns: self.columns, values }))
    }
}
