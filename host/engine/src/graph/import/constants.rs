//! Operators that give constants: shapes, ranges, comparisons and conversions of constants.

use super::super::error::Fault;
use super::super::onnx::DataType;
use super::super::shapes::{broadcast, broadcast_indices};
use super::super::tensor::{Tensor, TensorData};
use super::Builder;
use super::moves::sizes;
use super::node::OpenNode;

/// Constant.
pub(super) fn import_constant(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    builder.at_most(node, 0)?;
    let tensor = node.constant(builder.directory)?;
    builder.finish_constant(node, tensor)
}

/// Shape, from `start` to `end`.
pub(super) fn import_shape(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let input = builder.only_operand(node)?;
    let from = builder.shape(input);
    let rank = from.len() as i64;
    let clamp = |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
    let (start, end) = (clamp(node.int("start", 0)?), clamp(node.int("end", rank)?));
    let sizes: Vec<i64> = from[start..end.max(start)].iter().map(|d| *d as i64).collect();
    builder.finish_constant(node, Tensor { shape: vec![sizes.len()], data: TensorData::Int(sizes) })
}

/// Size: the number of elements.
pub(super) fn import_size(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let input = builder.only_operand(node)?;
    let count = builder.shape(input).iter().product::<usize>() as i64;
    builder.finish_constant(node, Tensor { shape: vec![], data: TensorData::Int(vec![count]) })
}

/// ConstantOfShape.
pub(super) fn import_constant_of_shape(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let input = builder.only_operand(node)?;
    let shape = sizes(node, builder.ints(node, input)?)?;
    builder.claim(node, &shape, true)?;
    let count = shape.iter().product();
    let value = match node.find("value") {
        None => TensorData::Float(vec![0.0].into()),
        Some(_) => node.constant(builder.directory)?.data,
    };
    let data = match value {
        TensorData::Float(v) if v.len() == 1 => TensorData::Float(vec![v[0]; count].into()),
        TensorData::Int(v) if v.len() == 1 => TensorData::Int(vec![v[0]; count]),
        _ => return Err(node.attribute("its value must have one element".into())),
    };
    builder.finish_constant(node, Tensor { shape, data })
}

/// Range of constants.
pub(super) fn import_range(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    const MEMBERS_MAX: i128 = 1 << 24;
    builder.at_most(node, 3)?;
    let ids = [builder.operand(node, 0)?, builder.operand(node, 1)?, builder.operand(node, 2)?];
    let floats = matches!(builder.constant(ids[0]), Some(TensorData::Float(_)));
    let whole = |id| -> Result<i64, Fault> {
        if !floats {
            return builder.int(node, id);
        }
        // Whole numbers below 2^24 are exact as f32, and so is every member of the range.
        let value = builder.float(node, id)?;
        if value.fract() == 0.0 && value.abs() <= 16_777_216.0 {
            #[expect(clippy::cast_possible_truncation, reason = "whole and small")]
            return Ok(value as i64);
        }
        Err(node.attribute(format!("has {value}, which is not whole; give the range as a constant")))
    };
    let [start, limit, step] = [whole(ids[0])?, whole(ids[1])?, whole(ids[2])?].map(i128::from);
    if step == 0 {
        return Err(node.attribute("has a step of 0".into()));
    }
    let reach = limit - start;
    let count = if (reach > 0) == (step > 0) { (reach.abs() + step.abs() - 1) / step.abs() } else { 0 };
    if count > MEMBERS_MAX {
        return Err(node.attribute(format!("has {count} members, more than {MEMBERS_MAX}")));
    }
    let members = (0..count).map(|i| (start + i * step) as i64);
    let data = if floats {
        TensorData::Float(members.map(|m| m as f32).collect())
    } else {
        TensorData::Int(members.collect())
    };
    builder.finish_constant(node, Tensor { shape: vec![count as usize], data })
}

