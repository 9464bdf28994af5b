//! A row of coefficients on one slot, carried back through the steps to the input box.
//!
//! See [`super`] for the argument. A row lies in the arena where the slot's values lie in a forward pass; it is
//! filled by the slot's readers, the last one first, and read by the step that gives the slot.

use super::factors::Factors;
use super::intervals::magnitude;
use super::relax::{Line, line, max_line};
use super::sum::Sum;
use crate::bounds::BoundError;
use crate::program::plan::{Planned, pair};
use crate::program::rows::{Rows, visit};
use crate::program::{Constants, Function, Groups, Map, Operation, Slot, Step, Term, Terms, ZERO, to_usize};
use crate::round::up;

/// What is known of the slots before the one that a row starts from.
#[derive(Clone, Copy)]
pub(super) struct Known<'m> {
    /// Kept intervals.
    pub(super) lower: &'m [f32],
    pub(super) upper: &'m [f32],
    /// `q` of the linear steps.
    pub(super) errors: &'m [f32],
    /// `≥ Σ mⱼ` over the operands of each affine step.
    pub(super) masses: &'m [f32],
}

/// Rows of coefficients, and which of them hold anything.
pub(super) struct RowArena<'m> {
    pub(super) rows: &'m mut [f32],
    /// 1 for a slot whose row is started, `[slots]`.
    pub(super) started: &'m mut [f32],
}

const SHORT: BoundError = BoundError::Capacity { needed: 0 };

impl RowArena<'_> {
    /// Forgets all rows and starts that of `slot`, which `fill` writes.
    pub(super) fn start(
        &mut self,
        planned: &Planned<'_>,
        slot: Slot,
        fill: impl FnOnce(&mut [f32]),
    ) -> Result<(), BoundError> {
        self.started.fill(0.0);
        *self.started.get_mut(slot.0).ok_or(SHORT)? = 1.0;
        fill(self.rows.get_mut(planned.range(slot)).ok_or(SHORT)?);
        Ok(())
    }

    fn is_started(&self, slot: Slot) -> bool {
        self.started.get(slot.0).is_some_and(|flag| *flag != 0.0)
    }

    /// The row of `target`, and that of its operand `input`, zero if nothing was added to it yet.
    fn pair(
        &mut self,
        planned: &Planned<'_>,
        input: Slot,
        target: Slot,
    ) -> Result<(&[f32], &mut [f32]), BoundError> {
        let fresh = !self.is_started(input);
        let (a, x) = pair(self.rows, planned.range(target), planned.range(input)).ok_or(SHORT)?;
        if fresh {
            x.fill(0.0);
            *self.started.get_mut(input.0).ok_or(SHORT)? = 1.0;
        }
        Ok((a, x))
    }

    /// The row of `target`, which becomes that of the operand it lies on.
    fn shared(&mut self, planned: &Planned<'_>, input: Slot, target: Slot) -> Result<&mut [f32], BoundError> {
        *self.started.get_mut(input.0).ok_or(SHORT)? = 1.0;
        self.rows.get_mut(planned.range(target)).ok_or(SHORT)
    }
}

/// A lower bound of the row of `start`, which lies in `rows`, on the input box.
pub(super) fn backward(
    planned: &Planned<'_>,
    start: Slot,
    known: Known<'_>,
    rows: &mut RowArena<'_>,
) -> Result<f32, BoundError> {
    let mut constant = 0.0f32;
    for (index, step) in planned.program().steps().iter().enumerate().take(start.0).rev() {
        let target = Slot(index.saturating_add(1));
        if rows.is_started(target) {
            let added = back_step(planned, step, target, known, rows)?;
            constant = (constant + added).next_down();
        }
    }
    if rows.is_started(Slot::INPUT) {
        let row = rows.rows.get(planned.range(Slot::INPUT)).ok_or(SHORT)?;
        let (lower, upper) = known.interval(planned, Slot::INPUT)?;
        constant = concretize(row, lower, upper, constant)?;
    }
    if constant.is_finite() { Ok(constant) } else { Err(BoundError::NonFinite) }
}

