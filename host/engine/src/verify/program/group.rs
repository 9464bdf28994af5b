//! Many boxes at once: neighbouring cases proved as one, as for chains (see `verify::group`).
//!
//! A property of thousands of small boxes needs no search for each. A group of cases is *merged*: the smallest box that holds theirs
//! with the hardest of their rows. If CROWN refutes all rows there and the checker accepts, one leaf proves the group; else it is
//! halved where its centres spread most. The values at all centres come first: a group whose rows fail at one of its own centres
//! cannot be proved as one, and a centre may itself be a counterexample.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::checker::{Desk, Desktop, Referee};
use super::forms::{judge, suit};
use super::problem::{CaseProblem, Parts};
use super::single::Single;
use super::tree::{LeafClaim, Tree, adaptive_lemma, forms_lemma};
use crate::bounds::program::{self as bounds, Intermediate, Points, Region, Stop};
use crate::property::{Case, Disjunct, Property, Row, Witness, check_witness};
use crate::search::{Budget, Pool, Progress, Snapshot};
use crate::verify::{CaseProof, Settings, Stats, rounded_box, worker_threads};

/// Centres evaluated together.
const LANES: usize = 32;

/// Forms are tried as long as they prove one group in so many.
const FORMS_PAY: usize = 4;

/// So is CROWN on groups of more than one case.
const ROWS_PAY: usize = 8;

/// Most symbols of a group's forms, and most memory of them.
const FORMS_COLUMNS: usize = 62;
const FORMS_BYTES: usize = 64 << 20;

/// What grouping achieves.
#[derive(Default)]
pub struct Grouped {
    /// Of groups and single cases.
    pub proofs: Vec<CaseProof>,
    /// Cases that are not proved.
    pub open: Vec<usize>,
    /// A counterexample among the centres.
    pub witness: Option<Witness>,
}

/// Groups that something was tried on, and that it proved.
#[derive(Default)]
struct Tried {
    all: AtomicUsize,
    proved: AtomicUsize,
}

impl Tried {
    /// Whether it has proved one group in so many, or was not tried often.
    fn pays(&self, one_in: usize) -> bool {
        let all = self.all.load(Relaxed);
        all < 32 || one_in * self.proved.load(Relaxed) >= all
    }

    fn note(&self, proved: bool) {
        self.all.fetch_add(1, Relaxed);
        self.proved.fetch_add(usize::from(proved), Relaxed);
    }
}

struct Work<'a> {
    parts: &'a Parts<'a>,
    property: &'a Property,
    settings: &'a Settings,
    stop: Stop<'a>,
    /// `[cases][inputs]`.
    centres: Vec<Vec<f32>>,
    /// `[cases][outputs]`.
    values: Vec<Vec<f32>>,
    pool: Pool<Vec<usize>>,
    /// Groups that affine forms were tried on and that they proved; that CROWN was tried on and that it proved.
    forms: Tried,
    rows: Tried,
    state: Mutex<(Grouped, Stats)>,
}

/// Proves what it can of the property's cases, in groups.
pub fn prove_groups(
    parts: &Parts<'_>,
    property: &Property,
    settings: &Settings,
    budget: &Budget<'_>,
    progress: &dyn Progress,
    stats: &mut Stats,
) -> Grouped {
    let all: Vec<usize> = (0..property.cases.len()).collect();
    if all.len() < 2 {
        return Grouped { open: all, ..Grouped::default() };
    }
    let centres: Vec<Vec<f32>> = property.cases.iter().map(centre).collect();
    let values = evaluate(parts, &centres, budget);
    if settings.attack
        && let Some(witness) = counterexample(parts, property, &centres, &values)
    {
        return Grouped { witness: Some(witness), ..Grouped::default() };
    }
    if values.len() < centres.len() {
        return Grouped { open: all, ..Grouped::default() };
    }
    let stop = Stop { deadline: Some(budget.deadline()), flag: Some(budget.stop_flag()) };
    let state = Mutex::new((Grouped::default(), *stats));
    let work = Work {
        parts,
        property,
        settings,
        stop,
        centres,
        values,
        pool: Pool::new([all]),
        forms: Tried::default(),
        rows: Tried::default(),
        state,
    };
    std::thread::scope(|scope| {
        for _ in 1..worker_threads(settings) {
            scope.spawn(|| work.run(budget, progress));
        }
        work.run(budget, progress);
    });
    let left = work.pool.into_open();
    let (mut grouped, new) = work.state.into_inner().expect("no worker panics while it holds the state");
    *stats = new;
    grouped.open.extend(left.into_iter().flatten());
    grouped.open.sort_unstable();
    grouped.proofs.iter_mut().for_each(|p| p.cases.sort_unstable());
    grouped.proofs.sort_by_key(|p| p.cases[0]);
    grouped
}

/// The middle of a case's box, moved to an `f32` inside if there is one.
fn centre(case: &Case) -> Vec<f32> {
    let region = &case.region;
    let inside = |j: usize| {
        let middle = (0.5 * region.lower[j] + 0.5 * region.upper[j]) as f32;
        middle.min(region.witness_upper[j]).max(region.witness_lower[j])
    };
    (0..region.lower.len()).map(inside).collect()
}

