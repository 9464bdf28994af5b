//! What a leaf of a chain may claim: multipliers count on their split's side, and nothing out of range is taken.

use certus_core::proof::{
    Claim, Meaning, Memory, Plain, Problem, Rejection, Row, Split, check_leaf, memory_len,
};
use certus_core::{Dense, Layer, Network};

/// `y = (relu(x), relu(x + 1))`, as two layers: the last one has no ReLU.
fn check(
    coefficients: &[f64],
    rhs: f64,
    region: (&[f64], &[f64]),
    splits: &[Split],
    claims: &[Claim<'_>],
) -> Result<(), Rejection> {
    let (first, first_bias) = ([1.0f32, 1.0], [0.0f32, 1.0]);
    let (last, last_bias) = ([1.0f32, 0.0, 0.0, 1.0], [0.0f32; 2]);
    let layers = [
        Layer::dense(Dense::new(2, 1, &first, &first_bias).unwrap(), true),
        Layer::dense(Dense::new(2, 2, &last, &last_bias).unwrap(), false),
    ];
    let network = Network::new(&layers).unwrap();
    let rows = [Row { coefficients, rhs }];
    let problem = Problem { network, disjuncts: &[&rows], meaning: Meaning::Real };
    let (mut floats, mut index) = (vec![0.0; memory_len(&network, 4)], vec![0; network.width()]);
    let mut memory = Memory { floats: &mut floats, index: &mut index, lanes: 4 };
    check_leaf(&problem, &mut Plain, region, splits, claims, &mut memory)
}

const REGION: (&[f64], &[f64]) = (&[-1.0], &[3.0]);

fn multiplier(beta: f32) -> [u8; 4] {
    beta.to_le_bytes()
}

#[test]
fn a_multiplier_proves_what_its_split_implies_and_no_more() {
    let split = |active| [Split { layer: 0, neuron: 0, active }];
    let one = multiplier(1.0);
    let claim = [Claim { beta: &one, ..Claim::default() }];
    // Where x ≥ 0: relu(x + 1) = x + 1 ≥ 1, which the box alone does not give; −(x + 1) is as low as −4, which a multiplier of the wrong sign denies.
    assert_eq!(check(&[0.0, 1.0], 0.99, REGION, &split(true), &claim), Ok(()));
    let refused = Err(Rejection::NotProved { disjunct: 0 });
    assert_eq!(check(&[0.0, 1.0], 0.99, REGION, &split(true), &[Claim::default()]), refused);
    assert_eq!(check(&[0.0, 1.0], 1.01, REGION, &split(true), &claim), refused);
    assert_eq!(check(&[0.0, -1.0], -3.5, REGION, &split(true), &claim), refused);
    // Where x ≤ 0: −relu(x + 1) ≥ −1; and relu(x + 1) is as low as 0.
    assert_eq!(check(&[0.0, -1.0], -1.01, REGION, &split(false), &claim), Ok(()));
    assert_eq!(check(&[0.0, -1.0], -1.01, REGION, &split(false), &[Claim::default()]), refused);
    assert_eq!(check(&[0.0, -1.0], -0.99, REGION, &split(false), &claim), refused);
    assert_eq!(check(&[0.0, 1.0], 0.5, REGION, &split(false), &claim), refused);
}

#[test]
fn what_is_out_of_range_is_refused() {
    let split = [Split { layer: 0, neuron: 0, active: true }];
    let row = &[1.0, 0.0];
    let with = |splits: &[Split], claims: &[Claim<'_>]| check(row, -9.0, REGION, splits, claims);
    assert_eq!(with(&split, &[Claim::default()]), Ok(()), "what is in range is taken");
    for beta in [-1.0, f32::NAN, f32::INFINITY] {
        let bytes = multiplier(beta);
        assert_eq!(
            with(&split, &[Claim { beta: &bytes, ..Claim::default() }]),
            Err(Rejection::Claim),
            "{beta}"
        );
    }
    for length in [1, 3, 5, 8] {
        let beta = vec![0; length];
        assert_eq!(with(&split, &[Claim { beta: &beta, ..Claim::default() }]), Err(Rejection::Claim));
    }
    for length in [1, 3, 5] {
        let alpha = vec![0; length];
        assert_eq!(with(&split, &[Claim { alpha: &alpha, ..Claim::default() }]), Err(Rejection::Claim));
    }
    assert_eq!(with(&split, &[Claim { row: 1, ..Claim::default() }]), Err(Rejection::Claim));
    assert_eq!(with(&split, &[]), Err(Rejection::Shape), "a disjunct without a claim");
    for (layer, neuron) in [(0, 2), (1, 0), (2, 0)] {
        let elsewhere = [Split { layer, neuron, active: true }];
        assert_eq!(
            with(&elsewhere, &[Claim::default()]),
            Err(Rejection::Split { at: 0 }),
            "{layer} {neuron}"
        );
    }
    for (l, u) in [(f64::NAN, 1.0), (f64::NEG_INFINITY, 1.0), (0.0, f64::INFINITY), (1.0, 0.0)] {
        assert_eq!(
            check(row, -9.0, (&[l], &[u]), &[], &[Claim::default()]),
            Err(Rejection::Shape),
            "{l} {u}"
        );
    }
    assert_eq!(check(&[f64::NAN, 0.0], -9.0, REGION, &[], &[Claim::default()]), Err(Rejection::Shape));
    assert_eq!(check(row, f64::NAN, REGION, &[], &[Claim::default()]), Err(Rejection::Shape));
    assert_eq!(
        check(&[f64::MAX, f64::MAX], -1.0, REGION, &[], &[Claim::default()]),
        Err(Rejection::NonFinite)
    );
}

/// `yᵢ = relu(wᵢ(relu(x + 2) − relu(x + 2)) + bᵢ) = max(bᵢ, 0)`, which intervals of the first layer do not see.
fn check_difference(coefficients: &[f64; 6], rhs: f64, biases: &[f32; 6]) -> Result<(), Rejection> {
    let first = [1.0f32, 1.0];
    let second: Vec<f32> = (0..6).flat_map(|i| [2.0 + i as f32, -2.0 - i as f32]).collect();
    let last: Vec<f32> = (0..36).map(|k| if k % 7 == 0 { 1.0 } else { 0.0 }).collect();
    let layers = [
        Layer::dense(Dense::new(2, 1, &first, &[2.0, 2.0]).unwrap(), true),
        Layer::dense(Dense::new(6, 2, &second, biases).unwrap(), true),
        Layer::dense(Dense::new(6, 6, &last, &[0.0; 6]).unwrap(), false),
    ];
    let network = Network::new(&layers).unwrap();
    let rows = [Row { coefficients, rhs }];
    let problem = Problem { network, disjuncts: &[&rows], meaning: Meaning::Real };
    // Fewer lanes than neurons: two blocks.
    let (mut floats, mut index) = (vec![0.0; memory_len(&network, 4)], vec![0; network.width()]);
    let mut memory = Memory { floats: &mut floats, index: &mut index, lanes: 4 };
    check_leaf(&problem, &mut Plain, (&[-1.0], &[1.0]), &[], &[Claim::default()], &mut memory)
}

#[test]
fn rows_bound_every_unstable_neuron_at_both_ends() {
    let biases = [0.5f32, -0.5, 0.25, -0.75, 1.5, -1.25];
    for (i, bias) in biases.iter().enumerate() {
        let y = f64::from(bias.max(0.0));
        for sign in [1.0, -1.0] {
            let mut row = [0.0; 6];
            row[i] = sign;
            assert_eq!(check_difference(&row, sign * y - 0.01, &biases), Ok(()), "neuron {i}, sign {sign}");
            let refused = Err(Rejection::NotProved { disjunct: 0 });
            assert_eq!(check_difference(&row, sign * y + 0.01, &biases), refused, "neuron {i}, sign {sign}");
        }
    }
}
