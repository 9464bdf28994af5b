//! Tighter bounds of a deep network's neurons, one lemma for all domains: each bound by cases.
//!
//! Joint slopes bound every neuron by one row. What the relaxation of earlier neurons loses there grows from layer to layer, and value
//! splits of the output's rows win it back one neuron at a time. Here the bounds of each layer's undecided neurons are found
//! one layer after the other, on the tightened layers before: rows climb on their own, then each bound is divided into cases, a
//! small tree of splits of the neurons that lose most (BaBSR, look-ahead), always at the case whose bound is the least. On dense networks what a
//! few cases gain in early layers multiplies: on `mnist_relu_9_200` and `mnist_256x6` bounds of the output fall by an order.
//!
//! Source: neurons refined by a complete method before the search, as Singh et al. 2019 (arXiv:1902.05983) and α,β-CROWN do
//! with MIP; by branch and bound with bounds as of Wang et al. 2021 (arXiv:2103.06624), which a proof can state, is ours.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use super::branch::{finite, gain};
use super::checker::Desk;
use super::domain::Domain;
use super::tree::LemmaBytes;
use super::values::{Values, cut};
use super::worker::{Base, Worker};
use crate::bounds::program::batch::{
    Alphas, Found, Lane, LaneClimb, Score, SlotSlopes, Start, claims, optimise_values,
};
use crate::bounds::program::{Interval, Region, Stop};
use crate::program::{Function, Map, Operation, Program, Slot};
use certus_core::proof::program::{Bounds, Split};

/// Most cases of a bound in each pass over the layers; the checker takes no more than it has lanes.
const CASES: [usize; 3] = [4, 8, 24];
/// Candidates that a look-ahead compares.
const LOOK_AHEAD: usize = 4;
/// Iterations of a bound before it is divided.
const FIRST: usize = 30;
/// Iterations of a case.
const EACH: usize = 10;
/// Lanes whose intervals are held at once.
const LANES: usize = 512;

/// A case of a bound.
struct Case {
    splits: Vec<Split>,
    bound: f32,
    start: Start,
    scores: Vec<Score>,
}

/// A bound of one value: of the value itself, or of its negative if `upper`.
struct Target {
    element: u32,
    upper: bool,
    /// In preorder, upper sides first.
    cases: Vec<Case>,
}

impl Target {
    fn row(&self) -> usize {
        2 * self.element as usize + usize::from(self.upper)
    }

    /// The bound, that of its worst case.
    fn bound(&self) -> f32 {
        self.cases.iter().map(|c| c.bound).fold(f32::INFINITY, f32::min)
    }

    /// Intersects the interval of the value.
    fn tighten(&self, ends: &mut Interval) {
        let (l, u) = (&mut ends.lower[self.element as usize], &mut ends.upper[self.element as usize]);
        if self.upper {
            *u = u.min(-self.bound()).max(*l);
        } else {
            *l = l.max(self.bound()).min(*u);
        }
    }

    /// The case to divide.
    fn worst(&self) -> Option<usize> {
        (0..self.cases.len()).min_by(|a, b| self.cases[*a].bound.total_cmp(&self.cases[*b].bound))
    }
}

/// A row to climb: of which value, under which splits, from where.
struct Work {
    row: usize,
    splits: Vec<Split>,
    start: Start,
}

/// How many cases the bounds of a program's neurons have at most, pass by pass; none where bounds by cases gain little.
pub fn passes(program: &Program) -> &'static [usize] {
    if suits(program) { &CASES } else { &[] }
}

/// Whether bounds by cases gain much: dense layers of functions with a kink at 0, more than one. (On convolutions, where a neuron depends on
/// few others, bounds fall by a twentieth at ten times the cost of a search: `oval21`.)
fn suits(program: &Program) -> bool {
    let fits = |operation: &Operation| match operation {
        Operation::Affine(affine) => {
            affine.terms.iter().all(|t| !matches!(t.map, Map::Conv(_) | Map::ConvTranspose(_)))
        }
        Operation::Elementwise { function, .. } => {
            matches!(function, Function::Relu | Function::LeakyRelu { .. })
        }
        _ => false,
    };
    program.steps().iter().all(|s| fits(&s.operation)) && !layers(program).is_empty()
}

