//! Samples in CSV: one row of numbers per line, separated by commas.
//!
//! Blank lines and lines starting with `#` are skipped, and so is a first line in which no field is a
//! number (a header).

use std::path::Path;

use certus_engine::file::{self, FileError};

/// Cap on a file of samples, bytes.
const LIMIT_BYTES: u64 = 1 << 30;

/// Why a file of samples could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CsvError {
    /// The file itself.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not UTF-8.
    #[error("{path}: is not UTF-8 text; a CSV of numbers is needed")]
    Text {
        /// The file.
        path: String,
    },
    /// A row of the wrong length.
    #[error("{path}:{line}: {found} columns where {expected} are needed")]
    Columns {
        /// The file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// Columns needed.
        expected: usize,
        /// Columns found.
        found: usize,
    },
    /// A field that is no number.
    #[error("{path}:{line}: `{field}` is not a number")]
    Number {
        /// The file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// The field.
        field: String,
    },
    /// No rows.
    #[error("{path}: holds no rows")]
    Empty {
        /// The file.
        path: String,
    },
}

/// Rows of `columns` numbers each, at least one; values are rounded to the nearest `f32` and may be
/// infinite or NaN where the file says so (a monitor must survive such samples).
///
/// # Errors
/// [`CsvError`], naming file and line.
pub fn read_rows(path: &Path, columns: usize) -> Result<Vec<Vec<f32>>, CsvError> {
    let name = path.display().to_string();
    let bytes = file::read(path, LIMIT_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|_| CsvError::Text { path: name.clone() })?;
    parse_rows(&name, &text, columns)
}

/// As [`read_rows`], from `text`; `path` names it in messages.
///
/// # Errors
/// [`CsvError`], naming file and line.
pub fn parse_rows(path: &str, text: &str, columns: usize) -> Result<Vec<Vec<f32>>, CsvError> {
    let mut rows = Vec::new();
    let mut first = true;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let is_header = first && fields.iter().all(|f| f.parse::<f32>().is_err());
        first = false;
        if !is_header {
            rows.push(parse_row(path, index + 1, &fields, columns)?);
        }
    }
    if rows.is_empty() { Err(CsvError::Empty { path: path.to_string() }) } else { Ok(rows) }
}

fn parse_row(path: &str, line: usize, fields: &[&str], columns: usize) -> Result<Vec<f32>, CsvError> {
    if fields.len() != columns {
        return Err(CsvError::Columns {
            path: path.to_string(),
            line,
            expected: columns,
            found: fields.len(),
        });
    }
    let number = |field: &&str| {
        field.parse().map_err(|_| CsvError::Number {
            path: path.to_string(),
            line,
            field: field.chars().take(40).collect(),
        })
    };
    fields.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comments_and_blank_lines_are_skipped() {
        let rows = parse_rows("f", "a,b\n# c\n\n1, -0\n0.5,1e3\n", 2).unwrap();
        assert_eq!(rows, [[1.0, 0.0], [0.5, 1000.0]]);
        assert!(rows[0][1].is_sign_negative());
    }

    #[test]
    fn errors_name_file_and_line() {
        let columns = parse_rows("f.csv", "1,2\n1\n", 2).unwrap_err().to_string();
        assert_eq!(columns, "f.csv:2: 1 columns where 2 are needed");
        let number = parse_rows("f.csv", "1,2\n1,x\n", 2).unwrap_err().to_string();
        assert_eq!(number, "f.csv:2: `x` is not a number");
        assert_eq!(parse_rows("f.csv", "a,b\n", 2).unwrap_err().to_string(), "f.csv: holds no rows");
    }
}
