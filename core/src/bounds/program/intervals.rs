//! Interval bounds of a program, one step at a time, in centre-radius form.
//!
//! See [`super`] for the argument; names follow it: `c`, `r`, `m` of an operand, `t` and `e` of an output.

use super::factors::Factors;
use super::relax::image;
use super::sum::Sum;
use crate::bounds::BoundError;
use crate::program::plan::{Planned, pair};
use crate::program::rows::{Rows, visit, visit_sparse};
use crate::program::{Constants, Groups, Map, Operation, Slot, Step, Term, Terms, ZERO, to_usize};
use crate::round::up;

/// Intervals of the living slots, and scratch of four widths.
pub(super) struct Arena<'m> {
    pub(super) lower: &'m mut [f32],
    pub(super) upper: &'m mut [f32],
    pub(super) scratch: &'m mut [f32],
}

/// What a linear step leaves beside its intervals.
pub(super) struct Target<'m> {
    pub(super) slot: Slot,
    /// `qᵢ`, `[len]`.
    pub(super) errors: &'m mut [f32],
}

const SHORT: BoundError = BoundError::Capacity { needed: 0 };

/// Bounds `target` by `step`. Returns a bound of `Σ mⱼ` over the operands of an affine step, else 0.
pub(super) fn interval_step(
    planned: &Planned<'_>,
    step: &Step<'_>,
    target: Target<'_>,
    arena: &mut Arena<'_>,
) -> Result<f32, BoundError> {
    let slot = target.slot;
    let mass = match step.operation {
        Operation::Affine { terms, bias } => affine(planned, (terms, bias), target, arena)?,
        Operation::Elementwise { input, function } => {
            let (from, to) = (planned.range(input), planned.range(slot));
            if !planned.in_place(slot) {
                copy(arena.lower, &from, &to)?;
                copy(arena.upper, &from, &to)?;
            }
            let lower = arena.lower.get_mut(to.clone()).ok_or(SHORT)?;
            let upper = arena.upper.get_mut(to).ok_or(SHORT)?;
            lower.iter_mut().zip(upper).for_each(|(l, u)| (*l, *u) = image(function, *l, *u));
            0.0
        }
        Operation::Max { input, groups } => {
            let (from, to) = (planned.range(input), planned.range(slot));
            for ends in [&mut *arena.lower, &mut *arena.upper] {
                let (x, y) = pair(ends, from.clone(), to.clone()).ok_or(SHORT)?;
                greatest(groups, x, y);
            }
            0.0
        }
        Operation::Index { terms, indices } => {
            index(planned, terms, indices, target, arena)?;
            0.0
        }
        Operation::Product { .. } => return Err(BoundError::NonFinite),
    };
    let range = planned.range(slot);
    let (lower, upper) = (arena.lower.get(range.clone()).ok_or(SHORT)?, arena.upper.get(range).ok_or(SHORT)?);
    let finite = lower.iter().chain(upper).all(|x| x.is_finite());
    if finite && mass.is_finite() { Ok(mass) } else { Err(BoundError::NonFinite) }
}

fn copy(
    values: &mut [f32],
    from: &core::ops::Range<usize>,
    to: &core::ops::Range<usize>,
) -> Result<(), BoundError> {
    let (x, y) = pair(values, from.clone(), to.clone()).ok_or(SHORT)?;
    y.iter_mut().zip(x).for_each(|(y, x)| *y = *x);
    Ok(())
}

fn greatest(groups: Groups<'_>, x: &[f32], y: &mut [f32]) {
    for (y, group) in y.iter_mut().zip(groups.iter()) {
        let members = group.iter().filter_map(|j| x.get(to_usize(*j)));
        *y = members.fold(f32::NEG_INFINITY, |top, x| if *x > top { *x } else { top });
    }
}

/// Copies the operands' intervals; what a row on the target rounds is `γ_B·mᵢ`, nothing if it is only moved.
fn index(
    planned: &Planned<'_>,
    terms: Terms,
    indices: &[u32],
    target: Target<'_>,
    arena: &mut Arena<'_>,
) -> Result<(), BoundError> {
    let to = planned.range(target.slot);
    let mut fan = 0usize;
    for ends in [&mut *arena.lower, &mut *arena.upper] {
        ends.get_mut(to.clone()).ok_or(SHORT)?.fill(0.0);
        let mut start = 0usize;
        for term in planned.program().terms(terms) {
            fan = fan.max(planned.fan(term.input));
            let (x, y) = pair(ends, planned.range(term.input), to.clone()).ok_or(SHORT)?;
            for (y, index) in y.iter_mut().zip(indices) {
                if *index != ZERO
                    && let Some(x) = to_usize(*index).checked_sub(start).and_then(|i| x.get(i))
                {
                    *y = *x;
                }
            }
            start = start.saturating_add(x.len());
        }
    }
    let gamma = Factors::of_sum(fan)?.shared(fan);
    let lower = arena.lower.get(to.clone()).ok_or(SHORT)?;
    let upper = arena.upper.get(to).ok_or(SHORT)?;
    for ((q, l), u) in target.errors.iter_mut().zip(lower).zip(upper) {
        *q = up(gamma * magnitude(*l, *u));
    }
    Ok(())
}

