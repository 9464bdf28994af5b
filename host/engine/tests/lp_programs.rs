//! LPs of random programs with branches, leaky ReLUs, absolute values and maxima: against sampled values, and what they claim
//! against the program checker.

use certus_core::proof::Meaning;
use certus_core::proof::program::{
    Adaptive, Bounds, Checker, Claim, Layout, Memory, Plain, Problem, Row, Split,
};
use certus_engine::bounds::program::batch::{Node, rebound};
use certus_engine::bounds::program::{Interval, Prepared, Region, Settings, Spec, Stop, bound};
use certus_engine::program::{
    Affine, Builder, Constants, Function, Groups, Map, Operation, Program, Slot, Term,
};
use certus_engine::property::{Case, Disjunct, InputBox, Property, Row as Row64};
use certus_engine::search::Silent;
use certus_engine::search::lp::chain::row;
use certus_engine::search::lp::program::ProgramDomain;
use certus_engine::search::lp::{Limits, Outcome, Refuted, Solver, decide_leaf, simplex};
use certus_engine::verify::program::verify_program;
use certus_engine::verify::{Branching, Settings as VerifySettings, Verdict};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const INPUTS: usize = 3;
const LIMIT: usize = 1 << 20;

struct Random(u64);

impl Random {
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

/// Dense, leaky ReLU, dense beside the input's own branch, absolute value, maximum of pairs if asked for, dense.
fn program(random: &mut Random, pairs: bool) -> Program {
    let mut dense = |rows: usize, cols: usize| Map::Dense {
        count: 1,
        rows,
        cols,
        weights: Arc::new((0..rows * cols).map(|_| random.unit()).collect()),
    };
    let (one, two, skip, last) =
        (dense(5, INPUTS), dense(4, 5), dense(4, INPUTS), dense(1, if pairs { 2 } else { 4 }));
    let mut constants = |n: usize| Some(Constants::exact((0..n).map(|_| 0.3 * random.unit()).collect()));
    let mut builder = Builder::new(INPUTS);
    let x = Slot::INPUT;
    let pre = builder.affine("one", x, one, constants(5)).expect("fits");
    let post = builder.elementwise("leaky", pre, Function::LeakyRelu { slope: 0.125 }).expect("fits");
    let terms = vec![Term { input: post, map: two }, Term { input: x, map: skip }];
    let sum = Operation::Affine(Affine { terms, bias: constants(4) });
    let pre = builder.push("two", sum).expect("fits");
    let mut post = builder.elementwise("abs", pre, Function::Abs).expect("fits");
    if pairs {
        let groups = Groups { starts: vec![0, 2, 4], members: vec![0, 1, 2, 3] };
        post = builder.push("max", Operation::Max { input: post, groups }).expect("fits");
    }
    let output = builder.affine("last", post, last, constants(1)).expect("fits");
    builder.finish(output).expect("a program")
}

fn intervals(program: &Program, splits: &[Split]) -> Option<Vec<Interval>> {
    let net = Prepared::new(program);
    let region = Region { lower: &[-1.0; INPUTS], upper: &[1.0; INPUTS] };
    let node = Node { region, splits, parent: None };
    rebound(&net, &[node], &Settings::default(), Stop::default()).expect("bounded").remove(0)
}

/// Whether the checker accepts the claims for `y ≤ rhs` on the part of the cube that the splits leave.
fn accepts(program: &Program, rhs: f64, splits: &[Split], refuted: &[Refuted]) -> bool {
    let tables = program.tables();
    let program = tables.program();
    let rows = [Row { output: &[1.0], input: &[], rhs }];
    let problem = Problem { program, disjuncts: &[&rows], meaning: Meaning::Real };
    let mut words = vec![0; Layout::words(&program)];
    let layout = Layout::new(&program, &mut words).expect("small");
    let (mut floats, mut index) = (vec![0.0; layout.memory_len(8)], vec![0; layout.index_len(8)]);
    let memory = Memory { floats: &mut floats, index: &mut index, lanes: 8 };
    let mut checker = Checker::new(&problem, &layout, Plain, memory).expect("a checker");
    let mut memory = vec![0.0; layout.bounds_len()];
    let mut bounds = Bounds::new(&layout, &mut memory);
    let region: (&[f64], &[f64]) = (&[-1.0; INPUTS], &[1.0; INPUTS]);
    if !checker.derive(None, region, splits, &Adaptive, &mut bounds).expect("bounded") {
        return true; // empty
    }
    let beta: Vec<u8> = refuted[0].evidence.beta.iter().flat_map(|b| (*b as f32).to_le_bytes()).collect();
    let claims = [Claim { row: refuted[0].row, alpha: &[], beta: &beta }];
    checker.check_leaf(&bounds, region, splits, &claims, &mut [0.0]).is_ok()
}

fn point(random: &mut Random) -> Vec<f64> {
    (0..INPUTS).map(|_| f64::from(random.unit())).collect()
}

/// Splits of every operand of the leaky ReLU and the absolute value, by the signs given.
fn all_splits(signs: impl Fn(usize, usize) -> bool) -> Vec<Split> {
    let split = |slot: usize, element: usize| Split {
        slot: Slot(slot),
        element: element as u32,
        point: 0.0,
        above: signs(slot, element),
    };
    (0..5).map(|j| split(1, j)).chain((0..4).map(|j| split(3, j))).collect()
}

#[test]
fn the_bound_of_a_program_lies_between_crown_and_sampled_values() {
    let mut random = Random(21);
    let mut better = 0;
    for case in 0..60 {
        let program = program(&mut random, case % 2 == 1);
        let net = Prepared::new(&program);
        let region = Region { lower: &[-1.0; INPUTS], upper: &[1.0; INPUTS] };
        let spec = Spec { weights: vec![1.0], bias: vec![0.0] };
        let crown = bound(&net, region, &spec, &Settings::default(), Stop::default()).expect("bounded");
        let domain = ProgramDomain {
            program: &program,
            region: (&[-1.0; INPUTS], &[1.0; INPUTS]),
            intervals: &crown.slots,
            splits: &[],
            limit: LIMIT,
        };
        let (relaxation, outputs) = domain.relax().expect("finite").expect("piecewise linear");
        let y = row(&outputs, &[1.0], 0.0);
        let Outcome::Optimal(found) = simplex::solve(&relaxation.minimising(&y), None, Limits::default()).0
        else {
            panic!("a box is not empty")
        };
        let bound = found.value + y.offset();
        for _ in 0..500 {
            let value = program.eval(&point(&mut random))[0];
            assert!(value >= bound - 1e-5, "case {case}: {value} below the bound {bound}");
        }
        let crown = f64::from(crown.rows[0]);
        // The planes of a maximum in CROWN are others than the LP's.
        assert!(case % 2 == 1 || bound >= crown - 1e-4, "case {case}: LP {bound} below CROWN {crown}");
        better += usize::from(bound > crown + 1e-3);
    }
    assert!(better > 10, "the LP was better {better} times");
}

#[test]
fn a_program_with_every_kink_split_is_decided_and_the_checker_agrees() {
    let mut random = Random(22);
    let (mut proved, mut empty) = (0, 0);
    for case in 0..150u32 {
        let program = program(&mut random, false);
        let at = point(&mut random);
        let values = program.eval_all(&at);
        // Every other time signs that need not occur anywhere.
        let flip = |slot: usize, j: usize| case % 2 == 1 && (case >> 1) % 7 == ((slot * 5 + j) % 7) as u32;
        let splits = all_splits(|slot, j| (values[slot][j] >= 0.0) != flip(slot, j));
        let Some(intervals) = intervals(&program, &splits) else { continue };
        let domain = ProgramDomain {
            program: &program,
            region: (&[-1.0; INPUTS], &[1.0; INPUTS]),
            intervals: &intervals,
            splits: &splits,
            limit: LIMIT,
        };
        let (relaxation, outputs) = domain.relax().expect("finite").expect("piecewise linear");
        assert!(relaxation.is_exact());
        let y = row(&outputs, &[1.0], 0.0);
        let rhs = match simplex::solve(&relaxation.minimising(&y), None, Limits::default()).0 {
            Outcome::Optimal(found) => {
                let least = found.value + y.offset();
                let there = program.eval(&found.primal[..INPUTS])[0];
                assert!((there - least).abs() < 1e-6, "case {case}: {there} where the LP says {least}");
                if case % 2 == 0 {
                    assert!(least <= values[program.output().0][0] + 1e-9);
                }
                proved += 1;
                least - 1e-3
            }
            Outcome::Infeasible { .. } => {
                empty += 1;
                0.0
            }
            Outcome::Stopped { .. } => panic!("not solved"),
        };
        let decision = decide_leaf(&relaxation, &[vec![row(&outputs, &[1.0], rhs)]], Solver::Own, None);
        assert!(decision.is_proved(), "case {case}");
        let claims: Vec<Refuted> = decision.refuted.into_iter().flatten().collect();
        assert!(accepts(&program, rhs, &splits, &claims), "case {case}: {claims:?}");
    }
    assert!(proved > 70 && empty > 10, "{proved} proved, {empty} empty");
}

/// `y ≤ rhs` is the violation, on the cube.
fn property(rhs: f64) -> Property {
    let region = InputBox {
        lower: vec![-1.0; INPUTS],
        upper: vec![1.0; INPUTS],
        witness_lower: vec![-1.0; INPUTS],
        witness_upper: vec![1.0; INPUTS],
    };
    let row = Row64 { coefficients: vec![1.0], rhs_lower: rhs, rhs_upper: rhs, strict: false };
    let disjuncts = vec![Disjunct { rows: vec![row] }];
    Property { inputs: INPUTS, outputs: 1, cases: vec![Case { region, disjuncts }] }
}

#[test]
fn a_search_that_splits_values_only_ends_with_a_verdict_next_to_the_least_value() {
    let mut random = Random(23);
    let (mut holds, mut violated) = (0, 0);
    for case in 0..24 {
        let program = program(&mut random, false);
        let sampled = |random: &mut Random| {
            (0..4000).map(|_| program.eval(&point(random))[0]).fold(f64::INFINITY, f64::min)
        };
        let least = sampled(&mut random);
        let rhs = if case % 2 == 0 { least + 0.01 } else { least - 0.3 };
        let settings = VerifySettings {
            branching: Branching::Neurons,
            threads: 1,
            timeout: Duration::from_secs(60),
            attack: case % 4 < 2,
            ..VerifySettings::default()
        };
        let stop = AtomicBool::new(false);
        let report = verify_program(&program, &program, &property(rhs), &settings, &stop, &Silent);
        match report.verdict {
            Verdict::Holds(_) => {
                assert!(sampled(&mut random) > rhs, "case {case}: a sampled value is at most {rhs}");
                holds += 1;
            }
            Verdict::Violated(witness) => {
                let at: Vec<f64> = witness.input.iter().map(|x| f64::from(*x)).collect();
                assert!(program.eval(&at)[0] <= rhs + 1e-6);
                violated += 1;
            }
            // Without attacks nothing looks for counterexamples.
            Verdict::Unknown { .. } => assert!(!settings.attack, "case {case}: undecided"),
        }
    }
    assert!(holds > 3 && violated > 3, "{holds} hold, {violated} do not");
}
