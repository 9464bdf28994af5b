//! `certus demo`: bundled examples.

use std::io::Write;
use std::process::ExitCode;

use super::{Error, control};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    demo: Demo,
}

#[derive(clap::Subcommand)]
enum Demo {
    /// A collision-avoidance network: properties, certificates, artifact, a monitored encounter, firmware.
    Control(control::Args),
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    match &args.demo {
        Demo::Control(args) => control::run(args, out),
    }
}
