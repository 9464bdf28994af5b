//! The tree of a proof, as bytes, and the walk that derives its leaves.
//!
//! Steps in preorder, little-endian; none is a step of a chain's proof:
//!
//! | byte | then | meaning |
//! | --- | --- | --- |
//! | 17 | coordinate `u32`, value `f64` | input split: the subtree with `x ≤ value`, then the one with `x ≥ value` |
//! | 18 | slot `u32`, element `u32`, point `f32` | split of a computed value: the subtree with `z ≥ point`, then the one with `z ≤ point` |
//! | 19 | per disjunct open here: row `u16`, flags `u8`, α bytes if flag 1, β if flag 2 (one `f32` per split of byte 18 above) | leaf |
//! | 20 | lemma, below | the subtree in which leaves inherit bounds derived here |
//! | 21 | index `u16` | split of the disjuncts open here: the subtree for those before the index, then the one for the others |
//!
//! The closed halves overlap in the cut, so the leaves cover the box; at first all disjuncts are open, and each stays so in exactly
//! one subtree of a split, so for each disjunct the leaves that refute it cover the box. Every leaf lies below a lemma and inherits from the nearest.
//!
//! A lemma says what tighten intervals (see [`super::Slopes`]): default `u8` (0: no rows, 1: rows with adaptive slopes, 2: affine forms and no rows),
//! for 2 the symbols `u16`, above 0, and for the others count `u16`, then as many entries, slots ascending: slot `u32`, mode `u8`, and by mode, with `L` the slot's [`Layout::claims_len`]:
//!
//! | mode | then | rows of the slot |
//! | --- | --- | --- |
//! | 0 | | none |
//! | 1 | | adaptive slopes |
//! | 2 | `2·L` | slopes of all lower, then of all upper bounds |
//! | 3 | `n` `u32`, then `n` times: element `u32` (ascending), `2·L` | slopes of the elements named, others adaptive |
//! | 4 | as 3 | as 3, others none |
//! | 5 | `n` `u32`, length `u32`, then `n` times: element `u32` (ascending), two offsets `u32`; then so many bytes | lower and upper bounds of the elements named by cases, each at its offset in those bytes, as below; others adaptive |
//!
//! A bound by cases is a tree of splits of earlier values, given by its leaves: count `u16`, then per leaf depth `u8`, so many splits (slot
//! `u32`, element `u32`, point `f32`, side `u8`: 1 for `z ≥ point`), as many multipliers `β` (`f32`), and `L` bytes of slopes. There are no
//! more than [`super::Memory::lanes`].

use super::super::{Rejection, Stats};
use super::derive::{Slopes, Start};
use super::{Bounds, Checker, Claim, Kernel, Layout, Outcome, Problem, Split};
use crate::program::{Slot, to_usize};

/// One step on the path to the current node, and what it cut off.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    kind: FrameKind,
    second: bool,
}

#[derive(Clone, Copy, Debug)]
enum FrameKind {
    Input { coordinate: usize, value: f64, kept: f64 },
    Value,
    Lemma,
    Disjuncts { at: usize, kept: usize },
}

impl Frame {
    /// A frame to fill buffers with.
    pub const EMPTY: Self = Self { kind: FrameKind::Value, second: false };
}

/// Reads bytes from the front.
#[derive(Clone, Copy)]
struct Reader<'p> {
    bytes: &'p [u8],
    at: usize,
}

impl<'p> Reader<'p> {
    fn take(&mut self, n: usize) -> Result<&'p [u8], Rejection> {
        let end = self.at.checked_add(n).ok_or(Rejection::Length)?;
        let slice = self.bytes.get(self.at..end).ok_or(Rejection::Length)?;
        self.at = end;
        Ok(slice)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Rejection> {
        self.take(N)?.try_into().map_err(|_| Rejection::Length)
    }
    fn u16(&mut self) -> Result<u16, Rejection> {
        self.array().map(u16::from_le_bytes)
    }
    fn u32(&mut self) -> Result<u32, Rejection> {
        self.array().map(u32::from_le_bytes)
    }
    fn u8(&mut self) -> Result<u8, Rejection> {
        self.array().map(|[b]: [u8; 1]| b)
    }
}

/// Default of a lemma that propagates affine forms.
const FORMS: u8 = 2;

/// The claims of one leaf, still as bytes.
#[derive(Clone, Copy, Debug)]
pub struct LeafBytes<'p> {
    bytes: &'p [u8],
    alpha: usize,
    splits: usize,
    /// The disjuncts open at the leaf: the first, and how many.
    open: (usize, usize),
}

