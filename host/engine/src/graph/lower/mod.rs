//! Lowering: from ONNX operators to the five kinds of step of a [`Program`].
//!
//! Every value becomes the slot of a vector, row-major in its ONNX shape; operators that only rename
//! elements in order (Reshape) share the slot of their operand. No constant is rounded without its error
//! stated beside it: the program over the reals, each constant within its error, encloses the network
//! over the reals. One file per family of operators; the passes of [`crate::program::simplify`] then join
//! what belongs together.

mod binary;
mod convolution;
mod enclosure;
mod few;
mod fold;
mod gather;
mod normalize;
mod operand;
mod pool;
mod product;
mod reduce;
mod softmax;
mod steps;
mod unary;

#[cfg(test)]
pub(super) use few::tests::few_model;

use std::sync::Arc;

use crate::chain::Chain;
use crate::program::{Builder, Operation, Program, Slot, simplify};

use super::error::{Fault, LoadError, Name};
use super::network::{Network, Node, Value, ValueId};
use super::ops::{Op, Unary};
use super::tensor::{ELEMENTS_MAX, TensorData};
use crate::Model;
use enclosure::Enclosure;

impl Network {
    /// The network as a program.
    ///
    /// # Errors
    /// [`Fault::Lowering`] names the node that a program cannot hold.
    pub fn lower(&self) -> Result<Program, LoadError> {
        self.lower_to_program(&[], None).map_err(|fault| LoadError::content(&self.file, fault))
    }

    /// The network as a program that gives its output and, after it, the computed values `hidden`.
    ///
    /// # Errors
    /// As [`Self::lower`], also if a value of `hidden` is a constant.
    pub fn lower_with_hidden(&self, hidden: &[ValueId]) -> Result<Program, LoadError> {
        self.lower_to_program(hidden, None).map_err(|fault| LoadError::content(&self.file, fault))
    }

    /// The network in the form that the verifier takes: layers of few weights stay so in a chain.
    ///
    /// # Errors
    /// As [`Self::lower`].
    pub fn lower_to_model(&self) -> Result<Model, LoadError> {
        let is_few =
            |v: &Value| matches!(v.constant.as_deref(), Some(TensorData::Float(f)) if f.few().is_some());
        if self.values.iter().any(is_few)
            && let mut count = 0
            && let Ok(program) = self.lower_to_program(&[], Some(&mut count))
            && let Some(chain) = program.into_sparse_chain(count)
        {
            return Ok(Model::Chain(chain));
        }
        self.lower().map(Model::from)
    }

    /// The network as a chain of layers, if it is one.
    ///
    /// # Errors
    /// As [`Self::lower`]; [`Fault::Chain`] names the step that a chain cannot hold.
    pub fn to_chain(&self) -> Result<Chain, LoadError> {
        let chain = self.lower()?.into_chain();
        chain.map_err(|e| LoadError::content(&self.file, e.into()))
    }

    /// As [`Self::lower_with_hidden`], as a chain of layers.
    ///
    /// # Errors
    /// As [`Self::to_chain`] and [`Self::lower_with_hidden`].
    pub fn to_chain_with_hidden(&self, hidden: &[ValueId]) -> Result<Chain, LoadError> {
        let chain = self.lower_with_hidden(hidden)?.into_chain();
        chain.map_err(|e| LoadError::content(&self.file, e.into()))
    }

