//! Functions of one number and of two.

use super::super::error::Fault;
use super::super::network::ValueId;
use super::super::ops::{Binary, Op, Unary};
use super::super::shapes::broadcast;
use super::super::tensor::{Tensor, TensorData};
use super::Builder;
use super::node::OpenNode;

/// Operators that apply one function to each element.
pub(super) fn import_unary(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let function = read_unary(node)?;
    let input = builder.only_operand(node)?;
    let shape = builder.shape(input).to_vec();
    builder.finish(node, Op::Unary(function), vec![input], shape)
}

/// The function with its settings, defaults as in the standard.
fn read_unary(node: &OpenNode<'_>) -> Result<Unary, Fault> {
    let elu = |alpha, gamma, divisor| Unary::Elu { alpha, gamma, divisor };
    Ok(match node.operator {
        "Relu" => Unary::Relu,
        "LeakyRelu" => Unary::LeakyRelu { slope: node.float("alpha", 0.01)? },
        "ThresholdedRelu" => Unary::ThresholdedRelu { alpha: node.float("alpha", 1.0)? },
        "Elu" => elu(node.float("alpha", 1.0)?, 1.0, 1.0),
        "Selu" => elu(node.float("alpha", 1.673_263_2)?, node.float("gamma", 1.050_701)?, 1.0),
        "Celu" => {
            let alpha = node.float("alpha", 1.0)?;
            if alpha == 0.0 {
                return Err(node.attribute("alpha must not be 0".into()));
            }
            elu(alpha, 1.0, alpha)
        }
        "Sigmoid" => Unary::Sigmoid,
        "HardSigmoid" => {
            Unary::HardSigmoid { alpha: node.float("alpha", 0.2)?, beta: node.float("beta", 0.5)? }
        }
        "HardSwish" => Unary::HardSwish,
        "Swish" => Unary::Swish { alpha: node.float("alpha", 1.0)? },
        "Mish" => Unary::Mish,
        "Tanh" => Unary::Tanh,
        "Softplus" => Unary::Softplus,
        "Softsign" => Unary::Softsign,
        "Erf" => Unary::Erf,
        "Gelu" => match node.word("approximate", "none")? {
            "none" => Unary::Gelu,
            "tanh" => Unary::GeluTanh,
            other => return Err(node.attribute(format!("approximate {other:?} is unknown"))),
        },
        "Exp" => Unary::Exp,
        "Log" => Unary::Log,
        "Sin" => Unary::Sin,
        "Cos" => Unary::Cos,
        "Tan" => Unary::Tan,
        "Atan" => Unary::Atan,
        "Sqrt" => Unary::Sqrt,
        "Reciprocal" => Unary::Reciprocal,
        "Abs" => Unary::Abs,
        "Neg" => Unary::Neg,
        "Sign" => Unary::Sign,
        "Floor" => Unary::Floor,
        "Ceil" => Unary::Ceil,
        "Round" => Unary::Round,
        other => return Err(node.attribute(format!("{other} is no function of one number"))),
    })
}

/// Clip: its limits are attributes before operator set 11, then constant operands.
pub(super) fn import_clip(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    builder.at_most(node, 3)?;
    let limit = |index: usize, name: &str, open: f32| match builder.optional(node, index)? {
        Some(id) => builder.float(node, id),
        // Exporters write an open side as an infinity.
        None if node.find(name).is_some_and(|a| a.f.is_some_and(f32::is_infinite)) => Ok(open),
        None => node.float(name, open),
    };
    let (lower, upper) = (limit(1, "min", f32::MIN)?, limit(2, "max", f32::MAX)?);
    if lower > upper {
        return Err(node.attribute(format!("min {lower} is above max {upper}; export the model again")));
    }
    let input = builder.operand(node, 0)?;
    let shape = builder.shape(input).to_vec();
    builder.finish(node, Op::Unary(Unary::Clip { lower, upper }), vec![input], shape)
}

