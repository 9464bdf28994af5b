//! A convolution applied to the live rows of a block, in both directions.
//!
//! Backward, the coefficients at input pixel `p` are `Σ over taps t that reach p, channels o of W[o][·][t] · A[o][q(p, t)]`: one
//! gathered product per pixel, whose rows are the input channels. Forward, the same with the roles exchanged.

use super::prepare::PackedConv;
use super::rows::{Rows, Support};
use crate::program::Conv;
use certus_kernels::gather::{DROP, Term};

/// Lists that a worker reuses.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) terms: Vec<Term>,
    pub(super) targets: Vec<u32>,
    pub(super) marks: Vec<bool>,
    pixels: Vec<bool>,
    ends: Vec<usize>,
    source: ByPixel,
    target: ByPixel,
}

/// The live rows of one group, pixel after pixel.
#[derive(Debug, Default)]
struct ByPixel {
    /// Rows of pixel `p` are `rows[starts[p]..starts[p + 1]]`.
    starts: Vec<u32>,
    /// Channel inside the group, and row of the block.
    rows: Vec<Term>,
}

impl ByPixel {
    /// Sorts the rows of `support` that belong to channels `first..first + side.channels` (a counting sort).
    fn fill(&mut self, support: &Support, first: usize, side: Side) {
        let area = area(side.size);
        let of_group = |j: u32| j as usize >= first * area && (j as usize) < (first + side.channels) * area;
        let begin = support.live.partition_point(|j| (*j as usize) < first * area);
        let live = support.live[begin..].iter().take_while(|j| of_group(**j));
        self.starts.clear();
        self.starts.resize(area + 1, 0);
        // Neurons ascend, so the channel changes rarely: no division in the loop.
        let (mut base, mut count) = (first * area, 0);
        for j in live.clone() {
            while *j as usize >= base + area {
                base += area;
            }
            self.starts[*j as usize - base + 1] += 1;
            count += 1;
        }
        for p in 0..area {
            self.starts[p + 1] += self.starts[p];
        }
        self.rows.clear();
        self.rows.resize(count, Term { col: 0, row: 0 });
        (base, count) = (first * area, 0);
        let mut channel = 0;
        for j in live {
            while *j as usize >= base + area {
                (base, channel) = (base + area, channel + 1);
            }
            let at = &mut self.starts[*j as usize - base];
            self.rows[*at as usize] = Term { col: channel, row: (begin + count) as u32 };
            (*at, count) = (*at + 1, count + 1);
        }
        // Every start has moved to its end: the start of the next.
        self.starts.rotate_right(1);
        self.starts[0] = 0;
    }

    fn of(&self, pixel: usize) -> &[Term] {
        &self.rows[self.starts[pixel] as usize..self.starts[pixel + 1] as usize]
    }
}

/// Which way a map is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By the transposed map: coefficients on the result to coefficients on the operand.
    Backward,
    /// By the map: values of the operand to values of the result.
    Forward,
}

/// The side of a convolution that is read or written.
#[derive(Clone, Copy)]
struct Side {
    /// Channels of one group.
    channels: usize,
    size: [usize; 2],
}

/// Source and target of a direction.
fn sides(conv: &Conv, way: Way) -> (Side, Side) {
    let operand = Side { channels: conv.channels_in / conv.groups, size: conv.size_in };
    let result = Side { channels: conv.channels_out / conv.groups, size: conv.size_out };
    match way {
        Way::Backward => (result, operand),
        Way::Forward => (operand, result),
    }
}

/// Which taps connect which coordinates, per axis and target coordinate: `(tap, source coordinate)`.
#[derive(Debug)]
pub(super) struct Taps([Vec<Vec<(usize, usize)>>; 2]);

