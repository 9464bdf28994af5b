//! The assignment of a satisfiable query: every declared variable with its type, shape and values.

use std::fmt;
use std::path::Path;

use certus::output;
use certus_engine::graph::onnx::{DataType, TensorProto};
use certus_engine::property::{Composition, Query, Tensor, Witness};
use serde::Serialize;

use super::Error;

/// Values of all variables, in the order of their declarations.
#[derive(Serialize)]
pub struct Assignment {
    variables: Vec<Variable>,
}

#[derive(Serialize)]
struct Variable {
    name: String,
    #[serde(rename = "type")]
    element: String,
    shape: Vec<usize>,
    /// Row-major.
    values: Vec<f32>,
}

impl Assignment {
    /// Reads the variables off a witness of the composed network.
    pub fn new(query: &Query, composition: &Composition, witness: &Witness) -> Self {
        let mut variables = Vec::new();
        let mut outputs = witness.output.as_slice();
        for (network, part) in query.networks.iter().zip(&composition.parts) {
            let own: Vec<f32> = part.inputs.iter().map(|i| witness.input[*i]).collect();
            let mut own = own.as_slice();
            variables.extend(network.inputs.iter().map(|t| take(t, &mut own)));
            // The network gives its outputs, then its hidden values; they are declared the other way round.
            let given: Vec<Variable> = network.outputs.iter().map(|t| take(t, &mut outputs)).collect();
            variables.extend(network.hidden.iter().map(|t| take(t, &mut outputs)));
            variables.extend(given);
        }
        Self { variables }
    }

    /// Writes one file `NAME.pb` per variable into `folder`: an ONNX tensor of `f32`.
    pub fn serialise(&self, folder: &Path) -> Result<(), Error> {
        std::fs::create_dir_all(folder)
            .map_err(|source| Error::Directory { path: folder.display().to_string(), source })?;
        for variable in &self.variables {
            let tensor = TensorProto {
                dims: variable.shape.iter().map(|d| *d as i64).collect(),
                data_type: Some(DataType::Float.number()),
                name: Some(variable.name.clone()),
                raw_data: Some(
                    variable.values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into(),
                ),
                ..TensorProto::default()
            };
            output::write_atomic(&folder.join(format!("{}.pb", variable.name)), &tensor.to_bytes())?;
        }
        Ok(())
    }
}

/// The next values as those of a tensor.
fn take(tensor: &Tensor, values: &mut &[f32]) -> Variable {
    let (own, rest) = values.split_at(tensor.len());
    *values = rest;
    Variable {
        name: tensor.name.clone(),
        element: tensor.type_name.clone(),
        shape: tensor.shape.clone(),
        values: own.to_vec(),
    }
}

/// As the standard prescribes: a line `name type [shape]`, then a line per element. Each value is the decimal that
/// reads as exactly that `f32`, also when read as `f64`.
impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for variable in &self.variables {
            let dims: Vec<String> = variable.shape.iter().map(usize::to_string).collect();
            writeln!(f, "{} {} [{}]", variable.name, variable.element, dims.join(","))?;
            for value in &variable.values {
                writeln!(f, "{}", f64::from(*value))?;
            }
        }
        Ok(())
    }
}
