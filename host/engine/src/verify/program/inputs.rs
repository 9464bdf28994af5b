//! Branch and bound by halving the box of inputs: every domain is bounded anew, and has a lemma of its own.

use super::domain::Domain;
use super::tree::{Cut, LeafClaim, adaptive_lemma};
use super::worker::Worker;
use crate::bounds::program::{self as bounds, BoundError, Intermediate, Interval, Region};

/// What bounds say of a domain.
pub struct Judged {
    /// The lowest bound of a disjunct.
    pub lowest: f32,
    /// The best row of each disjunct, and its bound.
    pub rows: Vec<(u16, f32)>,
    /// Bounds of every slot; empty if nothing is known.
    pub slots: Vec<Interval>,
}

impl Worker<'_, '_> {
    /// Works until the pool is empty or the search ends.
    pub fn run_inputs(&mut self) {
        while let Some(domain) = self.shared.pool.take() {
            if self.shared.out_of_budget() {
                self.shared.pool.finish([]);
                return;
            }
            let children = self.step_inputs(domain);
            self.shared.pool.finish(children);
        }
    }

    /// Bounds a domain; proves it, or returns its halves.
    pub fn step_inputs(&mut self, mut domain: Domain) -> Vec<Domain> {
        let (lower, upper) = domain.rounded();
        let region = Region { lower: &lower, upper: &upper };
        let Some(judged) = self.bound(region) else { return vec![domain] };
        let Judged { lowest, rows, .. } = judged;
        let cut = self.choose_coordinate(&domain, region, &rows);
        // Where nothing is left to halve, the search's own rounding may hide what the checker can show.
        if lowest > 0.0 || cut.is_none() {
            let claims = rows.iter().map(|(row, _)| LeafClaim { row: *row, ..LeafClaim::default() });
            if self.prove(None, &mut domain, Some(adaptive_lemma()), claims.collect()) {
                self.shared.note(lowest, 0.5f64.powi(domain.depth.cast_signed()));
                return Vec::new();
            }
        }
        self.shared.note(lowest, 0.0);
        if self.shared.settings.attack && self.attack(region) {
            return Vec::new();
        }
        match cut {
            Some(cut) if !domain.is_hopeless() => self.shared.halve(domain, cut),
            // Stays open: the search goes on for a counterexample, and cannot end in `Holds`.
            _ => Vec::new(),
        }
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
        let found = bounds::bound(&problem.parts.net, region, &problem.spec, &settings, self.shared.stop());
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
    /// that are not proved change most, by their gradient at the centre and the width.
    pub fn choose_coordinate(
        &mut self,
        domain: &Domain,
        region: Region<'_>,
        rows: &[(u16, f32)],
    ) -> Option<Cut> {
        let problem = self.shared.problem;
        let inputs = domain.lower.len();
        let worst = (0..rows.len()).min_by(|a, b| rows[*a].1.total_cmp(&rows[*b].1))?;
        let row = problem.rows_of(worst).start + usize::from(rows[worst].0);
        let centre: Vec<f32> =
            region.lower.iter().zip(region.upper).map(|(l, u)| 0.5 * l + 0.5 * u).collect();
        let gradient = self.attacker.gradient_at(&centre, row);
        let width = |j: usize| region.upper[j] - region.lower[j];
        let widest = (0..inputs).map(width).fold(0.0, f32::max);
        let steepest = gradient.iter().map(|g| g.abs()).filter(|g| g.is_finite()).fold(0.0, f32::max);
        // A gradient at one point may miss what matters elsewhere: every width counts for a tenth of the steepest.
        let score = |j: usize| {
            let slope = if gradient[j].is_finite() { gradient[j].abs() } else { steepest };
            (slope + 0.1 * steepest.max(f32::MIN_POSITIVE)) * width(j) / widest.max(f32::MIN_POSITIVE)
        };
        let halves = (0..inputs).filter_map(|j| domain.middle(j).map(|at| (j, at)));
        halves
            .max_by(|a, b| score(a.0).total_cmp(&score(b.0)))
            .map(|(j, value)| Cut::Input { coordinate: j as u32, value })
    }
}
