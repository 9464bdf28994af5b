//! The quickstart's parts on a network of a few epochs.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use certus_core::Status;
use certus_learn::attack::Strength;
use certus_learn::model::Random;
use certus_learn::sensor::digits::{Recording, Rows};
use certus_learn::sensor::logmel::DECIBEL;

use super::data::Split;
use super::evaluate::{Plan, evaluate};
use super::results::{Results, TrainingFacts};
use super::run::Trained;
use super::*;
use crate::control::sweep::class_of;
use crate::training::network::Normalise;

struct Example {
    split: Split,
    recordings: Vec<Recording>,
    trained: Trained,
}

fn example() -> &'static Example {
    static EXAMPLE: OnceLock<Example> = OnceLock::new();
    EXAMPLE.get_or_init(|| {
        let folder = data::shipped(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("a checkout");
        let (split, recordings) = data::read(&folder).unwrap();
        let trained = run::train(&split, recipe::settings(12.0, 1), &mut |_, _, _| true).unwrap();
        Example { split, recordings, trained }
    })
}

/// The first `count` test recordings.
fn rows(count: u32) -> Rows {
    let test = &example().split.test;
    // Every fifth, so that all digits are among them.
    let which: Vec<u32> = (0..count).map(|k| k * 5).collect();
    let speakers = which.iter().map(|k| test.speakers[*k as usize]).collect();
    Rows { set: test.set.subset(&which), speakers }
}

fn plan() -> Plan {
    Plan {
        radii_db: vec![0.25, 1.0],
        verify_db: vec![1.0],
        verify_ms: 100,
        strength: Strength { steps: 10, ..Strength::default() },
        seed: 1,
    }
}

