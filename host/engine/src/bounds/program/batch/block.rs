//! A block of lanes, each with a domain of its own: one backward pass, and its adjoint.

use std::sync::Arc;

use super::claims::{self, Alphas, kink};
use super::curves::Curves;
use super::free::{Free, columns};
use super::kinks::Kinks;
use super::multipliers::Multipliers;
use super::planes::{Maxima, Products, Sums, summed};
use super::{Lane, Score};
use crate::bounds::program::backward::{Known, Worker};
use crate::bounds::program::memory::BoundError;
use crate::bounds::program::prepare::{Node, Prepared};
use crate::bounds::program::rows::{Rows, Support};
use crate::bounds::program::tape::index_forward;
use certus_kernels::lanes::{Adam, concretize, minimiser};
use certus_kernels::own::{concretize_own, minimiser_own};
use certus_kernels::padded_lanes;

/// The relaxations of one nonlinear step.
#[derive(Debug)]
enum Step {
    Kinks(Kinks),
    Curves(Curves),
    Maxima(Maxima),
    Products(Products),
}

/// The boxes of the lanes.
enum Boxes {
    /// All the same: that of [`Known::region`].
    One,
    /// `[inputs, lanes]` each.
    Own { lower: Vec<f32>, upper: Vec<f32> },
}

/// Rows that begin at one slot, one per lane.
pub(super) struct Start {
    pub(super) slot: usize,
    /// `[live, lanes]`.
    pub(super) rows: Rows,
    /// `[lanes]`.
    pub(super) constant: Vec<f32>,
}

/// A block under way. Columns without a lane hold zeros.
pub(super) struct Block<'a> {
    known: Known<'a>,
    boxes: Boxes,
    steps: Vec<Option<Step>>,
    multipliers: Multipliers,
    start: Start,
    /// Of each slot in the last pass.
    supports: Vec<Option<Arc<Support>>>,
    /// Coefficients on the input in the last pass.
    pub(super) input: Option<Rows>,
    /// Constants of the linear bounds on the input, `[lanes]`.
    pub(super) constant: Vec<f32>,
    /// The bounds, `[lanes]`.
    pub(super) value: Vec<f32>,
}