/// Centre inside `[lower, upper]` and a radius that reaches both ends.
#[inline]
fn centre_radius(lower: f32, upper: f32) -> (f32, f32) {
    let middle = 0.5 * lower + 0.5 * upper;
    let c = if middle < lower {
        lower
    } else if middle > upper {
        upper
    } else {
        middle
    };
    let (above, below) = (upper - c, c - lower);
    let r = if above > below { above } else { below };
    // A difference rounds to 0 only if it is 0.
    (c, if r > 0.0 { r.next_up() } else { r })
}

/// The larger absolute value of the two ends.
#[inline]
pub(super) fn magnitude(lower: f32, upper: f32) -> f32 {
    let (l, u) = (lower.abs(), upper.abs());
    if l > u { l } else { u }
}

/// An operand in centre-radius form, `[len]` each.
struct Operand<'m> {
    centre: &'m [f32],
    radius: &'m [f32],
    mass: &'m [f32],
}

/// Sums of the outputs, `[len]` each: `Wc + b`, `Σ|w|r`, `Σ|w|m`, `Σ e·m`.
struct Totals<'m> {
    centre: &'m mut [f32],
    radius: &'m mut [f32],
    mass: &'m mut [f32],
    error: &'m mut [f32],
}

fn affine(
    planned: &Planned<'_>,
    (terms, bias): (Terms, Option<Constants<'_>>),
    target: Target<'_>,
    arena: &mut Arena<'_>,
) -> Result<f32, BoundError> {
    let program = planned.program();
    let factors = Factors::of_affine(planned, terms, program.size(target.slot))?;
    let (to, width) = (planned.range(target.slot), planned.sizes().width);
    let mut quarters = arena.scratch.chunks_exact_mut(width.max(1));
    let mut quarter = || quarters.next().ok_or(BoundError::Capacity { needed: 4 * width });
    let (centre, radius, mass, error) = (quarter()?, quarter()?, quarter()?, quarter()?);
    let mut sum = 0.0f32;
    for (position, term) in program.terms(terms).iter().enumerate() {
        let range = planned.range(term.input);
        let (lower, upper) =
            (arena.lower.get(range.clone()).ok_or(SHORT)?, arena.upper.get(range).ok_or(SHORT)?);
        let len = lower.len();
        sum += split(lower, upper, centre, radius, mass);
        let mut totals = Totals {
            centre: arena.lower.get_mut(to.clone()).ok_or(SHORT)?,
            radius: arena.upper.get_mut(to.clone()).ok_or(SHORT)?,
            mass: &mut *target.errors,
            error: &mut *error,
        };
        if position == 0 {
            totals.start(bias);
        }
        let operand = Operand {
            centre: centre.get(..len).ok_or(SHORT)?,
            radius: radius.get(..len).ok_or(SHORT)?,
            mass: mass.get(..len).ok_or(SHORT)?,
        };
        totals.add(term, &operand);
    }
    let totals = Totals {
        centre: arena.lower.get_mut(to.clone()).ok_or(SHORT)?,
        radius: arena.upper.get_mut(to).ok_or(SHORT)?,
        mass: target.errors,
        error,
    };
    if totals.finish(factors) { Ok(up(sum * factors.inflate)) } else { Err(BoundError::NonFinite) }
}

/// Writes centre, radius and magnitude of intervals; returns the sum of the magnitudes.
fn split(lower: &[f32], upper: &[f32], centre: &mut [f32], radius: &mut [f32], mass: &mut [f32]) -> f32 {
    let mut sum = Sum::new();
    for ((((l, u), c), r), m) in
        lower.iter().zip(upper).zip(centre.iter_mut()).zip(radius.iter_mut()).zip(mass.iter_mut())
    {
        (*c, *r) = centre_radius(*l, *u);
        *m = magnitude(*l, *u);
        sum.add(*m);
    }
    sum.value()
}

impl Totals<'_> {
    fn start(&mut self, bias: Option<Constants<'_>>) {
        self.centre.fill(0.0);
        self.radius.fill(0.0);
        self.mass.fill(0.0);
        self.error.fill(0.0);
        if let Some(bias) = bias {
            self.centre.iter_mut().zip(bias.values).for_each(|(c, b)| *c = *b);
            self.mass.iter_mut().zip(bias.values).for_each(|(m, b)| *m = b.abs());
            self.error.iter_mut().zip(bias.errors()).for_each(|(e, error)| *e = *error);
        }
    }

    fn add(&mut self, term: &Term<'_>, operand: &Operand<'_>) {
        match &term.map {
            Map::Identity => {
                self.centre.iter_mut().zip(operand.centre).for_each(|(t, c)| *t += c);
                self.radius.iter_mut().zip(operand.radius).for_each(|(t, r)| *t += r);
                self.mass.iter_mut().zip(operand.mass).for_each(|(t, m)| *t += m);
            }
            Map::Scale(scale) => {
                let s = scale.values;
                self.centre.iter_mut().zip(operand.centre).zip(s).for_each(|((t, c), s)| *t += s * c);
                self.radius.iter_mut().zip(operand.radius).zip(s).for_each(|((t, r), s)| *t += s.abs() * r);
                self.mass.iter_mut().zip(operand.mass).zip(s).for_each(|((t, m), s)| *t += s.abs() * m);
                let errors = scale.errors();
                self.error.iter_mut().zip(operand.mass).zip(errors).for_each(|((t, m), e)| *t += e * m);
            }
            map => {
                visit(map, &mut Sums { operand, totals: self, now: [0.0; 3], so_far: [0.0; 3] });
                if let Map::Sparse(sparse) = map
                    && let Some(errors) = sparse.values.error
                {
                    let mut sums = ErrorSums { mass: operand.mass, total: self.error, now: 0.0, so_far: 0.0 };
                    visit_sparse(sparse, errors, &mut sums);
                }
            }
        }
    }

    /// Turns the sums into intervals and row errors; false if one is not finite.
    fn finish(self, factors: Factors) -> bool {
        let Factors { forward, backward, inflate, eta } = factors;
        let both = up(forward + backward);
        let mut finite = true;
        let sums = self.centre.iter_mut().zip(self.radius.iter_mut());
        for (((y, s), t), e) in sums.zip(self.mass.iter_mut()).zip(self.error.iter()) {
            let magnitude = up(up((*t + eta) * inflate) * inflate);
            let spread = up((*s + eta) * inflate);
            // An error that underflowed to 0 is below `nη`, which `device` holds.
            let error = if *e == 0.0 { 0.0 } else { up((*e + eta) * inflate) };
            let device = up(forward * magnitude + eta);
            let reach = up(up(spread + 2.0 * device) + error);
            let centre = *y;
            *y = (centre - reach).next_down();
            *s = (centre + reach).next_up();
            *t = up(up(both * magnitude + eta) + error);
            finite &= magnitude.is_finite() && t.is_finite();
        }
        finite
    }
}

