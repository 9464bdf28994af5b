//! The tree of a proof, as bytes, and the walk that derives its leaves.
//!
//! Steps in preorder, little-endian:
//!
//! | byte | then | meaning |
//! | --- | --- | --- |
//! | 1 | coordinate `u16`, value `f64` | input split: the subtree with `x ≤ value`, then the one with `x ≥ value` |
//! | 2 | layer `u16`, neuron `u32` | neuron split: the subtree with `z ≥ 0`, then the one with `z ≤ 0` |
//! | 3 | per disjunct: row `u16`, flags `u8`, then what the flags say | leaf |
//!
//! Flag 1: α bytes, one per neuron. 2: β, one `f32` per neuron split above. 4: number of planes `u16`, then per plane neuron `u16` and a
//! byte per input. 8: number of weights `u16`, then an `f32` each, one per row of the disjunct.
//!
//! The closed halves overlap in the cut, so the leaves cover the box.

use super::leaf::{Memory, check_leaf};
use super::{Claim, Kernel, Planes, Problem, Rejection, Split};

/// One split on the path to the current node, and what it cut off.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    kind: FrameKind,
    second: bool,
}

#[derive(Clone, Copy, Debug)]
enum FrameKind {
    Input { coordinate: usize, value: f64, kept: f64 },
    Neuron,
}

impl Frame {
    /// A frame to fill buffers with.
    pub const EMPTY: Self = Self { kind: FrameKind::Neuron, second: false };
}

/// What a walk saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Leaves.
    pub leaves: usize,
    /// Deepest path.
    pub depth: usize,
}

/// The claims of one leaf, still as bytes.
#[derive(Clone, Copy, Debug)]
pub struct LeafBytes<'p> {
    bytes: &'p [u8],
    neurons: usize,
    inputs: usize,
    splits: usize,
}

