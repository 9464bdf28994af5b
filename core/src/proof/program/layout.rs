//! Where everything lies in memory: bounds of the slots, coefficient matrices of a backward pass, claims.

use super::super::{Factors, Rejection};
use super::lines;
use crate::program::{Function, Map, Operation, Program, Slot, Step};

/// Most splits of computed values on a path: each is a term in a sum of coefficients.
pub const SPLITS_MAX: usize = 4096;

/// No step.
const NONE: usize = usize::MAX;

/// The tables of a program that the checker looks things up in, in memory lent by the caller.
#[derive(Clone, Copy, Debug)]
pub struct Layout<'m> {
    /// First element of each slot among the elements of all; one more than slots.
    offsets: &'m [usize],
    /// First row of each slot's coefficients in the arena, `[slots]`.
    arena: &'m [usize],
    /// First claim byte of each step; one more than steps.
    claims: &'m [usize],
    /// `2·step` of the first relaxed step that reads a slot, plus 1 if there are several, `[slots]`.
    relaxed: &'m [usize],
    /// First element of each step among those whose lines are kept; one more than steps.
    kept: &'m [usize],
    rows: usize,
    width: usize,
    pub(super) factors: Factors,
}

/// How many claim bytes a step reads.
fn claim_bytes(step: &Step<'_>) -> usize {
    match step.operation {
        Operation::Affine { .. } | Operation::Index { .. } => 0,
        Operation::Elementwise { function, .. } => step.len.saturating_mul(claims_per_element(function)),
        Operation::Max { .. } => step.len.saturating_mul(2),
        Operation::Product { k, .. } => step.len.saturating_mul(k).saturating_mul(2),
    }
}

/// One free slope for a function with a kink at 0, else a lower and an upper one.
pub(super) fn claims_per_element(function: Function) -> usize {
    match function {
        Function::Relu | Function::LeakyRelu { .. } | Function::Abs => 1,
        _ => 2,
    }
}

/// At least the number of terms that a step adds to any sum.
fn terms(program: &Program<'_>, step: &Step<'_>) -> usize {
    let of_map = |map: &Map<'_>, len: usize| {
        let (reads, gives) = map.shape(len);
        let more = match map {
            Map::Conv(c) | Map::ConvTranspose(c) => {
                c.taps().saturating_mul(c.group_channels_in().saturating_add(c.group_channels_out()))
            }
            Map::Sparse(sparse) => sparse.columns.len(),
            _ => 0,
        };
        reads.saturating_add(gives).saturating_add(more)
    };
    let inner = match step.operation {
        Operation::Affine { terms, .. } | Operation::Index { terms, .. } => program
            .terms(terms)
            .iter()
            .fold(0usize, |sum, t| sum.saturating_add(of_map(&t.map, program.size(t.input)))),
        Operation::Elementwise { .. } => 0,
        Operation::Max { groups, .. } => groups.members.len(),
        Operation::Product { k, .. } => step.len.saturating_mul(k).saturating_mul(4),
    };
    inner.saturating_add(step.len.saturating_mul(4))
}

impl<'m> Layout<'m> {
    /// Elements of memory that [`Layout::new`] needs.
    pub fn words(program: &Program<'_>) -> usize {
        program.slots().saturating_mul(6).saturating_add(1)
    }

