//! Several leaves in the lanes of one backward pass: those that inherit bounds of their own box.
//!
//! The lanes share the bounds derived above. Where a leaf splits the operand of a function of one value, its lanes relax that element
//! on their own part of the interval; every other use of the shared bounds is of a larger set, which holds. Rounding: masses and
//! errors of the shared bounds are at least those of a part, so each lane is charged as in the pass of its leaf alone.

use super::super::Rejection;
use super::backward::{Backward, Hints};
use super::checker::{Bounds, Checker, State, View};
use super::derive::side;
use super::interval::intersect;
use super::leaf::start;
use super::{Claim, Kernel, Outcome, Row, Split};
use crate::program::{Operation, Slot, to_usize};

/// A leaf on the box of the bounds that it inherits from.
#[derive(Clone, Copy, Debug)]
pub struct Leaf<'l> {
    /// Its splits of computed values, in order of depth.
    pub splits: &'l [Split],
    /// First of the disjuncts that it refutes.
    pub first: usize,
    /// One for each of these disjuncts.
    pub claims: &'l [Claim<'l>],
}

/// The claims of a block: lane `r` is claim `claim[r]` of leaf `leaf[r]`.
struct Lanes<'c> {
    leaves: &'c [Leaf<'c>],
    leaf: &'c [u32],
    claim: &'c [u32],
}

impl Lanes<'_> {
    fn leaf(&self, lane: usize) -> Option<&Leaf<'_>> {
        self.leaves.get(to_usize(*self.leaf.get(lane)?))
    }
    fn claim(&self, lane: usize) -> Option<&Claim<'_>> {
        self.leaf(lane)?.claims.get(to_usize(*self.claim.get(lane)?))
    }
    /// The row that a lane refutes; `None` for the row 0 > 0.
    fn row<'p>(&self, lane: usize, disjuncts: &[&'p [Row<'p>]]) -> Result<Option<&'p Row<'p>>, Rejection> {
        let (Some(leaf), Some(claim), Some(at)) = (self.leaf(lane), self.claim(lane), self.claim.get(lane))
        else {
            return Err(Rejection::Shape);
        };
        claim.row(disjuncts.get(leaf.first + to_usize(*at)).ok_or(Rejection::Shape)?)
    }
}

impl Hints for Lanes<'_> {
    fn alpha(&self, lane: usize) -> &[u8] {
        self.claim(lane).map_or(&[], |c| c.alpha)
    }
    fn splits(&self, lane: usize) -> usize {
        self.leaf(lane).map_or(0, |l| l.splits.len())
    }
    fn split(&self, lane: usize, index: usize) -> Option<Split> {
        self.leaf(lane)?.splits.get(index).copied()
    }
    fn cuts(&self, _: usize) -> bool {
        true
    }
    fn beta(&self, lane: usize, split: usize) -> f64 {
        self.claim(lane).map_or(0.0, |c| c.beta_at(split))
    }
}

/// A leaf in lanes is refused until all its margins are positive.
const UNDECIDED: Result<Outcome, Rejection> = Err(Rejection::NotProved { disjunct: 0 });

