//! Bounds by affine forms against exact rationals: on random programs of every kind of step, with few and with many symbols, down to boxes of one point
//! where every missing rounding term shows.

mod support;

use certus_core::program::{Function, Map, Operation, Program, Step, Term};
use certus_core::program::{Slot, Terms};
use certus_core::proof::program::{
    Adaptive, Bounds, Checker, IntervalsOnly, Layout, Memory, Plain, Problem, Row, Slopes, Start,
};
use certus_core::proof::{Meaning, Rejection};
use num_rational::BigRational;
use support::{Owned, Random, exact};

/// Forms with so many symbols.
struct Forms(usize);

impl Slopes for Forms {
    fn columns(&self) -> usize {
        self.0
    }
    fn start(&self, _: Slot, _: usize, _: bool) -> Start {
        Start::Skip
    }
}

/// Lower and upper bounds of each slot.
type Slots = Vec<(Vec<f64>, Vec<f64>)>;

/// Bounds of a program on a box.
fn derive(program: Program<'_>, region: (&[f64], &[f64]), slopes: &impl Slopes) -> Result<Slots, Rejection> {
    let coefficients = vec![1.0; program.outputs()];
    let rows = [Row { output: &coefficients, input: &[], rhs: 0.0 }];
    let problem = Problem { program, disjuncts: &[&rows], meaning: Meaning::Real };
    let mut words = vec![0; Layout::words(&program)];
    let layout = Layout::new(&program, &mut words)?;
    let forms = if slopes.columns() > 0 { layout.forms_len(slopes.columns(), 1) } else { 0 };
    // What is in the memory before must not matter, be it numbers or not.
    let junk = if slopes.columns().is_multiple_of(2) { f64::NAN } else { -0.25 };
    let mut floats = vec![junk; layout.memory_len(2) + forms];
    let mut index = vec![7; layout.index_len(2)];
    let memory = Memory { floats: &mut floats, index: &mut index, lanes: 2 };
    let mut checker = Checker::new(&problem, &layout, Plain, memory)?;
    let mut memory = vec![f64::NAN; layout.bounds_len()];
    let mut bounds = Bounds::new(&layout, &mut memory);
    assert!(checker.derive(None, region, &[], slopes, &mut bounds)?, "no split explains an empty box");
    let slot = |s: usize| {
        let (lower, upper) = bounds.slot(&layout, Slot(s)).unwrap();
        (lower.to_vec(), upper.to_vec())
    };
    Ok((0..program.slots()).map(slot).collect())
}

#[test]
fn no_exact_value_lies_outside_its_form() {
    let (mut compared, mut tighter) = (0, 0);
    for epsilon in [0.0, 1e-9, 1e-2, 0.6] {
        for seed in 0..if epsilon == 0.0 { 1000 } else { 400 } {
            let mut random = Random::new(seed ^ 0x0f0f);
            let steps = 1 + random.below(9);
            let owned = Owned::random(&mut random, steps);
            let n = owned.sizes[0];
            let centre: Vec<f64> = (0..n).map(|_| (2.0 * random.unit()) as f32 as f64).collect();
            let lower: Vec<f64> = centre.iter().map(|c| c - epsilon).collect();
            let upper: Vec<f64> = centre.iter().map(|c| c + epsilon).collect();
            let tables = owned.tables();
            let program = support::program(&owned, &tables);
            let region: (&[f64], &[f64]) = (&lower, &upper);
            let forms = derive(program, region, &Forms(1 + random.below(20)))
                .unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            let intervals = derive(program, region, &IntervalsOnly).unwrap();
            for k in 0..if epsilon == 0.0 { 1 } else { 8 } {
                let x: Vec<BigRational> = (0..n)
                    .map(|j| {
                        let t = 0.5 + 0.5 * random.unit();
                        let t = if k < 4 { t.round() } else { t };
                        exact((lower[j] + t * (upper[j] - lower[j])).clamp(lower[j], upper[j]))
                    })
                    .collect();
                for (slot, values) in owned.exact(&x).iter().enumerate() {
                    for ((l, u), value) in forms[slot].0.iter().zip(&forms[slot].1).zip(values) {
                        compared += 1;
                        assert!(
                            exact(*l) <= *value && *value <= exact(*u),
                            "seed {seed}, epsilon {epsilon}, slot {slot}: [{l:e}, {u:e}] {:e}",
                            support::at_least(value)
                        );
                    }
                }
            }
            for ((lower, upper), (low, high)) in forms.iter().zip(&intervals) {
                let widths = lower.iter().zip(upper).zip(low.iter().zip(high));
                tighter += widths.filter(|((l, u), (a, b))| *u - *l < 0.9 * (*b - *a)).count();
            }
        }
    }
    println!("{compared} comparisons, {tighter} intervals a tenth tighter");
    assert!(compared > 50_000 && tighter > 1000, "{compared}, {tighter}");
}

