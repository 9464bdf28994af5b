//! CROWN: bounds of every operand of a nonlinear step by backward passes of its own, then the rows of a spec.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::backward::{End, Known, Worker};
use super::interval::{self, Interval, ROUNDING};
use super::lines::{self, Relaxation};
use super::memory::{BoundError, Memory};
use super::prepare::{Node, Prepared};
use super::rows::{Rows, Support};
use super::{LANES, Region};
use crate::program::{Function, Slot};
use certus_kernels::padded_lanes;

/// How the operands of nonlinear steps are bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Intermediate {
    /// [`Self::Intersected`]; and where an intersection cut a bound, [`Self::Reference`] too, the better of both: tighter intermediate
    /// bounds may choose another slope, so neither is always the tighter one.
    #[default]
    Default,
    /// Backward rows where interval arithmetic leaves a choice, intersected with it.
    Intersected,
    /// Backward rows where interval arithmetic leaves a choice, and their bounds as they are: the published definition
    /// (auto_LiRPA's: what interval arithmetic decides stays as it has it).
    Reference,
    /// Interval arithmetic alone.
    Interval,
}

/// How to bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How the operands of nonlinear steps are bounded.
    pub intermediate: Intermediate,
    /// Threads that share the blocks. Default 1, range 1….
    pub threads: usize,
    /// Most memory of all blocks together, bytes. Default 1 GiB. Blocks shrink, then neurons keep their interval bounds.
    pub memory_limit: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { intermediate: Intermediate::Default, threads: 1, memory_limit: 1 << 30 }
    }
}

/// When to stop early.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stop<'a> {
    /// After this moment no block is begun.
    pub deadline: Option<Instant>,
    /// When it is set, no block is begun.
    pub flag: Option<&'a AtomicBool>,
}

impl Stop<'_> {
    /// Whether it is time.
    pub fn now(&self) -> bool {
        self.flag.is_some_and(|f| f.load(Relaxed)) || self.deadline.is_some_and(|end| Instant::now() >= end)
    }
}

/// Rows of linear functions of the output: `weights·y + bias`, to be bounded from below.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// `[rows, outputs]`, row-major.
    pub weights: Vec<f32>,
    /// `[rows]`.
    pub bias: Vec<f32>,
}

/// What is found on a region.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bounds {
    /// Per slot of the program; empty where none was needed.
    pub slots: Vec<Interval>,
    /// Lower bound of each spec row, `[rows]`; `+∞` if the domain is empty.
    pub rows: Vec<f32>,
    /// Whether every neuron was bounded as the settings ask; if not (time or memory), some kept looser bounds.
    pub complete: bool,
    /// Most memory that blocks took at once, bytes.
    pub peak_bytes: usize,
}

/// What else is known of one element: a split, or a bound from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    /// Where it is; a slot that a nonlinear step reads, others are not looked at.
    pub slot: Slot,
    /// Element of the slot.
    pub element: usize,
    /// It is at least this.
    pub lower: f32,
    /// It is at most this.
    pub upper: f32,
}

/// One subproblem: a box, and what is known on it.
#[derive(Clone, Copy, Debug)]
pub struct Domain<'a> {
    /// The box.
    pub region: Region<'a>,
    /// Splits and inherited bounds.
    pub clips: &'a [Clip],
}

/// Bounds the operands of all nonlinear steps of `net` on `region`, then the rows of `spec`.
///
/// # Errors
/// [`BoundError::Stopped`] if stopped before the spec rows were bounded, [`BoundError::Memory`] if a block of them does not fit,
/// [`BoundError::Relax`] if a function is not defined on the bounds of its operand.
///
/// # Panics
/// If the shapes of `region` or `spec` do not fit `net`.
///
/// # Rounding
/// *Estimate*.
pub fn bound(
    net: &Prepared,
    region: Region<'_>,
    spec: &Spec,
    settings: &Settings,
    stop: Stop<'_>,
) -> Result<Bounds, BoundError> {
    let memory = Memory::new(settings.memory_limit);
    Job { net, settings, stop, memory: &memory }.bound(Domain { region, clips: &[] }, spec)
}

