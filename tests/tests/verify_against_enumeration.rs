//! Verdicts and proofs against the exact minimum of tiny networks, found by cutting the box into the polygons on which the
//! network is affine, over the rationals.

use certus_core::proof::Meaning;
use certus_engine::property::{Case, Disjunct, InputBox, Property, Row};
use certus_engine::search::Silent;
use certus_engine::verify::{Branching, CaseProblem, Parts, Settings, Verdict, check_case, verify};
use certus_engine::{Chain, OwnedAffine, OwnedLayer};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, ToPrimitive, Zero};
use proptest::prelude::*;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

type Q = BigRational;
type Point = [Q; 2];

fn q(x: f32) -> Q {
    Q::from_float(x).expect("finite")
}

/// `a·x + b` over the plane.
#[derive(Clone)]
struct Affine2 {
    a: [Q; 2],
    b: Q,
}

impl Affine2 {
    fn at(&self, p: &Point) -> Q {
        &self.a[0] * &p[0] + &self.a[1] * &p[1] + &self.b
    }
}

/// The part of a convex polygon where `f ≥ 0` (or `≤ 0`).
fn clip(polygon: &[Point], f: &Affine2, keep_positive: bool) -> Vec<Point> {
    let side = |p: &Point| if keep_positive { f.at(p) } else { -f.at(p) };
    let mut out: Vec<Point> = Vec::new();
    for (i, p) in polygon.iter().enumerate() {
        let next = &polygon[(i + 1) % polygon.len()];
        let (here, there) = (side(p), side(next));
        if !here.is_negative() {
            out.push(p.clone());
        }
        if (here.is_positive() && there.is_negative()) || (here.is_negative() && there.is_positive()) {
            let t = &here / (&here - &there);
            out.push([&p[0] + &t * (&next[0] - &p[0]), &p[1] + &t * (&next[1] - &p[1])]);
        }
    }
    out
}

/// Exact minimum of `row · y` over the box, by enumeration of activation patterns.
fn exact_minimum(chain: &Chain, row: &[f32], lower: [f32; 2], upper: [f32; 2]) -> Q {
    let corner = |x: f32, y: f32| [q(x), q(y)];
    let square = vec![
        corner(lower[0], lower[1]),
        corner(upper[0], lower[1]),
        corner(upper[0], upper[1]),
        corner(lower[0], upper[1]),
    ];
    let unit = |i: usize| Affine2 {
        a: std::array::from_fn(|j| if i == j { q(1.0) } else { Q::zero() }),
        b: Q::zero(),
    };
    let mut pieces = vec![(square, vec![unit(0), unit(1)])];
    for layer in chain.layers() {
        let OwnedAffine::Dense { cols, weights, bias, .. } = &layer.affine else {
            panic!("dense layers only")
        };
        let mut next = Vec::new();
        for (polygon, x) in pieces {
            let z: Vec<Affine2> = weights
                .chunks_exact(*cols)
                .zip(bias)
                .map(|(w, b)| {
                    let sum = |pick: &dyn Fn(&Affine2) -> Q| {
                        w.iter().zip(&x).map(|(w, x)| q(*w) * pick(x)).fold(Q::zero(), |s, t| s + t)
                    };
                    Affine2 {
                        a: std::array::from_fn(|j| sum(&|x| x.a[j].clone())),
                        b: sum(&|x| x.b.clone()) + q(*b),
                    }
                })
                .collect();
            let mut parts = vec![(polygon, Vec::new())];
            for z in z {
                let mut cut: Vec<(Vec<Point>, Vec<Affine2>)> = Vec::new();
                for (polygon, post) in parts {
                    for positive in if layer.relu { vec![true, false] } else { vec![true] } {
                        let piece = if layer.relu { clip(&polygon, &z, positive) } else { polygon.clone() };
                        if !piece.is_empty() {
                            let zero = Affine2 { a: [Q::zero(), Q::zero()], b: Q::zero() };
                            let mut post = post.clone();
                            post.push(if positive { z.clone() } else { zero });
                            cut.push((piece, post));
                        }
                    }
                }
                parts = cut;
            }
            next.extend(parts);
        }
        pieces = next;
    }
    let values = pieces.iter().flat_map(|(polygon, y)| {
        polygon
            .iter()
            .map(move |p| row.iter().zip(y).map(|(c, y)| q(*c) * y.at(p)).fold(Q::zero(), |s, t| s + t))
    });
    values.min().expect("the box is not empty")
}

fn chain() -> impl Strategy<Value = Chain> {
    // Eighths keep the rationals small; ties and exact zeros are common, which is where rounding bites.
    let weight = || (-16i32..=16).prop_map(|w| w as f32 / 8.0);
    // Where no ReLU follows the first layer, two affine layers come before the first neurons.
    (prop::collection::vec(1usize..=5, 1..=2), any::<bool>()).prop_flat_map(move |(hidden, relu_first)| {
        let mut widths = vec![2];
        widths.extend(hidden);
        widths.push(2);
        let layers: Vec<_> = widths
            .windows(2)
            .map(|p| {
                let (cols, rows) = (p[0], p[1]);
                (
                    Just((rows, cols)),
                    prop::collection::vec(weight(), rows * cols),
                    prop::collection::vec(weight(), rows),
                )
            })
            .collect();
        layers.prop_map(move |layers| {
            let last = layers.len() - 1;
            let owned = layers.into_iter().enumerate().map(|(i, ((rows, cols), weights, bias))| OwnedLayer {
                affine: OwnedAffine::Dense { rows, cols, weights, bias },
                relu: i < last && (i > 0 || relu_first),
            });
            Chain::new(owned.collect()).expect("a network")
        })
    })
}

