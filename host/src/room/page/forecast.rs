//! The report of [`super::super::forecast`].

use super::super::forecast::{AHEAD, Intervals, LIMIT_PPM, Measured, STRIDE, TIMES, Trace};
use super::{About, Curve, Days, against_levels, claims, figure, sensors};
use crate::report::chart::{Chart, Lane, Panel, Series, Shape};
use crate::report::text::{grouped, percent};
use crate::report::{Block, Cell, Fact, Page, Section};
use crate::room::data::{CO2, SENSORS};

/// Lays out the report.
pub fn page(measured: &[Measured], about: &About) -> Page {
    let mut sections = vec![sensors()];
    sections.extend(measured.iter().map(along));
    sections.extend([levels(measured), accuracy(measured), about.section()]);
    sections.push(claims(
        &[
            "For each window: whatever the sensors' errors within the level, the device's forecast lies in its interval.",
            "That holds for the f32 arithmetic of the device, rounding included.",
        ],
        &[
            "That CO₂ will lie in the interval. It bounds the forecast, not the future.",
            "Anything about a sensor that is broken, moved or covered, and is off by more than its error.",
            "Accuracy in other rooms, or in weeks unlike these.",
        ],
    ));
    Page {
        title: format!("CO₂ in {AHEAD} minutes"),
        lead: format!(
            "A network of two small layers learned from {} windows, {TIMES} times {STRIDE} minutes apart of four sensors each, to forecast a \
             room's CO₂. Its answer is an interval: what the forecast can be under all errors of the sensors. Here it is judged on days \
             that it never saw, by the monitor that runs on the device.",
            grouped(about.learned_from)
        ),
        facts: facts(measured, about),
        sections,
        footer: about.footer(),
    }
}

fn ppm(value: f64) -> String {
    format!("{value:.1}\u{a0}ppm")
}

fn facts(measured: &[Measured], about: &About) -> Vec<Fact> {
    let mut facts = Vec::new();
    for recording in measured {
        let Some([at, _]) = recording.levels.at(1.0) else { continue };
        facts.push(Fact {
            value: ppm(at.width_ppm),
            label: format!(
                "mean width of the certified interval in {}; an attack reaches {} of it",
                recording.name,
                percent(at.reached_ppm / at.width_ppm)
            ),
        });
        let [accuracy, _] = recording.accuracy;
        facts.push(Fact {
            value: ppm(accuracy.error_ppm),
            label: format!(
                "mean error in {} on exact values; expecting no change: {}",
                recording.name,
                ppm(accuracy.persistence_ppm)
            ),
        });
    }
    facts.push(about.fact());
    facts
}

/// One recording along its days.
fn along(recording: &Measured) -> Section {
    let trace: &Trace = &recording.trace;
    let days = Days::of(&trace.seconds);
    let curve = |value: &dyn Fn(usize) -> f32| days.curve(&trace.seconds, |k| f64::from(value(k)));
    let end = |side: usize| curve(&|k| trace.intervals[k][side]);
    let series = |name: &str, class, shape, points| Series { name: name.into(), class, shape, points };
    let limit = f64::from(LIMIT_PPM);
    let range = days.range(&trace.seconds);
    let base = end(0).iter().map(|p| p.1).collect();
    let chart = Chart {
        title: format!("Forecast, certified interval and what came, along {}", recording.name),
        x_label: "days since the first midnight".into(),
        x_range: range,
        panels: vec![Panel {
            label: format!("CO₂ {AHEAD} minutes ahead, ppm"),
            height: 260.0,
            range: None,
            unit: "",
            series: vec![
                series(
                    "certified interval of the forecast, level 1",
                    "c-certified",
                    Shape::Above(base),
                    end(1),
                ),
                series("forecast", "c-line", Shape::Line, curve(&|k| trace.forecast[k])),
                series("what came", "c-ink", Shape::Line, curve(&|k| trace.came[k])),
                series(
                    &format!("{LIMIT_PPM} ppm"),
                    "c-refuted",
                    Shape::Dashed,
                    vec![(range.0, limit), (range.1, limit)],
                ),
            ],
        }],
        lanes: vec![
            Lane {
                name: format!("below {LIMIT_PPM}"),
                class: "c-certified",
                spans: days.spans(&trace.seconds, |k| trace.below[k]),
                tint: false,
            },
            Lane {
                name: "came above".into(),
                class: "c-refuted",
                spans: days.spans(&trace.seconds, |k| trace.came[k] >= LIMIT_PPM),
                tint: false,
            },
        ],
    };
    let both = (0..trace.came.len()).filter(|k| trace.below[*k] && trace.came[*k] >= LIMIT_PPM).count();
    let stride = Days::stride(&trace.seconds);
    let thinned = if stride > 1 { format!(" One minute in {stride} is drawn.") } else { String::new() };
    let caption = format!(
        "Rows below: where no error of the sensors brings the forecast to {LIMIT_PPM} ppm, and where CO₂ was above that all the same \
         half an hour later. Both hold for {} of {} windows: there the forecast was certainly below, and wrong.{thinned}",
        grouped(both),
        grouped(trace.came.len())
    );
    figure(format!("Along {}", recording.name), "", &chart, caption)
}

