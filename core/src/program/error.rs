//! Why steps do not form a program.

use core::fmt;

/// Why steps do not form a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ProgramError {
    /// The program has no inputs.
    Empty,
    /// A step does not fit.
    Step {
        /// Its index.
        step: usize,
        /// Why.
        fault: Fault,
    },
}

/// Why a step does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fault {
    /// It reads what no earlier step gives.
    Slot {
        /// What it reads.
        slot: usize,
    },
    /// Its terms lie outside the table, there are none, or an index map reads through a map.
    Terms,
    /// A list has `found` elements where `expected` are needed.
    Length {
        /// Elements needed.
        expected: usize,
        /// Elements found.
        found: usize,
    },
    /// A constant is NaN or infinite, or the error of one is negative or not finite.
    NonFinite,
    /// It gives nothing; a group, kernel, stride or size is 0; or a setting of its function is out of range.
    Empty,
    /// An index points outside its operand.
    Index {
        /// The index.
        index: u32,
    },
    /// Lists of indices do not follow one another.
    Lists,
    /// It is too wide for the rounding argument of `f32` (see [`crate::round`]).
    TooWide,
    /// The device has no `f32` pass or no bounds for it.
    Unsupported,
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => write!(f, "the program has no inputs"),
            Self::Step { step, fault } => write!(f, "step {step} {fault}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Slot { slot } => write!(f, "reads slot {slot}, which no earlier step gives"),
            Self::Terms => write!(f, "has no terms, or terms that do not belong to it"),
            Self::Length { expected, found } => {
                write!(f, "has {found} elements where {expected} are needed")
            }
            Self::NonFinite => write!(f, "has a constant that is not finite, or an error that is negative"),
            Self::Empty => write!(f, "gives nothing, or has a size of 0 or a setting out of range"),
            Self::Index { index } => write!(f, "reads element {index}, which its operand does not have"),
            Self::Lists => write!(f, "has lists that do not follow one another"),
            Self::TooWide => write!(f, "is too wide for the rounding argument"),
            Self::Unsupported => write!(f, "computes what the device does not"),
        }
    }
}

impl core::error::Error for ProgramError {}
