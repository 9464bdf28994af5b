//! What the monitor says is true: no attack breaks what it certifies, no awkward float confuses it.

use std::path::{Path, PathBuf};

use certus_core::artifact::{Claim, LiveBounds, Meanings};
use certus_core::bounds::{self, Method};
use certus_core::monitor::{MonitorRef, memory_len};
use certus_core::{ArtifactView, Decision, Evidence, Fault, Monitor, MonitorError, Network, Status};
use certus_engine::certify::{
    AlignedBytes, Artifact, InputRange, MonitorSettings, OwnedSpec, RegionCertificate, naive,
};
use certus_engine::{Chain, OwnedAffine, OwnedLayer, graph};
use certus_tests::certus_data;
use certus_tests::random::Random;
use num_rational::BigRational;
use num_traits::{Signed, Zero};

fn exact(x: f32) -> BigRational {
    BigRational::from_float(x).expect("finite")
}

/// A ReLU network of random shape; the first layer sometimes normalises.
fn random_chain(random: &mut Random, inputs: usize, outputs: usize) -> Chain {
    let mut layers = Vec::new();
    if random.below(2) == 0 {
        let scale = (0..inputs).map(|_| random.between(0.5, 2.0)).collect();
        let shift = (0..inputs).map(|_| random.between(-0.5, 0.5)).collect();
        layers.push(OwnedLayer { affine: OwnedAffine::Scale { scale, shift }, relu: false });
    }
    let mut cols = inputs;
    let depth = 1 + random.below(3);
    for layer in 0..=depth {
        let rows = if layer == depth { outputs } else { 2 + random.below(40) };
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let size = 2.0 / (cols as f32).sqrt();
        let weights = (0..rows * cols).map(|_| random.between(-size, size)).collect();
        let bias = (0..rows).map(|_| random.between(-0.3, 0.3)).collect();
        layers.push(OwnedLayer {
            affine: OwnedAffine::Dense { rows, cols, weights, bias },
            relu: layer != depth,
        });
        cols = rows;
    }
    Chain::new(layers).expect("shapes chain")
}

fn artifact(chain: Chain, epsilon: Vec<f32>, spec: OwnedSpec, live_bounds: LiveBounds) -> Artifact {
    let inputs = chain.inputs();
    Artifact {
        minor: 0,
        chain,
        range: InputRange { lower: vec![-1.0; inputs], upper: vec![1.0; inputs] },
        settings: MonitorSettings { epsilon, spec, live_bounds },
        certificates: Vec::new(),
        provenance: [].into(),
        unknown: Vec::new(),
    }
}

/// Runs `visit` with a monitor of `artifact`.
fn with_monitor<T>(artifact: &Artifact, visit: impl FnOnce(&mut MonitorRef<'_, '_>) -> T) -> T {
    let bytes = AlignedBytes::from(&artifact.emit().expect("fits")[..]);
    let view = ArtifactView::new_checked(bytes.as_slice()).expect("checked by emit");
    let layers: Vec<_> = view.layers().collect();
    let mut memory = vec![0.0; memory_len(&view)];
    visit(&mut MonitorRef::new(view, &layers, &mut memory).expect("capacities are exact"))
}

fn step(artifact: &Artifact, sample: &[f32]) -> Decision {
    with_monitor(artifact, |monitor| monitor.step(sample))
}

/// Index of the largest (`sign` 1) or smallest (`sign` −1) value, if no other equals it.
fn strict_class(values: &[f64], sign: f64) -> Option<usize> {
    let (class, top) = values.iter().enumerate().max_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)))?;
    let ties = values.iter().filter(|value| *value == top).count();
    (ties == 1).then_some(class)
}

