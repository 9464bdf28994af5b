//! Reports of the examples: what the device says along days, and how that falls off with the sensors' errors.

mod days;
pub mod forecast;
pub mod occupancy;

use super::data::SENSORS;
use super::levels::Levels;
use crate::report::chart::{Chart, Panel, Series, Shape};
use crate::report::text::{grouped, kilobytes};
use crate::report::{Block, Cell, Fact, Section};
use days::Days;

/// The artifact on the device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Bytes of the artifact.
    pub bytes: usize,
    /// Bytes of the monitor's memory.
    pub memory_bytes: usize,
    /// Most multiply-adds of a step, and how many its intervals take besides.
    pub multiply_adds: [usize; 2],
    /// SHA-256 of the artifact, hexadecimal.
    pub digest: String,
    /// Samples that a device in QEMU certified, and all that it was given, if it ran.
    pub qemu: Option<(usize, usize)>,
}

/// What a report says besides measurements.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// Samples or windows that were learned from.
    pub learned_from: usize,
    /// Seed of training and attacks.
    pub seed: u64,
    /// Seconds of the whole example.
    pub seconds: f64,
    /// The artifact.
    pub device: Device,
}

impl About {
    fn footer(&self) -> String {
        format!(
            "certus {} · artifact SHA-256 {} · seed {} · {:.1} s in total · UCI occupancy detection data, L. Candanedo and V. Feldheim 2016, \
             CC BY 4.0",
            env!("CARGO_PKG_VERSION"),
            self.device.digest.get(..16).unwrap_or(&self.device.digest),
            self.seed,
            self.seconds
        )
    }

    fn fact(&self) -> Fact {
        Fact {
            value: kilobytes(self.device.bytes),
            label: format!(
                "artifact; the monitor works in {} of memory",
                kilobytes(self.device.memory_bytes)
            ),
        }
    }

    fn section(&self) -> Section {
        let [step, intervals] = self.device.multiply_adds;
        let ran = self.device.qemu.map_or("It was not run on a device here.".to_owned(), |(certified, all)| {
            format!("A Cortex-M4F in QEMU certified {certified} of the {all} samples written beside this report.")
        });
        Section {
            heading: "On the device".into(),
            lead: format!(
                "At most {} multiply-adds a step, and {} more for the intervals of its outputs; no heap. {ran}",
                grouped(step),
                grouped(intervals)
            ),
            blocks: vec![],
        }
    }
}

fn sensors() -> Section {
    let columns = [("Sensor", false), ("Error at level 1", true), ("Range", true)];
    let rows = SENSORS.iter().map(|s| {
        let cells = [
            s.name.to_owned(),
            format!("± {} {}", s.epsilon, s.unit),
            format!("{} … {} {}", s.range[0], s.range[1], s.unit).replace('-', "\u{2212}"),
        ];
        cells.map(Cell::Text).to_vec()
    });
    Section {
        heading: "Errors of the sensors".into(),
        lead: "At level 1 each value may be off by this much, either way, all at the same time and independently; at level 2 by twice as much."
            .into(),
        blocks: vec![Block::table(&columns, rows.collect(), "")],
    }
}

/// A section of one drawing.
fn figure(heading: impl Into<String>, lead: &str, chart: &Chart, caption: impl Into<String>) -> Section {
    Section {
        heading: heading.into(),
        lead: lead.into(),
        blocks: vec![Block::Figure { picture: chart.render(), caption: caption.into() }],
    }
}

/// A curve against the level of errors.
struct Curve<T> {
    /// Its name in the legend, class and shape.
    looks: (&'static str, &'static str, Shape),
    /// Whether it is of the network that was trained without bounds.
    plain: bool,
    /// Its value at a level.
    value: fn(&T) -> f64,
}

/// `curves` of each recording against the level, in a panel like `axis`, which the recording's name stands before; at level 0 they are where
/// `exact` says.
fn against_levels<'m, T: 'm>(
    title: &str,
    axis: &Panel,
    recordings: impl Iterator<Item = (&'m str, &'m Levels<T>)>,
    exact: fn(&T) -> f64,
    curves: &[Curve<T>],
) -> Chart {
    let mut last: f64 = 1.0;
    let mut panels: Vec<Panel> = Vec::new();
    for (name, levels) in recordings {
        last = levels.certified.last().map_or(last, |(level, _)| *level);
        let series = curves.iter().map(|curve| {
            let found = if curve.plain { &levels.plain } else { &levels.certified };
            let start = found.first().map(|(_, at)| (0.0, exact(at)));
            let points = found.iter().map(|(level, at)| (*level, (curve.value)(at)));
            let (name, class, shape) = curve.looks.clone();
            // The legend names each kind once.
            let name = if panels.is_empty() { name.to_owned() } else { String::new() };
            Series { name, class, shape, points: start.into_iter().chain(points).collect() }
        });
        let series = series.collect();
        panels.push(Panel { label: format!("{name}, {}", axis.label), series, ..axis.clone() });
    }
    Chart {
        title: title.into(),
        x_label: "level: multiple of the sensors' errors".into(),
        x_range: (0.0, last),
        panels,
        lanes: vec![],
    }
}

fn claims(proved: &[&str], open: &[&str]) -> Section {
    let sentences = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    Section {
        heading: "What is proved, and what is not".into(),
        lead: String::new(),
        blocks: vec![Block::Claims { proved: sentences(proved), open: sentences(open) }],
    }
}
