//! From a parsed model to the network: names resolved, nodes ordered, operators settled, refusals named.
//!
//! Each operator of ONNX is read by one function of [`operators`]'s table, which checks its settings and adds
//! the nodes that compute it. A node whose operands are all constant is computed here if every result is
//! exact (see [`fold`]); otherwise it stays a node over constants, so nothing is rounded on the way in.

mod constants;
mod elementwise;
mod fold;
mod linear;
mod moves;
mod node;
mod normalize;
mod operators;
mod order;
mod pool;
mod reduce;
mod reshape;
mod resize;
mod slice;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use self::fold::{Folded, Operand, fold};
use self::node::{OpenNode, node_name};
use self::order::order;
use super::error::{Fault, Name};
use super::floats::Few;
use super::network::{Network, Node, Value, ValueId};
use super::onnx::{DataType, GraphProto, NodeProto, OnnxModel, TypeProto, ValueInfo, is_onnx_domain};
use super::ops::Op;
use super::tensor::{Tensor, TensorData, checked_shape};

pub use self::operators::{OPERATORS, Operator};

/// First version of the operator set in which the operators mean what they mean here (broadcasting).
pub const OPERATOR_SET_MIN: i64 = 7;
/// Last version whose operators were compared with what is read here.
pub const OPERATOR_SET_MAX: i64 = 25;

/// Cap on the elements of all values that nodes give, and on the index lists that go with them.
const COMPUTED_MAX: usize = 1 << 26;

/// Builds the network of `model`; external tensors are looked for in `directory`, if there is one.
///
/// # Errors
/// [`Fault`], naming node or tensor.
pub fn import(model: OnnxModel, file: &str, directory: Option<&Path>) -> Result<Network, Fault> {
    import_with(model, HashMap::new(), file, directory)
}

/// As [`import`]; `few` has the raw data of initializers, by their index, that was kept by its few numbers.
///
/// # Errors
/// As [`import`].
pub fn import_with(
    model: OnnxModel,
    mut few: HashMap<usize, Few>,
    file: &str,
    directory: Option<&Path>,
) -> Result<Network, Fault> {
    let operator_set = model.operator_set();
    let mut graph = model.graph.ok_or(Fault::NoGraph)?;
    if !(OPERATOR_SET_MIN..=OPERATOR_SET_MAX).contains(&operator_set) {
        return Err(Fault::OperatorSet {
            found: operator_set,
            first: OPERATOR_SET_MIN,
            last: OPERATOR_SET_MAX,
        });
    }
    let mut builder = Builder {
        values: Vec::new(),
        by_name: HashMap::new(),
        nodes: Vec::new(),
        directory,
        operator_set,
        budget: COMPUTED_MAX,
    };
    // One tensor after the other, so that at most one is held twice.
    for (index, tensor) in std::mem::take(&mut graph.initializer).into_iter().enumerate() {
        let value = match few.remove(&index) {
            Some(few) => Tensor::read_few(tensor.clone(), few, directory)?,
            None => Tensor::read(&tensor, directory)?,
        };
        builder.add_constant(tensor.name(), value)?;
    }
    let input = builder.add_input(&graph)?;
    let output_name = single_output(&graph)?;
    for index in order(&graph, output_name, &builder.by_name)? {
        builder.add_node(&graph.node[index])?;
    }
    let output = builder.by_name.get(output_name).copied().ok_or_else(|| Fault::MissingValue {
        reader: "the graph's output".into(),
        value: output_name.into(),
    })?;
    builder.check_dependence(input, output)?;
    let Builder { values, nodes, .. } = builder;
    Ok(Network { file: file.to_string(), values, nodes, input, output })
}

fn listed(values: &[&ValueInfo]) -> String {
    const SHOWN: usize = 4;
    let mut names: Vec<String> =
        values.iter().take(SHOWN).map(|v| Name(v.name().into()).to_string()).collect();
    if values.len() > SHOWN {
        names.push("…".into());
    }
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

fn single_output(graph: &GraphProto) -> Result<&str, Fault> {
    match graph.output.as_slice() {
        [output] => Ok(output.name()),
        outputs => {
            let names = listed(&outputs.iter().collect::<Vec<_>>());
            Err(Fault::Outputs { count: outputs.len(), names })
        }
    }
}

/// The network under construction.
pub struct Builder<'a> {
    values: Vec<Value>,
    by_name: HashMap<String, ValueId>,
    nodes: Vec<Node>,
    directory: Option<&'a Path>,
    operator_set: i64,
    /// Elements that may still be computed or folded.
    budget: usize,
}

