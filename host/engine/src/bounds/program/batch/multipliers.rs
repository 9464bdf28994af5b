//! Multipliers of splits: each belongs to one lane.

use std::sync::Arc;

use super::Lane;
use super::free::ascend;
use crate::bounds::program::backward::{Worker, zeros};
use crate::bounds::program::memory::BoundError;
use crate::bounds::program::prepare::{Node, Prepared};
use crate::bounds::program::rows::{Rows, Support};
use certus_kernels::gather::DROP;
use certus_kernels::lanes::Adam;

/// The multiplier of one split of one lane.
#[derive(Debug)]
struct Multiplier {
    element: u32,
    lane: u32,
    /// Index among the lane's splits.
    index: u32,
    /// `s·(z − point) ≥ 0`.
    sign: f32,
    point: f32,
    beta: f32,
    m: f32,
    v: f32,
    best: f32,
    /// What its step is measured in: the size of the coefficients beside it, once known.
    unit: f32,
}

/// All multipliers, by slot.
#[derive(Debug)]
pub(super) struct Multipliers {
    slots: Vec<Vec<Multiplier>>,
    /// The split elements of each slot.
    supports: Vec<Option<Arc<Support>>>,
    /// The size of each lane's coefficients where they were last measured, `[lanes]`.
    size: Vec<f32>,
}

