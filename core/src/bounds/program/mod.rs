//! Float-sound bounds of a program on the device: interval bounds (IBP) and linear bounds (CROWN), in `f32`.
//!
//! The argument of [`crate::bounds`] for a graph of values. Both meanings are members of one family: the program over
//! the reals on its constants, with a perturbation added to what each step gives.
//!
//! # Perturbations
//! *Affine step*, output `i`, operands `xⱼ` with `|xⱼ| ≤ mⱼ` in both meanings, `tᵢ = |bᵢ| + Σ|wᵢⱼ|mⱼ` over all terms:
//!
//! * `F32`: at most `γ_K tᵢ + nη`. `K` is the longest path of the order in [`crate::program::forward`]: a product,
//!   the sums of its block, and all sums of blocks of the row (an identity has only the last). `n` counts products.
//! * `Real`: constants with errors `e` stand for reals within `e`, so the output is off by at most
//!   `eᵢ = e_b + Σ e_ij mⱼ`.
//!
//! So the perturbation is at most `γ_K tᵢ + nη + eᵢ`. A finite `tᵢ·h` also proves that no partial sum of the device
//! overflows. *Elementwise*: see `relax`. *Max* and *index map* are exact.
//!
//! # Interval step
//! As in [`crate::bounds`]: the computed centre is within `γ_K tᵢ + nη` of the real sum at the centres, so
//! `Σ|w|r + 2(γ_K tᵢ + nη) + eᵢ` reaches both meanings.
//!
//! # Backward step
//! The coefficient of element `j` of a slot is a sum of contributions: products `aᵢwᵢⱼ` of affine readers, slopes of
//! nonlinear ones, coefficients of index maps. At most `B` are added, counted over *all* readers
//! (`Planned::fan`), so each passes at most `B` additions and a product, and the computed coefficient differs
//! from the exact sum by at most `γ_{B+1}` times the sum of the contributions' absolute values, and `Bη/2` for the
//! products' underflow. With `|xⱼ| ≤ mⱼ`:
//!
//! * affine reader: `γ_{B+1} Σᵢ|aᵢ|tᵢ`, folded into `qᵢ ≥ (γ_K + γ_{B'})tᵢ + nη + eᵢ`, where `B'` also covers the sum
//!   `Σ aᵢbᵢ`; and `Bη(Σmⱼ + 1)`;
//! * nonlinear reader: `γ_{B+1} Σ|ŝⱼ|mⱼ`, deducted where it reads a slot that has other contributions (a lone one is added
//!   to 0, which is exact);
//! * index map: the same with `mᵢ` of its output, kept as its `qᵢ`; 0 where elements are only moved.
//!
//! Long sums run in blocks of 64, so that their `γ` grows with `n/64`. The constant is rounded down at each addition.
//!
//! Range: [`crate::program::Planned::new`] refuses a step with a path of more than `2¹⁶ − 4` roundings. Every result is
//! tested finite; overflow and NaN end as [`BoundError::NonFinite`], never as a bound.

mod backward;
mod factors;
mod intervals;
mod relax;
mod sum;

use super::{BoundError, Method};
use crate::program::plan::Planned;
use crate::program::{Operation, Slot};
use backward::{Known, RowArena, backward};
use intervals::{Arena, Target, interval_step};

/// Elements of `f32` memory that [`prepare`] and [`row_lower`] need.
///
/// Intervals of the living slots, and: for `Ibp` scratch of five widths; for the CROWN methods the kept intervals,
/// the row errors, a mass and a flag for each slot, and rows, or scratch of four widths where those do not run.
pub fn memory_len(planned: &Planned<'_>, method: Method) -> usize {
    let sizes = planned.sizes();
    let intervals = sizes.arena.saturating_mul(2);
    let width = sizes.width;
    intervals.saturating_add(match method {
        Method::Ibp => width.saturating_mul(5),
        Method::Crown | Method::CrownFull => sizes
            .arena
            .max(width.saturating_mul(4))
            .saturating_add(sizes.kept.saturating_mul(2))
            .saturating_add(sizes.errors)
            .saturating_add(planned.program().slots().saturating_mul(2)),
    })
}

/// The parts of memory.
struct Parts<'m> {
    lower: &'m mut [f32],
    upper: &'m mut [f32],
    /// Rows or scratch.
    rows: &'m mut [f32],
    kept_lower: &'m mut [f32],
    kept_upper: &'m mut [f32],
    errors: &'m mut [f32],
    masses: &'m mut [f32],
    started: &'m mut [f32],
}

