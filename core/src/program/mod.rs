//! The network as a program of five kinds of step, over borrowed constants.
//!
//! A program is a list of [`Step`]s; each reads the input or what earlier steps give, and gives one vector.
//! The five kinds are *affine* (sums of dense, convolutional, diagonal and sparse maps), *elementwise* `f`,
//! *max* over groups, *product* (batched matrix product of two computed values) and *index map* (gather,
//! transpose, slice, concatenate, pad with zero). Values are flat, row-major.
//!
//! Slot 0 is the input, slot `i + 1` what step `i` gives; the last slot is the output. What affine steps and
//! index maps read lies in one table of [`Term`]s beside the steps, so that both tables can be arrays of fixed
//! capacity:
//!
//! ```
//! use certus_core::program::{Function, Map, Operation, Program, Slot, Step, Term, Terms};
//!
//! // |x| = relu(x) + relu(−x)
//! let weights = [1.0, -1.0];
//! let split = Map::Dense { count: 1, rows: 2, cols: 1, weights: &weights };
//! let join = Map::Dense { count: 1, rows: 1, cols: 2, weights: &[1.0, 1.0] };
//! let terms = [Term { input: Slot(0), map: split }, Term { input: Slot(2), map: join }];
//! let steps = [
//!     Step { len: 2, operation: Operation::Affine { terms: Terms { first: 0, count: 1 }, bias: None } },
//!     Step { len: 2, operation: Operation::Elementwise { input: Slot(1), function: Function::Relu } },
//!     Step { len: 1, operation: Operation::Affine { terms: Terms { first: 1, count: 1 }, bias: None } },
//! ];
//! let program = Program::new(1, &steps, &terms)?;
//! assert_eq!((program.inputs(), program.outputs(), program.slots()), (1, 1, 4));
//! # Ok::<(), certus_core::program::ProgramError>(())
//! ```

mod check;
mod error;
pub mod forward;
mod function;
mod map;
pub mod plan;
pub(crate) mod rows;

pub use error::{Fault, ProgramError};
pub use function::Function;
pub use map::{Constants, Conv, Map, Sparse};
pub use plan::{Place, Planned, Sizes};

/// What is read: the input (0) or the result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Slot(pub usize);

impl Slot {
    /// The input of the program.
    pub const INPUT: Self = Self(0);
}

/// One step of a program.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Elements it gives; [`Program::new`] checks that they are what the operation gives.
    pub len: usize,
    /// What it computes.
    pub operation: Operation<'a>,
}

/// What a step computes.
#[derive(Clone, Copy, Debug)]
pub enum Operation<'a> {
    /// `bias + Σ map(x)` over the terms; at least one.
    Affine {
        /// The maps and what they read.
        terms: Terms,
        /// One for each output; `None` is zero.
        bias: Option<Constants<'a>>,
    },
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
        groups: Groups<'a>,
    },
    /// `count` matrix products of computed values: `[count, m, k] · [count, k, n] → [count, m, n]`.
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
    /// `y[i] = x[indices[i]]`, `x` the concatenation of what the terms read; [`ZERO`] gives 0.
    Index {
        /// What is concatenated; every map is [`Map::Identity`].
        terms: Terms,
        /// Where each output comes from.
        indices: &'a [u32],
    },
}

/// The index of an [`Operation::Index`] whose output is the constant 0.
pub const ZERO: u32 = u32::MAX;

/// A run of the table of terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Index of the first.
    pub first: usize,
    /// How many.
    pub count: usize,
}

/// A linear map of one earlier value.
#[derive(Clone, Copy, Debug)]
pub struct Term<'a> {
    /// What it reads.
    pub input: Slot,
    /// The map.
    pub map: Map<'a>,
}

/// Lists of indices, one per output, stored one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups<'a> {
    /// List `i` is `members[starts[i]..starts[i + 1]]`; one more start than lists.
    pub starts: &'a [u32],
    /// The lists' elements.
    pub members: &'a [u32],
}

impl<'a> Groups<'a> {
    /// Number of lists.
    pub fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }
    /// Whether there is no list.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The lists in order; an empty one where the starts do not fit the members.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u32]> + use<'a> {
        let members = self.members;
        runs(self.starts).map(move |run| members.get(run).unwrap_or_default())
    }
}

/// The ranges between neighbouring starts.
pub(crate) fn runs(starts: &[u32]) -> impl Iterator<Item = core::ops::Range<usize>> {
    let ends = starts.get(1..).unwrap_or_default();
    starts.iter().zip(ends).map(|(from, to)| to_usize(*from)..to_usize(*to))
}

/// An index as a `usize`; saturates where `usize` is smaller, which no slice reaches.
pub(crate) fn to_usize(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// A checked program.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    inputs: usize,
    steps: &'a [Step<'a>],
    terms: &'a [Term<'a>],
}

impl<'a> Program<'a> {
    /// Checks that `steps`, whose terms lie in `terms`, form a program of `inputs` inputs: every operand comes
    /// earlier, sizes and indices fit, constants are finite and their errors not negative.
    ///
    /// # Errors
    /// [`ProgramError`] names the first step that does not fit, and why.
    pub fn new(inputs: usize, steps: &'a [Step<'a>], terms: &'a [Term<'a>]) -> Result<Self, ProgramError> {
        let program = Self { inputs, steps, terms };
        check::check(&program)?;
        Ok(program)
    }

    /// A program of tables that [`Self::new`] accepted; reads no constant.
    pub(crate) fn from_checked(inputs: usize, steps: &'a [Step<'a>], terms: &'a [Term<'a>]) -> Self {
        Self { inputs, steps, terms }
    }

    /// The steps in order.
    pub fn steps(&self) -> &'a [Step<'a>] {
        self.steps
    }
    /// The table that steps take their terms from.
    pub fn term_table(&self) -> &'a [Term<'a>] {
        self.terms
    }
    /// A run of the table; empty if it lies outside.
    pub fn terms(&self, run: Terms) -> &'a [Term<'a>] {
        let end = run.first.saturating_add(run.count);
        self.terms.get(run.first..end).unwrap_or_default()
    }
    /// Elements of the input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }
    /// Elements of the output.
    pub fn outputs(&self) -> usize {
        self.size(self.output())
    }
    /// The slot that is the output: the last.
    pub fn output(&self) -> Slot {
        Slot(self.steps.len())
    }
    /// Elements of a slot; 0 for one that does not exist.
    pub fn size(&self, slot: Slot) -> usize {
        match slot.0.checked_sub(1) {
            None => self.inputs,
            Some(step) => self.steps.get(step).map_or(0, |s| s.len),
        }
    }
    /// Number of slots: one more than steps.
    pub fn slots(&self) -> usize {
        self.steps.len().saturating_add(1)
    }
    /// Calls `visit` with each slot that a step reads, in order.
    pub fn for_each_input(&self, step: &Step<'_>, mut visit: impl FnMut(Slot)) {
        match step.operation {
            Operation::Affine { terms, .. } | Operation::Index { terms, .. } => {
                self.terms(terms).iter().for_each(|t| visit(t.input));
            }
            Operation::Elementwise { input, .. } | Operation::Max { input, .. } => visit(input),
            Operation::Product { left, right, .. } => {
                visit(left);
                visit(right);
            }
        }
    }
}
