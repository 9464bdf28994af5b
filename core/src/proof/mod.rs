//! The proof checker: re-derives, in `f64` with every rounding accounted for, what a search claims.
//!
//! # What is proved
//! A [`Problem`] states disjuncts of rows `c·y ≤ rhs` over a box of inputs: the violations to rule out. A proof is a
//! tree of splits whose leaves cover the box; in each leaf, for each disjunct, one row, or a combination of its rows with weights
//! `≥ 0`, is shown to fail everywhere: `c·y > rhs`. [`walk`] derives the leaves from the splits, so that they cover by construction;
//! [`check_leaf`] bounds one leaf from nothing but its box, its splits and its claims. Claims (which row or which weights, which
//! slopes `alpha`, which multipliers `beta`, which planes above neurons of the first layer) are *suggestions*: any value in range
//! gives a valid bound, a bad one only fails to prove.
//!
//! Nothing here is shared with the search.
//!
//! # The bound
//! As in [`crate::bounds`] (centre-radius intervals, CROWN rows, a device perturbation `δᵢ` per pre-activation for the meaning
//! `F32`), with three differences: it runs in `f64`, many rows at once in *lanes*; a neuron fixed by a split has its
//! interval cut at 0 and contributes `−s·β·z ≤ 0`, `β ≥ 0`, `s = ±1` its sign; and rounding is collected instead of directed.
//!
//! # Rounding
//! Round to nearest binary64, `u = 2⁻⁵³`, any order of summation, products fused or not. Each lane carries a value `V` and a
//! deduction `D ≥ 0`; its bound is `V − D`. Let `g ≥ γ_K` with `K` above the number of terms that enter any sum here
//! (`Factors`: three times all neurons and inputs, and some). With `tᵢ = Σ|Wᵢⱼ|mⱼ + |bᵢ|` as there:
//! * a product with `Wᵀ` is off by at most `g|a|ᵀ|W|m = g Σ|aᵢ|(tᵢ − |bᵢ|)`;
//! * bias terms `aᵢbᵢ` enter `V` by a product and at most `K` sums: off by at most `g Σ|aᵢ||bᵢ|`;
//! * `a − sβ` rounds by at most `u|a|` in the rounded `a`, times `|zᵢ| ≤ tᵢ + eᵢ`.
//!
//!   All three are below `Σ|aᵢ|qᵢ` with `qᵢ ≥ 4g tᵢ + 2eᵢ`, `eᵢ` the device's error (0 for `Real`); that sum goes into `D`;
//! * ReLU: as in [`crate::bounds`], a chosen `â` between 0 and `a` deducts `max(0, âl, (â − a)u)`;
//! * input terms `min(aⱼlⱼ, aⱼuⱼ)` enter `V`; `2g|aⱼ|mⱼ` enters `D`;
//! * `D` is a sum of at most `K` non-negative terms of at most four roundings each: at most `D̂(1 + 4g)`.
//!
//! Underflow: a proof has fewer than 2³² products per lane and layer, each off by at most 2⁻¹⁰⁷⁵; `TINY` `= 2⁻¹⁰⁰⁰` times
//! (1 + mass of the layer's inputs) covers a layer's. Results are tested finite; NaN and infinity reject.

mod backward;
mod intervals;
mod kernel;
mod leaf;
mod planes;
pub mod program;
mod tree;
mod weights;

pub use kernel::{Kernel, Lines, Plain, lanes};
pub use leaf::{Memory, check_leaf, memory_len};
pub use planes::Planes;
pub use tree::{Frame, LeafBytes, Stats, TreeMemory, check_tree, walk};

use crate::layer::Network;
use core::fmt;

/// Which execution of the network a proof speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Real arithmetic on the network's constants.
    Real,
    /// Real arithmetic and the device's `f32` pass of [`crate::infer`] on `f32` inputs.
    RealAndF32,
}

/// A row to refute: `coefficients · y ≤ rhs`.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// `[outputs]`, taken exactly.
    pub coefficients: &'a [f64],
    /// Right-hand side, taken exactly.
    pub rhs: f64,
}

/// What is to be proved on a box: no input makes all rows of a disjunct true.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// The network.
    pub network: Network<'a>,
    /// Each a conjunction of rows.
    pub disjuncts: &'a [&'a [Row<'a>]],
    /// For which executions.
    pub meaning: Meaning,
}

