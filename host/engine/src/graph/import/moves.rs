//! Operators that only move elements: each becomes a list of where every element comes from.

use super::super::error::Fault;
use super::super::network::ValueId;
use super::super::shapes::{broadcast, broadcast_indices, strides};
use super::super::tensor::{Tensor, TensorData};
use super::Builder;
use super::node::OpenNode;

/// Indices of a block of elements: along each axis the positions taken, times how far apart they are.
pub(super) fn select(axes: &[(usize, Vec<usize>)]) -> Vec<u32> {
    axes.iter().fold(vec![0], |indices, (stride, positions)| {
        let along = |base: &u32| {
            let base = *base;
            positions.iter().map(move |p| base + (p * stride) as u32)
        };
        indices.iter().flat_map(along).collect()
    })
}

/// [`select`] of all of `shape` but for one axis, of which `positions` are taken.
pub(super) fn select_along(shape: &[usize], axis: usize, positions: &[usize]) -> Vec<u32> {
    let all = shape.iter().zip(strides(shape)).enumerate();
    let lists: Vec<_> = all
        .map(|(a, (size, stride))| {
            (stride, if a == axis { positions.to_vec() } else { (0..*size).collect() })
        })
        .collect();
    select(&lists)
}

/// Indices of the elements of `shape` with its axes in the order `axes`.
fn permute(shape: &[usize], axes: &[usize]) -> Vec<u32> {
    let strides = strides(shape);
    let lists: Vec<_> = axes.iter().map(|a| (strides[*a], (0..shape[*a]).collect())).collect();
    select(&lists)
}

/// Transpose.
pub(super) fn import_transpose(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let input = builder.only_operand(node)?;
    let from = builder.shape(input).to_vec();
    let axes = match node.ints("perm") {
        None => (0..from.len()).rev().collect(),
        Some(perm) => {
            let axes = perm.iter().map(|a| node.axis(*a, from.len())).collect::<Result<Vec<_>, _>>()?;
            if node.axes(&perm, from.len())?.len() != from.len() {
                return Err(node.attribute(format!("perm {perm:?} of the shape {from:?}")));
            }
            axes
        }
    };
    let shape = axes.iter().map(|a| from[*a]).collect();
    let id = builder.emit_index(node, vec![input], shape, || permute(&from, &axes))?;
    builder.give(node, id)
}

/// Concat.
pub(super) fn import_concat(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let inputs = builder.all_operands(node)?;
    let mut shape = builder.shape(inputs[0]).to_vec();
    let Some(axis) = node.find("axis") else {
        return Err(node.attribute("has no axis; export the model again".into()));
    };
    let axis = node.axis(axis.i(), shape.len())?;
    for id in &inputs[1..] {
        let other = builder.shape(*id);
        let fits = other.len() == shape.len()
            && shape.iter().zip(other).enumerate().all(|(a, (s, o))| a == axis || s == o);
        if !fits {
            return Err(node.shapes(shape, other.to_vec(), "all but the axis must be equal"));
        }
        shape[axis] = shape[axis].saturating_add(other[axis]);
    }
    // Runs of consecutive elements that each operand gives before the next one's turn.
    let runs: Vec<usize> = inputs.iter().map(|id| builder.shape(*id)[axis..].iter().product()).collect();
    let outer: usize = shape[..axis].iter().product();
    let id = builder.emit_index(node, inputs, shape, || concat(outer, &runs))?;
    builder.give(node, id)
}

fn concat(outer: usize, runs: &[usize]) -> Vec<u32> {
    let mut indices = Vec::with_capacity(outer * runs.iter().sum::<usize>());
    for row in 0..outer {
        let mut start = 0;
        for run in runs {
            let first = start + row * run;
            indices.extend((first..first + run).map(|i| i as u32));
            start += outer * run;
        }
    }
    indices
}

/// Expand: broadcasts to a shape given as integers.
pub(super) fn import_expand(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let [input, to] = builder.two_operands(node)?;
    let from = builder.shape(input).to_vec();
    let to = sizes(node, builder.ints(node, to)?)?;
    let shape = broadcast(&from, &to)
        .ok_or_else(|| node.shapes(from.clone(), to, "dimensions must be equal or 1"))?;
    let id = expand(builder, node, input, shape)?;
    builder.give(node, id)
}