impl<'p> LeafBytes<'p> {
    /// The disjuncts that the leaf refutes, one claim each.
    pub fn disjuncts(&self) -> core::ops::Range<usize> {
        self.open.0..self.open.0 + self.open.1
    }

    /// Parses the claims into the front of `claims`, at least as many as [`Self::disjuncts`]; returns that part.
    ///
    /// # Errors
    /// [`Rejection::Length`] if the bytes end early, [`Rejection::Shape`] if `claims` do.
    pub fn parse<'c>(&self, claims: &'c mut [Claim<'p>]) -> Result<&'c [Claim<'p>], Rejection> {
        let claims = claims.get_mut(..self.open.1).ok_or(Rejection::Shape)?;
        self.parse_with(|i, claim| {
            if let Some(slot) = claims.get_mut(i) {
                *slot = claim;
            }
        })?;
        Ok(claims)
    }

    /// Calls `found` for each claim; returns the length of their bytes.
    fn parse_with(&self, mut found: impl FnMut(usize, Claim<'p>)) -> Result<usize, Rejection> {
        let mut reader = Reader { bytes: self.bytes, at: 0 };
        for i in 0..self.open.1 {
            let (row, flags) = (reader.u16()?, reader.u8()?);
            if flags > 3 {
                return Err(Rejection::Claim);
            }
            let alpha = if flags & 1 != 0 { reader.take(self.alpha)? } else { &[] };
            let beta = if flags & 2 != 0 {
                reader.take(self.splits.checked_mul(4).ok_or(Rejection::Length)?)?
            } else {
                &[]
            };
            found(i, Claim { row, alpha, beta });
        }
        Ok(reader.at)
    }
}

/// A lemma, still as bytes: which rows tighten the bounds that are derived here.
#[derive(Clone, Copy, Debug)]
pub struct Lemma<'p> {
    /// Default, count and entries.
    bytes: &'p [u8],
    layout: &'p Layout<'p>,
}

/// Bytes of an element whose bounds are stated by cases.
const CASES: usize = 12;

/// An entry of a lemma.
struct Entry {
    slot: usize,
    mode: u8,
    /// Claim bytes of one row.
    row: usize,
    /// Elements named, for modes 3 to 5.
    count: usize,
    /// Bytes of each of them.
    stride: usize,
    /// Offset of what follows.
    at: usize,
}

impl<'p> Lemma<'p> {
    /// The lemma that `bytes` are, after the step's first byte.
    ///
    /// # Errors
    /// [`Rejection`] if they are not exactly one for a program of so many slots.
    pub fn new(bytes: &'p [u8], layout: &'p Layout<'p>, slots: usize) -> Result<Self, Rejection> {
        let (lemma, length) = Self::parse(bytes, layout, slots)?;
        if length == bytes.len() { Ok(lemma) } else { Err(Rejection::Length) }
    }

    /// Checks the lemma that `bytes` begin with; also returns its length.
    fn parse(bytes: &'p [u8], layout: &'p Layout<'p>, slots: usize) -> Result<(Self, usize), Rejection> {
        let mut reader = Reader { bytes, at: 0 };
        let (default, count) = (reader.u8()?, reader.u16()?);
        if default > 2 || (default == FORMS && count == 0) {
            return Err(Rejection::Claim);
        }
        let count = if default == FORMS { 0 } else { count };
        let mut next_slot = 1;
        for _ in 0..count {
            let entry = Self::entry(&mut reader, layout)?;
            if entry.slot < next_slot || entry.slot >= slots {
                return Err(Rejection::Claim);
            }
            next_slot = entry.slot + 1;
        }
        let bytes = bytes.get(..reader.at).ok_or(Rejection::Length)?;
        Ok((Self { bytes, layout }, reader.at))
    }

