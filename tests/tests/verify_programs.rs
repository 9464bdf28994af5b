//! Verdicts about programs of every kind of step against sampling: thresholds that a known point violates are never proved,
//! thresholds far below all values are, and every proof is accepted again from its bytes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use certus_engine::Program;
use certus_engine::program::{Affine, Builder, Constants, Function, Groups, Map, Operation, Slot, Term};
use certus_engine::property::{Property, parse_vnnlib_str};
use certus_engine::search::Silent;
use certus_engine::verify::program::{check_program, verify_program};
use certus_engine::verify::{Branching, Report, Settings, Verdict};
use certus_tests::programs::random_program;
use certus_tests::random::Random;
use certus_tests::random_networks::{Draft, FAMILIES};

/// `Y_0 ≤ threshold` on the box around `centre`; `f64` digits, so that nothing rounds.
fn property(centre: &[f32], radius: f32, outputs: usize, threshold: f64) -> Property {
    let mut text = String::new();
    for j in 0..centre.len() {
        text += &format!("(declare-const X_{j} Real)\n");
    }
    for i in 0..outputs {
        text += &format!("(declare-const Y_{i} Real)\n");
    }
    for (j, c) in centre.iter().enumerate() {
        let (l, u) = (f64::from(*c) - f64::from(radius), f64::from(*c) + f64::from(radius));
        text += &format!("(assert (>= X_{j} {l:.20}))(assert (<= X_{j} {u:.20}))\n");
    }
    text += &format!("(assert (<= Y_0 {threshold:.25}))\n");
    parse_vnnlib_str(&text).expect("a property")
}

fn decide(
    program: &Program,
    property: &Property,
    seconds: f64,
    (attack, branching): (bool, Branching),
) -> Report {
    let timeout = Duration::from_secs_f64(seconds);
    let settings = Settings { timeout, threads: 1, attack, branching, ..Settings::default() };
    verify_program(program, program, property, &settings, &AtomicBool::new(false), &Silent)
}

/// A program, a box, and the lowest of many values of its first output in the box.
struct Case {
    program: Program,
    centre: Vec<f32>,
    radius: f32,
    lowest: f64,
    highest: f64,
}

fn draw(seed: u64) -> Option<Case> {
    let mut random = Random::new(seed);
    let program = if seed.is_multiple_of(2) {
        let steps = 2 + random.below(6);
        random_program(&mut random, steps)
    } else {
        let mut draft = Draft::new(&[1, 2, 3, 3]);
        for _ in 0..8 {
            let family = FAMILIES[random.below(FAMILIES.len())];
            draft.extend(family, &mut random);
        }
        draft.network().lower().expect("every family lowers")
    };
    let centre: Vec<f32> = (0..program.inputs()).map(|_| random.between(-1.0, 1.0)).collect();
    let radius = [0.0, 1e-4, 0.05, 0.3][random.below(4)];
    let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
    for k in 0..400 {
        let at = |c: &f32| {
            let t = if k % 2 == 0 { random.between(-1.0, 1.0) } else { [-1.0, 1.0][random.below(2)] };
            f64::from(*c) + f64::from(radius) * f64::from(t)
        };
        let x: Vec<f64> = centre.iter().map(at).collect();
        let y = program.eval(&x)[0];
        if !y.is_finite() {
            return None;
        }
        (lowest, highest) = (lowest.min(y), highest.max(y));
    }
    Some(Case { program, centre, radius, lowest, highest })
}

#[test]
fn what_a_sampled_point_violates_is_never_proved() {
    let mut violated = 0;
    for case in (0..120).filter_map(draw) {
        let scale = case.lowest.abs().max(case.highest.abs()).max(1.0);
        // Above the lowest value by more than the evaluation in `f64` rounds.
        let threshold = case.lowest + 1e-9 * scale;
        let property = property(&case.centre, case.radius, case.program.outputs(), threshold);
        // Without an attack nothing but the bounds and the checker stands between the search and a wrong proof.
        for how in [(false, Branching::Inputs), (false, Branching::Neurons), (true, Branching::Automatic)] {
            let report = decide(&case.program, &property, 0.15, how);
            match report.verdict {
                Verdict::Holds(_) => panic!("{:#?} is proved to stay above {threshold}", case.program),
                Verdict::Violated(witness) => {
                    let x: Vec<f64> = witness.input.iter().map(|x| f64::from(*x)).collect();
                    assert!(case.program.eval(&x)[0] <= threshold);
                    violated += 1;
                }
                Verdict::Unknown { .. } => {}
            }
        }
    }
    assert!(violated > 20, "the attack finds {violated} of what is there");
}

