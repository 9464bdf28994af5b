//! No attack changes the class inside a ball that the monitor certifies.

use super::*;

/// Tries to change the class inside the ball of `reach` per feature: corners, random points, and steps
/// along the sign of a difference quotient of each margin. Returns how many points were tried.
pub(super) fn attack(
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
