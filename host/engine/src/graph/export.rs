//! A program as an ONNX model: a plain chain of Gemm, Mul, Add and Relu nodes that any runtime reads.
//!
//! Every layer writes its bias or shift, zero or not, so that import finds the same layers again.

use std::path::Path;

use super::error::LoadError;
use super::onnx::{
    AttributeProto, DataType, DimProto, GraphProto, NodeProto, OnnxModel, OperatorSetId, ShapeProto,
    TensorProto, TensorType, TypeProto, ValueInfo,
};
use crate::chain::{Chain, OwnedAffine};
use crate::file;

/// Operator set of exported models; old enough for every runtime, new enough for every operator used.
const OPERATOR_SET: i64 = 13;
/// Container version that goes with it.
const IR_VERSION: i64 = 7;

/// Writes `program` as an ONNX model to `path`, all or nothing; [`super::load_chain`] reads it back equal.
///
/// # Errors
/// [`LoadError::File`].
pub fn write_onnx(chain: &Chain, path: &Path) -> Result<(), LoadError> {
    Ok(file::write_atomic(path, &to_onnx(chain).to_bytes())?)
}

/// `program` as an ONNX model with input `input` `[1, inputs]` and output `output` `[1, outputs]`.
pub fn to_onnx(chain: &Chain) -> OnnxModel {
    let mut graph = Exporter { graph: GraphProto::default(), current: "input".into() };
    for (index, layer) in chain.layers().iter().enumerate() {
        graph.affine(index, &layer.affine);
        if layer.relu {
            graph.node(index, "Relu", &[]);
        }
    }
    let mut graph = graph.graph;
    if let Some(last) = graph.node.last_mut() {
        last.output = vec!["output".into()];
    }
    graph.name = Some("certus".into());
    graph.input = vec![value("input", chain.inputs())];
    graph.output = vec![value("output", chain.outputs())];
    OnnxModel {
        ir_version: Some(IR_VERSION),
        producer_name: Some("certus".into()),
        doc_string: None,
        graph: Some(graph),
        opset_import: vec![OperatorSetId { domain: Some(String::new()), version: Some(OPERATOR_SET) }],
    }
}

struct Exporter {
    graph: GraphProto,
    /// Name of the value computed last.
    current: String,
}

impl Exporter {
    fn affine(&mut self, index: usize, affine: &OwnedAffine) {
        match affine.written_out().as_ref() {
            OwnedAffine::Sparse { .. } => unreachable!("its weights are written out"),
            OwnedAffine::Dense { rows, cols, weights, bias } => {
                let w = self.constant(index, "weight", &[*rows, *cols], weights);
                let b = self.constant(index, "bias", &[*rows], bias);
                self.node(index, "Gemm", &[w, b]).attribute = vec![AttributeProto {
                    name: Some("transB".into()),
                    i: Some(1),
                    kind: Some(2),
                    ..AttributeProto::default()
                }];
            }
            OwnedAffine::Scale { scale, shift } => {
                let s = self.constant(index, "scale", &[1, scale.len()], scale);
                self.node(index, "Mul", &[s]);
                let t = self.constant(index, "shift", &[1, shift.len()], shift);
                self.node(index, "Add", &[t]);
            }
        }
    }

    fn constant(&mut self, index: usize, what: &str, shape: &[usize], data: &[f32]) -> String {
        let name = format!("layer{index}.{what}");
        self.graph.initializer.push(TensorProto {
            dims: shape.iter().map(|d| *d as i64).collect(),
            data_type: Some(DataType::Float.number()),
            name: Some(name.clone()),
            raw_data: Some(data.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into()),
            ..TensorProto::default()
        });
        name
    }

    /// Appends a node that reads the current value, then `constants`.
    fn node(&mut self, index: usize, operator: &str, constants: &[String]) -> &mut NodeProto {
        let name = format!("layer{index}.{}", operator.to_lowercase());
        let mut input = vec![std::mem::replace(&mut self.current, name.clone())];
        input.extend_from_slice(constants);
        self.graph.node.push(NodeProto {
            input,
            output: vec![name.clone()],
            name: Some(name),
            op_type: Some(operator.into()),
            ..NodeProto::default()
        });
        self.graph.node.last_mut().expect("just pushed")
    }
}

fn value(name: &str, size: usize) -> ValueInfo {
    let dim = |size: usize| DimProto { dim_value: Some(size as i64), dim_param: None };
    let shape = ShapeProto { dim: vec![dim(1), dim(size)] };
    let tensor = TensorType { elem_type: Some(DataType::Float.number()), shape: Some(shape) };
    ValueInfo { name: Some(name.into()), kind: Some(TypeProto { tensor_type: Some(tensor) }) }
}
