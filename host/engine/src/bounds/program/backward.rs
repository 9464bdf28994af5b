//! One backward pass: a block of rows of coefficients from a slot to the input.
//!
//! A row `a·v(s) + c` bounds its objective from below. Steps are undone from last to first: an affine step `v = Σ Mᵢ xᵢ + b` turns it into
//! `(Mᵢᵀa)·xᵢ` and `c + a·b`; a nonlinear one replaces `v` by its lower plane where `a > 0` and by its upper plane elsewhere. At the input
//! the row takes its minimum over the box.

use std::sync::Arc;

use super::Region;
use super::conv::{Lists, Way};
use super::crown::Stop;
use super::interval::Interval;
use super::lines::{FreeLines, Kind, Planes, Relaxation, alpha_start};
use super::memory::{BoundError, Memory, Pool};
use super::prepare::{Linear, Node, Prepared, Product};
use super::rows::{Rows, Support};
use super::tape::{Slopes, Tape};
use crate::program::Groups;
use crate::relax::{product_start, relax_product};
use certus_kernels::gather::DROP;
use certus_kernels::lanes::{
    add_scaled, add_split, add_weighted, concretize, relax_alpha, relax_knots, relax_row,
};

/// What is known before a pass.
pub(super) struct Known<'a> {
    pub(super) net: &'a Prepared,
    pub(super) region: Region<'a>,
    /// Per slot; empty where not yet computed.
    pub(super) intervals: Vec<Interval>,
    /// Whether what is known contradicts itself: no point is left.
    pub(super) empty: bool,
    /// Whether interval arithmetic was tighter than some backward row.
    pub(super) cut: bool,
    /// Whether intervals begin with a parent's, so that rows only tighten.
    pub(super) inherited: bool,
    /// Per slot that a nonlinear step gives.
    pub(super) relaxed: Vec<Option<Relaxation>>,
    /// The neurons of each slot that may be something else than 0.
    pub(super) alive: Vec<Arc<Support>>,
}

/// Buffers of one thread.
pub(super) struct Worker<'a> {
    pub(super) pool: Pool<'a>,
    pub(super) lists: Lists,
    pub(super) pending: Vec<Option<Rows>>,
    pub(super) stop: Stop<'a>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(memory: &'a Memory, stop: Stop<'a>) -> Self {
        Self { pool: Pool::new(memory), lists: Lists::default(), pending: Vec::new(), stop }
    }

    /// Adds to what waits at a slot.
    pub(super) fn put(&mut self, slot: usize, rows: Rows, lanes: usize) -> Result<(), BoundError> {
        let sum = match self.pending[slot].take() {
            None => rows,
            Some(before) => before.add(rows, lanes, &mut self.pool)?,
        };
        self.pending[slot] = Some(sum);
        Ok(())
    }
}

/// Where a pass ends, and what it keeps.
pub(super) enum End<'t> {
    /// At the input.
    Input,
    /// At the nearest nonlinear steps, by their intervals.
    Interval,
    /// At the input, with the alphas on the tape; what the adjoint needs is left there.
    Tape(&'t mut Tape),
}

