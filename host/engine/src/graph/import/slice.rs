//! Slice, Split and Pad: ranges of elements along axes.

use super::super::error::Fault;
use super::super::network::ValueId;
use super::super::shapes::strides;
use super::super::tensor::{Tensor, TensorData};
use super::moves::{select, select_along, zero_like};
use super::node::OpenNode;
use super::{Builder, moves};

/// Slice: starts, ends, axes and steps are attributes before operator set 10, then operands.
pub(super) fn import_slice(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    builder.at_most(node, 5)?;
    let input = builder.operand(node, 0)?;
    let from = builder.shape(input).to_vec();
    let given = |i: usize, name: &str| -> Result<Option<Vec<i64>>, Fault> {
        Ok(builder.optional_ints(node, i)?.or_else(|| node.ints(name)))
    };
    let needed = |ints: Option<Vec<i64>>, what: &str| {
        ints.ok_or_else(|| node.attribute(format!("has no {what}; export the model again")))
    };
    let starts = needed(given(1, "starts")?, "starts")?;
    let ends = needed(given(2, "ends")?, "ends")?;
    let axes = given(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = given(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    let rank = starts.len();
    if [ends.len(), axes.len(), steps.len()] != [rank; 3] || rank > from.len() {
        return Err(node.attribute("starts, ends, axes and steps differ in number".into()));
    }
    node.axes(&axes, from.len())?;
    let mut lists: Vec<(usize, Vec<usize>)> =
        strides(&from).into_iter().zip(&from).map(|(stride, d)| (stride, (0..*d).collect())).collect();
    for i in 0..rank {
        if steps[i] == 0 {
            return Err(node.attribute("has a step of 0".into()));
        }
        let axis = node.axis(axes[i], from.len())?;
        lists[axis].1 = range(starts[i], ends[i], steps[i], from[axis]);
    }
    let shape = lists.iter().map(|(_, l)| l.len()).collect();
    let id = builder.emit_index(node, vec![input], shape, || select(&lists))?;
    builder.give(node, id)
}

/// The positions from `start` to before `end` by `step`, out of `size`, clamped as numpy does.
fn range(start: i64, end: i64, step: i64, size: usize) -> Vec<usize> {
    let (start, end, step, size) = (i128::from(start), i128::from(end), i128::from(step), size as i128);
    let wrap = |v: i128| if v < 0 { v + size } else { v };
    let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
    let (start, end) = (wrap(start).clamp(low, high), wrap(end).clamp(low, high));
    let mut at = start;
    let mut positions = Vec::new();
    while (step > 0 && at < end) || (step < 0 && at > end) {
        positions.push(at as usize);
        at += step;
    }
    positions
}

/// Split: one node for each output. Sizes are an attribute before operator set 13, then an operand.
pub(super) fn import_split(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    builder.at_most(node, 2)?;
    let input = builder.operand(node, 0)?;
    let from = builder.shape(input).to_vec();
    let axis = node.axis(node.int("axis", 0)?, from.len())?;
    let outputs = node.proto.output.len();
    let sizes = match builder.optional_ints(node, 1)?.or_else(|| node.ints("split")) {
        Some(sizes) => moves::sizes(node, &sizes)?,
        None => equal_parts(node, from[axis], outputs)?,
    };
    let total = sizes.iter().try_fold(0usize, |t, s| t.checked_add(*s));
    if sizes.len() != outputs || total != Some(from[axis]) {
        return Err(
            node.attribute(format!("splits {} elements into {outputs} parts of {sizes:?}", from[axis]))
        );
    }
    let mut start = 0;
    for (index, size) in sizes.into_iter().enumerate() {
        let positions: Vec<usize> = (start..start + size).collect();
        start += size;
        if node.value_name(index).is_empty() {
            continue;
        }
        let mut shape = from.clone();
        shape[axis] = size;
        let id = builder.emit_index(node, vec![input], shape, || select_along(&from, axis, &positions))?;
        builder.give_nth(node, index, id)?;
    }
    Ok(())
}

/// Equal parts; from operator set 18 on, the last may be smaller.
fn equal_parts(node: &OpenNode<'_>, size: usize, outputs: usize) -> Result<Vec<usize>, Fault> {
    let parts = node.int("num_outputs", outputs as i64)?;
    let refuse = || node.attribute(format!("splits {size} elements into {parts} parts, {outputs} outputs"));
    if parts != outputs as i64 || outputs == 0 {
        return Err(refuse());
    }
    let part = size.div_ceil(outputs);
    let last = (outputs - 1).checked_mul(part).and_then(|rest| size.checked_sub(rest)).ok_or_else(refuse)?;
    if last != part && (node.operator_set < 18 || last == 0) {
        return Err(refuse());
    }
    Ok((0..outputs).map(|i| if i + 1 == outputs { last } else { part }).collect())
}

/// Pad: pads and value are attributes before operator set 11, then operands. Negative pads cut.
pub(super) fn import_pad(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    builder.at_most(node, 4)?;
    let input = builder.operand(node, 0)?;
    let from = builder.shape(input).to_vec();
    let pads = builder.optional_ints(node, 1)?.or_else(|| node.ints("pads"));
    let pads = pads.ok_or_else(|| node.attribute("has no pads; export the model again".into()))?;
    let axes = builder.optional_ints(node, 3)?.unwrap_or_else(|| (0..from.len() as i64).collect());
    node.axes(&axes, from.len())?;
    if pads.len() != 2 * axes.len() {
        return Err(node.attribute(format!("has {} pads for {} axes", pads.len(), axes.len())));
    }
    let mut ends = vec![(0, 0); from.len()];
    for (i, axis) in axes.iter().enumerate() {
        ends[node.axis(*axis, from.len())?] = (pads[i], pads[i + axes.len()]);
    }
    let size = |(d, (before, behind)): (&usize, &(i64, i64))| {
        let total = i128::from(*before) + i128::from(*behind) + *d as i128;
        usize::try_from(total).map_err(|_| node.attribute(format!("pads {pads:?} of the shape {from:?}")))
    };
    let shape = from.iter().zip(&ends).map(size).collect::<Result<Vec<_>, _>>()?;
    let mode = Padding::read(node)?;
    let fill = pad_value(builder, node, input)?;
    let to = shape.clone();
    let id = builder.emit_index(node, vec![input, fill], shape, || pad(&from, &ends, &to, mode))?;
    builder.give(node, id)
}

/// What stands beyond the ends of an axis.
#[derive(Clone, Copy, PartialEq)]
enum Padding {
    Constant,
    Edge,
    Reflect,
    Wrap,
}

impl Padding {
    fn read(node: &OpenNode<'_>) -> Result<Self, Fault> {
        match node.word("mode", "constant")? {
            "constant" => Ok(Self::Constant),
            "edge" => Ok(Self::Edge),
            "reflect" => Ok(Self::Reflect),
            "wrap" => Ok(Self::Wrap),
            other => Err(node
                .attribute(format!("mode {other:?} is not supported; use constant, edge, reflect or wrap"))),
        }
    }

    /// The position among `size` that stands at `at`, which may lie outside; `None` is the value.
    fn position(self, at: i64, size: usize) -> Option<usize> {
        let size = size as i64;
        let inside = match self {
            _ if (0..size).contains(&at) => at,
            Self::Constant => return None,
            Self::Edge => at.clamp(0, size - 1),
            Self::Wrap => at.rem_euclid(size),
            Self::Reflect if size == 1 => 0,
            Self::Reflect => {
                let folded = at.rem_euclid(2 * (size - 1));
                folded.min(2 * (size - 1) - folded)
            }
        };
        Some(inside as usize)
    }
}

fn pad_value(builder: &mut Builder<'_>, node: &OpenNode<'_>, input: ValueId) -> Result<ValueId, Fault> {
    if let Some(id) = builder.optional(node, 2)? {
        if builder.constant(id).is_none_or(|c| c.len() != 1) {
            return Err(node.attribute("the padding must be one constant".into()));
        }
        return Ok(id);
    }
    match node.float("value", 0.0)? {
        0.0 => Ok(zero_like(builder, input)),
        value => {
            let data = TensorData::Float(vec![value].into());
            Ok(builder.push_constant("padding", Tensor { shape: vec![], data }))
        }
    }
}

fn pad(from: &[usize], ends: &[(i64, i64)], to: &[usize], mode: Padding) -> Vec<u32> {
    let fill = from.iter().product::<usize>() as u32;
    let mut indices = vec![0];
    for (((size, stride), (before, _)), padded) in from.iter().zip(strides(from)).zip(ends).zip(to) {
        let position = |i: usize| mode.position(i as i64 - before, *size).map(|p| (p * stride) as u32);
        let positions: Vec<Option<u32>> = (0..*padded).map(position).collect();
        // `fill` is past every element, so a sum below it is one of them.
        let along = |base: &u32| {
            let base = *base;
            positions.iter().map(move |p| p.filter(|_| base != fill).map_or(fill, |p| base + p))
        };
        indices = indices.iter().flat_map(along).collect();
    }
    indices
}