/// The names of the file.
impl Builder<'_> {
    fn bind(&mut self, name: &str, id: ValueId) -> Result<(), Fault> {
        match self.by_name.insert(name.to_string(), id) {
            Some(_) => Err(Fault::Duplicate { value: name.into() }),
            None => Ok(()),
        }
    }

    fn add_constant(&mut self, name: &str, tensor: Tensor) -> Result<(), Fault> {
        let id = self.push_constant(name, tensor);
        self.bind(name, id)
    }

    /// The one input that is no initializer.
    fn add_input(&mut self, graph: &GraphProto) -> Result<ValueId, Fault> {
        let free: Vec<&ValueInfo> =
            graph.input.iter().filter(|i| !self.by_name.contains_key(i.name())).collect();
        let [input] = free.as_slice() else {
            return Err(Fault::Inputs { count: free.len(), names: listed(&free) });
        };
        let name = Name(input.name().to_string());
        let shape = input_shape(&name, input.kind.as_ref())?;
        let id = self.push_value(Value { name: name.0, shape, constant: None });
        self.bind(input.name(), id)?;
        Ok(id)
    }

    /// Whether the output is computed from the input at all.
    fn check_dependence(&self, input: ValueId, output: ValueId) -> Result<(), Fault> {
        let mut depends = vec![false; self.values.len()];
        depends[input.0] = true;
        for node in &self.nodes {
            depends[node.output.0] = node.inputs.iter().any(|i| depends[i.0]);
        }
        if depends[output.0] {
            return Ok(());
        }
        let name = |id: ValueId| Name(self.values[id.0].name.clone());
        Err(Fault::ConstantOutput { output: name(output), input: name(input) })
    }

    fn add_node(&mut self, proto: &NodeProto) -> Result<(), Fault> {
        let name = node_name(proto);
        if !is_onnx_domain(proto.domain()) {
            let operator = Name(format!("{}.{}", proto.domain(), proto.op_type()));
            return Err(Fault::Operator { node: name, operator, way_out: operators::FOREIGN });
        }
        let operator = operators::find(proto.op_type()).map_err(|way_out| Fault::Operator {
            node: name.clone(),
            operator: proto.op_type().into(),
            way_out,
        })?;
        let node = OpenNode { proto, name, operator: operator.name, operator_set: self.operator_set };
        (operator.import)(self, &node)
    }
}

/// Operands of the node at hand.
impl Builder<'_> {
    /// Operand `index`, if it is given.
    fn optional(&self, node: &OpenNode<'_>, index: usize) -> Result<Option<ValueId>, Fault> {
        let Some(name) = node.proto.input.get(index).filter(|n| !n.is_empty()) else { return Ok(None) };
        match self.by_name.get(name) {
            Some(id) => Ok(Some(*id)),
            None => {
                let value = Name(name.clone());
                Err(node.attribute(format!(
                    "reads {value}, a second output of its node that is not supported; export without it"
                )))
            }
        }
    }

    /// Operand `index`, which must be given.
    fn operand(&self, node: &OpenNode<'_>, index: usize) -> Result<ValueId, Fault> {
        let given = node.proto.input.iter().filter(|n| !n.is_empty()).count();
        self.optional(node, index)?.ok_or_else(|| node.arity("inputs", index + 1, given))
    }

    /// The first operand, the only one allowed.
    fn only_operand(&self, node: &OpenNode<'_>) -> Result<ValueId, Fault> {
        self.at_most(node, 1)?;
        self.operand(node, 0)
    }

    /// Both operands of a node with two.
    fn two_operands(&self, node: &OpenNode<'_>) -> Result<[ValueId; 2], Fault> {
        self.at_most(node, 2)?;
        Ok([self.operand(node, 0)?, self.operand(node, 1)?])
    }

    /// Refuses a node with more operands.
    fn at_most(&self, node: &OpenNode<'_>, limit: usize) -> Result<(), Fault> {
        let given = node.proto.input.iter().rposition(|n| !n.is_empty()).map_or(0, |i| i + 1);
        if given > limit { Err(node.arity("inputs", limit, given)) } else { Ok(()) }
    }

    /// Every operand of a node with any number of them.
    fn all_operands(&self, node: &OpenNode<'_>) -> Result<Vec<ValueId>, Fault> {
        let ids = (0..node.proto.input.len().max(1)).map(|i| self.operand(node, i));
        ids.collect()
    }

    fn shape(&self, id: ValueId) -> &[usize] {
        &self.values[id.0].shape
    }

    fn constant(&self, id: ValueId) -> Option<&TensorData> {
        self.values[id.0].constant.as_deref()
    }

    /// The numbers of a constant operand.
    fn floats(&self, node: &OpenNode<'_>, id: ValueId) -> Result<&[f32], Fault> {
        let value = &self.values[id.0];
        value.floats().ok_or_else(|| {
            node.attribute(format!(
                "{} must be a constant number; export it as one",
                Name(value.name.clone())
            ))
        })
    }

    /// The integers of a constant operand.
    fn ints(&self, node: &OpenNode<'_>, id: ValueId) -> Result<&[i64], Fault> {
        let value = &self.values[id.0];
        value.ints().ok_or_else(|| {
            let name = Name(value.name.clone());
            node.attribute(format!("{name} must be constant integers; export with fixed shapes"))
        })
    }

    /// The integers of operand `index`, if it is given.
    fn optional_ints(&self, node: &OpenNode<'_>, index: usize) -> Result<Option<Vec<i64>>, Fault> {
        self.optional(node, index)?.map(|id| self.ints(node, id).map(<[i64]>::to_vec)).transpose()
    }

    /// The one integer of an operand.
    fn int(&self, node: &OpenNode<'_>, id: ValueId) -> Result<i64, Fault> {
        match self.ints(node, id)? {
            [value] => Ok(*value),
            other => Err(node.attribute(format!("has {} integers where one is needed", other.len()))),
        }
    }

    /// The one number of an operand.
    fn float(&self, node: &OpenNode<'_>, id: ValueId) -> Result<f32, Fault> {
        match self.floats(node, id)? {
            [value] => Ok(*value),
            other => Err(node.attribute(format!("has {} numbers where one is needed", other.len()))),
        }
    }
}

