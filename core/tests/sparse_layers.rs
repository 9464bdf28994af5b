//! A sparse layer is the dense layer with zeros in all other places: the same bits forward, the same bounds, the same proofs; and
//! lists that are no rows are refused.

mod support;

use certus_core::bounds::{Method, memory_len, prepare, row_lower};
use certus_core::proof::{self, Claim, Meaning, Memory, Plain, Problem, Row, Split};
use certus_core::{Dense, Layer, Network, ShapeError, Sparse, infer};
use support::Random;

/// Widths of the network: blocks of the forward pass are whole, cut and skipped.
const WIDTHS: [usize; 5] = [3, 40, 97, 33, 2];

struct Data {
    weights: Vec<f32>,
    starts: Vec<u32>,
    columns: Vec<u32>,
    values: Vec<f32>,
    bias: Vec<f32>,
}

fn data(random: &mut Random, cols: usize, rows: usize) -> Data {
    let number = |random: &mut Random| (random.next() % 4001) as f32 / 1000.0 - 2.0;
    let mut weights = vec![0.0f32; rows * cols];
    for (i, row) in weights.chunks_exact_mut(cols).enumerate() {
        for _ in 0..i % 4 {
            row[random.next() as usize % cols] = number(random);
        }
        if i % 5 == 0 {
            row[random.next() as usize % cols] = -0.0;
        }
    }
    let bias = (0..rows).map(|i| if i % 3 == 0 { -0.0 } else { number(random) }).collect();
    let mut data = Data { weights, starts: vec![0], columns: vec![], values: vec![], bias };
    for row in data.weights.chunks_exact(cols) {
        for (j, w) in row.iter().enumerate().filter(|(_, w)| w.to_bits() != 0) {
            data.columns.push(j as u32);
            data.values.push(*w);
        }
        data.starts.push(data.columns.len() as u32);
    }
    data
}

/// The layers of `all`, dense, or sparse if `sparse`.
fn layers(all: &[Data], sparse: bool) -> Vec<Layer<'_>> {
    fn layer(k: usize, d: &Data, sparse: bool) -> Layer<'_> {
        let (cols, relu) = (WIDTHS[k], k + 2 < WIDTHS.len());
        if sparse {
            Layer::sparse(Sparse::new(cols, [&d.starts, &d.columns], &d.values, &d.bias).unwrap(), relu)
        } else {
            Layer::dense(Dense::new(WIDTHS[k + 1], cols, &d.weights, &d.bias).unwrap(), relu)
        }
    }
    all.iter().enumerate().map(|(k, d)| layer(k, d, sparse)).collect()
}

fn networks(seed: u64) -> Vec<Data> {
    let mut random = Random::new(seed);
    WIDTHS.windows(2).map(|p| data(&mut random, p[0], p[1])).collect()
}

