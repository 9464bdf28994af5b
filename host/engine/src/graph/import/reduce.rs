//! Reductions along axes.

use super::super::error::Fault;
use super::super::ops::{Op, Reduce};
use super::Builder;
use super::node::OpenNode;

/// The Reduce… operators: axes are an attribute in older operator sets, then an operand.
pub(super) fn import_reduce(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    builder.at_most(node, 2)?;
    let kind = match node.operator {
        "ReduceSum" => Reduce::Sum,
        "ReduceMean" => Reduce::Mean,
        "ReduceMax" => Reduce::Max,
        "ReduceMin" => Reduce::Min,
        "ReduceProd" => Reduce::Prod,
        "ReduceL1" => Reduce::L1,
        "ReduceL2" => Reduce::L2,
        "ReduceSumSquare" => Reduce::SumSquare,
        "ReduceLogSum" => Reduce::LogSum,
        _ => Reduce::LogSumExp,
    };
    let input = builder.operand(node, 0)?;
    let from = builder.shape(input).to_vec();
    let named = builder.optional_ints(node, 1)?.or_else(|| node.ints("axes")).unwrap_or_default();
    let keep = node.int("keepdims", 1)? != 0;
    let axes = if !named.is_empty() {
        node.axes(&named, from.len())?
    } else if node.flag("noop_with_empty_axes")? {
        vec![]
    } else {
        (0..from.len()).collect()
    };
    let size = |(axis, d): (usize, &usize)| match axes.contains(&axis) {
        true if keep => Some(1),
        true => None,
        false => Some(*d),
    };
    let shape = from.iter().enumerate().filter_map(size).collect();
    builder.finish(node, Op::Reduce { kind, axes }, vec![input], shape)
}