/// The slots that nonlinear steps read and that depend on others, ascending.
fn layers(program: &Program) -> Vec<usize> {
    let of_input = |slot: Slot| match &program.steps()[slot.0 - 1].operation {
        Operation::Affine(affine) => affine.terms.iter().all(|t| t.input == Slot::INPUT),
        _ => false,
    };
    let read = program.steps().iter().filter_map(|s| match s.operation {
        Operation::Elementwise { input, .. } if input != Slot::INPUT && !of_input(input) => Some(input.0),
        _ => None,
    });
    let mut all: Vec<usize> = read.collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The bounds of all layers by cases, as far as they are refined.
#[derive(Default)]
pub struct Refined {
    /// By slot; lower and upper bounds in turn.
    layers: Vec<(usize, Vec<Target>)>,
}

impl Worker<'_, '_> {
    /// Searches below the lemma of `values` for as long as the root took; then, while anything is open, refines the bounds of all neurons,
    /// and searches below their lemma, for a quarter of the time that took. Returns what is open below the last lemma, which `values` are of then;
    /// `finer` is the memory of one for each of [`passes`].
    pub fn refine_all<'x, 'm: 'x>(
        &mut self,
        desk: &Desk<'_>,
        values: &mut Values<'x>,
        domain: Domain,
        slopes: &[SlotSlopes],
        finer: &'x mut [Bounds<'m>],
    ) -> Vec<Domain> {
        let shared = self.shared;
        let time = if finer.is_empty() { Duration::ZERO } else { shared.budget.elapsed() };
        let mut open = self.try_values(values, domain.clone(), time);
        let mut refined = Refined::default();
        for (bounds, cases) in finer.iter_mut().zip(CASES) {
            if open.is_empty() || shared.has_ended() {
                break;
            }
            let begun = Instant::now();
            let intervals = values.intervals.clone();
            let pass = (&mut refined, cases);
            let Some((lemma, intervals)) = self.refine(desk, &domain, pass, intervals, slopes, bounds) else {
                break;
            };
            // Below another lemma nothing is proved yet.
            shared.tree.begin_anew();
            shared.tree.state(0, lemma.clone());
            *values = Values { base: Base::new(shared, &lemma, bounds), intervals };
            let last = cases == CASES[CASES.len() - 1];
            let time = if last { Duration::ZERO } else { begun.elapsed() / 4 };
            open = self.try_values(values, domain.clone(), time);
        }
        open
    }

    /// A pass over the layers, each bound with up to `cases` cases: a lemma with tighter bounds than `intervals`, and its own; `bounds` are
    /// derived for it. Where there are no cases yet rows start with `slopes`, those that gave the first intervals. `None` if time is
    /// up.
    pub fn refine(
        &mut self,
        desk: &Desk<'_>,
        domain: &Domain,
        (refined, cases): (&mut Refined, usize),
        mut intervals: Vec<Interval>,
        slopes: &[SlotSlopes],
        bounds: &mut Bounds<'_>,
    ) -> Option<(LemmaBytes, Vec<Interval>)> {
        let shared = self.shared;
        let (lower, upper) = domain.rounded();
        let region = Region { lower: &lower, upper: &upper };
        let stop = shared.stop();
        let now = Instant::now();
        let left = stop.deadline.map_or(Duration::MAX, |end| end.saturating_duration_since(now));
        let end = now + (left / 2).min(Duration::from_secs(600));
        let layers = layers(shared.problem.parts.program);
        for (index, slot) in layers.iter().enumerate() {
            // An equal share of the time for each layer to come.
            let now = Instant::now();
            let share = end.saturating_duration_since(now) / (layers.len() - index) as u32;
            let stop = Stop { deadline: Some(now + share), ..stop };
            if refined.layers.get(index).is_none() {
                let noted = slopes.iter().find(|s| s.slot == *slot);
                refined.layers.push((*slot, targets(&intervals[*slot], noted)));
            }
            let targets = &mut refined.layers[index].1;
            self.refine_layer(*slot, region, (&intervals, cases), targets, stop);
            for target in targets {
                target.tighten(&mut intervals[*slot]);
            }
            if shared.out_of_budget() {
                return None;
            }
        }
        let lemma = self.write(refined, slopes, &intervals);
        if !self.referee.derive(self.threads, domain.place(), &lemma, bounds, shared.stop()) {
            return None;
        }
        Some((lemma, desk.intervals(bounds)?))
    }

    /// Climbs the cases of a layer's undecided values on the present intervals, then divides them; what there is time for.
    fn refine_layer(
        &self,
        slot: usize,
        region: Region<'_>,
        (intervals, cases): (&[Interval], usize),
        targets: &mut [Target],
        stop: Stop<'_>,
    ) {
        let (mut works, mut owners) = (Vec::new(), Vec::new());
        let undecided = |t: &Target| {
            let [l, u] = intervals[slot].at(t.element as usize);
            l < 0.0 && 0.0 < u
        };
        let mut iterations = EACH;
        for (at, target) in targets.iter_mut().enumerate().filter(|(_, t)| undecided(t)) {
            let row = target.row();
            for (k, case) in target.cases.iter_mut().enumerate() {
                iterations = if case.bound == f32::NEG_INFINITY { FIRST } else { iterations };
                if cut(intervals.to_vec(), &case.splits).is_none() {
                    // The values split are decided by now.
                    (case.bound, case.scores) = (f32::INFINITY, Vec::new());
                    continue;
                }
                owners.push((at, k));
                works.push(Work { row, splits: case.splits.clone(), start: case.start.clone() });
            }
        }
        let climb = LaneClimb { iterations, ..LaneClimb::default() };
        let Some(found) = self.climb_values(slot, region, intervals, &works, climb, stop) else { return };
        for (((at, k), found), work) in owners.into_iter().zip(found).zip(works) {
            targets[at].cases[k] = Case::new(found, work.splits);
        }
        let most = |targets: &[Target]| targets.iter().map(|t| t.cases.len()).max().unwrap_or(cases);
        while most(targets) < cases {
            if self.divide(slot, region, intervals, targets, stop).is_none() {
                break;
            }
        }
    }

    /// Divides the worst case of every target that is neither positive nor one whose value is decided; `None` if there is none, or
    /// no time.
    fn divide(
        &self,
        slot: usize,
        region: Region<'_>,
        intervals: &[Interval],
        targets: &mut [Target],
        stop: Stop<'_>,
    ) -> Option<()> {
        let mut picked = Vec::new();
        for (at, target) in targets.iter().enumerate() {
            let [l, u] = intervals[slot].at(target.element as usize);
            if !(l < 0.0 && 0.0 < u) || target.bound() > 0.0 || targets[at ^ 1].bound() > 0.0 {
                continue;
            }
            let Some(worst) = target.worst() else { continue };
            let values = candidates(&target.cases[worst].scores);
            if !values.is_empty() {
                picked.push((at, worst, values));
            }
        }
        if picked.is_empty() {
            return None;
        }
        let mut works = Vec::new();
        for (at, worst, values) in &picked {
            let (row, case) = (targets[*at].row(), &targets[*at].cases[*worst]);
            for (slot, element) in values {
                for above in [true, false] {
                    let split = Split { slot: *slot, element: *element, point: 0.0, above };
                    let splits = [case.splits.as_slice(), &[split]].concat();
                    works.push(Work { row, splits, start: case.start.clone() });
                }
            }
        }
        let once = LaneClimb { iterations: 0, only_bounds: true, ..LaneClimb::default() };
        let found = self.climb_values(slot, region, intervals, &works, once, stop)?;
        let (mut works, mut found) = (works.into_iter(), found.chunks_exact(2));
        let mut halves = Vec::new();
        for (_, _, values) in &picked {
            let scores: Vec<f32> = found.by_ref().take(values.len()).map(score).collect();
            let best = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b]).then(b.cmp(a)));
            let mut own = works.by_ref().take(2 * values.len()).skip(2 * best.unwrap_or(0));
            halves.extend([own.next()?, own.next()?]);
            own.for_each(drop);
        }
        let climb = LaneClimb { iterations: EACH, ..LaneClimb::default() };
        let found = self.climb_values(slot, region, intervals, &halves, climb, stop)?;
        let mut cases = found.into_iter().zip(halves).map(|(found, work)| Case::new(found, work.splits));
        for (at, worst, _) in picked {
            targets[at].cases[worst] = cases.next()?;
            targets[at].cases.insert(worst + 1, cases.next()?);
        }
        Some(())
    }

    /// The bounds of rows of single values of `slot`, each under its own splits.
    fn climb_values(
        &self,
        slot: usize,
        region: Region<'_>,
        intervals: &[Interval],
        works: &[Work],
        climb: LaneClimb,
        stop: Stop<'_>,
    ) -> Option<Vec<Found>> {
        let climb = LaneClimb { threads: self.threads, give_up: false, ..climb };
        let mut all = Vec::with_capacity(works.len());
        for part in works.chunks(LANES) {
            let cuts: Option<Vec<Vec<Interval>>> =
                part.iter().map(|w| cut(intervals.to_vec(), &w.splits)).collect();
            let cuts = cuts?;
            let mut lanes = Vec::with_capacity(part.len());
            for (Work { row, splits, start }, intervals) in part.iter().zip(&cuts) {
                lanes.push(Lane { region, intervals, row: *row, splits, start: Some(start) });
            }
            let net = &self.shared.problem.parts.net;
            all.extend(optimise_values(net, Slot(slot), &lanes, &climb, stop).ok()?);
        }
        Some(all)
    }

    /// The bytes of the lemma: cases for all values of the layers refined that rows ever bounded, rows with slopes for others.
    fn write(&self, refined: &Refined, slopes: &[SlotSlopes], intervals: &[Interval]) -> LemmaBytes {
        let net = &self.shared.problem.parts.net;
        let mut slots: Vec<usize> = slopes.iter().map(|s| s.slot).collect();
        slots.extend(refined.layers.iter().map(|(slot, _)| *slot));
        slots.sort_unstable();
        slots.dedup();
        let mut bytes = vec![1];
        bytes.extend((slots.len() as u16).to_le_bytes());
        for slot in slots {
            let targets = refined.layers.iter().find(|(s, _)| *s == slot).map_or(&[][..], |(_, t)| t);
            let mut values: Vec<(u32, [Vec<u8>; 2])> = Vec::new();
            let leaf = |alpha: &Alphas| claims(net, Slot(slot), intervals, alpha);
            for pair in targets.chunks_exact(2) {
                let sides = [&pair[0], &pair[1]].map(|target| {
                    let cases: Vec<_> = target
                        .cases
                        .iter()
                        .map(|c| (c.splits.as_slice(), c.start.beta.as_slice(), leaf(&c.start.alpha)))
                        .collect();
                    case_bytes(&cases)
                });
                values.push((pair[0].element, sides));
            }
            if let Some(noted) = slopes.iter().find(|s| s.slot == slot) {
                for (element, sides) in noted.elements.iter().zip(&noted.rows) {
                    if targets.iter().all(|t| t.element != *element) {
                        let sides = [0, 1].map(|k| case_bytes(&[(&[], &[], leaf(&sides[k]))]));
                        values.push((*element, sides));
                    }
                }
            }
            values.sort_by_key(|(element, _)| *element);
            entry(slot, &values, &mut bytes);
        }
        bytes.into()
    }
}

