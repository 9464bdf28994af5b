//! The report of [`super::super::occupancy`].

use super::super::occupancy::{Counts, Measured, Trace};
use super::{About, Curve, Days, against_levels, claims, figure, sensors};
use crate::report::chart::{Chart, Lane, Panel, Series, Shape};
use crate::report::text::{grouped, percent};
use crate::report::{Block, Cell, Fact, Page, Section};
use crate::room::data::{CO2, LIGHT};

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
        let Some([counts, _]) = recording.levels.at(1.0) else { continue };
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
    let curve = |looks, plain, value| Curve { looks, plain, value };
    let withstood: fn(&Counts) -> f64 = |c| c.percent(c.withstood);
    let certified: fn(&Counts) -> f64 = |c| c.percent(c.certified);
    let curves = [
        curve(("trained without bounds: attack leaves", "c-muted", Shape::Dashed), true, withstood),
        curve(("trained without bounds: certified", "c-muted", Shape::Line), true, certified),
        curve(("attack leaves", "c-ink", Shape::Dashed), false, withstood),
        curve(("certified", "c-certified", Shape::Line), false, certified),
    ];
    let axis = Panel {
        label: "share of samples".into(),
        height: 150.0,
        range: Some((0.0, 100.0)),
        unit: " %",
        series: vec![],
    };
    let chart = against_levels(
        "Share of samples that are right on the whole box of errors, against the level",
        &axis,
        measured.iter().map(|m| (m.name.as_str(), &m.levels)),
        |c| c.percent(c.correct),
        &curves,
    );
    figure(
        "How much error it bears",
        "Share of samples that are right for every error of the level, as the monitor's live bounds prove on the device.",
        &chart,
        "Above a dashed line nothing can be certified: there an attack (PGD, then AutoPGD on two losses, in the device's arithmetic) found an \
         error that makes the answer wrong.",
    )
}

fn comparison(measured: &[Measured]) -> Section {
    let numbers = ["Right", "Occupied found", "Attack leaves", "Certified"].map(|name| (name, true));
    let columns = [&[("Recording", false), ("Training", false)], &numbers[..]].concat();
    let mut rows = Vec::new();
    for recording in measured {
        let Some(both) = recording.levels.at(1.0) else { continue };
        for (training, counts) in ["with bounds", "without"].into_iter().zip(both) {
            let found = percent(counts.found as f64 / counts.occupied.max(1) as f64);
            let [right, left, certified] =
                [counts.correct, counts.withstood, counts.certified].map(|c| share(c, counts));
            let cells = [recording.name.clone(), training.to_owned(), right, found, left, certified];
            rows.push(cells.map(Cell::Text).to_vec());
        }
    }
    let broken: usize = measured.iter().flat_map(|m| m.levels.all()).map(|c| c.unsound).sum();
    let caption = format!("Certified samples that an attack broke, over all levels: {broken}.");
    Section {
        heading: "What training with bounds changes".into(),
        lead: "The same network and schedule with and without bounds, at level 1.".into(),
        blocks: vec![Block::table(&columns, rows, &caption)],
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
    let caption = format!(
        "Two of the four sensors; below, minute by minute, whether the room was occupied (also the tint above), what the device said, \
         whether that was certified at level 1, and where it was wrong. {} of {} samples are certified and wrong all the same (last \
         row): there every reading near the measured one has the wrong answer.",
        grouped(both),
        grouped(trace.said.len())
    );
    figure(format!("Along {}", recording.name), "", &chart, caption)
}