/// Outputs at `points`, until time is up; an estimate.
fn evaluate(parts: &Parts<'_>, points: &[Vec<f32>], budget: &Budget<'_>) -> Vec<Vec<f32>> {
    let mut network = Points::new(&parts.net, LANES);
    let mut values = Vec::with_capacity(points.len());
    for points in points.chunks(LANES) {
        if budget.is_spent() {
            break;
        }
        let mut x = vec![0.0; parts.net.inputs() * LANES];
        for (r, lane) in (0..LANES).zip((0..points.len()).chain(std::iter::repeat(0))) {
            points[lane].iter().enumerate().for_each(|(j, v)| x[j * LANES + r] = *v);
        }
        let y = network.evaluate(&x);
        values.extend((0..points.len()).map(|r| y[r..].iter().step_by(LANES).copied().collect::<Vec<f32>>()));
    }
    values
}

/// About `c·y − rhs` for the disjunct's row that is furthest from holding.
fn margin(disjunct: &Disjunct, y: &[f32]) -> f64 {
    let row =
        |r: &Row| r.coefficients.iter().zip(y).map(|(c, y)| c * f64::from(*y)).sum::<f64>() - r.rhs_upper;
    disjunct.rows.iter().map(row).fold(f64::NEG_INFINITY, f64::max)
}

fn counterexample(
    parts: &Parts<'_>,
    property: &Property,
    centres: &[Vec<f32>],
    values: &[Vec<f32>],
) -> Option<Witness> {
    let near = |(i, y): (usize, &Vec<f32>)| {
        property.cases[i].disjuncts.iter().any(|d| margin(d, y) <= 0.0).then(|| &centres[i])
    };
    values.iter().enumerate().filter_map(near).find_map(|x| check_witness(parts.network, property, x))
}

