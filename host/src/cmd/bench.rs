//! `certus bench DIR`: verifies every instance of an `instances.csv` and compares with the expected verdicts.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use certus::core::proof::Meaning;
use certus::{interrupt, output};
use certus_engine::property::Specification;
use certus_engine::search::Silent;
use certus_engine::verify::{self, Settings};
use certus_engine::{file, graph, property};

use super::Error;
use super::verify::{timeout, word};

/// Cap on an instance list, bytes.
const LIMIT_BYTES: u64 = 1 << 26;

/// Columns of the result file.
const HEADER: &str =
    "onnx,vnnlib,expected,verdict,agrees,seconds,domains,leaves,rejected,proof_bytes,rival_s,error";

#[derive(clap::Args)]
pub struct Args {
    /// Folder with `instances.csv` (columns onnx, vnnlib, timeout_s; optionally expected, best_s).
    dir: PathBuf,
    /// Only instances whose `onnx vnnlib` contains this, `*` standing for anything.
    #[arg(long, value_name = "GLOB")]
    only: Option<String>,
    /// Seconds per instance at most, whatever the list says.
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    timeout_cap: Option<f64>,
    /// Keep the results already in the output file and run the rest.
    #[arg(long)]
    resume: bool,
    /// Where the results go, CSV.
    #[arg(long, value_name = "FILE", default_value = "bench.csv")]
    out: PathBuf,
    /// Worker threads; 0 takes one per core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
}

/// A line of `instances.csv`.
#[derive(Clone, Debug)]
struct Instance {
    onnx: String,
    vnnlib: String,
    timeout_s: f64,
    expected: String,
    rival_s: String,
}

