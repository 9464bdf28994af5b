//! The relaxation of a program on a domain: a box, and computed values kept to one side of a point.
//!
//! Affine steps and index maps are exact, kinks at 0 are triangles, a maximum is above its operands and below their greatest bound.
//! A function that bounds or splits do not reduce to one of its straight pieces is not taken: then there is no LP.

use super::LpError;
use super::relaxation::{Kink, Linear, Relaxation};
use crate::bounds::program::Interval;
use crate::program::{Affine, Function, Map, Operation, Program, Slot, ZERO};
use certus_core::proof::program::Split;

/// A domain of a program.
#[derive(Clone, Copy, Debug)]
pub struct ProgramDomain<'a> {
    /// The network, its constants taken exactly.
    pub program: &'a Program,
    /// The box, `[inputs]` each.
    pub region: (&'a [f64], &'a [f64]),
    /// Per slot, cut at the splits; those of what a nonlinear step reads have to be there.
    pub intervals: &'a [Interval],
    /// In order of depth.
    pub splits: &'a [Split],
    /// Most numbers of all linear functions together.
    pub limit: usize,
}

/// A program's values as they are computed.
struct Builder<'a> {
    domain: ProgramDomain<'a>,
    relaxation: Relaxation,
    slots: Vec<Vec<Linear>>,
    held: usize,
}

/// Slopes left and right of 0 of a function with a kink there.
fn slopes(function: Function) -> Option<(f64, f64)> {
    match function {
        Function::Relu => Some((0.0, 1.0)),
        Function::LeakyRelu { slope } => Some((f64::from(slope), 1.0)),
        Function::Abs => Some((-1.0, 1.0)),
        _ => None,
    }
}

/// Bytes that a proof's row has for a step: see `certus_core::proof::program::Layout::claims_at`.
fn claim_bytes(operation: &Operation, len: usize) -> usize {
    match operation {
        Operation::Affine(_) | Operation::Index { .. } => 0,
        Operation::Elementwise { function, .. } => len * if slopes(*function).is_some() { 1 } else { 2 },
        Operation::Max { .. } => 2 * len,
        Operation::Product { k, .. } => 2 * len * k,
    }
}

impl ProgramDomain<'_> {
    /// The relaxation, and what the program gives in its columns; `None` if a step has no such form on these bounds, or it is too
    /// large. A neuron's id is the place of its byte among those of a proof's row.
    ///
    /// # Errors
    /// [`LpError`] where the box or a coefficient is not finite.
    pub fn relax(&self) -> Result<Option<(Relaxation, Vec<Linear>)>, LpError> {
        let (lower, upper) = self.region;
        let relaxation = Relaxation::new(lower, upper, self.splits.len())?;
        let input: Vec<Linear> = (0..lower.len()).map(Linear::Column).collect();
        let mut builder = Builder { domain: *self, relaxation, slots: vec![input], held: 0 };
        builder.splits(Slot::INPUT)?;
        let mut place = 0;
        for (index, step) in self.program.steps().iter().enumerate() {
            let len = self.program.size(Slot(index + 1));
            let Some(values) = builder.step(&step.operation, len, place)? else { return Ok(None) };
            builder.held += values.iter().map(Linear::size).sum::<usize>();
            if builder.held > self.limit {
                return Ok(None);
            }
            place += claim_bytes(&step.operation, len);
            builder.slots.push(values);
            builder.splits(Slot(index + 1))?;
        }
        let outputs = builder.slots.swap_remove(self.program.output().0);
        Ok(Some((builder.relaxation, outputs)))
    }
}

