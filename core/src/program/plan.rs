//! Where the values of a program lie in memory, and what its bounds count.
//!
//! A slot lives from the step that gives it to the last step that reads it; the output lives to the end. Slots
//! are placed in order, each at the lowest place where no living slot lies. A step that works element by element
//! on an operand that dies with it overwrites that operand. The same places serve the backward rows of the
//! bounds: a row of coefficients on a slot lives from the slot's last reader back to the step that gives it.

use core::ops::Range;

use super::rows::step_counts;
use super::{Fault, Function, Map, Operation, Program, ProgramError, Slot, Step, ZERO, runs, to_usize};
use crate::round::{K_MAX, gamma_factor};

/// Where one slot lies, and what bounds keep of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Offset in the arena.
    offset: u32,
    /// Number of the last slot that is computed from it; its own if there is none.
    last: u32,
    /// Additions into one coefficient of its row in a backward pass, an upper limit.
    fan: u32,
    /// Offset of its interval among those that bounds keep, or [`NONE`].
    kept: u32,
    /// Offset of its rounding errors among those that bounds keep, or [`NONE`].
    errors: u32,
    in_place: bool,
}

const NONE: u32 = u32::MAX;

/// Elements of each kind of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Values of all slots that live at once.
    pub arena: usize,
    /// Intervals that bounds keep.
    pub kept: usize,
    /// Rounding errors that bounds keep.
    pub errors: usize,
    /// Widest slot.
    pub width: usize,
}

/// A program whose slots have places, and which the device can run and bound.
#[derive(Clone, Copy, Debug)]
pub struct Planned<'p> {
    program: Program<'p>,
    places: &'p [Place],
    sizes: Sizes,
}

fn short(value: usize) -> Result<u32, Fault> {
    u32::try_from(value).ok().filter(|v| *v != NONE).ok_or(Fault::TooWide)
}

fn long(value: u32) -> usize {
    to_usize(value)
}

/// Disjoint parts of the arena: one to read, one to write; `None` if they meet or lie outside.
pub(crate) fn pair<T>(arena: &mut [T], read: Range<usize>, write: Range<usize>) -> Option<(&[T], &mut [T])> {
    if read.end <= write.start {
        let (below, above) = arena.split_at_mut_checked(write.start)?;
        Some((below.get(read)?, above.get_mut(..write.end.checked_sub(write.start)?)?))
    } else if write.end <= read.start {
        let (below, above) = arena.split_at_mut_checked(read.start)?;
        Some((above.get(..read.end.checked_sub(read.start)?)?, below.get_mut(write)?))
    } else {
        None
    }
}

impl<'p> Planned<'p> {
    /// Finds places for the slots of `program`, one [`Place`] for each slot.
    ///
    /// # Shapes
    /// `places` `[slots]`, `scratch` as long as the widest slot.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] if the device cannot run a step or bound it, [`Fault::TooWide`] if a step is outside
    /// the rounding argument, [`Fault::Length`] if a slice is too short.
    pub fn new(
        program: Program<'p>,
        places: &'p mut [Place],
        scratch: &mut [f32],
    ) -> Result<Self, ProgramError> {
        let mut planner = Planner { program: &program, places, sizes: Sizes::default() };
        for step in 0..=program.steps().len() {
            let error = |fault| ProgramError::Step { step: step.saturating_sub(1), fault };
            planner.start(Slot(step), scratch.len()).map_err(error)?;
        }
        for (index, step) in program.steps().iter().enumerate() {
            let target = Slot(index.saturating_add(1));
            planner.read(target, step, scratch).map_err(|fault| ProgramError::Step { step: index, fault })?;
        }
        for slot in 0..program.slots() {
            let error = |fault| ProgramError::Step { step: slot.saturating_sub(1), fault };
            planner.place(Slot(slot)).map_err(error)?;
            planner.check_width(Slot(slot)).map_err(error)?;
        }
        let sizes = planner.sizes;
        Ok(Self { program, places, sizes })
    }

    /// A program with the places and sizes that [`Self::new`] found for it.
    pub(crate) fn from_parts(program: Program<'p>, places: &'p [Place], sizes: Sizes) -> Self {
        Self { program, places, sizes }
    }

