//! From a parsed model to the network: names resolved, nodes ordered, shapes inferred, refusals named.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::error::{Fault, Name};
use super::network::{Network, Node, Value, ValueId};
use super::onnx::{DataType, GraphProto, NodeProto, OnnxModel, TypeProto, ValueInfo, is_onnx_domain};
use super::ops::{self, Op};
use super::tensor::{RANK_MAX, Tensor, TensorData, checked_shape};

/// First version of the operator set in which the operators mean what they mean here (broadcasting).
const OPERATOR_SET_MIN: i64 = 7;

/// Builds the network of `model`; external tensors are looked for in `directory`, if there is one.
///
/// # Errors
/// [`Fault`], naming node or tensor.
pub fn import(model: OnnxModel, file: &str, directory: Option<&Path>) -> Result<Network, Fault> {
    let operator_set = model.operator_set();
    let graph = model.graph.ok_or(Fault::NoGraph)?;
    if operator_set < OPERATOR_SET_MIN {
        return Err(Fault::OperatorSet { found: operator_set });
    }
    let mut builder = Builder { values: Vec::new(), by_name: HashMap::new(), nodes: Vec::new(), directory };
    for tensor in &graph.initializer {
        let value = Tensor::read(tensor, directory)?;
        builder.add_constant(tensor.name(), value)?;
    }
    let input = builder.add_input(&graph)?;
    let output_name = single_output(&graph)?;
    for index in order(&graph, output_name, &builder.by_name)? {
        builder.add_node(&graph.node[index])?;
    }
    let output = builder.by_name[output_name];
    builder.check_dependence(input, output)?;
    let Builder { values, nodes, .. } = builder;
    Ok(Network { file: file.to_string(), values, nodes, input, output })
}

