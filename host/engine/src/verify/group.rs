//! Many boxes at once: neighbouring cases proved as one.
//!
//! A property of thousands of small boxes (one case each) needs no search per box. A group of cases is *merged*: the
//! smallest box that holds theirs, with the hardest of their rows. If CROWN on that box refutes all rows and the checker
//! accepts, one leaf proves the group. Else the group is halved at the median of the coordinate over which its centres
//! spread most, down to single cases, which go to branch and bound.
//!
//! The network's values at all centres are computed first. A group whose rows fail at one of its own centres cannot be
//! proved as one, so that hardly a bound is computed in vain; and a centre may itself be a counterexample.

use std::sync::Mutex;

use super::leaf::Checker;
use super::problem::{CaseProblem, Parts};
use super::{CaseProof, Settings, Stats, rounded_box, worker_threads};
use crate::bounds::crown::{self, Bounds, Mode, Region, Scratch};
use crate::property::{Case, Property, Witness, check_witness};
use crate::search::tree::Claim;
use crate::search::{Budget, Leaf, Pool, Progress, Snapshot, Tree};
use certus_kernels::{LANE_MULTIPLE, relax};

/// Centres evaluated together.
const LANES: usize = 128;

/// What grouping achieves.
#[derive(Default)]
pub(super) struct Grouped {
    pub proofs: Vec<CaseProof>,
    /// Cases that are not proved.
    pub open: Vec<usize>,
    /// A counterexample among the centres.
    pub witness: Option<Witness>,
}

struct Work<'a> {
    parts: &'a Parts<'a>,
    property: &'a Property,
    settings: &'a Settings,
    /// `[cases][inputs]`.
    centres: Vec<Vec<f32>>,
    /// `[cases][outputs]`.
    values: Vec<Vec<f32>>,
    pool: Pool<Vec<usize>>,
    state: Mutex<(Grouped, Stats)>,
}

