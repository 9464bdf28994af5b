//! The report of [`super::super::occupancy`].

use super::super::occupancy::{Counts, Measured, Trace};
use super::{About, Days, claims, sensors};
use crate::report::chart::{Chart, Lane, Panel, Series, Shape};
use crate::report::text::{grouped, percent};
use crate::report::{Block, Cell, Fact, Page, Section, Table};
use crate::room::data::CO2;

/// Place of the light sensor.
const LIGHT: usize = 2;

/// Lays out the report.
pub fn page(measured: &[Measured], about: &About) -> Page {
    let mut sections = vec![sensors(), levels(measured), comparison(measured)];
    sections.extend(measured.iter().map(along));
    sections.push(about.section());
    sections.push(claims(
        &[
            "For each certified sample: every set of four values within the sensors' errors has the class that the device gives.",
            "That holds for the f32 arithmetic of the device, rounding included.",
        ],
        &[
            "That the answer is right: a wrong answer can be certified too. The shares above count answers that are right and certified.",
            "Anything about a sensor that is broken, moved or covered, and is off by more than its error.",
            "Accuracy in other rooms, or in weeks unlike these.",
        ],
    ));
    Page {
        title: "Is somebody in the room?".into(),
        lead: format!(
            "A network of two small layers learned from {} samples of four sensors whether a room is occupied, so that its answers can be \
             proved against the sensors' errors. Here it is judged on days that it never saw, by the monitor that runs on the device.",
            grouped(about.learned_from)
        ),
        facts: facts(measured, about),
        sections,
        footer: about.footer(),
    }
}

fn share(count: usize, counts: &Counts) -> String {
    percent(count as f64 / counts.samples.max(1) as f64)
}

fn facts(measured: &[Measured], about: &About) -> Vec<Fact> {
    let mut facts = Vec::new();
    for recording in measured {
        let Some([counts, _]) = recording.at(1.0) else { continue };
        facts.push(Fact {
            value: share(counts.certified, counts),
            label: format!(
                "of {}, {} samples, right and certified at level 1; {} right on exact values",
                recording.name,
                grouped(counts.samples),
                share(counts.correct, counts)
            ),
        });
    }
    facts.push(about.fact());
    facts
}

fn levels(measured: &[Measured]) -> Section {
    let curve = |levels: &[(f64, Counts)], of: fn(&Counts) -> usize| -> Vec<(f64, f64)> {
        let start = levels.first().map(|(_, c)| (0.0, c.percent(c.correct)));
        start.into_iter().chain(levels.iter().map(|(l, c)| (*l, c.percent(of(c))))).collect()
    };
    let panel = |index: usize, recording: &Measured| {
        let series = |name: &str, class, shape, points| Series {
            // The legend names each kind once.
            name: if index == 0 { name.to_owned() } else { String::new() },
            class,
            shape,
            points,
        };
        Panel {
            label: format!("{}, share of samples", recording.name),
            height: 150.0,
            range: Some((0.0, 100.0)),
            unit: " %",
            series: vec![
                series(
                    "trained without bounds: attack leaves",
                    "c-muted",
                    Shape::Dashed,
                    curve(&recording.plain, |c| c.withstood),
                ),
                series(
                    "trained without bounds: certified",
                    "c-muted",
                    Shape::Line,
                    curve(&recording.plain, |c| c.certified),
                ),
                series("attack leaves", "c-ink", Shape::Dashed, curve(&recording.levels, |c| c.withstood)),
                series("certified", "c-certified", Shape::Line, curve(&recording.levels, |c| c.certified)),
            ],
        }
    };
    let chart = Chart {
        title: "Share of samples that are right on the whole box of errors, against the level".into(),
        x_label: "level: multiple of the sensors' errors".into(),
        x_range: (0.0, measured.first().and_then(|m| m.levels.last()).map_or(1.0, |l| l.0)),
        panels: measured.iter().enumerate().map(|(k, m)| panel(k, m)).collect(),
        lanes: vec![],
    };
    Section {
        heading: "How much error it bears".into(),
        lead: "Share of samples that are right for every error of the level, as the monitor's live bounds prove on the device.".into(),
        blocks: vec![Block::Figure {
            picture: chart.render(),
            caption: "Above a dashed line nothing can be certified: there an attack (PGD, then AutoPGD on two losses, in the device's \
                      arithmetic) found an error that makes the answer wrong."
                .into(),
        }],
    }
}

