//! What a VNN-LIB text means, against a direct reading of its formulas; and every refusal.

use proptest::prelude::*;

use super::*;

const BOXED: &str = "(declare-const X_0 Real)(declare-const X_1 Real)
(declare-const Y_0 Real)(declare-const Y_1 Real)
(assert (>= X_0 -1))(assert (<= X_0 1))
(assert (>= X_1 -1))(assert (<= X_1 1))
";

fn parse(asserts: &str) -> Property {
    parse_vnnlib_str(&format!("{BOXED}{asserts}")).unwrap()
}

fn refused(asserts: &str) -> String {
    parse_vnnlib_str(&format!("{BOXED}{asserts}")).unwrap_err().to_string()
}

fn row(coefficients: [f64; 2], rhs: f64) -> Row {
    Row { coefficients: coefficients.to_vec(), rhs_lower: rhs, rhs_upper: rhs, strict: false }
}

#[test]
fn comparisons_become_rows_with_the_variables_on_the_left() {
    let rows = |asserts: &str| parse(asserts).cases[0].disjuncts[0].rows.clone();
    assert_eq!(rows("(assert (<= Y_0 Y_1))"), [row([1.0, -1.0], 0.0)]);
    assert_eq!(rows("(assert (>= Y_0 2.5))"), [row([-1.0, 0.0], -2.5)]);
    assert_eq!(rows("(assert (<= (+ (* 2 Y_0) (- Y_1) 1) (- 4 Y_0)))"), [row([3.0, -1.0], 3.0)]);
    assert_eq!(rows("(assert (= Y_0 1))"), [row([1.0, 0.0], 1.0), row([-1.0, 0.0], -1.0)]);
    assert_eq!(rows("(assert (< Y_0 1))"), [Row { strict: true, ..row([1.0, 0.0], 1.0) }]);
    assert_eq!(rows("(assert (<= 0 Y_0 Y_1))"), [row([-1.0, 0.0], 0.0), row([1.0, -1.0], 0.0)]);
    assert_eq!(rows("(assert (and (<= 1 2) (<= Y_0 1)))"), [row([1.0, 0.0], 1.0)]);
}

#[test]
fn coefficients_that_are_no_floats_are_cleared_by_a_power_of_ten() {
    let rows = parse("(assert (<= (+ (* 0.1 Y_0) (* -0.25 Y_1)) 0.3))").cases[0].disjuncts[0].rows.clone();
    assert_eq!(rows, [row([10.0, -25.0], 30.0)]);
}

#[test]
fn decimals_round_outward_for_proofs_and_inward_for_witnesses() {
    let property = parse("(assert (<= X_0 0.1))(assert (>= X_1 0.1))(assert (<= Y_0 0.1))");
    let case = &property.cases[0];
    // 0.1 lies between these two doubles, and between these two floats.
    let (below, above) = (0.1f64.next_down(), 0.1f64);
    assert_eq!((case.region.upper[0], case.region.lower[1]), (above, below));
    assert_eq!(case.region.witness_upper[0], 0.1f32.next_down());
    assert_eq!(case.region.witness_lower[1], 0.1f32);
    let row = &case.disjuncts[0].rows[0];
    assert_eq!((row.rhs_lower, row.rhs_upper), (below, above));
    // Where the decimal is a float nothing moves.
    assert_eq!((case.region.lower[0], case.region.witness_lower[0]), (-1.0, -1.0));
}

#[test]
fn decimals_with_no_float_between_them_are_witnessed_by_the_nearest() {
    let property = parse(
        "(assert (<= X_0 0.1))(assert (>= X_0 0.1))(assert (<= X_1 0))(assert (>= X_1 0))(assert (<= Y_0 0.1))(assert (>= Y_0 0.1))",
    );
    let region = &property.cases[0].region;
    assert_eq!((region.witness_lower[0], region.witness_upper[0]), (0.1f32, 0.1f32));
    assert!(region.contains(&[0.1, 0.0]) && !region.contains(&[0.1f32.next_down(), 0.0]));
    // What no float is near to has no witness.
    let huge = "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (<= X_0 1e300))(assert (>= X_0 1e300))(assert (<= Y_0 0.1))";
    let huge = parse_vnnlib_str(huge).unwrap();
    let region = &huge.cases[0].region;
    assert!(region.witness_lower[0] > region.witness_upper[0]);
    // Strict bounds leave nothing between them.
    let empty = parse("(assert (< X_0 0.1))(assert (> X_0 0.09999999999))(assert (<= Y_0 0.1))");
    let region = &empty.cases[0].region;
    assert!(region.witness_lower[0] > region.witness_upper[0]);
}

