//! The device's lines against the proved enclosures, for the real functions and for the device's own.

use certus_core::elementary::{self as e, Interval, sigmoid_f32, tanh_f32};
use certus_core::relax::device::{self, Lines, leaky_relu_f32};
use proptest::prelude::*;

/// The line in `f64`: the product of two `f32` is exact, the sum off by one rounding.
fn at(slope: f32, intercept: f32, x: f32) -> f64 {
    f64::from(slope) * f64::from(x) + f64::from(intercept)
}

fn encloses(lines: &Lines, x: f32, value: Interval) -> bool {
    let (below, above) =
        (at(lines.lower_slope, lines.lower_intercept, x), at(lines.upper_slope, lines.upper_intercept, x));
    let slack = 1e-15 * (1.0 + value.magnitude() + below.abs() + above.abs());
    below <= value.upper + slack && above >= value.lower - slack
}

type Enclosing = fn(f64) -> Interval;

fn interval() -> impl Strategy<Value = (f32, f32)> {
    let width = prop::sample::select(vec![0.0f32, 1e-45, 1e-39, 1e-7, 1e-3, 0.1, 1.0, 4.0, 30.0, 200.0]);
    prop_oneof![
        4 => (-12.0f32..12.0, width.clone()).prop_map(|(l, w)| (l, l + w)),
        1 => width.clone().prop_map(|w| (0.0, w)),
        1 => width.clone().prop_map(|w| (-w, 0.0)),
        1 => (width.clone(), width).prop_map(|(l, u)| (-l, u)),
        1 => (-1e30f32..1e30, 0.0f32..1e30).prop_map(|(l, w)| (l, l + w)),
    ]
}

