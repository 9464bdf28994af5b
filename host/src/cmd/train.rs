//! `certus train CONFIG.toml`: from data to a network in a file.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use certus::evaluate::judge::Judgement;
use certus::interrupt::stop_flag;
use certus::machine;
use certus::output;
use certus::training::config::{self, Config};
use certus::training::load::{self, Part};
use certus::training::log::Epoch;
use certus::training::page;
use certus::training::run::{
    CHECKPOINT, EVALUATION, End, LOG, Live, NETWORK, Outcome, REPORT, Run, RunError, SETTINGS, Watch,
};
use certus::training::sweep::{self, Axis, Point};
use certus_engine::graph;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Error, judge};

#[derive(clap::Args)]
pub struct Args {
    /// Settings, TOML; `docs/training.md` explains every key.
    config: PathBuf,
    /// Folder for what comes out; that of the settings' name without.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Goes on with the run in the folder.
    #[arg(long)]
    resume: bool,
    /// Changes a setting, such as `train.epsilon=0.1`.
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    set: Vec<String>,
    /// Trains a network for each of the values, and for each combination if given several times; draws the front of clean against
    /// certified accuracy on held-out inputs, and judges the chosen network.
    #[arg(long, value_name = "TABLE.KEY=V1,V2,…")]
    sweep: Vec<String>,
    /// With `--sweep`: chooses among networks that are right on at least so many held-out inputs, %.
    #[arg(long, value_name = "PERCENT", requires = "sweep")]
    clean_at_least: Option<f64>,
    /// Epochs: short for `--set train.epochs=N`.
    #[arg(long, value_name = "N")]
    epochs: Option<f64>,
    /// Radius: short for `--set train.epsilon=X`.
    #[arg(long, value_name = "X")]
    epsilon: Option<f64>,
    /// Seed: short for `--set train.seed=N`.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Threads: short for `--set train.threads=N`; 0 takes one per core.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl Args {
    fn overrides(&self) -> Vec<String> {
        let short = [
            self.epochs.map(|x| format!("train.epochs={x:?}").to_lowercase()),
            self.epsilon.map(|x| format!("train.epsilon={x:?}").to_lowercase()),
            self.seed.map(|x| format!("train.seed={x}")),
            self.threads.map(|x| format!("train.threads={x}")),
        ];
        self.set.iter().cloned().chain(short.into_iter().flatten()).collect()
    }

    fn folder(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| PathBuf::from(self.config.file_stem().unwrap_or_default()))
    }
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let config = config::read(&args.config, &args.overrides())?;
    let folder = args.folder();
    std::fs::create_dir_all(&folder)
        .map_err(|source| Error::Directory { path: folder.display().to_string(), source })?;
    output::check_writable(&folder.join(NETWORK))?;
    if !args.sweep.is_empty() {
        return sweep(args, &config, &folder, out);
    }
    match train(&config, &folder, args.resume, out)? {
        Some(run) => finish(&run, &config, &folder, out),
        None => {
            let (file, folder) = (args.config.display(), folder.display());
            writeln!(out, "go on with: certus train {file} --out {folder} --resume, and what else was set")?;
            Ok(ExitCode::from(130))
        }
    }
}

/// A run in `folder`, to its end; `None` if it was interrupted.
fn train(config: &Config, folder: &Path, resume: bool, out: &mut dyn Write) -> Result<Option<Run>, Error> {
    let prepared = load::prepare(config).map_err(RunError::from)?;
    let mut run = Run::new(config, prepared, Some(folder), resume)?;
    output::write_atomic(&folder.join(SETTINGS), config.show().as_bytes())?;
    introduce(&run, config, out)?;
    let mut watch = Shown::new(&run, out);
    for epoch in run.epochs().to_vec() {
        watch.line(&epoch, None);
    }
    let end = run.go(stop_flag(), &mut watch)?;
    watch.finish()?;
    if end == End::Interrupted {
        let [done, total] = run.steps();
        writeln!(out, "\ninterrupted after {done} of {total} steps")?;
        return Ok(None);
    }
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let peak =
        machine::peak_bytes().map_or(String::new(), |b| format!(", {:.0} MiB in all at most", mebibytes(b)));
    writeln!(out, "\nmemory    {:.1} MiB for the values of a step{peak}", mebibytes(run.bytes() as u64))?;
    Ok(Some(run))
}

