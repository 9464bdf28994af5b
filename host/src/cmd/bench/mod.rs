//! `certus bench DIR`: verifies every instance of an `instances.csv` and compares with the expected verdicts;
//! `certus bench --summary CSV…`: what such runs amount to.

mod list;
mod plot;
mod record;
mod runner;
mod summary;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use certus::{interrupt, machine, output};
use certus_engine::verify::Settings;

use super::Error;
use super::verify::timeout;
use list::{Instance, matches_glob, read_instances};
use record::{Record, Results, read_records};
use runner::Runner;
use summary::{Summary, list_name, write_open, write_summaries};

#[derive(clap::Args)]
pub struct Args {
    /// Folder with `instances.csv` (columns onnx, vnnlib, timeout_s; optionally expected, best_s).
    #[arg(required_unless_present = "summary")]
    dir: Option<PathBuf>,
    /// Only instances whose `onnx vnnlib` contains this, `*` standing for anything.
    #[arg(long, value_name = "GLOB")]
    only: Option<String>,
    /// Seconds per instance at most, whatever the list says.
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    timeout_cap: Option<f64>,
    /// Keep what the output file holds already and run the rest: errors again, and open instances that had less time.
    #[arg(long)]
    resume: bool,
    /// Where the results go, CSV; a line after each instance.
    #[arg(long, value_name = "FILE", default_value = "bench.csv")]
    out: PathBuf,
    /// Worker threads; 0, as by default, takes one per core.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Expert settings, TOML; `certus settings` shows them. Its timeout is not used: list and cap say it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run each instance as a process of its own: start-up counts, and one that crashes does not end the list.
    #[arg(long)]
    process: bool,
    /// Check each proof again, as `certus check` does, and say how long that takes (column `check_s`).
    #[arg(long, conflicts_with = "process")]
    check_cost: bool,
    /// Run in the background, without a terminal; messages go to the output file's name with `.log`.
    #[arg(long)]
    background: bool,
    /// Set by `--background` for the process that it starts.
    #[arg(long, hide = true)]
    detached: bool,
    /// Run nothing; show what these result files amount to.
    #[arg(long, value_name = "CSV", num_args = 1.., conflicts_with_all = ["dir", "only", "resume", "process", "background"])]
    summary: Vec<PathBuf>,
    /// With `--summary`: list what stays open, with its bound and the reason.
    #[arg(long, requires = "summary")]
    open: bool,
    /// With `--summary`: tables in Markdown.
    #[arg(long, requires = "summary")]
    markdown: bool,
    /// Write an HTML report with a cactus plot.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    if let Some(report) = &args.report {
        output::check_writable(report)?;
    }
    match &args.dir {
        Some(dir) if args.background => start_in_background(args, dir, out),
        Some(dir) => run_list(args, dir, out),
        None => summarize(args, out),
    }
}

/// Starts this command again as a process that no terminal ends.
fn start_in_background(args: &Args, dir: &Path, out: &mut dyn Write) -> Result<ExitCode, Error> {
    output::check_writable(&args.out)?;
    read_instances(&dir.join("instances.csv"))?;
    let log = args.out.with_extension("log");
    let failed = |source| {
        Error::from(output::FileError::Io { path: log.display().to_string(), action: "write", source })
    };
    let file = std::fs::File::create(&log).map_err(failed)?;
    let copy = file.try_clone().map_err(failed)?;
    let arguments = std::env::args_os().skip(1).filter(|a| a != "--background");
    let child = Command::new(this_program()?)
        .args(arguments)
        .arg("--detached")
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(copy)
        .spawn()
        .map_err(Error::Process)?;
    writeln!(
        out,
        "process {} runs the list; results: {}, messages: {}",
        child.id(),
        args.out.display(),
        log.display()
    )?;
    writeln!(out, "`kill {}` ends it after what it has; the same command with --resume goes on", child.id())?;
    Ok(ExitCode::SUCCESS)
}

fn this_program() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(Error::Process)
}

/// Leaves the terminal's session, whose end would end this process.
#[cfg(unix)]
fn detach() {
    // Fails only for the first process of a group, which has no terminal to lose here.
    let _ = nix::unistd::setsid();
}

#[cfg(not(unix))]
fn detach() {}

