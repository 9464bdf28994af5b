//! A run: steps, a log, checkpoints, and a network at the end.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use certus_engine::file::{self, FileError};
use certus_engine::program::{Program, ProgramError};
use certus_learn::data::{Set, Targets};
use certus_learn::model::{Model, ModelError};
use certus_learn::train::{CheckpointError, Measure, SettingError, Settings, Step, Task, Trainer};
use sha2::{Digest, Sha256};

use super::config::Config;
use super::load::{LoadError, Prepared};
use super::log::{self, Epoch};
use super::network::{self, Normalise};
use super::onnx::to_onnx;

/// Name of the checkpoint in the folder of a run.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// Name of the log.
pub const LOG: &str = "log.csv";
/// Name of the network.
pub const NETWORK: &str = "network.onnx";
/// Name of the numbers that it was judged by.
pub const EVALUATION: &str = "evaluation.json";
/// Name of the report.
pub const REPORT: &str = "report.html";
/// Name of the settings that the run was made with.
pub const SETTINGS: &str = "settings.toml";
/// Inputs at a time when held-out inputs are measured.
const MEASURE_LANES: usize = 256;

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Data.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Layers that do not fit.
    #[error("{path}: [network] {source}")]
    Model {
        /// The file of settings.
        path: String,
        /// What does not fit.
        source: ModelError,
    },
    /// A setting that does not fit the data.
    #[error("{path}: [train] {source}")]
    Setting {
        /// The file of settings.
        path: String,
        /// The setting.
        source: SettingError,
    },
    /// There is a run already.
    #[error("{path}: holds a run; go on with it by --resume, or name another folder by --out")]
    Exists {
        /// The checkpoint.
        path: String,
    },
    /// There is no run to go on with.
    #[error("{path}: no checkpoint to go on from; start without --resume")]
    NothingToResume {
        /// The checkpoint.
        path: String,
    },
    /// The loss is no number any more.
    #[error(
        "step {step} (epoch {epoch:.2}): the loss is {loss}; take a smaller `rate`, a longer `ramp`, or `clip`"
    )]
    Diverged {
        /// The step.
        step: u64,
        /// The same in epochs.
        epoch: f64,
        /// The loss.
        loss: f64,
    },
    /// Weights that are no network.
    #[error("the trained weights are no network: {0}")]
    Program(#[from] ProgramError),
}

/// What is shown while a run goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Live {
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub total: u64,
    /// Mean loss of the last steps.
    pub loss: f64,
    /// Share of their inputs of the right class; not a number if none was measured.
    pub clean: f64,
    /// Share whose bounds show it.
    pub certified: f64,
    /// The present radius.
    pub epsilon: f64,
}

/// Who hears of a run.
pub trait Watch {
    /// A step is over.
    fn step(&mut self, live: &Live);
    /// An epoch is over; `left` is an estimate of the seconds to go.
    fn epoch(&mut self, epoch: &Epoch, left: f64);
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All steps are done.
    Done,
    /// It was interrupted; the checkpoint says how far it came.
    Interrupted,
}

/// A run in its folder.
#[derive(Debug)]
pub struct Run {
    trainer: Trainer,
    measure: Measure,
    /// What is learned from and measured on, as the layers see it.
    train: Set,
    held_out: Set,
    task: Task,
    test_radius: f64,
    normalise: Option<Normalise>,
    notice: Option<String>,
    digest: String,
    folder: Option<PathBuf>,
    epochs: Vec<Epoch>,
    seconds: f64,
    sums: Sums,
}

/// Sums over the steps of an epoch.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    steps: u64,
    loss: f64,
    lanes: usize,
    correct: Option<usize>,
    certified: Option<usize>,
}

/// `task` as the layers behind `normalise` see it.
fn seen(task: &Task, normalise: Option<&Normalise>) -> Task {
    let Some(of) = normalise else { return task.clone() };
    let radius = task.radius.iter().zip(&of.scale).map(|(r, s)| r * s).collect();
    let range = task.range.clone().map(|ends| {
        ends.map(|mut end| {
            of.apply(&mut end);
            end
        })
    });
    Task { radius, range }
}

