//! One backward pass: a block of rows of coefficients from a slot to the input.
//!
//! A row `a·v(s) + c` bounds its objective from below. Steps are undone from last to first: an affine step `v = Σ Mᵢ xᵢ + b` turns it into
//! `(Mᵢᵀa)·xᵢ` and `c + a·b`; a nonlinear one replaces `v` by its lower plane where `a > 0` and by its upper plane elsewhere. At the input
//! the row takes its minimum over the box.

use std::sync::Arc;

use super::Region;
use super::conv::{Lists, Way};
use super::interval::Interval;
use super::lines::{Kind, Planes, Relaxation};
use super::memory::{BoundError, Memory, Pool};
use super::prepare::{Linear, Node, Prepared, Product};
use super::rows::{Rows, Support};
use crate::relax::{product_start, relax_product};
use certus_kernels::gather::DROP;
use certus_kernels::lanes::{add_scaled, add_split, add_weighted, concretize, relax_row};

/// What is known before a pass.
pub(super) struct Known<'a> {
    pub(super) net: &'a Prepared,
    pub(super) region: Region<'a>,
    /// Per slot; empty where not yet computed.
    pub(super) intervals: Vec<Interval>,
    /// Per slot that a nonlinear step gives.
    pub(super) relaxed: Vec<Option<Relaxation>>,
    /// The neurons of each slot that may be something else than 0.
    pub(super) alive: Vec<Arc<Support>>,
}

/// Buffers of one thread.
pub(super) struct Worker<'a> {
    pub(super) pool: Pool<'a>,
    lists: Lists,
    pending: Vec<Option<Rows>>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(memory: &'a Memory) -> Self {
        Self { pool: Pool::new(memory), lists: Lists::default(), pending: Vec::new() }
    }

    fn put(&mut self, slot: usize, rows: Rows, lanes: usize) -> Result<(), BoundError> {
        let sum = match self.pending[slot].take() {
            None => rows,
            Some(before) => before.add(rows, lanes, &mut self.pool)?,
        };
        self.pending[slot] = Some(sum);
        Ok(())
    }
}

/// Where a pass ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At the input.
    Input,
    /// At the nearest nonlinear steps, by their intervals.
    Interval,
}