/// Largest `f32` step from `x` by `t·reach`, `t` in [−1, 1], that stays inside `|x' − x| ≤ reach` exactly.
#[expect(clippy::cast_possible_truncation, reason = "moved inwards afterwards")]
fn inside_ball(x: f32, reach: f64, t: f64) -> f32 {
    let mut near = (f64::from(x) + t * reach) as f32;
    let limit = BigRational::from_float(reach).expect("finite");
    while (exact(near) - exact(x)).abs() > limit {
        near = if near > x { near.next_down() } else { near.next_up() };
    }
    near
}

/// Tries to change the class inside the ball of `reach` per feature: corners, random points, and steps
/// along the sign of a difference quotient of each margin. Returns how many points were tried.
fn attack(
    chain: &Chain,
    sample: &[f32],
    reach: &[f64],
    class: usize,
    sign: f64,
    random: &mut Random,
) -> usize {
    let mut tried = 0;
    let mut check = |t: &[f64]| {
        let point: Vec<f32> =
            sample.iter().zip(reach).zip(t).map(|((x, r), t)| inside_ball(*x, *r, *t)).collect();
        let wide: Vec<f64> = point.iter().copied().map(f64::from).collect();
        let single: Vec<f64> = naive::forward(chain, &point).into_iter().map(f64::from).collect();
        assert_eq!(
            strict_class(&single, sign),
            Some(class),
            "f32 changes its class at {point:?} near {sample:?}"
        );
        let double = chain.eval_f64(&wide);
        assert_eq!(
            strict_class(&double, sign),
            Some(class),
            "f64 changes its class at {point:?} near {sample:?}"
        );
        tried += 1;
    };
    let n = sample.len();
    for _ in 0..20 {
        check(&(0..n).map(|_| f64::from(random.between(-1.0, 1.0))).collect::<Vec<_>>());
        check(&(0..n).map(|_| if random.below(2) == 0 { 1.0 } else { -1.0 }).collect::<Vec<_>>());
    }
    let at = |t: &[f64]| {
        let point: Vec<f64> =
            sample.iter().zip(reach).zip(t).map(|((x, r), t)| f64::from(*x) + r * t).collect();
        chain.eval_f64(&point)
    };
    for other in (0..chain.outputs()).filter(|other| *other != class) {
        let mut t = vec![0.0; n];
        for _ in 0..3 {
            let margin = |t: &[f64]| {
                let y = at(t);
                sign * (y[class] - y[other])
            };
            let here = margin(&t);
            let downhill: Vec<f64> = (0..n)
                .map(|feature| {
                    let mut moved = t.clone();
                    moved[feature] += 0.01;
                    if margin(&moved) > here { -1.0 } else { 1.0 }
                })
                .collect();
            t.iter_mut().zip(&downhill).for_each(|(t, d)| *t = (*t + 0.7 * d).clamp(-1.0, 1.0));
            check(&t);
        }
        check(&t.iter().map(|t| t.signum()).collect::<Vec<_>>());
    }
    tried
}

