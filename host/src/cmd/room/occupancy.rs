//! `certus demo occupancy`: a class from four sensors, certified against their errors.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use certus::room::data::{Room, SENSORS};
use certus::room::occupancy::{self, Measured};
use certus::room::page::{self, About};
use certus::table::write_table;

use super::super::Error;
use super::super::control::make_directory;
use super::{Args, cell, files, train_with_bar};

/// Samples that are written for the device.
const STREAM: usize = 1_000;

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let start = Instant::now();
    let folder = args.out("occupancy");
    make_directory(&folder)?;
    let room = args.room()?;
    print_sensors(&room, out)?;
    let recipe = args.recipe(occupancy::recipe);
    let set = occupancy::set(&room.train);
    let epsilon = occupancy::epsilon();
    let trained = train_with_bar("certified training", &set, &epsilon, &recipe)?;
    let plain = train_with_bar("plain training", &set, &epsilon, &recipe.uncertified())?;
    let notes = [("data", files::NOTICE.to_owned()), ("seed", args.seed.to_string())];
    let artifact = occupancy::artifact(&trained, &notes);
    writeln!(out, "\ntrained twice on {} samples in {:.1} s", set.len(), start.elapsed().as_secs_f64())?;
    let plain = (&plain, &occupancy::artifact(&plain, &[]));
    let measured: Result<Vec<Measured>, _> = room
        .tests
        .iter()
        .map(|r| occupancy::measure_all(r, (&trained, &artifact), plain, args.seed))
        .collect();
    let measured = measured?;
    print_levels(&measured, out)?;
    let unsound = print_comparison(&measured, out)?;
    let stream: Vec<&[f32]> =
        room.tests.iter().rev().take(1).flat_map(|r| &r.samples).take(STREAM).map(|s| &s[..]).collect();
    let samples = files::csv(&SENSORS.map(|s| s.name).join(","), stream.iter().copied());
    let mut device = files::write((&folder, "occupancy"), &trained, &artifact, &samples, out)?;
    let same = args.run_firmware(&folder, &artifact, &stream, &mut device, out)?;
    let seconds = start.elapsed().as_secs_f64();
    let about = About { learned_from: set.len(), seed: args.seed, seconds, device };
    files::write_report(&folder, &page::occupancy::page(&measured, &about), seconds, out)?;
    Ok(if unsound > 0 || !same { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print_sensors(room: &Room, out: &mut dyn Write) -> Result<(), Error> {
    let rows: Vec<Vec<String>> = SENSORS
        .iter()
        .map(|s| {
            vec![
                s.name.to_owned(),
                s.unit.to_owned(),
                format!("± {}", s.epsilon),
                format!("{} … {}", s.range[0], s.range[1]),
            ]
        })
        .collect();
    write_table(out, &["sensor", "unit", "error at level 1", "range"], &rows)?;
    writeln!(out)?;
    let rows: Vec<Vec<String>> = [&room.train]
        .into_iter()
        .chain(&room.tests)
        .map(|r| {
            let occupied = r.occupied.iter().filter(|o| **o).count();
            let share = 100.0 * occupied as f64 / r.samples.len().max(1) as f64;
            vec![r.name.clone(), r.samples.len().to_string(), cell(share, 1)]
        })
        .collect();
    Ok(write_table(out, &["recording", "samples", "occupied %"], &rows)?)
}

fn print_levels(measured: &[Measured], out: &mut dyn Write) -> Result<(), Error> {
    let mut rows = Vec::new();
    for recording in measured {
        for (level, counts) in &recording.levels.certified {
            let share = |count| cell(counts.percent(count), 2);
            let shares = [share(counts.certified), share(counts.withstood)];
            rows.push([vec![recording.name.clone(), cell(*level, 2)], shares.to_vec()].concat());
        }
    }
    writeln!(
        out,
        "\nshare of samples, %, that are right on the whole box of errors, at multiples of the sensors' errors:"
    )?;
    writeln!(out, "certified by the monitor's live bounds (CROWN), and left by an attack (PGD, AutoPGD)\n")?;
    Ok(write_table(out, &["recording", "level", "certified", "attacked"], &rows)?)
}

/// Accuracy at level 1 beside training without bounds; how often a certified sample was broken, at any level.
fn print_comparison(measured: &[Measured], out: &mut dyn Write) -> Result<usize, Error> {
    let mut rows = Vec::new();
    for recording in measured {
        for (name, counts) in
            ["certified", "plain"].into_iter().zip(recording.levels.at(1.0).into_iter().flatten())
        {
            let recall = 100.0 * counts.found as f64 / counts.occupied.max(1) as f64;
            let shares =
                [counts.correct, counts.withstood, counts.certified].map(|c| cell(counts.percent(c), 2));
            let [correct, withstood, certified] = shares;
            rows.push(vec![
                recording.name.clone(),
                name.to_owned(),
                correct,
                cell(recall, 2),
                withstood,
                certified,
            ]);
        }
    }
    writeln!(out, "\nat level 1, beside the same network trained without bounds, %\n")?;
    let header = ["recording", "training", "clean", "occupied found", "attacked", "certified"];
    write_table(out, &header, &rows)?;
    let unsound = measured.iter().flat_map(|m| m.levels.all()).map(|counts| counts.unsound).sum();
    writeln!(out, "\ncertified samples that an attack broke: {unsound}")?;
    Ok(unsound)
}
