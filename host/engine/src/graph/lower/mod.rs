//! Lowering: from ONNX operators to the five kinds of step of a [`Program`].
//!
//! Every value becomes the slot of a vector, row-major in its ONNX shape; operators that only rename
//! elements in order (Reshape) share the slot of their operand. No constant is rounded without its error
//! stated beside it: the program over the reals, each constant within its error, encloses the network
//! over the reals. One file per family of operators; the passes of [`crate::program::simplify`] then join
//! what belongs together.

mod elementwise;
mod operand;
mod product;

use std::borrow::Cow;

use crate::chain::Chain;
use crate::program::{
    Affine, Builder, Constants, Function, Map, Operation, Program, ProgramError, Slot, Term, simplify,
};

use super::error::{Fault, LoadError, Name};
use super::network::{Network, Node, Value};
use super::ops::{Binary, Op, Unary};
use super::tensor::ELEMENTS_MAX;
use operand::Operand;

impl Network {
    /// The network as a program.
    ///
    /// # Errors
    /// [`Fault::Lowering`] names the node that a program cannot hold.
    pub fn lower(&self) -> Result<Program, LoadError> {
        self.lower_to_program().map_err(|fault| LoadError::content(&self.file, fault))
    }

    /// The network as a chain of layers, if it is one.
    ///
    /// # Errors
    /// As [`Self::lower`]; [`Fault::Chain`] names the step that a chain cannot hold.
    pub fn to_chain(&self) -> Result<Chain, LoadError> {
        let chain = self.lower()?.into_chain();
        chain.map_err(|e| LoadError::content(&self.file, e.into()))
    }

    fn lower_to_program(&self) -> Result<Program, Fault> {
        let mut slots = vec![None; self.values.len()];
        slots[self.input_id().0] = Some(Slot::INPUT);
        let mut program = Builder::new(self.input().len());
        let mut made = 0;
        for node in self.nodes() {
            let mut at =
                Lowering { network: self, node, slots: &slots, program: &mut program, made: &mut made };
            let slot = at.node()?;
            slots[node.output.0] = Some(slot);
        }
        let output = slots[self.output_id().0].expect("import checks that the output is computed");
        Ok(simplify(program.finish(output)?))
    }
}

/// One node on its way into the program.
struct Lowering<'a, 'b> {
    network: &'a Network,
    node: &'a Node,
    /// Where each value of the network is computed.
    slots: &'b [Option<Slot>],
    program: &'b mut Builder,
    /// Constants and indices made so far.
    made: &'b mut usize,
}

impl<'a> Lowering<'a, '_> {
    /// The slot of what the node gives.
    fn node(&mut self) -> Result<Slot, Fault> {
        match self.node.op {
            Op::Reshape => self.computed(0),
            Op::MatMul => self.matmul(),
            Op::Gemm { alpha, beta, trans_a, trans_b } => self.gemm(alpha, beta, trans_a, trans_b),
            Op::Unary(Unary::Relu) => self.function(Function::Relu),
            Op::Binary(Binary::Add) => self.add(),
            Op::Binary(Binary::Sub) => self.sub(),
            Op::Binary(Binary::Mul) => self.mul(),
            _ => Err(self.refuse("has no lowering to a program yet")),
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

    /// Operand `i` of the node.
    fn operand(&self, i: usize) -> Operand<'a> {
        let id = self.node.inputs[i];
        let value = self.network.value(id);
        Operand {
            shape: value.shape.clone(),
            constant: value.floats().map(Cow::Borrowed),
            slot: self.slots[id.0],
        }
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

    fn push(&mut self, operation: Operation) -> Result<Slot, Fault> {
        let pushed = self.program.push(&self.node.name, operation);
        pushed.map_err(|e: ProgramError| self.refuse(&e.to_string()))
    }

    fn affine(&mut self, input: Slot, map: Map, bias: Option<Constants>) -> Result<Slot, Fault> {
        self.sum(vec![Term { input, map }], bias)
    }

    fn sum(&mut self, terms: Vec<Term>, bias: Option<Constants>) -> Result<Slot, Fault> {
        self.push(Operation::Affine(Affine { terms, bias }))
    }

    /// `y[i] = x[indices(i)]`.
    fn index(&mut self, input: Slot, indices: impl ExactSizeIterator<Item = usize>) -> Result<Slot, Fault> {
        self.reserve(indices.len())?;
        // Values have at most 2^28 elements, so every index is in range.
        let indices = indices.map(|i| u32::try_from(i).expect("at most 2^28")).collect();
        self.push(Operation::Index { inputs: vec![input], indices })
    }
}
