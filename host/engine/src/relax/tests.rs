//! Every function: containment, touching, area, derivatives. The oracle is [`Float::apply`] at sampled points.

use proptest::prelude::*;

use super::*;

pub(super) fn functions() -> Vec<Function> {
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

/// An interval of the function's domain: wide, narrow, a point, subnormal, with an end at 0.
pub(super) fn interval(function: Function, centre: f64, kind: usize, t: f64) -> (f64, f64) {
    let width = [0.0, 1e-300, 1e-12, 1e-5, 0.1, 1.0, 4.0, 15.0][kind % 8] * (0.5 + t);
    let (l, u) = match kind / 8 % 4 {
        0 | 1 => (centre - 0.5 * width, centre + 0.5 * width),
        2 => (0.0, width),
        _ => (-width, 0.0),
    };
    match function {
        Function::Log | Function::Reciprocal if kind.is_multiple_of(3) || function == Function::Log => {
            (l.abs().min(u.abs()).max(1e-3), l.abs().max(u.abs()).max(1e-3))
        }
        Function::Reciprocal => (-l.abs().max(u.abs()).max(1e-3), -l.abs().min(u.abs()).max(1e-3)),
        Function::Sqrt => (l.abs().min(u.abs()), l.abs().max(u.abs())),
        _ => (l, u),
    }
}

fn points(lower: f64, upper: f64) -> Vec<f64> {
    let inside = (0..=64).map(|k| lower + (upper - lower) * f64::from(k) / 64.0);
    let kinks = [-10.0 / 7.0 + 1.0 / 7.0, -2.5, -1.0, 0.0, 1.0 / 7.0, 1.0, 2.0, 2.5, 5.0f64]
        .into_iter()
        .flat_map(|k| [k.next_down(), k, k.next_up()]);
    inside.chain(kinks).chain([lower, upper]).filter(|x| lower <= *x && *x <= upper).collect()
}

/// How far a value may be off by the rounding of an estimate.
fn slack(function: Function, line: &Line, x: f64) -> f64 {
    let scale = x.apply(function).abs() + line.touch[1].abs() + (line.slope * (x - line.touch[0])).abs();
    1e-9 * scale + 1e-300
}

/// See `estimated_intercepts_are_the_proved_ones`.
fn intercepts_agree(
    (which, centre, kind, t): (usize, f64, usize, f64),
    [a, b]: [f64; 2],
) -> Result<(), TestCaseError> {
    let function = functions()[which];
    let (lower, upper) = interval(function, centre, kind, t);
    // Where a line touches near a root, its values are far below those that the interval holds, whose rounding counts.
    let reach = lower.apply(function).abs().max(upper.apply(function).abs());
    let reach = if reach.is_finite() { 1e-14 * reach } else { 0.0 };
    for alpha in [start(function, lower, upper).unwrap(), Alpha { lower: a, upper: b }] {
        let estimate = relax(function, lower, upper, alpha).unwrap();
        let proved = relax_proved(function, lower, upper, alpha).unwrap();
        let scale = |line: Line| {
            1e-9 * (line.touch[1].abs() + line.slope.abs() * (lower.abs() + upper.abs())) + reach + 1e-290
        };
        let below = estimate.lower.intercept() - proved.lower_intercept;
        let above = proved.upper_intercept - estimate.upper.intercept();
        let what = || format!("{function:?} [{lower}, {upper}] {alpha:?}: {estimate:?} {proved:?}");
        prop_assert!(below.abs() <= scale(estimate.lower), "{}", what());
        prop_assert!(above.abs() <= scale(estimate.upper), "{}", what());
    }
    Ok(())
}

#[test]
fn intercepts_agree_where_values_are_tiny() {
    intercepts_agree((18, 0.0, 26, 0.0), [0.0, 0.999_474_778_461_266_9]).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_function_lies_between_its_lines_and_in_its_image(
        which in 0..30usize, centre in -6.0f64..6.0, kind in 0..32usize, t in 0.0f64..1.0,
        a in 0.0f64..=1.0, b in 0.0f64..=1.0, ends in 0..4usize,
    ) {
        let function = functions()[which];
        let (lower, upper) = interval(function, centre, kind, t);
        let begin = start(function, lower, upper).unwrap();
        prop_assert!((0.0..=1.0).contains(&begin.lower) && (0.0..=1.0).contains(&begin.upper), "{begin:?}");
        let free = Alpha { lower: [a, 0.0, 1.0, a][ends], upper: [b, 1.0, 0.0, 1.0][ends] };
        let (least, greatest) = image(function, lower, upper).unwrap();
        for alpha in [begin, free] {
            let pair = relax(function, lower, upper, alpha).unwrap();
            for x in points(lower, upper) {
                let y = x.apply(function);
                let (below, above) = (pair.lower.at(x), pair.upper.at(x));
                prop_assert!(below <= y + slack(function, &pair.lower, x), "{function:?} on [{lower}, {upper}] at {x}: {below} > {y}; {pair:?}");
                prop_assert!(above >= y - slack(function, &pair.upper, x), "{function:?} on [{lower}, {upper}] at {x}: {above} < {y}; {pair:?}");
                prop_assert!(least <= y + 1e-15 * y.abs() && y <= greatest + 1e-15 * y.abs());
            }
            for line in [pair.lower, pair.upper] {
                prop_assert!(line.touch[0] == 0.0 && line.slope == 0.0 || lower <= line.touch[0] + 1e-14 && line.touch[0] <= upper + 1e-14, "{line:?}");
            }
        }
    }

    /// The proof of the core as the oracle: the estimate's intercepts are the best for their slopes.
    #[test]
    fn estimated_intercepts_are_the_proved_ones(
        which in 0..30usize, centre in -6.0f64..6.0, kind in 0..32usize, t in 0.0f64..1.0,
        a in 0.0f64..=1.0, b in 0.0f64..=1.0,
    ) {
        intercepts_agree((which, centre, kind, t), [a, b])?;
    }

    /// Lines in `f32` enclose up to the rounding of their own arithmetic.
    #[test]
    fn single_precision_lines_and_images_enclose(which in 0..30usize, centre in -6.0f64..6.0, kind in 0..32usize, t in 0.0f64..1.0) {
        let function = functions()[which];
        let (lower, upper) = interval(function, centre, kind, t);
        let (lower, upper) = (lower as f32, upper as f32);
        let mut out = [[0.0f32; 1]; 6];
        let [ls, li, us, ui, least, greatest] = &mut out;
        let lines = LinesMut { lower_slope: ls, lower_intercept: li, upper_slope: us, upper_intercept: ui };
        relax_into("step", function, (&[lower], &[upper]), None, lines).unwrap();
        image_into("step", function, (&[lower], &[upper]), (least, greatest)).unwrap();
        let [ls, li, us, ui, least, greatest] = out.map(|x| f64::from(x[0]));
        for x in points(lower.into(), upper.into()) {
            let y = x.apply(function);
            let reach = f64::from(lower.abs().max(upper.abs()));
            let rounding = |s: f64, i: f64| 1.3e-7 * ((s * x).abs() + i.abs()) + 1e-15 * s.abs() * reach + 1e-44;
            prop_assert!(ls * x + li <= y + rounding(ls, li) && y <= us * x + ui + rounding(us, ui), "{function:?} [{lower}, {upper}] {out:?}");
            prop_assert!(least <= y + 1e-15 * y.abs() && y <= greatest + 1e-15 * y.abs());
        }
    }

    #[test]
    fn the_first_lines_have_the_least_area(
        which in 0..30usize, centre in -4.0f64..4.0, kind in prop::sample::select(vec![4usize, 5, 6]), t in 0.0f64..1.0,
        a in 0.0f64..=1.0, b in 0.0f64..=1.0,
    ) {
        let function = functions()[which];
        let (lower, upper) = interval(function, centre, kind, t);
        let middle = 0.5 * (lower + upper);
        let first = relax(function, lower, upper, start(function, lower, upper).unwrap()).unwrap();
        let other = relax(function, lower, upper, Alpha { lower: a, upper: b }).unwrap();
        prop_assert!(first.lower.at(middle) >= other.lower.at(middle) - 1e-8, "{function:?} [{lower}, {upper}]");
        prop_assert!(first.upper.at(middle) <= other.upper.at(middle) + 1e-8, "{function:?} [{lower}, {upper}]");
        // And of all lines: the hull's height at the centre, over chords of a grid that encloses the function.
        let even = (0..=300).map(|k| lower + (upper - lower) * f64::from(k) / 300.0);
        let grid: Vec<f64> = even.chain(points(lower, upper)).collect();
        let mut hull = [f64::INFINITY, f64::NEG_INFINITY];
        for p in grid.iter().filter(|p| **p < middle) {
            for q in grid.iter().filter(|q| **q > middle) {
                let (fp, fq) = (p.apply(function), q.apply(function));
                let chord = fp + (fq - fp) * (middle - p) / (q - p);
                hull = [hull[0].min(chord), hull[1].max(chord)];
            }
        }
        let y = middle.apply(function);
        let hull = [hull[0].min(y), hull[1].max(y)];
        let steps = matches!(function, Function::Sign | Function::Floor);
        let gap = if steps { 0.05 } else { 1e-3 } * (1.0 + hull[0].abs() + hull[1].abs());
        prop_assert!((first.lower.at(middle) - hull[0]).abs() <= gap, "{function:?} [{lower}, {upper}] {first:?} {hull:?}");
        prop_assert!((first.upper.at(middle) - hull[1]).abs() <= gap, "{function:?} [{lower}, {upper}] {first:?} {hull:?}");
    }

    #[test]
    fn rates_are_derivatives(
        which in 0..30usize, centre in -4.0f64..4.0, kind in prop::sample::select(vec![5usize, 6]), t in 0.0f64..1.0,
        a in 0.05f64..=0.95, b in 0.05f64..=0.95,
    ) {
        let function = functions()[which];
        let (lower, upper) = interval(function, centre, kind, t);
        let at = |l: f64, u: f64, da: f64| relax(function, l, u, Alpha { lower: a + da, upper: b + da }).unwrap();
        let h = 1e-6;
        let pair = at(lower, upper, 0.0);
        let check = |rate: Rate, plus: Line, minus: Line, side: [f64; 2]| {
            let slope = (plus.slope - minus.slope) / (2.0 * h);
            let intercept = (plus.intercept() - minus.intercept()) / (2.0 * h);
            // A kink between the two: one-sided quotients differ, and any value between them is a derivative.
            let kinked = side[0].abs() > 1e-3 * (1.0 + slope.abs());
            let close = |x: f64, y: f64| (x - y).abs() <= 2e-3 * (1.0 + x.abs() + y.abs());
            kinked || close(rate.slope, slope) && close(rate.intercept, intercept)
        };
        let bend = |p: &Line, z: &Line, m: &Line| [(p.slope - 2.0 * z.slope + m.slope) / h, 0.0];
        let (plus, minus) = (at(lower, upper, h), at(lower, upper, -h));
        for (z, p, m) in [(pair.lower, plus.lower, minus.lower), (pair.upper, plus.upper, minus.upper)] {
            prop_assert!(check(z.by_alpha, p, m, bend(&p, &z, &m)), "{function:?} [{lower}, {upper}] {z:?} {p:?} {m:?}");
        }
        if matches!(function, Function::Sin | Function::Cos | Function::Floor | Function::Sign | Function::Clip { .. } | Function::HardSigmoid { .. }) {
            return Ok(());
        }
        if matches!(function, Function::Elu { alpha } if !(0.0..=1.0).contains(&alpha)) {
            return Ok(());
        }
        // Below the lower end a root or a logarithm may have no value.
        if relax(function, lower - h, upper, Alpha { lower: a, upper: b }).is_err() {
            return Ok(());
        }
        let (plus, minus) = (at(lower + h, upper, 0.0), at(lower - h, upper, 0.0));
        for (z, p, m) in [(pair.lower, plus.lower, minus.lower), (pair.upper, plus.upper, minus.upper)] {
            prop_assert!(check(z.by_lower, p, m, bend(&p, &z, &m)), "{function:?} [{lower}, {upper}] by lower {z:?} {p:?} {m:?}");
        }
        let (plus, minus) = (at(lower, upper + h, 0.0), at(lower, upper - h, 0.0));
        for (z, p, m) in [(pair.lower, plus.lower, minus.lower), (pair.upper, plus.upper, minus.upper)] {
            prop_assert!(check(z.by_upper, p, m, bend(&p, &z, &m)), "{function:?} [{lower}, {upper}] by upper {z:?} {p:?} {m:?}");
        }
    }
}

#[test]
fn many_elements_are_relaxed_as_one_by_one() {
    let (lower, upper) = ([-1.0f32, 0.5, -3.0, -2.0], [2.0f32, 1.0, -1.0, 1.0]);
    for function in [Function::Relu, Function::Tanh] {
        let mut out = [[0.0f32; 4]; 4];
        let [ls, li, us, ui] = &mut out;
        let lines = LinesMut { lower_slope: ls, lower_intercept: li, upper_slope: us, upper_intercept: ui };
        relax_into("act", function, (&lower, &upper), None, lines).unwrap();
        for i in 0..4 {
            let (l, u) = (f64::from(lower[i]), f64::from(upper[i]));
            let one = relax(function, l, u, start(function, l, u).unwrap()).unwrap().lines();
            let expected = [one.lower_slope, one.lower_intercept, one.upper_slope, one.upper_intercept];
            for (row, e) in out.iter().zip(expected) {
                assert!((f64::from(row[i]) - e).abs() < 1e-6, "{function:?} {i}: {row:?} {e}");
            }
        }
    }
}

#[test]
fn outside_the_domain_is_an_error_that_names_the_step() {
    let mut out = [[0.0f32; 1]; 4];
    let mut relaxed = |function, l: f32, u: f32| {
        let [ls, li, us, ui] = &mut out;
        let lines = LinesMut { lower_slope: ls, lower_intercept: li, upper_slope: us, upper_intercept: ui };
        relax_into("norm/log", function, (&[l], &[u]), None, lines).unwrap_err().to_string()
    };
    let text = relaxed(Function::Log, 0.0, 1.0);
    assert!(text.contains("norm/log") && text.contains("positive numbers"), "{text}");
    assert!(relaxed(Function::Sqrt, -1e-9, 1.0).contains("not negative"));
    assert!(relaxed(Function::Reciprocal, -1.0, 1.0).contains("one sign"));
    assert!(relaxed(Function::Relu, f32::NAN, 1.0).contains("no finite interval"));
    assert!(relaxed(Function::Exp, 0.0, 800.0).contains("overflows"));
    assert!(relaxed(Function::Tanh, 1.0, 0.0).contains("no finite interval"));
}

#[test]
fn the_secant_of_root_and_reciprocal_is_that_of_the_chain() {
    let (lower, upper) = (0.25, 4.0);
    let root = relax(Function::Sqrt, lower, upper, Alpha { lower: 0.5, upper: 0.5 }).unwrap();
    let inverse = relax(Function::Reciprocal, 0.5, 2.0, Alpha { lower: 0.5, upper: 0.5 }).unwrap();
    // A falling upper line of 1/r takes the lower line of r = √v; at the ends 1/√v is 2 and 1/2.
    for (v, chain) in [(lower, 2.0), (upper, 0.5)] {
        assert!((inverse.upper.at(root.lower.at(v)) - chain).abs() < 1e-15);
    }
}
