//! Linear programs: `min c·x` over a box and rows `rl ≤ Ax ≤ ru`, with certificates.
//!
//! A subproblem of branch and bound whose unstable neurons are all split is a polytope on which the network is affine: an LP
//! decides it. Its dual values *are* what a proof states, the multipliers `β` of the splits; where it is infeasible, the same
//! holds of a Farkas ray. With neurons left unsplit, the LP of the triangle relaxation is the best bound that slopes `α` and
//! multipliers `β` can give (Salman et al. 2019, arXiv:1902.08722), and its duals are those slopes.
//!
//! * [`Lp`] is the data, [`Solver`] who solves it: [`simplex`] is this crate's own, [`highs`] a shared library found at run time.
//! * [`Relaxation`] collects a network's columns and rows; [`chain`] and [`program`] fill it from a domain.
//! * [`leaf`] decides a domain, [`mip`] branches on what an LP leaves undecided, [`tighten`] bounds neurons by LPs,
//!   [`planes`] brings the first layer's neurons closer than the triangle.
//!
//! Nothing here is trusted: what an LP says becomes claims that the proof checker accepts or not.

pub mod chain;
pub mod dual;
pub mod highs;
mod kernel;
pub mod leaf;
pub mod mip;
pub mod planes;
mod problem;
pub mod program;
pub mod relaxation;
mod scale;
pub mod simplex;
#[cfg(test)]
mod tests;
pub mod tighten;

pub use leaf::{Decision, Refuted, decide_leaf};
pub use problem::{Lp, LpError};
pub use relaxation::{Evidence, Linear, Relaxation};
pub use simplex::Basis;

use std::time::Instant;

/// When to stop before the optimum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// A bound above this is enough. Default none.
    pub enough: Option<f64>,
    /// When to give up. Default never.
    pub deadline: Option<Instant>,
}

/// What became of an LP.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Solved to optimality.
    Optimal(Optimum),
    /// No `x` satisfies the rows: `ray` makes [`dual::infeasibility`] positive.
    Infeasible {
        /// Row multipliers, `[rows]`.
        ray: Vec<f64>,
    },
    /// Ended early, by [`Limits`] or because rounding prevents more: `duals` prove `bound`.
    Stopped {
        /// A lower bound of the optimum.
        bound: f64,
        /// Row multipliers, `[rows]`.
        duals: Vec<f64>,
    },
}

/// A solved LP.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimum {
    /// `c·x` at `primal`.
    pub value: f64,
    /// A minimiser, `[columns]`.
    pub primal: Vec<f64>,
    /// Row multipliers, `[rows]`: not negative where the row's lower bound is tight, not positive where its upper is.
    pub duals: Vec<f64>,
}

/// Who solves LPs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Solver {
    /// The dual simplex of this crate.
    #[default]
    Own,
    /// HiGHS, if its library is found, else the own one.
    Highs,
}

impl Solver {
    /// Solves `lp`.
    pub fn solve(self, lp: &Lp, limits: Limits) -> Outcome {
        match (self, highs::library()) {
            (Self::Highs, Some(highs)) => {
                highs.solve_lp(lp, limits).unwrap_or_else(|_| simplex::solve(lp, None, limits).0)
            }
            _ => simplex::solve(lp, None, limits).0,
        }
    }
}
