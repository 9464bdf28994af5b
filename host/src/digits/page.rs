//! The quickstart's report.

use certus_learn::sensor::logmel::{BANDS, FEATURES, FRAMES, MOST};

use super::results::{CurvePoint, Evaluation, GroupResult, RecordingResult, Results};
use super::{ABOUT, NOTICE, recipe, regions, run};
use crate::report::bars::{Columns, Part, stacked};
use crate::report::chart::{Chart, Panel, Series, Shape};
use crate::report::heat::{self, Tile};
use crate::report::text::{grouped, kilobytes, percent};
use crate::report::{Block, Cell, Fact, Page, Section, Table};

/// Lays out the report.
pub fn page(results: &Results) -> Page {
    let mut sections = vec![
        heard(results),
        evaluation(results),
        training(results),
        noise(results),
        sound(results),
        artifact(results),
        claims(),
        licence(),
    ];
    if !results.speakers.is_empty() {
        sections.insert(3, speakers(results));
    }
    Page {
        title: "Spoken digits, from data to a certified network on a device".into(),
        lead: format!(
            "A network of {} parameters was trained on {} recordings of spoken digits so that its answers can be proved, evaluated on {} \
             recordings it had not seen, and packed into an artifact whose monitor says, sample by sample, whether the answer is certified. {ABOUT}",
            grouped(results.parameters),
            grouped(results.training.recordings),
            results.evaluation.count
        ),
        facts: facts(results),
        sections,
        footer: format!(
            "certus {} · artifact SHA-256 {} · seed {} · {:.1} s in total · trained on data licensed CC BY-SA 4.0",
            env!("CARGO_PKG_VERSION"),
            results.artifact.digest.get(..16).unwrap_or(&results.artifact.digest),
            results.seed,
            results.seconds
        ),
    }
}

fn facts(results: &Results) -> Vec<Fact> {
    let test = &results.evaluation;
    let fact = |value: String, label: String| Fact { value, label };
    let mut facts = vec![fact(
        percent(test.share(test.correct)),
        format!("of {} test recordings right without noise", test.count),
    )];
    if let Some(at) = test.at(recipe::RADIUS_DB) {
        facts.push(fact(
            percent(test.share(at.best())),
            format!("right and proved for every change of up to {} dB in each feature", recipe::RADIUS_DB),
        ));
        facts.push(fact(
            percent(test.share(at.unbroken)),
            "is the most that any method could prove: an attack breaks the rest".into(),
        ));
    }
    facts.push(fact(
        kilobytes(results.artifact.bytes),
        format!("artifact; the monitor works in {} of memory", kilobytes(results.memory_bytes)),
    ));
    facts
}

/// What the network reads: one recording of each digit.
fn heard(results: &Results) -> Section {
    let of_each = (0..10).filter_map(|digit| results.recordings.iter().find(|r| r.digit == digit));
    let tile = |recording: &RecordingResult| {
        let class = recording.class.map_or("nothing".to_owned(), |class| class.to_string());
        let (state, colour) =
            if recording.certified { ("certified", "c-certified") } else { ("not certified", "c-open") };
        Tile {
            values: recording.features.iter().map(|x| f64::from(*x) / f64::from(MOST)).collect(),
            columns: FRAMES,
            rows: BANDS,
            name: recording.name.clone(),
            note: format!("heard as {class}, {state}"),
            class: colour,
        }
    };
    let tiles: Vec<Tile> = of_each.map(tile).collect();
    Section {
        heading: "What the network reads".into(),
        lead: format!(
            "One second of speech as {FRAMES} frames of {BANDS} bands. A certificate of {} dB lets each of these {FEATURES} cells change by that \
             much, all at once and independently; a step of shade here is about nine times as much.",
            recipe::RADIUS_DB
        ),
        blocks: vec![Block::Figure {
            picture: heat::tiles("Log-mel features of a recording of each digit", &tiles, 5),
            caption: "Test recordings, computed from the sound: time to the right, frequency upwards. The name says digit, speaker and take.".into(),
        }],
    }
}

fn evaluation(results: &Results) -> Section {
    let test = &results.evaluation;
    Section {
        heading: "How often it is right, and how often that is proved".into(),
        lead: format!(
            "{} test recordings, evaluated once. Every certified figure is what the device's own monitor says, or a proof that the checker \
             accepted; rounding is accounted for.",
            test.count
        ),
        blocks: vec![
            Block::Figure {
                picture: radius_chart(test).render(),
                caption: "Share of test recordings that are right on the whole box of that radius. Above the dashed line nothing can be \
                          certified: there the attack (PGD, then AutoPGD on two losses) found a point of the box with another class. Between \
                          the curves nothing is known."
                    .into(),
            },
            Block::Table(radius_table(test)),
            Block::Table(group_table("Digit", &test.digits, "")),
            Block::Table(group_table(
                "Speaker",
                &test.speakers,
                "Every speaker is among the training recordings too: the split is by take.",
            )),
        ],
    }
}