impl Multipliers {
    /// Of all splits at slots that `net` has.
    pub(super) fn new(net: &Prepared, lanes: &[Lane<'_>]) -> Self {
        let mut slots: Vec<Vec<Multiplier>> = net.nodes.iter().map(|_| Vec::new()).collect();
        for (r, lane) in lanes.iter().enumerate() {
            for (index, split) in lane.splits.iter().enumerate() {
                let given = lane.start.and_then(|s| s.beta.get(index)).copied().unwrap_or(0.0);
                let beta = if given.is_finite() { given.max(0.0) } else { 0.0 };
                if matches!(net.nodes[split.slot.0], Node::Unused) {
                    // Fused into the step that reads it: the multiplier stays 0.
                    continue;
                }
                slots[split.slot.0].push(Multiplier {
                    element: split.element,
                    lane: r as u32,
                    index: index as u32,
                    sign: if split.above { 1.0 } else { -1.0 },
                    point: split.point,
                    beta,
                    m: 0.0,
                    v: 0.0,
                    best: beta,
                    unit: 0.0,
                });
            }
        }
        let support = |slot: usize, of: &[Multiplier]| {
            let mut live: Vec<u32> = of.iter().map(|m| m.element).collect();
            live.sort_unstable();
            live.dedup();
            (!live.is_empty()).then(|| Arc::new(Support::new(net.sizes[slot], live)))
        };
        let supports = slots.iter().enumerate().map(|(slot, of)| support(slot, of)).collect();
        Self { slots, supports, size: Vec::new() }
    }

    /// Measures the rows that passes start with.
    pub(super) fn begin(&mut self, rows: &Rows, lanes: usize) {
        self.size = vec![0.0; lanes];
        self.note_size(rows);
    }

    /// The split elements of a slot, ascending.
    pub(super) fn elements(&self, slot: usize) -> &[u32] {
        self.supports[slot].as_ref().map_or(&[], |s| &s.live)
    }

    /// Adds `−s·β·(z − point)` to the rows that wait at `slot`.
    pub(super) fn backward(
        &mut self,
        slot: usize,
        rows: Option<Rows>,
        worker: &mut Worker<'_>,
        value: &mut [f32],
    ) -> Result<Option<Rows>, BoundError> {
        let (Some(support), lanes) = (&self.supports[slot], value.len()) else { return Ok(rows) };
        let mut rows = match rows {
            Some(rows) if rows.support.contains(support) => rows,
            Some(rows) => {
                let more = zeros(Arc::clone(support), lanes, worker)?;
                rows.add(more, lanes, &mut worker.pool)?
            }
            None => zeros(Arc::clone(support), lanes, worker)?,
        };
        self.measure(slot, &rows, lanes);
        for m in &self.slots[slot] {
            let at = rows.support.pos[m.element as usize] as usize * lanes + m.lane as usize;
            rows.data[at] -= m.sign * m.beta;
            value[m.lane as usize] += m.sign * m.beta * m.point;
        }
        Ok(Some(rows))
    }

    /// Takes the mean size of each lane's coefficients; where all are 0 the last one stays.
    fn note_size(&mut self, rows: &Rows) {
        let lanes = self.size.len();
        let (mut sum, mut count) = (vec![0.0f32; lanes], vec![0.0f32; lanes]);
        for row in rows.data.chunks_exact(lanes) {
            for ((a, sum), count) in row.iter().zip(&mut sum).zip(&mut count) {
                *sum += a.abs();
                *count += f32::from(u8::from(*a != 0.0));
            }
        }
        for ((size, sum), count) in self.size.iter_mut().zip(sum).zip(count) {
            *size = if sum > 0.0 { sum / count } else { *size };
        }
    }

    /// The size of the coefficients on the elements of `slot`, before multipliers, in the first pass.
    fn measure(&mut self, slot: usize, rows: &Rows, lanes: usize) {
        if self.slots[slot].iter().all(|m| m.unit > 0.0) {
            return;
        }
        self.note_size(rows);
        for m in self.slots[slot].iter_mut().filter(|m| m.unit <= 0.0) {
            let at = rows.support.pos[m.element as usize] as usize * lanes + m.lane as usize;
            m.unit = self.size[m.lane as usize].max(rows.data[at].abs());
        }
    }

    /// A step up the gradient `−s·(z* − point)`, `values` those of the concretizing point at `slot`.
    pub(super) fn climb(&mut self, slot: usize, values: &Rows, lanes: usize, adam: Adam) {
        for m in &mut self.slots[slot] {
            let row = values.support.pos[m.element as usize];
            if row == DROP {
                continue;
            }
            let z = values.data[row as usize * lanes + m.lane as usize];
            let gradient = -m.sign * (z - m.point);
            let step = m.unit * ascend(&mut m.m, &mut m.v, gradient, adam);
            let next = m.beta + step;
            m.beta = if next.is_finite() { next.max(0.0) } else { m.beta };
        }
    }

    pub(super) fn keep(&mut self, chosen: &[bool]) {
        let all = self.slots.iter_mut().flatten();
        all.filter(|m| chosen[m.lane as usize]).for_each(|m| m.best = m.beta);
    }

    pub(super) fn restore(&mut self) {
        self.slots.iter_mut().flatten().for_each(|m| m.beta = m.best);
    }

    /// The best multipliers of lane `r`, one per split.
    pub(super) fn column(&self, r: usize, splits: usize) -> Vec<f32> {
        let mut beta = vec![0.0; splits];
        for m in self.slots.iter().flatten().filter(|m| m.lane as usize == r) {
            beta[m.index as usize] = m.best;
        }
        beta
    }

    /// Keeps only some lanes, in this order; `width` columns.
    pub(super) fn compact(&mut self, lanes: &[usize], width: usize) {
        self.size = lanes.iter().map(|r| self.size[*r]).collect();
        self.size.resize(width, 0.0);
        for of in &mut self.slots {
            of.retain_mut(|m| match lanes.iter().position(|r| *r == m.lane as usize) {
                Some(r) => {
                    m.lane = r as u32;
                    true
                }
                None => false,
            });
        }
    }

    /// The gradient by the multiplier of split `index` of lane `r`, and the multiplier: for tests, after a step of rate 0.
    #[cfg(test)]
    pub(super) fn state(&mut self, r: usize, index: usize) -> Option<(f32, &mut f32)> {
        let mut all = self.slots.iter_mut().flatten();
        all.find(|m| (m.lane as usize, m.index as usize) == (r, index)).map(|m| (m.m, &mut m.beta))
    }
}