    /// As [`Self::lower_with_hidden`]; matrices of few weights become sparse maps if those are to be counted in `sparse`.
    fn lower_to_program(&self, hidden: &[ValueId], mut sparse: Option<&mut usize>) -> Result<Program, Fault> {
        let mut slots = vec![None; self.values.len()];
        let mut known: Vec<Option<Arc<[Enclosure]>>> = vec![None; self.values.len()];
        slots[self.input_id().0] = Some(Slot::INPUT);
        let mut program = Builder::new(self.input().len());
        let mut made = 0;
        for node in self.nodes() {
            let (program, made) = (&mut program, &mut made);
            let mut at = Lowering {
                network: self,
                node,
                slots: &slots,
                known: &known,
                program,
                made,
                sparse: sparse.as_deref_mut(),
            };
            if let Some(constant) = at.fold()? {
                known[node.output.0] = Some(constant);
            } else {
                let slot = at.node()?;
                slots[node.output.0] = Some(slot);
            }
        }
        let mut output = slots[self.output_id().0].expect("import checks that the output is computed");
        if !hidden.is_empty() {
            let computed = |id: &ValueId| slots[id.0].ok_or_else(|| self.constant_value(*id));
            let mut inputs = vec![output];
            inputs.extend(hidden.iter().map(computed).collect::<Result<Vec<_>, _>>()?);
            let total: usize = inputs.iter().map(|s| program.size(*s)).sum();
            output =
                program.push("outputs", Operation::Index { inputs, indices: (0..total as u32).collect() })?;
        }
        Ok(simplify(program.finish(output)?))
    }
}

impl Network {
    /// A hidden value that does not depend on the input.
    fn constant_value(&self, id: ValueId) -> Fault {
        let node = self.nodes().iter().find(|n| n.output == id);
        Fault::Lowering {
            node: Name(self.value(id).name.clone()),
            operator: node.map_or("a constant", |n| n.operator),
            problem: "gives a constant, which is no hidden node to constrain".into(),
        }
    }
}

/// One node on its way into the program.
struct Lowering<'a, 'b> {
    network: &'a Network,
    node: &'a Node,
    /// Where each computed value of the network is.
    slots: &'b [Option<Slot>],
    /// The values computed from constants alone.
    known: &'b [Option<Arc<[Enclosure]>>],
    program: &'b mut Builder,
    /// Constants and indices made so far.
    made: &'b mut usize,
    /// Counts matrices of few weights that became sparse maps; without, they are written out.
    sparse: Option<&'b mut usize>,
}

impl<'a> Lowering<'a, '_> {
    /// The slot of what the node gives.
    fn node(&mut self) -> Result<Slot, Fault> {
        match &self.node.op {
            Op::Reshape => self.computed(0),
            Op::Index { indices } => self.gather(indices),
            Op::MatMul => self.matmul(),
            Op::Gemm { alpha, beta, trans_a, trans_b } => self.gemm(*alpha, *beta, *trans_a, *trans_b),
            Op::Conv { window, groups } => self.conv(window, *groups),
            Op::ConvTranspose { window, groups } => self.conv_transpose(window, *groups),
            Op::MaxPool(window) => self.max_pool(window),
            Op::AveragePool { window, count_include_pad } => self.average_pool(window, *count_include_pad),
            Op::BatchNormalization { epsilon } => self.batch_normalization(*epsilon),
            Op::Normalize { size, epsilon } => self.normalize(*size, *epsilon),
            Op::Softmax { outer, size, inner, log } => self.softmax([*outer, *size, *inner], *log),
            Op::Unary(Unary::Pow { exponent }) => self.power(*exponent),
            Op::Unary(function) => self.unary(*function),
            Op::Binary(function) => self.binary(*function),
            Op::Reduce { kind, axes } => self.reduce(*kind, axes),
        }
    }

    fn refuse(&self, problem: &str) -> Fault {
        Fault::Lowering {
            node: Name(self.node.name.clone()),
            operator: self.node.operator,
            problem: problem.to_string(),
        }
    }

    fn output(&self) -> &'a Value {
        self.network.value(self.node.output)
    }

    /// Counts `elements` more constants or indices, before they are made.
    fn reserve(&mut self, elements: usize) -> Result<(), Fault> {
        *self.made = self.made.saturating_add(elements);
        if *self.made > ELEMENTS_MAX {
            return Err(self.refuse(
                "brings the program to more constants and indices than the limit of 2^28; split the network",
            ));
        }
        Ok(())
    }
}
