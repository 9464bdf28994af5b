//! Subcommands, one file each: `Args` (what clap parses) and `run` (what it does).

mod artifact_file;
mod assignment;
mod bench;
mod certify;
mod check;
mod control;
mod demo;
mod digits;
mod eval;
mod explain_bound;
mod export;
mod firmware;
mod inspect;
mod judge;
mod monitor;
mod networks;
mod proof;
mod room;
mod selftest;
mod settings;
mod supports;
mod train;
mod verify;

use std::io::{self, Write};
use std::process::ExitCode;

use certus::core::{ArtifactError, MonitorError};
use certus::csv::CsvError;
use certus::engine::certify::check::CheckError;
use certus::engine::certify::{CertificateFileError, EmitError};
use certus::output::FileError;
use certus_engine::graph::LoadError;
use certus_engine::property::PropertyError;
use certus_engine::verify::proof_file::ProofError;

/// What `certus` can do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// From data to device on spoken digits: train a certified network, evaluate, export, monitor, and write a report.
    Quickstart(digits::Args),
    /// Run a bundled example from the network to the monitored device.
    Demo(demo::Args),
    /// Train a network that can be certified, from data and settings in files.
    Train(train::Args),
    /// Verify a property of a network, or a query of several: prints sat, unsat, unknown or timeout.
    Verify(verify::Args),
    /// Check a proof that `verify --proof` wrote, with nothing but network, property and file.
    Check(check::Args),
    /// Verify every instance of a benchmark and compare with the expected verdicts.
    Bench(bench::Args),
    /// Say which row, layers and neurons keep an instance open.
    ExplainBound(explain_bound::Args),
    /// Show the expert settings as the TOML file that sets them.
    Settings(settings::Args),
    /// Prove region certificates around samples or on boxes.
    Certify(certify::Args),
    /// Evaluate a network: its outputs on samples, or its clean, attacked and certified accuracy on a data set.
    Eval(eval::Args),
    /// Write an artifact for a device, or check one against its network.
    Export(export::Args),
    /// Show what an artifact holds.
    Inspect(inspect::Args),
    /// Say what the device would say to each sample.
    Monitor(monitor::Args),
    /// Hold the verifier against exact answers about random small networks.
    Selftest(selftest::Args),
    /// Answer one question of the VNN-LIB standard about what can be verified.
    Supports(supports::Args),
    /// List what can be verified, all answers of `supports`.
    Capabilities(supports::AllArgs),
}

impl Command {
    /// Runs the subcommand, writing its result to `out`.
    pub fn run(&self, out: &mut dyn Write) -> Result<ExitCode, Error> {
        match self {
            Self::Quickstart(args) => digits::run(args, out),
            Self::Demo(args) => demo::run(args, out),
            Self::Train(args) => train::run(args, out),
            Self::Verify(args) => verify::run(args, out),
            Self::Check(args) => check::run(args, out),
            Self::Bench(args) => bench::run(args, out),
            Self::ExplainBound(args) => explain_bound::run(args, out),
            Self::Settings(args) => settings::run(args, out),
            Self::Certify(args) => certify::run(args, out),
            Self::Eval(args) => eval::run(args, out),
            Self::Export(args) => export::run(args, out),
            Self::Inspect(args) => inspect::run(args, out),
            Self::Monitor(args) => monitor::run(args, out),
            Self::Selftest(args) => selftest::run(args, out),
            Self::Supports(args) => supports::run(args, out),
            Self::Capabilities(args) => supports::run_all(args, out),
        }
    }
}

/// Why a subcommand failed; its display is one line that names file and place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A network that could not be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A property that could not be read, or does not fit its network.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// A file that could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Samples that could not be read.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// Bytes that are no artifact.
    #[error("{path}: {source}")]
    Artifact {
        /// The file.
        path: String,
        /// The check that failed.
        source: ArtifactError,
    },
    /// An artifact that cannot be written.
    #[error("{path}: {source}")]
    Emit {
        /// The file.
        path: String,
        /// What does not fit.
        source: EmitError,
    },
    /// An artifact that cannot be compared with its network.
    #[error("{path}: {source}")]
    Check {
        /// The file.
        path: String,
        /// Why not.
        source: CheckError,
    },
    /// Certificates that could not be read.
    #[error("{path}: {source}")]
    Certificates {
        /// The file.
        path: String,
        /// What is wrong.
        source: CertificateFileError,
    },
    /// A monitor that could not be built.
    #[error("{path}: {source}")]
    Monitor {
        /// The artifact's file.
        path: String,
        /// Why not.
        source: MonitorError,
    },
    /// Data that could not be read.
    #[error(transparent)]
    Data(#[from] certus::learn::data::DataError),
    /// A network that could not be trained.
    #[error(transparent)]
    Train(#[from] certus::digits::run::TrainError),
    /// An evaluation that failed, above all one in which a certificate is wrong.
    #[error(transparent)]
    Evaluate(#[from] certus::digits::evaluate::EvaluateError),
    /// The example inside the program.
    #[error("{0}; build again from a clean checkout")]
    Bundle(String),
    /// A directory that could not be made.
    #[error("{path}: cannot make this directory: {source}")]
    Directory {
        /// The directory.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// This program could not be started again for one instance or in the background.
    #[error("cannot start another process of this program: {0}")]
    Process(io::Error),
    /// Settings that could not be read.
    #[error(transparent)]
    Settings(#[from] certus::settings::SettingsError),
    /// Settings of training that could not be read.
    #[error(transparent)]
    Config(#[from] certus::training::config::ConfigError),
    /// Training that could not begin or go on.
    #[error(transparent)]
    Training(#[from] certus::training::run::RunError),
    /// A network that could not be judged.
    #[error(transparent)]
    Judge(#[from] certus::evaluate::EvaluateError),
    /// A list of instances, or of results, that cannot be read.
    #[error("{path}: {problem}")]
    List {
        /// The file, with its line where known.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// An option whose value makes no sense.
    #[error("--{option}: {problem}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A proof that cannot be written.
    #[error("{path}: {source}")]
    Proof {
        /// The file.
        path: String,
        /// Why not.
        source: ProofError,
    },
    /// An example of a room's sensors that stopped.
    #[error(transparent)]
    Room(#[from] certus::room::RoomError),
    /// Standard output was closed or is full.
    #[error("standard output: {0}")]
    Stdout(#[from] io::Error),
}
