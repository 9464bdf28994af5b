//! What the quickstart prints: a line or a compact table per step.

use std::io::Write;

use certus::control::results::ArtifactFacts;
use certus::digits::data::Split;
use certus::digits::regions::Region;
use certus::digits::results::{Evaluation, Results, SpeakerResult};
use certus::digits::run::{METHODS, Trained};
use certus::digits::{noise, recipe};
use certus::learn::sensor::digits::Recording;
use certus::report::text::percent;
use certus::table::write_table;

use super::super::Error;

pub fn data(split: &Split, recordings: &[Recording], out: &mut dyn Write) -> Result<(), Error> {
    writeln!(
        out,
        "data        {} recordings to train on, {} held out of them, {} to test on ({} of them as sound); CC BY-SA 4.0",
        split.train.len(),
        split.held_out.len(),
        split.test.set.len(),
        recordings.len()
    )?;
    Ok(out.flush()?)
}

pub fn training(trained: &Trained, out: &mut dyn Write) -> Result<(), Error> {
    let [done, asked] = trained.steps;
    let early = if done < asked { format!(" of {asked}, ended early") } else { String::new() };
    let held_out = trained.curve.last().map_or(String::new(), |p| {
        let [right, certified] = p.held_out;
        format!("; held out: {right:.1} % right, {certified:.1} % certified (estimate)")
    });
    writeln!(out, "training    {done} steps{early} in {:.1} s{held_out}", trained.seconds)?;
    Ok(out.flush()?)
}

pub fn evaluation(found: &Evaluation, out: &mut dyn Write) -> Result<(), Error> {
    writeln!(
        out,
        "test        {} of {} recordings right; certified share by radius on every feature\n",
        percent(found.share(found.correct)),
        found.count
    )?;
    let mut header = vec!["radius dB", "attack leaves %"];
    let names: Vec<String> = METHODS.iter().map(|(_, name)| format!("{name} %")).collect();
    header.extend(names.iter().map(String::as_str));
    header.push("and verifier %");
    let share = |count: usize| format!("{:.1}", 100.0 * found.share(count));
    let rows: Vec<Vec<String>> = found
        .radii
        .iter()
        .map(|at| {
            let mut row = vec![format!("{}", at.radius_db), share(at.unbroken)];
            row.extend(at.certified.iter().map(|count| share(*count)));
            row.push(at.verified.map_or("-".to_owned(), |(verified, _)| share(verified)));
            row
        })
        .collect();
    write_table(out, &header, &rows)?;
    Ok(out.flush()?)
}

pub fn speakers(speakers: &[SpeakerResult], out: &mut dyn Write) -> Result<(), Error> {
    writeln!(out, "\nspeakers    each left out of a training of its own; certified by CROWN\n")?;
    let share = |found: &Evaluation, count: usize| format!("{:.1}", 100.0 * found.share(count));
    let rows: Vec<Vec<String>> = speakers
        .iter()
        .map(|speaker| {
            let found = &speaker.evaluation;
            let mut row = vec![speaker.name.clone(), share(found, found.correct)];
            row.extend(
                recipe::RADII_DB
                    .iter()
                    .map(|r| found.at(*r).map_or("-".into(), |at| share(found, at.best()))),
            );
            row
        })
        .collect();
    write_table(out, &["speaker", "right %", "0.5 dB %", "1 dB %", "2 dB %"], &rows)?;
    Ok(out.flush()?)
}

pub fn regions(regions: &[Region], out: &mut dyn Write) -> Result<(), Error> {
    let proved = regions.iter().filter(|r| r.certificate.is_some()).count();
    Ok(writeln!(
        out,
        "\nregions     {proved} of {} recordings have a certified region of {} dB or more around them",
        regions.len(),
        recipe::RADIUS_DB
    )?)
}

pub fn artifact(facts: &ArtifactFacts, out: &mut dyn Write) -> Result<(), Error> {
    let sections: Vec<String> =
        facts.sections.iter().map(|(name, bytes)| format!("{name} {bytes}")).collect();
    Ok(writeln!(out, "artifact    {} bytes: {}", facts.bytes, sections.join(", "))?)
}

pub fn noise(results: &Results, out: &mut dyn Write) -> Result<(), Error> {
    writeln!(out, "monitor     test recordings with noise on the features; the monitor is told its size\n")?;
    let share = |count: usize, of: usize| format!("{:.1}", 100.0 * count as f64 / of.max(1) as f64);
    let rows: Vec<Vec<String>> = results
        .noise
        .iter()
        .map(|l| {
            vec![
                format!("{}", l.level_db),
                share(l.certified, l.count),
                l.changed.to_string(),
                l.changed_although_certified.to_string(),
            ]
        })
        .collect();
    write_table(out, &["noise dB", "certified %", "answer changed", "although certified"], &rows)?;
    writeln!(
        out,
        "\nsound       {} recordings with white noise in the sound, which no certificate covers\n",
        results.recordings.len()
    )?;
    let rows: Vec<Vec<String>> = results
        .sound
        .iter()
        .map(|l| {
            vec![
                if l.snr_db.is_finite() { format!("{}", l.snr_db) } else { "none".into() },
                l.correct.to_string(),
                l.certified.to_string(),
                l.changed_although_certified.to_string(),
                format!("{:.1}", l.moved_db),
            ]
        })
        .collect();
    let header = ["snr dB", "right", "certified", "changed although certified", "features move by dB"];
    debug_assert_eq!(rows.len(), noise::SNR_DB.len());
    Ok(write_table(out, &header, &rows)?)
}
