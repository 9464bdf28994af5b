//! Branch and bound by halving the box of inputs: complete for networks with few inputs.
//!
//! A domain is a box. It is bounded by CROWN; if for every disjunct some row is positive, the checker decides. Else a
//! coordinate is halved: the one whose halving promises the bound most ([`choose_cut`]).
//!
//! Source: input splitting as in Wang et al. 2018 (arXiv:1804.10829). The usual score is coefficient × width. Adding what
//! the unstable neurons' relaxations lose, divided among the inputs, took 1.1, 3.8, 4 and 9 times fewer domains on four
//! ACAS Xu instances, and solved a fifth (1_8, property 2) in 665 that was open after 100,000.

use super::Verdict;
use super::attack::PointBox;
use super::contradiction::Rows;
use super::shared::{Domain, Shared, Tools};
use crate::bounds::crown::{self, Bounds, Mode, Region};
use crate::search::Leaf;
use crate::search::tree::{Claim, Cut};
use certus_kernels::padded_lanes;

/// One domain in this many of a thread is attacked from random points, and the whole box with it.
const ATTACK_EVERY: usize = 256;

/// One thread's state beside its tools.
#[derive(Default)]
pub(super) struct Local {
    bounds: Bounds,
    points: Vec<f32>,
    since_attack: usize,
}

/// Works until the pool is empty or the search ends.
pub(super) fn run(shared: &Shared<'_>, tools: &mut Tools<'_>) {
    let mut local = Local::default();
    while let Some(domain) = shared.pool.take() {
        if shared.out_of_budget(1) {
            return;
        }
        let children = step(shared, tools, &mut local, domain);
        shared.pool.finish(children);
    }
}

/// Bounds a domain; proves it, or returns its halves.
pub(super) fn step(
    shared: &Shared<'_>,
    tools: &mut Tools<'_>,
    local: &mut Local,
    mut domain: Domain,
) -> Vec<Domain> {
    let problem = shared.problem;
    let (lower, upper) = domain.rounded();
    let region = Region { lower: &lower, upper: &upper };
    let bounds = &mut local.bounds;
    crown::bound(&problem.parts.net, &problem.spec, region, &[], Mode::Default, &mut tools.scratch, bounds);
    let claims: Vec<(u16, f32)> =
        (0..problem.disjuncts()).map(|d| problem.best_row(d, &bounds.rows)).collect();
    let lowest = claims.iter().map(|(_, bound)| *bound).fold(f32::INFINITY, f32::min);
    let together = together(shared, local, region, &claims);
    let cut = choose_cut(shared, local, &domain, region, &together);
    let refuted = claims.iter().zip(&together).all(|((_, bound), t)| *bound > 0.0 || t.refuted);
    // Where nothing is left to halve, the search's own rounding may hide what the checker can show.
    if refuted || cut.is_none() {
        let claim = |((row, bound), t): (&(u16, f32), &Together)| {
            let weights = if *bound <= 0.0 && t.refuted { t.weights.clone() } else { Vec::new() };
            Claim { row: *row, weights, ..Claim::default() }
        };
        let claims = claims.iter().zip(&together).map(claim).collect();
        if tools.prove(shared, &mut domain, Leaf { claims }) {
            shared.note(lowest, 0.5f64.powi(domain.depth as i32));
            return Vec::new();
        }
    }
    shared.note(lowest, 0.0);
    domain.bound = domain.bound.max(lowest);
    if shared.settings.attack && attack(shared, tools, local, region, &claims) {
        return Vec::new();
    }
    match cut {
        Some((coordinate, value)) if !domain.is_hopeless() => {
            shared.halve(domain, Cut::Input { coordinate: coordinate as u16, value })
        }
        // Stays open: the search goes on for a counterexample, and cannot end in `Holds`.
        _ => {
            shared.pool.lose(&domain);
            Vec::new()
        }
    }
}

/// The rows of a disjunct that no row refutes by itself.
struct Together {
    /// One per row.
    weights: Vec<f32>,
    /// Whether they refute it together.
    refuted: bool,
}

