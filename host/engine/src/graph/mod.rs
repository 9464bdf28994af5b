//! Networks: ONNX import, the operator graph, reference evaluation, lowering to a [`crate::Program`].
//!
//! Stages are types: [`OnnxModel`] (parsed bytes) → [`Network`] (operators in topological order, shapes
//! known) → [`Program`] (five kinds of step) → [`Chain`], if it is a chain of layers. Constants pass through all of them unrounded.

mod error;
mod eval;
mod export;
mod floats;
mod import;
mod lower;
mod network;
pub mod onnx;
mod ops;
mod scan;
mod shapes;
mod stream;
mod tensor;
#[cfg(test)]
mod tests;
mod weights;
mod window;

use std::path::Path;

pub use error::{Fault, LoadError, Name};
pub use eval::Number;
pub use export::{to_onnx, write_onnx};
pub use floats::Floats;
pub use import::{OPERATOR_SET_MAX, OPERATOR_SET_MIN, OPERATORS, Operator};
pub use network::{Network, Node, Value, ValueId};
pub use onnx::OnnxModel;
pub use ops::{Binary, Op, Reduce, Unary};
pub use shapes::{MatMulShape, broadcast, broadcast_indices, matmul};
pub(crate) use tensor::are_finite;
pub use tensor::{ELEMENTS_MAX, TensorData};
pub use window::{PADDING, Window};

use crate::{Chain, Model, Program, file};

/// Cap on an ONNX file, unpacked, bytes (that of protobuf itself).
const LIMIT_BYTES: u64 = 1 << 31;

/// Reads the ONNX network at `path` (gzip accepted).
///
/// # Errors
/// [`LoadError`], naming file and node or tensor.
pub fn load_network(path: &Path) -> Result<Network, LoadError> {
    load_network_with(path, None)
}

/// Reads the ONNX network at `path` with the weights of the safetensors file at `weights`, if there is one,
/// in the place of its own.
///
/// # Errors
/// [`LoadError`], naming file and node or tensor.
pub fn load_network_with(path: &Path, weights: Option<&Path>) -> Result<Network, LoadError> {
    let name = path.display().to_string();
    let failed = |fault| LoadError::content(&name, fault);
    if weights.is_none()
        && let Some((model, few)) = stream::read(path, LIMIT_BYTES)
    {
        return import::import_with(model, few, &name, path.parent()).map_err(failed);
    }
    // Raw tensors stay in the bytes of the file: a large model is held twice, not thrice.
    let mut model = OnnxModel::parse_owned(file::read(path, LIMIT_BYTES)?).map_err(failed)?;
    if let (Some(weights), Some(graph)) = (weights, model.graph.as_mut()) {
        let bytes = file::read(weights, LIMIT_BYTES)?;
        weights::replace(graph, &bytes, &weights.display().to_string()).map_err(failed)?;
    }
    import::import(model, &name, path.parent()).map_err(failed)
}

/// Reads the ONNX network at `path` as a program.
///
/// # Errors
/// [`LoadError`], naming file and node or tensor.
pub fn load_program(path: &Path) -> Result<Program, LoadError> {
    load_network(path)?.lower()
}

/// Reads the ONNX network at `path`, its weights as [`load_network_with`], in the form that the verifier takes.
///
/// # Errors
/// [`LoadError`], naming file and node or tensor.
pub fn load_model(path: &Path, weights: Option<&Path>) -> Result<Model, LoadError> {
    load_network_with(path, weights)?.lower_to_model()
}

/// Reads the ONNX network at `path` as a chain of layers.
///
/// # Errors
/// [`LoadError`], naming file and node or tensor.
pub fn load_chain(path: &Path) -> Result<Chain, LoadError> {
    load_chain_with(path, None)
}

/// [`load_network_with`] as a chain of layers.
///
/// # Errors
/// [`LoadError`], naming file and node or tensor.
pub fn load_chain_with(path: &Path, weights: Option<&Path>) -> Result<Chain, LoadError> {
    load_network_with(path, weights)?.to_chain()
}

/// Reads a network from plain ONNX bytes; `name` stands for the file in messages. External tensors are
/// refused.
///
/// # Errors
/// [`LoadError::Content`].
pub fn parse_onnx_bytes(bytes: &[u8], name: &str) -> Result<Network, LoadError> {
    network_from_bytes(bytes, name, None)
}

fn network_from_bytes(bytes: &[u8], name: &str, directory: Option<&Path>) -> Result<Network, LoadError> {
    OnnxModel::parse(bytes)
        .and_then(|model| import::import(model, name, directory))
        .map_err(|fault| LoadError::content(name, fault))
}
