//! The report of benchmark runs: a table and a cactus plot.

use certus::report::cactus::{Cactus, Curve};
use certus::report::{Block, Cell, Fact, Page, Section, Table};

use super::record::Record;
use super::summary::{HEADER, Summary};

/// Colours of the curves, in this order and then again.
const CLASSES: [&str; 6] = ["c-certified", "c-line", "c-open", "c-refuted", "c-strong-right", "c-weak-left"];

/// The report on `lists`, each with its name and its records.
pub fn page(lists: &[(String, Vec<Record>)], summaries: &[Summary]) -> Page {
    let total = |count: &dyn Fn(&Summary) -> usize| summaries.iter().map(count).sum::<usize>();
    let fact = |value: String, label: &str| Fact { value, label: label.into() };
    let all = || lists.iter().flat_map(|(_, records)| records);
    let mut machines: Vec<&str> = all().map(|r| r.machine.as_str()).filter(|m| !m.is_empty()).collect();
    machines.sort_unstable();
    machines.dedup();
    let last = all().map(|r| r.date.as_str()).max().unwrap_or_default();
    Page {
        title: "Benchmark of certus".into(),
        lead: "Every `unsat` was accepted by the proof checker leaf by leaf, every `sat` comes with a counterexample that was replayed.".into(),
        facts: vec![
            fact(format!("{} of {}", total(&Summary::solved), total(&|s| s.instances)), "instances decided"),
            fact(total(&|s| s.contradictions).to_string(), "verdicts that contradict other tools"),
        ],
        sections: vec![
            Section {
                heading: "How many within how long".into(),
                lead: String::new(),
                blocks: vec![Block::Figure {
                    picture: cactus(lists).render(),
                    caption: "Solved instances of each list, sorted by wall time: the curve that reaches further right at the same height is better. Dashed: the fastest other tool of the competition on each instance, on its machine.".into(),
                }],
            },
            Section { heading: "Lists".into(), lead: String::new(), blocks: vec![Block::Table(table(summaries))] },
        ],
        footer: format!("certus {}; {}; last run {last}", env!("CARGO_PKG_VERSION"), machines.join("; ")),
    }
}

fn cactus(lists: &[(String, Vec<Record>)]) -> Cactus {
    let mut curves = Vec::new();
    for (index, (name, records)) in lists.iter().enumerate() {
        let class = CLASSES[index % CLASSES.len()];
        let solved = records.iter().filter(|r| r.is_solved()).map(|r| r.seconds).collect();
        curves.push(Curve { name: name.clone(), class, dashed: false, seconds: solved });
        if lists.len() == 1 {
            let rival = records.iter().filter_map(|r| r.rival_s).collect();
            curves.push(Curve { name: "best_s".into(), class: "c-muted", dashed: true, seconds: rival });
        }
    }
    Cactus { title: "Instances solved within a time".into(), curves }
}

fn table(summaries: &[Summary]) -> Table {
    let columns = HEADER.iter().enumerate().map(|(i, name)| ((*name).to_owned(), i > 0)).collect();
    let rows = summaries.iter().map(|s| s.cells().into_iter().map(Cell::Text).collect()).collect();
    let caption = "Geometric mean and slowest: of the solved. 3x best_s: of the instances that the fastest other tool solves in less than 10 s, those solved here at least 3 times faster. sat < 0.2 s: of the instances expected to be sat.";
    Table { columns, rows, caption: caption.into() }
}