fn forward(layers: &[Layer<'_>], x: &[f32]) -> Vec<Option<u32>> {
    let network = Network::new(layers).unwrap();
    let (mut scratch, mut y) =
        (vec![0.0; infer::forward_scratch_len(&network)], vec![0.0; network.outputs()]);
    infer::forward(&network, x, &mut scratch, &mut y).unwrap();
    // One NaN is as good as another.
    y.iter().map(|y| (!y.is_nan()).then(|| y.to_bits())).collect()
}

#[test]
fn the_forward_pass_gives_the_same_bits() {
    let mut random = Random::new(1);
    for seed in 0..200 {
        let all = networks(seed);
        for special in [0.0, -0.0, f32::NAN, f32::INFINITY, 1e38, 1e-42] {
            let mut x: Vec<f32> = (0..3).map(|_| (random.next() % 2001) as f32 / 1000.0 - 1.0).collect();
            x[seed as usize % 3] = special;
            for depth in 1..=all.len() {
                let (dense, sparse) = (layers(&all[..depth], false), layers(&all[..depth], true));
                assert_eq!(forward(&dense, &x), forward(&sparse, &x), "{seed} {depth} {x:?}");
            }
        }
    }
}

#[test]
fn bounds_are_those_of_the_dense_layers() {
    for seed in 0..100 {
        let all = networks(seed);
        for method in [Method::Ibp, Method::Crown, Method::CrownFull] {
            let bound = |layers: &[Layer<'_>]| {
                let network = Network::new(layers).unwrap();
                let mut memory = vec![0.0; memory_len(&network, method)];
                prepare(&network, &[-0.5, 0.0, 0.25], &[0.5, 0.125, 0.25], method, &mut memory).unwrap();
                row_lower(&network, method, &[1.0, -1.0], &mut memory).unwrap()
            };
            let (dense, sparse) = (bound(&layers(&all, false)), bound(&layers(&all, true)));
            assert_eq!(dense, sparse, "{seed} {method:?}");
        }
    }
}

/// The greatest right-hand side that the checker accepts, but for bisection.
fn proved(layers: &[Layer<'_>], meaning: Meaning, splits: &[Split]) -> f64 {
    let network = Network::new(layers).unwrap();
    let (mut floats, mut index) = (vec![0.0; proof::memory_len(&network, 8)], vec![0; network.width()]);
    let (mut low, mut high) = (-1e4, 1e4);
    for _ in 0..70 {
        let rhs = 0.5 * (low + high);
        let rows = [Row { coefficients: &[1.0, -1.0], rhs }];
        let problem = Problem { network, disjuncts: &[&rows], meaning };
        let mut memory = Memory { floats: &mut floats, index: &mut index, lanes: 8 };
        let region: (&[f64], &[f64]) = (&[-0.5, 0.0, 0.25], &[0.5, 0.125, 0.25]);
        let accepted =
            proof::check_leaf(&problem, &mut Plain, region, splits, &[Claim::default()], &mut memory).is_ok();
        *(if accepted { &mut low } else { &mut high }) = rhs;
    }
    low
}

#[test]
fn the_checker_accepts_what_it_accepts_of_the_dense_layers() {
    let mut moved = 0;
    for seed in 0..12 {
        let all = networks(seed);
        let (dense, sparse) = (layers(&all, false), layers(&all, true));
        for meaning in [Meaning::Real, Meaning::RealAndF32] {
            let free = proved(&dense, meaning, &[]);
            assert_eq!(free, proved(&sparse, meaning, &[]), "{seed}");
            for neuron in 0..33 {
                let splits = [Split { layer: 1, neuron, active: neuron % 2 == 0 }];
                let bound = proved(&dense, meaning, &splits);
                assert_eq!(bound, proved(&sparse, meaning, &splits), "{seed} {neuron}");
                moved += usize::from(bound != free);
            }
        }
    }
    assert!(moved > 20, "{moved} splits matter");
}

#[test]
fn lists_that_are_no_rows_are_refused() {
    let new = |starts: &[u32], columns: &[u32], values: usize| {
        Sparse::new(3, [starts, columns], &[1.0; 4][..values], &[0.0; 2]).err()
    };
    assert_eq!(new(&[0, 2, 3], &[0, 2, 1], 3), None);
    assert_eq!(new(&[0, 2, 3], &[2, 0, 1], 3), Some(ShapeError::Order));
    assert_eq!(new(&[0, 2, 3], &[1, 1, 1], 3), Some(ShapeError::Order));
    assert_eq!(new(&[0, 2, 3], &[0, 3, 1], 3), Some(ShapeError::Order));
    assert_eq!(new(&[1, 2, 3], &[0, 2, 1], 3), Some(ShapeError::Order));
    assert_eq!(new(&[0, 4, 3], &[0, 2, 1], 3), Some(ShapeError::Order));
    assert_eq!(new(&[0, 2, 2], &[0, 2, 1], 3), Some(ShapeError::Length { expected: 2, found: 3 }));
    assert_eq!(new(&[0, 3], &[0, 2, 1], 3), Some(ShapeError::Length { expected: 3, found: 2 }));
    assert_eq!(new(&[0, 2, 3], &[0, 2, 1], 4), Some(ShapeError::Length { expected: 3, found: 4 }));
    assert!(Sparse::new(0, [&[0, 0], &[]], &[], &[0.0]).is_err());
    let nan = Sparse::new(1, [&[0, 1], &[0]], &[f32::NAN], &[0.0]).unwrap();
    assert_eq!(Network::new(&[Layer::sparse(nan, false)]).err(), Some(ShapeError::NonFinite { layer: 0 }));
}
