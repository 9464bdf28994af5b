//! `certus inspect FILE`: what an artifact holds.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use certus::core::artifact::{Claim, LiveBounds, ProgramView, Region, Section, Spec};
use certus::core::monitor::Operations;
use certus::core::program::{Conv, Map, Operation, ProgramError, Step, Term, Terms};
use certus::core::{Affine, ArtifactView, Layer, monitor};
use certus::engine::certify::program_artifact;
use certus::engine::certify::region::to_hex;
use certus::table::write_table;
use serde_json::{Value, json};

use super::artifact_file::View;
use super::{Error, artifact_file};

/// Certificates listed in the table; JSON lists all.
const LISTED: usize = 20;

#[derive(clap::Args)]
pub struct Args {
    /// Artifact, as `certus export` writes it.
    file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let bytes = artifact_file::read(&args.file)?;
    let shown = match artifact_file::view(&bytes, &args.file)? {
        View::Chain(view) => Shown::of_chain(&view),
        View::Program(view) => Shown::of_program(&view).map_err(|error| {
            artifact_file::in_file(&args.file)(certus::core::ArtifactError::Program(error))
        })?,
    };
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &shown.describe()).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        shown.print(out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What both kinds of artifact show.
struct Shown<'a> {
    version: (u16, u16),
    bytes: usize,
    digest: String,
    spec: Spec<'a>,
    live_bounds: LiveBounds,
    operations: Operations,
    memory: usize,
    provenance: Vec<(&'a str, &'a str)>,
    sections: Vec<Section<'a>>,
    /// Head of the table of layers or steps, its rows, and the same for JSON.
    network: (&'static str, Vec<&'static str>, Vec<Vec<String>>, Vec<Value>),
    range: (&'a [f32], &'a [f32]),
    epsilon: &'a [f32],
    regions: Vec<Region<'a>>,
    proofs: Vec<usize>,
}

/// The fields that both views give in the same words.
macro_rules! shown {
    ($view:expr, $operations:expr, $memory:expr, $network:expr) => {
        Shown {
            version: $view.version(),
            bytes: $view.bytes().len(),
            digest: to_hex($view.digest()),
            spec: $view.spec(),
            live_bounds: $view.live_bounds(),
            operations: $operations,
            memory: $memory,
            provenance: $view.provenance().collect(),
            sections: $view.sections().collect(),
            network: $network,
            range: ($view.range_lower(), $view.range_upper()),
            epsilon: $view.epsilon(),
            regions: $view.regions().collect(),
            proofs: $view.proofs().map(<[u8]>::len).collect(),
        }
    };
}

impl<'a> Shown<'a> {
    fn of_chain(view: &ArtifactView<'a>) -> Self {
        let table = |(index, layer): (usize, Layer<'_>)| {
            let (kind, constants) = layer_kind(layer.affine());
            let relu = if layer.relu() { "relu" } else { "" };
            let [inputs, outputs, constants] =
                [layer.inputs(), layer.outputs(), constants].map(|n| n.to_string());
            vec![index.to_string(), kind.to_owned(), inputs, outputs, relu.to_owned(), constants]
        };
        let json = |layer: Layer<'_>| {
            json!({
                "kind": layer_kind(layer.affine()).0, "inputs": layer.inputs(), "outputs": layer.outputs(),
                "relu": layer.relu(),
            })
        };
        let rows = view.layers().enumerate().map(table).collect();
        let head = vec!["layer", "kind", "inputs", "outputs", "then", "constants"];
        let network = ("layers", head, rows, view.layers().map(json).collect());
        shown!(view, monitor::worst_case_ops(view).total(), monitor::memory_len(view), network)
    }

    fn of_program(view: &ProgramView<'a>) -> Result<Self, ProgramError> {
        let (operations, memory) = program_artifact::with_planned(view, |planned| {
            let operations = monitor::program_worst_case_ops(view, planned).total();
            (operations, monitor::program_memory_len(view, planned))
        })?;
        let terms: Vec<_> = view.terms().collect();
        let (mut rows, mut objects) = (Vec::new(), Vec::new());
        for (index, step) in view.steps().enumerate() {
            let (kind, reads, constants) = step_kind(&step, &terms);
            objects.push(json!({"kind": kind, "reads": reads, "outputs": step.len, "constants": constants}));
            let reads = reads.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            rows.push(vec![
                (index + 1).to_string(),
                kind,
                reads,
                step.len.to_string(),
                constants.to_string(),
            ]);
        }
        let network = ("steps", vec!["slot", "step", "reads", "outputs", "constants"], rows, objects);
        Ok(shown!(view, operations, memory, network))
    }
}

