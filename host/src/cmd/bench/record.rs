//! A line of the result file, and the file: appended to line by line, so that whatever ends a run leaves what it has.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use certus::output::{self, FileError};
use serde::{Deserialize, Serialize};

use super::list::{Instance, read_text};
use crate::cmd::Error;

/// What became of an instance. The order of the fields is that of the columns; columns that a file lacks are empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    pub onnx: String,
    pub vnnlib: String,
    /// What other tools agree on.
    pub expected: String,
    /// `sat`, `unsat`, `timeout`, `unknown` or `error`.
    pub verdict: String,
    /// `yes`, `NO` where the verdict contradicts the expected one, `-` where nothing can be said.
    pub agrees: String,
    /// Wall time with reading the files; with `--process` from the start of the process to its end.
    pub seconds: f64,
    /// Processor time of all threads.
    pub cpu_seconds: Option<f64>,
    pub domains: usize,
    pub leaves: usize,
    pub rejected: usize,
    pub proof_bytes: usize,
    /// Processor time of the checker during the search.
    pub checker_s: Option<f64>,
    /// Seconds to check the proof again, by one thread.
    pub check_s: Option<f64>,
    /// Lower bound of an instance that stays open.
    pub bound: Option<f64>,
    /// Why it stays open.
    pub reason: String,
    /// Limit of the run, seconds.
    pub timeout_s: Option<f64>,
    /// Worker threads.
    pub threads: Option<usize>,
    /// Most memory held, MiB; of processes only.
    pub peak_mib: Option<f64>,
    /// Seconds of the fastest other tool, on its machine.
    pub rival_s: Option<f64>,
    /// `process` or `inside`.
    pub mode: String,
    pub machine: String,
    pub version: String,
    /// End of the run, UTC.
    pub date: String,
    pub error: String,
}

/// Whether a verdict contradicts what reliable tools agree on.
pub fn contradicts(expected: &str, verdict: &str) -> bool {
    matches!((expected, verdict), ("sat", "unsat") | ("unsat", "sat"))
}

impl Record {
    /// Whether it is decided.
    pub fn is_solved(&self) -> bool {
        matches!(self.verdict.as_str(), "sat" | "unsat")
    }

    /// Whether the verdict is wrong, as far as others know.
    pub fn is_contradiction(&self) -> bool {
        contradicts(&self.expected, &self.verdict)
    }

    /// Fills in what the list says of the instance.
    pub fn of(mut self, instance: &Instance) -> Self {
        self.onnx.clone_from(&instance.onnx);
        self.vnnlib.clone_from(&instance.vnnlib);
        self.expected.clone_from(&instance.expected);
        self.rival_s = instance.best_s;
        self.agrees = match () {
            () if self.is_contradiction() => "NO",
            () if self.expected == self.verdict => "yes",
            () => "-",
        }
        .into();
        self
    }

    /// Whether running it again, for up to `timeout_s`, could say more.
    fn is_final(&self, timeout_s: f64) -> bool {
        self.is_solved()
            || self.verdict != "error" && self.timeout_s.is_none_or(|used| used >= 0.999 * timeout_s)
    }

    fn to_line(&self, header: bool) -> Vec<u8> {
        let mut writer = csv::WriterBuilder::new().has_headers(header).from_writer(Vec::new());
        writer.serialize(self).expect("plain fields go into memory");
        writer.into_inner().expect("memory takes everything")
    }
}

/// The records of a result file; a last line that was cut off is left out.
///
/// # Errors
/// [`Error::List`] for a file that is no result file.
pub fn read_records(path: &Path) -> Result<Vec<Record>, Error> {
    let text = read_text(path)?;
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let bad = |line: u64, problem: &str| Error::List {
        path: format!("{}:{line}", path.display()),
        problem: problem.to_owned(),
    };
    let mut reader = csv::Reader::from_reader(whole.as_bytes());
    let header = reader.headers().map_err(|e| bad(1, &e.to_string()))?;
    if !["onnx", "vnnlib", "verdict", "seconds"].iter().all(|name| header.iter().any(|h| h == *name)) {
        return Err(bad(
            1,
            "is no result of `certus bench`: it lacks the columns onnx, vnnlib, verdict, seconds",
        ));
    }
    reader
        .deserialize()
        .map(|record: Result<Record, csv::Error>| {
            record.map_err(|e| {
                bad(e.position().map_or(0, csv::Position::line), "is no line of a result of `certus bench`")
            })
        })
        .collect()
}

