//! One leaf: inherited bounds, cut to its box and splits, then one backward pass for the claimed rows.

use super::super::Rejection;
use super::backward::{Backward, Hints};
use super::checker::{Bounds, Checker, State, View};
use super::derive::{cut, inherit_slot, is_empty};
use super::interval::{Intervals, keep_lines};
use super::{Claim, Kernel, NO_INPUT, Problem, Row, Split};
use crate::program::Slot;

/// Why a leaf is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The claimed row of every disjunct fails everywhere.
    Refuted,
    /// No input satisfies the splits.
    Empty,
}

/// A block of claims: lane `r` is claim `first + r`.
struct Claimed<'c> {
    claims: &'c [Claim<'c>],
    splits: &'c [Split],
}

impl Hints for Claimed<'_> {
    fn alpha(&self, lane: usize) -> &[u8] {
        self.claims.get(lane).map_or(&[], |c| c.alpha)
    }
    fn splits(&self, lane: usize) -> usize {
        if lane < self.claims.len() { self.splits.len() } else { 0 }
    }
    fn split(&self, _: usize, index: usize) -> Option<Split> {
        self.splits.get(index).copied()
    }
    fn beta(&self, lane: usize, split: usize) -> f64 {
        self.claims.get(lane).map_or(0.0, |c| c.beta_at(split))
    }
}

impl Claim<'_> {
    pub(super) fn beta_at(&self, split: usize) -> f64 {
        match self.beta.get(4 * split..4 * split + 4) {
            Some(&[a, b, c, d]) => f64::from(f32::from_le_bytes([a, b, c, d])),
            _ => 0.0,
        }
    }

    /// The row that is to fail: `None` for the row 0 > 0.
    pub(super) fn row<'p>(&self, disjunct: &'p [Row<'p>]) -> Result<Option<&'p Row<'p>>, Rejection> {
        if self.row == NO_INPUT {
            return Ok(None);
        }
        disjunct.get(usize::from(self.row)).map(Some).ok_or(Rejection::Claim)
    }
}