impl<'m> Known<'m> {
    fn interval(&self, planned: &Planned<'_>, slot: Slot) -> Result<(&'m [f32], &'m [f32]), BoundError> {
        let range = planned.kept(slot).ok_or(SHORT)?;
        Ok((self.lower.get(range.clone()).ok_or(SHORT)?, self.upper.get(range).ok_or(SHORT)?))
    }
    fn errors_of(&self, planned: &Planned<'_>, slot: Slot) -> Result<&'m [f32], BoundError> {
        self.errors.get(planned.errors(slot).ok_or(SHORT)?).ok_or(SHORT)
    }
}

/// Moves the row of `target` to the operands of its step; returns a lower bound of the constant it leaves.
fn back_step(
    planned: &Planned<'_>,
    step: &Step<'_>,
    target: Slot,
    known: Known<'_>,
    rows: &mut RowArena<'_>,
) -> Result<f32, BoundError> {
    match step.operation {
        Operation::Affine { terms, bias } => affine(planned, (terms, bias), target, known, rows),
        Operation::Elementwise { input, function } => {
            elementwise(planned, (input, function), target, known, rows)
        }
        Operation::Max { input, groups } => maximum(planned, (input, groups), target, known, rows),
        Operation::Index { terms, indices } => index(planned, (terms, indices), target, known, rows),
        Operation::Product { .. } => Err(BoundError::NonFinite),
    }
}

/// `−up((Σ|aᵢ|qᵢ + η)h)`.
fn rounding(row: &[f32], errors: &[f32], factors: Factors) -> f32 {
    let mut sum = Sum::new();
    row.iter().zip(errors).for_each(|(a, q)| sum.add(a.abs() * q));
    up((sum.value() + factors.eta) * factors.inflate)
}

fn affine(
    planned: &Planned<'_>,
    (terms, bias): (Terms, Option<Constants<'_>>),
    target: Slot,
    known: Known<'_>,
    rows: &mut RowArena<'_>,
) -> Result<f32, BoundError> {
    let factors = Factors::of_affine(planned, terms, planned.program().size(target))?;
    let row = rows.rows.get(planned.range(target)).ok_or(SHORT)?;
    let mut bias_sum = Sum::new();
    if let Some(bias) = bias {
        row.iter().zip(bias.values).for_each(|(a, b)| bias_sum.add(a * b));
    }
    let mass = *known.masses.get(target.0).ok_or(SHORT)?;
    let lost = rounding(row, known.errors_of(planned, target)?, factors);
    let lost = up(lost + up(factors.eta * up(mass + 1.0)));
    let (mut first, mut others) = (None, planned.program().terms(terms));
    if planned.in_place(target) {
        let (term, rest) = others.split_first().ok_or(SHORT)?;
        (first, others) = (Some(term), rest);
    }
    for term in others {
        let (a, x) = rows.pair(planned, term.input, target)?;
        add_transposed(&term.map, a, x);
    }
    if let Some(Term { input, map }) = first {
        let row = rows.shared(planned, *input, target)?;
        if let Map::Scale(scale) = map {
            row.iter_mut().zip(scale.values).for_each(|(a, s)| *a *= s);
        }
    }
    Ok((bias_sum.value() - lost).next_down())
}

/// `x = x + mapᵀ(a)`.
fn add_transposed(map: &Map<'_>, a: &[f32], x: &mut [f32]) {
    match map {
        Map::Identity => x.iter_mut().zip(a).for_each(|(x, a)| *x += a),
        Map::Scale(scale) => {
            x.iter_mut().zip(a).zip(scale.values).for_each(|((x, a), s)| *x += a * s);
        }
        map => visit(map, &mut Scatter { row: a, operand: x, a: 0.0 }),
    }
}

/// Adds `a·w` to the operand's coefficients.
struct Scatter<'m> {
    row: &'m [f32],
    operand: &'m mut [f32],
    a: f32,
}

impl Rows for Scatter<'_> {
    #[inline]
    fn begin(&mut self, row: usize) -> bool {
        self.a = self.row.get(row).copied().unwrap_or(0.0);
        self.a != 0.0
    }
    #[inline]
    fn products(&mut self, weights: &[f32], first: usize, step: usize) {
        let a = self.a;
        let operand = self.operand.get_mut(first..).unwrap_or_default();
        if step == 1 {
            operand.iter_mut().zip(weights).for_each(|(x, w)| *x += a * w);
        } else {
            for (x, w) in operand.chunks_mut(step.max(1)).zip(weights) {
                if let Some(x) = x.first_mut() {
                    *x += a * w;
                }
            }
        }
    }
    #[inline]
    fn end_block(&mut self) {}
    #[inline]
    fn end(&mut self, _: usize) {}
}

/// Constants of relaxed elements, and what adding their slopes to shared coefficients rounds.
struct Constant {
    sum: Sum,
    magnitude: Sum,
    /// `Σ|ŝ|m` of slopes that are added to others.
    shared: Sum,
    /// `≥ γ` of such an addition, or 0.
    gamma: f32,
}

