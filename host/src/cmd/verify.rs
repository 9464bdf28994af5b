//! `certus verify NET PROPERTY`: a verdict with its evidence.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use certus::output;
use certus_engine::{graph, property};

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
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// Where to write the counterexample of a `sat` answer, in the VNN-COMP format.
    #[arg(long, value_name = "FILE")]
    witness: Option<PathBuf>,
}

impl Args {
    fn timeout(&self) -> Result<Duration, Error> {
        let positive = Some(self.timeout).filter(|s| *s > 0.0);
        positive.and_then(|s| Duration::try_from_secs_f64(s).ok()).ok_or_else(|| Error::Option {
            option: "timeout",
            problem: format!("{} is not a positive number of seconds", self.timeout),
        })
    }
}

pub fn run(args: &Args, _out: &mut dyn Write) -> Result<ExitCode, Error> {
    let _timeout = args.timeout()?;
    if let Some(path) = &args.witness {
        output::check_writable(path)?;
    }
    let program = graph::load_program(&args.net)?;
    let property = property::load_property(&args.property)?;
    property.check_against(&program).map_err(|e| e.in_file(&args.property))?;
    let _json = args.json;
    Err(Error::NotBuiltIn("verifier"))
}
