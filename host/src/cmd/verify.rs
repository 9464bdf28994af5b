//! `certus verify`: a verdict with its evidence, for a network and a property or for a VNN-LIB 2.0 query.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use certus::live::View;
use certus::{interrupt, machine, output};
use certus_engine::graph;
use certus_engine::property::{Lowered, Problem, PropertyError, Query, Specification, load_specification};
use certus_engine::search::{Progress, Silent};
use certus_engine::verify::proof_file::Journal;
use certus_engine::verify::{Instance, Reason, Report, Settings, Verdict};
use serde::Serialize;

use super::Error;
use super::assignment::Assignment;
use super::networks::{self, NamedFile};
use super::proof::{self, Files, Recording};

#[derive(clap::Args)]
pub struct Args {
    /// Network, ONNX (gzip accepted); or, without PROPERTY, the query.
    #[arg(value_name = "NET|QUERY")]
    first: PathBuf,
    /// Property, VNN-LIB (gzip accepted); it states the violation.
    property: Option<PathBuf>,
    /// Model of a network that the query declares; once for each that is not `equal-to` another.
    #[arg(long, value_name = "NAME=FILE")]
    network: Vec<NamedFile>,
    /// Weights in the place of the network's own, safetensors; with a property of VNN-LIB 1.0.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// When the command line was read.
    #[arg(skip = Instant::now())]
    started: Instant,
    /// Seconds until the search is given up, reading included; 120 unless the settings say otherwise.
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    timeout: Option<f64>,
    /// Expert settings, TOML; `certus settings` shows them.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the result as JSON after the verdict's line.
    #[arg(long)]
    json: bool,
    /// No live view and no remarks on standard error.
    #[arg(long)]
    quiet: bool,
    /// Where to write the counterexample of a `sat` answer: in the VNN-COMP format, for a query as it is printed.
    #[arg(long, value_name = "FILE")]
    witness: Option<PathBuf>,
    /// Folder for the assignment of a `sat` query as ONNX tensors, one file per variable, instead of printing it.
    #[arg(long, value_name = "FOLDER")]
    serialise_assignments: Option<PathBuf>,
    /// Where to write the proof of an `unsat` answer, for `certus check`.
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    /// Largest proof that is written, MiB.
    #[arg(long, value_name = "N", default_value_t = 1024, requires = "proof")]
    proof_limit_mib: u64,
    /// Worker threads; 0, as by default, takes one per core.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Seed of the attack's random starts; 0 by default.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
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

/// The verdict as VNN-LIB 2.0 spells it.
fn query_word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Unknown { reason: Reason::Timeout, .. } => "timed-out",
        other => word(other),
    }
}

/// Exit code of a search that was interrupted, as a shell counts it for Ctrl-C.
const STOPPED: u8 = 130;

fn is_stopped(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Unknown { reason: Reason::Stopped, .. })
}

fn exit_code(verdict: &Verdict) -> ExitCode {
    if is_stopped(verdict) { ExitCode::from(STOPPED) } else { ExitCode::SUCCESS }
}

/// The verdict's line for people.
fn shown(verdict: &Verdict, word: &str) -> String {
    if is_stopped(verdict) { format!("{word} (stopped)") } else { word.to_owned() }
}

#[derive(Serialize)]
struct Json<'a> {
    verdict: &'a str,
    seconds: f64,
    checker_seconds: f64,
    domains: usize,
    leaves: usize,
    rejected: usize,
    proof_bytes: Option<usize>,
    lower_bound: Option<f32>,
    reason: Option<&'a str>,
    peak_bytes: Option<u64>,
    input: Option<&'a [f32]>,
    output: Option<&'a [f32]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assignment: Option<&'a Assignment>,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let settings = args.settings()?;
    if let Some(path) = &args.witness {
        output::check_writable(path)?;
    }
    if let Some(path) = &args.proof {
        output::check_writable(path)?;
    }
    let path = args.property.as_ref().unwrap_or(&args.first);
    let specification = load_specification(path)?;
    match (specification, &args.property) {
        (Specification::V1(lowered), Some(_)) => {
            args.refuse_query_options()?;
            verify_property(args, lowered, path, &settings, out)
        }
        (Specification::V1(lowered), None) => {
            let file = networks::only_file(&args.network)?;
            verify_with_file(args, lowered, file, path, &settings, out)
        }
        (Specification::V2(query), property) => {
            if args.weights.is_some() {
                let problem = "goes with one network and a property of VNN-LIB 1.0; write the weights into the ONNX file";
                return Err(Error::Option { option: "weights", problem: problem.into() });
            }
            let single = property.is_some().then_some(args.first.as_path());
            verify_query(args, &query, single, path, settings, out)
        }
    }
}

