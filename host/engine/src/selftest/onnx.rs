//! The networks of the self-test as ONNX files.

use super::network::{Network, Op, Window};
use crate::graph::onnx::{
    AttributeProto, DataType, DimProto, GraphProto, NodeProto, OnnxModel, OperatorSetId, ShapeProto,
    TensorProto, TensorType, TypeProto, ValueInfo,
};

/// Operator set of the files.
const OPERATOR_SET: i64 = 13;
/// Container version that goes with it.
const IR_VERSION: i64 = 7;

/// The network as the bytes of an ONNX file with input `x` `[1, shape…]` and output `y`.
pub fn onnx_bytes(network: &Network) -> Vec<u8> {
    let shapes = network.shapes();
    let mut writer = Writer { graph: GraphProto { name: Some("selftest".into()), ..GraphProto::default() } };
    for (k, node) in network.nodes.iter().enumerate() {
        let inputs: Vec<String> = node.inputs.iter().map(|v| name(*v)).collect();
        writer.node(&node.op, &inputs, &name(k + 1), &shapes[node.inputs[0]]);
    }
    let mut graph = writer.graph;
    graph.input = vec![value(&name(0), &shapes[0])];
    graph.output = vec![value(&name(network.nodes.len()), shapes.last().expect("at least the input"))];
    let model = OnnxModel {
        ir_version: Some(IR_VERSION),
        producer_name: Some("certus selftest".into()),
        doc_string: None,
        graph: Some(graph),
        opset_import: vec![OperatorSetId { domain: Some(String::new()), version: Some(OPERATOR_SET) }],
    };
    model.to_bytes()
}

fn name(value: usize) -> String {
    format!("v{value}")
}

fn value(name: &str, shape: &[usize]) -> ValueInfo {
    let dims = [1].iter().chain(shape);
    let dim = dims.map(|d| DimProto { dim_value: Some(*d as i64), dim_param: None }).collect();
    let tensor = TensorType { elem_type: Some(DataType::Float.number()), shape: Some(ShapeProto { dim }) };
    ValueInfo { name: Some(name.into()), kind: Some(TypeProto { tensor_type: Some(tensor) }) }
}

struct Writer {
    graph: GraphProto,
}

impl Writer {
    fn node(&mut self, op: &Op, inputs: &[String], output: &str, x: &[usize]) {
        match op {
            Op::Dense { weights, bias, factors, matmul } => {
                self.dense(weights, bias, *factors, *matmul, inputs, output);
            }
            Op::Conv { weights, bias, window, groups } => {
                let mut shape = vec![bias.len(), x[0] / groups];
                shape.extend(&window.kernel);
                let w = self.constant(output, "w", &shape, weights);
                let b = self.constant(output, "b", &[bias.len()], bias);
                let mut attributes = window.attributes();
                attributes.push(int("group", *groups as i64));
                self.push("Conv", &[inputs[0].clone(), w, b], output, attributes);
            }
            Op::BatchNorm { constants, epsilon } => {
                let mut operands = vec![inputs[0].clone()];
                for (what, data) in ["scale", "bias", "mean", "var"].iter().zip(constants) {
                    operands.push(self.constant(output, what, &[data.len()], data));
                }
                self.push("BatchNormalization", &operands, output, vec![float("epsilon", *epsilon)]);
            }
            Op::Relu => self.push("Relu", inputs, output, vec![]),
            Op::Leaky(slope) => self.push("LeakyRelu", inputs, output, vec![float("alpha", *slope)]),
            Op::Abs => self.push("Abs", inputs, output, vec![]),
            Op::Clip(lower, upper) => {
                let l = self.constant(output, "lower", &[], &[*lower]);
                let u = self.constant(output, "upper", &[], &[*upper]);
                self.push("Clip", &[inputs[0].clone(), l, u], output, vec![]);
            }
            Op::MaxPool(window) => self.push("MaxPool", inputs, output, window.attributes()),
            Op::AveragePool { window, include_pad } => {
                let mut attributes = window.attributes();
                attributes.push(int("count_include_pad", i64::from(*include_pad)));
                self.push("AveragePool", inputs, output, attributes);
            }
            Op::Mul(data) => {
                let c = self.constant(output, "factor", x, data);
                self.push("Mul", &[inputs[0].clone(), c], output, vec![]);
            }
            Op::Shift(data) => {
                let c = self.constant(output, "shift", x, data);
                self.push("Add", &[inputs[0].clone(), c], output, vec![]);
            }
            Op::Add => self.push("Add", inputs, output, vec![]),
            Op::Sub => self.push("Sub", inputs, output, vec![]),
            Op::Flatten => self.push("Flatten", inputs, output, vec![]),
        }
    }

    fn dense(
        &mut self,
        weights: &[f32],
        bias: &[f32],
        factors: [f32; 2],
        matmul: bool,
        inputs: &[String],
        output: &str,
    ) {
        let (rows, cols) = (bias.len(), weights.len() / bias.len());
        if !matmul {
            let w = self.constant(output, "w", &[rows, cols], weights);
            let b = self.constant(output, "b", &[rows], bias);
            let attributes = vec![int("transB", 1), float("alpha", factors[0]), float("beta", factors[1])];
            return self.push("Gemm", &[inputs[0].clone(), w, b], output, attributes);
        }
        let transposed: Vec<f32> =
            (0..cols).flat_map(|c| (0..rows).map(move |r| weights[r * cols + c])).collect();
        let w = self.constant(output, "w", &[cols, rows], &transposed);
        let b = self.constant(output, "b", &[rows], bias);
        let product = format!("{output}.product");
        self.push("MatMul", &[inputs[0].clone(), w], &product, vec![]);
        self.push("Add", &[product, b], output, vec![]);
    }

    fn constant(&mut self, output: &str, what: &str, shape: &[usize], data: &[f32]) -> String {
        let name = format!("{output}.{what}");
        self.graph.initializer.push(TensorProto {
            dims: shape.iter().map(|d| *d as i64).collect(),
            data_type: Some(DataType::Float.number()),
            name: Some(name.clone()),
            raw_data: Some(data.iter().flat_map(|v| v.to_le_bytes()).collect()),
            ..TensorProto::default()
        });
        name
    }

    fn push(&mut self, operator: &str, inputs: &[String], output: &str, attribute: Vec<AttributeProto>) {
        self.graph.node.push(NodeProto {
            input: inputs.to_vec(),
            output: vec![output.into()],
            name: Some(format!("{output}.{}", operator.to_lowercase())),
            op_type: Some(operator.into()),
            attribute,
            ..NodeProto::default()
        });
    }
}

impl Window {
    fn attributes(&self) -> Vec<AttributeProto> {
        vec![ints("kernel_shape", &self.kernel), ints("strides", &self.stride), ints("pads", &self.pad)]
    }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: Some(name.into()), i: Some(i), kind: Some(2), ..AttributeProto::default() }
}

fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: Some(name.into()), f: Some(f), kind: Some(1), ..AttributeProto::default() }
}

fn ints(name: &str, ints: &[usize]) -> AttributeProto {
    let ints = ints.iter().map(|i| *i as i64).collect();
    AttributeProto { name: Some(name.into()), ints, kind: Some(7), ..AttributeProto::default() }
}
