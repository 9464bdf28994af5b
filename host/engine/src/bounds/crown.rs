//! CROWN on one box: every hidden neuron bounded by backward rows of its own, then the rows of a spec.
//!
//! A row of coefficients `a` on the post-activations of a layer passes its ReLU by
//! `a·relu(z) ≥ max(a,0)·α·z + min(a,0)·(s·z + t)` with `s = u/(u − l)`, `t = −sl`, and its affine map by a
//! product with `W`; at the input it takes its minimum over the box. An upper bound is a lower bound of the
//! negated row. Inactive neurons drop out of the product, active ones pass unchanged; where layers are sparse, only
//! neurons that some row of the block reaches are held at all (their *support*).
//!
//! The lower slope is adaptive: `α = 1` iff `u > −l`.
//!
//! Source: Zhang et al. 2018 (arXiv:1811.00866). [`Mode::Reference`] follows it to the letter; [`Mode::Default`]
//! intersects with interval bounds and spends rows on neurons only that these leave unstable.

use super::{Entries, Hidden, Net, Spec};
use certus_kernels::relax::{Lines, add_bias, concretize, relax_unstable, wide};
use certus_kernels::sparse::add_scaled;
use certus_kernels::{LANE_MULTIPLE, Sparse, padded_lanes};

/// Most lanes of one product: rows of `f32` that stay in the level-2 cache with the layers of the benchmarks.
const LANES: usize = 128;

/// How intermediate bounds are formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// Intersected with interval bounds; rows only for neurons that intervals leave unstable.
    #[default]
    Default,
    /// Two backward rows for every neuron and nothing else, as the published definition has it.
    Reference,
}

/// A box of inputs.
#[derive(Clone, Copy, Debug)]
pub struct Region<'a> {
    /// `[inputs]`.
    pub lower: &'a [f32],
    /// `[inputs]`.
    pub upper: &'a [f32],
}

/// Bounds of the pre-activations of one hidden layer, `[rows]` each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interval {
    /// Lower bounds.
    pub lower: Vec<f32>,
    /// Upper bounds.
    pub upper: Vec<f32>,
}

/// What CROWN finds on a box.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// Per hidden layer.
    pub layers: Vec<Interval>,
    /// Lower bound of each spec row, `[rows]`.
    pub rows: Vec<f32>,
    /// Coefficients of the spec rows on the inputs, `[inputs, lanes]` with `lanes` = padded rows: which input a row leans on.
    pub input_rows: Vec<f32>,
    /// Where the spec rows lose: filled by [`Scratch::attributing`].
    pub loss: Loss,
}

/// Where the rows of a spec lose to the relaxation, and which inputs that depends on.
#[derive(Clone, Debug, Default)]
pub struct Loss {
    /// Per neuron, `[neurons, inputs]`: how its interval's width divides among the inputs; zeros if it is stable.
    pub shares: Vec<f32>,
    /// Per neuron, `[neurons, lanes]`: the largest gap of its relaxation times the row's coefficient on it.
    pub gaps: Vec<f32>,
}

/// The neurons of a layer that a product keeps.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// Those that are not inactive.
    index: Vec<u32>,
    /// Per neuron: whether it is one of them.
    holds: Vec<bool>,
    /// Per neuron: its lines if it is unstable.
    lines: Vec<Option<Lines>>,
}

impl Kept {
    fn set(&mut self, interval: &Interval) {
        self.index.clear();
        self.holds.clear();
        self.lines.clear();
        for (j, (l, u)) in interval.lower.iter().zip(&interval.upper).enumerate() {
            let (active, unstable) = (*u > 0.0, *l < 0.0 && *u > 0.0);
            if active {
                self.index.push(j as u32);
            }
            self.holds.push(active);
            self.lines.push(unstable.then(|| relu_lines(*l, *u)));
        }
    }
}

/// The rows of a block: which neuron (or input) each belongs to.
#[derive(Clone, Debug, Default)]
struct Support {
    index: Vec<u32>,
    /// Per neuron, its row plus 1, or 0; all 0 between uses.
    slot: Vec<u32>,
}

