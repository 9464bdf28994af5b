//! `certus quickstart`: the whole path on the bundled example, with a report.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use certus::engine::certify::rust_module::rust_module;
use certus::engine::certify::{AlignedBytes, EmitError};
use certus::output;
use certus::progress;
use certus::quickstart::bundle::{self, NETWORK_NAME};
use certus::quickstart::example::Example;
use certus::quickstart::results::{Answer, RegionResults, Results};
use certus::quickstart::{page, run, sweep};
use certus::table::write_table;
use certus_core::ArtifactView;

use super::Error;

/// Names of the files written.
const ARTIFACT: &str = "surrogate.crts";
const MODULE: &str = "surrogate.rs";
const REPORT: &str = "report.html";

#[derive(clap::Args)]
pub struct Args {
    /// Directory to write to; made if it is missing.
    #[arg(long, value_name = "DIR", default_value = "quickstart")]
    out: PathBuf,
    /// Seed of the sampled sensor noise.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let start = Instant::now();
    make_directory(&args.out)?;
    output::check_writable(&args.out.join(REPORT))?;
    let example = Example::load().map_err(|e| Error::Bundle(e.to_string()))?;
    let network = run::network_facts(&example.program);
    let widths: Vec<String> = network.widths.iter().map(ToString::to_string).collect();
    writeln!(
        out,
        "network     {NETWORK_NAME}: {} neurons, {} parameters",
        widths.join("-"),
        network.parameters
    )?;

    let artifact = run::artifact(&example, Vec::new());
    let emit =
        |source: EmitError| Error::Emit { path: args.out.join(ARTIFACT).display().to_string(), source };
    let bytes = artifact.emit().map_err(emit)?;
    let facts = run::artifact_facts(&bytes).map_err(emit)?;
    writeln!(out, "artifact    {} bytes, {} region certificates", facts.bytes, facts.regions)?;

    let mut bar = progress::bar("sensor noise", run::METHODS.len() * sweep::LEVELS.len());
    let mut done = 0;
    let mut methods = Vec::new();
    for method in run::METHODS {
        let result = run::method(&example, &artifact, method, args.seed, || {
            done += 1;
            bar.at(done);
        });
        methods.push(result.map_err(emit)?);
    }
    drop(bar);
    let results = Results {
        network,
        verdicts: Vec::new(),
        regions: RegionResults {
            tried: 0,
            proved_level: Vec::new(),
            class: Vec::new(),
            operating_boxes: 0,
            seconds: 0.0,
        },
        artifact: facts,
        steps: run::steps(&example, &artifact).map_err(emit)?,
        methods,
        shipped: run::SHIPPED,
        seconds: start.elapsed().as_secs_f64(),
        seed: args.seed,
    };
    print_noise(&results, out)?;
    write_files(args, &bytes, &results, out)?;
    Ok(ExitCode::SUCCESS)
}

fn make_directory(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path)
        .map_err(|source| Error::Directory { path: path.display().to_string(), source })
}

/// Share of certified steps per noise level and method.
fn print_noise(results: &Results, out: &mut dyn Write) -> Result<(), Error> {
    let Some(shipped) = results.shipped() else { return Ok(()) };
    let mut header = vec!["noise level"];
    header.extend(["intervals %", "CROWN %", "CROWN full %"]);
    header.extend(["advisory changed", "although certified"]);
    let rows: Vec<Vec<String>> = (0..shipped.levels.len())
        .map(|index| {
            let mut row = vec![format!("{:.2}", shipped.levels[index].level)];
            row.extend(
                results
                    .methods
                    .iter()
                    .map(|m| format!("{:.1}", 100.0 * m.levels[index].share(Answer::is_certified))),
            );
            let broken: usize =
                results.methods.iter().map(|m| m.levels[index].changed_although_certified).sum();
            row.extend([shipped.levels[index].changed.to_string(), broken.to_string()]);
            row
        })
        .collect();
    writeln!(
        out,
        "\nmonitor over the encounter, {} steps: certified share at growing sensor noise\n",
        results.steps.len()
    )?;
    Ok(write_table(out, &header, &rows)?)
}

/// Writes the report, the artifact and what is needed to go on by hand; names them.
fn write_files(args: &Args, artifact: &[u8], results: &Results, out: &mut dyn Write) -> Result<(), Error> {
    let aligned = AlignedBytes::from(artifact);
    let path = args.out.join(ARTIFACT);
    let view = ArtifactView::new_checked(aligned.as_slice()).map_err(super::artifact_file::in_file(&path))?;
    let report = page::page(results).render();
    let module = rust_module(&view, ARTIFACT);
    let files: [(&str, &[u8], &str); 5] = [
        (REPORT, report.as_bytes(), "open it in a browser"),
        (ARTIFACT, artifact, "what the device carries"),
        (MODULE, module.as_bytes(), "its bytes and a monitor sized for it, for firmware"),
        (NETWORK_NAME, bundle::NETWORK, "the network"),
        ("trajectory.csv", bundle::TRAJECTORY.as_bytes(), "the encounter"),
    ];
    writeln!(out)?;
    for (name, bytes, what) in files {
        let path = args.out.join(name);
        output::write_atomic(&path, bytes)?;
        writeln!(out, "wrote {:<32} {what}", path.display().to_string())?;
    }
    Ok(())
}
