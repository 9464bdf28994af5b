//! Planes above neurons of the first layer, added to a relaxation where its minimiser violates them.
//!
//! The triangle bounds `y = relu(w·x + b)` by the chord over the neuron's interval. Its concave envelope over the *box* is lower: with
//! `tⱼ ∈ [0, 1]` the place of input `j` between the ends where `wⱼxⱼ` is least and greatest, the neuron is supermodular in `t`, so the
//! envelope at a point is linear interpolation along the chain of corners that the order of `t` gives. That is a plane
//! `y ≤ g·x + h`, `gⱼ = θⱼwⱼ`, with `θ` 0 for inputs before the sum passes 0, 1 after, and between them at the input where it does. One
//! sort separates a neuron; the optimum's multipliers average the planes of a neuron to one, which the proof states.
//!
//! On safenlp's `hyperrectangle_2537` 134 domains decide what was open after 145,000.
//!
//! Source: Anderson et al. 2020 (Mathematical Programming 183), Tjandraatmadja et al. 2020 (arXiv:2006.14076), proposition 1 and
//! section 4.

use super::leaf::{by_ray_of, limits};
use super::relaxation::{Evidence, Linear, Relaxation, Unstable};
use super::{Basis, Lp, Outcome, simplex};
use std::sync::Arc;
use std::time::Instant;

/// A plane above a neuron of the first layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    /// What the caller calls the neuron.
    pub id: usize,
    /// `θ`, `[inputs]`.
    pub shares: Vec<f32>,
}

/// What an LP with planes says of a row.
#[derive(Clone, Debug)]
pub struct Minimum {
    /// Lower bound of the row.
    pub bound: f64,
    /// Slopes and multipliers that prove it.
    pub evidence: Evidence,
    /// One plane per neuron that has other than its chord, ascending.
    pub planes: Vec<Plane>,
    /// The minimiser, `[columns]`, unless the LP has none or was not solved to the end.
    pub point: Option<Vec<f64>>,
    /// Planes that are tight there: where to start with a part of the domain.
    pub tight: Vec<Arc<Plane>>,
}

/// Rounds of planes for a domain that starts with those of the one above, and for the first one.
pub const ROUNDS: usize = 3;
/// See [`ROUNDS`].
pub const FIRST_ROUNDS: usize = 12;
/// Share of a neuron's chord at 0 by which a plane has to be lower at the minimiser.
const WORTH: f64 = 1e-3;

/// Minimises `row` on the relaxation of a network whose only hidden layer is the first; `start` are planes to begin with.
pub fn minimise(
    relaxation: &Relaxation,
    row: &Linear,
    start: &[Arc<Plane>],
    rounds: usize,
    deadline: Option<Instant>,
) -> Minimum {
    let mut cuts = Cuts { relaxation, lp: relaxation.minimising(row), rows: Vec::new() };
    start.iter().for_each(|plane| cuts.push(plane.clone()));
    let limits = limits(relaxation, row, deadline);
    // A bound that is just above 0 is lost where shares and slopes become bytes.
    let ample = limits.enough.map_or(0.0, |enough| enough + row.offset());
    let mut basis: Option<Basis> = None;
    for round in 0.. {
        let (outcome, last) = simplex::solve(&cuts.lp, basis.as_ref(), limits);
        basis = Some(last);
        match outcome {
            Outcome::Infeasible { ray } => {
                let evidence = by_ray_of(relaxation, &cuts.lp, row, &ray, &[]).unwrap_or_default();
                let bound = evidence.bound;
                return Minimum {
                    bound,
                    evidence,
                    planes: cuts.averages(&ray),
                    point: None,
                    tight: Vec::new(),
                };
            }
            Outcome::Stopped { duals, .. } => {
                let evidence = relaxation.evidence(&cuts.lp, row.offset(), &duals, &[]);
                let (bound, planes) = (evidence.bound, cuts.averages(&duals));
                return Minimum { bound, evidence, planes, point: None, tight: start.to_vec() };
            }
            Outcome::Optimal(found) => {
                let evidence = relaxation.evidence(&cuts.lp, row.offset(), &found.duals, &[]);
                let bound = evidence.bound;
                if bound > ample || round >= rounds || !cuts.separate(&found.primal) {
                    let tight = cuts.tight(&found.primal);
                    let planes = cuts.averages(&found.duals);
                    return Minimum { bound, evidence, planes, point: Some(found.primal), tight };
                }
            }
        }
    }
    unreachable!("the rounds end")
}

