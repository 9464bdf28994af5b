//! The backward pass: a block of rows on some slots becomes rows on the input, then bounds.

use super::super::Rejection;
use super::Split;
use super::checker::View;
use super::derive::side;
use super::interval::{bias_at, factors_of, intersect, rejection, source};
use super::kernel::{Kernel, Lines, Matrix};
use super::layout::claims_per_element;
use super::lines;
use super::planes::{Interval, MaxPlane, mass, product};
use super::rows::{Rows, two_parts};
use crate::program::{Constants, Function, Groups, Operation, Slot, Step, Terms, to_usize};

/// What claims add to a block of rows.
pub(super) trait Hints {
    /// Claimed slopes of a lane; empty for the adaptive rules.
    fn alpha(&self, lane: usize) -> &[u8];
    /// How many splits a lane has multipliers for.
    fn splits(&self, lane: usize) -> usize;
    /// One of them.
    fn split(&self, lane: usize, index: usize) -> Option<Split>;
    /// Whether the bounds of a lane have yet to be cut at its splits.
    fn cuts(&self, _: usize) -> bool {
        false
    }
    /// Multiplier of a split, finite and not negative.
    fn beta(&self, lane: usize, split: usize) -> f64;
}

/// The splits that the bounds of a lane have yet to be cut at.
fn cuts<H: Hints>(hints: &H, lane: usize) -> impl Iterator<Item = Split> + '_ {
    let count = if hints.cuts(lane) { hints.splits(lane) } else { 0 };
    (0..count).filter_map(move |i| hints.split(lane, i))
}

/// A share `0..=1`.
fn share(byte: u8) -> f64 {
    f64::from(byte) / 255.0
}

/// A backward pass under way.
pub(super) struct Backward<'b, 'm, K, H> {
    pub view: View<'b>,
    pub kernel: &'b mut K,
    pub rows: &'b mut Rows<'m>,
    pub hints: &'b H,
}

impl<K: Kernel, H: Hints> Backward<'_, '_, K, H> {
    /// Propagates the coefficients that `rows` holds, on `start` and slots before it, to the input, and bounds them: see
    /// [`Rows::bound`].
    pub(super) fn run(&mut self, start: Slot) -> Result<(), Rejection> {
        for index in (0..start.0).rev() {
            let slot = Slot(index + 1);
            self.multipliers(slot)?;
            if self.rows.is_touched(slot) {
                self.settle(slot)?;
                let program = self.view.program;
                self.step(index, program.steps().get(index).ok_or(Rejection::Shape)?)?;
            }
        }
        self.concretize()
    }

    fn step(&mut self, index: usize, step: &Step<'_>) -> Result<(), Rejection> {
        match step.operation {
            Operation::Affine { terms, bias } => self.affine(Slot(index + 1), terms, bias),
            Operation::Elementwise { input, function } => self.elementwise(index, input, function),
            Operation::Max { input, groups } => self.max(index, input, groups),
            Operation::Product { left, right, m, k, n, .. } => self.product(index, (left, right), (m, k, n)),
            Operation::Index { terms, indices } => self.index(Slot(index + 1), terms, indices),
        }
    }

    /// Takes the intervals of the elements of `slot` that do not vary: their rows end here.
    fn settle(&mut self, slot: Slot) -> Result<(), Rejection> {
        let (view, first) = (self.view, self.view.layout.offset(slot));
        for element in 0..view.program.size(slot) {
            let varies = *self.rows.varies.get(first + element).ok_or(Rejection::Shape)? != 0;
            if !varies && !self.rows.is_zero(&self.view, slot, element)? {
                self.take_interval(slot, element)?;
                self.rows.clear(&view, slot, element)?;
            }
        }
        Ok(())
    }

    /// Adds the smallest value of each lane's coefficient on an element.
    fn take_interval(&mut self, slot: Slot, element: usize) -> Result<(), Rejection> {
        let (l, u) = self.view.interval(slot, element)?;
        let (error, lanes) = (self.charge() * mass((l, u)), self.rows.lanes);
        let at = self.rows.place(&self.view, slot).0 + element * lanes;
        let a = self.rows.arena.get(at..at + lanes).ok_or(Rejection::Shape)?;
        self.kernel.signed(a, self.rows.value, self.rows.deduct, [l, u], [error, error]);
        Ok(())
    }

