//! Normalisation and softmax.
//!
//! Layer, instance and group normalisation are [`Op::Normalize`] of runs of elements, then a product with the
//! scale and a sum with the bias.

use super::super::error::Fault;
use super::super::network::ValueId;
use super::super::ops::{Binary, Op, Reduce, Unary};
use super::super::shapes::broadcast;
use super::super::tensor::{Tensor, TensorData};
use super::Builder;
use super::node::OpenNode;

/// BatchNormalization, outside training.
pub(super) fn import_batch_normalization(
    builder: &mut Builder<'_>,
    node: &OpenNode<'_>,
) -> Result<(), Fault> {
    node.refuse_flag("training_mode", "export the model in evaluation mode")?;
    if node.int("spatial", 1)? != 1 {
        return Err(node.attribute("`spatial` is 0; export it with one number for each channel".into()));
    }
    builder.at_most(node, 5)?;
    let inputs = (0..5).map(|i| builder.operand(node, i)).collect::<Result<Vec<_>, _>>()?;
    let shape = builder.shape(inputs[0]).to_vec();
    let channels = shape.get(1).copied().unwrap_or(1);
    for id in &inputs[1..] {
        if builder.shape(*id) != [channels] {
            let found = builder.shape(*id).to_vec();
            return Err(node.shapes(shape, found, "scale, B, mean and var need one number for each channel"));
        }
    }
    let epsilon = node.float("epsilon", 1e-5)?;
    if let Ok(variances) = builder.floats(node, inputs[4])
        && variances.iter().any(|v| f64::from(*v) + f64::from(epsilon) <= 0.0)
    {
        return Err(
            node.attribute("a variance plus epsilon is not positive; train or export it again".into())
        );
    }
    // Further outputs are those of training in older operator sets; nothing may read them.
    let id = builder.emit(node, Op::BatchNormalization { epsilon }, inputs, shape)?;
    builder.give_first(node, id)
}

fn epsilon(node: &OpenNode<'_>) -> Result<f32, Fault> {
    let epsilon = node.float("epsilon", 1e-5)?;
    if epsilon > 0.0 { Ok(epsilon) } else { Err(node.attribute("epsilon must be positive".into())) }
}

/// `factor` times or plus `current`, broadcast; nothing if it is not given.
fn combine(
    builder: &mut Builder<'_>,
    node: &OpenNode<'_>,
    binary: Binary,
    current: ValueId,
    other: Option<ValueId>,
) -> Result<ValueId, Fault> {
    let Some(other) = other else { return Ok(current) };
    let (shape, found) = (builder.shape(current).to_vec(), builder.shape(other).to_vec());
    if broadcast(&shape, &found).as_ref() != Some(&shape) {
        return Err(node.shapes(shape, found, "scale and bias must broadcast to the operand"));
    }
    builder.emit(node, Op::Binary(binary), vec![current, other], shape)
}

/// LayerNormalization.
pub(super) fn import_layer_normalization(
    builder: &mut Builder<'_>,
    node: &OpenNode<'_>,
) -> Result<(), Fault> {
    builder.at_most(node, 3)?;
    let input = builder.operand(node, 0)?;
    let shape = builder.shape(input).to_vec();
    let axis = node.axis(node.int("axis", -1)?, shape.len())?;
    let op = Op::Normalize { size: shape[axis..].iter().product(), epsilon: epsilon(node)? };
    let normal = builder.emit(node, op, vec![input], shape)?;
    let scale = builder.operand(node, 1)?;
    let scaled = combine(builder, node, Binary::Mul, normal, Some(scale))?;
    let bias = builder.optional(node, 2)?;
    let id = combine(builder, node, Binary::Add, scaled, bias)?;
    builder.give_first(node, id)
}

