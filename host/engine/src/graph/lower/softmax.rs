//! Softmax, in the form whose bounds are tight: `y_i = 1 / (1 + Σ_{j≠i} exp(x_j − x_i))`.
//!
//! The differences are one exact sparse map, so a shift of all `x` cancels before anything is relaxed, every
//! `y_i` is bounded by 0 and 1 because the sum is at least 1, and there is no product of computed values, which
//! `exp(x_i) · (1 / Σ exp(x_j))` has. Wei, Wu, Wu, Chen, Barrett and Farchi 2023 (arXiv:2303.01713) compare the forms
//! and find this one ("exponential-reciprocal") tighter than bounding the quotient. It takes `n (n − 1)`
//! exponentials for `n` elements: 17 tokens and 3 heads of a small vision transformer make 13872. Two
//! elements need none: `y_0 = sigmoid(x_0 − x_1)`. In floating point it cannot overflow to a wrong value: an
//! exponential that overflows gives `1 / ∞ = 0`, which is the limit.
//!
//! Above [`DIFFERENCES_MAX`] the form is `exp(x_i − m) · (1 / Σ exp(x_j − m))` with `m` the maximum.

use crate::program::{Function, Groups, Map, Slot, Term};

use super::super::error::Fault;
use super::Lowering;
use super::enclosure::Enclosure;
use super::steps::{Rows, narrow};

/// Most differences that one node may take: four vectors of 1000 classes.
const DIFFERENCES_MAX: usize = 1 << 22;

const MINUS_ONE: Enclosure = Enclosure::exact(-1.0);

/// The operand seen as `[outer, size, inner]`, softmax along the middle.
#[derive(Clone, Copy)]
struct Layout {
    outer: usize,
    size: usize,
    inner: usize,
}

impl Layout {
    fn len(self) -> usize {
        self.outer * self.size * self.inner
    }
    /// The elements that element `i` is compared with, itself included.
    fn peers(self, i: usize) -> impl Iterator<Item = usize> {
        let first = i / (self.size * self.inner) * self.size * self.inner + i % self.inner;
        (0..self.size).map(move |j| first + j * self.inner)
    }
}

impl Lowering<'_, '_> {
    /// `exp(x) / Σ exp(x)`, or its logarithm.
    pub(super) fn softmax(&mut self, [outer, size, inner]: [usize; 3], log: bool) -> Result<Slot, Fault> {
        let layout = Layout { outer, size, inner };
        let x = self.computed(0)?;
        if size == 1 {
            let value = Enclosure::exact(if log { 0.0 } else { 1.0 });
            let values = self.repeated(x, value)?;
            return self.constant_slot(values);
        }
        if layout.len().saturating_mul(size) > DIFFERENCES_MAX {
            return self.shifted_softmax(x, layout, log);
        }
        let differences = self.differences(x, layout)?;
        if size == 2 {
            // log(1 / (1 + exp(d))) = −softplus(d), and 1 / (1 + exp(d)) = sigmoid(−d).
            if log {
                let softplus = self.apply(Function::Softplus, differences)?;
                return self.scaled(softplus, MINUS_ONE);
            }
            let minus = self.scaled(differences, MINUS_ONE)?;
            return self.apply(Function::Sigmoid, minus);
        }
        let exponentials = self.apply(Function::Exp, differences)?;
        let sum = self.one_plus_runs(exponentials, size - 1)?;
        if log {
            let log = self.apply(Function::Log, sum)?;
            return self.scaled(log, MINUS_ONE);
        }
        self.apply(Function::Reciprocal, sum)
    }

    /// `x_j − x_i` for every `i` and every other `j` of its run.
    fn differences(&mut self, x: Slot, layout: Layout) -> Result<Slot, Fault> {
        self.reserve(3 * layout.len() * (layout.size - 1))?;
        let mut rows = Rows::new(layout.len());
        for i in 0..layout.len() {
            for j in layout.peers(i).filter(|j| *j != i) {
                rows.push(j, Enclosure::ONE);
                rows.push(i, MINUS_ONE);
                rows.end();
            }
        }
        let map = rows.map(self)?;
        self.affine(x, map, None)
    }

    /// 1 plus the sum of each run of `size` elements.
    fn one_plus_runs(&mut self, x: Slot, size: usize) -> Result<Slot, Fault> {
        let len = self.program.size(x);
        self.reserve(len)?;
        let mut rows = Rows::new(len);
        for i in 0..len {
            rows.push(i, Enclosure::ONE);
            if (i + 1) % size == 0 {
                rows.end();
            }
        }
        let map = rows.map(self)?;
        let ones = self.constants((0..len / size).map(|_| Enclosure::ONE))?;
        self.affine(x, map, Some(ones))
    }

    /// `exp(z) · (1 / Σ exp(z))` or `z − log Σ exp(z)` with `z = x − max(x)`.
    fn shifted_softmax(&mut self, x: Slot, layout: Layout, log: bool) -> Result<Slot, Fault> {
        let len = layout.len();
        let runs = len / layout.size;
        let run = move |i: usize| i / (layout.size * layout.inner) * layout.inner + i % layout.inner;
        let first = move |r: usize| r / layout.inner * layout.size * layout.inner + r % layout.inner;
        self.reserve(4 * len)?;
        let mut groups = Groups { starts: vec![0], members: Vec::with_capacity(len) };
        let mut sums = Rows::new(len);
        for r in 0..runs {
            for j in layout.peers(first(r)) {
                groups.members.push(narrow(j));
                sums.push(j, Enclosure::ONE);
            }
            groups.starts.push(narrow(groups.members.len()));
            sums.end();
        }
        let max = self.max(x, groups)?;
        let max = self.index(max, (0..len).map(run))?;
        let z = self.combination([(x, Enclosure::ONE), (max, MINUS_ONE)])?;
        let exponentials = self.apply(Function::Exp, z)?;
        let sums: Map = sums.map(self)?;
        let sum = self.affine(exponentials, sums, None)?;
        let last = self.apply(if log { Function::Log } else { Function::Reciprocal }, sum)?;
        let last = self.index(last, (0..len).map(run))?;
        if log {
            let minus = self.factor(last, MINUS_ONE)?;
            let terms = vec![Term { input: z, map: Map::Identity }, Term { input: last, map: minus }];
            return self.sum(terms, None);
        }
        self.times(exponentials, last)
    }
}