impl<'m> Parts<'m> {
    fn new(planned: &Planned<'_>, method: Method, memory: &'m mut [f32]) -> Result<Self, BoundError> {
        let short = BoundError::Capacity { needed: memory_len(planned, method) };
        let sizes = planned.sizes();
        let slots = planned.program().slots();
        let (kept, errors, slots, rows) = match method {
            Method::Ibp => (0, sizes.width, 0, sizes.width.saturating_mul(4)),
            Method::Crown | Method::CrownFull => {
                (sizes.kept, sizes.errors, slots, sizes.arena.max(sizes.width.saturating_mul(4)))
            }
        };
        let mut rest = memory;
        let mut take = |len: usize| -> Result<&'m mut [f32], BoundError> {
            let (part, after) = core::mem::take(&mut rest).split_at_mut_checked(len).ok_or(short)?;
            rest = after;
            Ok(part)
        };
        Ok(Self {
            lower: take(sizes.arena)?,
            upper: take(sizes.arena)?,
            rows: take(rows)?,
            kept_lower: take(kept)?,
            kept_upper: take(kept)?,
            errors: take(errors)?,
            masses: take(slots)?,
            started: take(slots)?,
        })
    }
}

/// Bounds all that [`row_lower`] needs on the box `[lower, upper]` and leaves it in `memory`.
///
/// # Shapes
/// `lower`, `upper` `[inputs]`; `memory` at least [`memory_len`].
///
/// # Errors
/// [`BoundError`]; `memory` then holds nothing of use.
///
/// # Rounding
/// Sound for `Real` and `F32`.
pub fn prepare(
    planned: &Planned<'_>,
    lower: &[f32],
    upper: &[f32],
    method: Method,
    memory: &mut [f32],
) -> Result<(), BoundError> {
    let inputs = planned.program().inputs();
    if lower.len() != inputs || upper.len() != inputs {
        return Err(BoundError::Capacity { needed: inputs });
    }
    if !lower.iter().zip(upper).all(|(l, u)| l.is_finite() && u.is_finite() && l <= u) {
        return Err(BoundError::BadInterval);
    }
    let short = BoundError::Capacity { needed: memory_len(planned, method) };
    let mut parts = Parts::new(planned, method, memory)?;
    let first = planned.range(Slot::INPUT);
    let target = parts.lower.get_mut(first.clone()).ok_or(short)?;
    target.iter_mut().zip(lower).for_each(|(slot, l)| *slot = *l);
    let target = parts.upper.get_mut(first).ok_or(short)?;
    target.iter_mut().zip(upper).for_each(|(slot, u)| *slot = *u);
    let is_crown = method != Method::Ibp;
    if is_crown {
        parts.keep(planned, Slot::INPUT)?;
    }
    let mut relaxed = false;
    for (index, step) in planned.program().steps().iter().enumerate() {
        let slot = Slot(index.saturating_add(1));
        let range = if is_crown { planned.errors(slot) } else { Some(0..planned.program().size(slot)) };
        let errors = range.map_or(Some(&mut [][..]), |range| parts.errors.get_mut(range)).ok_or(short)?;
        let mut arena = Arena { lower: parts.lower, upper: parts.upper, scratch: parts.rows };
        let mass = interval_step(planned, step, Target { slot, errors }, &mut arena)?;
        if is_crown {
            *parts.masses.get_mut(slot.0).ok_or(short)? = mass;
            if planned.kept(slot).is_some() {
                if method == Method::CrownFull && relaxed {
                    parts.tighten(planned, slot)?;
                }
                parts.keep(planned, slot)?;
            }
        }
        relaxed |= matches!(step.operation, Operation::Elementwise { .. } | Operation::Max { .. });
    }
    Ok(())
}

