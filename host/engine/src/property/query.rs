//! VNN-LIB 2.0 queries: networks declared with typed tensors, and assertions over the tensors' elements.
//!
//! A query asks for inputs at which all assertions hold. Read is the grammar of the standard
//! (repository VNNLIB/VNNLIB-Standard, versions 2.0 and 2.1); numbers may also have an exponent.

mod parse;
#[cfg(test)]
mod tests;

use super::Lowered;
use super::assemble::{Declarations, assemble};
use super::compose::Part;
use super::element::ElementType;
use super::error::{Position, Problem, PropertyError, Word};
use super::formula::{Atoms, Formula};
use super::linear::Variable;
use crate::graph;

pub use parse::{is_version2, parse_query};

/// `<major.minor>` of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Breaking changes.
    pub major: u32,
    /// Other changes.
    pub minor: u32,
}

/// A query that obeys the typing rules.
#[derive(Clone, Debug)]
pub struct Query {
    /// The version that the file states.
    pub version: Version,
    /// In the order of the file; at least one.
    pub networks: Vec<NetworkDeclaration>,
    /// The type of all elements.
    pub element: ElementType,
    atoms: Atoms,
    asserted: Vec<Formula>,
}

/// A declared network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkDeclaration {
    /// Its name.
    pub name: String,
    /// Where it is declared.
    pub at: Position,
    /// How it relates to an earlier one.
    pub equivalence: Option<Equivalence>,
    /// At least one.
    pub inputs: Vec<Tensor>,
    /// Values inside the network.
    pub hidden: Vec<Tensor>,
    /// At least one.
    pub outputs: Vec<Tensor>,
}

/// How a network relates to an earlier one, by its index among the declarations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Equivalence {
    /// The same model.
    EqualTo(usize),
    /// The same graph, with weights of its own.
    IsomorphicTo(usize),
}

/// A declared tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Type of its elements.
    pub element: ElementType,
    /// The type as the query spells it.
    pub type_name: String,
    /// Dimensions; empty for a scalar.
    pub shape: Vec<usize>,
    /// Where it is declared.
    pub at: Position,
    /// Name of the node's output in the ONNX file, for a hidden one.
    pub onnx: Option<String>,
    /// Whether an input takes the default value that the model has for it.
    pub is_initialized: bool,
}

impl Tensor {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no elements (never, once read).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How a query writes element `index` (row-major).
    pub fn element_name(&self, index: usize) -> String {
        if self.shape.is_empty() {
            return self.name.clone();
        }
        let mut rest = index;
        let mut indices: Vec<String> = Vec::with_capacity(self.shape.len());
        for size in self.shape.iter().rev() {
            indices.push((rest % size).to_string());
            rest /= size;
        }
        indices.reverse();
        format!("{}[{}]", self.name, indices.join(","))
    }

    /// `[2,3]`.
    pub fn shape_text(&self) -> String {
        let dims: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        format!("[{}]", dims.join(","))
    }
}

fn elements(tensors: &[Tensor]) -> usize {
    tensors.iter().map(Tensor::len).sum()
}

impl NetworkDeclaration {
    /// Checks that the model's input and output have the declared shapes; dimensions of 1 do not count.
    ///
    /// # Errors
    /// [`Problem::ModelShape`].
    pub fn check_model(&self, model: &graph::Network) -> Result<(), PropertyError> {
        check_shape(&self.inputs[0], model.input(), "input", model.file())?;
        check_shape(&self.outputs[0], model.output(), "output", model.file())
    }
}

impl NetworkDeclaration {
    /// The model's values that the hidden tensors name: a node's output, or the node itself.
    ///
    /// # Errors
    /// [`Problem::HiddenNode`] if there is none, [`Problem::ModelShape`].
    pub fn hidden_values(&self, model: &graph::Network) -> Result<Vec<graph::ValueId>, PropertyError> {
        let find = |tensor: &Tensor| {
            let name = tensor.onnx.as_deref().unwrap_or_default();
            let named = || model.nodes().iter().find(|n| n.name == name).map(|n| n.output);
            let id = model.computed(name).or_else(named).ok_or_else(|| {
                let file = model.file().to_owned();
                PropertyError::at(tensor.at, Problem::HiddenNode { name: Word::of(name), file })
            })?;
            check_shape(tensor, model.value(id), "hidden node", model.file())?;
            Ok(id)
        };
        self.hidden.iter().map(find).collect()
    }
}

