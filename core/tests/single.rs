//! The device's `f32` functions against the proved enclosures in `f64`: error, monotony, symmetry.
//!
//! Each run looks at every 4099th bit pattern; `cargo test -p certus-core --test single -- --ignored` at all `2³²` (minutes).

use certus_core::elementary::{Interval, SIGMOID_ERROR, TANH_ERROR, sigmoid, sigmoid_f32, tanh, tanh_f32};

/// Looks at every `step`th float from −∞ to ∞ and returns the greatest distance from the enclosure.
fn walk(step: u32, f: fn(f32) -> f32, enclosure: fn(f64) -> Interval, threads: u32) -> f64 {
    // Floats in increasing order are the integers from −(2³¹ − 2²³) to 2³¹ − 2²³.
    let last = i64::from(f32::INFINITY.to_bits());
    let float = |i: i64| {
        let bits = u32::try_from(i.unsigned_abs()).unwrap();
        f32::from_bits(if i < 0 { bits | 0x8000_0000 } else { bits })
    };
    let part = |thread: u32| {
        let length = (2 * last + 1) / i64::from(threads) + 1;
        let from = -last + i64::from(thread) * length;
        let to = (from + length).min(last + 1);
        let mut worst = 0.0f64;
        let mut previous = f32::NEG_INFINITY;
        let mut i = from;
        while i < to {
            let x = float(i);
            let y = f(x);
            assert!(y >= previous, "{x:e}: {y:e} after {previous:e}");
            previous = y;
            let real = enclosure(f64::from(x));
            let y = f64::from(y);
            worst = worst.max(real.upper - y).max(y - real.lower);
            i += i64::from(step);
        }
        worst
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|t| scope.spawn(move || part(t))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).fold(0.0, f64::max)
    })
}

fn check(step: u32, threads: u32) {
    let worst = [walk(step, sigmoid_f32, sigmoid, threads), walk(step, tanh_f32, tanh, threads)];
    println!("greatest errors: sigmoid {:e}, tanh {:e}", worst[0], worst[1]);
    assert!(worst[0] <= f64::from(SIGMOID_ERROR), "sigmoid {:e}", worst[0]);
    assert!(worst[1] <= f64::from(TANH_ERROR), "tanh {:e}", worst[1]);
}

#[test]
fn sampled_floats_are_within_the_stated_errors_and_monotone() {
    check(4099, 1);
}

#[test]
#[ignore = "minutes: all floats"]
fn exhaustive() {
    check(1, 2);
}

#[test]
fn special_arguments() {
    assert!(sigmoid_f32(f32::NAN).is_nan() && tanh_f32(f32::NAN).is_nan());
    assert_eq!((sigmoid_f32(f32::INFINITY), sigmoid_f32(f32::NEG_INFINITY)), (1.0, 0.0));
    assert_eq!((tanh_f32(f32::INFINITY), tanh_f32(f32::NEG_INFINITY)), (1.0, -1.0));
    assert_eq!((sigmoid_f32(0.0), sigmoid_f32(-0.0)), (0.5, 0.5));
    assert_eq!((tanh_f32(-0.0).to_bits(), tanh_f32(f32::from_bits(1)).to_bits()), ((-0.0f32).to_bits(), 1));
    for bits in (0..f32::INFINITY.to_bits()).step_by(65_537) {
        let x = f32::from_bits(bits);
        assert_eq!(tanh_f32(-x).to_bits(), (-tanh_f32(x)).to_bits());
    }
}
