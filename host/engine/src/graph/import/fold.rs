//! Folding: a node of constants is computed here if every result is exact.
//!
//! Integers (shapes, positions) are computed in `i64`; overflow is refused. Numbers are moved, and combined
//! element by element where no result rounds: `a ∘ b` is computed in `f64` and kept only if it is exactly
//! `a ∘ b` and an `f32`. Everything else stays a node over constants: its evaluation rounds like any other, and
//! lowering states the error of the constants it makes of it.

use super::super::ops::{Binary, Op, Reduce, Unary};
use super::super::shapes::broadcast_indices;
use super::super::tensor::TensorData;

/// A constant operand.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    pub shape: &'a [usize],
    pub data: &'a TensorData,
}

/// What became of a node of constants.
pub(super) enum Folded {
    /// Its exact result.
    Constant(TensorData),
    /// It stays a node.
    Kept,
    /// It cannot be computed, and why.
    Refused(&'static str),
}

const OVERFLOW: &str = "its integers overflow or are divided by 0; export the model again";

/// The result of `op` on constants, `output` its shape.
pub(super) fn fold(op: &Op, operands: &[Operand<'_>], output: &[usize]) -> Folded {
    let folded = match (op, operands) {
        (Op::Reshape, [x]) => Some(x.data.clone()),
        (Op::Index { indices }, _) => return gather(operands, indices),
        (Op::Unary(function), [x]) => match x.data {
            TensorData::Float(v) => {
                v.iter().map(|x| exact_unary(*function, *x)).collect::<Option<_>>().map(TensorData::Float)
            }
            TensorData::Int(v) => {
                let ints: Option<Vec<i64>> = v.iter().map(|x| integer_unary(*function, *x)).collect();
                return ints.map_or(Folded::Refused(OVERFLOW), |v| Folded::Constant(TensorData::Int(v)));
            }
        },
        (Op::Binary(binary), [a, b]) => return fold_binary(*binary, a, b, output),
        (Op::Reduce { kind, axes }, [x]) => match x.data {
            TensorData::Int(v) => {
                let sums = integer_reduce(*kind, x.shape, axes, v);
                return sums.map_or(Folded::Refused(OVERFLOW), |v| Folded::Constant(TensorData::Int(v)));
            }
            TensorData::Float(_) => None,
        },
        _ => None,
    };
    folded.map_or(Folded::Kept, Folded::Constant)
}

fn gather(operands: &[Operand<'_>], indices: &[u32]) -> Folded {
    let (mut floats, mut ints) = (Vec::new(), Vec::new());
    for operand in operands {
        match operand.data {
            TensorData::Float(v) => floats.extend_from_slice(v),
            TensorData::Int(v) => ints.extend_from_slice(v),
        }
    }
    let pick = |i: &u32| *i as usize;
    match (floats.is_empty(), ints.is_empty()) {
        (false, true) => {
            Folded::Constant(TensorData::Float(indices.iter().map(|i| floats[pick(i)]).collect()))
        }
        (true, false) => Folded::Constant(TensorData::Int(indices.iter().map(|i| ints[pick(i)]).collect())),
        (true, true) => match operands.first().map(|o| o.data) {
            Some(TensorData::Int(_)) => Folded::Constant(TensorData::Int(vec![])),
            _ => Folded::Constant(TensorData::Float(vec![].into())),
        },
        (false, false) => Folded::Refused("mixes numbers and integers; convert them to float"),
    }
}

fn fold_binary(binary: Binary, a: &Operand<'_>, b: &Operand<'_>, output: &[usize]) -> Folded {
    let pairs = || broadcast_indices(a.shape, output).into_iter().zip(broadcast_indices(b.shape, output));
    match (a.data, b.data) {
        (TensorData::Float(a), TensorData::Float(b)) => {
            let values: Option<Vec<f32>> = pairs().map(|(i, j)| exact_binary(binary, a[i], b[j])).collect();
            values.map_or(Folded::Kept, |v| Folded::Constant(TensorData::Float(v.into())))
        }
        (TensorData::Int(a), TensorData::Int(b)) => {
            let values: Option<Vec<i64>> = pairs().map(|(i, j)| integer_binary(binary, a[i], b[j])).collect();
            values.map_or(Folded::Refused(OVERFLOW), |v| Folded::Constant(TensorData::Int(v)))
        }
        _ => Folded::Refused("mixes numbers and integers; convert them to float"),
    }
}

/// `value` as an `f32`, if it is one (finite).
fn narrow(value: f64) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "compared with the original")]
    let narrowed = value as f32;
    (narrowed.is_finite() && f64::from(narrowed) == value).then_some(narrowed)
}