impl Known<'_> {
    /// Adds to `c` the lower bounds of the rows that start at `slot`.
    pub(super) fn backward(
        &self,
        slot: usize,
        rows: Rows,
        mut end: End<'_>,
        worker: &mut Worker<'_>,
        c: &mut [f32],
    ) -> Result<(), BoundError> {
        worker.pending.clear();
        worker.pending.resize_with(slot + 1, || None);
        worker.pending[slot] = Some(rows);
        for at in (0..=slot).rev() {
            let Some(rows) = worker.pending[at].take() else { continue };
            if worker.stop.now() {
                return Err(BoundError::Stopped);
            }
            if let End::Tape(tape) = &mut end {
                tape.supports[at] = Some(Arc::clone(&rows.support));
            }
            match (&self.net.nodes[at], &mut end) {
                (Node::Unused, _) => worker.pool.give(rows.data),
                (Node::Input, end) => {
                    let Region { lower, upper } = self.region;
                    concretize(&rows.data, &rows.support.live, lower, upper, c.len(), c);
                    match end {
                        End::Tape(tape) => {
                            worker.pool.detach(&rows.data);
                            // What no sweep took.
                            if let Some(old) = tape.input.replace(rows) {
                                worker.pool.attach(&old.data);
                                worker.pool.give(old.data);
                            }
                        }
                        End::Input | End::Interval => worker.pool.give(rows.data),
                    }
                }
                (Node::Affine { terms, bias }, _) => self.affine(terms, bias.as_deref(), rows, worker, c)?,
                (Node::Index { inputs, sources }, _) => self.index(inputs, sources, rows, worker, c.len())?,
                (_, End::Interval) => {
                    let Interval { lower, upper } = &self.intervals[at];
                    concretize(&rows.data, &rows.support.live, lower, upper, c.len(), c);
                    worker.pool.give(rows.data);
                }
                (node, End::Input) => self.nonlinear(at, node, rows, None, worker, c)?,
                (node, End::Tape(tape)) => self.nonlinear(at, node, rows, Some(tape), worker, c)?,
            }
        }
        Ok(())
    }

    pub(super) fn affine(
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

    pub(super) fn index(
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
        tape: Option<&mut Tape>,
        worker: &mut Worker<'_>,
        c: &mut [f32],
    ) -> Result<(), BoundError> {
        let lanes = c.len();
        let is_taped = tape.is_some();
        let mut tape = tape;
        if let (Node::Max { .. } | Node::Product(_), Some(tape)) = (node, &mut tape) {
            let mut data = worker.pool.take(rows.data.len())?;
            data.copy_from_slice(&rows.data);
            worker.pool.detach(&data);
            if let Some(old) = tape.signs[at].replace(Rows { support: Arc::clone(&rows.support), data }) {
                worker.pool.attach(&old.data);
                worker.pool.give(old.data);
            }
        }
        match (node, &self.relaxed[at]) {
            (Node::Elementwise { input, function }, Some(Relaxation::Lines { pairs, kinds, free })) => {
                if let Some(tape) = tape {
                    if tape.slopes[at].is_none() {
                        let start = |j: usize| alpha_start(*function, self.intervals[*input].at(j));
                        let memory = worker.pool.memory();
                        let sides = 1 + usize::from(matches!(free, FreeLines::Knots(_)));
                        let shape = (lanes, sides);
                        tape.slopes[at] = Some(Slopes::new(&rows.support, kinds, shape, start, memory)?);
                    }
                    if let Some(slopes) = &mut tape.slopes[at] {
                        slopes.backward(&mut rows, free, c);
                    }
                    return worker.put(*input, rows, lanes);
                }
                for (row, j) in rows.data.chunks_exact_mut(lanes).zip(&rows.support.live) {
                    if kinds[*j as usize] == Kind::Lines {
                        relax_row(row, c, pairs[*j as usize]);
                    }
                }
                worker.put(*input, rows, lanes)
            }
            (Node::Max { input, groups }, Some(Relaxation::Planes(planes))) => {
                let groups = is_taped.then_some(groups);
                self.planes((*input, groups), planes, rows, worker, c)
            }
            (Node::Product(product), Some(Relaxation::Product)) => self.product(product, rows, worker, c),
            _ => unreachable!("every nonlinear step before the start has its own kind of relaxation"),
        }
    }

    /// Where `groups` are given, all members have rows: later passes of the same block may read others than this one.
    fn planes(
        &self,
        (input, groups): (usize, Option<&Groups>),
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
            let all = groups.map(|g| &g.members[g.starts[j] as usize..g.starts[j + 1] as usize]);
            all.into_iter().flatten().for_each(|m| marks[*m as usize] = true);
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

pub(super) fn zeros(
    support: Arc<Support>,
    lanes: usize,
    worker: &mut Worker<'_>,
) -> Result<Rows, BoundError> {
    let mut data = worker.pool.take(support.live.len() * lanes)?;
    data.fill(0.0);
    Ok(Rows { support, data })
}

/// Applies `body` to the row of neuron `j`, if it has one.
pub(super) fn with_row(rows: &mut Rows, j: usize, lanes: usize, body: impl FnOnce(&mut [f32])) {
    let at = rows.support.pos[j];
    if at != DROP {
        body(&mut rows.data[at as usize * lanes..][..lanes]);
    }
}

impl Slopes {
    /// Relaxes the rows that have two lines, each lane with its own.
    fn backward(&mut self, rows: &mut Rows, lines: &FreeLines, c: &mut [f32]) {
        let lanes = c.len();
        let (below, above) = self.alpha.split_at(self.rows.len() * lanes);
        for (i, row) in self.rows.iter().enumerate() {
            let here = i * lanes..(i + 1) * lanes;
            let j = rows.support.live[*row as usize] as usize;
            let a = &mut rows.data[*row as usize * lanes..][..lanes];
            let post = &mut self.post[here.clone()];
            match lines {
                FreeLines::Lower(lines) => relax_alpha(a, c, &below[here], post, &lines[j]),
                FreeLines::Knots(lines) => {
                    relax_knots(a, c, [&below[here.clone()], &above[here]], post, &lines[j]);
                }
                FreeLines::None => unreachable!("slopes are optimised"),
            }
        }
    }
}