/// A neuron fixed to one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Index of the layer in the network (one with ReLU).
    pub layer: u16,
    /// Neuron in that layer.
    pub neuron: u32,
    /// `z ≥ 0`, else `z ≤ 0`.
    pub active: bool,
}

/// How a leaf refutes one disjunct.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim<'a> {
    /// Which row of the disjunct fails everywhere in the leaf; unless there are weights.
    pub row: u16,
    /// Lower slopes `α·255` of all neurons (layer after layer, stable ones ignored), or empty for the adaptive rule.
    pub alpha: &'a [u8],
    /// Little-endian `f32` multipliers `β ≥ 0`, one per split of the leaf in order of depth, or empty for zeros.
    pub beta: &'a [u8],
    /// Planes above neurons of the first layer.
    pub planes: Planes<'a>,
    /// Little-endian `f32` weights `≥ 0`, one per row of the disjunct: their combination of the rows fails everywhere in the leaf.
    /// Empty for the row alone.
    pub weights: &'a [u8],
}

/// Why a proof is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// The proof ends before the tree is complete, or goes on after it.
    Length,
    /// Byte `at` begins no step.
    Step {
        /// Offset.
        at: usize,
    },
    /// A split names a coordinate, layer or neuron that does not exist, or a value outside the box.
    Split {
        /// Offset of the step, 0 if it came without one.
        at: usize,
    },
    /// The tree is deeper than the frames given.
    Depth,
    /// A claim names no row of its disjunct, or its slopes or multipliers have the wrong length or range.
    Claim,
    /// The bound does not prove disjunct `disjunct`.
    NotProved {
        /// Which disjunct.
        disjunct: usize,
    },
    /// A bound is not finite, or could overflow on the device.
    NonFinite,
    /// The box is empty or not finite, a shape does not fit, or `memory` is too short.
    Shape,
    /// Two bounds of one value contradict each other where no split explains it: claim nothing.
    Crossed,
    /// Step `step` of the program cannot be bounded (in this meaning).
    Unsupported {
        /// Which step.
        step: usize,
    },
    /// A function is not defined on all of the bounds of its operand.
    Domain {
        /// Which step.
        step: usize,
    },
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length => write!(f, "the proof is too short or too long for its tree"),
            Self::Step { at } => write!(f, "byte {at} begins no proof step"),
            Self::Split { at } => write!(f, "the split at byte {at} is out of range"),
            Self::Depth => write!(f, "the proof tree is too deep"),
            Self::Claim => write!(f, "a claim is out of range"),
            Self::NotProved { disjunct } => write!(f, "the bound does not prove disjunct {disjunct}"),
            Self::NonFinite => write!(f, "a bound is not finite"),
            Self::Shape => write!(f, "the box, a shape or a buffer does not fit the problem"),
            Self::Crossed => write!(f, "two bounds of one value contradict each other"),
            Self::Unsupported { step } => write!(f, "step {step} cannot be bounded in this meaning"),
            Self::Domain { step } => write!(f, "the function of step {step} is not defined on its bounds"),
        }
    }
}

impl core::error::Error for Rejection {}

/// Unit roundoff of `f64`.
const UNIT: f64 = f64::EPSILON / 2.0;

/// Above all underflow of one lane in one layer per unit of mass.
const TINY: f64 = 9.332_636_185_032_189e-302; // 2⁻¹⁰⁰⁰

/// At least `(1 + u)⁴x` for `x ≥ 0`, and above 0.
#[inline]
fn up(x: f64) -> f64 {
    (x * (1.0 + 8.0 * UNIT)).next_up()
}

/// The factors of the rounding argument.
#[derive(Clone, Copy, Debug)]
struct Factors {
    /// `g ≥ γ_K`.
    g: f64,
    /// `≥ 1/(1 − γ_K)`.
    inflate: f64,
}

impl Factors {
    fn new(network: &Network<'_>) -> Self {
        let terms =
            3 * (network.neurons() + network.inputs() + network.outputs() + network.layers().len()) + 64;
        Self::of_terms(terms)
    }

    /// For sums of fewer than `terms` roundings.
    fn of_terms(terms: usize) -> Self {
        // Exact: far below 2⁵³. `k ≤ 2⁻²⁰` for networks that fit any memory; `k(1 + 2k) ≥ k/(1 − k)` for `k ≤ 1/2`.
        let k = terms as f64 * UNIT;
        let g = up(k * (1.0 + 2.0 * k));
        Self { g, inflate: up(1.0 + 4.0 * g) }
    }
}
