//! Writing results: all or nothing, and checked before the work that produces them.

pub use certus_engine::file::{FileError, check_writable, write_atomic};

/// `text` with a blank for each control character: messages are one line, and do nothing to a terminal.
pub fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