/// The three sums of a row.
struct Sums<'s, 'm> {
    operand: &'s Operand<'s>,
    totals: &'s mut Totals<'m>,
    /// Of the block.
    now: [f32; 3],
    so_far: [f32; 3],
}

impl Rows for Sums<'_, '_> {
    #[inline]
    fn begin(&mut self, row: usize) -> bool {
        let totals = &self.totals;
        let (Some(c), Some(r), Some(m)) =
            (totals.centre.get(row), totals.radius.get(row), totals.mass.get(row))
        else {
            return false;
        };
        (self.so_far, self.now) = ([*c, *r, *m], [0.0; 3]);
        true
    }
    #[inline]
    fn products(&mut self, weights: &[f32], first: usize, step: usize) {
        let centre = self.operand.centre.get(first..).unwrap_or_default();
        let radius = self.operand.radius.get(first..).unwrap_or_default();
        let mass = self.operand.mass.get(first..).unwrap_or_default();
        let [mut c, mut r, mut m] = self.now;
        if step == 1 {
            for (((w, x), y), z) in weights.iter().zip(centre).zip(radius).zip(mass) {
                let a = w.abs();
                c += w * x;
                r += a * y;
                m += a * z;
            }
        } else {
            let step = step.max(1);
            let operands = centre.chunks(step).zip(radius.chunks(step)).zip(mass.chunks(step));
            for (w, ((x, y), z)) in weights.iter().zip(operands) {
                let a = w.abs();
                let first = |v: &[f32]| v.first().copied().unwrap_or(0.0);
                c += w * first(x);
                r += a * first(y);
                m += a * first(z);
            }
        }
        self.now = [c, r, m];
    }
    #[inline]
    fn end_block(&mut self) {
        for (total, now) in self.so_far.iter_mut().zip(&mut self.now) {
            *total += *now;
            *now = 0.0;
        }
    }
    #[inline]
    fn end(&mut self, row: usize) {
        let [c, r, m] = self.so_far;
        let totals = &mut self.totals;
        if let (Some(centre), Some(radius), Some(mass)) =
            (totals.centre.get_mut(row), totals.radius.get_mut(row), totals.mass.get_mut(row))
        {
            (*centre, *radius, *mass) = (c, r, m);
        }
    }
}

/// `Σ e·m` of a row.
struct ErrorSums<'m> {
    mass: &'m [f32],
    total: &'m mut [f32],
    /// Of the block.
    now: f32,
    so_far: f32,
}

impl Rows for ErrorSums<'_> {
    fn begin(&mut self, row: usize) -> bool {
        (self.so_far, self.now) = (self.total.get(row).copied().unwrap_or(0.0), 0.0);
        true
    }
    fn products(&mut self, errors: &[f32], first: usize, _: usize) {
        let mass = self.mass.get(first..).unwrap_or_default();
        errors.iter().zip(mass).for_each(|(e, m)| self.now += e * m);
    }
    fn end_block(&mut self) {
        self.so_far += self.now;
        self.now = 0.0;
    }
    fn end(&mut self, row: usize) {
        if let Some(total) = self.total.get_mut(row) {
            *total = self.so_far;
        }
    }
}
