//! Numbers and statements at the edge: each case by hand, on both paths, in both meanings, with and without attack.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use certus_core::proof::Meaning;
use certus_engine::selftest::exact::{Q, Region};
use certus_engine::selftest::{
    Case, Finding, Network, Node, Op, Question, Row, Statement, Word, judge, truth,
};
use certus_engine::verify::{Branching, Settings};
use num_bigint::BigInt;
use num_traits::Zero;

/// A decimal.
fn d(text: &str) -> Q {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: BigInt = format!("{whole}{fraction}").parse().unwrap();
    let power = exponent.parse::<i32>().unwrap() - fraction.len() as i32;
    let ten = BigInt::from(10).pow(power.unsigned_abs());
    let value = if power < 0 { Q::new(digits, ten) } else { Q::from(digits * ten) };
    if negative { -value } else { value }
}

fn chain(inputs: usize, ops: Vec<Op>) -> Network {
    let nodes = ops.into_iter().enumerate().map(|(k, op)| Node { op, inputs: vec![k] }).collect();
    Network { input: vec![inputs], nodes }
}

fn dense(weights: &[f32], bias: &[f32]) -> Op {
    Op::Dense { weights: weights.to_vec(), bias: bias.to_vec(), factors: [1.0, 1.0], matmul: false }
}

/// `y = x`, through a ReLU on either side.
fn identity() -> Network {
    chain(1, vec![dense(&[1.0, -1.0], &[0.0, -0.0]), Op::Relu, dense(&[1.0, -1.0], &[-0.0])])
}

/// `c·y ≤ rhs`.
fn row(coefficients: &[&str], rhs: &str) -> Row {
    Row { coefficients: coefficients.iter().map(|c| d(c)).collect(), rhs: d(rhs), strict: false }
}

fn less(coefficients: &[&str], rhs: &str) -> Row {
    Row { strict: true, ..row(coefficients, rhs) }
}

fn case(bounds: &[[&str; 2]], disjuncts: Vec<Vec<Row>>) -> Case {
    let side = |k: usize| bounds.iter().map(|b| d(b[k])).collect();
    Case { region: Region { lower: side(0), upper: side(1) }, disjuncts }
}

/// What an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// This and nothing else.
    Only(Word),
    /// This or no verdict.
    AtMost(Word),
}
use Expect::{AtMost, Only};
use Word::{Sat, Unsat};