#[test]
fn disjuncts_over_the_same_box_share_a_case() {
    let property = parse(
        "(assert (or (and (<= X_0 0) (<= Y_0 0)) (and (<= X_0 0.0) (<= Y_1 0)) (and (>= X_0 0) (<= Y_0 1))))",
    );
    let shape: Vec<usize> = property.cases.iter().map(|c| c.disjuncts.len()).collect();
    assert_eq!(shape, [2, 1]);
    assert_eq!(property.cases[0].region.upper, [0.0, 1.0]);
    assert_eq!(property.cases[1].region.lower, [0.0, -1.0]);
}

#[test]
fn constraints_over_inputs_are_rows_over_inputs_that_are_passed_on() {
    let lowered = |asserts: &str| parse_vnnlib1(&format!("{BOXED}{asserts}")).unwrap();
    let mixed = lowered("(assert (or (<= (+ X_1 Y_0) 0.5) (<= (- X_0 X_1) 1)))");
    assert_eq!((mixed.composition.passed.as_slice(), mixed.property.outputs), (&[0, 1][..], 4));
    let rows: Vec<_> = mixed.property.cases[0]
        .disjuncts
        .iter()
        .map(|d| (d.rows[0].coefficients.clone(), d.rows[0].rhs_upper))
        .collect();
    assert_eq!(rows, [(vec![1.0, 0.0, 0.0, 1.0], 0.5), (vec![0.0, 0.0, 1.0, -1.0], 1.0)]);
    assert!(parse_vnnlib_str(&format!("{BOXED}(assert (<= X_0 Y_0))")).is_err());
}

#[test]
fn a_bound_that_is_no_decimal_is_rounded_outward_and_kept_as_a_row() {
    let lowered = parse_vnnlib1(&format!("{BOXED}(assert (<= (* 3 X_0) 1))(assert (<= Y_0 0))")).unwrap();
    let case = &lowered.property.cases[0];
    // 1/3 is below the double nearest above it, and 3·x ≤ 1 says the rest.
    assert_eq!(case.region.upper[0], (1.0f64 / 3.0).next_up());
    assert_eq!(lowered.composition.passed, [0]);
    assert!(case.disjuncts[0].rows.contains(&Row {
        coefficients: vec![0.0, 0.0, 3.0],
        rhs_lower: 1.0,
        rhs_upper: 1.0,
        strict: false
    }));
}

#[test]
fn inputs_asserted_to_be_equal_become_one_with_both_bounds() {
    let text = "(assert (= X_0 X_1))(assert (<= X_1 0.5))(assert (>= (+ X_0 X_1 Y_0) 1))";
    let lowered = parse_vnnlib1(&format!("{BOXED}{text}")).unwrap();
    let (property, composition) = (&lowered.property, &lowered.composition);
    assert_eq!((property.inputs, composition.parts[0].inputs.as_slice()), (1, &[0, 0][..]));
    assert_eq!((property.cases[0].region.lower[0], property.cases[0].region.upper[0]), (-1.0, 0.5));
    assert_eq!(
        property.cases[0].disjuncts[0].rows.iter().map(|r| &r.coefficients).next_back(),
        Some(&vec![-1.0, 0.0, -2.0])
    );
    // `<` both ways is no equality but a contradiction for the search to find.
    let strict = parse_vnnlib1(&format!("{BOXED}(assert (and (< X_0 X_1) (> X_0 X_1) (<= Y_0 0)))")).unwrap();
    assert_eq!(strict.property.inputs, 2);
}