/// Ends, zero, and points between.
fn points((l, u): (f32, f32)) -> Vec<f32> {
    let mut points: Vec<f32> =
        (0..=40u8).map(|k| (l + (u - l) * (f32::from(k) / 40.0)).clamp(l, u)).collect();
    points.extend([
        l,
        u,
        l.next_up().min(u),
        u.next_down().max(l),
        0.0f32.clamp(l, u),
        (-1e-3f32).clamp(l, u),
    ]);
    points
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sigmoid_and_tanh_lie_between_their_lines((l, u) in interval()) {
        let sigmoid = device::sigmoid(l, u).unwrap();
        let tanh = device::tanh(l, u).unwrap();
        let (s_image, t_image) = (device::sigmoid_image(l, u), device::tanh_image(l, u));
        for x in points((l, u)) {
            let (s, t) = (sigmoid_f32(x), tanh_f32(x));
            for value in [e::sigmoid(x.into()), Interval::point(s.into())] {
                prop_assert!(encloses(&sigmoid, x, value), "sigmoid [{l:e}, {u:e}] at {x:e}: {sigmoid:?} {value:?}");
                prop_assert!(f64::from(s_image.0) <= value.upper && value.lower <= f64::from(s_image.1));
            }
            for value in [e::tanh(x.into()), Interval::point(t.into())] {
                prop_assert!(encloses(&tanh, x, value), "tanh [{l:e}, {u:e}] at {x:e}: {tanh:?} {value:?}");
                prop_assert!(f64::from(t_image.0) <= value.upper && value.lower <= f64::from(t_image.1));
            }
        }
    }

    #[test]
    fn leaky_relu_lies_between_its_lines((l, u) in interval(), slope in prop::sample::select(vec![0.0f32, 1e-30, 0.01, 0.1, 0.3, 1.0])) {
        let lines = device::leaky_relu(slope, l, u).unwrap();
        for x in points((l, u)) {
            let real = if x < 0.0 { f64::from(slope) * f64::from(x) } else { f64::from(x) };
            let device = f64::from(leaky_relu_f32(slope, x));
            for value in [real, device] {
                // Products of two f32 are exact in f64, sums nearly so: a rounding of the f32 line is 2²⁹ times the slack.
                let line = [at(lines.lower_slope, lines.lower_intercept, x), at(lines.upper_slope, lines.upper_intercept, x)];
                let slack = 1e-15 * (line[0].abs() + line[1].abs());
                prop_assert!(line[0] <= value + slack && value <= line[1] + slack, "{slope} [{l:e}, {u:e}] at {x:e}: {lines:?} {value:e}");
            }
        }
    }

    /// Maximum minus plane is convex: the corners decide.
    #[test]
    fn the_plane_lies_above_the_maximum_at_every_corner(
        members in prop::collection::vec((-3.0f32..3.0, prop::sample::select(vec![0.0f32, 1e-40, 1e-7, 0.3, 2.0])), 1..8),
        scale in prop::sample::select(vec![1.0f32, 1e-20, 1e20]),
    ) {
        let lower: Vec<f32> = members.iter().map(|m| m.0 * scale).collect();
        let upper: Vec<f32> = members.iter().map(|m| m.0 * scale + m.1 * scale).collect();
        let mut slopes = vec![f32::NAN; lower.len()];
        let intercept = device::max_upper(&lower, &upper, &mut slopes).unwrap();
        prop_assert!(slopes.iter().all(|s| (0.0..=1.0).contains(s)));
        let mut least = f64::INFINITY;
        for bits in 0..1usize << lower.len() {
            let x: Vec<f32> = (0..lower.len()).map(|i| if bits >> i & 1 == 1 { upper[i] } else { lower[i] }).collect();
            let max = f64::from(x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let plane = slopes.iter().zip(&x).map(|(s, x)| f64::from(*s) * f64::from(*x)).sum::<f64>() + f64::from(intercept);
            let mass = slopes.iter().zip(&x).map(|(s, x)| f64::from(*s) * f64::from(x.abs())).sum::<f64>() + f64::from(intercept.abs());
            prop_assert!(plane >= max - 1e-14 * mass, "{plane:e} below {max:e}");
            least = least.min((plane - max) / mass.max(1e-30));
        }
        prop_assert!(least <= 1e-5, "the plane touches no corner: {least:e}");
        // At the centre no plane is lower: the greatest upper bound in one corner and all the others in the opposite one have the centre as mean.
        let top = (0..upper.len()).fold(0, |t, i| if upper[i] > upper[t] { i } else { t });
        let corner = |with_top: bool| (0..upper.len()).map(|i| f64::from(if (i == top) == with_top { upper[i] } else { lower[i] })).fold(f64::NEG_INFINITY, f64::max);
        let centre = |i: usize| 0.5 * f64::from(lower[i]) + 0.5 * f64::from(upper[i]);
        let plane = (0..upper.len()).map(|i| f64::from(slopes[i]) * centre(i)).sum::<f64>() + f64::from(intercept);
        prop_assert!(plane <= 0.5 * corner(true) + 0.5 * corner(false) + 1e-5 * f64::from(scale), "not the tightest at the centre: {plane}");
        let best = device::max_lower(&lower, &upper);
        prop_assert!((0..lower.len()).all(|i| 0.5 * lower[best] + 0.5 * upper[best] >= 0.5 * lower[i] + 0.5 * upper[i]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// On ordinary intervals the gap at the centre is that of the hull (from a grid of chords) but for 1e-4 (the grid's own error included).
    #[test]
    fn sigmoid_and_tanh_lines_are_tight(l in -6.0f32..5.0, w in 0.01f32..6.0) {
        let (u, centre) = (l + w, l + 0.5 * w);
        let cases: [(Lines, Enclosing); 2] =
            [(device::sigmoid(l, u).unwrap(), e::sigmoid), (device::tanh(l, u).unwrap(), e::tanh)];
        for (lines, f) in cases {
            let grid: Vec<f64> = (0..=200u8).map(|k| f64::from(l) + f64::from(w) * f64::from(k) / 200.0).collect();
            let middle = f64::from(centre);
            let value = |x: f64| f(x).lower;
            let values: Vec<f64> = grid.iter().map(|x| value(*x)).collect();
            let (mut low, mut high) = (value(middle), value(middle));
            let points = || grid.iter().copied().zip(values.iter().copied());
            for (p, at_p) in points().filter(|(p, _)| *p < middle) {
                for (q, at_q) in points().filter(|(q, _)| *q > middle) {
                    let chord = at_p + (at_q - at_p) * (middle - p) / (q - p);
                    (low, high) = (low.min(chord), high.max(chord));
                }
            }
            let below = at(lines.lower_slope, lines.lower_intercept, centre);
            let above = at(lines.upper_slope, lines.upper_intercept, centre);
            prop_assert!(low - below <= 1e-4 && above - high <= 1e-4, "[{l}, {u}] {lines:?}: {low} {below} {high} {above}");
        }
    }

}

#[test]
fn bad_intervals_are_errors() {
    use certus_core::bounds::BoundError;
    for (l, u) in [(f32::NAN, 0.0), (0.0, f32::INFINITY), (1.0, 0.0)] {
        assert_eq!(device::sigmoid(l, u), Err(BoundError::BadInterval));
        assert_eq!(device::tanh(l, u), Err(BoundError::BadInterval));
        assert_eq!(device::leaky_relu(0.1, l, u), Err(BoundError::BadInterval));
        assert_eq!(device::max_upper(&[l], &[u], &mut [0.0]), Err(BoundError::BadInterval));
    }
    assert_eq!(device::leaky_relu(1.5, -1.0, 1.0), Err(BoundError::BadInterval));
    assert!(matches!(device::max_upper(&[0.0], &[1.0], &mut []), Err(BoundError::Capacity { needed: 1 })));
}