fn levels(measured: &[Measured]) -> Section {
    let curve = |looks, plain, value| Curve { looks, plain, value };
    let width: fn(&Intervals) -> f64 = |i| i.width_ppm;
    let curves = [
        curve(("trained without bounds: certified", "c-muted", Shape::Line), true, width),
        curve(("attack reaches", "c-ink", Shape::Dashed), false, |i| i.reached_ppm),
        curve(("certified", "c-certified", Shape::Line), false, width),
    ];
    let axis =
        Panel { label: "mean width, ppm".into(), height: 150.0, range: None, unit: "", series: vec![] };
    let chart = against_levels(
        "Mean width of intervals against the level of errors",
        &axis,
        measured.iter().map(|m| (m.name.as_str(), &m.levels)),
        |_| 0.0,
        &curves,
    );
    let outside: usize = measured.iter().flat_map(|m| m.levels.all()).map(|i| i.unsound).sum();
    figure(
        "How wide the intervals are",
        "The certified interval contains all that the forecast can be; an attack shows how much of it is reached for certain.",
        &chart,
        format!(
            "Between the dashed line and the one above it nothing is known. Attacked forecasts outside their certified interval, over all \
             levels: {outside}."
        ),
    )
}

fn accuracy(measured: &[Measured]) -> Section {
    let numbers = ["Windows", "Mean error", "Expecting no change", "Width at level 1", "Certainly below"];
    let columns =
        [&[("Recording", false), ("Training", false)], &numbers.map(|name| (name, true))[..]].concat();
    let mut rows = Vec::new();
    for recording in measured {
        let Some(both) = recording.levels.at(1.0) else { continue };
        for ((training, accuracy), at) in
            ["with bounds", "without"].into_iter().zip(recording.accuracy).zip(both)
        {
            let cells = [
                recording.name.clone(),
                training.to_owned(),
                grouped(accuracy.windows),
                ppm(accuracy.error_ppm),
                ppm(accuracy.persistence_ppm),
                ppm(at.width_ppm),
                percent(at.below as f64 / at.windows.max(1) as f64),
            ];
            rows.push(cells.map(Cell::Text).to_vec());
        }
    }
    let off = SENSORS[CO2].epsilon;
    let caption = format!(
        "Expecting no change has an interval of {} ppm, as the last value may be off by {off} either way. The last column counts windows \
         whose forecast stays below {LIMIT_PPM} ppm under every error of level 1.",
        2.0 * off
    );
    Section {
        heading: "How good the forecast is".into(),
        lead: "Mean absolute error on exact values, beside the forecast of who expects no change.".into(),
        blocks: vec![Block::table(&columns, rows, &caption)],
    }
}
