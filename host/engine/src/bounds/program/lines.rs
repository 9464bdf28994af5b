//! The relaxation of each nonlinear step on given bounds of its operands.

use std::sync::Arc;

use super::interval::Interval;
use super::prepare::Node;
use super::rows::Support;
use crate::program::{Function, Groups};
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

/// Below and above each output, a sparse linear function of the operand.
#[derive(Clone, Debug, Default)]
pub(super) struct Planes {
    pub(super) lower: Vec<Plane>,
    pub(super) upper: Vec<Plane>,
}

/// `constant + x[member]`, or the constant alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plane {
    pub(super) member: Option<u32>,
    pub(super) constant: f32,
}

const ZERO: LinePair =
    LinePair { lower_slope: 0.0, lower_intercept: 0.0, upper_slope: 0.0, upper_intercept: 0.0 };
const PASS: LinePair =
    LinePair { lower_slope: 1.0, lower_intercept: 0.0, upper_slope: 1.0, upper_intercept: 0.0 };

/// The adaptive lines of an elementwise step.
pub(super) fn elementwise(function: Function, operand: &Interval) -> Relaxation {
    let pairs: Vec<LinePair> =
        operand.lower.iter().zip(&operand.upper).map(|(l, u)| line_pair(function, *l, *u)).collect();
    let kinds = pairs
        .iter()
        .map(|p| match *p {
            ZERO => Kind::Dead,
            PASS => Kind::Pass,
            _ => Kind::Lines,
        })
        .collect();
    Relaxation::Lines { pairs, kinds }
}

fn line_pair(function: Function, lower: f32, upper: f32) -> LinePair {
    match function {
        Function::Relu => kinked(0.0, lower, upper),
        Function::LeakyRelu { slope } if slope <= 1.0 => kinked(slope, lower, upper),
        _ => {
            let (lower_intercept, upper_intercept) = image(function, lower, upper);
            LinePair { lower_slope: 0.0, lower_intercept, upper_slope: 0.0, upper_intercept }
        }
    }
}

/// `max(slope·x, x)` with `slope ≤ 1`.
fn kinked(slope: f32, lower: f32, upper: f32) -> LinePair {
    if lower >= 0.0 {
        return PASS;
    }
    if upper <= 0.0 {
        return LinePair { lower_slope: slope, upper_slope: slope, ..ZERO };
    }
    let upper_slope = (upper - slope * lower) / (upper - lower);
    let lower_slope = if upper > -lower { 1.0 } else { slope };
    LinePair { lower_slope, lower_intercept: 0.0, upper_slope, upper_intercept: upper - upper_slope * upper }
}

/// Least and greatest value on an interval.
pub(super) fn image(function: Function, lower: f32, upper: f32) -> (f32, f32) {
    use crate::program::Float;
    let (a, b) = (lower.apply(function), upper.apply(function));
    match function {
        Function::Abs if lower < 0.0 && upper > 0.0 => (0.0, a.max(b)),
        Function::Power { exponent } if exponent % 2 == 0 && lower < 0.0 && upper > 0.0 => (0.0, a.max(b)),
        Function::Sin | Function::Cos => (-1.0, 1.0),
        _ => (a.min(b), a.max(b)),
    }
}

/// Lower and upper plane of each group's maximum: the member of greatest lower bound; above, a member that no other can
/// exceed, else the greatest upper bound.
pub(super) fn max(groups: &Groups, operand: &Interval) -> Relaxation {
    let mut planes = Planes::default();
    for group in groups.iter() {
        let best = |bound: &[f32]| {
            group.iter().copied().reduce(|a, b| if bound[b as usize] > bound[a as usize] { b } else { a })
        };
        let lowest = best(&operand.lower);
        let greatest = group.iter().fold(f32::NEG_INFINITY, |m, j| m.max(operand.upper[*j as usize]));
        let dominates = lowest.filter(|first| {
            group.iter().all(|j| j == first || operand.upper[*j as usize] <= operand.lower[*first as usize])
        });
        planes.lower.push(Plane { member: lowest, constant: 0.0 });
        planes.upper.push(match dominates {
            Some(_) => Plane { member: dominates, constant: 0.0 },
            None => Plane { member: None, constant: greatest },
        });
    }
    Relaxation::Planes(planes)
}

/// Coefficients of a plane on `x`, on `y`, and its constant.
pub(super) type Plane2 = [f32; 3];

/// McCormick's planes below and above `x·y`: both touch at the lower end of `x`.
pub(super) fn mccormick(x: [f32; 2], y: [f32; 2]) -> (Plane2, Plane2) {
    let (xl, [yl, yu]) = (x[0], y);
    ([yl, xl, -xl * yl], [yu, xl, -xl * yu])
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