#[test]
fn no_attack_breaks_what_live_bounds_certify() {
    let mut random = Random::new(1);
    let (mut certified, mut refused, mut tried) = (0, 0, 0);
    for round in 0..60 {
        let (inputs, outputs) = (1 + random.below(6), 2 + random.below(4));
        let chain = random_chain(&mut random, inputs, outputs);
        let live = [LiveBounds::Ibp, LiveBounds::Crown, LiveBounds::CrownFull][round % 3];
        let (spec, sign) = if round % 2 == 0 { (OwnedSpec::ArgMax, 1.0) } else { (OwnedSpec::ArgMin, -1.0) };
        let size = [0.0, 1e-30, 1e-6, 1e-3, 0.02, 0.1][random.below(6)];
        let epsilon: Vec<f32> = (0..inputs).map(|_| size * random.between(0.0, 1.0)).collect();
        let artifact = artifact(chain.clone(), epsilon.clone(), spec, live);
        for _ in 0..10 {
            let sample: Vec<f32> = (0..inputs).map(|_| random.between(-1.0, 1.0)).collect();
            let decision = step(&artifact, &sample);
            match decision.status {
                Status::Certified { by, radius } => {
                    assert_eq!((by, radius), (Evidence::Bounds, 1.0));
                    let reach: Vec<f64> = epsilon.iter().copied().map(f64::from).collect();
                    let class = usize::from(decision.class.expect("a class specification"));
                    tried += attack(&chain, &sample, &reach, class, sign, &mut random);
                    certified += 1;
                }
                Status::NotCertified { margin_lower } => {
                    assert!(margin_lower <= decision.margin, "{margin_lower} > {}", decision.margin);
                    refused += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    println!("{certified} certified, {refused} not, {tried} attacks");
    assert!(
        certified > 100 && refused > 20,
        "{certified} certified, {refused} not: too one-sided to mean anything"
    );
}

/// Samples `program` near `samples` and attacks what CROWN certifies there, with epsilon growing by
/// factors of four; returns how many balls were certified and how many not.
fn attack_network(
    chain: &Chain,
    samples: &[Vec<f32>],
    range: InputRange,
    spec: &OwnedSpec,
    epsilon: f32,
) -> (usize, usize) {
    let mut random = Random::new(5);
    let sign = if *spec == OwnedSpec::ArgMin { -1.0 } else { 1.0 };
    let (mut certified, mut refused) = (0, 0);
    for step in 0..5 {
        let size = epsilon * 4f32.powi(step);
        let spread = range.lower.iter().zip(&range.upper).map(|(l, u)| size * (u - l)).collect::<Vec<_>>();
        let mut artifact = artifact(chain.clone(), spread.clone(), spec.clone(), LiveBounds::CrownFull);
        artifact.range = range.clone();
        let reach: Vec<f64> = spread.iter().copied().map(f64::from).collect();
        with_monitor(&artifact, |monitor| {
            for sample in samples {
                let decision = monitor.step(sample);
                match decision.status {
                    Status::Certified { .. } => {
                        let class = usize::from(decision.class.expect("a class specification"));
                        attack(chain, sample, &reach, class, sign, &mut random);
                        certified += 1;
                    }
                    Status::NotCertified { .. } => refused += 1,
                    other => panic!("{other:?}"),
                }
            }
        });
    }
    (certified, refused)
}

#[test]
fn no_attack_breaks_what_is_certified_along_the_bundled_encounter() {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets");
    let chain = graph::load_chain(&assets.join("surrogate.onnx")).expect("bundled");
    let samples = certus::csv::read_rows(&assets.join("trajectory.csv"), chain.inputs()).expect("bundled");
    let fold = |start: f32, pick: fn(f32, f32) -> f32| -> Vec<f32> {
        (0..chain.inputs()).map(|feature| samples.iter().map(|s| s[feature]).fold(start, pick)).collect()
    };
    let range = InputRange { lower: fold(f32::INFINITY, f32::min), upper: fold(f32::NEG_INFINITY, f32::max) };
    let some: Vec<_> = samples.into_iter().step_by(5).collect();
    let counts = attack_network(&chain, &some, range, &OwnedSpec::ArgMax, 1e-4);
    println!("{counts:?}");
    assert!(counts.0 > 100 && counts.1 > 10, "{counts:?}: too one-sided to mean anything");
}

#[test]
fn no_attack_breaks_what_is_certified_on_the_acas_networks() {
    let Some(data) = certus_data("acas monitor") else { return };
    let folder = data.join("benchmarks/vnncomp2021/acasxu");
    let mut random = Random::new(6);
    let (mut certified, mut refused) = (0, 0);
    let mut names: Vec<_> = walk(&folder);
    names.sort();
    assert_eq!(names.len(), 45, "{}", folder.display());
    for name in names.iter().step_by(9) {
        let chain = graph::load_chain(name).expect("an ACAS network");
        let range = InputRange { lower: vec![-0.5; 5], upper: vec![0.5; 5] };
        let samples: Vec<Vec<f32>> =
            (0..20).map(|_| (0..5).map(|_| random.between(-0.5, 0.5)).collect()).collect();
        let some: Vec<_> = samples.into_iter().step_by(5).collect();
        let counts = attack_network(&chain, &some, range, &OwnedSpec::ArgMin, 3e-4);
        (certified, refused) = (certified + counts.0, refused + counts.1);
    }
    println!("{certified} certified, {refused} not");
    assert!(
        certified > 50 && refused > 10,
        "{certified} certified, {refused} not: too one-sided to mean anything"
    );
}

/// The networks below `folder`.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    entries
        .flat_map(|path| {
            let is_network = path.to_string_lossy().contains(".onnx");
            if path.is_dir() { walk(&path) } else { Vec::from_iter(is_network.then_some(path)) }
        })
        .collect()
}

/// The largest box `[x − half, x + half]` of `halves` on which the class of `x` is bounded by CROWN.
fn certified_box(chain: &Chain, sample: &[f32]) -> Option<RegionCertificate> {
    let layers = chain.core_layers();
    let network = Network::new(&layers).ok()?;
    let output: Vec<f64> = chain.eval_f32(sample).into_iter().map(f64::from).collect();
    let class = strict_class(&output, 1.0)?;
    let mut memory = vec![0.0; bounds::memory_len(&network, Method::CrownFull)];
    for half in [0.3f32, 0.1, 0.03, 0.01] {
        let lower: Vec<f32> = sample.iter().map(|x| (x - half).max(-1.0)).collect();
        let upper: Vec<f32> = sample.iter().map(|x| (x + half).min(1.0)).collect();
        bounds::prepare(&network, &lower, &upper, Method::CrownFull, &mut memory).ok()?;
        let mut bound = f32::INFINITY;
        for other in (0..chain.outputs()).filter(|other| *other != class) {
            let mut row = vec![0.0; chain.outputs()];
            (row[class], row[other]) = (1.0, -1.0);
            bound = bound.min(bounds::row_lower(&network, Method::CrownFull, &row, &mut memory).ok()?);
        }
        if bound > 0.0 {
            let claim = Claim::Class(u16::try_from(class).expect("few outputs"));
            return Some(RegionCertificate {
                lower,
                upper,
                claim,
                bound,
                meanings: Meanings::BOTH,
                proof: None,
            });
        }
    }
    None
}

/// Whether every real `x'` with `|x'ᵢ − xᵢ| ≤ ρ·epsilonᵢ` lies in the box.
fn ball_lies_inside(
    sample: &[f32],
    epsilon: &[f32],
    factor: &BigRational,
    region: &RegionCertificate,
) -> bool {
    sample.iter().zip(epsilon).zip(region.lower.iter().zip(&region.upper)).all(|((x, e), (l, u))| {
        let reach = factor * exact(*e);
        exact(*x) - &reach >= exact(*l) && exact(*x) + &reach <= exact(*u)
    })
}

/// A point of the region: inside, on a side, or a few floats from one.
fn near_sides(random: &mut Random, region: &RegionCertificate) -> Vec<f32> {
    region
        .lower
        .iter()
        .zip(&region.upper)
        .map(|(l, u)| {
            let mut x = match random.below(4) {
                0 => *l,
                1 => *u,
                _ => random.between(*l, *u),
            };
            for _ in 0..random.below(3) {
                x = if x < (l + u) * 0.5 { x.next_up() } else { x.next_down() };
            }
            x
        })
        .collect()
}

#[test]
fn a_region_certifies_exactly_balls_inside_it_with_a_radius_inside_it() {
    let mut random = Random::new(2);
    let (mut certified, mut refused, mut tried) = (0, 0, 0);
    for _ in 0..150 {
        let (inputs, outputs) = (1 + random.below(4), 2 + random.below(3));
        let chain = random_chain(&mut random, inputs, outputs);
        let centre: Vec<f32> = (0..inputs).map(|_| random.between(-1.0, 1.0)).collect();
        let Some(region) = certified_box(&chain, &centre) else { continue };
        let size = [0.0, 1e-44, 1e-30, 1e-9, 1e-7, 1e-3, 0.01][random.below(7)];
        let epsilon: Vec<f32> = (0..inputs).map(|_| size * random.between(0.0, 1.0)).collect();
        let mut artifact = artifact(chain.clone(), epsilon.clone(), OwnedSpec::ArgMax, LiveBounds::Off);
        artifact.certificates.push(region.clone());
        for _ in 0..20 {
            let sample = near_sides(&mut random, &region);
            let decision = step(&artifact, &sample);
            let one = BigRational::from_integer(1.into());
            match decision.status {
                Status::Certified { by, radius } => {
                    assert_eq!(by, Evidence::Region);
                    assert!(
                        ball_lies_inside(&sample, &epsilon, &one, &region),
                        "{sample:?} ± {epsilon:?}: {region:?}"
                    );
                    if epsilon.iter().all(|e| *e == 0.0) {
                        assert_eq!(radius, f32::INFINITY);
                        certified += 1;
                        continue;
                    }
                    assert!(radius >= 1.0 && radius.is_finite(), "{radius}");
                    assert!(ball_lies_inside(&sample, &epsilon, &exact(radius), &region), "radius {radius}");
                    let reach: Vec<f64> = epsilon.iter().map(|e| f64::from(*e) * f64::from(radius)).collect();
                    let class = usize::from(decision.class.expect("a class specification"));
                    tried += attack(&chain, &sample, &reach, class, 1.0, &mut random);
                    certified += 1;
                }
                Status::NotCertified { margin_lower } => {
                    assert_eq!(margin_lower, f32::NEG_INFINITY);
                    refused += 1;
                }
                Status::OutOfRange { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    println!("{certified} certified, {refused} not, {tried} attacks");
    assert!(
        certified > 200 && refused > 100,
        "{certified} certified, {refused} not: too one-sided to mean anything"
    );
}

/// Containment as it would be without rounding outward.
fn unsound_lies_inside(sample: &[f32], epsilon: &[f32], region: &RegionCertificate) -> bool {
    sample
        .iter()
        .zip(epsilon)
        .zip(region.lower.iter().zip(&region.upper))
        .all(|((x, e), (l, u))| *l <= x - e && x + e <= *u)
}

#[test]
fn without_outward_rounding_a_ball_that_leaves_the_region_would_be_certified() {
    let chain = Chain::new(vec![OwnedLayer {
        affine: OwnedAffine::Dense { rows: 2, cols: 1, weights: vec![0.0, 0.0], bias: vec![1.0, 0.0] },
        relu: false,
    }])
    .expect("a network");
    let region = RegionCertificate {
        lower: vec![0.5],
        upper: vec![1.0],
        claim: Claim::Class(0),
        bound: 1.0,
        meanings: Meanings::BOTH,
        proof: None,
    };
    // On the side of the box, epsilon too small to move an f32: the ball leaves the box all the same.
    let (sample, epsilon) = (vec![0.5], vec![1e-20]);
    let one = BigRational::from_integer(1.into());
    assert!(!ball_lies_inside(&sample, &epsilon, &one, &region));
    assert!(unsound_lies_inside(&sample, &epsilon, &region), "the control must be fooled");
    let mut artifact = artifact(chain, epsilon, OwnedSpec::ArgMax, LiveBounds::Off);
    artifact.certificates.push(region);
    assert!(matches!(step(&artifact, &sample).status, Status::NotCertified { .. }));
    artifact.settings.epsilon = vec![0.0];
    let expected = Status::Certified { by: Evidence::Region, radius: f32::INFINITY };
    assert_eq!(step(&artifact, &sample).status, expected);
}

/// One input, class 0 for `x > 0` with margin `2x`, class 1 below.
fn sign_network(relu: bool) -> Chain {
    Chain::new(vec![OwnedLayer {
        affine: OwnedAffine::Dense { rows: 2, cols: 1, weights: vec![1.0, -1.0], bias: vec![0.0, 0.0] },
        relu,
    }])
    .expect("a network")
}

#[test]
fn awkward_samples_have_their_stated_answers() {
    let artifact = artifact(sign_network(false), vec![0.0], OwnedSpec::ArgMax, LiveBounds::CrownFull);
    let status = |x: f32| step(&artifact, &[x]).status;
    for x in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(status(x), Status::Invalid(Fault::NonFinite));
    }
    for x in [1.0f32.next_up(), -1.0f32.next_up(), f32::MAX] {
        assert_eq!(status(x), Status::OutOfRange { feature: 0 });
    }
    for x in [1.0, -1.0, 0.5] {
        assert!(matches!(status(x), Status::Certified { by: Evidence::Bounds, radius: 1.0 }), "{x}");
    }
    // On the boundary between the classes both outputs are equal: the margin is 0 and not certified.
    for x in [0.0f32, -0.0] {
        let decision = step(&artifact, &[x]);
        assert_eq!((decision.class, decision.margin), (Some(0), 0.0));
        assert!(matches!(decision.status, Status::NotCertified { .. }));
    }
    // Subnormals are computed, not flushed; their margin 2x is exact and what is said of it is not above it.
    for x in [f32::from_bits(1), f32::from_bits(0x0040_0000)] {
        let decision = step(&artifact, &[x]);
        assert_eq!(decision.class, Some(0));
        assert!(decision.margin <= 2.0 * x && decision.margin >= x, "{}", decision.margin);
        assert_eq!(step(&artifact, &[-x]).class, Some(1));
    }
    for sample in [&[][..], &[0.0, 0.0]] {
        assert_eq!(step(&artifact, sample).status, Status::Invalid(Fault::Length));
    }
}

#[test]
fn an_output_beyond_f32_is_an_overflow_and_never_certified() {
    let huge = Chain::new(vec![
        OwnedLayer {
            affine: OwnedAffine::Dense {
                rows: 2,
                cols: 1,
                weights: vec![f32::MAX, -1.0],
                bias: vec![f32::MAX, 0.0],
            },
            relu: false,
        },
        OwnedLayer {
            affine: OwnedAffine::Dense {
                rows: 2,
                cols: 2,
                weights: vec![1.0, 0.0, 0.0, 1.0],
                bias: vec![0.0; 2],
            },
            relu: false,
        },
    ])
    .expect("finite constants");
    let artifact = artifact(huge, vec![0.0], OwnedSpec::ArgMax, LiveBounds::Crown);
    with_monitor(&artifact, |monitor| {
        let decision = monitor.step(&[1.0]);
        assert_eq!(decision.status, Status::Invalid(Fault::Overflow));
        assert_eq!(decision.class, None);
        // What was computed can still be looked at.
        assert_eq!(monitor.outputs()[0], f32::INFINITY);
        // A refused sample leaves no outputs of an earlier one behind.
        assert_eq!(monitor.step(&[2.0]).status, Status::OutOfRange { feature: 0 });
        assert!(monitor.outputs().is_empty());
    });
}

#[test]
fn a_hidden_overflow_is_never_certified_by_live_bounds() {
    // The hidden neuron is −∞ in f32 and ReLU makes it 0: outputs look fine, bounds must not.
    let hidden = Chain::new(vec![
        OwnedLayer {
            affine: OwnedAffine::Dense { rows: 1, cols: 1, weights: vec![-f32::MAX], bias: vec![-f32::MAX] },
            relu: true,
        },
        OwnedLayer {
            affine: OwnedAffine::Dense { rows: 2, cols: 1, weights: vec![0.0, 0.0], bias: vec![1.0, 0.0] },
            relu: false,
        },
    ])
    .expect("finite constants");
    for live in [LiveBounds::Ibp, LiveBounds::Crown, LiveBounds::CrownFull] {
        let decision = step(&artifact(hidden.clone(), vec![0.0], OwnedSpec::ArgMax, live), &[1.0]);
        assert_eq!(decision.status, Status::NotCertified { margin_lower: f32::NEG_INFINITY }, "{live:?}");
    }
}

#[test]
fn a_certificate_for_another_class_or_one_meaning_certifies_nothing() {
    let region = |claim, meanings| RegionCertificate {
        lower: vec![0.25],
        upper: vec![1.0],
        claim,
        bound: 0.5,
        meanings: Meanings::from_bits(meanings).expect("known bits"),
        proof: None,
    };
    let decide = |region: RegionCertificate| {
        let mut artifact = artifact(sign_network(false), vec![0.125], OwnedSpec::ArgMax, LiveBounds::Off);
        artifact.certificates.push(region);
        step(&artifact, &[0.5]).status
    };
    assert!(matches!(decide(region(Claim::Class(0), 3)), Status::Certified { by: Evidence::Region, .. }));
    for (claim, meanings) in [(Claim::Class(1), 3), (Claim::Class(0), 1), (Claim::Class(0), 2)] {
        let status = decide(region(claim, meanings));
        assert_eq!(status, Status::NotCertified { margin_lower: f32::NEG_INFINITY }, "{claim:?} {meanings}");
    }
}

#[test]
fn the_margin_of_rows_is_at_most_the_exact_one_and_close_to_it() {
    let mut random = Random::new(3);
    for _ in 0..200 {
        let (inputs, outputs) = (1 + random.below(3), 1 + random.below(40));
        let chain = random_chain(&mut random, inputs, outputs);
        let rows = 1 + random.below(3);
        let coefficients: Vec<f32> = (0..rows * outputs).map(|_| random.between(-1.0, 1.0)).collect();
        let constants: Vec<f32> = (0..rows).map(|_| random.between(-2.0, 6.0)).collect();
        let spec = OwnedSpec::Rows { coefficients: coefficients.clone(), constants: constants.clone() };
        let artifact = artifact(chain.clone(), vec![1e-4; inputs], spec, LiveBounds::CrownFull);
        let sample: Vec<f32> = (0..inputs).map(|_| random.between(-1.0, 1.0)).collect();
        let decision = step(&artifact, &sample);
        let output = naive::forward(&chain, &sample);
        let value = |row: &[f32], constant: f32| {
            row.iter().zip(&output).fold(exact(constant), |sum, (c, y)| sum + exact(*c) * exact(*y))
        };
        let smallest = coefficients
            .chunks_exact(outputs)
            .zip(&constants)
            .map(|(row, constant)| value(row, *constant))
            .min()
            .expect("at least one row");
        let gap = smallest.clone() - exact(decision.margin);
        assert!(!gap.is_negative(), "margin {} is above the exact one", decision.margin);
        assert!(gap < exact(1e-3), "margin {} is far below the exact one", decision.margin);
        assert_eq!(decision.class, None);
        if let Status::Certified { .. } = decision.status {
            assert!(smallest > BigRational::zero());
        }
    }
}

#[test]
fn owner_and_borrower_say_the_same_and_capacities_are_checked() {
    let mut random = Random::new(4);
    let chain = random_chain(&mut random, 3, 4);
    let artifact = artifact(chain, vec![0.01; 3], OwnedSpec::ArgMax, LiveBounds::Crown);
    let bytes = AlignedBytes::from(&artifact.emit().expect("fits")[..]);
    let view = ArtifactView::new_checked(bytes.as_slice()).expect("checked by emit");
    let (layers, needed): (Vec<_>, _) = (view.layers().collect(), memory_len(&view));
    let mut owner = Box::new(Monitor::<'_, 8, 4096>::new(view).expect("large enough"));
    let mut memory = vec![0.0; needed];
    let mut borrower = MonitorRef::new(view, &layers, &mut memory).expect("exactly enough");
    for _ in 0..50 {
        let sample: Vec<f32> = (0..3).map(|_| random.between(-1.1, 1.1)).collect();
        assert_eq!(owner.step(&sample), borrower.step(&sample));
        assert_eq!(owner.outputs(), borrower.outputs());
    }
    assert_eq!(Monitor::<'_, 1, 4096>::new(view).err(), Some(MonitorError::Layers { needed: layers.len() }));
    assert_eq!(Monitor::<'_, 8, 8>::new(view).err(), Some(MonitorError::Memory { needed }));
    let mut short = vec![0.0; needed - 1];
    assert_eq!(MonitorRef::new(view, &layers, &mut short).err(), Some(MonitorError::Memory { needed }));
    let mut memory = vec![0.0; needed];
    let fewer = MonitorRef::new(view, &layers[1..], &mut memory).err();
    assert_eq!(fewer, Some(MonitorError::LayerTable));
}

#[test]
fn worst_case_operations_are_those_counted_by_hand() {
    let dense = |rows: usize, cols: usize, relu| OwnedLayer {
        affine: OwnedAffine::Dense { rows, cols, weights: vec![0.5; rows * cols], bias: vec![0.0; rows] },
        relu,
    };
    // 2 → 4 → 3 → 5: 8 + 12 + 15 = 35 products forward.
    let chain =
        Chain::new(vec![dense(4, 2, true), dense(3, 4, true), dense(5, 3, false)]).expect("a network");
    let products = |live| {
        let artifact = artifact(chain.clone(), vec![0.0; 2], OwnedSpec::ArgMax, live);
        with_monitor(&artifact, |monitor| certus_core::monitor::worst_case_ops(monitor.view()))
    };
    let off = products(LiveBounds::Off);
    assert_eq!((off.inference.multiply_adds, off.bounds.multiply_adds), (35, 0));
    // Intervals: centre, radius and magnitude per weight; an IBP row reads outputs only.
    assert_eq!(products(LiveBounds::Ibp).bounds.multiply_adds, 3 * 35);
    // Four rows back through 35 weights and the 2 inputs.
    assert_eq!(products(LiveBounds::Crown).bounds.multiply_adds, 3 * 35 + 4 * (35 + 2));
    // Also two rows for each of 3 neurons through 8 + 12 weights and the 2 inputs.
    assert_eq!(products(LiveBounds::CrownFull).bounds.multiply_adds, 3 * 35 + 4 * (35 + 2) + 6 * (20 + 2));
}

#[test]
fn of_regions_that_overlap_the_one_with_the_largest_radius_counts_in_any_order() {
    let region = |lower: f32, upper: f32| RegionCertificate {
        lower: vec![lower],
        upper: vec![upper],
        claim: Claim::Class(0),
        bound: 0.5,
        meanings: Meanings::BOTH,
        proof: None,
    };
    // Around 0.5 with epsilon 1/64: 8, 16 and 4 times epsilon to the nearer side; the last does not hold the ball.
    let mut regions = [region(0.375, 1.0), region(0.25, 0.75), region(0.4375, 0.5625), region(0.5, 1.0)];
    for _ in 0..regions.len() {
        regions.rotate_left(1);
        let mut artifact =
            artifact(sign_network(false), vec![1.0 / 64.0], OwnedSpec::ArgMax, LiveBounds::Off);
        artifact.certificates = regions.to_vec();
        let Status::Certified { by: Evidence::Region, radius } = step(&artifact, &[0.5]).status else {
            panic!("must be certified by region");
        };
        assert!(radius <= 16.0 && radius > 15.999, "{radius}");
    }
}
