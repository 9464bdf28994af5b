//! Trained networks as ONNX, of operators that every runtime has: Mul, Add, Conv, Relu, Flatten, Gemm.

use certus_engine::graph::onnx::{
    AttributeProto, DataType, DimProto, GraphProto, NodeProto, OnnxModel, OperatorSetId, ShapeProto,
    TensorProto, TensorType, TypeProto, ValueInfo,
};
use certus_learn::graph::Conv;
use certus_learn::model::{Model, Shaped};

use super::network::Normalise;

/// Old enough for every runtime, new enough for every operator used.
const OPERATOR_SET: i64 = 13;
/// Container version that goes with it.
const IR_VERSION: i64 = 7;

/// The network as an ONNX model: input `input` `[1, shape]`, output `output` `[1, classes]`; `model` folded. `notice` is what the file says about
/// itself, such as the licence of what the network learned from.
///
/// # Panics
/// If `model` has batch normalisations ([`Model::folded`]).
pub fn to_onnx(model: &Model, normalise: Option<&Normalise>, notice: Option<&str>) -> OnnxModel {
    let mut writer =
        Writer { graph: GraphProto::default(), current: "input".into(), shape: model.input.clone() };
    if let Some(of) = normalise {
        let shape: Vec<usize> = [&[1], model.input.as_slice()].concat();
        let scale = writer.constant("normalise.scale", &shape, &of.scale);
        writer.node("normalise.scaled", "Mul", &[scale]);
        let shift = writer.constant("normalise.shift", &shape, &of.shift);
        writer.node("normalise.shifted", "Add", &[shift]);
    }
    for (at, layer) in model.layers.iter().enumerate() {
        writer.layer(model, at, layer);
    }
    let mut graph = writer.graph;
    if let Some(last) = graph.node.last_mut() {
        last.output = vec!["output".into()];
    }
    graph.name = Some("certus".into());
    graph.input = vec![value("input", &model.input)];
    graph.output = vec![value("output", &[model.classes])];
    OnnxModel {
        ir_version: Some(IR_VERSION),
        producer_name: Some("certus".into()),
        doc_string: notice.map(str::to_owned),
        graph: Some(graph),
        opset_import: vec![OperatorSetId { domain: Some(String::new()), version: Some(OPERATOR_SET) }],
    }
}

struct Writer {
    graph: GraphProto,
    /// Name of the value computed last.
    current: String,
    /// Its shape, without the batch.
    shape: Vec<usize>,
}

impl Writer {
    fn layer(&mut self, model: &Model, at: usize, layer: &Shaped) {
        let parameters = |first: usize| [&model.parameters[first], &model.parameters[first + 1]];
        let name = |what: &str| format!("{at}.{what}");
        match layer {
            Shaped::Relu => {
                self.node(&name("relu"), "Relu", &[]);
            }
            Shaped::Dense { size: [cols, rows], first } => {
                if self.shape.len() > 1 {
                    self.node(&name("flatten"), "Flatten", &[]).attribute = vec![integer("axis", 1)];
                }
                let [weight, bias] = parameters(*first);
                let w = self.constant(&name("weight"), &[*rows, *cols], &weight.values);
                let b = self.constant(&name("bias"), &[*rows], &bias.values);
                self.node(&name("dense"), "Gemm", &[w, b]).attribute = vec![integer("transB", 1)];
                self.shape = vec![*rows];
            }
            Shaped::Conv { geometry, first } => {
                let [weight, bias] = parameters(*first);
                let w = self.constant(&name("weight"), &geometry.weights(), &weight.values);
                let b = self.constant(&name("bias"), &[geometry.channels[1]], &bias.values);
                self.node(&name("conv"), "Conv", &[w, b]).attribute = windows(geometry);
                self.shape = vec![geometry.channels[1], geometry.size_out[0], geometry.size_out[1]];
            }
            Shaped::BatchNorm { .. } => panic!("batch normalisations are folded before"),
        }
    }

    fn constant(&mut self, name: &str, shape: &[usize], data: &[f32]) -> String {
        self.graph.initializer.push(TensorProto {
            dims: shape.iter().map(|d| *d as i64).collect(),
            data_type: Some(DataType::Float.number()),
            name: Some(name.to_owned()),
            raw_data: Some(data.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into()),
            ..TensorProto::default()
        });
        name.to_owned()
    }

    /// Appends a node that reads the present value, then `constants`.
    fn node(&mut self, name: &str, operator: &str, constants: &[String]) -> &mut NodeProto {
        let mut input = vec![std::mem::replace(&mut self.current, name.to_owned())];
        input.extend_from_slice(constants);
        self.graph.node.push(NodeProto {
            input,
            output: vec![name.to_owned()],
            name: Some(name.to_owned()),
            op_type: Some(operator.into()),
            ..NodeProto::default()
        });
        self.graph.node.last_mut().expect("just pushed")
    }
}

fn integer(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: Some(name.into()), i: Some(i), kind: Some(2), ..AttributeProto::default() }
}

fn integers(name: &str, ints: &[usize]) -> AttributeProto {
    let ints = ints.iter().map(|i| *i as i64).collect();
    AttributeProto { name: Some(name.into()), ints, kind: Some(7), ..AttributeProto::default() }
}

/// The attributes of a convolution. Zeros behind are as many as its size asks for, which may be fewer than before.
fn windows(g: &Conv) -> Vec<AttributeProto> {
    let behind = |axis: usize| {
        ((g.size_out[axis] - 1) * g.stride[axis] + g.kernel[axis])
            .saturating_sub(g.size_in[axis] + g.pad[axis])
    };
    vec![
        integers("kernel_shape", &g.kernel),
        integers("strides", &g.stride),
        integers("pads", &[g.pad[0], g.pad[1], behind(0), behind(1)]),
        integer("group", g.groups as i64),
    ]
}

fn value(name: &str, shape: &[usize]) -> ValueInfo {
    let dim = |size: &usize| DimProto { dim_value: Some(*size as i64), dim_param: None };
    let shape = ShapeProto { dim: [1].iter().chain(shape).map(dim).collect() };
    let tensor = TensorType { elem_type: Some(DataType::Float.number()), shape: Some(shape) };
    ValueInfo { name: Some(name.into()), kind: Some(TypeProto { tensor_type: Some(tensor) }) }
}
