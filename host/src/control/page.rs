//! The demonstration's report.

use super::bundle::{ADVISORIES, FEATURES, NETWORK_NAME, NOISE, STEP_S};
use super::results::{Answer, Level, MethodResult, Outcome, PropertyResult, Results, Step};
use crate::report::bars::{Columns, Part, stacked};
use crate::report::chart::{Chart, Lane, Panel, Series, Shape, runs};
use crate::report::map::{self, Fix};
use crate::report::text::{grouped, kilobytes, percent};
use crate::report::{Block, Cell, Fact, Page, Section, Table};

/// Lays out the report.
pub fn page(results: &Results) -> Page {
    let mut sections = vec![encounter(results), noise(results), artifact(results), claims(results)];
    if results.regions.tried > 0 {
        sections.insert(2, regions(results));
    }
    if !results.verdicts.is_empty() {
        sections.insert(0, properties(results));
    }
    Page {
        title: "A collision-avoidance network, proved and monitored".into(),
        lead: format!(
            "A network of {} parameters advises an aircraft how to turn. Its properties were verified, regions \
             around recorded states certified, and everything packed into one artifact that a microcontroller \
             runs: at every step it says whether its answer is certified.",
            grouped(results.network.parameters)
        ),
        facts: facts(results),
        sections,
        footer: format!(
            "certus {} · network {NETWORK_NAME} · artifact SHA-256 {} · noise seed {} · {:.1} s in total",
            env!("CARGO_PKG_VERSION"),
            results.artifact.digest.get(..16).unwrap_or(&results.artifact.digest),
            results.seed,
            results.seconds
        ),
    }
}

fn facts(results: &Results) -> Vec<Fact> {
    let (holds, violated, _) = results.verdict_counts();
    let regions = results.regions.proved_level.iter().filter(|level| **level > 0.0).count();
    let certified = results.shipped().map_or(0.0, MethodResult::nominal_share);
    let fact = |value: String, label: &str| Fact { value, label: label.into() };
    vec![
        fact(
            format!("{holds} of {}", results.verdicts.len()),
            &format!("properties proved, {violated} refuted by a state"),
        ),
        fact(format!("{regions} of {}", results.regions.tried), "recorded states with a certified region"),
        fact(percent(certified), "of the encounter certified at nominal sensor noise"),
        fact(kilobytes(results.artifact.bytes), "artifact: network, certificates and settings"),
    ]
}

fn properties(results: &Results) -> Section {
    let rows = results.verdicts.iter().map(|verdict| {
        let (class, word, evidence) = describe(&verdict.outcome);
        vec![
            Cell::Named(verdict.meaning.clone(), verdict.name.clone()),
            Cell::State(class, word.into()),
            Cell::Text(evidence),
            Cell::Text(seconds(verdict.seconds)),
        ]
    });
    let columns = [("Property", false), ("Verdict", false), ("Evidence", false), ("Time", true)];
    let table = Table {
        columns: columns.map(|(name, numeric)| (name.to_string(), numeric)).to_vec(),
        rows: rows.collect(),
        caption:
            "Proved means: every leaf of the search was checked again by a second, rounding-aware checker \
                  that shares no code with the search, for the network over the reals and as the device \
                  computes it. Refuted means: a state inside the box gives another advisory, evaluated in \
                  f64 and in f32."
                .into(),
    };
    let mut blocks = vec![Block::Table(table)];
    blocks.extend(results.verdicts.iter().filter_map(witness));
    Section {
        heading: "What is true of every state in a box".into(),
        lead:
            "Each property speaks of all states in a box, not of samples. The last one is wrong on purpose: \
               the search answers with a state that refutes it."
                .into(),
        blocks,
    }
}

fn describe(outcome: &Outcome) -> (&'static str, &'static str, String) {
    match outcome {
        Outcome::Holds { leaves: 1, .. } => ("c-certified", "proved", "one bound, no branching".into()),
        Outcome::Holds { leaves, proof_bytes } => {
            let proof = if *proof_bytes > 0 {
                format!(", proof of {}", kilobytes(*proof_bytes))
            } else {
                String::new()
            };
            ("c-certified", "proved", format!("{} leaves checked{proof}", grouped(*leaves)))
        }
        Outcome::Violated { .. } => ("c-refuted", "refuted", "counterexample below".into()),
        Outcome::Unknown { reason } => ("c-open", "unknown", reason.clone()),
    }
}

