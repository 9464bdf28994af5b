//! The relaxation of each nonlinear step on given bounds of its operands, from [`crate::relax`].

use std::sync::Arc;

use super::interval::Interval;
use super::prepare::Node;
use super::rows::Support;
use crate::program::{Function, Groups};
use crate::relax::{LinesMut, RelaxError, max_lower, max_start, max_upper, relax_into};
use certus_kernels::lanes::LinePair;

/// What a backward pass does with one neuron.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its value is the constant 0: it has no row.
    Dead,
    /// Its value is its operand's.
    Pass,
    /// Two lines.
    Lines,
}

/// The relaxation of one step.
#[derive(Clone, Debug)]
pub(super) enum Relaxation {
    /// Lines of each element.
    Lines { pairs: Vec<LinePair>, kinds: Vec<Kind> },
    /// Linear functions of several elements: of the maximum of each group.
    Planes(Planes),
    /// McCormick planes, computed from the operands' bounds where they are needed.
    Product,
}

/// Planes below and above the maximum of each group.
#[derive(Clone, Debug, Default)]
pub(super) struct Planes {
    /// Below, the member itself.
    pub(super) lower: Vec<u32>,
    /// Above, per group its intercept; its slopes are `upper[starts[i]..starts[i + 1]]`.
    pub(super) intercept: Vec<f32>,
    pub(super) starts: Vec<usize>,
    /// Member and slope; slopes of 0 are left out.
    pub(super) upper: Vec<(u32, f32)>,
}

impl Planes {
    /// The upper plane of output `i`: members with their slopes, and the intercept.
    pub(super) fn above(&self, i: usize) -> (&[(u32, f32)], f32) {
        (&self.upper[self.starts[i]..self.starts[i + 1]], self.intercept[i])
    }
}

const ZERO: LinePair =
    LinePair { lower_slope: 0.0, lower_intercept: 0.0, upper_slope: 0.0, upper_intercept: 0.0 };
const PASS: LinePair = LinePair { lower_slope: 1.0, upper_slope: 1.0, ..ZERO };

/// The lines of least area of an elementwise step.
pub(super) fn elementwise(
    name: &str,
    function: Function,
    operand: &Interval,
) -> Result<Relaxation, RelaxError> {
    let n = operand.lower.len();
    let mut columns = [(); 4].map(|()| vec![0.0f32; n]);
    let [lower_slope, lower_intercept, upper_slope, upper_intercept] = &mut columns;
    let out = LinesMut { lower_slope, lower_intercept, upper_slope, upper_intercept };
    relax_into(name, function, (&operand.lower, &operand.upper), None, out)?;
    let [a, b, c, d] = columns;
    let pairs: Vec<LinePair> = (0..n)
        .map(|i| LinePair {
            lower_slope: a[i],
            lower_intercept: b[i],
            upper_slope: c[i],
            upper_intercept: d[i],
        })
        .collect();
    let kinds = pairs.iter().map(|p| kind(*p)).collect();
    Ok(Relaxation::Lines { pairs, kinds })
}

fn kind(pair: LinePair) -> Kind {
    if pair == ZERO {
        Kind::Dead
    } else if pair == PASS {
        Kind::Pass
    } else {
        Kind::Lines
    }
}

/// The planes of each group's maximum that are tightest at the centre.
pub(super) fn max(groups: &Groups, operand: &Interval) -> Relaxation {
    let mut planes = Planes { starts: vec![0], ..Planes::default() };
    let (mut lower, mut upper, mut slopes) = (Vec::new(), Vec::new(), Vec::new());
    for group in groups.iter() {
        lower.clear();
        upper.clear();
        for j in group {
            let [l, u] = operand.at(*j as usize);
            lower.push(l);
            upper.push(u);
        }
        slopes.clear();
        slopes.resize(group.len(), 0.0);
        planes.lower.push(group[max_lower(&lower, &upper)]);
        planes.intercept.push(max_upper(&lower, &upper, max_start(&lower, &upper), &mut slopes));
        planes.upper.extend(group.iter().copied().zip(slopes.iter().copied()).filter(|(_, s)| *s != 0.0));
        planes.starts.push(planes.upper.len());
    }
    Relaxation::Planes(planes)
}

/// The neurons of a slot that may be something else than 0.
pub(super) fn alive(node: &Node, relaxation: Option<&Relaxation>, size: usize) -> Arc<Support> {
    if let (Node::Elementwise { .. }, Some(Relaxation::Lines { kinds, .. })) = (node, relaxation) {
        let live: Vec<u32> = (0..size as u32).filter(|j| kinds[*j as usize] != Kind::Dead).collect();
        if live.len() < size {
            return Arc::new(Support::new(size, live));
        }
    }
    Arc::new(Support::all(size))
}