/// The bounds of a layer's undecided values, lower and upper in turn, to be climbed from the slopes noted.
fn targets(ends: &Interval, noted: Option<&SlotSlopes>) -> Vec<Target> {
    let undecided = (0..ends.lower.len()).filter(|j| ends.lower[*j] < 0.0 && 0.0 < ends.upper[*j]);
    let both = undecided.flat_map(|j| [false, true].map(|upper| (j as u32, upper)));
    let target = |(element, upper)| {
        let alpha = noted.and_then(|s| {
            let at = s.elements.binary_search(&element).ok()?;
            Some(s.rows[at][usize::from(upper)].clone())
        });
        let start = Start { alpha: alpha.unwrap_or_default(), beta: Vec::new() };
        let found = Found { bound: f32::NEG_INFINITY, start, ..Found::default() };
        Target { element, upper, cases: vec![Case::new(found, Vec::new())] }
    };
    both.map(target).collect()
}

impl Case {
    fn new(found: Found, splits: Vec<Split>) -> Self {
        Self { splits, bound: found.bound, start: found.start, scores: found.scores }
    }
}

/// How good two halves are: what the worse one still misses counts most.
fn score(halves: &[Found]) -> f32 {
    let (a, b) = (halves[0].bound.min(0.0), halves[1].bound.min(0.0));
    a.min(b) + 0.3 * a.max(b)
}

