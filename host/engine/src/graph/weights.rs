//! Weights from a safetensors file in the place of a model's own.
//!
//! The graph stays that of the ONNX file; every initializer that holds numbers, and every input of the graph
//! that the weights name, is taken from the file. Names must match one to one: a tensor without an
//! initializer or an initializer without a tensor would be another network than the one meant.

use std::collections::HashSet;

use safetensors::{Dtype, SafeTensors};

use super::error::{Fault, Name};
use super::onnx::{DataType, GraphProto, TensorProto};

/// Counters of training steps in a PyTorch state, which no network reads.
const COUNTER: &str = "num_batches_tracked";

/// Puts the tensors in `bytes`, a safetensors file called `file`, in the place of the initializers of `graph`.
///
/// # Errors
/// [`Fault::Weights`], naming the tensor.
pub(super) fn replace(graph: &mut GraphProto, bytes: &[u8], file: &str) -> Result<(), Fault> {
    let refuse = |problem: String| Fault::Weights { file: file.to_string(), problem };
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(|e| refuse(format!("is no safetensors file, or is cut short ({e}); write it again")))?;
    let mut names: HashSet<String> = tensors.names().into_iter().map(|n| n.to_string()).collect();
    for initializer in &mut graph.initializer {
        let name = initializer.name().to_string();
        if names.remove(&name) {
            let dims = initializer.dims.clone();
            *initializer = read(&tensors, &name, Some(&dims)).map_err(refuse)?;
        } else if holds_numbers(initializer) {
            let shape = &initializer.dims[..initializer.dims.len().min(16)];
            return Err(refuse(format!("holds no tensor {} {shape:?}, which the network needs", Name(name))));
        }
    }
    for input in &graph.input {
        if names.remove(input.name()) {
            let dims = input.kind.as_ref().and_then(|k| k.tensor_type.as_ref()?.shape.as_ref());
            let dims: Option<Vec<i64>> = dims.and_then(|s| s.dim.iter().map(|d| d.dim_value).collect());
            graph.initializer.push(read(&tensors, input.name(), dims.as_deref()).map_err(refuse)?);
        }
    }
    let unknown = names.iter().filter(|n| n.rsplit('.').next() != Some(COUNTER)).min();
    match unknown {
        None => Ok(()),
        Some(name) => Err(refuse(format!(
            "tensor {} is no initializer of the network; rename it as in the ONNX file, or leave it out",
            Name(name.clone())
        ))),
    }
}

fn holds_numbers(initializer: &TensorProto) -> bool {
    use DataType::{Bfloat16, Double, Float, Float16};
    let kind = DataType::from_number(initializer.data_type());
    matches!(kind, Some(Float | Double | Float16 | Bfloat16))
}

