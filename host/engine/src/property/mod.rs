//! Properties in disjunctive normal form, as the verifier reads them.
//!
//! A VNN-LIB file states the *violation*: the property holds if no input in any case's box makes all rows
//! of one of the case's disjuncts true. Decimals are exact: a box is kept rounded outward (`f64`, for
//! proofs) and inward (`f32`, for witnesses), a right-hand side as an enclosing pair.

mod alias;
mod assemble;
mod compose;
mod compose_chain;
mod decimal;
mod element;
mod error;
mod evaluate;
mod expression;
mod formula;
mod linear;
mod merge;
mod query;
mod sexpr;
#[cfg(test)]
mod tests;
mod vnnlib;
mod witness;

use std::path::Path;

pub use compose::{Composed, Composition, Part};
pub use decimal::{Decimal, DecimalError};
pub use element::ElementType;
pub use error::{Place, Position, Problem, PropertyError, Word};
pub use evaluate::Evaluate;
pub use query::{Equivalence, NetworkDeclaration, Query, Tensor, Version, parse_query};
pub use vnnlib::{parse_vnnlib_str, parse_vnnlib1};
pub use witness::{Witness, check_witness, parse_witness};

/// Cap on a VNN-LIB file, unpacked, bytes.
const LIMIT_BYTES: u64 = 1 << 29;

/// What a file asks, with how the networks it speaks of become one.
#[derive(Clone, Debug, PartialEq)]
pub struct Lowered {
    /// The property of the composed network.
    pub property: Property,
    /// The composed network.
    pub composition: Composition,
}

/// What a VNN-LIB file holds.
#[derive(Clone, Debug)]
pub enum Specification {
    /// VNN-LIB 1.0: about one network.
    V1(Lowered),
    /// VNN-LIB 2.0.
    V2(Query),
}

/// Reads the VNN-LIB file at `path`, of either version (gzip accepted).
///
/// # Errors
/// [`PropertyError`], naming file, line and column.
pub fn load_specification(path: &Path) -> Result<Specification, PropertyError> {
    let bytes = crate::file::read(path, LIMIT_BYTES)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| PropertyError::whole(Problem::Text));
    text.and_then(parse_specification).map_err(|e| e.in_file(path))
}

/// Reads VNN-LIB text of either version.
///
/// # Errors
/// [`PropertyError::Content`], naming line and column.
pub fn parse_specification(text: &str) -> Result<Specification, PropertyError> {
    if query::is_version2(text) {
        parse_query(text).map(Specification::V2)
    } else {
        parse_vnnlib1(text).map(Specification::V1)
    }
}

/// Reads the VNN-LIB 1.0 property at `path` (gzip accepted).
///
/// # Errors
/// [`PropertyError`], naming file and line.
pub fn load_property(path: &Path) -> Result<Property, PropertyError> {
    let bytes = crate::file::read(path, LIMIT_BYTES)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| PropertyError::whole(Problem::Text));
    text.and_then(parse_vnnlib_str).map_err(|e| e.in_file(path))
}

impl Property {
    /// Checks that the property speaks of `network`: as many inputs, as many outputs.
    ///
    /// # Errors
    /// [`Problem::Network`] if not.
    pub fn check_against(&self, network: &dyn Evaluate) -> Result<(), PropertyError> {
        let sides = [("inputs", network.inputs(), self.inputs), ("outputs", network.outputs(), self.outputs)];
        for (what, expected, found) in sides {
            if expected != found {
                return Err(PropertyError::whole(Problem::Network { what, expected, found }));
            }
        }
        Ok(())
    }
}

impl Lowered {
    /// Checks that there is one network per part, with the inputs and outputs that the part needs.
    ///
    /// # Errors
    /// [`Problem::NetworkCount`], [`Problem::Network`] if not.
    pub fn check_against(&self, networks: &[&dyn Evaluate]) -> Result<(), PropertyError> {
        let count = self.composition.parts.len();
        if count != networks.len() {
            return Err(PropertyError::whole(Problem::NetworkCount {
                expected: count,
                found: networks.len(),
            }));
        }
        for part in &self.composition.parts {
            let network = networks[part.network];
            let sides = [
                ("inputs", network.inputs(), part.inputs.len()),
                ("outputs", network.outputs(), part.outputs),
            ];
            for (what, expected, found) in sides {
                if expected != found {
                    return Err(PropertyError::whole(Problem::Network { what, expected, found }));
                }
            }
        }
        Ok(())
    }
}

/// About the composed network (see [`Composition`]; mostly just the network). Violated iff for some case there is an `x` in its box such that some disjunct holds at `y = f(x)`.
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