/// `a ∘ b` if it is exactly an `f32`.
fn exact_binary(binary: Binary, left: f32, right: f32) -> Option<f32> {
    let (a, b) = (f64::from(left), f64::from(right));
    match binary {
        Binary::Add => exact_sum(a, b),
        Binary::Sub => exact_sum(a, -b),
        // A product of two f32 has at most 48 bits and is far from under- and overflow in f64.
        Binary::Mul => narrow(a * b),
        // If the quotient rounded to f32 times the divisor is the dividend, it did not round.
        Binary::Div if b != 0.0 => narrow_quotient(a, b),
        Binary::Div => None,
        Binary::Max => Some(left.max(right)),
        Binary::Min => Some(left.min(right)),
        Binary::PRelu if left >= 0.0 => Some(left),
        Binary::PRelu => narrow(a * b),
        Binary::Pow => exact_unary(Unary::Pow { exponent: right }, left),
    }
}

/// `a + b` if the sum does not round (the error of an f64 sum is computable: Knuth's two-sum).
fn exact_sum(a: f64, b: f64) -> Option<f32> {
    let sum = a + b;
    let rest = sum - a;
    let error = (a - (sum - rest)) + (b - rest);
    if error == 0.0 { narrow(sum) } else { None }
}

fn narrow_quotient(a: f64, b: f64) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "multiplied back")]
    let quotient = (a / b) as f32;
    (quotient.is_finite() && f64::from(quotient) * b == a).then_some(quotient)
}

/// `function(x)` if it is exactly an `f32` and that can be told.
fn exact_unary(function: Unary, x: f32) -> Option<f32> {
    let wide = f64::from(x);
    match function {
        Unary::Relu => Some(x.max(0.0)),
        Unary::Abs => Some(x.abs()),
        Unary::Neg => Some(-x),
        Unary::Sign => Some(if x > 0.0 {
            1.0
        } else if x < 0.0 {
            -1.0
        } else {
            0.0
        }),
        Unary::Floor => Some(x.floor()),
        Unary::Ceil => Some(x.ceil()),
        Unary::Round => Some(x.round_ties_even()),
        Unary::Clip { lower, upper } => Some(x.clamp(lower, upper)),
        Unary::LeakyRelu { slope } => {
            if x >= 0.0 {
                Some(x)
            } else {
                narrow(wide * f64::from(slope))
            }
        }
        Unary::ThresholdedRelu { alpha } => Some(if x > alpha { x } else { 0.0 }),
        Unary::Sqrt if x >= 0.0 => {
            let root = x.sqrt();
            (f64::from(root) * f64::from(root) == wide).then_some(root)
        }
        Unary::Reciprocal if x != 0.0 => narrow_quotient(1.0, wide),
        Unary::Pow { exponent: 1.0 } => Some(x),
        Unary::Pow { exponent: 2.0 } => narrow(wide * wide),
        Unary::Pow { exponent: 0.5 } => exact_unary(Unary::Sqrt, x),
        Unary::Pow { exponent: -1.0 } => exact_unary(Unary::Reciprocal, x),
        _ => None,
    }
}

fn integer_unary(function: Unary, x: i64) -> Option<i64> {
    match function {
        Unary::Neg => x.checked_neg(),
        Unary::Abs => x.checked_abs(),
        Unary::Sign => Some(x.signum()),
        Unary::Relu => Some(x.max(0)),
        Unary::Floor | Unary::Ceil | Unary::Round => Some(x),
        Unary::Clip { lower: f32::MIN, upper: f32::MAX } => Some(x),
        _ => None,
    }
}

fn integer_binary(binary: Binary, a: i64, b: i64) -> Option<i64> {
    match binary {
        Binary::Add => a.checked_add(b),
        Binary::Sub => a.checked_sub(b),
        Binary::Mul => a.checked_mul(b),
        Binary::Div => a.checked_div(b),
        Binary::Max => Some(a.max(b)),
        Binary::Min => Some(a.min(b)),
        Binary::Pow => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        Binary::PRelu => None,
    }
}

fn integer_reduce(kind: Reduce, shape: &[usize], axes: &[usize], values: &[i64]) -> Option<Vec<i64>> {
    let combine: fn(i64, i64) -> Option<i64> = match kind {
        Reduce::Sum => i64::checked_add,
        Reduce::Prod => i64::checked_mul,
        Reduce::Max => |a, b| Some(a.max(b)),
        Reduce::Min => |a, b| Some(a.min(b)),
        _ => return None,
    };
    let groups = super::super::shapes::reduced_indices(shape, axes);
    let count = groups.iter().max().map_or(0, |m| *m as usize + 1);
    let mut results: Vec<Option<i64>> = vec![None; count];
    for (value, group) in values.iter().zip(&groups) {
        let so_far = &mut results[*group as usize];
        *so_far = Some(match *so_far {
            None => *value,
            Some(old) => combine(old, *value)?,
        });
    }
    results.into_iter().collect()
}
