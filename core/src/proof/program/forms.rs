//! Affine forms of every value in a few noise symbols: forward bounds for boxes with few free inputs.
//!
//! The form of a value `y` is a centre `c`, coefficients `gᵢ` and a radius `r`: for every input of the box there are `εᵢ ∈ [−1, 1]`, the same for all
//! values, with `|y − c − Σ gᵢεᵢ| ≤ r` (a zonotope whose small generators are merged into `r`; Stolfi & de Figueiredo 1997, Singh et al. 2018).
//! Each free input has a symbol, `x = c + gε`. An affine step maps `c` and `g` by `M` and `r` by `|M|`. Any other step is enclosed by a line or a plane
//! of any slope, whose residual's half width becomes a symbol of its own, if it is one of the largest of its step and a column is left, else a part of `r`.
//! Where a value's interval is narrower than the radius of its form, the form is that interval. The cost is a product with as many columns as there
//! are symbols, whatever the number of values: a lemma by rows costs a row for every value.
//!
//! A form without coefficients is *short*: centre and radius, and what is computed from short forms alone is the interval that is known anyway. What does
//! not vary over the box (`varies`) is short; a slot of which nothing varies has no forms until a step reads it that has some.
//!
//! # Rounding
//! The meaning is that of the stored numbers, taken exactly; what a step rounds goes into `r`. With `s ≥ |c| + Σ|gᵢ|`:
//! * a sum of `n` of these numbers is off by less than `2⁻³⁰` of it, `n < 2²⁰`: [`WIDE`];
//! * affine: each of `c` and `gᵢ` is off by at most `g Σ|M||·|` (`g ≥ γ_K` as in [`super`]), the centre also by `g|b|`; so `r` is at least
//!   `Σ|Mᵢⱼ|(rⱼ + 2g sⱼ) + 2g|bᵢ|`, and constants that are off by up to `e` are in `qᵢ ≥ 2εᵢ`;
//! * a line of slope `λ` with its residual in `m ± d`: `λc + m` and `λgᵢ` are off by at most `4u(|λ|s + |m|)`; a plane has two such terms, a sum of
//!   `k` planes at most `2g` of the sum of all of these;
//! * underflow: [`TINY`] as in [`super`], which a form's products are too few to exceed.

use super::super::{Rejection, TINY, UNIT, up};
use super::checker::Bounds;
use super::interval::{bias_at, centre, factors_of, intersect, radius, rejection, source};
use super::kernel::{Kernel, Matrix};
use super::layout::Layout;
use super::lines;
use super::planes::{Interval, larger, mass, smaller};
use super::rows::{Rows, two_parts};
use super::varies;
use crate::elementary::Interval as Enclosure;
use crate::program::{Constants, Function, Map, Operation, Program, Slot, Step, Terms, to_usize};
use crate::relax::{product_residual, residual};

/// Most symbols: sums of their coefficients stay within [`WIDE`].
pub(super) const COLUMNS_MAX: usize = 4096;

/// Numbers of a form before its coefficients: centre and radius.
const HEAD: usize = 2;

/// The width of a slot that has no forms yet.
const NO_FORMS: u32 = 1;

/// At least 1 + the relative error of a sum of fewer than 2²⁰ terms of one sign, with room for what is done to it.
const WIDE: f64 = 1.0 + 1.0 / (1u64 << 30) as f64;

/// Numbers that a form takes in the arena, for so many symbols and a kernel's multiple of lanes.
pub(super) fn stride(columns: usize, multiple: usize) -> Option<usize> {
    columns.checked_add(HEAD)?.checked_next_multiple_of(multiple.max(1))
}

/// The forms of the slots that later steps read, in the arena of the rows.
pub(super) struct Forms<'f, 'm, K> {
    pub program: &'f Program<'f>,
    pub layout: &'f Layout<'f>,
    pub kernel: &'f mut K,
    /// Its arena holds the forms; in `touched`, how many numbers of each slot's forms are in use at most, in `live`, how many of each form.
    pub rows: &'f mut Rows<'m>,
    /// `[5 × width]`.
    pub scratch: &'f mut [f64],
    /// Numbers from one form to the next.
    pub stride: usize,
    /// Symbols in use.
    pub used: usize,
}

