//! `certus check`: is this file a proof of that property of that network? Reads the three and nothing else.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use certus::core::proof::Meaning;
use certus::interrupt;
use certus_engine::file::FileError;
use certus_engine::graph;
use certus_engine::property::{PropertyError, Specification, load_specification};
use certus_engine::verify::Instance;
use certus_engine::verify::proof_file::{
    CheckOptions, Checked, FormatError, Identity, ProofError, Reader, check,
};

use super::Error;
use super::networks::{self, NamedFile};
use super::proof::Files;

/// Exit code of a proof that is not accepted; 2 is bad input.
const REJECTED: u8 = 1;

#[derive(clap::Args)]
pub struct Args {
    /// Network, ONNX (gzip accepted); or, with two files in all, the query.
    #[arg(value_name = "NET|QUERY")]
    first: PathBuf,
    /// Property, VNN-LIB (gzip accepted); or, with two files in all, the proof.
    #[arg(value_name = "PROPERTY|FILE")]
    second: PathBuf,
    /// Proof, as `certus verify --proof` writes it.
    #[arg(value_name = "FILE")]
    third: Option<PathBuf>,
    /// Model of a network that the query declares; once for each that is not `equal-to` another.
    #[arg(long, value_name = "NAME=FILE")]
    network: Vec<NamedFile>,
    /// Weights in the place of the network's own, safetensors; as given to `certus verify`.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Check with the plain loops of the core instead of this processor's vectors.
    #[arg(long)]
    plain: bool,
    /// Threads; 0 takes one per core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Longest tree of a group that is read, MiB unpacked.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    proof_limit_mib: u64,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let start = Instant::now();
    let (single, property, proof) = match &args.third {
        Some(proof) => (Some(args.first.as_path()), args.second.as_path(), proof.as_path()),
        None => (None, args.first.as_path(), args.second.as_path()),
    };
    let (instance, identity) = question(args, single, property)?;
    match accept(args, &instance, &identity, proof)? {
        Ok(checked) => {
            say(&checked, identity.meaning, start.elapsed().as_secs_f64(), out)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(why) => {
            writeln!(out, "rejected")?;
            eprintln!("{}: {why}", proof.display());
            Ok(ExitCode::from(REJECTED))
        }
    }
}

/// What the proof is to be about.
fn question(args: &Args, single: Option<&Path>, path: &Path) -> Result<(Instance, Identity), Error> {
    let in_file = |e: PropertyError| e.in_file(path);
    let (lowered, models, files, meaning) = match load_specification(path)? {
        Specification::V1(lowered) => {
            let file = match single {
                Some(file) if args.network.is_empty() => file,
                Some(_) => return Err(given_twice()),
                None => networks::only_file(&args.network)?,
            };
            let model = graph::load_model(file, args.weights.as_deref())?;
            (lowered, vec![model], Files::single(file, args.weights.as_deref(), path), Meaning::Real)
        }
        Specification::V2(query) => {
            if args.weights.is_some() {
                let problem = "goes with one network and a property of VNN-LIB 1.0".into();
                return Err(Error::Option { option: "weights", problem });
            }
            let models = networks::load(&query, &args.network, single, path)?;
            let files = Files::of_query(&query, &args.network, single, path);
            (query.lower().map_err(in_file)?, models, files, query.element.meaning())
        }
    };
    let instance = Instance::new(lowered, models).map_err(in_file)?;
    let identity = files.identity(&instance, meaning)?;
    Ok((instance, identity))
}

fn given_twice() -> Error {
    let problem = "the network is given twice; write `check NET PROPERTY FILE`".into();
    Error::Option { option: "network", problem }
}

/// The outer error is one of reading, the inner one that of the proof.
fn accept(
    args: &Args,
    instance: &Instance,
    identity: &Identity,
    path: &Path,
) -> Result<Result<Checked, ProofError>, Error> {
    let failed = |source| FileError::Io { path: path.display().to_string(), action: "read", source };
    let file = File::open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => FileError::Missing { path: path.display().to_string() },
        _ => failed(e),
    })?;
    let meta = file.metadata().map_err(failed)?;
    if meta.is_dir() {
        return Err(FileError::Directory { path: path.display().to_string() }.into());
    }
    let limit = args.proof_limit_mib.saturating_mul(1 << 20);
    let options = CheckOptions { threads: args.threads, plain: args.plain, stop: interrupt::stop_flag() };
    let result =
        Reader::new(BufReader::new(file), meta.len(), limit).map_err(ProofError::from).and_then(|mut r| {
            check(&mut r, identity, instance.model(identity.meaning), instance.property(), options)
        });
    match result {
        Err(ProofError::Format(FormatError::Io(source))) => Err(failed(source).into()),
        other => Ok(other),
    }
}

fn say(checked: &Checked, meaning: Meaning, seconds: f64, out: &mut dyn Write) -> Result<(), Error> {
    let Checked { cases, groups, leaves, lemmas, depth, bytes } = checked;
    let meaning = match meaning {
        Meaning::Real => "over the reals",
        Meaning::RealAndF32 => "over the reals and in the device's f32",
    };
    writeln!(out, "unsat")?;
    writeln!(
        out,
        "proved {meaning}: no input of {cases} case(s) violates the property; {groups} tree(s), {leaves} leaves, {lemmas} lemmas, depth {depth}, {bytes} bytes, {seconds:.3} s"
    )?;
    Ok(())
}