impl Support {
    fn set(&mut self, index: impl Iterator<Item = u32>) {
        self.index.clear();
        self.index.extend(index);
    }

    fn begin(&mut self, width: usize) {
        self.index.clear();
        if self.slot.len() < width {
            self.slot.resize(width, 0);
        }
    }

    /// The row of neuron `j` in `block`; a new one begins at 0.
    fn row(&mut self, j: u32, lanes: usize, block: &mut [f32]) -> usize {
        let slot = &mut self.slot[j as usize];
        if *slot == 0 {
            block[self.index.len() * lanes..][..lanes].fill(0.0);
            self.index.push(j);
            *slot = self.index.len() as u32;
        }
        (*slot as usize - 1) * lanes
    }

    fn end(&mut self) {
        for j in &self.index {
            self.slot[*j as usize] = 0;
        }
    }
}

/// The adaptive lower line and the upper line of an unstable neuron.
pub fn relu_lines(lower: f32, upper: f32) -> Lines {
    let upper_slope = upper / (upper - lower);
    Lines {
        lower_slope: if upper > -lower { 1.0 } else { 0.0 },
        upper_slope,
        upper_intercept: -upper_slope * lower,
    }
}

/// Buffers that CROWN reuses from box to box.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    a: Vec<f32>,
    next: Vec<f32>,
    c: Vec<f32>,
    kept: Vec<Kept>,
    support: Support,
    next_support: Support,
    centre: Vec<f32>,
    radius: Vec<f32>,
    pending: Vec<u32>,
    attribute: bool,
    /// After this moment [`bound`] tightens no more neurons: their interval bounds stay, which are looser and as valid.
    pub deadline: Option<std::time::Instant>,
}

impl Scratch {
    /// Buffers with which [`bound`] also fills [`Bounds::loss`]; costs a little, and memory of neurons × inputs.
    pub fn attributing() -> Self {
        Self { attribute: true, ..Self::default() }
    }
}

/// Where a row begins: row `index` of a matrix over the layer before, times `sign`.
#[derive(Clone, Copy)]
struct Start {
    index: usize,
    sign: f32,
}

/// The matrix whose rows begin a backward pass.
#[derive(Clone, Copy)]
struct Rows<'a> {
    entries: RowEntries<'a>,
    bias: &'a [f32],
    cols: usize,
}

#[derive(Clone, Copy)]
enum RowEntries<'a> {
    /// `[rows, cols]`, row-major.
    Dense(&'a [f32]),
    Sparse(&'a Sparse<f32>),
}

/// Intervals that hold on a larger domain, of which the one to be bounded is a part.
#[derive(Clone, Copy, Debug)]
pub struct Inherited<'a> {
    /// Per hidden layer.
    pub layers: &'a [Interval],
    /// As many layers have them still, but for the cuts of splits: nothing changed in layers below.
    pub same: usize,
}

/// Bounds `net` and `spec` on `region`, with the intervals of split neurons cut at 0.
///
/// Returns `false` if some interval is empty: then no input satisfies the splits.
///
/// # Shapes
/// `splits` is empty, or has per hidden layer one sign per neuron: 1 (`z ≥ 0`), −1 (`z ≤ 0`), 0 (not split).
pub fn bound(
    net: &Net,
    spec: &Spec,
    region: Region<'_>,
    splits: &[Vec<i8>],
    mode: Mode,
    scratch: &mut Scratch,
    out: &mut Bounds,
) -> bool {
    bound_below(net, spec, region, (splits, None), mode, scratch, out)
}

