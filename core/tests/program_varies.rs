//! Boxes with fixed inputs: what does not vary keeps the bounds of a lemma above, has no form and leaves a row by its interval. Against exact rationals on
//! random programs, against derivations without a lemma above, and by the products that are computed.

mod support;

use certus_core::program::{Function, Map, Program, Slot};
use certus_core::proof::program::{
    Adaptive, Bounds, Checker, Claim, IntervalsOnly, Kernel, Layout, Matrix, Memory, Plain, Problem, Row,
    Slopes, Start,
};
use certus_core::proof::{Meaning, Rejection};
use num_rational::BigRational;
use num_traits::Zero;
use std::cell::Cell;
use support::{Owned, OwnedConstants, OwnedMap, OwnedStep, Random, exact};

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

type Slots = Vec<(Vec<f64>, Vec<f64>)>;
type Box64<'a> = (&'a [f64], &'a [f64]);

/// Bounds of each slot on `inside` below a lemma on `outside`, and without; the margin of a leaf with these bounds.
struct Derived {
    below: Slots,
    alone: Slots,
    margins: [f64; 2],
}

fn derive(
    program: Program<'_>,
    row: &Row<'_>,
    (outside, inside): (Box64<'_>, Box64<'_>),
    slopes: &impl Slopes,
    mut kernel: impl FnMut() -> Box<dyn Kernel>,
) -> Result<Derived, Rejection> {
    let rows = [*row];
    let problem = Problem { program, disjuncts: &[&rows], meaning: Meaning::Real };
    let mut words = vec![0; Layout::words(&program)];
    let layout = Layout::new(&program, &mut words)?;
    let forms = layout.forms_len(slopes.columns(), 1);
    let mut run = |above: bool| {
        let mut floats = vec![f64::NAN; layout.memory_len(4) + forms];
        let mut index = vec![7; layout.index_len(4)];
        let memory = Memory { floats: &mut floats, index: &mut index, lanes: 4 };
        let mut checker = Checker::new(&problem, &layout, Lent(kernel()), memory)?;
        let mut memory = [(); 2].map(|()| vec![f64::NAN; layout.bounds_len()]);
        let [first, second] = &mut memory;
        let (mut root, mut bounds) = (Bounds::new(&layout, first), Bounds::new(&layout, second));
        if above {
            checker.derive(None, outside, &[], slopes, &mut root)?;
        }
        checker.derive(above.then_some(&root), inside, &[], slopes, &mut bounds)?;
        let mut margins = [0.0];
        match checker.check_leaf(&bounds, inside, &[], &[Claim::default()], &mut margins) {
            Ok(_) | Err(Rejection::NotProved { .. }) => {}
            Err(other) => return Err(other),
        }
        let slot = |s: usize| {
            let (lower, upper) = bounds.slot(&layout, Slot(s)).unwrap();
            (lower.to_vec(), upper.to_vec())
        };
        Ok(((0..program.slots()).map(slot).collect::<Slots>(), margins[0]))
    };
    let ((below, first), (alone, second)) = (run(true)?, run(false)?);
    Ok(Derived { below, alone, margins: [first, second] })
}

/// A kernel by reference.
struct Lent(Box<dyn Kernel>);

impl Kernel for Lent {
    fn forward(&mut self, matrix: Matrix<'_>, x: &[f64], sum: &mut [f64]) {
        self.0.forward(matrix, x, sum);
    }
    fn forward_absolute(&mut self, matrix: Matrix<'_>, x: &[f64], sum: &mut [f64]) {
        self.0.forward_absolute(matrix, x, sum);
    }
    fn forward_lanes(&mut self, matrix: Matrix<'_>, x: (&[f64], usize), out: (&mut [f64], usize)) {
        self.0.forward_lanes(matrix, x, out);
    }
    fn transposed(
        &mut self,
        matrix: Matrix<'_>,
        rows: &[u32],
        a: (&[f64], usize),
        out: &mut [f64],
        live: &mut [u32],
    ) {
        self.0.transposed(matrix, rows, a, out, live);
    }
}

