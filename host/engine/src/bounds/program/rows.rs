//! A block of coefficient rows over the live neurons of one slot.

use std::sync::Arc;

use super::memory::{BoundError, Pool};
use certus_kernels::gather::DROP;
use certus_kernels::lanes::add_scaled;

/// Which neurons of a slot have a row in a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Support {
    /// The neurons, ascending.
    pub(super) live: Vec<u32>,
    /// Row of each neuron of the slot, [`DROP`] if it has none.
    pub(super) pos: Vec<u32>,
}

impl Support {
    /// Of the neurons in `live`, ascending.
    pub(super) fn new(size: usize, live: Vec<u32>) -> Self {
        let mut pos = vec![DROP; size];
        live.iter().enumerate().for_each(|(row, j)| pos[*j as usize] = row as u32);
        Self { live, pos }
    }

    pub(super) fn all(size: usize) -> Self {
        Self { live: (0..size as u32).collect(), pos: (0..size as u32).collect() }
    }

    /// Those of `full` that are marked; `full` itself if all are.
    pub(super) fn marked(full: &Arc<Self>, marks: &[bool]) -> Arc<Self> {
        let live: Vec<u32> = full.live.iter().copied().filter(|j| marks[*j as usize]).collect();
        if live.len() == full.live.len() {
            return Arc::clone(full);
        }
        Arc::new(Self::new(full.pos.len(), live))
    }

    pub(super) fn contains(&self, other: &Self) -> bool {
        self.live.len() >= other.live.len() && other.live.iter().all(|j| self.pos[*j as usize] != DROP)
    }
}

/// Coefficients `[live, lanes]`.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) support: Arc<Support>,
    pub(super) data: Vec<f32>,
}

impl Rows {
    /// The sum; both buffers are used up.
    pub(super) fn add(self, other: Self, lanes: usize, pool: &mut Pool<'_>) -> Result<Self, BoundError> {
        let (mut to, from) = if self.support.contains(&other.support) {
            (self, other)
        } else if other.support.contains(&self.support) {
            (other, self)
        } else {
            let mut marks = vec![false; self.support.pos.len()];
            let live = self.support.live.iter().chain(&other.support.live);
            live.for_each(|j| marks[*j as usize] = true);
            let live = (0..marks.len() as u32).filter(|j| marks[*j as usize]).collect();
            let support = Arc::new(Support::new(marks.len(), live));
            let mut data = pool.take(support.live.len() * lanes)?;
            data.fill(0.0);
            let mut sum = Self { support, data };
            sum.add_rows(&self, lanes);
            pool.give(self.data);
            (sum, other)
        };
        to.add_rows(&from, lanes);
        pool.give(from.data);
        Ok(to)
    }

    fn add_rows(&mut self, from: &Self, lanes: usize) {
        if Arc::ptr_eq(&self.support, &from.support) {
            add_scaled(&mut self.data, &from.data, 1.0);
            return;
        }
        for (row, j) in from.data.chunks_exact(lanes).zip(&from.support.live) {
            let at = self.support.pos[*j as usize] as usize * lanes;
            add_scaled(&mut self.data[at..at + lanes], row, 1.0);
        }
    }
}
