//! Operations that are not elementwise, each with a kernel of its own.

use crate::graph::{Axis, Conv, Graph, Node, Op};
use certus_kernels::correlate::{self, correlate};
use certus_kernels::gather::{Panels, Term};
use certus_kernels::gemm;
use certus_kernels::relax::wide;

/// What is computed from inputs into one buffer.
#[derive(Debug)]
pub(super) enum Step {
    Fill(f32),
    Sum(Axis),
    Largest(Axis),
    MatMul { sizes: [usize; 3], transposed: [bool; 2] },
    Conv(Windows),
    ConvData(Windows),
    ConvWeight(Windows),
    Slice { from: usize, len: usize },
    Embed { from: usize, len: usize },
    Repeat { times: usize, inner: usize },
    Fold { times: usize, inner: usize },
}

impl Step {
    /// The kernel for `node`.
    ///
    /// # Panics
    /// If its operation has none.
    pub fn new(graph: &Graph, node: Node) -> Self {
        let entry = graph.entry(node);
        let lanes = |k: usize| *graph.shape(entry.inputs[k]).last().expect("images have lanes");
        let row = || entry.len() / entry.shape[0];
        match entry.op {
            Op::Constant(c) => Self::Fill(c.get() as f32),
            Op::Sum(at) => Self::Sum(at),
            Op::Largest(at) => Self::Largest(at),
            Op::MatMul(transposed) => {
                let shape = graph.shape(entry.inputs[0]);
                let k = if transposed[0] { shape[0] } else { shape[1] };
                Self::MatMul { sizes: [entry.shape[0], k, entry.shape[1]], transposed }
            }
            Op::Conv(c) => Self::Conv(Windows::forward(c, lanes(0))),
            Op::ConvData(c) => Self::ConvData(Windows::backward(c, lanes(0))),
            Op::ConvWeight(c) => Self::ConvWeight(Windows::weights_of(c, lanes(0))),
            Op::Slice { start } => Self::Slice { from: start * row(), len: entry.len() },
            Op::Embed { start } => {
                Self::Embed { from: start * row(), len: graph.entry(entry.inputs[0]).len() }
            }
            Op::Repeat { times, inner } => Self::Repeat { times, inner },
            Op::Fold { times, inner } => Self::Fold { times, inner },
            op => unreachable!("{op:?} is fused or takes no memory"),
        }
    }

    /// Elements of memory that it takes besides its buffer, about.
    pub fn scratch(&self) -> usize {
        match self {
            Self::Conv(w) | Self::ConvData(w) | Self::ConvWeight(w) => w.weights(),
            _ => 0,
        }
    }

    /// Computes; `threads` of the current pool take part.
    pub fn run(&self, x: &[&[f32]], to: &mut [f32], threads: usize) {
        match self {
            Self::Fill(c) => to.fill(*c),
            Self::Sum(at) => shared_sum(*at, x[0], to, threads),
            Self::Largest(at) => wide(|| largest(*at, x[0], to)),
            Self::MatMul { sizes, transposed } => {
                gemm::product(to, [x[0], x[1]], *sizes, *transposed, false, threads);
            }
            Self::Conv(w) | Self::ConvData(w) => w.gather(x[0], x[1], to, threads),
            Self::ConvWeight(w) => w.correlate(x[0], x[1], to, threads),
            Self::Slice { from, len } => to.copy_from_slice(&x[0][*from..from + len]),
            Self::Embed { from, len } => {
                to[..*from].fill(0.0);
                to[*from..from + len].copy_from_slice(x[0]);
                to[from + len..].fill(0.0);
            }
            Self::Repeat { times, inner } => {
                for (to, x) in to.chunks_exact_mut(times * inner).zip(x[0].chunks_exact(*inner)) {
                    to.chunks_exact_mut(*inner).for_each(|to| to.copy_from_slice(x));
                }
            }
            Self::Fold { times, inner } => {
                for (to, x) in to.chunks_exact_mut(*inner).zip(x[0].chunks_exact(times * inner)) {
                    to.copy_from_slice(&x[..*inner]);
                    for x in x[*inner..].chunks_exact(*inner) {
                        to.iter_mut().zip(x).for_each(|(t, x)| *t += x);
                    }
                }
            }
        }
    }
}

/// Partial sums of a run of elements: a vector's worth, so that the order does not depend on the width.
const PARTS: usize = 16;

#[inline(always)]
fn run_sum(x: &[f32]) -> f32 {
    let mut parts = [0.0f32; PARTS];
    let chunks = x.chunks_exact(PARTS);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (part, x) in parts.iter_mut().zip(chunk) {
            *part += x;
        }
    }
    parts.iter().sum::<f32>() + rest
}

