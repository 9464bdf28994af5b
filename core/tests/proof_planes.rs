//! Planes above neurons of the first layer and weighted rows: what they prove holds at every corner, where concave functions are
//! least and the others are not below their least.

mod support;

use certus_core::infer::{forward, forward_scratch_len};
use certus_core::proof::{
    Claim, Meaning, Memory, Plain, Planes, Problem, Rejection, Row, check_leaf, memory_len,
};
use certus_core::{Dense, Layer, Network};
use proptest::prelude::*;
use support::Random;

const INPUTS: usize = 4;
const NEURONS: usize = 5;

/// `y = last·relu(Wx + b)`: concave, and so least at a corner, where all of `last` is −1.
struct Net {
    weights: Vec<f32>,
    bias: Vec<f32>,
    last: [f32; NEURONS],
}

impl Net {
    fn with<R>(&self, body: impl FnOnce(Network<'_>) -> R) -> R {
        let none = [0.0f32];
        let layers = [
            Layer::dense(Dense::new(NEURONS, INPUTS, &self.weights, &self.bias).unwrap(), true),
            Layer::dense(Dense::new(1, NEURONS, &self.last, &none).unwrap(), false),
        ];
        body(Network::new(&layers).unwrap())
    }

    fn accepts(
        &self,
        region: (&[f64], &[f64]),
        planes: &[u8],
        rhs: f64,
        meaning: Meaning,
    ) -> Result<(), Rejection> {
        self.with(|network| {
            let rows = [Row { coefficients: &[1.0], rhs }];
            let problem = Problem { network, disjuncts: &[&rows], meaning };
            let claims = [Claim { planes: Planes::new(planes, INPUTS), ..Claim::default() }];
            let (mut floats, mut index) = (vec![0.0; memory_len(&network, 4)], vec![0; network.width()]);
            let mut memory = Memory { floats: &mut floats, index: &mut index, lanes: 4 };
            check_leaf(&problem, &mut Plain, region, &[], &claims, &mut memory)
        })
    }

    /// The greatest bound that is accepted, but for bisection.
    fn proved(&self, region: (&[f64], &[f64]), planes: &[u8], meaning: Meaning) -> f64 {
        let (mut low, mut high) = (-100.0, 100.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            let accepted = self.accepts(region, planes, middle, meaning).is_ok();
            *(if accepted { &mut low } else { &mut high }) = middle;
        }
        low
    }

    /// Least value at the corners, over the reals (in `f64`; the data are short, so that it is exact) and on the device.
    fn least(&self, region: (&[f64], &[f64])) -> (f64, f64) {
        let corners = (0..1u32 << INPUTS).map(|k| {
            let x: Vec<f64> =
                (0..INPUTS).map(|j| if k >> j & 1 == 1 { region.1[j] } else { region.0[j] }).collect();
            let z = |i: usize| {
                let row = &self.weights[i * INPUTS..][..INPUTS];
                f64::from(self.bias[i]) + row.iter().zip(&x).map(|(w, x)| f64::from(*w) * x).sum::<f64>()
            };
            let real = (0..NEURONS).map(|i| f64::from(self.last[i]) * z(i).max(0.0)).sum::<f64>();
            let device = self.with(|network| {
                let x: Vec<f32> = x.iter().map(|x| *x as f32).collect();
                let (mut scratch, mut y) = (vec![0.0; forward_scratch_len(&network)], [0.0f32]);
                forward(&network, &x, &mut scratch, &mut y).unwrap();
                f64::from(y[0])
            });
            (real, device)
        });
        corners.fold((f64::INFINITY, f64::INFINITY), |a, b| (a.0.min(b.0), a.1.min(b.1)))
    }
}

/// Multiples of 1/64: sums of few of them are exact.
fn short(range: std::ops::Range<i32>) -> impl Strategy<Value = f32> {
    range.prop_map(|k| k as f32 / 64.0)
}

fn planes(shares: &[Vec<u8>]) -> Vec<u8> {
    shares.iter().enumerate().flat_map(|(i, s)| [i as u8, 0].into_iter().chain(s.iter().copied())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_any_planes_prove_holds_at_every_corner(
        weights in prop::collection::vec(short(-128..128), INPUTS * NEURONS),
        bias in prop::collection::vec(short(-64..64), NEURONS),
        ends in prop::collection::vec((short(-128..128), short(0..128)), INPUTS),
        shares in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], INPUTS), NEURONS),
        signs in prop_oneof![Just(0u8), any::<u8>()],
    ) {
        let last = std::array::from_fn(|i| if signs >> i & 1 == 1 { 1.0 } else { -1.0 });
        let net = Net { weights, bias, last };
        let lower: Vec<f64> = ends.iter().map(|(l, _)| f64::from(*l)).collect();
        let upper: Vec<f64> = ends.iter().map(|(l, w)| f64::from(l + w)).collect();
        let region = (lower.as_slice(), upper.as_slice());
        let (real, device) = net.least(region);
        for bytes in [planes(&shares), Vec::new()] {
            let proved = net.proved(region, &bytes, Meaning::Real);
            prop_assert!(proved <= real, "{proved} is proved of {real}");
            let proved = net.proved(region, &bytes, Meaning::RealAndF32);
            prop_assert!(proved <= real.min(device), "{proved} is proved of {real} and {device}");
        }
    }
}

