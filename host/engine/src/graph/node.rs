//! One node of the file while it is imported: its settings with their defaults, and refusals that name it.

use std::path::Path;

use super::error::{Fault, Name};
use super::onnx::{AttributeProto, NodeProto};
use super::tensor::{Tensor, TensorData};

/// A node's name for messages: its own, else its first output's.
pub(super) fn node_name(node: &NodeProto) -> Name {
    match (node.name(), node.output.first()) {
        ("", Some(output)) => Name(output.clone()),
        (name, _) => Name(name.to_string()),
    }
}

/// A node whose operator is known.
pub(super) struct OpenNode<'a> {
    /// The node as parsed.
    pub proto: &'a NodeProto,
    /// Its name for messages.
    pub name: Name,
    /// Its operator.
    pub operator: &'static str,
}

impl OpenNode<'_> {
    pub fn attribute(&self, problem: String) -> Fault {
        Fault::Attribute { node: self.name.clone(), operator: self.operator, problem }
    }

    pub fn arity(&self, what: &'static str, expected: &'static str, found: usize) -> Fault {
        Fault::Arity { node: self.name.clone(), operator: self.operator, what, expected, found }
    }

    pub fn shapes(&self, left: Vec<usize>, right: Vec<usize>, rule: &'static str) -> Fault {
        Fault::Shapes { node: self.name.clone(), operator: self.operator, left, right, rule }
    }

    pub fn single_output(&self) -> Result<&str, Fault> {
        match self.proto.output.as_slice() {
            [output] if !output.is_empty() => Ok(output),
            outputs => Err(self.arity("outputs", "1", outputs.len())),
        }
    }

    pub fn find(&self, name: &str) -> Option<&AttributeProto> {
        self.proto.attribute.iter().find(|a| a.name() == name)
    }

    pub fn int(&self, name: &str, default: i64) -> Result<i64, Fault> {
        match self.find(name) {
            None => Ok(default),
            Some(a) => a.i.ok_or_else(|| self.attribute(format!("attribute `{name}` is no integer"))),
        }
    }

    pub fn flag(&self, name: &str) -> Result<bool, Fault> {
        self.int(name, 0).map(|v| v != 0)
    }

    pub fn float(&self, name: &str, default: f32) -> Result<f32, Fault> {
        match self.find(name) {
            None => Ok(default),
            Some(a) => {
                a.f.filter(|f| f.is_finite())
                    .ok_or_else(|| self.attribute(format!("attribute `{name}` is no finite number")))
            }
        }
    }

    pub fn ints(&self, name: &str) -> Option<Vec<i64>> {
        self.find(name).map(|a| a.ints.clone())
    }

    /// The value of a `Constant` node.
    pub fn constant(&self, directory: Option<&Path>) -> Result<Tensor, Fault> {
        let tensor = |shape, data| Ok(Tensor { shape, data });
        if let Some(t) = self.find("value").and_then(|a| a.t.as_ref()) {
            let mut named = t.clone();
            named.name = Some(self.name.0.clone());
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