/// `row · y ≤ rhs` on the box.
fn property(row: &[f32], rhs: f64, lower: [f32; 2], upper: [f32; 2]) -> Property {
    let region = InputBox {
        lower: lower.map(f64::from).to_vec(),
        upper: upper.map(f64::from).to_vec(),
        witness_lower: lower.to_vec(),
        witness_upper: upper.to_vec(),
    };
    let row = Row {
        coefficients: row.iter().map(|c| f64::from(*c)).collect(),
        rhs_lower: rhs,
        rhs_upper: rhs,
        strict: false,
    };
    Property {
        inputs: 2,
        outputs: 2,
        cases: vec![Case { region, disjuncts: vec![Disjunct { rows: vec![row] }] }],
    }
}

fn decide(chain: &Chain, property: &Property, branching: Branching, meaning: Meaning) -> Verdict {
    let settings =
        Settings { timeout: Duration::from_secs(60), threads: 1, branching, meaning, ..Settings::default() };
    verify(chain, property, &settings, &AtomicBool::new(false), &Silent).verdict
}

fn accepted(chain: &Chain, property: &Property, meaning: Meaning, proof: &[u8]) -> bool {
    let layers = chain.core_layers();
    let parts = Parts::new(chain, &layers, chain);
    let problem = CaseProblem::new(&parts, property, &property.cases[0], meaning);
    check_case(&problem, proof).is_ok()
}

const LOWER: [f32; 2] = [-1.0, -0.75];
const UPPER: [f32; 2] = [1.0, 0.5];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(2026), ..ProptestConfig::default() })]

    #[test]
    fn verdicts_agree_with_the_exact_minimum(chain in chain(), row in prop::collection::vec((-8i32..=8).prop_map(|c| c as f32 / 4.0), 2)) {
        let minimum = exact_minimum(&chain, &row, LOWER, UPPER);
        let near = minimum.to_f64().expect("finite");
        for branching in [Branching::Inputs, Branching::Neurons] {
            for meaning in [Meaning::Real, Meaning::RealAndF32] {
                let below = property(&row, near - 1e-2, LOWER, UPPER);
                let verdict = decide(&chain, &below, branching, meaning);
                let Verdict::Holds(proofs) = &verdict else {
                    return Err(TestCaseError::fail(format!("{branching:?} {meaning:?}: {verdict:?} below the minimum {near}")));
                };
                prop_assert!(accepted(&chain, &below, meaning, &proofs[0].bytes));
                let above = property(&row, near + 1e-2, LOWER, UPPER);
                let verdict = decide(&chain, &above, branching, meaning);
                let Verdict::Violated(witness) = &verdict else {
                    return Err(TestCaseError::fail(format!("{branching:?} {meaning:?}: {verdict:?} above the minimum {near}")));
                };
                let y = chain.eval_f64(&witness.input.iter().map(|x| f64::from(*x)).collect::<Vec<_>>());
                let value: f64 = y.iter().zip(&row).map(|(y, c)| y * f64::from(*c)).sum();
                prop_assert!(value <= near + 1e-2 + 1e-9);
            }
        }
    }

    /// A statement that is false by a hair has no proof: not the one of its true neighbour, and none of that one's mutants.
    #[test]
    fn no_proof_of_a_false_statement_is_accepted(
        chain in chain(),
        row in prop::collection::vec((-8i32..=8).prop_map(|c| c as f32 / 4.0), 2),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 12),
    ) {
        let minimum = exact_minimum(&chain, &row, LOWER, UPPER);
        // The smallest f64 that is at least the minimum: attained or just missed, so `row·y ≤ rhs` has a solution.
        let nearest = minimum.to_f64().expect("finite");
        let rhs = if Q::from_float(nearest).expect("finite") < minimum { nearest.next_up() } else { nearest };
        let truth = property(&row, rhs - 1e-3, LOWER, UPPER);
        let lie = property(&row, rhs, LOWER, UPPER);
        for branching in [Branching::Inputs, Branching::Neurons] {
            let Verdict::Holds(proofs) = decide(&chain, &truth, branching, Meaning::Real) else { continue };
            prop_assert!(accepted(&chain, &truth, Meaning::Real, &proofs[0].bytes));
            prop_assert!(!accepted(&chain, &lie, Meaning::Real, &proofs[0].bytes), "the true neighbour's proof");
            for (index, value) in &mutations {
                let mut bytes = proofs[0].bytes.clone();
                let at = index.index(bytes.len());
                bytes[at] ^= value | 1;
                prop_assert!(!accepted(&chain, &lie, Meaning::Real, &bytes), "byte {at} changed");
                bytes.truncate(at);
                prop_assert!(!accepted(&chain, &truth, Meaning::Real, &bytes), "cut to {at} bytes");
            }
        }
    }
}

#[test]
fn the_enumeration_knows_a_network_by_hand() {
    // y = (|x₀| − |x₁|, 0) by four neurons: minimum on the box is −0.75, at x₀ = 0, x₁ = −0.75.
    let hidden = OwnedAffine::Dense {
        rows: 4,
        cols: 2,
        weights: vec![1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0],
        bias: vec![0.0; 4],
    };
    let last = OwnedAffine::Dense {
        rows: 2,
        cols: 4,
        weights: vec![1.0, 1.0, -1.0, -1.0, 0.0, 0.0, 0.0, 0.0],
        bias: vec![0.0; 2],
    };
    let chain =
        Chain::new(vec![OwnedLayer { affine: hidden, relu: true }, OwnedLayer { affine: last, relu: false }])
            .unwrap();
    assert_eq!(exact_minimum(&chain, &[1.0, 0.0], LOWER, UPPER), Q::new(BigInt::from(-3), BigInt::from(4)));
}