/// A box of which some inputs are fixed, and one inside it: some of the others are halved, and some become fixed.
fn boxes(random: &mut Random, n: usize) -> [Vec<f64>; 4] {
    let centre: Vec<f64> = (0..n).map(|_| (2.0 * random.unit()) as f32 as f64).collect();
    let radius: Vec<f64> = (0..n).map(|_| [0.0, 1e-15, 0.1, 0.6][random.below(4)]).collect();
    let lower: Vec<f64> = centre.iter().zip(&radius).map(|(c, r)| c - r).collect();
    let upper: Vec<f64> = centre.iter().zip(&radius).map(|(c, r)| c + r).collect();
    let (mut low, mut high) = (lower.clone(), upper.clone());
    for j in 0..n {
        match random.below(4) {
            0 => low[j] = centre[j],
            1 => high[j] = centre[j],
            2 if random.below(2) == 0 => (low[j], high[j]) = (upper[j], upper[j]),
            _ => {}
        }
    }
    [lower, upper, low, high]
}

#[test]
fn bounds_below_a_lemma_hold_and_lose_nothing_where_inputs_are_fixed() {
    let (mut compared, mut partly) = (0, 0);
    for seed in 0..900 {
        let mut random = Random::new(seed ^ 0x5151);
        let steps = 1 + random.below(9);
        let owned = Owned::random(&mut random, steps);
        let tables = owned.tables();
        let program = support::program(&owned, &tables);
        let [lower, upper, low, high] = boxes(&mut random, owned.sizes[0]);
        partly += usize::from((0..low.len()).any(|j| low[j] == high[j]) && low != high);
        let coefficients: Vec<f64> = (0..program.outputs()).map(|_| 2.0 * random.unit()).collect();
        let row = Row { output: &coefficients, input: &[], rhs: 0.0 };
        let both: (Box64<'_>, Box64<'_>) = ((&lower, &upper), (&low, &high));
        let plain = || Box::new(Plain) as Box<dyn Kernel>;
        let derived = match seed % 3 {
            0 => derive(program, &row, both, &IntervalsOnly, plain),
            1 => derive(program, &row, both, &Forms(1 + random.below(12)), plain),
            _ => derive(program, &row, both, &Adaptive, plain),
        };
        let Derived { below, alone, margins } = derived.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        for k in 0..8 {
            let at = |j: usize| {
                let t = [0.0, 1.0, 0.5, 0.25][(k + j * k / 2) % 4];
                exact((low[j] + t * (high[j] - low[j])).clamp(low[j], high[j]))
            };
            let x: Vec<BigRational> = (0..low.len()).map(at).collect();
            let values = owned.exact(&x);
            for (slots, margin) in [(&below, margins[0]), (&alone, margins[1])] {
                for ((lower, upper), values) in slots.iter().zip(&values) {
                    for ((l, u), value) in lower.iter().zip(upper).zip(values) {
                        compared += 1;
                        let near = support::at_least(value);
                        let holds = exact(*l) <= *value && *value <= exact(*u);
                        assert!(holds, "seed {seed}: [{l:e}, {u:e}] {near:e}");
                    }
                }
                let outputs = values.last().unwrap().iter().zip(&coefficients);
                let value = outputs.fold(BigRational::zero(), |s, (y, c)| s + y * exact(*c));
                assert!(exact(margin) <= value, "seed {seed}: {margin:e}");
            }
        }
        // Below a lemma bounds are only tighter.
        for ((lower, upper), (low, high)) in below.iter().zip(&alone) {
            let ends = lower.iter().zip(upper).zip(low.iter().zip(high));
            for ((l, u), (a, b)) in ends.filter(|(_, (a, b))| a.abs().max(b.abs()) < 1e9) {
                let slack = 1e-6 * (1.0 + a.abs().max(b.abs()));
                assert!(*l >= a - slack && *u <= b + slack, "seed {seed}: [{l}, {u}], alone [{a}, {b}]");
            }
        }
    }
    println!("{compared} comparisons, {partly} boxes with fixed inputs");
    assert!(compared > 200_000 && partly > 150, "{compared}, {partly}");
}

/// Counts the vectors that dense maps are multiplied with.
struct Counting(std::rc::Rc<Cell<usize>>);

impl Counting {
    fn count(&self, matrix: &Matrix<'_>, vectors: usize) {
        if matches!(matrix.map, Map::Dense { .. }) {
            self.0.set(self.0.get() + vectors);
        }
    }
}

