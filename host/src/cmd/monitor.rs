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
    /// Add what each output can be on the ball: the answer of a network whose outputs are numbers.
    #[arg(long)]
    interval: bool,
}

/// What one step said, and what it bounded.
struct Answer {
    decision: Decision,
    outputs: Vec<f32>,
    /// Smallest and largest value of each output; infinite where nothing is proved.
    ends: [Vec<f32>; 2],
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
            let mut ends = [0; 2].map(|_| vec![0.0; monitor.view().outputs()]);
            judge(args, &samples, out, |sample| {
                let decision = monitor.step(sample);
                let [lower, upper] = &mut ends;
                if args.interval {
                    // Without a bound both ends are infinite, which is what is shown.
                    let _ = monitor.output_bounds(lower, upper);
                }
                Answer { decision, outputs: monitor.outputs().to_vec(), ends: ends.clone() }
            })
        }
        View::Program(view) => {
            let samples = csv::read_rows(&args.input, view.inputs())?;
            let memory = program_artifact::memory_len(&view);
            let mut memory = vec![0.0; memory.map_err(|e| failed(MonitorError::Program(e)))?];
            let (steps, terms): (Vec<_>, Vec<_>) = (view.steps().collect(), view.terms().collect());
            let mut places = vec![Place::default(); steps.len() + 1];
            let mut monitor =
                ProgramMonitorRef::new(view, &steps, &terms, &mut places, &mut memory).map_err(failed)?;
            let mut ends = [0; 2].map(|_| vec![0.0; monitor.view().outputs()]);
            judge(args, &samples, out, |sample| {
                let decision = monitor.step(sample);
                let [lower, upper] = &mut ends;
                if args.interval {
                    // Without a bound both ends are infinite, which is what is shown.
                    let _ = monitor.output_bounds(lower, upper);
                }
                Answer { decision, outputs: monitor.outputs().to_vec(), ends: ends.clone() }
            })
        }
    }
}

/// Prints what `step` says to each sample, then the counts.
fn judge(
    args: &Args,
    samples: &[Vec<f32>],
    out: &mut dyn Write,
    mut step: impl FnMut(&[f32]) -> Answer,
) -> Result<ExitCode, Error> {
    let mut counts = Counts::default();
    let mut rows = Vec::new();
    for (index, sample) in samples.iter().enumerate() {
        let Answer { decision, outputs, ends } = step(sample);
        counts.add(&decision.status);
        if args.json {
            let mut object = to_json(index, &decision, &outputs);
            if args.interval {
                (object["lower"], object["upper"]) = (json!(ends[0]), json!(ends[1]));
            }
            writeln!(out, "{object}")?;
        } else {
            let mut row = to_row(index, &decision);
            if args.interval {
                let intervals = ends[0].iter().zip(&ends[1]).map(|(l, u)| format!("[{l}, {u}]"));
                row.insert(3, intervals.collect::<Vec<_>>().join(" "));
            }
            rows.push(row);
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
        let mut header = vec!["sample", "class", "margin", "status"];
        if args.interval {
            header.insert(3, "interval");
        }
        write_table(out, &header, &rows)?;
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
