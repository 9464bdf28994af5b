//! Decides a domain by LPs: which rows of the disjuncts fail everywhere, and where they do not.

use super::relaxation::{Evidence, Linear, Relaxation};
use super::{Limits, Lp, Outcome, Solver, dual};
use std::time::Instant;

/// How a disjunct is refuted.
#[derive(Clone, Debug, PartialEq)]
pub struct Refuted {
    /// The row of the disjunct that fails everywhere.
    pub row: u16,
    /// Slopes and multipliers that prove it.
    pub evidence: Evidence,
}

/// What the LPs of a domain say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Per disjunct, if it is refuted.
    pub refuted: Vec<Option<Refuted>>,
    /// Inputs at which a disjunct's rows are least; counterexamples up to rounding where the relaxation is exact.
    pub points: Vec<Vec<f64>>,
    /// The lowest bound of the best rows, over the disjuncts.
    pub lowest: f64,
}

impl Decision {
    /// Whether every disjunct is refuted.
    pub fn is_proved(&self) -> bool {
        self.refuted.iter().all(Option::is_some)
    }
}

/// Share of a row's range on the box above which a bound need not be raised further.
const AMPLE: f64 = 1e-3;

/// Decides the disjuncts, each a list of rows (`row > 0` everywhere refutes it), on a domain.
///
/// With an exact relaxation and one row per disjunct nothing stays open but what rounding hides: a disjunct is refuted, or its
/// point violates it.
pub fn decide_leaf(
    relaxation: &Relaxation,
    disjuncts: &[Vec<Linear>],
    solver: Solver,
    deadline: Option<Instant>,
) -> Decision {
    let mut decision = Decision { lowest: f64::INFINITY, ..Decision::default() };
    let mut empty: Option<Vec<f64>> = None;
    for rows in disjuncts {
        let mut best = f64::NEG_INFINITY;
        let mut refuted = None;
        for (index, row) in rows.iter().enumerate() {
            if let Some(ray) = &empty {
                refuted =
                    by_ray(relaxation, row, ray).map(|evidence| Refuted { row: index as u16, evidence });
            } else {
                let lp = relaxation.minimising(row);
                let (found, end) = minimise(relaxation, &lp, row, solver, deadline);
                best = best.max(end);
                match found {
                    Found::Proved(evidence) => refuted = Some(Refuted { row: index as u16, evidence }),
                    Found::Empty(ray) => {
                        refuted = by_ray(relaxation, row, &ray)
                            .map(|evidence| Refuted { row: index as u16, evidence });
                        empty = Some(ray);
                    }
                    Found::Point(point) => decision.points.push(point),
                    Found::Nothing => {}
                }
            }
            if refuted.is_some() {
                break;
            }
        }
        if refuted.is_none() {
            decision.lowest = decision.lowest.min(best);
            decision.points.extend(common_point(relaxation, rows, solver, deadline));
        }
        decision.refuted.push(refuted);
    }
    decision.points.iter_mut().for_each(|p| p.truncate(relaxation.inputs()));
    decision
}

enum Found {
    Proved(Evidence),
    Empty(Vec<f64>),
    Point(Vec<f64>),
    Nothing,
}

/// The limits under which a bound of `row` is enough for a proof.
pub(super) fn limits(relaxation: &Relaxation, row: &Linear, deadline: Option<Instant>) -> Limits {
    let (low, high) = relaxation.range(row);
    Limits { enough: Some(AMPLE * (high - low) - row.offset()), deadline }
}

fn minimise(
    relaxation: &Relaxation,
    lp: &Lp,
    row: &Linear,
    solver: Solver,
    deadline: Option<Instant>,
) -> (Found, f64) {
    match solver.solve(lp, limits(relaxation, row, deadline)) {
        Outcome::Infeasible { ray } => (Found::Empty(ray), f64::INFINITY),
        Outcome::Optimal(found) => {
            let evidence = relaxation.evidence(lp, row.offset(), &found.duals, &[]);
            let bound = evidence.bound;
            let found = if bound > 0.0 { Found::Proved(evidence) } else { Found::Point(found.primal) };
            (found, bound)
        }
        Outcome::Stopped { duals, .. } => {
            let evidence = relaxation.evidence(lp, row.offset(), &duals, &[]);
            let bound = evidence.bound;
            (if bound > 0.0 { Found::Proved(evidence) } else { Found::Nothing }, bound)
        }
    }
}

/// A claim on `row` from a Farkas ray: scaled until it outweighs what the row can lose on the box.
fn by_ray(relaxation: &Relaxation, row: &Linear, ray: &[f64]) -> Option<Evidence> {
    let lp = relaxation.minimising(row);
    by_ray_of(relaxation, &lp, row, ray, &[])
}

pub(super) fn by_ray_of(
    relaxation: &Relaxation,
    lp: &Lp,
    row: &Linear,
    ray: &[f64],
    path: &[(usize, bool)],
) -> Option<Evidence> {
    let gap = dual::infeasibility(lp, ray);
    let (low, high) = relaxation.range(row);
    let weight = 2.0 * (low.abs() + high.abs()).max(f64::from(f32::MIN_POSITIVE)) / gap;
    let duals: Vec<f64> = ray.iter().map(|y| y * weight).collect();
    let fits = duals.iter().all(|y| y.abs() < f64::from(f32::MAX));
    let evidence = relaxation.evidence(lp, row.offset(), &duals, path);
    (fits && evidence.bound > 0.0).then_some(evidence)
}

/// A point at which all rows of a disjunct are at most 0 in the relaxation, if there are several rows.
fn common_point(
    relaxation: &Relaxation,
    rows: &[Linear],
    solver: Solver,
    deadline: Option<Instant>,
) -> Option<Vec<f64>> {
    if rows.len() < 2 {
        return None;
    }
    let mut lp = relaxation.minimising(&rows[0]);
    for row in rows {
        lp.push_row(row.entries(), f64::NEG_INFINITY, -row.offset()).ok()?;
    }
    match solver.solve(&lp, Limits { enough: None, deadline }) {
        Outcome::Optimal(found) => Some(found.primal),
        _ => None,
    }
}
