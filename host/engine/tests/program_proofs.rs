//! The program checker on a residual network of the benchmark set: what its fast kernel proves, the plain one proves too, and
//! no bound lies above a sampled value.
//!
//! The set is found by the environment variable `CERTUS_DATA`; without it the tests say so and end.

use std::path::PathBuf;
use std::time::Instant;

use certus_core::program::Slot;
use certus_core::proof::program::{
    Adaptive, Bounds, Checker, Claim, IntervalsOnly, Kernel, Layout, Memory, Plain, Problem, Row,
};
use certus_core::proof::{Meaning, Rejection};
use certus_engine::device::ProgramKernel;
use certus_engine::graph;
use certus_engine::program::Program;
use certus_engine::property::{Case, load_property};

const LANES: usize = 64;

/// The residual network with its first box, or nothing.
fn residual() -> Option<(Program, Case)> {
    let Some(data) = std::env::var_os("CERTUS_DATA") else {
        println!("CERTUS_DATA is not set: the residual network is not proved");
        return None;
    };
    let folder = PathBuf::from(data).join("benchmarks/vnncomp2021/cifar10_resnet");
    let program = graph::load_program(&folder.join("onnx/resnet_2b.onnx.gz")).unwrap();
    let property = load_property(&folder.join("vnnlib/prop_2_eps_0.008.vnnlib.gz")).unwrap();
    Some((program, property.cases[0].clone()))
}

/// Bounds of one row per disjunct, from a root derived with or without rows, and how many neurons stay unstable.
fn margins(program: &Program, case: &Case, kernel: impl Kernel, rows: bool) -> (Vec<f64>, usize) {
    let tables = program.tables();
    let program = tables.program();
    let disjuncts: Vec<Vec<Row<'_>>> = case
        .disjuncts
        .iter()
        .map(|d| {
            d.rows.iter().map(|r| Row { output: &r.coefficients, input: &[], rhs: r.rhs_upper }).collect()
        })
        .collect();
    let disjuncts: Vec<&[Row<'_>]> = disjuncts.iter().map(Vec::as_slice).collect();
    let problem = Problem { program, disjuncts: &disjuncts, meaning: Meaning::Real };
    let mut words = vec![0; Layout::words(&program)];
    let layout = Layout::new(&program, &mut words).unwrap();
    let (mut floats, mut index) = (vec![0.0; layout.memory_len(LANES)], vec![0; layout.index_len(LANES)]);
    let memory = Memory { floats: &mut floats, index: &mut index, lanes: LANES };
    let mut checker = Checker::new(&problem, &layout, kernel, memory).unwrap();
    let mut memory = vec![0.0; layout.bounds_len()];
    let mut bounds = Bounds::new(&layout, &mut memory);
    let region: (&[f64], &[f64]) = (&case.region.lower, &case.region.upper);
    let start = Instant::now();
    let open = if rows {
        checker.derive(None, region, &[], &Adaptive, &mut bounds)
    } else {
        checker.derive(None, region, &[], &IntervalsOnly, &mut bounds)
    };
    assert_eq!(open, Ok(true));
    let root = start.elapsed();
    let claims = vec![Claim::default(); disjuncts.len()];
    let mut margins = vec![0.0; disjuncts.len()];
    let start = Instant::now();
    let outcome = checker.check_leaf(&bounds, region, &[], &claims, &mut margins);
    assert!(matches!(outcome, Ok(_) | Err(Rejection::NotProved { .. })), "{outcome:?}");
    let mut unstable = 0;
    for (slot, step) in program.steps().iter().enumerate() {
        if let certus_core::program::Operation::Elementwise { input, .. } = step.operation {
            let (lower, upper) = bounds.slot(&layout, input).unwrap();
            unstable += lower.iter().zip(upper).filter(|(l, u)| **l < 0.0 && **u > 0.0).count();
        }
        assert!(bounds.slot(&layout, Slot(slot)).is_some());
    }
    println!("root {root:?}, leaf {:?}, {unstable} unstable, margins {margins:?}", start.elapsed());
    (margins, unstable)
}

#[test]
fn both_kernels_prove_the_same_of_a_residual_network() {
    let Some((program, case)) = residual() else { return };
    let tables = program.tables();
    let fast = ProgramKernel::new(&tables.program());
    let (a, unstable) = margins(&program, &case, fast, false);
    let (b, same) = margins(&program, &case, Plain, false);
    assert_eq!(unstable, same);
    for (a, b) in a.iter().zip(&b) {
        assert!((a - b).abs() <= 1e-9 * (1.0 + b.abs()), "{a} and {b}");
    }
}

#[test]
fn rows_prove_more_of_a_residual_network_than_intervals_and_nothing_false() {
    let Some((program, case)) = residual() else { return };
    let tables = program.tables();
    let fast = ProgramKernel::new(&tables.program());
    let (intervals, many) = margins(&program, &case, fast.clone(), false);
    let (rows, few) = margins(&program, &case, fast, true);
    assert!(few < many && intervals.iter().zip(&rows).all(|(i, r)| r > i), "{few} of {many} unstable");
    // Corners of the box, and its centre.
    for k in 0..40u64 {
        let mut state = k.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let x: Vec<f64> = (case.region.lower.iter().zip(&case.region.upper))
            .map(|(l, u)| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                if k == 0 {
                    0.5 * (l + u)
                } else if state >> 40 & 1 == 0 {
                    *l
                } else {
                    *u
                }
            })
            .collect();
        let y = program.eval(&x);
        for (disjunct, margin) in case.disjuncts.iter().zip(&rows) {
            let row = &disjunct.rows[0];
            let value: f64 = row.coefficients.iter().zip(&y).map(|(c, y)| c * y).sum::<f64>() - row.rhs_upper;
            assert!(*margin <= value + 1e-9, "bound {margin}, value {value}");
        }
    }
}