/// Name of a step, the slots it reads, and its constants and indices.
fn step_kind(step: &Step<'_>, terms: &[Term<'_>]) -> (String, Vec<usize>, usize) {
    let run = |run: Terms| &terms[run.first..run.first + run.count];
    let reads = |terms: &[Term<'_>]| terms.iter().map(|t| t.input.0).collect::<Vec<_>>();
    match step.operation {
        Operation::Affine { terms, bias } => {
            let (mut kinds, mut constants) =
                (Vec::new(), bias.map_or(0, |b| b.values.len() + b.errors().len()));
            for term in run(terms) {
                let (kind, count) = map_kind(&term.map);
                kinds.push(kind);
                constants += count;
            }
            (kinds.join(" + "), reads(run(terms)), constants)
        }
        Operation::Elementwise { input, function } => (function.name().to_owned(), vec![input.0], 0),
        Operation::Max { input, groups } => {
            ("max".to_owned(), vec![input.0], groups.starts.len() + groups.members.len())
        }
        Operation::Product { left, right, .. } => ("product".to_owned(), vec![left.0, right.0], 0),
        Operation::Index { terms, indices } => ("index".to_owned(), reads(run(terms)), indices.len()),
    }
}

/// Name of a map, and its constants and indices.
fn map_kind(map: &Map<'_>) -> (String, usize) {
    let conv = |name: &str, conv: &Conv<'_>| {
        let [height, width] = conv.kernel;
        let depthwise = if conv.groups > 1 { format!(", {} groups", conv.groups) } else { String::new() };
        (format!("{name} {height}x{width}{depthwise}"), conv.weights.len())
    };
    match map {
        Map::Identity => ("identity".to_owned(), 0),
        Map::Scale(scale) => ("scale".to_owned(), scale.values.len() + scale.errors().len()),
        Map::Dense { weights, .. } => ("dense".to_owned(), weights.len()),
        Map::Conv(c) => conv("conv", c),
        Map::ConvTranspose(c) => conv("transposed conv", c),
        Map::Sparse(sparse) => {
            let values = sparse.values.values.len() + sparse.values.errors().len();
            ("sparse".to_owned(), sparse.starts.len() + sparse.columns.len() + values)
        }
    }
}

fn spec_name(spec: Spec<'_>) -> String {
    match spec {
        Spec::ArgMax => "the largest output keeps its class".to_owned(),
        Spec::ArgMin => "the smallest output keeps its class".to_owned(),
        Spec::Rows { constants, .. } => format!("{} rows stay positive", constants.len()),
    }
}

fn bounds_name(live_bounds: LiveBounds) -> &'static str {
    match live_bounds {
        LiveBounds::Off => "off",
        LiveBounds::Ibp => "ibp",
        LiveBounds::Crown => "crown",
        LiveBounds::CrownFull => "crown-full",
    }
}

fn claim_name(claim: Claim) -> String {
    match claim {
        Claim::Class(class) => format!("class {class}"),
        Claim::Rows => "rows".to_owned(),
    }
}