/// [`bound`] of each of `B` domains; the threads share the domains.
///
/// # Panics
/// As [`bound`].
pub fn bound_all(
    net: &Prepared,
    domains: &[Domain<'_>],
    spec: &Spec,
    settings: &Settings,
    stop: Stop<'_>,
) -> Vec<Result<Bounds, BoundError>> {
    let memory = Memory::new(settings.memory_limit);
    let alone = Settings { threads: 1, ..*settings };
    let mut items: Vec<_> = domains.iter().map(|d| (d, Err(BoundError::Stopped))).collect();
    let job = Job { net, settings, stop, memory: &memory };
    let each = Job { net, settings: &alone, stop, memory: &memory };
    job.share(&mut items, |(domain, found), _| *found = each.bound(**domain, spec), |_| {});
    items.into_iter().map(|(_, found)| found).collect()
}

/// Lower bounds of the rows of `spec` by interval arithmetic, the affine steps after the last nonlinear one merged with it.
///
/// # Errors
/// As [`bound`].
///
/// # Panics
/// As [`bound`].
pub fn interval_margin(net: &Prepared, region: Region<'_>, spec: &Spec) -> Result<Bounds, BoundError> {
    let settings = Settings { intermediate: Intermediate::Interval, ..Settings::default() };
    let memory = Memory::new(settings.memory_limit);
    let job = Job { net, settings: &settings, stop: Stop::default(), memory: &memory };
    let (known, complete) = job.intermediate(Domain { region, clips: &[] })?;
    let rows = job.spec_rows(&known, spec, true)?;
    Ok(Bounds { slots: known.intervals, rows, complete, peak_bytes: memory.peak() })
}

/// What all passes of one call share.
pub(super) struct Job<'a> {
    pub(super) net: &'a Prepared,
    pub(super) settings: &'a Settings,
    pub(super) stop: Stop<'a>,
    pub(super) memory: &'a Memory,
}

/// Rows that are carried together, and what they found.
struct Block {
    starts: Vec<u32>,
    found: Result<Vec<f32>, BoundError>,
}

impl Block {
    fn all(starts: &[u32], size: usize) -> Vec<Self> {
        let block = |starts: &[u32]| Self { starts: starts.to_vec(), found: Ok(Vec::new()) };
        starts.chunks(size).map(block).collect()
    }
}

impl<'a> Job<'a> {
    fn bound(&self, domain: Domain<'_>, spec: &Spec) -> Result<Bounds, BoundError> {
        let (known, complete) = self.intermediate(domain)?;
        let mut bounds = self.finish(&known, complete, spec)?;
        if self.settings.intermediate == Intermediate::Default && known.cut && !known.empty {
            bounds.slots = known.intervals;
            self.compare(domain, spec, &mut bounds)?;
        } else {
            bounds.slots = known.intervals;
        }
        Ok(bounds)
    }

    /// The spec rows; the intervals stay where they are.
    pub(super) fn finish(
        &self,
        known: &Known<'_>,
        complete: bool,
        spec: &Spec,
    ) -> Result<Bounds, BoundError> {
        let rows = if known.empty {
            vec![f32::INFINITY; spec.bias.len()]
        } else {
            self.spec_rows(known, spec, false)?
        };
        Ok(Bounds { slots: Vec::new(), rows, complete, peak_bytes: self.memory.peak() })
    }

    /// The better of `bounds` and those of the reference mode, if it gets through.
    pub(super) fn compare(
        &self,
        domain: Domain<'_>,
        spec: &Spec,
        bounds: &mut Bounds,
    ) -> Result<(), BoundError> {
        let settings = Settings { intermediate: Intermediate::Reference, ..*self.settings };
        let other = match (Job { settings: &settings, ..*self }).bound(domain, spec) {
            Err(BoundError::Stopped | BoundError::Memory { .. }) => {
                bounds.complete = false;
                return Ok(());
            }
            other => other?,
        };
        bounds.rows.iter_mut().zip(&other.rows).for_each(|(a, b)| *a = a.max(*b));
        for (ours, other) in bounds.slots.iter_mut().zip(&other.slots) {
            let ends = ours.lower.iter_mut().zip(&mut ours.upper).zip(other.lower.iter().zip(&other.upper));
            for ((l, u), (other_l, other_u)) in ends {
                let (a, b) = (l.max(*other_l), u.min(*other_u));
                // Rounding may cross the ends of a tiny interval.
                (*l, *u) = (a.min(b), a.max(b));
            }
        }
        bounds.complete &= other.complete;
        bounds.peak_bytes = self.memory.peak();
        Ok(())
    }