/// A line of the result file.
#[derive(Clone, Debug, Default)]
struct Outcome {
    verdict: String,
    seconds: f64,
    domains: usize,
    leaves: usize,
    rejected: usize,
    proof_bytes: usize,
    error: String,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let cap = args.timeout_cap.map(|s| timeout("timeout-cap", s)).transpose()?;
    output::check_writable(&args.out)?;
    let mut instances = read_instances(&args.dir.join("instances.csv"))?;
    if let Some(glob) = &args.only {
        instances.retain(|i| matches_glob(glob, &format!("{} {}", i.onnx, i.vnnlib)));
    }
    if instances.is_empty() {
        let problem = "no instance is left; see the list in instances.csv".into();
        return Err(Error::Option { option: "only", problem });
    }
    let before = if args.resume { read_done(&args.out)? } else { HashMap::new() };
    let mut lines = Vec::new();
    let mut tally = Tally::default();
    let start = Instant::now();
    for (index, instance) in instances.iter().enumerate() {
        let key = (instance.onnx.clone(), instance.vnnlib.clone());
        let line = match before.get(&key) {
            Some(line) => line.clone(),
            None => to_line(instance, &run_one(args, instance, cap)),
        };
        tally.count(instance, &line);
        lines.push(line);
        write_lines(&args.out, &lines)?;
        report(out, index + 1, instances.len(), lines.last().expect("just pushed"), start.elapsed())?;
        if interrupt::stop_flag().load(std::sync::atomic::Ordering::Relaxed) {
            writeln!(out, "interrupted; `--resume` goes on")?;
            break;
        }
    }
    tally.summary(out, instances.len(), start.elapsed())?;
    Ok(if tally.contradictions == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn run_one(args: &Args, instance: &Instance, cap: Option<Duration>) -> Outcome {
    let start = Instant::now();
    let limit = Duration::try_from_secs_f64(instance.timeout_s).unwrap_or(Duration::from_secs(120));
    let limit = cap.map_or(limit, |cap| limit.min(cap));
    match verify_one(args, instance, limit) {
        Ok(mut outcome) => {
            outcome.seconds = start.elapsed().as_secs_f64();
            outcome
        }
        Err(error) => Outcome {
            verdict: "error".into(),
            seconds: start.elapsed().as_secs_f64(),
            error: error.to_string().replace([',', '\n'], ";"),
            ..Outcome::default()
        },
    }
}

fn verify_one(args: &Args, instance: &Instance, limit: Duration) -> Result<Outcome, Error> {
    let model = graph::load_model(&args.dir.join(&instance.onnx), None)?;
    let path = args.dir.join(&instance.vnnlib);
    let (lowered, meaning) = match property::load_specification(&path)? {
        Specification::V1(lowered) => (lowered, Meaning::Real),
        Specification::V2(query) => (query.lower().map_err(|e| e.in_file(&path))?, query.element.meaning()),
    };
    let problem = verify::Instance::new(lowered, vec![model]).map_err(|e| e.in_file(&path))?;
    let settings = Settings { timeout: limit, threads: args.threads, meaning, ..Settings::default() };
    let report = problem.verify(&settings, interrupt::stop_flag(), &Silent);
    let proof_bytes = match &report.verdict {
        verify::Verdict::Holds(proofs) => proofs.iter().map(|p| p.bytes.len()).sum(),
        _ => 0,
    };
    let s = report.stats;
    Ok(Outcome {
        verdict: word(&report.verdict).into(),
        domains: s.domains,
        leaves: s.leaves,
        rejected: s.rejected,
        proof_bytes,
        ..Outcome::default()
    })
}

/// Whether a verdict contradicts what reliable tools agree on.
fn contradicts(expected: &str, verdict: &str) -> bool {
    matches!((expected, verdict), ("sat", "unsat") | ("unsat", "sat"))
}

fn to_line(instance: &Instance, outcome: &Outcome) -> String {
    let agrees = if contradicts(&instance.expected, &outcome.verdict) {
        "NO"
    } else if instance.expected == outcome.verdict {
        "yes"
    } else {
        "-"
    };
    let Outcome { verdict, seconds, domains, leaves, rejected, proof_bytes, error } = outcome;
    let Instance { onnx, vnnlib, expected, rival_s, .. } = instance;
    format!(
        "{onnx},{vnnlib},{expected},{verdict},{agrees},{seconds:.4},{domains},{leaves},{rejected},{proof_bytes},{rival_s},{error}"
    )
}

fn field(line: &str, index: usize) -> &str {
    line.split(',').nth(index).unwrap_or_default()
}

#[derive(Default)]
struct Tally {
    solved: usize,
    contradictions: usize,
    errors: usize,
    log_seconds: f64,
    rival: Vec<f64>,
}

impl Tally {
    fn count(&mut self, instance: &Instance, line: &str) {
        let (verdict, seconds) = (field(line, 3), field(line, 5).parse().unwrap_or(0.0f64));
        let solved = matches!(verdict, "sat" | "unsat");
        self.solved += usize::from(solved);
        self.errors += usize::from(verdict == "error");
        self.contradictions += usize::from(contradicts(&instance.expected, verdict));
        if solved {
            self.log_seconds += seconds.max(1e-4).ln();
            if let Ok(rival) = instance.rival_s.parse::<f64>() {
                self.rival.push(rival / seconds.max(1e-4));
            }
        }
    }

    fn summary(&mut self, out: &mut dyn Write, all: usize, elapsed: Duration) -> Result<(), Error> {
        let mean = (self.log_seconds / self.solved.max(1) as f64).exp();
        writeln!(
            out,
            "\nsolved {} of {all} in {:.1} s; geometric mean {mean:.4} s over the solved",
            self.solved,
            elapsed.as_secs_f64()
        )?;
        if !self.rival.is_empty() {
            self.rival.sort_by(f64::total_cmp);
            let median = self.rival[self.rival.len() / 2];
            writeln!(
                out,
                "median ratio of `best_s` (other tools, other machines) to our wall time: {median:.1}"
            )?;
        }
        if self.errors > 0 {
            writeln!(out, "{} instances could not be read: see the column `error`", self.errors)?;
        }
        if self.contradictions > 0 {
            writeln!(out, "!!! {} VERDICTS CONTRADICT THE EXPECTED ONES !!!", self.contradictions)?;
        }
        Ok(())
    }
}

fn report(out: &mut dyn Write, done: usize, all: usize, line: &str, elapsed: Duration) -> Result<(), Error> {
    let eta = elapsed.as_secs_f64() / done as f64 * (all - done) as f64;
    let name =
        |s: &str| Path::new(s).file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let mut text = format!(
        "[{done:>4}/{all}] {:<40} {:<24} {:<8} {:>9} s  {:>8} domains",
        name(field(line, 0)),
        name(field(line, 1)),
        field(line, 3),
        field(line, 5),
        field(line, 6),
    );
    if field(line, 4) == "NO" {
        write!(text, "  !!! CONTRADICTS EXPECTED `{}` !!!", field(line, 2)).expect("writing to a string");
    }
    if std::io::stdout().is_terminal() {
        write!(text, "  ETA {eta:.0} s").expect("writing to a string");
    }
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

fn write_lines(path: &Path, lines: &[String]) -> Result<(), Error> {
    let text = format!("{HEADER}\n{}\n", lines.join("\n"));
    Ok(output::write_atomic(path, text.as_bytes())?)
}

/// Results of an earlier run that need not be repeated.
fn read_done(path: &Path) -> Result<HashMap<(String, String), String>, Error> {
    if !path.exists() {
        return Ok(HashMap::new());
    }
    let text = read_text(path)?;
    let known = |line: &&str| *line != HEADER && field(line, 3) != "error" && !line.is_empty();
    Ok(text
        .lines()
        .filter(known)
        .map(|line| ((field(line, 0).to_owned(), field(line, 1).to_owned()), line.to_owned()))
        .collect())
}

fn read_text(path: &Path) -> Result<String, Error> {
    let bytes = file::read(path, LIMIT_BYTES)?;
    String::from_utf8(bytes)
        .map_err(|_| Error::List { path: path.display().to_string(), problem: "is not UTF-8 text".into() })
}

fn read_instances(path: &Path) -> Result<Vec<Instance>, Error> {
    let text = read_text(path)?;
    let bad = |line: usize, problem: &str| Error::List {
        path: format!("{}:{line}", path.display()),
        problem: problem.to_owned(),
    };
    let mut lines = text.lines().enumerate();
    let (_, header) = lines.next().ok_or_else(|| bad(1, "is empty"))?;
    let names: Vec<&str> = header.split(',').map(str::trim).collect();
    let column = |name: &str| names.iter().position(|n| *n == name);
    let (Some(onnx), Some(vnnlib)) = (column("onnx"), column("vnnlib")) else {
        return Err(bad(1, "the header needs the columns onnx and vnnlib"));
    };
    let (limit, expected, rival) = (column("timeout_s"), column("expected"), column("best_s"));
    let mut instances = Vec::new();
    for (index, line) in lines.filter(|(_, l)| !l.trim().is_empty()) {
        let get = |column: Option<usize>| column.map_or("", |c| field(line, c).trim());
        let timeout_s = match get(limit) {
            "" => 120.0,
            text => text
                .parse()
                .ok()
                .filter(|s: &f64| *s > 0.0)
                .ok_or_else(|| bad(index + 1, "timeout_s is no positive number"))?,
        };
        if get(Some(onnx)).is_empty() || get(Some(vnnlib)).is_empty() {
            return Err(bad(index + 1, "names no network or no property"));
        }
        instances.push(Instance {
            onnx: get(Some(onnx)).into(),
            vnnlib: get(Some(vnnlib)).into(),
            timeout_s,
            expected: get(expected).into(),
            rival_s: get(rival).into(),
        });
    }
    Ok(instances)
}

/// Whether `text` contains `glob`, in which `*` stands for anything.
fn matches_glob(glob: &str, text: &str) -> bool {
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

    #[test]
    fn only_opposite_verdicts_contradict() {
        assert!(contradicts("sat", "unsat") && contradicts("unsat", "sat"));
        assert!(
            !contradicts("unknown", "sat")
                && !contradicts("unsat", "timeout")
                && !contradicts("unsat", "unsat")
        );
    }
}
