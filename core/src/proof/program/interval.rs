//! One step's intervals and row errors.

use super::super::{Rejection, TINY, up};
use super::kernel::{Kernel, Matrix};
use super::layout::Layout;
use super::lines;
use super::planes::{Interval, larger, mass, product_range, smaller};
use crate::program::{Constants, Map, Operation, Program, Slot, Step, Terms, ZERO, to_usize};
use crate::relax::RelaxError;

/// What a step's intervals are computed from.
pub(super) struct Intervals<'s, K> {
    pub program: &'s Program<'s>,
    pub layout: &'s Layout<'s>,
    pub kernel: &'s mut K,
    /// `[5 × width]`.
    pub scratch: &'s mut [f64],
    /// Bounds of all elements before the step's result.
    pub lower: &'s [f64],
    pub upper: &'s [f64],
    /// Marks of the result's elements: those that are 0 keep what they hold. `None` computes all.
    pub varies: Option<&'s [u32]>,
}

/// A middle of an interval, inside it.
pub(super) fn centre((l, u): Interval) -> f64 {
    let middle = 0.5 * l + 0.5 * u;
    if middle < l {
        l
    } else if middle > u {
        u
    } else {
        middle
    }
}

/// At least the distance from the centre to either end.
pub(super) fn radius((l, u): Interval) -> f64 {
    let c = centre((l, u));
    let reach = larger(u - c, c - l);
    if reach > 0.0 { reach.next_up() } else { reach }
}

/// Why step `step` has no bounds.
pub(super) fn rejection(step: usize) -> impl Fn(RelaxError) -> Rejection {
    move |why| match why {
        RelaxError::Domain => Rejection::Domain { step },
        _ => Rejection::NonFinite,
    }
}