    /// The charge on a term for each unit of its size.
    fn charge(&self) -> f64 {
        4.0 * self.view.factors().g
    }

    /// `−s·β·(z − v)` for every split of an element of `slot`.
    fn multipliers(&mut self, slot: Slot) -> Result<(), Rejection> {
        let (hints, lanes, charge) = (self.hints, self.rows.lanes, self.charge());
        for lane in 0..lanes {
            for i in 0..hints.splits(lane) {
                let split = hints.split(lane, i).ok_or(Rejection::Shape)?;
                let beta = if split.slot == slot { hints.beta(lane, i) } else { 0.0 };
                if beta == 0.0 {
                    continue;
                }
                let (element, point) = (to_usize(split.element), f64::from(split.point));
                let size = mass(self.view.interval(slot, element)?) + point.abs();
                let signed = if split.above { beta } else { -beta };
                self.rows.touch(&self.view, slot)?;
                let a = self.rows.row(&self.view, slot, element)?;
                *a.get_mut(lane).ok_or(Rejection::Shape)? -= signed;
                *self.rows.value.get_mut(lane).ok_or(Rejection::Shape)? += signed * point;
                *self.rows.deduct.get_mut(lane).ok_or(Rejection::Shape)? += charge * (beta * size);
            }
        }
        Ok(())
    }

    /// Marks in the index the elements of `slot` that the bounds of some lane have yet to be cut at; false if there are none.
    fn mark_cuts(&mut self, slot: Slot) -> Result<bool, Rejection> {
        let marks = self.rows.index.get_mut(..self.view.program.size(slot)).ok_or(Rejection::Shape)?;
        let mut any = false;
        for lane in 0..self.rows.lanes {
            for split in cuts(self.hints, lane).filter(|s| s.slot == slot) {
                if !any {
                    marks.fill(0);
                    any = true;
                }
                *marks.get_mut(to_usize(split.element)).ok_or(Rejection::Shape)? = 1;
            }
        }
        Ok(any)
    }

    /// The bounds of an element, cut at the splits of a lane.
    fn cut_interval(&self, slot: Slot, element: usize, lane: usize) -> Result<Interval, Rejection> {
        let (mut l, mut u) = self.view.interval(slot, element)?;
        let here = |s: &Split| s.slot == slot && to_usize(s.element) == element;
        for split in cuts(self.hints, lane).filter(here) {
            intersect(&mut l, &mut u, side(&split));
        }
        Ok((l, u))
    }

    /// Moves the rows that are not zero to the front, charges them, and multiplies by each map.
    fn affine(&mut self, slot: Slot, terms: Terms, bias: Option<Constants<'_>>) -> Result<(), Rejection> {
        let (view, lanes) = (self.view, self.rows.lanes);
        let (at, len) = self.rows.place(&view, slot);
        let first = view.layout.offset(slot);
        let mut kept = 0;
        for element in 0..view.program.size(slot) {
            if self.rows.is_zero(&self.view, slot, element)? {
                continue;
            }
            let a = self.rows.arena.get_mut(at..at + len).ok_or(Rejection::Shape)?;
            let from = element * lanes;
            if kept != element {
                // `kept < element`, so the rows do not overlap.
                a.copy_within(from..from + lanes, kept * lanes);
            }
            let a = a.get(kept * lanes..(kept + 1) * lanes).ok_or(Rejection::Shape)?;
            *self.rows.index.get_mut(kept).ok_or(Rejection::Shape)? = element as u32;
            kept += 1;
            let error = *view.error.get(first + element).ok_or(Rejection::Shape)?;
            self.kernel.pass(a, self.rows.value, self.rows.deduct, bias_at(bias, element).0, error);
        }
        if kept == 0 {
            return Ok(());
        }
        for (k, term) in view.program.terms(terms).iter().enumerate() {
            self.rows.touch(&view, term.input)?;
            let to = self.rows.place(&view, term.input);
            let first = view.layout.arena(term.input);
            let live = self.rows.live.get_mut(first..first + view.program.size(term.input));
            let rows = self.rows.index.get(..kept).ok_or(Rejection::Shape)?;
            let (a, out) = two_parts(self.rows.arena, (at, kept * lanes), to)?;
            let matrix = Matrix { term: terms.first + k, map: &term.map };
            self.kernel.transposed(matrix, rows, (a, lanes), out, live.ok_or(Rejection::Shape)?);
        }
        Ok(())
    }