    /// Reads one entry to its end.
    fn entry(reader: &mut Reader<'_>, layout: &Layout<'_>) -> Result<Entry, Rejection> {
        let (slot, mode) = (to_usize(reader.u32()?), reader.u8()?);
        let row = layout.claims_len(Slot(slot));
        let both = row.checked_mul(2).ok_or(Rejection::Length)?;
        let mut entry = Entry { slot, mode, row, count: 0, stride: 0, at: reader.at };
        match mode {
            0 | 1 => {}
            2 => {
                reader.take(both)?;
            }
            3 | 4 => {
                entry.count = to_usize(reader.u32()?);
                entry.at = reader.at;
                entry.stride = both.checked_add(4).ok_or(Rejection::Length)?;
                reader.take(entry.stride.checked_mul(entry.count).ok_or(Rejection::Length)?)?;
            }
            5 => {
                (entry.count, entry.stride) = (to_usize(reader.u32()?), CASES);
                let length = to_usize(reader.u32()?);
                entry.at = reader.at;
                reader.take(CASES.checked_mul(entry.count).ok_or(Rejection::Length)?)?;
                reader.take(length)?;
            }
            _ => return Err(Rejection::Claim),
        }
        Ok(entry)
    }

    fn find(&self, slot: usize) -> Option<Entry> {
        if self.columns() > 0 {
            return None;
        }
        let mut reader = Reader { bytes: self.bytes, at: 1 };
        let count = reader.u16().ok()?;
        (0..count).find_map(|_| Self::entry(&mut reader, self.layout).ok().filter(|e| e.slot == slot))
    }

    /// Where what is said of an element named by an entry begins, by bisection: in a list that does not ascend some are not found.
    fn named(&self, entry: &Entry, element: usize) -> Option<usize> {
        let (mut low, mut high) = (0, entry.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let at = entry.at + middle * entry.stride;
            let found = to_usize(Reader { bytes: self.bytes, at }.u32().ok()?);
            if found == element {
                return Some(at + 4);
            }
            if found < element {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        None
    }
}

impl Slopes for Lemma<'_> {
    fn bytes(&self) -> &[u8] {
        self.bytes
    }

    fn columns(&self) -> usize {
        if self.bytes.first() != Some(&FORMS) {
            return 0;
        }
        Reader { bytes: self.bytes, at: 1 }.u16().map_or(0, usize::from)
    }

    fn has_claims(&self) -> bool {
        self.columns() == 0 && Reader { bytes: self.bytes, at: 1 }.u16().is_ok_and(|entries| entries > 0)
    }

    fn start(&self, slot: Slot, element: usize, upper: bool) -> Start {
        let otherwise = |rows: bool| if rows { Start::Adaptive } else { Start::Skip };
        let Some(entry) = self.find(slot.0) else { return otherwise(self.bytes.first() == Some(&1)) };
        let side = usize::from(upper);
        let upper = if upper { entry.row } else { 0 };
        match entry.mode {
            0 | 1 => otherwise(entry.mode == 1),
            5 => match self.named(&entry, element) {
                // An offset that cannot be read is one at which there are no leaves.
                Some(at) => {
                    let offset = Reader { bytes: self.bytes, at: at + 4 * side }.u32();
                    let from = entry.at + entry.count * entry.stride;
                    Start::Cases { at: offset.map_or(self.bytes.len(), |o| from.saturating_add(to_usize(o))) }
                }
                None => Start::Adaptive,
            },
            2 => Start::Alpha { at: entry.at + upper },
            _ => match self.named(&entry, element) {
                Some(at) => Start::Alpha { at: at + upper },
                None => otherwise(entry.mode == 3),
            },
        }
    }
}

/// What happens on a walk.
pub trait Visitor<'p> {
    /// A lemma that begins level `level` (0 is the outermost), on a box and under the splits above.
    ///
    /// # Errors
    /// Ends the walk.
    fn lemma(
        &mut self,
        level: usize,
        region: (&[f64], &[f64]),
        splits: &[Split],
        lemma: &Lemma<'p>,
    ) -> Result<(), Rejection>;

    /// A leaf that inherits from level `level`.
    ///
    /// # Errors
    /// Ends the walk.
    fn leaf(
        &mut self,
        level: usize,
        region: (&[f64], &[f64]),
        splits: &[Split],
        leaf: LeafBytes<'p>,
    ) -> Result<(), Rejection>;
}

/// A walk under way.
struct Walk<'w> {
    lower: &'w mut [f64],
    upper: &'w mut [f64],
    frames: &'w mut [Frame],
    splits: &'w mut [Split],
    depth: usize,
    fixed: usize,
    levels: usize,
    /// The disjuncts that are open: from the first to before the second.
    open: (usize, usize),
}

