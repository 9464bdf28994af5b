//! α-CROWN: the free lower slopes of unstable neurons, climbed along the gradient of the bounds.
//!
//! Every block of rows has slopes of its own: those of a spec, and in *joint* mode those of each neuron that the first CROWN leaves undecided,
//! whose bounds are recomputed in every iteration. The gradient goes from last to first: the sweep of the spec rows gives their
//! derivatives by each interval, which weigh the rows that bounded it in their own sweep ([`super::tape`]).
//!
//! Every iterate is a bound. The best of each row and the tightest of each interval are kept; at the end some iterations of the
//! spec alone use the tightest intervals.
//!
//! Source: Xu et al. 2021 (arXiv:2011.13824); Adam with decaying rate. The adjoint without a tape of operations and the last iterations are ours.

use std::collections::BTreeMap;

use super::LANES;
use super::backward::{End, Known, Worker};
use super::batch::{Alphas, RowSlopes, SlotSlopes, first_bytes, knot_byte, share_byte};
use super::crown::{
    Bounds, Domain, Intermediate, Job, Settings, Spec, Stop, blocks_of, both_signs, spec_block,
};
use super::interval::Interval;
use super::lines::{self, FreeLines, Kind, Relaxation};
use super::memory::{BoundError, Memory};
use super::prepare::{Node, Prepared};
use super::tape::Tape;
use certus_kernels::lanes::{Adam, AlphaLine, KnotLine};
use certus_kernels::padded_lanes;

/// How long and how fast to climb.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Climb {
    /// Iterations. Default 20.
    pub iterations: usize,
    /// Iterations of the spec alone at the end, with the tightest intervals that were met. Default 5; none unless `joint`.
    pub last: usize,
    /// Step of the first iteration, in units of alpha. Default 0.25 (0.1 and 0.5 were a little worse), range (0, 1].
    pub rate: f32,
    /// Factor of the step per iteration. Default 0.98, range (0, 1].
    pub decay: f32,
    /// Whether the intermediate bounds climb too. Default true.
    pub joint: bool,
    /// Whether to stop once every row is positive. Default true.
    pub stop_when_positive: bool,
}

impl Default for Climb {
    fn default() -> Self {
        Self { iterations: 20, last: 5, rate: 0.25, decay: 0.98, joint: true, stop_when_positive: true }
    }
}

/// As [`bound`](super::bound), then climbs.
///
/// # Errors
/// As [`bound`](super::bound). If climbing is stopped or runs out of memory, what was found until then is returned, `complete` false.
///
/// # Panics
/// As [`bound`](super::bound).
///
/// # Rounding
/// *Estimate*.
pub fn climb(
    net: &Prepared,
    domain: Domain<'_>,
    spec: &Spec,
    settings: &Settings,
    climb: &Climb,
    stop: Stop<'_>,
) -> Result<Bounds, BoundError> {
    climb_noting(net, domain, spec, settings, climb, stop, None)
}

/// As [`climb`], noting with which slopes each bound was found.
pub(super) fn climb_noting(
    net: &Prepared,
    domain: Domain<'_>,
    spec: &Spec,
    settings: &Settings,
    climb: &Climb,
    stop: Stop<'_>,
    notes: Option<&mut Notes>,
) -> Result<Bounds, BoundError> {
    let memory = Memory::new(settings.memory_limit);
    let job = Job { net, settings, stop, memory: &memory };
    let (known, complete) = job.intermediate(domain)?;
    let mut bounds = job.finish(&known, complete, spec)?;
    bounds.slots.clone_from(&known.intervals);
    if known.empty {
        return Ok(bounds);
    }
    if settings.intermediate == Intermediate::Default && known.cut {
        job.compare(domain, spec, &mut bounds)?;
    }
    let mut complete = bounds.complete;
    let mut ascent = Ascent::new(&job, known, spec, bounds, climb);
    ascent.notes = notes;
    match ascent.run(climb) {
        Ok(()) => {}
        Err(BoundError::Stopped | BoundError::Memory { .. }) => complete = false,
        Err(error) => return Err(error),
    }
    let Ascent { tightest, best, .. } = ascent;
    Ok(Bounds { slots: tightest, rows: best, complete, peak_bytes: memory.peak() })
}

/// Rows that are carried together.
pub(super) struct Block {
    /// Where they start.
    pub(super) slot: usize,
    /// Neurons of the slot (two lanes each), or rows of the spec.
    pub(super) starts: Vec<u32>,
    pub(super) tape: Tape,
    /// `[lanes]`.
    pub(super) bounds: Vec<f32>,
    /// Derivative of the objective by each bound, `[lanes]`.
    pub(super) weight: Vec<f32>,
    /// Whether the last pass or sweep went through.
    outcome: Result<(), BoundError>,
}