    fn index(&mut self, slot: Slot, terms: Terms, indices: &[u32]) -> Result<(), Rejection> {
        let (view, charge) = (self.view, self.charge());
        for term in view.program.terms(terms) {
            self.rows.touch(&view, term.input)?;
        }
        for (element, index) in indices.iter().enumerate() {
            let Some(from) = source(view.program, terms, *index) else { continue };
            if self.rows.is_zero(&self.view, slot, element)? {
                continue;
            }
            let error = charge * mass(view.interval(from.0, from.1)?);
            self.pass((slot, element), 0.0, error)?;
            self.rows.enliven(&view, from.0, from.1)?;
            let lanes = self.rows.lanes;
            let first = self.rows.place(&view, slot).0 + element * lanes;
            let second = self.rows.place(&view, from.0).0 + from.1 * lanes;
            let (a, out) = two_parts(self.rows.arena, (first, lanes), (second, lanes))?;
            self.kernel.add(a, out);
        }
        Ok(())
    }

    /// `V += a·constant`, `D += |a|·error` for the coefficients of an element.
    fn pass(&mut self, (slot, element): (Slot, usize), constant: f64, error: f64) -> Result<(), Rejection> {
        let lanes = self.rows.lanes;
        let at = self.rows.place(&self.view, slot).0 + element * lanes;
        let a = self.rows.arena.get(at..at + lanes).ok_or(Rejection::Shape)?;
        self.kernel.pass(a, self.rows.value, self.rows.deduct, constant, error);
        Ok(())
    }

    /// Claim bytes `[at, at + N)` of a lane.
    fn claim<const N: usize>(&self, lane: usize, at: usize) -> Option<[f64; N]> {
        let bytes = self.hints.alpha(lane).get(at..at + N)?;
        let mut shares = [0.0; N];
        shares.iter_mut().zip(bytes).for_each(|(s, b)| *s = share(*b));
        Some(shares)
    }

    /// Whether any lane has claims at byte `at`.
    fn claimed(&self, at: usize) -> bool {
        (0..self.rows.lanes).any(|lane| self.hints.alpha(lane).len() > at)
    }

    fn elementwise(&mut self, index: usize, input: Slot, function: Function) -> Result<(), Rejection> {
        let (view, lanes) = (self.view, self.rows.lanes);
        let slot = Slot(index + 1);
        let (from, to) = (self.rows.place(&view, slot), self.rows.place(&view, input));
        let in_place = from.0 == to.0;
        if in_place {
            self.rows.read_all(&view, input)?;
        } else {
            self.rows.touch(&view, input)?;
        }
        let (per_element, bytes) = (claims_per_element(function), view.layout.claims_at(index));
        let claimed = self.claimed(bytes);
        let cut = self.mark_cuts(input)?;
        for element in 0..view.program.size(slot) {
            let zero = self.rows.is_zero(&self.view, slot, element)?;
            if !zero {
                let bytes = claimed.then_some(bytes + element * per_element);
                if cut && self.rows.index.get(element) == Some(&1) {
                    for lane in 0..lanes {
                        let interval = self.cut_interval(input, element, lane)?;
                        let mut own = [f64::NAN; lines::KEPT];
                        let differs = lines::kept(function) && interval != view.interval(input, element)?;
                        if differs {
                            lines::keep(function, interval, false, &mut own).map_err(rejection(index))?;
                        }
                        let own = differs.then_some(own.as_slice());
                        self.relax((index, own), function, (element, interval), lane..lane + 1, bytes)?;
                    }
                } else {
                    let interval = view.interval(input, element)?;
                    self.relax((index, None), function, (element, interval), 0..lanes, bytes)?;
                }
            }
            if in_place || zero {
                continue;
            }
            self.rows.enliven(&view, input, element)?;
            let at = element * lanes;
            let (a, out) = two_parts(self.rows.arena, (from.0 + at, lanes), (to.0 + at, lanes))?;
            self.kernel.add(a, out);
        }
        Ok(())
    }

