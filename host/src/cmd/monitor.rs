//! `certus monitor ARTIFACT --input CSV`: what the device would say to each sample.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use certus::core::monitor::{Decision, MonitorRef, ProgramMonitorRef, Status};
use certus::core::program::Place;
use certus::core::{Evidence, MonitorError, monitor};
use certus::csv;
use certus::engine::certify::program_artifact;
use certus::table::write_table;
use serde_json::{Value, json};

use super::artifact_file::View;
use super::{Error, artifact_file};

#[derive(clap::Args)]
pub struct Args {
    /// Artifact, as `certus export` writes it.
    artifact: PathBuf,
    /// Samples: CSV, one row of features per line, raw units.
    #[arg(long, value_name = "CSV")]
    input: PathBuf,
    /// Print one JSON object per sample, then one with the counts; `null` is an infinite number.
    #[arg(long)]
    json: bool,
}

/// How many samples ended how.
#[derive(Default)]
struct Counts {
    region: usize,
    bounds: usize,
    not_certified: usize,
    out_of_range: usize,
    invalid: usize,
}

impl Counts {
    fn add(&mut self, status: &Status) {
        let count = match status {
            Status::Certified { by: Evidence::Region, .. } => &mut self.region,
            Status::Certified { .. } => &mut self.bounds,
            Status::NotCertified { .. } => &mut self.not_certified,
            Status::OutOfRange { .. } => &mut self.out_of_range,
            _ => &mut self.invalid,
        };
        *count += 1;
    }
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let bytes = artifact_file::read(&args.artifact)?;
    let failed = |source| Error::Monitor { path: args.artifact.display().to_string(), source };
    match artifact_file::view(&bytes, &args.artifact)? {
        View::Chain(view) => {
            let samples = csv::read_rows(&args.input, view.inputs())?;
            let layers: Vec<_> = view.layers().collect();
            let mut memory = vec![0.0; monitor::memory_len(&view)];
            let mut monitor = MonitorRef::new(view, &layers, &mut memory).map_err(failed)?;
            judge(args, &samples, out, |sample| (monitor.step(sample), monitor.outputs().to_vec()))
        }
        View::Program(view) => {
            let samples = csv::read_rows(&args.input, view.inputs())?;
            let memory = program_artifact::memory_len(&view);
            let mut memory = vec![0.0; memory.map_err(|e| failed(MonitorError::Program(e)))?];
            let (steps, terms): (Vec<_>, Vec<_>) = (view.steps().collect(), view.terms().collect());
            let mut places = vec![Place::default(); steps.len() + 1];
            let mut monitor =
                ProgramMonitorRef::new(view, &steps, &terms, &mut places, &mut memory).map_err(failed)?;
            judge(args, &samples, out, |sample| (monitor.step(sample), monitor.outputs().to_vec()))
        }
    }
}

/// Prints what `step` says to each sample, then the counts.
fn judge(
    args: &Args,
    samples: &[Vec<f32>],
    out: &mut dyn Write,
    mut step: impl FnMut(&[f32]) -> (Decision, Vec<f32>),
) -> Result<ExitCode, Error> {
    let mut counts = Counts::default();
    let mut rows = Vec::new();
    for (index, sample) in samples.iter().enumerate() {
        let (decision, outputs) = step(sample);
        counts.add(&decision.status);
        if args.json {
            writeln!(out, "{}", to_json(index, &decision, &outputs))?;
        } else {
            rows.push(to_row(index, &decision));
        }
    }
    let Counts { region, bounds, not_certified, out_of_range, invalid } = counts;
    if args.json {
        let counts = json!({
            "samples": samples.len(), "certified_by_region": region, "certified_by_bounds": bounds,
            "not_certified": not_certified, "out_of_range": out_of_range, "invalid": invalid,
        });
        writeln!(out, "{counts}")?;
    } else {
        write_table(out, &["sample", "class", "margin", "status"], &rows)?;
        writeln!(
            out,
            "\n{} samples: {} certified ({region} by region, {bounds} by bounds), {not_certified} not certified, \
             {out_of_range} out of range, {invalid} invalid",
            samples.len(),
            region + bounds
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn to_row(index: usize, decision: &Decision) -> Vec<String> {
    let class = decision.class.map_or_else(|| "-".to_owned(), |class| class.to_string());
    let margin = if decision.margin.is_finite() { decision.margin.to_string() } else { "-".to_owned() };
    vec![index.to_string(), class, margin, decision.status.to_string()]
}

fn to_json(index: usize, decision: &Decision, outputs: &[f32]) -> Value {
    let mut object =
        json!({"sample": index, "class": decision.class, "margin": decision.margin, "outputs": outputs});
    let (status, key, value) = match decision.status {
        Status::Certified { by, radius } => {
            object["by"] = json!(by.to_string());
            ("certified", "radius", json!(radius))
        }
        Status::NotCertified { margin_lower } => ("not certified", "margin_lower", json!(margin_lower)),
        Status::OutOfRange { feature } => ("out of range", "feature", json!(feature)),
        Status::Invalid(fault) => ("invalid", "fault", json!(fault.to_string())),
        other => ("other", "text", json!(other.to_string())),
    };
    object["status"] = json!(status);
    object[key] = value;
    object
}
