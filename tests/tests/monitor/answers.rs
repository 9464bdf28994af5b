//! The stated answer to awkward samples, overflow and capacities, and what a step costs.

use super::*;

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
