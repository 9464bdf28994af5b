//! Outputs of a regression network lie in their interval, wherever in the ball the input is.

use certus_core::IntervalError;
use certus_core::artifact::ProgramView;
use certus_core::monitor::ProgramMonitor;
use certus_core::monitor::{worst_case_interval_ops, worst_case_ops};
use certus_tests::program_artifact::every_kind;

use super::*;

const WHOLE_LINE: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

/// The outputs over the rationals.
fn eval_exact(chain: &Chain, input: &[f32]) -> Vec<BigRational> {
    let mut x: Vec<BigRational> = input.iter().map(|x| exact(*x)).collect();
    for layer in chain.layers() {
        let mut z: Vec<BigRational> = match layer.affine.written_out().as_ref() {
            OwnedAffine::Dense { cols, weights, bias, .. } => {
                let rows = weights.chunks_exact(*cols).zip(bias);
                rows.map(|(row, b)| row.iter().zip(&x).fold(exact(*b), |s, (w, x)| s + exact(*w) * x))
                    .collect()
            }
            OwnedAffine::Scale { scale, shift } => {
                x.iter().zip(scale.iter().zip(shift)).map(|(x, (a, b))| x * exact(*a) + exact(*b)).collect()
            }
            OwnedAffine::Sparse { .. } => unreachable!("its weights are written out"),
        };
        if layer.relu {
            z.iter_mut().filter(|z| z.is_negative()).for_each(|z| *z = BigRational::zero());
        }
        x = z;
    }
    x
}

/// Points of the ball of `reach` around `sample` as parts of the reach: its centre, corners, points inside, and the
/// ends of climbs of each output, up and down.
fn points(chain: &Chain, sample: &[f32], reach: &[f64], random: &mut Random) -> Vec<Vec<f64>> {
    let n = sample.len();
    let mut all = vec![vec![0.0; n]];
    for _ in 0..3 {
        all.push((0..n).map(|_| f64::from(random.between(-1.0, 1.0))).collect());
        all.push((0..n).map(|_| if random.below(2) == 0 { 1.0 } else { -1.0 }).collect());
    }
    let at = |t: &[f64]| {
        let x: Vec<f64> = sample.iter().zip(reach).zip(t).map(|((x, r), t)| f64::from(*x) + r * t).collect();
        chain.eval_f64(&x)
    };
    for output in 0..chain.outputs() {
        for sign in [1.0, -1.0] {
            let mut t = vec![0.0; n];
            for _ in 0..3 {
                let here = sign * at(&t)[output];
                let step: Vec<f64> = (0..n)
                    .map(|feature| {
                        let mut moved = t.clone();
                        moved[feature] += 0.01;
                        if sign * at(&moved)[output] > here { 0.7 } else { -0.7 }
                    })
                    .collect();
                t.iter_mut().zip(&step).for_each(|(t, d)| *t = (*t + d).clamp(-1.0, 1.0));
            }
            all.push(t.iter().map(|t| t.signum()).collect());
            all.push(t);
        }
    }
    all
}

/// The interval of each output after a step on `sample`.
fn intervals(artifact: &Artifact, sample: &[f32]) -> Vec<[f32; 2]> {
    with_monitor(artifact, |monitor| {
        let outputs = monitor.view().outputs();
        let (mut lower, mut upper) = (vec![0.0; outputs], vec![0.0; outputs]);
        monitor.step(sample);
        monitor.output_bounds(&mut lower, &mut upper).expect("finite bounds");
        lower.into_iter().zip(upper).map(|(l, u)| [l, u]).collect()
    })
}

