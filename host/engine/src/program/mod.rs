//! The network as a program of five kinds of step: what bounds, search and proofs read.
//!
//! A program is a list of [`Step`]s; each reads the input or what earlier steps give and gives one vector.
//! The five kinds are *affine* (sums of dense, convolutional, diagonal and sparse maps), *elementwise* `f`,
//! *max* over groups, *product* (batched matrix product of two computed values) and *index map* (gather,
//! transpose, slice, concatenate, pad with zero). Values are flat, row-major in the shape of the ONNX
//! value they stand for; `graph` lowers an ONNX network to a program, no constant rounded without its error
//! being stated beside it.
//!
//! Slot 0 is the input, slot `i + 1` what step `i` gives.

mod affine;
mod build;
mod error;
mod eval;
mod simplify;
mod tables;

pub use affine::{Affine, Constants, Conv, Map, Sparse, Term};
pub use build::Builder;
pub use certus_core::program::{Function, Slot, ZERO};
pub use error::ProgramError;
pub use eval::Float;
pub use simplify::simplify;
pub use tables::Tables;

/// One step of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The ONNX node it comes from, for messages.
    pub name: String,
    /// What it computes.
    pub operation: Operation,
}

/// What a step computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// `bias + Σ map(x)` over the terms.
    Affine(Affine),
    /// `f` on each element.
    Elementwise {
        /// Its operand, `[n]`; the result is `[n]`.
        input: Slot,
        /// The function.
        function: Function,
    },
    /// `y[i] = max over j in groups[i] of x[j]`; every group has at least one member.
    Max {
        /// Its operand.
        input: Slot,
        /// The members of each output's group.
        groups: Groups,
    },
    /// `count` matrix products of computed values: `[count, m, k] · [count, k, n] → [count, m, n]`.
    /// Element by element is `m = k = n = 1`.
    Product {
        /// Left operand, `[count, m, k]`.
        left: Slot,
        /// Right operand, `[count, k, n]`.
        right: Slot,
        /// Independent products.
        count: usize,
        /// Rows of the left matrix.
        m: usize,
        /// Columns of the left matrix, rows of the right.
        k: usize,
        /// Columns of the right matrix.
        n: usize,
    },
    /// `y[i] = x[indices[i]]`, `x` the concatenation of the inputs; [`ZERO`] gives 0.
    Index {
        /// What is concatenated.
        inputs: Vec<Slot>,
        /// Where each output comes from.
        indices: Vec<u32>,
    },
}

/// Lists of indices, one per output, stored one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// List `i` is `members[starts[i]..starts[i + 1]]`; one more start than lists.
    pub starts: Vec<u32>,
    /// The lists' elements.
    pub members: Vec<u32>,
}

impl Groups {
    /// Number of lists.
    pub fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }
    /// Whether there is no list.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The lists in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        self.starts.windows(2).map(|w| &self.members[w[0] as usize..w[1] as usize])
    }
}

/// A checked program.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    steps: Vec<Step>,
    /// Elements of each slot.
    sizes: Vec<usize>,
    output: Slot,
}

impl Program {
    /// The steps in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
    /// The steps, given away.
    pub fn into_steps(self) -> Vec<Step> {
        self.steps
    }
    /// Elements of the input.
    pub fn inputs(&self) -> usize {
        self.sizes[0]
    }
    /// Elements of the output.
    pub fn outputs(&self) -> usize {
        self.sizes[self.output.0]
    }
    /// The slot that is the output.
    pub fn output(&self) -> Slot {
        self.output
    }
    /// Elements of a slot.
    pub fn size(&self, slot: Slot) -> usize {
        self.sizes[slot.0]
    }
    /// Number of slots: one more than steps.
    pub fn slots(&self) -> usize {
        self.sizes.len()
    }
}

impl Operation {
    /// The slots it reads.
    pub fn inputs(&self) -> Vec<Slot> {
        match self {
            Self::Affine(affine) => affine.terms.iter().map(|t| t.input).collect(),
            Self::Elementwise { input, .. } | Self::Max { input, .. } => vec![*input],
            Self::Product { left, right, .. } => vec![*left, *right],
            Self::Index { inputs, .. } => inputs.clone(),
        }
    }
}
