//! The report of a run: how it went, what came out, and with which settings.

use super::config::Config;
use super::log::Epoch;
use super::run::Run;
use crate::evaluate::Bound;
use crate::evaluate::judge::Judgement;
use crate::report::chart::{Chart, Panel, Series, Shape};
use crate::report::{Block, Cell, Fact, Page, Section};

/// Lays out the report.
pub fn page(config: &Config, run: &Run, judgement: Option<&Judgement>) -> Page {
    let name = config.path.file_stem().map_or_else(|| "network".into(), |n| n.to_string_lossy().into_owned());
    let [train, held_out, width] = run.sizes();
    let mut sections = Vec::new();
    if let Some(found) = judgement {
        sections.push(numbers(found));
        sections.extend(radii(found));
    }
    sections.push(curves(run.epochs(), run.settings().test_radius()));
    sections.push(settings(config));
    let notice = config.data.notice.as_ref().map_or(String::new(), |n| format!(" · {n}"));
    Page {
        title: format!("{name}: a network trained to be certified"),
        lead: format!(
            "{} weights, trained on {train} inputs of {width} elements; {held_out} more were held out. What follows was found on test \
             data that nothing was chosen by.",
            run.parameters()
        ),
        facts: judgement.map_or_else(Vec::new, facts),
        sections,
        footer: format!(
            "certus {} · seed {} · {} threads · {:.0} s of training{notice}",
            env!("CARGO_PKG_VERSION"),
            run.settings().seed,
            run.settings().threads,
            run.epochs().last().map_or(0.0, |e| e.seconds)
        ),
    }
}

fn facts(found: &Judgement) -> Vec<Fact> {
    let fact = |value: String, label: String| Fact { value, label };
    let lines = found.lines();
    let mut facts: Vec<Fact> = lines
        .iter()
        .filter(|l| l.of == found.count && l.what != "certified or undecided")
        .map(|l| fact(format!("{:.2} %", l.percent()), format!("{}, by {}", l.what, l.by)))
        .collect();
    facts.push(fact(format!("{}", found.epsilon), "radius on each element".into()));
    facts
}

fn numbers(found: &Judgement) -> Section {
    let text = |s: String| Cell::Text(s);
    let mut blocks = Vec::new();
    if found.judged.is_some() {
        let rows = found.lines().into_iter().map(|l| {
            let share = format!("{:.2} %", l.percent());
            vec![text(l.what), text(l.of.to_string()), text(share), text(l.by)]
        });
        blocks.push(Block::table(
            &[("On the whole box", false), ("Inputs", true), ("Share", true), ("By", false)],
            rows.collect(),
            "Each certified share includes the looser bounds above it. IBP and CROWN-IBP hold over the reals and on the device, rounding \
             included; α-CROWN and branch and bound over the reals. An attack's share is no certificate: no more inputs than these can be \
             certified.",
        ));
    }
    if !found.predicted.is_empty() {
        let rows = found.predicted.iter().map(|p| {
            let number = |x: f64| text(format!("{x:.5}"));
            vec![text(p.name.clone()), number(p.error), number(p.width), number(p.worst)]
        });
        blocks.push(Block::table(
            &[
                ("Predicted", false),
                ("Mean error", true),
                ("Mean interval", true),
                ("Mean error at most", true),
            ],
            rows.collect(),
            "The interval holds every prediction on the box, over the reals and on the device.",
        ));
    }
    Section { heading: "What came out".into(), lead: String::new(), blocks }
}

