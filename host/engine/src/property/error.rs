//! Why a property could not be read: file, line, and the way out.

use std::fmt;
use std::path::Path;

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

/// File and line, each as far as known; prints as `file:line: `.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Option<String>,
    /// Line, from 1.
    pub line: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: "),
            (Some(file), None) => write!(f, "{file}: "),
            (None, Some(line)) => write!(f, "line {line}: "),
            (None, None) => Ok(()),
        }
    }
}

impl PropertyError {
    pub(crate) fn at(line: usize, problem: Problem) -> Self {
        Self::Content { place: Place { file: None, line: Some(line) }, problem }
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
    #[error("is not UTF-8 text; a VNN-LIB 1.0 property is needed")]
    Text,
    /// Parentheses that do not match.
    #[error("parenthesis {0}")]
    Parenthesis(&'static str),
    /// A quote that is not closed.
    #[error("quote is not closed")]
    Quote,
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
    /// VNN-LIB 2.0.
    #[error("VNN-LIB 2.0 is not read yet; write the property in VNN-LIB 1.0")]
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
    #[error("operator {0} is not supported; and, or, <=, >=, <, >, =, +, -, * are")]
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
    /// A constraint over inputs and outputs.
    #[error(
        "constraint over inputs and outputs together is not supported; split it or bound the input alone"
    )]
    Mixed,
    /// A constraint over several inputs.
    #[error("constraint over several inputs is not supported; give each input its bounds")]
    InputRelation,
    /// A bound whose division is no decimal.
    #[error(
        "coefficient of the input does not divide its bound to a decimal; write the bound of the input itself"
    )]
    InputCoefficient,
    /// Coefficients that are no floats even when scaled.
    #[error("coefficients need more than 53 bits; use fewer digits")]
    Coefficient,
    /// Too many alternatives.
    #[error("and/or expand to too many alternatives (limit about one million); split the property")]
    Explosion,
    /// An input without a bound.
    #[error("input X_{input} has no {side} bound; add one")]
    Unbounded {
        /// The input.
        input: usize,
        /// `lower` or `upper`.
        side: &'static str,
    },
    /// Bounds that exclude each other.
    #[error("input X_{input} has an empty interval: lower bound {lower}, upper bound {upper}")]
    EmptyBox {
        /// The input.
        input: usize,
        /// Its lower bound, rounded.
        lower: String,
        /// Its upper bound, rounded.
        upper: String,
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
    /// A counterexample file of another form.
    #[error("is no counterexample: `sat`, then ((X_0 number) … (Y_0 number) …) is needed")]
    Witness,
}
