//! Bounds against exact rationals (`Real`) and the device's pass (`F32`), at epsilon 0 and tiny epsilon,
//! where a missing rounding term shows; and the same checks on a variant without those terms, which fails. The same for
//! the proof checker, in `f64`.

use certus_core::bounds::{Method, memory_len, pre_activations, prepare, row_lower};
use certus_core::proof::{self, Meaning};
use certus_core::{Affine, Dense, Layer, Network, Scale, infer};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, Zero};
use proptest::prelude::*;

/// Owns the constants of a network: an input scaling, then dense layers.
#[derive(Clone, Debug)]
struct Owned {
    scale: Vec<f32>,
    shift: Vec<f32>,
    dense: Vec<(usize, usize, Vec<f32>, Vec<f32>)>,
}

impl Owned {
    fn layers(&self) -> Vec<Layer<'_>> {
        let mut layers = vec![Layer::scale(Scale::new(&self.scale, &self.shift).unwrap(), false)];
        let last = self.dense.len() - 1;
        for (i, (rows, cols, w, b)) in self.dense.iter().enumerate() {
            layers.push(Layer::dense(Dense::new(*rows, *cols, w, b).unwrap(), i < last));
        }
        layers
    }
}

fn exact(x: f32) -> BigRational {
    BigRational::from_float(x).expect("finite")
}

/// Pre-activations of every layer over the rationals.
fn exact_pre_activations(layers: &[Layer<'_>], x: &[BigRational]) -> Vec<BigRational> {
    let mut x = x.to_vec();
    let mut all = Vec::new();
    for layer in layers {
        let z: Vec<BigRational> = match layer.affine() {
            Affine::Dense(d) => d
                .row_iter()
                .map(|(w, b)| w.iter().zip(&x).map(|(w, x)| exact(*w) * x).fold(exact(b), |s, t| s + t))
                .collect(),
            Affine::Sparse(_) => unreachable!("layers here are dense"),
            Affine::Scale(s) => {
                x.iter().zip(s.scale()).zip(s.shift()).map(|((x, s), t)| exact(*s) * x + exact(*t)).collect()
            }
        };
        all.extend(z.iter().cloned());
        x = if layer.relu() {
            z.into_iter().map(|z| if z.is_negative() { BigRational::zero() } else { z }).collect()
        } else {
            z
        };
    }
    all
}

/// Pre-activations of every layer as the device computes them, written a second time and plainly.
fn device_pre_activations(layers: &[Layer<'_>], x: &[f32]) -> Vec<f32> {
    let mut x = x.to_vec();
    let mut all = Vec::new();
    for layer in layers {
        let mut z = Vec::new();
        match layer.affine() {
            Affine::Dense(d) => {
                for (w, b) in d.row_iter() {
                    let (mut total, mut j) = (b, 0);
                    while j < w.len() {
                        let mut s = 0.0f32;
                        for i in j..(j + 32).min(w.len()) {
                            let p = w[i] * x[i];
                            s += p;
                        }
                        total += s;
                        j += 32;
                    }
                    z.push(total);
                }
            }
            Affine::Sparse(_) => unreachable!("layers here are dense"),
            Affine::Scale(s) => z.extend((0..x.len()).map(|i| {
                let p = s.scale()[i] * x[i];
                p + s.shift()[i]
            })),
        }
        all.extend(&z);
        x = if layer.relu() { z.iter().map(|z| if *z < 0.0 { 0.0 } else { *z }).collect() } else { z };
    }
    all
}

fn weight() -> impl Strategy<Value = f32> {
    prop_oneof![8 => -1.0f32..1.0, 1 => (-40i32..20, -1.0f32..1.0).prop_map(|(e, m)| m * 2f32.powi(e)), 1 => Just(0.0f32)]
}

fn owned() -> impl Strategy<Value = Owned> {
    (1usize..=7, prop::collection::vec(1usize..=40, 1..=3), 1usize..=3).prop_flat_map(
        |(inputs, hidden, outputs)| {
            let mut widths = vec![inputs];
            widths.extend(hidden);
            widths.push(outputs);
            let dense: Vec<_> = widths
                .windows(2)
                .map(|p| {
                    let (cols, rows) = (p[0], p[1]);
                    (
                        Just(rows),
                        Just(cols),
                        prop::collection::vec(weight(), rows * cols),
                        prop::collection::vec(weight(), rows),
                    )
                })
                .collect();
            (prop::collection::vec(weight(), inputs), prop::collection::vec(weight(), inputs), dense)
                .prop_map(|(scale, shift, dense)| Owned { scale, shift, dense })
        },
    )
}

/// A network, a box of radius 0, 1e-7, 1e-3 or 0.3 around a point, and points in it (corners first).
fn cases() -> impl Strategy<Value = (Owned, Vec<f32>, Vec<f32>, Vec<Vec<f32>>)> {
    (owned(), prop::sample::select(vec![0.0f32, 1e-7, 1e-3, 0.3]), any::<u64>()).prop_map(
        |(net, epsilon, seed)| {
            let n = net.scale.len();
            let mut state = seed | 1;
            let mut random = move || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1u64 << 24) as f32
            };
            let centre: Vec<f32> = (0..n).map(|_| 4.0 * random() - 2.0).collect();
            let lower: Vec<f32> = centre.iter().map(|c| c - epsilon).collect();
            let upper: Vec<f32> = centre.iter().map(|c| c + epsilon).collect();
            let points = (0..6)
                .map(|k| {
                    (0..n)
                        .map(|j| {
                            let t = if k < 3 { random().round() } else { random() };
                            (lower[j] + t * (upper[j] - lower[j])).clamp(lower[j], upper[j])
                        })
                        .collect()
                })
                .collect();
            (net, lower, upper, points)
        },
    )
}

