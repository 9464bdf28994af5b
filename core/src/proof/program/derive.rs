//! Lemmas: bounds of every value on a box and under splits, by intervals and rows.

use super::super::Rejection;
use super::backward::{Backward, Hints};
use super::cases::{Cases, Path};
use super::checker::{Bounds, Checker, Fingerprint, State, View};
use super::forms::{COLUMNS_MAX, Forms, stride};
use super::interval::{Intervals, intersect, keep_lines};
use super::layout::Layout;
use super::lines::{self, undecided};
use super::planes::{Interval, mass, smaller};
use super::rows::Rows;
use super::team::{Alone, Shared, Team};
use super::{Kernel, Split};
use crate::program::{Map, Operation, Program, Slot, Step, to_usize};

/// How a row that tightens one end of one value starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Not at all: the interval is tight enough.
    Skip,
    /// With the adaptive slopes.
    Adaptive,
    /// With slopes for all steps before it: [`Layout::claims_len`] of the slot of [`Slopes::bytes`].
    Alpha {
        /// Where they begin.
        at: usize,
    },
    /// As several rows, one for each leaf of a tree of splits: the least bound counts. Their bytes are as the tree of a proof has them.
    Cases {
        /// Where they begin in [`Slopes::bytes`].
        at: usize,
    },
}

/// Which rows a derivation propagates, and with which slopes.
pub trait Slopes {
    /// All claimed slopes.
    fn bytes(&self) -> &[u8] {
        &[]
    }
    /// Whether many rows may claim slopes.
    fn has_claims(&self) -> bool {
        !self.bytes().is_empty()
    }
    /// Symbols of affine forms that tighten all intervals; 0 for none. Such a derivation propagates no rows.
    fn columns(&self) -> usize {
        0
    }
    /// For the lower bound (`upper`: the upper) of an element of `slot`.
    fn start(&self, slot: Slot, element: usize, upper: bool) -> Start;
}

/// Two rows with adaptive slopes for every value that needs tighter bounds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Adaptive;

impl Slopes for Adaptive {
    fn start(&self, _: Slot, _: usize, _: bool) -> Start {
        Start::Adaptive
    }
}

/// No rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct IntervalsOnly;

impl Slopes for IntervalsOnly {
    fn start(&self, _: Slot, _: usize, _: bool) -> Start {
        Start::Skip
    }
}

/// The slopes of a block of rows, and the cases of those that have any.
struct Starts<'s> {
    bytes: &'s [u8],
    /// Slopes of a row.
    len: usize,
    /// Where each lane's slopes begin, or [`NONE`].
    lanes: &'s [u32],
    /// Where each lane's case begins, or [`NONE`].
    paths: &'s [u32],
}

/// A lane without claimed slopes, or that is no case.
const NONE: u32 = u32::MAX;

impl<'s> Starts<'s> {
    fn path(&self, lane: usize) -> Option<Path<'s>> {
        let at = self.paths.get(lane).filter(|at| **at != NONE)?;
        Some(Path::new(self.bytes, to_usize(*at)))
    }
}

impl Hints for Starts<'_> {
    fn alpha(&self, lane: usize) -> &[u8] {
        match self.lanes.get(lane) {
            Some(at) if *at != NONE => {
                self.bytes.get(to_usize(*at)..).and_then(|b| b.get(..self.len)).unwrap_or_default()
            }
            _ => &[],
        }
    }
    fn splits(&self, lane: usize) -> usize {
        self.path(lane).map_or(0, |p| p.depth())
    }
    fn split(&self, lane: usize, index: usize) -> Option<Split> {
        self.path(lane)?.split(index)
    }
    fn cuts(&self, _: usize) -> bool {
        true
    }
    fn beta(&self, lane: usize, split: usize) -> f64 {
        self.path(lane).and_then(|p| p.beta(split)).unwrap_or(0.0)
    }
}

/// Cuts the bounds of `slot` by the splits on it.
pub(super) fn cut(
    slot: Slot,
    splits: &[Split],
    lower: &mut [f64],
    upper: &mut [f64],
) -> Result<(), Rejection> {
    for split in splits.iter().filter(|s| s.slot == slot) {
        let element = to_usize(split.element);
        let (Some(l), Some(u)) = (lower.get_mut(element), upper.get_mut(element)) else {
            return Err(Rejection::Split { at: 0 });
        };
        intersect(l, u, side(split));
    }
    Ok(())
}

