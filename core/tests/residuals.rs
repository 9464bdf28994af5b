//! Residuals `f(x) − s x` of every function against a grid, evaluated with the platform's functions.

use certus_core::elementary::Interval;
use certus_core::program::Function;
use certus_core::relax::{RelaxError, image, lines, max_residual, product_residual, residual};
use proptest::prelude::*;

fn functions() -> Vec<Function> {
    vec![
        Function::Relu,
        Function::LeakyRelu { slope: 0.01 },
        Function::LeakyRelu { slope: 3.0 },
        Function::LeakyRelu { slope: -0.5 },
        Function::Clip { lower: -1.0, upper: 2.0 },
        Function::Abs,
        Function::Sign,
        Function::Sigmoid,
        Function::Tanh,
        Function::Exp,
        Function::Log,
        Function::Sin,
        Function::Cos,
        Function::Sqrt,
        Function::Reciprocal,
        Function::Power { exponent: 2 },
        Function::Power { exponent: 3 },
        Function::Power { exponent: 6 },
        Function::Power { exponent: 7 },
        Function::Erf,
        Function::Softplus,
        Function::Elu { alpha: 1.0 },
        Function::Elu { alpha: 0.3 },
        Function::Elu { alpha: 2.5 },
        Function::Elu { alpha: -1.5 },
        Function::Softsign,
        Function::HardSigmoid { alpha: 0.2, beta: 0.5 },
        Function::HardSigmoid { alpha: -0.7, beta: 0.1 },
        Function::HardSigmoid { alpha: 0.0, beta: 0.25 },
        Function::Floor,
    ]
}

fn value(function: Function, x: f64) -> f64 {
    let of = f64::from;
    match function {
        Function::Relu => x.max(0.0),
        Function::LeakyRelu { slope } => {
            if x >= 0.0 {
                x
            } else {
                of(slope) * x
            }
        }
        Function::Clip { lower, upper } => x.max(of(lower)).min(of(upper)),
        Function::Abs => x.abs(),
        Function::Sign => {
            if x == 0.0 {
                0.0
            } else {
                x.signum()
            }
        }
        Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Function::Tanh => x.tanh(),
        Function::Exp => x.exp(),
        Function::Log => x.ln(),
        Function::Sin => x.sin(),
        Function::Cos => x.cos(),
        Function::Sqrt => x.sqrt(),
        Function::Reciprocal => 1.0 / x,
        Function::Power { exponent } => x.powi(exponent.cast_signed()),
        Function::Erf => libm::erf(x),
        Function::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        Function::Elu { alpha } => {
            if x >= 0.0 {
                x
            } else {
                of(alpha) * x.exp_m1()
            }
        }
        Function::Softsign => x / (1.0 + x.abs()),
        Function::HardSigmoid { alpha, beta } => (of(alpha) * x + of(beta)).clamp(0.0, 1.0),
        Function::Floor => x.floor(),
    }
}

/// An interval of the domain: a point, subnormal, narrow, wide, wider than two periods; with 0 inside, at an end, or neither.
fn interval(function: Function, centre: f64, width: usize, place: usize, t: f64) -> (f64, f64) {
    let width = [0.0, 1e-310, 1e-12, 1e-5, 0.1, 1.0, 4.0, 15.0, 60.0][width] * (0.5 + t);
    let (l, u) = match place {
        0 => (centre - t * width, centre + (1.0 - t) * width),
        1 => (0.0, width),
        2 => (-width, 0.0),
        _ => (-t * width, (1.0 - t) * width),
    };
    let (near, far) = (l.abs().min(u.abs()), l.abs().max(u.abs()));
    match function {
        Function::Log => (near.max(1e-3), far.max(1e-3)),
        Function::Reciprocal if place.is_multiple_of(2) => (near.max(1e-3), far.max(1e-3)),
        Function::Reciprocal => (-far.max(1e-3), -near.max(1e-3)),
        Function::Sqrt => (near, far),
        _ => (l, u),
    }
}