#[test]
fn what_is_far_below_every_value_is_proved_and_the_proof_is_accepted_again() {
    let (mut proved, mut tried) = (0, 0);
    for case in (0..120).filter_map(draw) {
        let spread = case.highest - case.lowest;
        let threshold = case.lowest - 2.0 * spread - 1e-3 * (1.0 + case.lowest.abs());
        let property = property(&case.centre, case.radius, case.program.outputs(), threshold);
        tried += 1;
        let branching = if tried % 2 == 0 { Branching::Inputs } else { Branching::Neurons };
        match decide(&case.program, &property, 0.5, (true, branching)).verdict {
            Verdict::Holds(proofs) => {
                proved += 1;
                for proof in &proofs {
                    check_program(&case.program, &property, proof).expect("the proof is accepted again");
                    let mut cut = proof.clone();
                    cut.bytes.pop();
                    assert!(check_program(&case.program, &property, &cut).is_err(), "a proof cut short");
                }
            }
            Verdict::Violated(witness) => panic!("a witness below every sampled value: {witness}"),
            Verdict::Unknown { .. } => {}
        }
    }
    assert!(2 * proved > tried, "{proved} of {tried} are proved");
}

/// The least value of the one output over a fine grid of the box and its corners: an upper bound of the minimum.
fn lowest_on_grid(program: &Program, centre: &[f32], radius: f32) -> f64 {
    const STEPS: usize = 40;
    let mut lowest = f64::INFINITY;
    for i in 0..=STEPS {
        for j in 0..=STEPS {
            let at =
                |k: usize, c: f32| f64::from(c) + f64::from(radius) * (2.0 * k as f64 / STEPS as f64 - 1.0);
            lowest = lowest.min(program.eval(&[at(i, centre[0]), at(j, centre[1])])[0]);
        }
    }
    lowest
}

/// Dense layers of two inputs with leaky ReLU, ReLU, a residual term, max pooling and the absolute value: piecewise linear.
fn piecewise_linear(random: &mut Random) -> Program {
    let mut builder = Builder::new(2);
    let mut dense = |builder: &mut Builder, input: Slot, rows: usize, cols: usize| {
        let weights = (0..rows * cols).map(|_| random.between(-1.0, 1.0)).collect();
        let bias = Constants::exact((0..rows).map(|_| random.between(-0.5, 0.5)).collect());
        let map = Map::Dense { count: 1, rows, cols, weights: Arc::new(weights) };
        builder.affine("dense", input, map, Some(bias)).expect("a dense step")
    };
    let first = dense(&mut builder, Slot::INPUT, 6, 2);
    let leaky = builder.elementwise("leaky", first, Function::LeakyRelu { slope: 0.1 }).expect("a step");
    let second = dense(&mut builder, leaky, 6, 6);
    let relu = builder.elementwise("relu", second, Function::Relu).expect("a step");
    let terms = [relu, first].map(|input| Term { input, map: Map::Identity }).to_vec();
    let sum = builder.push("sum", Operation::Affine(Affine { terms, bias: None })).expect("a residual step");
    let groups = Groups { starts: vec![0, 2, 4, 6], members: (0..6).collect() };
    let most = builder.push("most", Operation::Max { input: sum, groups }).expect("a maximum");
    let third = dense(&mut builder, most, 3, 3);
    let last = builder.elementwise("abs", third, Function::Abs).expect("a step");
    let output = dense(&mut builder, last, 1, 3);
    builder.finish(output).expect("a program")
}

#[test]
fn splitting_values_decides_small_piecewise_linear_programs() {
    let (mut proved, mut violated) = (0, 0);
    for seed in 0..24 {
        let mut random = Random::new(1000 + seed);
        let program = piecewise_linear(&mut random);
        let centre = [random.between(-0.5, 0.5), random.between(-0.5, 0.5)];
        let lowest = lowest_on_grid(&program, &centre, 0.5);
        for below in [true, false] {
            let threshold = if below { lowest - 0.02 } else { lowest + 1e-4 };
            let property = property(&centre, 0.5, 1, threshold);
            match decide(&program, &property, 20.0, (true, Branching::Neurons)).verdict {
                Verdict::Holds(proofs) => {
                    assert!(below, "seed {seed}: {lowest} is reached");
                    proved += 1;
                    proofs.iter().for_each(|proof| {
                        check_program(&program, &property, proof).expect("the proof is accepted again");
                    });
                }
                Verdict::Violated(witness) => {
                    let x: Vec<f64> = witness.input.iter().map(|x| f64::from(*x)).collect();
                    assert!(program.eval(&x)[0] <= threshold);
                    violated += 1;
                }
                Verdict::Unknown { .. } => assert!(below, "seed {seed}: {lowest} is not found"),
            }
        }
    }
    assert!(proved >= 16 && violated >= 20, "{proved} proved, {violated} violated");
}