fn vectors(map: &Map<'_>) -> usize {
    if let Map::Dense { count, .. } = map { *count } else { 0 }
}

impl Kernel for Counting {
    fn forward(&mut self, matrix: Matrix<'_>, x: &[f64], sum: &mut [f64]) {
        self.count(&matrix, vectors(matrix.map));
        Plain.forward(matrix, x, sum);
    }
    fn forward_absolute(&mut self, matrix: Matrix<'_>, x: &[f64], sum: &mut [f64]) {
        self.count(&matrix, vectors(matrix.map));
        Plain.forward_absolute(matrix, x, sum);
    }
    fn forward_lanes(&mut self, matrix: Matrix<'_>, x: (&[f64], usize), out: (&mut [f64], usize)) {
        self.count(&matrix, vectors(matrix.map));
        Plain.forward_lanes(matrix, x, out);
    }
    fn transposed(
        &mut self,
        matrix: Matrix<'_>,
        rows: &[u32],
        a: (&[f64], usize),
        out: &mut [f64],
        live: &mut [u32],
    ) {
        if let Map::Dense { rows: height, .. } = matrix.map {
            let mut reached: Vec<usize> = rows.iter().map(|r| *r as usize / height).collect();
            reached.dedup();
            self.count(&matrix, reached.len());
        }
        Plain.transposed(matrix, rows, a, out, live);
    }
}

/// `Σᵢ relu(W relu(V xᵢ))` over seven tokens of two numbers each.
fn tokens() -> Owned {
    let dense = |rows, cols, count| OwnedMap::Dense {
        count,
        rows,
        cols,
        weights: (0..rows * cols).map(|k| ((k * 7 % 5) as f32 - 1.5) / 2.0).collect(),
    };
    let affine = |from, map| OwnedStep::Affine { terms: vec![(from, map)], bias: None };
    let sum = OwnedMap::Sparse {
        cols: 21,
        starts: (0..=3).map(|i| 7 * i).collect(),
        columns: (0..3).flat_map(|i| (0..7).map(move |token| 3 * token + i)).collect(),
        values: OwnedConstants { values: vec![1.0; 21], error: None, place: vec![BigRational::zero(); 21] },
    };
    Owned {
        sizes: vec![14, 28, 28, 21, 21, 3, 1],
        steps: vec![
            affine(0, dense(4, 2, 7)),
            OwnedStep::Elementwise(1, Function::Relu),
            affine(2, dense(3, 4, 7)),
            OwnedStep::Elementwise(3, Function::Relu),
            affine(4, sum),
            affine(5, dense(1, 3, 1)),
        ],
    }
}

#[test]
fn fixed_tokens_cost_no_products_below_a_lemma() {
    let owned = tokens();
    let tables = owned.tables();
    let program = support::program(&owned, &tables);
    let mut lower: Vec<f64> = (0..14).map(|j| f64::from(j % 3) - 0.75).collect();
    let mut upper = lower.clone();
    // One number of the third token is free, and another is a decimal between two numbers.
    (lower[5], upper[5], upper[9]) = (-1.0, 1.0, upper[9].next_up());
    let mut inside = upper.clone();
    inside[5] = 0.0;
    let row = Row { output: &[1.0], input: &[], rhs: 0.0 };
    let both: (Box64<'_>, Box64<'_>) = ((&lower, &upper), (&lower, &inside));
    let count = |slopes: &Forms| {
        // One cell for each of the two runs.
        let cells: [std::rc::Rc<Cell<usize>>; 2] = Default::default();
        let mut next = 0;
        let kernel = || {
            next += 1;
            Box::new(Counting(cells[next - 1].clone())) as Box<dyn Kernel>
        };
        derive(program, &row, both, slopes, kernel).unwrap();
        cells.map(|c| c.get())
    };
    let [both, alone] = count(&Forms(2));
    // A lemma alone: masses, centres and radii of 15 vectors; then forms (one pass for radii, one for coefficients) and a row of three.
    assert_eq!(alone, 3 * 15 + 2 * 3 + 3);
    // Below it: three vectors of each.
    assert_eq!(both - alone + 3, 3 * 3 + 2 * 3 + 3);
}
