//! Writing results: all or nothing, and checked before the work that produces them.

pub use certus_engine::file::{FileError, check_writable, write_atomic};
