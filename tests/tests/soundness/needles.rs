//! Planted counterexamples that hide from attacks: never `unsat`, wherever the needle stands and however thin it is.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use certus_core::proof::Meaning;
use certus_engine::selftest::{
    Case, Family, Finding, Network, Node, Op, Question, Random, Row, Statement, Word, exact, judge, network,
    statement, truth,
};
use certus_engine::verify::{Branching, Settings};

fn settings(branching: Branching, attack: bool) -> Settings {
    Settings {
        timeout: Duration::from_millis(300),
        threads: 1,
        branching,
        attack,
        meaning: Meaning::Real,
        ..Settings::default()
    }
}

#[test]
fn needles_in_flat_and_misleading_ground_are_never_proved_away() {
    let stop = AtomicBool::new(false);
    let (mut found, mut missed) = (0, 0);
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let network = network(Family::Needle, &mut random);
        let mut statement = statement(&network, Family::Needle, &mut random);
        // y ≤ 0 only inside the needle, where y falls to −1 − slope·c.
        let row = Row { coefficients: vec![exact::exact(1.0)], rhs: exact::exact(0.0), strict: false };
        statement.cases.truncate(1);
        statement.cases[0].disjuncts = vec![vec![row]];
        let truth = truth(&network, &statement, 3000).unwrap();
        assert!(truth.is_satisfiable(&statement), "seed {seed}: the needle is planted");
        for as_program in [false, true] {
            for attack in [false, true] {
                let branching = if seed % 2 == 0 { Branching::Inputs } else { Branching::Neurons };
                let question = Question {
                    network: network.clone(),
                    statement: statement.clone(),
                    settings: settings(branching, attack),
                    as_program,
                };
                match judge(&question, &truth, true, &stop) {
                    Finding::Agrees(Word::Sat) => found += 1,
                    Finding::UnknownNear | Finding::UnknownHard => missed += usize::from(attack),
                    other => panic!("seed {seed}, program {as_program}, attack {attack}: {other:?}"),
                }
            }
        }
    }
    println!("{found} needles found, {missed} left open");
    assert!(found > missed, "{found} found, {missed} open");
}

/// Two hidden layers that fold the interval over and over: 2ᵏ teeth, one of which is broken and falls below the threshold.
#[test]
fn one_broken_tooth_among_many_is_never_overlooked() {
    let dense = |weights: &[f32], bias: &[f32]| Op::Dense {
        weights: weights.to_vec(),
        bias: bias.to_vec(),
        factors: [1.0, 1.0],
        matmul: true,
    };
    let stop = AtomicBool::new(false);
    for (depth, tooth) in [(3, 5), (5, 12), (7, 70)] {
        // t ↦ 1 − |2t − 1| folded `depth` times; beside it x itself, for the bump that breaks the tooth.
        let mut ops = vec![dense(&[1.0, 1.0], &[0.0, 0.0])];
        for _ in 0..depth {
            ops.push(dense(&[2.0, 0.0, 2.0, 0.0, 0.0, 1.0], &[-1.0, 0.0, 0.0]));
            ops.push(Op::Relu);
            // 2t − 2·relu(2t − 1) with relu(2t) = 2t on [0, 1]
            ops.push(dense(&[-2.0, 1.0, 0.0, 0.0, 0.0, 1.0], &[0.0, 0.0]));
        }
        let period = 1.0 / (1u32 << (depth - 1)) as f32;
        let at = (tooth as f32 + 0.5) * period / 2.0;
        let width = period / 64.0;
        ops.push(dense(&[1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0], &[0.0, -(at - width), -at, -(at + width)]));
        ops.push(Op::Relu);
        let steep = 2.0 / width;
        ops.push(dense(&[1.0, -steep, 2.0 * steep, -steep], &[1.0]));
        let nodes = ops.into_iter().enumerate().map(|(k, op)| Node { op, inputs: vec![k] }).collect();
        let network = Network { input: vec![1], nodes };
        let region = exact::Region { lower: vec![exact::exact(0.0)], upper: vec![exact::exact(1.0)] };
        for (rhs, broken) in [(0.5, true), (-0.75, false)] {
            let row = Row { coefficients: vec![exact::exact(1.0)], rhs: exact::exact(rhs), strict: false };
            let cases = vec![Case { region: region.clone(), disjuncts: vec![vec![row]] }];
            let statement = Statement { outputs: 1, cases };
            let truth = truth(&network, &statement, 100_000).unwrap();
            assert_eq!(truth.is_satisfiable(&statement), broken, "depth {depth}");
            for as_program in [false, true] {
                for attack in [false, true] {
                    let settings = Settings {
                        timeout: Duration::from_secs(10),
                        ..settings(Branching::Automatic, attack)
                    };
                    let question = Question {
                        network: network.clone(),
                        statement: statement.clone(),
                        settings,
                        as_program,
                    };
                    let finding = judge(&question, &truth, false, &stop);
                    let told = format!("depth {depth}, program {as_program}, attack {attack}: {finding:?}");
                    match finding {
                        Finding::Agrees(word) => assert_eq!(word == Word::Sat, broken, "{told}"),
                        // Nobody looks for it.
                        Finding::UnknownFar(_) | Finding::UnknownNear if broken && !attack => {}
                        _ => panic!("{told}"),
                    }
                }
            }
        }
    }
}
