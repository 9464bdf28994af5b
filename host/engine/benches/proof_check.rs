//! What it costs to check: a lemma at the root and leaves below it, of the residual network of the benchmark set:
//! `CERTUS_DATA=… cargo bench -p certus-engine --bench proof_check`.
//!
//! Least of several runs, wall time of one thread. Before it is timed, a leaf's bound is compared with that of the plain kernel.

use certus_core::program::{Operation, Slot};
use certus_core::proof::program::{
    Adaptive, Bounds, Checker, Claim, Kernel, Layout, Memory, Plain, Problem, Row, Split,
};
use certus_core::proof::{Meaning, Rejection};
use certus_engine::device::ProgramKernel;
use certus_engine::{graph, property};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const LANES: usize = 64;

/// The least time of `runs` runs, and the last result.
fn least<T>(runs: usize, mut run: impl FnMut() -> T) -> (Duration, T) {
    let mut best = Duration::MAX;
    let mut result = None;
    for _ in 0..runs {
        let start = Instant::now();
        result = Some(run());
        best = best.min(start.elapsed());
    }
    (best, result.expect("at least one run"))
}

fn main() {
    let Some(data) = std::env::var_os("CERTUS_DATA") else {
        println!("CERTUS_DATA is not set");
        return;
    };
    let folder = PathBuf::from(data).join("benchmarks/vnncomp2021/cifar10_resnet");
    let network = graph::load_program(&folder.join("onnx/resnet_2b.onnx.gz")).expect("the network is read");
    let file = folder.join("vnnlib/prop_32_eps_0.008.vnnlib.gz");
    let property = property::load_property(&file).expect("the property is read");
    let case = &property.cases[0];
    let tables = network.tables();
    let program = tables.program();
    let row = |r: &property::Row| Row { output: leak(&r.coefficients), input: &[], rhs: r.rhs_upper };
    let rows: Vec<Vec<Row<'_>>> = case.disjuncts.iter().map(|d| d.rows.iter().map(row).collect()).collect();
    let disjuncts: Vec<&[Row<'_>]> = rows.iter().map(Vec::as_slice).collect();
    let problem = Problem { program, disjuncts: &disjuncts, meaning: Meaning::Real };
    let mut words = vec![0; Layout::words(&program)];
    let layout = Layout::new(&program, &mut words).expect("the program fits");
    let region: (&[f64], &[f64]) = (&case.region.lower, &case.region.upper);
    let fast = measure(&problem, &layout, region, ProgramKernel::new(&program), 5);
    let plain = measure(&problem, &layout, region, Plain, 1);
    for (a, b) in fast.iter().zip(&plain) {
        assert!((a - b).abs() <= 1e-9 * (1.0 + b.abs()), "{a} and {b}");
    }
}

fn leak(values: &[f64]) -> &'static [f64] {
    Vec::leak(values.to_vec())
}

fn measure(
    problem: &Problem<'_>,
    layout: &Layout<'_>,
    region: (&[f64], &[f64]),
    kernel: impl Kernel,
    runs: usize,
) -> Vec<f64> {
    let (mut floats, mut index) = (vec![0.0; layout.memory_len(LANES)], vec![0; layout.index_len(LANES)]);
    let memory = Memory { floats: &mut floats, index: &mut index, lanes: LANES };
    let mut checker = Checker::new(problem, layout, kernel, memory).expect("the problem is taken");
    let mut memory = vec![0.0; layout.bounds_len()];
    let mut bounds = Bounds::new(layout, &mut memory);
    let (root, open) = least(runs, || checker.derive(None, region, &[], &Adaptive, &mut bounds));
    assert_eq!(open, Ok(true));
    let mut unstable = Vec::new();
    for step in problem.program.steps() {
        if let Operation::Elementwise { input, .. } = step.operation {
            let (lower, upper) = bounds.slot(layout, input).expect("derived");
            let open = (0..lower.len()).filter(|i| lower[*i] < 0.0 && upper[*i] > 0.0);
            unstable.extend(open.map(|i| (input, i as u32)));
        }
    }
    println!("root {root:?}, {} unstable neurons", unstable.len());
    let claims = vec![Claim::default(); problem.disjuncts.len()];
    let mut margins = vec![0.0; claims.len()];
    let mut all = Vec::new();
    for count in [0, 1, 4, 16] {
        let split =
            |(slot, element): &(Slot, u32)| Split { slot: *slot, element: *element, point: 0.0, above: true };
        let splits: Vec<Split> =
            unstable.iter().step_by(unstable.len() / 16).take(count).map(split).collect();
        let (leaf, outcome) =
            least(4 * runs, || checker.check_leaf(&bounds, region, &splits, &claims, &mut margins));
        assert!(matches!(outcome, Ok(_) | Err(Rejection::NotProved { .. })), "{outcome:?}");
        println!("leaf with {count} splits {leaf:?}, {} disjuncts, {outcome:?}", claims.len());
        all.extend(&margins);
    }
    all
}