impl<K: Kernel> Forms<'_, '_, K> {
    /// Where the forms of a slot begin.
    fn place(&self, slot: Slot) -> usize {
        self.layout.arena(slot) * self.stride
    }

    /// Numbers in use of each form of a slot.
    fn width(&self, slot: Slot) -> Result<usize, Rejection> {
        let width = self.rows.touched.get(slot.0).map(|w| to_usize(*w)).ok_or(Rejection::Shape)?;
        if width < HEAD || width > self.stride { Err(Rejection::Shape) } else { Ok(width) }
    }

    fn set_width(&mut self, slot: Slot, width: usize) -> Result<(), Rejection> {
        *self.rows.touched.get_mut(slot.0).ok_or(Rejection::Shape)? =
            u32::try_from(width).map_err(|_| Rejection::Shape)?;
        Ok(())
    }

    /// Numbers in use once all symbols are, in the kernel's multiple; more than a short form has.
    fn full_width(&self) -> usize {
        stride(if self.used > 0 { self.used } else { 1 }, self.kernel.lane_multiple())
            .map_or(self.stride, |w| if w < self.stride { w } else { self.stride })
    }

    /// Numbers in use of an element's form.
    fn length(&self, slot: Slot, element: usize) -> Result<usize, Rejection> {
        let length = self.rows.live.get(self.layout.arena(slot) + element).ok_or(Rejection::Shape)?;
        Ok(to_usize(*length))
    }

    fn set_length(&mut self, slot: Slot, element: usize, length: usize) -> Result<(), Rejection> {
        *self.rows.live.get_mut(self.layout.arena(slot) + element).ok_or(Rejection::Shape)? =
            u32::try_from(length).map_err(|_| Rejection::Shape)?;
        Ok(())
    }

    /// Whether an element's form has no coefficients.
    fn is_short(&self, slot: Slot, element: usize) -> Result<bool, Rejection> {
        Ok(self.length(slot, element)? <= HEAD)
    }

    /// The form of an element.
    fn form(&self, slot: Slot, element: usize) -> Result<&[f64], Rejection> {
        let at = self.place(slot) + element * self.stride;
        self.rows.arena.get(at..at + self.length(slot, element)?).ok_or(Rejection::Shape)
    }

    /// The form of an element, to be written.
    fn form_mut(&mut self, slot: Slot, element: usize) -> Result<&mut [f64], Rejection> {
        let at = self.place(slot) + element * self.stride;
        let length = self.length(slot, element)?;
        self.rows.arena.get_mut(at..at + length).ok_or(Rejection::Shape)
    }

    /// Begins the forms of a slot, all 0 and short, for `width` numbers each.
    fn begin(&mut self, slot: Slot, width: usize) -> Result<(), Rejection> {
        self.set_width(slot, width)?;
        for element in 0..self.program.size(slot) {
            self.set_length(slot, element, HEAD)?;
            self.form_mut(slot, element)?.fill(0.0);
        }
        Ok(())
    }

    /// Writes zeros behind a form up to `width` numbers.
    fn pad(&mut self, slot: Slot, element: usize, width: usize) -> Result<(), Rejection> {
        let (at, length) = (self.place(slot) + element * self.stride, self.length(slot, element)?);
        if length < width {
            self.rows.arena.get_mut(at + length..at + width).ok_or(Rejection::Shape)?.fill(0.0);
        }
        Ok(())
    }

    /// Gives a form coefficients of 0 up to `width` numbers, if it has fewer.
    fn widen(&mut self, slot: Slot, element: usize, width: usize) -> Result<(), Rejection> {
        self.pad(slot, element, width)?;
        if self.length(slot, element)? < width { self.set_length(slot, element, width) } else { Ok(()) }
    }

