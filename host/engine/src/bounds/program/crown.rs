//! CROWN: bounds of every operand of a nonlinear step by backward passes of its own, then the rows of a spec.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::backward::{End, Known, Worker};
use super::interval::{self, Interval};
use super::lines::{self, Relaxation};
use super::memory::{BoundError, Memory};
use super::prepare::{Node, Prepared};
use super::rows::{Rows, Support};
use super::{LANES, Region};
use crate::program::Function;

/// How the operands of nonlinear steps are bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Intermediate {
    /// Backward rows where interval arithmetic leaves a choice, intersected with it.
    #[default]
    Default,
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
    /// Lower bound of each spec row, `[rows]`.
    pub rows: Vec<f32>,
    /// Whether every neuron was bounded as the settings ask; if not (time or memory), some kept looser bounds.
    pub complete: bool,
    /// Most memory that blocks took at once, bytes.
    pub peak_bytes: usize,
}

/// Bounds the operands of all nonlinear steps of `net` on `region`, then the rows of `spec`.
///
/// # Errors
/// [`BoundError::Stopped`] if stopped before the spec rows were bounded, [`BoundError::Memory`] if a block of them does not fit.
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
    let job = Job { net, settings, stop, memory: &memory };
    let (known, complete) = job.intermediate(region)?;
    let rows = job.spec_rows(&known, spec, End::Input)?;
    Ok(Bounds { slots: known.intervals, rows, complete, peak_bytes: memory.peak() })
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
    let (known, complete) = job.intermediate(region)?;
    let rows = job.spec_rows(&known, spec, End::Interval)?;
    Ok(Bounds { slots: known.intervals, rows, complete, peak_bytes: memory.peak() })
}

/// What all passes of one call share.
struct Job<'a> {
    net: &'a Prepared,
    settings: &'a Settings,
    stop: Stop<'a>,
    memory: &'a Memory,
}

