//! The checker for programs of [`crate::program`]: general networks.
//!
//! # What is proved
//! As for chains (see [`super`]): no input of a box makes all rows of a disjunct true. A row may also involve the input. A proof
//! is a tree of splits (an input's coordinate, or any computed value at a point) whose leaves cover the box, and of *lemmas*:
//! at a node, bounds of all values are derived once ([`Checker::derive`]) and inherited by the leaves below, which intersect
//! them with intervals of their own box and splits and then need one backward pass ([`Checker::check_leaf`]). Claims (which row,
//! slopes, multipliers `β`) are suggestions: every value in range gives a valid bound.
//!
//! # The bound
//! Every slot has an interval for each element, from interval arithmetic step by step in centre-radius form, intersected with
//! rows. A row `Σ a·x` over slots is propagated backwards step by step: an affine step turns `a` on its result into `Mᵀa` on
//! its operands; any other step into coefficients of two sound linear bounds of each result, the lower one where `a ≥ 0`, the
//! upper where `a < 0`:
//! * a function with a *kink at 0* (ReLU, leaky ReLU, absolute value): any chosen `â` is valid on `[l, u]`, `l < 0 < u`, with the
//!   deduction `−min(0, a·f(l) − âl, a·f(u) − âu)`, since `a·f(z) − âz` is linear on both sides of 0;
//! * other functions: any slopes with intercepts that enclose the residual `f(z) − sz` on `[l, u]`: [`crate::relax::residual`];
//! * *max*: below, any member; above, `y ≤ Σ μₖxₖ + c` for any `0 ≤ μ ≤ 1` with
//!   `c = maxₖ[(1 − μₖ)uₖ + μₖlₖ] − Σ μₖlₖ`, the exact maximum over the box of the convex `y − Σ μₖxₖ`;
//! * *product* `x·w`: any `(p, q)` with the smallest (largest) `xw − px − qw` over the four corners (McCormick 1976).
//!
//! A split `s(z − v) ≥ 0` with multiplier `β ≥ 0` contributes `−sβ(z − v) ≤ 0`.
//!
//! # Rounding
//! Round to nearest binary64, `u = 2⁻⁵³`, any order of summation, products fused or not. A lane carries `V` and `D ≥ 0`, its
//! bound is `V − D`. Let `g ≥ γ_K`, `K` above four times the number of terms of all sums of the program together ([`Layout`]
//! counts them) and [`SPLITS_MAX`], and `m ≥ |x|` an element's mass.
//! * A coefficient on an element is a sum of terms from every step that reads it. Each term `τ` passes its product, the
//!   sums of its own step and those over steps: at most `K` roundings. So the sum is off by at most `Σ g|τ|`, and the row by
//!   at most `g|τ|m` for each term. Whoever adds a term charges at least `g|τ|m` to `D`; nothing is charged later.
//! * A constant `v` added to `V` is computed with at most `K` roundings and passes at most `K` more: whoever adds a sum of products
//!   charges `2g` times the sum of their absolute values.
//! * Affine: with `tᵢ ≥ Σ|Mᵢⱼ|mⱼ + |bᵢ|` over all terms, terms and bias charge `g Σ|aᵢ|tᵢ`. Constants that are off by up to `e`
//!   change the result by `εᵢ ≤ Σ eᵢⱼmⱼ + e_b`; `D += Σ|aᵢ|qᵢ` with `qᵢ ≥ 4g tᵢ + 2εᵢ`. (A device's rounding would enter here.)
//! * Kink: the formula's products and differences round by at most `4u(|a|F + |â|X)`, `F` the largest `|f|`, `X` the mass; with
//!   the term `âz` that is below `4g(|a|F + |â|X)`, which is charged. Lines and planes have intercepts rounded outward as they
//!   are computed; `a·c` and the terms charge `4g|a|(|c| + Σ|slope|m)`, which also covers that `fl(a·slope)` is what is added.
//! * `β`: the term and the constant charge `4gβ(m + |v|)`.
//! * Input, and every value that does not vary over the box (`varies`): `min(a·l, a·u)` enters `V` and `4g|a|m` enters `D`.
//! * `D` is a sum of at most `K` non-negative terms of at most six roundings each: at most `D̂(1 + 4g)`.
//! * Underflow: a pass has fewer than 2⁶⁴ products, each off by at most 2⁻¹⁰⁷⁵, times the mass of what it multiplies or times 1:
//!   `TINY` `= 2⁻¹⁰⁰⁰` times (1 + mass of all elements) covers them.
//!
//! Every bound is tested finite; NaN and infinity reject.
//!
//! ```
//! use certus_core::program::{Function, Map, Operation, Program, Slot, Step, Term, Terms};
//! use certus_core::proof::program::{Adaptive, Bounds, Checker, Claim, Layout, Memory, Plain, Problem, Row};
//! use certus_core::proof::Meaning;
//!
//! // y = relu(x) + relu(−x) on [−1, 2]: y ≤ −1.5 is impossible.
//! let split = Map::Dense { count: 1, rows: 2, cols: 1, weights: &[1.0, -1.0] };
//! let join = Map::Dense { count: 1, rows: 1, cols: 2, weights: &[1.0, 1.0] };
//! let terms = [Term { input: Slot(0), map: split }, Term { input: Slot(2), map: join }];
//! let steps = [
//!     Step { len: 2, operation: Operation::Affine { terms: Terms { first: 0, count: 1 }, bias: None } },
//!     Step { len: 2, operation: Operation::Elementwise { input: Slot(1), function: Function::Relu } },
//!     Step { len: 1, operation: Operation::Affine { terms: Terms { first: 1, count: 1 }, bias: None } },
//! ];
//! let program = Program::new(1, &steps, &terms).unwrap();
//! let rows = [Row { output: &[1.0], input: &[], rhs: -1.5 }];
//! let problem = Problem { program, disjuncts: &[&rows], meaning: Meaning::Real };
//!
//! let mut words = vec![0; Layout::words(&program)];
//! let layout = Layout::new(&program, &mut words)?;
//! let lanes = 4;
//! let (mut floats, mut index) = (vec![0.0; layout.memory_len(lanes)], vec![0; layout.index_len(lanes)]);
//! let memory = Memory { floats: &mut floats, index: &mut index, lanes };
//! let mut checker = Checker::new(&problem, &layout, Plain, memory)?;
//! let region: (&[f64], &[f64]) = (&[-1.0], &[2.0]);
//! let mut memory = vec![0.0; layout.bounds_len()];
//! let mut root = Bounds::new(&layout, &mut memory);
//! checker.derive(None, region, &[], &Adaptive, &mut root)?;
//! let mut margins = [0.0];
//! checker.check_leaf(&root, region, &[], &[Claim::default()], &mut margins)?;
//! assert!(margins[0] > 0.49); // the bound, −1, less the right-hand side
//! # Ok::<(), certus_core::proof::Rejection>(())
//! ```