#[test]
fn each_refusal_names_line_and_way_out() {
    let deep = "(or (<= Y_0 0) (<= Y_1 0))";
    let explosion = format!("(assert (and {}))", deep.repeat(24));
    let cases: &[(&str, &str)] = &[
        ("(assert (<= Y_0 0)", "line 5: parenthesis is not closed"),
        ("(assert (<= Y_0 0)))", "line 5: parenthesis closes nothing"),
        ("(assert (<= (* Y_0 Y_1) 0))", "line 5: product of variables"),
        ("(assert (<= Y_2 0))", "line 5: `Y_2` is not declared"),
        ("(assert (<= y 0))", "line 5: `y` is not declared"),
        ("(assert (<= Y_0 nan))", "line 5: `nan` is no finite number"),
        ("(assert (<= Y_0 -inf))", "line 5: `-inf` is no finite number"),
        ("(assert (<= Y_0 1e9999))", "line 5: number out of range"),
        ("(assert (<= Y_0 1e400))", "line 5: number out of range"),
        (
            "(assert (>= X_0 2))(assert (<= Y_0 0))",
            "line 5: input X_0 has an empty interval: lower bound 2, upper bound 1",
        ),
        ("(assert (< X_0 -1))(assert (<= Y_0 0))", "line 5: input X_0 has an empty interval"),
        ("(assert (or (and (>= X_1 2) (<= Y_0 0)) (<= Y_1 0)))", "line 5: input X_1 has an empty interval"),
        ("(declare-const X_2 Real)(assert (<= Y_0 0))", "line 5: input X_2 has no lower bound"),
        ("(declare-const X_3 Real)(assert (<= Y_0 0))", "line 5: X_2 is not declared"),
        ("(declare-const X_0 Real)", "line 5: variable `X_0` is declared twice"),
        ("(declare-const X_00 Real)", "line 5: variable `X_00`: inputs are"),
        ("(declare-const Y_2 Int)", "line 5: variable `Y_2` must be of sort Real"),
        ("(assert)", "line 5: `assert` has the wrong form"),
        ("(assert Y_0)", "line 5: a formula such as"),
        ("(assert (<= Y_0 (<= Y_1 0)))", "line 5: a number or a sum"),
        ("(assert (and))", "line 5: operator has too few operands"),
        ("(assert (<= Y_0))", "line 5: operator has too few operands"),
        ("(assert (not (<= Y_0 0)))", "line 5: operator `not` is not supported"),
        ("(assert ((<= Y_0 0)))", "line 5: a formula such as"),
        ("(push 1)", "line 5: command `push` is not supported"),
        ("(vnnlib-version <2.0>)", "line 5: command of VNN-LIB 2.0"),
        ("hello", "line 5: command `hello` is not supported"),
        ("(assert (<= 1 0))(assert (<= Y_0 0))", "the asserts contradict each other"),
        ("", "no constraint on the outputs"),
        (explosion.as_str(), "line 5: and/or expand to too many alternatives"),
    ];
    for (asserts, expected) in cases {
        let found = refused(asserts);
        let named = match expected.strip_prefix("line 5: ") {
            Some(rest) => found.starts_with("line 5, column ") && found.contains(&format!(": {rest}")),
            None => found.contains(expected),
        };
        assert!(named, "{asserts}\n  gave: {found}\n  not: {expected}");
        assert!(!found.contains('\n'));
    }
    let nothing = parse_vnnlib_str("; empty\n").unwrap_err().to_string();
    assert!(nothing.contains("declares no X_0"), "{nothing}");
}

#[test]
fn long_asserts_and_deep_nesting_end_quickly() {
    let deep = |n: usize| format!("(assert {}(<= Y_0 0){})", "(and ".repeat(n), ")".repeat(n));
    assert_eq!(parse(&deep(200_000)).cases.len(), 1);
    let comb = format!("(assert {}(<= Y_0 0){})", "(and (<= Y_1 0) ".repeat(100_000), ")".repeat(100_000));
    assert!(refused(&comb).contains("too many alternatives"));
}

