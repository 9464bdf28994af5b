//! What the monitor says, and why it could not be built.

use core::fmt;

use crate::program::ProgramError;

/// The answer to one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Decision {
    /// The class that the outputs name: the first of the largest (or smallest) ones. `None` if the
    /// specification is about rows, or if no outputs were computed.
    pub class: Option<u16>,
    /// How far the outputs are from another answer: top minus runner-up, or the smallest row, rounded
    /// down. Minus infinity if no outputs were computed.
    pub margin: f32,
    /// What is known about the ball around the sample.
    pub status: Status,
}

/// What is known about the ball `|x'ᵢ − xᵢ| ≤ epsilonᵢ` around a sample `x`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Status {
    /// Every input of the ball has the same answer, over the reals and in the device's `f32`.
    Certified {
        /// Where that was proved.
        by: Evidence,
        /// Factor `ρ ≥ 1`, rounded down: every `x'` with `|x'ᵢ − xᵢ| ≤ ρ·epsilonᵢ` has the same answer.
        /// Infinite if every epsilon is 0.
        radius: f32,
    },
    /// Nothing was proved.
    NotCertified {
        /// Lower bound of the margin on the ball; minus infinity if no bound was computed.
        margin_lower: f32,
    },
    /// A feature lies outside the input range; nothing was computed.
    OutOfRange {
        /// The first such feature.
        feature: u16,
    },
    /// No answer can be given.
    Invalid(Fault),
}

/// What a certified answer stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Evidence {
    /// The ball lies in a region that was proved before export.
    Region,
    /// Bounds computed for this sample.
    Bounds,
}

/// Why no answer can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fault {
    /// The sample has another number of features than the network has inputs.
    Length,
    /// A feature is NaN or infinite.
    NonFinite,
    /// An output is NaN or infinite.
    Overflow,
    /// Arithmetic does not round to nearest even, flushes subnormals, or fuses products and sums.
    FpEnv,
}

/// Why a monitor could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum MonitorError {
    /// Room for more layers is needed.
    Layers {
        /// Layers needed.
        needed: usize,
    },
    /// The layers given are not those of the artifact.
    LayerTable,
    /// Room for more steps or terms is needed, or a place for each slot: one more than steps.
    Tables {
        /// Steps needed.
        steps: usize,
        /// Terms needed.
        terms: usize,
    },
    /// The steps form no program, or not one that devices run.
    Program(ProgramError),
    /// More memory is needed.
    Memory {
        /// `f32` elements needed.
        needed: usize,
    },
    /// Arithmetic does not round to nearest even, flushes subnormals, or fuses products and sums.
    FpEnv,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Certified { by, radius } => write!(f, "certified by {by}, radius {radius}"),
            Self::NotCertified { margin_lower } => write!(f, "not certified, margin at least {margin_lower}"),
            Self::OutOfRange { feature } => write!(f, "feature {feature} out of range"),
            Self::Invalid(fault) => write!(f, "invalid: {fault}"),
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Region => "region",
            Self::Bounds => "bounds",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "wrong number of features",
            Self::NonFinite => "a feature is not finite",
            Self::Overflow => "an output is not finite",
            Self::FpEnv => "arithmetic does not follow IEEE 754",
        })
    }
}

impl fmt::Display for MonitorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Layers { needed } => write!(f, "room for {needed} layers is needed"),
            Self::LayerTable => write!(f, "the layers given are not those of the artifact"),
            Self::Tables { steps, terms } => {
                write!(f, "room for {steps} steps, {terms} terms and a place for each slot is needed")
            }
            Self::Program(program) => write!(f, "{program}"),
            Self::Memory { needed } => write!(f, "memory for {needed} floats is needed"),
            Self::FpEnv => write!(f, "arithmetic does not follow IEEE 754"),
        }
    }
}

impl core::error::Error for MonitorError {}
