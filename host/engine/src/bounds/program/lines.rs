//! The relaxation of each nonlinear step on given bounds of its operands, from [`crate::relax`].

use std::sync::Arc;

use super::batch::{KNOTS, knots};
use super::interval::Interval;
use super::prepare::Node;
use super::rows::Support;
use crate::program::{Function, Groups};
use crate::relax::{
    Alpha, LinesMut, Rate, RelaxError, max_lower, max_start, max_upper, relax, relax_into, start,
};
use certus_kernels::lanes::{AlphaLine, KnotLine, LinePair};

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

/// The lines of one step's elements that each row of a block chooses for itself.
#[derive(Clone, Debug)]
pub(super) enum FreeLines {
    /// Nothing is optimised.
    None,
    /// The lower slope is free, or nothing is.
    Lower(Vec<AlphaLine>),
    /// Lines below and above, each between knots.
    Knots(Vec<KnotLine>),
}

/// The relaxation of one step.
#[derive(Clone, Debug)]
pub(super) enum Relaxation {
    /// Lines of each element; `free` while slopes are optimised.
    Lines { pairs: Vec<LinePair>, kinds: Vec<Kind>, free: FreeLines },
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
    Ok(Relaxation::Lines { pairs, kinds, free: FreeLines::None })
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

/// Which alpha a neuron begins with: that of least area.
pub(super) fn alpha_start(function: Function, [lower, upper]: [f32; 2]) -> f32 {
    match function {
        Function::Relu => f32::from(u8::from(upper > -lower)),
        _ if has_knots(function) => 0.5,
        _ => start(function, lower.into(), upper.into()).map_or(0.0, |a| narrow(a.lower)),
    }
}

/// Whether lines of `function` have knots: all but those of functions with a kink at 0 alone.
pub(super) fn has_knots(function: Function) -> bool {
    !matches!(function, Function::Relu | Function::LeakyRelu { .. } | Function::Abs)
}

/// The lines of a neuron between knots, and how the middle ones move with the ends of its interval; `fixed` alone where the function has no
/// others in `f32`.
pub(super) fn knot_line(function: Function, [lower, upper]: [f32; 2], fixed: LinePair) -> KnotLine {
    let ends = (f64::from(lower), f64::from(upper));
    let middle = start(function, ends.0, ends.1).ok();
    let pair = middle.and_then(|alpha| relax(function, ends.0, ends.1, alpha).ok());
    let (Some(knots), Some(pair)) = (knots(function, [lower, upper]), pair) else {
        return KnotLine {
            slope: [[fixed.lower_slope; KNOTS], [fixed.upper_slope; KNOTS]],
            intercept: [[fixed.lower_intercept; KNOTS], [fixed.upper_intercept; KNOTS]],
            ..KnotLine::default()
        };
    };
    KnotLine {
        slope: knots.map(|side| side.map(|line| line.slope)),
        intercept: knots.map(|side| side.map(|line| line.intercept)),
        by_lower: rates(pair.lower.by_lower, pair.upper.by_lower),
        by_upper: rates(pair.lower.by_upper, pair.upper.by_upper),
    }
}

fn rates(below: Rate, above: Rate) -> LinePair {
    LinePair {
        lower_slope: narrow(below.slope),
        lower_intercept: narrow(below.intercept),
        upper_slope: narrow(above.slope),
        upper_intercept: narrow(above.intercept),
    }
}

/// The lines of a neuron with its lower slope free, and how they move with the ends of its interval. The lower slope of ReLU,
/// leaky ReLU and the absolute value is free.
pub(super) fn alpha_line(function: Function, [lower, upper]: [f32; 2], fixed: LinePair) -> AlphaLine {
    let width = upper - lower;
    if function == Function::Relu && lower < 0.0 && upper > 0.0 {
        let slope = upper / width;
        let (slope_by_lower, slope_by_upper) = (slope / width, -lower / (width * width));
        return AlphaLine {
            base: 0.0,
            rate: 1.0,
            lower_intercept: 0.0,
            upper_slope: slope,
            upper_intercept: -slope * lower,
            by_lower: LinePair {
                upper_slope: slope_by_lower,
                upper_intercept: -slope - slope_by_lower * lower,
                ..ZERO
            },
            by_upper: LinePair {
                upper_slope: slope_by_upper,
                upper_intercept: -slope_by_upper * lower,
                ..ZERO
            },
        };
    }
    let mut line = AlphaLine {
        base: fixed.lower_slope,
        rate: 0.0,
        lower_intercept: fixed.lower_intercept,
        upper_slope: fixed.upper_slope,
        upper_intercept: fixed.upper_intercept,
        ..AlphaLine::default()
    };
    let ends = (f64::from(lower), f64::from(upper));
    let at = |alpha| relax(function, ends.0, ends.1, alpha).ok();
    let Some(pair) = start(function, ends.0, ends.1).ok().and_then(at) else { return line };
    line.by_lower = rates(pair.lower.by_lower, pair.upper.by_lower);
    line.by_upper = rates(pair.lower.by_upper, pair.upper.by_upper);
    let kinked = match function {
        Function::LeakyRelu { slope } => slope <= 1.0,
        Function::Abs => true,
        _ => false,
    };
    if kinked && lower < 0.0 && upper > 0.0 {
        let end = |lower| at(Alpha { lower, upper: 0.0 }).map(|p| narrow(p.lower.slope));
        if let (Some(flat), Some(steep)) = (end(0.0), end(1.0)) {
            (line.base, line.rate, line.lower_intercept) = (flat, steep - flat, 0.0);
        }
    }
    line
}

#[expect(clippy::cast_possible_truncation, reason = "estimates")]
fn narrow(x: f64) -> f32 {
    x as f32
}