    /// Lays a program out.
    ///
    /// # Errors
    /// [`Rejection::Shape`] if `words` is shorter than [`Layout::words`], or the program is too large for the rounding argument.
    pub fn new(program: &Program<'_>, words: &'m mut [usize]) -> Result<Self, Rejection> {
        let slots = program.slots();
        let (offsets, rest) = words.split_at_mut_checked(slots.saturating_add(1)).ok_or(Rejection::Shape)?;
        let (arena, rest) = rest.split_at_mut_checked(slots).ok_or(Rejection::Shape)?;
        let (claims, rest) = rest.split_at_mut_checked(slots).ok_or(Rejection::Shape)?;
        let (relaxed, rest) = rest.split_at_mut_checked(slots).ok_or(Rejection::Shape)?;
        let (kept, rest) = rest.split_at_mut_checked(slots).ok_or(Rejection::Shape)?;
        let last = rest.get_mut(..slots).ok_or(Rejection::Shape)?;
        let mut width = 0;
        let (mut sum, mut count) = (0usize, slots);
        for (slot, offset) in offsets.iter_mut().enumerate() {
            *offset = sum;
            let size = program.size(Slot(slot));
            width = if size > width { size } else { width };
            sum = sum.checked_add(size).ok_or(Rejection::Shape)?;
        }
        let (mut bytes, mut lines) = (0usize, 0usize);
        for first in [claims.first_mut(), kept.first_mut()].into_iter().flatten() {
            *first = 0;
        }
        let ends = claims.iter_mut().skip(1).zip(kept.iter_mut().skip(1));
        for (step, (claims, kept)) in program.steps().iter().zip(ends) {
            bytes = bytes.checked_add(claim_bytes(step)).ok_or(Rejection::Shape)?;
            lines += match step.operation {
                Operation::Elementwise { function, .. } if lines::kept(function) => step.len,
                _ => 0,
            };
            (*claims, *kept) = (bytes, lines);
            count = count.saturating_add(terms(program, step));
        }
        count = count.saturating_add(program.inputs().saturating_mul(4));
        if count > 1 << 29 {
            return Err(Rejection::Shape);
        }
        readers(program, last, relaxed);
        let rows = place(program, last, arena).ok_or(Rejection::Shape)?;
        Ok(Self {
            offsets,
            arena,
            claims,
            relaxed,
            kept,
            rows,
            width,
            factors: Factors::of_terms(4 * count + SPLITS_MAX + 64),
        })
    }

    /// Elements of all slots.
    pub(super) fn elements(&self) -> usize {
        self.offsets.last().copied().unwrap_or(0)
    }
    /// Rows of the arena.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }
    /// Largest slot.
    pub(super) fn width(&self) -> usize {
        self.width
    }
    /// Elements of `f64` memory that a [`super::Bounds`] needs.
    pub fn bounds_len(&self) -> usize {
        self.elements().saturating_mul(3).saturating_add(self.lines_len())
    }
    /// Elements of `f64` memory that the lines of all elements take whose lines are kept.
    pub(super) fn lines_len(&self) -> usize {
        self.kept.last().copied().unwrap_or(0).saturating_mul(lines::KEPT)
    }
    /// Where the lines of a step's elements begin.
    pub(super) fn lines_at(&self, step: usize) -> usize {
        self.kept.get(step).copied().unwrap_or(0).saturating_mul(lines::KEPT)
    }
    /// Elements of `f64` memory that [`super::Memory`] needs.
    pub fn memory_len(&self, lanes: usize) -> usize {
        let arena = self.rows.saturating_add(3).saturating_mul(lanes);
        let bounds = self.elements().saturating_mul(2).saturating_add(self.lines_len());
        arena.saturating_add(bounds).saturating_add(self.width.saturating_mul(5))
    }
    /// Elements of `f64` memory that [`super::Memory`] needs besides for affine forms of so many symbols, with a kernel whose lanes come in
    /// multiples of `multiple`.
    pub fn forms_len(&self, columns: usize, multiple: usize) -> usize {
        super::forms::stride(columns, multiple).map_or(usize::MAX, |stride| self.rows.saturating_mul(stride))
    }
    /// Elements of `u32` memory that [`super::Memory`] needs.
    pub fn index_len(&self, lanes: usize) -> usize {
        let lists = self.width.saturating_add(lanes.saturating_mul(3)).saturating_add(self.arena.len());
        lists.saturating_add(self.rows).saturating_add(self.elements())
    }
    /// Claim bytes of a row that starts at `slot`: those of all steps before it.
    pub fn claims_len(&self, slot: Slot) -> usize {
        self.claims.get(slot.0).copied().unwrap_or(0)
    }
    /// Where the claim bytes of a step begin. One for each element of a ReLU, leaky ReLU or absolute value; a lower and an
    /// upper one for other functions and outputs of a max; two for each product of two numbers.
    pub fn claims_at(&self, step: usize) -> usize {
        self.claims.get(step).copied().unwrap_or(0)
    }
    /// First element of a slot among the elements of all slots.
    pub fn offset(&self, slot: Slot) -> usize {
        self.offsets.get(slot.0).copied().unwrap_or(0)
    }
    /// First row of a slot's coefficients.
    pub(super) fn arena(&self, slot: Slot) -> usize {
        self.arena.get(slot.0).copied().unwrap_or(0)
    }
    /// The first relaxed step that reads a slot, and whether it is the only one: where the slot's bounds matter.
    pub fn relaxed(&self, slot: Slot) -> Option<(usize, bool)> {
        let code = *self.relaxed.get(slot.0)?;
        (code != NONE).then_some((code / 2, code % 2 == 0))
    }
}