fn meanings(region: &Region<'_>) -> Vec<&'static str> {
    let named = [(region.meanings.real(), "real"), (region.meanings.f32(), "f32")];
    named.into_iter().filter_map(|(holds, name)| holds.then_some(name)).collect()
}

fn layer_kind(affine: Affine<'_>) -> (&'static str, usize) {
    match affine {
        Affine::Dense(dense) => ("dense", dense.rows() * (dense.cols() + 1)),
        Affine::Scale(scale) => ("scale", 2 * scale.scale().len()),
        Affine::Sparse(sparse) => ("sparse", sparse.values().len() + sparse.rows()),
    }
}

impl Shown<'_> {
    fn print(&self, out: &mut dyn Write) -> Result<(), Error> {
        let (major, minor) = self.version;
        let Operations { multiply_adds, elements, .. } = self.operations;
        let mut facts = vec![
            ("artifact", format!("CRTS {major}.{minor}, {} bytes", self.bytes)),
            ("sha256", self.digest.clone()),
            ("certifies", spec_name(self.spec)),
            ("live bounds", bounds_name(self.live_bounds).to_owned()),
            ("one step", format!("at most {multiply_adds} multiply-adds, {elements} elements")),
            ("memory", format!("{} floats", self.memory)),
        ];
        facts.extend(self.provenance.iter().map(|(key, value)| (*key, (*value).to_owned())));
        let width = facts.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
        for (key, value) in facts {
            writeln!(out, "{key:<width$}  {value}")?;
        }
        let sections: Vec<_> = self
            .sections
            .iter()
            .map(|s| {
                let name = s.id.name().to_owned();
                let ignorable = if s.flags == 0 { "" } else { "ignorable" }.to_owned();
                let [id, version, offset, len] =
                    [usize::from(s.id.0), usize::from(s.version), s.offset, s.payload.len()]
                        .map(|n| n.to_string());
                vec![id, name, version, offset, len, format!("{:08x}", s.crc), ignorable]
            })
            .collect();
        writeln!(out)?;
        write_table(out, &["id", "section", "version", "offset", "bytes", "crc32", "flags"], &sections)?;
        writeln!(out)?;
        write_table(out, &self.network.1, &self.network.2)?;
        let features: Vec<_> = self
            .epsilon
            .iter()
            .zip(self.range.0.iter().zip(self.range.1))
            .enumerate()
            .map(|(index, (epsilon, (lower, upper)))| {
                vec![index.to_string(), lower.to_string(), upper.to_string(), epsilon.to_string()]
            })
            .collect();
        writeln!(out)?;
        write_table(out, &["feature", "lower", "upper", "epsilon"], &features)?;
        self.print_regions(out)
    }

    fn print_regions(&self, out: &mut dyn Write) -> Result<(), Error> {
        let count = self.regions.len();
        if count == 0 {
            return Ok(writeln!(out, "\nno region certificates")?);
        }
        let rows: Vec<_> = self
            .regions
            .iter()
            .take(LISTED)
            .enumerate()
            .map(|(index, region)| {
                let proof =
                    region.proof.and_then(|p| self.proofs.get(p as usize)).map(|len| format!("{len} bytes"));
                let sides = region.lower.iter().zip(region.upper).map(|(l, u)| format!("[{l}, {u}]"));
                vec![
                    index.to_string(),
                    claim_name(region.claim),
                    region.bound.to_string(),
                    meanings(region).join(" "),
                    proof.unwrap_or_else(|| "none".to_owned()),
                    sides.take(6).collect::<Vec<_>>().join(" × ")
                        + if region.lower.len() > 6 { " × …" } else { "" },
                ]
            })
            .collect();
        writeln!(out)?;
        write_table(out, &["certificate", "claim", "bound", "meanings", "proof", "box"], &rows)?;
        if count > LISTED {
            writeln!(out, "… and {} more; `--json` lists all", count - LISTED)?;
        }
        Ok(())
    }

    fn describe(&self) -> Value {
        let spec = match self.spec {
            Spec::ArgMax => json!("argmax"),
            Spec::ArgMin => json!("argmin"),
            Spec::Rows { coefficients, constants } => {
                json!({"rows": {"coefficients": coefficients, "constants": constants}})
            }
        };
        let (network, _, _, parts) = &self.network;
        let mut object = json!({
            "version": [self.version.0, self.version.1],
            "bytes": self.bytes,
            "sha256": self.digest,
            "sections": self.sections.iter().map(|s| json!({
                "id": s.id.0, "name": s.id.name(), "version": s.version, "ignorable": s.flags != 0,
                "offset": s.offset, "bytes": s.payload.len(), "crc32": format!("{:08x}", s.crc),
            })).collect::<Vec<_>>(),
            "range": {"lower": self.range.0, "upper": self.range.1},
            "epsilon": self.epsilon,
            "spec": spec,
            "live_bounds": bounds_name(self.live_bounds),
            "memory_floats": self.memory,
            "worst_case": {"multiply_adds": self.operations.multiply_adds, "elements": self.operations.elements},
            "certificates": self.regions.iter().map(|region| json!({
                "lower": region.lower, "upper": region.upper, "bound": region.bound,
                "class": match region.claim { Claim::Class(class) => json!(class), Claim::Rows => Value::Null },
                "meanings": meanings(region), "proof": region.proof,
            })).collect::<Vec<_>>(),
            "provenance": self.provenance.iter().map(|(k, v)| ((*k).to_owned(), json!(v)))
                .collect::<serde_json::Map<_, _>>(),
        });
        object[*network] = json!(parts);
        object
    }
}
