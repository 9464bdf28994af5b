//! Bounds of pre-activations by LPs over the triangles of the layers before, under a budget of time.
//!
//! What CROWN bounds with one line per neuron, the LP bounds with the best of all lines; its duals are those lines, so that a proof
//! can state the gain as slopes of a row.

use super::chain::ChainDomain;
use super::relaxation::{Evidence, Linear};
use super::{Basis, Limits, LpError, Outcome, simplex};
use crate::bounds::crown::Interval;
use std::time::Instant;

/// A bound that an LP improved.
#[derive(Clone, Debug, PartialEq)]
pub struct Tightened {
    /// Layer among those with ReLU.
    pub layer: usize,
    /// Neuron of the layer.
    pub neuron: usize,
    /// The upper bound, else the lower.
    pub upper: bool,
    /// The bound.
    pub bound: f64,
    /// Slopes that prove it.
    pub evidence: Evidence,
}

/// Tightens the unstable neurons of layer `hidden` (among those with ReLU) in `intervals`, by the layers before; returns what got
/// better. Ends early, with what it has, when time is up.
///
/// # Errors
/// [`LpError`] where the box or a coefficient is not finite.
pub fn tighten_layer(
    domain: &ChainDomain<'_>,
    hidden: usize,
    intervals: &mut Interval,
    deadline: Option<Instant>,
) -> Result<Vec<Tightened>, LpError> {
    let (relaxation, values) = domain.relax_before(hidden)?;
    let mut better = Vec::new();
    let mut basis = Basis::default();
    for (neuron, z) in values.iter().enumerate() {
        for upper in [false, true] {
            let (l, u) = (intervals.lower[neuron], intervals.upper[neuron]);
            if !(l < 0.0 && u > 0.0) || deadline.is_some_and(|d| Instant::now() >= d) {
                continue;
            }
            let row = if upper { z.scaled(-1.0) } else { z.clone() };
            let lp = relaxation.minimising(&row);
            let limits = Limits { enough: None, deadline };
            let (outcome, last) = simplex::solve(&lp, Some(&basis), limits);
            basis = last;
            let (Outcome::Optimal(super::Optimum { duals, .. }) | Outcome::Stopped { duals, .. }) = outcome
            else {
                continue;
            };
            let evidence = relaxation.evidence(&lp, row.offset(), &duals, &[]);
            // Rounded outward to `f32`.
            let down = evidence.bound as f32;
            let down = if f64::from(down) > evidence.bound { down.next_down() } else { down };
            let old = if upper { -u } else { l };
            if down > old {
                *(if upper { &mut intervals.upper[neuron] } else { &mut intervals.lower[neuron] }) =
                    if upper { -down } else { down };
                let bound = if upper { -evidence.bound } else { evidence.bound };
                better.push(Tightened { layer: hidden, neuron, upper, bound, evidence });
            }
        }
    }
    Ok(better)
}

/// The sum of the widths of the unstable neurons of a layer: what tightening is to reduce.
pub fn unstable_width(interval: &Interval) -> f64 {
    let ends = interval.lower.iter().zip(&interval.upper).filter(|(l, u)| **l < 0.0 && **u > 0.0);
    ends.map(|(l, u)| f64::from(u - l)).sum()
}

/// A row's bound by the LP, for comparisons.
pub fn row_bound(domain: &ChainDomain<'_>, row: &dyn Fn(&[Linear]) -> Linear) -> Result<f64, LpError> {
    let (relaxation, outputs) = domain.relax()?;
    let row = row(&outputs);
    let lp = relaxation.minimising(&row);
    Ok(match simplex::solve(&lp, None, Limits::default()).0 {
        Outcome::Optimal(found) => found.value + row.offset(),
        Outcome::Stopped { bound, .. } => bound + row.offset(),
        Outcome::Infeasible { .. } => f64::INFINITY,
    })
}
