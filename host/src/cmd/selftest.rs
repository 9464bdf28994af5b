//! `certus selftest`: the verifier against exact answers about random small networks.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use certus::{interrupt, output, progress};
use certus_engine::selftest::{Examined, Family, Finding, Question, Word, examine, onnx_bytes, shrink};
use serde::Serialize;

use super::Error;

/// Wrong verdicts that are made smaller and written.
const CASES_MAX: usize = 20;

/// Reports kept of each kind that is not a wrong verdict.
const EXAMPLES_MAX: usize = 5;

#[derive(clap::Args)]
pub struct Args {
    /// How many random networks.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    count: u64,
    /// First of the networks to draw, counted from 0: runs one again that a report names.
    #[arg(long, value_name = "N", default_value_t = 0)]
    from: u64,
    /// Seed of all random choices.
    #[arg(long, value_name = "N", default_value_t = 2026)]
    seed: u64,
    /// Seconds for one answer of the verifier.
    #[arg(long, value_name = "S", default_value_t = 2.0, allow_negative_numbers = true)]
    timeout: f64,
    /// Networks examined at once; 0 takes one per core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Folder for networks and properties with a wrong verdict, as ONNX and VNN-LIB; made when there is one.
    #[arg(long, value_name = "FOLDER", default_value = "selftest-failures")]
    out: PathBuf,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// What has been found so far.
#[derive(Default, Serialize)]
struct Summary {
    seed: u64,
    from: u64,
    networks: u64,
    /// Networks with too many pieces to be enumerated.
    passed_over: u64,
    questions: u64,
    unsat: u64,
    sat: u64,
    /// Counterexamples that miss over the reals by no more than `f64` rounds.
    sat_within_rounding: u64,
    unknown_near: u64,
    unknown_hard: u64,
    unknown_far: u64,
    refused: u64,
    wrong: u64,
    seconds: f64,
    interrupted: bool,
    failures: Vec<String>,
    examples: Vec<String>,
}

impl Summary {
    fn take(&mut self, seed: u64, index: u64, family: Family, examined: &[Examined]) -> Vec<Question> {
        self.networks += 1;
        self.passed_over += u64::from(examined.is_empty());
        let mut wrong = Vec::new();
        for one in examined {
            self.questions += 1;
            let mut note = |kind: &str, text: &str| {
                let line = format!("{kind}: network {index} of seed {seed} ({family:?}): {text}");
                if self.examples.iter().filter(|e| e.starts_with(kind)).count() < EXAMPLES_MAX {
                    self.examples.push(line);
                }
            };
            match &one.finding {
                Finding::Agrees(Word::Unsat) => self.unsat += 1,
                Finding::Agrees(Word::Sat) => self.sat += 1,
                Finding::WithinRounding => self.sat_within_rounding += 1,
                Finding::UnknownNear => self.unknown_near += 1,
                Finding::UnknownHard => self.unknown_hard += 1,
                Finding::UnknownFar(text) => {
                    self.unknown_far += 1;
                    note("unknown", text);
                }
                Finding::Refused(text) => {
                    self.refused += 1;
                    note("refused", text);
                }
                Finding::Wrong(text) => {
                    self.wrong += 1;
                    self.failures.push(format!("network {index} of seed {seed} ({family:?}): {text}"));
                    wrong.push(one.question.clone());
                }
            }
        }
        wrong
    }
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let timeout = super::verify::timeout("timeout", args.timeout)?;
    let stop = interrupt::stop_flag();
    let start = Instant::now();
    if !args.json {
        writeln!(out, "seed {}, {} networks", args.seed, args.count)?;
        out.flush()?;
    }
    let mut summary = examine_all(args, timeout)?;
    summary.seconds = start.elapsed().as_secs_f64();
    summary.interrupted = stop.load(Ordering::Relaxed);
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&summary).expect("plain numbers and strings"))?;
    } else {
        summary.print(out)?;
        if summary.wrong > 0 {
            writeln!(out, "the cases lie in {}", args.out.display())?;
        }
    }
    Ok(if summary.wrong > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn examine_all(args: &Args, timeout: Duration) -> Result<Summary, Error> {
    let stop = interrupt::stop_flag();
    let threads = match args.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    let next = AtomicU64::new(args.from);
    let end = args.from.saturating_add(args.count);
    let summary = Mutex::new(Summary { seed: args.seed, from: args.from, ..Summary::default() });
    let wrong: Mutex<Vec<(u64, Question)>> = Mutex::default();
    let bar = Mutex::new(progress::bar("selftest", usize::try_from(args.count).unwrap_or(usize::MAX)));
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= end {
                return;
            }
            let (family, examined) = examine(args.seed, index, timeout, stop);
            // What was cut short says nothing.
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let mut summary = summary.lock().expect("no panic in here");
            let failed = summary.take(args.seed, index, family, &examined);
            let done = summary.networks;
            drop(summary);
            wrong.lock().expect("no panic in here").extend(failed.into_iter().map(|q| (index, q)));
            bar.lock().expect("no panic in here").at(usize::try_from(done).unwrap_or(usize::MAX));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    drop(bar);
    for (number, (index, question)) in
        wrong.into_inner().expect("no panic in here").iter().take(CASES_MAX).enumerate()
    {
        let small = shrink(question, stop);
        write_case(&args.out, &format!("{}-{index}-{number}", args.seed), &small)?;
    }
    Ok(summary.into_inner().expect("no panic in here"))
}

/// Writes a case as `NAME.onnx`, `NAME.vnnlib` and `NAME.txt`, which says how the verifier was run.
fn write_case(folder: &Path, name: &str, question: &Question) -> Result<(), Error> {
    std::fs::create_dir_all(folder)
        .map_err(|source| Error::Directory { path: folder.display().to_string(), source })?;
    let write =
        |ending: &str, bytes: &[u8]| output::write_atomic(&folder.join(format!("{name}.{ending}")), bytes);
    write("onnx", &onnx_bytes(&question.network))?;
    write("vnnlib", question.statement.vnnlib().as_bytes())?;
    let how = format!("{:?}\nas a general program: {}\n", question.settings, question.as_program);
    write("txt", how.as_bytes())?;
    Ok(())
}

impl Summary {
    fn print(&self, out: &mut dyn Write) -> Result<(), Error> {
        writeln!(
            out,
            "{} networks, {} questions in {:.1} s{}",
            self.networks,
            self.questions,
            self.seconds,
            if self.interrupted { " (interrupted)" } else { "" }
        )?;
        let rows = [
            (self.unsat, "unsat, as the exact answer"),
            (self.sat, "sat, as the exact answer"),
            (
                self.sat_within_rounding,
                "sat in f32 and f64, within rounding of a threshold missed over the reals",
            ),
            (self.unknown_near, "unknown, threshold within rounding of the exact value"),
            (self.unknown_hard, "unknown, hidden violation or numbers beyond f32"),
            (self.unknown_far, "unknown without such a reason"),
            (self.refused, "refused with a message"),
            (self.wrong, "WRONG"),
        ];
        for (count, what) in rows {
            writeln!(out, "{count:>9}  {what}")?;
        }
        writeln!(out, "{:>9}  networks passed over: too many pieces to enumerate", self.passed_over)?;
        for line in self.examples.iter().chain(&self.failures) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}