pub(super) struct Ascent<'a, 'r> {
    job: &'a Job<'a>,
    spec: &'a Spec,
    known: Known<'r>,
    /// Tightest bounds so far.
    tightest: Vec<Interval>,
    /// Best bound of each row so far.
    best: Vec<f32>,
    /// Blocks of neurons by slot, ascending.
    pub(super) inner: Vec<Vec<Block>>,
    pub(super) rows: Vec<Block>,
    /// Derivatives of the objective by the ends of each interval.
    by_ends: Vec<Vec<[f32; 2]>>,
    /// Whether rows that are positive once count no more.
    drop_proved: bool,
    notes: Option<&'a mut Notes>,
}

/// With which slopes the tightest bounds were found so far; what is not here had adaptive ones.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Slot and element; of its lower, of its upper bound.
    neurons: BTreeMap<(usize, u32), [Alphas; 2]>,
    rows: BTreeMap<u32, Alphas>,
    /// First claim byte of the step that gives each slot.
    first: Vec<usize>,
}

impl Notes {
    /// The slopes in lane `r` of the last pass.
    fn column(&mut self, net: &Prepared, block: &Block, r: usize) -> Alphas {
        if self.first.is_empty() {
            self.first = first_bytes(net);
        }
        let mut alphas = Alphas::default();
        let lanes = block.bounds.len();
        for (at, slopes) in block.tape.slopes.iter().enumerate() {
            let (Some(slopes), Some(support)) = (slopes, &block.tape.supports[at]) else { continue };
            let (first, n) = (self.first[at], net.sizes[at]);
            if self.first[at + 1] - first == n {
                for (i, row) in slopes.rows.iter().enumerate() {
                    alphas.places.push(first as u32 + support.live[*row as usize]);
                    alphas.shares.push(share_byte(slopes.alpha[i * lanes + r]));
                }
            } else if slopes.alpha.len() == 2 * slopes.post.len() {
                for (i, row) in slopes.rows.iter().enumerate() {
                    for side in 0..2 {
                        alphas.places.push(first as u32 + 2 * support.live[*row as usize] + side as u32);
                        let way = slopes.alpha[side * slopes.post.len() + i * lanes + r];
                        alphas.shares.push(knot_byte(way));
                    }
                }
            }
        }
        alphas
    }

    /// All of them.
    pub(super) fn into_rows(self, rows: usize) -> RowSlopes {
        let mut slots: Vec<SlotSlopes> = Vec::new();
        for ((slot, element), both) in self.neurons {
            if slots.last().is_none_or(|s| s.slot != slot) {
                slots.push(SlotSlopes { slot, ..SlotSlopes::default() });
            }
            let last = slots.last_mut().expect("just pushed");
            last.elements.push(element);
            last.rows.push(both);
        }
        let mut by_row = self.rows;
        let rows = (0..rows as u32).map(|row| by_row.remove(&row).unwrap_or_default()).collect();
        RowSlopes { slots, rows }
    }
}

impl<'a, 'r> Ascent<'a, 'r> {
    pub(super) fn new(
        job: &'a Job<'a>,
        known: Known<'r>,
        spec: &'a Spec,
        first: Bounds,
        climb: &Climb,
    ) -> Self {
        let net = job.net;
        let block = |slot: usize, starts: &[u32], lanes: usize| Block {
            slot,
            starts: starts.to_vec(),
            tape: Tape::new(net.nodes.len()),
            bounds: vec![0.0; lanes],
            weight: vec![0.0; lanes],
            outcome: Ok(()),
        };
        let mut inner = Vec::new();
        for slot in (1..net.nodes.len()).filter(|s| climb.joint && net.relaxed[*s] && !net.exact[*s]) {
            let starts = blocks_of(net, slot, net.undecided(slot, &known.intervals[slot]));
            let blocks: Vec<Block> =
                starts.chunks(LANES / 2).map(|s| block(slot, s, padded_lanes(2 * s.len()))).collect();
            if !blocks.is_empty() {
                inner.push(blocks);
            }
        }
        let all: Vec<u32> = (0..spec.bias.len() as u32).collect();
        let rows = all.chunks(LANES).map(|rows| block(net.output, rows, padded_lanes(rows.len()))).collect();
        let by_ends = known.intervals.iter().map(|i| vec![[0.0; 2]; i.lower.len()]).collect();
        let (tightest, best, drop_proved) = (first.slots, first.rows, climb.stop_when_positive);
        Self { job, spec, tightest, known, best, inner, rows, by_ends, drop_proved, notes: None }
    }

