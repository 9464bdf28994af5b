//! The device's pass over programs against a second writing of its contract, and its bounds against exact rationals
//! (`Real`) and that pass (`F32`), at epsilon 0 and tiny epsilon, where a missing rounding term shows.

use certus_core::bounds::{Method, program as bounds};
use certus_core::program::{forward, plan::Planned};
use certus_engine::certify::naive::forward_program;
use certus_engine::program::{Builder, Constants, Function, Groups, Map, Operation, Program, Slot, ZERO};
use certus_tests::programs::{random_program, random_smooth_program};
use certus_tests::random::Random;
use num_rational::BigRational;
use num_traits::{Signed, Zero};

fn exact(x: f32) -> BigRational {
    BigRational::from_float(x).expect("finite")
}

/// The real number that a constant stands for in one of the networks that its error allows: the constant itself, or an
/// end of the error's range, drawn for each constant.
fn real(constants: &Constants, index: usize, random: &mut Random) -> BigRational {
    let value = exact(constants.values[index]);
    let error = constants.error.as_ref().map_or(0.0, |e| e[index]);
    match random.below(3) {
        0 => value,
        1 => value + exact(error),
        _ => value - exact(error),
    }
}

fn real_function(function: Function, x: &BigRational) -> BigRational {
    let limit = |lower: BigRational, upper: BigRational| x.clone().max(lower).min(upper);
    match function {
        Function::Relu => x.clone().max(BigRational::zero()),
        Function::LeakyRelu { slope } => {
            if x.is_negative() {
                x * exact(slope)
            } else {
                x.clone()
            }
        }
        Function::Clip { lower, upper } => limit(exact(lower), exact(upper)),
        Function::Abs => x.abs(),
        _ => panic!("no device function"),
    }
}

/// Every slot over the rationals, in one of the networks that the constants' errors allow.
fn exact_values(program: &Program, input: &[f32], random: &mut Random) -> Vec<Vec<BigRational>> {
    let mut values = vec![input.iter().map(|x| exact(*x)).collect::<Vec<_>>()];
    for (index, step) in program.steps().iter().enumerate() {
        let len = program.size(Slot(index + 1));
        let value = match &step.operation {
            Operation::Affine(affine) => {
                let mut sum: Vec<BigRational> = match &affine.bias {
                    Some(bias) => (0..len).map(|i| real(bias, i, random)).collect(),
                    None => vec![BigRational::zero(); len],
                };
                for term in &affine.terms {
                    add_exact(&term.map, &values[term.input.0], &mut sum, random);
                }
                sum
            }
            Operation::Elementwise { input, function } => {
                values[input.0].iter().map(|x| real_function(*function, x)).collect()
            }
            Operation::Max { input, groups } => {
                let x = &values[input.0];
                groups
                    .iter()
                    .map(|g| g.iter().map(|j| x[*j as usize].clone()).max().expect("a member"))
                    .collect()
            }
            Operation::Index { inputs, indices } => {
                let all: Vec<BigRational> = inputs.iter().flat_map(|s| values[s.0].clone()).collect();
                let at = |i: &u32| if *i == ZERO { BigRational::zero() } else { all[*i as usize].clone() };
                indices.iter().map(at).collect()
            }
            Operation::Product { .. } => panic!("no device step"),
        };
        values.push(value);
    }
    values
}

fn add_exact(map: &Map, x: &[BigRational], sum: &mut [BigRational], random: &mut Random) {
    match map {
        Map::Identity => sum.iter_mut().zip(x).for_each(|(s, x)| *s += x),
        Map::Scale(scale) => {
            sum.iter_mut().zip(x).enumerate().for_each(|(i, (s, x))| *s += real(scale, i, random) * x);
        }
        Map::Dense { count, rows, cols, weights } => {
            for copy in 0..*count {
                for i in 0..*rows {
                    for j in 0..*cols {
                        sum[copy * rows + i] += exact(weights[i * cols + j]) * &x[copy * cols + j];
                    }
                }
            }
        }
        Map::Conv(conv) => conv.for_each(|o, i, w| sum[o] += exact(conv.weights[w]) * &x[i]),
        Map::ConvTranspose(conv) => conv.for_each(|o, i, w| sum[i] += exact(conv.weights[w]) * &x[o]),
        Map::Sparse(sparse) => {
            sparse.for_each(|o, i, v| sum[o] += real(&sparse.values, v, random) * &x[i]);
        }
    }
}

