//! The rows of a linear map, product by product in the order of the device's pass.
//!
//! A row's products fall into *blocks*, each summed on its own before it is added to the total
//! ([`crate::program::forward`]):
//!
//! | map | blocks of one row |
//! | --- | --- |
//! | identity, scale | one, of one product; for the identity it is the operand itself |
//! | dense | 32 inputs each, in index order; the last may be shorter |
//! | convolution | one for each input channel: the window by row, then column, padding left out |
//! | transposed convolution | one for each input channel: kernel row, then column, of the positions that reach the output |
//! | sparse | 32 stored values each, in stored order |
//!
//! A block of a convolution that is all padding is an empty sum, 0, and is added like any other.

use super::{Conv, Map, Sparse, Term, runs, to_usize};
use crate::infer::BLOCK;

/// What is done with the rows of a map.
pub(crate) trait Rows {
    /// Starts row `row`; `false` leaves it out.
    fn begin(&mut self, row: usize) -> bool;
    /// Products of `weights` with the operand's elements `first`, `first + step`, …
    fn products(&mut self, weights: &[f32], first: usize, step: usize);
    /// Ends a block.
    fn end_block(&mut self);
    /// Ends row `row`.
    fn end(&mut self, row: usize);
}

/// Visits the rows of a dense, convolutional or sparse map in order; nothing of an identity or a scale, whose rows
/// are their elements.
pub(crate) fn visit(map: &Map<'_>, rows: &mut impl Rows) {
    match map {
        Map::Identity | Map::Scale(_) => {}
        Map::Dense { count, rows: outputs, cols, weights } => {
            visit_dense((*count, *outputs, *cols), weights, rows);
        }
        Map::Conv(conv) => visit_conv(conv, rows),
        Map::ConvTranspose(conv) => visit_transposed(conv, rows),
        Map::Sparse(sparse) => visit_sparse(sparse, sparse.values.values, rows),
    }
}

fn visit_dense((count, outputs, cols): (usize, usize, usize), weights: &[f32], rows: &mut impl Rows) {
    let (mut row, mut start) = (0usize, 0usize);
    for _ in 0..count {
        for weights in weights.chunks_exact(cols.max(1)).take(outputs) {
            if rows.begin(row) {
                let mut first = start;
                for block in weights.chunks(BLOCK) {
                    rows.products(block, first, 1);
                    rows.end_block();
                    first = first.saturating_add(BLOCK);
                }
                rows.end(row);
            }
            row = row.saturating_add(1);
        }
        start = start.saturating_add(cols);
    }
}

/// The taps of a window that meet the operand along one axis: the first tap and its position, and how many.
#[inline]
fn taps(
    output: usize,
    stride: usize,
    dilation: usize,
    pad: usize,
    taps: usize,
    len: usize,
) -> (usize, usize, usize) {
    let start = output.wrapping_mul(stride);
    // First tap with `start + tap·dilation ≥ pad`.
    let from = pad.saturating_sub(start).checked_next_multiple_of(dilation).unwrap_or(0);
    let first = from.checked_div(dilation).unwrap_or(0);
    let Some(position) = start.wrapping_add(from).checked_sub(pad) else { return (0, 0, 0) };
    if position >= len || first >= taps {
        return (0, 0, 0);
    }
    let room = (len - position - 1).checked_div(dilation).unwrap_or(0) + 1;
    let left = taps - first;
    (first, position, if room < left { room } else { left })
}

fn visit_conv(conv: &Conv<'_>, rows: &mut impl Rows) {
    let ([height, width], [rows_out, cols_out], [kernel_height, kernel_width]) =
        (conv.size_in, conv.size_out, conv.kernel);
    let ([sy, sx], [dy, dx], [py, px]) = (conv.stride, conv.dilation, conv.pad);
    let (group_in, group_out) = (conv.group_channels_in(), conv.group_channels_out());
    let (plane, window) = (height * width, conv.taps());
    let (mut row, mut in_group, mut first_plane) = (0usize, 0usize, 0usize);
    for kernel in conv.weights.chunks_exact((group_in * window).max(1)).take(conv.channels_out) {
        for oy in 0..rows_out {
            let (ky, y, tall) = taps(oy, sy, dy, py, kernel_height, height);
            for ox in 0..cols_out {
                if rows.begin(row) {
                    let (kx, x, wide) = taps(ox, sx, dx, px, kernel_width, width);
                    let corner = y * width + x;
                    let mut start = first_plane;
                    for channel in kernel.chunks_exact(window.max(1)) {
                        let (mut tap, mut at) = (ky * kernel_width + kx, start + corner);
                        for _ in 0..tall {
                            let weights = channel.get(tap..tap + wide).unwrap_or_default();
                            rows.products(weights, at, dx);
                            tap += kernel_width;
                            at += dy * width;
                        }
                        rows.end_block();
                        start += plane;
                    }
                    rows.end(row);
                }
                row += 1;
            }
        }
        in_group += 1;
        if in_group == group_out {
            in_group = 0;
            first_plane += group_in * plane;
        }
    }
}

/// Position `output` of the operand's axis that tap `tap` of a transposed window reads, if any.
fn reached(
    position: usize,
    tap: usize,
    stride: usize,
    dilation: usize,
    pad: usize,
    len: usize,
) -> Option<usize> {
    let distance = (position + pad).checked_sub(tap * dilation)?;
    if distance.checked_rem(stride)? != 0 {
        return None;
    }
    distance.checked_div(stride).filter(|output| *output < len)
}