impl Args {
    /// The defaults, then the file, then the options.
    fn settings(&self) -> Result<Settings, Error> {
        let file = self.config.as_deref().map(certus::settings::read).transpose()?.unwrap_or_default();
        let timeout = self.timeout.map(|s| timeout("timeout", s)).transpose()?;
        Ok(Settings {
            timeout: timeout.unwrap_or(file.timeout),
            threads: self.threads.unwrap_or(file.threads),
            seed: self.seed.unwrap_or(file.seed),
            ..file
        })
    }

    fn refuse_query_options(&self) -> Result<(), Error> {
        if self.network.is_empty() {
            return Ok(());
        }
        let problem =
            "the network is given twice; write `verify QUERY --network NAME=FILE` or `verify NET PROPERTY`";
        Err(Error::Option { option: "network", problem: problem.into() })
    }
}

/// VNN-LIB 1.0, `verify NET PROPERTY`.
fn verify_property(
    args: &Args,
    lowered: Lowered,
    path: &Path,
    settings: &Settings,
    out: &mut dyn Write,
) -> Result<ExitCode, Error> {
    verify_with_file(args, lowered, &args.first, path, settings, out)
}

fn verify_with_file(
    args: &Args,
    lowered: Lowered,
    file: &Path,
    path: &Path,
    settings: &Settings,
    out: &mut dyn Write,
) -> Result<ExitCode, Error> {
    if args.serialise_assignments.is_some() {
        let problem = "only VNN-LIB 2.0 queries have assignments; use --witness".into();
        return Err(Error::Option { option: "serialise-assignments", problem });
    }
    let model = graph::load_model(file, args.weights.as_deref())?;
    let instance = Instance::new(lowered, vec![model]).map_err(|e| e.in_file(path))?;
    let files = Files::single(file, args.weights.as_deref(), path);
    let (report, unwritten) = search(args, &instance, &files, settings)?;
    if let (Verdict::Violated(witness), Some(path)) = (&report.verdict, &args.witness) {
        let shown = network_witness(&instance, witness);
        output::write_atomic(path, shown.to_string().as_bytes())?;
    }
    if args.json {
        writeln!(out, "{}", word(&report.verdict))?;
        writeln!(out, "{}", json(word(&report.verdict), &report, None))?;
    } else if let Verdict::Violated(witness) = &report.verdict {
        write!(out, "{}", network_witness(&instance, witness))?;
    } else {
        writeln!(out, "{}", shown(&report.verdict, word(&report.verdict)))?;
    }
    if !args.json && !args.quiet {
        describe(&report);
    }
    unwritten.map_or(Ok(exit_code(&report.verdict)), Err)
}

/// A witness of the composed network as one of the only network: all of its inputs, its own outputs.
fn network_witness(
    instance: &Instance,
    witness: &certus_engine::property::Witness,
) -> certus_engine::property::Witness {
    let part = &instance.composition().parts[0];
    certus_engine::property::Witness {
        input: part.inputs.iter().map(|i| witness.input[*i]).collect(),
        output: witness.output[..part.outputs].to_vec(),
    }
}

/// VNN-LIB 2.0.
fn verify_query(
    args: &Args,
    query: &Query,
    single: Option<&Path>,
    path: &Path,
    settings: Settings,
    out: &mut dyn Write,
) -> Result<ExitCode, Error> {
    if let Some(folder) = &args.serialise_assignments {
        // The folder itself is made only for a `sat` answer.
        output::check_writable(folder)?;
    }
    let in_file = |e: PropertyError| e.in_file(path);
    let chains = networks::load(query, &args.network, single, path)?;
    let lowered = match query.lower() {
        Ok(lowered) => lowered,
        // Decided by exact arithmetic on the assertions alone.
        Err(e) if matches!(e.problem(), Some(Problem::EmptyBox { .. } | Problem::Impossible)) => {
            writeln!(out, "unsat")?;
            eprintln!("no input satisfies the assertions: {}", in_file(e));
            if let Some(file) = &args.proof {
                eprintln!("{}: not written, there is nothing of the network to prove", file.display());
            }
            return Ok(ExitCode::SUCCESS);
        }
        Err(e) => return Err(in_file(e).into()),
    };
    let settings = Settings { meaning: query.element.meaning(), ..settings };
    let instance = Instance::new(lowered, chains).map_err(in_file)?;
    let files = Files::of_query(query, &args.network, single, path);
    let (report, unwritten) = search(args, &instance, &files, &settings)?;
    let verdict = query_word(&report.verdict);
    let assignment = match &report.verdict {
        Verdict::Violated(witness) => Some(Assignment::new(query, instance.composition(), witness)),
        _ => None,
    };
    if let (Some(assignment), Some(path)) = (&assignment, &args.witness) {
        output::write_atomic(path, format!("sat\n{assignment}").as_bytes())?;
    }
    if let (Some(assignment), Some(folder)) = (&assignment, &args.serialise_assignments) {
        assignment.serialise(folder)?;
    }
    writeln!(out, "{}", if args.json { verdict.into() } else { shown(&report.verdict, verdict) })?;
    if args.json {
        writeln!(out, "{}", json(verdict, &report, assignment.as_ref()))?;
    } else {
        if let (Some(assignment), None) = (&assignment, &args.serialise_assignments) {
            write!(out, "{assignment}")?;
        }
        if !args.quiet {
            describe(&report);
        }
    }
    unwritten.map_or(Ok(exit_code(&report.verdict)), Err)
}