fn witness(verdict: &PropertyResult) -> Option<Block> {
    let Outcome::Violated { state, outputs } = &verdict.outcome else { return None };
    let mut columns: Vec<_> =
        FEATURES.iter().map(|(name, unit, _)| (format!("{name}, {unit}"), true)).collect();
    columns.push(("advisory there".into(), false));
    let mut row: Vec<_> = state
        .iter()
        .zip(FEATURES)
        .map(|(value, (_, _, decimals))| Cell::Text(minus(&format!("{value:.decimals$}"))))
        .collect();
    let class = (0..outputs.len()).max_by(|a, b| outputs[*a].total_cmp(&outputs[*b])).unwrap_or(0);
    let (name, colour) = ADVISORIES.get(class).copied().unwrap_or(("none", "c-muted"));
    row.push(Cell::State(colour, name.into()));
    let caption =
        format!("The state that refutes “{}” The witness file holds it with all digits.", verdict.meaning);
    Some(Block::Table(Table { columns, rows: vec![row], caption }))
}

fn encounter(results: &Results) -> Section {
    let fixes: Vec<Fix> = results.steps.iter().step_by(3).map(fix).collect();
    let seen: Vec<_> =
        (0u16..).zip(ADVISORIES).filter(|(c, _)| results.steps.iter().any(|s| s.class == Some(*c))).collect();
    let keys: Vec<_> = seen.iter().map(|(_, (name, class))| (*class, (*name).to_string())).collect();
    let picture = map::render("Bird's-eye view of both tracks, coloured by advisory", &fixes, &keys);
    let map_caption = "Every third state of own aircraft, coloured by its advisory: filled where it is certified at \
                       nominal noise, hollow where it is not. Thin lines join both aircraft every ten seconds.";
    let chart_caption = format!(
        "Above, how far the best output is ahead of the runner-up. Below, the largest noise level at which the \
         monitor certifies the state, up to {}: any measurement that is off by less gives the same advisory. Level 1 is {}. \
         Where the shading lies, the advisory is not certified at level 1; it may still be right.",
        super::sweep::TOP_LEVEL,
        noise_in_words()
    );
    Section {
        heading: "One encounter, step by step".into(),
        lead: format!(
            "A faster intruder turns towards own aircraft. The network flies the avoiding turn; the monitor judges \
             all {} states, {STEP_S} s apart.",
            results.steps.len()
        ),
        blocks: vec![
            Block::Figure { picture, caption: map_caption.into() },
            Block::Figure { picture: along(results).render(), caption: chart_caption },
        ],
    }
}

fn fix(step: &Step) -> Fix {
    let class = step.class.and_then(|c| ADVISORIES.get(usize::from(c)));
    let (name, colour) = class.copied().unwrap_or(("no advisory", "c-muted"));
    let state = if step.answer.is_certified() { "certified" } else { "not certified" };
    Fix {
        time_s: step.time_s,
        own: nose_up(step.own),
        intruder: nose_up(step.intruder),
        class: colour,
        certified: step.answer.is_certified(),
        note: format!("{:.1} s: {name}, {state}", step.time_s),
    }
}

/// From forward and left to right and up: own aircraft starts upwards in the picture.
fn nose_up((forward, left): (f64, f64)) -> (f64, f64) {
    (-left, forward)
}

/// Margin and certified level over time, with lanes for advisory and answer.
fn along(results: &Results) -> Chart {
    let steps = &results.steps;
    let line = |name: &str, class, shape, of: fn(&Step) -> f64| Series {
        name: name.into(),
        class,
        shape,
        points: steps.iter().map(|s| (s.time_s, of(s))).collect(),
    };
    let top_level = super::sweep::TOP_LEVEL;
    let margin = Panel {
        label: "margin, output units".into(),
        height: 120.0,
        range: None,
        unit: "",
        series: vec![line("margin", "c-line", Shape::Above(vec![0.0; steps.len()]), |s| s.margin)],
    };
    let level = Panel {
        label: "certified noise level".into(),
        height: 120.0,
        range: Some((0.0, top_level)),
        unit: "×",
        series: vec![line("certified level", "c-certified", Shape::Above(vec![0.0; steps.len()]), |s| {
            s.certified_level
        })],
    };
    let mut lanes: Vec<Lane> = (0u16..)
        .zip(ADVISORIES)
        .map(|(class, (name, colour))| {
            lane(name, colour, false, &steps.iter().map(|s| s.class == Some(class)).collect::<Vec<_>>())
        })
        .collect();
    let open: Vec<bool> = steps.iter().map(|s| !s.answer.is_certified()).collect();
    for (name, colour, answer) in
        [("by region", "c-certified", Answer::Region), ("by live bounds", "c-certified-2", Answer::Bounds)]
    {
        lanes.push(lane(name, colour, false, &steps.iter().map(|s| s.answer == answer).collect::<Vec<_>>()));
    }
    lanes.retain(|lane| !lane.spans.is_empty());
    lanes.push(lane("not certified", "c-open", true, &open));
    Chart {
        title: "Margin and certified noise level along the encounter".into(),
        x_label: "time, s".into(),
        x_range: (0.0, steps.len() as f64 * STEP_S),
        panels: vec![margin, level],
        lanes,
    }
}

