//! Where a lower bound of a row is lost: a decomposition of its looseness over steps and neurons.
//!
//! CROWN replaces each nonlinear value by a line (or plane) of its operands, below where the row's coefficient `a` on it is positive
//! and above elsewhere, until a linear function of the input is left; `bound` is its least value over the box, at a corner
//! `x*`. Undoing the replacements one at a time *at the network's own values* at `x*` gives
//!
//! `row(x*) − bound = Σ a_j · (f(z_j) − line_j(z_j))`,
//!
//! with `z_j` the true operand of neuron `j` at `x*`, and every term `≥ 0`: its *loss*. So each neuron's share is exact, for the bound's own
//! point. Where the sum is small, what is left is the row's value at `x*`, and only splitting the box or another row helps.
//!
//! One row, `f64`, plain loops over the [`Program`]; the slow twin of [`super::program`], whose intervals it reads.
//!
//! Source: BaBSR (Bunel et al. 2020, arXiv:1909.06588) scores a neuron by its intercept's part of the bound; taking the loss at the bound's own
//! point, which makes the parts add up, is ours.
//!
//! # Rounding
//! *Estimate*.

use crate::bounds::program::Interval;
use crate::program::{Affine, Groups, Operation, Program, Slot, ZERO};
use crate::relax::{Refusal, max_lower, max_start, max_upper, product_start, relax, relax_product, start};

/// The loss of one output element of a nonlinear step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NeuronLoss {
    /// Element of the step.
    pub element: usize,
    /// The row's coefficient on it.
    pub coefficient: f64,
    /// What it loses of the bound, `≥ 0` up to rounding.
    pub loss: f64,
}

/// The losses of a nonlinear step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepLoss {
    /// What the step gives.
    pub slot: Slot,
    /// Elements whose relaxation is not exact.
    pub unstable: usize,
    /// Sum over its elements.
    pub loss: f64,
    /// Elements with a loss, the greatest first.
    pub neurons: Vec<NeuronLoss>,
}

/// A row's bound, and where it is lost.
#[derive(Clone, Debug, PartialEq)]
pub struct Losses {
    /// Lower bound with lines of least area and the intervals given.
    pub bound: f64,
    /// Corner of the box at which the bound's linear function is least, `[inputs]`.
    pub point: Vec<f64>,
    /// The row at that corner.
    pub value: f64,
    /// In the order of the program.
    pub steps: Vec<StepLoss>,
}

/// Why a bound could not be decomposed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// A function is not defined on the bounds of its operand.
    #[error("step `{step}`: {problem}; no bound of the row is known")]
    Relax {
        /// Name of the step.
        step: String,
        /// Why not.
        problem: String,
    },
    /// No bounds of an operand.
    #[error("step `{step}`: its operand has no bounds; more time may find them")]
    Unbounded {
        /// Name of the step.
        step: String,
    },
}

