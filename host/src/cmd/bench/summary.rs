//! What a list of results amounts to.

use std::io::{self, Write};
use std::path::Path;

use certus::table::write_table;

use super::record::Record;

/// Instances on which the fastest other tool needs less than this are compared with it, seconds.
const RIVAL_BELOW_S: f64 = 10.0;
/// How many times faster than that tool we aim to be there.
const RIVAL_FACTOR: f64 = 3.0;
/// Within which counterexamples are to be found, seconds.
const QUICK_S: f64 = 0.2;
/// Shortest time that enters a geometric mean, seconds: the clock says less of shorter ones.
const SHORTEST_S: f64 = 1e-4;

/// Columns of the table.
pub const HEADER: [&str; 14] = [
    "list",
    "instances",
    "solved",
    "unsat",
    "sat",
    "timeout",
    "unknown",
    "error",
    "wrong",
    "geomean s",
    "slowest s",
    "3x best_s",
    "sat < 0.2 s",
    "CPU s",
];

/// Figures of one list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    pub list: String,
    pub instances: usize,
    pub unsat: usize,
    pub sat: usize,
    pub timeout: usize,
    pub unknown: usize,
    pub error: usize,
    /// Verdicts that contradict the expected ones.
    pub contradictions: usize,
    /// Over the solved, seconds.
    pub geometric_mean_s: Option<f64>,
    /// Of the solved, seconds.
    pub slowest_s: Option<f64>,
    /// Of the instances with `best_s` below 10 s those solved at least 3 times faster, and how many there are.
    pub faster: (usize, usize),
    /// Of the instances expected to be `sat` those answered so within 0.2 s, and how many there are.
    pub quick_sat: (usize, usize),
    pub cpu_s: Option<f64>,
}

impl Summary {
    /// Of the records of the list called `list`.
    pub fn new(list: &str, records: &[Record]) -> Self {
        let count = |is: &dyn Fn(&Record) -> bool| records.iter().filter(|r| is(r)).count();
        let verdict = |word: &str| count(&|r| r.verdict == word);
        let times: Vec<f64> = records.iter().filter(|r| r.is_solved()).map(|r| r.seconds).collect();
        let logs: f64 = times.iter().map(|t| t.max(SHORTEST_S).ln()).sum();
        let below = |r: &Record| r.rival_s.filter(|s| *s < RIVAL_BELOW_S);
        let faster = |r: &Record| r.is_solved() && below(r).is_some_and(|s| s >= RIVAL_FACTOR * r.seconds);
        let quick = |r: &Record| r.expected == "sat" && r.verdict == "sat" && r.seconds < QUICK_S;
        Self {
            list: list.to_owned(),
            instances: records.len(),
            unsat: verdict("unsat"),
            sat: verdict("sat"),
            timeout: verdict("timeout"),
            unknown: verdict("unknown"),
            error: verdict("error"),
            contradictions: count(&Record::is_contradiction),
            geometric_mean_s: (!times.is_empty()).then(|| (logs / times.len() as f64).exp()),
            slowest_s: times.iter().copied().reduce(f64::max),
            faster: (count(&faster), count(&|r| below(r).is_some())),
            quick_sat: (count(&quick), count(&|r| r.expected == "sat")),
            cpu_s: records.iter().map(|r| r.cpu_seconds).sum(),
        }
    }

    /// How many are decided.
    pub fn solved(&self) -> usize {
        self.unsat + self.sat
    }

    /// The figures as cells under [`HEADER`].
    pub fn cells(&self) -> Vec<String> {
        let share = |(part, all): (usize, usize)| if all == 0 { "-".into() } else { format!("{part}/{all}") };
        let seconds = |s: Option<f64>, digits: usize| s.map_or("-".into(), |s| format!("{s:.digits$}"));
        let counts = [
            self.instances,
            self.solved(),
            self.unsat,
            self.sat,
            self.timeout,
            self.unknown,
            self.error,
            self.contradictions,
        ];
        let mut cells = vec![self.list.clone()];
        cells.extend(counts.map(|n| n.to_string()));
        cells.extend([seconds(self.geometric_mean_s, 4), seconds(self.slowest_s, 2)]);
        cells.extend([share(self.faster), share(self.quick_sat), seconds(self.cpu_s, 1)]);
        cells
    }
}