/// Proves what it can of the property's cases, in groups.
pub(super) fn prove_groups(
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
    let values = evaluate(parts, &centres);
    if settings.attack
        && let Some(witness) = counterexample(parts, property, &centres, &values)
    {
        return Grouped { witness: Some(witness), ..Grouped::default() };
    }
    let state = Mutex::new((Grouped::default(), *stats));
    let work = Work { parts, property, settings, centres, values, pool: Pool::new([all]), state };
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

/// The search network's outputs at `points`, many in lanes; an estimate.
fn evaluate(parts: &Parts<'_>, points: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let (net, last) = (&parts.net, parts.net.output_spec());
    let mut values = Vec::with_capacity(points.len());
    for points in points.chunks(LANES) {
        let lanes = points.len().next_multiple_of(LANE_MULTIPLE);
        let mut x = vec![0.0; net.inputs * lanes];
        for (r, point) in points.iter().enumerate() {
            point.iter().enumerate().for_each(|(j, v)| x[j * lanes + r] = *v);
        }
        for layer in &net.hidden {
            let mut z = vec![0.0; layer.rows * lanes];
            layer.forward.product(None, &x, lanes, &mut z);
            for (row, b) in z.chunks_exact_mut(lanes).zip(&layer.bias) {
                relax::bias_relu(row, *b, true);
            }
            x = z;
        }
        let mut y = vec![0.0; last.rows * lanes];
        last.forward.product(None, &x, lanes, &mut y);
        for (row, b) in y.chunks_exact_mut(lanes).zip(&last.bias) {
            relax::bias_relu(row, *b, false);
        }
        values.extend((0..points.len()).map(|r| y[r..].iter().step_by(lanes).copied().collect::<Vec<f32>>()));
    }
    values
}

/// About `c·y − rhs` for the disjunct's row that is furthest from holding.
fn margin(disjunct: &crate::property::Disjunct, y: &[f32]) -> f64 {
    let row = |r: &crate::property::Row| {
        r.coefficients.iter().zip(y).map(|(c, y)| c * f64::from(*y)).sum::<f64>() - r.rhs_upper
    };
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
    values.iter().enumerate().filter_map(near).find_map(|x| check_witness(parts.evaluator, property, x))
}

impl Work<'_> {
    fn run(&self, budget: &Budget<'_>, progress: &dyn Progress) {
        let mut tools = Tools::new(self.parts);
        tools.scratch.deadline = Some(budget.deadline());
        while let Some(members) = self.pool.take() {
            if budget.is_spent() {
                self.pool.finish([members]);
                self.pool.end();
                return;
            }
            let children = self.step(members, &mut tools, progress);
            self.pool.finish(children);
        }
    }

    /// Proves a group, or halves it.
    fn step(&self, members: Vec<usize>, tools: &mut Tools, progress: &dyn Progress) -> Vec<Vec<usize>> {
        let case = self.property.merged(&members);
        let refuted_at = |i: &usize| case.disjuncts.iter().all(|d| margin(d, &self.values[*i]) > 0.0);
        if members.iter().all(refuted_at) {
            let problem = CaseProblem::new(self.parts, self.property, &case, self.settings.meaning);
            let found = tools.prove(&problem);
            let mut state = self.state.lock().expect("no worker panics while it holds the state");
            let (grouped, stats) = &mut *state;
            stats.domains += 1;
            stats.checker_seconds += std::mem::take(&mut tools.checker.spent).as_secs_f64();
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
        self.halve(members)
    }

    /// Halves a group at the median of the coordinate over which its centres spread most, in widths of the boxes' hull.
    fn halve(&self, mut members: Vec<usize>) -> Vec<Vec<usize>> {
        let at = |i: usize, j: usize| self.centres[i][j];
        let spread = |j: usize| {
            let ends = members
                .iter()
                .map(|i| at(*i, j))
                .fold((f32::INFINITY, f32::NEG_INFINITY), |(l, u), x| (l.min(x), u.max(x)));
            ends.1 - ends.0
        };
        let width = |j: usize| {
            let widest = members.iter().map(|i| {
                let region = &self.property.cases[*i].region;
                region.upper[j] - region.lower[j]
            });
            widest.fold(0.0, f64::max) as f32
        };
        let relative = |j: usize| {
            let spread = spread(j);
            if spread > 0.0 { spread / (spread + width(j)) * spread } else { 0.0 }
        };
        let scores: Vec<f32> = (0..self.property.inputs).map(relative).collect();
        let j = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap_or(0);
        members.sort_by(|a, b| at(*a, j).total_cmp(&at(*b, j)));
        let upper = members.split_off(members.len() / 2);
        vec![upper, members]
    }
}

/// One thread's buffers.
struct Tools {
    checker: Checker,
    scratch: Scratch,
    bounds: Bounds,
}

enum Found {
    /// A proof of one leaf.
    Accepted(Vec<u8>),
    /// CROWN proves it, the checker does not.
    Rejected,
    Nothing,
}

impl Tools {
    fn new(parts: &Parts<'_>) -> Self {
        Self { checker: Checker::new(parts), scratch: Scratch::default(), bounds: Bounds::default() }
    }

    /// Tries to prove a case as one leaf.
    fn prove(&mut self, problem: &CaseProblem<'_>) -> Found {
        let region = &problem.case.region;
        let (lower, upper) = rounded_box(&region.lower, &region.upper);
        let on = Region { lower: &lower, upper: &upper };
        let (net, spec) = (&problem.parts.net, &problem.spec);
        crown::bound(net, spec, on, &[], Mode::Default, &mut self.scratch, &mut self.bounds);
        let rows: Vec<(u16, f32)> =
            (0..problem.disjuncts()).map(|d| problem.best_row(d, &self.bounds.rows)).collect();
        if rows.iter().any(|(_, bound)| *bound <= 0.0) {
            return Found::Nothing;
        }
        let leaf =
            Leaf { claims: rows.iter().map(|(row, _)| Claim { row: *row, ..Claim::default() }).collect() };
        let box64 = (region.lower.as_slice(), region.upper.as_slice());
        let checker = &mut self.checker;
        if problem.with_proof_problem(|p| checker.accept(p, box64, &[], &leaf)).is_err() {
            return Found::Rejected;
        }
        let tree = Tree::default();
        tree.prove(0, leaf);
        tree.to_bytes().map_or(Found::Rejected, Found::Accepted)
    }
}