    /// Intervals and relaxations of all slots, and whether none was given up.
    pub(super) fn intermediate<'r>(&self, domain: Domain<'r>) -> Result<(Known<'r>, bool), BoundError>
    where
        'a: 'r,
    {
        self.intermediate_from(domain, None)
    }

    /// As [`Self::intermediate`], never looser than `parent`, the bounds of all slots of a domain around this one: what neither the box
    /// nor a clip changes is the parent's, the rest is bounded again and intersected with it.
    pub(super) fn intermediate_below<'r>(
        &self,
        domain: Domain<'r>,
        parent: &[Interval],
    ) -> Result<(Known<'r>, bool), BoundError>
    where
        'a: 'r,
    {
        self.intermediate_from(domain, Some(parent))
    }

    fn intermediate_from<'r>(
        &self,
        domain: Domain<'r>,
        parent: Option<&[Interval]>,
    ) -> Result<(Known<'r>, bool), BoundError>
    where
        'a: 'r,
    {
        let region = domain.region;
        let net = self.net;
        assert!(parent.is_none_or(|p| p.len() == net.nodes.len()), "bounds of all slots");
        assert!(
            region.lower.len() == net.inputs() && region.upper.len() == net.inputs(),
            "a region of the inputs"
        );
        let mut known = Known {
            net,
            region,
            intervals: vec![Interval { lower: region.lower.to_vec(), upper: region.upper.to_vec() }],
            empty: false,
            cut: false,
            inherited: parent.is_some(),
            relaxed: vec![None],
            alive: vec![Arc::new(Support::all(net.inputs()))],
        };
        let mut complete = true;
        let mut changed = parent.is_none_or(|p| p[0].lower != region.lower || p[0].upper != region.upper);
        for (slot, node) in net.nodes.iter().enumerate().skip(1) {
            let relaxation = match node {
                Node::Elementwise { input, function } => {
                    Some(lines::elementwise(&net.names[slot], *function, &known.intervals[*input])?)
                }
                Node::Max { input, groups } => Some(lines::max(groups, &known.intervals[*input])),
                Node::Product(_) => Some(Relaxation::Product),
                _ => None,
            };
            let mut interval = match parent {
                Some(parent) if !changed => parent[slot].clone(),
                _ => interval::step(&net.names[slot], node, net.sizes[slot], &known.intervals)?,
            };
            if let Some(parent) = parent.filter(|_| changed)
                && !interval.intersect(&parent[slot])
            {
                known.empty = true;
                break;
            }
            known.alive.push(lines::alive(node, relaxation.as_ref(), net.sizes[slot]));
            known.relaxed.push(relaxation);
            known.intervals.push(interval);
            if parent.is_some() {
                // First what the splits say, so that split neurons are decided.
                let before = (!changed).then(|| known.intervals[slot].clone());
                if !known.clip(slot, domain.clips) {
                    known.empty = true;
                    break;
                }
                let moved = before.is_some_and(|b| b != known.intervals[slot]);
                if changed && net.relaxed[slot] && !net.exact[slot] {
                    complete &= self.tighten(&mut known, slot);
                }
                changed |= moved;
                continue;
            }
            if net.relaxed[slot] && !net.exact[slot] {
                complete &= self.tighten(&mut known, slot);
            }
            if !known.clip(slot, domain.clips) {
                known.empty = true;
                break;
            }
        }
        Ok((known, complete))
    }

    /// Backward rows for the elements of `slot` that need them; false if some were given up.
    fn tighten(&self, known: &mut Known<'_>, slot: usize) -> bool {
        if self.settings.intermediate == Intermediate::Interval {
            return true;
        }
        let starts = blocks_of(self.net, slot, self.net.undecided(slot, &known.intervals[slot]));
        let mut blocks = Block::all(&starts, LANES / 2);
        self.run(&mut blocks, |starts, worker| {
            let mut c = vec![0.0; padded_lanes(2 * starts.len())];
            let rows = both_signs(known, slot, starts, c.len(), worker)?;
            known.backward(slot, rows, End::Input, worker, &mut c)?;
            Ok(c)
        });
        let interval = &mut known.intervals[slot];
        let (mut complete, mut cut) = (true, false);
        for Block { starts, found } in &blocks {
            let Ok(c) = found else {
                complete = false;
                continue;
            };
            for (r, j) in starts.iter().enumerate() {
                let (below, above) = (c[2 * r], -c[2 * r + 1]);
                let (l, u) = (&mut interval.lower[*j as usize], &mut interval.upper[*j as usize]);
                if self.settings.intermediate == Intermediate::Reference && !known.inherited {
                    (*l, *u) = (below, above);
                } else {
                    cut |= *l > below || *u < above;
                    (*l, *u) = (l.max(below), u.min(above));
                }
                // Rounding may cross the ends of a tiny interval.
                if *l > *u {
                    (*l, *u) = (*u, *l);
                }
            }
        }
        known.cut |= cut;
        complete
    }

    /// Lower bounds of the rows of `spec`; by intervals at the last nonlinear steps if `interval`.
    pub(super) fn spec_rows(
        &self,
        known: &Known<'_>,
        spec: &Spec,
        interval: bool,
    ) -> Result<Vec<f32>, BoundError> {
        assert_eq!(spec.weights.len(), spec.bias.len() * self.net.outputs(), "a spec of the outputs");
        let rows: Vec<u32> = (0..spec.bias.len() as u32).collect();
        let mut blocks = Block::all(&rows, LANES);
        self.run(&mut blocks, |rows, worker| {
            let mut c = vec![0.0; padded_lanes(rows.len())];
            let rows = spec_block(known, spec, rows, &mut c, worker)?;
            let end = if interval { End::Interval } else { End::Input };
            known.backward(self.net.output, rows, end, worker, &mut c)?;
            Ok(c)
        });
        let mut bounds = Vec::with_capacity(rows.len());
        for Block { starts, found } in blocks {
            bounds.extend_from_slice(&found?[..starts.len()]);
        }
        Ok(bounds)
    }

    fn run<F>(&self, blocks: &mut [Block], pass: F)
    where
        F: Fn(&[u32], &mut Worker<'_>) -> Result<Vec<f32>, BoundError> + Sync,
    {
        self.share(
            blocks,
            |block, worker| block.found = pass(&block.starts, worker),
            |block| block.found = Err(BoundError::Stopped),
        );
    }

    /// Runs `body` on every item, shared among the threads; `skip` once it is time to stop.
    pub(super) fn share<T, F, S>(&self, items: &mut [T], body: F, skip: S)
    where
        T: Send,
        F: Fn(&mut T, &mut Worker<'_>) + Sync,
        S: Fn(&mut T) + Sync,
    {
        let one = |item: &mut T, worker: &mut Worker<'_>| {
            if self.stop.now() { skip(item) } else { body(item, worker) }
        };
        let threads = self.settings.threads.min(items.len()).max(1);
        if threads == 1 {
            let mut worker = Worker::new(self.memory, self.stop);
            items.iter_mut().for_each(|item| one(item, &mut worker));
            return;
        }
        let queue = Mutex::new(items.iter_mut());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut worker = Worker::new(self.memory, self.stop);
                    loop {
                        let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
                        match next {
                            Some(item) => one(item, &mut worker),
                            None => break,
                        }
                    }
                });
            }
        });
    }
}

