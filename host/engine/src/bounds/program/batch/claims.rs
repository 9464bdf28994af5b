//! Slopes as shares in bytes, and the bytes of a proof made from them.
//!
//! | step | bytes of an element | share |
//! | --- | --- | --- |
//! | ReLU, leaky ReLU, absolute value | one | of the way from the slope left of 0 to the one right of 0 |
//! | other function | two: line below, line above | along the *knots* of its line, below |
//! | max | two: member below, plane above | number of the member; of the way of the threshold from the largest lower to the largest upper bound |
//! | product | two a term: below, above | of the way from one McCormick plane to the other |
//!
//! Functions without a kink at 0 alone have lines that cost a search to find. Five of them, the *knots*, are computed for an interval; every mean of two
//! lines below is one below, so a share goes from knot to knot. The knot in the middle has least area. A proof's byte is the share of
//! [`slope_range`] where that slope lies: the checker finds the best intercept for it.

use super::super::interval::Interval;
use super::super::prepare::{Node, Prepared};
use crate::program::{Function, Slot};
use crate::relax::{Alpha, max_lower, max_start, relax, start};
use certus_core::proof::program::slope_range;

/// Shares at some of the bytes that a proof's row may claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alphas {
    /// Which bytes (see `certus_core::proof::program::Layout::claims_at`), ascending.
    pub places: Vec<u32>,
    /// One each.
    pub shares: Vec<u8>,
}

impl Alphas {
    /// Places and shares from a place on.
    pub(super) fn from(&self, place: u32) -> (&[u32], &[u8]) {
        let at = self.places.partition_point(|p| *p < place);
        (&self.places[at..], &self.shares[at..])
    }

    /// The share at a place.
    pub fn get(&self, place: u32) -> Option<u8> {
        self.places.binary_search(&place).ok().map(|i| self.shares[i])
    }
}

/// Number of knots.
pub(in crate::bounds::program) const KNOTS: usize = certus_kernels::lanes::KNOTS;
/// The share of the knot of least area.
pub(super) const MIDDLE: f32 = 128.0 / 255.0;

/// A line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::bounds::program) struct Straight {
    pub(in crate::bounds::program) slope: f32,
    pub(in crate::bounds::program) intercept: f32,
}

/// Lines below, then above, a function on an interval.
pub(in crate::bounds::program) type Knots = [[Straight; KNOTS]; 2];

/// The knots of a function on an interval.
#[expect(clippy::cast_possible_truncation, reason = "estimates")]
pub(in crate::bounds::program) fn knots(function: Function, [lower, upper]: [f32; 2]) -> Option<Knots> {
    let (l, u) = (f64::from(lower), f64::from(upper));
    let best = start(function, l, u).ok()?;
    let way = |s: f64| [0.0, 0.5 * s, s, 0.5 + 0.5 * s, 1.0];
    let (below, above) = (way(best.lower), way(best.upper));
    let mut knots = Knots::default();
    for k in 0..KNOTS {
        let pair = relax(function, l, u, Alpha { lower: below[k], upper: above[k] }).ok()?;
        for (side, line) in [pair.lower, pair.upper].into_iter().enumerate() {
            knots[side][k] = Straight { slope: line.slope as f32, intercept: line.intercept() as f32 };
        }
    }
    Some(knots)
}

/// The byte of the share at `way`, `0..=1`, of the way over all knots.
pub(in crate::bounds::program) fn knot_byte(way: f32) -> u8 {
    let share = if way < 0.5 { 2.0 * way * MIDDLE } else { MIDDLE + (2.0 * way - 1.0) * (1.0 - MIDDLE) };
    byte(share)
}

/// Between which knots a share lies: the first, how far it is to the next, and how fast that grows with the share.
pub(super) fn between(share: f32) -> (usize, f32, f32) {
    let (position, rate) = if share < MIDDLE {
        (2.0 * share / MIDDLE, 2.0 / MIDDLE)
    } else {
        (2.0 + 2.0 * (share - MIDDLE) / (1.0 - MIDDLE), 2.0 / (1.0 - MIDDLE))
    };
    let first = (position as usize).min(KNOTS - 2);
    (first, position - first as f32, rate)
}

/// The line of a share, and how it moves with the share.
pub(super) fn line(knots: &[Straight; KNOTS], share: f32) -> (Straight, Straight) {
    let (k, t, rate) = between(share);
    let step = Straight {
        slope: knots[k + 1].slope - knots[k].slope,
        intercept: knots[k + 1].intercept - knots[k].intercept,
    };
    let at = Straight {
        slope: knots[k].slope + t * step.slope,
        intercept: knots[k].intercept + t * step.intercept,
    };
    (at, Straight { slope: rate * step.slope, intercept: rate * step.intercept })
}