/// `input` repeated by broadcasting to `shape`, itself if it has that shape.
pub(super) fn expand(
    builder: &mut Builder<'_>,
    node: &OpenNode<'_>,
    input: ValueId,
    shape: Vec<usize>,
) -> Result<ValueId, Fault> {
    let from = builder.shape(input).to_vec();
    if from == shape {
        return Ok(input);
    }
    let to = shape.clone();
    let build = || broadcast_indices(&from, &to).into_iter().map(|i| i as u32).collect();
    builder.emit_index(node, vec![input], shape, build)
}

/// Integers as sizes.
pub(super) fn sizes(node: &OpenNode<'_>, sizes: &[i64]) -> Result<Vec<usize>, Fault> {
    let size = |s: &i64| {
        usize::try_from(*s).map_err(|_| node.attribute(format!("has the negative size {s}; export it again")))
    };
    sizes.iter().map(size).collect()
}

/// Tile.
pub(super) fn import_tile(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let [input, repeats] = builder.two_operands(node)?;
    let from = builder.shape(input).to_vec();
    let repeats = sizes(node, builder.ints(node, repeats)?)?;
    if repeats.len() != from.len() {
        return Err(node.shapes(from, repeats, "one number of repeats is needed for each dimension"));
    }
    let shape: Vec<usize> = from.iter().zip(&repeats).map(|(d, r)| d.saturating_mul(*r)).collect();
    let lists = || {
        let axes = from.iter().zip(strides(&from)).zip(&repeats);
        let lists: Vec<_> =
            axes.map(|((d, stride), r)| (stride, (0..*r).flat_map(|_| 0..*d).collect())).collect();
        select(&lists)
    };
    let id = builder.emit_index(node, vec![input], shape, lists)?;
    builder.give(node, id)
}

/// Where, of a constant condition.
pub(super) fn import_where(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    builder.at_most(node, 3)?;
    let [condition, yes, no] =
        [builder.operand(node, 0)?, builder.operand(node, 1)?, builder.operand(node, 2)?];
    if builder.constant(condition).is_none() {
        return Err(node.attribute(
            "chooses by a computed condition; write it with Relu, Min, Max or Clip before export".into(),
        ));
    }
    let shapes = [condition, yes, no].map(|id| builder.shape(id).to_vec());
    let rule = "aligned at the last, dimensions must be equal or 1";
    let both = broadcast(&shapes[1], &shapes[2])
        .ok_or_else(|| node.shapes(shapes[1].clone(), shapes[2].clone(), rule))?;
    let shape = broadcast(&shapes[0], &both).ok_or_else(|| node.shapes(shapes[0].clone(), both, rule))?;
    let second: usize = shapes[1].iter().product();
    let choices: Vec<bool> = builder.ints(node, condition)?.iter().map(|c| *c != 0).collect();
    let to = shape.clone();
    let build = || {
        let [condition, yes, no] = shapes.map(|s| broadcast_indices(&s, &to));
        let pick =
            |((c, y), n): ((usize, usize), usize)| if choices[c] { y as u32 } else { (second + n) as u32 };
        condition.into_iter().zip(yes).zip(no).map(pick).collect()
    };
    let id = builder.emit_index(node, vec![yes, no], shape, build)?;
    builder.give(node, id)
}

/// Gather along one axis, of constant positions.
pub(super) fn import_gather(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let [input, positions] = builder.two_operands(node)?;
    let from = builder.shape(input).to_vec();
    let axis = node.axis(node.int("axis", 0)?, from.len())?;
    let positions_shape = builder.shape(positions).to_vec();
    let positions = positions_in(node, builder.ints(node, positions)?, from[axis])?;
    let shape = [&from[..axis], &positions_shape, &from[axis + 1..]].concat();
    let id = builder.emit_index(node, vec![input], shape, || select_along(&from, axis, &positions))?;
    builder.give(node, id)
}

/// Positions along an axis of `size` elements, negative ones counted from its end.
fn positions_in(node: &OpenNode<'_>, positions: &[i64], size: usize) -> Result<Vec<usize>, Fault> {
    let position = |p: &i64| {
        let at = if *p < 0 { p.saturating_add(size as i64) } else { *p };
        let at = usize::try_from(at).ok().filter(|a| *a < size);
        at.ok_or_else(|| node.attribute(format!("takes element {p} of {size}; export the model again")))
    };
    positions.iter().map(position).collect()
}