fn lane(name: &str, class: &'static str, tint: bool, on: &[bool]) -> Lane {
    let spans = runs(on, STEP_S).into_iter().filter(|r| r.2).map(|(from, to, _)| (from, to)).collect();
    Lane { name: name.into(), class, spans, tint }
}

fn noise(results: &Results) -> Section {
    const COLOURS: [&str; 3] = ["c-muted", "c-line", "c-certified"];
    let curve = |method: &MethodResult, of: &dyn Fn(&Level) -> f64| {
        method.levels.iter().map(|l| (l.level, 100.0 * of(l))).collect::<Vec<_>>()
    };
    let mut series: Vec<Series> = Vec::new();
    if let Some(method) = results.shipped() {
        let points = curve(method, &|l| 1.0 - l.changed as f64 / l.answers.len().max(1) as f64);
        let name = "same advisory in this run (sampled, no proof)".into();
        series.push(Series { name, class: "c-ink", shape: Shape::Dashed, points });
    }
    for (method, class) in results.methods.iter().zip(COLOURS).rev() {
        let points = curve(method, &|l| l.share(Answer::is_certified));
        let name = format!("certified, {}", method.name);
        series.push(Series { name, class, shape: Shape::Line, points });
    }
    let top = results.shipped().and_then(|m| m.levels.last()).map_or(1.0, |l| l.level);
    let chart = Chart {
        title: "Share of certified steps against sensor noise".into(),
        x_label: "noise level, multiples of nominal".into(),
        x_range: (0.0, top),
        panels: vec![Panel {
            label: "share of steps".into(),
            height: 190.0,
            range: Some((0.0, 100.0)),
            unit: " %",
            series,
        }],
        lanes: vec![],
    };
    let all = || results.methods.iter().flat_map(|m| &m.levels);
    let broken: usize = all().map(|l| l.changed_although_certified).sum();
    let certified: usize = all().map(|l| l.answers.iter().filter(|a| a.is_certified()).count()).sum();
    let caption = format!(
        "At each level every measurement is off by a random error inside the level's box, and the monitor is told \
         that box. Of {} certified answers over all levels and methods, {broken} differ from the answer at the true \
         state. Between a certified curve and the dashed one nothing is known: the advisory did not change in this \
         run, but no proof says that it cannot.",
        grouped(certified)
    );
    Section {
        heading: "When the sensors get worse".into(),
        lead: "A certificate covers every error inside a box. The larger the box, the fewer states can be certified; \
               the monitor says so instead of guessing. Tighter bounds certify more and cost more."
            .into(),
        blocks: vec![Block::Figure { picture: chart.render(), caption }, Block::Table(methods(results))],
    }
}

/// What each method of live bounds costs and certifies.
fn methods(results: &Results) -> Table {
    let columns =
        ["Live bounds", "Certified at level 1", "Working memory", "Multiply-adds per step, at most"];
    let rows = results.methods.iter().enumerate().map(|(index, method)| {
        let name = if index == results.shipped {
            format!("{} (in the artifact)", method.name)
        } else {
            method.name.clone()
        };
        vec![
            Cell::Text(name),
            Cell::Text(percent(method.nominal_share())),
            Cell::Text(kilobytes(method.memory_bytes)),
            Cell::Text(grouped(method.multiply_adds)),
        ]
    });
    Table {
        columns: columns.iter().enumerate().map(|(i, name)| ((*name).to_string(), i > 0)).collect(),
        rows: rows.collect(),
        caption: "The counts follow from the shapes of the layers alone; data can only lower them.".into(),
    }
}