/// As [`bound`], for a part of a domain that was bounded: intervals are intersected with its own, and only neurons that
/// stay unstable in them are bounded again.
pub fn bound_below(
    net: &Net,
    spec: &Spec,
    region: Region<'_>,
    (splits, inherited): (&[Vec<i8>], Option<Inherited<'_>>),
    mode: Mode,
    scratch: &mut Scratch,
    out: &mut Bounds,
) -> bool {
    out.layers.resize_with(net.hidden.len(), Interval::default);
    scratch.kept.resize_with(net.hidden.len(), Kept::default);
    for k in 0..net.hidden.len() {
        let (done, rest) = out.layers.split_at_mut(k);
        let (layer, interval) = (&net.hidden[k], &mut rest[0]);
        let known = inherited.and_then(|i| i.layers.get(k));
        let same = known.is_some() && inherited.is_some_and(|i| k < i.same);
        match done.last() {
            _ if same => {}
            None => interval_step(layer, (region.lower, region.upper), false, scratch, interval),
            Some(before) => interval_step(layer, (&before.lower, &before.upper), true, scratch, interval),
        }
        if scratch.attribute && k == 0 {
            out.loss.shares.clear();
            out.loss.shares.resize(net.neurons() * net.inputs, 0.0);
            first_shares(layer, region, interval, &mut out.loss.shares);
        }
        if let Some(known) = known {
            if same {
                interval.clone_from(known);
            } else {
                intersect(interval, known);
            }
        }
        if k > 0 && !same {
            let first: usize = net.hidden[..k].iter().map(|h| h.rows).sum();
            let shares =
                if scratch.attribute { &mut out.loss.shares[first * net.inputs..] } else { &mut [][..] };
            tighten(net, k, region, mode, scratch, interval, shares);
        }
        if splits.get(k).is_some_and(|signs| !cut_at_splits(signs, interval)) {
            return false;
        }
        scratch.kept[k].set(interval);
    }
    let starts = (0..spec.rows).map(|index| Start { index, sign: 1.0 });
    let rows = Rows { entries: RowEntries::Dense(&spec.weights), bias: &spec.bias, cols: spec.cols };
    let attribute = scratch.attribute;
    let gaps = attribute.then(|| {
        out.loss.gaps.clear();
        out.loss.gaps.resize(net.neurons() * padded_lanes(spec.rows), 0.0);
        (out.loss.gaps.as_mut_slice(), out.layers.as_slice())
    });
    let lanes = backward(net, net.hidden.len(), rows, starts, spec.rows, region, scratch, gaps);
    out.rows.clear();
    out.rows.extend_from_slice(&scratch.c[..spec.rows]);
    out.input_rows.clear();
    out.input_rows.extend_from_slice(&scratch.a[..net.inputs * lanes]);
    true
}

/// Intersects intervals; where rounding leaves nothing, the known one stays.
fn intersect(interval: &mut Interval, known: &Interval) {
    let ends = interval.lower.iter_mut().zip(&mut interval.upper);
    for ((l, u), (known_l, known_u)) in ends.zip(known.lower.iter().zip(&known.upper)) {
        (*l, *u) = (l.max(*known_l), u.min(*known_u));
        if *l > *u {
            (*l, *u) = (*known_l, *known_u);
        }
    }
}

/// Share of an interval's width by which rounding may have moved an end past 0.
const ROUNDING: f32 = 1e-5;

/// Cuts intervals of split neurons at 0; false if one becomes empty by more than rounding can explain.
fn cut_at_splits(signs: &[i8], interval: &mut Interval) -> bool {
    for ((sign, l), u) in signs.iter().zip(&mut interval.lower).zip(&mut interval.upper) {
        if *sign == 0 {
            continue;
        }
        let slack = ROUNDING * (*u - *l);
        let (cut_l, cut_u) = if *sign > 0 { (l.max(0.0), *u) } else { (*l, u.min(0.0)) };
        if cut_l > cut_u + slack {
            return false;
        }
        (*l, *u) = if cut_l > cut_u { (0.0, 0.0) } else { (cut_l, cut_u) };
    }
    true
}

/// Pre-activation intervals from the box of the layer's inputs, in centre-radius form.
fn interval_step(
    layer: &Hidden,
    inputs: (&[f32], &[f32]),
    relu: bool,
    scratch: &mut Scratch,
    out: &mut Interval,
) {
    let Scratch { centre, radius, .. } = scratch;
    centre.clear();
    centre.extend_from_slice(&layer.bias);
    radius.clear();
    radius.resize(layer.rows, 0.0);
    match &layer.entries {
        Entries::Dense { transposed, .. } => wide(|| add_columns(transposed, inputs, relu, centre, radius)),
        Entries::Sparse(sparse) => add_rows(sparse, inputs, relu, centre, radius),
    }
    out.lower.clear();
    out.lower.extend(centre.iter().zip(&*radius).map(|(c, r)| c - r));
    out.upper.clear();
    out.upper.extend(centre.iter().zip(&*radius).map(|(c, r)| c + r));
}

fn add_rows(
    sparse: &Sparse<f32>,
    inputs: (&[f32], &[f32]),
    relu: bool,
    centre: &mut [f32],
    radius: &mut [f32],
) {
    for (i, (centre, radius)) in centre.iter_mut().zip(radius).enumerate() {
        let (index, values) = sparse.row(i);
        for (j, w) in index.iter().zip(values) {
            let (l, u) = (inputs.0[*j as usize], inputs.1[*j as usize]);
            let (l, u) = if relu { (l.max(0.0), u.max(0.0)) } else { (l, u) };
            *centre += w * (0.5 * l + 0.5 * u);
            *radius += w.abs() * (0.5 * u - 0.5 * l);
        }
    }
}

#[inline(always)]
fn add_columns(
    transposed: &[f32],
    inputs: (&[f32], &[f32]),
    relu: bool,
    centre: &mut [f32],
    radius: &mut [f32],
) {
    for ((l, u), weights) in inputs.0.iter().zip(inputs.1).zip(transposed.chunks_exact(centre.len())) {
        let (l, u) = if relu { (l.max(0.0), u.max(0.0)) } else { (*l, *u) };
        if l == 0.0 && u == 0.0 {
            continue;
        }
        let (c, r) = (0.5 * l + 0.5 * u, 0.5 * u - 0.5 * l);
        for ((w, centre), radius) in weights.iter().zip(centre.iter_mut()).zip(radius.iter_mut()) {
            *centre += w * c;
            *radius += w.abs() * r;
        }
    }
}

/// Two backward rows for each neuron of hidden layer `k` that needs them.
fn tighten(
    net: &Net,
    k: usize,
    region: Region<'_>,
    mode: Mode,
    scratch: &mut Scratch,
    interval: &mut Interval,
    shares: &mut [f32],
) {
    let layer = &net.hidden[k];
    let mut pending = std::mem::take(&mut scratch.pending);
    pending.clear();
    pending.extend((0..layer.rows as u32).filter(|i| {
        mode == Mode::Reference || (interval.lower[*i as usize] < 0.0 && interval.upper[*i as usize] > 0.0)
    }));
    let entries = match &layer.entries {
        Entries::Dense { weights, .. } => RowEntries::Dense(weights),
        Entries::Sparse(sparse) => RowEntries::Sparse(sparse),
    };
    let rows = Rows { entries, bias: &layer.bias, cols: layer.cols };
    for chunk in pending.chunks(LANES / 2) {
        if mode == Mode::Default && scratch.deadline.is_some_and(|end| std::time::Instant::now() >= end) {
            break;
        }
        let start = |sign: f32| chunk.iter().map(move |i| Start { index: *i as usize, sign });
        let lanes =
            backward(net, k, rows, start(1.0).chain(start(-1.0)), 2 * chunk.len(), region, scratch, None);
        if !shares.is_empty() {
            for (r, i) in chunk.iter().enumerate() {
                let share = &mut shares[*i as usize * net.inputs..][..net.inputs];
                for (j, share) in share.iter_mut().enumerate() {
                    let both = scratch.a[j * lanes + r].abs() + scratch.a[j * lanes + chunk.len() + r].abs();
                    *share = both * (region.upper[j] - region.lower[j]);
                }
                normalise(share);
            }
        }
        for (r, i) in chunk.iter().enumerate() {
            let (below, above) = (scratch.c[r], -scratch.c[chunk.len() + r]);
            let (l, u) = (&mut interval.lower[*i as usize], &mut interval.upper[*i as usize]);
            if mode == Mode::Reference {
                (*l, *u) = (below, above);
            } else {
                (*l, *u) = (l.max(below), u.min(above));
                // Rounding may cross the ends of a tiny interval.
                if *l > *u {
                    (*l, *u) = (*u, *l);
                }
            }
        }
    }
    scratch.pending = pending;
}

/// Shares of the unstable neurons of the first layer: their weights times the box's widths.
fn first_shares(layer: &Hidden, region: Region<'_>, interval: &Interval, shares: &mut [f32]) {
    let width = |j: usize| region.upper[j] - region.lower[j];
    let ends = interval.lower.iter().zip(&interval.upper);
    for (i, ((l, u), share)) in ends.zip(shares.chunks_exact_mut(layer.cols)).enumerate() {
        if *l < 0.0 && *u > 0.0 {
            match &layer.entries {
                Entries::Dense { weights, .. } => {
                    let row = &weights[i * layer.cols..][..layer.cols];
                    share.iter_mut().zip(row).enumerate().for_each(|(j, (s, w))| *s = w.abs() * width(j));
                }
                Entries::Sparse(sparse) => {
                    let (index, values) = sparse.row(i);
                    let entries = index.iter().zip(values);
                    entries.for_each(|(j, w)| share[*j as usize] = w.abs() * width(*j as usize));
                }
            }
            normalise(share);
        }
    }
}

fn normalise(share: &mut [f32]) {
    let sum: f32 = share.iter().sum();
    if sum > 0.0 {
        share.iter_mut().for_each(|s| *s /= sum);
    }
}

/// Largest gap between ReLU and its line, times the coefficient on it, for each lane.
fn note_gaps(kept: &Kept, support: &[u32], interval: &Interval, lanes: usize, a: &[f32], gaps: &mut [f32]) {
    for (row, j) in a.chunks_exact(lanes).zip(support) {
        let j = *j as usize;
        if let Some(lines) = kept.lines[j] {
            let below = if lines.lower_slope > 0.5 { -interval.lower[j] } else { interval.upper[j] };
            for (gap, a) in gaps[j * lanes..][..lanes].iter_mut().zip(row) {
                *gap = a.max(0.0) * below - a.min(0.0) * lines.upper_intercept;
            }
        }
    }
}

/// Propagates rows over the post-activations of hidden layer `k − 1` (or the inputs) back to the inputs; leaves
/// their lower bounds in `scratch.c` and their input coefficients in `scratch.a`. Returns the lanes used.
#[expect(clippy::too_many_arguments, reason = "the one loop of this file; its arguments are what it reads")]
fn backward(
    net: &Net,
    k: usize,
    rows: Rows<'_>,
    starts: impl Iterator<Item = Start>,
    count: usize,
    region: Region<'_>,
    scratch: &mut Scratch,
    mut gaps: Option<(&mut [f32], &[Interval])>,
) -> usize {
    let lanes = padded_lanes(count);
    let size = net.width() * lanes;
    if scratch.a.len() < size {
        scratch.a.resize(size, 0.0);
        scratch.next.resize(size, 0.0);
    }
    scratch.c.clear();
    scratch.c.resize(lanes, 0.0);
    let kept = k.checked_sub(1).map(|k| &scratch.kept[k]);
    load_rows(rows, kept, starts, lanes, &mut scratch.a, &mut scratch.c, &mut scratch.support);
    for k in (0..k).rev() {
        let (layer, kept) = (&net.hidden[k], &scratch.kept[k]);
        let (a, c, support) = (&mut scratch.a, &mut scratch.c, &scratch.support.index);
        if let Some((gaps, intervals)) = &mut gaps {
            let first: usize = net.hidden[..k].iter().map(|h| h.rows).sum();
            note_gaps(kept, support, &intervals[k], lanes, a, &mut gaps[first * lanes..]);
        }
        wide(|| relax_layer(&layer.bias, kept, support, lanes, a, c));
        let below = k.checked_sub(1).map(|k| &scratch.kept[k]);
        match (&layer.entries, below) {
            (Entries::Sparse(sparse), Some(below)) => {
                let next = &mut scratch.next_support;
                wide(|| sparse_step(sparse, below, support, lanes, a, &mut scratch.next, next));
                std::mem::swap(&mut scratch.support, &mut scratch.next_support);
            }
            (Entries::Sparse(sparse), None) => sparse.transposed(support, a, lanes, &mut scratch.next),
            (Entries::Dense { .. }, _) => layer.backward.product(Some(support), a, lanes, &mut scratch.next),
        }
        std::mem::swap(&mut scratch.a, &mut scratch.next);
        if let (Entries::Dense { .. }, Some(below)) = (&layer.entries, below) {
            compact(&below.index, lanes, &mut scratch.a);
            scratch.support.set(below.index.iter().copied());
        }
    }
    let (a, c) = (&scratch.a, &mut scratch.c);
    wide(|| concretize_all(a, lanes, region, c));
    lanes
}

/// Writes the starting rows into lanes, for the kept neurons only.
fn load_rows(
    rows: Rows<'_>,
    kept: Option<&Kept>,
    starts: impl Iterator<Item = Start>,
    lanes: usize,
    a: &mut [f32],
    c: &mut [f32],
    support: &mut Support,
) {
    match rows.entries {
        RowEntries::Dense(_) => match kept {
            Some(kept) => support.set(kept.index.iter().copied()),
            None => support.set(0..rows.cols as u32),
        },
        RowEntries::Sparse(_) => support.begin(rows.cols),
    }
    let mut used = 0;
    for (r, start) in starts.enumerate() {
        c[r] = start.sign * rows.bias[start.index];
        used = r + 1;
        match rows.entries {
            RowEntries::Dense(weights) => {
                let row = &weights[start.index * rows.cols..][..rows.cols];
                for (slot, j) in a[r..].iter_mut().step_by(lanes).zip(&support.index) {
                    *slot = start.sign * row[*j as usize];
                }
            }
            RowEntries::Sparse(sparse) => {
                let (index, values) = sparse.row(start.index);
                for (j, w) in index.iter().zip(values) {
                    if kept.is_none_or(|kept| kept.holds[*j as usize]) {
                        let at = support.row(*j, lanes, a);
                        a[at + r] = start.sign * w;
                    }
                }
            }
        }
    }
    match rows.entries {
        RowEntries::Dense(_) => {
            let height = support.index.len();
            a[..height * lanes].chunks_exact_mut(lanes).for_each(|row| row[used..].fill(0.0));
        }
        RowEntries::Sparse(_) => support.end(),
    }
}

/// `next ← Wᵀa` on the kept neurons of the layer below that the rows in `support` reach.
#[inline(always)]
fn sparse_step(
    sparse: &Sparse<f32>,
    below: &Kept,
    support: &[u32],
    lanes: usize,
    a: &[f32],
    next: &mut [f32],
    reached: &mut Support,
) {
    reached.begin(sparse.cols());
    for (i, a) in support.iter().zip(a.chunks_exact(lanes)) {
        let (index, values) = sparse.row(*i as usize);
        for (j, w) in index.iter().zip(values) {
            if below.holds[*j as usize] {
                let at = reached.row(*j, lanes, next);
                add_scaled(&mut next[at..][..lanes], *w, a);
            }
        }
    }
    reached.end();
}

#[inline(always)]
fn relax_layer(bias: &[f32], kept: &Kept, support: &[u32], lanes: usize, a: &mut [f32], c: &mut [f32]) {
    for (row, j) in a.chunks_exact_mut(lanes).zip(support) {
        let bias = bias[*j as usize];
        match kept.lines[*j as usize] {
            Some(lines) => relax_unstable(row, c, lines, bias),
            None => add_bias(row, c, bias),
        }
    }
}

#[inline(always)]
fn concretize_all(a: &[f32], lanes: usize, region: Region<'_>, c: &mut [f32]) {
    for ((row, l), u) in a.chunks_exact(lanes).zip(region.lower).zip(region.upper) {
        concretize(row, c, *l, *u);
    }
}

/// Moves the rows of kept neurons to the front.
fn compact(index: &[u32], lanes: usize, a: &mut [f32]) {
    for (to, from) in index.iter().enumerate() {
        let from = *from as usize;
        if from != to {
            a.copy_within(from * lanes..(from + 1) * lanes, to * lanes);
        }
    }
}

const _: () = assert!(LANES.is_multiple_of(LANE_MULTIPLE));
