//! Properties in disjunctive normal form, as the verifier reads them.
//!
//! A VNN-LIB file states the *violation*: the property holds if no input in any case's box makes all rows
//! of one of the case's disjuncts true. Decimals are exact: a box is kept rounded outward (`f64`, for
//! proofs) and inward (`f32`, for witnesses), a right-hand side as an enclosing pair.

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
    /// Smallest `f32` that is `≥` the decimal lower bound. May exceed `witness_upper` where the
    /// decimal interval holds no `f32`: then no witness exists in `f32`.
    pub witness_lower: Vec<f32>,
    /// Largest `f32` that is `≤` the decimal upper bound.
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