/// Decomposes the bound of `coefficients·y + bias` on the box, with `intervals` of all operands of nonlinear steps.
///
/// # Shapes
/// `lower`, `upper`: `[inputs]`; `coefficients`: `[outputs]`; `intervals`: one per slot.
///
/// # Errors
/// [`LossError`].
///
/// # Panics
/// If the shapes do not fit.
pub fn losses(
    program: &Program,
    (lower, upper): (&[f64], &[f64]),
    (coefficients, bias): (&[f64], f64),
    intervals: &[Interval],
) -> Result<Losses, LossError> {
    assert_eq!((lower.len(), upper.len()), (program.inputs(), program.inputs()), "a box of the inputs");
    assert_eq!(coefficients.len(), program.outputs(), "a row of the outputs");
    let mut rows: Vec<Vec<f64>> = (0..program.slots()).map(|s| vec![0.0; program.size(Slot(s))]).collect();
    rows[program.output().0].copy_from_slice(coefficients);
    let mut constant = bias;
    let mut relaxed: Vec<(Slot, Vec<Plane>)> = Vec::new();
    for (index, step) in program.steps().iter().enumerate().rev() {
        let row = std::mem::take(&mut rows[index + 1]);
        match &step.operation {
            Operation::Affine(affine) => undo_affine(affine, &row, &mut rows, &mut constant),
            Operation::Index { inputs, indices } => undo_index(program, inputs, indices, &row, &mut rows),
            operation => {
                let named = |error| name(error, &step.name);
                let planes = planes(operation, &row, intervals).map_err(named)?;
                for plane in &planes {
                    constant += plane.coefficient * plane.intercept;
                    for (slot, element, slope) in &plane.terms {
                        rows[slot.0][*element] += plane.coefficient * slope;
                    }
                }
                relaxed.push((Slot(index + 1), planes));
            }
        }
    }
    let least = |((a, l), u): ((&f64, &f64), &f64)| if *a >= 0.0 { *l } else { *u };
    let point: Vec<f64> = rows[0].iter().zip(lower).zip(upper).map(least).collect();
    let bound = constant + rows[0].iter().zip(&point).map(|(a, x)| a * x).sum::<f64>();
    let values = program.eval_all(&point);
    let value = bias + coefficients.iter().zip(&values[program.output().0]).map(|(c, y)| c * y).sum::<f64>();
    let steps = relaxed.iter().rev().map(|(slot, planes)| step_loss(*slot, planes, &values)).collect();
    Ok(Losses { bound, point, value, steps })
}

/// What replaces one element: `Σ slope·operand + intercept`.
struct Plane {
    element: usize,
    coefficient: f64,
    exact: bool,
    /// Slot, element, slope.
    terms: Vec<(Slot, usize, f64)>,
    intercept: f64,
}

enum Fault {
    Relax(Refusal),
    Unbounded,
}

fn name(fault: Fault, step: &str) -> LossError {
    let step = step.to_owned();
    match fault {
        Fault::Relax(refusal) => {
            let problem = match refusal {
                Refusal::NotAnInterval => "its operand has no finite bounds".into(),
                Refusal::Domain(domain) => format!("its operand leaves the {domain}"),
                Refusal::Overflow => "it leaves the range of the number type".into(),
            };
            LossError::Relax { step, problem }
        }
        Fault::Unbounded => LossError::Unbounded { step },
    }
}

fn undo_affine(affine: &Affine, row: &[f64], rows: &mut [Vec<f64>], constant: &mut f64) {
    if let Some(bias) = &affine.bias {
        *constant += row.iter().zip(&bias.values).map(|(a, b)| a * f64::from(*b)).sum::<f64>();
    }
    for term in &affine.terms {
        term.map.add_transposed_to(row, &mut rows[term.input.0]);
    }
}

fn undo_index(program: &Program, inputs: &[Slot], indices: &[u32], row: &[f64], rows: &mut [Vec<f64>]) {
    for (a, index) in row.iter().zip(indices).filter(|(_, index)| **index != ZERO) {
        let mut at = *index as usize;
        for slot in inputs {
            let size = program.size(*slot);
            if at < size {
                rows[slot.0][at] += a;
                break;
            }
            at -= size;
        }
    }
}