/// Adds `binary` of two values, broadcast.
pub(super) fn emit_binary(
    builder: &mut Builder<'_>,
    node: &OpenNode<'_>,
    binary: Binary,
    inputs: [ValueId; 2],
) -> Result<ValueId, Fault> {
    let [left, right] = inputs.map(|id| builder.shape(id));
    let rule = "aligned at the last, dimensions must be equal or 1";
    let shape = broadcast(left, right).ok_or_else(|| node.shapes(left.to_vec(), right.to_vec(), rule))?;
    builder.emit(node, Op::Binary(binary), inputs.to_vec(), shape)
}

/// Add, Sub, Mul and Div.
pub(super) fn import_binary(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let inputs = builder.two_operands(node)?;
    let binary = match node.operator {
        "Add" => Binary::Add,
        "Sub" => Binary::Sub,
        "Mul" => Binary::Mul,
        _ => Binary::Div,
    };
    if binary == Binary::Div
        && let Some(TensorData::Float(divisors)) = builder.constant(inputs[1])
        && divisors.contains(&0.0)
    {
        return Err(node.attribute("divides by a constant 0; export the model again".into()));
    }
    let id = emit_binary(builder, node, binary, inputs)?;
    builder.give(node, id)
}

/// Pow; an exponent that is the same for all elements becomes a setting.
pub(super) fn import_pow(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let [base, exponent] = builder.two_operands(node)?;
    let exponent = whole_exponents(builder, base, exponent);
    let only = match builder.constant(exponent) {
        Some(TensorData::Float(e)) if e.windows(2).all(|w| w[0] == w[1]) => e.first().copied(),
        _ => None,
    };
    let shape = broadcast(builder.shape(base), builder.shape(exponent));
    let id = match (only, builder.constant(base)) {
        (Some(exponent), None) if shape.as_deref() == Some(builder.shape(base)) => {
            let shape = builder.shape(base).to_vec();
            builder.emit(node, Op::Unary(Unary::Pow { exponent }), vec![base], shape)?
        }
        _ => emit_binary(builder, node, Binary::Pow, [base, exponent])?,
    };
    builder.give(node, id)
}

/// Integer exponents of a computed base as numbers, if they are small enough to be exact.
fn whole_exponents(builder: &mut Builder<'_>, base: ValueId, exponent: ValueId) -> ValueId {
    let (None, Some(TensorData::Int(values))) = (builder.constant(base), builder.constant(exponent)) else {
        return exponent;
    };
    let small = |v: &i64| i16::try_from(*v).ok().map(f32::from);
    let Some(values) = values.iter().map(small).collect() else { return exponent };
    let shape = builder.shape(exponent).to_vec();
    builder.push_constant("exponents", Tensor { shape, data: TensorData::Float(values) })
}

/// PRelu: the slope broadcasts to the operand.
pub(super) fn import_prelu(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let inputs = builder.two_operands(node)?;
    let [x, slope] = inputs.map(|id| builder.shape(id).to_vec());
    if broadcast(&x, &slope).as_ref() != Some(&x) {
        return Err(node.shapes(x, slope, "the slope must broadcast to the operand"));
    }
    let id = emit_binary(builder, node, Binary::PRelu, inputs)?;
    builder.give(node, id)
}

/// Max, Min, Sum and Mean of any number of operands: one pair after the other.
pub(super) fn import_variadic(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let inputs = builder.all_operands(node)?;
    let binary = match node.operator {
        "Max" => Binary::Max,
        "Min" => Binary::Min,
        _ => Binary::Add,
    };
    let mut current = inputs[0];
    for next in &inputs[1..] {
        current = emit_binary(builder, node, binary, [current, *next])?;
    }
    if node.operator == "Mean" && inputs.len() > 1 {
        let data = TensorData::Float(vec![inputs.len() as f32].into());
        let count = builder.push_constant("count", Tensor { shape: vec![], data });
        current = emit_binary(builder, node, Binary::Div, [current, count])?;
    }
    builder.give(node, current)
}