/// `relu(x₁+x₂+x₃+x₄−1)` and `relu(x₁+x₂−x₃−x₄+1)`: chords give at most 4.5 for their sum, the planes `x₂+x₃+x₄` and `x₂−x₃−x₄+2` give 4,
/// which is attained.
#[test]
fn planes_prove_what_chords_do_not() {
    let mut net =
        Net { weights: vec![0.0; INPUTS * NEURONS], bias: vec![-1.0; NEURONS], last: [-1.0; NEURONS] };
    net.weights[..INPUTS].fill(1.0);
    net.weights[INPUTS..2 * INPUTS].copy_from_slice(&[1.0, 1.0, -1.0, -1.0]);
    net.bias[1] = 1.0;
    let region: (&[f64], &[f64]) = (&[0.0; INPUTS], &[1.0; INPUTS]);
    let near = |proved: f64, expected: f64| proved <= expected && proved > expected - 1e-9;
    assert!(near(net.proved(region, &[], Meaning::Real), -4.5));
    let shares = [vec![0, 255, 255, 255], vec![0, 255, 255, 255]];
    assert!(near(net.proved(region, &planes(&shares), Meaning::Real), -4.0));
    assert!(near(net.least(region).0, -4.0));
}

/// Neurons that are 0 but for rounding at the one point of the box: there the device's error shows.
#[test]
fn planes_allow_for_what_the_device_rounds() {
    let (mut below, mut random) = (0, Random::new(4));
    for _ in 0..500 {
        let x: Vec<f64> = (0..INPUTS).map(|_| f64::from(random.unit() as f32)).collect();
        let weights: Vec<f32> = (0..INPUTS * NEURONS).map(|_| random.unit() as f32).collect();
        let dot = |i: usize| {
            weights[i * INPUTS..][..INPUTS].iter().zip(&x).map(|(w, x)| f64::from(*w) * x).sum::<f64>()
        };
        let bias = (0..NEURONS).map(|i| -dot(i) as f32).collect();
        let shares: Vec<Vec<u8>> =
            (0..NEURONS).map(|_| (0..INPUTS).map(|_| random.below(256) as u8).collect()).collect();
        let net = Net { weights: weights.clone(), bias, last: [-1.0; NEURONS] };
        let region: (&[f64], &[f64]) = (&x, &x);
        let (real, device) = net.least(region);
        let proved = net.proved(region, &planes(&shares), Meaning::RealAndF32);
        assert!(proved <= device, "{proved} is proved of {device}");
        below += usize::from(device < real);
    }
    assert!(below > 100, "{below}");
}

#[test]
fn planes_out_of_range_are_refused() {
    let net = Net { weights: vec![0.5; INPUTS * NEURONS], bias: vec![-1.0; NEURONS], last: [-1.0; NEURONS] };
    let region: (&[f64], &[f64]) = (&[-1.0; INPUTS], &[1.0; INPUTS]);
    let with = |bytes: &[u8]| net.accepts(region, bytes, -99.0, Meaning::Real);
    let plane = |neuron: u16| [neuron.to_le_bytes().as_slice(), &[200; INPUTS]].concat();
    assert_eq!(with(&[plane(1), plane(4)].concat()), Ok(()));
    for bad in
        [vec![plane(5)], vec![plane(1), plane(1)], vec![plane(3), plane(2)], vec![plane(0), vec![1, 0]]]
    {
        assert_eq!(with(&bad.concat()), Err(Rejection::Claim), "{bad:?}");
    }
}

