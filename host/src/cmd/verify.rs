//! `certus verify NET PROPERTY`: a verdict with its evidence.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use certus::{interrupt, output};
use certus_engine::search::{Progress, Silent, Snapshot};
use certus_engine::verify::{self, Reason, Report, Settings, Verdict};
use certus_engine::{graph, property};
use serde::Serialize;

use super::Error;

#[derive(clap::Args)]
pub struct Args {
    /// Network, ONNX (gzip accepted).
    net: PathBuf,
    /// Property, VNN-LIB 1.0 (gzip accepted); it states the violation.
    property: PathBuf,
    /// Seconds until the answer is `timeout`.
    #[arg(long, value_name = "S", default_value_t = 120.0, allow_negative_numbers = true)]
    timeout: f64,
    /// Print the result as JSON after the verdict's line.
    #[arg(long)]
    json: bool,
    /// Where to write the counterexample of a `sat` answer, in the VNN-COMP format.
    #[arg(long, value_name = "FILE")]
    witness: Option<PathBuf>,
    /// Worker threads; 0 takes one per core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Seed of the attack's random starts.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// Seconds from the command line as a duration.
pub fn timeout(option: &'static str, seconds: f64) -> Result<Duration, Error> {
    let positive = Some(seconds).filter(|s| *s > 0.0);
    positive.and_then(|s| Duration::try_from_secs_f64(s).ok()).ok_or_else(|| Error::Option {
        option,
        problem: format!("{seconds} is not a positive number of seconds"),
    })
}

/// The verdict as VNN-COMP spells it.
pub fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Holds(_) => "unsat",
        Verdict::Violated(_) => "sat",
        Verdict::Unknown { reason: Reason::Timeout, .. } => "timeout",
        Verdict::Unknown { .. } => "unknown",
    }
}

#[derive(Serialize)]
struct Json<'a> {
    verdict: &'a str,
    seconds: f64,
    domains: usize,
    leaves: usize,
    rejected: usize,
    proof_bytes: Option<usize>,
    lower_bound: Option<f32>,
    reason: Option<&'a str>,
    input: Option<&'a [f32]>,
    output: Option<&'a [f32]>,
}

/// One line on standard error, rewritten.
struct Line;

impl Progress for Line {
    fn update(&self, s: Snapshot) {
        let bound = s.lower_bound.map_or_else(|| "-".into(), |b| format!("{b:.4}"));
        eprint!(
            "\r{:>9} domains, {:>6} open, {:6.2} % proved, bound {bound:<12}",
            s.domains,
            s.open,
            100.0 * s.proved
        );
    }
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let timeout = timeout("timeout", args.timeout)?;
    if let Some(path) = &args.witness {
        output::check_writable(path)?;
    }
    let chain = graph::load_chain(&args.net)?;
    let property = property::load_property(&args.property)?;
    property.check_against(&chain).map_err(|e| e.in_file(&args.property))?;
    let settings = Settings { timeout, threads: args.threads, seed: args.seed, ..Settings::default() };
    let live = std::io::stderr().is_terminal();
    let progress: &dyn Progress = if live { &Line } else { &Silent };
    let report = verify::verify(&chain, &property, &settings, interrupt::stop_flag(), progress);
    if live {
        eprint!("\r{:72}\r", "");
    }
    if let (Verdict::Violated(witness), Some(path)) = (&report.verdict, &args.witness) {
        output::write_atomic(path, witness.to_string().as_bytes())?;
    }
    if args.json {
        writeln!(out, "{}", word(&report.verdict))?;
        writeln!(out, "{}", json(&report))?;
    } else if let Verdict::Violated(witness) = &report.verdict {
        write!(out, "{witness}")?;
    } else {
        writeln!(out, "{}", word(&report.verdict))?;
    }
    if !args.json {
        describe(&report);
    }
    Ok(ExitCode::SUCCESS)
}

/// What it took, on standard error.
fn describe(report: &Report) {
    let s = &report.stats;
    let detail = match &report.verdict {
        Verdict::Holds(proofs) => {
            let bytes: usize = proofs.iter().map(Vec::len).sum();
            format!("every one of {} leaves accepted by the checker, proof of {bytes} bytes", s.leaves)
        }
        Verdict::Violated(_) => "counterexample holds in f32 and f64".into(),
        Verdict::Unknown { reason, lower_bound } => {
            let why = reason_text(*reason);
            lower_bound.map_or_else(|| why.to_string(), |b| format!("{why}; lowest bound last seen {b}"))
        }
    };
    eprintln!("{detail}; {} domains in {:.3} s", s.domains, s.seconds);
}

fn reason_text(reason: Reason) -> &'static str {
    match reason {
        Reason::Timeout => "time is up",
        Reason::Stopped => "interrupted",
        Reason::Rounding => "a domain is within rounding of the threshold and cannot be split further",
    }
}

fn json(report: &Report) -> String {
    let (mut proof_bytes, mut lower_bound, mut reason, mut input, mut output) =
        (None, None, None, None, None);
    match &report.verdict {
        Verdict::Holds(proofs) => proof_bytes = Some(proofs.iter().map(Vec::len).sum()),
        Verdict::Violated(witness) => {
            input = Some(witness.input.as_slice());
            output = Some(witness.output.as_slice());
        }
        Verdict::Unknown { reason: why, lower_bound: bound } => {
            reason = Some(reason_text(*why));
            lower_bound = *bound;
        }
    }
    let s = &report.stats;
    let json = Json {
        verdict: word(&report.verdict),
        seconds: s.seconds,
        domains: s.domains,
        leaves: s.leaves,
        rejected: s.rejected,
        proof_bytes,
        lower_bound,
        reason,
        input,
        output,
    };
    serde_json::to_string(&json).expect("plain numbers and strings")
}
