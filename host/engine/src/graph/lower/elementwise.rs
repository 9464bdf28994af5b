//! Functions of one value, and sums, differences and products of two, broadcast as numpy does.

use crate::program::{Constants, Function, Map, Operation, Slot, Term};

use super::super::error::Fault;
use super::Lowering;
use super::operand::Operand;

/// The operands of a binary operator after broadcasting to its output.
enum Pair {
    Computed(Slot, Slot),
    ConstantLeft(Vec<f32>, Slot),
    ConstantRight(Slot, Vec<f32>),
}

impl Lowering<'_, '_> {
    /// `function` of operand 0.
    pub(super) fn function(&mut self, function: Function) -> Result<Slot, Fault> {
        let input = self.computed(0)?;
        self.push(Operation::Elementwise { input, function })
    }

    /// The slot of operand `i`, which must be computed.
    pub(super) fn computed(&self, i: usize) -> Result<Slot, Fault> {
        let only_constants = || self.refuse("has only constant operands; fold constants before export");
        self.operand(i).slot.ok_or_else(only_constants)
    }

    fn pair(&mut self) -> Result<Pair, Fault> {
        let to = &self.output().shape;
        let (left, right) = (self.operand(0), self.operand(1));
        match (&left, &right) {
            (Operand { slot: Some(l), .. }, Operand { slot: Some(r), .. }) => Ok(Pair::Computed(
                self.broadcast_slot(*l, &left.shape, to)?,
                self.broadcast_slot(*r, &right.shape, to)?,
            )),
            (Operand { constant: Some(c), .. }, Operand { slot: Some(r), .. }) => Ok(Pair::ConstantLeft(
                self.broadcast_constant(c, &left.shape, to)?,
                self.broadcast_slot(*r, &right.shape, to)?,
            )),
            (Operand { slot: Some(l), .. }, Operand { constant: Some(c), .. }) => Ok(Pair::ConstantRight(
                self.broadcast_slot(*l, &left.shape, to)?,
                self.broadcast_constant(c, &right.shape, to)?,
            )),
            _ => Err(self.refuse("has only constant operands; fold constants before export")),
        }
    }

    pub(super) fn add(&mut self) -> Result<Slot, Fault> {
        match self.pair()? {
            Pair::Computed(l, r) => {
                let terms = [l, r].map(|input| Term { input, map: Map::Identity });
                self.sum(terms.to_vec(), None)
            }
            Pair::ConstantLeft(c, x) | Pair::ConstantRight(x, c) => {
                self.affine(x, Map::Identity, Some(Constants::exact(c)))
            }
        }
    }

    pub(super) fn sub(&mut self) -> Result<Slot, Fault> {
        match self.pair()? {
            Pair::Computed(l, r) => {
                let minus = self.minus(r)?;
                self.sum(vec![Term { input: l, map: Map::Identity }, Term { input: r, map: minus }], None)
            }
            Pair::ConstantLeft(c, x) => {
                let minus = self.minus(x)?;
                self.affine(x, minus, Some(Constants::exact(c)))
            }
            Pair::ConstantRight(x, c) => {
                let negated = c.into_iter().map(|c| -c).collect();
                self.affine(x, Map::Identity, Some(Constants::exact(negated)))
            }
        }
    }

    pub(super) fn mul(&mut self) -> Result<Slot, Fault> {
        match self.pair()? {
            Pair::Computed(left, right) => {
                let count = self.program.size(left);
                self.push(Operation::Product { left, right, count, m: 1, k: 1, n: 1 })
            }
            Pair::ConstantLeft(c, x) | Pair::ConstantRight(x, c) => {
                self.affine(x, Map::Scale(Constants::exact(c)), None)
            }
        }
    }

    /// `−1` for each element of a slot.
    fn minus(&mut self, slot: Slot) -> Result<Map, Fault> {
        let len = self.program.size(slot);
        self.reserve(len)?;
        Ok(Map::Scale(Constants::exact(vec![-1.0; len])))
    }
}
