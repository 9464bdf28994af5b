//! Functions of two numbers, operands broadcast as numpy does.
//!
//! A quotient by a constant is a product with its reciprocal, a quotient of computed values one with the
//! computed reciprocal. Maxima and minima of two values go through one ReLU of their difference, exactly:
//! `max(a, b) = a + relu(b − a)`, whose bounds are those of the difference, where a maximum of a pair would
//! only know the two ranges.

use crate::program::{Constants, Function, Map, Slot, Term};

use super::super::error::Fault;
use super::super::ops::Binary;
use super::Lowering;
use super::enclosure::Enclosure;
use super::operand::{Known, Operand};

/// One operand after broadcasting to the output.
enum Side<'a> {
    Slot(Slot),
    /// The constant and its own shape.
    Known(Known<'a>, Vec<usize>),
}

const MINUS_ONE: Enclosure = Enclosure::exact(-1.0);

impl Lowering<'_, '_> {
    /// `function(left, right)`.
    pub(super) fn binary(&mut self, function: Binary) -> Result<Slot, Fault> {
        let (left, right) = (self.operand(0), self.operand(1));
        // The operand on the left of a PRelu is read twice and need not be a constant for anything.
        let left = if function == Binary::PRelu || right.known.is_some() && left.known.is_some() {
            let slot = self.slot_of(&left)?;
            Operand { slot: Some(slot), known: None, ..left }
        } else {
            left
        };
        let (l, r) = (self.side(left)?, self.side(right)?);
        match function {
            Binary::Add => self.add(l, r),
            Binary::Sub => self.sub(l, r),
            Binary::Mul => self.mul(l, r),
            Binary::Div => self.div(l, r),
            Binary::Max => self.larger(l, r, false),
            Binary::Min => self.larger(l, r, true),
            Binary::PRelu => self.parametric_relu(l, r),
            Binary::Pow => self.computed_power(l, r),
        }
    }

