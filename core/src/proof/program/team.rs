//! Several checkers at one lemma, on threads of a host; on a device one is alone.

use super::super::Rejection;

/// Checkers that derive the same lemma of the same problem at once, on the same box and under the same splits, and share its rows.
pub trait Team {
    /// Whether this checker propagates the rows of block `block`; all count the blocks of a derivation alike, from 0. A block that no
    /// checker takes tightens nothing.
    fn takes(&mut self, block: usize) -> bool;
    /// Tells the others the bounds of a slot once its rows are propagated, and intersects them with theirs. Every checker calls this for
    /// the same slots in the same order.
    ///
    /// # Errors
    /// Ends the derivation: another checker has failed.
    fn exchange(&mut self, lower: &mut [f64], upper: &mut [f64]) -> Result<(), Rejection>;
}

/// One checker, which propagates all rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Team for Alone {
    fn takes(&mut self, _: usize) -> bool {
        true
    }
    fn exchange(&mut self, _: &mut [f64], _: &mut [f64]) -> Result<(), Rejection> {
        Ok(())
    }
}

/// A derivation under way: its team, and the blocks of rows met so far.
pub(super) struct Shared<'t, T> {
    pub team: &'t mut T,
    pub blocks: usize,
}