#[test]
fn no_input_of_the_ball_has_an_output_outside_its_interval() {
    let mut random = Random::new(11);
    let (mut tried, mut outside_half, mut rounding_counts) = (0, 0, 0);
    for round in 0..72 {
        let (inputs, outputs) = (1 + random.below(4), 1 + random.below(2));
        let chain = random_chain(&mut random, inputs, outputs);
        let live = [LiveBounds::Ibp, LiveBounds::Crown, LiveBounds::CrownFull][round % 3];
        // A specification of one row: what it says is not asked here.
        let mut coefficients = vec![0.0; outputs];
        coefficients[0] = 1.0;
        let spec = OwnedSpec::Rows { coefficients, constants: vec![100.0] };
        let size = [0.0, 1e-30, 1e-6, 1e-3, 0.02, 0.1][round % 6];
        let epsilon: Vec<f32> = (0..inputs).map(|_| size * random.between(0.0, 1.0)).collect();
        let reach: Vec<f64> = epsilon.iter().copied().map(f64::from).collect();
        let mut half = artifact(chain.clone(), epsilon.clone(), spec, live);
        let artifact = half.clone();
        half.settings.epsilon.iter_mut().for_each(|e| *e *= 0.5);
        for _ in 0..4 {
            let sample: Vec<f32> = (0..inputs).map(|_| random.between(-1.0, 1.0)).collect();
            let found = intervals(&artifact, &sample);
            let of_half = intervals(&half, &sample);
            for t in points(&chain, &sample, &reach, &mut random) {
                let point: Vec<f32> =
                    sample.iter().zip(&reach).zip(&t).map(|((x, r), t)| inside_ball(*x, *r, *t)).collect();
                let real = eval_exact(&chain, &point);
                let single = naive::forward(&chain, &point);
                for (k, [lower, upper]) in found.iter().enumerate() {
                    let (l, u) = (exact(*lower), exact(*upper));
                    for y in [&real[k], &exact(single[k])] {
                        assert!(l <= *y && *y <= u, "{y} is outside [{lower}, {upper}] at {point:?}");
                    }
                    outside_half += usize::from(single[k] < of_half[k][0] || of_half[k][1] < single[k]);
                    rounding_counts += usize::from(size == 0.0 && real[k] != exact(single[k]));
                    tried += 1;
                }
            }
        }
    }
    println!("{tried} outputs, {outside_half} outside the interval of half the radius");
    // The points reach far enough to tell a radius from half of it, and rounding is there to be covered.
    assert!(outside_half > tried / 50 && rounding_counts > 100, "{tried} {outside_half} {rounding_counts}");
}

#[test]
fn an_interval_of_a_linear_output_is_the_exact_one_up_to_rounding() {
    let spec = OwnedSpec::Rows { coefficients: vec![1.0, 0.0], constants: vec![1.0] };
    for live in [LiveBounds::Ibp, LiveBounds::Crown, LiveBounds::CrownFull] {
        // Outputs x and −x.
        let artifact = artifact(sign_network(false), vec![0.25], spec.clone(), live);
        for ([lower, upper], [from, to]) in
            intervals(&artifact, &[0.5]).into_iter().zip([[0.25, 0.75], [-0.75, -0.25]])
        {
            assert!(
                lower <= from && from - lower < 1e-5 && to <= upper && upper - to < 1e-5,
                "[{lower}, {upper}]"
            );
        }
    }
}

#[test]
fn every_output_of_a_program_lies_in_its_interval() {
    let mut artifact = every_kind();
    artifact.settings.live_bounds = LiveBounds::CrownFull;
    artifact.settings.epsilon.fill(0.05);
    let bytes = AlignedBytes::from(&artifact.emit().expect("fits")[..]);
    let view = ProgramView::new_checked(bytes.as_slice()).expect("accepted");
    let mut monitor = ProgramMonitor::<'_, 16, 16, 17, 1024>::new(view).expect("enough room");
    let random = &mut Random::new(12);
    let (mut lower, mut upper) = ([0.0; 2], [0.0; 2]);
    let mut wide = 0;
    for _ in 0..200 {
        let sample: Vec<f32> = (0..6).map(|_| random.between(-0.9, 0.9)).collect();
        monitor.step(&sample);
        monitor.output_bounds(&mut lower, &mut upper).expect("finite bounds");
        for _ in 0..20 {
            let corner = random.below(2) == 0;
            let point: Vec<f32> = sample
                .iter()
                .map(|x| {
                    let t = random.between(-1.0, 1.0);
                    inside_ball(*x, f64::from(0.05f32), f64::from(if corner { t.signum() } else { t }))
                })
                .collect();
            let y = naive::forward_program(&artifact.program, &point)
                .and_then(|mut v| v.pop())
                .expect("an output");
            for k in 0..2 {
                assert!(
                    lower[k] <= y[k] && y[k] <= upper[k],
                    "{} outside [{}, {}]",
                    y[k],
                    lower[k],
                    upper[k]
                );
                wide += usize::from(y[k] < lower[k] + 0.3 * (upper[k] - lower[k]));
            }
        }
    }
    assert!(wide > 100, "{wide}: the intervals are too wide to say anything");
}