fn run_list(args: &Args, dir: &Path, out: &mut dyn Write) -> Result<ExitCode, Error> {
    if args.detached {
        detach();
    }
    let file = args.config.as_deref().map(certus::settings::read).transpose()?;
    let cap = args.timeout_cap.map(|s| timeout("timeout-cap", s)).transpose()?;
    output::check_writable(&args.out)?;
    let instances = chosen(args, dir)?;
    let mut settings = file.unwrap_or_default();
    settings.threads = args.threads.unwrap_or(settings.threads);
    let process = match args.process {
        true => Some((this_program()?, process_options(args, &settings))),
        false => None,
    };
    let threads = match settings.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    let check_cost = args.check_cost;
    let runner = Runner { dir: dir.to_owned(), settings, process, check_cost };
    let limit = |instance: &Instance| {
        let own = Duration::try_from_secs_f64(instance.timeout_s()).unwrap_or(Duration::MAX);
        cap.map_or(own, |cap| own.min(cap))
    };
    let mut results =
        Results::open(&args.out, &instances, args.resume, |instance| limit(instance).as_secs_f64())?;
    let machine = machine::describe();
    let (start, mut fresh, mut records) = (Instant::now(), 0, Vec::new());
    for (index, instance) in instances.iter().enumerate() {
        let record = match results.earlier(instance) {
            Some(record) => record.clone().of(instance),
            None => {
                let Some(mut record) = runner.run(instance, limit(instance)) else { break };
                record.threads = Some(threads);
                record.machine.clone_from(&machine);
                record.version = env!("CARGO_PKG_VERSION").into();
                results.push(&record)?;
                fresh += 1;
                record
            }
        };
        let left =
            start.elapsed().as_secs_f64() / f64::from(fresh.max(1)) * (instances.len() - index - 1) as f64;
        show(out, index + 1, instances.len(), &record, left)?;
        records.push(record);
        if interrupt::stop_flag().load(Ordering::Relaxed) {
            break;
        }
    }
    if records.len() < instances.len() {
        writeln!(out, "interrupted after {} of {}; `--resume` goes on", records.len(), instances.len())?;
    }
    writeln!(out)?;
    conclude(args, &[(list_name(&args.out), records)], out)
}

/// What `certus verify` is told of the settings.
fn process_options(args: &Args, settings: &Settings) -> Vec<OsString> {
    let mut options: Vec<OsString> = vec!["--threads".into(), settings.threads.to_string().into()];
    if let Some(path) = &args.config {
        options.extend(["--config".into(), path.into()]);
    }
    options
}

fn chosen(args: &Args, dir: &Path) -> Result<Vec<Instance>, Error> {
    let mut instances = read_instances(&dir.join("instances.csv"))?;
    if let Some(glob) = &args.only {
        instances.retain(|i| matches_glob(glob, &format!("{} {}", i.onnx, i.vnnlib)));
    }
    if instances.is_empty() {
        let problem = "no instance is left; see the list in instances.csv".into();
        return Err(Error::Option { option: "only", problem });
    }
    Ok(instances)
}

fn summarize(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let read = |path: &PathBuf| Ok((list_name(path), read_records(path)?));
    let lists: Vec<(String, Vec<Record>)> = args.summary.iter().map(read).collect::<Result<_, Error>>()?;
    conclude(args, &lists, out)
}

/// Prints what the lists amount to; exit code 1 if a verdict contradicts an expected one.
fn conclude(args: &Args, lists: &[(String, Vec<Record>)], out: &mut dyn Write) -> Result<ExitCode, Error> {
    let summaries: Vec<Summary> = lists.iter().map(|(name, records)| Summary::new(name, records)).collect();
    write_summaries(out, &summaries, args.markdown)?;
    if args.open {
        writeln!(out)?;
        let all = lists.iter().flat_map(|(name, records)| records.iter().map(move |r| (name.as_str(), r)));
        write_open(out, &all.collect::<Vec<_>>(), args.markdown)?;
    }
    if let Some(path) = &args.report {
        output::write_atomic(path, plot::page(lists, &summaries).render().as_bytes())?;
    }
    let contradictions: usize = summaries.iter().map(|s| s.contradictions).sum();
    if contradictions == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "!!! {contradictions} VERDICTS CONTRADICT THE EXPECTED ONES !!!")?;
    Ok(ExitCode::from(1))
}

fn show(out: &mut dyn Write, done: usize, all: usize, record: &Record, left: f64) -> Result<(), Error> {
    let name =
        |s: &str| Path::new(s).file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let mut text = format!(
        "[{done:>4}/{all}] {:<40} {:<24} {:<8} {:>9.4} s  {:>8} domains",
        name(&record.onnx),
        name(&record.vnnlib),
        record.verdict,
        record.seconds,
        record.domains,
    );
    if record.is_contradiction() {
        write!(text, "  !!! CONTRADICTS EXPECTED `{}` !!!", record.expected).expect("writing to a string");
    }
    if !record.error.is_empty() {
        write!(text, "  {}", record.error).expect("writing to a string");
    }
    if std::io::stdout().is_terminal() {
        write!(text, "  about {left:.0} s left").expect("writing to a string");
    }
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}