    /// The forms of the input: a symbol for each coordinate that is free, as long as there are columns.
    pub fn input(&mut self, bounds: &Bounds<'_>) -> Result<(), Rejection> {
        self.rows.touched.fill(0);
        let inputs = self.program.inputs();
        let most = self.stride - HEAD;
        let ends = bounds.lower.get(..inputs).zip(bounds.upper.get(..inputs)).ok_or(Rejection::Shape)?;
        let widest = varies::widest(ends);
        let is_free = |r: f64| r > 0.0 && varies::is_free(r, widest);
        let mut free = 0;
        for j in 0..inputs {
            free += usize::from(is_free(radius(interval(bounds, j)?)));
        }
        self.used = if free < most { free } else { most };
        let width = self.full_width();
        self.begin(Slot::INPUT, width)?;
        let mut next = 0;
        for j in 0..inputs {
            let interval = interval(bounds, j)?;
            let (c, r) = (centre(interval), radius(interval));
            let place = if is_free(r) && next < most { HEAD + next } else { 1 };
            if place > 1 {
                next += 1;
                self.widen(Slot::INPUT, j, width)?;
            }
            let form = self.form_mut(Slot::INPUT, j)?;
            if let Some(first) = form.first_mut() {
                *first = c;
            }
            *form.get_mut(place).ok_or(Rejection::Shape)? = r;
        }
        Ok(())
    }