/// Per disjunct; for one that a row refutes that row alone.
fn together(shared: &Shared<'_>, local: &Local, region: Region<'_>, claims: &[(u16, f32)]) -> Vec<Together> {
    let problem = shared.problem;
    let of = |(d, (row, bound)): (usize, &(u16, f32))| {
        let range = problem.rows_of(d);
        if *bound > 0.0 || range.len() == 1 {
            let alone = |k: usize| if k == usize::from(*row) { 1.0 } else { 0.0 };
            return Together { weights: (0..range.len()).map(alone).collect(), refuted: *bound > 0.0 };
        }
        let lanes = padded_lanes(problem.spec.rows);
        let Bounds { input_rows, rows, .. } = &local.bounds;
        let rows = Rows::new(input_rows, lanes, range, rows, region.lower.len());
        let (weights, refuted) = rows.contradiction(region);
        Together { weights, refuted }
    };
    claims.iter().enumerate().map(of).collect()
}

/// Tries the points where the undecided rows' linear bounds are smallest; now and then descends from random ones.
fn attack(
    shared: &Shared<'_>,
    tools: &mut Tools<'_>,
    local: &mut Local,
    region: Region<'_>,
    claims: &[(u16, f32)],
) -> bool {
    let problem = shared.problem;
    let box_ = &problem.case.region;
    let inside = |x: f32, j: usize| x.max(box_.witness_lower[j]).min(box_.witness_upper[j]);
    let lanes = padded_lanes(problem.spec.rows);
    let inputs = region.lower.len();
    local.points.clear();
    for (d, (_, bound)) in claims.iter().enumerate() {
        if *bound > 0.0 || local.points.len() > 32 * inputs {
            continue;
        }
        for row in problem.rows_of(d) {
            for j in 0..inputs {
                let a = local.bounds.input_rows[j * lanes + row];
                local.points.push(inside(if a >= 0.0 { region.lower[j] } else { region.upper[j] }, j));
            }
        }
    }
    if tools.try_points(shared, local.points.chunks_exact(inputs)) {
        return true;
    }
    local.since_attack += 1;
    if local.since_attack >= ATTACK_EVERY {
        local.since_attack = 0;
        if let Some(witness) = tools.attack_root(shared) {
            shared.end(Verdict::Violated(witness));
            return true;
        }
        let clip = |ends: &[f32]| ends.iter().enumerate().map(|(j, x)| inside(*x, j)).collect::<Vec<f32>>();
        let (lower, upper) = (clip(region.lower), clip(region.upper));
        if lower.iter().zip(&upper).all(|(l, u)| l <= u) {
            let points = PointBox { lower: &lower, upper: &upper };
            if let Some(witness) = tools.attacker.descend(points, 16, 10) {
                shared.end(Verdict::Violated(witness));
                return true;
            }
        }
    }
    false
}

/// The coordinate to halve and where, or `None` if no coordinate has a point between its ends.
///
/// A bound gains in two ways: in one half, by the row's coefficient times half of the width; in both, because
/// the intervals of unstable neurons shrink by their share of the coordinate, and their relaxations' gaps with them.
fn choose_cut(
    shared: &Shared<'_>,
    local: &Local,
    domain: &Domain,
    region: Region<'_>,
    together: &[Together],
) -> Option<(usize, f64)> {
    let problem = shared.problem;
    let lanes = padded_lanes(problem.spec.rows);
    let inputs = domain.lower.len();
    let all_proved = together.iter().all(|t| t.refuted);
    let mut scores = vec![0.0f32; inputs];
    for (d, t) in together.iter().enumerate().filter(|(_, t)| all_proved || !t.refuted) {
        let weighed = || problem.rows_of(d).zip(&t.weights).filter(|(_, weight)| **weight > 0.0);
        for (j, score) in scores.iter_mut().enumerate() {
            let slope =
                |(row, weight): (usize, &f32)| weight * local.bounds.input_rows[j * lanes + row].abs();
            *score += weighed().map(slope).sum::<f32>() * (region.upper[j] - region.lower[j]);
        }
        let loss = &local.bounds.loss;
        for (share, gaps) in loss.shares.chunks_exact(inputs).zip(loss.gaps.chunks_exact(lanes)) {
            let gap: f32 = weighed().map(|(row, weight)| weight * gaps[row]).sum();
            if gap > 0.0 {
                scores.iter_mut().zip(share).for_each(|(score, share)| *score += gap * share);
            }
        }
    }
    let halves = (0..inputs).filter_map(|j| domain.middle(j).map(|at| (j, at)));
    halves.max_by(|a, b| scores[a.0].total_cmp(&scores[b.0]))
}
