//! Which values vary over a box: those computed from an input that is free.
//!
//! The marks say where work is worth its while, and nothing else: what does not vary keeps the bounds of a lemma above, takes no affine form of its own
//! and leaves a row by its interval, all of which hold for any value.

use super::super::Rejection;
use super::checker::Bounds;
use super::interval::{factors_of, radius, source};
use super::layout::Layout;
use super::planes::larger;
use crate::program::{Map, Operation, Program, Slot, Step, Term, to_usize};

/// An input that is free by less than this part of the widest one counts as fixed: most are decimals rounded to both sides.
const FREE: f64 = 1.0 / (1u64 << 40) as f64;

/// Whether an input of this radius is free, in a box whose widest has radius `widest`; in a box of one point all are, where intervals would lose most.
pub(super) fn is_free(radius: f64, widest: f64) -> bool {
    radius >= widest * FREE
}

/// The largest radius of an input.
pub(super) fn widest((lower, upper): (&[f64], &[f64])) -> f64 {
    lower.iter().zip(upper).fold(0.0, |most, (l, u)| larger(most, radius((*l, *u))))
}

/// Marks the elements of all slots, `[elements]`: 1 if one is computed from an input that is free or, in a box inside that of `parent`, whose bounds are
/// not those of `parent`; else 0. Where `valid` says that the marks are those of the inputs marked, inputs alone are marked if that changes none.
pub(super) fn mark(
    program: &Program<'_>,
    layout: &Layout<'_>,
    (lower, upper): (&[f64], &[f64]),
    parent: Option<&Bounds<'_>>,
    (valid, marks): (&mut bool, &mut [u32]),
) -> Result<(), Rejection> {
    let most = widest((lower, upper));
    let inputs = marks.get_mut(..program.inputs()).ok_or(Rejection::Shape)?;
    let mut same = *valid;
    for (j, (mark, (l, u))) in inputs.iter_mut().zip(lower.iter().zip(upper)).enumerate() {
        let differs = parent.is_some_and(|p| p.lower.get(j) != Some(l) || p.upper.get(j) != Some(u));
        let now = u32::from(differs || is_free(radius((*l, *u)), most));
        same = same && *mark == now;
        *mark = now;
    }
    if same {
        return Ok(());
    }
    *valid = false;
    for (index, step) in program.steps().iter().enumerate() {
        let (before, from) =
            marks.split_at_mut_checked(layout.offset(Slot(index + 1))).ok_or(Rejection::Shape)?;
        let result = from.get_mut(..step.len).ok_or(Rejection::Shape)?;
        mark_step(program, step, result, |slot, element| {
            before.get(layout.offset(slot) + element).is_some_and(|m| *m != 0)
        });
    }
    *valid = true;
    Ok(())
}

/// Marks the result of a step, from whether an element of an operand varies.
fn mark_step(
    program: &Program<'_>,
    step: &Step<'_>,
    result: &mut [u32],
    varies: impl Fn(Slot, usize) -> bool,
) {
    match step.operation {
        Operation::Affine { terms, .. } => {
            result.fill(0);
            for term in program.terms(terms) {
                mark_map(program, term, result, |element| varies(term.input, element));
            }
        }
        Operation::Elementwise { input, .. } => {
            result.iter_mut().enumerate().for_each(|(i, mark)| *mark = u32::from(varies(input, i)));
        }
        Operation::Max { input, groups } => {
            for (mark, group) in result.iter_mut().zip(groups.iter()) {
                *mark = u32::from(group.iter().any(|member| varies(input, to_usize(*member))));
            }
        }
        Operation::Product { left, right, m, k, n, .. } => {
            for (output, mark) in result.iter_mut().enumerate() {
                *mark = u32::from((0..k).any(|inner| {
                    let (x, w) = factors_of(output, inner, (m, k, n));
                    varies(left, x) || varies(right, w)
                }));
            }
        }
        Operation::Index { terms, indices } => {
            for (mark, index) in result.iter_mut().zip(indices) {
                *mark = u32::from(source(program, terms, *index).is_some_and(|(slot, at)| varies(slot, at)));
            }
        }
    }
}

/// Marks what a map makes of elements that vary; of a convolution everything, if there are any.
fn mark_map(program: &Program<'_>, term: &Term<'_>, result: &mut [u32], varies: impl Fn(usize) -> bool) {
    match term.map {
        Map::Identity | Map::Scale(_) => {
            result.iter_mut().enumerate().filter(|(i, _)| varies(*i)).for_each(|(_, mark)| *mark = 1);
        }
        Map::Dense { count, rows, cols, .. } => {
            for vector in (0..count).filter(|v| (v * cols..(v + 1) * cols).any(&varies)) {
                result.iter_mut().skip(vector * rows).take(rows).for_each(|mark| *mark = 1);
            }
        }
        Map::Sparse(sparse) => sparse.for_each(|output, input, _| {
            if varies(input)
                && let Some(mark) = result.get_mut(output)
            {
                *mark = 1;
            }
        }),
        Map::Conv(_) | Map::ConvTranspose(_) => {
            if (0..program.size(term.input)).any(varies) {
                result.fill(1);
            }
        }
    }
}
