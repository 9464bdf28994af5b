//! α,β-CROWN for many domains of a program at once.
//!
//! A *domain* is a box of inputs and [`Split`]s of computed values, each `s·(z − point) ≥ 0`. Its intermediate bounds come from
//! [`rebound`]; [`optimise`] then climbs free slopes `α` and multipliers `β ≥ 0` of one row of a [`Spec`] per *lane*, with these bounds held
//! fixed. A split adds `−s·β·(z − point) ≤ 0` to the row; the bound is concave in the multipliers, and its gradient is
//! `∂/∂β = −s·(z* − point)` with `z*` the value that the concretizing point has there (the adjoint is one forward sweep, see
//! `super::tape`). Every iterate is a bound, and the best one of each lane is kept.
//!
//! # Slopes and the bytes of a proof
//! Slopes are shares in bytes, [`Alphas`]. A pass reads the byte, not the number that the optimiser moves, so that a bound found here is
//! the bound of the claim that [`claims`] makes of it, up to rounding and to what the checker knows better about intervals.
//!
//! Source: Wang et al. 2021 (arXiv:2103.06624); Shi et al. 2024 (arXiv:2405.21063) for points of any nonlinearity.

mod block;
mod claims;
mod curves;
mod free;
mod kinks;
mod multipliers;
mod optimise;
mod planes;
mod rebound;
mod root;
#[cfg(test)]
mod tests;

pub use certus_core::proof::program::Split;
pub use claims::{Alphas, claims};
pub(super) use claims::{KNOTS, byte as share_byte, first_bytes, knot_byte, knots};
pub use optimise::{optimise, optimise_values};
pub use rebound::rebound;
pub use root::{RowSlopes, SlotSlopes, climb_with_slopes};

use super::Region;
use super::interval::Interval;
use crate::program::Slot;

#[cfg(doc)]
use super::Spec;

/// A subproblem: a box, splits, and what its parent knew.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// The box, inside the parent's.
    pub region: Region<'a>,
    /// All splits of its path.
    pub splits: &'a [Split],
    /// Per slot of the program, as [`super::Bounds::slots`]; `None` bounds everything from nothing.
    pub parent: Option<&'a [Interval]>,
}

/// One row of one domain.
#[derive(Clone, Copy, Debug)]
pub struct Lane<'a> {
    /// The domain's box.
    pub region: Region<'a>,
    /// Its bounds, cut at the splits: what [`rebound`] gave.
    pub intervals: &'a [Interval],
    /// Row of the spec.
    pub row: usize,
    /// Splits of its path.
    pub splits: &'a [Split],
    /// Where to start, or adaptive slopes and no multipliers.
    pub start: Option<&'a Start>,
}

/// Slopes and multipliers to start from, small enough to be stored with every open domain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Start {
    /// Slopes; elements without one start with adaptive slopes.
    pub alpha: Alphas,
    /// Multipliers, one per split in order of depth; missing ones are 0.
    pub beta: Vec<f32>,
}

/// How long and how fast to climb.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaneClimb {
    /// Iterations. Default 20, range 0…: with 0 the start is bounded.
    pub iterations: usize,
    /// First step of slopes, in units of alpha. Default 0.1, range [0, 1].
    pub alpha_rate: f32,
    /// First step of multipliers, in units of the coefficients of the value that is split. Default 0.5 (0.1 leaves a third of what
    /// splits gain on `resnet_2b` and `cifar_base_kw` after 20 iterations, 1 is no better), range 0….
    pub beta_rate: f32,
    /// Factor of both steps per iteration. Default 0.98, range (0, 1].
    pub decay: f32,
    /// Whether a lane stops once its bound is positive. Default true.
    pub stop_when_positive: bool,
    /// Whether a lane stops once its progress does not reach 0 any more. Default true.
    pub give_up: bool,
    /// Whether only bounds are asked for: of the rest of [`Found`] nothing is written, which saves two passes of three where there is
    /// no iteration. Default false.
    pub only_bounds: bool,
    /// Threads that share the lanes. Default 1, range 1….
    pub threads: usize,
}

impl Default for LaneClimb {
    fn default() -> Self {
        Self {
            iterations: 20,
            alpha_rate: 0.1,
            beta_rate: 0.5,
            decay: 0.98,
            stop_when_positive: true,
            give_up: true,
            only_bounds: false,
            threads: 1,
        }
    }
}

/// What is lost at one element, or may be gained by splitting there: *estimates*.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The value to split: an operand of a nonlinear step.
    pub slot: Slot,
    /// Its element.
    pub element: u32,
    /// What the relaxation loses at the concretizing point, at least 0.
    pub gap: f32,
    /// `−min(a, 0)·` intercept of the upper line of a ReLU, leaky ReLU or absolute value, else the gap.
    pub intercept: f32,
    /// For a function with a kink at 0: how much the bound changes if `z ≥ 0`, and if `z ≤ 0`, where the operand's own bias stands for
    /// its value (BaBSR, Bunel et al. 2020); else the gap, twice.
    pub branches: [f32; 2],
}

/// The best bound of a lane, and where it was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Lower bound of the row.
    pub bound: f32,
    /// Slopes and multipliers that give it.
    pub start: Start,
    /// Of each undecided element with a loss; empty where the bound is positive.
    pub scores: Vec<Score>,
    /// Where the linear bound on the input takes its minimum, `[inputs]`; empty where the bound is positive.
    pub point: Vec<f32>,
    /// The linear bound on the input that gives `bound`, `[inputs]`; empty where that is positive.
    pub coefficients: Vec<f32>,
    /// Its constant.
    pub constant: f32,
}
