//! Why a property could not be read: file, line, and the way out.

use std::fmt;
use std::path::Path;

use super::element::ElementType;
use crate::file::FileError;

/// Why a property could not be read, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PropertyError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file was read, its content is refused.
    #[error("{place}{problem}")]
    Content {
        /// File and line, as far as known.
        place: Place,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// A place in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Byte of the line, from 1.
    pub column: usize,
}

/// File, line and column, each as far as known; prints as `file:line:column: `.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Option<String>,
    /// Line and column.
    pub position: Option<Position>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.position) {
            (Some(file), Some(Position { line, column })) => write!(f, "{file}:{line}:{column}: "),
            (Some(file), None) => write!(f, "{file}: "),
            (None, Some(Position { line, column })) => write!(f, "line {line}, column {column}: "),
            (None, None) => Ok(()),
        }
    }
}

impl PropertyError {
    pub(crate) fn at(position: Position, problem: Problem) -> Self {
        Self::Content { place: Place { file: None, position: Some(position) }, problem }
    }

    pub(crate) fn whole(problem: Problem) -> Self {
        Self::Content { place: Place::default(), problem }
    }

    /// The same error, said of the file at `path`.
    #[must_use]
    pub fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Content { mut place, problem } => {
                place.file = Some(path.display().to_string());
                Self::Content { place, problem }
            }
            file @ Self::File(_) => file,
        }
    }

    /// What is wrong with the content, if the file itself could be read.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Content { problem, .. } => Some(problem),
            Self::File(_) => None,
        }
    }
}

/// A word from a file, printed on one line and cut at 40 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word(String);