/// Certified share against the radius.
fn radius_chart(test: &Evaluation) -> Chart {
    const COLOURS: [&str; 2] = ["c-muted", "c-certified"];
    let curve = |of: &dyn Fn(usize) -> f64| -> Vec<(f64, f64)> {
        let start = (0.0, 100.0 * test.share(test.correct));
        std::iter::once(start)
            .chain((0..test.radii.len()).map(|k| (test.radii[k].radius_db, of(k))))
            .collect()
    };
    let mut series = vec![Series {
        name: "no counterexample found by the attack (upper bound)".into(),
        class: "c-ink",
        shape: Shape::Dashed,
        points: curve(&|k| 100.0 * test.share(test.radii[k].unbroken)),
    }];
    for (method, ((_, name), class)) in run::METHODS.iter().zip(COLOURS).enumerate().rev() {
        series.push(Series {
            name: format!("certified by {name}"),
            class,
            shape: Shape::Line,
            points: curve(&|k| 100.0 * test.share(test.radii[k].certified[method])),
        });
    }
    Chart {
        title: "Certified share of test recordings against the radius".into(),
        x_label: "radius on every feature, dB".into(),
        x_range: (0.0, test.radii.last().map_or(1.0, |r| r.radius_db)),
        panels: vec![Panel {
            label: "share of test recordings".into(),
            height: 210.0,
            range: Some((0.0, 100.0)),
            unit: " %",
            series,
        }],
        lanes: vec![],
    }
}

fn radius_table(test: &Evaluation) -> Table {
    let share = |count: usize| percent(test.share(count));
    let mut columns = vec![("Radius".to_owned(), true), ("Attack leaves".to_owned(), true)];
    columns.extend(run::METHODS.iter().map(|(_, name)| (format!("Certified by {name}"), true)));
    columns.push(("and by the verifier".to_owned(), true));
    let rows = recipe::RADII_DB.iter().filter_map(|radius| test.at(*radius)).map(|at| {
        let mut row = vec![format!("{} dB", at.radius_db), share(at.unbroken)];
        row.extend(at.certified.iter().map(|count| share(*count)));
        row.push(match at.verified {
            Some((verified, 0)) => share(verified),
            Some((verified, open)) => format!("{} ({open} open)", share(verified)),
            None => "not run".into(),
        });
        row.into_iter().map(Cell::Text).collect()
    });
    Table {
        columns,
        rows: rows.collect(),
        caption: "Each bound is named: intervals and CROWN as the device computes them, then branch and bound with α,β-CROWN on what CROWN left \
                  open. One decibel is 4.19 units of a feature from 0 to 255."
            .into(),
    }
}

fn group_table(name: &str, groups: &[GroupResult], caption: &str) -> Table {
    let columns = [name, "Recordings", "Right", "Right and certified at 1 dB (CROWN)"];
    let rows = groups.iter().filter(|g| g.count > 0).map(|group| {
        let share = |count: usize| percent(count as f64 / group.count as f64);
        [group.name.clone(), group.count.to_string(), share(group.correct), share(group.certified)]
            .map(Cell::Text)
            .to_vec()
    });
    Table {
        columns: columns.iter().enumerate().map(|(k, c)| ((*c).to_owned(), k > 0)).collect(),
        rows: rows.collect(),
        caption: caption.into(),
    }
}

