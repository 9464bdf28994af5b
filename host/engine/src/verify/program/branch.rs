//! Which computed value to split, and where.
//!
//! Scores come from the rows that are not refuted: what the relaxation of a value loses at the point where the row's bound is attained,
//! and by how much the bound changes if the value is fixed to one side. The best of both are candidates for a look-ahead.
//!
//! Source: BaBSR (Bunel et al. 2020, arXiv:1909.06588); filtered smart branching (De Palma et al. 2021, arXiv:2104.06718); points
//! for functions without a kink: Shi et al. 2024 (arXiv:2405.21063).

use std::collections::HashMap;

use super::tree::Cut;
use crate::bounds::program::Interval;
use crate::bounds::program::batch::{Found, Score};
use crate::program::{Function, Operation, Program, Slot};
use crate::relax::{Line, relax, start};

/// Up to `most` cuts, best first: in turn by what relaxations lose and by what a branch gains.
pub fn candidates<'f>(
    program: &Program,
    intervals: &[Interval],
    found: impl Iterator<Item = &'f Found>,
    most: usize,
) -> Vec<Cut> {
    let mut sums: HashMap<(usize, u32), [f32; 2]> = HashMap::new();
    for score in found.flat_map(|f| &f.scores) {
        let sum = sums.entry((score.slot.0, score.element)).or_default();
        sum[0] += finite(score.gap);
        sum[1] += gain(score);
    }
    let all: Vec<((usize, u32), [f32; 2])> = sums.into_iter().collect();
    let ranked = |by: usize| {
        let mut order: Vec<usize> = (0..all.len()).filter(|i| all[*i].1[by] > 0.0).collect();
        // Ties in the order of the program, so that runs repeat.
        order.sort_by(|a, b| all[*b].1[by].total_cmp(&all[*a].1[by]).then(all[*a].0.cmp(&all[*b].0)));
        order
    };
    let orders = [ranked(0), ranked(1)];
    let mut cuts: Vec<Cut> = Vec::new();
    for i in 0..all.len() {
        for order in &orders {
            let Some((slot, element)) = order.get(i).map(|at| all[*at].0) else { continue };
            let Some(cut) = cut(program, intervals, slot, element) else { continue };
            if !cuts.contains(&cut) && cuts.len() < most {
                cuts.push(cut);
            }
        }
        if cuts.len() >= most {
            break;
        }
    }
    cuts
}

/// `x`, or 0 where it is none.
pub fn finite(x: f32) -> f32 {
    if x.is_finite() { x } else { 0.0 }
}

/// What both branches gain: the smaller counts, the larger a little.
pub fn gain(score: &Score) -> f32 {
    let [a, b] = score.branches.map(|b| finite(b).max(0.0));
    a.min(b) + 0.1 * a.max(b)
}

/// The cut of a value at a good point of its interval; `None` if no point lies inside.
fn cut(program: &Program, intervals: &[Interval], slot: usize, element: u32) -> Option<Cut> {
    let interval = intervals.get(slot)?;
    let (lower, upper) = (*interval.lower.get(element as usize)?, *interval.upper.get(element as usize)?);
    let middle = 0.5 * lower + 0.5 * upper;
    let inside = |x: &f32| lower < *x && *x < upper;
    let kink = readers(program, slot)
        .flat_map(kinks)
        .filter(inside)
        .min_by(|a, b| (a - middle).abs().total_cmp(&(b - middle).abs()));
    let smooth = || readers(program, slot).find_map(|f| point_of_least_area(f, lower, upper)).filter(inside);
    let point = kink.or_else(smooth).or(Some(middle).filter(inside))?;
    Some(Cut::Value { slot: slot as u32, element, point })
}

/// Whether a cut still divides its value's interval.
pub fn divides(cut: Cut, intervals: &[Interval]) -> bool {
    match cut {
        Cut::Input { .. } | Cut::Disjuncts { .. } => true,
        Cut::Value { slot, element, point } => intervals.get(slot as usize).is_some_and(|i| {
            let at = element as usize;
            i.lower.get(at).is_some_and(|l| *l < point) && i.upper.get(at).is_some_and(|u| point < *u)
        }),
    }
}

/// The functions that read a slot.
fn readers(program: &Program, slot: usize) -> impl Iterator<Item = Function> {
    program.steps().iter().filter_map(move |step| match step.operation {
        Operation::Elementwise { input, function } if input == Slot(slot) => Some(function),
        _ => None,
    })
}

/// Where `[lower, upper]` is best split for a function: where the areas between its lines on both sides have the least sum, among
/// equally spaced points; `None` where its lines are not known.
fn point_of_least_area(function: Function, lower: f32, upper: f32) -> Option<f32> {
    const POINTS: u8 = 16;
    let area = |l: f32, u: f32| {
        let (l, u) = (f64::from(l), f64::from(u));
        let lines = relax(function, l, u, start(function, l, u).ok()?).ok()?;
        let centre = 0.5 * (l + u);
        let height = |line: &Line| line.slope * centre + line.intercept();
        Some((u - l) * (height(&lines.upper) - height(&lines.lower)))
    };
    let points = (1..POINTS).map(|i| lower + (upper - lower) * (f32::from(i) / f32::from(POINTS)));
    let mut best = None;
    for point in points.filter(|p| lower < *p && *p < upper) {
        let sum = area(lower, point)? + area(point, upper)?;
        if best.is_none_or(|(least, _)| sum < least) {
            best = Some((sum, point));
        }
    }
    best.map(|(_, point)| point)
}

/// Where a function is not smooth, or turns from convex to concave.
fn kinks(function: Function) -> Vec<f32> {
    match function {
        Function::Relu | Function::LeakyRelu { .. } | Function::Abs | Function::Sign => vec![0.0],
        Function::Clip { lower, upper } => vec![lower, upper],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_split_where_both_sides_are_nearly_straight() {
        // A sigmoid turns at 0: both halves bend one way, and on a long tail the point lies where the curve still bends.
        let middle = point_of_least_area(Function::Sigmoid, -4.0, 4.0).unwrap();
        assert!(middle.abs() < 0.6, "{middle}");
        let tail = point_of_least_area(Function::Sigmoid, -1.0, 15.0).unwrap();
        assert!((1.0..5.0).contains(&tail), "{tail}");
        // The chord's gap of x² is the cube of the width.
        assert_eq!(point_of_least_area(Function::Power { exponent: 2 }, -1.0, 3.0), Some(1.0));
        assert_eq!(point_of_least_area(Function::Log, -1.0, 3.0), None);
    }
}
