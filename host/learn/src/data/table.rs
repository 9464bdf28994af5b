//! CSV and TSV: one sample a line, its columns numbers, one of them perhaps a label.

use super::{Array, DataError, bytes};
use std::path::Path;

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Names of the columns: those of the first line, if it has no numbers, or `0`, `1`, ….
    pub names: Vec<String>,
    /// Lines, each with as many fields as there are names.
    pub lines: Vec<Vec<String>>,
    /// Number of the first line in the file, for messages.
    first: usize,
}

/// Reads a table, packed or not. Fields are divided by tabs in files named `*.tsv`, else by whichever of `,`, `;` and tab the first line has.
///
/// # Errors
/// [`DataError`] if the file cannot be read, is no UTF-8 or has lines of different lengths.
pub fn read(path: &Path) -> Result<Table, DataError> {
    parse(path, &bytes::read(path)?)
}

/// As [`read`], from bytes; `path` is for messages and its name for the delimiter.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Table, DataError> {
    let wrong = |what: String| DataError::format(path, what);
    let head = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let name = path.to_string_lossy();
    let tabs = name.trim_end_matches(".gz").ends_with(".tsv");
    let delimiter = if tabs {
        b'\t'
    } else {
        *[b',', b';', b'\t']
            .iter()
            .max_by_key(|d| (head.iter().filter(|b| b == d).count(), **d == b','))
            .expect("three")
    };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(false).from_reader(bytes);
    let mut lines: Vec<Vec<String>> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| wrong(format!("not a table: {e}")))?;
        lines.push(record.iter().map(|f| f.trim().to_owned()).collect());
    }
    let Some(head) = lines.first() else { return Err(wrong("an empty table".into())) };
    let has_names = head.iter().all(|f| f.parse::<f64>().is_err());
    let names = if has_names { lines.remove(0) } else { (0..head.len()).map(|k| k.to_string()).collect() };
    Ok(Table { names, lines, first: 1 + usize::from(has_names) })
}

impl Table {
    /// The place of the column `name`.
    ///
    /// # Errors
    /// [`DataError`] that lists the columns there are.
    pub fn column(&self, path: &Path, name: &str) -> Result<usize, DataError> {
        self.names.iter().position(|n| n == name).ok_or_else(|| {
            DataError::format(path, format!("no column `{name}`; there are: {}", self.names.join(", ")))
        })
    }

    /// The numbers of some columns, `[lines, columns]`.
    ///
    /// # Errors
    /// [`DataError`] that names line and column of a field that is no finite number.
    pub fn numbers(&self, path: &Path, columns: &[usize]) -> Result<Array, DataError> {
        let mut values = Vec::with_capacity(self.lines.len() * columns.len());
        for (k, line) in self.lines.iter().enumerate() {
            for column in columns {
                let field = &line[*column];
                let number: Option<f32> = field.parse().ok().filter(|x: &f32| x.is_finite());
                values.push(number.ok_or_else(|| {
                    let (line, name) = (k + self.first, &self.names[*column]);
                    DataError::format(
                        path,
                        format!("line {line}, column `{name}`: `{field}` is no finite number"),
                    )
                })?);
            }
        }
        Ok(Array { shape: vec![self.lines.len(), columns.len()], values })
    }

    /// A column of labels as numbers of the classes, with the classes' names in the order of their numbers or letters.
    pub fn labels(&self, column: usize) -> (Vec<u32>, Vec<String>) {
        let mut names: Vec<String> = self.lines.iter().map(|line| line[column].clone()).collect();
        let as_number = |s: &String| s.parse::<f64>().unwrap_or(f64::INFINITY);
        names.sort_by(|a, b| as_number(a).total_cmp(&as_number(b)).then_with(|| a.cmp(b)));
        names.dedup();
        let place = |line: &Vec<String>| names.iter().position(|n| *n == line[column]).unwrap_or(0) as u32;
        (self.lines.iter().map(place).collect(), names)
    }
}