impl Known<'_> {
    /// Intersects the intervals of a slot with what else is known; false if one is empty by more than rounding can explain.
    fn clip(&mut self, slot: usize, clips: &[Clip]) -> bool {
        for clip in clips.iter().filter(|c| c.slot.0 == slot && self.net.relaxed[slot]) {
            let Interval { lower, upper } = &mut self.intervals[slot];
            let (l, u) = (&mut lower[clip.element], &mut upper[clip.element]);
            let slack = ROUNDING * (*u - *l);
            let cut = (l.max(clip.lower), u.min(clip.upper));
            if cut.0 > cut.1 + slack {
                return false;
            }
            (*l, *u) = (cut.0.min(cut.1), cut.0.max(cut.1));
        }
        true
    }
}

/// The rows of a spec over the output, their constants into `c`.
pub(super) fn spec_block(
    known: &Known<'_>,
    spec: &Spec,
    rows: &[u32],
    c: &mut [f32],
    worker: &mut Worker<'_>,
) -> Result<Rows, BoundError> {
    let (lanes, outputs) = (c.len(), known.net.outputs());
    let support = Arc::clone(&known.alive[known.net.output]);
    let mut data = worker.pool.take(support.live.len() * lanes)?;
    data.fill(0.0);
    c.fill(0.0);
    for (r, row) in rows.iter().enumerate() {
        c[r] = spec.bias[*row as usize];
        let weights = &spec.weights[*row as usize * outputs..][..outputs];
        for (a, j) in data.iter_mut().skip(r).step_by(lanes).zip(&support.live) {
            *a = weights[*j as usize];
        }
    }
    Ok(Rows { support, data })
}

