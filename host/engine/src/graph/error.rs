//! Why a network could not be loaded: the file, the node or tensor, the shapes, and the way out.

use std::fmt;

use crate::chain::ChainError;
use crate::file::FileError;
use crate::program::ProgramError;

/// Why a network could not be loaded, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file was read, its content is refused.
    #[error("{file}: {fault}")]
    Content {
        /// The file.
        file: String,
        /// What is wrong with it.
        fault: Box<Fault>,
    },
}

impl LoadError {
    pub(crate) fn content(file: &str, fault: Fault) -> Self {
        Self::Content { file: file.to_string(), fault: Box::new(fault) }
    }

    /// What is wrong with the content, if the file itself could be read.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Content { fault, .. } => Some(fault),
            Self::File(_) => None,
        }
    }
}

/// A name from a file, printed on one line and cut at 60 characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Name(pub String);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 60;
        write!(f, "`")?;
        for c in self.0.chars().take(SHOWN) {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        write!(f, "{}`", if self.0.chars().nth(SHOWN).is_some() { "…" } else { "" })
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self(name.to_string())
    }
}

/// What is wrong with the content of an ONNX file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Not protobuf, or cut short.
    #[error("is not an ONNX model, or is cut short ({reason}); fetch or export it again")]
    Protobuf {
        /// What the decoder says.
        reason: String,
    },
    /// More nodes, tensors and names than are read.
    #[error("has more than {limit} nodes, tensors and names, the limit; split the model")]
    TooManyParts {
        /// Cap.
        limit: usize,
    },
    /// A model without graph.
    #[error("holds no graph; fetch or export it again")]
    NoGraph,
    /// The operator set is too old or missing.
    #[error("uses operator set {found}; export it with an operator set from {first} to {last}")]
    OperatorSet {
        /// The version in the file; 0 if there is none.
        found: i64,
        /// First version that is read.
        first: i64,
        /// Last version that is read.
        last: i64,
    },
    /// Several inputs, or none.
    #[error("has {count} inputs ({names}); one is needed, so join or fix the others")]
    Inputs {
        /// How many.
        count: usize,
        /// The first few.
        names: String,
    },
    /// Several outputs, or none.
    #[error("has {count} outputs ({names}); one is needed, so join or drop the others")]
    Outputs {
        /// How many.
        count: usize,
        /// The first few.
        names: String,
    },
    /// An input or output without a usable shape.
    #[error("input {name}: {problem}; export it with a fixed shape and batch 1")]
    InputShape {
        /// The input.
        name: Name,
        /// What is wrong with its shape.
        problem: String,
    },
    /// An operator that is not read.
    #[error("node {node}: operator {operator} is not supported; {way_out}")]
    Operator {
        /// The node.
        node: Name,
        /// Its operator, with the domain if that is not ONNX's own.
        operator: Name,
        /// What to do instead.
        way_out: &'static str,
    },
    /// An operator with settings that are not read.
    #[error("node {node} ({operator}): {problem}")]
    Attribute {
        /// The node.
        node: Name,
        /// Its operator.
        operator: &'static str,
        /// What is wrong, and the way out.
        problem: String,
    },
    /// A node with too few or too many inputs or outputs.
    #[error("node {node} ({operator}): has {found} {what} where {expected} are needed")]
    Arity {
        /// The node.
        node: Name,
        /// Its operator.
        operator: &'static str,
        /// `inputs` or `outputs`.
        what: &'static str,
        /// How many are needed.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A node reads a value that nothing gives.
    #[error("{reader} reads {value}, which no node, input or initializer gives; export the model again")]
    MissingValue {
        /// The node (or the graph's output) that reads it.
        reader: String,
        /// The value.
        value: Name,
    },
    /// Two nodes, or a node and an initializer, give the same value.
    #[error("value {value} is given twice; export the model again")]
    Duplicate {
        /// The value.
        value: Name,
    },
    /// The graph has a cycle.
    #[error("node {node} depends on its own output: the graph is cyclic; export the model again")]
    Cycle {
        /// A node on the cycle.
        node: Name,
    },
    /// Shapes that do not go together.
    #[error("node {node} ({operator}): shapes {left:?} and {right:?} do not go together; {rule}")]
    Shapes {
        /// The node.
        node: Name,
        /// Its operator.
        operator: &'static str,
        /// Shape of the first operand.
        left: Vec<usize>,
        /// Shape of the second operand, or the shape asked for.
        right: Vec<usize>,
        /// What would.
        rule: &'static str,
    },
    /// A tensor or value is too large.
    #[error("{value}: shape {shape:?} has more than {limit} elements, the limit")]
    TooLarge {
        /// The value.
        value: Name,
        /// Its shape.
        shape: Vec<u64>,
        /// Cap on its elements.
        limit: usize,
    },
    /// A tensor that could not be read.
    #[error("tensor {tensor}: {problem}")]
    Tensor {
        /// The tensor.
        tensor: Name,
        /// What is wrong, and the way out.
        problem: String,
    },
    /// A constant is NaN or infinite.
    #[error("tensor {tensor}: element {index} is {value}; every constant must be finite")]
    NonFinite {
        /// The tensor.
        tensor: Name,
        /// Index of the element, row-major.
        index: usize,
        /// NaN or an infinity.
        value: f64,
    },
    /// A double that is no `f32`.
    #[error(
        "tensor {tensor}: element {index} is the double {value:?}, which f32 cannot hold; export the model in f32"
    )]
    Double {
        /// The tensor.
        tensor: Name,
        /// Index of the element, row-major.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// Data beside the model that could not be read.
    #[error("tensor {tensor}: external data {location}: {problem}")]
    External {
        /// The tensor.
        tensor: Name,
        /// Where the model says the data is.
        location: Name,
        /// What is wrong, and the way out.
        problem: String,
    },
    /// Weights that do not go with the network.
    #[error("weights {file}: {problem}")]
    Weights {
        /// The file.
        file: String,
        /// What is wrong, and the way out.
        problem: String,
    },
    /// The output does not depend on the input.
    #[error("output {output} does not depend on input {input}; export the model again")]
    ConstantOutput {
        /// The output.
        output: Name,
        /// The input.
        input: Name,
    },
    /// The graph is fine, but this node cannot be lowered.
    #[error("node {node} ({operator}): {problem}")]
    Lowering {
        /// The node.
        node: Name,
        /// Its operator.
        operator: &'static str,
        /// What a program cannot hold, and the way out.
        problem: String,
    },
    /// The lowered steps form no program.
    #[error("lowered network: {0}")]
    Program(#[from] ProgramError),
    /// The program is no chain of layers.
    #[error("lowered network: {0}")]
    Chain(#[from] ChainError),
}
