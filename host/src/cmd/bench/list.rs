//! The list of a benchmark: `instances.csv`.

use std::path::Path;

use certus_engine::file;
use serde::Deserialize;

use crate::cmd::Error;

/// Cap on a list, bytes.
const LIMIT_BYTES: u64 = 1 << 26;

/// Seconds where the list says none.
const DEFAULT_TIMEOUT_S: f64 = 120.0;

/// A line of `instances.csv`; other columns are skipped.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Instance {
    pub onnx: String,
    pub vnnlib: String,
    pub timeout_s: Option<f64>,
    /// What other tools agree on.
    pub expected: String,
    /// Seconds of the fastest other tool, on its machine.
    pub best_s: Option<f64>,
}

impl Instance {
    /// Seconds that the list gives it.
    pub fn timeout_s(&self) -> f64 {
        self.timeout_s.unwrap_or(DEFAULT_TIMEOUT_S)
    }
}

/// A text file's contents.
pub fn read_text(path: &Path) -> Result<String, Error> {
    let bytes = file::read(path, LIMIT_BYTES)?;
    String::from_utf8(bytes)
        .map_err(|_| Error::List { path: path.display().to_string(), problem: "is not UTF-8 text".into() })
}

/// The lines of the list at `path`.
///
/// # Errors
/// [`Error::List`], naming file and line.
pub fn read_instances(path: &Path) -> Result<Vec<Instance>, Error> {
    let text = read_text(path)?;
    let bad = |line: u64, problem: &str| Error::List {
        path: format!("{}:{line}", path.display()),
        problem: problem.to_owned(),
    };
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| bad(1, &e.to_string()))?.clone();
    if header.is_empty() {
        return Err(bad(1, "is empty"));
    }
    if !["onnx", "vnnlib"].iter().all(|name| header.iter().any(|h| h == *name)) {
        return Err(bad(1, "the header needs the columns onnx and vnnlib"));
    }
    let mut instances = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| bad(e.position().map_or(0, csv::Position::line), "is not CSV"))?;
        let line = record.position().map_or(0, csv::Position::line);
        let instance: Instance = record
            .deserialize(Some(&header))
            .map_err(|_| bad(line, "timeout_s and best_s have to be numbers or empty"))?;
        if instance.timeout_s() <= 0.0 || instance.timeout_s().is_nan() {
            return Err(bad(line, "timeout_s is no positive number"));
        }
        if instance.onnx.is_empty() || instance.vnnlib.is_empty() {
            return Err(bad(line, "names no network or no property"));
        }
        instances.push(instance);
    }
    Ok(instances)
}

/// Whether `text` contains `glob`, in which `*` stands for anything.
pub fn matches_glob(glob: &str, text: &str) -> bool {
    let mut rest = text;
    glob.split('*').all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_its_pieces_in_order() {
        assert!(matches_glob("1_1*prop_3", "onnx/ACASXU_run2a_1_1_batch.onnx vnnlib/prop_3.vnnlib"));
        assert!(!matches_glob("prop_3*1_1", "onnx/ACASXU_run2a_1_1_batch.onnx vnnlib/prop_3.vnnlib"));
        assert!(matches_glob("", "anything"));
    }
}