fn ask(what: &str, network: &Network, cases: Vec<Case>, expect: Expect) {
    let statement = Statement { outputs: network.outputs(), cases };
    let truth = truth(network, &statement, 10_000).unwrap();
    let stop = AtomicBool::new(false);
    for as_program in [false, true] {
        for attack in [true, false] {
            for meaning in [Meaning::Real, Meaning::RealAndF32] {
                for branching in [Branching::Inputs, Branching::Neurons] {
                    // Where no verdict is an answer, waiting for it is a waste.
                    let timeout = Duration::from_millis(if matches!(expect, Only(_)) { 2000 } else { 100 });
                    let settings =
                        Settings { timeout, threads: 1, branching, meaning, attack, ..Settings::default() };
                    let (network, statement) = (network.clone(), statement.clone());
                    let question = Question { network, statement, settings, as_program };
                    let finding = judge(&question, &truth, matches!(expect, AtMost(_)), &stop);
                    let told = format!(
                        "{what}: {finding:?} (program {as_program}, attack {attack}, {meaning:?}, {branching:?})"
                    );
                    match (expect, &finding) {
                        (_, Finding::Wrong(_)) => panic!("{told}"),
                        (Only(word) | AtMost(word), Finding::Agrees(said)) => {
                            assert_eq!(word, *said, "{told}")
                        }
                        (AtMost(_), _) => {}
                        // The device's pass rounds: only the reals are decided for certain. Nobody looks for a violation
                        // without an attack.
                        (Only(word), _) => {
                            assert!(meaning == Meaning::RealAndF32 || (word == Sat && !attack), "{told}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn boxes_of_no_width() {
    let at = |x: &'static str| [[x, x]];
    ask("touches", &identity(), vec![case(&at("0.5"), vec![vec![row(&["1"], "0.5")]])], Only(Sat));
    ask(
        "touches, strict",
        &identity(),
        vec![case(&at("0.5"), vec![vec![less(&["1"], "0.5")]])],
        AtMost(Unsat),
    );
    ask("misses", &identity(), vec![case(&at("0.5"), vec![vec![row(&["1"], "0.4999")]])], Only(Unsat));
    ask("at zero", &identity(), vec![case(&at("0"), vec![vec![row(&["1"], "0")]])], Only(Sat));
    ask("at minus zero", &identity(), vec![case(&at("-0"), vec![vec![row(&["-1"], "-0")]])], Only(Sat));
    ask("misses zero", &identity(), vec![case(&at("0"), vec![vec![row(&["1"], "-1e-9")]])], Only(Unsat));
}

#[test]
fn decimals_that_no_float_is() {
    let at = [["0.1", "0.1"]];
    // Over the reals y is 0.1 exactly; the nearest float is above.
    ask("0.1 ≤ 0.1", &identity(), vec![case(&at, vec![vec![row(&["1"], "0.1")]])], AtMost(Sat));
    ask("0.1 ≥ 0.1", &identity(), vec![case(&at, vec![vec![row(&["-1"], "-0.1")]])], AtMost(Sat));
    ask("0.1 ≤ 0.0999", &identity(), vec![case(&at, vec![vec![row(&["1"], "0.0999")]])], Only(Unsat));
    let thin = [["0.1", "0.100000000000000000001"]];
    ask(
        "thinner than floats",
        &identity(),
        vec![case(&thin, vec![vec![row(&["-1"], "-0.1000000000000000000005")]])],
        AtMost(Sat),
    );
    ask(
        "a box of decimals",
        &identity(),
        vec![case(&[["-0.3", "0.7"]], vec![vec![row(&["1"], "-0.3")]])],
        AtMost(Sat),
    );
    ask(
        "just outside",
        &identity(),
        vec![case(&[["-0.3", "0.7"]], vec![vec![row(&["1"], "-0.300000000001")]])],
        AtMost(Unsat),
    );
}

#[test]
fn statements_that_say_nothing_or_too_much() {
    let whole = [["-1", "1"]];
    let ask = |what: &str, disjuncts: Vec<Vec<Row>>, expect| {
        ask(what, &identity(), vec![case(&whole, disjuncts)], expect)
    };
    ask("0·y ≤ 0", vec![vec![row(&["0"], "0")]], AtMost(Sat));
    ask("0·y ≤ −1", vec![vec![row(&["0"], "-1")]], AtMost(Unsat));
    ask("0·y < 0", vec![vec![less(&["0"], "0")]], AtMost(Unsat));
    ask("y ≤ 0 and 0·y ≤ 0", vec![vec![row(&["1"], "0"), row(&["0"], "0")]], Only(Sat));
    ask("contradictory rows", vec![vec![row(&["1"], "-0.5"), row(&["-1"], "-0.5")]], Only(Unsat));
    ask("touching rows", vec![vec![row(&["1"], "0.5"), row(&["-1"], "-0.5")]], AtMost(Sat));
    ask("touching rows, one strict", vec![vec![row(&["1"], "0.5"), less(&["-1"], "-0.5")]], AtMost(Unsat));
    ask("the same row twice", vec![vec![row(&["1"], "-1"), row(&["1"], "-1")]], Only(Sat));
    ask(
        "one of many",
        vec![vec![row(&["1"], "-2")], vec![row(&["-1"], "-2")], vec![row(&["1"], "-1")]],
        Only(Sat),
    );
    ask("none of many", vec![vec![row(&["1"], "-1.001")], vec![row(&["-1"], "-1.001")]], Only(Unsat));
    ask("huge threshold", vec![vec![row(&["1"], "1e300")]], Only(Sat));
    ask("huge negative threshold", vec![vec![row(&["1"], "-1e300")]], Only(Unsat));
    ask("tiny coefficient", vec![vec![row(&["1e-300"], "-2e-300")]], Only(Unsat));
    ask("huge coefficient", vec![vec![row(&["1e300"], "-2e300")]], AtMost(Unsat));
    ask("below the subnormals", vec![vec![row(&["1"], "-1"), row(&["0"], "1e-320")]], AtMost(Sat));
}

#[test]
fn several_boxes() {
    let boxes = |rows: [&str; 3]| {
        let ends = [["-1", "-0.5"], ["0", "0"], ["0.5", "1"]];
        ends.iter().zip(rows).map(|(b, rhs)| case(&[*b], vec![vec![row(&["1"], rhs)]])).collect::<Vec<_>>()
    };
    ask("none", &identity(), boxes(["-1.1", "-0.1", "0.4"]), Only(Unsat));
    ask("the last", &identity(), boxes(["-1.1", "-0.1", "0.5"]), Only(Sat));
    ask("the point", &identity(), boxes(["-1.1", "0", "0.4"]), Only(Sat));
}

#[test]
fn ties_and_equal_outputs() {
    let twice = chain(
        2,
        vec![
            dense(&[1.0, 2.0, 1.0, 2.0], &[0.5, 0.5]),
            Op::Relu,
            dense(&[1.0, -1.0, 1.0, -1.0], &[0.25, 0.25]),
        ],
    );
    let whole = [["-1", "1"], ["-1", "1"]];
    ask("y₀ ≤ y₁ always", &twice, vec![case(&whole, vec![vec![row(&["1", "-1"], "0")]])], Only(Sat));
    ask("y₀ < y₁ never", &twice, vec![case(&whole, vec![vec![less(&["1", "-1"], "0")]])], AtMost(Unsat));
    ask(
        "y₀ ≤ y₁ − 1e-6 never",
        &twice,
        vec![case(&whole, vec![vec![row(&["1", "-1"], "-1e-6")]])],
        Only(Unsat),
    );
    let tied = Network {
        input: vec![1, 2, 2],
        nodes: vec![
            Node {
                op: Op::MaxPool(certus_engine::selftest::Window {
                    kernel: vec![2, 2],
                    stride: vec![1, 1],
                    pad: vec![0; 4],
                }),
                inputs: vec![0],
            },
            Node { op: Op::Flatten, inputs: vec![1] },
        ],
    };
    let same = [["-1", "1"]; 4];
    ask("max of four", &tied, vec![case(&same, vec![vec![row(&["1"], "-1")]])], Only(Sat));
    ask("max of four, below", &tied, vec![case(&same, vec![vec![row(&["1"], "-1.01")]])], Only(Unsat));
}

#[test]
fn violated_at_one_point_only() {
    // |x − 1/3 in f32|: 0 at one float.
    let c = 1.0f32 / 3.0;
    let cone = chain(1, vec![dense(&[1.0, -1.0], &[-c, c]), Op::Relu, dense(&[1.0, 1.0], &[0.0])]);
    ask("the tip", &cone, vec![case(&[["-1", "1"]], vec![vec![row(&["1"], "0")]])], AtMost(Sat));
    ask("below the tip", &cone, vec![case(&[["-1", "1"]], vec![vec![row(&["1"], "-1e-5")]])], Only(Unsat));
    // |x| + |y| with the tip at the corner of the box.
    let corner =
        chain(2, vec![dense(&[1.0, 0.0, 0.0, 1.0], &[1.0, 1.0]), Op::Relu, dense(&[1.0, 1.0], &[0.0])]);
    ask(
        "the corner",
        &corner,
        vec![case(&[["-1", "1"], ["-1", "1"]], vec![vec![row(&["1"], "0")]])],
        AtMost(Sat),
    );
}

#[test]
fn weights_from_subnormal_to_huge() {
    let scaled =
        |a: f32, b: f32| chain(1, vec![dense(&[a, -a], &[0.0, 0.0]), Op::Relu, dense(&[b, b], &[0.0])]);
    let whole = [["-1", "1"]];
    for (a, b) in
        [(1e30, 1e-30), (1e-30, 1e30), (1e38, 1e38), (1e-45, 1.0), (1e-38, 1e-38), (f32::MAX, f32::MAX)]
    {
        let network = scaled(a, b);
        let what = format!("|x| by {a:e} and {b:e}");
        ask(&what, &network, vec![case(&whole, vec![vec![row(&["1"], "-1e-30")]])], AtMost(Unsat));
        ask(&what, &network, vec![case(&whole, vec![vec![row(&["1"], "0")]])], AtMost(Sat));
        ask(&what, &network, vec![case(&[["0.5", "1"]], vec![vec![row(&["1"], "0")]])], AtMost(Unsat));
    }
    // 3e38·x + 3e38·x leaves the range of f32, and inf − inf is no number.
    let overflow =
        chain(1, vec![dense(&[3e38, 3e38], &[3e38, 3e38]), Op::Relu, dense(&[3e38, -3e38], &[0.0])]);
    ask("inf − inf, above", &overflow, vec![case(&whole, vec![vec![row(&["-1"], "-1")]])], AtMost(Unsat));
    ask("inf − inf, at 0", &overflow, vec![case(&whole, vec![vec![row(&["1"], "0")]])], AtMost(Sat));
    let huge = [["-1e30", "1e30"]];
    ask("a huge box", &identity(), vec![case(&huge, vec![vec![row(&["1"], "-1.1e30")]])], AtMost(Unsat));
    ask("a huge box, hit", &identity(), vec![case(&huge, vec![vec![row(&["1"], "-0.9e30")]])], AtMost(Sat));
    ask(
        "beyond f32",
        &identity(),
        vec![case(&[["1e39", "1e40"]], vec![vec![row(&["-1"], "-5e39")]])],
        AtMost(Sat),
    );
}

/// What floating point says and the reals do not, after Jia and Rinard (2021) and Szász, Bánhelyi and Jelasity (2025).
#[test]
fn networks_that_tell_floats_from_reals() {
    for big in [2f32.powi(25), 2f32.powi(54), 1e30] {
        // relu(x + big) − big: x over the reals, a staircase or 0 in floats.
        let staircase = chain(1, vec![dense(&[1.0], &[big]), Op::Relu, dense(&[1.0], &[-big])]);
        let whole = [["0", "1"]];
        ask(
            "staircase above",
            &staircase,
            vec![case(&whole, vec![vec![row(&["-1"], "-0.25")]])],
            AtMost(Sat),
        );
        ask(
            "staircase below",
            &staircase,
            vec![case(&whole, vec![vec![row(&["1"], "-0.5")]])],
            AtMost(Unsat),
        );
        ask(
            "staircase beyond",
            &staircase,
            vec![case(&whole, vec![vec![row(&["-1"], "-1.5")]])],
            AtMost(Unsat),
        );
        let half = [["0.5", "0.5"]];
        ask(
            "staircase at a point",
            &staircase,
            vec![case(&half, vec![vec![row(&["1"], "0.25")]])],
            AtMost(Unsat),
        );
        // (x + big) + (−x − big): 0 over the reals whatever x is.
        let detector = chain(
            1,
            vec![
                dense(&[1.0, -1.0], &[big, 0.0]),
                dense(&[1.0, 1.0], &[-big]),
                Op::Relu,
                dense(&[1024.0], &[0.0]),
            ],
        );
        ask(
            "zero",
            &detector,
            vec![case(&[["0.3", "0.9"]], vec![vec![row(&["-1"], "-0.001")]])],
            AtMost(Unsat),
        );
        ask("zero, hit", &detector, vec![case(&[["0.3", "0.9"]], vec![vec![row(&["1"], "0")]])], AtMost(Sat));
    }
    // Sums whose order decides: 1 + 2²⁴ − 2²⁴ by eight equal inputs.
    let order = chain(
        4,
        vec![dense(&[1.0, 1.0, 16_777_216.0, -16_777_216.0], &[0.0]), Op::Relu, dense(&[1.0], &[0.0])],
    );
    let point = [["1", "1"]; 4];
    ask("order", &order, vec![case(&point, vec![vec![row(&["1"], "1.5")]])], AtMost(Unsat));
    ask("order, at 2", &order, vec![case(&point, vec![vec![row(&["-1"], "-2")]])], AtMost(Sat));
}

#[test]
fn zero_is_written_as_a_decimal() {
    assert!(d("-0").is_zero() && d("0e5").is_zero());
    assert_eq!(d("-1.5e-2"), Q::new((-3).into(), 200.into()));
}