/// Elements that are worth a thread.
const SHARE: usize = 1 << 15;

/// Sums, threads taking entries of the axis: each is summed in the same order with any number of them.
fn shared_sum(at: Axis, x: &[f32], to: &mut [f32], threads: usize) {
    let share = to.len().div_ceil(threads.max(1)).max(1);
    if threads < 2 || at.inner == 1 || share >= to.len() || x.len() < SHARE {
        wide(|| sum(at, x, to));
        return;
    }
    rayon::scope(|scope| {
        for (k, to) in to.chunks_mut(share).enumerate() {
            scope.spawn(move |_| wide(|| sum_entries(at, x, k * share, to)));
        }
    });
}

/// The sums of the entries from `first` on.
#[inline(always)]
fn sum_entries(at: Axis, x: &[f32], first: usize, to: &mut [f32]) {
    to.fill(0.0);
    for block in x.chunks_exact(at.len * at.inner) {
        let entries = block[first * at.inner..].chunks_exact(at.inner);
        to.iter_mut().zip(entries).for_each(|(t, x)| *t += run_sum(x));
    }
}

#[inline(always)]
fn sum(at: Axis, x: &[f32], to: &mut [f32]) {
    to.fill(0.0);
    for block in x.chunks_exact(at.len * at.inner) {
        if at.inner == 1 {
            to.iter_mut().zip(block).for_each(|(t, x)| *t += x);
        } else {
            to.iter_mut().zip(block.chunks_exact(at.inner)).for_each(|(t, x)| *t += run_sum(x));
        }
    }
}

#[inline(always)]
fn largest(at: Axis, x: &[f32], to: &mut [f32]) {
    let max = |a: f32, b: f32| if b > a { b } else { a };
    to.fill(f32::NEG_INFINITY);
    for block in x.chunks_exact(at.len * at.inner) {
        for (t, x) in to.iter_mut().zip(block.chunks_exact(at.inner)) {
            *t = x.iter().fold(*t, |m, x| max(m, *x));
        }
    }
}

/// Where the windows of a convolution lie, ready for the kernels.
#[derive(Debug)]
pub(super) struct Windows {
    geometry: Conv,
    lanes: usize,
    /// For each place of the result: the column of the weights and the row of the input of each product. For gradients to weights:
    /// `[columns, places]`, the rows of the images.
    terms: Vec<Term>,
    ends: Vec<usize>,
    rows: Vec<u32>,
    /// Rows (channels) of one group's result, places of a channel, columns of one group's weights.
    sizes: [usize; 3],
    backward: bool,
}

impl Windows {
    fn empty(geometry: Conv, lanes: usize, backward: bool) -> Self {
        let [ins, outs] = geometry.channels.map(|c| c / geometry.groups);
        let taps = geometry.kernel[0] * geometry.kernel[1];
        let area = |s: [usize; 2]| s[0] * s[1];
        let sizes = if backward {
            [ins, area(geometry.size_in), outs * taps]
        } else {
            [outs, area(geometry.size_out), ins * taps]
        };
        Self { geometry, lanes, terms: Vec::new(), ends: Vec::new(), rows: Vec::new(), sizes, backward }
    }

    fn weights(&self) -> usize {
        self.geometry.weights().iter().product()
    }

    /// For images to images.
    fn forward(geometry: Conv, lanes: usize) -> Self {
        let mut all = Self::empty(geometry, lanes, false);
        for at in places(geometry.size_out) {
            for channel in 0..geometry.channels[0] / geometry.groups {
                for (tap, from) in taps(&geometry, at) {
                    if let Some(from) = from {
                        let col = channel * geometry.kernel[0] * geometry.kernel[1] + tap;
                        let row = channel * geometry.size_in[0] * geometry.size_in[1] + from;
                        all.terms.push(Term { col: col as u32, row: row as u32 });
                    }
                }
            }
            all.ends.push(all.terms.len());
        }
        all
    }

    /// For the gradient to the images.
    fn backward(geometry: Conv, lanes: usize) -> Self {
        let mut all = Self::empty(geometry, lanes, true);
        // The outputs that read each place, with their taps.
        let area = geometry.size_in[0] * geometry.size_in[1];
        let mut readers: Vec<Vec<(usize, usize)>> = vec![Vec::new(); area];
        for (to, at) in places(geometry.size_out).enumerate() {
            for (tap, from) in taps(&geometry, at) {
                if let Some(from) = from {
                    readers[from].push((tap, to));
                }
            }
        }
        let taps = geometry.kernel[0] * geometry.kernel[1];
        let outs = geometry.size_out[0] * geometry.size_out[1];
        for readers in &readers {
            for channel in 0..geometry.channels[1] / geometry.groups {
                for (tap, to) in readers {
                    let (col, row) = (channel * taps + tap, channel * outs + to);
                    all.terms.push(Term { col: col as u32, row: row as u32 });
                }
            }
            all.ends.push(all.terms.len());
        }
        all
    }