/// The slopes left and right of 0 of a function whose only kink is there.
pub(super) fn kink(function: Function) -> Option<[f32; 2]> {
    match function {
        Function::Relu => Some([0.0, 1.0]),
        Function::LeakyRelu { slope } => Some([slope, 1.0]),
        Function::Abs => Some([-1.0, 1.0]),
        _ => None,
    }
}

/// Bytes of one element.
pub(super) fn width(function: Function) -> usize {
    if kink(function).is_some() { 1 } else { 2 }
}

/// Bytes of the step that gives `slot`.
pub(super) fn bytes_of(net: &Prepared, slot: usize) -> usize {
    match &net.nodes[slot] {
        Node::Input | Node::Unused | Node::Affine { .. } | Node::Index { .. } => 0,
        Node::Elementwise { function, .. } => net.sizes[slot] * width(*function),
        Node::Max { .. } => 2 * net.sizes[slot],
        Node::Product(product) => 2 * net.sizes[slot] * product.k,
    }
}

/// First byte of the step that gives each slot; one more than slots.
pub(in crate::bounds::program) fn first_bytes(net: &Prepared) -> Vec<usize> {
    let mut first = vec![0];
    (0..net.nodes.len()).for_each(|slot| first.push(first[slot] + bytes_of(net, slot)));
    first
}

/// The nearest byte.
pub(in crate::bounds::program) fn byte(share: f32) -> u8 {
    (255.0 * share.clamp(0.0, 1.0)).round_ties_even() as u8
}

/// Which share of a function with a kink is adaptive.
pub(super) fn adaptive([lower, upper]: [f32; 2]) -> u8 {
    if upper > -lower { 255 } else { 0 }
}

/// The claim of a row that starts at `slot`, as a proof states it (`Layout::claims_len` bytes): `alphas` on the domain's `intervals`, adaptive
/// slopes elsewhere.
///
/// # Panics
/// If `intervals` are not those of all slots.
pub fn claims(net: &Prepared, slot: Slot, intervals: &[Interval], alphas: &Alphas) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut given = alphas.places.iter().zip(&alphas.shares).peekable();
    for at in 1..=slot.0 {
        let mut next = |place: usize| {
            while given.next_if(|(p, _)| (**p as usize) < place).is_some() {}
            given.next_if(|(p, _)| **p as usize == place).map(|(_, share)| *share)
        };
        match &net.nodes[at] {
            Node::Input | Node::Unused | Node::Affine { .. } | Node::Index { .. } => {}
            Node::Elementwise { input, function } => {
                for j in 0..net.sizes[at] {
                    let ends = intervals[*input].at(j);
                    let shares: [Option<u8>; 2] = [0, 1]
                        .map(|side| (side < width(*function)).then(|| next(bytes.len() + side)).flatten());
                    elementwise(*function, ends, shares, &mut bytes);
                }
            }
            Node::Max { input, groups } => {
                for group in groups.iter() {
                    let ends = |side: usize| -> Vec<f32> {
                        group.iter().map(|j| intervals[*input].at(*j as usize)[side]).collect()
                    };
                    let (lower, upper) = (ends(0), ends(1));
                    let share = next(bytes.len() + 1);
                    // A member that no byte can name: the checker takes the first.
                    bytes.push(u8::try_from(max_lower(&lower, &upper)).unwrap_or(u8::MAX));
                    bytes.push(share.unwrap_or_else(|| byte(max_start(&lower, &upper))));
                }
            }
            Node::Product(_) => {
                for _ in 0..bytes_of(net, at) {
                    let share = next(bytes.len());
                    bytes.push(share.unwrap_or(128));
                }
            }
        }
    }
    bytes
}

/// The bytes of one element of a function.
fn elementwise(function: Function, ends: [f32; 2], shares: [Option<u8>; 2], bytes: &mut Vec<u8>) {
    let (l, u) = (f64::from(ends[0]), f64::from(ends[1]));
    if let Some([negative, positive]) = kink(function) {
        let share = shares[0].unwrap_or_else(|| adaptive(ends));
        if negative <= positive {
            bytes.push(share);
            return;
        }
        // Concave: the free side is the upper one, which has knots.
        let slope = knots(function, ends).map(|k| line(&k[1], f32::from(share) / 255.0).0.slope);
        let way = slope.map(|s| (s - negative) / (positive - negative));
        bytes.push(way.map_or(share, byte));
        return;
    }
    let (Some(knots), Ok((least, most))) = (knots(function, ends), slope_range(function, l, u)) else {
        bytes.extend([128; 2]);
        return;
    };
    for (side, share) in shares.into_iter().enumerate() {
        let slope = line(&knots[side], share.map_or(MIDDLE, |s| f32::from(s) / 255.0)).0.slope;
        let way = if most > least { (f64::from(slope) - least) / (most - least) } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, reason = "any share is valid")]
        bytes.push(byte(way as f32));
    }
}