#[test]
fn curved_functions_stay_inside_their_forms() {
    let (mut compared, mut refused) = (0, 0);
    for seed in 0..600 {
        let mut random = Random::new(seed ^ 0x7777);
        let steps = 1 + random.below(6);
        let owned = Owned::random_with(&mut random, steps, support::curved_function);
        let tables = owned.tables();
        let program = support::program(&owned, &tables);
        let epsilon = [1e-6, 0.05, 0.5][random.below(3)];
        let centre: Vec<f64> = (0..program.inputs()).map(|_| 1.5 + random.unit()).collect();
        let lower: Vec<f64> = centre.iter().map(|c| c - epsilon).collect();
        let upper: Vec<f64> = centre.iter().map(|c| c + epsilon).collect();
        let bounds = match derive(program, (&lower, &upper), &Forms(1 + random.below(20))) {
            Ok(bounds) => bounds,
            Err(Rejection::Domain { .. } | Rejection::NonFinite) => {
                refused += 1;
                continue;
            }
            Err(other) => panic!("seed {seed}: {other}"),
        };
        for k in 0..12 {
            let x: Vec<f64> = (0..lower.len())
                .map(|j| {
                    let t = 0.5 + 0.5 * random.unit();
                    let t = if k < 6 { t.round() } else { t };
                    (lower[j] + t * (upper[j] - lower[j])).clamp(lower[j], upper[j])
                })
                .collect();
            for (slot, values) in owned.values(&x).iter().enumerate() {
                for ((l, u), v) in bounds[slot].0.iter().zip(&bounds[slot].1).zip(values) {
                    compared += 1;
                    let near = 1e-9 * (1.0 + v.abs());
                    assert!(
                        *l <= v + near && v - near <= *u,
                        "seed {seed}, slot {slot}: [{l:e}, {u:e}] {v:e}"
                    );
                }
            }
        }
    }
    println!("{compared} comparisons, {refused} programs refused");
    assert!(compared > 20_000 && refused < 300, "{compared}, {refused}");
}

/// `relu(x + 1/2) − relu(x + 1/2)` through two branches: what both have in common cancels only where a symbol is kept of it.
#[test]
fn a_symbol_of_a_relaxation_cancels() {
    let twice = Map::Dense { count: 1, rows: 2, cols: 1, weights: &[1.0, 1.0] };
    let one = Map::Dense { count: 1, rows: 1, cols: 1, weights: &[1.0] };
    let apart = Map::Dense { count: 1, rows: 1, cols: 2, weights: &[1.0, -1.0] };
    let terms = [(0, one), (2, twice), (3, apart)].map(|(s, map)| Term { input: Slot(s), map });
    let affine = |first, len| Step {
        len,
        operation: Operation::Affine { terms: Terms { first, count: 1 }, bias: None },
    };
    let relu =
        Step { len: 1, operation: Operation::Elementwise { input: Slot(1), function: Function::Relu } };
    let steps = [affine(0, 1), relu, affine(1, 2), affine(2, 1)];
    let program = Program::new(1, &steps, &terms).unwrap();
    let region: (&[f64], &[f64]) = (&[-1.0], &[1.0]);
    let width = |slopes: &Forms| {
        let bounds = derive(program, region, slopes).unwrap();
        bounds[4].1[0] - bounds[4].0[0]
    };
    assert!(width(&Forms(2)) < 1e-9, "a symbol for x and one for the relaxation");
    assert!(width(&Forms(1)) > 0.4, "the relaxation's part is in the radius");
    let rows = derive(program, region, &Adaptive).unwrap();
    assert!(
        rows[4].1[0] - rows[4].0[0] > 1.9,
        "the output reads no nonlinear step: its bounds are intervals"
    );
}

#[test]
fn forms_that_do_not_fit_are_refused() {
    let random = &mut Random::new(1);
    let owned = Owned::random(random, 4);
    let tables = owned.tables();
    let program = support::program(&owned, &tables);
    let box_of = vec![0.0; program.inputs()];
    let region: (&[f64], &[f64]) = (&box_of, &box_of);
    assert!(matches!(derive(program, region, &Forms(100_000)), Err(Rejection::Shape)));
    assert!(derive(program, region, &Forms(4)).is_ok());
}