/// Walks the proof `bytes`, telling `visitor` of each lemma and leaf.
///
/// `lower` and `upper` hold the box and are used to work on; they are restored at a successful end. `frames` and `splits` bound
/// the depth.
///
/// # Errors
/// [`Rejection`] of the first bad step, or what the visitor returns.
pub fn walk<'p>(
    problem: &Problem<'_>,
    layout: &'p Layout<'p>,
    bytes: &'p [u8],
    (lower, upper): (&mut [f64], &mut [f64]),
    (frames, splits): (&mut [Frame], &mut [Split]),
    visitor: &mut impl Visitor<'p>,
) -> Result<Stats, Rejection> {
    let program = &problem.program;
    let alpha = layout.claims_len(program.output());
    let open = (0, problem.disjuncts.len());
    let mut walk = Walk { lower, upper, frames, splits, depth: 0, fixed: 0, levels: 0, open };
    let mut reader = Reader { bytes, at: 0 };
    let mut stats = Stats::default();
    loop {
        let at = reader.at;
        match reader.u8()? {
            17 => {
                let coordinate = to_usize(reader.u32()?);
                walk.split_input(at, coordinate, f64::from_le_bytes(reader.array()?))?;
            }
            18 => {
                let (slot, element) = (Slot(to_usize(reader.u32()?)), reader.u32()?);
                let point = f32::from_le_bytes(reader.array()?);
                let inside = slot.0 > 0 && to_usize(element) < program.size(slot) && point.is_finite();
                if !inside {
                    return Err(Rejection::Split { at });
                }
                *walk.splits.get_mut(walk.fixed).ok_or(Rejection::Depth)? =
                    Split { slot, element, point, above: true };
                walk.push(FrameKind::Value)?;
                walk.fixed += 1;
            }
            19 => {
                let level = walk.levels.checked_sub(1).ok_or(Rejection::Step { at })?;
                let rest = bytes.get(reader.at..).ok_or(Rejection::Length)?;
                let open = (walk.open.0, walk.open.1 - walk.open.0);
                let view = LeafBytes { bytes: rest, alpha, splits: walk.fixed, open };
                let length = view.parse_with(|_, _| {})?;
                let view = LeafBytes { bytes: reader.take(length)?, ..view };
                visitor.leaf(level, (walk.lower, walk.upper), walk.path()?, view)?;
                stats.leaves += 1;
                stats.depth = stats.depth.max(walk.depth);
                if !walk.up()? {
                    return if reader.at == bytes.len() { Ok(stats) } else { Err(Rejection::Length) };
                }
            }
            20 => {
                let rest = bytes.get(reader.at..).ok_or(Rejection::Length)?;
                let (lemma, length) = Lemma::parse(rest, layout, program.slots())?;
                reader.take(length)?;
                visitor.lemma(walk.levels, (walk.lower, walk.upper), walk.path()?, &lemma)?;
                walk.push(FrameKind::Lemma)?;
                walk.levels += 1;
            }
            21 => walk.split_disjuncts(at, usize::from(reader.u16()?))?,
            _ => return Err(Rejection::Step { at }),
        }
    }
}

impl Walk<'_> {
    fn path(&self) -> Result<&[Split], Rejection> {
        self.splits.get(..self.fixed).ok_or(Rejection::Depth)
    }

    fn push(&mut self, kind: FrameKind) -> Result<(), Rejection> {
        *self.frames.get_mut(self.depth).ok_or(Rejection::Depth)? = Frame { kind, second: false };
        self.depth += 1;
        Ok(())
    }

    fn split_input(&mut self, at: usize, coordinate: usize, value: f64) -> Result<(), Rejection> {
        let (Some(l), Some(u)) = (self.lower.get(coordinate), self.upper.get(coordinate)) else {
            return Err(Rejection::Split { at });
        };
        if !(*l <= value && value <= *u) {
            return Err(Rejection::Split { at });
        }
        self.push(FrameKind::Input { coordinate, value, kept: *u })?;
        *self.upper.get_mut(coordinate).ok_or(Rejection::Split { at })? = value;
        Ok(())
    }

    /// Both parts have at least one disjunct, so that a path has fewer such splits than there are disjuncts.
    fn split_disjuncts(&mut self, offset: usize, at: usize) -> Result<(), Rejection> {
        let (first, end) = self.open;
        if !(first < at && at < end) {
            return Err(Rejection::Split { at: offset });
        }
        self.push(FrameKind::Disjuncts { at, kept: end })?;
        self.open.1 = at;
        Ok(())
    }

    /// Goes up to the nearest split whose second half is open, and into that; false at the top.
    fn up(&mut self) -> Result<bool, Rejection> {
        while let Some(above) = self.depth.checked_sub(1) {
            let frame = self.frames.get_mut(above).ok_or(Rejection::Depth)?;
            let finished = frame.second;
            frame.second = true;
            match &mut frame.kind {
                FrameKind::Lemma => self.levels = self.levels.checked_sub(1).ok_or(Rejection::Shape)?,
                FrameKind::Disjuncts { at, kept } => {
                    // At first `kept` is the end above, then the begin.
                    if finished {
                        self.open.0 = *kept;
                    } else {
                        self.open.1 = *kept;
                        *kept = self.open.0;
                        self.open.0 = *at;
                        return Ok(true);
                    }
                }
                FrameKind::Value => {
                    let last = self.fixed.checked_sub(1).ok_or(Rejection::Shape)?;
                    if finished {
                        self.fixed = last;
                    } else {
                        self.splits.get_mut(last).ok_or(Rejection::Shape)?.above = false;
                        return Ok(true);
                    }
                }
                FrameKind::Input { coordinate, value, kept } => {
                    let (Some(l), Some(u)) =
                        (self.lower.get_mut(*coordinate), self.upper.get_mut(*coordinate))
                    else {
                        return Err(Rejection::Shape);
                    };
                    if finished {
                        *l = *kept;
                    } else {
                        *u = *kept;
                        *kept = *l;
                        *l = *value;
                        return Ok(true);
                    }
                }
            }
            self.depth = above;
        }
        Ok(false)
    }
}