    /// Coefficients on `f(z)` of one element, in the lanes of a range, become coefficients on `z`, in place; by lines of its own, if the
    /// interval is not that of the bounds.
    fn relax(
        &mut self,
        (index, own): (usize, Option<&[f64]>),
        function: Function,
        (element, interval): (usize, Interval),
        range: core::ops::Range<usize>,
        claims: Option<usize>,
    ) -> Result<(), Rejection> {
        let (slot, charge) = (Slot(index + 1), self.charge());
        if let Some(kink) = lines::kink(function, interval, charge) {
            let free = self.rows.free.get_mut(range.clone()).ok_or(Rejection::Shape)?;
            free.fill(lines::free_slope(&kink, None));
            if let Some(at) = claims {
                for lane in range.clone() {
                    if let (Some([share]), Some(free)) =
                        (self.claim::<1>(lane, at), self.rows.free.get_mut(lane))
                    {
                        *free = lines::free_slope(&kink, Some(share));
                    }
                }
            }
            let at = self.rows.place(&self.view, slot).0 + element * self.rows.lanes;
            let a = self.rows.arena.get_mut(at + range.start..at + range.end).ok_or(Rejection::Shape)?;
            let free = self.rows.free.get(range.clone()).ok_or(Rejection::Shape)?;
            let deduct = self.rows.deduct.get_mut(range).ok_or(Rejection::Shape)?;
            self.kernel.kink(a, free, deduct, kink);
            return Ok(());
        }
        let size = mass(interval);
        if let Some(line) = lines::straight(function, interval) {
            return self.follow((slot, element), range, line, size);
        }
        let at = self.view.layout.lines_at(index) + element * lines::KEPT;
        let kept = match own {
            Some(own) => own,
            None => self.view.lines.get(at..at + lines::KEPT).ok_or(Rejection::Shape)?,
        };
        let &[lower_slope, lower_intercept, upper_slope, upper_intercept, ..] = kept else {
            return Err(Rejection::Shape);
        };
        let shared = Lines { lower_slope, lower_intercept, upper_slope, upper_intercept };
        let exact = lower_slope == upper_slope && lower_intercept == upper_intercept;
        let Some(at) = claims.filter(|_| !exact) else {
            return self.follow((slot, element), range, shared, size);
        };
        let first = self.rows.place(&self.view, slot).0 + element * self.rows.lanes;
        for lane in range {
            let a = *self.rows.arena.get(first + lane).ok_or(Rejection::Shape)?;
            if a == 0.0 {
                continue;
            }
            // Only the line that this lane's coefficient takes.
            let above = a < 0.0;
            let (slope, intercept) = match self.claim::<2>(lane, at) {
                Some([low, high]) => {
                    let share = if above { high } else { low };
                    let kept =
                        if self.view.anew { kept.get(..lines::HEAD).unwrap_or_default() } else { kept };
                    lines::claimed(function, interval, (kept, size), share, above)
                        .map_err(rejection(index))?
                }
                None if above => (upper_slope, upper_intercept),
                None => (lower_slope, lower_intercept),
            };
            let [a, value, deduct] = [
                self.rows.arena.get_mut(first + lane),
                self.rows.value.get_mut(lane),
                self.rows.deduct.get_mut(lane),
            ];
            let (Some(a), Some(value), Some(deduct)) = (a, value, deduct) else {
                return Err(Rejection::Shape);
            };
            // As `follow` has it.
            *value += *a * intercept;
            *deduct += a.abs() * (charge * (intercept.abs() + slope.abs() * size));
            *a *= slope;
        }
        Ok(())
    }