impl Work<'_> {
    fn run(&self, budget: &Budget<'_>, progress: &dyn Progress) {
        let mut desk = Single::new(&self.parts.net);
        while let Some(members) = self.pool.take() {
            if budget.is_spent() {
                self.pool.finish([members]);
                self.pool.end();
                return;
            }
            let children = self.step(members, &mut desk, progress);
            self.pool.finish(children);
        }
    }

    /// Proves a group, or halves it.
    fn step(&self, members: Vec<usize>, desk: &mut Single<'_>, progress: &dyn Progress) -> Vec<Vec<usize>> {
        let case = self.property.merged(&members);
        let refuted_at = |i: &usize| case.disjuncts.iter().all(|d| margin(d, &self.values[*i]) > 0.0);
        if members.iter().all(refuted_at) {
            let found = self.prove(&case, members.len(), desk);
            let mut state = self.state.lock().expect("no worker panics while it holds the state");
            let (grouped, stats) = &mut *state;
            stats.domains += 1;
            match found {
                Found::Accepted(bytes) => {
                    stats.leaves += 1;
                    grouped.proofs.push(CaseProof { cases: members, bytes });
                    if grouped.proofs.len().is_multiple_of(64) {
                        let proved: usize = grouped.proofs.iter().map(|p| p.cases.len()).sum();
                        let proved = proved as f64 / self.property.cases.len() as f64;
                        let (domains, open) = (stats.domains, self.pool.len());
                        drop(state);
                        progress.update(Snapshot { domains, open, proved, lower_bound: None });
                    }
                    return Vec::new();
                }
                Found::Rejected => stats.rejected += 1,
                Found::Nothing => {}
            }
        }
        if members.len() == 1 {
            self.state.lock().expect("no worker panics while it holds the state").0.open.extend(members);
            return Vec::new();
        }
        // Where groups are not tried, nothing is gained by halving them in turn.
        if !self.forms.pays(FORMS_PAY) && !self.rows.pays(ROWS_PAY) {
            return members.into_iter().rev().map(|member| vec![member]).collect();
        }
        self.halve(members)
    }

    /// Tries to prove a case as one leaf.
    fn prove(&self, case: &Case, members: usize, desk: &mut Single<'_>) -> Found {
        let problem = CaseProblem::new(self.parts, self.property, case);
        if members == 1 && suit(&problem, self.settings) {
            let (bytes, seconds) = desk.prove(&problem, self.settings, self.stop);
            self.state.lock().expect("no worker panics while it holds the state").1.checker_seconds +=
                seconds;
            return bytes.map_or(Found::Nothing, Found::Accepted);
        }
        if self.forms.pays(FORMS_PAY) {
            let bytes = self.accept_forms(&problem, &mut desk.memory);
            self.forms.note(bytes.is_some());
            if let Some(bytes) = bytes {
                return Found::Accepted(bytes);
            }
        }
        if members > 1 && !self.rows.pays(ROWS_PAY) {
            return Found::Nothing;
        }
        let found = self.prove_by_rows(&problem, desk);
        self.rows.note(matches!(found, Found::Accepted(_)));
        found
    }

    /// Tries to prove a case as one leaf with a lemma of rows.
    fn prove_by_rows(&self, problem: &CaseProblem<'_>, desk: &mut Single<'_>) -> Found {
        let case = problem.case;
        let (lower, upper) = rounded_box(&case.region.lower, &case.region.upper);
        let settings =
            bounds::Settings { intermediate: Intermediate::Intersected, ..bounds::Settings::default() };
        let on = Region { lower: &lower, upper: &upper };
        let Ok(found) = bounds::bound(&self.parts.net, on, &problem.spec, &settings, self.stop) else {
            return Found::Nothing;
        };
        let rows: Vec<(u16, f32)> =
            (0..problem.disjuncts()).map(|d| problem.best_row(d, &found.rows)).collect();
        // NaN proves nothing.
        if !rows.iter().all(|(_, bound)| *bound > 0.0) {
            return Found::Nothing;
        }
        let claims: Vec<LeafClaim> =
            rows.iter().map(|(row, _)| LeafClaim { row: *row, ..LeafClaim::default() }).collect();
        match self.accept(problem, &claims, &mut desk.memory) {
            Some(bytes) => Found::Accepted(bytes),
            None => Found::Rejected,
        }
    }

    /// The proof of one leaf by affine forms, which take no bounds of the search, if the checker accepts it.
    fn accept_forms(&self, problem: &CaseProblem<'_>, memory: &mut Desktop) -> Option<Vec<u8>> {
        let disjuncts: Vec<&[_]> = problem.rows.iter().map(Vec::as_slice).collect();
        let mut words = Vec::new();
        let (tables, meaning) = (&self.parts.tables, self.settings.meaning);
        let desk = Desk::new(tables.program(), &disjuncts, meaning, &self.parts.kernel, &mut words).ok()?;
        let columns = desk.columns_within(FORMS_BYTES).min(FORMS_COLUMNS);
        if columns == 0 {
            return None;
        }
        let mut referee = Referee::new(&desk, memory, columns).ok()?;
        let (region, lemma) = (&problem.case.region, forms_lemma(columns));
        let judged = judge(&mut referee, problem, None, (&region.lower, &region.upper), &lemma, self.stop);
        self.state.lock().expect("no worker panics while it holds the state").1.checker_seconds +=
            desk.seconds();
        let (claims, _) = judged.filter(|(_, answer)| answer.accepted)?;
        let tree = Tree::default();
        tree.state(0, lemma);
        tree.prove(0, claims);
        tree.to_bytes(usize::MAX)
    }

    /// The proof of one leaf, if the checker accepts it.
    fn accept(
        &self,
        problem: &CaseProblem<'_>,
        claims: &[LeafClaim],
        memory: &mut Desktop,
    ) -> Option<Vec<u8>> {
        let disjuncts: Vec<&[_]> = problem.rows.iter().map(Vec::as_slice).collect();
        let mut words = Vec::new();
        let (tables, meaning) = (&self.parts.tables, self.settings.meaning);
        let desk = Desk::new(tables.program(), &disjuncts, meaning, &self.parts.kernel, &mut words).ok()?;
        let mut referee = Referee::new(&desk, memory, 0).ok()?;
        let region = &problem.case.region;
        let place: (_, &[_]) = ((region.lower.as_slice(), region.upper.as_slice()), &[]);
        let lemma = adaptive_lemma();
        let accepted = referee.accept(None, place, Some(&lemma), claims, self.stop);
        let mut state = self.state.lock().expect("no worker panics while it holds the state");
        state.1.checker_seconds += desk.seconds();
        drop(state);
        accepted.ok()?;
        let tree = Tree::default();
        tree.state(0, lemma);
        tree.prove(0, claims.to_vec());
        tree.to_bytes(usize::MAX)
    }

    /// Halves a group at the median of the coordinate over which its centres spread most, in widths of the boxes' hull.
    fn halve(&self, mut members: Vec<usize>) -> Vec<Vec<usize>> {
        let at = |i: usize, j: usize| self.centres[i][j];
        let score = |j: usize| {
            let (mut low, mut high, mut width) = (f32::INFINITY, f32::NEG_INFINITY, 0.0f64);
            for i in &members {
                let region = &self.property.cases[*i].region;
                (low, high) = (low.min(at(*i, j)), high.max(at(*i, j)));
                width = width.max(region.upper[j] - region.lower[j]);
            }
            let spread = high - low;
            if spread > 0.0 { spread / (spread + width as f32) * spread } else { 0.0 }
        };
        let scores: Vec<f32> = (0..self.property.inputs).map(score).collect();
        let j = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap_or(0);
        members.sort_by(|a, b| at(*a, j).total_cmp(&at(*b, j)));
        let upper = members.split_off(members.len() / 2);
        vec![upper, members]
    }
}

enum Found {
    /// A proof of one leaf.
    Accepted(Vec<u8>),
    /// CROWN proves it, the checker does not.
    Rejected,
    Nothing,
}