/// How many of the points' values lie outside the bounds that `bound` computes, out of how many.
fn violations(
    case: &(Owned, Vec<f32>, Vec<f32>, Vec<Vec<f32>>),
    bound: impl Fn(&Network<'_>, &[f32], &[f32]) -> (Vec<f32>, Vec<f32>),
) -> (usize, usize) {
    let (net, lower, upper, points) = case;
    let layers = net.layers();
    let network = Network::new(&layers).unwrap();
    let (low, high) = bound(&network, lower, upper);
    let (mut outside, mut all) = (0, 0);
    for x in points {
        let rational: Vec<BigRational> = x.iter().map(|x| exact(*x)).collect();
        let real = exact_pre_activations(&layers, &rational);
        let device = device_pre_activations(&layers, x);
        for (((l, u), real), device) in low.iter().zip(&high).zip(&real).zip(&device) {
            all += 2;
            outside += usize::from(exact(*l) > *real || exact(*u) < *real);
            outside += usize::from(!(l <= device && device <= u));
        }
    }
    (outside, all)
}

fn core_bounds(method: Method) -> impl Fn(&Network<'_>, &[f32], &[f32]) -> (Vec<f32>, Vec<f32>) {
    move |network, lower, upper| {
        let mut memory = vec![f32::NAN; memory_len(network, method)];
        prepare(network, lower, upper, method, &mut memory).unwrap();
        let (l, u) = pre_activations(network, &mut memory).unwrap();
        (l.to_vec(), u.to_vec())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_pre_activation_of_both_meanings_lies_in_its_bounds(case in cases()) {
        for method in [Method::Crown, Method::CrownFull] {
            let (outside, _) = violations(&case, core_bounds(method));
            prop_assert_eq!(outside, 0, "{:?}", method);
        }
    }

    #[test]
    fn every_row_of_both_meanings_lies_above_its_bound(case in cases(), c in prop::collection::vec(-2.0f32..2.0, 3)) {
        let (net, lower, upper, points) = &case;
        let layers = net.layers();
        let network = Network::new(&layers).unwrap();
        let outputs = network.outputs();
        for method in [Method::Ibp, Method::Crown, Method::CrownFull] {
            let mut memory = vec![f32::NAN; memory_len(&network, method)];
            prepare(&network, lower, upper, method, &mut memory).unwrap();
            let bound = exact(row_lower(&network, method, &c[..outputs], &mut memory).unwrap());
            for x in points {
                let rational: Vec<BigRational> = x.iter().map(|x| exact(*x)).collect();
                let real = exact_pre_activations(&layers, &rational);
                let device = device_pre_activations(&layers, x);
                let row = |y: &[BigRational]| y.iter().zip(&c).fold(BigRational::zero(), |s, (y, c)| s + y * exact(*c));
                prop_assert!(bound <= row(&real[real.len() - outputs..]), "{method:?}, Real");
                let y: Vec<BigRational> = device[device.len() - outputs..].iter().map(|y| exact(*y)).collect();
                prop_assert!(bound <= row(&y), "{method:?}, F32");
            }
        }
    }

    #[test]
    fn the_forward_pass_has_the_stated_order(case in cases()) {
        let (net, _, _, points) = &case;
        let layers = net.layers();
        let network = Network::new(&layers).unwrap();
        let mut scratch = vec![0.0; infer::forward_scratch_len(&network)];
        let mut y = vec![0.0; network.outputs()];
        for x in points {
            infer::forward(&network, x, &mut scratch, &mut y).unwrap();
            let plain = device_pre_activations(&layers, x);
            let last = &plain[plain.len() - y.len()..];
            prop_assert!(y.iter().zip(last).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }

    #[test]
    fn tightening_never_loosens_and_rows_are_bounded_by_ibp_of_a_point(case in cases()) {
        let (net, lower, upper, _) = &case;
        let layers = net.layers();
        let network = Network::new(&layers).unwrap();
        let (l, u) = core_bounds(Method::Crown)(&network, lower, upper);
        let (tight_l, tight_u) = core_bounds(Method::CrownFull)(&network, lower, upper);
        // Neurons of a later layer start from tighter inputs, so compare widths with a margin for rounding.
        for (((l, u), tl), tu) in l.iter().zip(&u).zip(&tight_l).zip(&tight_u) {
            let slack = 1e-5 * (l.abs() + u.abs() + 1e-3);
            prop_assert!(tl >= &(l - slack) && tu <= &(u + slack), "[{tl}, {tu}] outside [{l}, {u}]");
        }
    }
}

/// IBP in round-to-nearest without any error term, as it is usually written.
fn naive_interval_bounds(network: &Network<'_>, lower: &[f32], upper: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut l, mut u) = (lower.to_vec(), upper.to_vec());
    let (mut all_l, mut all_u) = (Vec::new(), Vec::new());
    for layer in network.layers() {
        let (zl, zu): (Vec<f32>, Vec<f32>) = match layer.affine() {
            Affine::Dense(d) => d
                .row_iter()
                .map(|(w, b)| {
                    let end = |low: bool| {
                        w.iter()
                            .enumerate()
                            .map(|(j, w)| w * if (*w >= 0.0) == low { l[j] } else { u[j] })
                            .sum::<f32>()
                            + b
                    };
                    (end(true), end(false))
                })
                .unzip(),
            Affine::Sparse(_) => unreachable!("layers here are dense"),
            Affine::Scale(s) => s
                .scale()
                .iter()
                .zip(s.shift())
                .enumerate()
                .map(
                    |(j, (s, t))| {
                        if *s >= 0.0 { (s * l[j] + t, s * u[j] + t) } else { (s * u[j] + t, s * l[j] + t) }
                    },
                )
                .unzip(),
        };
        all_l.extend(&zl);
        all_u.extend(&zu);
        (l, u) = if layer.relu() {
            (zl.iter().map(|z| z.max(0.0)).collect(), zu.iter().map(|z| z.max(0.0)).collect())
        } else {
            (zl, zu)
        };
    }
    (all_l, all_u)
}

#[test]
fn the_checks_catch_bounds_without_rounding_terms() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut naive, mut sound, mut all) = (0, 0, 0);
    for _ in 0..60 {
        let mut case = cases().new_tree(&mut runner).unwrap().current();
        case.2 = case.1.clone(); // epsilon 0
        case.3 = vec![case.1.clone()];
        naive += violations(&case, naive_interval_bounds).0;
        let (outside, count) = violations(&case, core_bounds(Method::CrownFull));
        sound += outside;
        all += count;
    }
    assert_eq!(sound, 0);
    assert!(
        naive * 10 > all,
        "only {naive} of {all} values escape the unsound bounds: the test has lost its teeth"
    );
}

#[test]
fn overflow_and_bad_boxes_are_errors() {
    use certus_core::bounds::BoundError;
    let (w, b) = ([1e30f32, 1e30, 1e30, 1e30], [0.0f32, 0.0]);
    let layers = [
        Layer::dense(Dense::new(2, 2, &w, &b).unwrap(), true),
        Layer::dense(Dense::new(2, 2, &w, &b).unwrap(), false),
    ];
    let network = Network::new(&layers).unwrap();
    for method in [Method::Ibp, Method::Crown, Method::CrownFull] {
        let mut memory = vec![0.0; memory_len(&network, method)];
        assert_eq!(prepare(&network, &[1.0; 2], &[1e10; 2], method, &mut memory), Err(BoundError::NonFinite));
        for (l, u) in [(f32::NAN, 1.0), (0.0, f32::INFINITY), (1.0, 0.0)] {
            assert_eq!(
                prepare(&network, &[l, 0.0], &[u, 0.0], method, &mut memory),
                Err(BoundError::BadInterval)
            );
        }
        let needed = memory.len();
        let short = prepare(&network, &[0.0; 2], &[1e-30; 2], method, &mut memory[..needed - 1]);
        assert!(matches!(short, Err(BoundError::Capacity { .. })), "{short:?}");
    }
}

#[test]
fn the_factor_g_and_up_hold_over_the_rationals() {
    let unit = BigRational::new(BigInt::from(1), BigInt::from(1u64 << 24));
    let one = BigRational::from_integer(BigInt::from(1));
    let eta = exact(f32::from_bits(1));
    for k in (0..=certus_core::round::K_MAX).step_by(7).chain([certus_core::round::K_MAX]) {
        let k_plus = BigRational::from_integer(BigInt::from(k + 4)) * &unit;
        let gamma = &k_plus / (&one - &k_plus);
        let g = certus_core::round::gamma_factor(k).unwrap();
        assert!(exact(g) >= gamma, "K = {k}");
        assert!(exact(certus_core::round::up(1.0 + 4.0 * g)) >= &one / (&one - &gamma), "K = {k}");
        assert!(
            f64::from(g) <= 1.03 * (k as f64 + 4.0) * 2f64.powi(-24) + 1e-12,
            "K = {k} is needlessly loose"
        );
    }
    assert_eq!(certus_core::round::gamma_factor(certus_core::round::K_MAX + 1), None);
    let growth = (&one + &unit) * (&one + &unit);
    let mut bits = 0u32;
    while bits < f32::MAX.to_bits() - 16 {
        let x = f32::from_bits(bits);
        assert!(exact(certus_core::round::up(x)) >= exact(x) * &growth + &eta, "{x:e}");
        bits += 9_973 * 41;
    }
}

/// The checker's answer to `row·y ≤ rhs` being impossible on the box.
fn leaf_is_accepted(
    network: Network<'_>,
    row: &[f64],
    rhs: f64,
    region: (&[f64], &[f64]),
    meaning: Meaning,
) -> bool {
    let rows = [proof::Row { coefficients: row, rhs }];
    let problem = proof::Problem { network, disjuncts: &[&rows], meaning };
    let lanes = 4;
    let mut floats = vec![f64::NAN; proof::memory_len(&network, lanes)];
    let mut index = vec![0; network.width()];
    let mut memory = proof::Memory { floats: &mut floats, index: &mut index, lanes };
    proof::check_leaf(&problem, &mut proof::Plain, region, &[], &[proof::Claim::default()], &mut memory)
        .is_ok()
}

/// The smallest `f64` that is at least `x`.
fn at_least(x: &BigRational) -> f64 {
    use num_traits::ToPrimitive;
    let near = x.to_f64().expect("finite");
    let exact = BigRational::from_float(near).expect("finite");
    if exact < *x { near.next_up() } else { near }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// At a point the row has one value over the reals and one on the device: a right-hand side that the smaller one satisfies,
    /// by as little as `f64` can say, must not be refuted, and one that is clearly below both must be.
    #[test]
    fn the_checker_refutes_what_is_false_and_nothing_that_is_true(case in cases(), c in prop::collection::vec(-2.0f32..2.0, 3)) {
        let (net, _, _, points) = &case;
        let layers = net.layers();
        let network = Network::new(&layers).unwrap();
        let outputs = network.outputs();
        let coefficients: Vec<f64> = c[..outputs].iter().map(|c| f64::from(*c)).collect();
        let row = |y: &[BigRational]| y.iter().zip(&c).fold(BigRational::zero(), |s, (y, c)| s + y * exact(*c));
        for x in points {
            let rational: Vec<BigRational> = x.iter().map(|x| exact(*x)).collect();
            let real = exact_pre_activations(&layers, &rational);
            let device = device_pre_activations(&layers, x);
            let of_device: Vec<BigRational> = device[device.len() - outputs..].iter().map(|y| exact(*y)).collect();
            let (real, device) = (row(&real[real.len() - outputs..]), row(&of_device));
            let wide: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
            let accepted = |rhs, meaning| leaf_is_accepted(network, &coefficients, rhs, (&wide, &wide), meaning);
            prop_assert!(!accepted(at_least(&real), Meaning::Real));
            let smaller = if device < real { &device } else { &real };
            prop_assert!(!accepted(at_least(smaller), Meaning::RealAndF32));
            let scale = 1.0 + at_least(&real).abs();
            prop_assert!(accepted(at_least(&real) - 1e-9 * scale * scale, Meaning::Real), "uselessly loose at {real}");
        }
    }
}