/// A formula as it was drawn: the direct reading that the parser is compared with. Numbers are quarters.
#[derive(Clone, Debug)]
enum Drawn {
    Bound { input: usize, op: &'static str, value: i64 },
    Row { coefficients: [i64; 2], op: &'static str, value: i64 },
    And(Vec<Drawn>),
    Or(Vec<Drawn>),
}

impl Drawn {
    fn text(&self) -> String {
        let join = |all: &[Drawn]| all.iter().map(Drawn::text).collect::<Vec<_>>().join(" ");
        let quarter = |q: i64| (q as f64 / 4.0).to_string();
        match self {
            Drawn::Bound { input, op, value } => format!("({op} X_{input} {})", quarter(*value)),
            Drawn::Row { coefficients: [a, b], op, value } => {
                format!("({op} (+ (* {a} Y_0) (* Y_1 {b}) (- 1 1)) {})", quarter(*value))
            }
            Drawn::And(all) => format!("(and {})", join(all)),
            Drawn::Or(all) => format!("(or {})", join(all)),
        }
    }

    fn holds(&self, x: [i64; 2], y: [i64; 2]) -> bool {
        let compare = |left: i64, op: &str, right: i64| match op {
            "<=" => left <= right,
            ">=" => left >= right,
            "<" => left < right,
            ">" => left > right,
            _ => left == right,
        };
        match self {
            Drawn::Bound { input, op, value } => compare(x[*input], op, *value),
            Drawn::Row { coefficients: [a, b], op, value } => compare(a * y[0] + b * y[1], op, *value),
            Drawn::And(all) => all.iter().all(|f| f.holds(x, y)),
            Drawn::Or(all) => all.iter().any(|f| f.holds(x, y)),
        }
    }
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let op = prop::sample::select(vec!["<=", ">=", "<", ">", "="]);
    let bound =
        (0..2usize, op.clone(), -4..=4i64).prop_map(|(input, op, value)| Drawn::Bound { input, op, value });
    let row = ([-2..=2i64, -2..=2], op, -4..=4i64).prop_map(|(coefficients, op, value)| Drawn::Row {
        coefficients,
        op,
        value,
    });
    prop_oneof![2 => row, 1 => bound].prop_recursive(4, 24, 4, |inner| {
        let some = prop::collection::vec(inner, 1..4);
        prop_oneof![some.clone().prop_map(Drawn::And), some.prop_map(Drawn::Or)]
    })
}

/// Whether the property, as parsed, calls `y` at `x` a violation.
fn violates(property: &Property, x: [i64; 2], y: [i64; 2]) -> bool {
    let x = x.map(|q| q as f32 / 4.0);
    let y = y.map(|q| q as f64 / 4.0);
    let found =
        |c: &Case| c.region.contains(&x) && c.disjuncts.iter().any(|d| d.rows.iter().all(|r| r.holds(&y)));
    property.cases.iter().any(found)
}

proptest! {
    #[test]
    fn the_normal_form_says_what_the_formulas_say(
        formulas in prop::collection::vec(drawn(), 1..4),
        points in prop::collection::vec(([-4..=4i64, -4..=4], [-8..=8i64, -8..=8]), 40),
    ) {
        let asserts: String = formulas.iter().map(|f| format!("(assert {})\n", f.text())).collect();
        let direct = |x, y| formulas.iter().all(|f| f.holds(x, y));
        match parse_vnnlib_str(&format!("{BOXED}{asserts}")) {
            Ok(property) => for (x, y) in points {
                prop_assert_eq!(violates(&property, x, y), direct(x, y), "{} at {:?} {:?}", asserts, x, y);
            },
            Err(e) if matches!(e.problem(), Some(Problem::Impossible)) => for (x, y) in points {
                prop_assert!(!direct(x, y), "{} holds at {:?} {:?}", asserts, x, y);
            },
            Err(e) => prop_assert!(
                matches!(e.problem(), Some(Problem::NoOutputConstraint | Problem::EmptyBox { .. })), "{}: {}", asserts, e
            ),
        }
    }
}