impl Known<'_> {
    /// Adds to `c` the lower bounds of the rows that start at `slot`.
    pub(super) fn backward(
        &self,
        slot: usize,
        rows: Rows,
        end: End,
        worker: &mut Worker<'_>,
        c: &mut [f32],
    ) -> Result<(), BoundError> {
        worker.pending.clear();
        worker.pending.resize_with(slot + 1, || None);
        worker.pending[slot] = Some(rows);
        for at in (0..=slot).rev() {
            let Some(rows) = worker.pending[at].take() else { continue };
            match (&self.net.nodes[at], end) {
                (Node::Unused, _) => worker.pool.give(rows.data),
                (Node::Input, _) => {
                    let Region { lower, upper } = self.region;
                    concretize(&rows.data, &rows.support.live, lower, upper, c.len(), c);
                    worker.pool.give(rows.data);
                }
                (Node::Affine { terms, bias }, _) => self.affine(terms, bias.as_deref(), rows, worker, c)?,
                (Node::Index { inputs, sources }, _) => self.index(inputs, sources, rows, worker, c.len())?,
                (_, End::Interval) => {
                    let Interval { lower, upper } = &self.intervals[at];
                    concretize(&rows.data, &rows.support.live, lower, upper, c.len(), c);
                    worker.pool.give(rows.data);
                }
                (node, End::Input) => self.nonlinear(at, node, rows, worker, c)?,
            }
        }
        Ok(())
    }

    fn affine(
        &self,
        terms: &[(usize, Linear)],
        bias: Option<&[f32]>,
        rows: Rows,
        worker: &mut Worker<'_>,
        c: &mut [f32],
    ) -> Result<(), BoundError> {
        let lanes = c.len();
        if let Some(bias) = bias {
            add_weighted(&rows.data, &rows.support.live, bias, lanes, c);
        }
        // The last identity takes the rows themselves.
        let taker = terms.iter().rposition(|(slot, map)| {
            matches!(map, Linear::Identity) && self.alive[*slot].contains(&rows.support)
        });
        for (i, (slot, map)) in terms.iter().enumerate() {
            if Some(i) == taker {
                continue;
            }
            let support = map.support(Way::Backward, &rows.support, &self.alive[*slot], &mut worker.lists);
            let data = worker.pool.take(support.live.len() * lanes)?;
            let mut to = Rows { support, data };
            map.apply(Way::Backward, &rows, &mut to, lanes, &mut worker.lists);
            worker.put(*slot, to, lanes)?;
        }
        match taker {
            Some(i) => worker.put(terms[i].0, rows, lanes),
            None => {
                worker.pool.give(rows.data);
                Ok(())
            }
        }
    }

    fn index(
        &self,
        inputs: &[usize],
        sources: &[Option<(u32, u32)>],
        rows: Rows,
        worker: &mut Worker<'_>,
        lanes: usize,
    ) -> Result<(), BoundError> {
        for (k, slot) in inputs.iter().enumerate() {
            let alive = &self.alive[*slot];
            let element = |j: &u32| sources[*j as usize].filter(|(of, _)| *of as usize == k).map(|(_, e)| e);
            let mut marks = vec![false; alive.pos.len()];
            rows.support.live.iter().filter_map(element).for_each(|e| marks[e as usize] = true);
            let mut to = zeros(Support::marked(alive, &marks), lanes, worker)?;
            for (row, j) in rows.data.chunks_exact(lanes).zip(&rows.support.live) {
                if let Some(e) = element(j) {
                    with_row(&mut to, e as usize, lanes, |to| add_scaled(to, row, 1.0));
                }
            }
            worker.put(*slot, to, lanes)?;
        }
        worker.pool.give(rows.data);
        Ok(())
    }

    fn nonlinear(
        &self,
        at: usize,
        node: &Node,
        mut rows: Rows,
        worker: &mut Worker<'_>,
        c: &mut [f32],
    ) -> Result<(), BoundError> {
        let lanes = c.len();
        match (node, &self.relaxed[at]) {
            (Node::Elementwise { input, .. }, Some(Relaxation::Lines { pairs, kinds })) => {
                for (row, j) in rows.data.chunks_exact_mut(lanes).zip(&rows.support.live) {
                    if kinds[*j as usize] == Kind::Lines {
                        relax_row(row, c, pairs[*j as usize]);
                    }
                }
                worker.put(*input, rows, lanes)
            }
            (Node::Max { input, .. }, Some(Relaxation::Planes(planes))) => {
                self.planes(*input, planes, rows, worker, c)
            }
            (Node::Product(product), Some(Relaxation::Product)) => self.product(product, rows, worker, c),
            _ => unreachable!("every nonlinear step before the start has its own kind of relaxation"),
        }
    }

    fn planes(
        &self,
        input: usize,
        planes: &Planes,
        rows: Rows,
        worker: &mut Worker<'_>,
        c: &mut [f32],
    ) -> Result<(), BoundError> {
        let lanes = c.len();
        let alive = &self.alive[input];
        let mut marks = vec![false; alive.pos.len()];
        for j in rows.support.live.iter().map(|j| *j as usize) {
            marks[planes.lower[j] as usize] = true;
            planes.above(j).0.iter().for_each(|(m, _)| marks[*m as usize] = true);
        }
        let mut to = zeros(Support::marked(alive, &marks), lanes, worker)?;
        for (row, j) in rows.data.chunks_exact(lanes).zip(&rows.support.live) {
            let (above, intercept) = planes.above(*j as usize);
            add_split(c, row, 0.0, intercept);
            with_row(&mut to, planes.lower[*j as usize] as usize, lanes, |to| add_split(to, row, 1.0, 0.0));
            for (member, slope) in above {
                with_row(&mut to, *member as usize, lanes, |to| add_split(to, row, 0.0, *slope));
            }
        }
        worker.pool.give(rows.data);
        worker.put(input, to, lanes)
    }

    fn product(
        &self,
        product: &Product,
        rows: Rows,
        worker: &mut Worker<'_>,
        c: &mut [f32],
    ) -> Result<(), BoundError> {
        let lanes = c.len();
        let slots = [product.left, product.right];
        let mut marks = slots.map(|s| vec![false; self.alive[s].pos.len()]);
        let operands = |j: &u32| {
            let j = *j as usize;
            (0..product.k).map(move |term| product.operands(j, term))
        };
        for (x, y) in rows.support.live.iter().flat_map(operands) {
            (marks[0][x], marks[1][y]) = (true, true);
        }
        let mut left = zeros(Support::marked(&self.alive[slots[0]], &marks[0]), lanes, worker)?;
        let mut right = zeros(Support::marked(&self.alive[slots[1]], &marks[1]), lanes, worker)?;
        for (row, j) in rows.data.chunks_exact(lanes).zip(&rows.support.live) {
            for (x, y) in operands(j) {
                let [x_ends, y_ends] = [self.intervals[slots[0]].at(x), self.intervals[slots[1]].at(y)];
                let planes = relax_product(x_ends.into(), y_ends.into(), product_start());
                let (below, above) = (planes.lower, planes.upper);
                with_row(&mut left, x, lanes, |to| add_split(to, row, below.left, above.left));
                with_row(&mut right, y, lanes, |to| add_split(to, row, below.right, above.right));
                add_split(c, row, below.intercept, above.intercept);
            }
        }
        worker.pool.give(rows.data);
        worker.put(slots[0], left, lanes)?;
        worker.put(slots[1], right, lanes)
    }
}

fn zeros(support: Arc<Support>, lanes: usize, worker: &mut Worker<'_>) -> Result<Rows, BoundError> {
    let mut data = worker.pool.take(support.live.len() * lanes)?;
    data.fill(0.0);
    Ok(Rows { support, data })
}

/// Applies `body` to the row of neuron `j`, if it has one.
fn with_row(rows: &mut Rows, j: usize, lanes: usize, body: impl FnOnce(&mut [f32])) {
    let at = rows.support.pos[j];
    if at != DROP {
        body(&mut rows.data[at as usize * lanes..][..lanes]);
    }
}