/// A network for each combination, then the chosen one judged.
fn sweep(args: &Args, config: &Config, folder: &Path, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let option = |problem: String| Error::Option { option: "sweep", problem };
    let axes =
        args.sweep.iter().map(|text| Axis::parse(text).map_err(option)).collect::<Result<Vec<_>, _>>()?;
    let combinations = sweep::combinations(&axes);
    if combinations.len() > sweep::MOST {
        let (runs, most) = (combinations.len(), sweep::MOST);
        return Err(option(format!("{runs} runs; no more than {most}")));
    }
    // All settings first: a mistake shows before hours of training.
    let with = |more: &Vec<String>| -> Result<Config, Error> {
        let all: Vec<String> = args.overrides().iter().chain(more).cloned().collect();
        let mut member = config::read(&args.config, &all)?;
        member.train.epsilon_test = config.train.test_radius();
        Ok(member)
    };
    let members = combinations.iter().map(with).collect::<Result<Vec<_>, _>>()?;
    let mut points = Vec::new();
    for (k, (changes, member)) in combinations.iter().zip(&members).enumerate() {
        let at = folder.join(format!("{:03}", k + 1));
        std::fs::create_dir_all(&at)
            .map_err(|source| Error::Directory { path: at.display().to_string(), source })?;
        writeln!(out, "\n{} of {}: {}\n", k + 1, members.len(), changes.join(" "))?;
        let resume = args.resume && at.join(CHECKPOINT).exists();
        let Some(run) = train(member, &at, resume, out)? else {
            writeln!(out, "go on by the same command with --resume")?;
            return Ok(ExitCode::from(130));
        };
        output::write_atomic(&at.join(NETWORK), &run.outcome()?.onnx)?;
        let last = run.epochs().last();
        let (clean, certified) = last.map_or((0.0, 0.0), |e| (e.held_out_clean, e.held_out_certified));
        points.push(Point { changes: changes.clone(), clean, certified });
    }
    let chosen = sweep::choose(&points, args.clean_at_least.unwrap_or(0.0) / 100.0);
    let front = sweep::front(&points);
    writeln!(out, "\n{:<40} {:>11} {:>12}", "held-out inputs", "right", "certified")?;
    for (k, point) in points.iter().enumerate() {
        let mark = match (Some(k) == chosen, front.contains(&k)) {
            (true, _) => "   chosen",
            (_, true) => "   front",
            _ => "",
        };
        let (clean, certified) = (100.0 * point.clean, 100.0 * point.certified);
        writeln!(out, "{:<40} {clean:>9.2} % {certified:>10.2} %{mark}", point.name())?;
    }
    let page = sweep::page(config, &points, chosen);
    output::write_atomic(&folder.join(REPORT), page.render().as_bytes())?;
    writeln!(out, "\nwrote {:<44} the front", folder.join(REPORT).display().to_string())?;
    let Some(k) = chosen else {
        writeln!(out, "no network is right so often; nothing was judged")?;
        return Ok(ExitCode::from(1));
    };
    let at = folder.join(format!("{:03}", k + 1));
    let run = Run::new(&members[k], load::prepare(&members[k]).map_err(RunError::from)?, Some(&at), true)?;
    finish(&run, &members[k], &at, out)
}

/// What is trained on what.
fn introduce(run: &Run, config: &Config, out: &mut dyn Write) -> Result<(), Error> {
    let [train, held_out, width] = run.sizes();
    let settings = run.settings();
    let preset = config.preset.as_ref().map_or(String::new(), |p| format!(", preset {p}"));
    writeln!(out, "data      {train} inputs of {width} elements, {held_out} held out")?;
    writeln!(out, "network   {} weights: {}", run.parameters(), config.network.layers.join(", "))?;
    writeln!(
        out,
        "training  {}{preset}, radius {}, {} epochs of {} steps, {} threads\n",
        serde_json::to_value(settings.method)
            .ok()
            .and_then(|v| v.as_str().map(String::from))
            .unwrap_or_default(),
        settings.epsilon,
        settings.epochs,
        run.steps_per_epoch(),
        settings.threads
    )?;
    Ok(out.flush()?)
}