impl<K: Kernel> Checker<'_, K> {
    /// Checks that each disjunct is refuted, as its claim says, on the box `region` cut by `splits`, from `bounds` that were
    /// derived on a box around it and for splits that `splits` begin with.
    ///
    /// # Shapes
    /// `region` two `[inputs]`; `claims` and `margins` one per disjunct. Each margin is the bound of the claimed row less its
    /// right-hand side, positive if proved; NaN where none was computed.
    ///
    /// # Errors
    /// [`Rejection`]; never accepts what does not hold.
    pub fn check_leaf(
        &mut self,
        bounds: &Bounds<'_>,
        region: (&[f64], &[f64]),
        splits: &[Split],
        claims: &[Claim<'_>],
        margins: &mut [f64],
    ) -> Result<Outcome, Rejection> {
        self.check_part(bounds, (region, splits), 0..self.problem.disjuncts.len(), claims, margins)
    }

    /// As [`Self::check_leaf`] for some of the disjuncts: those that the rest of a proof does not refute on this box.
    ///
    /// # Errors
    /// [`Rejection`].
    pub fn check_part(
        &mut self,
        bounds: &Bounds<'_>,
        (region, splits): ((&[f64], &[f64]), &[Split]),
        disjuncts: core::ops::Range<usize>,
        claims: &[Claim<'_>],
        margins: &mut [f64],
    ) -> Result<Outcome, Rejection> {
        margins.fill(f64::NAN);
        let disjuncts = self.problem.disjuncts.get(disjuncts).ok_or(Rejection::Shape)?;
        self.check_domain(region, splits)?;
        self.check_claims(splits, disjuncts, claims)?;
        if margins.len() != claims.len() {
            return Err(Rejection::Shape);
        }
        if self.inherit(bounds, region, splits)? {
            return Ok(Outcome::Empty);
        }
        self.mark(region, None)?;
        let inputs = self.problem.program.inputs();
        let same_box =
            bounds.lower.get(..inputs) == Some(region.0) && bounds.upper.get(..inputs) == Some(region.1);
        if same_box && splits.is_empty() {
            let State::Derived { mass, .. } = bounds.state else { return Err(Rejection::Shape) };
            let view = View {
                program: &self.problem.program,
                layout: self.layout,
                lower: &*bounds.lower,
                upper: &*bounds.upper,
                error: &*bounds.error,
                lines: &*bounds.lines,
                mass,
                anew: true,
            };
            let (rows, kernel, problem) = (&mut self.rows, &mut self.kernel, self.problem);
            return refute(rows, kernel, problem, view, splits, (disjuncts, claims), margins);
        }
        if same_box {
            // Bounds of a larger set hold: what the splits imply for later steps seldom helps.
            if !self.cut_bounds(bounds, splits)? {
                return Ok(Outcome::Empty);
            }
            match self.refute(bounds, splits, (disjuncts, claims), margins) {
                Err(Rejection::NotProved { .. }) if !splits.is_empty() => {}
                answer => return answer,
            }
        }
        self.refute_anew(bounds, (region, splits), (disjuncts, claims), margins)
    }

    /// Refutes with the leaf's own intervals.
    pub(super) fn refute_anew(
        &mut self,
        bounds: &Bounds<'_>,
        (region, splits): ((&[f64], &[f64]), &[Split]),
        claimed: (&[&[Row<'_>]], &[Claim<'_>]),
        margins: &mut [f64],
    ) -> Result<Outcome, Rejection> {
        if !self.leaf_bounds(bounds, region, splits)? {
            return Ok(Outcome::Empty);
        }
        self.refute(bounds, splits, claimed, margins)
    }

    /// Propagates the claimed rows with the bounds of the leaf.
    fn refute(
        &mut self,
        bounds: &Bounds<'_>,
        splits: &[Split],
        (disjuncts, claims): (&[&[Row<'_>]], &[Claim<'_>]),
        margins: &mut [f64],
    ) -> Result<Outcome, Rejection> {
        let State::Derived { mass, .. } = bounds.state else { return Err(Rejection::Shape) };
        let view = View {
            program: &self.problem.program,
            layout: self.layout,
            lower: &*self.lower,
            upper: &*self.upper,
            error: &*bounds.error,
            lines: &*self.lines,
            mass,
            anew: true,
        };
        let (rows, kernel, problem) = (&mut self.rows, &mut self.kernel, self.problem);
        refute(rows, kernel, problem, view, splits, (disjuncts, claims), margins)
    }

    /// Bounds of a leaf on the box of `bounds`: those, with the split values cut; false if empty.
    fn cut_bounds(&mut self, bounds: &Bounds<'_>, splits: &[Split]) -> Result<bool, Rejection> {
        self.copy_bounds(bounds)?;
        let program = &self.problem.program;
        for (index, step) in program.steps().iter().enumerate() {
            let slot = Slot(index + 1);
            // Operands were cut before: slots come in order.
            let mut reads_cut = false;
            program.for_each_input(step, |read| reads_cut |= splits.iter().any(|s| s.slot == read));
            if reads_cut {
                let old = (&*bounds.lower, &*bounds.upper);
                let new = (&*self.lower, &*self.upper);
                keep_lines((index, step), self.layout, new, Some(old), (self.lines, false))?;
            }
            if !splits.iter().any(|s| s.slot == slot) {
                continue;
            }
            let (from, to) = (self.layout.offset(slot), self.layout.offset(slot) + step.len);
            let lower = self.lower.get_mut(from..to).ok_or(Rejection::Shape)?;
            let upper = self.upper.get_mut(from..to).ok_or(Rejection::Shape)?;
            cut(slot, splits, lower, upper)?;
            if is_empty(slot, splits, lower, upper)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn copy_bounds(&mut self, bounds: &Bounds<'_>) -> Result<(), Rejection> {
        let elements = self.layout.elements();
        for (to, from) in [(&mut *self.lower, &*bounds.lower), (&mut *self.upper, &*bounds.upper)] {
            to.copy_from_slice(from.get(..elements).ok_or(Rejection::Shape)?);
        }
        self.lines.copy_from_slice(bounds.lines);
        Ok(())
    }

    pub(super) fn check_claims(
        &self,
        splits: &[Split],
        disjuncts: &[&[Row<'_>]],
        claims: &[Claim<'_>],
    ) -> Result<(), Rejection> {
        if claims.len() != disjuncts.len() {
            return Err(Rejection::Shape);
        }
        let alpha = self.layout.claims_len(self.problem.program.output());
        for (claim, disjunct) in claims.iter().zip(disjuncts) {
            claim.row(disjunct)?;
            let lengths = (claim.alpha.is_empty() || claim.alpha.len() == alpha)
                && (claim.beta.is_empty() || claim.beta.len() == 4 * splits.len());
            let range = (0..splits.len()).all(|i| claim.beta_at(i) >= 0.0 && claim.beta_at(i).is_finite());
            if !(lengths && range) {
                return Err(Rejection::Claim);
            }
        }
        Ok(())
    }

    /// Bounds of the leaf: inherited up to the first step that its box or a new split changes, then intersected with its own
    /// intervals; false if empty.
    fn leaf_bounds(
        &mut self,
        bounds: &Bounds<'_>,
        region: (&[f64], &[f64]),
        splits: &[Split],
    ) -> Result<bool, Rejection> {
        self.copy_bounds(bounds)?;
        let program = &self.problem.program;
        let inputs = program.inputs();
        let mut changed = false;
        for (to, from) in [(&mut *self.lower, region.0), (&mut *self.upper, region.1)] {
            let to = to.get_mut(..inputs).ok_or(Rejection::Shape)?;
            changed |= *to != *from;
            to.copy_from_slice(from);
        }
        for (index, step) in program.steps().iter().enumerate() {
            let slot = Slot(index + 1);
            let split = splits.iter().any(|s| s.slot == slot);
            if !changed && !split {
                continue;
            }
            let (from, len) = (self.layout.offset(slot), step.len);
            let (lower, lower_now) = self.lower.split_at_mut_checked(from).ok_or(Rejection::Shape)?;
            let (upper, upper_now) = self.upper.split_at_mut_checked(from).ok_or(Rejection::Shape)?;
            let lower_now = lower_now.get_mut(..len).ok_or(Rejection::Shape)?;
            let upper_now = upper_now.get_mut(..len).ok_or(Rejection::Shape)?;
            if changed {
                let error = bounds.error.get(from..from + len).ok_or(Rejection::Shape)?;
                let old = (&*bounds.lower, &*bounds.upper);
                keep_lines((index, step), self.layout, (lower, upper), Some(old), (self.lines, false))?;
                let mut intervals = Intervals {
                    program,
                    layout: self.layout,
                    kernel: &mut self.kernel,
                    scratch: &mut *self.scratch,
                    lower,
                    upper,
                    varies: None,
                };
                intervals.step((index, step), error, (lower_now, upper_now))?;
                inherit_slot(bounds, from, lower_now, upper_now)?;
            }
            cut(slot, splits, lower_now, upper_now)?;
            changed |= split;
            if is_empty(slot, splits, lower_now, upper_now)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Propagates the claimed rows with the bounds of `view`.
fn refute<K: Kernel>(
    rows: &mut super::rows::Rows<'_>,
    kernel: &mut K,
    problem: &Problem<'_>,
    view: View<'_>,
    splits: &[Split],
    (disjuncts, claims): (&[&[Row<'_>]], &[Claim<'_>]),
    margins: &mut [f64],
) -> Result<Outcome, Rejection> {
    let most = rows.most;
    let mut refused = None;
    let blocks = claims.chunks(most).zip(disjuncts.chunks(most)).zip(margins.chunks_mut(most));
    for (block, ((claims, disjuncts), margins)) in blocks.enumerate() {
        rows.begin(claims.len(), kernel.lane_multiple());
        load(rows, &view, problem, claims, disjuncts)?;
        let hints = Claimed { claims, splits };
        Backward { view, kernel: &mut *kernel, rows: &mut *rows, hints: &hints }
            .run(problem.program.output())?;
        for (lane, ((claim, disjunct), margin)) in claims.iter().zip(disjuncts).zip(margins).enumerate() {
            let bound = rows.bound(lane, view.layout.factors)?;
            let rhs = claim.row(disjunct)?.map_or(0.0, |row| row.rhs);
            *margin = bound - rhs;
            let proved = bound > rhs;
            if !proved && refused.is_none() {
                refused = Some(block * most + lane);
            }
        }
    }
    match refused {
        None => Ok(Outcome::Refuted),
        Some(disjunct) => Err(Rejection::NotProved { disjunct }),
    }
}

/// Starts the claimed row of each disjunct in its lane.
fn load(
    rows: &mut super::rows::Rows<'_>,
    view: &View<'_>,
    problem: &Problem<'_>,
    claims: &[Claim<'_>],
    disjuncts: &[&[Row<'_>]],
) -> Result<(), Rejection> {
    let slots = [problem.program.output(), Slot::INPUT];
    for slot in slots {
        for (lane, (claim, disjunct)) in claims.iter().zip(disjuncts).enumerate() {
            if let Some(row) = claim.row(disjunct)? {
                start(rows, view, (slot, lane), row)?;
            }
        }
    }
    Ok(())
}

/// Adds a row's coefficients on the outputs, or on the input, to a lane.
pub(super) fn start(
    rows: &mut super::rows::Rows<'_>,
    view: &View<'_>,
    (slot, lane): (Slot, usize),
    row: &Row<'_>,
) -> Result<(), Rejection> {
    let coefficients = if slot == Slot::INPUT { row.input } else { row.output };
    if coefficients.is_empty() {
        return Ok(());
    }
    rows.touch(view, slot)?;
    for (element, c) in coefficients.iter().enumerate().filter(|(_, c)| **c != 0.0) {
        *rows.row(view, slot, element)?.get_mut(lane).ok_or(Rejection::Shape)? += *c;
    }
    Ok(())
}