    fn run(&mut self, climb: &Climb) -> Result<(), BoundError> {
        let decided = |best: &[f32]| climb.stop_when_positive && best.iter().all(|b| *b > 0.0);
        let mut rate = climb.rate;
        for iteration in 0..=climb.iterations {
            if decided(&self.best) {
                return Ok(());
            }
            self.propagate()?;
            if iteration < climb.iterations && !decided(&self.best) {
                self.ascend(adam(rate, iteration), true)?;
                rate *= climb.decay;
            }
        }
        if self.inner.is_empty() {
            return Ok(());
        }
        self.known.intervals.clone_from(&self.tightest);
        self.relax_all()?;
        for iteration in climb.iterations..=climb.iterations + climb.last {
            self.rows_pass()?;
            if decided(&self.best) || iteration == climb.iterations + climb.last {
                break;
            }
            self.ascend(adam(rate, iteration), false)?;
            rate *= climb.decay;
        }
        Ok(())
    }

    /// All intermediate bounds with the present slopes, then the rows of the spec.
    pub(super) fn propagate(&mut self) -> Result<(), BoundError> {
        let mut inner = std::mem::take(&mut self.inner);
        let mut waiting = inner.iter_mut().peekable();
        let mut result = Ok(());
        for slot in 1..self.known.net.nodes.len() {
            result = self.relax(slot);
            if result.is_err() {
                break;
            }
            let Some(blocks) = waiting.next_if(|b| b[0].slot == slot) else { continue };
            let known = &self.known;
            result = share(self.job, blocks, |block, worker| {
                block.bounds.fill(0.0);
                let rows = both_signs(known, slot, &block.starts, block.bounds.len(), worker)?;
                known.backward(slot, rows, End::Tape(&mut block.tape), worker, &mut block.bounds)
            });
            if result.is_err() {
                break;
            }
            self.keep(slot, blocks);
        }
        self.inner = inner;
        result?;
        self.rows_pass()
    }

    /// Takes the bounds of a slot's neurons as they are, and keeps the tightest. The tightest are not used while climbing: a
    /// bound that does not move with the slopes has no gradient (on `mnist_256x6` cutting at interval bounds costs a third).
    fn keep(&mut self, slot: usize, blocks: &[Block]) {
        let (now, best) = (&mut self.known.intervals[slot], &mut self.tightest[slot]);
        for block in blocks {
            for (r, j) in block.starts.iter().map(|j| *j as usize).enumerate() {
                let (l, u) = (block.bounds[2 * r], -block.bounds[2 * r + 1]);
                // Rounding may cross the ends of a tiny interval.
                (now.lower[j], now.upper[j]) = (l.min(u), l.max(u));
                if let Some(notes) = &mut self.notes {
                    let tighter = [now.lower[j] > best.lower[j], now.upper[j] < best.upper[j]];
                    for side in (0..2).filter(|side| tighter[*side]) {
                        let column = notes.column(self.known.net, block, 2 * r + side);
                        notes.neurons.entry((slot, j as u32)).or_default()[side] = column;
                    }
                }
                let (l, u) = (best.lower[j].max(now.lower[j]), best.upper[j].min(now.upper[j]));
                (best.lower[j], best.upper[j]) = (l.min(u), l.max(u));
            }
        }
    }

    fn rows_pass(&mut self) -> Result<(), BoundError> {
        let (known, spec) = (&self.known, self.spec);
        share(self.job, &mut self.rows, |block, worker| {
            let rows = spec_block(known, spec, &block.starts, &mut block.bounds, worker)?;
            known.backward(block.slot, rows, End::Tape(&mut block.tape), worker, &mut block.bounds)
        })?;
        for block in &self.rows {
            for (r, (row, bound)) in block.starts.iter().zip(&block.bounds).enumerate() {
                let best = &mut self.best[*row as usize];
                if let Some(notes) = self.notes.as_mut().filter(|_| *bound > *best) {
                    let column = notes.column(self.known.net, block, r);
                    notes.rows.insert(*row, column);
                }
                *best = best.max(*bound);
            }
        }
        Ok(())
    }

