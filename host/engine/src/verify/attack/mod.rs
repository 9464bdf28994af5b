//! Counterexamples by descent from many points at once.
//!
//! [`Swarm`] holds the points and the rules by which they move; [`Points`] evaluates them, on a chain as it was read
//! ([`DensePoints`]) or on a packed program. A point in which the rows are about non-positive is replayed by a [`Judge`], so nothing
//! found here counts before it holds of the networks as they are.
//!
//! Conjunctions over few inputs are solved by [`newton`] besides. [`Attacker`] is what the search on chains uses.

mod chain;
mod dense;
mod goal;
mod newton;
mod random;
mod swarm;
#[cfg(test)]
mod tests;

pub use chain::Attacker;
pub use dense::{DenseLayers, DensePoints};
pub use goal::{Goal, PointBox};
pub use swarm::Swarm;

use crate::property::Witness;

/// Replays a point; gives the witness if it is one.
pub type Judge<'j> = &'j dyn Fn(&[f32]) -> Option<Witness>;

/// A network at many points at once, in lanes: an *estimate*.
pub trait Points {
    /// Elements of an input.
    fn inputs(&self) -> usize;
    /// Elements of an output.
    fn outputs(&self) -> usize;
    /// About how many products an evaluation at one point takes.
    fn work(&self) -> usize;
    /// The outputs `[outputs, lanes]` at the points `x` `[inputs, lanes]`; `lanes` is a multiple of 16.
    ///
    /// # Panics
    /// If `x` has another length.
    fn evaluate(&mut self, x: &[f32], lanes: usize) -> &[f32];
    /// The gradient `[inputs, lanes]` of `Σ weights·output` at the points last evaluated, `weights` `[outputs, lanes]`. Functions that
    /// are flat where they are evaluated (an inactive ReLU) have the slope `leak` there: 0 for the gradient as it is.
    ///
    /// # Panics
    /// If `weights` has another length.
    fn gradient(&mut self, weights: &[f32], leak: f32) -> &[f32];
}

/// Points, steps and lives of the attack that comes before anything else, by what an evaluation costs.
///
/// About as much as packing the network, and less than a bound of its root: 16 points are one vector of AVX-512.
pub fn first_effort(work: usize) -> (usize, usize) {
    match work {
        0..10_000 => (32, 12),
        10_000..200_000 => (32, 24),
        200_000..4_000_000 => (16, 32),
        _ => (16, 24),
    }
}

/// Rounds, points and steps of an attack on a root that bounds did not prove, by what an evaluation costs.
pub fn root_effort(work: usize) -> (usize, usize, usize) {
    match work {
        0..20_000 => (3, 64, 40),
        20_000..300_000 => (2, 64, 40),
        _ => (1, 32, 50),
    }
}

/// The attack that comes before anything else: on all of `goal`, from `seed`.
pub fn first(
    goal: &Goal<'_>,
    points: &mut dyn Points,
    judge: Judge<'_>,
    seed: u64,
    stop: &dyn Fn() -> bool,
) -> Option<Witness> {
    let (lanes, steps) = first_effort(points.work());
    Swarm::new(goal, lanes, steps, seed).run(points, judge, steps, stop)
}