/// A box of radius 0, 1e-7, 1e-3 or 0.3 around a point, and points in it, corners first.
struct Case {
    lower: Vec<f32>,
    upper: Vec<f32>,
    points: Vec<Vec<f32>>,
}

impl Case {
    fn draw(inputs: usize, epsilon: f32, random: &mut Random) -> Self {
        let centre: Vec<f32> = (0..inputs).map(|_| random.between(-2.0, 2.0)).collect();
        let lower: Vec<f32> = centre.iter().map(|c| c - epsilon).collect();
        let upper: Vec<f32> = centre.iter().map(|c| c + epsilon).collect();
        let points = (0..4)
            .map(|k| {
                let ends = lower.iter().zip(&upper);
                ends.map(|(l, u)| match (k < 2, random.below(2)) {
                    (true, 0) => *l,
                    (true, _) => *u,
                    _ => random.between(*l, *u),
                })
                .collect()
            })
            .collect();
        Self { lower, upper, points }
    }
}

/// Runs `check` on the device's program, cases and values of many random programs.
fn for_each_case(count: u64, check: impl FnMut(&str, &Program, &Planned<'_>, &Case, &mut Random)) {
    for_each_case_of(random_program, count, check);
}

/// The same with the programs that `draw` gives.
fn for_each_case_of(
    draw: fn(&mut Random, usize) -> Program,
    count: u64,
    mut check: impl FnMut(&str, &Program, &Planned<'_>, &Case, &mut Random),
) {
    for seed in 0..count {
        let random = &mut Random::new(seed);
        let steps = 1 + random.below(7);
        let program = draw(random, steps);
        let tables = program.tables();
        let mut places = Vec::new();
        let planned = tables.plan(&mut places).expect("the device computes every step");
        for epsilon in [0.0f32, 1e-7, 1e-3, 0.3] {
            let case = Case::draw(program.inputs(), epsilon, random);
            check(&format!("seed {seed}, epsilon {epsilon}"), &program, &planned, &case, random);
        }
    }
}

#[test]
fn the_pass_over_a_program_has_the_stated_order() {
    let (mut programs, mut in_place) = (0, 0);
    for_each_case(300, |name, program, planned, case, _| {
        let mut memory = vec![f32::NAN; forward::forward_memory_len(planned)];
        let mut output = vec![f32::NAN; program.outputs()];
        let sizes: usize = (0..program.slots()).map(|s| program.size(Slot(s))).sum();
        in_place += usize::from(planned.sizes().arena < sizes);
        programs += 1;
        for x in &case.points {
            forward::forward(planned, x, &mut memory, &mut output).expect("shapes fit");
            let plain = forward_program(program, x).expect("a device program").pop().expect("an output");
            let same = output.iter().zip(&plain).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{name}: {output:?}, plainly {plain:?}");
        }
    });
    assert!(in_place * 2 > programs, "places are shared in only {in_place} of {programs} programs");
}

#[test]
fn every_kept_interval_holds_both_meanings() {
    let mut unstable = 0usize;
    for_each_case(120, |name, program, planned, case, random| {
        for method in [Method::Crown, Method::CrownFull] {
            let mut memory = vec![f32::NAN; bounds::memory_len(planned, method)];
            bounds::prepare(planned, &case.lower, &case.upper, method, &mut memory).expect(name);
            for x in &case.points {
                let exact_values = exact_values(program, x, random);
                let device = forward_program(program, x).expect("a device program");
                for slot in 0..program.slots() {
                    let Some((lower, upper)) = bounds::interval(planned, Slot(slot), &mut memory) else {
                        continue;
                    };
                    unstable += lower.iter().zip(upper).filter(|(l, u)| **l < 0.0 && **u > 0.0).count();
                    for (i, (l, u)) in lower.iter().zip(upper).enumerate() {
                        let (real, device) = (&exact_values[slot][i], device[slot][i]);
                        assert!(
                            exact(*l) <= *real && *real <= exact(*u),
                            "{name}, {method:?}: slot {slot}[{i}] Real"
                        );
                        assert!(*l <= device && device <= *u, "{name}, {method:?}: slot {slot}[{i}] F32");
                    }
                }
            }
        }
    });
    assert!(unstable > 3_000, "only {unstable} unstable values");
}

#[test]
fn every_row_of_both_meanings_lies_above_its_bound() {
    let mut finite = 0usize;
    for_each_case(400, |name, program, planned, case, random| {
        let row: Vec<f32> = (0..program.outputs()).map(|_| random.between(-2.0, 2.0)).collect();
        let product =
            |y: &[BigRational]| y.iter().zip(&row).fold(BigRational::zero(), |s, (y, c)| s + y * exact(*c));
        for method in [Method::Ibp, Method::Crown, Method::CrownFull] {
            let mut memory = vec![f32::NAN; bounds::memory_len(planned, method)];
            bounds::prepare(planned, &case.lower, &case.upper, method, &mut memory).expect(name);
            let bound = bounds::row_lower(planned, method, &row, &mut memory).expect(name);
            finite += 1;
            for x in &case.points {
                let real = exact_values(program, x, random).pop().expect("an output");
                assert!(exact(bound) <= product(&real), "{name}, {method:?}: Real");
                let device = forward_program(program, x).expect("a device program").pop().expect("an output");
                let device: Vec<BigRational> = device.iter().map(|y| exact(*y)).collect();
                assert!(exact(bound) <= product(&device), "{name}, {method:?}: F32");
            }
        }
    });
    assert!(finite > 4_000);
}

/// At epsilon 0 all that separates a bound from the value is rounding: it must be small, or the terms are too large.
#[test]
fn at_a_point_the_bounds_are_off_by_rounding_only() {
    let mut checked = 0;
    for_each_case(300, |name, program, planned, case, _| {
        if case.lower != case.upper || has_loose_constants(program) {
            return;
        }
        checked += 1;
        let row = vec![1.0f32; program.outputs()];
        let value: f64 = forward_program(program, &case.lower)
            .and_then(|mut v| v.pop())
            .expect("an output")
            .iter()
            .map(|y| f64::from(*y))
            .sum();
        let scale: f64 = program
            .eval_all(&case.lower.iter().map(|x| f64::from(*x)).collect::<Vec<_>>())
            .iter()
            .flatten()
            .map(|x| x.abs())
            .fold(1.0, f64::max);
        for method in [Method::Ibp, Method::Crown, Method::CrownFull] {
            let mut memory = vec![f32::NAN; bounds::memory_len(planned, method)];
            bounds::prepare(planned, &case.lower, &case.upper, method, &mut memory).expect(name);
            let bound = f64::from(bounds::row_lower(planned, method, &row, &mut memory).expect(name));
            assert!(
                bound <= value + 1e-4 * scale && bound > value - 1e-2 * scale,
                "{name}, {method:?}: {bound} for {value}"
            );
        }
    });
    assert!(checked > 100);
}

/// Sigmoid and tanh have no rational values: `Real` is computed in `f64`, whose rounding is allowed for.
#[test]
fn rows_of_programs_with_sigmoid_and_tanh_lie_above_their_bounds() {
    let mut close = 0usize;
    for_each_case_of(random_smooth_program, 400, |name, program, planned, case, random| {
        let row: Vec<f32> = (0..program.outputs()).map(|_| random.between(-2.0, 2.0)).collect();
        let product = |y: &[f64]| y.iter().zip(&row).map(|(y, c)| y * f64::from(*c)).sum::<f64>();
        for method in [Method::Ibp, Method::Crown, Method::CrownFull] {
            let mut memory = vec![f32::NAN; bounds::memory_len(planned, method)];
            bounds::prepare(planned, &case.lower, &case.upper, method, &mut memory).expect(name);
            let bound = f64::from(bounds::row_lower(planned, method, &row, &mut memory).expect(name));
            for x in &case.points {
                let values = program.eval_all(&x.iter().map(|x| f64::from(*x)).collect::<Vec<_>>());
                let scale = values.iter().flatten().map(|v| v.abs()).fold(1.0, f64::max);
                let real = product(values.last().expect("an output"));
                assert!(bound <= real + 1e-11 * scale, "{name}, {method:?}: Real");
                let device = forward_program(program, x).expect("a device program").pop().expect("an output");
                let device = product(&device.iter().map(|y| f64::from(*y)).collect::<Vec<_>>());
                assert!(bound <= device + 1e-11 * scale, "{name}, {method:?}: F32");
                close += usize::from(case.lower == case.upper && real - bound < 1e-4 * scale);
            }
        }
    });
    assert!(close > 3_000, "only {close} bounds at a point are close to the value");
}

/// Whether a constant has an error of more than rounding.
fn has_loose_constants(program: &Program) -> bool {
    let loose = |c: &Constants| {
        let errors = c.error.iter().flatten().zip(&c.values);
        errors.into_iter().any(|(e, v)| *e > 1e-6 * v.abs())
    };
    program.steps().iter().any(|step| match &step.operation {
        Operation::Affine(affine) => {
            let maps = affine.terms.iter().any(|term| match &term.map {
                Map::Scale(scale) => loose(scale),
                Map::Sparse(sparse) => loose(&sparse.values),
                _ => false,
            });
            maps || affine.bias.as_ref().is_some_and(loose)
        }
        _ => false,
    })
}

/// One nonlinear step between the input and a row: nothing else loosens the bound, so a wrong line shows.
#[test]
fn the_line_of_each_nonlinear_step_holds_on_its_own() {
    let random = &mut Random::new(9);
    let functions = [
        Function::Relu,
        Function::Abs,
        Function::LeakyRelu { slope: 0.1 },
        Function::LeakyRelu { slope: 1.75 },
        Function::LeakyRelu { slope: -0.5 },
        Function::Clip { lower: -0.5, upper: 0.75 },
    ];
    let groups = Groups { starts: vec![0, 2, 5, 6, 8], members: vec![0, 1, 1, 2, 3, 0, 3, 2] };
    let mut operations: Vec<Operation> = vec![Operation::Max { input: Slot::INPUT, groups }];
    operations.extend(functions.map(|function| Operation::Elementwise { input: Slot::INPUT, function }));
    for operation in operations {
        let mut b = Builder::new(4);
        let y = b.push("step", operation).expect("the step fits");
        let program = b.finish(y).expect("an output");
        let (tables, mut places) = (program.tables(), Vec::new());
        let planned = tables.plan(&mut places).expect("a device step");
        let mut memory = vec![0.0; bounds::memory_len(&planned, Method::Crown)];
        for draw in 0..300 {
            let mut case = Case::draw(4, [0.0, 1e-6, 0.3, 2.0][draw % 4], random);
            case.points.push(vec![0.0; 4]);
            let row: Vec<f32> = (0..4).map(|_| random.between(-2.0, 2.0)).collect();
            bounds::prepare(&planned, &case.lower, &case.upper, Method::Crown, &mut memory).expect("a box");
            let bound = bounds::row_lower(&planned, Method::Crown, &row, &mut memory).expect("a bound");
            for x in &case.points {
                let x: Vec<f32> = x
                    .iter()
                    .zip(case.lower.iter().zip(&case.upper))
                    .map(|(x, (l, u))| x.clamp(*l, *u))
                    .collect();
                let product = |y: &[BigRational]| {
                    y.iter().zip(&row).fold(BigRational::zero(), |s, (y, c)| s + y * exact(*c))
                };
                let real = exact_values(&program, &x, random).pop().expect("an output");
                assert!(exact(bound) <= product(&real), "{:?}: Real", program.steps());
                let device =
                    forward_program(&program, &x).expect("a device program").pop().expect("an output");
                let device: Vec<BigRational> = device.iter().map(|y| exact(*y)).collect();
                assert!(exact(bound) <= product(&device), "{:?}: F32", program.steps());
            }
        }
    }
}
