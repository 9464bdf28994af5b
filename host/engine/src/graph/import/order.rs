//! The order of evaluation: every node after those it reads from, cycles and missing values refused.

use std::collections::HashMap;

use super::super::error::{Fault, Name};
use super::super::network::ValueId;
use super::super::onnx::GraphProto;
use super::node::node_name;

/// Indices of the nodes on which `output` depends, each after those it reads from.
///
/// Depth first with an explicit stack; a node met again before it is finished lies on a cycle.
pub(super) fn order(
    graph: &GraphProto,
    output: &str,
    known: &HashMap<String, ValueId>,
) -> Result<Vec<usize>, Fault> {
    let mut producer: HashMap<&str, usize> = HashMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        for value in node.output.iter().filter(|v| !v.is_empty()) {
            if known.contains_key(value) || producer.insert(value, index).is_some() {
                return Err(Fault::Duplicate { value: Name(value.clone()) });
            }
        }
    }
    let missing = |reader: String, value: &str| Fault::MissingValue { reader, value: value.into() };
    if known.contains_key(output) {
        return Ok(Vec::new());
    }
    let root = *producer.get(output).ok_or_else(|| missing("the graph's output".into(), output))?;

    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; graph.node.len()];
    let mut sorted = Vec::new();
    // Each entry: a node and how many of its inputs were looked at.
    let mut stack = vec![(root, 0)];
    marks[root] = Mark::Open;
    while let Some((index, next)) = stack.last_mut() {
        let node = &graph.node[*index];
        let Some(value) = node.input.get(*next) else {
            marks[*index] = Mark::Done;
            sorted.push(*index);
            stack.pop();
            continue;
        };
        *next += 1;
        if value.is_empty() || known.contains_key(value) {
            continue;
        }
        let Some(&from) = producer.get(value.as_str()) else {
            return Err(missing(format!("node {}", node_name(node)), value));
        };
        match marks[from] {
            Mark::Done => {}
            Mark::Open => return Err(Fault::Cycle { node: node_name(&graph.node[from]) }),
            Mark::New => {
                marks[from] = Mark::Open;
                stack.push((from, 0));
            }
        }
    }
    Ok(sorted)
}
