//! `certus settings`: the expert settings with their meanings, defaults and ranges, as the TOML file that sets them.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use certus::settings;
use certus_engine::verify::Settings;

use super::Error;

#[derive(clap::Args)]
pub struct Args {
    /// Show what this file sets, over the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let shown = args.config.as_deref().map_or_else(|| Ok(Settings::default()), settings::read)?;
    write!(out, "{}", settings::show(&shown))?;
    Ok(ExitCode::SUCCESS)
}