impl Word {
    pub(crate) fn of(text: &str) -> Self {
        const SHOWN: usize = 40;
        let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
        if text.chars().nth(SHOWN).is_some() {
            shown.push('…');
        }
        Self(shown)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

/// What is wrong with a property.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Not UTF-8.
    #[error("is not UTF-8 text; a VNN-LIB property is needed")]
    Text,
    /// Parentheses that do not match.
    #[error("parenthesis {0}")]
    Parenthesis(&'static str),
    /// A quote that is not closed.
    #[error("quote is not closed")]
    Quote,
    /// A bracket that is not closed.
    #[error("bracket is not closed; indices and shapes are written as [0,1]")]
    Bracket,
    /// One form too large.
    #[error("form has more than {limit} words; split it into several asserts")]
    FormTooLarge {
        /// Cap on its lists and words.
        limit: usize,
    },
    /// A command that is not read.
    #[error("command {0} is not supported; declare-const and assert are")]
    Command(Word),
    /// A command of the wrong form.
    #[error("{0} has the wrong form; write (declare-const X_0 Real) or (assert FORMULA)")]
    Shape(Word),
    /// A command of VNN-LIB 2.0 in a file that does not begin with its version.
    #[error("command of VNN-LIB 2.0; such a file begins with (vnnlib-version <2.0>)")]
    Version,
    /// A variable that is neither `X_i` nor `Y_i`.
    #[error("variable {0}: inputs are X_0, X_1, …, outputs Y_0, Y_1, …")]
    VariableName(Word),
    /// A variable of another sort.
    #[error("variable {0} must be of sort Real")]
    Sort(Word),
    /// A variable declared twice.
    #[error("variable {0} is declared twice")]
    DeclaredTwice(Word),
    /// A word that is no declared variable.
    #[error("{0} is not declared")]
    Undeclared(Word),
    /// A variable declared without those before it.
    #[error("{letter}_{index} is not declared, but a later one is")]
    Gap {
        /// `X` or `Y`.
        letter: &'static str,
        /// The missing index.
        index: u32,
    },
    /// No inputs or no outputs.
    #[error("declares no {letter}_0; a property speaks of inputs X_i and outputs Y_i")]
    NoVariables {
        /// `X` or `Y`.
        letter: &'static str,
    },
    /// A number that is NaN or infinite.
    #[error("{0} is no finite number")]
    NotFinite(Word),
    /// A number too large or too long.
    #[error("number out of range; magnitudes up to 1e308 with at most 1200 digits are read")]
    Range,
    /// An operator that is not read.
    #[error("operator {0} is not supported; and, or, <=, >=, <, >, =, +, -, * (in 2.0 also == and !=) are")]
    Operator(Word),
    /// An operator without operands, or a comparison with one.
    #[error("operator has too few operands")]
    NoOperand,
    /// Something else where a formula must stand.
    #[error("a formula such as (<= Y_0 Y_1) is needed here")]
    NotAFormula,
    /// A formula where a number must stand.
    #[error("a number or a sum of variables is needed here")]
    NotANumber,
    /// A product of variables.
    #[error("product of variables: only linear constraints are supported")]
    NonLinear,
    /// A comparison of more than two numbers.
    #[error("comparison takes two operands")]
    TwoOperands,
    /// Numbers of different element types in one expression.
    #[error("{left} and {right} in one expression: element types are not converted; declare both alike")]
    MixedTypes {
        /// One type.
        left: ElementType,
        /// The other.
        right: ElementType,
    },
    /// Arithmetic whose float32 result rounds.
    #[error(
        "arithmetic over float32 rounds, which is not modelled; compare elements as they are, or declare them real"
    )]
    RoundedArithmetic,
    /// A constraint over several inputs, or over inputs and outputs, where one over outputs is needed.
    #[error("constraint over several inputs, or over inputs and outputs together, cannot be used here")]
    Mixed,
    /// Coefficients that are no floats even when scaled.
    #[error("coefficients need more than 53 bits; use fewer digits")]
    Coefficient,
    /// Too many alternatives.
    #[error("and/or expand to too many alternatives (limit about one million); split the property")]
    Explosion,
    /// An input without a bound.
    #[error("input {input} has no {side} bound; add one")]
    Unbounded {
        /// The input.
        input: String,
        /// `lower` or `upper`.
        side: &'static str,
    },
    /// Bounds that exclude each other.
    #[error("input {input} has an empty interval: lower bound {lower}, upper bound {upper}")]
    EmptyBox {
        /// The input.
        input: Box<str>,
        /// Its lower bound, rounded.
        lower: Box<str>,
        /// Its upper bound, rounded.
        upper: Box<str>,
    },
    /// A violation that says nothing of the outputs.
    #[error("no constraint on the outputs: the violation would be any input; assert one over Y_i")]
    NoOutputConstraint,
    /// A violation that contradicts itself.
    #[error("the asserts contradict each other: no input and output can satisfy them")]
    Impossible,
    /// The network has another shape.
    #[error("the property speaks of {found} {what}, the network has {expected}")]
    Network {
        /// `inputs` or `outputs`.
        what: &'static str,
        /// Those of the network.
        expected: usize,
        /// Those of the property.
        found: usize,
    },
    /// No version of VNN-LIB 2.
    #[error("a VNN-LIB 2 query begins with its version, such as (vnnlib-version <2.0>)")]
    NoVersion,
    /// A version that is not read.
    #[error("version {0} is not supported; <2.0> and <2.1> are")]
    OtherVersion(Word),
    /// A declaration after an assertion.
    #[error("declare-network after an assert; move all networks to the beginning")]
    Interleaved,
    /// No network, or an assertion before it.
    #[error("no network is declared before this; declare-network with its inputs and outputs is needed")]
    NoNetwork,
    /// A network without input or output.
    #[error("network {0} declares no input or no output; it needs one of each")]
    NoTensors(Word),
    /// A command of the wrong form.
    #[error("wrong form; write {0}")]
    Shape2(&'static str),
    /// Something else than a declaration or an assertion.
    #[error(
        "{0} is not part of VNN-LIB 2.0; vnnlib-version, declare-network with declare-input, -hidden and -output, equal-to, isomorphic-to, and assert are"
    )]
    Command2(Word),
    /// A name of the wrong form.
    #[error("{0} is no name; names begin with a letter and go on with letters, digits and _")]
    Name(Word),
    /// An element type that is not supported.
    #[error(
        "element type {0} is not supported; float32 and real are, with real the network is read over the real numbers"
    )]
    ElementType(Word),
    /// Dimensions of the wrong form.
    #[error("shape {0} is not supported; write positive sizes as [2,3], or [] for a scalar")]
    Dimensions(Word),
    /// Tensors too large.
    #[error("more than 2^28 elements are declared")]
    TooManyElements,
    /// An index outside a tensor.
    #[error("{element} is no element of a tensor of shape {shape:?}; one index per dimension, from 0")]
    Index {
        /// As written.
        element: Word,
        /// The tensor's.
        shape: Vec<usize>,
    },
    /// Two relations of one network.
    #[error("a network has at most one equal-to or isomorphic-to")]
    SecondEquivalence,
    /// A relation that cannot be.
    #[error("network {name} cannot be related to that one: it {what}")]
    Equivalence {
        /// The network that `what` is said of.
        name: Word,
        /// Why not.
        what: &'static str,
    },
    /// A default value.
    #[error("input {0} is `initialized`, which is not supported; assert its value with ==")]
    Initialized(Word),
    /// Several inputs or outputs of one network.
    #[error("{what} {name} is the network's second; networks with one input and one output are supported")]
    SeveralTensors {
        /// `input` or `output`.
        what: &'static str,
        /// Its name.
        name: Word,
    },
    /// A hidden node that the model does not have.
    #[error("the model {file} computes no value named {name}")]
    HiddenNode {
        /// As declared.
        name: Word,
        /// The model.
        file: String,
    },
    /// A model of another shape.
    #[error("{what} is declared with shape {}, the model {} has {}", shapes[0], shapes[1], shapes[2])]
    ModelShape {
        /// `input`, `output` or `hidden node`.
        what: &'static str,
        /// The declared shape, the model's file and its shape.
        shapes: Box<[String; 3]>,
    },
    /// Too many or too few networks.
    #[error("{found} networks are given, the query declares {expected}; see `certus verify --network`")]
    NetworkCount {
        /// Those declared.
        expected: usize,
        /// Those given.
        found: usize,
    },
    /// Networks that cannot be put side by side.
    #[error("{0}")]
    Compose(String),
    /// A counterexample file of another form.
    #[error("is no counterexample: `sat`, then ((X_0 number) … (Y_0 number) …) is needed")]
    Witness,
}