    /// The program.
    pub fn program(&self) -> &Program<'p> {
        &self.program
    }
    /// Elements of each kind of memory.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }
    fn place(&self, slot: Slot) -> Place {
        self.places.get(slot.0).copied().unwrap_or_default()
    }
    /// Where the slot's values lie in the arena.
    pub(crate) fn range(&self, slot: Slot) -> Range<usize> {
        let offset = long(self.place(slot).offset);
        offset..offset.saturating_add(self.program.size(slot))
    }
    /// Whether the step that gives the slot overwrites its (first) operand.
    pub(crate) fn in_place(&self, slot: Slot) -> bool {
        self.place(slot).in_place
    }
    /// Additions into one coefficient of the slot's row, an upper limit.
    pub(crate) fn fan(&self, slot: Slot) -> usize {
        long(self.place(slot).fan)
    }
    /// Where the slot's interval is kept, if it is.
    pub(crate) fn kept(&self, slot: Slot) -> Option<Range<usize>> {
        self.part(slot, self.place(slot).kept)
    }
    /// Where the slot's rounding errors are kept, if they are.
    pub(crate) fn errors(&self, slot: Slot) -> Option<Range<usize>> {
        self.part(slot, self.place(slot).errors)
    }
    fn part(&self, slot: Slot, offset: u32) -> Option<Range<usize>> {
        let start = long(offset);
        (offset != NONE).then(|| start..start.saturating_add(self.program.size(slot)))
    }
}

struct Planner<'m, 'p> {
    program: &'m Program<'p>,
    places: &'m mut [Place],
    sizes: Sizes,
}

impl Planner<'_, '_> {
    fn get(&self, slot: Slot) -> Place {
        self.places.get(slot.0).copied().unwrap_or_default()
    }

    fn change(&mut self, slot: Slot, change: impl FnOnce(&mut Place)) {
        if let Some(place) = self.places.get_mut(slot.0) {
            change(place);
        }
    }

    fn start(&mut self, slot: Slot, scratch: usize) -> Result<(), Fault> {
        let (size, slots) = (self.program.size(slot), self.program.slots());
        self.sizes.width = self.sizes.width.max(size);
        if scratch < size {
            return Err(Fault::Length { expected: size, found: scratch });
        }
        // The output outlives every step.
        let last = short(if slot == self.program.output() { slots } else { slot.0 })?;
        let place = self.places.get_mut(slot.0).ok_or(Fault::Length { expected: slots, found: slot.0 })?;
        *place = Place { last, kept: NONE, errors: NONE, ..Place::default() };
        // The input box is concretized over.
        if slot == Slot::INPUT { self.keep(slot) } else { Ok(()) }
    }

    /// Keeps the slot's interval.
    fn keep(&mut self, slot: Slot) -> Result<(), Fault> {
        if self.get(slot).kept == NONE {
            let offset = short(self.sizes.kept)?;
            self.change(slot, |place| place.kept = offset);
            self.sizes.kept = self.sizes.kept.saturating_add(self.program.size(slot));
        }
        Ok(())
    }

    /// Keeps the rounding errors of a linear step.
    fn keep_errors(&mut self, target: Slot) -> Result<(), Fault> {
        let offset = short(self.sizes.errors)?;
        self.change(target, |place| place.errors = offset);
        self.sizes.errors = self.sizes.errors.saturating_add(self.program.size(target));
        Ok(())
    }

    /// Notes that `target` is computed from `slot`, with `fan` additions into a coefficient of its row.
    fn note(&mut self, slot: Slot, target: Slot, fan: usize) -> Result<(), Fault> {
        let (fan, last) = (short(fan)?, short(target.0)?);
        self.change(slot, |place| {
            place.last = place.last.max(last);
            place.fan = place.fan.saturating_add(fan);
        });
        Ok(())
    }

    fn read(&mut self, target: Slot, step: &Step<'_>, scratch: &mut [f32]) -> Result<(), Fault> {
        match step.operation {
            Operation::Affine { terms, .. } => {
                for term in self.program.terms(terms) {
                    let fan = fan_of(&term.map, scratch);
                    self.note(term.input, target, fan)?;
                }
                self.keep_errors(target)
            }
            Operation::Index { terms, indices } => {
                let mut start = 0usize;
                for term in self.program.terms(terms) {
                    let size = self.program.size(term.input);
                    let here =
                        indices.iter().filter(|i| **i != ZERO).map(|i| to_usize(*i).checked_sub(start));
                    let fan = most(scratch, size, here.flatten());
                    self.note(term.input, target, fan)?;
                    start = start.saturating_add(size);
                }
                self.keep_errors(target)
            }
            Operation::Elementwise { input, function } => {
                if !is_supported(function) {
                    return Err(Fault::Unsupported);
                }
                self.note(input, target, 1)?;
                self.keep(input)
            }
            Operation::Max { input, groups } => {
                let fan =
                    most(scratch, self.program.size(input), groups.members.iter().map(|i| to_usize(*i)));
                self.note(input, target, fan)?;
                self.keep(input)
            }
            Operation::Product { .. } => Err(Fault::Unsupported),
        }
    }