/// What a split says of its value.
pub(super) fn side(split: &Split) -> Interval {
    let point = f64::from(split.point);
    if split.above { (point, f64::INFINITY) } else { (f64::NEG_INFINITY, point) }
}

/// Whether any interval is empty, which only splits up to `slot` explain; all must be finite.
pub(super) fn is_empty(
    slot: Slot,
    splits: &[Split],
    lower: &[f64],
    upper: &[f64],
) -> Result<bool, Rejection> {
    if !lower.iter().chain(upper.iter()).all(|v| v.is_finite()) {
        return Err(Rejection::NonFinite);
    }
    if lower.iter().zip(upper).all(|(l, u)| l <= u) {
        return Ok(false);
    }
    if splits.iter().any(|s| s.slot <= slot) { Ok(true) } else { Err(Rejection::Crossed) }
}

/// Whether rows can be tighter than the intervals of `slot`: not where it is a function of one value each that rows bounded.
fn rows_help(program: &Program<'_>, mut slot: Slot) -> bool {
    while let Some(step) = slot.0.checked_sub(1).and_then(|i| program.steps().get(i)) {
        match step.operation {
            // A row of one map of the input is what its interval is.
            Operation::Affine { terms, .. } => {
                return !matches!(program.terms(terms), [one] if one.input == Slot::INPUT);
            }
            Operation::Product { .. } => return true,
            // What is on one side of a kink was not bounded by rows before.
            Operation::Elementwise { input, function } if lines::has_kink(function) => slot = input,
            Operation::Elementwise { .. } | Operation::Max { .. } => return false,
            Operation::Index { terms, .. } => match program.terms(terms) {
                [one] => slot = one.input,
                _ => return true,
            },
        }
    }
    false
}

/// Pixels of a slot that a convolution gives, else 1. Rows of all channels of a pixel reach the same inputs, so those go together
/// into a block: what none of them reaches costs nothing.
fn pixels(program: &Program<'_>, slot: Slot) -> usize {
    let step = slot.0.checked_sub(1).and_then(|i| program.steps().get(i));
    let Some(Operation::Affine { terms, .. }) = step.map(|s| s.operation) else { return 1 };
    let area = program.terms(terms).iter().find_map(|term| match term.map {
        Map::Conv(conv) => Some(conv.size_out[0] * conv.size_out[1]),
        _ => None,
    });
    area.filter(|area| *area > 0 && program.size(slot).is_multiple_of(*area)).unwrap_or(1)
}

impl<'a, K: Kernel> Checker<'a, K> {
    /// Derives bounds of every value, step by step: intervals, tightened by rows where `slopes` says so, cut by `splits`, never
    /// looser than those of `parent` (derived on a box around this one, for splits that `splits` begin with). False if no input
    /// satisfies the splits.
    ///
    /// # Errors
    /// [`Rejection`]; then `bounds` hold nothing.
    pub fn derive(
        &mut self,
        parent: Option<&Bounds<'_>>,
        region: (&[f64], &[f64]),
        splits: &[Split],
        slopes: &impl Slopes,
        bounds: &mut Bounds<'_>,
    ) -> Result<bool, Rejection> {
        self.derive_shared(&mut Alone, parent, (region, splits), slopes, bounds)
    }