struct Cuts<'a> {
    relaxation: &'a Relaxation,
    lp: Lp,
    /// Row, place of the neuron among the unstable ones, plane.
    rows: Vec<(usize, usize, Arc<Plane>)>,
}

impl Cuts<'_> {
    /// Adds the row of a plane, if its neuron is unstable here.
    fn push(&mut self, plane: Arc<Plane>) {
        let unstable = self.relaxation.unstable();
        let Ok(place) = unstable.binary_search_by_key(&plane.id, |n| n.id) else { return };
        let neuron = &unstable[place];
        let (mut least, mut rise) = (0.0f64, 0.0f64);
        let mut entries = Vec::new();
        for (j, w) in neuron.pre.entries() {
            let (l, u) = self.lp.bounds(j);
            let g = w * f64::from(plane.shares[j]);
            least += (g * l).min(g * u);
            rise += ((w - g) * l).max((w - g) * u);
            entries.push((j, -g));
        }
        entries.push((neuron.column, 1.0));
        let constant = (-least).max(neuron.pre.offset() + rise);
        let row = self.lp.rows();
        if self.lp.push_row(entries, f64::NEG_INFINITY, constant).is_ok() {
            self.rows.push((row, place, plane));
        }
    }

    /// Adds the planes that cut `point` off; false if there is none.
    fn separate(&mut self, point: &[f64]) -> bool {
        let mut found = Vec::new();
        for neuron in self.relaxation.unstable() {
            if self.lp.cost()[neuron.column] < 0.0 {
                let (plane, height) = envelope(neuron, &self.lp, self.relaxation.inputs(), point);
                let (l, u) = neuron.interval;
                if point[neuron.column] > height + WORTH * -l * u / (u - l) {
                    found.push(Arc::new(plane));
                }
            }
        }
        let any = !found.is_empty();
        found.into_iter().for_each(|plane| self.push(plane));
        any
    }

    /// Planes that are tight at `point`.
    fn tight(&self, point: &[f64]) -> Vec<Arc<Plane>> {
        let is_tight = |row: usize| self.lp.row_bounds(row).1 - self.lp.activity(row, point) < 1e-7;
        self.rows.iter().filter(|(row, ..)| is_tight(*row)).map(|(.., plane)| plane.clone()).collect()
    }

    /// The planes of each neuron and its chord in one, as `duals` weigh them.
    fn averages(&self, duals: &[f64]) -> Vec<Plane> {
        let weight = |row: usize| (-duals[row]).max(0.0);
        let mut sums: Vec<Option<(f64, Vec<f64>)>> = vec![None; self.relaxation.unstable().len()];
        for (row, place, plane) in self.rows.iter().filter(|(row, ..)| weight(*row) > 0.0) {
            let (total, shares) =
                sums[*place].get_or_insert_with(|| (0.0, vec![0.0; self.relaxation.inputs()]));
            *total += weight(*row);
            shares
                .iter_mut()
                .zip(&plane.shares)
                .for_each(|(s, share)| *s += weight(*row) * f64::from(*share));
        }
        let average = |(sum, neuron): (Option<(f64, Vec<f64>)>, &Unstable)| {
            let (planes, shares) = sum?;
            let (chord, (l, u)) = (weight(neuron.chord()), neuron.interval);
            let share = |s: f64| ((s + chord * u / (u - l)) / (planes + chord)).clamp(0.0, 1.0) as f32;
            Some(Plane { id: neuron.id, shares: shares.into_iter().map(share).collect() })
        };
        sums.into_iter().zip(self.relaxation.unstable()).filter_map(average).collect()
    }
}

/// The face of the neuron's concave envelope above `point`, and its height there.
fn envelope(neuron: &Unstable, lp: &Lp, inputs: usize, point: &[f64]) -> (Plane, f64) {
    // Where `wⱼxⱼ` lies between its ends, by input; the sum of all from their least values up.
    let mut order: Vec<(f64, usize, f64)> = Vec::new();
    let mut sum = neuron.pre.offset();
    for (j, w) in neuron.pre.entries() {
        let (l, u) = lp.bounds(j);
        let range = w.abs() * (u - l);
        sum += (w * l).min(w * u);
        if range > 0.0 {
            order.push(((w * point[j] - (w * l).min(w * u)) / range, j, range));
        }
    }
    order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let mut shares = vec![0.0f32; inputs];
    let mut height = sum.max(0.0);
    for (t, j, range) in order {
        let next = sum + range;
        let rise = next.max(0.0) - sum.max(0.0);
        shares[j] = (rise / range) as f32;
        height += rise * t;
        sum = next;
    }
    (Plane { id: neuron.id, shares }, height)
}
