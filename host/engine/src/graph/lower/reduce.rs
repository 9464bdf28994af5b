//! Functions of many numbers along axes: sums, means, extremes, norms, products.

use crate::program::{Function, Groups, Operation, Slot};

use super::super::error::Fault;
use super::super::ops::Reduce;
use super::Lowering;
use super::enclosure::Enclosure;
use super::pool::count;
use super::steps::{Rows, narrow};

const MINUS_ONE: Enclosure = Enclosure::exact(-1.0);

impl Lowering<'_, '_> {
    /// `kind` of operand 0 along `axes`.
    pub(super) fn reduce(&mut self, kind: Reduce, axes: &[usize]) -> Result<Slot, Fault> {
        let x = self.computed(0)?;
        let groups = self.groups(axes)?;
        match kind {
            Reduce::Sum => self.add_up(x, &groups, Enclosure::ONE),
            Reduce::Mean => {
                let size = groups.members.len() / groups.len();
                self.add_up(x, &groups, Enclosure::ONE / count(size))
            }
            Reduce::Max => self.max(x, groups),
            Reduce::Min => {
                let minus = self.scaled(x, MINUS_ONE)?;
                let max = self.max(minus, groups)?;
                self.scaled(max, MINUS_ONE)
            }
            Reduce::Prod => self.multiply_up(x, &groups),
            Reduce::L1 => {
                let absolute = self.apply(Function::Abs, x)?;
                self.add_up(absolute, &groups, Enclosure::ONE)
            }
            Reduce::L2 | Reduce::SumSquare => {
                let squares = self.apply(Function::Power { exponent: 2 }, x)?;
                let sum = self.add_up(squares, &groups, Enclosure::ONE)?;
                if kind == Reduce::L2 { self.apply(Function::Sqrt, sum) } else { Ok(sum) }
            }
            Reduce::LogSum => {
                let sum = self.add_up(x, &groups, Enclosure::ONE)?;
                self.apply(Function::Log, sum)
            }
            Reduce::LogSumExp => self.log_sum_exp(x, &groups),
        }
    }

    /// The operand's elements that make each output.
    fn groups(&mut self, axes: &[usize]) -> Result<Groups, Fault> {
        let shape = self.operand(0).shape;
        self.reserve(shape.iter().product::<usize>().saturating_mul(2))?;
        // Offsets of the outputs' first elements, and of the elements of one output from its first.
        let (mut firsts, mut offsets) = (vec![0], vec![0]);
        let mut stride: usize = shape.iter().product();
        for (axis, size) in shape.iter().enumerate() {
            stride /= size;
            let list = if axes.contains(&axis) { &mut offsets } else { &mut firsts };
            *list = list.iter().flat_map(|base| (0..*size).map(move |i| base + i * stride)).collect();
        }
        let mut groups = Groups { starts: vec![0], members: Vec::new() };
        for first in firsts {
            groups.members.extend(offsets.iter().map(|offset| narrow(first + offset)));
            groups.starts.push(narrow(groups.members.len()));
        }
        Ok(groups)
    }

    /// `weight` times the sum of each group.
    fn add_up(&mut self, x: Slot, groups: &Groups, weight: Enclosure) -> Result<Slot, Fault> {
        self.reserve(2 * groups.members.len())?;
        let mut rows = Rows::new(self.program.size(x));
        for group in groups.iter() {
            group.iter().for_each(|i| rows.push(*i as usize, weight));
            rows.end();
        }
        let map = rows.map(self)?;
        self.affine(x, map, None)
    }

    /// The product of each group, halves times halves.
    fn multiply_up(&mut self, x: Slot, groups: &Groups) -> Result<Slot, Fault> {
        let runs = groups.len();
        let mut size = groups.members.len() / runs;
        self.reserve(2 * groups.members.len())?;
        // The groups one after the other, `size` elements each.
        let members = groups.members.iter().map(|i| *i as usize);
        let mut factors = self.index(x, members.collect::<Vec<_>>().into_iter())?;
        while size > 1 {
            let half = size / 2;
            let part = |first: usize| {
                let from = move |i: usize| i / half * size + first + i % half;
                (0..runs * half).map(from)
            };
            let (left, right) = (self.index(factors, part(0))?, self.index(factors, part(half))?);
            let mut product = self.times(left, right)?;
            if size % 2 == 1 {
                // The factor left over follows the products of its group.
                let from = |i: usize| match (i / (half + 1), i % (half + 1)) {
                    (run, at) if at < half => run * half + at,
                    (run, _) => runs * half + run * size + size - 1,
                };
                let indices = (0..runs * (half + 1)).map(|i| narrow(from(i))).collect();
                product = self.push(Operation::Index { inputs: vec![product, factors], indices })?;
            }
            (factors, size) = (product, size - half);
        }
        Ok(factors)
    }

    /// `x_0 + log(1 + Σ exp(x_j − x_0))`: a shift of all elements cancels before anything is relaxed.
    fn log_sum_exp(&mut self, x: Slot, groups: &Groups) -> Result<Slot, Fault> {
        let len = self.program.size(x);
        self.reserve(4 * groups.members.len())?;
        let firsts = self.index(x, groups.iter().map(|g| g[0] as usize).collect::<Vec<_>>().into_iter())?;
        if groups.members.len() == groups.len() {
            return Ok(firsts);
        }
        let (mut differences, mut sums) = (Rows::new(len), Rows::new(groups.members.len() - groups.len()));
        let mut made = 0;
        for group in groups.iter() {
            for j in &group[1..] {
                differences.push(*j as usize, Enclosure::ONE);
                differences.push(group[0] as usize, MINUS_ONE);
                differences.end();
                sums.push(made, Enclosure::ONE);
                made += 1;
            }
            sums.end();
        }
        let map = differences.map(self)?;
        let differences = self.affine(x, map, None)?;
        let exponentials = self.apply(Function::Exp, differences)?;
        let map = sums.map(self)?;
        let ones = self.repeated(firsts, Enclosure::ONE)?;
        let sum = self.affine(exponentials, map, Some(ones))?;
        let log = self.apply(Function::Log, sum)?;
        self.combination([(firsts, Enclosure::ONE), (log, Enclosure::ONE)])
    }
}