mod backward;
mod cases;
mod checker;
mod derive;
mod forms;
mod interval;
mod kernel;
mod layout;
mod leaf;
mod leaves;
mod lines;
mod planes;
mod rows;
mod team;
mod tree;
mod varies;

pub use checker::{Bounds, Checker, Held, Memory};
pub use derive::{Adaptive, IntervalsOnly, Slopes, Start};
pub use kernel::{Kernel, Kink, Lines, Matrix, Plain, UNREAD, forward_lanes, lanes};
pub use layout::{Layout, SPLITS_MAX};
pub use leaf::Outcome;
pub use leaves::Leaf;
pub use lines::slope_range;
pub use team::{Alone, Team};
pub use tree::{Frame, LeafBytes, Lemma, TreeMemory, Visitor, walk};

use super::Meaning;
use crate::program::{Program, Slot};

/// A row to refute: `output · y + input · x ≤ rhs`.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// `[outputs]`, taken exactly.
    pub output: &'a [f64],
    /// `[inputs]`, taken exactly; empty is zero.
    pub input: &'a [f64],
    /// Right-hand side, taken exactly.
    pub rhs: f64,
}

/// What is to be proved on a box: no input makes all rows of a disjunct true.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// The network.
    pub program: Program<'a>,
    /// Each a conjunction of rows.
    pub disjuncts: &'a [&'a [Row<'a>]],
    /// For which executions.
    pub meaning: Meaning,
}

/// A computed value (or input) kept to one side of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// Which value.
    pub slot: Slot,
    /// Element of the slot.
    pub element: u32,
    /// Where it is split; finite.
    pub point: f32,
    /// `z ≥ point`, else `z ≤ point`.
    pub above: bool,
}

/// The row of a [`Claim`] that says: the leaf is empty (the row 0 > 0, which multipliers may prove).
pub const NO_INPUT: u16 = u16::MAX;

/// How a leaf refutes one disjunct.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim<'a> {
    /// Which row of the disjunct fails everywhere in the leaf, or [`NO_INPUT`].
    pub row: u16,
    /// Slopes as laid out by [`Layout::claims_at`], or empty for the adaptive rules.
    pub alpha: &'a [u8],
    /// Little-endian `f32` multipliers `β ≥ 0`, one per split of the leaf in order of depth, or empty for zeros.
    pub beta: &'a [u8],
}