    /// The sweeps of all blocks, last to first, each with a step of its slopes.
    pub(super) fn ascend(&mut self, adam: Adam, joint: bool) -> Result<(), BoundError> {
        let seeds = &self.job.net.undifferentiated;
        for (slot, by_ends) in self.by_ends.iter_mut().enumerate() {
            // Maxima and products: tighter operands are better, by how much is not asked.
            by_ends.fill(if seeds[slot] { [1.0, -1.0] } else { [0.0; 2] });
        }
        let (known, all) = (&self.known, !self.drop_proved);
        for block in &mut self.rows {
            block.weight.fill(0.0);
            for (row, w) in block.starts.iter().zip(&mut block.weight) {
                *w = f32::from(u8::from(all || self.best[*row as usize] <= 0.0));
            }
        }
        share(self.job, &mut self.rows, |block, worker| {
            known.sweep(block.slot, &mut block.tape, &block.weight, adam, worker)
        })?;
        collect(known, &self.rows, &mut self.by_ends);
        for blocks in self.inner.iter_mut().rev().filter(|_| joint) {
            for block in blocks.iter_mut() {
                block.weigh(&self.by_ends[block.slot]);
            }
            share(self.job, blocks, |block, worker| {
                if block.weight.iter().all(|w| *w == 0.0) {
                    return Ok(());
                }
                known.sweep(block.slot, &mut block.tape, &block.weight, adam, worker)
            })?;
            collect(known, blocks, &mut self.by_ends);
        }
        Ok(())
    }

    fn relax_all(&mut self) -> Result<(), BoundError> {
        (1..self.known.net.nodes.len()).try_for_each(|slot| self.relax(slot))
    }

    /// The relaxation of the step that gives `slot`, on the present bounds of its operands. Which neurons have two lines stays as it was.
    fn relax(&mut self, slot: usize) -> Result<(), BoundError> {
        let net = self.known.net;
        match (&net.nodes[slot], &mut self.known.relaxed[slot]) {
            (Node::Elementwise { input, function }, Some(Relaxation::Lines { pairs, kinds, free })) => {
                let operand = &self.known.intervals[*input];
                if let Relaxation::Lines { pairs: fresh, .. } =
                    lines::elementwise(&net.names[slot], *function, operand)?
                {
                    *pairs = fresh;
                }
                let is_free = |j: &usize| kinds[*j] == Kind::Lines;
                let all = 0..kinds.len();
                if lines::has_knots(*function) {
                    let mut knots = vec![KnotLine::default(); kinds.len()];
                    for j in all.filter(is_free) {
                        knots[j] = lines::knot_line(*function, operand.at(j), pairs[j]);
                    }
                    *free = FreeLines::Knots(knots);
                } else {
                    let mut alpha = vec![AlphaLine::default(); kinds.len()];
                    for j in all.filter(is_free) {
                        alpha[j] = lines::alpha_line(*function, operand.at(j), pairs[j]);
                    }
                    *free = FreeLines::Lower(alpha);
                }
            }
            (Node::Max { input, groups }, Some(planes)) => {
                *planes = lines::max(groups, &self.known.intervals[*input]);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Block {
    /// The derivative of the objective by each lane's bound: an upper end is the negated bound of the negated neuron.
    fn weigh(&mut self, by_ends: &[[f32; 2]]) {
        for (r, j) in self.starts.iter().enumerate() {
            let [by_lower, by_upper] = by_ends[*j as usize];
            (self.weight[2 * r], self.weight[2 * r + 1]) = (by_lower, -by_upper);
        }
    }
}

/// Adds what the sweeps left to the derivatives by each interval, in the order of the blocks.
fn collect(known: &Known<'_>, blocks: &[Block], by_ends: &mut [Vec<[f32; 2]>]) {
    for block in blocks {
        for (at, slopes) in block.tape.slopes.iter().enumerate() {
            let (Some(slopes), Node::Elementwise { input, .. }) = (slopes, &known.net.nodes[at]) else {
                continue;
            };
            let Some(support) = &block.tape.supports[at] else { continue };
            if block.weight.iter().all(|w| *w == 0.0) {
                continue;
            }
            for (row, [l, u]) in slopes.rows.iter().zip(&slopes.by_ends) {
                let sum = &mut by_ends[*input][support.live[*row as usize] as usize];
                (sum[0], sum[1]) = (sum[0] + l, sum[1] + u);
            }
        }
    }
}

/// Runs `pass` on every block, shared among the threads.
fn share<F>(job: &Job<'_>, blocks: &mut [Block], pass: F) -> Result<(), BoundError>
where
    F: Fn(&mut Block, &mut Worker<'_>) -> Result<(), BoundError> + Sync,
{
    job.share(
        blocks,
        |block, worker| block.outcome = pass(block, worker),
        |block| {
            block.outcome = Err(BoundError::Stopped);
        },
    );
    blocks.iter().try_for_each(|block| block.outcome.clone())
}

/// Adam's step in an iteration, its bias corrections included.
pub(super) fn adam(rate: f32, iteration: usize) -> Adam {
    let (beta_1, beta_2) = (0.9f32, 0.999f32);
    let step = i32::try_from(iteration + 1).unwrap_or(i32::MAX);
    let correction = (1.0 - beta_2.powi(step)).sqrt() / (1.0 - beta_1.powi(step));
    Adam { rate: rate * correction, beta_1, beta_2 }
}