    fn side<'c>(&mut self, operand: Operand<'c>) -> Result<Side<'c>, Fault> {
        let to = &self.output().shape;
        match (operand.slot, operand.known) {
            (Some(slot), _) => Ok(Side::Slot(self.broadcast_slot(slot, &operand.shape, to)?)),
            (None, Some(known)) => Ok(Side::Known(known, operand.shape)),
            (None, None) => Err(self.refuse("reads integers; convert them to float")),
        }
    }

    /// `change` of a constant side, as long as the output.
    fn spread(
        &mut self,
        known: &Known<'_>,
        shape: &[usize],
        change: impl Fn(Enclosure) -> Enclosure,
    ) -> Result<Constants, Fault> {
        let to = &self.output().shape;
        self.broadcast_known(known, shape, to, change)
    }

    fn side_slot(&mut self, side: Side<'_>) -> Result<Slot, Fault> {
        match side {
            Side::Slot(slot) => Ok(slot),
            Side::Known(known, shape) => {
                let values = self.spread(&known, &shape, |c| c)?;
                self.constant_slot(values)
            }
        }
    }

    fn add(&mut self, left: Side<'_>, right: Side<'_>) -> Result<Slot, Fault> {
        match (left, right) {
            (Side::Slot(l), Side::Slot(r)) => self.combination([(l, Enclosure::ONE), (r, Enclosure::ONE)]),
            (Side::Slot(x), Side::Known(c, shape)) | (Side::Known(c, shape), Side::Slot(x)) => {
                let bias = self.spread(&c, &shape, |c| c)?;
                self.affine(x, Map::Identity, Some(bias))
            }
            (l, r) => {
                let l = Side::Slot(self.side_slot(l)?);
                self.add(l, r)
            }
        }
    }

    fn sub(&mut self, left: Side<'_>, right: Side<'_>) -> Result<Slot, Fault> {
        match (left, right) {
            (Side::Slot(l), Side::Slot(r)) => self.combination([(l, Enclosure::ONE), (r, MINUS_ONE)]),
            (Side::Slot(x), Side::Known(c, shape)) => {
                let bias = self.spread(&c, &shape, |c| -c)?;
                self.affine(x, Map::Identity, Some(bias))
            }
            (Side::Known(c, shape), r) => {
                let x = self.side_slot(r)?;
                let bias = self.spread(&c, &shape, |c| c)?;
                let minus = self.factor(x, MINUS_ONE)?;
                self.affine(x, minus, Some(bias))
            }
        }
    }

    fn mul(&mut self, left: Side<'_>, right: Side<'_>) -> Result<Slot, Fault> {
        match (left, right) {
            (Side::Slot(l), Side::Slot(r)) if l == r => self.apply(Function::Power { exponent: 2 }, l),
            (Side::Slot(l), Side::Slot(r)) => self.times(l, r),
            (Side::Slot(x), Side::Known(c, shape)) | (Side::Known(c, shape), Side::Slot(x)) => {
                let scale = self.spread(&c, &shape, |c| c)?;
                self.affine(x, Map::Scale(scale), None)
            }
            (l, r) => {
                let l = Side::Slot(self.side_slot(l)?);
                self.mul(l, r)
            }
        }
    }

    fn div(&mut self, left: Side<'_>, right: Side<'_>) -> Result<Slot, Fault> {
        match (left, right) {
            (left, Side::Slot(r)) => {
                let reciprocal = self.apply(Function::Reciprocal, r)?;
                self.mul(left, Side::Slot(reciprocal))
            }
            (left, Side::Known(c, shape)) => {
                let x = self.side_slot(left)?;
                let scale = self.spread(&c, &shape, |c| Enclosure::ONE / c)?;
                self.affine(x, Map::Scale(scale), None)
            }
        }
    }

    /// `max(a, b) = a + relu(b − a)`, `min(a, b) = a − relu(a − b)`; `a` is the constant one, if there is one.
    fn larger(&mut self, left: Side<'_>, right: Side<'_>, is_min: bool) -> Result<Slot, Fault> {
        let sign = if is_min { MINUS_ONE } else { Enclosure::ONE };
        match (left, right) {
            (Side::Slot(a), Side::Slot(b)) => {
                let above = self.combination([(b, sign), (a, -sign)])?;
                let relu = self.apply(Function::Relu, above)?;
                self.combination([(a, Enclosure::ONE), (relu, sign)])
            }
            (Side::Known(c, shape), other) | (other, Side::Known(c, shape)) => {
                let x = self.side_slot(other)?;
                let shift = self.spread(&c, &shape, |c| -(sign * c))?;
                let map = self.factor(x, sign)?;
                let above = self.affine(x, map, Some(shift))?;
                let relu = self.apply(Function::Relu, above)?;
                let map = self.factor(relu, sign)?;
                let bias = self.spread(&c, &shape, |c| c)?;
                self.affine(relu, map, Some(bias))
            }
        }
    }

    /// `x` where `x ≥ 0`, else `s · x`: for a constant slope `s · x + (1 − s) · relu(x)`, one relaxed value; for
    /// a computed one `relu(x) − s · relu(−x)`.
    fn parametric_relu(&mut self, left: Side<'_>, slope: Side<'_>) -> Result<Slot, Fault> {
        let x = self.side_slot(left)?;
        match slope {
            Side::Known(c, shape) => {
                if let Some(slope) = c.uniform() {
                    return self.apply(Function::LeakyRelu { slope }, x);
                }
                let relu = self.apply(Function::Relu, x)?;
                let slope = Map::Scale(self.spread(&c, &shape, |s| s)?);
                let rest = Map::Scale(self.spread(&c, &shape, |s| Enclosure::ONE - s)?);
                self.sum(vec![Term { input: x, map: slope }, Term { input: relu, map: rest }], None)
            }
            Side::Slot(slope) => {
                let relu = self.apply(Function::Relu, x)?;
                let minus = self.scaled(x, MINUS_ONE)?;
                let below = self.apply(Function::Relu, minus)?;
                let scaled = self.times(slope, below)?;
                self.combination([(relu, Enclosure::ONE), (scaled, MINUS_ONE)])
            }
        }
    }

    /// `x ^ y = exp(y · log(x))`, for positive `x`; one constant exponent is the power of one number.
    fn computed_power(&mut self, base: Side<'_>, exponent: Side<'_>) -> Result<Slot, Fault> {
        if let Side::Known(c, _) = &exponent {
            let Some(exponent) = c.uniform() else {
                return Err(self.refuse("has several constant exponents; split the node, one exponent each"));
            };
            let x = self.side_slot(base)?;
            return self.power_of(x, exponent);
        }
        let base = self.side_slot(base)?;
        let log = self.apply(Function::Log, base)?;
        let product = self.mul(Side::Slot(log), exponent)?;
        self.apply(Function::Exp, product)
    }
}