/// The tensor `name` as an initializer, its shape that of `dims`.
fn read(tensors: &SafeTensors<'_>, name: &str, dims: Option<&[i64]>) -> Result<TensorProto, String> {
    let shown = Name(name.to_string());
    let tensor = tensors.tensor(name).map_err(|e| format!("tensor {shown}: {e}"))?;
    let kind = match tensor.dtype() {
        Dtype::F32 => DataType::Float,
        Dtype::F64 => DataType::Double,
        Dtype::F16 => DataType::Float16,
        Dtype::BF16 => DataType::Bfloat16,
        Dtype::I64 => DataType::Int64,
        Dtype::I32 => DataType::Int32,
        other => return Err(format!("tensor {shown} has type {other:?}; F32 is needed")),
    };
    let own: Vec<i64> = tensor.shape().iter().filter_map(|d| i64::try_from(*d).ok()).collect();
    if let Some(dims) = dims.filter(|d| *d != own.as_slice()) {
        return Err(format!("tensor {shown} has shape {own:?}, the network needs {dims:?}"));
    }
    Ok(TensorProto {
        dims: own,
        data_type: Some(kind.number()),
        name: Some(name.to_string()),
        raw_data: Some(tensor.data().to_vec().into()),
        ..TensorProto::default()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use safetensors::tensor::TensorView;

    use super::super::onnx::{NodeProto, OnnxModel, OperatorSetId};
    use super::super::{parse_onnx_bytes, to_onnx};
    use super::*;
    use crate::chain::Chain;
    use crate::{OwnedAffine, OwnedLayer};

    /// `y = 2·x₀ + 3·x₁ + 1`, weights named `layer0.weight` `[1, 2]` and `layer0.bias` `[1]`.
    fn model() -> OnnxModel {
        let affine = OwnedAffine::Dense { rows: 1, cols: 2, weights: vec![2.0, 3.0], bias: vec![1.0] };
        to_onnx(&Chain::new(vec![OwnedLayer { affine, relu: false }]).unwrap())
    }

    fn file(tensors: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
        let data: Vec<Vec<u8>> =
            tensors.iter().map(|(_, _, v)| v.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
        let views: HashMap<&str, TensorView<'_>> = tensors
            .iter()
            .zip(&data)
            .map(|((name, shape, _), d)| (*name, TensorView::new(Dtype::F32, shape.to_vec(), d).unwrap()))
            .collect();
        safetensors::serialize(views, None).unwrap()
    }

    fn with(mut model: OnnxModel, bytes: &[u8]) -> Result<Vec<f64>, String> {
        replace(model.graph.as_mut().unwrap(), bytes, "w.safetensors").map_err(|e| e.to_string())?;
        let network = parse_onnx_bytes(&model.to_bytes(), "t").map_err(|e| e.to_string())?;
        Ok(network.eval(&[1.0f64, 1.0]))
    }

    const WEIGHT: (&str, &[usize], &[f32]) = ("layer0.weight", &[1, 2], &[10.0, 20.0]);
    const BIAS: (&str, &[usize], &[f32]) = ("layer0.bias", &[1], &[5.0]);

    #[test]
    fn weights_take_the_place_of_initializers_and_of_inputs_without_value() {
        let counter = ("bn.num_batches_tracked", [].as_slice(), [1.0].as_slice());
        let bytes = file(&[WEIGHT, BIAS, counter]);
        assert_eq!(with(model(), &bytes), Ok(vec![35.0]));
        // An export without weights lists them as inputs.
        let mut open = model();
        let graph = open.graph.as_mut().unwrap();
        let declared = graph.input[0].clone();
        for tensor in graph.initializer.drain(..) {
            let mut input = declared.clone();
            input.name = tensor.name;
            input.kind.as_mut().unwrap().tensor_type.as_mut().unwrap().shape = None;
            graph.input.push(input);
        }
        assert_eq!(with(open, &bytes), Ok(vec![35.0]));
    }

    #[test]
    fn missing_extra_misshapen_and_damaged_weights_are_refused_by_name() {
        let refused = |bytes: &[u8]| with(model(), bytes).unwrap_err();
        assert!(refused(&file(&[WEIGHT])).contains("w.safetensors: holds no tensor `layer0.bias` [1]"));
        let extra = file(&[WEIGHT, BIAS, ("head.weight", &[1], &[0.0])]);
        assert!(refused(&extra).contains("tensor `head.weight` is no initializer"));
        let turned = file(&[("layer0.weight", &[2, 1], &[1.0, 2.0]), BIAS]);
        assert!(refused(&turned).contains("has shape [2, 1], the network needs [1, 2]"));
        let good = file(&[WEIGHT, BIAS]);
        for n in 0..good.len() {
            assert!(refused(&good[..n]).contains("is no safetensors file"), "{n}");
        }
        let infinite = file(&[("layer0.weight", &[1, 2], &[f32::INFINITY, 0.0]), BIAS]);
        assert!(refused(&infinite).contains("element 0 is inf"));
    }

    #[test]
    fn integers_of_the_graph_stay() {
        let mut shaped = model();
        let graph = shaped.graph.as_mut().unwrap();
        graph.initializer.push(TensorProto {
            dims: vec![1],
            data_type: Some(DataType::Int64.number()),
            int64_data: vec![1],
            name: Some("shape".into()),
            ..TensorProto::default()
        });
        let last = graph.node.last_mut().unwrap();
        last.output = vec!["z".into()];
        graph.node.push(NodeProto {
            input: vec!["z".into(), "shape".into()],
            output: vec!["output".into()],
            op_type: Some("Reshape".into()),
            ..NodeProto::default()
        });
        shaped.opset_import = vec![OperatorSetId { domain: None, version: Some(13) }];
        assert_eq!(with(shaped, &file(&[WEIGHT, BIAS])), Ok(vec![35.0]));
    }
}