impl<'p> LeafBytes<'p> {
    /// Parses the claims into `claims` (`[disjuncts]`).
    ///
    /// # Errors
    /// [`Rejection::Length`] if the bytes end early.
    pub fn parse(&self, claims: &mut [Claim<'p>]) -> Result<(), Rejection> {
        self.parse_with(claims.len(), |i, claim| {
            if let Some(slot) = claims.get_mut(i) {
                *slot = claim;
            }
        })
        .map(|_| ())
    }

    /// Calls `found` for each of `disjuncts` claims; returns the length of their bytes.
    fn parse_with(
        &self,
        disjuncts: usize,
        mut found: impl FnMut(usize, Claim<'p>),
    ) -> Result<usize, Rejection> {
        let mut at = 0;
        let mut take = |n: usize| {
            let end = at + n;
            let slice = self.bytes.get(at..end).ok_or(Rejection::Length)?;
            at = end;
            Ok(slice)
        };
        for i in 0..disjuncts {
            let (row, flags) = match take(3)? {
                &[a, b, flags] => (u16::from_le_bytes([a, b]), flags),
                _ => return Err(Rejection::Length),
            };
            if flags > 15 {
                return Err(Rejection::Claim);
            }
            let alpha = if flags & 1 != 0 { take(self.neurons)? } else { &[] };
            let beta = if flags & 2 != 0 { take(4 * self.splits)? } else { &[] };
            let count = |bytes: &[u8]| match bytes {
                &[a, b] => usize::from(u16::from_le_bytes([a, b])),
                _ => 0,
            };
            let planes = if flags & 4 != 0 { count(take(2)?) * Planes::stride(self.inputs) } else { 0 };
            let planes = Planes::new(take(planes)?, self.inputs);
            let weights = if flags & 8 != 0 { 4 * count(take(2)?) } else { 0 };
            let weights = take(weights)?;
            found(i, Claim { row, alpha, beta, planes, weights });
        }
        Ok(at)
    }
}

/// Walks the proof `bytes`, calling `leaf` with box, splits and claims of each leaf.
///
/// `lower` and `upper` hold the box and are used to work on; they are restored at a successful end. `frames` and `splits`
/// bound the depth.
///
/// # Errors
/// [`Rejection`] of the first bad step, or whatever `leaf` returns.
pub fn walk<'p>(
    problem: &Problem<'_>,
    bytes: &'p [u8],
    (lower, upper): (&mut [f64], &mut [f64]),
    frames: &mut [Frame],
    splits: &mut [Split],
    mut leaf: impl FnMut((&[f64], &[f64]), &[Split], LeafBytes<'p>) -> Result<(), Rejection>,
) -> Result<Stats, Rejection> {
    let (neurons, inputs) = (problem.network.neurons(), problem.network.inputs());
    let (mut at, mut depth, mut fixed) = (0usize, 0usize, 0usize);
    let mut stats = Stats::default();
    loop {
        let rest = bytes.get(at..).ok_or(Rejection::Length)?;
        match rest {
            [1, a, b, v0, v1, v2, v3, v4, v5, v6, v7, ..] => {
                let coordinate = usize::from(u16::from_le_bytes([*a, *b]));
                let value = f64::from_le_bytes([*v0, *v1, *v2, *v3, *v4, *v5, *v6, *v7]);
                let (Some(l), Some(u)) = (lower.get(coordinate), upper.get_mut(coordinate)) else {
                    return Err(Rejection::Split { at });
                };
                if !(*l <= value && value <= *u) {
                    return Err(Rejection::Split { at });
                }
                let frame = frames.get_mut(depth).ok_or(Rejection::Depth)?;
                *frame = Frame { kind: FrameKind::Input { coordinate, value, kept: *u }, second: false };
                *u = value;
                depth += 1;
                at += 11;
            }
            [2, a, b, n0, n1, n2, n3, ..] => {
                let layer = u16::from_le_bytes([*a, *b]);
                let neuron = u32::from_le_bytes([*n0, *n1, *n2, *n3]);
                let frame = frames.get_mut(depth).ok_or(Rejection::Depth)?;
                *frame = Frame { kind: FrameKind::Neuron, second: false };
                *splits.get_mut(fixed).ok_or(Rejection::Depth)? = Split { layer, neuron, active: true };
                fixed += 1;
                depth += 1;
                at += 7;
            }
            [3, claims @ ..] => {
                let view = LeafBytes { bytes: claims, neurons, inputs, splits: fixed };
                let length = view.parse_with(problem.disjuncts.len(), |_, _| {})?;
                let view = LeafBytes { bytes: claims.get(..length).ok_or(Rejection::Length)?, ..view };
                leaf((lower, upper), splits.get(..fixed).ok_or(Rejection::Depth)?, view)?;
                stats.leaves += 1;
                stats.depth = stats.depth.max(depth);
                at += 1 + length;
                // Go up to the nearest split whose second half is open.
                loop {
                    let Some(above) = depth.checked_sub(1) else {
                        return if at == bytes.len() { Ok(stats) } else { Err(Rejection::Length) };
                    };
                    let frame = frames.get_mut(above).ok_or(Rejection::Depth)?;
                    let finished = frame.second;
                    frame.second = true;
                    turn(frame, finished, (lower, upper), splits, &mut fixed)?;
                    if !finished {
                        break;
                    }
                    depth = above;
                }
            }
            [] | [1 | 2, ..] => return Err(Rejection::Length),
            _ => return Err(Rejection::Step { at }),
        }
    }
}

/// Moves a frame from its first half to its second, or, if `finished`, restores what it cut off.
fn turn(
    frame: &mut Frame,
    finished: bool,
    (lower, upper): (&mut [f64], &mut [f64]),
    splits: &mut [Split],
    fixed: &mut usize,
) -> Result<(), Rejection> {
    match &mut frame.kind {
        FrameKind::Input { coordinate, value, kept } => {
            let (Some(l), Some(u)) = (lower.get_mut(*coordinate), upper.get_mut(*coordinate)) else {
                return Err(Rejection::Shape);
            };
            if finished {
                *l = *kept;
            } else {
                *u = *kept;
                *kept = *l;
                *l = *value;
            }
        }
        FrameKind::Neuron => {
            if finished {
                *fixed = fixed.checked_sub(1).ok_or(Rejection::Shape)?;
            } else {
                let last = fixed.checked_sub(1).ok_or(Rejection::Shape)?;
                splits.get_mut(last).ok_or(Rejection::Shape)?.active = false;
            }
        }
    }
    Ok(())
}

/// Memory of a walk, lent by the caller; the lengths of `frames` and `splits` cap the depth.
pub struct TreeMemory<'m, 'p> {
    /// One per level.
    pub frames: &'m mut [Frame],
    /// One per neuron split of a path.
    pub splits: &'m mut [Split],
    /// `[disjuncts]`.
    pub claims: &'m mut [Claim<'p>],
}

/// Checks a whole proof: every leaf of the tree by [`check_leaf`].
///
/// # Errors
/// [`Rejection`]; acceptance means that no input of the box `region` violates, for the problem's meaning.
pub fn check_tree<'p>(
    problem: &Problem<'_>,
    kernel: &mut impl Kernel,
    bytes: &'p [u8],
    region: (&mut [f64], &mut [f64]),
    tree: TreeMemory<'_, 'p>,
    memory: &mut Memory<'_>,
) -> Result<Stats, Rejection> {
    let TreeMemory { frames, splits, claims } = tree;
    if claims.len() != problem.disjuncts.len() {
        return Err(Rejection::Shape);
    }
    walk(problem, bytes, region, frames, splits, |region, splits, leaf| {
        leaf.parse(claims)?;
        check_leaf(problem, kernel, region, splits, claims, memory)
    })
}
