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
    pub(super) pixels: Vec<bool>,
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

/// The source coordinate that tap `k` connects with target coordinate `at`, along one axis.
#[inline]
fn source(conv: &Conv, way: Way, axis: usize, at: usize, k: usize) -> Option<usize> {
    match way {
        Way::Forward => (at * conv.stride[axis] + k * conv.dilation[axis])
            .checked_sub(conv.pad[axis])
            .filter(|i| *i < conv.size_in[axis]),
        Way::Backward => {
            let shifted = (at + conv.pad[axis]).checked_sub(k * conv.dilation[axis])?;
            let o = shifted / conv.stride[axis];
            (shifted.is_multiple_of(conv.stride[axis]) && o < conv.size_out[axis]).then_some(o)
        }
    }
}

/// Marks in `lists.marks` the target neurons that live source neurons are connected with, whole pixels of a group at a time.
pub(super) fn mark(conv: &Conv, way: Way, from: &Support, lists: &mut Lists) {
    let (source_side, target) = sides(conv, way);
    let (from_area, to_area) = (area(source_side.size), area(target.size));
    lists.pixels.clear();
    lists.pixels.resize(conv.groups * from_area, false);
    for j in &from.live {
        let (channel, pixel) = (*j as usize / from_area, *j as usize % from_area);
        lists.pixels[channel / source_side.channels * from_area + pixel] = true;
    }
    lists.marks.clear();
    lists.marks.resize(conv.groups * target.channels * to_area, false);
    for group in 0..conv.groups {
        let first = group * target.channels * to_area;
        let pixels = &lists.pixels[group * from_area..][..from_area];
        for y in 0..target.size[0] {
            for x in 0..target.size[1] {
                lists.marks[first + y * target.size[1] + x] = reached(conv, way, source_side, pixels, y, x);
            }
        }
        for channel in 1..target.channels {
            lists.marks.copy_within(first..first + to_area, first + channel * to_area);
        }
    }
}

fn reached(conv: &Conv, way: Way, side: Side, pixels: &[bool], y: usize, x: usize) -> bool {
    (0..conv.kernel[0]).any(|ky| {
        source(conv, way, 0, y, ky).is_some_and(|sy| {
            (0..conv.kernel[1])
                .any(|kx| source(conv, way, 1, x, kx).is_some_and(|sx| pixels[sy * side.size[1] + sx]))
        })
    })
}

fn area(size: [usize; 2]) -> usize {
    size[0] * size[1]
}

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
    let (side, target) = sides(conv, way);
    let to_area = area(target.size);
    for (group, panels) in panels.iter().enumerate() {
        let first = group * target.channels * to_area;
        let mut pixel = 0;
        for y in 0..target.size[0] {
            for x in 0..target.size[1] {
                lists.targets.clear();
                let rows = to.support.pos[first + pixel..].iter().step_by(to_area).take(target.channels);
                lists.targets.extend(rows);
                pixel += 1;
                if lists.targets.iter().all(|t| *t == DROP) {
                    continue;
                }
                collect(conv, way, side, &from.support.pos, group, [y, x], &mut lists.terms);
                panels.product(&lists.terms, &from.data, lanes, &lists.targets, &mut to.data, false);
            }
        }
    }
}

/// The terms of one target pixel.
fn collect(
    conv: &Conv,
    way: Way,
    side: Side,
    pos: &[u32],
    group: usize,
    at: [usize; 2],
    terms: &mut Vec<Term>,
) {
    terms.clear();
    let from_area = area(side.size);
    let first = group * side.channels * from_area;
    for ky in 0..conv.kernel[0] {
        let Some(sy) = source(conv, way, 0, at[0], ky) else { continue };
        for kx in 0..conv.kernel[1] {
            let Some(sx) = source(conv, way, 1, at[1], kx) else { continue };
            let column = ((ky * conv.kernel[1] + kx) * side.channels) as u32;
            let rows = pos[first + sy * side.size[1] + sx..].iter().step_by(from_area).take(side.channels);
            for (channel, row) in (0u32..).zip(rows) {
                if *row != DROP {
                    terms.push(Term { col: column + channel, row: *row });
                }
            }
        }
    }
}
