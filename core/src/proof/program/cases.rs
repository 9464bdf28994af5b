//! A bound of one value by cases: a small tree of splits of earlier values, given by its leaves.
//!
//! | then | meaning |
//! | --- | --- |
//! | count `u16` | leaves |
//! | per leaf: depth `u8` | splits on its path |
//! | depth times: slot `u32`, element `u32`, point `f32`, side `u8` (1: `z ≥ point`, 0: `z ≤ point`) | its path |
//! | depth times: `f32` | multipliers `β ≥ 0`, one per split |
//! | `L` bytes ([`Layout::claims_len`](super::Layout::claims_len) of the value's slot) | slopes |
//!
//! The leaves stand in preorder, upper sides first: the path of each repeats the one before up to its last upper side, which is a
//! lower side here, and goes on in upper sides; the first has upper sides only, the last lower ones. There are at most as many as lanes. So every input lies in a leaf, and the
//! least of the leaves' bounds holds everywhere. A leaf whose splits contradict an interval holds no input.

use super::super::Rejection;
use super::{Layout, Split};
use crate::program::{Program, Slot, to_usize};

/// Bytes of a split.
const SPLIT: usize = 13;

/// The leaves of one bound, checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cases {
    /// Leaves still to come.
    left: usize,
    /// Where the next begins.
    at: usize,
    /// Slopes of a leaf.
    slopes: usize,
}

/// The path of a leaf, by where it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'p> {
    bytes: &'p [u8],
    at: usize,
}

impl<'p> Path<'p> {
    pub(super) fn new(bytes: &'p [u8], at: usize) -> Self {
        Self { bytes, at }
    }
    /// Splits.
    pub(super) fn depth(&self) -> usize {
        self.bytes.get(self.at).copied().map_or(0, usize::from)
    }
    fn word(&self, at: usize) -> Option<[u8; 4]> {
        self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()
    }
    /// Split `i`, in order of depth.
    pub(super) fn split(&self, i: usize) -> Option<Split> {
        let at = self.at + 1 + i * SPLIT;
        let slot = Slot(to_usize(u32::from_le_bytes(self.word(at)?)));
        let element = u32::from_le_bytes(self.word(at + 4)?);
        let point = f32::from_le_bytes(self.word(at + 8)?);
        Some(Split { slot, element, point, above: *self.bytes.get(at + 12)? == 1 })
    }
    /// The multiplier of split `i`.
    pub(super) fn beta(&self, i: usize) -> Option<f64> {
        self.word(self.at + 1 + self.depth() * SPLIT + 4 * i).map(|b| f64::from(f32::from_le_bytes(b)))
    }
    /// Where the slopes begin.
    pub(super) fn slopes(&self) -> usize {
        self.at + 1 + self.depth() * (SPLIT + 4)
    }
    /// Whether every byte and number of it is one of a path of splits before `slot`.
    fn fits(&self, program: &Program<'_>, slot: Slot) -> bool {
        (0..self.depth()).all(|i| {
            let Some((split, beta)) = self.split(i).zip(self.beta(i)) else { return false };
            let side = self.bytes.get(self.at + 1 + i * SPLIT + 12);
            let inside = 0 < split.slot.0 && split.slot < slot;
            inside
                && to_usize(split.element) < program.size(split.slot)
                && split.point.is_finite()
                && side.is_some_and(|s| *s <= 1)
                && beta >= 0.0
                && beta.is_finite()
        })
    }
    /// The splits from the last upper side on are all lower sides: how many come before it; `None` if there is no upper side.
    fn turn(&self) -> Option<usize> {
        (0..self.depth()).rev().find(|i| self.split(*i).is_some_and(|s| s.above))
    }
    /// Whether this is the path of the leaf after the one with path `before`, or of the first.
    fn follows(&self, before: Option<Self>) -> bool {
        let fixed = match before {
            None => 0,
            Some(before) => {
                let Some(turn) = before.turn() else { return false };
                let lower = |s: Split| Split { above: false, ..s };
                let same = (0..turn).all(|i| self.split(i) == before.split(i));
                if turn >= self.depth() || !same || self.split(turn) != before.split(turn).map(lower) {
                    return false;
                }
                turn + 1
            }
        };
        (fixed..self.depth()).all(|i| self.split(i).is_some_and(|s| s.above))
    }
}

impl Cases {
    /// The leaves that begin at `at` in `bytes`, for a value of `slot`; `separate` says of a slot whether only functions of one value
    /// read it.
    ///
    /// # Errors
    /// [`Rejection::Claim`] if they are not those of a tree.
    pub(super) fn new(
        bytes: &[u8],
        at: usize,
        (program, layout, slot): (&Program<'_>, &Layout<'_>, Slot),
        separate: impl Fn(Slot) -> bool,
    ) -> Result<Self, Rejection> {
        let head = bytes.get(at..).and_then(|b| b.get(..2)).ok_or(Rejection::Claim)?;
        let &[low, high] = head else { return Err(Rejection::Claim) };
        let (left, slopes) = (usize::from(u16::from_le_bytes([low, high])), layout.claims_len(slot));
        let cases = Self { left, at: at + 2, slopes };
        let (mut rest, mut before) = (cases, None);
        while let Some(path) = rest.next(bytes) {
            // Then the bytes are all there.
            if rest.at > bytes.len() || !path.fits(program, slot) || !path.follows(before) {
                return Err(Rejection::Claim);
            }
            if (0..path.depth()).any(|i| path.split(i).is_none_or(|s| !separate(s.slot))) {
                return Err(Rejection::Claim);
            }
            before = Some(path);
        }
        match before {
            Some(last) if last.turn().is_none() => Ok(cases),
            _ => Err(Rejection::Claim),
        }
    }

    /// Leaves still to come.
    pub(super) fn len(&self) -> usize {
        self.left
    }

    /// The next leaf's path.
    pub(super) fn next<'p>(&mut self, bytes: &'p [u8]) -> Option<Path<'p>> {
        self.left = self.left.checked_sub(1)?;
        let path = Path { bytes, at: self.at };
        self.at = path.slopes().saturating_add(self.slopes);
        Some(path)
    }
}

impl Path<'_> {
    /// Where it begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }
}