/// Cast and CastLike: constants are converted if that is exact, computed values stay numbers.
pub(super) fn import_cast(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let (input, to) = if node.operator == "CastLike" {
        let [input, like] = builder.two_operands(node)?;
        let is_int = matches!(builder.constant(like), Some(TensorData::Int(_)));
        (input, Some(if is_int { DataType::Int64 } else { DataType::Float }))
    } else {
        let number = node.int("to", 0)?;
        (builder.only_operand(node)?, i32::try_from(number).ok().and_then(DataType::from_number))
    };
    let shape = builder.shape(input).to_vec();
    let refuse = |problem: &str| Err(node.attribute(problem.into()));
    let data = match (builder.constant(input), to) {
        (_, None) => {
            return refuse("converts to a type that is not supported; use float, double, int or bool");
        }
        (_, Some(DataType::Float16 | DataType::Bfloat16)) => {
            return refuse("rounds to half precision; export the model in f32");
        }
        (None, Some(DataType::Float | DataType::Double))
        | (Some(TensorData::Float(_)), Some(DataType::Float | DataType::Double)) => {
            return builder.give(node, input);
        }
        (None, Some(_)) => return refuse("rounds computed values to integers; export the model without it"),
        (Some(TensorData::Int(v)), Some(DataType::Float | DataType::Double)) => {
            let exact = |i: &i64| {
                let float = *i as f32;
                (float as i128 == i128::from(*i)).then_some(float)
            };
            match v.iter().map(exact).collect() {
                Some(floats) => TensorData::Float(floats),
                None => return refuse("converts an integer that f32 cannot hold; export the model again"),
            }
        }
        (Some(TensorData::Int(v)), Some(DataType::Bool)) => {
            TensorData::Int(v.iter().map(|i| i64::from(*i != 0)).collect())
        }
        (Some(TensorData::Int(v)), Some(_)) => TensorData::Int(v.clone()),
        (Some(TensorData::Float(v)), Some(DataType::Bool)) => {
            TensorData::Int(v.iter().map(|x| i64::from(*x != 0.0)).collect())
        }
        (Some(TensorData::Float(v)), Some(_)) => {
            if v.iter().any(|x| x.abs() >= 9.0e18) {
                return refuse("converts a number that no integer holds; export the model again");
            }
            #[expect(clippy::cast_possible_truncation, reason = "towards zero, as the standard says")]
            TensorData::Int(v.iter().map(|x| *x as i64).collect())
        }
    };
    builder.finish_constant(node, Tensor { shape, data })
}

/// Comparisons and logic, of constants.
pub(super) fn import_comparison(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let [left, right] = builder.two_operands(node)?;
    let (Some(a), Some(b)) = (builder.constant(left), builder.constant(right)) else {
        let problem = if node.operator == "Mod" {
            "takes the remainder of computed values; export the model without it"
        } else {
            "compares computed values, so the network is not continuous; write it with Relu, Min, Max or Clip"
        };
        return Err(node.attribute(problem.into()));
    };
    let toward_zero = node.flag("fmod")?;
    let shapes = [left, right].map(|id| builder.shape(id).to_vec());
    let rule = "aligned at the last, dimensions must be equal or 1";
    let shape = broadcast(&shapes[0], &shapes[1])
        .ok_or_else(|| node.shapes(shapes[0].clone(), shapes[1].clone(), rule))?;
    let pairs =
        || broadcast_indices(&shapes[0], &shape).into_iter().zip(broadcast_indices(&shapes[1], &shape));
    let found: Vec<i64> = match (a, b) {
        (TensorData::Float(a), TensorData::Float(b)) => {
            pairs().map(|(i, j)| compare(node.operator, a[i], b[j])).collect::<Option<_>>()
        }
        (TensorData::Int(a), TensorData::Int(b)) => {
            let logic = |(i, j): (usize, usize)| logic(node.operator, a[i], b[j], toward_zero);
            pairs().map(logic).collect::<Option<_>>()
        }
        _ => None,
    }
    .ok_or_else(|| node.attribute("does not go with the type of its operands".into()))?;
    builder.finish_constant(node, Tensor { shape, data: TensorData::Int(found) })
}

fn compare<T: PartialOrd>(operator: &str, a: T, b: T) -> Option<i64> {
    let holds = match operator {
        "Equal" => a == b,
        "Less" => a < b,
        "LessOrEqual" => a <= b,
        "Greater" => a > b,
        "GreaterOrEqual" => a >= b,
        _ => return None,
    };
    Some(i64::from(holds))
}

fn logic(operator: &str, a: i64, b: i64, toward_zero: bool) -> Option<i64> {
    match operator {
        "And" => Some(i64::from(a != 0 && b != 0)),
        "Or" => Some(i64::from(a != 0 || b != 0)),
        "Xor" => Some(i64::from((a != 0) != (b != 0))),
        "Mod" if toward_zero => a.checked_rem(b),
        // The sign is that of the divisor.
        "Mod" => a.checked_rem(b).map(|r| if r != 0 && (r < 0) != (b < 0) { r + b } else { r }),
        _ => compare(operator, a, b),
    }
}

/// Not, of a constant.
pub(super) fn import_not(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let input = builder.only_operand(node)?;
    let shape = builder.shape(input).to_vec();
    let data = builder.ints(node, input)?.iter().map(|v| i64::from(*v == 0)).collect();
    builder.finish_constant(node, Tensor { shape, data: TensorData::Int(data) })
}
