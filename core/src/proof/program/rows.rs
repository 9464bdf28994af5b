//! A block of rows under way: coefficients of every lane on the slots that they have reached, values and deductions.

use super::super::{Factors, Rejection, up};
use super::checker::View;
use super::kernel::UNREAD;
use crate::program::{Function, Operation, Slot};

/// A block of rows under way.
pub(super) struct Rows<'m> {
    /// Coefficients on every slot that lives.
    pub arena: &'m mut [f64],
    /// For each row of the arena: 0 where it holds anything and stands for zeros, [`UNREAD`] where it does and has to stay so, else 1.
    pub live: &'m mut [u32],
    pub value: &'m mut [f64],
    pub deduct: &'m mut [f64],
    /// One number for each lane.
    pub free: &'m mut [f64],
    /// Rows of a matrix that are not zero; or marks of a slot's elements.
    pub index: &'m mut [u32],
    /// Three lists over the lanes: in a lemma, what each bounds, where its slopes and where its case begins; for leaves, see there.
    pub starts: &'m mut [u32],
    /// Which slots have coefficients: 0 or 1.
    pub touched: &'m mut [u32],
    /// For each element of all slots, whether it varies over the box: see [`super::varies`].
    pub varies: &'m mut [u32],
    /// Lanes of this block; a row's coefficients lie so far apart.
    pub lanes: usize,
    /// Most lanes of a block.
    pub most: usize,
}

impl Rows<'_> {
    /// Begins a block of `used` rows with no coefficients, values and deductions; lanes come in multiples of `multiple`.
    pub(super) fn begin(&mut self, used: usize, multiple: usize) {
        let lanes = used.max(1).checked_next_multiple_of(multiple).unwrap_or(self.most);
        self.lanes = if lanes < self.most { lanes } else { self.most };
        self.touched.fill(0);
        self.value.fill(0.0);
        self.deduct.fill(0.0);
    }

    /// Where a slot's coefficients lie: start and length.
    pub(super) fn place(&self, view: &View<'_>, slot: Slot) -> (usize, usize) {
        (view.layout.arena(slot) * self.lanes, view.program.size(slot) * self.lanes)
    }

    /// Begins a slot's coefficients, all zero, if it had none before. Those of a ReLU of what is never positive are never read: it is 0, and adds
    /// exactly 0 to a row, whatever its coefficient.
    pub(super) fn touch(&mut self, view: &View<'_>, slot: Slot) -> Result<(), Rejection> {
        let touched = self.touched.get_mut(slot.0).ok_or(Rejection::Shape)?;
        if *touched != 0 {
            return Ok(());
        }
        *touched = 1;
        let step = slot.0.checked_sub(1).and_then(|i| view.program.steps().get(i));
        let marks = self.marks(view, slot)?;
        match step.map(|s| s.operation) {
            Some(Operation::Elementwise { input, function: Function::Relu }) => {
                let (lower, upper) = view.slot(input)?;
                for (mark, (l, u)) in marks.iter_mut().zip(lower.iter().zip(upper)) {
                    // As `lines::straight` has it: what is 0 everywhere keeps its slope of 1.
                    *mark = if *l < 0.0 && *u <= 0.0 { UNREAD } else { 0 };
                }
            }
            _ => marks.fill(0),
        }
        Ok(())
    }

    /// Lets the coefficients of a slot, which lie where those of a function of it did, be read: they are zero where the function's were not.
    pub(super) fn read_all(&mut self, view: &View<'_>, slot: Slot) -> Result<(), Rejection> {
        *self.touched.get_mut(slot.0).ok_or(Rejection::Shape)? = 1;
        self.marks(view, slot)?.iter_mut().filter(|m| **m == UNREAD).for_each(|m| *m = 0);
        Ok(())
    }

    /// The marks of a slot's rows.
    fn marks(&mut self, view: &View<'_>, slot: Slot) -> Result<&mut [u32], Rejection> {
        let at = view.layout.arena(slot);
        self.live.get_mut(at..at + view.program.size(slot)).ok_or(Rejection::Shape)
    }

    /// Writes zeros into an element's row that stands for them; then it is live.
    pub(super) fn enliven(&mut self, view: &View<'_>, slot: Slot, element: usize) -> Result<(), Rejection> {
        let at = view.layout.arena(slot) + element;
        let live = self.live.get_mut(at).ok_or(Rejection::Shape)?;
        if *live != 1 {
            *live = 1;
            let (from, to) = (at * self.lanes, (at + 1) * self.lanes);
            self.arena.get_mut(from..to).ok_or(Rejection::Shape)?.fill(0.0);
        }
        Ok(())
    }

    /// The coefficients of an element of a slot that was touched, `[lanes]`, to be added to.
    pub(super) fn row(
        &mut self,
        view: &View<'_>,
        slot: Slot,
        element: usize,
    ) -> Result<&mut [f64], Rejection> {
        self.enliven(view, slot, element)?;
        let at = (view.layout.arena(slot) + element) * self.lanes;
        self.arena.get_mut(at..at + self.lanes).ok_or(Rejection::Shape)
    }

    /// Lets an element's row stand for zeros.
    pub(super) fn clear(&mut self, view: &View<'_>, slot: Slot, element: usize) -> Result<(), Rejection> {
        *self.live.get_mut(view.layout.arena(slot) + element).ok_or(Rejection::Shape)? = 0;
        Ok(())
    }

    pub(super) fn is_touched(&self, slot: Slot) -> bool {
        self.touched.get(slot.0).is_some_and(|t| *t != 0)
    }

    /// Whether every lane's coefficient of an element is 0.
    pub(super) fn is_zero(&self, view: &View<'_>, slot: Slot, element: usize) -> Result<bool, Rejection> {
        let at = view.layout.arena(slot) + element;
        if self.live.get(at) != Some(&1) {
            return Ok(true);
        }
        let (from, to) = (at * self.lanes, (at + 1) * self.lanes);
        self.arena.get(from..to).map(is_zero).ok_or(Rejection::Shape)
    }

    /// `V − D`, rounded down.
    pub(super) fn bound(&self, lane: usize, factors: Factors) -> Result<f64, Rejection> {
        let (Some(value), Some(deduct)) = (self.value.get(lane), self.deduct.get(lane)) else {
            return Err(Rejection::Shape);
        };
        let bound = (value - up(deduct * factors.inflate)).next_down();
        if bound.is_finite() { Ok(bound) } else { Err(Rejection::NonFinite) }
    }
}

/// Two disjoint parts of a slice, given by start and length.
pub(super) fn two_parts(
    all: &mut [f64],
    first: (usize, usize),
    second: (usize, usize),
) -> Result<(&mut [f64], &mut [f64]), Rejection> {
    let swapped = first.0 > second.0;
    let ((a, a_len), (b, b_len)) = if swapped { (second, first) } else { (first, second) };
    let (low, high) = all.split_at_mut_checked(b).ok_or(Rejection::Shape)?;
    let low = low.get_mut(a..a + a_len).ok_or(Rejection::Shape)?;
    let high = high.get_mut(..b_len).ok_or(Rejection::Shape)?;
    Ok(if swapped { (high, low) } else { (low, high) })
}

/// Whether all are 0, of either sign: without an early end, so that it compiles to vectors.
fn is_zero(row: &[f64]) -> bool {
    row.iter().fold(0, |bits, a| bits | (a.to_bits() << 1)) == 0
}
