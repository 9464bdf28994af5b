//! `certus quickstart`: from data to device on spoken digits, with a report.

mod files;
mod print;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Instant;

use certus::control::run::artifact_facts;
use certus::digits::data::{self, Split};
use certus::digits::evaluate::{self, Plan};
use certus::digits::results::{RecordingResult, Results, SpeakerResult, TrainingFacts};
use certus::digits::run::{Trained, train};
use certus::digits::{noise, recipe, regions, run};
use certus::engine::Chain;
use certus::engine::certify::{
    AlignedBytes, CertificateFile, EmitError, OwnedSpec, artifact::network_digest,
};
use certus::learn::sensor::digits::{self, Recording, SPEAKERS};
use certus::learn::sensor::logmel::LogMel;
use certus::{interrupt, output, progress};
use certus_core::ArtifactView;
use certus_core::monitor::{memory_len, worst_case_ops};

use super::Error;
use super::firmware::{self, Firmware};

#[derive(clap::Args)]
pub struct Args {
    /// Directory to write to; made if it is missing.
    #[arg(long, value_name = "DIR", default_value = "quickstart")]
    out: PathBuf,
    /// Folder of the recordings' features; `assets/digits` of the checkout if left out.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Passes over the training recordings.
    #[arg(long, value_name = "N", default_value_t = recipe::EPOCHS, allow_negative_numbers = true)]
    epochs: f64,
    /// Seed of training, attacks and noise.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Also train a network without each of the six speakers and evaluate it on that speaker; six more trainings.
    #[arg(long)]
    speakers: bool,
    /// Leave out the firmware in QEMU.
    #[arg(long)]
    no_firmware: bool,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let start = Instant::now();
    if !(args.epochs > 0.0 && args.epochs <= 1e5) {
        let problem = format!("{} is no number of epochs; above 0, at most 100000", args.epochs);
        return Err(Error::Option { option: "epochs", problem });
    }
    let folder = data_folder(args)?;
    let (split, recordings) = data::read(&folder)?;
    files::make_directory(&args.out)?;
    output::check_writable(&args.out.join(files::REPORT))?;
    let emit = |source: EmitError| Error::Emit { path: files::artifact(&args.out), source };

    print::data(&split, &recordings, out)?;
    let trained = train_shown("training", &split, args)?;
    print::training(&trained, out)?;
    let plan = Plan::report(args.seed);
    let evaluation = evaluate_shown("evaluating", &trained, &split.test, &plan)?;
    print::evaluation(&evaluation, out)?;
    let speakers = if args.speakers { leave_speakers_out(&folder, args, out)? } else { Vec::new() };

