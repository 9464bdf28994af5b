//! The device's `f32` functions against the proved enclosures in `f64`: error, range, symmetry.
//!
//! Each run looks at every 251st block of 32 floats; `cargo test -p certus-core --test single -- --ignored` at all `2³²` (minutes).

use certus_core::elementary::{
    Interval, SIGMOID_ERROR, TANH_ERROR, sigmoid, sigmoid_f32, sigmoid_slope, tanh, tanh_f32, tanh_slope,
};

/// Neighbouring floats compared with one enclosure.
const BLOCK: i64 = 32;

/// A device function, its real one (monotone) with slope and greatest curvature, and its least value.
struct Pair {
    device: fn(f32) -> f32,
    value: fn(f64) -> Interval,
    slope: fn(f64) -> Interval,
    curvature: f64,
    floor: f32,
}

const SIGMOID: Pair =
    Pair { device: sigmoid_f32, value: sigmoid, slope: sigmoid_slope, curvature: 0.1, floor: 0.0 };
const TANH: Pair = Pair { device: tanh_f32, value: tanh, slope: tanh_slope, curvature: 0.8, floor: -1.0 };

/// Floats in increasing order are the integers from −(2³¹ − 2²³) to 2³¹ − 2²³.
fn float(i: i64) -> f32 {
    let bits = u32::try_from(i.unsigned_abs()).unwrap();
    f32::from_bits(if i < 0 { bits | 0x8000_0000 } else { bits })
}

impl Pair {
    /// A bound of the distance of the device's values from the real ones on the floats from `first` to `last`.
    fn block(&self, first: i64, last: i64) -> f64 {
        let (a, b) = (f64::from(float(first)), f64::from(float(last)));
        let mut worst = 0.0f64;
        let mut see = |y: f32, real: Interval| {
            assert!(self.floor <= y && y <= 1.0, "{y}");
            worst = worst.max((real.upper - f64::from(y)).max(f64::from(y) - real.lower));
        };
        let start = (self.value)(a);
        if a.abs().max(b.abs()) >= 16.0 {
            // Flat: the real values of the block lie between those of its ends.
            let real = start.hull((self.value)(b));
            (first..=last).for_each(|i| see((self.device)(float(i)), real));
        } else {
            // Taylor at the first float.
            let slope = (self.slope)(a);
            for i in first..=last {
                let x = float(i);
                let d = f64::from(x) - a;
                let rest = 0.5 * self.curvature * d * d * (1.0 + 1e-9) + 1e-15;
                let real = Interval {
                    lower: start.lower + slope.lower * d - rest,
                    upper: start.upper + slope.upper * d + rest,
                };
                see((self.device)(x), real);
            }
        }
        worst
    }

    /// The worst of every `step`th block.
    fn walk(&self, step: i64) -> f64 {
        let last = i64::from(f32::INFINITY.to_bits());
        let part = |thread: i64| {
            let mut worst = 0.0f64;
            let mut first = -last + thread * step * BLOCK;
            while first <= last {
                worst = worst.max(self.block(first, (first + BLOCK - 1).min(last)));
                first += 2 * step * BLOCK;
            }
            worst
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(|| part(1));
            part(0).max(other.join().unwrap())
        })
    }
}

fn check(step: i64) {
    let worst = [SIGMOID.walk(step), TANH.walk(step)];
    println!("greatest errors: sigmoid {:e}, tanh {:e}", worst[0], worst[1]);
    assert!(worst[0] <= f64::from(SIGMOID_ERROR), "sigmoid {:e}", worst[0]);
    assert!(worst[1] <= f64::from(TANH_ERROR), "tanh {:e}", worst[1]);
    // The stated errors are those of the functions, not something larger.
    assert!(worst[0] >= 0.8 * f64::from(SIGMOID_ERROR) && worst[1] >= 0.8 * f64::from(TANH_ERROR));
}

#[test]
fn sampled_floats_are_within_the_stated_errors() {
    check(251);
}

/// All floats, which takes minutes: `cargo test --release -p certus-core --test single -- --ignored`. The test above takes every
/// 251st block.
#[test]
#[ignore = "takes minutes: all floats; run with `cargo test --release -p certus-core --test single -- --ignored`"]
fn exhaustive() {
    check(1);
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