/// Values that may be worth a split, by what their relaxations lose and by what a branch gains.
fn candidates(scores: &[Score]) -> Vec<(Slot, u32)> {
    let mut chosen: Vec<(Slot, u32)> = Vec::new();
    let by = |of: fn(&Score) -> f32, most: usize, chosen: &mut Vec<(Slot, u32)>| {
        let mut order: Vec<&Score> = scores.iter().filter(|s| of(s) > 0.0).collect();
        let place = |s: &Score| (s.slot.0, s.element);
        let compare =
            |a: &&Score, b: &&Score| -> Ordering { of(b).total_cmp(&of(a)).then(place(a).cmp(&place(b))) };
        order.sort_by(compare);
        for score in order {
            if chosen.len() >= most {
                break;
            }
            if !chosen.contains(&(score.slot, score.element)) {
                chosen.push((score.slot, score.element));
            }
        }
    };
    by(|s| finite(s.gap), LOOK_AHEAD / 2, &mut chosen);
    by(gain, LOOK_AHEAD, &mut chosen);
    chosen
}

/// The cases of a bound as a lemma has them: path, multipliers and slopes of each.
fn case_bytes(cases: &[(&[Split], &[f32], Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::from((cases.len() as u16).to_le_bytes());
    for (splits, beta, alpha) in cases {
        bytes.push(splits.len() as u8);
        for split in *splits {
            bytes.extend((split.slot.0 as u32).to_le_bytes());
            bytes.extend(split.element.to_le_bytes());
            bytes.extend(split.point.to_le_bytes());
            bytes.push(u8::from(split.above));
        }
        let beta = (0..splits.len()).map(|i| beta.get(i).copied().unwrap_or(0.0));
        beta.for_each(|b| bytes.extend(b.to_le_bytes()));
        bytes.extend(alpha);
    }
    bytes
}

/// A lemma's entry of mode 5.
fn entry(slot: usize, values: &[(u32, [Vec<u8>; 2])], bytes: &mut Vec<u8>) {
    bytes.extend((slot as u32).to_le_bytes());
    bytes.push(5);
    let length: usize = values.iter().flat_map(|(_, sides)| sides).map(Vec::len).sum();
    bytes.extend((values.len() as u32).to_le_bytes());
    bytes.extend((length as u32).to_le_bytes());
    let mut at = 0u32;
    for (element, sides) in values {
        bytes.extend(element.to_le_bytes());
        for side in sides {
            bytes.extend(at.to_le_bytes());
            at += side.len() as u32;
        }
    }
    values.iter().flat_map(|(_, sides)| sides).for_each(|side| bytes.extend(side));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::super::checker::{Desktop, Referee};
    use super::super::problem::{CaseProblem, Parts};
    use super::super::shared::Shared;
    use super::super::testing::{deep, numbers, property};
    use super::super::tree::adaptive_lemma;
    use super::*;
    use crate::search::{Budget, Silent};
    use crate::verify::Settings;

    #[test]
    fn passes_tighten_bounds_that_the_checker_derives_and_samples_keep() {
        let mut layers_tightened = 0;
        for seed in 0..4 {
            let program = deep(seed);
            let property = property(-0.75, 0.75, 0.0);
            let parts = Parts::new(&program, &program);
            let problem = CaseProblem::new(&parts, &property, &property.cases[0]);
            let disjuncts: Vec<&[_]> = problem.rows.iter().map(Vec::as_slice).collect();
            let (settings, stop) = (Settings::default(), AtomicBool::new(false));
            let budget = Budget::new(settings.timeout, &stop);
            let (mut words, mut memory) = (Vec::new(), Desktop::default());
            let tables = problem.parts.tables.program();
            let desk =
                Desk::new(tables, &disjuncts, settings.meaning, &problem.parts.kernel, &mut words).unwrap();
            let referee = Referee::new(&desk, &mut memory, 1).unwrap();
            let shared = Shared::new(&problem, &settings, &budget, &Silent);
            let mut worker = Worker::new(&shared, referee, 0, 1);
            let domain = Domain::root(&[-0.75; 3], &[0.75; 3]);
            let mut floats = Vec::new();
            let mut bounds = desk.bounds(&mut floats);
            assert!(worker.referee.derive(1, domain.place(), &adaptive_lemma(), &mut bounds, shared.stop()));
            let first = desk.intervals(&bounds).unwrap();
            let mut before = first.clone();
            let mut refined = Refined::default();
            let mut number = numbers(seed + 100);
            for cases in CASES {
                let pass = (&mut refined, cases);
                let found = worker.refine(&desk, &domain, pass, before.clone(), &[], &mut bounds);
                let (_, after) = found.expect("the checker derives what the search writes");
                for slot in layers(&program) {
                    let width = |i: &[Interval]| -> f32 {
                        i[slot].lower.iter().zip(&i[slot].upper).map(|(l, u)| u - l).sum()
                    };
                    // A case that is divided once more may lose a little without its multipliers.
                    assert!(width(&after) <= 1.001 * width(&first), "seed {seed}, {cases}, slot {slot}");
                    layers_tightened += usize::from(width(&after) < 0.98 * width(&before));
                }
                for _ in 0..300 {
                    let x: Vec<f64> =
                        (0..3).map(|_| 0.75 * f64::from((1.5 * number()).clamp(-1.0, 1.0))).collect();
                    for (slot, values) in program.eval_all(&x).iter().enumerate() {
                        for (j, z) in values.iter().enumerate() {
                            let [l, u] = after[slot].at(j).map(f64::from);
                            let slack = 1e-9 * (1.0 + z.abs());
                            assert!(l <= z + slack && z - slack <= u, "seed {seed}, {cases}: {slot}, {j}");
                        }
                    }
                }
                before = after;
            }
        }
        // Three layers a pass; the first pass tightens all of them.
        assert!(layers_tightened >= 12, "{layers_tightened}");
    }
}