    /// The coefficients of an element, in the lanes of a range, follow two lines of an operand of mass `size`.
    fn follow(
        &mut self,
        (slot, element): (Slot, usize),
        range: core::ops::Range<usize>,
        lines: Lines,
        size: f64,
    ) -> Result<(), Rejection> {
        let Lines { lower_slope, lower_intercept, upper_slope, upper_intercept } = lines;
        let charge = self.charge();
        let error = |slope: f64, intercept: f64| charge * (intercept.abs() + slope.abs() * size);
        let errors = [error(lower_slope, lower_intercept), error(upper_slope, upper_intercept)];
        let same = lower_slope == upper_slope && lower_intercept == upper_intercept;
        let lanes = self.rows.lanes;
        let at = self.rows.place(&self.view, slot).0 + element * lanes;
        let a = self
            .rows
            .arena
            .get_mut(at..at + lanes)
            .and_then(|a| a.get_mut(range.clone()))
            .ok_or(Rejection::Shape)?;
        let value = self.rows.value.get_mut(range.clone()).ok_or(Rejection::Shape)?;
        let deduct = self.rows.deduct.get_mut(range.clone()).ok_or(Rejection::Shape)?;
        if same && lower_slope == 0.0 && lower_intercept == 0.0 {
            // The result is 0: its coefficient is dropped, and nothing is charged.
            a.fill(0.0);
            return Ok(());
        }
        if same && lower_slope == 1.0 && lower_intercept == 0.0 {
            self.kernel.pass(a, value, deduct, 0.0, errors[0]);
            return Ok(());
        }
        self.kernel.signed(a, value, deduct, [lower_intercept, upper_intercept], errors);
        let copy = self.rows.free.get_mut(range).ok_or(Rejection::Shape)?;
        copy.copy_from_slice(a);
        a.fill(0.0);
        self.kernel.spread(copy, a, lower_slope, upper_slope);
        Ok(())
    }

    fn max(&mut self, index: usize, input: Slot, groups: Groups<'_>) -> Result<(), Rejection> {
        let (view, bytes) = (self.view, self.view.layout.claims_at(index));
        self.rows.touch(&view, input)?;
        let claimed = self.claimed(bytes);
        for (output, group) in groups.iter().enumerate() {
            if self.rows.is_zero(&self.view, Slot(index + 1), output)? {
                continue;
            }
            if claimed {
                for lane in 0..self.rows.lanes {
                    let claim = self.claim::<2>(lane, bytes + 2 * output);
                    self.max_output((index, input), (output, group), lane..lane + 1, claim)?;
                }
            } else {
                self.max_output((index, input), (output, group), 0..self.rows.lanes, None)?;
            }
        }
        Ok(())
    }

    /// One output of a max, for the lanes of a range.
    fn max_output(
        &mut self,
        (index, input): (usize, Slot),
        (output, group): (usize, &[u32]),
        range: core::ops::Range<usize>,
        claim: Option<[f64; 2]>,
    ) -> Result<(), Rejection> {
        let (view, charge) = (self.view, self.charge());
        // Every index was checked: a missing one would only make NaN.
        let of = move |member: &u32| view.interval(input, to_usize(*member)).unwrap_or((f64::NAN, f64::NAN));
        let plane = MaxPlane::new(group.iter().map(of), claim.map(|c| c[1]), view.factors());
        let mut below = 0;
        match claim {
            // The claimed byte is the member's number.
            Some([member, _]) => below = (member * 255.0 + 0.5) as usize,
            None => {
                let mut largest = f64::NEG_INFINITY;
                for (k, (l, _)) in group.iter().map(of).enumerate() {
                    if l > largest {
                        (below, largest) = (k, l);
                    }
                }
            }
        }
        let below = if below < group.len() { below } else { 0 };
        let size = group.get(below).map(of).map_or(f64::NAN, mass);
        let from = Slot(index + 1);
        let lanes = self.rows.lanes;
        let at = self.rows.place(&view, from).0 + output * lanes;
        let a =
            self.rows.arena.get(at..at + lanes).and_then(|a| a.get(range.clone())).ok_or(Rejection::Shape)?;
        let value = self.rows.value.get_mut(range.clone()).ok_or(Rejection::Shape)?;
        let deduct = self.rows.deduct.get_mut(range.clone()).ok_or(Rejection::Shape)?;
        let errors = [charge * size, charge * (plane.constant.abs() + plane.mass)];
        self.kernel.signed(a, value, deduct, [0.0, plane.constant], errors);
        for (k, member) in group.iter().enumerate() {
            let (lower, upper) = (if k == below { 1.0 } else { 0.0 }, plane.slope(of(member)));
            if lower != 0.0 || upper != 0.0 {
                self.spread((from, output), (input, to_usize(*member)), range.clone(), (lower, upper))?;
            }
        }
        Ok(())
    }

