//! Reports of the examples: what the device says along days, and how that falls off with the sensors' errors.

pub mod forecast;
pub mod occupancy;

use super::data::SENSORS;
use crate::report::text::{grouped, kilobytes};
use crate::report::{Block, Cell, Fact, Section, Table};

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
        blocks: vec![Block::Table(Table {
            columns: columns.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect(),
            rows: rows.collect(),
            caption: String::new(),
        })],
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

/// Days since the midnight before the first of `seconds`.
struct Days {
    midnight: i64,
}

/// Longest time between samples that still belong together, seconds.
const GAP_S: i64 = 180;
/// Most points of a curve along days.
const POINTS: usize = 2500;

impl Days {
    fn of(seconds: &[i64]) -> Self {
        Self { midnight: seconds.first().map_or(0, |s| s - s.rem_euclid(86_400)) }
    }

    fn at(&self, seconds: i64) -> f64 {
        (seconds - self.midnight) as f64 / 86_400.0
    }

    fn range(&self, seconds: &[i64]) -> (f64, f64) {
        let end = |s: Option<&i64>| s.map_or(0.0, |s| self.at(*s));
        (end(seconds.first()), end(seconds.last()))
    }

    /// Every how manieth sample is drawn.
    fn stride(seconds: &[i64]) -> usize {
        seconds.len().div_ceil(POINTS).max(1)
    }

    /// Samples to draw, and `None` where samples are missing.
    fn drawn(seconds: &[i64]) -> Vec<Option<usize>> {
        let stride = Self::stride(seconds);
        let mut out: Vec<Option<usize>> = Vec::new();
        let mut last: Option<usize> = None;
        for index in (0..seconds.len()).step_by(stride) {
            if let Some(last) = last
                && (last..index).any(|k| seconds[k + 1] - seconds[k] > GAP_S)
            {
                out.push(None);
            }
            out.push(Some(index));
            last = Some(index);
        }
        out
    }

    /// A curve through `value` of the samples, with gaps where samples are missing.
    fn curve(&self, seconds: &[i64], value: impl Fn(usize) -> f64) -> Vec<(f64, f64)> {
        let point = |k: Option<usize>| k.map_or((f64::NAN, f64::NAN), |k| (self.at(seconds[k]), value(k)));
        Self::drawn(seconds).into_iter().map(point).collect()
    }

    /// Spans of time in which `holds`, each sample lasting until the next one, or a minute before a gap.
    fn spans(&self, seconds: &[i64], holds: impl Fn(usize) -> bool) -> Vec<(f64, f64)> {
        let mut out: Vec<(f64, f64)> = Vec::new();
        let mut open = false;
        for (index, from) in seconds.iter().enumerate() {
            let next = seconds.get(index + 1).filter(|next| **next - from <= GAP_S);
            let to = self.at(next.copied().unwrap_or(from + 60));
            if !holds(index) {
                open = false;
                continue;
            }
            match out.last_mut() {
                Some(last) if open => last.1 = to,
                _ => out.push((self.at(*from), to)),
            }
            open = next.is_some();
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: f64 = 86_400.0;

    #[test]
    fn spans_end_where_samples_are_missing() {
        let seconds = [60, 120, 180, 1000, 1060];
        let days = Days::of(&seconds);
        let minutes = |holds: &[bool]| -> Vec<(f64, f64)> {
            let spans = days.spans(&seconds, |k| holds[k]);
            spans.iter().map(|(a, b)| ((a * DAY).round(), (b * DAY).round())).collect()
        };
        assert_eq!(minutes(&[true; 5]), [(60.0, 240.0), (1000.0, 1120.0)]);
        assert_eq!(
            minutes(&[true, false, true, true, false]),
            [(60.0, 120.0), (180.0, 240.0), (1000.0, 1060.0)]
        );
        assert_eq!(minutes(&[false; 5]), []);
    }

    #[test]
    fn curves_have_a_gap_where_samples_are_missing_and_few_points() {
        let seconds: Vec<i64> = (0..5000).map(|k| 60 * k + if k < 2500 { 0 } else { 3600 }).collect();
        let drawn = Days::drawn(&seconds);
        assert_eq!(drawn.iter().filter(|k| k.is_none()).count(), 1);
        assert_eq!(drawn.iter().flatten().count(), POINTS);
        assert_eq!(drawn.iter().position(Option::is_none), Some(1250));
        assert!(Days::drawn(&[]).is_empty());
        let days = Days::of(&seconds[2500..]);
        assert_eq!(days.midnight, 86_400, "the midnight before the first sample");
    }
}
