//! Properties in disjunctive normal form, as the verifier reads them.
//!
//! A VNN-LIB file states the *violation*: the property holds if no input in any case's box makes all rows
//! of one of the case's disjuncts true. Decimals are exact: a box is kept rounded outward (`f64`, for
//! proofs) and inward (`f32`, for witnesses), a right-hand side as an enclosing pair.

mod assemble;
mod decimal;
mod error;
mod formula;
mod linear;
mod sexpr;
#[cfg(test)]
mod tests;
mod vnnlib;
mod witness;

use std::path::Path;

pub use decimal::{Decimal, DecimalError};
pub use error::{Place, Problem, PropertyError, Word};
pub use vnnlib::parse_vnnlib_str;
pub use witness::{Witness, check_witness, parse_witness};

use crate::Chain;

/// Cap on a VNN-LIB file, unpacked, bytes.
const LIMIT_BYTES: u64 = 1 << 29;

/// Reads the VNN-LIB property at `path` (gzip accepted).
///
/// # Errors
/// [`PropertyError`], naming file and line.
pub fn load_property(path: &Path) -> Result<Property, PropertyError> {
    let bytes = crate::file::read(path, LIMIT_BYTES)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| PropertyError::whole(Problem::Text));
    text.and_then(parse_vnnlib_str).map_err(|e| e.in_file(path))
}

impl Property {
    /// Checks that the property speaks of `program`: as many inputs, as many outputs.
    ///
    /// # Errors
    /// [`Problem::Network`] if not.
    pub fn check_against(&self, chain: &Chain) -> Result<(), PropertyError> {
        let sides = [("inputs", chain.inputs(), self.inputs), ("outputs", chain.outputs(), self.outputs)];
        for (what, expected, found) in sides {
            if expected != found {
                return Err(PropertyError::whole(Problem::Network { what, expected, found }));
            }
        }
        Ok(())
    }
}

/// Violated iff for some case there is an `x` in its box such that some disjunct holds at `y = f(x)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// Inputs of the network it speaks of.
    pub inputs: usize,
    /// Outputs of the network it speaks of.
    pub outputs: usize,
    /// At least one.
    pub cases: Vec<Case>,
}

/// One input box with the violations to look for in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Where the inputs lie.
    pub region: InputBox,
    /// At least one; each holds at least one row. A violation is any disjunct whose rows all hold.
    pub disjuncts: Vec<Disjunct>,
}

/// A box of inputs given by decimals.
#[derive(Clone, Debug, PartialEq)]
pub struct InputBox {
    /// `≤` the decimal lower bound, `[inputs]`; equal where that is an `f64`.
    pub lower: Vec<f64>,
    /// `≥` the decimal upper bound, `[inputs]`; equal where that is an `f64`.
    pub upper: Vec<f64>,
    /// Smallest `f32` that is `≥` the decimal lower bound (`>` if the bound is strict). May exceed `witness_upper` where the
    /// decimal interval holds no `f32`: then no witness exists in `f32`.
    pub witness_lower: Vec<f32>,
    /// Largest `f32` that is `≤` the decimal upper bound (`<` if the bound is strict).
    pub witness_upper: Vec<f32>,
}

/// A conjunction of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Disjunct {
    /// At least one.
    pub rows: Vec<Row>,
}

/// `coefficients · y ≤ rhs` (or `<` if `strict`), with exact coefficients: decimal coefficients that
/// are no `f64` are cleared by scaling the row with a power of ten.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// `[outputs]`, dense.
    pub coefficients: Vec<f64>,
    /// `≤` the exact right-hand side; equal if that is an `f64`. A witness must satisfy this one.
    pub rhs_lower: f64,
    /// `≥` the exact right-hand side. A proof shows `coefficients · y > rhs_upper`.
    pub rhs_upper: f64,
    /// `<` instead of `≤`. A proof ignores this (it refutes `≤`), a witness obeys it.
    pub strict: bool,
}
