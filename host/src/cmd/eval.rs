//! `certus eval NET`: the outputs of a network on samples, as the device computes them, or how good it is on a data set.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use certus::csv;
use certus::output;
use certus::training::config;
use certus::training::load::{self, Part};
use certus::training::run::RunError;
use certus_engine::graph;
use certus_engine::property::Evaluate;

use super::{Error, judge};

#[derive(clap::Args)]
pub struct Args {
    /// Network, ONNX (gzip accepted).
    net: PathBuf,
    /// Weights in the place of the network's own, safetensors.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Samples: CSV, one row of inputs per line; prints the outputs.
    #[arg(long, value_name = "CSV", required_unless_present = "data", conflicts_with = "data")]
    input: Option<PathBuf>,
    /// Test data and radius: settings as of `certus train`, of which [data] and [evaluate] count; prints clean, attacked and certified
    /// accuracy.
    #[arg(long, value_name = "CONFIG")]
    data: Option<PathBuf>,
    /// Radius, in units of the settings' `radius`.
    #[arg(long, value_name = "X", requires = "data")]
    epsilon: Option<f64>,
    /// Changes a setting, such as `evaluate.verify=500`.
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE", requires = "data")]
    set: Vec<String>,
    /// Writes the numbers as JSON.
    #[arg(long, value_name = "FILE", requires = "data")]
    json: Option<PathBuf>,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let network = graph::load_model(&args.net, args.weights.as_deref())?;
    let Some(input) = &args.input else {
        let data = args.data.as_deref().expect("one of both is required");
        return on_data(network, data, args, out);
    };
    for row in csv::read_rows(input, network.inputs())? {
        // `{:?}` prints the shortest decimal that reads back as the same f32.
        let outputs: Vec<String> = network.eval_f32(&row).iter().map(|y| format!("{y:?}")).collect();
        writeln!(out, "{}", outputs.join(","))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn on_data(
    network: certus_engine::model::Model,
    data: &Path,
    args: &Args,
    out: &mut dyn Write,
) -> Result<ExitCode, Error> {
    let mut changes = args.set.clone();
    changes.extend(args.epsilon.map(|x| format!("evaluate.epsilon={x:?}").to_lowercase()));
    let config = config::read(data, &changes)?;
    if let Some(file) = &args.json {
        output::check_writable(file)?;
    }
    let set = load::read(&config, Part::Test, None).map_err(RunError::from)?;
    let set = load::with_outputs(set, network.outputs());
    let task = load::task(&config, set.width()).map_err(RunError::from)?;
    let found = judge::run(network, &set, &task, &config)?;
    judge::print(&found, &set, out)?;
    if let Some(file) = &args.json {
        output::write_atomic(file, format!("{:#}\n", found.to_json()).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}