fn training(results: &Results) -> Section {
    let facts = &results.training;
    let series = |name: &str, class, shape, of: fn(&CurvePoint) -> f64| Series {
        name: name.into(),
        class,
        shape,
        points: facts.curve.iter().map(|p| (p.epoch, of(p))).collect(),
    };
    let shares = Panel {
        label: format!("share, certified at {} dB", recipe::RADIUS_DB),
        height: 170.0,
        range: Some((0.0, 100.0)),
        unit: " %",
        series: vec![
            series("right, held out", "c-ink", Shape::Line, |p| p.held_out[0]),
            series("certified, held out", "c-certified", Shape::Line, |p| p.held_out[1]),
            series("certified, trained on", "c-certified", Shape::Dashed, |p| p.train[1]),
        ],
    };
    let radius = Panel {
        label: "radius trained at, dB".into(),
        height: 70.0,
        range: None,
        unit: "",
        series: vec![series("radius", "c-line", Shape::Line, |p| p.radius_db)],
    };
    let chart = Chart {
        title: "Accuracy and certified accuracy along training".into(),
        x_label: "epochs".into(),
        x_range: (0.0, facts.curve.last().map_or(1.0, |p| p.epoch)),
        panels: vec![shares, radius],
        lanes: vec![],
    };
    let early = if facts.steps[0] < facts.steps[1] {
        format!(" It was ended early, after {} of {} steps.", facts.steps[0], facts.steps[1])
    } else {
        String::new()
    };
    Section {
        heading: "Training".into(),
        lead: format!(
            "{} steps in {:.1} s. The loss is that of interval bounds on the box around each recording, mixed with the ordinary one; the radius \
             rises along the first part of the run.{early}",
            grouped(usize::try_from(facts.steps[0]).unwrap_or(usize::MAX)),
            facts.seconds
        ),
        blocks: vec![Block::Figure {
            picture: chart.render(),
            caption: format!(
                "Measured on {} training recordings that were held out, as estimates in f32 with the last layer elided; what is published is \
                 above, from the test recordings.",
                facts.held_out
            ),
        }],
    }
}

fn speakers(results: &Results) -> Section {
    let columns = [
        "Speaker never heard",
        "Right",
        "Certified at 0.5 dB",
        "Certified at 1 dB",
        "Certified at 2 dB",
        "Attack leaves at 1 dB",
    ];
    let rows = results.speakers.iter().map(|speaker| {
        let found = &speaker.evaluation;
        let at = |radius: f64| found.at(radius).map_or("not run".into(), |r| percent(found.share(r.best())));
        let left = found.at(recipe::RADIUS_DB).map_or("not run".into(), |r| percent(found.share(r.unbroken)));
        [speaker.name.clone(), percent(found.share(found.correct)), at(0.5), at(1.0), at(2.0), left]
            .map(Cell::Text)
            .to_vec()
    });
    Section {
        heading: "Speakers it never heard".into(),
        lead: "For each speaker a network was trained on the other five and evaluated on all recordings of that one. This is the harder \
               question, and the honest one for a device that strangers use."
            .into(),
        blocks: vec![Block::Table(Table {
            columns: columns.iter().enumerate().map(|(k, c)| ((*c).to_owned(), k > 0)).collect(),
            rows: rows.collect(),
            caption: "Certified by CROWN, as the device computes it.".into(),
        })],
    }
}

fn noise(results: &Results) -> Section {
    let share = |count: usize, of: usize| 100.0 * count as f64 / of.max(1) as f64;
    let series = |name: &str, class, shape, of: &dyn Fn(usize) -> f64| Series {
        name: name.into(),
        class,
        shape,
        points: (0..results.noise.len()).map(|k| (results.noise[k].level_db, of(k))).collect(),
    };
    let levels = &results.noise;
    let chart = Chart {
        title: "Share of certified answers against noise on the features".into(),
        x_label: "noise on every feature, dB".into(),
        x_range: (0.0, levels.last().map_or(1.0, |l| l.level_db)),
        panels: vec![Panel {
            label: "share of test recordings".into(),
            height: 190.0,
            range: Some((0.0, 100.0)),
            unit: " %",
            series: vec![
                series("same answer in this run (sampled, no proof)", "c-ink", Shape::Dashed, &|k| {
                    share(levels[k].count - levels[k].changed, levels[k].count)
                }),
                series("certified by the monitor", "c-certified", Shape::Line, &|k| {
                    share(levels[k].certified, levels[k].count)
                }),
            ],
        }],
        lanes: vec![],
    };
    let certified: usize = levels.iter().map(|l| l.certified).sum();
    let broken: usize = levels.iter().map(|l| l.changed_although_certified).sum();
    Section {
        heading: "The monitor under noise on the features".into(),
        lead: "Each feature of each test recording is off by a random amount, and the monitor is told how much that may be. What it certifies \
               cannot change."
            .into(),
        blocks: vec![Block::Figure {
            picture: chart.render(),
            caption: format!(
                "Of {} certified answers over all levels, {broken} differ from the answer without noise. Random noise is far milder than the \
                 worst case that the certificate covers.",
                grouped(certified)
            ),
        }],
    }
}

