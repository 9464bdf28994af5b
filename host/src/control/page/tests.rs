//! The page says what the results say, in a file that any browser opens.

use super::super::example::Example;
use super::super::results::RegionResults;
use super::super::run;
use super::*;

/// The real monitor over a short piece of the encounter, with verdicts written by hand.
fn results() -> Results {
    let mut example = Example::load().unwrap();
    example.trajectory = example.trajectory.split_off(100);
    example.track = example.track.split_off(100);
    example.trajectory.truncate(30);
    example.track.truncate(30);
    let artifact = run::artifact(&example, Vec::new());
    let verdict = |name: &str, outcome| PropertyResult {
        name: name.into(),
        meaning: format!("meaning of {name}."),
        outcome,
        seconds: 0.012,
    };
    Results {
        network: run::network_facts(&example.chain),
        verdicts: vec![
            verdict("one_bound", Outcome::Holds { leaves: 1, proof_bytes: 10 }),
            verdict("many_leaves", Outcome::Holds { leaves: 12_345, proof_bytes: 67_890 }),
            verdict(
                "refuted",
                Outcome::Violated {
                    state: vec![3000.5, -0.25, 1.0, 30.0, 40.0],
                    outputs: vec![0.0, 1.0, 2.0, 9.0, 4.0],
                },
            ),
            verdict("undecided", Outcome::Unknown { reason: "time is up".into() }),
        ],
        regions: RegionResults {
            tried: 3,
            proved_level: vec![0.0, 2.0, 2.0],
            class: vec![0, 0, 4],
            corridors: 2,
            seconds: 1.0,
        },
        artifact: run::artifact_facts(&artifact.emit().unwrap()).unwrap(),
        steps: run::steps(&example, &artifact).unwrap(),
        methods: run::METHODS.map(|m| run::method(&example, &artifact, m, 1, || ()).unwrap()).into(),
        shipped: run::SHIPPED,
        firmware: Some((20, 30)),
        seconds: 3.0,
        seed: 1,
    }
}

#[test]
fn the_page_is_well_formed_small_and_uses_only_colours_that_exist() {
    let html = page(&results()).render();
    assert!(html.len() < 2_000_000);
    let xml = html.strip_prefix("<!DOCTYPE html>\n").expect("begins with the document type");
    let document = roxmltree::Document::parse(xml).expect("well-formed");
    let style =
        document.descendants().find(|n| n.has_tag_name("style")).and_then(|n| n.text()).expect("a style");
    let mut colours = 0;
    for class in document.descendants().filter_map(|n| n.attribute("class")).flat_map(str::split_whitespace) {
        if class.starts_with("c-") {
            colours += 1;
            assert!(style.contains(&format!(".{class} {{ --c:")), "{class} has no colour");
        }
    }
    assert!(colours > 50);
}

#[test]
fn the_page_says_what_the_results_say() {
    let results = results();
    let html = page(&results).render();
    for text in [
        "2 of 4",
        "properties proved, 1 refuted by a state",
        "12\u{202f}345 leaves checked, proof of 67.9\u{a0}kB",
        "20 of 30 steps of the encounter were certified, unlike on this computer",
        "one bound, no branching",
        "time is up",
        "\u{2212}0.2500",
        "strong left",
        "2 of 3",
        "1 of the properties above, on which the search ran out of its budget.",
        "5\u{202f}365 parameters",
        &results.artifact.digest[..16],
    ] {
        assert!(html.contains(text), "{text}");
    }
    let certified = results.steps.iter().filter(|s| s.answer.is_certified()).count();
    assert!(certified > 0 && certified < results.steps.len(), "the piece of the encounter has both");
    let drawn = |kind: &str| html.matches(&format!("<circle class=\"{kind} c-")).count();
    let every_third = results.steps.iter().step_by(3);
    assert_eq!(drawn("dot"), every_third.clone().filter(|s| s.answer.is_certified()).count());
    assert_eq!(drawn("dot open"), every_third.filter(|s| !s.answer.is_certified()).count());
}