/// Searches; the proof, if one was asked for and found, is written before the verdict is printed. The second part is why it
/// was not: the verdict stands all the same.
fn search(
    args: &Args,
    instance: &Instance,
    files: &Files,
    settings: &Settings,
) -> Result<(Report, Option<Error>), Error> {
    match &args.proof {
        None => Ok((live_search(args, instance, settings, None), None)),
        Some(path) => {
            let limit = args.proof_limit_mib.saturating_mul(1 << 20);
            let identity = files.identity(instance, settings.meaning)?;
            let search = |journal: &_| live_search(args, instance, settings, Some(journal));
            proof::search_and_write(path, limit, instance, &identity, search)
        }
    }
}

fn live_search(
    args: &Args,
    instance: &Instance,
    settings: &Settings,
    journal: Option<&Arc<Journal>>,
) -> Report {
    // The limit counts from the start of reading.
    let timeout = settings.timeout.saturating_sub(args.started.elapsed());
    let settings = &Settings { timeout, ..settings.clone() };
    let view =
        (!args.quiet && !args.json).then(|| View::start(settings.timeout, instance.property().cases.len()));
    let shown = view.as_ref().map_or(&Silent as &dyn Progress, |view| view);
    let recording = journal.map(|journal| Recording { shown, journal: Arc::clone(journal) });
    let progress = recording.as_ref().map_or(shown, |r| r);
    instance.verify(settings, interrupt::stop_flag(), progress)
}

/// What it took, on standard error.
fn describe(report: &Report) {
    let s = &report.stats;
    let detail = match &report.verdict {
        Verdict::Holds(proofs) => {
            let bytes: usize = proofs.iter().map(|p| p.bytes.len()).sum();
            format!("every one of {} leaves accepted by the checker, proof of {bytes} bytes", s.leaves)
        }
        Verdict::Violated(_) => "counterexample holds in f32 and f64".into(),
        Verdict::Unknown { reason, lower_bound } => {
            let why = reason_text(*reason);
            lower_bound.map_or_else(|| why.to_string(), |b| format!("{why}; lower bound {b}"))
        }
    };
    eprintln!("{detail}; {} domains in {:.3} s", s.domains, s.seconds);
}

/// Why there is no verdict, in words.
pub fn reason_text(reason: Reason) -> &'static str {
    match reason {
        Reason::Timeout => "time is up",
        Reason::Stopped => "interrupted",
        Reason::Unchecked => "the proof checker does not take this network in the meaning asked for",
        Reason::Rounding => "a domain is within rounding of the threshold and cannot be split further",
    }
}

fn json(verdict: &str, report: &Report, assignment: Option<&Assignment>) -> String {
    let (mut proof_bytes, mut lower_bound, mut reason, mut input, mut output) =
        (None, None, None, None, None);
    match &report.verdict {
        Verdict::Holds(proofs) => proof_bytes = Some(proofs.iter().map(|p| p.bytes.len()).sum()),
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
        verdict,
        seconds: s.seconds,
        checker_seconds: s.checker_seconds,
        domains: s.domains,
        leaves: s.leaves,
        rejected: s.rejected,
        proof_bytes,
        lower_bound,
        reason,
        peak_bytes: machine::peak_bytes(),
        input,
        output,
        assignment,
    };
    serde_json::to_string(&json).expect("plain numbers and strings")
}
