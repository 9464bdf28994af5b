//! The checker: a problem, its layout, a kernel and memory.

use super::super::{Factors, Meaning, Rejection, TINY};
use super::planes::Interval;
use super::rows::Rows;
use super::varies;
use super::{Kernel, Layout, Problem, Split};
use crate::program::{Program, Slot};

/// Memory of a checker, lent by the caller.
pub struct Memory<'m> {
    /// At least [`Layout::memory_len`] elements.
    pub floats: &'m mut [f64],
    /// At least [`Layout::index_len`] elements.
    pub index: &'m mut [u32],
    /// Rows bounded together, at least 2. More is faster, and takes more memory.
    pub lanes: usize,
}

/// Bounds of every element of every slot, on a box and under some splits; memory lent by the caller.
#[derive(Debug)]
pub struct Bounds<'m> {
    pub(super) lower: &'m mut [f64],
    pub(super) upper: &'m mut [f64],
    /// `q` of affine steps.
    pub(super) error: &'m mut [f64],
    /// Lines of the elements that have any kept.
    pub(super) lines: &'m mut [f64],
    pub(super) state: State,
}

/// What bounds hold for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    /// Nothing: not derived, or a derivation failed.
    Void,
    /// No input satisfies the splits.
    Empty { splits: Fingerprint },
    /// All inputs of the box in slot 0 that satisfy the splits; the mass of all elements.
    Derived { splits: Fingerprint, mass: f64 },
}

/// What bounds hold for: see [`Bounds::held`].
#[derive(Clone, Copy, Debug)]
pub struct Held(State);

/// Recognises the splits of a derivation, against mistakes of the caller (a tree is walked in order anyway).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    count: usize,
    hash: u64,
}

impl Fingerprint {
    /// FNV-1a over all fields.
    pub(super) fn of(splits: &[Split]) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for split in splits {
            for word in
                [split.slot.0 as u64, split.element.into(), split.point.to_bits().into(), split.above.into()]
            {
                hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        Self { count: splits.len(), hash }
    }

    /// Whether `splits` begin with those.
    pub(super) fn begins(&self, splits: &[Split]) -> bool {
        splits.get(..self.count).is_some_and(|first| Self::of(first) == *self)
    }
}

impl<'m> Bounds<'m> {
    /// Bounds to be derived, in `memory` of [`Layout::bounds_len`] elements (none can be derived in fewer).
    pub fn new(layout: &Layout<'_>, memory: &'m mut [f64]) -> Self {
        let (elements, mut rest) = (layout.elements(), memory);
        let mut part = |n: usize| take(&mut rest, n).unwrap_or_default();
        let (lower, upper, error) = (part(elements), part(elements), part(elements));
        Self { lower, upper, error, lines: part(layout.lines_len()), state: State::Void }
    }

    /// What they hold for, to be kept with a copy of their memory.
    pub fn held(&self) -> Held {
        Held(self.state)
    }

    /// The bounds of which memory and [`Held`] were kept, for the same program and layout: that they belong together is the caller's promise.
    pub fn kept(layout: &Layout<'_>, memory: &'m mut [f64], held: Held) -> Self {
        Self { state: held.0, ..Self::new(layout, memory) }
    }

    /// Lower and upper bounds of a slot's elements; `None` before they are derived or where no input is left.
    pub fn slot(&self, layout: &Layout<'_>, slot: Slot) -> Option<(&[f64], &[f64])> {
        let State::Derived { .. } = self.state else { return None };
        let (from, to) = (layout.offset(slot), layout.offset(Slot(slot.0 + 1)));
        Some((self.lower.get(from..to)?, self.upper.get(from..to)?))
    }
}

/// What bounds values and checks leaves.
pub struct Checker<'a, K> {
    pub(super) problem: &'a Problem<'a>,
    pub(super) layout: &'a Layout<'a>,
    pub(super) kernel: K,
    /// Bounds of a leaf.
    pub(super) lower: &'a mut [f64],
    pub(super) upper: &'a mut [f64],
    pub(super) lines: &'a mut [f64],
    pub(super) scratch: &'a mut [f64],
    pub(super) rows: Rows<'a>,
    /// Whether the marks of all slots are those of the inputs marked.
    pub(super) marked: bool,
}

/// Bounds as a backward pass reads them.
#[derive(Clone, Copy)]
pub(super) struct View<'v> {
    pub program: &'v Program<'v>,
    pub layout: &'v Layout<'v>,
    pub lower: &'v [f64],
    pub upper: &'v [f64],
    pub error: &'v [f64],
    pub lines: &'v [f64],
    pub mass: f64,
    /// Whether each claimed line has its intercept proved anew, and none comes from a table: dearer, and a little tighter.
    pub anew: bool,
}