/// The starts in an order in which neighbours have neighbouring receptive fields.
pub(super) fn blocks_of(net: &Prepared, slot: usize, mut starts: Vec<u32>) -> Vec<u32> {
    let [_, height, width] = net.shapes[slot];
    starts.sort_by_cached_key(|j| place(*j as usize, height, width));
    starts
}

/// `+1` and `−1` on each start, in neighbouring lanes.
pub(super) fn both_signs(
    known: &Known<'_>,
    slot: usize,
    starts: &[u32],
    lanes: usize,
    worker: &mut Worker<'_>,
) -> Result<Rows, BoundError> {
    let mut live = starts.to_vec();
    live.sort_unstable();
    let support = Arc::new(Support::new(known.net.sizes[slot], live));
    let mut data = worker.pool.take(starts.len() * lanes)?;
    data.fill(0.0);
    for (r, j) in starts.iter().enumerate() {
        let at = support.pos[*j as usize] as usize * lanes;
        (data[at + 2 * r], data[at + 2 * r + 1]) = (1.0, -1.0);
    }
    Ok(Rows { support, data })
}

/// Where an element lies: neighbours in the plane are neighbours in this order (Morton's), channels innermost.
fn place(j: usize, height: usize, width: usize) -> (u64, usize) {
    let (channel, y, x) = (j / (height * width), j / width % height, j % width);
    let spread = |v: usize| (0..32).fold(0u64, |s, bit| s | ((v as u64 >> bit & 1) << (2 * bit)));
    (spread(y) << 1 | spread(x), channel)
}

impl Prepared {
    /// The elements of `slot` whose nonlinear readers are not exact on their intervals.
    pub(super) fn undecided(&self, slot: usize, interval: &Interval) -> Vec<u32> {
        let mut marks = vec![false; self.sizes[slot]];
        for node in &self.nodes {
            match node {
                Node::Elementwise { input, function } if *input == slot => {
                    for (j, mark) in marks.iter_mut().enumerate() {
                        let [l, u] = interval.at(j);
                        *mark |= is_undecided(*function, l, u);
                    }
                }
                Node::Max { input, groups } if *input == slot => {
                    for group in groups.iter() {
                        let ends = |j: &u32| interval.at(*j as usize);
                        let lowest = group.iter().fold(f32::NEG_INFINITY, |m, j| m.max(ends(j)[0]));
                        // Members that may exceed all others, unless only one is left.
                        let rivals = group.iter().filter(|j| ends(j)[1] >= lowest).count();
                        if rivals > 1 {
                            group
                                .iter()
                                .filter(|j| ends(j)[1] >= lowest)
                                .for_each(|j| marks[*j as usize] = true);
                        }
                    }
                }
                Node::Product(p) if p.left == slot || p.right == slot => {
                    marks
                        .iter_mut()
                        .zip(&interval.lower)
                        .zip(&interval.upper)
                        .for_each(|((m, l), u)| *m |= l < u);
                }
                _ => {}
            }
        }
        (0..marks.len() as u32).filter(|j| marks[*j as usize]).collect()
    }
}

/// Whether the function is not affine on the interval.
fn is_undecided(function: Function, lower: f32, upper: f32) -> bool {
    match function {
        Function::Relu | Function::LeakyRelu { .. } | Function::Abs => lower < 0.0 && upper > 0.0,
        Function::Clip { lower: floor, upper: ceiling } => {
            (lower < floor && upper > floor) || (lower < ceiling && upper > ceiling)
        }
        _ => lower < upper,
    }
}