impl<K: Kernel> Intervals<'_, K> {
    /// Bounds of a slot's elements.
    fn operand(&self, slot: Slot) -> Result<(&[f64], &[f64]), Rejection> {
        let from = self.layout.offset(slot);
        let to = from + self.program.size(slot);
        match (self.lower.get(from..to), self.upper.get(from..to)) {
            (Some(l), Some(u)) => Ok((l, u)),
            _ => Err(Rejection::Shape),
        }
    }

    fn element(&self, slot: Slot, element: usize) -> Result<Interval, Rejection> {
        let at = self.layout.offset(slot) + element;
        match (self.lower.get(at), self.upper.get(at)) {
            (Some(l), Some(u)) => Ok((*l, *u)),
            _ => Err(Rejection::Shape),
        }
    }

    /// Whether an element of the result keeps what it holds.
    fn keeps(&self, element: usize) -> bool {
        self.varies.is_some_and(|v| v.get(element) == Some(&0))
    }

    /// `sum = Σ map(of(x))` over the terms, into part `part` of the scratch; absolute weights if `absolute`.
    fn affine_sum(
        &mut self,
        (terms, len): (Terms, usize),
        part: usize,
        absolute: bool,
        of: impl Fn(Interval) -> f64,
    ) -> Result<(), Rejection> {
        let width = self.layout.width();
        let (x, sums) = self.scratch.split_at_mut_checked(width).ok_or(Rejection::Shape)?;
        let sum = sums.get_mut(part * width..).and_then(|s| s.get_mut(..len)).ok_or(Rejection::Shape)?;
        sum.fill(0.0);
        for (k, term) in self.program.terms(terms).iter().enumerate() {
            let (from, size) = (self.layout.offset(term.input), self.program.size(term.input));
            let x = x.get_mut(..size).ok_or(Rejection::Shape)?;
            let lower = self.lower.get(from..from + size).ok_or(Rejection::Shape)?;
            let upper = self.upper.get(from..from + size).ok_or(Rejection::Shape)?;
            let fill = |x: &mut [f64], from: usize| {
                for ((x, l), u) in x.iter_mut().zip(lower.iter().skip(from)).zip(upper.iter().skip(from)) {
                    *x = of((*l, *u));
                }
            };
            let mut forward = |map: &Map<'_>, x: &[f64], sum: &mut [f64]| {
                let matrix = Matrix { term: terms.first + k, map };
                if absolute {
                    self.kernel.forward_absolute(matrix, x, sum);
                } else {
                    self.kernel.forward(matrix, x, sum);
                }
            };
            let (Some(varies), Map::Dense { count, rows, cols, weights }) = (self.varies, term.map) else {
                fill(x, 0);
                forward(&term.map, x, sum);
                continue;
            };
            // Only the vectors of which anything is asked.
            let one = Map::Dense { count: 1, rows, cols, weights };
            for vector in 0..count {
                let (from, to) = (vector * cols..(vector + 1) * cols, vector * rows..(vector + 1) * rows);
                let parts = (x.get_mut(from), sum.get_mut(to.clone()), varies.get(to));
                let (Some(x), Some(sum), Some(varies)) = parts else { return Err(Rejection::Shape) };
                if varies.iter().any(|v| *v != 0) {
                    fill(x, vector * cols);
                    forward(&one, x, sum);
                }
            }
        }
        Ok(())
    }

    /// `q` of a step's result; 0 for one that is not affine.
    pub(super) fn errors(&mut self, step: &Step<'_>, error: &mut [f64]) -> Result<(), Rejection> {
        let Operation::Affine { terms, bias } = step.operation else {
            // Those kept are 0 as well.
            error.fill(0.0);
            return Ok(());
        };
        self.affine_sum((terms, step.len), 2, true, mass)?;
        self.constant_errors(terms, step.len)?;
        let (width, factors) = (self.layout.width(), self.layout.factors);
        let sums = self.scratch.get(3 * width..).ok_or(Rejection::Shape)?;
        let (masses, errors) = sums.split_at_checked(width).ok_or(Rejection::Shape)?;
        for (i, ((q, t), e)) in error.iter_mut().zip(masses).zip(errors).enumerate() {
            if self.keeps(i) {
                continue;
            }
            let (b, off) = bias_at(bias, i);
            let t = up(up((t + TINY) * factors.inflate) + b.abs());
            let e = if *e > 0.0 || off > 0.0 { up(up((e + TINY) * factors.inflate) + off) } else { 0.0 };
            *q = up(up(4.0 * factors.g * t) + 2.0 * e);
        }
        Ok(())
    }

    /// `Σ eᵢⱼmⱼ` over the constants that are not exact, into part 3 of the scratch.
    fn constant_errors(&mut self, terms: Terms, len: usize) -> Result<(), Rejection> {
        let width = self.layout.width();
        let sum = self.scratch.get_mut(4 * width..).and_then(|s| s.get_mut(..len)).ok_or(Rejection::Shape)?;
        sum.fill(0.0);
        for term in self.program.terms(terms) {
            let from = self.layout.offset(term.input);
            let mut add = |output: usize, input: usize, e: Option<&f32>| {
                let (Some(l), Some(u)) = (self.lower.get(from + input), self.upper.get(from + input)) else {
                    return;
                };
                if let (Some(sum), Some(e)) = (sum.get_mut(output), e) {
                    *sum += f64::from(*e) * mass((*l, *u));
                }
            };
            match term.map {
                Map::Scale(Constants { error: Some(errors), .. }) => {
                    errors.iter().enumerate().for_each(|(i, e)| add(i, i, Some(e)));
                }
                Map::Sparse(sparse) => {
                    if let Some(errors) = sparse.values.error {
                        sparse.for_each(|output, input, k| add(output, input, errors.get(k)));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Bounds of the result of step `index` into `lower` and `upper`, with its row errors given.
    pub(super) fn step(
        &mut self,
        (index, step): (usize, &Step<'_>),
        error: &[f64],
        (lower, upper): (&mut [f64], &mut [f64]),
    ) -> Result<(), Rejection> {
        match step.operation {
            Operation::Affine { terms, bias } => self.affine((terms, bias), error, lower, upper),
            Operation::Elementwise { input, function } => {
                let (from, to) = self.operand(input)?;
                for (i, (((l, u), lower), upper)) in from.iter().zip(to).zip(lower).zip(upper).enumerate() {
                    if !self.keeps(i) {
                        (*lower, *upper) = lines::range(function, (*l, *u)).map_err(rejection(index))?;
                    }
                }
                Ok(())
            }
            Operation::Max { input, groups } => {
                for ((group, lower), upper) in groups.iter().zip(lower).zip(upper) {
                    (*lower, *upper) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
                    for member in group {
                        let (l, u) = self.element(input, to_usize(*member))?;
                        (*lower, *upper) = (larger(*lower, l), larger(*upper, u));
                    }
                }
                Ok(())
            }
            Operation::Product { left, right, m, k, n, .. } => {
                for (output, (lower, upper)) in lower.iter_mut().zip(upper).enumerate() {
                    if !self.keeps(output) {
                        (*lower, *upper) = self.dot((left, right), (m, k, n), output)?;
                    }
                }
                Ok(())
            }
            Operation::Index { terms, indices } => {
                for ((index, lower), upper) in indices.iter().zip(lower).zip(upper) {
                    (*lower, *upper) = match source(self.program, terms, *index) {
                        Some((slot, element)) => self.element(slot, element)?,
                        None => (0.0, 0.0),
                    };
                }
                Ok(())
            }
        }
    }

    fn affine(
        &mut self,
        (terms, bias): (Terms, Option<Constants<'_>>),
        error: &[f64],
        lower: &mut [f64],
        upper: &mut [f64],
    ) -> Result<(), Rejection> {
        self.affine_sum((terms, lower.len()), 0, false, centre)?;
        self.affine_sum((terms, lower.len()), 1, true, radius)?;
        let (width, factors) = (self.layout.width(), self.layout.factors);
        let centres = self.scratch.get(width..).ok_or(Rejection::Shape)?;
        let (centres, radii) = centres.split_at_checked(width).ok_or(Rejection::Shape)?;
        let sums = centres.iter().zip(radii).zip(error);
        for (i, (((c, r), q), (lower, upper))) in sums.zip(lower.iter_mut().zip(upper)).enumerate() {
            if self.keeps(i) {
                continue;
            }
            // The centre is off by less than `2g·t + ε ≤ q`, its bias included.
            let y = c + bias_at(bias, i).0;
            let reach = up(up((r + TINY) * factors.inflate) + q);
            (*lower, *upper) = ((y - reach).next_down(), (y + reach).next_up());
        }
        Ok(())
    }

    /// Bounds of one sum of products.
    fn dot(
        &self,
        (left, right): (Slot, Slot),
        (m, k, n): (usize, usize, usize),
        output: usize,
    ) -> Result<Interval, Rejection> {
        let (mut sum, mut size) = ((0.0, 0.0), 0.0);
        for inner in 0..k {
            let (l, r) = factors_of(output, inner, (m, k, n));
            let range = product_range(self.element(left, l)?, self.element(right, r)?);
            sum = (sum.0 + range.0, sum.1 + range.1);
            size += mass(range);
        }
        let slack = up(2.0 * self.layout.factors.g * size);
        Ok(((sum.0 - slack).next_down(), (sum.1 + slack).next_up()))
    }
}

/// Searches the lines of step `index` where they are kept and its operand's bounds differ from those that `lines` hold for; with a table where many
/// rows will claim slopes.
pub(super) fn keep_lines(
    (index, step): (usize, &Step<'_>),
    layout: &Layout<'_>,
    (lower, upper): (&[f64], &[f64]),
    old: Option<(&[f64], &[f64])>,
    (lines, table): (&mut [f64], bool),
) -> Result<(), Rejection> {
    let Operation::Elementwise { input, function } = step.operation else { return Ok(()) };
    if !lines::kept(function) {
        return Ok(());
    }
    let (first, at) = (layout.offset(input), layout.lines_at(index));
    let lines = lines.get_mut(at..).ok_or(Rejection::Shape)?.chunks_exact_mut(lines::KEPT);
    for (element, kept) in lines.take(step.len).enumerate() {
        let at = first + element;
        let (Some(l), Some(u)) = (lower.get(at), upper.get(at)) else { return Err(Rejection::Shape) };
        if old.is_some_and(|(lower, upper)| lower.get(at) == Some(l) && upper.get(at) == Some(u)) {
            continue;
        }
        lines::keep(function, (*l, *u), table, kept).map_err(rejection(index))?;
    }
    Ok(())
}

/// Constant `i` of a bias, and its error.
pub(super) fn bias_at(bias: Option<Constants<'_>>, i: usize) -> (f64, f64) {
    let Some(bias) = bias else { return (0.0, 0.0) };
    let off = bias.errors().get(i).copied().map_or(0.0, f64::from);
    // A bias that is too short, which `Program::new` refuses, must not pass for 0.
    (bias.values.get(i).copied().map_or(f64::NAN, f64::from), off)
}

/// The elements of the left and right operand in product `inner` of `output`, for `[count, m, k]·[count, k, n]`.
pub(super) fn factors_of(output: usize, inner: usize, (m, k, n): (usize, usize, usize)) -> (usize, usize) {
    let (row, column) = (output / n.max(1), output % n.max(1));
    let batch = row / m.max(1);
    (row * k + inner, (batch * k + inner) * n + column)
}

/// The slot and element that an index of a concatenation points to; `None` for the constant 0.
pub(super) fn source(program: &Program<'_>, terms: Terms, index: u32) -> Option<(Slot, usize)> {
    let mut rest = to_usize(index);
    if index == ZERO {
        return None;
    }
    for term in program.terms(terms) {
        let size = program.size(term.input);
        if rest < size {
            return Some((term.input, rest));
        }
        rest -= size;
    }
    None
}

/// Cuts `[lower, upper]` to what `also` allows.
pub(super) fn intersect(lower: &mut f64, upper: &mut f64, also: Interval) {
    (*lower, *upper) = (larger(*lower, also.0), smaller(*upper, also.1));
}