fn comparison(measured: &[Measured]) -> Section {
    let columns = ["Recording", "Training", "Right", "Occupied found", "Attack leaves", "Certified"];
    let mut rows = Vec::new();
    for recording in measured {
        let Some(both) = recording.at(1.0) else { continue };
        for (training, counts) in ["with bounds", "without"].into_iter().zip(both) {
            let found = percent(counts.found as f64 / counts.occupied.max(1) as f64);
            let [right, left, certified] =
                [counts.correct, counts.withstood, counts.certified].map(|c| share(c, counts));
            let cells = [recording.name.clone(), training.to_owned(), right, found, left, certified];
            rows.push(cells.map(Cell::Text).to_vec());
        }
    }
    let broken: usize =
        measured.iter().flat_map(|m| m.levels.iter().chain(&m.plain)).map(|(_, c)| c.unsound).sum();
    Section {
        heading: "What training with bounds changes".into(),
        lead: "The same network and schedule with and without bounds, at level 1.".into(),
        blocks: vec![Block::Table(Table {
            columns: columns.iter().enumerate().map(|(k, c)| ((*c).to_owned(), k > 1)).collect(),
            rows,
            caption: format!("Certified samples that an attack broke, over all levels: {broken}."),
        })],
    }
}

/// One recording along its days.
fn along(recording: &Measured) -> Section {
    let trace: &Trace = &recording.trace;
    let days = Days::of(&trace.seconds);
    let sensor = |label: &str, class, place: usize| Panel {
        label: label.into(),
        height: 90.0,
        range: None,
        unit: "",
        series: vec![Series {
            name: String::new(),
            class,
            shape: Shape::Line,
            points: days.curve(&trace.seconds, |k| f64::from(trace.samples[k][place])),
        }],
    };
    let lane = |name: &str, class, tint, holds: &dyn Fn(usize) -> bool| Lane {
        name: name.into(),
        class,
        spans: days.spans(&trace.seconds, holds),
        tint,
    };
    let chart = Chart {
        title: format!("Sensors and answers along {}", recording.name),
        x_label: "days since the first midnight".into(),
        x_range: days.range(&trace.seconds),
        panels: vec![sensor("light, lux", "c-strong-right", LIGHT), sensor("CO₂, ppm", "c-line", CO2)],
        lanes: vec![
            lane("occupied", "c-ink", true, &|k| trace.occupied[k]),
            lane("device says so", "c-line", false, &|k| trace.said[k]),
            lane("certified", "c-certified", false, &|k| trace.certified[k]),
            lane("wrong", "c-refuted", false, &|k| trace.said[k] != trace.occupied[k]),
            lane("wrong, certified", "c-refuted", false, &|k| {
                trace.certified[k] && trace.said[k] != trace.occupied[k]
            }),
        ],
    };
    let both =
        (0..trace.said.len()).filter(|k| trace.certified[*k] && trace.said[*k] != trace.occupied[*k]).count();
    Section {
        heading: format!("Along {}", recording.name),
        lead: String::new(),
        blocks: vec![Block::Figure {
            picture: chart.render(),
            caption: format!(
                "Two of the four sensors; below, minute by minute, whether the room was occupied (also the tint above), what the device said, \
                 whether that was certified at level 1, and where it was wrong. {} of {} samples are certified and wrong all the same (last \
                 row): there every reading near the measured one has the wrong answer.",
                grouped(both),
                grouped(trace.said.len())
            ),
        }],
    }
}
