//! A judgement on the command line: run with progress, shown as a table.

use std::io::Write;
use std::sync::Mutex;

use certus::engine::model::Model;
use certus::evaluate::judge::{Judgement, judge};
use certus::interrupt::stop_flag;
use certus::progress::{self, Progress};
use certus::training::config::Config;
use certus_learn::data::Set;
use certus_learn::train::Task;

use super::Error;

/// Judges `network` on `set` as `config` asks; a bar for each stage.
pub fn run(network: Model, set: &Set, task: &Task, config: &Config) -> Result<Judgement, Error> {
    let bar: Mutex<Option<(String, Progress)>> = Mutex::new(None);
    let show = |stage: &str, done: usize, total: usize| {
        let Ok(mut shown) = bar.lock() else { return };
        if shown.as_ref().is_none_or(|(name, _)| name != stage) {
            // The bar before goes first.
            *shown = None;
            *shown = Some((stage.to_owned(), progress::bar(stage, total)));
        }
        if let Some((_, bar)) = shown.as_mut() {
            bar.at(done);
        }
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(config.train.threads)
        .build()
        .map_err(|e| Error::Process(std::io::Error::other(e)))?;
    let settings = (&config.evaluate, config.test_epsilon());
    Ok(pool.install(|| judge(network, set, task, settings, stop_flag(), &show))?)
}

/// The table.
pub fn print(found: &Judgement, set: &Set, out: &mut dyn Write) -> Result<(), Error> {
    writeln!(out, "\n{} test inputs of {}, radius {} on each\n", found.count, set.len(), found.epsilon)?;
    if found.judged.is_some() {
        writeln!(out, "{:<24} {:>7} {:>9}   by", "on the whole box", "inputs", "share")?;
        for line in found.lines() {
            writeln!(out, "{:<24} {:>7} {:>7.2} %   {}", line.what, line.of, line.percent(), line.by)?;
        }
    }
    if !found.predicted.is_empty() {
        writeln!(
            out,
            "{:<24} {:>12} {:>14} {:>14}",
            "predicted", "mean error", "mean interval", "error at most"
        )?;
        for p in &found.predicted {
            writeln!(out, "{:<24} {:>12.5} {:>14.5} {:>14.5}", p.name, p.error, p.width, p.worst)?;
        }
    }
    if let (Some(why), true) = (&found.no_attack, found.judged.is_some()) {
        writeln!(out, "not attacked: {why}")?;
    }
    writeln!(out, "judged in {}", super::train::clock(found.seconds))?;
    Ok(out.flush()?)
}