/// RMSNormalization: `x / √(mean(x²) + epsilon) · scale`.
pub(super) fn import_rms_normalization(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let [input, scale] = builder.two_operands(node)?;
    let shape = builder.shape(input).to_vec();
    let axis = node.axis(node.int("axis", -1)?, shape.len())?;
    let mut kept = shape.clone();
    kept[axis..].fill(1);
    let constant = |builder: &mut Builder<'_>, value: f32| {
        builder
            .push_constant("epsilon", Tensor { shape: vec![], data: TensorData::Float(vec![value].into()) })
    };
    let squares = builder.emit(node, Op::Binary(Binary::Mul), vec![input, input], shape.clone())?;
    let reduce = Op::Reduce { kind: Reduce::Mean, axes: (axis..shape.len()).collect() };
    let mean = builder.emit(node, reduce, vec![squares], kept.clone())?;
    let epsilon = constant(builder, epsilon(node)?);
    let sum = builder.emit(node, Op::Binary(Binary::Add), vec![mean, epsilon], kept.clone())?;
    let root = builder.emit(node, Op::Unary(Unary::Sqrt), vec![sum], kept)?;
    let quotient = builder.emit(node, Op::Binary(Binary::Div), vec![input, root], shape)?;
    let id = combine(builder, node, Binary::Mul, quotient, Some(scale))?;
    builder.give_first(node, id)
}

/// InstanceNormalization and GroupNormalization.
pub(super) fn import_group_normalization(
    builder: &mut Builder<'_>,
    node: &OpenNode<'_>,
) -> Result<(), Fault> {
    builder.at_most(node, 3)?;
    let input = builder.operand(node, 0)?;
    let shape = builder.shape(input).to_vec();
    let &[_, channels, ref spatial @ ..] = shape.as_slice() else {
        return Err(node.shapes(shape, vec![], "X is [N, C, …]"));
    };
    let groups = match node.operator {
        "InstanceNormalization" => channels,
        _ => usize::try_from(node.int("num_groups", 0)?).unwrap_or(0),
    };
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(node.attribute(format!("{channels} channels are no multiple of {groups} groups")));
    }
    let size = channels / groups * spatial.iter().product::<usize>();
    let dims: Vec<usize> = [&[1, channels], vec![1; spatial.len()].as_slice()].concat();
    let op = Op::Normalize { size, epsilon: epsilon(node)? };
    let mut current = builder.emit(node, op, vec![input], shape.clone())?;
    for (index, binary) in [(1, Binary::Mul), (2, Binary::Add)] {
        let id = builder.operand(node, index)?;
        let id = for_each_channel(builder, node, id, channels, groups)?;
        let along = builder.emit(node, Op::Reshape, vec![id], dims.clone())?;
        current = combine(builder, node, binary, current, Some(along))?;
    }
    builder.give(node, current)
}

/// One number for each channel, from one for each channel or (operator set 18 to 20) one for each group.
fn for_each_channel(
    builder: &mut Builder<'_>,
    node: &OpenNode<'_>,
    id: ValueId,
    channels: usize,
    groups: usize,
) -> Result<ValueId, Fault> {
    let found = builder.shape(id).to_vec();
    let each_group = node.operator == "GroupNormalization" && node.operator_set < 21;
    if found != [if each_group { groups } else { channels }] {
        return Err(node.shapes(vec![channels], found, "scale and bias need one number for each channel"));
    }
    if !each_group {
        return Ok(id);
    }
    let each = channels / groups;
    builder.emit_index(node, vec![id], vec![channels], || (0..channels).map(|c| (c / each) as u32).collect())
}

/// Softmax and LogSoftmax: before operator set 13 over all axes from `axis` on, then over `axis` alone.
pub(super) fn import_softmax(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let input = builder.only_operand(node)?;
    let shape = builder.shape(input).to_vec();
    let joined = node.operator_set < 13;
    let axis = node.axis(node.int("axis", if joined { 1 } else { -1 })?, shape.len())?;
    let behind = if joined { shape.len() } else { axis + 1 };
    let op = Op::Softmax {
        outer: shape[..axis].iter().product(),
        size: shape[axis..behind].iter().product(),
        inner: shape[behind..].iter().product(),
        log: node.operator == "LogSoftmax",
    };
    builder.finish(node, op, vec![input], shape)
}