    /// Adds the coefficients of an element, times a slope by their sign, to those of another.
    fn spread(
        &mut self,
        from: (Slot, usize),
        to: (Slot, usize),
        range: core::ops::Range<usize>,
        (lower, upper): (f64, f64),
    ) -> Result<(), Rejection> {
        let lanes = self.rows.lanes;
        self.rows.enliven(&self.view, to.0, to.1)?;
        let first = self.rows.place(&self.view, from.0).0 + from.1 * lanes;
        let second = self.rows.place(&self.view, to.0).0 + to.1 * lanes;
        let (a, out) = two_parts(self.rows.arena, (first, lanes), (second, lanes))?;
        let (Some(a), Some(out)) = (a.get(range.clone()), out.get_mut(range)) else {
            return Err(Rejection::Shape);
        };
        self.kernel.spread(a, out, lower, upper);
        Ok(())
    }

    fn product(
        &mut self,
        index: usize,
        operands: (Slot, Slot),
        (m, k, n): (usize, usize, usize),
    ) -> Result<(), Rejection> {
        let (view, bytes) = (self.view, self.view.layout.claims_at(index));
        self.rows.touch(&view, operands.0)?;
        self.rows.touch(&view, operands.1)?;
        let claimed = self.claimed(bytes);
        for output in 0..view.program.size(Slot(index + 1)) {
            if self.rows.is_zero(&self.view, Slot(index + 1), output)? {
                continue;
            }
            for inner in 0..k {
                let pair = factors_of(output, inner, (m, k, n));
                if claimed {
                    for lane in 0..self.rows.lanes {
                        let claim = self.claim::<2>(lane, bytes + 2 * (output * k + inner));
                        self.one_product((index, output), operands, pair, lane..lane + 1, claim)?;
                    }
                } else {
                    self.one_product((index, output), operands, pair, 0..self.rows.lanes, None)?;
                }
            }
        }
        Ok(())
    }

    /// One product of two numbers, for the lanes of a range.
    fn one_product(
        &mut self,
        (index, output): (usize, usize),
        (left, right): (Slot, Slot),
        (l, r): (usize, usize),
        range: core::ops::Range<usize>,
        claim: Option<[f64; 2]>,
    ) -> Result<(), Rejection> {
        let (view, charge) = (self.view, self.charge());
        let (x, w): (Interval, Interval) = (view.interval(left, l)?, view.interval(right, r)?);
        let (below, above) = product(x, w, claim.unwrap_or([0.5; 2])).map_err(rejection(index))?;
        let error = |p: &super::planes::Plane| {
            charge * (p.constant.abs() + p.left.abs() * mass(x) + p.right.abs() * mass(w))
        };
        let from = Slot(index + 1);
        let lanes = self.rows.lanes;
        let at = self.rows.place(&view, from).0 + output * lanes;
        let a =
            self.rows.arena.get(at..at + lanes).and_then(|a| a.get(range.clone())).ok_or(Rejection::Shape)?;
        let value = self.rows.value.get_mut(range.clone()).ok_or(Rejection::Shape)?;
        let deduct = self.rows.deduct.get_mut(range.clone()).ok_or(Rejection::Shape)?;
        self.kernel.signed(
            a,
            value,
            deduct,
            [below.constant, above.constant],
            [error(&below), error(&above)],
        );
        self.spread((from, output), (left, l), range.clone(), (below.left, above.left))?;
        self.spread((from, output), (right, r), range, (below.right, above.right))
    }

    /// Adds the smallest value of each lane's coefficients on the input, and what underflow can have taken.
    fn concretize(&mut self) -> Result<(), Rejection> {
        let view = self.view;
        if self.rows.is_touched(Slot::INPUT) {
            for element in 0..view.program.inputs() {
                if !self.rows.is_zero(&self.view, Slot::INPUT, element)? {
                    self.take_interval(Slot::INPUT, element)?;
                }
            }
        }
        let underflow = view.underflow();
        self.rows.deduct.iter_mut().for_each(|d| *d += underflow);
        Ok(())
    }
}