/// Name of a list from that of its result file.
pub fn list_name(path: &Path) -> String {
    path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

/// The figures of all lists, one a line.
pub fn write_summaries(out: &mut dyn Write, summaries: &[Summary], markdown: bool) -> io::Result<()> {
    let rows: Vec<Vec<String>> = summaries.iter().map(Summary::cells).collect();
    if !markdown {
        return write_table(out, &HEADER, &rows);
    }
    writeln!(out, "| {} |", HEADER.join(" | "))?;
    writeln!(out, "| --- |{}", " ---: |".repeat(HEADER.len() - 1))?;
    rows.iter().try_for_each(|row| writeln!(out, "| {} |", row.join(" | ")))
}

/// What stays open, one a line, with what is known of it.
pub fn write_open(out: &mut dyn Write, records: &[(&str, &Record)], markdown: bool) -> io::Result<()> {
    let header =
        ["list", "network", "property", "expected", "verdict", "bound", "limit s", "domains", "reason"];
    let short = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        name.trim_end_matches(".gz").trim_end_matches(".onnx").trim_end_matches(".vnnlib").to_owned()
    };
    let row = |(list, r): &(&str, &Record)| {
        let number = |x: Option<f64>| x.map_or("-".into(), |x| format!("{x:.4}"));
        let why = if r.error.is_empty() { &r.reason } else { &r.error };
        let limit = r.timeout_s.map_or("-".into(), |s| format!("{s}"));
        let texts =
            [(*list).to_owned(), short(&r.onnx), short(&r.vnnlib), r.expected.clone(), r.verdict.clone()];
        let mut row = texts.to_vec();
        row.extend([number(r.bound), limit, r.domains.to_string(), why.clone()]);
        row
    };
    let rows: Vec<Vec<String>> = records.iter().filter(|(_, r)| !r.is_solved()).map(row).collect();
    if rows.is_empty() {
        return writeln!(out, "every instance is decided");
    }
    if !markdown {
        return write_table(out, &header, &rows);
    }
    writeln!(out, "| {} |", header.join(" | "))?;
    writeln!(out, "|{}", " --- |".repeat(header.len()))?;
    rows.iter().try_for_each(|row| writeln!(out, "| {} |", row.join(" | ").replace('\n', " ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(expected: &str, verdict: &str, seconds: f64, rival_s: Option<f64>) -> Record {
        Record {
            expected: expected.into(),
            verdict: verdict.into(),
            seconds,
            rival_s,
            cpu_seconds: Some(2.0 * seconds),
            ..Record::default()
        }
    }

    #[test]
    fn figures_are_those_of_the_definitions() {
        let records = [
            record("unsat", "unsat", 0.01, Some(0.03)), // exactly three times faster
            record("sat", "sat", 1.0, Some(2.9)),       // faster, not three times
            record("sat", "timeout", 5.0, Some(9.0)),   // open: not faster
            record("unsat", "unsat", 0.1, Some(30.0)),  // the other tool needs long: not compared
            record("sat", "unsat", 0.1, None),          // wrong
        ];
        let s = Summary::new("l", &records);
        assert_eq!(
            (s.instances, s.solved(), s.unsat, s.sat, s.timeout, s.contradictions),
            (5, 4, 3, 1, 1, 1)
        );
        assert_eq!((s.faster, s.quick_sat), ((1, 3), (0, 3)));
        // (0.01 · 1 · 0.1 · 0.1)^(1/4) = 10^(-4/4)
        assert!((s.geometric_mean_s.unwrap() - 0.1).abs() < 1e-12);
        assert!((s.cpu_s.unwrap() - 12.42).abs() < 1e-9 && s.slowest_s == Some(1.0));
        assert_eq!(s.cells().len(), HEADER.len());
    }

    #[test]
    fn a_list_without_processor_times_has_no_sum_of_them() {
        let records = [record("", "unsat", 0.5, None), Record { cpu_seconds: None, ..Record::default() }];
        assert_eq!(Summary::new("l", &records).cpu_s, None);
        assert_eq!(Summary::new("l", &[]).geometric_mean_s, None);
    }
}