    /// As [`Self::derive`], sharing the rows with the checkers of a team.
    ///
    /// # Errors
    /// [`Rejection`]; then `bounds` hold nothing.
    pub fn derive_shared(
        &mut self,
        team: &mut impl Team,
        parent: Option<&Bounds<'_>>,
        (region, splits): ((&[f64], &[f64]), &[Split]),
        slopes: &impl Slopes,
        bounds: &mut Bounds<'_>,
    ) -> Result<bool, Rejection> {
        bounds.state = State::Void;
        self.check_domain(region, splits)?;
        let elements = self.layout.elements();
        let whole = [&bounds.lower, &bounds.upper, &bounds.error].iter().all(|b| b.len() == elements);
        if !whole || bounds.lines.len() != self.layout.lines_len() {
            return Err(Rejection::Shape);
        }
        let inputs = self.problem.program.inputs();
        for (to, from) in [(&mut bounds.lower, region.0), (&mut bounds.upper, region.1)] {
            to.get_mut(..inputs).ok_or(Rejection::Shape)?.copy_from_slice(from);
        }
        self.mark(region, parent)?;
        if let Some(parent) = parent
            && self.inherit(parent, region, splits)?
        {
            bounds.state = State::Empty { splits: Fingerprint::of(splits) };
            return Ok(false);
        }
        if let Some(parent) = parent {
            bounds.lines.copy_from_slice(parent.lines);
        }
        let mut total: f64 = region.0.iter().zip(region.1).map(|(l, u)| mass((*l, *u))).sum();
        let splits_here = Fingerprint::of(splits);
        let mut forms = self.begin_forms(slopes.columns(), bounds)?;
        let mut shared = Shared { team, blocks: 0 };
        for index in 0..self.problem.program.steps().len() {
            let rows = forms.is_none();
            if (rows && !self.tighten_operands(&mut shared, (index, total), splits, slopes, bounds)?)
                || !self.step_bounds(index, (parent, slopes.has_claims()), splits, bounds)?
                || !self.forms_step(index, &mut forms, splits, bounds)?
            {
                bounds.state = State::Empty { splits: splits_here };
                return Ok(false);
            }
            let from = self.layout.offset(Slot(index + 1));
            let to = self.layout.offset(Slot(index + 2));
            let ends = bounds.lower.iter().zip(bounds.upper.iter()).take(to).skip(from);
            total += ends.map(|(l, u)| mass((*l, *u))).sum::<f64>();
        }
        let mass = super::super::up(total * self.layout.factors.inflate);
        if !mass.is_finite() {
            return Err(Rejection::NonFinite);
        }
        bounds.state = State::Derived { splits: splits_here, mass };
        Ok(true)
    }

    /// Whether `parent` is empty; an error if it does not hold here.
    pub(super) fn inherit(
        &self,
        parent: &Bounds<'_>,
        region: (&[f64], &[f64]),
        splits: &[Split],
    ) -> Result<bool, Rejection> {
        let (fingerprint, empty) = match parent.state {
            State::Void => return Err(Rejection::Shape),
            State::Empty { splits } => (splits, true),
            State::Derived { splits, .. } => (splits, false),
        };
        let ends = region.0.iter().zip(region.1).zip(parent.lower.iter().zip(parent.upper.iter()));
        let inside = parent.lower.len() == self.layout.elements()
            && parent.lines.len() == self.layout.lines_len()
            && ends.into_iter().all(|((l, u), (from, to))| from <= l && u <= to);
        if !inside {
            return Err(Rejection::Shape);
        }
        if fingerprint.begins(splits) { Ok(empty) } else { Err(Rejection::Split { at: 0 }) }
    }

    /// Begins affine forms of so many symbols: the numbers that each takes, and the symbols in use.
    fn begin_forms(
        &mut self,
        columns: usize,
        bounds: &Bounds<'_>,
    ) -> Result<Option<(usize, usize)>, Rejection> {
        if columns == 0 {
            return Ok(None);
        }
        let stride = stride(columns, self.kernel.lane_multiple()).ok_or(Rejection::Shape)?;
        let needed = self.layout.rows().checked_mul(stride).ok_or(Rejection::Shape)?;
        if columns > COLUMNS_MAX || needed > self.rows.arena.len() {
            return Err(Rejection::Shape);
        }
        let mut forms = self.forms((stride, 0));
        forms.input(bounds)?;
        Ok(Some((stride, forms.used)))
    }

    fn forms(&mut self, (stride, used): (usize, usize)) -> Forms<'_, 'a, K> {
        Forms {
            program: &self.problem.program,
            layout: self.layout,
            kernel: &mut self.kernel,
            rows: &mut self.rows,
            scratch: &mut *self.scratch,
            stride,
            used,
        }
    }

    /// Forms of the result of a step, if there are forms; false if its intervals are empty.
    fn forms_step(
        &mut self,
        index: usize,
        state: &mut Option<(usize, usize)>,
        splits: &[Split],
        bounds: &mut Bounds<'_>,
    ) -> Result<bool, Rejection> {
        let Some(now) = *state else { return Ok(true) };
        let steps = self.problem.program.steps();
        let step = steps.get(index).ok_or(Rejection::Shape)?;
        let asks = |s: &&Step<'_>| matches!(s.operation, Operation::Elementwise { .. });
        let left = steps.iter().skip(index).filter(asks).count();
        let mut forms = self.forms(now);
        forms.step((index, step), left, bounds)?;
        *state = Some((now.0, forms.used));
        let (from, to) = (self.layout.offset(Slot(index + 1)), self.layout.offset(Slot(index + 2)));
        let lower = bounds.lower.get(from..to).ok_or(Rejection::Shape)?;
        let upper = bounds.upper.get(from..to).ok_or(Rejection::Shape)?;
        Ok(!is_empty(Slot(index + 1), splits, lower, upper)?)
    }

