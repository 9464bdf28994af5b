//! The climb of many lanes.

use std::sync::Arc;

use super::block::{Block, Report, Start};
use super::{Found, Lane, LaneClimb};
use crate::bounds::program::LANES;
use crate::bounds::program::alpha::adam;
use crate::bounds::program::backward::{Known, Worker};
use crate::bounds::program::crown::{Job, Settings, Spec, Stop};
use crate::bounds::program::memory::{BoundError, Memory};
use crate::bounds::program::prepare::Prepared;
use crate::bounds::program::rows::Rows;
use crate::bounds::program::rows::Support;
use crate::program::Slot;
use certus_kernels::LANE_MULTIPLE;

/// The best bound of every lane; lanes in any order, best beside those of the same box. A domain's slopes start from its parent's
/// ([`super::Start`]), so a few iterations are enough. The threads share blocks of [`LANES`] lanes.
///
/// # Errors
/// [`BoundError::Stopped`] if stopped before every lane had a bound; later than that, what was found until then is returned.
/// [`BoundError::Relax`] if a function is not defined on the bounds of its operand.
///
/// # Panics
/// If a shape does not fit `net`.
///
/// # Rounding
/// *Estimate*.
pub fn optimise(
    net: &Prepared,
    spec: &Spec,
    lanes: &[Lane<'_>],
    climb: &LaneClimb,
    stop: Stop<'_>,
) -> Result<Vec<Found>, BoundError> {
    let rows = |known: &Known<'_>, lanes: &[Lane<'_>], width| spec_rows(known, spec, lanes, width);
    climb_from(net, (net.output, rows), lanes, climb, stop)
}

/// As [`optimise`], of values themselves: row `2·j` of a lane is element `j` of `slot`, row `2·j + 1` its negative.
///
/// # Errors
/// As [`optimise`].
///
/// # Panics
/// As [`optimise`].
///
/// # Rounding
/// *Estimate*.
pub fn optimise_values(
    net: &Prepared,
    slot: Slot,
    lanes: &[Lane<'_>],
    climb: &LaneClimb,
    stop: Stop<'_>,
) -> Result<Vec<Found>, BoundError> {
    let rows = |known: &Known<'_>, lanes: &[Lane<'_>], width| value_rows(known, slot.0, lanes, width);
    climb_from(net, (slot.0, rows), lanes, climb, stop)
}

/// Climbs rows that begin at a slot.
fn climb_from(
    net: &Prepared,
    rows: (usize, impl Fn(&Known<'_>, &[Lane<'_>], usize) -> Start + Sync),
    lanes: &[Lane<'_>],
    climb: &LaneClimb,
    stop: Stop<'_>,
) -> Result<Vec<Found>, BoundError> {
    let memory = Memory::new(usize::MAX);
    let settings = Settings { threads: climb.threads, ..Settings::default() };
    let job = Job { net, settings: &settings, stop, memory: &memory };
    // Enough blocks for the threads.
    let shared = lanes.len().div_ceil(climb.threads.max(1)).next_multiple_of(LANE_MULTIPLE);
    let size = shared.clamp(LANE_MULTIPLE, LANES);
    let mut items: Vec<_> = lanes.chunks(size).map(|part| (part, Err(BoundError::Stopped))).collect();
    job.share(
        &mut items,
        |(part, found), worker| *found = Ascent::of(net, (rows.0, &rows.1), part, climb, worker),
        |_| {},
    );
    let mut all = Vec::with_capacity(lanes.len());
    for (_, found) in items {
        all.extend(found?);
    }
    Ok(all)
}

/// A block while it climbs.
struct Ascent<'a, 'l> {
    block: Block<'a>,
    climb: &'l LaneClimb,
    /// The lane of each column.
    lanes: Vec<usize>,
    /// By lane.
    found: Vec<Found>,
    /// By lane: the best bounds of earlier iterations.
    history: Vec<Vec<f32>>,
}

impl<'a, 'l> Ascent<'a, 'l> {
    fn of(
        net: &'a Prepared,
        (slot, rows): (usize, &impl Fn(&Known<'_>, &[Lane<'_>], usize) -> Start),
        lanes: &[Lane<'a>],
        climb: &'l LaneClimb,
        worker: &mut Worker<'_>,
    ) -> Result<Vec<Found>, BoundError> {
        let block = Block::new(net, lanes, slot, |known, width| rows(known, lanes, width))?;
        let unbounded = Found { bound: f32::NEG_INFINITY, ..Found::default() };
        let mut ascent = Self {
            block,
            climb,
            lanes: (0..lanes.len()).collect(),
            found: vec![unbounded; lanes.len()],
            history: vec![Vec::with_capacity(climb.iterations + 1); lanes.len()],
        };
        match ascent.run(lanes, worker) {
            Err(BoundError::Stopped) if ascent.history.iter().all(|h| !h.is_empty()) => {}
            other => other?,
        }
        if !climb.only_bounds {
            ascent.settle(lanes, |_| true);
        }
        Ok(ascent.found)
    }