impl Constant {
    fn new(gamma: f32) -> Self {
        Self { sum: Sum::new(), magnitude: Sum::new(), shared: Sum::new(), gamma }
    }

    #[inline]
    fn add(&mut self, line: Line, lower: f32, upper: f32) {
        self.sum.add(line.constant);
        self.magnitude.add(line.constant.abs());
        if self.gamma > 0.0 {
            self.shared.add(line.slope.abs() * magnitude(lower, upper));
        }
    }

    /// The sum of the constants, rounded down, less what the additions round.
    fn value(self, count: usize) -> Result<f32, BoundError> {
        let Factors { forward, inflate, eta, .. } = Factors::of_blocked_sum(count)?;
        let off = up(forward * up(self.magnitude.value() * inflate));
        let shared =
            if self.gamma > 0.0 { up(self.gamma * up((self.shared.value() + eta) * inflate)) } else { 0.0 };
        Ok(((self.sum.value() - off).next_down() - shared).next_down())
    }
}

fn elementwise(
    planned: &Planned<'_>,
    (input, function): (Slot, Function),
    target: Slot,
    known: Known<'_>,
    rows: &mut RowArena<'_>,
) -> Result<f32, BoundError> {
    let (lower, upper) = known.interval(planned, input)?;
    let fan = planned.fan(input);
    let mut constant = Constant::new(Factors::of_sum(fan)?.shared(fan));
    let count = lower.len();
    if planned.in_place(target) {
        for ((a, l), u) in rows.shared(planned, input, target)?.iter_mut().zip(lower).zip(upper) {
            let line = line(function, *l, *u, *a);
            constant.add(line, *l, *u);
            *a = line.slope;
        }
    } else {
        let (row, operand) = rows.pair(planned, input, target)?;
        for (((a, x), l), u) in row.iter().zip(operand).zip(lower).zip(upper) {
            let line = line(function, *l, *u, *a);
            constant.add(line, *l, *u);
            *x += line.slope;
        }
    }
    constant.value(count)
}

fn maximum(
    planned: &Planned<'_>,
    (input, groups): (Slot, Groups<'_>),
    target: Slot,
    known: Known<'_>,
    rows: &mut RowArena<'_>,
) -> Result<f32, BoundError> {
    let (lower, upper) = known.interval(planned, input)?;
    let fan = planned.fan(input);
    let mut constant = Constant::new(Factors::of_sum(fan)?.shared(fan));
    let (row, operand) = rows.pair(planned, input, target)?;
    for (a, group) in row.iter().zip(groups.iter()) {
        if *a == 0.0 {
            continue;
        }
        let (member, line) = max_line(group, lower, upper, *a);
        let (l, u) = (lower.get(member).ok_or(SHORT)?, upper.get(member).ok_or(SHORT)?);
        constant.add(line, *l, *u);
        *operand.get_mut(member).ok_or(SHORT)? += line.slope;
    }
    constant.value(row.len())
}

fn index(
    planned: &Planned<'_>,
    (terms, indices): (Terms, &[u32]),
    target: Slot,
    known: Known<'_>,
    rows: &mut RowArena<'_>,
) -> Result<f32, BoundError> {
    let row = rows.rows.get(planned.range(target)).ok_or(SHORT)?;
    let lost = rounding(row, known.errors_of(planned, target)?, Factors::of_blocked_sum(row.len())?);
    let mut start = 0usize;
    for term in planned.program().terms(terms) {
        let (a, x) = rows.pair(planned, term.input, target)?;
        for (a, index) in a.iter().zip(indices) {
            if *index != ZERO
                && let Some(x) = to_usize(*index).checked_sub(start).and_then(|i| x.get_mut(i))
            {
                *x += a;
            }
        }
        start = start.saturating_add(x.len());
    }
    Ok(-lost)
}

/// `constant + min over the box of row · x`, rounded down.
fn concretize(row: &[f32], lower: &[f32], upper: &[f32], constant: f32) -> Result<f32, BoundError> {
    let factors = Factors::of_blocked_sum(row.len())?;
    let (mut value, mut mass) = (Sum::new(), Sum::new());
    for ((a, l), u) in row.iter().zip(lower).zip(upper) {
        value.add(a * if *a >= 0.0 { *l } else { *u });
        mass.add(a.abs() * magnitude(*l, *u));
    }
    let mass = up((mass.value() + factors.eta) * factors.inflate);
    let off = up(up(factors.forward * mass) + factors.eta);
    Ok(((constant + value.value()).next_down() - off).next_down())
}
