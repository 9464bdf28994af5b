//! `certus demo control`: the whole path on the bundled control network, with a report.

mod files;
mod print;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use certus::control::bundle::PROPERTIES;
use certus::control::example::Example;
use certus::control::prove::{self, StateRegion};
use certus::control::results::{MethodResult, PropertyResult, RegionResults, Results};
use certus::control::{run, sweep};
use certus::engine::certify::{CertificateFile, EmitError, OwnedSpec, artifact::network_digest};
use certus::engine::property::Witness;
use certus::{interrupt, output, progress};
pub use files::make_directory;

use super::Error;
use super::firmware::{self, Firmware};

#[derive(clap::Args)]
pub struct Args {
    /// Directory to write to; made if it is missing.
    #[arg(long, value_name = "DIR", default_value = "demo-control")]
    out: PathBuf,
    /// Seed of the sampled sensor noise.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Leave out the firmware in QEMU.
    #[arg(long)]
    no_firmware: bool,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let start = Instant::now();
    files::make_directory(&args.out)?;
    output::check_writable(&args.out.join(files::REPORT))?;
    let emit = |source: EmitError| Error::Emit { path: files::artifact(&args.out), source };

    let example = Example::load().map_err(|e| Error::Bundle(e.to_string()))?;
    let network = run::network_facts(&example.chain);
    print::network(&network, out)?;
    let (verdicts, witnesses) = decide_properties(&example)?;
    print::verdicts(&verdicts, out)?;
    let (regions, certificates) = certify(&example);
    let file = CertificateFile {
        network: network_digest(&example.chain).map_err(emit)?,
        spec: OwnedSpec::ArgMax,
        certificates: certificates.clone(),
    };
    print::regions(&regions, out)?;
    let artifact = run::artifact(&example, certificates);
    let bytes = artifact.emit().map_err(emit)?;
    let facts = run::artifact_facts(&bytes).map_err(emit)?;
    print::artifact(&facts, out)?;
    let steps = run::steps(&example, &artifact).map_err(emit)?;
    let methods = monitor(&example, &artifact, args.seed).map_err(emit)?;
    let mut results = Results {
        network,
        verdicts,
        regions,
        artifact: facts,
        steps,
        methods,
        shipped: run::SHIPPED,
        firmware: None,
        seconds: 0.0,
        seed: args.seed,
    };
    print::noise(&results, out)?;
    files::write(&args.out, &bytes, &file, &witnesses, out)?;
    if !args.no_firmware {
        results.firmware = run_firmware(args, &results, out)?;
    }
    results.seconds = start.elapsed().as_secs_f64();
    files::write_report(&args.out, &results)?;
    let report = args.out.join(files::REPORT);
    writeln!(out, "\ndone in {:.1} s; open {}", results.seconds, report.display())?;
    let unsound = results.methods.iter().flat_map(|m| &m.levels).any(|l| l.changed_although_certified > 0);
    Ok(if unsound { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A counterexample with the name of its property.
type NamedWitness = (String, Witness);

fn decide_properties(example: &Example) -> Result<(Vec<PropertyResult>, Vec<NamedWitness>), Error> {
    let mut bar = progress::bar("properties", PROPERTIES.len());
    let (mut verdicts, mut witnesses) = (Vec::new(), Vec::new());
    for (index, property) in PROPERTIES.iter().enumerate() {
        bar.at(index);
        let (result, witness) = prove::decide(&example.chain, property, interrupt::stop_flag())?;
        witnesses.extend(witness.map(|witness| (result.name.clone(), witness)));
        verdicts.push(result);
    }
    Ok((verdicts, witnesses))
}

fn certify(example: &Example) -> (RegionResults, Vec<certus::engine::certify::RegionCertificate>) {
    let start = Instant::now();
    let stop = interrupt::stop_flag();
    let bar = std::sync::Mutex::new(progress::bar("regions", example.states.len()));
    let count = AtomicUsize::new(0);
    let done = || {
        let done = count.fetch_add(1, Ordering::Relaxed) + 1;
        if let Ok(mut bar) = bar.lock() {
            bar.at(done);
        }
    };
    let states = prove::certify_states(&example.chain, &example.states, stop, &done);
    let corridors = prove::certify_corridors(&example.chain, &example.trajectory, stop);
    let results = RegionResults {
        tried: states.len(),
        proved_level: states.iter().map(|s| s.level).collect(),
        class: states.iter().map(|s| s.class).collect(),
        corridors: corridors.len(),
        seconds: start.elapsed().as_secs_f64(),
    };
    let around_states = states.into_iter().filter_map(|StateRegion { certificate, .. }| certificate);
    (results, corridors.into_iter().chain(around_states).collect())
}

fn monitor(
    example: &Example,
    artifact: &certus::engine::certify::Artifact,
    seed: u64,
) -> Result<Vec<MethodResult>, EmitError> {
    let mut bar = progress::bar("sensor noise", run::METHODS.len() * sweep::LEVELS.len());
    let mut done = 0;
    let mut one = |method| {
        run::method(example, artifact, method, seed, || {
            done += 1;
            bar.at(done);
        })
    };
    run::METHODS.into_iter().map(&mut one).collect()
}

/// The same artifact on a Cortex-M4F in QEMU, or the command for it; certified steps and all steps if it ran.
fn run_firmware(
    args: &Args,
    results: &Results,
    out: &mut dyn Write,
) -> Result<Option<(usize, usize)>, Error> {
    out.flush()?;
    let spinner = progress::spinner("building the firmware and running it in QEMU");
    let outcome = firmware::run(&args.out);
    drop(spinner);
    match &outcome {
        Firmware::Ran { certified, all: steps } => {
            let here = results.steps.iter().filter(|step| step.answer.is_certified()).count();
            let same =
                if (*certified, *steps) == (here, results.steps.len()) { "as here" } else { "NOT as here" };
            writeln!(
                out,
                "\nfirmware    Cortex-M4F in QEMU: {certified} of {steps} steps certified, {same}"
            )?;
        }
        Firmware::Missing(command) => writeln!(out, "\nfirmware    not run; to run it: {command}")?,
        Firmware::Failed(line) => writeln!(out, "\nfirmware    failed: {line}")?,
    }
    Ok(if let Firmware::Ran { certified, all: steps } = outcome { Some((certified, steps)) } else { None })
}
