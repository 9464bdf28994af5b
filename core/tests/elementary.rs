//! Enclosures of elementary functions against values to 106 bits (mpmath, `tools/elementary/golden.py`).

use certus_core::elementary::{self as e, Interval};

struct Case {
    function: String,
    x: f64,
    /// The value is `near + rest` up to half a unit of `rest`.
    near: f64,
    rest: f64,
}

fn cases() -> impl Iterator<Item = Case> {
    include_str!("golden/elementary.csv").lines().map(|line| {
        let mut fields = line.split(',');
        let function = fields.next().unwrap().to_owned();
        let mut number = || f64::from_bits(u64::from_str_radix(fields.next().unwrap(), 16).unwrap());
        Case { function, x: number(), near: number(), rest: number() }
    })
}

type Enclosing = fn(f64) -> Interval;

fn enclosure(function: &str, x: f64) -> Interval {
    match function {
        "exp" => e::exp(x),
        "exp_m1" => e::exp_m1(x),
        "log" => e::log(x),
        "sqrt" => e::sqrt(x),
        "sin" => e::sin(x),
        "cos" => e::cos(x),
        "sigmoid" => e::sigmoid(x),
        "tanh" => e::tanh(x),
        "softplus" => e::softplus(x),
        "erf" => e::erf(x),
        other => panic!("{other}"),
    }
}

/// Greatest width allowed, relative to the value; sine and cosine absolute.
fn allowed(function: &str, x: f64) -> f64 {
    match function {
        "sqrt" => 2.3e-16,
        "exp" | "log" | "sin" | "cos" => 5e-15,
        "erf" if x.abs() > 1.0 => 2e-13,
        "erf" => 3e-14,
        _ => 1e-14,
    }
}

#[test]
fn values_lie_in_their_enclosures_and_these_are_narrow() {
    let mut seen = 0;
    for case in cases() {
        let Case { function, x, near, rest } = case;
        let Interval { lower, upper } = enclosure(&function, x);
        let above_lower = lower < near || lower == near && rest >= 0.0;
        let below_upper = near < upper || near == upper && rest <= 0.0;
        assert!(
            above_lower && below_upper,
            "{function}({x:e}) = {near:e} + {rest:e} not in [{lower:e}, {upper:e}]"
        );
        let scale = if matches!(function.as_str(), "sin" | "cos") { 1.0 } else { near.abs() };
        let width = upper - lower;
        let unit = f64::from_bits(8);
        assert!(
            width <= allowed(&function, x) * scale + unit,
            "{function}({x:e}): [{lower:e}, {upper:e}] is {width:e} wide"
        );
        seen += 1;
    }
    assert!(seen > 5000, "only {seen} cases");
}

#[test]
fn slopes_enclose_difference_quotients() {
    let slopes: [(&str, Enclosing); 3] =
        [("sigmoid", e::sigmoid_slope), ("tanh", e::tanh_slope), ("erf", e::erf_slope)];
    for (function, slope) in slopes {
        for k in -400..=400 {
            let x = f64::from(k) * 0.0173;
            // By the mean value theorem, and these slopes change by less than 1.3 h per step h.
            let h = 1e-5;
            let (plus, minus) = (enclosure(function, x + h), enclosure(function, x - h));
            let (low, high) =
                ((plus.lower - minus.upper) / (2.0 * h), (plus.upper - minus.lower) / (2.0 * h));
            let Interval { lower, upper } = slope(x);
            assert!(
                lower <= high + 1e-9 && upper >= low - 1e-9,
                "{function}'({x}): [{lower}, {upper}] against [{low}, {high}]"
            );
            assert!(upper - lower <= 1e-14, "{function}'({x}) is {:e} wide", upper - lower);
        }
    }
}

#[test]
fn edges_are_enclosed_and_nothing_else_is_claimed() {
    let functions: [Enclosing; 10] =
        [e::exp, e::exp_m1, e::log, e::sqrt, e::sin, e::cos, e::sigmoid, e::tanh, e::softplus, e::erf];
    for f in functions {
        assert_eq!(f(f64::NAN), Interval::ALL);
        for x in [f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 0.0, -0.0] {
            let y = f(x);
            assert!(y.lower <= y.upper, "{x:e}: {y:?}");
        }
    }
    assert_eq!(e::exp(1e9).upper, f64::INFINITY);
    assert!(e::exp(709.79).lower.is_finite() && e::exp(709.79).upper == f64::INFINITY);
    assert_eq!(e::exp(-1e9).lower, 0.0);
    assert!(e::exp(-745.2).upper > 0.0);
    assert_eq!(e::log(-1.0), Interval::ALL);
    assert_eq!(e::log(0.0).lower, f64::NEG_INFINITY);
    assert_eq!(e::sqrt(-1e-300), Interval::ALL);
    assert_eq!(e::sqrt(4.0), Interval { lower: 2.0, upper: 2.0 });
    assert_eq!((e::tanh(1e9).upper, e::sigmoid(1e9).upper, e::erf(1e9).upper), (1.0, 1.0, 1.0));
    assert!(e::tanh(1e9).lower >= 1.0 - 4e-15 && e::sigmoid(-1e9).upper < 1e-300);
    // Outside the range of the reduction.
    assert_eq!(e::sin(1e300), Interval { lower: -1.0, upper: 1.0 });
}

#[test]
fn interval_arithmetic_is_outward() {
    let third = Interval::point(3.0).reciprocal();
    assert!(third.lower < 1.0 / 3.0 && 1.0 / 3.0 < third.upper);
    let tenth = Interval::point(0.1);
    let sum = tenth.plus(Interval::point(0.2));
    // 0.1 + 0.2 of these doubles is 0.3000000000000000166…, between two of them.
    assert!(sum.lower <= 0.3 && sum.upper >= 0.300_000_000_000_000_04);
    let product = Interval { lower: -2.0, upper: 3.0 }.times(Interval { lower: -5.0, upper: 4.0 });
    assert!(product.holds(-15.0) && product.holds(12.0) && !product.holds(12.1) && !product.holds(-15.1));
    assert_eq!(Interval { lower: -1.0, upper: 1.0 }.reciprocal(), Interval::ALL);
    assert_eq!(Interval::point(0.0).times(Interval::ALL), Interval::ALL);
}
