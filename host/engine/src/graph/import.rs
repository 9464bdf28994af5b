//! From a parsed model to the network: names resolved, nodes ordered, shapes inferred, refusals named.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::error::{Fault, Name};
use super::network::{Network, Node, Value, ValueId};
use super::node::{OpenNode, node_name};
use super::onnx::{DataType, GraphProto, NodeProto, OnnxModel, TypeProto, ValueInfo, is_onnx_domain};
use super::ops::{self, Binary, Op, Unary};
use super::order::order;
use super::reshape::{flatten, reshape, squeeze};
use super::shapes;
use super::tensor::{Tensor, checked_shape};

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
        let name = node_name(proto);
        let unsupported = |operator: String| Fault::Operator {
            node: name.clone(),
            operator: Name(operator),
            supported: ops::SUPPORTED,
        };
        if !is_onnx_domain(proto.domain()) {
            return Err(unsupported(format!("{}.{}", proto.domain(), proto.op_type())));
        }
        let operator = ops::SUPPORTED
            .split(", ")
            .find(|o| *o == proto.op_type())
            .ok_or_else(|| unsupported(proto.op_type().to_string()))?;
        let node = OpenNode { proto, name: name.clone(), operator };
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
                self.push(&node, Op::Unary(Unary::Relu), vec![input], output, shape)
            }
            "Flatten" | "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" => self.add_reshape(&node, output),
            other => Err(unsupported(other.to_string())),
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
        let mut names = node.proto.input.as_slice();
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
        self.nodes.push(Node { name: node.name.0.clone(), operator: node.operator, op, inputs, output });
        Ok(())
    }

    fn add_binary(&mut self, node: &OpenNode<'_>, output: String) -> Result<(), Fault> {
        let inputs: [ValueId; 2] = self.operands(node, "2")?;
        self.floats_only(node, &inputs)?;
        let [left, right] = inputs.map(|id| self.values[id.0].shape.clone());
        let (op, shape, rule) = match node.operator {
            "MatMul" => (
                Op::MatMul,
                shapes::matmul(&left, &right).map(|s| s.output),
                "columns of the first must be rows of the second",
            ),
            other => {
                let op = match other {
                    "Add" => Op::Binary(Binary::Add),
                    "Sub" => Op::Binary(Binary::Sub),
                    _ => Op::Binary(Binary::Mul),
                };
                (op, shapes::broadcast(&left, &right), "aligned at the last, dimensions must be equal or 1")
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
        if inputs.len() == 3 && shapes::broadcast(&shape(2), &[m, n]).as_deref() != Some(&[m, n]) {
            return Err(node.shapes(vec![m, n], shape(2), "C must broadcast to [M, N]"));
        }
        self.push(node, Op::Gemm { alpha, beta, trans_a: false, trans_b }, inputs, output, vec![m, n])
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
