//! `certus inspect FILE`: what an artifact holds.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use certus::core::artifact::{Claim, LiveBounds, Region, Spec};
use certus::core::{Affine, ArtifactView, monitor};
use certus::engine::certify::region::to_hex;
use certus::table::write_table;
use serde_json::{Value, json};

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
    let view = ArtifactView::new_checked(bytes.as_slice()).map_err(artifact_file::in_file(&args.file))?;
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &describe(&view)).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        print(&view, out)?;
    }
    Ok(ExitCode::SUCCESS)
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
    }
}

fn print(view: &ArtifactView<'_>, out: &mut dyn Write) -> Result<(), Error> {
    let (major, minor) = view.version();
    let operations = monitor::worst_case_ops(view).total();
    let (products, elements) = (operations.multiply_adds, operations.elements);
    let mut facts = vec![
        ("artifact", format!("CRTS {major}.{minor}, {} bytes", view.bytes().len())),
        ("sha256", to_hex(view.digest())),
        ("certifies", spec_name(view.spec())),
        ("live bounds", bounds_name(view.live_bounds()).to_owned()),
        ("one step", format!("at most {products} multiply-adds, {elements} elements")),
        ("memory", format!("{} floats", monitor::memory_len(view))),
    ];
    facts.extend(view.provenance().map(|(key, value)| (key, value.to_owned())));
    let width = facts.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    for (key, value) in facts {
        writeln!(out, "{key:<width$}  {value}")?;
    }
    let sections: Vec<_> = view
        .sections()
        .map(|s| {
            let name = s.id.name().to_owned();
            let ignorable = if s.flags == 0 { "" } else { "ignorable" }.to_owned();
            let numbers = [s.offset.to_string(), s.payload.len().to_string()];
            let [offset, len] = numbers;
            vec![
                s.id.0.to_string(),
                name,
                s.version.to_string(),
                offset,
                len,
                format!("{:08x}", s.crc),
                ignorable,
            ]
        })
        .collect();
    writeln!(out)?;
    write_table(out, &["id", "section", "version", "offset", "bytes", "crc32", "flags"], &sections)?;
    let layers: Vec<_> = view
        .layers()
        .enumerate()
        .map(|(index, layer)| {
            let (kind, constants) = layer_kind(layer.affine());
            let relu = if layer.relu() { "relu" } else { "" };
            let shape = [layer.inputs(), layer.outputs(), constants].map(|n| n.to_string());
            let [inputs, outputs, constants] = shape;
            vec![index.to_string(), kind.to_owned(), inputs, outputs, relu.to_owned(), constants]
        })
        .collect();
    writeln!(out)?;
    write_table(out, &["layer", "kind", "inputs", "outputs", "then", "constants"], &layers)?;
    let features: Vec<_> = (0..view.inputs())
        .zip(view.range_lower().iter().zip(view.range_upper()).zip(view.epsilon()))
        .map(|(index, ((lower, upper), epsilon))| {
            vec![index.to_string(), lower.to_string(), upper.to_string(), epsilon.to_string()]
        })
        .collect();
    writeln!(out)?;
    write_table(out, &["feature", "lower", "upper", "epsilon"], &features)?;
    print_regions(view, out)
}

fn print_regions(view: &ArtifactView<'_>, out: &mut dyn Write) -> Result<(), Error> {
    let count = view.region_count();
    if count == 0 {
        return Ok(writeln!(out, "\nno region certificates")?);
    }
    let proofs: Vec<usize> = view.proofs().map(<[u8]>::len).collect();
    let rows: Vec<_> = view
        .regions()
        .take(LISTED)
        .enumerate()
        .map(|(index, region)| {
            let proof = region.proof.and_then(|p| proofs.get(p as usize)).map(|len| format!("{len} bytes"));
            let sides = region.lower.iter().zip(region.upper).map(|(l, u)| format!("[{l}, {u}]"));
            vec![
                index.to_string(),
                claim_name(region.claim),
                region.bound.to_string(),
                meanings(&region).join(" "),
                proof.unwrap_or_else(|| "none".to_owned()),
                sides.take(6).collect::<Vec<_>>().join(" × ")
                    + if view.inputs() > 6 { " × …" } else { "" },
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

fn describe(view: &ArtifactView<'_>) -> Value {
    let spec = match view.spec() {
        Spec::ArgMax => json!("argmax"),
        Spec::ArgMin => json!("argmin"),
        Spec::Rows { coefficients, constants } => {
            json!({"rows": {"coefficients": coefficients, "constants": constants}})
        }
    };
    let operations = monitor::worst_case_ops(view).total();
    json!({
        "version": [view.version().0, view.version().1],
        "bytes": view.bytes().len(),
        "sha256": to_hex(view.digest()),
        "sections": view.sections().map(|s| json!({
            "id": s.id.0, "name": s.id.name(), "version": s.version, "ignorable": s.flags != 0,
            "offset": s.offset, "bytes": s.payload.len(), "crc32": format!("{:08x}", s.crc),
        })).collect::<Vec<_>>(),
        "layers": view.layers().map(|layer| json!({
            "kind": layer_kind(layer.affine()).0, "inputs": layer.inputs(), "outputs": layer.outputs(),
            "relu": layer.relu(),
        })).collect::<Vec<_>>(),
        "range": {"lower": view.range_lower(), "upper": view.range_upper()},
        "epsilon": view.epsilon(),
        "spec": spec,
        "live_bounds": bounds_name(view.live_bounds()),
        "memory_floats": monitor::memory_len(view),
        "worst_case": {"multiply_adds": operations.multiply_adds, "elements": operations.elements},
        "certificates": view.regions().map(|region| json!({
            "lower": region.lower, "upper": region.upper, "bound": region.bound,
            "class": match region.claim { Claim::Class(class) => json!(class), Claim::Rows => Value::Null },
            "meanings": meanings(&region), "proof": region.proof,
        })).collect::<Vec<_>>(),
        "provenance": view.provenance().map(|(k, v)| (k.to_owned(), json!(v))).collect::<serde_json::Map<_, _>>(),
    })
}
