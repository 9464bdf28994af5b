//! The network as operators over named values: in topological order, every shape known.
//!
//! A value is a constant of the file, the input, or what a node gives. Shapes are ONNX's own, batch
//! dimension included. Operators mean what ONNX says they mean; nothing is folded or rounded here.

use std::sync::Arc;

use super::ops::Op;
use super::tensor::TensorData;

/// An imported network.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    pub(super) file: String,
    pub(super) values: Vec<Value>,
    pub(super) nodes: Vec<Node>,
    pub(super) input: ValueId,
    pub(super) output: ValueId,
}

/// Index of a value of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueId(pub(super) usize);

/// A named value.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Its name in the file.
    pub name: String,
    /// Dimensions; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its elements if it is a constant, row-major.
    pub constant: Option<Arc<TensorData>>,
}

impl Value {
    /// Elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no elements (only constants that no node reads).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers of a constant.
    pub fn floats(&self) -> Option<&[f32]> {
        match self.constant.as_deref() {
            Some(TensorData::Float(v)) => Some(v),
            _ => None,
        }
    }

    /// The integers of a constant.
    pub fn ints(&self) -> Option<&[i64]> {
        match self.constant.as_deref() {
            Some(TensorData::Int(v)) => Some(v),
            _ => None,
        }
    }
}

/// An operator with the values it reads and the one it gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name in the file; that of its output if it has none.
    pub name: String,
    /// Its operator in the file, for messages.
    pub operator: &'static str,
    /// What it computes.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<ValueId>,
    /// What it gives.
    pub output: ValueId,
}

impl Network {
    /// The file it was read from, for messages.
    pub fn file(&self) -> &str {
        &self.file
    }
    /// Nodes; each reads only constants, the input, and what earlier nodes give.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
    /// The value with this index.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }
    /// Whether both are the same operators over the same values; constants may differ.
    pub fn is_isomorphic_to(&self, other: &Self) -> bool {
        let shapes = |n: &Self| n.values.iter().map(|v| v.shape.clone()).collect::<Vec<_>>();
        let parts =
            |n: &Self| n.nodes.iter().map(|n| (n.op.clone(), n.inputs.clone(), n.output)).collect::<Vec<_>>();
        (self.input, self.output) == (other.input, other.output)
            && shapes(self) == shapes(other)
            && parts(self) == parts(other)
    }
    /// The value that a node computes under this name.
    pub fn computed(&self, name: &str) -> Option<ValueId> {
        self.nodes.iter().map(|n| n.output).find(|id| self.value(*id).name == name)
    }
    /// The input.
    pub fn input(&self) -> &Value {
        self.value(self.input)
    }
    /// The output.
    pub fn output(&self) -> &Value {
        self.value(self.output)
    }
    pub(super) fn output_id(&self) -> ValueId {
        self.output
    }
    pub(super) fn input_id(&self) -> ValueId {
        self.input
    }
}
