//! `certus export NET --out FILE.crts`: network, range, settings and certificates in one artifact;
//! `certus export --check FILE.crts`: a finished artifact against its network.

use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use certus::core::ArtifactView;
use certus::core::artifact::{LiveBounds, ProgramView};
use certus::core::program::ProgramError;
use certus::engine::Chain;
use certus::engine::certify::artifact::network_digest;
use certus::engine::certify::check::{self, CertificateCheck, Computation};
use certus::engine::certify::check_program::check_program;
use certus::engine::certify::region::to_hex;
use certus::engine::certify::rust_module::{program_rust_module, rust_module};
use certus::engine::certify::{
    AlignedBytes, Artifact, CertificateFile, InputRange, MonitorSettings, OwnedSpec, ProgramArtifact,
    RegionCertificate, program_artifact,
};
use certus::engine::program::Program;
use certus::engine::{file, graph};
use certus::{csv, output};

use super::artifact_file::View;
use super::{Error, artifact_file};

/// Cap on a certificate file, bytes.
const LIMIT_BYTES: u64 = 1 << 30;

#[derive(clap::Args)]
pub struct Args {
    /// Network, ONNX (gzip accepted).
    #[arg(required_unless_present = "check")]
    net: Option<PathBuf>,
    /// Artifact to write.
    #[arg(long, value_name = "FILE", required_unless_present = "check")]
    out: Option<PathBuf>,
    /// Rust module to write beside it, with the capacities of a monitor.
    #[arg(long, value_name = "FILE")]
    rust: Option<PathBuf>,
    /// Region certificates, as `certus certify` writes them.
    #[arg(long, value_name = "JSON")]
    regions: Option<PathBuf>,
    /// Input range: CSV with a row of smallest and a row of largest values.
    #[arg(long, value_name = "CSV", conflicts_with = "check")]
    range: Option<PathBuf>,
    /// Samples: CSV. Without `--range` they and the certificates' boxes span the input range; `--check` compares outputs on them.
    #[arg(long, value_name = "CSV")]
    samples: Option<PathBuf>,
    /// Radius of the ball, raw units: one number, or a CSV with one row of one number per feature.
    #[arg(long, value_name = "E|CSV", required_unless_present = "check", allow_negative_numbers = true)]
    epsilon: Option<String>,
    /// What is certified, where no certificates say so.
    #[arg(long, value_enum)]
    spec: Option<SpecName>,
    /// Bounds computed on the device when no certificate answers.
    #[arg(long, value_enum, default_value = "crown")]
    bounds: BoundsName,
    /// A line of provenance, such as `time=2026-01-31T12:00:00Z`; repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    note: Vec<String>,
    /// Leave the proofs out of the artifact.
    #[arg(long)]
    strip_proofs: bool,
    /// Weights in the place of the network's own, safetensors.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Artifact to check against its network instead of writing one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "rust", "regions"])]
    check: Option<PathBuf>,
    /// The network of `--check`.
    #[arg(long = "net", value_name = "NET", id = "check_net", conflicts_with = "net", requires = "check")]
    check_net: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum SpecName {
    /// The class with the largest output stays the same.
    Argmax,
    /// The class with the smallest output stays the same.
    Argmin,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum BoundsName {
    /// None.
    Off,
    /// Intervals.
    Ibp,
    /// CROWN rows over intervals.
    Crown,
    /// CROWN rows for every neuron.
    CrownFull,
}

impl BoundsName {
    fn live_bounds(self) -> LiveBounds {
        match self {
            Self::Off => LiveBounds::Off,
            Self::Ibp => LiveBounds::Ibp,
            Self::Crown => LiveBounds::Crown,
            Self::CrownFull => LiveBounds::CrownFull,
        }
    }
}

fn option(option: &'static str, problem: impl Into<String>) -> Error {
    Error::Option { option, problem: problem.into() }
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    match (&args.check, &args.net, &args.out) {
        (Some(artifact), net, _) => {
            let net = net.as_ref().or(args.check_net.as_ref());
            let net = net.ok_or_else(|| option("check", "needs the network too: `--net NET`"))?;
            check_file(artifact, net, args, out)
        }
        (None, Some(net), Some(target)) => write_files(args, net, target, out),
        _ => Err(option("out", "is needed")),
    }
}

fn write_files(args: &Args, net: &Path, target: &Path, out: &mut dyn Write) -> Result<ExitCode, Error> {
    output::check_writable(target)?;
    if let Some(module) = &args.rust {
        output::check_writable(module)?;
    }
    let network = graph::load_network_with(net, args.weights.as_deref())?;
    // A chain keeps the smaller format and code; any other network is a program.
    match network.to_chain() {
        Ok(chain) => write_chain(args, chain, (net, target), out),
        Err(_) => write_program(args, network.lower()?, (net, target), out),
    }
}

fn write_chain(
    args: &Args,
    chain: Chain,
    (net, target): (&Path, &Path),
    out: &mut dyn Write,
) -> Result<ExitCode, Error> {
    let (certificate_spec, mut certificates) = match &args.regions {
        Some(path) => read_certificates(path, &chain)?,
        None => (None, Vec::new()),
    };
    if args.strip_proofs {
        certificates.iter_mut().for_each(|certificate| certificate.proof = None);
    }
    let artifact = Artifact {
        minor: Artifact::MINOR,
        range: input_range(args, chain.inputs(), &certificates)?,
        settings: settings(args, chain.inputs(), certificate_spec)?,
        certificates,
        provenance: provenance(args, net)?,
        unknown: Vec::new(),
        chain,
    };
    let refused = |source| Error::Emit { path: target.display().to_string(), source };
    let bytes = AlignedBytes::from(&artifact.emit().map_err(refused)?[..]);
    let view = ArtifactView::new_checked(bytes.as_slice()).map_err(artifact_file::in_file(target))?;
    let module = |name: &str| Ok(rust_module(&view, name));
    put(args, target, (bytes.as_slice(), view.region_count()), module, out)
}

fn write_program(
    args: &Args,
    program: Program,
    (net, target): (&Path, &Path),
    out: &mut dyn Write,
) -> Result<ExitCode, Error> {
    if args.regions.is_some() {
        return Err(option("regions", "certificates are about chains of dense layers; this network is none"));
    }
    if let Err(ProgramError::Step { step, fault }) = program_artifact::check_device(&program) {
        let name = program.steps().get(step).map_or("input", |step| &step.name);
        return Err(option("out", format!("step `{name}` of {} {fault}", net.display())));
    }
    let artifact = ProgramArtifact {
        minor: Artifact::MINOR,
        range: input_range(args, program.inputs(), &[])?,
        settings: settings(args, program.inputs(), None)?,
        certificates: Vec::new(),
        provenance: provenance(args, net)?,
        unknown: Vec::new(),
        program,
    };
    let refused = |source| Error::Emit { path: target.display().to_string(), source };
    let bytes = AlignedBytes::from(&artifact.emit().map_err(refused)?[..]);
    let view = ProgramView::new_checked(bytes.as_slice()).map_err(artifact_file::in_file(target))?;
    let in_file = |error| artifact_file::in_file(target)(certus::core::ArtifactError::Program(error));
    let module = |name: &str| program_rust_module(&view, name).map_err(in_file);
    put(args, target, (bytes.as_slice(), view.region_count()), module, out)
}

fn settings(args: &Args, inputs: usize, certified: Option<OwnedSpec>) -> Result<MonitorSettings, Error> {
    Ok(MonitorSettings {
        epsilon: epsilon(args.epsilon.as_deref().unwrap_or("0"), inputs)?,
        spec: spec(args.spec, certified)?,
        live_bounds: args.bounds.live_bounds(),
    })
}

/// Writes the artifact, and the module that `source` gives for its name.
fn put(
    args: &Args,
    target: &Path,
    (bytes, regions): (&[u8], usize),
    source: impl FnOnce(&str) -> Result<String, Error>,
    out: &mut dyn Write,
) -> Result<ExitCode, Error> {
    let module = match &args.rust {
        Some(module) => Some((module, source(&relative(target, module))?)),
        None => None,
    };
    output::write_atomic(target, bytes)?;
    if let Some((module, source)) = module {
        output::write_atomic(module, source.as_bytes())?;
        writeln!(out, "wrote {}", module.display())?;
    }
    writeln!(out, "wrote {}: {} bytes, {regions} region certificates", target.display(), bytes.len())?;
    Ok(ExitCode::SUCCESS)
}

/// The file's specification and certificates, if they speak of `program`.
fn read_certificates(
    path: &Path,
    chain: &Chain,
) -> Result<(Option<OwnedSpec>, Vec<RegionCertificate>), Error> {
    let name = || path.display().to_string();
    let text = String::from_utf8(file::read(path, LIMIT_BYTES)?)
        .map_err(|_| option("regions", format!("{} is not UTF-8 text", name())))?;
    let certificates =
        CertificateFile::from_json(&text).map_err(|source| Error::Certificates { path: name(), source })?;
    let digest = network_digest(chain).map_err(|source| Error::Emit { path: name(), source })?;
    if certificates.network != digest {
        return Err(option("regions", format!("{} is about another network", name())));
    }
    Ok((Some(certificates.spec), certificates.certificates))
}

fn spec(asked: Option<SpecName>, certified: Option<OwnedSpec>) -> Result<OwnedSpec, Error> {
    let asked = asked.map(|name| match name {
        SpecName::Argmax => OwnedSpec::ArgMax,
        SpecName::Argmin => OwnedSpec::ArgMin,
    });
    match (asked, certified) {
        (Some(asked), Some(certified)) if asked != certified => {
            Err(option("spec", "is not what the certificates of --regions speak of; leave it out"))
        }
        (Some(spec), _) | (None, Some(spec)) => Ok(spec),
        (None, None) => Ok(OwnedSpec::ArgMax),
    }
}

/// One number for all features, or the only row of a CSV.
pub(super) fn epsilon(text: &str, inputs: usize) -> Result<Vec<f32>, Error> {
    let values = match text.parse::<f32>() {
        Ok(value) => vec![value; inputs],
        Err(_) => {
            let rows = csv::read_rows(Path::new(text), inputs)?;
            let [row] = <[Vec<f32>; 1]>::try_from(rows).map_err(|rows| {
                option("epsilon", format!("{text} holds {} rows, one is needed", rows.len()))
            })?;
            row
        }
    };
    match values.iter().find(|value| !(value.is_finite() && **value >= 0.0)) {
        Some(value) => Err(option("epsilon", format!("{value} is not a finite number from 0 up"))),
        None => Ok(values),
    }
}

fn input_range(args: &Args, inputs: usize, certificates: &[RegionCertificate]) -> Result<InputRange, Error> {
    if let Some(path) = &args.range {
        let rows = csv::read_rows(path, inputs)?;
        let [lower, upper] = <[Vec<f32>; 2]>::try_from(rows).map_err(|rows| {
            option(
                "range",
                format!("{} holds {} rows, lower and upper are needed", path.display(), rows.len()),
            )
        })?;
        return Ok(InputRange { lower, upper });
    }
    let samples = match &args.samples {
        Some(path) => csv::read_rows(path, inputs)?,
        None => {
            return Err(option("range", "or --samples is needed, to say which inputs the monitor accepts"));
        }
    };
    let boxes = certificates.iter().flat_map(|c| [&c.lower, &c.upper]);
    let points: Vec<&Vec<f32>> = samples.iter().chain(boxes).filter(|point| point.len() == inputs).collect();
    let fold = |start: f32, pick: fn(f32, f32) -> f32| {
        (0..inputs).map(|feature| points.iter().map(|point| point[feature]).fold(start, pick)).collect()
    };
    Ok(InputRange { lower: fold(f32::INFINITY, f32::min), upper: fold(f32::NEG_INFINITY, f32::max) })
}

fn provenance(args: &Args, net: &Path) -> Result<std::collections::BTreeMap<String, String>, Error> {
    let digest = |path: &Path| {
        Ok::<_, Error>(to_hex(&certus::engine::certify::digest(&file::read(path, LIMIT_BYTES)?)))
    };
    let mut pairs = std::collections::BTreeMap::new();
    pairs.insert("tool".to_owned(), concat!("certus ", env!("CARGO_PKG_VERSION")).to_owned());
    pairs.insert("network_sha256".to_owned(), digest(net)?);
    if let Some(samples) = &args.samples {
        pairs.insert("samples_sha256".to_owned(), digest(samples)?);
    }
    for note in &args.note {
        let valid =
            note.split_once('=').filter(|(key, _)| !key.is_empty() && !note.chars().any(char::is_control));
        let (key, value) =
            valid.ok_or_else(|| option("note", format!("`{note}` is not KEY=VALUE on one line")))?;
        pairs.insert(key.to_owned(), value.to_owned());
    }
    Ok(pairs)
}

/// `target` as seen from the directory of `module`, with `/` between parts.
fn relative(target: &Path, module: &Path) -> String {
    let full = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (target, module) = (full(target), full(module));
    let from: Vec<Component<'_>> = module.parent().into_iter().flat_map(Path::components).collect();
    let to: Vec<Component<'_>> = target.components().collect();
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from.iter().skip(shared).map(|_| "..".to_owned());
    let down = to.iter().skip(shared).map(|part| part.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}

fn check_file(path: &Path, net: &Path, args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let bytes = artifact_file::read(path)?;
    let failed = |source| Error::Check { path: path.display().to_string(), source };
    let network = graph::load_network_with(net, args.weights.as_deref())?;
    let read =
        |inputs| args.samples.as_deref().map_or(Ok(Vec::new()), |samples| csv::read_rows(samples, inputs));
    let report = match artifact_file::view(&bytes, path)? {
        View::Chain(view) => check::check(&view, &network.to_chain()?, &read(view.inputs())?),
        View::Program(view) => check_program(&view, &network.lower()?, &read(view.inputs())?),
    };
    let report = report.map_err(failed)?;
    let word = |good: bool| if good { "ok    " } else { "FAILED" };
    writeln!(out, "{} the bytes are what writing their content gives", word(report.canonical))?;
    writeln!(out, "{} the network is that of {}", word(report.same_network), net.display())?;
    match report.mismatch {
        None => writeln!(out, "ok     outputs agree bit for bit on {} samples", report.samples)?,
        Some((sample, by)) => {
            let by =
                if by == Computation::Naive { "a second forward pass" } else { "the artifact's own layers" };
            writeln!(out, "FAILED outputs on sample {sample} differ, by {by}")?;
        }
    }
    let count = |check: CertificateCheck| report.certificates.iter().filter(|c| **c == check).count();
    let (proved, bounded) = (count(CertificateCheck::Proved), count(CertificateCheck::Bounded));
    writeln!(
        out,
        "ok     {proved} certificates by their stored proofs, {bounded} by the device's own bounds"
    )?;
    for (index, check) in report.certificates.iter().enumerate() {
        match check {
            CertificateCheck::Rejected(why) => writeln!(out, "FAILED certificate {index}: {why}")?,
            CertificateCheck::Open => {
                writeln!(
                    out,
                    "FAILED certificate {index}: no proof is stored, and the device's own bounds do not show it"
                )?;
            }
            CertificateCheck::Proved | CertificateCheck::Bounded => {}
        }
    }
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_artifact_is_named_as_seen_from_the_module() {
        assert_eq!(relative(Path::new("/a/b/m.crts"), Path::new("/a/b/m.rs")), "m.crts");
        assert_eq!(relative(Path::new("/a/out/m.crts"), Path::new("/a/src/gen/m.rs")), "../../out/m.crts");
    }

    #[test]
    fn an_epsilon_is_a_number_from_zero_up() {
        assert_eq!(epsilon("0.5", 2).unwrap(), [0.5, 0.5]);
        for bad in ["-1", "NaN", "inf"] {
            assert!(epsilon(bad, 2).unwrap_err().to_string().starts_with("--epsilon: "), "{bad}");
        }
    }
}