/// A node's name for messages: its own, else its first output's.
fn node_name(node: &NodeProto) -> Name {
    match (node.name(), node.output.first()) {
        ("", Some(output)) => Name(output.clone()),
        (name, _) => Name(name.to_string()),
    }
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

/// Indices of the nodes on which `output` depends, each after those it reads from.
///
/// Depth first with an explicit stack; a node met again before it is finished lies on a cycle.
fn order(graph: &GraphProto, output: &str, known: &HashMap<String, ValueId>) -> Result<Vec<usize>, Fault> {
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

struct Builder<'a> {
    values: Vec<Value>,
    by_name: HashMap<String, ValueId>,
    nodes: Vec<Node>,
    directory: Option<&'a Path>,
}

impl Builder<'_> {
    fn add_value(&mut self, value: Value) -> Result<ValueId, Fault> {
        let id = ValueId(self.values.len());
        if self.by_name.insert(value.name.clone(), id).is_some() {
            return Err(Fault::Duplicate { value: Name(value.name) });
        }
        self.values.push(value);
        Ok(id)
    }

    fn add_constant(&mut self, name: &str, tensor: Tensor) -> Result<ValueId, Fault> {
        let Tensor { shape, data } = tensor;
        self.add_value(Value { name: name.to_string(), shape, constant: Some(Arc::new(data)) })
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
        self.add_value(Value { name: name.0, shape, constant: None })
    }

    /// Whether the output is computed from the input at all.
    fn check_dependence(&self, input: ValueId, output: ValueId) -> Result<(), Fault> {
        // Constants are folded only by reshaping, so a node without the input upstream has none as operand.
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
        let reader = Reader { proto, name: node_name(proto) };
        if !is_onnx_domain(proto.domain()) {
            return Err(reader.unsupported(format!("{}.{}", proto.domain(), proto.op_type())));
        }
        let operator = ["Add", "Sub", "Mul", "Relu", "Gemm", "MatMul", "Identity"]
            .into_iter()
            .chain(["Constant", "Flatten", "Reshape", "Squeeze", "Unsqueeze"])
            .find(|o| *o == proto.op_type())
            .ok_or_else(|| reader.unsupported(proto.op_type().to_string()))?;
        let node = OpenNode { reader, operator };
        let output = node.single_output()?.to_string();
        match operator {
            "Constant" => {
                let tensor = node.constant(self.directory)?;
                self.add_constant(&output, tensor).map(drop)
            }
            "Add" | "Sub" | "Mul" | "MatMul" => self.add_binary(&node, output),
            "Gemm" => self.add_gemm(&node, output),
            "Relu" => {
                let [input] = self.operands(&node, "1")?;
                self.floats_only(&node, &[input])?;
                let shape = self.values[input.0].shape.clone();
                self.push(&node, Op::Relu, vec![input], output, shape)
            }
            _ => self.add_reshape(&node, output),
        }
    }

    /// Exactly `N` operands.
    fn operands<const N: usize>(
        &self,
        node: &OpenNode<'_>,
        expected: &'static str,
    ) -> Result<[ValueId; N], Fault> {
        let ids = self.some_operands(node);
        let found = ids.len();
        ids.try_into().map_err(|_| node.arity("inputs", expected, found))
    }

    /// The operands given, an optional last one left out.
    fn some_operands(&self, node: &OpenNode<'_>) -> Vec<ValueId> {
        let mut names = node.reader.proto.input.as_slice();
        while let [rest @ .., last] = names
            && last.is_empty()
        {
            names = rest;
        }
        // An operand left out in the middle has no value of its name, so the count comes out wrong.
        names.iter().filter_map(|n| self.by_name.get(n)).copied().collect()
    }

    fn floats_only(&self, node: &OpenNode<'_>, operands: &[ValueId]) -> Result<(), Fault> {
        let is_int =
            |id: &&ValueId| self.values[id.0].constant.is_some() && self.values[id.0].floats().is_none();
        match operands.iter().find(is_int) {
            None => Ok(()),
            Some(id) => {
                let name = Name(self.values[id.0].name.clone());
                Err(node.attribute(format!("reads integers from {name}; convert them to float")))
            }
        }
    }

    fn push(
        &mut self,
        node: &OpenNode<'_>,
        op: Op,
        inputs: Vec<ValueId>,
        output: String,
        shape: Vec<usize>,
    ) -> Result<(), Fault> {
        let wide: Vec<u64> = shape.iter().map(|d| *d as u64).collect();
        let shape = checked_shape(&Name(output.clone()), &wide)?;
        let output = self.add_value(Value { name: output, shape, constant: None })?;
        self.nodes.push(Node { name: node.reader.name.0.clone(), op, inputs, output });
        Ok(())
    }

    fn add_binary(&mut self, node: &OpenNode<'_>, output: String) -> Result<(), Fault> {
        let inputs: [ValueId; 2] = self.operands(node, "2")?;
        self.floats_only(node, &inputs)?;
        let [left, right] = inputs.map(|id| self.values[id.0].shape.clone());
        let (op, shape, rule) = match node.operator {
            "MatMul" => (
                Op::MatMul,
                ops::matmul(&left, &right).map(|s| s.output),
                "columns of the first must be rows of the second",
            ),
            other => {
                let op = match other {
                    "Add" => Op::Add,
                    "Sub" => Op::Sub,
                    _ => Op::Mul,
                };
                (op, ops::broadcast(&left, &right), "aligned at the last, dimensions must be equal or 1")
            }
        };
        let shape = shape.ok_or_else(|| node.shapes(left, right, rule))?;
        self.push(node, op, inputs.to_vec(), output, shape)
    }

    fn add_gemm(&mut self, node: &OpenNode<'_>, output: String) -> Result<(), Fault> {
        let inputs = self.some_operands(node);
        if !(2..=3).contains(&inputs.len()) {
            return Err(node.arity("inputs", "2 or 3", inputs.len()));
        }
        self.floats_only(node, &inputs)?;
        let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
        if node.flag("transA")? {
            return Err(node.attribute("transA is not supported; transpose the operand before export".into()));
        }
        let trans_b = node.flag("transB")?;
        let shape = |i: usize| self.values[inputs[i].0].shape.clone();
        let rule = "A is [M, K], B is [K, N] (or [N, K] with transB)";
        let (m, n) = match (shape(0).as_slice(), shape(1).as_slice()) {
            ([m, k], [n, l]) if trans_b && k == l => (*m, *n),
            ([m, k], [l, n]) if !trans_b && k == l => (*m, *n),
            (a, b) => return Err(node.shapes(a.to_vec(), b.to_vec(), rule)),
        };
        if inputs.len() == 3 && ops::broadcast(&shape(2), &[m, n]).as_deref() != Some(&[m, n]) {
            return Err(node.shapes(vec![m, n], shape(2), "C must broadcast to [M, N]"));
        }
        self.push(node, Op::Gemm { alpha, beta, trans_b }, inputs, output, vec![m, n])
    }

    /// Reshape, Flatten, Squeeze, Unsqueeze, Identity.
    fn add_reshape(&mut self, node: &OpenNode<'_>, output: String) -> Result<(), Fault> {
        let inputs = self.some_operands(node);
        let takes_second = matches!(node.operator, "Reshape" | "Squeeze" | "Unsqueeze");
        let expected = if takes_second { "1 or 2" } else { "1" };
        let (&data, second) = match inputs.as_slice() {
            [data] => (data, None),
            [data, second] if takes_second => (data, Some(*second)),
            _ => return Err(node.arity("inputs", expected, inputs.len())),
        };
        let numbers = match second {
            None => None,
            Some(id) => Some(self.integers(node, id)?),
        };
        let from = self.values[data.0].shape.clone();
        let shape = match node.operator {
            "Identity" => from,
            "Flatten" => flatten(node, &from)?,
            "Reshape" => reshape(node, &from, numbers.as_deref())?,
            other => squeeze(node, &from, numbers, other == "Unsqueeze")?,
        };
        match self.values[data.0].constant.clone() {
            Some(data) => self.add_value(Value { name: output, shape, constant: Some(data) }).map(drop),
            None => self.push(node, Op::Reshape, vec![data], output, shape),
        }
    }

    fn integers(&self, node: &OpenNode<'_>, id: ValueId) -> Result<Vec<i64>, Fault> {
        let value = &self.values[id.0];
        value.ints().map(<[i64]>::to_vec).ok_or_else(|| {
            node.attribute(format!(
                "{} must be constant integers; export with fixed shapes",
                Name(value.name.clone())
            ))
        })
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

fn flatten(node: &OpenNode<'_>, from: &[usize]) -> Result<Vec<usize>, Fault> {
    let axis = node.int("axis", 1)?;
    let rank = from.len();
    let at = usize::try_from(if axis < 0 { axis.saturating_add(rank as i64) } else { axis });
    match at {
        Ok(at) if at <= rank => Ok(vec![from[..at].iter().product(), from[at..].iter().product()]),
        _ => Err(node.attribute(format!("axis {axis} of the shape {from:?}"))),
    }
}

fn reshape(node: &OpenNode<'_>, from: &[usize], to: Option<&[i64]>) -> Result<Vec<usize>, Fault> {
    let to = to.ok_or_else(|| node.arity("inputs", "2", 1))?;
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

/// A node with its name for messages.
struct Reader<'a> {
    proto: &'a NodeProto,
    name: Name,
}

impl Reader<'_> {
    fn unsupported(&self, operator: String) -> Fault {
        Fault::Operator { node: self.name.clone(), operator: Name(operator), supported: ops::SUPPORTED }
    }
}

/// A node whose operator is known.
struct OpenNode<'a> {
    reader: Reader<'a>,
    operator: &'static str,
}

