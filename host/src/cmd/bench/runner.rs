//! Runs one instance: inside this process, or as a process of its own.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use certus::core::proof::Meaning;
use certus::{interrupt, machine};
use certus_engine::property::Specification;
use certus_engine::search::Silent;
use certus_engine::verify::proof_file::{self, CheckOptions, ProofError, Reader, identify};
use certus_engine::verify::{self, Settings, Verdict};
use certus_engine::{graph, property};
use serde::Deserialize;

use super::list::Instance;
use super::record::Record;
use crate::cmd::Error;
use crate::cmd::verify::{reason_text, word};

/// How long a process may go on after its limit before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// How instances are run.
pub struct Runner {
    /// Folder of the list.
    pub dir: PathBuf,
    /// For each instance; its timeout is set per instance.
    pub settings: Settings,
    /// Program that runs an instance as a process of its own, and arguments for it.
    pub process: Option<(PathBuf, Vec<OsString>)>,
    /// Whether proofs are checked again, for the time it takes; not of processes.
    pub check_cost: bool,
}

fn interrupted() -> bool {
    interrupt::stop_flag().load(Ordering::Relaxed)
}

/// No clock says more than microseconds.
fn to_microseconds(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

impl Runner {
    /// What becomes of an instance within `limit`; `None` if the run was interrupted.
    pub fn run(&self, instance: &Instance, limit: Duration) -> Option<Record> {
        let start = Instant::now();
        let found = match &self.process {
            Some((program, arguments)) => self.run_process(program, arguments, instance, limit),
            None => self.run_inside(instance, limit),
        };
        let mut record = found.unwrap_or_else(|error| Record {
            verdict: "error".into(),
            seconds: start.elapsed().as_secs_f64(),
            error,
            ..Record::default()
        });
        if interrupted() && !record.is_solved() {
            return None;
        }
        record.seconds = to_microseconds(record.seconds);
        record.cpu_seconds = record.cpu_seconds.map(to_microseconds);
        record.timeout_s = Some(limit.as_secs_f64());
        record.mode = if self.process.is_some() { "process" } else { "inside" }.into();
        record.date = machine::now_utc();
        Some(record.of(instance))
    }

    fn run_inside(&self, instance: &Instance, limit: Duration) -> Result<Record, String> {
        let (start, cpu) = (Instant::now(), machine::cpu_seconds());
        let settings = Settings { timeout: limit, ..self.settings.clone() };
        let verified =
            std::panic::catch_unwind(|| verify_one(&self.dir, instance, settings, self.check_cost));
        let mut record = verified
            .map_err(|_| "the search panicked; see standard error".to_owned())?
            .map_err(|error| error.to_string())?;
        // Without what only the check of the finished proof took.
        let again = record.check_s.unwrap_or(0.0);
        record.seconds = start.elapsed().as_secs_f64() - again;
        record.cpu_seconds = machine::cpu_seconds().zip(cpu).map(|(after, before)| after - before - again);
        Ok(record)
    }

    fn run_process(
        &self,
        program: &Path,
        arguments: &[OsString],
        instance: &Instance,
        limit: Duration,
    ) -> Result<Record, String> {
        let (start, cpu) = (Instant::now(), machine::children_cpu_seconds());
        let child = Command::new(program)
            .arg("verify")
            .args([self.dir.join(&instance.onnx), self.dir.join(&instance.vnnlib)])
            .args(["--json", "--quiet", "--timeout"])
            .arg(limit.as_secs_f64().to_string())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}", program.display()))?;
        let ended = watch(child, start + limit + GRACE)?;
        let seconds = start.elapsed().as_secs_f64();
        let mut record = ended.record()?;
        record.seconds = seconds;
        record.cpu_seconds = machine::children_cpu_seconds().zip(cpu).map(|(after, before)| after - before);
        Ok(record)
    }
}

/// A process that has ended, and what it wrote.
struct Ended {
    status: ExitStatus,
    killed: bool,
    stdout: String,
    stderr: String,
}