/// Shares against the radius.
fn radii(found: &Judgement) -> Option<Section> {
    let (last, judged) = found.curve.last()?;
    let clean = |j: &crate::evaluate::Judged| j.clean(j.fates.len());
    let share = |count: usize, of: usize| 100.0 * count as f64 / of.max(1) as f64;
    let of = judged.fates.len();
    let points = |count: &dyn Fn(&crate::evaluate::Judged) -> usize| -> Vec<(f64, f64)> {
        let first = (0.0, share(clean(judged), of));
        std::iter::once(first).chain(found.curve.iter().map(|(e, j)| (*e, share(count(j), of)))).collect()
    };
    let series = |name: &str, class, shape, points| Series { name: name.into(), class, shape, points };
    let mut all = Vec::new();
    if judged.attacked == of {
        all.push(series(
            "unbroken by attacks, no more",
            "c-refuted",
            Shape::Dashed,
            points(&|j| j.unbroken(of)),
        ));
    }
    all.push(series(
        "certified by CROWN-IBP",
        "c-certified",
        Shape::Line,
        points(&|j| j.certified(of, Bound::CrownIbp)),
    ));
    all.push(series(
        "certified by IBP",
        "c-certified-2",
        Shape::Line,
        points(&|j| j.certified(of, Bound::Ibp)),
    ));
    let chart = Chart {
        title: "Share of inputs against the radius".into(),
        x_label: "radius on each element".into(),
        x_range: (0.0, *last),
        panels: vec![Panel {
            label: "inputs".into(),
            height: 240.0,
            range: Some((0.0, 100.0)),
            unit: " %",
            series: all,
        }],
        lanes: Vec::new(),
    };
    let caption = format!("The first {of} test inputs at each radius; at 0 the share that is right.");
    Some(Section {
        heading: "Other radii".into(),
        lead: String::new(),
        blocks: vec![Block::Figure { picture: chart.render(), caption }],
    })
}

fn curves(epochs: &[Epoch], radius: f64) -> Section {
    let points = |value: &dyn Fn(&Epoch) -> f64| -> Vec<(f64, f64)> {
        epochs.iter().map(|e| (e.epoch as f64, value(e))).collect()
    };
    let series = |name: &str, class, shape, points| Series { name: name.into(), class, shape, points };
    let held_out = vec![
        series("held-out inputs that are right", "c-ink", Shape::Line, points(&|e| 100.0 * e.held_out_clean)),
        series(
            "held-out inputs certified",
            "c-certified",
            Shape::Line,
            points(&|e| 100.0 * e.held_out_certified),
        ),
        series(
            "training inputs bounded at the radius of the step",
            "c-muted",
            Shape::Dashed,
            points(&|e| 100.0 * e.batch_certified),
        ),
    ];
    let panel =
        |label: &str, height, range, unit, series| Panel { label: label.into(), height, range, unit, series };
    let chart = Chart {
        title: "Training".into(),
        x_label: "epoch".into(),
        x_range: (1.0, epochs.last().map_or(2.0, |e| e.epoch as f64).max(2.0)),
        panels: vec![
            panel("inputs", 220.0, Some((0.0, 100.0)), " %", held_out),
            panel("loss", 110.0, None, "", vec![series("", "c-ink", Shape::Line, points(&|e| e.loss))]),
            panel("radius", 70.0, None, "", vec![series("", "c-ink", Shape::Line, points(&|e| e.epsilon))]),
        ],
        lanes: Vec::new(),
    };
    let caption = format!(
        "At the end of each epoch. Held-out inputs are bounded by intervals at radius {radius}, in plain f32: estimates, for choices."
    );
    Section {
        heading: "How it went".into(),
        lead: String::new(),
        blocks: vec![Block::Figure { picture: chart.render(), caption }],
    }
}

/// Every setting, as its file holds it.
fn settings(config: &Config) -> Section {
    let mut rows = Vec::new();
    let mut table_name = String::new();
    for line in config.show().lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            table_name = name.to_owned();
        } else if let Some((key, value)) = line.split_once(" = ") {
            rows.push(vec![Cell::Code(format!("{table_name}.{key}")), Cell::Code(value.to_owned())]);
        }
    }
    let caption = config.preset.as_ref().map_or(String::new(), |p| format!("Over the preset {p}."));
    Section {
        heading: "Settings".into(),
        lead: String::new(),
        blocks: vec![Block::table(&[("Setting", false), ("Value", false)], rows, &caption)],
    }
}