/// `y = (x, −x)` on [−1, 1]; both rows `≤ −0.1` exclude each other.
#[test]
fn weighted_rows_prove_what_they_exclude_together_and_no_more() {
    let (weights, bias) = ([1.0f32, -1.0], [0.0f32; 2]);
    let layers = [Layer::dense(Dense::new(2, 1, &weights, &bias).unwrap(), false)];
    let network = Network::new(&layers).unwrap();
    let check_on = |region: (f64, f64), rhs: [f64; 2], weights: &[f32], meaning| {
        let rows =
            [Row { coefficients: &[1.0, 0.0], rhs: rhs[0] }, Row { coefficients: &[0.0, 1.0], rhs: rhs[1] }];
        let problem = Problem { network, disjuncts: &[&rows], meaning };
        let bytes: Vec<u8> = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
        let claims = [Claim { weights: &bytes, ..Claim::default() }];
        let (mut floats, mut index) = (vec![0.0; memory_len(&network, 2)], vec![0; network.width()]);
        let mut memory = Memory { floats: &mut floats, index: &mut index, lanes: 2 };
        check_leaf(&problem, &mut Plain, (&[region.0], &[region.1]), &[], &claims, &mut memory)
    };
    let check = |rhs, weights: &[f32], meaning| check_on((-1.0, 1.0), rhs, weights, meaning);
    let refused = Err(Rejection::NotProved { disjunct: 0 });
    for meaning in [Meaning::Real, Meaning::RealAndF32] {
        assert_eq!(check([-0.1, -0.1], &[1.0, 1.0], meaning), Ok(()));
        assert_eq!(check([-0.1, -0.1], &[], meaning), refused, "one row does not");
        assert_eq!(check([-0.1, -0.1], &[1.0, 0.5], meaning), refused);
        assert_eq!(check([-0.1, -0.1], &[0.0, 0.0], meaning), refused);
        // x = 0.1 satisfies both.
        assert_eq!(check([0.1, -0.1], &[1.0, 1.0], meaning), refused);
        for bad in [-1.0, f32::NAN, f32::INFINITY] {
            assert_eq!(check([-0.1, -0.1], &[1.0, bad], meaning), Err(Rejection::Claim), "{bad}");
        }
        assert_eq!(check([-0.1, -0.1], &[1.0], meaning), Err(Rejection::Claim));
    }
    let quarters = || (-6..=6).map(|k| f64::from(k) / 4.0);
    let (mut possible, mut proved) = (0, 0);
    for (lower, r, s) in
        quarters().flat_map(|l| quarters().flat_map(move |r| quarters().map(move |s| (l, r, s))))
    {
        // Some x of [lower, lower + 1] has x ≤ r and −x ≤ s.
        let satisfied = lower.max(-s) <= r.min(lower + 1.0);
        for weights in [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 1.0], [3.0, 2.0]] {
            let refuted = check_on((lower, lower + 1.0), [r, s], &weights, Meaning::Real).is_ok();
            assert!(!(refuted && satisfied), "[{lower}, {lower} + 1], x ≤ {r}, −x ≤ {s}, {weights:?}");
            (possible, proved) = (possible + usize::from(satisfied), proved + usize::from(refuted));
        }
    }
    assert!(possible > 1000 && proved > 1000, "{possible} {proved}");
}

/// At `y = (1, −1)` all rows hold with equality, but sums in `f64` lose the terms of 2⁻⁵⁵ on one side only.
#[test]
fn weighted_rows_allow_for_what_their_sums_round() {
    let (weights, bias) = ([1.0f32, 0.0, 0.0, 1.0], [0.0f32; 2]);
    let layers = [Layer::dense(Dense::new(2, 2, &weights, &bias).unwrap(), false)];
    let network = Network::new(&layers).unwrap();
    let small = 2f64.powi(-55);
    // Of the coefficients; of the right-hand side.
    for (first, rest) in
        [(([1.0, 1.0], 0.0), ([-small, 0.0], -small)), (([-1.0, 0.0], -1.0), ([0.0, -small], small))]
    {
        let mut rows = vec![Row { coefficients: &first.0, rhs: first.1 }];
        rows.resize(4096, Row { coefficients: &rest.0, rhs: rest.1 });
        for row in &rows {
            assert_eq!(row.coefficients[0] - row.coefficients[1], row.rhs, "y violates no row");
        }
        let problem = Problem { network, disjuncts: &[&rows], meaning: Meaning::Real };
        let bytes = 1f32.to_le_bytes().repeat(rows.len());
        let claims = [Claim { weights: &bytes, ..Claim::default() }];
        let (mut floats, mut index) = (vec![0.0; memory_len(&network, 2)], vec![0; network.width()]);
        let mut memory = Memory { floats: &mut floats, index: &mut index, lanes: 2 };
        let verdict =
            check_leaf(&problem, &mut Plain, (&[1.0, -1.0], &[1.0, -1.0]), &[], &claims, &mut memory);
        assert_eq!(verdict, Err(Rejection::NotProved { disjunct: 0 }));
    }
}