impl Run {
    /// A run on `prepared` data; with a folder it keeps a log and checkpoints there, and goes on from them if `resume`.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn new(
        config: &Config,
        prepared: Prepared,
        folder: Option<&Path>,
        resume: bool,
    ) -> Result<Self, RunError> {
        let Prepared { mut train, mut held_out, normalise, task } = prepared;
        let path = || config.path.display().to_string();
        let digest = digest_of(&train);
        if let Some(of) = &normalise {
            of.apply_to(&mut train);
            of.apply_to(&mut held_out);
        }
        let task = seen(&task, normalise.as_ref());
        let layers = config.network.layers(train.targets.outputs()).expect("checked when read");
        let model =
            Model::new(&train.shape, &layers).map_err(|source| RunError::Model { path: path(), source })?;
        let settings = |source| RunError::Setting { path: path(), source };
        config.train.check_shape(&train.shape).map_err(settings)?;
        let checkpoint = folder.map(|f| f.join(CHECKPOINT));
        let there = checkpoint.as_ref().filter(|c| c.exists());
        let (trainer, epochs) = match (there, &checkpoint, resume) {
            (Some(file), _, true) => {
                let run =
                    Trainer::resume(file, config.train.clone(), task.clone(), model, (train.len(), &digest))?;
                let before = file.with_file_name(LOG);
                let epochs = if before.exists() { log::read(&before, run.steps())? } else { Vec::new() };
                (run, epochs)
            }
            (Some(file), _, false) => return Err(RunError::Exists { path: file.display().to_string() }),
            (None, Some(file), true) => {
                return Err(RunError::NothingToResume { path: file.display().to_string() });
            }
            (None, ..) => {
                let fresh = Trainer::new(config.train.clone(), task.clone(), model, train.len());
                (fresh.map_err(settings)?, Vec::new())
            }
        };
        let lanes = MEASURE_LANES.min(held_out.len().max(1));
        let measure = Measure::new(trainer.model(), &task, lanes, trainer.settings().threads);
        let (test_radius, notice) = (config.train.test_radius(), config.data.notice.clone());
        let seconds = epochs.last().map_or(0.0, |e| e.seconds);
        let folder = folder.map(Path::to_owned);
        let sums = Sums::default();
        Ok(Self {
            trainer,
            measure,
            train,
            held_out,
            task,
            test_radius,
            normalise,
            notice,
            digest,
            folder,
            epochs,
            seconds,
            sums,
        })
    }

    /// Settings, threads made definite.
    pub fn settings(&self) -> &Settings {
        self.trainer.settings()
    }

    /// Steps done and steps in all.
    pub fn steps(&self) -> [u64; 2] {
        [self.trainer.steps(), self.trainer.total_steps()]
    }

    /// Steps of an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.trainer.steps_per_epoch()
    }

    /// The epochs so far.
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// Inputs learned from, held out, and elements of each.
    pub fn sizes(&self) -> [usize; 3] {
        [self.train.len(), self.held_out.len(), self.train.width()]
    }

    /// Weights that are trained.
    pub fn parameters(&self) -> usize {
        self.trainer.model().parameters.iter().map(|p| p.values.len()).sum()
    }

    /// Bytes that the graphs so far hold, beside data and weights.
    pub fn bytes(&self) -> usize {
        self.trainer.bytes()
    }

    /// Takes the steps that are left; `stop` ends the run after a step, with a checkpoint.
    ///
    /// # Errors
    /// [`RunError::Diverged`], or what a file could not take; earlier checkpoints stay.
    pub fn go(&mut self, stop: &AtomicBool, watch: &mut dyn Watch) -> Result<End, RunError> {
        let (start, before) = (Instant::now(), self.seconds);
        let first = self.trainer.steps();
        while !self.trainer.is_done() {
            let step = self.trainer.step(&self.train);
            if !step.values.loss.is_finite() {
                let epoch = step.number as f64 / self.trainer.steps_per_epoch() as f64;
                return Err(RunError::Diverged { step: step.number, epoch, loss: step.values.loss });
            }
            self.sums.add(&step);
            let [done, total] = self.steps();
            let [loss, clean, certified] = self.sums.means();
            watch.step(&Live { step: done, total, loss, clean, certified, epsilon: step.epsilon });
            self.seconds = before + start.elapsed().as_secs_f64();
            let whole = done.is_multiple_of(self.trainer.steps_per_epoch());
            if whole || self.trainer.is_done() {
                self.end_epoch(&step);
                let rate = (done - first) as f64 / start.elapsed().as_secs_f64().max(1e-9);
                watch.epoch(self.epochs.last().expect("just added"), (total - done) as f64 / rate);
            }
            let stopped = stop.load(Ordering::Relaxed) && !self.trainer.is_done();
            if whole || stopped || self.trainer.is_done() {
                self.save()?;
            }
            if stopped {
                return Ok(End::Interrupted);
            }
        }
        Ok(End::Done)
    }

    fn end_epoch(&mut self, last: &Step) {
        let [loss, batch_clean, batch_certified] = self.sums.means();
        let (mut clean, mut certified) = (f64::NAN, f64::NAN);
        if !self.held_out.is_empty() && matches!(self.held_out.targets, Targets::Classes { .. }) {
            // What would come out now: mean weights count.
            let model = self.trainer.result(&self.train);
            let Self { trainer, measure, task, held_out, test_radius, .. } = self;
            let found =
                trainer.with_threads(|| measure.measure(&model, task, held_out, *test_radius, usize::MAX));
            (clean, certified) = (found.clean() / 100.0, found.bounded() / 100.0);
        }
        self.epochs.push(Epoch {
            epoch: self.trainer.steps().div_ceil(self.trainer.steps_per_epoch()),
            step: self.trainer.steps(),
            epsilon: last.epsilon,
            rate: last.rate,
            kappa: last.kappa,
            loss,
            batch_clean,
            batch_certified,
            held_out_clean: clean,
            held_out_certified: certified,
            seconds: self.seconds,
        });
        self.sums = Sums::default();
    }

    /// Writes log and checkpoint.
    fn save(&self) -> Result<(), RunError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        // The log first: what it says beyond the checkpoint is left out when the run goes on.
        file::write_atomic(&folder.join(LOG), log::show(&self.epochs).as_bytes())?;
        Ok(self.trainer.save(&folder.join(CHECKPOINT), self.train.len(), &self.digest)?)
    }

    /// The network that came out.
    ///
    /// # Errors
    /// [`RunError::Program`] if weights are no finite numbers.
    pub fn outcome(&self) -> Result<Outcome, RunError> {
        let model = self.trainer.result(&self.train).folded();
        let program = network::program(&model, self.normalise.as_ref())?;
        let onnx = to_onnx(&model, self.normalise.as_ref(), self.notice.as_deref()).to_bytes();
        let names = match &self.train.targets {
            Targets::Classes { names, .. } | Targets::Values { names, .. } => names.clone(),
        };
        Ok(Outcome { model, normalise: self.normalise.clone(), program, onnx, names })
    }
}