/// What the node at hand gives.
impl Builder<'_> {
    fn push_value(&mut self, value: Value) -> ValueId {
        self.values.push(value);
        ValueId(self.values.len() - 1)
    }

    fn push_constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let Tensor { shape, data } = tensor;
        self.push_value(Value { name: name.to_string(), shape, constant: Some(Arc::new(data)) })
    }

    /// Checks `shape` and takes its elements from the budget. Only constants may be empty.
    fn claim(&mut self, node: &OpenNode<'_>, shape: &[usize], constant: bool) -> Result<(), Fault> {
        // Of an empty constant the other dimensions are checked, so that products of them stay in range.
        let empty = constant && shape.contains(&0);
        let wide: Vec<u64> = shape.iter().filter(|d| !(empty && **d == 0)).map(|d| *d as u64).collect();
        let count: usize = checked_shape(&node.value_name(0).into(), &wide)?.iter().product();
        self.budget = self.budget.checked_sub(count).ok_or_else(|| {
            let problem = format!("brings all values to more than {COMPUTED_MAX} elements, the limit");
            node.attribute(problem)
        })?;
        Ok(())
    }

    fn are_constant(&self, inputs: &[ValueId]) -> bool {
        inputs.iter().all(|id| self.constant(*id).is_some())
    }

    /// Adds a node that computes `op` of `inputs`, or a constant if it can be computed exactly here.
    fn emit(
        &mut self,
        node: &OpenNode<'_>,
        op: Op,
        inputs: Vec<ValueId>,
        shape: Vec<usize>,
    ) -> Result<ValueId, Fault> {
        let constant = self.are_constant(&inputs);
        self.claim(node, &shape, constant)?;
        if constant {
            let operands: Vec<Operand<'_>> = inputs.iter().map(|id| self.constant_operand(*id)).collect();
            match fold(&op, &operands, &shape) {
                // Of an operand without elements less may come out than the shape says.
                Folded::Constant(data) if data.len() != shape.iter().product::<usize>() => {}
                Folded::Constant(data) => {
                    return Ok(self.push_constant(node.value_name(0), Tensor { shape, data }));
                }
                Folded::Refused(problem) => return Err(node.attribute(problem.into())),
                Folded::Kept => self.claim(node, &shape, false)?,
            }
        }
        if let Some(id) = inputs.iter().find(|id| self.values[id.0].is_empty()) {
            let name = Name(self.values[id.0].name.clone());
            return Err(
                node.attribute(format!("reads {name}, which has no elements; export the model again"))
            );
        }
        if let Some(id) = inputs.iter().find(|id| matches!(self.constant(**id), Some(TensorData::Int(_)))) {
            let name = Name(self.values[id.0].name.clone());
            return Err(node.attribute(format!("reads integers from {name}; convert them to float")));
        }
        let name = node.value_name(0).to_string();
        let output = self.push_value(Value { name, shape, constant: None });
        self.nodes.push(Node { name: node.name.0.clone(), operator: node.operator, op, inputs, output });
        Ok(output)
    }

    fn constant_operand(&self, id: ValueId) -> Operand<'_> {
        Operand { shape: self.shape(id), data: self.constant(id).expect("was asked to be constant") }
    }

    /// Adds a node that moves elements: `build` lists where each comes from, once the shape is checked.
    fn emit_index(
        &mut self,
        node: &OpenNode<'_>,
        inputs: Vec<ValueId>,
        shape: Vec<usize>,
        build: impl FnOnce() -> Vec<u32>,
    ) -> Result<ValueId, Fault> {
        self.claim(node, &shape, self.are_constant(&inputs))?;
        let total =
            inputs.iter().try_fold(0u32, |t, id| t.checked_add(u32::try_from(self.values[id.0].len()).ok()?));
        if total.is_none() {
            return Err(node.attribute("reads more than 2^32 elements; split the model".into()));
        }
        let indices = build();
        debug_assert_eq!(indices.len(), shape.iter().product::<usize>());
        self.emit(node, Op::Index { indices: indices.into() }, inputs, shape)
    }

    /// Names `id` as the node's only output.
    fn give(&mut self, node: &OpenNode<'_>, id: ValueId) -> Result<(), Fault> {
        if let [_, rest @ ..] = node.proto.output.as_slice()
            && rest.iter().any(|o| !o.is_empty())
        {
            return Err(node.arity("outputs", 1, node.proto.output.len()));
        }
        self.give_first(node, id)
    }

    /// Names `id` as the node's first output; reading another one is refused.
    fn give_first(&mut self, node: &OpenNode<'_>, id: ValueId) -> Result<(), Fault> {
        self.give_nth(node, 0, id)
    }

    fn give_nth(&mut self, node: &OpenNode<'_>, index: usize, id: ValueId) -> Result<(), Fault> {
        let given = node.proto.output.iter().filter(|o| !o.is_empty()).count();
        match node.proto.output.get(index) {
            Some(name) if !name.is_empty() => self.bind(name, id),
            _ => Err(node.arity("outputs", index + 1, given)),
        }
    }

    /// [`Self::emit`], then [`Self::give`].
    fn finish(
        &mut self,
        node: &OpenNode<'_>,
        op: Op,
        inputs: Vec<ValueId>,
        shape: Vec<usize>,
    ) -> Result<(), Fault> {
        let id = self.emit(node, op, inputs, shape)?;
        self.give(node, id)
    }

    /// Gives a constant computed from shapes and settings.
    fn finish_constant(&mut self, node: &OpenNode<'_>, tensor: Tensor) -> Result<(), Fault> {
        self.claim(node, &tensor.shape, true)?;
        let id = self.push_constant(node.value_name(0), tensor);
        self.give(node, id)
    }
}

