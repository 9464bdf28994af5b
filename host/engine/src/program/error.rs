//! Why steps do not form a program.

use thiserror::Error;

/// Why steps do not form a program.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProgramError {
    /// A step reads what no earlier step gives.
    #[error("step `{step}` reads slot {slot}, which no earlier step gives")]
    Slot {
        /// The step.
        step: String,
        /// What it reads.
        slot: usize,
    },
    /// Sizes do not fit.
    #[error("step `{step}`: {what} has {found} elements, {expected} are needed")]
    Size {
        /// The step.
        step: String,
        /// What does not fit.
        what: &'static str,
        /// Elements needed.
        expected: usize,
        /// Elements found.
        found: usize,
    },
    /// A constant is not finite, or its error is negative or not finite.
    #[error("step `{step}` has a constant that is NaN or infinite")]
    NonFinite {
        /// The step.
        step: String,
    },
    /// A step gives nothing, has no operand, or a group, kernel or stride is empty.
    #[error("step `{step}` is empty: {what}")]
    Empty {
        /// The step.
        step: String,
        /// What is empty.
        what: &'static str,
    },
    /// An index points outside its operand.
    #[error("step `{step}` reads element {index} of {len}")]
    Index {
        /// The step.
        step: String,
        /// The index.
        index: usize,
        /// Elements there are.
        len: usize,
    },
}