/// Accepts the undecided leaves whose margins are all positive.
fn settle(leaves: &[Leaf<'_>], margins: &[f64], outcomes: &mut [Result<Outcome, Rejection>]) {
    let mut rest = margins;
    for (leaf, outcome) in leaves.iter().zip(outcomes) {
        let Some((own, others)) = rest.split_at_checked(leaf.claims.len()) else { return };
        rest = others;
        if *outcome == UNDECIDED && own.iter().all(|m| *m > 0.0) {
            *outcome = Ok(Outcome::Refuted);
        }
    }
}

/// What a leaf comes to before its rows are propagated.
enum Beginning {
    /// Its rows go into lanes.
    Lanes,
    /// It is checked alone.
    Alone,
    Empty,
}

impl<K: Kernel> Checker<'_, K> {
    /// As [`Checker::check_part`] for each of several leaves on the box of `bounds`, many rows at once.
    ///
    /// # Shapes
    /// `outcomes` one per leaf; `margins` one per claim of all leaves, in order.
    ///
    /// # Errors
    /// [`Rejection::Shape`] if a shape does not fit. Why one leaf is not accepted is its outcome; none is accepted that does not
    /// hold.
    pub fn check_leaves(
        &mut self,
        bounds: &Bounds<'_>,
        leaves: &[Leaf<'_>],
        margins: &mut [f64],
        outcomes: &mut [Result<Outcome, Rejection>],
    ) -> Result<(), Rejection> {
        let claims = leaves.iter().fold(0usize, |sum, l| sum.saturating_add(l.claims.len()));
        let inputs = self.problem.program.inputs();
        let region = bounds.lower.get(..inputs).zip(bounds.upper.get(..inputs)).ok_or(Rejection::Shape)?;
        if outcomes.len() != leaves.len() || margins.len() != claims {
            return Err(Rejection::Shape);
        }
        self.mark(region, None)?;
        margins.fill(f64::NAN);
        let mut at = 0;
        for (leaf, outcome) in leaves.iter().zip(outcomes.iter_mut()) {
            let (from, to) = (at, at + leaf.claims.len());
            at = to;
            *outcome = match self.begin_leaf(bounds, region, leaf) {
                Ok(Beginning::Lanes) => UNDECIDED,
                Ok(Beginning::Empty) => Ok(Outcome::Empty),
                Ok(Beginning::Alone) => {
                    let margins = margins.get_mut(from..to).ok_or(Rejection::Shape)?;
                    let disjuncts = leaf.first..leaf.first + leaf.claims.len();
                    let alone =
                        self.check_part(bounds, (region, leaf.splits), disjuncts, leaf.claims, margins);
                    // Not to be tried again below.
                    match alone {
                        Err(Rejection::NotProved { .. }) => Err(Rejection::Claim),
                        other => other,
                    }
                }
                Err(why) => Err(why),
            };
        }
        self.propagate(bounds, leaves, false, margins, outcomes)?;
        settle(leaves, margins, outcomes);
        if self.layout.lines_len() > 0 && outcomes.contains(&UNDECIDED) {
            self.propagate(bounds, leaves, true, margins, outcomes)?;
            settle(leaves, margins, outcomes);
        }
        let mut at = 0;
        for (leaf, outcome) in leaves.iter().zip(outcomes.iter_mut()) {
            let (from, to) = (at, at + leaf.claims.len());
            at = to;
            if *outcome != UNDECIDED || leaf.splits.is_empty() {
                continue;
            }
            let margins = margins.get_mut(from..to).ok_or(Rejection::Shape)?;
            let rows = self.problem.disjuncts.get(leaf.first..leaf.first + leaf.claims.len());
            let claimed = (rows.ok_or(Rejection::Shape)?, leaf.claims);
            *outcome = self.refute_anew(bounds, (region, leaf.splits), claimed, margins);
        }
        Ok(())
    }

    fn begin_leaf(
        &self,
        bounds: &Bounds<'_>,
        region: (&[f64], &[f64]),
        leaf: &Leaf<'_>,
    ) -> Result<Beginning, Rejection> {
        let end = leaf.first.checked_add(leaf.claims.len()).ok_or(Rejection::Shape)?;
        let disjuncts = self.problem.disjuncts.get(leaf.first..end).ok_or(Rejection::Shape)?;
        self.check_domain(region, leaf.splits)?;
        self.check_claims(leaf.splits, disjuncts, leaf.claims)?;
        if self.inherit(bounds, region, leaf.splits)? {
            return Ok(Beginning::Empty);
        }
        for split in leaf.splits {
            let at = self.layout.offset(split.slot) + to_usize(split.element);
            let (Some(l), Some(u)) = (bounds.lower.get(at), bounds.upper.get(at)) else {
                return Err(Rejection::Shape);
            };
            let (mut l, mut u) = (*l, *u);
            for other in leaf.splits.iter().filter(|o| o.slot == split.slot && o.element == split.element) {
                intersect(&mut l, &mut u, side(other));
            }
            if l > u {
                return Ok(Beginning::Empty);
            }
        }
        let suits = leaf.splits.iter().all(|s| self.only_functions_read(s.slot));
        Ok(if suits { Beginning::Lanes } else { Beginning::Alone })
    }

    /// Whether the bounds of a slot matter to functions of one value only.
    pub(super) fn only_functions_read(&self, slot: Slot) -> bool {
        let program = &self.problem.program;
        let relaxed = |(operation, reads): (&Operation<'_>, bool)| {
            let separate = matches!(
                operation,
                Operation::Elementwise { .. } | Operation::Affine { .. } | Operation::Index { .. }
            );
            !reads || separate
        };
        program.steps().iter().all(|step| {
            let mut reads = false;
            program.for_each_input(step, |read| reads |= read == slot);
            relaxed((&step.operation, reads))
        })
    }

    /// Propagates the rows of the leaves that are undecided, as many at once as there are lanes, and notes their margins; with
    /// intercepts of claimed lines proved `anew`, or from the tables.
    fn propagate(
        &mut self,
        bounds: &Bounds<'_>,
        leaves: &[Leaf<'_>],
        anew: bool,
        margins: &mut [f64],
        outcomes: &[Result<Outcome, Rejection>],
    ) -> Result<(), Rejection> {
        // The lists of lanes are lent to the hints while the rows are propagated.
        let starts = core::mem::take(&mut self.rows.starts);
        let done = self.blocks((bounds, anew), leaves, margins, outcomes, starts);
        self.rows.starts = starts;
        done
    }

    fn blocks(
        &mut self,
        bounds: (&Bounds<'_>, bool),
        leaves: &[Leaf<'_>],
        margins: &mut [f64],
        outcomes: &[Result<Outcome, Rejection>],
        lists: &mut [u32],
    ) -> Result<(), Rejection> {
        let most = self.rows.most;
        let (leaf_of, rest) = lists.split_at_mut_checked(most).ok_or(Rejection::Shape)?;
        let (claim_of, place_of) = rest.split_at_mut_checked(most).ok_or(Rejection::Shape)?;
        let (mut used, mut place) = (0, 0);
        for (index, (leaf, outcome)) in leaves.iter().zip(outcomes).enumerate() {
            let undecided = matches!(outcome, Err(Rejection::NotProved { .. }));
            for claim in 0..leaf.claims.len() {
                place += 1;
                if !undecided {
                    continue;
                }
                for (list, value) in
                    [(&mut *leaf_of, index), (&mut *claim_of, claim), (&mut *place_of, place - 1)]
                {
                    let value = u32::try_from(value).map_err(|_| Rejection::Shape)?;
                    *list.get_mut(used).ok_or(Rejection::Shape)? = value;
                }
                used += 1;
                if used == most {
                    self.block(bounds, &Lanes { leaves, leaf: leaf_of, claim: claim_of }, place_of, margins)?;
                    used = 0;
                }
            }
        }
        if used == 0 {
            return Ok(());
        }
        let [leaf, claim, place] =
            [leaf_of, claim_of, place_of].map(|list| list.get(..used).unwrap_or_default());
        self.block(bounds, &Lanes { leaves, leaf, claim }, place, margins)
    }

    /// One backward pass; `place` is where each lane's margin goes.
    fn block(
        &mut self,
        (bounds, anew): (&Bounds<'_>, bool),
        lanes: &Lanes<'_>,
        place: &[u32],
        margins: &mut [f64],
    ) -> Result<(), Rejection> {
        let State::Derived { mass, .. } = bounds.state else { return Err(Rejection::Shape) };
        let problem = self.problem;
        let view = View {
            program: &problem.program,
            layout: self.layout,
            lower: bounds.lower,
            upper: bounds.upper,
            error: bounds.error,
            lines: bounds.lines,
            mass,
            anew,
        };
        self.rows.begin(lanes.leaf.len(), self.kernel.lane_multiple());
        for lane in 0..lanes.leaf.len() {
            if let Some(row) = lanes.row(lane, problem.disjuncts)? {
                start(&mut self.rows, &view, (problem.program.output(), lane), row)?;
                start(&mut self.rows, &view, (Slot::INPUT, lane), row)?;
            }
        }
        Backward { view, kernel: &mut self.kernel, rows: &mut self.rows, hints: lanes }
            .run(problem.program.output())?;
        for (lane, place) in place.iter().enumerate().take(lanes.leaf.len()) {
            let rhs = lanes.row(lane, problem.disjuncts)?.map_or(0.0, |row| row.rhs);
            // A bound that is not finite leaves NaN, which proves nothing.
            if let (Ok(bound), Some(margin)) =
                (self.rows.bound(lane, self.layout.factors), margins.get_mut(to_usize(*place)))
            {
                *margin = bound - rhs;
            }
        }
        Ok(())
    }
}
