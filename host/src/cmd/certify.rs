//! `certus certify NET`: proves region certificates around samples, or on given boxes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use certus::engine::Chain;
use certus::engine::certify::artifact::network_digest;
use certus::engine::certify::prove::{Outcome, prove_region};
use certus::engine::certify::{CertificateFile, OwnedSpec};
use certus::engine::graph;
use certus::{csv, interrupt, output, progress};
use certus_core::artifact::Claim;

use super::Error;
use super::export::epsilon;
use super::verify::timeout;

#[derive(clap::Args)]
pub struct Args {
    /// Network, ONNX (gzip accepted).
    net: PathBuf,
    /// Samples, CSV: a box of radius epsilon around each.
    #[arg(long, value_name = "CSV", requires = "epsilon", required_unless_present = "regions")]
    samples: Option<PathBuf>,
    /// Radius of the boxes, raw units: one number, or a CSV with one row of one number per feature.
    #[arg(long, value_name = "E|CSV", allow_negative_numbers = true)]
    epsilon: Option<String>,
    /// Boxes, CSV: per row the smallest value of each feature, then the largest of each.
    #[arg(long, value_name = "CSV", conflicts_with = "samples")]
    regions: Option<PathBuf>,
    /// Weights in the place of the network's own, safetensors.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Whether the largest or the smallest output is the class.
    #[arg(long, value_enum, default_value = "argmax")]
    spec: SpecName,
    /// Where the certificates go, JSON, for `certus export --regions`.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Seconds for each region.
    #[arg(long, value_name = "S", default_value_t = 5.0, allow_negative_numbers = true)]
    timeout: f64,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SpecName {
    /// The class is the largest output.
    Argmax,
    /// The class is the smallest output.
    Argmin,
}

/// A box of inputs.
struct Region {
    lower: Vec<f32>,
    upper: Vec<f32>,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let limit = timeout("timeout", args.timeout)?;
    output::check_writable(&args.out)?;
    let chain = graph::load_chain_with(&args.net, args.weights.as_deref())?;
    let spec = match args.spec {
        SpecName::Argmax => OwnedSpec::ArgMax,
        SpecName::Argmin => OwnedSpec::ArgMin,
    };
    if chain.outputs() < 2 {
        let problem = "needs a network of at least two outputs, one per class".into();
        return Err(Error::Option { option: "spec", problem });
    }
    let regions = regions(args, chain.inputs())?;
    let network = network_digest(&chain)
        .map_err(|source| Error::Emit { path: args.net.display().to_string(), source })?;
    let (certificates, refuted, unknown) = prove_all(&chain, &spec, &regions, limit);
    let (proved, all) = (certificates.len(), regions.len());
    let file = CertificateFile { network, spec, certificates };
    output::write_atomic(&args.out, file.to_json().as_bytes())?;
    let bytes: usize = file.certificates.iter().filter_map(|c| c.proof.as_ref()).map(Vec::len).sum();
    writeln!(
        out,
        "proved   {proved:>6} of {all}, for real arithmetic and the device's f32; {bytes} bytes of proof"
    )?;
    writeln!(out, "refuted  {refuted:>6}")?;
    writeln!(out, "unknown  {unknown:>6}")?;
    writeln!(out, "wrote    {}", args.out.display())?;
    if interrupt::stop_flag().load(std::sync::atomic::Ordering::Relaxed) {
        writeln!(out, "interrupted: regions not reached count as unknown")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn prove_all(
    chain: &Chain,
    spec: &OwnedSpec,
    regions: &[Region],
    limit: Duration,
) -> (Vec<certus::engine::certify::RegionCertificate>, usize, usize) {
    let stop = interrupt::stop_flag();
    let mut bar = progress::bar("regions", regions.len());
    let (mut certificates, mut refuted, mut unknown) = (Vec::new(), 0, 0);
    for (done, region) in regions.iter().enumerate() {
        let centre: Vec<f32> =
            region.lower.iter().zip(&region.upper).map(|(l, u)| 0.5 * l + 0.5 * u).collect();
        let claim = Claim::Class(class(&chain.eval_f32(&centre), spec));
        match prove_region(chain, spec, claim, (&region.lower, &region.upper), (limit, 0), stop) {
            Outcome::Proved(certificate) => certificates.push(*certificate),
            Outcome::Refuted(_) => refuted += 1,
            Outcome::Unknown(_) => unknown += 1,
        }
        bar.at(done + 1);
    }
    (certificates, refuted, unknown)
}

/// Index of the largest (or smallest) output; the first among equals.
fn class(y: &[f32], spec: &OwnedSpec) -> u16 {
    let sign = if matches!(spec, OwnedSpec::ArgMin) { -1.0 } else { 1.0 };
    let mut best = 0;
    for (i, value) in y.iter().enumerate() {
        if sign * value > sign * y[best] {
            best = i;
        }
    }
    best as u16
}

fn regions(args: &Args, inputs: usize) -> Result<Vec<Region>, Error> {
    if let Some(path) = &args.regions {
        return boxes(path, inputs);
    }
    let epsilon = epsilon(args.epsilon.as_deref().unwrap_or_default(), inputs)?;
    let path = args.samples.as_deref().unwrap_or(Path::new(""));
    let ball = |sample: Vec<f32>| Region {
        lower: sample
            .iter()
            .zip(&epsilon)
            .map(|(x, e)| if *e == 0.0 { *x } else { (x - e).next_down() })
            .collect(),
        upper: sample
            .iter()
            .zip(&epsilon)
            .map(|(x, e)| if *e == 0.0 { *x } else { (x + e).next_up() })
            .collect(),
    };
    Ok(csv::read_rows(path, inputs)?.into_iter().map(ball).collect())
}

fn boxes(path: &Path, inputs: usize) -> Result<Vec<Region>, Error> {
    let rows = csv::read_rows(path, 2 * inputs)?;
    let mut regions = Vec::with_capacity(rows.len());
    for (i, mut row) in rows.into_iter().enumerate() {
        let upper = row.split_off(inputs);
        if !row.iter().zip(&upper).all(|(l, u)| l.is_finite() && u.is_finite() && l <= u) {
            let problem =
                format!("{}: box {} has an end that is not finite, or is empty", path.display(), i + 1);
            return Err(Error::Option { option: "regions", problem });
        }
        regions.push(Region { lower: row, upper });
    }
    Ok(regions)
}