impl Parts<'_> {
    /// Copies the slot's interval to those that are kept.
    fn keep(&mut self, planned: &Planned<'_>, slot: Slot) -> Result<(), BoundError> {
        let short = BoundError::Capacity { needed: 0 };
        let (from, to) = (planned.range(slot), planned.kept(slot).ok_or(short)?);
        for (ends, kept) in [(&*self.lower, &mut *self.kept_lower), (&*self.upper, &mut *self.kept_upper)] {
            let values = ends.get(from.clone()).ok_or(short)?;
            let kept = kept.get_mut(to.clone()).ok_or(short)?;
            kept.iter_mut().zip(values).for_each(|(k, v)| *k = *v);
        }
        Ok(())
    }

    /// Tightens the elements of `slot` that a reader relaxes by a row for each end.
    fn tighten(&mut self, planned: &Planned<'_>, slot: Slot) -> Result<(), BoundError> {
        let short = BoundError::Capacity { needed: 0 };
        let start = planned.range(slot).start;
        for element in 0..planned.program().size(slot) {
            let at = start.saturating_add(element);
            let (l, u) = (*self.lower.get(at).ok_or(short)?, *self.upper.get(at).ok_or(short)?);
            if !is_relaxed(planned, slot, l, u) {
                continue;
            }
            let below = self.unit_row(planned, slot, element, 1.0)?;
            let above = -self.unit_row(planned, slot, element, -1.0)?;
            let (l, u) = (if below > l { below } else { l }, if above < u { above } else { u });
            // Both hold, so the intersection is not empty unless a bound is wrong: say nothing then.
            if l > u {
                return Err(BoundError::NonFinite);
            }
            *self.lower.get_mut(at).ok_or(short)? = l;
            *self.upper.get_mut(at).ok_or(short)? = u;
        }
        Ok(())
    }

    /// Lower bound of `sign` times one element of `slot`.
    fn unit_row(
        &mut self,
        planned: &Planned<'_>,
        slot: Slot,
        element: usize,
        sign: f32,
    ) -> Result<f32, BoundError> {
        self.row(planned, slot, |row| {
            row.fill(0.0);
            if let Some(a) = row.get_mut(element) {
                *a = sign;
            }
        })
    }

    /// Lower bound of the row on `slot` that `fill` writes.
    fn row(
        &mut self,
        planned: &Planned<'_>,
        slot: Slot,
        fill: impl FnOnce(&mut [f32]),
    ) -> Result<f32, BoundError> {
        let known = Known {
            lower: self.kept_lower,
            upper: self.kept_upper,
            errors: self.errors,
            masses: self.masses,
        };
        let mut rows = RowArena { rows: self.rows, started: self.started };
        rows.start(planned, slot, fill)?;
        backward(planned, slot, known, &mut rows)
    }
}

/// Whether a step that reads `slot` relaxes an element with the interval `[lower, upper]`.
fn is_relaxed(planned: &Planned<'_>, slot: Slot, lower: f32, upper: f32) -> bool {
    planned.program().steps().iter().any(|step| match step.operation {
        Operation::Elementwise { input, function } => {
            input == slot && !relax::is_exact(function, lower, upper)
        }
        Operation::Max { input, .. } => input == slot && lower < upper,
        _ => false,
    })
}

/// A lower bound of `coefficients · y` over the box given to [`prepare`] with the same program and `method`.
///
/// # Shapes
/// `coefficients` `[outputs]`, finite.
///
/// # Errors
/// [`BoundError::NonFinite`] if no finite bound results, [`BoundError::Capacity`] if a slice does not fit.
///
/// # Rounding
/// Sound for `Real` and `F32`, where `y` of `F32` are the device's outputs and the row is taken exactly.
pub fn row_lower(
    planned: &Planned<'_>,
    method: Method,
    coefficients: &[f32],
    memory: &mut [f32],
) -> Result<f32, BoundError> {
    let program = planned.program();
    if coefficients.len() != program.outputs() {
        return Err(BoundError::Capacity { needed: program.outputs() });
    }
    let mut parts = Parts::new(planned, method, memory)?;
    let bound = match method {
        Method::Ibp => {
            let short = BoundError::Capacity { needed: memory_len(planned, method) };
            let range = planned.range(program.output());
            let (lower, upper) =
                (parts.lower.get(range.clone()).ok_or(short)?, parts.upper.get(range).ok_or(short)?);
            interval_row(coefficients, lower, upper)
        }
        Method::Crown | Method::CrownFull => parts.row(planned, program.output(), |row| {
            row.iter_mut().zip(coefficients).for_each(|(a, c)| *a = *c);
        })?,
    };
    if bound.is_finite() { Ok(bound) } else { Err(BoundError::NonFinite) }
}

/// `Σ min(cᵢlᵢ, cᵢuᵢ)`, rounded down.
fn interval_row(coefficients: &[f32], lower: &[f32], upper: &[f32]) -> f32 {
    let mut sum = 0.0f32;
    for ((c, l), u) in coefficients.iter().zip(lower).zip(upper) {
        if *c != 0.0 {
            let end = if *c > 0.0 { *l } else { *u };
            sum = (sum + (c * end).next_down()).next_down();
        }
    }
    sum
}

/// Bounds of what a nonlinear step reads (or of the input), as [`prepare`] with a CROWN method left them; `None` for a
/// slot of which none are kept.
pub fn interval<'m>(
    planned: &Planned<'_>,
    slot: Slot,
    memory: &'m mut [f32],
) -> Option<(&'m [f32], &'m [f32])> {
    let parts = Parts::new(planned, Method::Crown, memory).ok()?;
    let range = planned.kept(slot)?;
    Some((parts.kept_lower.get(range.clone())?, parts.kept_upper.get(range)?))
}
