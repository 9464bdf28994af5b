//! Operators that only move elements.

use crate::program::{Constants, Map, Operation, Slot, ZERO};

use super::super::error::Fault;
use super::Lowering;
use super::enclosure::Enclosure;
use super::operand::Operand;
use super::steps::narrow;

impl Lowering<'_, '_> {
    /// `y[i] = x[indices[i]]`, `x` the operands one after the other; elements of constants are 0 in the index
    /// map and added behind it.
    pub(super) fn gather(&mut self, indices: &[u32]) -> Result<Slot, Fault> {
        let operands: Vec<Operand<'_>> = (0..self.node.inputs.len()).map(|i| self.operand(i)).collect();
        // For each operand: where its elements begin among all, and where among the computed ones.
        let (mut all, mut computed) = (0, 0);
        let mut begins = Vec::new();
        for operand in &operands {
            begins.push((all, computed));
            all += operand.len();
            computed += if operand.slot.is_some() { operand.len() } else { 0 };
        }
        self.reserve(indices.len())?;
        let (mut moved, mut added) = (Vec::with_capacity(indices.len()), Vec::new());
        for index in indices {
            let index = *index as usize;
            let at = begins.partition_point(|(begin, _)| *begin <= index) - 1;
            let (begin, computed_begin) = begins[at];
            match (&operands[at].slot, &operands[at].known) {
                (Some(_), _) => moved.push(narrow(computed_begin + index - begin)),
                (None, Some(known)) => {
                    added.push((moved.len(), known.at(index - begin)));
                    moved.push(ZERO);
                }
                (None, None) => return Err(self.refuse("mixes integers and numbers; convert them to float")),
            }
        }
        let inputs = operands.iter().filter_map(|o| o.slot).collect();
        let slot = self.push(Operation::Index { inputs, indices: moved })?;
        if added.iter().all(|(_, constant)| constant.is_zero()) {
            return Ok(slot);
        }
        let mut bias = vec![Enclosure::exact(0.0); indices.len()];
        added.into_iter().for_each(|(i, constant)| bias[i] = constant);
        let bias: Constants = self.constants(bias.into_iter())?;
        self.affine(slot, Map::Identity, Some(bias))
    }
}