/// The same sizes in the same order, those of 1 left out.
fn check_shape(
    tensor: &Tensor,
    value: &graph::Value,
    what: &'static str,
    file: &str,
) -> Result<(), PropertyError> {
    let squeezed = |shape: &[usize]| shape.iter().copied().filter(|d| *d != 1).collect::<Vec<_>>();
    if squeezed(&tensor.shape) == squeezed(&value.shape) {
        return Ok(());
    }
    let shapes = [format!("{:?}", tensor.shape), file.to_owned(), format!("{:?}", value.shape)];
    Err(PropertyError::at(tensor.at, Problem::ModelShape { what, shapes: Box::new(shapes) }))
}

impl Query {
    /// The declaration whose model a network uses: its own, or that of the one it equals.
    pub fn model_of(&self, network: usize) -> usize {
        match self.networks[network].equivalence {
            Some(Equivalence::EqualTo(other)) => other,
            _ => network,
        }
    }

    /// The query as a property of one composed network; part `i` is declaration `i`.
    ///
    /// # Errors
    /// [`PropertyError::Content`]: what is read and not supported, naming the declaration; an input without
    /// bounds; assertions that contradict each other ([`Problem::EmptyBox`], [`Problem::Impossible`]).
    pub fn lower(&self) -> Result<Lowered, PropertyError> {
        for network in &self.networks {
            network.check_supported()?;
        }
        let assembled = assemble(self, self.atoms.clone(), self.asserted.clone())?;
        let mut first = 0;
        let mut parts = Vec::with_capacity(self.networks.len());
        for (index, network) in self.networks.iter().enumerate() {
            let count = elements(&network.inputs);
            let inputs = assembled.aliases[first..first + count].to_vec();
            first += count;
            let outputs = elements(&network.outputs) + elements(&network.hidden);
            parts.push(Part { network: index, inputs, outputs });
        }
        Ok(assembled.composed(parts))
    }

    /// The tensor that holds a variable, and the variable's place in it.
    fn tensor_of(&self, variable: Variable) -> (&Tensor, usize) {
        let (index, is_input) = match variable {
            Variable::Input(i) => (i as usize, true),
            Variable::Output(i) => (i as usize, false),
        };
        let mut left = index;
        for network in &self.networks {
            let (first, second): (&[Tensor], &[Tensor]) =
                if is_input { (&network.inputs, &[]) } else { (&network.outputs, &network.hidden) };
            for tensor in first.iter().chain(second) {
                if left < tensor.len() {
                    return (tensor, left);
                }
                left -= tensor.len();
            }
        }
        unreachable!("variables are elements of tensors")
    }
}

impl NetworkDeclaration {
    /// What is read, but not lowered.
    fn check_supported(&self) -> Result<(), PropertyError> {
        if let Some(input) = self.inputs.iter().find(|t| t.is_initialized) {
            return Err(PropertyError::at(input.at, Problem::Initialized(Word::of(&input.name))));
        }
        let second = self.inputs.get(1).map(|t| (t, "input")).or(self.outputs.get(1).map(|t| (t, "output")));
        match second {
            Some((tensor, what)) => Err(PropertyError::at(
                tensor.at,
                Problem::SeveralTensors { what, name: Word::of(&tensor.name) },
            )),
            None => Ok(()),
        }
    }
}

impl Declarations for Query {
    fn inputs(&self) -> usize {
        self.networks.iter().map(|n| elements(&n.inputs)).sum()
    }

    fn outputs(&self) -> usize {
        self.networks.iter().map(|n| elements(&n.outputs) + elements(&n.hidden)).sum()
    }

    fn name(&self, variable: Variable) -> String {
        let (tensor, index) = self.tensor_of(variable);
        tensor.element_name(index)
    }

    fn position(&self, variable: Variable) -> Position {
        self.tensor_of(variable).0.at
    }

    fn is_strict(&self) -> bool {
        false
    }
}