fn regions(results: &Results) -> Section {
    let found = &results.regions;
    let mut levels: Vec<f64> = found.proved_level.clone();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    let counts = |class: usize| -> Vec<usize> {
        let pairs = || found.class.iter().zip(&found.proved_level).filter(|(c, _)| usize::from(**c) == class);
        levels.iter().map(|level| pairs().filter(|(_, l)| *l == level).count()).collect()
    };
    let all =
        ADVISORIES.iter().enumerate().map(|(class, (name, colour))| ((*name).into(), *colour, counts(class)));
    let columns = Columns {
        title: "Recorded states by the half-width of their certified region".into(),
        x_label: "half-width of the certified box, noise levels".into(),
        y_label: "recorded states".into(),
        categories: levels.iter().map(|level| level_name(*level)).collect(),
        series: all
            .filter(|(_, _, counts): &(String, _, Vec<usize>)| counts.iter().any(|c| *c > 0))
            .collect(),
    };
    let more = match found.corridors {
        0 => String::new(),
        n => format!(
            " Besides these, {n} corridors are certified: hulls of states in a row of the encounter, widened by twice \
             the nominal noise. Inside them the monitor answers by looking up."
        ),
    };
    Section {
        heading: "Regions certified before export".into(),
        lead: format!(
            "Around each of {} recorded states the verifier proved the largest box, of those tried, in which the \
             advisory stays the same. The device looks them up before it computes any bound.",
            found.tried
        ),
        blocks: vec![Block::Figure {
            picture: columns.render(),
            caption: format!("Level 1 is {}.{more}", noise_in_words()),
        }],
    }
}

fn artifact(results: &Results) -> Section {
    const COLOURS: [&str; 7] =
        ["c-line", "c-muted", "c-weak-right", "c-certified", "c-certified-2", "c-certified-3", "c-line-2"];
    let facts = &results.artifact;
    let parts: Vec<Part> = facts
        .sections
        .iter()
        .zip(COLOURS.iter().cycle())
        .map(|((name, bytes), class)| Part {
            name: name.clone(),
            class,
            value: *bytes as f64,
            text: format!("{}\u{a0}B", grouped(*bytes)),
        })
        .collect();
    let caption = format!(
        "Bytes per section. The weights are read in place from flash; besides the stack the monitor needs {} of \
         working memory.",
        kilobytes(results.shipped().map_or(0, |m| m.memory_bytes))
    );
    Section {
        heading: "What the device carries".into(),
        lead: format!(
            "One file of {} with {} region certificates, checked once when it is loaded; after that no access can \
             fail.{}",
            kilobytes(facts.bytes),
            facts.regions,
            on_the_device(results)
        ),
        blocks: vec![Block::Figure {
            picture: stacked("Bytes of the artifact per section", &parts),
            caption,
        }],
    }
}

/// What the firmware said, if it ran.
fn on_the_device(results: &Results) -> String {
    let Some((certified, steps)) = results.firmware else { return String::new() };
    let here = results.steps.iter().filter(|step| step.answer.is_certified()).count();
    let same = if (certified, steps) == (here, results.steps.len()) { "as" } else { "unlike" };
    format!(
        " The firmware example ran it on a Cortex-M4F in QEMU: {certified} of {steps} steps of the encounter were \
         certified, {same} on this computer."
    )
}

fn claims(results: &Results) -> Section {
    let sentence = |text: &str| text.to_string();
    let mut open = vec![
        sentence(
            "That the advisories are good ones. The proofs speak of the network, not of the geometry it was trained on.",
        ),
        sentence(
            "Anything about measurements that are off by more than the stated box, or about states outside the input range.",
        ),
        sentence("That an answer without a certificate is wrong: the bounds may only be too loose."),
        sentence(
            "The code that is trusted: the reading of the network, the checker, the bounds on the device, and the \
             compiler and processor that run them.",
        ),
    ];
    let (_, _, unknown) = results.verdict_counts();
    if unknown > 0 {
        open.push(format!("{unknown} of the properties above, on which the search ran out of its budget."));
    }
    Section {
        heading: "What is proved, and what is not".into(),
        lead: String::new(),
        blocks: vec![Block::Claims {
            proved: vec![
                sentence("For each proved property: every real state in its box has an allowed advisory."),
                sentence(
                    "For each certified step: every state within the noise box of the measurement has the advisory that \
                     the device gives.",
                ),
                sentence(
                    "Both for the network over the reals and for the f32 arithmetic of the device, rounding included.",
                ),
            ],
            open,
        }],
    }
}

/// A level of the ladder; the last one was not tried beyond.
fn level_name(level: f64) -> String {
    match level {
        0.0 => "none".into(),
        l if Some(&l) == super::prove::LADDER.last() => format!("≥ {l}×"),
        l => format!("{l}×"),
    }
}

/// The nominal noise, one figure per kind of feature.
fn noise_in_words() -> String {
    format!(
        "±{} m in range, ±{:.2}° in both angles and ±{} m/s in both speeds",
        NOISE[0],
        NOISE[1].to_degrees(),
        NOISE[3]
    )
}

fn seconds(value: f64) -> String {
    if value < 0.0995 { format!("{:.1} ms", value * 1e3) } else { format!("{value:.2} s") }
}

fn minus(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests;
