//! Element types of VNN-LIB 2.0.

use std::fmt;

use certus_core::proof::Meaning;

/// What the elements of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// Real numbers (`Real`, `real`): the network is read as a function over the reals.
    Real,
    /// IEEE 754 binary32 (`float32`).
    Float32,
}

impl ElementType {
    /// All that are supported.
    pub const ALL: [Self; 2] = [Self::Float32, Self::Real];

    /// Reads a supported type's name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "Real" | "real" => Some(Self::Real),
            "float32" => Some(Self::Float32),
            _ => None,
        }
    }

    /// For which executions a property over this type is proved.
    pub fn meaning(self) -> Meaning {
        match self {
            Self::Real => Meaning::Real,
            Self::Float32 => Meaning::RealAndF32,
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Real => "real",
            Self::Float32 => "float32",
        })
    }
}