#[test]
fn without_outputs_or_bounds_the_interval_is_the_whole_line() {
    let spec = OwnedSpec::Rows { coefficients: vec![1.0, 0.0], constants: vec![1.0] };
    let ask = |live, sample: Option<&[f32]>, outputs: usize| {
        let artifact = artifact(sign_network(false), vec![0.1], spec.clone(), live);
        with_monitor(&artifact, |monitor| {
            // An earlier step must leave nothing behind.
            if sample.is_some() {
                monitor.step(&[0.25]);
            }
            sample.map(|sample| monitor.step(sample));
            let (mut lower, mut upper) = (vec![0.0; outputs], vec![0.0; outputs]);
            let result = monitor.output_bounds(&mut lower, &mut upper);
            if result.is_err() {
                lower.iter().zip(&upper).for_each(|(l, u)| assert_eq!([*l, *u], WHOLE_LINE));
            }
            result
        })
    };
    let live = LiveBounds::Crown;
    assert_eq!(ask(live, Some(&[0.5]), 2), Ok(()));
    assert_eq!(ask(live, None, 2), Err(IntervalError::NoOutputs));
    assert_eq!(ask(live, Some(&[2.0]), 2), Err(IntervalError::NoOutputs));
    assert_eq!(ask(live, Some(&[f32::NAN]), 2), Err(IntervalError::NoOutputs));
    assert_eq!(ask(live, Some(&[0.5]), 1), Err(IntervalError::Length));
    assert_eq!(ask(live, Some(&[0.5]), 3), Err(IntervalError::Length));
    assert_eq!(ask(LiveBounds::Off, Some(&[0.5]), 2), Err(IntervalError::Off));
}

#[test]
fn an_output_that_overflows_has_no_interval_of_an_earlier_sample() {
    let affine = OwnedAffine::Dense { rows: 1, cols: 1, weights: vec![2e38], bias: vec![2e38] };
    let chain = Chain::new(vec![OwnedLayer { affine, relu: false }]).expect("a network");
    let spec = OwnedSpec::Rows { coefficients: vec![1.0], constants: vec![1.0] };
    let artifact = artifact(chain, vec![0.0], spec, LiveBounds::Crown);
    with_monitor(&artifact, |monitor| {
        let (mut lower, mut upper) = ([0.0], [0.0]);
        monitor.step(&[0.01]);
        assert_eq!(monitor.output_bounds(&mut lower, &mut upper), Ok(()));
        assert_eq!(monitor.step(&[1.0]).status, Status::Invalid(Fault::Overflow));
        assert_eq!(monitor.output_bounds(&mut lower, &mut upper), Err(IntervalError::NoOutputs));
        assert_eq!([lower[0], upper[0]], WHOLE_LINE);
    });
}

#[test]
fn the_work_of_intervals_is_that_of_live_bounds_with_two_rows_for_each_output() {
    let mut random = Random::new(13);
    let chain = random_chain(&mut random, 3, 2);
    let work = |rows: usize| {
        let (coefficients, constants) = (vec![1.0; 2 * rows], vec![0.0; rows]);
        let spec = OwnedSpec::Rows { coefficients, constants };
        let artifact = artifact(chain.clone(), vec![0.1; 3], spec, LiveBounds::CrownFull);
        let bytes = AlignedBytes::from(&artifact.emit().expect("fits")[..]);
        let view = ArtifactView::new_checked(bytes.as_slice()).expect("checked by emit");
        (worst_case_interval_ops(&view), worst_case_ops(&view).bounds)
    };
    assert_eq!(work(4).0, work(4).1);
    assert_eq!(work(1).0, work(4).0);
}