/// Writes the network and says what there is.
fn finish(run: &Run, config: &Config, folder: &Path, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let outcome = run.outcome()?;
    output::write_atomic(&folder.join(NETWORK), &outcome.onnx)?;
    let judgement = match config.data.test {
        Some(_) => Some(judged(&outcome, config, folder, out)?),
        None => None,
    };
    let page = page::page(config, run, judgement.as_ref());
    output::write_atomic(&folder.join(REPORT), page.render().as_bytes())?;
    writeln!(out)?;
    for (name, what) in [
        (REPORT, "curves, numbers, settings: open it in a browser"),
        (NETWORK, "the network, batch normalisations folded in"),
        (LOG, "what each epoch was"),
        (CHECKPOINT, "where the run ended; --resume goes on from it"),
        (SETTINGS, "all settings it was made with"),
    ] {
        writeln!(out, "wrote {:<44} {what}", folder.join(name).display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The network as its file holds it, judged on the test data: the one time they are read.
fn judged(
    outcome: &Outcome,
    config: &Config,
    folder: &Path,
    out: &mut dyn Write,
) -> Result<Judgement, Error> {
    let network = graph::load_model(&folder.join(NETWORK), None)?;
    let set = load::read(config, Part::Test, Some(&outcome.names)).map_err(RunError::from)?;
    let task = load::task(config, set.width()).map_err(RunError::from)?;
    let found = judge::run(network, &set, &task, config)?;
    judge::print(&found, &set, out)?;
    output::write_atomic(&folder.join(EVALUATION), format!("{:#}\n", found.to_json()).as_bytes())?;
    Ok(found)
}

/// A run as it is shown: a bar on a terminal, a line for each epoch.
struct Shown<'o> {
    bar: ProgressBar,
    out: &'o mut dyn Write,
    start: Instant,
    error: Option<std::io::Error>,
    headed: bool,
}

impl<'o> Shown<'o> {
    fn new(run: &Run, out: &'o mut dyn Write) -> Self {
        let [done, total] = run.steps();
        let target = match std::io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr_with_hz(5),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(total), target).with_position(done);
        let template = "{bar:24} {pos}/{len} steps  {per_sec}  {eta} left  {msg}";
        bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
        bar.reset_eta();
        Self { bar, out, start: Instant::now(), error: None, headed: false }
    }

    fn line(&mut self, epoch: &Epoch, left: Option<f64>) {
        if !self.headed {
            self.headed = true;
            self.say(
                "epoch   radius      loss   batch %   bounds %   held-out %   certified %     time     left",
            );
        }
        let percent = |x: f64| if x.is_finite() { format!("{:.2}", 100.0 * x) } else { "-".into() };
        let left = left.map_or(String::new(), clock);
        self.say(&format!(
            "{:>5}   {:>6.4}   {:>7.4}   {:>7}   {:>8}   {:>10}   {:>11}   {:>6}   {left:>6}",
            epoch.epoch,
            epoch.epsilon,
            epoch.loss,
            percent(epoch.batch_clean),
            percent(epoch.batch_certified),
            percent(epoch.held_out_clean),
            percent(epoch.held_out_certified),
            clock(epoch.seconds),
        ));
    }

    fn say(&mut self, line: &str) {
        let Self { bar, out, error, .. } = self;
        let said = bar.suspend(|| writeln!(out, "{line}").and_then(|()| out.flush()));
        if let (Err(e), None) = (said, &error) {
            *error = Some(e);
        }
    }

    fn finish(self) -> Result<(), Error> {
        self.bar.finish_and_clear();
        self.error.map_or(Ok(()), |e| Err(e.into()))
    }
}

impl Watch for Shown<'_> {
    fn step(&mut self, live: &Live) {
        if self.start.elapsed() > Duration::from_millis(500) {
            let certified = if live.certified.is_finite() {
                format!(", certified {:.1} %", 100.0 * live.certified)
            } else {
                String::new()
            };
            self.bar.set_message(format!("loss {:.4}{certified}, radius {:.4}", live.loss, live.epsilon));
        }
        self.bar.set_position(live.step);
    }

    fn epoch(&mut self, epoch: &Epoch, left: f64) {
        self.line(epoch, Some(left));
    }
}

/// Seconds as people read them.
pub fn clock(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{}:{:02}", whole / 60, whole % 60),
        _ => format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60),
    }
}