/// GatherElements, of constant positions.
pub(super) fn import_gather_elements(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let [input, positions] = builder.two_operands(node)?;
    let from = builder.shape(input).to_vec();
    let axis = node.axis(node.int("axis", 0)?, from.len())?;
    let shape = builder.shape(positions).to_vec();
    let fits = shape.len() == from.len()
        && shape.iter().zip(&from).enumerate().all(|(a, (s, f))| a == axis || s <= f);
    if !fits {
        return Err(node.shapes(from, shape, "all but the axis must reach no further"));
    }
    let positions = positions_in(node, builder.ints(node, positions)?, from[axis])?;
    let to = shape.clone();
    let build = || {
        let strides = strides(&from);
        let others: Vec<_> = (0..to.len())
            .map(|a| if a == axis { (0, vec![0; to[a]]) } else { (strides[a], (0..to[a]).collect()) })
            .collect();
        select(&others).into_iter().zip(positions).map(|(i, p)| i + (p * strides[axis]) as u32).collect()
    };
    let id = builder.emit_index(node, vec![input], shape, build)?;
    builder.give(node, id)
}

/// DepthToSpace and SpaceToDepth: blocks of channels to blocks of places and back.
pub(super) fn import_depth_to_space(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let input = builder.only_operand(node)?;
    let from = builder.shape(input).to_vec();
    let block = usize::try_from(node.int("blocksize", 0)?).ok().filter(|b| (1..=1 << 15).contains(b));
    let block = block.ok_or_else(|| node.attribute("blocksize must be positive".into()))?;
    let &[n, c, h, w] = from.as_slice() else {
        return Err(node.shapes(from, vec![], "the operand must be [N, C, H, W]"));
    };
    let b = block;
    let refuse = || node.attribute(format!("blocksize {b} does not divide the shape {from:?}"));
    let (split, axes, shape) = if node.operator == "SpaceToDepth" {
        if !h.is_multiple_of(b) || !w.is_multiple_of(b) {
            return Err(refuse());
        }
        (vec![n, c, h / b, b, w / b, b], [0, 3, 5, 1, 2, 4], vec![n, b * b * c, h / b, w / b])
    } else {
        if !c.is_multiple_of(b * b) {
            return Err(refuse());
        }
        let shape = vec![n, c / (b * b), h * b, w * b];
        match node.word("mode", "DCR")? {
            "DCR" => (vec![n, b, b, c / (b * b), h, w], [0, 3, 4, 1, 5, 2], shape),
            "CRD" => (vec![n, c / (b * b), b, b, h, w], [0, 1, 4, 2, 5, 3], shape),
            _ => return Err(node.attribute("mode is neither DCR nor CRD".into())),
        }
    };
    let id = builder.emit_index(node, vec![input], shape, || permute(&split, &axes))?;
    builder.give(node, id)
}

/// Trilu: the upper or lower triangle of the last two dimensions, zeros elsewhere.
pub(super) fn import_trilu(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    builder.at_most(node, 2)?;
    let input = builder.operand(node, 0)?;
    let shape = builder.shape(input).to_vec();
    let diagonal = builder.optional(node, 1)?.map_or(Ok(0), |id| builder.int(node, id))?;
    let upper = node.int("upper", 1)? != 0;
    let &[.., rows, cols] = shape.as_slice() else {
        return Err(node.shapes(shape, vec![], "the operand needs two dimensions"));
    };
    let zero = zero_like(builder, input);
    let build = |count: usize| {
        let kept = |i: &usize| {
            let (row, col) = (i / cols % rows, i % cols);
            let offset = i128::from(diagonal);
            let over = col as i128 - row as i128;
            if upper { over >= offset } else { over <= offset }
        };
        (0..count).map(|i| if kept(&i) { i as u32 } else { count as u32 }).collect()
    };
    let count = shape.iter().product();
    let id = builder.emit_index(node, vec![input, zero], shape, || build(count))?;
    builder.give(node, id)
}

/// A constant zero of the type of `like`.
pub(super) fn zero_like(builder: &mut Builder<'_>, like: ValueId) -> ValueId {
    let data = match builder.constant(like) {
        Some(TensorData::Int(_)) => TensorData::Int(vec![0]),
        _ => TensorData::Float(vec![0.0].into()),
    };
    builder.push_constant("zero", Tensor { shape: vec![], data })
}