fn grid(lower: f64, upper: f64) -> Vec<f64> {
    let n = 1000;
    let even = (0..=n).map(|k| lower + (upper - lower) * f64::from(k) / f64::from(n));
    let kinks = [-9.0 / 7.0, -2.5, 0.0, 1.0 / 7.0, 2.5].into_iter().chain((-100..100).map(f64::from));
    let beside = kinks.flat_map(|k: f64| [k.next_down(), k, k.next_up()]);
    even.chain(beside).chain([lower, upper]).filter(|x| lower <= *x && *x <= upper).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn residuals_hold_the_grid_and_little_more(
        which in 0..30usize, centre in -6.0f64..6.0, width in 0..9usize, place in 0..4usize, t in 0.0f64..1.0,
        tangent in 0.0f64..=1.0, slope in -2.0f64..2.0, kind in 0..4usize,
    ) {
        let function = functions()[which];
        let (lower, upper) = interval(function, centre, width, place, t);
        let x = lower + tangent * (upper - lower);
        // A slope of the function on the interval, of the secant, 0, or any.
        let h = 1e-4 * (1e-3 + x.abs());
        let s = match kind {
            0 if matches!(function, Function::Log | Function::Sqrt | Function::Reciprocal) => slope,
            0 => (value(function, x + h) - value(function, x - h)) / (2.0 * h),
            1 if upper - lower > 1e-9 => (value(function, upper) - value(function, lower)) / (upper - lower),
            2 => 0.0,
            _ => slope,
        };
        let Interval { lower: least, upper: greatest } = residual(function, s, lower, upper).unwrap();
        let mut seen = [f64::INFINITY, f64::NEG_INFINITY];
        let mut scale = 0.0f64;
        for x in grid(lower, upper) {
            let y = value(function, x);
            let h = y - s * x;
            // The oracle rounds: 1 ulp of libm, of the product and of the difference.
            let slack = 4e-16 * (y.abs() + (s * x).abs() + h.abs());
            prop_assert!(least - slack <= h && h <= greatest + slack, "{function:?} s = {s} [{lower:e}, {upper:e}] at {x:e}: {h:e} not in [{least:e}, {greatest:e}]");
            seen = [seen[0].min(h), seen[1].max(h)];
            scale = scale.max(y.abs() + (s * x).abs());
        }
        // Between grid points the residual changes by a second-order term; jumps are reached up to a unit in the grid.
        let gap = 1e-13 * scale + 3e-6 * (upper - lower).min(1.0).powi(2) * (1.0 + scale) + 1e-12 * (upper - lower) + 1e-300 + 1e-4 * (seen[1] - seen[0]);
        let gap = if upper - lower > 5.0 { gap + 3e-3 * (1.0 + s.abs()) * (1.0 + 1e-3 * scale) } else { gap };
        let gap = if matches!(function, Function::Log | Function::Sqrt | Function::Reciprocal) && upper > 2.0 * lower { 0.2 * (1.0 + scale) } else { gap };
        // Beside a zero, cancellation keeps the rounding of what was subtracted (the multiple of pi, beta).
        let gap = if matches!(function, Function::Sin | Function::Cos | Function::HardSigmoid { .. }) { gap + 1e-15 * lower.abs().max(upper.abs()) } else { gap };
        prop_assert!(seen[0] - least <= gap && greatest - seen[1] <= gap,
            "{function:?} s = {s} [{lower:e}, {upper:e}]: [{least:e}, {greatest:e}] around [{:e}, {:e}], allowed {gap:e}", seen[0], seen[1]);
    }

    #[test]
    fn residuals_of_products_are_at_the_corners(x in (-5.0f64..5.0, 0.0f64..3.0), y in (-5.0f64..5.0, 0.0f64..3.0), a in -5.0f64..5.0, b in -5.0f64..5.0, s in 0.0f64..=1.0, t in 0.0f64..=1.0) {
        let (x, y) = (Interval { lower: x.0, upper: x.0 + x.1 }, Interval { lower: y.0, upper: y.0 + y.1 });
        let r = product_residual((a, b), x, y).unwrap();
        let at = |s: f64, t: f64| {
            let (x, y) = (x.lower + s * (x.upper - x.lower), y.lower + t * (y.upper - y.lower));
            x * y - a * x - b * y
        };
        prop_assert!(r.lower - 1e-13 <= at(s, t) && at(s, t) <= r.upper + 1e-13);
        let corners = [at(0.0, 0.0), at(0.0, 1.0), at(1.0, 0.0), at(1.0, 1.0)];
        let (low, high) = (corners.iter().copied().fold(f64::INFINITY, f64::min), corners.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        prop_assert!(low - r.lower <= 1e-12 && r.lower <= low && r.upper - high <= 1e-12 && r.upper >= high);
    }

    #[test]
    fn residuals_of_maxima_are_at_the_corners(members in prop::collection::vec((-3.0f64..3.0, prop::sample::select(vec![0.0f64, 0.3, 2.0]), -0.2f64..1.0), 1..7), negative in any::<bool>()) {
        let lower: Vec<f64> = members.iter().map(|m| m.0).collect();
        let upper: Vec<f64> = members.iter().map(|m| m.0 + m.1).collect();
        let weights: Vec<f64> = members.iter().map(|m| if negative { m.2 } else { m.2.max(0.0) }).collect();
        let r = max_residual(&weights, &lower, &upper).unwrap();
        let mut high = f64::NEG_INFINITY;
        for bits in 0..1usize << lower.len() {
            let x: Vec<f64> = (0..lower.len()).map(|i| if bits >> i & 1 == 1 { upper[i] } else { lower[i] }).collect();
            let h = x.iter().copied().fold(f64::NEG_INFINITY, f64::max) - weights.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>();
            high = high.max(h);
            prop_assert!(r.lower <= h + 1e-13 && h <= r.upper + 1e-13, "{h} not in {r:?}");
        }
        prop_assert!(r.upper - high <= 1e-12, "loose: {} above {high}", r.upper);
    }
}

#[test]
fn one_member_with_weight_one_is_exact_below() {
    let r = max_residual(&[0.0, 1.0, 0.0], &[-1.0, 0.0, -2.0], &[1.0, 2.0, 5.0]).unwrap();
    assert!(r.lower <= 0.0 && r.lower >= -1e-320, "{r:?}");
    assert_eq!(max_residual(&[-1.0, 1.0], &[0.0; 2], &[1.0; 2]).unwrap().lower, f64::NEG_INFINITY);
}

#[test]
fn images_and_lines_are_residuals() {
    let sine = image(Function::Sin, 1.0, 2.0).unwrap();
    assert!(
        sine.upper >= 1.0 && sine.upper <= 1.0 + 2e-14 && sine.lower <= 1f64.sin() && sine.lower > 0.84147
    );
    let all = image(Function::Cos, -100.0, 100.0).unwrap();
    assert!(all.lower <= -1.0 && all.lower >= -1.0 - 1e-12 && all.upper >= 1.0 && all.upper <= 1.0 + 1e-12);
    // ReLU on [−1, 3]: slope 3/4 above through (−1, 0), slope 1 below through 0.
    let relu = lines(Function::Relu, (1.0, 0.75), -1.0, 3.0).unwrap();
    assert!((relu.upper_intercept - 0.75).abs() < 1e-15 && relu.upper_intercept >= 0.75);
    assert!(relu.lower_intercept <= 0.0 && relu.lower_intercept > -1e-15);
    // Far away only |sin| ≤ 1 is known.
    assert_eq!(
        image(Function::Sin, 1e12, 1e12 + 1.0).map(|i| (i.lower < -0.99, i.upper > 0.99)),
        Ok((true, true))
    );
}

#[test]
fn what_has_no_line_is_an_error() {
    assert_eq!(residual(Function::Log, 0.0, 0.0, 1.0), Err(RelaxError::Domain));
    assert_eq!(residual(Function::Sqrt, 0.0, -1e-300, 1.0), Err(RelaxError::Domain));
    assert_eq!(residual(Function::Reciprocal, 0.0, -1.0, 1.0), Err(RelaxError::Domain));
    assert_eq!(residual(Function::Exp, 0.0, 0.0, 800.0), Err(RelaxError::NonFinite));
    assert_eq!(residual(Function::Relu, f64::NAN, 0.0, 1.0), Err(RelaxError::NotAnInterval));
    assert_eq!(residual(Function::Relu, 0.0, 1.0, 0.0), Err(RelaxError::NotAnInterval));
    assert_eq!(residual(Function::Relu, 0.0, 0.0, f64::INFINITY), Err(RelaxError::NotAnInterval));
    assert_eq!(
        product_residual((f64::NAN, 0.0), Interval::point(0.0), Interval::point(1.0)),
        Err(RelaxError::NotAnInterval)
    );
    assert_eq!(max_residual(&[], &[], &[]), Err(RelaxError::NotAnInterval));
}