impl View<'_> {
    /// The bounds of an element.
    pub fn interval(&self, slot: Slot, element: usize) -> Result<Interval, Rejection> {
        let at = self.layout.offset(slot) + element;
        match (self.lower.get(at), self.upper.get(at)) {
            (Some(l), Some(u)) => Ok((*l, *u)),
            _ => Err(Rejection::Shape),
        }
    }
    /// The bounds of a slot's elements.
    pub fn slot(&self, slot: Slot) -> Result<(&[f64], &[f64]), Rejection> {
        let (from, to) = (self.layout.offset(slot), self.layout.offset(Slot(slot.0 + 1)));
        match (self.lower.get(from..to), self.upper.get(from..to)) {
            (Some(l), Some(u)) => Ok((l, u)),
            _ => Err(Rejection::Shape),
        }
    }
    /// The rounding factors.
    pub fn factors(&self) -> Factors {
        self.layout.factors
    }
    /// What a lane deducts for underflow.
    pub fn underflow(&self) -> f64 {
        TINY * (1.0 + self.mass)
    }
}

/// Takes `n` elements off the front.
fn take<'m, T>(rest: &mut &'m mut [T], n: usize) -> Result<&'m mut [T], Rejection> {
    let (head, tail) = core::mem::take(rest).split_at_mut_checked(n).ok_or(Rejection::Shape)?;
    *rest = tail;
    Ok(head)
}

impl<'a, K: Kernel> Checker<'a, K> {
    /// A checker of `problem`, whose program `layout` lays out.
    ///
    /// # Errors
    /// [`Rejection::Shape`] if rows or memory do not fit; [`Rejection::Unsupported`] for [`Meaning::RealAndF32`], which needs the
    /// device's order of summation of every step.
    pub fn new(
        problem: &'a Problem<'a>,
        layout: &'a Layout<'a>,
        kernel: K,
        memory: Memory<'a>,
    ) -> Result<Self, Rejection> {
        let program = &problem.program;
        if problem.meaning != Meaning::Real {
            return Err(Rejection::Unsupported { step: 0 });
        }
        let fits = |row: &super::Row<'_>| {
            let input = row.input.is_empty() || row.input.len() == program.inputs();
            let finite = row.output.iter().chain(row.input).all(|c| c.is_finite()) && row.rhs.is_finite();
            row.output.len() == program.outputs() && input && finite
        };
        let rows_fit = problem.disjuncts.iter().all(|rows| rows.iter().all(fits));
        let last = Slot(program.slots());
        let same = layout.offset(last) == layout.elements()
            && layout.offset(program.output()) + program.outputs() == layout.elements();
        if !rows_fit || !same || memory.lanes < 2 {
            return Err(Rejection::Shape);
        }
        let (elements, width, lanes) = (layout.elements(), layout.width(), memory.lanes);
        let Memory { floats: mut rest, mut index, .. } = memory;
        if rest.len() < layout.memory_len(lanes) {
            return Err(Rejection::Shape);
        }
        let (lower, upper) = (take(&mut rest, elements)?, take(&mut rest, elements)?);
        let lines = take(&mut rest, layout.lines_len())?;
        let scratch = take(&mut rest, 5 * width)?;
        let (value, deduct) = (take(&mut rest, lanes)?, take(&mut rest, lanes)?);
        let free = take(&mut rest, lanes)?;
        let rows = Rows {
            arena: rest,
            live: take(&mut index, layout.rows())?,
            value,
            deduct,
            free,
            index: take(&mut index, width)?,
            starts: take(&mut index, 3 * lanes)?,
            touched: take(&mut index, program.slots())?,
            varies: take(&mut index, elements)?,
            lanes,
            most: lanes,
        };
        Ok(Self { problem, layout, kernel, lower, upper, lines, scratch, rows, marked: false })
    }

    /// Marks what varies over a box, or is not what it was over the box of `parent`.
    pub(super) fn mark(
        &mut self,
        region: (&[f64], &[f64]),
        parent: Option<&Bounds<'_>>,
    ) -> Result<(), Rejection> {
        let marks = (&mut self.marked, &mut *self.rows.varies);
        varies::mark(&self.problem.program, self.layout, region, parent, marks)
    }

    /// Whether `region` is a box and every split names an element of a step's result, at a finite point.
    pub(super) fn check_domain(
        &self,
        (lower, upper): (&[f64], &[f64]),
        splits: &[Split],
    ) -> Result<(), Rejection> {
        let program = &self.problem.program;
        let boxed = lower.len() == program.inputs()
            && upper.len() == program.inputs()
            && lower.iter().zip(upper).all(|(l, u)| l.is_finite() && u.is_finite() && l <= u);
        if !boxed {
            return Err(Rejection::Shape);
        }
        if splits.len() > super::SPLITS_MAX {
            return Err(Rejection::Depth);
        }
        let fits = |s: &Split| {
            s.slot.0 > 0 && s.point.is_finite() && crate::program::to_usize(s.element) < program.size(s.slot)
        };
        if splits.iter().all(fits) { Ok(()) } else { Err(Rejection::Split { at: 0 }) }
    }
}