#[test]
fn the_network_over_features_is_the_trained_one_behind_its_normalisation() {
    let Example { split, .. } = example();
    let (normalise, ..) = recipe::normalised(&split.train, &split.held_out);
    let mut model = recipe::model().unwrap();
    recipe::settings(1.0, 3).init().fill(&mut model, &mut Random(3));
    let chain = |model: &_, normalise: Option<&Normalise>| {
        crate::training::network::program(model, normalise).unwrap().into_chain().unwrap()
    };
    let (apart, folded) =
        (chain(&model, Some(&normalise)), chain(&recipe::in_features(&model, &normalise), None));
    for input in data::inputs(&split.held_out).iter().take(20) {
        let wide: Vec<f64> = input.iter().map(|x| f64::from(*x)).collect();
        for (a, b) in apart.eval_f64(&wide).iter().zip(folded.eval_f64(&wide)) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}

#[test]
fn a_radius_in_features_is_never_below_its_decibels() {
    for decibels in [0.25, 0.5, 1.0, 1.3, 2.0, 4.0] {
        let (radius, exact) = (recipe::radius(decibels), decibels * DECIBEL);
        assert!(f64::from(radius) >= exact && f64::from(radius.next_down()) < exact, "{decibels}");
    }
    // ln(10)/10 · 255/14.
    assert!((f64::from(recipe::radius(1.0)) - 4.193_99).abs() < 1e-4);
}

#[test]
fn parts_of_the_split_share_no_recording() {
    let Example { split, .. } = example();
    assert_eq!([split.train.len(), split.held_out.len(), split.test.set.len()], [2430, 270, 300]);
    let (train, held_out) = (data::inputs(&split.train), data::inputs(&split.held_out));
    let test = data::inputs(&split.test.set);
    assert!(held_out.iter().chain(&test).all(|x| !train.contains(x)));
}

#[test]
fn bounds_prove_no_more_than_the_attack_leaves_and_better_ones_no_less() {
    let Example { trained, .. } = example();
    let network = (&trained.model, &trained.chain);
    let found = evaluate(network, &rows(60), &plan(), &AtomicBool::new(false), &|| ()).unwrap();
    assert!(found.correct > 30, "{found:?}");
    for at in &found.radii {
        assert!(at.certified[0] <= at.certified[1] && at.best() <= at.unbroken, "{at:?}");
        assert!(at.unbroken <= found.correct);
    }
    let one = found.at(1.0).unwrap();
    assert!(
        one.certified[1] > 0 && one.unbroken < found.correct,
        "both sides have something to show: {one:?}"
    );
    let (verified, open) = one.verified.unwrap();
    assert!(verified >= one.certified[1] && verified + open <= one.unbroken.max(verified), "{one:?}");
    assert_eq!(found.digits.iter().map(|g| g.count).sum::<usize>(), 60);
    assert_eq!(found.digits.iter().map(|g| g.certified).sum::<usize>(), one.certified[run::SHIPPED]);
    assert_eq!(found.speakers.iter().map(|g| g.correct).sum::<usize>(), found.correct);
}

#[test]
fn no_sampled_point_of_a_certified_ball_has_another_class() {
    let Example { trained, .. } = example();
    let inputs = data::inputs(&rows(60).set);
    let mut random = Random(5);
    let mut certified = 0;
    for (live_bounds, _) in run::METHODS {
        let decisions = evaluate::decisions(&trained.chain, live_bounds, 0.5, &inputs).unwrap();
        for (input, decision) in inputs.iter().zip(decisions) {
            if !matches!(decision.status, Status::Certified { .. }) {
                continue;
            }
            certified += 1;
            for _ in 0..50 {
                let half = 0.5 * DECIBEL;
                // Corners, a little inside, so that rounding does not leave the ball.
                let corner = |x: &f32| {
                    let side = if random.unit() < 0.5 { -half } else { half };
                    (f64::from(*x) + side * (1.0 - 1e-6)) as f32
                };
                let point: Vec<f32> = input.iter().map(corner).collect();
                assert_eq!(Some(class_of(&trained.chain, &point)), decision.class);
            }
        }
    }
    assert!(certified > 20, "{certified}");
}

#[test]
fn what_is_both_certified_and_broken_is_an_error() {
    let Example { trained, .. } = example();
    let wrong = evaluate::contradiction(&[false, true], &[true, true], 1.0, "CROWN").unwrap_err();
    assert!(wrong.to_string().starts_with("recording 1 is certified at 1 dB by CROWN, yet"), "{wrong}");
    assert!(evaluate::contradiction(&[true, false], &[false, true], 1.0, "CROWN").is_ok());
    // And a broken point counts only where the device's own arithmetic says so.
    let test = rows(60);
    let broken = evaluate::broken((&trained.model, &trained.chain), &test.set, 4.0, &plan());
    assert!(broken.iter().filter(|b| **b).count() > 30);
    let unmoved = evaluate::broken((&trained.model, &trained.chain), &test.set, 0.0, &plan());
    let inputs = data::inputs(&test.set);
    let pairs = inputs.iter().zip(data::labels(&test.set));
    let wrong = pairs.map(|(x, label)| u32::from(class_of(&trained.chain, x)) != *label);
    assert!(unmoved.into_iter().eq(wrong), "at radius 0 what is broken is what is wrong");
}

#[test]
fn noise_stays_within_its_size_and_no_certified_answer_changes() {
    let Example { trained, recordings, .. } = example();
    let test = rows(60);
    let (inputs, labels) = (data::inputs(&test.set), data::labels(&test.set));
    let mut certified = 0;
    for level in [0.5, 1.0, 2.0] {
        let found = noise::on_features(&trained.chain, &inputs, labels, level, 3).unwrap();
        assert_eq!(found.changed_although_certified, 0, "{found:?}");
        certified += found.certified;
    }
    assert!(certified > 20, "{certified}");
    let at = |snr| noise::in_sound(&trained.chain, recordings, snr, 3).unwrap();
    let (none, much) = (at(f64::INFINITY), at(0.0));
    assert_eq!((none.moved_db, none.within, none.changed_although_certified), (0.0, 30, 0));
    assert!(much.moved_db > 3.0 && much.within == 0, "{much:?}");
}

#[test]
fn everything_that_holds_weights_carries_the_notice() {
    let Example { trained, .. } = example();
    assert!(NOTICE.contains("CC BY-SA 4.0") && NOTICE.contains("Free Spoken Digit Dataset"));
    let onnx = crate::training::onnx::to_onnx(&trained.model, None, Some(NOTICE)).to_bytes();
    let artifact = run::artifact(&trained.chain, Vec::new(), &[]).emit().unwrap();
    for bytes in [onnx, artifact] {
        assert!(bytes.windows(NOTICE.len()).any(|window| window == NOTICE.as_bytes()));
    }
}

#[test]
fn the_page_is_well_formed_and_says_what_was_found() {
    let Example { split, trained, recordings } = example();
    let network = (&trained.model, &trained.chain);
    let evaluation = evaluate(network, &rows(60), &plan(), &AtomicBool::new(false), &|| ()).unwrap();
    let bytes = run::artifact(&trained.chain, Vec::new(), &[]).emit().unwrap();
    let results = Results {
        widths: vec![640, 256, 10],
        parameters: 166_666,
        training: TrainingFacts {
            recordings: split.train.len(),
            held_out: split.held_out.len(),
            steps: [10, 20],
            curve: trained.curve.clone(),
            seconds: 1.0,
        },
        speakers: vec![results::SpeakerResult { name: "theo".into(), evaluation: evaluation.clone() }],
        evaluation,
        noise: vec![],
        sound: vec![noise::in_sound(&trained.chain, recordings, 20.0, 1).unwrap()],
        recordings: vec![results::RecordingResult {
            name: "0_theo_0.wav".into(),
            digit: 0,
            features: data::inputs(&rows(1).set).remove(0),
            class: Some(0),
            certified: true,
            region_db: 1.5,
        }],
        artifact: crate::control::run::artifact_facts(&bytes).unwrap(),
        memory_bytes: 21_000,
        multiply_adds: 2_000_000,
        firmware: Some((0, 1)),
        seconds: 2.0,
        seed: 1,
    };
    let html = page::page(&results).render();
    roxmltree::Document::parse(html.strip_prefix("<!DOCTYPE html>\n").expect("a page")).expect("well-formed");
    let right = crate::report::text::percent(results.evaluation.share(results.evaluation.correct));
    for text in [
        right.as_str(),
        "166\u{202f}666 parameters",
        "features, not about sound",
        "0 of 1 recordings were certified, unlike on this computer",
        "ended early, after 10 of 20 steps",
        "CC BY-SA 4.0",
        "theo",
        "0_theo_0.wav",
        "heard as 0, certified",
        &results.artifact.digest[..16],
    ] {
        assert!(html.contains(text), "{text}");
    }
}

#[test]
fn the_shipped_folder_is_found_from_below_and_missed_elsewhere() {
    let found = data::shipped(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")).expect("a checkout");
    assert!(found.ends_with("assets/digits"));
    assert_eq!(data::shipped(Path::new("/nowhere")), None);
}
