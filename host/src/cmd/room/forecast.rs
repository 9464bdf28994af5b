//! `certus demo forecast`: CO₂ in half an hour, with an interval that holds under the sensors' errors.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use certus::room::data::SENSORS;
use certus::room::forecast::{self, AHEAD, LIMIT_PPM, Measured, STRIDE, TIMES, Windows};
use certus::room::page::{self, About};
use certus::table::write_table;

use super::super::Error;
use super::super::control::make_directory;
use super::{Args, cell, files, train_with_bar};

/// Windows that are written for the device.
const STREAM: usize = 1_000;

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let start = Instant::now();
    let folder = args.out("forecast");
    make_directory(&folder)?;
    let room = args.room()?;
    let recipe = args.recipe(forecast::recipe);
    let set = forecast::windows(&room.train).set;
    let epsilon = forecast::epsilon();
    writeln!(
        out,
        "CO2 {AHEAD} minutes ahead from {TIMES} times {STRIDE} minutes apart, {} sensors each; {} windows to learn from",
        SENSORS.len(),
        set.len()
    )?;
    let trained = train_with_bar("certified training", &set, &epsilon, &recipe)?;
    let plain = train_with_bar("plain training", &set, &epsilon, &recipe.uncertified())?;
    let notes = [("data", files::NOTICE.to_owned()), ("seed", args.seed.to_string())];
    let artifact = forecast::artifact(&trained, &notes);
    writeln!(out, "trained twice in {:.1} s", start.elapsed().as_secs_f64())?;
    let parts: Vec<(String, Windows)> =
        room.tests.iter().map(|r| (r.name.clone(), forecast::windows(r))).collect();
    let plain = (&plain, &forecast::artifact(&plain, &[]));
    let measured: Result<Vec<Measured>, _> = parts
        .iter()
        .map(|(name, w)| forecast::measure(name, w, (&trained, &artifact), plain, args.seed))
        .collect();
    let measured = measured?;
    print_accuracy(&measured, out)?;
    let unsound = print_levels(&measured, out)?;
    let names = (0..TIMES).flat_map(|k| {
        let minutes = (TIMES - 1 - k) * STRIDE;
        SENSORS.map(|s| format!("{}_{minutes}_min_ago", s.name))
    });
    let last = parts.iter().rev().take(1);
    let stream: Vec<&[f32]> =
        last.flat_map(|(_, w)| w.set.inputs.chunks_exact(forecast::INPUTS)).take(STREAM).collect();
    let samples = files::csv(&names.collect::<Vec<_>>().join(","), stream.iter().copied());
    let mut device = files::write((&folder, "forecast"), &trained, &artifact, &samples, out)?;
    let same = args.run_firmware(&folder, &artifact, &stream, &mut device, out)?;
    let seconds = start.elapsed().as_secs_f64();
    let about = About { learned_from: set.len(), seed: args.seed, seconds, device };
    files::write_report(&folder, &page::forecast::page(&measured, &about), seconds, out)?;
    Ok(if unsound > 0 || !same { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print_accuracy(measured: &[Measured], out: &mut dyn Write) -> Result<(), Error> {
    let mut rows = Vec::new();
    for recording in measured {
        let both = recording.accuracy.iter().zip(recording.levels.at(1.0).into_iter().flatten());
        for (training, (accuracy, intervals)) in ["certified", "plain"].into_iter().zip(both) {
            rows.push(vec![
                recording.name.clone(),
                training.to_owned(),
                accuracy.windows.to_string(),
                cell(accuracy.error_ppm, 1),
                cell(accuracy.persistence_ppm, 1),
                cell(intervals.width_ppm, 1),
            ]);
        }
    }
    writeln!(
        out,
        "\nmean absolute error of the forecast and of expecting no change, and mean width of the certified interval at level 1, ppm\n"
    )?;
    let header = ["recording", "training", "windows", "error", "no change", "width"];
    Ok(write_table(out, &header, &rows)?)
}

/// Intervals at growing errors; how many attacked outputs lay outside theirs.
fn print_levels(measured: &[Measured], out: &mut dyn Write) -> Result<usize, Error> {
    let (mut rows, mut unsound) = (Vec::new(), 0);
    for recording in measured {
        for (level, found) in &recording.levels.certified {
            unsound += found.unsound;
            rows.push(vec![
                recording.name.clone(),
                cell(*level, 2),
                cell(found.width_ppm, 1),
                cell(found.reached_ppm, 1),
                cell(100.0 * found.below as f64 / found.windows.max(1) as f64, 1),
            ]);
        }
    }
    writeln!(
        out,
        "\nmean width of the certified interval and of what an attack (PGD) reached, ppm, at multiples of the sensors' errors;"
    )?;
    writeln!(out, "share of windows, %, whose forecast certainly stays below {LIMIT_PPM} ppm\n")?;
    write_table(out, &["recording", "level", "certified", "attacked", "below"], &rows)?;
    writeln!(out, "\nattacked outputs outside their certified interval: {unsound}")?;
    Ok(unsound)
}
