//! What the demonstration prints: a line or a compact table per step.

use std::io::Write;

use certus::control::bundle::NETWORK_NAME;
use certus::control::results::{
    Answer, ArtifactFacts, NetworkFacts, Outcome, PropertyResult, RegionResults, Results,
};
use certus::table::write_table;

use super::super::Error;

/// Levels that the table shows; the report has all.
const SHOWN: [f64; 7] = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0];

pub fn network(network: &NetworkFacts, out: &mut dyn Write) -> Result<(), Error> {
    let widths: Vec<String> = network.widths.iter().map(ToString::to_string).collect();
    Ok(writeln!(out, "network     {NETWORK_NAME}: {}, {} parameters", widths.join("-"), network.parameters)?)
}

pub fn verdicts(verdicts: &[PropertyResult], out: &mut dyn Write) -> Result<(), Error> {
    let row = |verdict: &PropertyResult| {
        let (word, evidence) = match &verdict.outcome {
            Outcome::Holds { leaves, .. } => ("unsat", format!("holds: {leaves} leaves checked")),
            Outcome::Violated { .. } => ("sat", "refuted: counterexample in f32 and f64".to_owned()),
            Outcome::Unknown { reason } => ("unknown", reason.clone()),
        };
        vec![verdict.name.clone(), word.to_owned(), format!("{:.3}", verdict.seconds), evidence]
    };
    writeln!(out)?;
    let rows: Vec<_> = verdicts.iter().map(row).collect();
    Ok(write_table(out, &["property", "verdict", "seconds", "evidence"], &rows)?)
}

pub fn regions(regions: &RegionResults, out: &mut dyn Write) -> Result<(), Error> {
    let proved = regions.proved_level.iter().filter(|level| **level > 0.0).count();
    let (tried, corridors, seconds) = (regions.tried, regions.corridors, regions.seconds);
    writeln!(
        out,
        "\nregions     {proved} of {tried} recorded states and {corridors} corridors of the encounter certified in {seconds:.1} s"
    )?;
    Ok(())
}

pub fn artifact(facts: &ArtifactFacts, out: &mut dyn Write) -> Result<(), Error> {
    let sections: Vec<String> =
        facts.sections.iter().map(|(name, bytes)| format!("{name} {bytes}")).collect();
    Ok(writeln!(out, "artifact    {} bytes: {}", facts.bytes, sections.join(", "))?)
}

/// Share of certified steps per noise level and method.
pub fn noise(results: &Results, out: &mut dyn Write) -> Result<(), Error> {
    let Some(shipped) = results.shipped() else { return Ok(()) };
    let row = |index: usize| {
        let level = &shipped.levels[index];
        let mut row = vec![format!("{:.1}", level.level)];
        let certified =
            |l: &certus::control::results::Level| format!("{:.1}", 100.0 * l.share(Answer::is_certified));
        row.extend(results.methods.iter().map(|method| certified(&method.levels[index])));
        let broken: usize = results.methods.iter().map(|m| m.levels[index].changed_although_certified).sum();
        row.extend([level.changed.to_string(), broken.to_string()]);
        row
    };
    let shown = (0..shipped.levels.len()).filter(|i| SHOWN.contains(&shipped.levels[*i].level));
    let rows: Vec<_> = shown.map(row).collect();
    let header = ["noise", "ibp %", "crown %", "crown-full %", "advisory changed", "although certified"];
    writeln!(
        out,
        "monitor     {} steps of the encounter; certified share as the sensors get worse (1 = nominal noise)\n",
        results.steps.len()
    )?;
    Ok(write_table(out, &header, &rows)?)
}