fn sound(results: &Results) -> Section {
    let columns = [
        "Noise below voice",
        "Right",
        "Certified",
        "Certified, yet changed",
        "All within 1 dB",
        "Features move",
    ];
    let rows = results.sound.iter().map(|level| {
        let snr = if level.snr_db.is_finite() { format!("{} dB", level.snr_db) } else { "none".into() };
        let of = |count: usize| format!("{count} of {}", level.count);
        [
            snr,
            of(level.correct),
            of(level.certified),
            of(level.changed_although_certified),
            of(level.within),
            format!("{:.1} dB", level.moved_db),
        ]
        .map(Cell::Text)
        .to_vec()
    });
    Section {
        heading: "The same with noise in the sound: what no certificate covers".into(),
        lead: "White noise is mixed into the sound before the features are computed. Already faint noise moves quiet features by many decibels, \
               so the measured features lie outside the certified ball of the clean ones: a certificate then says that features near the \
               noisy ones give the same answer, not that it is the answer to the clean sound."
            .into(),
        blocks: vec![Block::Table(Table {
            columns: columns.iter().enumerate().map(|(k, c)| ((*c).to_owned(), k > 0)).collect(),
            rows: rows.collect(),
            caption: format!(
                "The {} test recordings that are shipped as sound, from sound to decision. Certified at 1 dB; changed: another answer than \
                 without noise; then recordings of which every feature stays within 1 dB, and how far features move on average.",
                results.recordings.len()
            ),
        })],
    }
}

fn artifact(results: &Results) -> Section {
    const COLOURS: [&str; 7] =
        ["c-line", "c-muted", "c-weak-right", "c-certified", "c-certified-2", "c-certified-3", "c-line-2"];
    let facts = &results.artifact;
    let part = |((name, bytes), class): (&(String, usize), &&'static str)| Part {
        name: name.clone(),
        class,
        value: *bytes as f64,
        text: format!("{}\u{a0}B", grouped(*bytes)),
    };
    let parts: Vec<Part> = facts.sections.iter().zip(COLOURS.iter().cycle()).map(part).collect();
    let mut levels = vec![0.0];
    levels.extend(regions::LADDER_DB);
    let count = |level: f64| results.recordings.iter().filter(|r| r.region_db == level).count();
    let columns = Columns {
        title: "Recordings by the radius of their certified region".into(),
        x_label: "radius of the certified region, dB".into(),
        y_label: "recordings".into(),
        categories: levels.iter().map(|l| if *l == 0.0 { "none".into() } else { format!("{l}") }).collect(),
        series: vec![("recordings".into(), "c-certified", levels.iter().map(|l| count(*l)).collect())],
    };
    Section {
        heading: "What the device carries".into(),
        lead: format!(
            "One file of {}: network, settings of the monitor, and {} certified regions around the recordings that the firmware example plays. A \
             step is at most {} products and needs {} of working memory.{}",
            kilobytes(facts.bytes),
            facts.regions,
            grouped(results.multiply_adds),
            kilobytes(results.memory_bytes),
            on_the_device(results)
        ),
        blocks: vec![
            Block::Figure {
                picture: stacked("Bytes of the artifact per section", &parts),
                caption: "Bytes per section; the weights are read in place from flash.".into(),
            },
            Block::Figure {
                picture: columns.render(),
                caption: format!(
                    "The largest region, of those tried up to {} dB, that the verifier proved around each recording before export.",
                    regions::LADDER_DB[regions::LADDER_DB.len() - 1]
                ),
            },
        ],
    }
}

/// What the firmware said, if it ran.
fn on_the_device(results: &Results) -> String {
    let Some((certified, all)) = results.firmware else { return String::new() };
    let here = results.recordings.iter().filter(|r| r.certified).count();
    let same = if (certified, all) == (here, results.recordings.len()) { "as" } else { "unlike" };
    format!(
        " The firmware example ran it on a Cortex-M4F in QEMU: {certified} of {all} recordings were certified, {same} on this computer."
    )
}

fn claims() -> Section {
    let sentences = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    Section {
        heading: "What is proved, and what is not".into(),
        lead: String::new(),
        blocks: vec![Block::Claims {
            proved: sentences(&[
                "For each certified recording: every set of 640 features, each within the radius of the measured one, has the class that the \
                 device gives.",
                "That holds for the network over the reals and for the f32 arithmetic of the device, rounding included.",
            ]),
            open: sentences(&[
                "Anything about sound. Which noises, rooms and microphones keep every feature within the radius is not known.",
                "That the answer is right: a wrong answer can be certified too. The shares above count answers that are right and certified.",
                "Accuracy on other speakers, words or recordings than those of the test set.",
                "That an answer without a certificate is wrong: the bounds may only be too loose.",
                "The code that is trusted: the reading of the network, the checker, the bounds on the device, and the compiler and processor \
                 that run them.",
            ]),
        }],
    }
}

fn licence() -> Section {
    Section {
        heading: "Licence of the data and of these weights".into(),
        lead: format!(
            "{NOTICE} The same notice is in the ONNX file, in the artifact, and in NOTICE.txt beside them."
        ),
        blocks: vec![],
    }
}