    /// For the gradient to the weights.
    fn weights_of(geometry: Conv, lanes: usize) -> Self {
        let mut all = Self::empty(geometry, lanes, false);
        let taps_of = geometry.kernel[0] * geometry.kernel[1];
        for channel in 0..geometry.channels[0] / geometry.groups {
            for wanted in 0..taps_of {
                for at in places(geometry.size_out) {
                    let from = taps(&geometry, at).find(|(tap, _)| *tap == wanted).and_then(|(_, from)| from);
                    let row = from.map(|from| channel * geometry.size_in[0] * geometry.size_in[1] + from);
                    all.rows.push(row.map_or(correlate::NONE, |r| r as u32));
                }
            }
        }
        all
    }

    /// Images or their gradient `x` and weights `w` to the other images.
    fn gather(&self, x: &[f32], w: &[f32], to: &mut [f32], threads: usize) {
        let [rows, places, columns] = self.sizes;
        let group_in = x.len() / self.geometry.groups;
        let group_out = to.len() / self.geometry.groups;
        let group_weights = w.len() / self.geometry.groups;
        let taps = self.geometry.kernel[0] * self.geometry.kernel[1];
        let ins = self.geometry.channels[0] / self.geometry.groups;
        for ((x, w), to) in
            x.chunks_exact(group_in).zip(w.chunks_exact(group_weights)).zip(to.chunks_exact_mut(group_out))
        {
            let one = |first: usize, to: &mut [f32]| {
                let count = to.len() / (places * self.lanes);
                let panels = Panels::new(count, columns, |i, j| match self.backward {
                    false => w[(first + i) * columns + j],
                    // The weights are [outputs, inputs, taps]; the result's rows are inputs.
                    true => w[(j / taps * ins + first + i) * taps + j % taps],
                });
                let targets: Vec<u32> =
                    (0..places).flat_map(|p| (0..count).map(move |i| (i * places + p) as u32)).collect();
                panels.products(&self.terms, &self.ends, x, self.lanes, &targets, to);
            };
            // Threads take channels of the result.
            let share = rows.div_ceil(threads.max(1)).max(1);
            if share >= rows {
                one(0, to);
            } else {
                rayon::scope(|scope| {
                    for (k, to) in to.chunks_mut(share * places * self.lanes).enumerate() {
                        scope.spawn(move |_| one(k * share, to));
                    }
                });
            }
        }
    }

    /// The gradient `to` of the weights, from that of the output `g` and the images `x`.
    fn correlate(&self, g: &[f32], x: &[f32], to: &mut [f32], threads: usize) {
        let [rows, places, columns] = self.sizes;
        let groups = self.geometry.groups;
        let (group_g, group_x, group_to) = (g.len() / groups, x.len() / groups, to.len() / groups);
        for ((g, x), to) in
            g.chunks_exact(group_g).zip(x.chunks_exact(group_x)).zip(to.chunks_exact_mut(group_to))
        {
            let share = rows.div_ceil(threads.max(1)).max(1);
            let one = |first: usize, to: &mut [f32]| {
                let count = to.len() / columns;
                let g = &g[first * places * self.lanes..][..count * places * self.lanes];
                correlate(g, x, &self.rows, places, self.lanes, [count, columns], to);
            };
            if share >= rows {
                one(0, to);
            } else {
                rayon::scope(|scope| {
                    for (k, to) in to.chunks_mut(share * columns).enumerate() {
                        scope.spawn(move |_| one(k * share, to));
                    }
                });
            }
        }
    }
}

fn places(size: [usize; 2]) -> impl Iterator<Item = [usize; 2]> {
    (0..size[0]).flat_map(move |y| (0..size[1]).map(move |x| [y, x]))
}

/// The taps of the window at `at`, each with its place in the input if it lies inside.
fn taps(c: &Conv, at: [usize; 2]) -> impl Iterator<Item = (usize, Option<usize>)> + '_ {
    places(c.kernel).enumerate().map(move |(tap, k)| {
        let inside = |axis: usize| {
            let from = (at[axis] * c.stride[axis] + k[axis]).checked_sub(c.pad[axis])?;
            (from < c.size_in[axis]).then_some(from)
        };
        (tap, inside(0).and_then(|y| Some(y * c.size_in[1] + inside(1)?)))
    })
}
