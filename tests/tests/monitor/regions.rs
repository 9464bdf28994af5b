//! Region certificates: which balls they certify, with which radius.

use super::*;

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
                    tried += attack::attack(&chain, &sample, &reach, class, 1.0, &mut random);
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