impl OpenNode<'_> {
    fn attribute(&self, problem: String) -> Fault {
        Fault::Attribute { node: self.reader.name.clone(), operator: self.operator, problem }
    }

    fn arity(&self, what: &'static str, expected: &'static str, found: usize) -> Fault {
        Fault::Arity { node: self.reader.name.clone(), operator: self.operator, what, expected, found }
    }

    fn shapes(&self, left: Vec<usize>, right: Vec<usize>, rule: &'static str) -> Fault {
        Fault::Shapes { node: self.reader.name.clone(), operator: self.operator, left, right, rule }
    }

    fn single_output(&self) -> Result<&str, Fault> {
        match self.reader.proto.output.as_slice() {
            [output] if !output.is_empty() => Ok(output),
            outputs => Err(self.arity("outputs", "1", outputs.len())),
        }
    }

    fn find(&self, name: &str) -> Option<&super::onnx::AttributeProto> {
        self.reader.proto.attribute.iter().find(|a| a.name() == name)
    }

    fn int(&self, name: &str, default: i64) -> Result<i64, Fault> {
        match self.find(name) {
            None => Ok(default),
            Some(a) => a.i.ok_or_else(|| self.attribute(format!("attribute `{name}` is no integer"))),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, Fault> {
        self.int(name, 0).map(|v| v != 0)
    }

    fn float(&self, name: &str, default: f32) -> Result<f32, Fault> {
        match self.find(name) {
            None => Ok(default),
            Some(a) => {
                a.f.filter(|f| f.is_finite())
                    .ok_or_else(|| self.attribute(format!("attribute `{name}` is no finite number")))
            }
        }
    }

    fn ints(&self, name: &str) -> Option<Vec<i64>> {
        self.find(name).map(|a| a.ints.clone())
    }

    /// The value of a `Constant` node.
    fn constant(&self, directory: Option<&Path>) -> Result<Tensor, Fault> {
        let tensor = |shape, data| Ok(Tensor { shape, data });
        if let Some(t) = self.find("value").and_then(|a| a.t.as_ref()) {
            let mut named = t.clone();
            named.name = Some(self.reader.name.0.clone());
            return Tensor::read(&named, directory);
        }
        if self.find("value_float").is_some() {
            return tensor(vec![], TensorData::Float(vec![self.float("value_float", 0.0)?]));
        }
        if self.find("value_int").is_some() {
            return tensor(vec![], TensorData::Int(vec![self.int("value_int", 0)?]));
        }
        if let Some(a) = self
            .find("value_floats")
            .filter(|a| !a.floats.is_empty() && a.floats.iter().all(|f| f.is_finite()))
        {
            return tensor(vec![a.floats.len()], TensorData::Float(a.floats.clone()));
        }
        if let Some(ints) = self.ints("value_ints") {
            return tensor(vec![ints.len()], TensorData::Int(ints));
        }
        Err(self.attribute("has no finite tensor or number as its value".into()))
    }
}