/// A result file being written.
pub struct Results {
    path: PathBuf,
    file: File,
    before: HashMap<(String, String), Record>,
}

impl Results {
    /// Starts the file at `path`. With `resume` it keeps what is in it already and of use: records that are solved, or were
    /// given at least the time that `limit_s` gives their instance.
    pub fn open(
        path: &Path,
        instances: &[Instance],
        resume: bool,
        limit_s: impl Fn(&Instance) -> f64,
    ) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        let mut before = HashMap::new();
        if resume && path.exists() && std::fs::metadata(path).is_ok_and(|m| m.len() > 0) {
            let limits: HashMap<_, _> =
                instances.iter().map(|i| ((&i.onnx, &i.vnnlib), limit_s(i))).collect();
            for record in read_records(path)? {
                let limit = limits.get(&(&record.onnx, &record.vnnlib));
                // What is not in this run's list stays as it is.
                if limit.is_none_or(|limit| record.is_final(*limit)) {
                    bytes.extend(record.to_line(bytes.is_empty()));
                    before.insert((record.onnx.clone(), record.vnnlib.clone()), record);
                }
            }
        }
        output::write_atomic(path, &bytes)?;
        let file = OpenOptions::new().append(true).open(path).map_err(|e| refused(path, e))?;
        Ok(Self { path: path.to_owned(), file, before })
    }

    /// What an earlier run found.
    pub fn earlier(&self, instance: &Instance) -> Option<&Record> {
        self.before.get(&(instance.onnx.clone(), instance.vnnlib.clone()))
    }

    /// Adds a record as one write, which a kill leaves out or whole.
    pub fn push(&mut self, record: &Record) -> Result<(), Error> {
        let refused = |e| refused(&self.path, e);
        let empty = self.file.metadata().map_err(refused)?.len() == 0;
        Ok(self.file.write_all(&record.to_line(empty)).map_err(refused)?)
    }
}

fn refused(path: &Path, source: std::io::Error) -> FileError {
    FileError::Io { path: path.display().to_string(), action: "write", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(name: &str) -> Instance {
        Instance { onnx: format!("{name}, a.onnx"), vnnlib: "p".into(), ..Instance::default() }
    }

    fn record(name: &str, verdict: &str, timeout_s: f64) -> Record {
        let found = Record { verdict: verdict.into(), timeout_s: Some(timeout_s), ..Record::default() };
        Record { machine: "2 x \"A, B\"".into(), ..found.of(&instance(name)) }
    }

    #[test]
    fn only_opposite_verdicts_contradict() {
        assert!(contradicts("sat", "unsat") && contradicts("unsat", "sat"));
        assert!(
            !contradicts("unknown", "sat")
                && !contradicts("unsat", "timeout")
                && !contradicts("unsat", "unsat")
        );
    }

    #[test]
    fn a_resumed_file_keeps_whole_lines_that_more_time_would_not_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.csv");
        let all = ["solved", "short", "enough", "error", "cut"].map(instance);
        let mut results = Results::open(&path, &all, false, |_| 10.0).unwrap();
        let kept = [record("solved", "unsat", 1.0), record("enough", "timeout", 10.0)];
        let again = [record("short", "timeout", 5.0), record("error", "error", 10.0)];
        for r in kept.iter().chain(&again) {
            results.push(r).unwrap();
        }
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("\"cut, a.onnx\",p,,unsat,yes,0.1"); // the process was killed in the middle of a line
        std::fs::write(&path, text).unwrap();

        let mut results = Results::open(&path, &all, true, |_| 10.0).unwrap();
        let earlier = all.each_ref().map(|i| results.earlier(i).cloned());
        assert_eq!(earlier, [Some(kept[0].clone()), None, Some(kept[1].clone()), None, None]);
        results.push(&again[0]).unwrap();
        assert_eq!(read_records(&path).unwrap(), [&kept[0], &kept[1], &again[0]].map(Clone::clone));
    }

    #[test]
    fn a_file_of_fewer_columns_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.csv");
        std::fs::write(&path, "onnx,vnnlib,expected,verdict,agrees,seconds,rival_s\na,b,sat,sat,yes,0.5,2\n")
            .unwrap();
        let read = read_records(&path).unwrap();
        assert_eq!((read[0].seconds, read[0].rival_s, read[0].cpu_seconds), (0.5, Some(2.0), None));
        std::fs::write(&path, "a,b\n1,2\n").unwrap();
        assert!(read_records(&path).unwrap_err().to_string().contains("old.csv:1: is no result"));
    }
}
