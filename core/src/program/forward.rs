//! The device's pass over a program: its meaning `F32`.
//!
//! As for [`crate::infer`], the order is part of the contract; host and device agree bit for bit.
//!
//! * affine: `total = bias`, or +0 without one; then for each term in order, for each block of the output's row
//!   (see the table in `rows.rs`): `s = 0`, `s = s + w·x` in order, `total = total + s`. A scale's block is
//!   the product `scale·x` itself, an identity's the operand itself. Product and sum round separately.
//! * ReLU: `if z < 0 { 0 } else { z }`. Leaky ReLU: `if z < 0 { slope·z } else { z }`.
//! * clip: `if z < lower { lower } else if z > upper { upper } else { z }`. Absolute value: the sign bit cleared.
//! * sigmoid, tanh: [`crate::elementary::single`].
//! * max: the first member, then each later member that is greater than the greatest so far. NaN is kept if it comes
//!   first and passed over otherwise; an infinite or NaN value never certifies.
//! * index map: a copy, or +0.
//!
//! Values lie in one arena at the places that [`Planned`] gave them; a step may overwrite an operand that nothing
//! reads later.

use super::plan::{Planned, pair};
use super::rows::{Rows, visit};
use super::{Constants, Function, Groups, Map, Operation, Slot, Step, Term, Terms, ZERO, to_usize};
use crate::elementary::{sigmoid_f32, tanh_f32};
use crate::infer::relu;
use crate::layer::ShapeError;

/// `f32` elements of memory that [`forward`] needs.
pub fn forward_memory_len(planned: &Planned<'_>) -> usize {
    planned.sizes().arena
}

/// Evaluates `planned` at `input`, writing its outputs.
///
/// # Shapes
/// `input` `[inputs]`, `output` `[outputs]`, `memory` at least [`forward_memory_len`].
///
/// # Errors
/// [`ShapeError::Length`] or [`ShapeError::Buffer`] if a slice does not fit.
///
/// # Rounding
/// This *is* the meaning `F32`; overflow gives infinities or NaN as IEEE 754 says.
pub fn forward(
    planned: &Planned<'_>,
    input: &[f32],
    memory: &mut [f32],
    output: &mut [f32],
) -> Result<(), ShapeError> {
    let program = planned.program();
    let check = |expected: usize, found: usize| {
        if expected == found { Ok(()) } else { Err(ShapeError::Length { expected, found }) }
    };
    check(program.inputs(), input.len())?;
    check(program.outputs(), output.len())?;
    let needed = planned.sizes().arena;
    let short = ShapeError::Buffer { needed, found: memory.len() };
    let arena = memory.get_mut(..needed).ok_or(short)?;
    let first = arena.get_mut(planned.range(Slot::INPUT)).ok_or(short)?;
    first.iter_mut().zip(input).for_each(|(slot, x)| *slot = *x);
    for (index, step) in program.steps().iter().enumerate() {
        run(planned, Slot(index.saturating_add(1)), step, arena).ok_or(short)?;
    }
    let last = arena.get(planned.range(program.output())).ok_or(short)?;
    output.iter_mut().zip(last).for_each(|(slot, y)| *slot = *y);
    Ok(())
}

/// Computes slot `target` by `step`; `None` if a place lies outside the arena.
fn run(planned: &Planned<'_>, target: Slot, step: &Step<'_>, arena: &mut [f32]) -> Option<()> {
    match step.operation {
        Operation::Affine { terms, bias } => affine(planned, target, terms, bias, arena),
        Operation::Elementwise { input, function } => {
            if planned.in_place(target) {
                let values = arena.get_mut(planned.range(target))?;
                values.iter_mut().for_each(|x| *x = apply(function, *x));
            } else {
                let (x, y) = pair(arena, planned.range(input), planned.range(target))?;
                y.iter_mut().zip(x).for_each(|(y, x)| *y = apply(function, *x));
            }
            Some(())
        }
        Operation::Max { input, groups } => {
            let (x, y) = pair(arena, planned.range(input), planned.range(target))?;
            greatest(groups, x, y);
            Some(())
        }
        Operation::Index { terms, indices } => {
            arena.get_mut(planned.range(target))?.fill(0.0);
            let mut start = 0usize;
            for term in planned.program().terms(terms) {
                let (x, y) = pair(arena, planned.range(term.input), planned.range(target))?;
                gather(indices, start, x, y);
                start = start.saturating_add(x.len());
            }
            Some(())
        }
        Operation::Product { .. } => None,
    }
}