/// The taps along one axis that reach an output, in order, without a division for each: of the kernel's taps every `stride`-th from
/// `tap` on, the first at `output`, each next one an output before. For a dilation of 1.
#[derive(Clone, Copy)]
struct Reach {
    tap: usize,
    output: Option<usize>,
    stride: usize,
    taps: usize,
    len: usize,
}

impl Reach {
    fn new(position: usize, stride: usize, pad: usize, taps: usize, len: usize) -> Self {
        let from = position + pad;
        Self {
            tap: from.checked_rem(stride).unwrap_or(0),
            output: from.checked_div(stride),
            stride,
            taps,
            len,
        }
    }
}

impl Iterator for Reach {
    type Item = (usize, usize);
    #[inline]
    fn next(&mut self) -> Option<(usize, usize)> {
        while self.tap < self.taps {
            let (tap, output) = (self.tap, self.output?);
            self.tap += self.stride;
            self.output = output.checked_sub(1);
            if output < self.len {
                return Some((tap, output));
            }
        }
        None
    }
}

fn visit_transposed(conv: &Conv<'_>, rows: &mut impl Rows) {
    let ([height, width], [rows_in, cols_in], [kernel_height, kernel_width]) =
        (conv.size_in, conv.size_out, conv.kernel);
    let ([sy, sx], [dy, dx], [py, px]) = (conv.stride, conv.dilation, conv.pad);
    let (group_in, group_out) = (conv.group_channels_in(), conv.group_channels_out());
    let mut row = 0usize;
    for channel in 0..conv.channels_in {
        let group = channel.checked_div(group_in).unwrap_or(0);
        let inside = channel - group * group_in;
        for position in 0..height * width {
            let y = position.checked_div(width).unwrap_or(0);
            let x = position - y * width;
            if rows.begin(row) {
                let down = Reach::new(y, sy, py, kernel_height, rows_in);
                let across = Reach::new(x, sx, px, kernel_width, cols_in);
                for oc in group * group_out..(group + 1) * group_out {
                    let kernel = (oc * group_in + inside) * kernel_height * kernel_width;
                    let mut product = |(ky, oy): (usize, usize), (kx, ox): (usize, usize)| {
                        let tap = kernel + ky * kernel_width + kx;
                        let weight = conv.weights.get(tap..tap + 1).unwrap_or_default();
                        rows.products(weight, (oc * rows_in + oy) * cols_in + ox, 1);
                    };
                    if (dy, dx) == (1, 1) {
                        down.for_each(|down| across.for_each(|across| product(down, across)));
                    } else {
                        for ky in 0..kernel_height {
                            let Some(oy) = reached(y, ky, sy, dy, py, rows_in) else { continue };
                            for kx in 0..kernel_width {
                                let Some(ox) = reached(x, kx, sx, dx, px, cols_in) else { continue };
                                product((ky, oy), (kx, ox));
                            }
                        }
                    }
                    rows.end_block();
                }
                rows.end(row);
            }
            row += 1;
        }
    }
}

/// The rows of `sparse` with `values` for its values: those, or their errors.
pub(crate) fn visit_sparse(sparse: &Sparse<'_>, values: &[f32], rows: &mut impl Rows) {
    for (row, run) in runs(sparse.starts).enumerate() {
        if !rows.begin(row) {
            continue;
        }
        let columns = sparse.columns.get(run.clone()).unwrap_or_default();
        let values = values.get(run).unwrap_or_default();
        for (columns, values) in columns.chunks(BLOCK).zip(values.chunks(BLOCK)) {
            for (column, value) in columns.iter().zip(values.chunks(1)) {
                rows.products(value, to_usize(*column), 1);
            }
            rows.end_block();
        }
        rows.end(row);
    }
}

/// What the rounding argument counts in a row of a map; upper limits over its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowCounts {
    /// Products.
    pub(crate) products: usize,
    /// Additions inside a block.
    pub(crate) block: usize,
    /// Blocks.
    pub(crate) blocks: usize,
}

/// The counts of one row of `map`.
pub(crate) fn counts(map: &Map<'_>) -> RowCounts {
    match map {
        Map::Identity => RowCounts { products: 0, block: 0, blocks: 1 },
        Map::Scale(_) => RowCounts { products: 1, block: 0, blocks: 1 },
        Map::Dense { cols, .. } => blocked(*cols),
        Map::Conv(conv) => channels(conv.group_channels_in(), conv.taps()),
        Map::ConvTranspose(conv) => channels(conv.group_channels_out(), conv.taps()),
        Map::Sparse(sparse) => {
            let longest = runs(sparse.starts).map(|run| run.len()).fold(0, usize::max);
            blocked(longest)
        }
    }
}

fn blocked(products: usize) -> RowCounts {
    RowCounts { products, block: products.min(BLOCK), blocks: products.div_ceil(BLOCK) }
}

fn channels(channels: usize, taps: usize) -> RowCounts {
    RowCounts { products: channels.saturating_mul(taps), block: taps, blocks: channels }
}

/// What one output of an affine step counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StepCounts {
    /// Roundings on the longest path: a product, the sum of its block, and every sum of blocks after it.
    pub(crate) roundings: usize,
    /// Products.
    pub(crate) products: usize,
}

/// The counts of an affine step of `terms`.
pub(crate) fn step_counts(terms: &[Term<'_>]) -> StepCounts {
    let (mut longest, mut blocks, mut products) = (0usize, 0usize, 0usize);
    for term in terms {
        let row = counts(&term.map);
        longest = longest.max(row.block.saturating_add(usize::from(row.products > 0)));
        blocks = blocks.saturating_add(row.blocks);
        products = products.saturating_add(row.products);
    }
    StepCounts { roundings: longest.saturating_add(blocks), products }
}