/// What a run gives.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The network behind its normalisation, batch normalisations folded in.
    pub model: Model,
    /// What it does first.
    pub normalise: Option<Normalise>,
    /// The whole as bounds read it.
    pub program: Program,
    /// The whole as a file.
    pub onnx: Vec<u8>,
    /// What its outputs are called.
    pub names: Vec<String>,
}

impl Sums {
    fn add(&mut self, step: &Step) {
        self.steps += 1;
        self.loss += step.values.loss;
        self.lanes += step.lanes;
        let plus = |sum: &mut Option<usize>, more: Option<usize>| {
            if let Some(more) = more {
                *sum = Some(sum.unwrap_or(0) + more);
            }
        };
        plus(&mut self.correct, step.values.correct);
        plus(&mut self.certified, step.values.certified);
    }

    /// Loss, share of the right class, share that bounds show.
    fn means(&self) -> [f64; 3] {
        let share = |count: Option<usize>| count.map_or(f64::NAN, |c| c as f64 / self.lanes.max(1) as f64);
        [self.loss / self.steps.max(1) as f64, share(self.correct), share(self.certified)]
    }
}

/// Digest of inputs and targets, in hexadecimal digits.
fn digest_of(set: &Set) -> String {
    let mut hash = Sha256::new();
    let mut numbers = |values: &[f32]| {
        for chunk in values.chunks(4096) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|x| x.to_le_bytes()).collect();
            hash.update(&bytes);
        }
    };
    numbers(&set.inputs);
    match &set.targets {
        Targets::Classes { labels, .. } => {
            numbers(&labels.iter().map(|l| *l as f32).collect::<Vec<_>>());
        }
        Targets::Values { values, .. } => numbers(values),
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}