/// The plane of each element that has a coefficient, and whether it is exact.
fn planes(operation: &Operation, row: &[f64], intervals: &[Interval]) -> Result<Vec<Plane>, Fault> {
    let known = |slot: &Slot| {
        let interval = intervals.get(slot.0).filter(|i| !i.lower.is_empty());
        interval.ok_or(Fault::Unbounded)
    };
    match operation {
        Operation::Elementwise { input, function } => {
            let operand = known(input)?;
            let plane = |element: usize| {
                let (l, u) = (f64::from(operand.lower[element]), f64::from(operand.upper[element]));
                let pair = relax(*function, l, u, start(*function, l, u)?)?;
                let line = if row[element] >= 0.0 { pair.lower } else { pair.upper };
                let (low, high) =
                    ([pair.lower.at(l), pair.lower.at(u)], [pair.upper.at(l), pair.upper.at(u)]);
                Ok(Plane {
                    element,
                    coefficient: row[element],
                    exact: low == high,
                    terms: vec![(*input, element, line.slope)],
                    intercept: line.intercept(),
                })
            };
            (0..row.len()).map(|e| plane(e).map_err(Fault::Relax)).collect()
        }
        Operation::Max { input, groups } => Ok(max_planes(*input, groups, row, known(input)?)),
        Operation::Product { left, right, m, k, n, .. } => {
            Ok(product_planes((*left, *right), (*m, *k, *n), row, (known(left)?, known(right)?)))
        }
        Operation::Affine(_) | Operation::Index { .. } => unreachable!("undone without a relaxation"),
    }
}

fn max_planes(input: Slot, groups: &Groups, row: &[f64], operand: &Interval) -> Vec<Plane> {
    let plane = |(element, group): (usize, &[u32])| {
        let ends = |ends: &[f32]| group.iter().map(|j| ends[*j as usize]).collect::<Vec<f32>>();
        let (lower, upper) = (ends(&operand.lower), ends(&operand.upper));
        let best = max_lower(&lower, &upper);
        let mut slopes = vec![0.0; group.len()];
        let intercept = max_upper(&lower, &upper, max_start(&lower, &upper), &mut slopes);
        let exact = (0..group.len()).all(|j| j == best || upper[j] <= lower[best]);
        let (terms, intercept) = if row[element] >= 0.0 {
            (vec![(input, group[best] as usize, 1.0)], 0.0)
        } else {
            let terms = group.iter().zip(&slopes).map(|(j, s)| (input, *j as usize, f64::from(*s)));
            (terms.collect(), f64::from(intercept))
        };
        Plane { element, coefficient: row[element], exact, terms, intercept }
    };
    groups.iter().enumerate().map(plane).collect()
}

fn product_planes(
    (left, right): (Slot, Slot),
    (m, k, n): (usize, usize, usize),
    row: &[f64],
    (x, y): (&Interval, &Interval),
) -> Vec<Plane> {
    let plane = |element: usize| {
        let (batch, i, j) = (element / (m * n), element / n % m, element % n);
        let (mut terms, mut intercept, mut exact) = (Vec::with_capacity(2 * k), 0.0, true);
        for term in 0..k {
            let (a, b) = ((batch * m + i) * k + term, (batch * k + term) * n + j);
            let (a_ends, b_ends) = ((x.lower[a], x.upper[a]), (y.lower[b], y.upper[b]));
            let both = relax_product(a_ends, b_ends, product_start());
            let plane = if row[element] >= 0.0 { both.lower } else { both.upper };
            terms.extend([(left, a, f64::from(plane.left)), (right, b, f64::from(plane.right))]);
            intercept += f64::from(plane.intercept);
            exact &= a_ends.0 == a_ends.1 || b_ends.0 == b_ends.1;
        }
        Plane { element, coefficient: row[element], exact, terms, intercept }
    };
    (0..row.len()).map(plane).collect()
}

