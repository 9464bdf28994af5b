//! Programs compute what their networks compute: onnxruntime's outputs, the graph's own evaluation, and a second
//! lowering written apart from the first.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use certus_engine::graph::{self, Network};
use certus_engine::program::{Constants, Map, Operation, Program};
use certus_tests::certus_data;
use certus_tests::naive_lowering::Naive;
use certus_tests::random::Random;
use certus_tests::random_networks::{Draft, FAMILIES};
use flate2::read::GzDecoder;
use proptest::prelude::*;

#[derive(serde::Deserialize)]
struct Golden {
    onnx: String,
    points: Vec<Point>,
}

#[derive(serde::Deserialize)]
struct Point {
    x: Vec<f32>,
    y: Vec<f32>,
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

fn goldens(root: &Path) -> impl Iterator<Item = Golden> {
    let categories = files(&root.join("golden/onnx")).into_iter().flat_map(|year| files(&year));
    categories.flat_map(|category| files(&category)).map(|file| {
        let mut text = String::new();
        GzDecoder::new(fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
        serde_json::from_str(&text).unwrap()
    })
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

/// Fails if an element differs by more than `tolerance` of the largest.
fn assert_close(expected: &[f64], found: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f64, |m, y| m.max(y.abs()));
    for (i, (e, f)) in expected.iter().zip(found).enumerate() {
        assert!((e - f).abs() <= tolerance * largest, "{what}: output {i} is {f}, expected {e}");
    }
}

#[test]
fn the_programs_of_all_119_networks_compute_what_onnxruntime_does() {
    let Some(root) = certus_data("programs of the 119 networks") else { return };
    let mut count = 0;
    for golden in goldens(&root) {
        let name = &golden.onnx;
        let network = graph::load_network(&root.join("benchmarks").join(name)).unwrap();
        let program = network.lower().unwrap();
        for Point { x, y } in &golden.points {
            let (expected, exact) = (wide(y), program.eval(&wide(x)));
            assert_close(&expected, &exact, 1e-4, &format!("{name} in f64"));
            assert_close(&expected, &wide(&program.eval(x)), 1e-4, &format!("{name} in f32"));
            let graph = network.eval(&wide(x));
            assert_close(&graph, &exact, tolerance(&program).min(1e-5), &format!("{name} and its graph"));
        }
        println!("{name}: {} steps", program.steps().len());
        count += 1;
    }
    assert_eq!(count, 119);
}

/// The constants of a step that carry errors.
fn inexact(operation: &Operation) -> Vec<&Constants> {
    let Operation::Affine(affine) = operation else { return Vec::new() };
    let maps = affine.terms.iter().filter_map(|t| match &t.map {
        Map::Scale(scale) => Some(scale),
        Map::Sparse(sparse) => Some(&sparse.values),
        _ => None,
    });
    affine.bias.iter().chain(maps).filter(|c| c.error.is_some()).collect()
}

/// Largest difference of the two lowerings relative to the largest value on the way: the rounding of doubles, or
/// of constants to `f32` (2^-25 each), as later nodes enlarge it.
fn tolerance(program: &Program) -> f64 {
    let exact = program.steps().iter().all(|s| inexact(&s.operation).is_empty());
    if exact { 1e-9 } else { 1e-4 }
}

/// Fails if the two lowerings differ at `x`.
fn compare(network: &Network, program: &Program, x: &[f64]) -> Result<(), TestCaseError> {
    let Some(naive) = Naive::lower(network) else {
        prop_assert_eq!(program.eval(x), x);
        return Ok(());
    };
    let (expected, magnitude) = naive.eval(x);
    // Nothing is said where a network leaves the domain of its functions.
    prop_assume!(magnitude.is_finite() && magnitude < 1e6);
    let found = program.eval(x);
    prop_assert_eq!(found.len(), expected.len());
    let amplified = amplified(&naive, x, tolerance(program) / 1000.0);
    let bound = tolerance(program) * (1.0 + magnitude) + amplified;
    for (i, (e, f)) in expected.iter().zip(&found).enumerate() {
        prop_assert!((e - f).abs() <= bound, "output {} is {}, expected {}", i, f, e);
    }
    Ok(())
}

/// Twice as far as an output at `x` is off when all that is rounded on the way is off by up to `part` of itself: all of it down, all of it
/// up, and six times at random. Tiny, but for sines of large arguments and arguments at a jump.
fn amplified(naive: &Naive, x: &[f64], part: f64) -> f64 {
    let exact = naive.eval(x).0;
    let mut random = Random::new(x.len() as u64);
    let mut shaken = vec![naive.eval_shaken(x, || -part).0, naive.eval_shaken(x, || part).0];
    shaken.extend((0..6).map(|_| naive.eval_shaken(x, || part * f64::from(random.between(-1.0, 1.0))).0));
    let off = shaken.iter().flat_map(|y| y.iter().zip(&exact)).map(|(y, exact)| (y - exact).abs());
    2.0 * off.fold(0.0, f64::max)
}

/// A network with a node of each of `families`, as far as they fit.
fn draw(families: &[&str], random: &mut Random) -> Draft {
    let rank = [2, 3, 4, 4][random.below(4)];
    let shape: Vec<usize> = (0..rank).map(|axis| 1 + random.below(if axis == 0 { 2 } else { 5 })).collect();
    let mut draft = Draft::new(&shape);
    for family in families {
        draft.extend(family, random);
    }
    draft
}

fn point(len: usize, random: &mut Random) -> Vec<f64> {
    (0..len).map(|_| f64::from(random.between(-1.5, 1.5))).collect()
}

#[test]
fn each_family_alone_lowers_as_the_naive_lowering_says() {
    for family in FAMILIES {
        let mut compared = 0;
        for seed in 0..60 {
            let mut random = Random::new(seed);
            let draft = draw(&[family], &mut random);
            if draft.nodes() == 0 {
                continue;
            }
            let network = draft.network();
            let program = network.lower().unwrap_or_else(|e| panic!("{family}, seed {seed}: {e}"));
            let x = point(program.inputs(), &mut random);
            match compare(&network, &program, &x) {
                Ok(()) => compared += 1,
                Err(TestCaseError::Reject(_)) => {}
                Err(e) => panic!("{family}, seed {seed}: {e}\n{:?}", network.nodes()),
            }
        }
        assert!(compared >= 10, "{family}: only {compared} networks were compared");
    }
}

/// The quotient of a number by itself is a product with its reciprocal, which may fall short of 1, and there its floor is 0; the sine of
/// 50,000, times 50,000 and that again, has lost nine digits.
#[test]
fn what_rounding_is_amplified_to_is_allowed_for() {
    let cases: [(&[&str], u64); 3] = [
        (&["quotient", "Transpose", "Tile", "function"], 9_298_200_913_778_646_482),
        (
            &["Reduce of positive numbers", "product of computed values", "Max constant", "Pad", "PRelu"],
            13_824_983_569_135_623_577,
        ),
        (&["quotient", "function", "Softmax"], 6_979_664_515_129_860_619),
    ];
    for (families, seed) in cases {
        let mut random = Random::new(seed);
        let network = draw(families, &mut random).network();
        let program = network.lower().unwrap();
        let x = point(program.inputs(), &mut random);
        let (expected, magnitude) = Naive::lower(&network).unwrap().eval(&x);
        let off = |(e, f): (&f64, f64)| (e - f).abs() > tolerance(&program) * (1.0 + magnitude);
        assert!(expected.iter().zip(program.eval(&x)).any(off), "{families:?}: the case is one");
        compare(&network, &program, &x).unwrap();
    }
}

/// Well-conditioned networks are held to the tolerance alone.
#[test]
fn what_is_allowed_for_amplified_rounding_is_little() {
    let (mut little, mut all) = (0, 0);
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let families = [FAMILIES[random.below(FAMILIES.len())], FAMILIES[random.below(FAMILIES.len())]];
        let draft = draw(&families, &mut random);
        if draft.nodes() == 0 {
            continue;
        }
        let network = draft.network();
        let Some(naive) = Naive::lower(&network) else { continue };
        let x = point(network.lower().unwrap().inputs(), &mut random);
        let (_, magnitude) = naive.eval(&x);
        if magnitude.is_finite() {
            little += usize::from(amplified(&naive, &x, 1e-12) <= 1e-10 * (1.0 + magnitude));
            all += 1;
        }
    }
    assert!(all > 200 && 100 * little >= 97 * all, "{little} of {all}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_global_rejects: 4000, ..ProptestConfig::default() })]

    #[test]
    fn random_networks_lower_as_the_naive_lowering_says(
        families in prop::collection::vec(prop::sample::select(FAMILIES.to_vec()), 2..6),
        seed in any::<u64>(),
    ) {
        let mut random = Random::new(seed);
        let draft = draw(&families, &mut random);
        prop_assume!(draft.nodes() > 0);
        let network = draft.network();
        let program = network.lower().map_err(|e| TestCaseError::fail(e.to_string()))?;
        let x = point(program.inputs(), &mut random);
        compare(&network, &program, &x)?;
    }

    #[test]
    fn stated_errors_cover_what_rounding_moved(
        family in prop::sample::select(vec!["AveragePool", "BatchNormalization", "Div by constant", "Gemm", "Reduce"]),
        seed in any::<u64>(),
    ) {
        let mut random = Random::new(seed);
        let draft = draw(&[family], &mut random);
        prop_assume!(draft.nodes() > 0);
        let network = draft.network();
        let program = network.lower().map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assume!(program.steps().len() == 1 && !inexact(&program.steps()[0].operation).is_empty());
        // One basis vector, so that one column of the map and the bias are seen.
        let mut x = vec![0.0; program.inputs()];
        let column = random.below(x.len());
        x[column] = 1.0;
        let (expected, magnitude) = Naive::lower(&network).unwrap().eval(&x);
        let bound = error_of_column(&program, column);
        for ((e, f), bound) in expected.iter().zip(program.eval(&x)).zip(bound) {
            // Doubles are rounded too, a thousand times finer.
            prop_assert!((e - f).abs() <= bound + 1e-14 * magnitude, "{} {} {}", e, f, bound);
        }
        for constants in inexact(&program.steps()[0].operation) {
            for (value, error) in constants.values.iter().zip(constants.error.iter().flatten()) {
                // Half a unit in the last place, and what doubles lose where a shift cancels.
                let (value, error) = (f64::from(value.abs()), f64::from(*error));
                prop_assert!(error <= 6.0e-8 * value + 1e-14, "{} {}", error, value);
            }
        }
    }
}

/// What the stated errors of a program of one affine step allow each output to be off at a basis vector.
fn error_of_column(program: &Program, column: usize) -> Vec<f64> {
    let mut sum = vec![0.0; program.outputs()];
    let Operation::Affine(affine) = &program.steps()[0].operation else { return sum };
    let of = |c: &Constants, i: usize| c.error.as_ref().map_or(0.0, |e| f64::from(e[i]));
    if let Some(bias) = &affine.bias {
        sum.iter_mut().enumerate().for_each(|(i, s)| *s += of(bias, i));
    }
    for term in &affine.terms {
        match &term.map {
            Map::Scale(scale) => sum[column] += of(scale, column),
            Map::Sparse(sparse) => sparse.for_each(|row, col, value| {
                sum[row] += if col == column { of(&sparse.values, value) } else { 0.0 };
            }),
            _ => {}
        }
    }
    sum
}

/// Products in one naive evaluation that take seconds.
const PRODUCTS_MAX: usize = 3_000_000;

#[test]
fn the_small_networks_lower_as_the_naive_lowering_says() {
    let Some(root) = certus_data("small networks, lowered twice") else { return };
    let mut compared = 0;
    for golden in goldens(&root) {
        let network = graph::load_network(&root.join("benchmarks").join(&golden.onnx)).unwrap();
        if products(&network) > PRODUCTS_MAX {
            continue;
        }
        let program = network.lower().unwrap();
        let x = wide(&golden.points[0].x);
        let (expected, _) = Naive::lower(&network).unwrap().eval(&x);
        let close = if tolerance(&program) < 1e-8 { 1e-9 } else { 1e-5 };
        assert_close(&expected, &program.eval(&x), close, &golden.onnx);
        compared += 1;
    }
    println!("{compared} networks compared");
    assert!(compared >= 70, "{compared}");
}

/// About how many products the constants of a network take part in.
fn products(network: &Network) -> usize {
    let uses = |node: &graph::Node| {
        let rows: usize = network.value(node.output).shape.iter().product();
        let constants = node.inputs.iter().filter_map(|id| network.value(*id).floats());
        let largest = constants.map(<[f32]>::len).max().unwrap_or(0);
        match &node.op {
            graph::Op::Conv { window, .. } => largest * window.len_out(),
            graph::Op::ConvTranspose { window, .. } => largest * window.len_out(),
            _ => largest.max(rows),
        }
    };
    network.nodes().iter().map(uses).sum()
}