    fn run(&mut self, lanes: &[Lane<'_>], worker: &mut Worker<'_>) -> Result<(), BoundError> {
        let mut decay = 1.0;
        for iteration in 0..=self.climb.iterations {
            self.drop_proved(lanes);
            self.block.backward(worker)?;
            self.keep();
            let done = |r: &usize| self.is_proved(*r) || self.is_hopeless(*r);
            if iteration == self.climb.iterations || self.lanes.iter().all(done) {
                break;
            }
            let LaneClimb { alpha_rate, beta_rate, .. } = *self.climb;
            let steps = (adam(decay * alpha_rate, iteration), adam(decay * beta_rate, iteration));
            self.block.sweep(steps, None, worker)?;
            decay *= self.climb.decay;
        }
        if self.climb.only_bounds { Ok(()) } else { self.report(worker) }
    }

    /// Keeps the variables of lanes whose bounds have risen.
    fn keep(&mut self) {
        let mut risen = vec![false; self.block.value.len()];
        for (column, r) in self.lanes.iter().enumerate() {
            let (value, found) = (self.block.value[column], &mut self.found[*r]);
            if value > found.bound {
                (found.bound, risen[column]) = (value, true);
            }
            self.history[*r].push(found.bound);
        }
        if risen.contains(&true) && !self.climb.only_bounds {
            self.block.keep(&risen);
        }
    }

    fn is_proved(&self, r: usize) -> bool {
        self.climb.stop_when_positive && self.found[r].bound > 0.0
    }

    /// Whether the progress of the last iterations, kept up to the end, would not reach 0: rates decay, so it will be less.
    fn is_hopeless(&self, r: usize) -> bool {
        const LOOK_BACK: usize = 4;
        let (history, bound) = (&self.history[r], self.found[r].bound);
        if !self.climb.give_up || history.len() <= LOOK_BACK + 1 {
            return false;
        }
        let gain = (bound - history[history.len() - 1 - LOOK_BACK]) / LOOK_BACK as f32;
        let rest = self.climb.iterations.saturating_sub(history.len() - 1) as f32;
        bound + rest * gain < 0.0
    }

    /// Writes down the variables of the columns that `chosen` marks.
    fn settle(&mut self, lanes: &[Lane<'_>], chosen: impl Fn(usize) -> bool) {
        for (column, r) in self.lanes.iter().enumerate().filter(|(_, r)| chosen(**r)) {
            self.found[*r].start = self.block.column(column, lanes[*r].splits.len());
        }
    }

    /// Takes proved lanes out of the block when that makes it narrower; what the last pass left is gone.
    fn drop_proved(&mut self, lanes: &[Lane<'_>]) {
        let open: Vec<usize> = (0..self.lanes.len()).filter(|c| !self.is_proved(self.lanes[*c])).collect();
        if open.len().next_multiple_of(LANE_MULTIPLE) >= self.block.value.len() {
            return;
        }
        let proved: Vec<bool> = (0..self.found.len()).map(|r| self.is_proved(r)).collect();
        if !self.climb.only_bounds {
            self.settle(lanes, |r| proved[r]);
        }
        self.block.compact(&open);
        self.lanes = open.iter().map(|c| self.lanes[*c]).collect();
    }

    /// One more pass of the best variables, for what branching and clipping want to know of lanes that are not proved.
    fn report(&mut self, worker: &mut Worker<'_>) -> Result<(), BoundError> {
        let open = |found: &Found| !(self.climb.stop_when_positive && found.bound > 0.0);
        if !self.lanes.iter().any(|r| open(&self.found[*r])) {
            return Ok(());
        }
        self.block.restore();
        self.block.backward(worker)?;
        let mut report = Report::new(self.lanes.len());
        self.block.sweep((adam(0.0, 0), adam(0.0, 0)), Some(&mut report), worker)?;
        for (column, r) in self.lanes.iter().enumerate() {
            let found = &mut self.found[*r];
            if !(self.climb.stop_when_positive && found.bound > 0.0) {
                found.scores = report.scores(column);
                found.point = std::mem::take(&mut report.points[column]);
                found.coefficients = std::mem::take(&mut report.coefficients[column]);
                found.constant = report.constants[column];
            }
        }
        Ok(())
    }
}

/// The rows of the lanes on the output.
pub(super) fn spec_rows(known: &Known<'_>, spec: &Spec, lanes: &[Lane<'_>], width: usize) -> Start {
    let outputs = known.net.outputs();
    assert_eq!(spec.weights.len(), spec.bias.len() * outputs, "a spec of the outputs");
    let support = Arc::clone(&known.alive[known.net.output]);
    let (mut data, mut constant) = (vec![0.0; support.live.len() * width], vec![0.0; width]);
    for (r, lane) in lanes.iter().enumerate() {
        constant[r] = spec.bias[lane.row];
        let weights = &spec.weights[lane.row * outputs..][..outputs];
        for (a, j) in data.iter_mut().skip(r).step_by(width).zip(&support.live) {
            *a = weights[*j as usize];
        }
    }
    Start { slot: known.net.output, rows: Rows { support, data }, constant }
}

/// A row of one value each.
fn value_rows(known: &Known<'_>, slot: usize, lanes: &[Lane<'_>], width: usize) -> Start {
    let mut live: Vec<u32> = lanes.iter().map(|l| (l.row / 2) as u32).collect();
    live.sort_unstable();
    live.dedup();
    let support = Arc::new(Support::new(known.net.sizes[slot], live));
    let mut data = vec![0.0; support.live.len() * width];
    for (r, lane) in lanes.iter().enumerate() {
        let row = support.pos[lane.row / 2] as usize;
        data[row * width + r] = if lane.row % 2 == 0 { 1.0 } else { -1.0 };
    }
    Start { slot, rows: Rows { support, data }, constant: vec![0.0; width] }
}