fn step_loss(slot: Slot, planes: &[Plane], values: &[Vec<f64>]) -> StepLoss {
    let loss = |plane: &Plane| {
        let line: f64 = plane.terms.iter().map(|(slot, j, slope)| slope * values[slot.0][*j]).sum();
        plane.coefficient * (values[slot.0][plane.element] - line - plane.intercept)
    };
    let mut neurons: Vec<NeuronLoss> = planes
        .iter()
        .filter(|p| p.coefficient != 0.0)
        .map(|p| NeuronLoss { element: p.element, coefficient: p.coefficient, loss: loss(p) })
        .collect();
    let total = neurons.iter().map(|n| n.loss).sum();
    let unstable = planes.iter().filter(|p| !p.exact).count();
    let inexact: Vec<bool> = planes.iter().map(|p| !p.exact).collect();
    neurons.retain(|n| inexact[n.element] && n.loss > 0.0);
    neurons.sort_by(|a, b| b.loss.total_cmp(&a.loss));
    StepLoss { slot, unstable, loss: total, neurons }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::program::{Intermediate, Prepared, Region, Settings, Spec, Stop, bound};
    use crate::program::{Builder, Constants, Function, Map};
    use std::sync::Arc;

    /// Two hidden layers, a maximum, a product and a sum over a skip, with weights from a linear congruence.
    fn program() -> Program {
        let mut state = 11u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let mut dense = |rows: usize, cols: usize| Map::Dense {
            count: 1,
            rows,
            cols,
            weights: Arc::new((0..rows * cols).map(|_| random()).collect()),
        };
        let mut b = Builder::new(4);
        let bias = |n: usize| Some(Constants::exact((0..n).map(|i| 0.1 * i as f32 - 0.2).collect()));
        let z1 = b.affine("z1", Slot::INPUT, dense(6, 4), bias(6)).unwrap();
        let h1 = b.elementwise("relu", z1, Function::Relu).unwrap();
        let z2 = b.affine("z2", h1, dense(6, 6), bias(6)).unwrap();
        let h2 = b.elementwise("tanh", z2, Function::Tanh).unwrap();
        let groups = Groups { starts: vec![0, 2, 4, 6], members: vec![0, 1, 2, 3, 4, 5] };
        let pool = b.push("pool", Operation::Max { input: h2, groups }).unwrap();
        let indices = vec![0, 3, ZERO];
        let picked = b.push("pick", Operation::Index { inputs: vec![pool, h1], indices }).unwrap();
        let product = Operation::Product { left: pool, right: picked, count: 3, m: 1, k: 1, n: 1 };
        let product = b.push("product", product).unwrap();
        let out = b.affine("out", product, dense(2, 3), bias(2)).unwrap();
        b.finish(out).unwrap()
    }

    #[test]
    fn losses_are_never_negative_and_add_up_to_the_looseness() {
        let program = program();
        let net = Prepared::new(&program);
        for (width, row) in [(1.0f32, [1.0, -1.0]), (0.3, [-2.0, 0.5]), (0.01, [1.0, 1.0])] {
            let (lower, upper) = ([-width; 4], [width; 4]);
            let spec = Spec { weights: row.map(|c| c as f32).to_vec(), bias: vec![0.25] };
            let settings = Settings { intermediate: Intermediate::Intersected, ..Settings::default() };
            let region = Region { lower: &lower, upper: &upper };
            let fast = bound(&net, region, &spec, &settings, Stop::default()).unwrap();
            let ends = (lower.map(f64::from), upper.map(f64::from));
            let found = losses(&program, (&ends.0, &ends.1), (&row, 0.25), &fast.slots).unwrap();
            // The optimised twin has the same bound.
            assert!(
                (found.bound - f64::from(fast.rows[0])).abs() < 1e-4 * (1.0 + found.bound.abs()),
                "{found:?} {fast:?}"
            );
            let value = 0.25 + program.eval(&found.point).iter().zip(row).map(|(y, c)| c * y).sum::<f64>();
            assert!((found.value - value).abs() < 1e-12);
            let total: f64 = found.steps.iter().map(|s| s.loss).sum();
            assert!(
                (found.value - found.bound - total).abs() < 1e-9 * (1.0 + total),
                "width {width}: {total}"
            );
            assert!(found.steps.iter().flat_map(|s| &s.neurons).all(|n| n.loss >= 0.0));
            assert_eq!(found.steps.len(), 4);
            // What is listed is all but rounding.
            let listed: f64 = found.steps.iter().flat_map(|s| &s.neurons).map(|n| n.loss).sum();
            assert!((listed - total).abs() < 1e-6 * (1.0 + total), "{listed} {total}");
        }
    }
}
