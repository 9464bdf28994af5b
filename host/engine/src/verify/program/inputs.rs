//! Branch and bound by halving the box of inputs: every domain has a lemma of its own.
//!
//! A lemma inherits from that of the root, if there is one. The search inherits nothing: what it proved with bounds that the lemma does not know, the
//! checker would refuse, at the price of a lemma.

pub mod nested;

use super::domain::Domain;
use super::tree::{Cut, LeafClaim, adaptive_lemma};
use super::worker::{Base, Worker};
use crate::bounds::program::batch::{Found, Lane, LaneClimb, claims, optimise};
use crate::bounds::program::{self as bounds, BoundError, Intermediate, Interval, Region};

/// Iterations of a domain's rows.
const ITERATIONS: usize = 10;

/// At least one box in this many has its rows climbed.
const CLIMB_EVERY: usize = 16;

/// What bounds say of a domain.
pub struct Judged {
    /// The lowest bound of a disjunct.
    pub lowest: f32,
    /// The best row of each disjunct, and its bound.
    pub rows: Vec<(u16, f32)>,
    /// Bounds of every slot; empty if nothing is known.
    pub slots: Vec<Interval>,
}

/// A row that CROWN leaves, with what a climb of its slopes finds.
pub struct Climbed {
    pub disjunct: usize,
    pub found: Found,
}

/// The lowest bound of a disjunct.
pub fn lowest(judged: &Judged, climbed: &[Climbed]) -> f32 {
    if judged.lowest > 0.0 {
        return judged.lowest;
    }
    climbed.iter().map(|c| c.found.bound).fold(f32::INFINITY, f32::min)
}

/// The half of the coordinate along which a function of that gradient changes most over a box, if any has a point between its ends.
pub fn steepest_half(domain: &Domain, region: Region<'_>, gradient: &[f32]) -> Option<Cut> {
    let width = |j: usize| region.upper[j] - region.lower[j];
    let widest = (0..gradient.len()).map(width).fold(0.0, f32::max);
    let steepest = gradient.iter().map(|g| g.abs()).filter(|g| g.is_finite()).fold(0.0, f32::max);
    // A gradient at one point may miss what matters elsewhere: every width counts for a tenth of the steepest.
    let score = |j: usize| {
        let slope = if gradient[j].is_finite() { gradient[j].abs() } else { steepest };
        (slope + 0.1 * steepest.max(f32::MIN_POSITIVE)) * width(j) / widest.max(f32::MIN_POSITIVE)
    };
    let halves = (0..gradient.len()).filter_map(|j| domain.middle(j).map(|at| (j, at)));
    halves
        .max_by(|a, b| score(a.0).total_cmp(&score(b.0)))
        .map(|(j, value)| Cut::Input { coordinate: j as u32, value })
}

impl Worker<'_, '_> {
    /// Works until the pool is empty or the search ends.
    pub fn run_inputs(&mut self, base: Option<&Base<'_>>) {
        let nested = nested::applies(self.shared);
        let above = base.filter(|_| nested).and_then(|base| self.root_kept(base));
        while let Some(mut domain) = self.shared.pool.take() {
            if domain.above.is_none() {
                domain.above.clone_from(&above);
            }
            if self.shared.out_of_budget() {
                self.shared.pool.finish([]);
                return;
            }
            let open = self.recheck(base, vec![domain]);
            let children: Vec<_> = open
                .into_iter()
                .flat_map(|domain| match self.shared.columns {
                    0 if nested => self.step_nested(domain),
                    0 => self.step_inputs(base, domain),
                    columns => self.step_forms(domain, columns),
                })
                .collect();
            self.shared.pool.finish(children);
        }
    }

    /// Bounds a domain; proves it, or returns its halves.
    pub fn step_inputs(&mut self, base: Option<&Base<'_>>, mut domain: Domain) -> Vec<Domain> {
        let (lower, upper) = domain.rounded();
        let region = Region { lower: &lower, upper: &upper };
        let Some(judged) = self.bound(region) else { return vec![domain] };
        let climbed = self.climb_box(region, &judged);
        let lowest = lowest(&judged, &climbed);
        let cut = self.choose_coordinate(&domain, region, &judged.rows, &climbed);
        // Where nothing is left to halve, the search's own rounding may hide what the checker can show.
        if lowest > 0.0 || cut.is_none() {
            let claims = self.claims_of(&judged, &climbed);
            if self.prove(base, &mut domain, Some(adaptive_lemma()), claims) {
                self.shared.note(lowest, 0.5f64.powi(domain.depth.cast_signed()));
                return Vec::new();
            }
        }
        self.shared.note(lowest, 0.0);
        domain.bound = domain.bound.max(lowest);
        if self.shared.settings.attack && (self.attack_at(&climbed) || self.attack(region)) {
            return Vec::new();
        }
        match cut {
            Some(cut) if !domain.is_hopeless() => self.shared.halve(domain, cut),
            // Stays open: the search goes on for a counterexample, and cannot end in `Holds`.
            _ => {
                self.shared.pool.lose(&domain);
                Vec::new()
            }
        }
    }

