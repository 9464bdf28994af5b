//! Networks: ONNX import, the operator graph, reference evaluation, lowering to a [`crate::Program`].

mod error;

use std::path::Path;

pub use error::{Fault, LoadError, Name};

use crate::Program;

/// Reads the ONNX network at `path` and lowers it.
///
/// # Errors
/// [`LoadError`], naming file and node.
pub fn load_program(path: &Path) -> Result<Program, LoadError> {
    crate::file::read(path, 1 << 31)?;
    Err(LoadError::content(&error::file_name(path), Fault::NoGraph))
}