/// Waits for `child`, which is told to end when this run is interrupted, and killed at `deadline`.
fn watch(mut child: Child, deadline: Instant) -> Result<Ended, String> {
    let stdout = read_all(child.stdout.take());
    let stderr = read_all(child.stderr.take());
    prefer_as_victim(&child);
    let (mut told, mut killed) = (false, false);
    // The pipe closes when the process ends.
    let stdout = loop {
        match stdout.recv_timeout(Duration::from_millis(50)) {
            Ok(text) => break text,
            Err(mpsc::RecvTimeoutError::Disconnected) => break String::new(),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if interrupted() && !told {
            told = true;
            terminate(&mut child);
        }
        if Instant::now() >= deadline && !killed {
            killed = true;
            let _ = child.kill();
        }
    };
    let status = child.wait().map_err(|e| format!("cannot wait for the process: {e}"))?;
    Ok(Ended { status, killed, stdout, stderr: stderr.recv().unwrap_or_default() })
}

fn read_all(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A process that dies in the middle has said what it has said.
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

/// When memory runs out, the system shall end the instance and not the list.
fn prefer_as_victim(child: &Child) {
    if cfg!(target_os = "linux") {
        let _ = std::fs::write(format!("/proc/{}/oom_score_adj", child.id()), "1000");
    }
}

#[cfg(unix)]
fn terminate(child: &mut Child) {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    if let Ok(id) = i32::try_from(child.id()) {
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
    }
}

#[cfg(not(unix))]
fn terminate(child: &mut Child) {
    let _ = child.kill();
}

/// What `verify --json` prints, as far as it is needed here.
#[derive(Deserialize)]
struct Answer {
    verdict: String,
    domains: usize,
    leaves: usize,
    rejected: usize,
    proof_bytes: Option<usize>,
    lower_bound: Option<f64>,
    reason: Option<String>,
    checker_seconds: f64,
    peak_bytes: Option<u64>,
}

impl Ended {
    fn record(&self) -> Result<Record, String> {
        if self.killed {
            let reason = format!("still running {} s after its limit; killed", GRACE.as_secs());
            return Ok(Record { verdict: "timeout".into(), reason, ..Record::default() });
        }
        let last = |text: &str| text.lines().last().unwrap_or_default().to_owned();
        if !self.status.success() && self.stdout.is_empty() {
            let said = last(&self.stderr);
            return Err(match said.strip_prefix("error: ") {
                Some(message) => message.to_owned(),
                None => format!("{}: {said}", self.status),
            });
        }
        let answer: Result<Answer, _> = serde_json::from_str(&last(&self.stdout));
        let answer = answer.map_err(|e| format!("{}; its output cannot be read: {e}", self.status))?;
        Ok(Record {
            verdict: if answer.verdict == "timed-out" { "timeout".into() } else { answer.verdict },
            domains: answer.domains,
            leaves: answer.leaves,
            rejected: answer.rejected,
            proof_bytes: answer.proof_bytes.unwrap_or(0),
            bound: answer.lower_bound,
            checker_s: Some(to_microseconds(answer.checker_seconds)),
            reason: answer.reason.unwrap_or_default(),
            peak_mib: answer.peak_bytes.map(|b| (b as f64 / f64::from(1u32 << 20)).round()),
            ..Record::default()
        })
    }
}

/// Seconds of one thread to check a proof from its file's bytes.
///
/// # Errors
/// What the checker says: a proof that was accepted leaf by leaf and is refused as a whole is a fault of this program.
fn check_again(
    problem: &verify::Instance,
    proofs: &[verify::CaseProof],
    meaning: Meaning,
) -> Result<f64, Error> {
    let failed = |source: ProofError| Error::Proof { path: "the proof in memory".into(), source };
    let identity = identify(problem.model(meaning), problem.property(), meaning, [[0; 32]; 3]);
    let file = proof_file::write(&identity, proofs, u64::MAX).map_err(|e| failed(e.into()))?;
    let start = Instant::now();
    let mut reader =
        Reader::new(file.as_slice(), file.len() as u64, u64::MAX).map_err(|e| failed(e.into()))?;
    let options = CheckOptions { threads: 1, plain: false, stop: interrupt::stop_flag() };
    proof_file::check(&mut reader, &identity, problem.model(meaning), problem.property(), options)
        .map_err(failed)?;
    Ok(start.elapsed().as_secs_f64())
}

fn verify_one(
    dir: &Path,
    instance: &Instance,
    settings: Settings,
    check_cost: bool,
) -> Result<Record, Error> {
    let start = Instant::now();
    let model = graph::load_model(&dir.join(&instance.onnx), None)?;
    let path = dir.join(&instance.vnnlib);
    let (lowered, meaning) = match property::load_specification(&path)? {
        Specification::V1(lowered) => (lowered, Meaning::Real),
        Specification::V2(query) => (query.lower().map_err(|e| e.in_file(&path))?, query.element.meaning()),
    };
    let problem = verify::Instance::new(lowered, vec![model]).map_err(|e| e.in_file(&path))?;
    // The limit counts from the start of reading.
    let timeout = settings.timeout.saturating_sub(start.elapsed());
    let settings = Settings { timeout, meaning, ..settings };
    let report = problem.verify(&settings, interrupt::stop_flag(), &Silent);
    let mut record = Record {
        verdict: word(&report.verdict).into(),
        domains: report.stats.domains,
        leaves: report.stats.leaves,
        rejected: report.stats.rejected,
        checker_s: Some(to_microseconds(report.stats.checker_seconds)),
        ..Record::default()
    };
    match &report.verdict {
        Verdict::Holds(proofs) => {
            record.proof_bytes = proofs.iter().map(|p| p.bytes.len()).sum();
            if check_cost {
                record.check_s = Some(to_microseconds(check_again(&problem, proofs, meaning)?));
            }
        }
        Verdict::Violated(_) => {}
        Verdict::Unknown { reason, lower_bound } => {
            record.reason = reason_text(*reason).into();
            record.bound = lower_bound.map(f64::from);
        }
    }
    Ok(record)
}
