//! Shapes that Flatten, Reshape, Squeeze and Unsqueeze give: the same elements, counted otherwise.

use super::super::error::Fault;
use super::super::ops::Op;
use super::super::tensor::RANK_MAX;
use super::Builder;
use super::node::OpenNode;

/// Flatten.
pub(super) fn import_flatten(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let input = builder.only_operand(node)?;
    let shape = flatten(node, builder.shape(input))?;
    builder.finish(node, Op::Reshape, vec![input], shape)
}

/// Reshape.
pub(super) fn import_reshape(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let [input, to] = builder.two_operands(node)?;
    let shape = reshape(node, builder.shape(input), builder.ints(node, to)?)?;
    builder.finish(node, Op::Reshape, vec![input], shape)
}

/// Squeeze and Unsqueeze.
pub(super) fn import_squeeze(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    builder.at_most(node, 2)?;
    let input = builder.operand(node, 0)?;
    let axes = builder.optional_ints(node, 1)?.or_else(|| node.ints("axes"));
    let shape = squeeze(node, builder.shape(input), axes, node.operator == "Unsqueeze")?;
    builder.finish(node, Op::Reshape, vec![input], shape)
}

/// Identity: another name for the same value.
pub(super) fn import_identity(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let input = builder.only_operand(node)?;
    builder.give(node, input)
}

/// Dropout: outside training another name for the same value.
pub(super) fn import_dropout(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    builder.at_most(node, 3)?;
    if let Some(training) = builder.optional(node, 2)?
        && builder.int(node, training)? != 0
    {
        return Err(node.attribute("is in training mode; export the model in evaluation mode".into()));
    }
    let input = builder.operand(node, 0)?;
    builder.give_first(node, input)
}

/// Dimensions before `axis` joined into one, the others into another.
fn flatten(node: &OpenNode<'_>, from: &[usize]) -> Result<Vec<usize>, Fault> {
    let axis = node.int("axis", 1)?;
    let rank = from.len();
    let at = usize::try_from(if axis < 0 { axis.saturating_add(rank as i64) } else { axis });
    match at {
        Ok(at) if at <= rank => Ok(vec![from[..at].iter().product(), from[at..].iter().product()]),
        _ => Err(node.attribute(format!("axis {axis} of the shape {from:?}"))),
    }
}

/// The shape asked for; 0 keeps a dimension, −1 takes what is left.
fn reshape(node: &OpenNode<'_>, from: &[usize], to: &[i64]) -> Result<Vec<usize>, Fault> {
    let refuse =
        || node.attribute(format!("cannot give {from:?} the shape {:?}", &to[..to.len().min(RANK_MAX)]));
    let keep_zero = node.flag("allowzero")?;
    let mut open = None;
    let mut shape = Vec::with_capacity(to.len().min(RANK_MAX));
    for (axis, size) in to.iter().enumerate() {
        shape.push(match size {
            0 if !keep_zero => *from.get(axis).ok_or_else(refuse)?,
            -1 if open.is_none() => {
                open = Some(axis);
                1
            }
            size => usize::try_from(*size).ok().filter(|s| *s > 0).ok_or_else(refuse)?,
        });
    }
    let total: usize = from.iter().product();
    let given = shape.iter().try_fold(1usize, |p, d| p.checked_mul(*d)).ok_or_else(refuse)?;
    match open {
        Some(axis) if total.is_multiple_of(given) => shape[axis] = total / given,
        None if total == given => {}
        _ => return Err(refuse()),
    }
    Ok(shape)
}

/// Removes (Squeeze) or adds (Unsqueeze) dimensions of size 1; axes are an input or, in older models, an
/// attribute.
fn squeeze(
    node: &OpenNode<'_>,
    from: &[usize],
    axes: Option<Vec<i64>>,
    add: bool,
) -> Result<Vec<usize>, Fault> {
    let axes = axes.or_else(|| node.ints("axes"));
    let Some(axes) = axes else {
        if add {
            return Err(node.attribute("has no axes; export the model again".into()));
        }
        return Ok(from.iter().copied().filter(|d| *d != 1).collect());
    };
    let refuse =
        || node.attribute(format!("axes {:?} of the shape {from:?}", &axes[..axes.len().min(RANK_MAX)]));
    if axes.len() > RANK_MAX {
        return Err(refuse());
    }
    let rank = from.len() + if add { axes.len() } else { 0 };
    let mut marked = vec![false; rank];
    for axis in &axes {
        let at = if *axis < 0 { axis.saturating_add(rank as i64) } else { *axis };
        let mark =
            usize::try_from(at).ok().and_then(|a| marked.get_mut(a)).filter(|m| !**m).ok_or_else(refuse)?;
        *mark = true;
    }
    if add {
        let mut old = from.iter().copied();
        return marked
            .iter()
            .map(|new| if *new { Some(1) } else { old.next() })
            .collect::<Option<_>>()
            .ok_or_else(refuse);
    }
    if from.iter().zip(&marked).any(|(d, m)| *m && *d != 1) {
        return Err(refuse());
    }
    Ok(from.iter().zip(&marked).filter(|(_, m)| !**m).map(|(d, _)| *d).collect())
}
