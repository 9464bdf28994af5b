//! `certus demo`: bundled examples.

use std::io::Write;
use std::process::ExitCode;

use super::{Error, control, room};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    demo: Demo,
}

#[derive(clap::Subcommand)]
enum Demo {
    /// A collision-avoidance network: properties, certificates, artifact, a monitored encounter, firmware.
    Control(control::Args),
    /// Whether a room is occupied, from four sensors: certified training, accuracy under the sensors' errors, artifact, monitor.
    Occupancy(room::Args),
    /// A room's CO2 half an hour ahead: a forecast with an interval that holds under the sensors' errors, artifact, monitor.
    Forecast(room::Args),
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    match &args.demo {
        Demo::Control(args) => control::run(args, out),
        Demo::Occupancy(args) => room::occupancy::run(args, out),
        Demo::Forecast(args) => room::forecast::run(args, out),
    }
}