impl<'a> Job<'a> {
    /// Intervals and relaxations of all slots, and whether none was given up.
    fn intermediate<'r>(&self, region: Region<'r>) -> Result<(Known<'r>, bool), BoundError>
    where
        'a: 'r,
    {
        let net = self.net;
        assert!(
            region.lower.len() == net.inputs() && region.upper.len() == net.inputs(),
            "a region of the inputs"
        );
        let mut known = Known {
            net,
            region,
            intervals: vec![Interval { lower: region.lower.to_vec(), upper: region.upper.to_vec() }],
            relaxed: vec![None],
            alive: vec![Arc::new(Support::all(net.inputs()))],
        };
        let mut complete = true;
        for (slot, node) in net.nodes.iter().enumerate().skip(1) {
            let relaxation = match node {
                Node::Elementwise { input, function } => {
                    Some(lines::elementwise(&net.names[slot], *function, &known.intervals[*input])?)
                }
                Node::Max { input, groups } => Some(lines::max(groups, &known.intervals[*input])),
                Node::Product(_) => Some(Relaxation::Product),
                _ => None,
            };
            let interval = interval::step(&net.names[slot], node, net.sizes[slot], &known.intervals)?;
            known.alive.push(lines::alive(node, relaxation.as_ref(), net.sizes[slot]));
            known.relaxed.push(relaxation);
            known.intervals.push(interval);
            if net.relaxed[slot] && !net.exact[slot] {
                complete &= self.tighten(&mut known, slot);
            }
        }
        Ok((known, complete))
    }

    /// Backward rows for the elements of `slot` that need them; false if some were given up.
    fn tighten(&self, known: &mut Known<'_>, slot: usize) -> bool {
        let mut starts: Vec<u32> = match self.settings.intermediate {
            Intermediate::Interval => return true,
            Intermediate::Reference | Intermediate::Default => {
                self.net.undecided(slot, &known.intervals[slot])
            }
        };
        let [_, height, width] = self.net.shapes[slot];
        starts.sort_by_key(|j| place(*j as usize, height, width));
        let blocks: Vec<&[u32]> = starts.chunks(LANES / 2).collect();
        let found = self.all(known, &blocks, |known, starts, worker, c| {
            known.backward(slot, both_signs(known, slot, starts, c.len(), worker)?, End::Input, worker, c)
        });
        let interval = &mut known.intervals[slot];
        let mut complete = true;
        for (starts, found) in blocks.iter().zip(found) {
            let Ok(c) = found else {
                complete = false;
                continue;
            };
            for (r, j) in starts.iter().enumerate() {
                let (below, above) = (c[2 * r], -c[2 * r + 1]);
                let (l, u) = (&mut interval.lower[*j as usize], &mut interval.upper[*j as usize]);
                if self.settings.intermediate == Intermediate::Reference {
                    (*l, *u) = (below, above);
                } else {
                    (*l, *u) = (l.max(below), u.min(above));
                }
                // Rounding may cross the ends of a tiny interval.
                if *l > *u {
                    (*l, *u) = (*u, *l);
                }
            }
        }
        complete
    }

    fn spec_rows(&self, known: &Known<'_>, spec: &Spec, end: End) -> Result<Vec<f32>, BoundError> {
        let outputs = self.net.outputs();
        assert_eq!(spec.weights.len(), spec.bias.len() * outputs, "a spec of the outputs");
        let rows: Vec<u32> = (0..spec.bias.len() as u32).collect();
        let blocks: Vec<&[u32]> = rows.chunks(LANES).collect();
        let found = self.all(known, &blocks, |known, rows, worker, c| {
            let lanes = c.len();
            let support = Arc::clone(&known.alive[self.net.output]);
            let mut data = worker.pool.take(support.live.len() * lanes)?;
            data.fill(0.0);
            for (r, row) in rows.iter().enumerate() {
                c[r] = spec.bias[*row as usize];
                let weights = &spec.weights[*row as usize * outputs..][..outputs];
                for (a, j) in data[r..].iter_mut().step_by(lanes).zip(&support.live) {
                    *a = weights[*j as usize];
                }
            }
            known.backward(self.net.output, Rows { support, data }, end, worker, c)
        });
        let mut bounds = Vec::with_capacity(rows.len());
        for (block, found) in blocks.iter().zip(found) {
            bounds.extend_from_slice(&found?[..block.len()]);
        }
        Ok(bounds)
    }

    /// Runs `pass` on every block, shared among the threads, and gives each block's constants.
    fn all<'k, F>(&self, known: &Known<'k>, blocks: &[&[u32]], pass: F) -> Vec<Result<Vec<f32>, BoundError>>
    where
        F: Fn(&Known<'k>, &[u32], &mut Worker<'_>, &mut [f32]) -> Result<(), BoundError> + Sync,
    {
        let one = |block: &[u32], worker: &mut Worker<'_>| {
            if self.stop.now() {
                return Err(BoundError::Stopped);
            }
            let mut c = vec![0.0; LANES];
            pass(known, block, worker, &mut c)?;
            Ok(c)
        };
        let threads = self.settings.threads.min(blocks.len()).max(1);
        if threads == 1 {
            let mut worker = Worker::new(self.memory);
            return blocks.iter().map(|b| one(b, &mut worker)).collect();
        }
        let next = AtomicUsize::new(0);
        let results = Mutex::new(vec![Err(BoundError::Stopped); blocks.len()]);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut worker = Worker::new(self.memory);
                    while let Some((i, block)) = blocks.get(next.load(Relaxed)).and_then(|_| {
                        let i = next.fetch_add(1, Relaxed);
                        blocks.get(i).map(|b| (i, b))
                    }) {
                        let found = one(block, &mut worker);
                        results.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[i] = found;
                    }
                });
            }
        });
        results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// `+1` and `−1` on each start, in neighbouring lanes.
fn both_signs(
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
    fn undecided(&self, slot: usize, interval: &Interval) -> Vec<u32> {
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