    let logmel = LogMel::new();
    let heard: Vec<Vec<f32>> = recordings.iter().map(|r| logmel.features(&r.samples)).collect();
    let regions = certify(&trained.chain, &heard);
    print::regions(&regions, out)?;
    let certificates: Vec<_> = regions.iter().filter_map(|r| r.certificate.clone()).collect();
    let certificate_file = CertificateFile {
        network: network_digest(&trained.chain).map_err(emit)?,
        spec: OwnedSpec::ArgMax,
        certificates: certificates.clone(),
    };
    let provenance = [
        ("recipe", format!("certus quickstart --epochs {} --seed {}", args.epochs, args.seed)),
        ("steps", trained.steps[0].to_string()),
    ];
    let bytes = run::artifact(&trained.chain, certificates, &provenance).emit().map_err(emit)?;
    let facts = artifact_facts(&bytes).map_err(emit)?;
    print::artifact(&facts, out)?;
    let judged = judge(&bytes, &recordings, &heard, &regions).map_err(emit)?;
    let (memory_bytes, multiply_adds) = work(&bytes).map_err(emit)?;
    let inputs = data::inputs(&split.test.set);
    let labels = data::labels(&split.test.set);
    let chain = &trained.chain;
    let on_features = |level: &f64| noise::on_features(chain, &inputs, labels, *level, args.seed);
    let in_sound = |snr: &f64| noise::in_sound(chain, &recordings, *snr, args.seed);
    let mut results = Results {
        widths: widths(&trained),
        parameters: trained.model.parameters.iter().map(|p| p.values.len()).sum(),
        training: TrainingFacts {
            recordings: split.train.len(),
            held_out: split.held_out.len(),
            steps: trained.steps,
            curve: trained.curve.clone(),
            seconds: trained.seconds,
        },
        evaluation,
        speakers,
        noise: noise::LEVELS_DB.iter().map(on_features).collect::<Result<_, _>>().map_err(emit)?,
        sound: noise::SNR_DB.iter().map(in_sound).collect::<Result<_, _>>().map_err(emit)?,
        recordings: judged,
        artifact: facts,
        memory_bytes,
        multiply_adds,
        firmware: None,
        seconds: 0.0,
        seed: args.seed,
    };
    print::noise(&results, out)?;
    files::write(&args.out, (&trained.model, &bytes), &certificate_file, &heard, out)?;
    if !args.no_firmware {
        results.firmware = run_firmware(args, &results, out)?;
    }
    results.seconds = start.elapsed().as_secs_f64();
    files::write_report(&args.out, &results)?;
    let report = args.out.join(files::REPORT);
    writeln!(out, "\n{}", certus::digits::ABOUT)?;
    writeln!(out, "\ndone in {:.1} s; open {}", results.seconds, report.display())?;
    let unsound = results.noise.iter().any(|level| level.changed_although_certified > 0);
    let here = results.recordings.iter().filter(|r| r.certified).count();
    let differs = results.firmware.is_some_and(|on_device| on_device != (here, results.recordings.len()));
    Ok(if unsound || differs { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The folder of the data: the one asked for, or that of the checkout.
fn data_folder(args: &Args) -> Result<PathBuf, Error> {
    if let Some(folder) = &args.data {
        return Ok(folder.clone());
    }
    let here = std::env::current_dir().map_err(Error::Process)?;
    data::shipped(&here).ok_or_else(|| Error::Option {
        option: "data",
        problem: "no assets/digits in this folder or above it; run it in a checkout of certus, or name a copy of that folder".into(),
    })
}

/// Trains with a bar that tells the time left and how good the network is by now.
fn train_shown(what: &str, split: &Split, args: &Args) -> Result<Trained, Error> {
    let stop = interrupt::stop_flag();
    let settings = recipe::settings(args.epochs, args.seed);
    let mut bar = None;
    Ok(train(split, settings, &mut |done, total, point| {
        let bar =
            bar.get_or_insert_with(|| progress::bar(what, usize::try_from(total).unwrap_or(usize::MAX)));
        bar.at(usize::try_from(done).unwrap_or(usize::MAX));
        if let Some(point) = point {
            let [right, certified] = point.held_out;
            bar.say(&format!(
                "{what}: loss {:.2}, right {right:.1} %, certified {certified:.1} %",
                point.loss
            ));
        }
        !stop.load(Ordering::Relaxed)
    })?)
}

fn evaluate_shown(
    what: &str,
    trained: &Trained,
    rows: &digits::Rows,
    plan: &Plan,
) -> Result<certus::digits::results::Evaluation, Error> {
    let bar = Mutex::new((progress::bar(what, evaluate::parts(plan)), 0));
    let done = || {
        if let Ok(mut bar) = bar.lock() {
            bar.1 += 1;
            let done = bar.1;
            bar.0.at(done);
        }
    };
    let network = (&trained.model, &trained.chain);
    Ok(evaluate::evaluate(network, rows, plan, interrupt::stop_flag(), &done)?)
}

fn leave_speakers_out(folder: &Path, args: &Args, out: &mut dyn Write) -> Result<Vec<SpeakerResult>, Error> {
    let mut results = Vec::new();
    for (speaker, name) in SPEAKERS.iter().enumerate() {
        if interrupt::stop_flag().load(Ordering::Relaxed) {
            break;
        }
        let split = Split::of(digits::without_speaker(folder, speaker)?);
        let trained = train_shown(&format!("without {name}"), &split, args)?;
        let evaluation = evaluate_shown(name, &trained, &split.test, &Plan::short(args.seed))?;
        results.push(SpeakerResult { name: (*name).to_owned(), evaluation });
    }
    print::speakers(&results, out)?;
    Ok(results)
}

fn certify(chain: &Chain, heard: &[Vec<f32>]) -> Vec<regions::Region> {
    let mut bar = progress::bar("regions", heard.len());
    let done = evaluate::counter(|count| bar.at(count));
    regions::certify(chain, heard, interrupt::stop_flag(), &done)
}

/// What the monitor of the artifact says to each recording.
fn judge(
    bytes: &[u8],
    recordings: &[Recording],
    heard: &[Vec<f32>],
    regions: &[regions::Region],
) -> Result<Vec<RecordingResult>, EmitError> {
    let decisions = certus::control::sweep::decisions(bytes, heard)?;
    let rows = recordings.iter().zip(heard).zip(decisions).zip(regions);
    Ok(rows
        .map(|(((recording, features), decision), region)| RecordingResult {
            name: recording.name.clone(),
            digit: recording.digit,
            features: features.clone(),
            class: decision.class,
            certified: noise::is_certified(&decision),
            region_db: region.radius_db,
        })
        .collect())
}

/// Working memory of the artifact's monitor, bytes, and products of a step at most.
fn work(bytes: &[u8]) -> Result<(usize, usize), EmitError> {
    let aligned = AlignedBytes::from(bytes);
    let view = ArtifactView::new_checked(aligned.as_slice())?;
    Ok((4 * memory_len(&view), worst_case_ops(&view).total().multiply_adds))
}

fn widths(trained: &Trained) -> Vec<usize> {
    certus::control::run::network_facts(&trained.chain).widths
}

/// The same artifact on a Cortex-M4F in QEMU, or the command for it; certified recordings and all if it ran.
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
        Firmware::Ran { certified, all } => {
            let here = results.recordings.iter().filter(|r| r.certified).count();
            let same = if (*certified, *all) == (here, results.recordings.len()) {
                "as here"
            } else {
                "NOT as here"
            };
            writeln!(
                out,
                "\nfirmware    Cortex-M4F in QEMU: {certified} of {all} recordings certified, {same}"
            )?;
        }
        Firmware::Missing(command) => writeln!(out, "\nfirmware    not run; to run it: {command}")?,
        Firmware::Failed(line) => writeln!(out, "\nfirmware    failed: {line}")?,
    }
    Ok(if let Firmware::Ran { certified, all } = outcome { Some((certified, all)) } else { None })
}