    /// Climbs the rows of a box, if what climbs have gained of late may suffice; else the rows are bounded once, for branching.
    pub fn climb_box(&mut self, region: Region<'_>, judged: &Judged) -> Vec<Climbed> {
        if judged.lowest > 0.0 {
            return Vec::new();
        }
        self.since_climb += 1;
        let hopeless = judged.lowest + 2.0 * self.climb_gain < 0.0 && self.since_climb < CLIMB_EVERY;
        if hopeless {
            return self.climb_rows(region, judged, 0);
        }
        self.since_climb = 0;
        let climbed = self.climb_rows(region, judged, ITERATIONS);
        let gain = lowest(judged, &climbed) - judged.lowest;
        if gain.is_finite() {
            // Gains shrink with boxes, slowly.
            let before = if self.climb_gain.is_finite() { 0.9 * self.climb_gain } else { 0.0 };
            self.climb_gain = gain.max(before);
        }
        climbed
    }

    /// Tries the point where the lowest linear bound is smallest, now and then.
    pub fn attack_at(&mut self, climbed: &[Climbed]) -> bool {
        let open = climbed.iter().filter(|c| !c.found.point.is_empty());
        let worst = open.min_by(|a, b| a.found.bound.total_cmp(&b.found.bound));
        worst.is_some_and(|c| self.try_point(&c.found.point))
    }

    /// CROWN on a box; `None` if it was stopped.
    pub fn bound(&mut self, region: Region<'_>) -> Option<Judged> {
        let problem = self.shared.problem;
        let settings = bounds::Settings {
            // Twice as fast as the default, and hardly looser.
            intermediate: Intermediate::Intersected,
            threads: self.threads,
            ..bounds::Settings::default()
        };
        let (net, spec, stop) = (&problem.parts.net, &problem.spec, self.shared.stop());
        let found = bounds::bound(net, region, spec, &settings, stop);
        let (rows, slots) = match found {
            // A NaN says nothing of its row.
            Ok(found) => {
                let known = |b: &f32| if b.is_nan() { f32::NEG_INFINITY } else { *b };
                (found.rows.iter().map(known).collect(), found.slots)
            }
            Err(BoundError::Stopped) => return None,
            // An operand's bounds leave a function's domain, or memory is short: nothing is known.
            Err(_) => (vec![f32::NEG_INFINITY; problem.spec.bias.len()], Vec::new()),
        };
        let rows: Vec<(u16, f32)> = (0..problem.disjuncts()).map(|d| problem.best_row(d, &rows)).collect();
        let lowest = rows.iter().map(|(_, bound)| *bound).fold(f32::INFINITY, f32::min);
        Some(Judged { lowest, rows, slots })
    }

    /// The coordinate to halve and where, or `None` if no coordinate has a point between its ends: the one along which the rows
    /// that are not proved change most, by the coefficients of their linear bounds, or their gradient at the centre, and the width.
    pub fn choose_coordinate(
        &mut self,
        domain: &Domain,
        region: Region<'_>,
        rows: &[(u16, f32)],
        climbed: &[Climbed],
    ) -> Option<Cut> {
        let problem = self.shared.problem;
        let inputs = domain.lower.len();
        let worst = (0..rows.len()).min_by(|a, b| rows[*a].1.total_cmp(&rows[*b].1))?;
        let row = problem.rows_of(worst).start + usize::from(rows[worst].0);
        let centre: Vec<f32> =
            region.lower.iter().zip(region.upper).map(|(l, u)| 0.5 * l + 0.5 * u).collect();
        let mut gradient = self.attacker.gradient_at(&centre, row);
        for found in climbed.iter().map(|c| &c.found).filter(|f| f.coefficients.len() == inputs) {
            // Where the bound's slope is not the function's, the relaxation loses: both count.
            gradient.iter_mut().zip(&found.coefficients).for_each(|(g, a)| *g = g.abs().max(a.abs()));
        }
        steepest_half(domain, region, &gradient)
    }

    /// The best rows of the disjuncts that CROWN leaves, with what a climb of their slopes alone finds.
    pub fn climb_rows(&mut self, region: Region<'_>, judged: &Judged, iterations: usize) -> Vec<Climbed> {
        let problem = self.shared.problem;
        let open = || (0..judged.rows.len()).filter(|d| judged.rows[*d].1 <= 0.0);
        let unknown = |disjunct: usize| {
            let found = Found { bound: judged.rows[disjunct].1, ..Found::default() };
            Climbed { disjunct, found }
        };
        if judged.slots.is_empty() || judged.lowest > 0.0 {
            return open().map(unknown).collect();
        }
        let lane = |d: usize| Lane {
            region,
            intervals: &judged.slots,
            row: problem.rows_of(d).start + usize::from(judged.rows[d].0),
            splits: &[],
            start: None,
        };
        let lanes: Vec<Lane<'_>> = open().map(lane).collect();
        let climb = LaneClimb { iterations, threads: self.threads, ..LaneClimb::default() };
        match optimise(&problem.parts.net, &problem.spec, &lanes, &climb, self.shared.stop()) {
            Ok(found) => open().zip(found).map(|(disjunct, found)| Climbed { disjunct, found }).collect(),
            Err(_) => open().map(unknown).collect(),
        }
    }

    /// Claims without splits: adaptive slopes where CROWN refutes, those that were climbed else.
    pub fn claims_of(&self, judged: &Judged, climbed: &[Climbed]) -> Vec<LeafClaim> {
        let parts = self.shared.problem.parts;
        let claim = |(d, (row, _)): (usize, &(u16, f32))| {
            let found = climbed.iter().find(|c| c.disjunct == d).filter(|_| !judged.slots.is_empty());
            let alpha = found.map_or_else(Vec::new, |c| {
                claims(&parts.net, parts.program.output(), &judged.slots, &c.found.start.alpha)
            });
            LeafClaim { row: *row, alpha: alpha.into(), beta: Vec::new() }
        };
        judged.rows.iter().enumerate().map(claim).collect()
    }
}
