//! An affine step that only another affine step reads, unchanged, becomes part of it: the sum of a constant
//! a bias, a residual sum one step of several terms.

use super::super::{Affine, Constants, Map, Operation, Program, Step};
use super::Parts;

/// Merges affine steps into those that read them.
///
/// Only where no two biases would have to be added, which rounds (a bias of zeros is none).
pub(super) fn merge_affine(program: Program) -> Program {
    let mut parts = Parts::of(program);
    for i in 0..parts.steps.len() {
        let Some(Step { operation: Operation::Affine(_), .. }) = &parts.steps[i] else { continue };
        let mut step = parts.steps[i].take().expect("just seen");
        if let Operation::Affine(affine) = &mut step.operation {
            absorb(affine, &mut parts);
        }
        parts.steps[i] = Some(step);
    }
    parts.program(|s| s)
}

/// Replaces terms of `affine` by the steps that they repeat.
fn absorb(affine: &mut Affine, parts: &mut Parts) {
    let mut at = 0;
    while at < affine.terms.len() {
        let term = &affine.terms[at];
        let bias = &affine.bias;
        let fits = |o: &Operation| matches!(o, Operation::Affine(inner) if joins(&inner.bias, bias));
        let step = match term.map {
            Map::Identity => parts.take_if(term.input, fits),
            _ => None,
        };
        let Some(Step { operation: Operation::Affine(inner), .. }) = step else {
            at += 1;
            continue;
        };
        // The inner terms were absorbed into when their own step was visited.
        let count = inner.terms.len();
        affine.terms.splice(at..=at, inner.terms);
        if affine.bias.is_none() || inner.bias.is_some() {
            affine.bias = inner.bias;
        }
        at += count;
    }
}

fn is_zero(bias: &Constants) -> bool {
    bias.error.is_none() && bias.values.iter().all(|b| *b == 0.0)
}

/// Whether the sum of two biases is one of them.
fn joins(inner: &Option<Constants>, outer: &Option<Constants>) -> bool {
    inner.is_none() || outer.as_ref().is_none_or(is_zero)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::{Builder, Constants, Function, Slot, Term};
    use super::*;

    fn dense(weights: &[f32]) -> Map {
        Map::Dense { count: 1, rows: 2, cols: 2, weights: Arc::new(weights.to_vec()) }
    }

    #[test]
    fn a_residual_sum_becomes_one_step_and_one_bias_stays_apart() {
        let mut b = Builder::new(2);
        let bias = |v: f32| Some(Constants::exact(vec![v; 2]));
        let x = b.affine("stem", Slot::INPUT, dense(&[1., 2., 3., 4.]), bias(0.1)).unwrap();
        let r = b.elementwise("relu", x, Function::Relu).unwrap();
        let left = b.affine("left", r, dense(&[0.5, -1., 1., 2.]), None).unwrap();
        let left = b.affine("left bias", left, Map::Identity, bias(0.3)).unwrap();
        let right = b.affine("right", r, dense(&[3., 1., -1., 1.]), bias(0.7)).unwrap();
        let terms = [left, right].map(|input| Term { input, map: Map::Identity }).to_vec();
        let sum = b.push("sum", Operation::Affine(Affine { terms, bias: None })).unwrap();
        let program = b.finish(sum).unwrap();
        let merged = merge_affine(program.clone());
        let names: Vec<&str> = merged.steps().iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["stem", "relu", "right", "sum"]);
        let x = [0.25f64, -0.5];
        for (a, b) in program.eval(&x).iter().zip(merged.eval(&x)) {
            assert!((a - b).abs() < 1e-14, "{a} {b}");
        }
    }

    #[test]
    fn a_step_that_another_reads_too_stays() {
        let mut b = Builder::new(2);
        let x = b.affine("x", Slot::INPUT, dense(&[1., 2., 3., 4.]), None).unwrap();
        let y = b.affine("y", x, Map::Identity, Some(Constants::exact(vec![1.0; 2]))).unwrap();
        let product = Operation::Product { left: x, right: y, count: 2, m: 1, k: 1, n: 1 };
        let out = b.push("product", product).unwrap();
        let program = b.finish(out).unwrap();
        assert_eq!(merge_affine(program.clone()), program);
    }
}
