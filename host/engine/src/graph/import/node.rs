//! One node of the file while it is imported: its settings with their defaults, and refusals that name it.

use std::path::Path;

use super::super::error::{Fault, Name};
use super::super::onnx::{AttributeProto, NodeProto};
use super::super::tensor::{RANK_MAX, Tensor, TensorData};

/// A node's name for messages: its own, else its first output's.
pub(super) fn node_name(node: &NodeProto) -> Name {
    match (node.name(), node.output.first()) {
        ("", Some(output)) => Name(output.clone()),
        (name, _) => Name(name.to_string()),
    }
}

/// A node whose operator is known.
pub struct OpenNode<'a> {
    /// The node as parsed.
    pub proto: &'a NodeProto,
    /// Its name for messages.
    pub name: Name,
    /// Its operator.
    pub operator: &'static str,
    /// Version of the operator set.
    pub operator_set: i64,
}

impl OpenNode<'_> {
    pub fn attribute(&self, problem: String) -> Fault {
        Fault::Attribute { node: self.name.clone(), operator: self.operator, problem }
    }

    pub fn arity(&self, what: &'static str, expected: usize, found: usize) -> Fault {
        Fault::Arity { node: self.name.clone(), operator: self.operator, what, expected, found }
    }

    pub fn shapes(&self, left: Vec<usize>, right: Vec<usize>, rule: &'static str) -> Fault {
        Fault::Shapes { node: self.name.clone(), operator: self.operator, left, right, rule }
    }

    /// Name of output `index`, for values and messages.
    pub fn value_name(&self, index: usize) -> &str {
        self.proto.output.get(index).map_or("", String::as_str)
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

    /// A setting that is one of several words.
    pub fn word(&self, name: &str, default: &'static str) -> Result<&str, Fault> {
        match self.find(name) {
            None => Ok(default),
            Some(a) => std::str::from_utf8(a.s.as_deref().unwrap_or_default())
                .map_err(|_| self.attribute(format!("attribute `{name}` is no text"))),
        }
    }

    /// Refuses a setting other than its default.
    pub fn refuse_flag(&self, name: &str, way_out: &str) -> Result<(), Fault> {
        if self.flag(name)? { Err(self.attribute(format!("`{name}` is set; {way_out}"))) } else { Ok(()) }
    }

    /// `axis` counted from the front of `rank` dimensions.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize, Fault> {
        let at = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
        let at = usize::try_from(at).ok().filter(|a| *a < rank);
        at.ok_or_else(|| self.attribute(format!("axis {axis} of a value with {rank} dimensions")))
    }

    /// `axes` counted from the front, ascending, none twice.
    pub fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>, Fault> {
        if axes.len() > RANK_MAX {
            return Err(self.attribute(format!("has {} axes", axes.len())));
        }
        let mut found = axes.iter().map(|a| self.axis(*a, rank)).collect::<Result<Vec<_>, _>>()?;
        found.sort_unstable();
        if found.windows(2).any(|w| w[0] == w[1]) {
            return Err(self.attribute(format!("names an axis twice in {axes:?}")));
        }
        Ok(found)
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
            return tensor(vec![], TensorData::Float(vec![self.float("value_float", 0.0)?].into()));
        }
        if self.find("value_int").is_some() {
            return tensor(vec![], TensorData::Int(vec![self.int("value_int", 0)?]));
        }
        if let Some(a) = self
            .find("value_floats")
            .filter(|a| !a.floats.is_empty() && a.floats.iter().all(|f| f.is_finite()))
        {
            return tensor(vec![a.floats.len()], TensorData::Float(a.floats.clone().into()));
        }
        if let Some(ints) = self.ints("value_ints") {
            return tensor(vec![ints.len()], TensorData::Int(ints));
        }
        Err(self.attribute("has no finite tensor or number as its value".into()))
    }
}