    /// The operand that the step giving `target` may overwrite.
    fn overwritten(&self, target: Slot) -> Option<Slot> {
        let step = self.program.steps().get(target.0.checked_sub(1)?)?;
        let operand = match step.operation {
            Operation::Elementwise { input, .. } => input,
            Operation::Affine { terms, .. } => {
                let (first, others) = self.program.terms(terms).split_first()?;
                let element_by_element = matches!(first.map, Map::Identity | Map::Scale(_));
                let alone = others.iter().all(|term| term.input != first.input);
                if !(element_by_element && alone) {
                    return None;
                }
                first.input
            }
            _ => return None,
        };
        (long(self.get(operand).last) == target.0).then_some(operand)
    }

    fn place(&mut self, slot: Slot) -> Result<(), Fault> {
        let size = self.program.size(slot);
        let operand = self.overwritten(slot);
        let offset = match operand {
            Some(operand) => long(self.get(operand).offset),
            None => self.lowest(slot, size),
        };
        let end = offset.saturating_add(size);
        self.sizes.arena = self.sizes.arena.max(end);
        let (offset, in_place) = (short(offset)?, operand.is_some());
        self.change(slot, |place| (place.offset, place.in_place) = (offset, in_place));
        Ok(())
    }

    /// The lowest offset at which `size` elements meet no slot that lives when `slot` is computed.
    fn lowest(&self, slot: Slot, size: usize) -> usize {
        let (mut offset, mut moved) = (0usize, true);
        // Each pass moves past at least one living slot, so there are at most as many passes as slots.
        while moved {
            moved = false;
            for other in 0..slot.0 {
                let place = self.get(Slot(other));
                let start = long(place.offset);
                let end = start.saturating_add(self.program.size(Slot(other)));
                let lives = long(place.last) >= slot.0;
                if lives && offset < end && start < offset.saturating_add(size) {
                    (offset, moved) = (end, true);
                }
            }
        }
        offset
    }

    /// Refuses a slot, or the step that gives it, outside the rounding argument.
    fn check_width(&self, slot: Slot) -> Result<(), Fault> {
        let mut longest = long(self.get(slot).fan).max(blocked_sum_roundings(self.program.size(slot)));
        let step = slot.0.checked_sub(1).and_then(|step| self.program.steps().get(step));
        if let Some(Operation::Affine { terms, .. }) = step.map(|step| step.operation) {
            let counts = step_counts(self.program.terms(terms));
            longest = longest.max(counts.roundings);
        }
        let longest = longest.saturating_add(1);
        if longest > K_MAX || gamma_factor(longest).is_none() { Err(Fault::TooWide) } else { Ok(()) }
    }
}

/// Elements of a long sum that are summed before their sum is added to the total, in bounds.
pub(crate) const SUM_BLOCK: usize = 64;

/// Roundings of a sum of `n` products in blocks of [`SUM_BLOCK`]: the product, the block, the blocks.
pub(crate) fn blocked_sum_roundings(n: usize) -> usize {
    n.min(SUM_BLOCK).saturating_add(n.div_ceil(SUM_BLOCK)).saturating_add(1)
}

/// Whether the device computes and bounds the function.
pub(crate) fn is_supported(function: Function) -> bool {
    matches!(
        function,
        Function::Relu
            | Function::LeakyRelu { .. }
            | Function::Clip { .. }
            | Function::Abs
            | Function::Sigmoid
            | Function::Tanh
    )
}

/// How many products of one input a map has at most.
fn fan_of(map: &Map<'_>, scratch: &mut [f32]) -> usize {
    match map {
        Map::Identity | Map::Scale(_) => 1,
        Map::Dense { rows, .. } => *rows,
        Map::Conv(conv) => conv.group_channels_out().saturating_mul(conv.taps()),
        Map::ConvTranspose(conv) => conv.group_channels_in().saturating_mul(conv.taps()),
        Map::Sparse(sparse) => {
            let columns = runs(sparse.starts).flat_map(|run| sparse.columns.get(run).unwrap_or_default());
            most(scratch, sparse.cols, columns.map(|c| to_usize(*c)))
        }
    }
}

/// How often the most frequent index below `size` occurs. Counts are exact in `f32`, and saturate at 2²⁴, which is too
/// wide.
fn most(scratch: &mut [f32], size: usize, indices: impl Iterator<Item = usize>) -> usize {
    let counts = scratch.get_mut(..size).unwrap_or_default();
    counts.fill(0.0);
    let mut most = 0.0f32;
    for index in indices {
        if let Some(count) = counts.get_mut(index) {
            *count += 1.0;
            if *count > most {
                most = *count;
            }
        }
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of at most 2^24")]
    {
        most as usize
    }
}
