//! `certus eval NET --input CSV`: the outputs of a network, as the device computes them.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use certus::csv;
use certus_engine::graph;
use certus_engine::property::Evaluate;

use super::Error;

#[derive(clap::Args)]
pub struct Args {
    /// Network, ONNX (gzip accepted).
    net: PathBuf,
    /// Weights in the place of the network's own, safetensors.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Samples: CSV, one row of inputs per line.
    #[arg(long, value_name = "CSV")]
    input: PathBuf,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let network = graph::load_model(&args.net, args.weights.as_deref())?;
    for row in csv::read_rows(&args.input, network.inputs())? {
        // `{:?}` prints the shortest decimal that reads back as the same f32.
        let outputs: Vec<String> = network.eval_f32(&row).iter().map(|y| format!("{y:?}")).collect();
        writeln!(out, "{}", outputs.join(","))?;
    }
    Ok(ExitCode::SUCCESS)
}