/// Sizes of the input; the first dimension may be a symbol, which means batch 1.
fn input_shape(name: &Name, kind: Option<&TypeProto>) -> Result<Vec<usize>, Fault> {
    let refuse = |problem: String| Fault::InputShape { name: name.clone(), problem };
    let tensor = kind.and_then(|k| k.tensor_type.as_ref()).ok_or_else(|| refuse("is no tensor".into()))?;
    if tensor.elem_type() != DataType::Float.number() {
        return Err(refuse(format!("has element type {}, float (1) is needed", tensor.elem_type())));
    }
    let shape = tensor.shape.as_ref().ok_or_else(|| refuse("has no shape".into()))?;
    let size = |(axis, dim): (usize, &super::onnx::DimProto)| match dim.dim_value {
        Some(size) if size > 0 => Ok(size.unsigned_abs()),
        // Exporters write an open batch as a symbol, as nothing, as 0 or as −1.
        Some(0 | -1) | None if axis == 0 => Ok(1),
        Some(size) => Err(refuse(format!("dimension {axis} is {size}"))),
        None => Err(refuse(format!("dimension {axis} is open"))),
    };
    let sizes = shape.dim.iter().enumerate().map(size).collect::<Result<Vec<u64>, _>>()?;
    checked_shape(name, &sizes)
}