/// Fills, for each slot, the last slot computed from it and the first relaxed step that reads it.
fn readers(program: &Program<'_>, last: &mut [usize], relaxed: &mut [usize]) {
    relaxed.fill(NONE);
    last.iter_mut().enumerate().for_each(|(slot, last)| *last = slot);
    for (index, step) in program.steps().iter().enumerate() {
        let linear = matches!(step.operation, Operation::Affine { .. } | Operation::Index { .. });
        program.for_each_input(step, |slot| {
            if let Some(last) = last.get_mut(slot.0) {
                *last = index + 1;
            }
            match relaxed.get_mut(slot.0) {
                Some(code) if !linear && *code == NONE => *code = 2 * index,
                Some(code) if !linear && *code / 2 != index => *code |= 1,
                _ => {}
            }
        });
    }
    // Rows may start with coefficients on the input, so those live throughout.
    if let Some(input) = last.first_mut() {
        *input = program.slots();
    }
}

/// Places each slot's coefficients where nothing lies that lives at the same time; returns the rows needed.
///
/// Backwards, slot `s` lives from the step that computes slot `last[s]` to its own. An operand of an elementwise step takes the
/// place of the result, if it begins to live there.
fn place(program: &Program<'_>, last: &[usize], arena: &mut [usize]) -> Option<usize> {
    let mut rows = 0;
    for slot in (0..program.slots()).rev() {
        let (size, end) = (program.size(Slot(slot)), *last.get(slot)?);
        let same = shared(program, slot, end);
        let free = |at: usize, arena: &[usize], same: Option<usize>| -> Option<usize> {
            // The end of something in the way, if there is.
            (slot + 1..program.slots().min(end + 1)).filter(|q| Some(*q) != same).find_map(|q| {
                let (from, len) = (*arena.get(q)?, program.size(Slot(q)));
                (at < from + len && from < at + size).then_some(from + len)
            })
        };
        let on_top = same.and_then(|s| arena.get(s).copied()).filter(|at| free(*at, arena, same).is_none());
        let at = match on_top {
            Some(at) => at,
            None => {
                // Every end in the way is at most the highest; the lowest free place follows one of them.
                let mut at = 0;
                while let Some(next) = free(at, arena, None) {
                    at = next;
                }
                at
            }
        };
        *arena.get_mut(slot)? = at;
        let top = at.checked_add(size)?;
        rows = if top > rows { top } else { rows };
    }
    Some(rows)
}

/// The slot that an elementwise step computes from `slot`, if its coefficients become those of `slot` in place.
fn shared(program: &Program<'_>, slot: usize, end: usize) -> Option<usize> {
    let step = program.steps().get(end.checked_sub(1)?)?;
    let in_place =
        slot > 0 && matches!(step.operation, Operation::Elementwise { input, .. } if input.0 == slot);
    in_place.then_some(end)
}
