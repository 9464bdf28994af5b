//! Nodes of constants only, whose results round: computed here, enclosed in doubles.
//!
//! Import has folded whatever is exact. A node that is not computed here (a function, a convolution) is lowered
//! as if its operands were computed: they become affine steps that read nothing.

use std::sync::Arc;

use super::super::error::Fault;
use super::super::network::ValueId;
use super::super::ops::{Binary, Op, Unary};
use super::super::shapes::broadcast_indices;
use super::super::tensor::TensorData;
use super::Lowering;
use super::enclosure::Enclosure;
use super::operand::{Known, Operand};

impl Lowering<'_, '_> {
    /// What the node gives, if all its operands are constants and that can be computed here.
    pub(super) fn fold(&mut self) -> Result<Option<Arc<[Enclosure]>>, Fault> {
        let is_constant = |id: &ValueId| {
            self.known[id.0].is_some()
                || matches!(self.network.value(*id).constant.as_deref(), Some(TensorData::Float(_)))
        };
        if !self.node.inputs.iter().all(is_constant) {
            return Ok(None);
        }
        let operands: Vec<Operand<'_>> = (0..self.node.inputs.len()).map(|i| self.operand(i)).collect();
        let known: Option<Vec<&Known<'_>>> = operands.iter().map(|o| o.known.as_ref()).collect();
        let Some(known) = known else { return Ok(None) };
        let to = &self.output().shape;
        self.reserve(to.iter().product())?;
        Ok(match (&self.node.op, known.as_slice()) {
            (Op::Reshape, [x]) => Some(x.iter().collect()),
            (Op::Unary(function), [x]) => self.fold_unary(*function, x),
            (Op::Binary(function), [x, y]) => {
                let pairs = broadcast_indices(&operands[0].shape, to)
                    .into_iter()
                    .zip(broadcast_indices(&operands[1].shape, to));
                let pairs = pairs.map(|(i, j)| (x.at(i), y.at(j)));
                match function {
                    Binary::Add => Some(pairs.map(|(a, b)| a + b).collect()),
                    Binary::Sub => Some(pairs.map(|(a, b)| a - b).collect()),
                    Binary::Mul => Some(pairs.map(|(a, b)| a * b).collect()),
                    Binary::Div => Some(pairs.map(|(a, b)| a / b).collect()),
                    _ => None,
                }
            }
            (Op::Index { indices }, _) => {
                let all: Vec<Enclosure> = known.iter().flat_map(|k| k.iter()).collect();
                Some(indices.iter().map(|i| all[*i as usize]).collect())
            }
            _ => None,
        })
    }

    fn fold_unary(&self, function: Unary, x: &Known<'_>) -> Option<Arc<[Enclosure]>> {
        match function {
            Unary::Neg => Some(x.iter().map(|x| -x).collect()),
            Unary::Sqrt | Unary::Pow { exponent: 0.5 } => Some(x.iter().map(Enclosure::sqrt).collect()),
            Unary::Reciprocal | Unary::Pow { exponent: -1.0 } => {
                Some(x.iter().map(|x| Enclosure::ONE / x).collect())
            }
            Unary::Pow { exponent: 2.0 } => Some(x.iter().map(|x| x * x).collect()),
            _ => None,
        }
    }
}