    /// Forms of the result of step `index`, whose intervals (which `bounds` hold) they tighten. `left` steps, this one included, may still ask
    /// for symbols.
    pub fn step(
        &mut self,
        (index, step): (usize, &Step<'_>),
        left: usize,
        bounds: &mut Bounds<'_>,
    ) -> Result<(), Rejection> {
        let slot = Slot(index + 1);
        if !self.any_varies(slot)? {
            *self.rows.touched.get_mut(slot.0).ok_or(Rejection::Shape)? = NO_FORMS;
            return Ok(());
        }
        let mut provided = Ok(());
        self.program.for_each_input(step, |operand| {
            if provided.is_ok() {
                provided = self.provide(operand, bounds);
            }
        });
        provided?;
        match step.operation {
            Operation::Affine { terms, bias } => self.affine(slot, terms, bias, bounds)?,
            Operation::Elementwise { input, function } => {
                self.elementwise((index, step.len), input, function, left, bounds)?;
            }
            Operation::Max { input, groups } => {
                self.begin(slot, self.width(input)?)?;
                for (output, group) in groups.iter().enumerate() {
                    self.max((slot, output), input, group, bounds)?;
                }
            }
            Operation::Product { left, right, m, k, n, .. } => {
                self.product((index, step.len), (left, right), (m, k, n), bounds)?;
            }
            Operation::Index { terms, indices } => {
                let mut width = HEAD;
                for term in self.program.terms(terms) {
                    width = width.max(self.width(term.input)?);
                }
                self.begin(slot, width)?;
                for (element, index) in indices.iter().enumerate() {
                    if let Some((from, at)) = source(self.program, terms, *index) {
                        self.add((from, at), (slot, element), 1.0)?;
                    }
                }
            }
        }
        self.tighten(slot, bounds)
    }

    /// Adds a form, times a factor, to the centre and coefficients of another; the radius is the caller's.
    fn add(&mut self, from: (Slot, usize), to: (Slot, usize), factor: f64) -> Result<(), Rejection> {
        let length = self.length(from.0, from.1)?;
        self.widen(to.0, to.1, length)?;
        let first = (self.place(from.0) + from.1 * self.stride, length);
        let second = (self.place(to.0) + to.1 * self.stride, length);
        let (x, y) = two_parts(self.rows.arena, first, second)?;
        let radius = y.get(1).copied().unwrap_or(f64::NAN);
        y.iter_mut().zip(&*x).for_each(|(y, x)| *y += factor * x);
        if let (Some(y), Some(x)) = (y.get_mut(1), x.get(1)) {
            *y = up(radius + up(factor.abs() * x));
        }
        Ok(())
    }

    /// `|c| + Σ|g|`, at least.
    fn size(&self, slot: Slot, element: usize) -> Result<f64, Rejection> {
        let form = self.form(slot, element)?;
        let sum = form.iter().fold(0.0, |s, v| s + v.abs());
        Ok(sum * WIDE)
    }

    /// Intersects the intervals of a slot with what its forms say; a form that is wider than its interval becomes the interval.
    fn tighten(&mut self, slot: Slot, bounds: &mut Bounds<'_>) -> Result<(), Rejection> {
        let first = self.layout.offset(slot);
        for element in 0..self.program.size(slot) {
            if self.is_short(slot, element)? {
                continue;
            }
            let form = self.form(slot, element)?;
            let (Some(c), Some(r), Some(g)) = (form.first(), form.get(1), form.get(HEAD..)) else {
                return Err(Rejection::Shape);
            };
            let reach = up((r + g.iter().fold(0.0, |s, g| s + g.abs())) * WIDE);
            let (range, r) = (((c - reach).next_down(), (c + reach).next_up()), *r);
            let (Some(l), Some(u)) =
                (bounds.lower.get_mut(first + element), bounds.upper.get_mut(first + element))
            else {
                return Err(Rejection::Shape);
            };
            if range.0.is_finite() && range.1.is_finite() {
                intersect(l, u, range);
            }
            let known = (*l, *u);
            if known.0 <= known.1 && (r > radius(known) || r.is_nan()) {
                self.set_interval((slot, element), known)?;
            }
        }
        Ok(())
    }

    /// The short form that is an interval.
    fn set_interval(&mut self, (slot, element): (Slot, usize), known: Interval) -> Result<(), Rejection> {
        self.set_length(slot, element, HEAD)?;
        let form = self.form_mut(slot, element)?;
        for (to, v) in form.iter_mut().zip([centre(known), radius(known)]) {
            *to = v;
        }
        Ok(())
    }

    /// The short form that is what `bounds` know.
    fn set_known(&mut self, slot: Slot, element: usize, bounds: &Bounds<'_>) -> Result<(), Rejection> {
        let known = interval(bounds, self.layout.offset(slot) + element)?;
        self.set_interval((slot, element), known)
    }

    /// Whether an element varies over the box.
    fn varies(&self, slot: Slot, element: usize) -> Result<bool, Rejection> {
        let mark = self.rows.varies.get(self.layout.offset(slot) + element).ok_or(Rejection::Shape)?;
        Ok(*mark != 0)
    }

    /// Whether any element of a slot does.
    fn any_varies(&self, slot: Slot) -> Result<bool, Rejection> {
        let (from, to) = (self.layout.offset(slot), self.layout.offset(Slot(slot.0 + 1)));
        Ok(self.rows.varies.get(from..to).ok_or(Rejection::Shape)?.iter().any(|v| *v != 0))
    }

    /// Gives a slot of which nothing varies its forms, which are intervals, if it has none yet.
    fn provide(&mut self, slot: Slot, bounds: &Bounds<'_>) -> Result<(), Rejection> {
        if self.rows.touched.get(slot.0) != Some(&NO_FORMS) {
            return Ok(());
        }
        self.set_width(slot, HEAD)?;
        for element in 0..self.program.size(slot) {
            self.set_known(slot, element, bounds)?;
        }
        Ok(())
    }

    /// Adds a map of the forms of `inputs` elements from `from.1` on to those of `outputs` elements from `to.1` on, and what it makes of their radii and of
    /// rounding to the scratch.
    fn map(
        &mut self,
        matrix: Matrix<'_>,
        (from, inputs): ((Slot, usize), usize),
        (to, outputs): ((Slot, usize), usize),
    ) -> Result<(), Rejection> {
        let (size, used, g) = (self.layout.width(), self.width(from.0)?, self.layout.factors.g);
        for element in 0..inputs {
            let at = from.1 + element;
            self.pad(from.0, at, used)?;
            let r = self.form(from.0, at)?.get(1).copied().ok_or(Rejection::Shape)?;
            let v = up(r + up(2.0 * g * self.size(from.0, at)?));
            *self.scratch.get_mut(element).ok_or(Rejection::Shape)? = v;
        }
        let (x, sums) = self.scratch.split_at_mut_checked(size).ok_or(Rejection::Shape)?;
        let (x, sums) = (x.get(..inputs), sums.get_mut(to.1..to.1 + outputs));
        let (Some(x), Some(sums)) = (x, sums) else { return Err(Rejection::Shape) };
        self.kernel.forward_absolute(matrix, x, sums);
        let from = (self.place(from.0) + from.1 * self.stride, inputs * self.stride);
        let to = (self.place(to.0) + to.1 * self.stride, outputs * self.stride);
        let (x, y) = two_parts(self.rows.arena, from, to)?;
        self.kernel.forward_lanes(matrix, (x, used), (y, self.stride));
        Ok(())
    }

    fn affine(
        &mut self,
        slot: Slot,
        terms: Terms,
        bias: Option<Constants<'_>>,
        bounds: &Bounds<'_>,
    ) -> Result<(), Rejection> {
        let (len, size, factors) = (self.program.size(slot), self.layout.width(), self.layout.factors);
        let mut width = HEAD;
        for term in self.program.terms(terms) {
            width = width.max(self.width(term.input)?);
        }
        self.begin(slot, width)?;
        for element in 0..len {
            if self.varies(slot, element)? {
                self.widen(slot, element, width)?;
            }
        }
        let table = self.program.terms(terms);
        self.scratch.get_mut(size..size + len).ok_or(Rejection::Shape)?.fill(0.0);
        for (k, term) in table.iter().enumerate() {
            let at = terms.first + k;
            let Map::Dense { count, rows, cols, weights } = term.map else {
                let all = self.program.size(term.input);
                self.map(Matrix { term: at, map: &term.map }, ((term.input, 0), all), ((slot, 0), len))?;
                continue;
            };
            let one = Map::Dense { count: 1, rows, cols, weights };
            for vector in 0..count {
                let (from, to) = (vector * cols, vector * rows);
                let mut varies = false;
                for element in to..to + rows {
                    varies = varies || self.varies(slot, element)?;
                }
                if varies {
                    self.map(Matrix { term: at, map: &one }, ((term.input, from), cols), ((slot, to), rows))?;
                }
            }
        }
        let first = self.layout.offset(slot);
        for element in 0..len {
            if !self.varies(slot, element)? {
                self.set_known(slot, element, bounds)?;
                continue;
            }
            let sum = *self.scratch.get(size + element).ok_or(Rejection::Shape)?;
            let error = *bounds.error.get(first + element).ok_or(Rejection::Shape)?;
            let b = bias_at(bias, element).0;
            let form = self.form_mut(slot, element)?;
            let (Some(c), Some(r)) = two(form) else { return Err(Rejection::Shape) };
            *c += b;
            *r = up(up(up((sum + TINY) * factors.inflate) + 2.0 * factors.g * b.abs()) + error);
        }
        Ok(())
    }

    fn elementwise(
        &mut self,
        (index, len): (usize, usize),
        input: Slot,
        function: Function,
        left: usize,
        bounds: &Bounds<'_>,
    ) -> Result<(), Rejection> {
        let slot = Slot(index + 1);
        let first = self.layout.offset(input);
        let old = self.width(input)?;
        let in_place = self.place(input) == self.place(slot);
        if !in_place {
            self.begin(slot, old)?;
        }
        // The half width of each element's residual, in the scratch.
        let mut largest = 0.0;
        for element in 0..len {
            if self.is_short(input, element)? {
                self.set_known(slot, element, bounds)?;
                *self.scratch.get_mut(element).ok_or(Rejection::Shape)? = 0.0;
                continue;
            }
            let known = interval(bounds, first + element)?;
            let (slope, about, half) = enclose(function, known).map_err(rejection(index))?;
            let (size, length) = (self.size(input, element)?, self.length(input, element)?);
            if in_place {
                let form = self.form_mut(input, element)?;
                form.iter_mut().for_each(|v| *v *= slope);
            } else {
                self.set_length(slot, element, length)?;
                let first = (self.place(input) + element * self.stride, length);
                let second = (self.place(slot) + element * self.stride, length);
                let (x, y) = two_parts(self.rows.arena, first, second)?;
                y.iter_mut().zip(&*x).for_each(|(y, x)| *y = slope * x);
            }
            let form = self.form_mut(slot, element)?;
            let (Some(c), Some(r)) = two(form) else { return Err(Rejection::Shape) };
            *c += about;
            if slope != 1.0 || about != 0.0 {
                let slack = if slope == 0.0 && size.is_finite() {
                    0.0
                } else {
                    4.0 * UNIT * (slope.abs() * size + about.abs()) + TINY
                };
                // The product with a negative slope has turned the radius.
                *r = up(up(r.abs()) + slack);
            }
            *self.scratch.get_mut(element).ok_or(Rejection::Shape)? = half;
            largest = larger(largest, half);
        }
        self.set_width(slot, old)?;
        self.symbols((slot, len), left, largest)
    }

    /// Gives the largest of the half widths in the scratch a symbol each, the others to the radii.
    fn symbols(&mut self, (slot, len): (Slot, usize), left: usize, largest: f64) -> Result<(), Rejection> {
        let free =
            self.stride - HEAD - if self.used < self.stride - HEAD { self.used } else { self.stride - HEAD };
        let quota = larger(free as f64 / left.max(1) as f64, free as f64 * 0.4) as usize;
        let above = |scratch: &[f64], least: f64| scratch.iter().take(len).filter(|h| **h > least).count();
        let (mut low, mut high) = (0.0, largest);
        if above(self.scratch, 0.0) <= quota {
            high = 0.0;
        }
        for _ in 0..if high > 0.0 && quota > 0 { 40 } else { 0 } {
            let middle = 0.5 * low + 0.5 * high;
            if above(self.scratch, middle) <= quota { high = middle } else { low = middle }
        }
        let (mut next, most) = (
            self.used,
            if self.used + quota < self.stride - HEAD { self.used + quota } else { self.stride - HEAD },
        );
        self.used += above(self.scratch, high);
        self.used = if self.used < most { self.used } else { most };
        let (old, new) = (self.width(slot)?, self.full_width());
        let new = if new > old { new } else { old };
        self.set_width(slot, new)?;
        for element in 0..len {
            let half = *self.scratch.get(element).ok_or(Rejection::Shape)?;
            let chosen = half > high && next < self.used;
            if chosen {
                self.widen(slot, element, new)?;
            }
            let form = self.form_mut(slot, element)?;
            if chosen {
                *form.get_mut(HEAD + next).ok_or(Rejection::Shape)? = half;
                next += 1;
            } else if half > 0.0 || half.is_nan() {
                let r = form.get_mut(1).ok_or(Rejection::Shape)?;
                *r = up(*r + half);
            }
        }
        Ok(())
    }

    /// `max xₖ` is the member with the greatest lower bound, and up to what others may exceed it by.
    fn max(
        &mut self,
        (slot, output): (Slot, usize),
        input: Slot,
        group: &[u32],
        bounds: &Bounds<'_>,
    ) -> Result<(), Rejection> {
        let mut short = true;
        for member in group {
            short = short && self.is_short(input, to_usize(*member))?;
        }
        if short {
            return self.set_known(slot, output, bounds);
        }
        let first = self.layout.offset(input);
        let (mut best, mut greatest) = (0, f64::NEG_INFINITY);
        for member in group {
            let (l, _) = interval(bounds, first + to_usize(*member))?;
            if l > greatest {
                (best, greatest) = (to_usize(*member), l);
            }
        }
        let mut excess = 0.0;
        for member in group.iter().filter(|m| to_usize(**m) != best) {
            let (_, u) = interval(bounds, first + to_usize(*member))?;
            excess = larger(excess, (u - greatest).next_up());
        }
        self.add((input, best), (slot, output), 1.0)?;
        if excess > 0.0 || excess.is_nan() {
            let size = self.size(slot, output)?;
            let half = 0.5 * excess;
            let form = self.form_mut(slot, output)?;
            let (Some(c), Some(r)) = two(form) else { return Err(Rejection::Shape) };
            *c += half;
            *r = up(up(*r + half) + 4.0 * UNIT * (size + half));
        }
        Ok(())
    }

    fn product(
        &mut self,
        (index, len): (usize, usize),
        (left, right): (Slot, Slot),
        (m, k, n): (usize, usize, usize),
        bounds: &Bounds<'_>,
    ) -> Result<(), Rejection> {
        let slot = Slot(index + 1);
        let width = self.width(left)?.max(self.width(right)?);
        self.begin(slot, width)?;
        let offsets = (self.layout.offset(left), self.layout.offset(right));
        for output in 0..len {
            let mut short = true;
            for inner in 0..k {
                let (x, w) = factors_of(output, inner, (m, k, n));
                short = short && self.is_short(left, x)? && self.is_short(right, w)?;
            }
            if short {
                self.set_known(slot, output, bounds)?;
                continue;
            }
            // Sums of the residuals' middles and half widths, and of the sizes of all terms.
            let (mut about, mut half, mut sizes) = (0.0, 0.0, 0.0);
            for inner in 0..k {
                let (x, w) = factors_of(output, inner, (m, k, n));
                let (on_x, on_w) = (interval(bounds, offsets.0 + x)?, interval(bounds, offsets.1 + w)?);
                let (p, q) = (centre(on_w), centre(on_x));
                let as_box = |i: Interval| Enclosure { lower: i.0, upper: i.1 };
                let rest = product_residual((p, q), as_box(on_x), as_box(on_w)).map_err(rejection(index))?;
                self.add((left, x), (slot, output), p)?;
                self.add((right, w), (slot, output), q)?;
                let rest = (rest.lower, rest.upper);
                about += centre(rest);
                half += radius(rest);
                sizes += p.abs() * self.size(left, x)? + q.abs() * self.size(right, w)? + mass(rest);
            }
            let slack = up(2.0 * self.layout.factors.g * (sizes + half)) + TINY;
            let form = self.form_mut(slot, output)?;
            let (Some(c), Some(r)) = two(form) else { return Err(Rejection::Shape) };
            *c += about;
            *r = up(up(*r * WIDE) + up(half * WIDE + slack));
        }
        Ok(())
    }
}

/// Centre and radius of a form.
fn two(form: &mut [f64]) -> (Option<&mut f64>, Option<&mut f64>) {
    let mut numbers = form.iter_mut();
    (numbers.next(), numbers.next())
}

/// The bounds of an element among all.
fn interval(bounds: &Bounds<'_>, at: usize) -> Result<Interval, Rejection> {
    match (bounds.lower.get(at), bounds.upper.get(at)) {
        (Some(l), Some(u)) => Ok((*l, *u)),
        _ => Err(Rejection::Shape),
    }
}

/// A slope `λ`, and the middle and half width of an interval that holds `f(z) − λz` for all `z` of an interval.
fn enclose(function: Function, (l, u): Interval) -> Result<(f64, f64, f64), crate::relax::RelaxError> {
    if let Some(line) = lines::straight(function, (l, u)) {
        return Ok((line.lower_slope, 0.0, 0.0));
    }
    // The chord is best where the function bends one way; any slope is sound.
    let (a, b) = (lines::range(function, (l, l))?, lines::range(function, (u, u))?);
    let chord = (0.5 * (b.0 + b.1) - 0.5 * (a.0 + a.1)) / (u - l);
    let slope = if chord.is_finite() { chord } else { 0.0 };
    let rest = residual(function, slope, l, u)?;
    let rest = (smaller(rest.lower, rest.upper), larger(rest.lower, rest.upper));
    Ok((slope, centre(rest), radius(rest)))
}
