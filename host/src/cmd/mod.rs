//! Subcommands, one file each: `Args` (what clap parses) and `run` (what it does).

mod eval;
mod verify;

use std::io::{self, Write};
use std::process::ExitCode;

use certus::csv::CsvError;
use certus::output::FileError;
use certus_engine::graph::LoadError;
use certus_engine::property::PropertyError;

/// What `certus` can do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Verify a property of a network: prints sat, unsat, unknown or timeout.
    Verify(verify::Args),
    /// Evaluate a network on samples, as the device computes it.
    Eval(eval::Args),
}

impl Command {
    /// Runs the subcommand, writing its result to `out`.
    pub fn run(&self, out: &mut dyn Write) -> Result<ExitCode, Error> {
        match self {
            Self::Verify(args) => verify::run(args, out),
            Self::Eval(args) => eval::run(args, out),
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
    /// An option whose value makes no sense.
    #[error("--{option}: {problem}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// This build lacks a part.
    #[error("{0} not built in")]
    NotBuiltIn(&'static str),
    /// Standard output was closed or is full.
    #[error("standard output: {0}")]
    Stdout(#[from] io::Error),
}