/// Memory of a walk that checks, lent by the caller; lengths cap the depth.
pub struct TreeMemory<'m, 'b, 'p> {
    /// One per step of a path.
    pub frames: &'m mut [Frame],
    /// One per split of a computed value of a path.
    pub splits: &'m mut [Split],
    /// One per lemma of a path.
    pub levels: &'m mut [Bounds<'b>],
    /// `[disjuncts]`.
    pub claims: &'m mut [Claim<'p>],
    /// `[disjuncts]`: in front, the margins of the last leaf.
    pub margins: &'m mut [f64],
}

/// A walk that checks every lemma and leaf.
struct Check<'c, 'a, 'b, 'p, K> {
    checker: &'c mut Checker<'a, K>,
    levels: &'c mut [Bounds<'b>],
    claims: &'c mut [Claim<'p>],
    margins: &'c mut [f64],
}

impl<'p, K: Kernel> Visitor<'p> for Check<'_, '_, '_, 'p, K> {
    fn lemma(
        &mut self,
        level: usize,
        region: (&[f64], &[f64]),
        splits: &[Split],
        lemma: &Lemma<'p>,
    ) -> Result<(), Rejection> {
        let (above, here) = self.levels.split_at_mut_checked(level).ok_or(Rejection::Depth)?;
        let bounds = here.first_mut().ok_or(Rejection::Depth)?;
        self.checker.derive(above.last(), region, splits, lemma, bounds).map(|_| ())
    }

    fn leaf(
        &mut self,
        level: usize,
        region: (&[f64], &[f64]),
        splits: &[Split],
        leaf: LeafBytes<'p>,
    ) -> Result<(), Rejection> {
        let (disjuncts, claims) = (leaf.disjuncts(), leaf.parse(self.claims)?);
        let bounds = self.levels.get(level).ok_or(Rejection::Depth)?;
        let margins = self.margins.get_mut(..claims.len()).ok_or(Rejection::Shape)?;
        match self.checker.check_part(bounds, (region, splits), disjuncts, claims, margins)? {
            Outcome::Refuted | Outcome::Empty => Ok(()),
        }
    }
}

impl<'a, K: Kernel> Checker<'a, K> {
    /// Checks a whole proof: every lemma by [`Checker::derive`], every leaf by [`Checker::check_leaf`].
    ///
    /// # Errors
    /// [`Rejection`]; acceptance means that no input of the box `region` violates.
    pub fn check_tree<'p>(
        &mut self,
        bytes: &'p [u8],
        region: (&mut [f64], &mut [f64]),
        memory: TreeMemory<'_, '_, 'p>,
    ) -> Result<Stats, Rejection>
    where
        'a: 'p,
    {
        let TreeMemory { frames, splits, levels, claims, margins } = memory;
        if claims.len() != self.problem.disjuncts.len() {
            return Err(Rejection::Shape);
        }
        let (problem, layout) = (self.problem, self.layout);
        let mut check = Check { checker: self, levels, claims, margins };
        walk(problem, layout, bytes, region, (frames, splits), &mut check)
    }
}