impl Taps {
    pub(super) fn new(conv: &Conv, way: Way) -> Self {
        Self([0, 1].map(|axis| {
            let mut taps =
                vec![Vec::new(); if way == Way::Backward { conv.size_in } else { conv.size_out }[axis]];
            for o in 0..conv.size_out[axis] {
                for k in 0..conv.kernel[axis] {
                    let i = (o * conv.stride[axis] + k * conv.dilation[axis]).checked_sub(conv.pad[axis]);
                    match (i.filter(|i| *i < conv.size_in[axis]), way) {
                        (Some(i), Way::Backward) => taps[i].push((k, o)),
                        (Some(i), Way::Forward) => taps[o].push((k, i)),
                        (None, _) => {}
                    }
                }
            }
            taps
        }))
    }
}

/// Marks in `lists.marks` the target neurons that live source neurons are connected with, whole pixels of a group at a time.
pub(super) fn mark(packed: &PackedConv, way: Way, from: &Support, lists: &mut Lists) {
    let conv = &packed.conv;
    let (side, target) = sides(conv, way);
    // What is the target one way is the source the other way.
    let taps = packed.taps(way.reversed());
    let (from_area, to_area) = (area(side.size), area(target.size));
    lists.marks.clear();
    lists.marks.resize(conv.groups * target.channels * to_area, false);
    let mut live = from.live.iter().map(|j| *j as usize).peekable();
    for group in 0..conv.groups {
        lists.pixels.clear();
        lists.pixels.resize(from_area, false);
        for channel in group * side.channels..(group + 1) * side.channels {
            while let Some(j) = live.next_if(|j| *j < (channel + 1) * from_area) {
                lists.pixels[j - channel * from_area] = true;
            }
        }
        let first = group * target.channels * to_area;
        for pixel in (0..from_area).filter(|p| lists.pixels[*p]) {
            let (y, x) = (pixel / side.size[1], pixel % side.size[1]);
            for (_, ty) in &taps.0[0][y] {
                for (_, tx) in &taps.0[1][x] {
                    lists.marks[first + ty * target.size[1] + tx] = true;
                }
            }
        }
        for channel in 1..target.channels {
            lists.marks.copy_within(first..first + to_area, first + channel * to_area);
        }
    }
}

fn area(size: [usize; 2]) -> usize {
    size[0] * size[1]
}

/// Terms of one call of the kernel: its lists stay in the cache.
const TERMS: usize = 4096;

/// Writes the map of `from` to every row of `to`.
pub(super) fn apply(
    packed: &PackedConv,
    way: Way,
    from: &Rows,
    to: &mut Rows,
    lanes: usize,
    lists: &mut Lists,
) {
    let conv = &packed.conv;
    let panels = match way {
        Way::Backward => packed.backward(),
        Way::Forward => packed.forward(),
    };
    let ((side, target), taps) = (sides(conv, way), packed.taps(way));
    let Lists { terms, targets, ends, source, target: wanted, .. } = lists;
    for (group, panels) in panels.iter().enumerate() {
        source.fill(&from.support, group * side.channels, side);
        wanted.fill(&to.support, group * target.channels, target);
        clear(terms, targets, ends);
        for pixel in 0..area(target.size) {
            let rows = wanted.of(pixel);
            if rows.is_empty() {
                continue;
            }
            let first = targets.len();
            targets.resize(first + target.channels, DROP);
            rows.iter().for_each(|t| targets[first + t.col as usize] = t.row);
            for (ky, sy) in &taps.0[0][pixel / target.size[1]] {
                for (kx, sx) in &taps.0[1][pixel % target.size[1]] {
                    let column = ((ky * conv.kernel[1] + kx) * side.channels) as u32;
                    let here = source.of(sy * side.size[1] + sx).iter();
                    terms.extend(here.map(|t| Term { col: column + t.col, row: t.row }));
                }
            }
            ends.push(terms.len());
            if terms.len() > TERMS {
                panels.products(terms, ends, &from.data, lanes, targets, &mut to.data);
                clear(terms, targets, ends);
            }
        }
        panels.products(terms, ends, &from.data, lanes, targets, &mut to.data);
    }
}

fn clear(terms: &mut Vec<Term>, targets: &mut Vec<u32>, ends: &mut Vec<usize>) {
    terms.clear();
    targets.clear();
    ends.clear();
}
