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

/// What is wrong with a property.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The network has another shape.
    #[error("the property speaks of {found} {what} (X_ are inputs, Y_ outputs), the network has {expected}")]
    Network {
        /// `inputs` or `outputs`.
        what: &'static str,
        /// Those of the network.
        expected: usize,
        /// Those of the property.
        found: usize,
    },
}
