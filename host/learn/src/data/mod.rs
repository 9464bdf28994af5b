//! Data sets from files, as arrays of numbers.
//!
//! | format | module |
//! | --- | --- |
//! | IDX (MNIST), also packed | [`idx`] |
//! | CSV and TSV, also packed | [`table`] |
//! | NPY and NPZ | [`npy`] |
//! | CIFAR-10 and CIFAR-100 binary | [`cifar`] |
//! | WAV | [`wav`] |
//!
//! [`augment`] varies what was read.
//!
//! Readers are total: whatever the bytes are, there is an array or a [`DataError`] that names the file and the place.

pub mod augment;
pub mod cifar;
pub mod idx;
pub mod npy;
mod set;
pub mod table;
pub mod wav;

mod bytes;
#[cfg(test)]
mod tests;

pub use set::{Set, Targets};

use std::path::{Path, PathBuf};

/// An array, the last axis contiguous.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its elements; integers beyond 2²⁴ are rounded.
    pub values: Vec<f32>,
}

/// Why a file gives no data.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("{path}: {what}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, where, and what was expected.
        what: String,
    },
    /// It is larger than it may be.
    #[error("{path}: more than {limit} bytes unpacked; split it")]
    Large {
        /// The file.
        path: PathBuf,
        /// Most bytes.
        limit: u64,
    },
}

impl DataError {
    fn format(path: &Path, what: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), what: what.into() }
    }
}