    /// Intervals of the result of a step, with what the parent and the splits say; false if empty.
    fn step_bounds(
        &mut self,
        index: usize,
        (parent, table): (Option<&Bounds<'_>>, bool),
        splits: &[Split],
        bounds: &mut Bounds<'_>,
    ) -> Result<bool, Rejection> {
        let program = &self.problem.program;
        let step = program.steps().get(index).ok_or(Rejection::Shape)?;
        let slot = Slot(index + 1);
        let (from, len) = (self.layout.offset(slot), step.len);
        let (lower, lower_now) = bounds.lower.split_at_mut_checked(from).ok_or(Rejection::Shape)?;
        let (upper, upper_now) = bounds.upper.split_at_mut_checked(from).ok_or(Rejection::Shape)?;
        let lower_now = lower_now.get_mut(..len).ok_or(Rejection::Shape)?;
        let upper_now = upper_now.get_mut(..len).ok_or(Rejection::Shape)?;
        let error = bounds.error.get_mut(from..from + len).ok_or(Rejection::Shape)?;
        let varies = self.rows.varies.get(from..from + len).ok_or(Rejection::Shape)?;
        let lines = (&mut *bounds.lines, table);
        if let Some(parent) = parent {
            // What does not vary keeps these.
            let known = |all: &[f64], to: &mut [f64]| {
                to.copy_from_slice(all.get(from..from + len).ok_or(Rejection::Shape)?);
                Ok(())
            };
            known(parent.lower, lower_now)?;
            known(parent.upper, upper_now)?;
            known(parent.error, error)?;
        }
        // The lines of the parent may lack a table.
        let old = parent.filter(|_| !table).map(|p| (&*p.lower, &*p.upper));
        keep_lines((index, step), self.layout, (lower, upper), old, lines)?;
        if parent.is_some() && varies.iter().all(|v| *v == 0) {
            // What a parent that is not empty knows is not empty before it is cut.
            if !splits.iter().any(|s| s.slot == slot) {
                return Ok(true);
            }
            cut(slot, splits, lower_now, upper_now)?;
            return Ok(!is_empty(slot, splits, lower_now, upper_now)?);
        }
        let mut intervals = Intervals {
            program,
            layout: self.layout,
            kernel: &mut self.kernel,
            scratch: &mut *self.scratch,
            lower,
            upper,
            varies: parent.is_some().then_some(varies),
        };
        intervals.errors(step, error)?;
        if !error.iter().all(|e| e.is_finite()) {
            return Err(Rejection::NonFinite);
        }
        intervals.step((index, step), error, (lower_now, upper_now))?;
        if let Some(parent) = parent {
            inherit_slot(parent, from, lower_now, upper_now)?;
        }
        cut(slot, splits, lower_now, upper_now)?;
        Ok(!is_empty(slot, splits, lower_now, upper_now)?)
    }

    /// Tightens each operand of step `index` that no relaxed step has read before; false if empty.
    fn tighten_operands(
        &mut self,
        shared: &mut Shared<'_, impl Team>,
        (index, total): (usize, f64),
        splits: &[Split],
        slopes: &impl Slopes,
        bounds: &mut Bounds<'_>,
    ) -> Result<bool, Rejection> {
        let program = &self.problem.program;
        let step = program.steps().get(index).ok_or(Rejection::Shape)?;
        let operands = match step.operation {
            Operation::Elementwise { input, .. } | Operation::Max { input, .. } => [Some(input), None],
            Operation::Product { left, right, .. } => [Some(left), Some(right).filter(|r| *r != left)],
            Operation::Affine { .. } | Operation::Index { .. } => [None, None],
        };
        for slot in operands.into_iter().flatten() {
            let Some((first, only)) = self.layout.relaxed(slot) else { continue };
            if first == index && rows_help(program, slot) {
                self.tighten(shared, (slot, only.then_some(index), total), splits, slopes, bounds)?;
                let (from, to) = (self.layout.offset(slot), self.layout.offset(Slot(slot.0 + 1)));
                let lower = bounds.lower.get_mut(from..to).ok_or(Rejection::Shape)?;
                let upper = bounds.upper.get_mut(from..to).ok_or(Rejection::Shape)?;
                shared.team.exchange(lower, upper)?;
                if is_empty(slot, splits, lower, upper)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Tightens the elements of `slot` by rows, as many at once as there are lanes.
    fn tighten(
        &mut self,
        shared: &mut Shared<'_, impl Team>,
        (slot, reader, total): (Slot, Option<usize>, f64),
        splits: &[Split],
        slopes: &impl Slopes,
        bounds: &mut Bounds<'_>,
    ) -> Result<(), Rejection> {
        let program = &self.problem.program;
        let first = self.layout.offset(slot);
        let (size, pixels) = (program.size(slot), pixels(program, slot).max(1));
        let channels = (size / pixels).max(1);
        // Lower and upper bounds in turn.
        let mut next = 0;
        while next < 2 * size {
            let view = View {
                program,
                layout: self.layout,
                lower: bounds.lower,
                upper: bounds.upper,
                error: bounds.error,
                lines: bounds.lines,
                mass: total,
                anew: false,
            };
            let mut used = 0;
            while next < 2 * size {
                let element = next / 2 % channels * pixels + next / 2 / channels;
                let (l, u) = view.interval(slot, element)?;
                // A split neuron too: rows may find that nothing is left of it.
                let split = splits.iter().any(|s| s.slot == slot && to_usize(s.element) == element);
                if next % 2 == 0 && !(needed(program, reader, l, u) || (split && l < u)) {
                    next += 2;
                    continue;
                }
                match self.choose((slot, element, next % 2 == 1), slopes, &view, used)? {
                    Some(lanes) => used += lanes,
                    None => break,
                }
                next += 1;
            }
            if used == 0 {
                continue;
            }
            shared.blocks += 1;
            if !shared.team.takes(shared.blocks - 1) {
                continue;
            }
            self.rows.begin(used, self.kernel.lane_multiple());
            self.load(&view, slot, used)?;
            // The lists of lanes are lent to the hints while the rows are propagated.
            let starts = core::mem::take(&mut self.rows.starts);
            let most = self.rows.most;
            let list = |k: usize| starts.get(k * most..k * most + used).unwrap_or_default();
            let hints = Starts {
                bytes: slopes.bytes(),
                len: self.layout.claims_len(slot),
                lanes: list(1),
                paths: list(2),
            };
            let lanes = list(0);
            let done = Backward { view, kernel: &mut self.kernel, rows: &mut self.rows, hints: &hints }
                .run(slot)
                .and_then(|()| apply(&self.rows, self.layout, (lanes, first), bounds));
            self.rows.starts = starts;
            done?;
        }
        Ok(())
    }

    /// Chooses the rows of a bound, from lane `used` on: how many, or `None` if they do not fit into this block. All cases of a bound
    /// are in one block, so that a block says something by itself.
    fn choose(
        &mut self,
        (slot, element, upper): (Slot, usize, bool),
        slopes: &impl Slopes,
        view: &View<'_>,
        used: usize,
    ) -> Result<Option<usize>, Rejection> {
        let (bytes, room) = (slopes.bytes(), self.rows.most - used);
        let code = u32::try_from(2 * element + usize::from(upper)).map_err(|_| Rejection::Shape)?;
        let row = |alpha: Option<usize>, case: Option<usize>| Ok([code, place(alpha)?, place(case)?]);
        let only = match slopes.start(slot, element, upper) {
            Start::Skip => return Ok(Some(0)),
            Start::Cases { at } => {
                let here = (view.program, self.layout, slot);
                let mut cases = Cases::new(bytes, at, here, |s| self.only_functions_read(s))?;
                if cases.len() > room {
                    return if used > 0 { Ok(None) } else { Err(Rejection::Claim) };
                }
                let mut lane = used;
                while let Some(path) = cases.next(bytes) {
                    // A leaf without inputs needs no bound.
                    if !is_void(&path, view)? {
                        self.note(lane, row(Some(path.slopes()), Some(path.at()))?)?;
                        lane += 1;
                    }
                }
                return Ok(Some(lane - used));
            }
            Start::Adaptive => row(None, None)?,
            Start::Alpha { at } => {
                let end = at.checked_add(self.layout.claims_len(slot)).ok_or(Rejection::Claim)?;
                bytes.get(at..end).ok_or(Rejection::Claim)?;
                row(Some(at), None)?
            }
        };
        if room == 0 {
            return Ok(None);
        }
        self.note(used, only)?;
        Ok(Some(1))
    }

    /// Notes what a lane bounds, where its slopes and where its case begins.
    fn note(&mut self, lane: usize, row: [u32; 3]) -> Result<(), Rejection> {
        let most = self.rows.most;
        for (k, value) in row.into_iter().enumerate() {
            *self.rows.starts.get_mut(k * most + lane).ok_or(Rejection::Shape)? = value;
        }
        Ok(())
    }

    /// Starts the rows chosen.
    fn load(&mut self, view: &View<'_>, slot: Slot, used: usize) -> Result<(), Rejection> {
        self.rows.touch(view, slot)?;
        for lane in 0..used {
            let code = *self.rows.starts.get(lane).ok_or(Rejection::Shape)?;
            let a = self.rows.row(view, slot, to_usize(code) / 2)?;
            *a.get_mut(lane).ok_or(Rejection::Shape)? = if code % 2 == 1 { -1.0 } else { 1.0 };
        }
        Ok(())
    }
}

/// Whether the splits of a path contradict the bounds.
fn is_void(path: &Path<'_>, view: &View<'_>) -> Result<bool, Rejection> {
    for i in 0..path.depth() {
        let split = path.split(i).ok_or(Rejection::Claim)?;
        let (mut l, mut u) = view.interval(split.slot, to_usize(split.element))?;
        for other in (0..path.depth()).filter_map(|k| path.split(k)) {
            if (other.slot, other.element) == (split.slot, split.element) {
                intersect(&mut l, &mut u, side(&other));
            }
        }
        if l > u {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A place in a list of lanes.
fn place(at: Option<usize>) -> Result<u32, Rejection> {
    match at {
        None => Ok(NONE),
        Some(at) => u32::try_from(at).ok().filter(|at| *at != NONE).ok_or(Rejection::Claim),
    }
}

/// Takes over what the rows of a block say: of each bound the least of its rows, which are neighbours.
fn apply(
    rows: &Rows<'_>,
    layout: &Layout<'_>,
    (lanes, first): (&[u32], usize),
    bounds: &mut Bounds<'_>,
) -> Result<(), Rejection> {
    let mut least = f64::INFINITY;
    for (lane, code) in lanes.iter().enumerate() {
        least = smaller(least, rows.bound(lane, layout.factors)?);
        if lanes.get(lane + 1) == Some(code) {
            continue;
        }
        let (at, upper) = (first + to_usize(*code) / 2, code % 2 == 1);
        let (Some(l), Some(u)) = (bounds.lower.get_mut(at), bounds.upper.get_mut(at)) else {
            return Err(Rejection::Shape);
        };
        let also = if upper { (f64::NEG_INFINITY, -least) } else { (least, f64::INFINITY) };
        intersect(l, u, also);
        least = f64::INFINITY;
    }
    Ok(())
}

/// Intersects bounds with those of a parent at the same place.
pub(super) fn inherit_slot(
    parent: &Bounds<'_>,
    from: usize,
    lower: &mut [f64],
    upper: &mut [f64],
) -> Result<(), Rejection> {
    let old_lower = parent.lower.get(from..from + lower.len()).ok_or(Rejection::Shape)?;
    let old_upper = parent.upper.get(from..from + upper.len()).ok_or(Rejection::Shape)?;
    for (((l, u), old_l), old_u) in lower.iter_mut().zip(upper).zip(old_lower).zip(old_upper) {
        intersect(l, u, (*old_l, *old_u));
    }
    Ok(())
}

/// Whether the relaxation of an element with these bounds could be tighter; `reader` is the only step that relaxes it.
fn needed(program: &Program<'_>, reader: Option<usize>, lower: f64, upper: f64) -> bool {
    match reader.and_then(|i| program.steps().get(i)).map(|s| s.operation) {
        Some(Operation::Elementwise { function, .. }) => undecided(function, (lower, upper)),
        _ => lower < upper,
    }
}