impl<'a> Block<'a> {
    /// The relaxations of `lanes` on their own intervals, of the steps up to the slot `last`, where the rows begin; `start` has at least as
    /// many columns.
    pub(super) fn new(
        net: &'a Prepared,
        lanes: &[Lane<'a>],
        last: usize,
        start: impl FnOnce(&Known<'a>, usize) -> Start,
    ) -> Result<Self, BoundError> {
        let width = padded_lanes(lanes.len());
        let mut multipliers = Multipliers::new(net, lanes);
        let first = claims::first_bytes(net);
        let mut alive: Vec<Arc<Support>> = Vec::with_capacity(net.nodes.len());
        let mut steps = Vec::with_capacity(net.nodes.len());
        for (slot, node) in net.nodes.iter().enumerate() {
            let (mut support, both) = (None, (lanes, width));
            steps.push(match node {
                _ if slot > last => None,
                Node::Elementwise { input, function } => Some(match kink(*function) {
                    Some(slopes) if slopes[0] <= slopes[1] => {
                        let forced = [multipliers.elements(*input), multipliers.elements(slot)].concat();
                        let at = (slot, *input);
                        let (kinks, live) = Kinks::new(net, at, slopes, first[slot], both, &forced);
                        support = Some(live);
                        Step::Kinks(kinks)
                    }
                    _ => {
                        let place = (first[slot], claims::width(*function));
                        Step::Curves(Curves::new(net, (slot, *input), *function, place, both)?)
                    }
                }),
                Node::Max { input, groups } => {
                    Some(Step::Maxima(Maxima::new(groups, *input, first[slot], both)))
                }
                Node::Product(p) => Some(Step::Products(Products::new(net, slot, *p, first[slot], both))),
                _ => None,
            });
            alive.push(Arc::new(support.unwrap_or_else(|| Support::all(net.sizes[slot]))));
        }
        let region = lanes[0].region;
        let known = Known {
            net,
            region,
            intervals: Vec::new(),
            empty: false,
            cut: false,
            inherited: false,
            relaxed: Vec::new(),
            alive,
        };
        let start = start(&known, width);
        multipliers.begin(&start.rows, width);
        let boxes = Boxes::new(lanes, width);
        let supports = vec![None; net.nodes.len()];
        let value = vec![0.0; width];
        let constant = value.clone();
        Ok(Self { known, boxes, steps, multipliers, start, supports, input: None, constant, value })
    }

    /// The lower bounds of all lanes into `value`.
    pub(super) fn backward(&mut self, worker: &mut Worker<'_>) -> Result<(), BoundError> {
        let Self { known, steps, multipliers, value, .. } = self;
        let lanes = value.len();
        value.copy_from_slice(&self.start.constant);
        worker.pending.clear();
        worker.pending.resize_with(self.start.slot + 1, || None);
        let mut data = worker.pool.take(self.start.rows.data.len())?;
        data.copy_from_slice(&self.start.rows.data);
        worker.pending[self.start.slot] = Some(Rows { support: Arc::clone(&self.start.rows.support), data });
        for at in (0..=self.start.slot).rev() {
            let rows = worker.pending[at].take();
            let Some(mut rows) = multipliers.backward(at, rows, worker, value)? else { continue };
            if worker.stop.now() {
                return Err(BoundError::Stopped);
            }
            self.supports[at] = Some(Arc::clone(&rows.support));
            match (&known.net.nodes[at], &mut steps[at]) {
                (Node::Unused, _) => worker.pool.give(rows.data),
                (Node::Input, _) => {
                    self.constant.copy_from_slice(value);
                    self.boxes.concretize(known, &rows, value);
                    if let Some(old) = self.input.replace(rows) {
                        worker.pool.give(old.data);
                    }
                }
                (Node::Affine { terms, bias }, _) => {
                    known.affine(terms, bias.as_deref(), rows, worker, value)?;
                }
                (Node::Index { inputs, sources }, _) => {
                    known.index(inputs, sources, rows, worker, lanes)?;
                }
                (Node::Elementwise { input, .. }, Some(Step::Kinks(kinks))) => {
                    kinks.backward(&mut rows, value);
                    worker.put(*input, rows, lanes)?;
                }
                (Node::Elementwise { input, .. }, Some(Step::Curves(curves))) => {
                    curves.backward(&mut rows, value);
                    worker.put(*input, rows, lanes)?;
                }
                (Node::Max { input, groups }, Some(Step::Maxima(maxima))) => {
                    maxima.backward(groups, rows, &known.alive[*input], worker, value)?;
                }
                (Node::Product(_), Some(Step::Products(products))) => {
                    products.backward(&known.alive, rows, worker, value)?;
                }
                _ => unreachable!("every nonlinear step has its own kind of relaxation"),
            }
        }
        Ok(())
    }

    /// The adjoint of the last pass: moves slopes by `adam` and multipliers by `beta` up the gradients of the lanes' bounds; what the
    /// lanes lose goes to `scores` (`[lanes]`), their concretizing points to `points`.
    pub(super) fn sweep(
        &mut self,
        (adam, beta): (Adam, Adam),
        mut report: Option<&mut Report>,
        worker: &mut Worker<'_>,
    ) -> Result<(), BoundError> {
        let (net, lanes, start) = (self.known.net, self.value.len(), self.start.slot);
        let mut values: Vec<Option<Rows>> = (0..=start).map(|_| None).collect();
        let linear = matches!(net.nodes[start], Node::Affine { .. } | Node::Index { .. });
        // The start itself needs no value, unless it is split or a nonlinear step gives it.
        let end = if linear && self.multipliers.elements(start).is_empty() { start } else { start + 1 };
        for at in 0..end {
            let Some(support) = self.supports[at].clone() else { continue };
            let value = match &net.nodes[at] {
                Node::Unused => continue,
                Node::Input => {
                    let Some(mut rows) = self.input.take() else { continue };
                    if let Some(report) = &mut report {
                        report.take_input(&rows, &self.constant, net.inputs());
                    }
                    self.boxes.minimise(&self.known, &mut rows, lanes);
                    if let Some(report) = &mut report {
                        report.take_point(&self.known, &self.boxes, &rows, lanes);
                    }
                    rows
                }
                Node::Affine { terms, bias } => {
                    self.known.affine_forward(terms, bias.as_deref(), support, &values, lanes, worker)?
                }
                Node::Index { inputs, sources } => {
                    index_forward(inputs, sources, support, &values, lanes, worker)?
                }
                Node::Elementwise { input, .. } => {
                    let mut z = self.known.restricted(&mut values, *input, at, &support, lanes, worker)?;
                    if let Some(step) = &mut self.steps[at] {
                        step.elementwise(net, &mut z, (lanes, adam), report.as_deref_mut());
                    }
                    z
                }
                node => {
                    let Some(step) = &mut self.steps[at] else { continue };
                    let sums = report.as_deref_mut().map(|r| &mut r.sums[..]);
                    let Some(to) = step.planes(node, &values, (lanes, adam), sums, worker)? else {
                        continue;
                    };
                    to
                }
            };
            self.multipliers.climb(at, &value, lanes, beta);
            values[at] = Some(value);
            for input in net.nodes[at].inputs() {
                if net.last_reader[input] <= at
                    && let Some(done) = values[input].take()
                {
                    worker.pool.give(done.data);
                }
            }
        }
        values.into_iter().flatten().for_each(|rows| worker.pool.give(rows.data));
        Ok(())
    }

    fn each_free(&mut self, mut body: impl FnMut(&mut Free)) {
        for step in self.steps.iter_mut().flatten() {
            match step {
                Step::Kinks(kinks) => body(kinks.free()),
                Step::Curves(curves) => curves.free().iter_mut().for_each(&mut body),
                Step::Maxima(maxima) => body(maxima.free()),
                Step::Products(products) => products.free().iter_mut().for_each(&mut body),
            }
        }
    }

    /// Keeps the present variables of the lanes that `chosen` marks (`[lanes]`).
    pub(super) fn keep(&mut self, chosen: &[bool]) {
        self.each_free(|free| free.keep(chosen));
        self.multipliers.keep(chosen);
    }

    /// Goes back to the variables that were kept.
    pub(super) fn restore(&mut self) {
        self.each_free(Free::restore);
        self.multipliers.restore();
    }

    /// The variables that were kept of lane `r` with so many splits.
    pub(super) fn column(&self, r: usize, splits: usize) -> super::Start {
        let (at, mut alpha) = ((r, self.value.len()), Alphas::default());
        for (step, node) in self.steps.iter().zip(&self.known.net.nodes) {
            match (step, node) {
                (Some(Step::Kinks(kinks)), _) => kinks.column(at, &mut alpha),
                (Some(Step::Curves(curves)), _) => curves.column(at, &mut alpha),
                (Some(Step::Maxima(maxima)), Node::Max { groups, .. }) => {
                    maxima.column(groups, at, &mut alpha);
                }
                (Some(Step::Products(products)), _) => products.column(at, &mut alpha),
                _ => {}
            }
        }
        super::Start { alpha, beta: self.multipliers.column(r, splits) }
    }

    /// Keeps only the lanes of `kept`, in this order.
    pub(super) fn compact(&mut self, kept: &[usize]) {
        let (before, width) = (self.value.len(), padded_lanes(kept.len()));
        let mut lanes = kept.to_vec();
        lanes.resize(width, usize::MAX);
        for step in self.steps.iter_mut().flatten() {
            match step {
                Step::Kinks(kinks) => kinks.compact(&lanes, before),
                Step::Curves(curves) => curves.compact(&lanes, before),
                Step::Maxima(maxima) => maxima.compact(&lanes, before),
                Step::Products(products) => products.compact(&lanes, before),
            }
        }
        self.multipliers.compact(kept, width);
        if let Boxes::Own { lower, upper } = &mut self.boxes {
            (*lower, *upper) = (columns(lower, &lanes, before), columns(upper, &lanes, before));
        }
        self.start.rows.data = columns(&self.start.rows.data, &lanes, before);
        self.start.constant = columns(&self.start.constant, &lanes, before);
        (self.value, self.constant) = (vec![0.0; width], vec![0.0; width]);
        self.input = None;
    }

    /// All free shares with their gradients, after a step of rate 0: for tests.
    #[cfg(test)]
    pub(super) fn frees(&mut self) -> Vec<&mut Free> {
        let mut all = Vec::new();
        for step in self.steps.iter_mut().flatten() {
            match step {
                Step::Kinks(kinks) => all.push(kinks.free()),
                Step::Curves(curves) => all.extend(curves.free()),
                Step::Maxima(maxima) => all.push(maxima.free()),
                Step::Products(products) => all.extend(products.free()),
            }
        }
        all
    }

    #[cfg(test)]
    pub(super) fn multipliers(&mut self) -> &mut Multipliers {
        &mut self.multipliers
    }
}

impl Step {
    fn elementwise(
        &mut self,
        net: &Prepared,
        z: &mut Rows,
        (lanes, adam): (usize, Adam),
        report: Option<&mut Report>,
    ) {
        if let Some(report) = report {
            for (r, scores) in report.scores.iter_mut().enumerate() {
                match self {
                    Self::Kinks(kinks) => kinks.score(net, z, (r, lanes), scores),
                    Self::Curves(curves) => curves.score(z, (r, lanes), scores),
                    _ => {}
                }
            }
        }
        match self {
            Self::Kinks(kinks) => kinks.sweep(z, lanes, adam),
            Self::Curves(curves) => curves.sweep(z, lanes, adam),
            _ => {}
        }
    }

    fn planes(
        &mut self,
        node: &Node,
        values: &[Option<Rows>],
        how: (usize, Adam),
        sums: Option<&mut [Sums]>,
        worker: &mut Worker<'_>,
    ) -> Result<Option<Rows>, BoundError> {
        match (self, node) {
            (Self::Maxima(maxima), Node::Max { groups, .. }) => {
                maxima.sweep(groups, values, how, sums, worker)
            }
            (Self::Products(products), _) => products.sweep(values, how, sums, worker),
            _ => Ok(None),
        }
    }
}

/// What a last sweep finds, of the first lanes.
#[derive(Debug, Default)]
pub(super) struct Report {
    scores: Vec<Vec<Score>>,
    sums: Vec<Sums>,
    /// `[lanes][inputs]`.
    pub(super) points: Vec<Vec<f32>>,
    /// `[lanes][inputs]`.
    pub(super) coefficients: Vec<Vec<f32>>,
    /// `[lanes]`.
    pub(super) constants: Vec<f32>,
}

impl Report {
    /// Of so many lanes.
    pub(super) fn new(lanes: usize) -> Self {
        Self {
            scores: vec![Vec::new(); lanes],
            sums: vec![Sums::new(); lanes],
            points: vec![Vec::new(); lanes],
            coefficients: vec![Vec::new(); lanes],
            constants: vec![0.0; lanes],
        }
    }

    fn take_input(&mut self, rows: &Rows, constant: &[f32], inputs: usize) {
        let lanes = constant.len();
        for (r, coefficients) in self.coefficients.iter_mut().enumerate() {
            coefficients.resize(inputs, 0.0);
            for (row, j) in rows.data.chunks_exact(lanes).zip(&rows.support.live) {
                coefficients[*j as usize] = row[r];
            }
            self.constants[r] = constant[r];
        }
    }

    fn take_point(&mut self, known: &Known<'_>, boxes: &Boxes, rows: &Rows, lanes: usize) {
        let inputs = known.net.inputs();
        for (r, point) in self.points.iter_mut().enumerate() {
            *point = match boxes {
                Boxes::One => known.region.lower.to_vec(),
                Boxes::Own { lower, .. } => (0..inputs).map(|j| lower[j * lanes + r]).collect(),
            };
            for (row, j) in rows.data.chunks_exact(lanes).zip(&rows.support.live) {
                point[*j as usize] = row[r];
            }
        }
    }

    /// The scores of lane `r`.
    pub(super) fn scores(&mut self, r: usize) -> Vec<Score> {
        let mut scores = std::mem::take(&mut self.scores[r]);
        summed(std::mem::take(&mut self.sums[r]), &mut scores);
        scores
    }
}

impl Boxes {
    fn new(lanes: &[Lane<'_>], width: usize) -> Self {
        let first = lanes[0].region;
        let same = |lane: &Lane<'_>| {
            let region = lane.region;
            let ptr = std::ptr::eq(region.lower, first.lower) && std::ptr::eq(region.upper, first.upper);
            ptr || (region.lower == first.lower && region.upper == first.upper)
        };
        if lanes.iter().all(same) {
            return Self::One;
        }
        let inputs = first.lower.len();
        let (mut lower, mut upper) = (vec![0.0; inputs * width], vec![0.0; inputs * width]);
        for (r, lane) in lanes.iter().enumerate() {
            for j in 0..inputs {
                (lower[j * width + r], upper[j * width + r]) = (lane.region.lower[j], lane.region.upper[j]);
            }
        }
        Self::Own { lower, upper }
    }

    fn concretize(&self, known: &Known<'_>, rows: &Rows, value: &mut [f32]) {
        let live = &rows.support.live;
        match self {
            Self::One => {
                let (lower, upper) = (known.region.lower, known.region.upper);
                concretize(&rows.data, live, lower, upper, value.len(), value);
            }
            Self::Own { lower, upper } => concretize_own(&rows.data, live, lower, upper, value),
        }
    }

    fn minimise(&self, known: &Known<'_>, rows: &mut Rows, lanes: usize) {
        for (row, j) in rows.data.chunks_exact_mut(lanes).zip(&rows.support.live) {
            let j = *j as usize;
            match self {
                Self::One => minimiser(row, known.region.lower[j], known.region.upper[j]),
                Self::Own { lower, upper } => {
                    let at = j * lanes..(j + 1) * lanes;
                    minimiser_own(row, &lower[at.clone()], &upper[at]);
                }
            }
        }
    }
}