/// Writes the elements of `x` that `indices` name when `x` starts at `start` of the concatenation.
fn gather(indices: &[u32], start: usize, x: &[f32], y: &mut [f32]) {
    for (y, index) in y.iter_mut().zip(indices) {
        if *index != ZERO
            && let Some(x) = to_usize(*index).checked_sub(start).and_then(|i| x.get(i))
        {
            *y = *x;
        }
    }
}

fn greatest(groups: Groups<'_>, x: &[f32], y: &mut [f32]) {
    for (y, group) in y.iter_mut().zip(groups.iter()) {
        let mut members = group.iter().filter_map(|j| x.get(to_usize(*j)));
        let mut top = members.next().copied().unwrap_or(0.0);
        for value in members {
            if *value > top {
                top = *value;
            }
        }
        *y = top;
    }
}

/// `function(x)` as the device computes it.
#[inline]
pub fn apply(function: Function, x: f32) -> f32 {
    match function {
        Function::Relu => relu(x),
        Function::LeakyRelu { slope } => {
            if x < 0.0 {
                slope * x
            } else {
                x
            }
        }
        Function::Clip { lower, upper } => {
            if x < lower {
                lower
            } else if x > upper {
                upper
            } else {
                x
            }
        }
        Function::Abs => x.abs(),
        Function::Sigmoid => sigmoid_f32(x),
        Function::Tanh => tanh_f32(x),
        // `Planned::new` refuses the others.
        _ => f32::NAN,
    }
}

fn affine(
    planned: &Planned<'_>,
    target: Slot,
    terms: Terms,
    bias: Option<Constants<'_>>,
    arena: &mut [f32],
) -> Option<()> {
    let (mut first, mut rest) = (planned.program().terms(terms), &[][..]);
    if planned.in_place(target) {
        let (term, others) = first.split_first()?;
        (first, rest) = (&[], others);
        overwrite(term, bias, arena.get_mut(planned.range(target))?);
    } else {
        let total = arena.get_mut(planned.range(target))?;
        match bias {
            Some(bias) => total.iter_mut().zip(bias.values).for_each(|(t, b)| *t = *b),
            None => total.fill(0.0),
        }
    }
    for term in first.iter().chain(rest) {
        let (x, total) = pair(arena, planned.range(term.input), planned.range(target))?;
        add(&term.map, x, total);
    }
    Some(())
}

/// `total = bias + map(total)` of an identity or a scale.
fn overwrite(term: &Term<'_>, bias: Option<Constants<'_>>, total: &mut [f32]) {
    let scale = if let Map::Scale(scale) = term.map { scale.values } else { &[] };
    let bias = bias.map_or(&[][..], |bias| bias.values);
    for (i, x) in total.iter_mut().enumerate() {
        let product = scale.get(i).map_or(*x, |s| s * *x);
        *x = bias.get(i).map_or(0.0, |b| *b) + product;
    }
}

/// `total = total + map(x)`.
fn add(map: &Map<'_>, x: &[f32], total: &mut [f32]) {
    match map {
        Map::Identity => total.iter_mut().zip(x).for_each(|(t, x)| *t += x),
        Map::Scale(scale) => {
            total.iter_mut().zip(x).zip(scale.values).for_each(|((t, x), s)| *t += s * x);
        }
        _ => visit(map, &mut Sum { x, total, sum: 0.0, so_far: 0.0 }),
    }
}

/// The rows' sums.
struct Sum<'m> {
    x: &'m [f32],
    total: &'m mut [f32],
    /// Of the block.
    sum: f32,
    so_far: f32,
}

impl Rows for Sum<'_> {
    #[inline]
    fn begin(&mut self, row: usize) -> bool {
        let Some(total) = self.total.get(row) else { return false };
        (self.so_far, self.sum) = (*total, 0.0);
        true
    }
    #[inline]
    fn products(&mut self, weights: &[f32], first: usize, step: usize) {
        let x = self.x.get(first..).unwrap_or_default();
        if step == 1 {
            weights.iter().zip(x).for_each(|(w, x)| self.sum += w * x);
        } else {
            weights.iter().zip(x.chunks(step.max(1))).for_each(|(w, x)| {
                self.sum += w * x.first().copied().unwrap_or(0.0);
            });
        }
    }
    #[inline]
    fn end_block(&mut self) {
        self.so_far += self.sum;
        self.sum = 0.0;
    }
    #[inline]
    fn end(&mut self, row: usize) {
        if let Some(total) = self.total.get_mut(row) {
            *total = self.so_far;
        }
    }
}