impl Builder<'_> {
    /// The rows of the splits of a slot.
    fn splits(&mut self, slot: Slot) -> Result<(), LpError> {
        let values = &self.slots[slot.0];
        for (index, split) in self.domain.splits.iter().enumerate().filter(|(_, s)| s.slot == slot) {
            let value = &values[split.element as usize];
            self.relaxation.split(index, value, f64::from(split.point), split.above)?;
        }
        Ok(())
    }

    fn interval(&self, slot: Slot, element: usize) -> Option<(f64, f64)> {
        let interval = self.domain.intervals.get(slot.0)?;
        Some((f64::from(*interval.lower.get(element)?), f64::from(*interval.upper.get(element)?)))
    }

    fn step(
        &mut self,
        operation: &Operation,
        len: usize,
        place: usize,
    ) -> Result<Option<Vec<Linear>>, LpError> {
        match operation {
            Operation::Affine(map) => Ok(self.affine(map, len)),
            Operation::Elementwise { input, function } => self.elementwise(*input, *function, place),
            Operation::Max { input, groups } => self.max(*input, groups),
            Operation::Index { inputs, indices } => Ok(Some(self.index(inputs, indices))),
            Operation::Product { .. } => Ok(None),
        }
    }

    fn affine(&self, affine: &Affine, len: usize) -> Option<Vec<Linear>> {
        let constants = affine.bias.as_ref().map(|b| b.values.as_slice());
        let mut out: Vec<Linear> =
            (0..len).map(|i| Linear::constant(constants.map_or(0.0, |b| f64::from(b[i])))).collect();
        for term in &affine.terms {
            let values = &self.slots[term.input.0];
            // What is written at most: a gate against memory before the sums are formed.
            let widest = values.iter().map(Linear::size).max().unwrap_or(0);
            if len.saturating_mul(widest) > self.domain.limit {
                return None;
            }
            entries(&term.map, values.len(), |i, j, w| out[i].add(f64::from(w), &values[j]));
        }
        Some(out)
    }

    fn elementwise(
        &mut self,
        input: Slot,
        function: Function,
        place: usize,
    ) -> Result<Option<Vec<Linear>>, LpError> {
        let mut out = Vec::new();
        for j in 0..self.slots[input.0].len() {
            let Some(interval) = self.interval(input, j) else { return Ok(None) };
            let z = self.slots[input.0][j].clone();
            let value = match (slopes(function), function) {
                (Some((negative, positive)), _) => {
                    if negative > positive && interval.0 < 0.0 && interval.1 > 0.0 {
                        return Ok(None);
                    }
                    let kink = Kink { id: place + j, interval, negative, positive, split: None };
                    self.relaxation.kink(z, kink)?
                }
                (None, Function::Clip { lower, upper }) => {
                    let (a, b) = (f64::from(lower), f64::from(upper));
                    match interval {
                        (l, u) if l >= a && u <= b => z,
                        (_, u) if u <= a => Linear::constant(a),
                        (l, _) if l >= b => Linear::constant(b),
                        _ => return Ok(None),
                    }
                }
                _ => return Ok(None),
            };
            out.push(value);
        }
        Ok(Some(out))
    }

    fn max(&mut self, input: Slot, groups: &crate::program::Groups) -> Result<Option<Vec<Linear>>, LpError> {
        let mut out = Vec::new();
        for group in groups.iter() {
            let mut intervals = Vec::new();
            for j in group {
                let Some(interval) = self.interval(input, *j as usize) else { return Ok(None) };
                intervals.push(interval);
            }
            let values: Vec<&Linear> = group.iter().map(|j| &self.slots[input.0][*j as usize]).collect();
            out.push(self.relaxation.maximum(&values, &intervals)?);
        }
        Ok(Some(out))
    }

    fn index(&self, inputs: &[Slot], indices: &[u32]) -> Vec<Linear> {
        let all: Vec<&Linear> = inputs.iter().flat_map(|s| &self.slots[s.0]).collect();
        let at = |i: &u32| if *i == ZERO { Linear::ZERO } else { all[*i as usize].clone() };
        indices.iter().map(at).collect()
    }
}

/// Calls `visit(output, input, weight)` for the entries of a map of `len` inputs.
fn entries(map: &Map, len: usize, mut visit: impl FnMut(usize, usize, f32)) {
    match map {
        Map::Identity => (0..len).for_each(|i| visit(i, i, 1.0)),
        Map::Scale(scale) => scale.values.iter().enumerate().for_each(|(i, s)| visit(i, i, *s)),
        Map::Dense { count, rows, cols, weights } => {
            for c in 0..*count {
                for (i, row) in weights.chunks_exact(*cols).enumerate() {
                    row.iter().enumerate().for_each(|(j, w)| visit(c * rows + i, c * cols + j, *w));
                }
            }
        }
        Map::Conv(conv) => conv.for_each(|i, j, w| visit(i, j, conv.weights[w])),
        Map::ConvTranspose(conv) => conv.for_each(|i, j, w| visit(j, i, conv.weights[w])),
        Map::Sparse(sparse) => sparse.for_each(|i, j, w| visit(i, j, sparse.values.values[w])),
    }
}
