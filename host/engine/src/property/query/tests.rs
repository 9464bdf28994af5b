//! Queries: what the typing rules refuse, what is read, and what it means.

use std::sync::Arc;

use super::*;
use crate::program::{Builder, Constants, Function, Map, Program, Slot};
use crate::property::{Composed, Evaluate, check_witness};
use crate::{Chain, OwnedAffine, OwnedLayer};

const NETWORK: &str = "(vnnlib-version <2.0>)
(declare-network f
  (declare-input X Real [1,2])
  (declare-output Y Real [2])
)
";
const BOX: &str = "(assert (and (>= X[0,0] -1) (<= X[0,0] 1) (>= X[0,1] -1) (<= X[0,1] 1)))\n";

fn lowered(text: &str) -> Lowered {
    parse_query(text).and_then(|q| q.lower()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn refused(text: &str) -> String {
    parse_query(text).and_then(|q| q.lower()).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn elements_are_numbered_row_major_and_named_in_messages() {
    let q = lowered(&format!("{NETWORK}{BOX}(assert (<= (- Y[1] Y[0]) 0.5))"));
    assert!(q.composition.is_plain());
    let row = &q.property.cases[0].disjuncts[0].rows[0];
    assert_eq!((row.coefficients.as_slice(), row.rhs_upper), (&[-1.0, 1.0][..], 0.5));
    let unbounded = refused(&format!("{NETWORK}(assert (>= X[0,0] 0))"));
    assert!(unbounded.contains("line 3, column 3: input X[0,0] has no upper bound"), "{unbounded}");
    let deep = Tensor {
        name: "T".into(),
        element: ElementType::Real,
        type_name: "real".into(),
        shape: vec![2, 3, 4],
        at: Position::default(),
        onnx: None,
        is_initialized: false,
    };
    assert_eq!(deep.element_name(23), "T[1,2,3]");
    assert_eq!(deep.element_name(4), "T[0,1,0]");
}

#[test]
fn inequality_is_two_strict_alternatives_and_free_inputs_hold_everywhere() {
    let q = lowered(&format!("{NETWORK}{BOX}(assert (!= Y[0] 2))"));
    let rows: Vec<_> =
        q.property.cases[0].disjuncts.iter().map(|d| (d.rows[0].coefficients[0], d.rows[0].strict)).collect();
    assert_eq!(rows, [(1.0, true), (-1.0, true)]);
    let free = lowered(&format!("{NETWORK}{BOX}"));
    assert_eq!(free.property.cases[0].disjuncts[0].rows[0].coefficients, [0.0, 0.0]);
    assert!(free.property.cases[0].disjuncts[0].rows[0].holds(&[7.0, -7.0]));
}

#[test]
fn an_impossible_alternative_is_dropped_and_an_impossible_query_said_so() {
    let q = lowered(&format!("{NETWORK}{BOX}(assert (or (>= X[0,0] 2) (<= Y[0] 0)))"));
    assert_eq!(q.property.cases.len(), 1);
    let error = parse_query(&format!("{NETWORK}{BOX}(assert (>= X[0,0] 2))")).unwrap().lower().unwrap_err();
    assert!(matches!(error.problem(), Some(Problem::EmptyBox { .. })), "{error}");
}

#[test]
fn float32_constants_are_the_nearest_and_arithmetic_that_rounds_is_refused() {
    let text = format!("{NETWORK}{BOX}").replace("Real", "float32");
    let q = lowered(&format!("{text}(assert (<= Y[0] 0.1))(assert (<= (* -1.0 Y[1]) (- Y[0])))"));
    let rows = &q.property.cases[0].disjuncts[0].rows;
    assert_eq!((rows[0].rhs_lower, rows[0].rhs_upper), (f64::from(0.1f32), f64::from(0.1f32)));
    assert_eq!(rows[1].coefficients, [1.0, -1.0]);
    let sum = refused(&format!("{text}(assert (<= (+ Y[0] Y[1]) 0.1))"));
    assert!(sum.contains("line 7, column 9: arithmetic over float32"), "{sum}");
    assert_eq!(parse_query(&text).unwrap().element, ElementType::Float32);
}

#[test]
fn each_refusal_names_line_and_column() {
    let with = |assert: &str| format!("{NETWORK}{assert}");
    let declared = |part: &str| format!("(vnnlib-version <2.0>)\n(declare-network f {part})");
    let io = "(declare-input X Real [2])(declare-output Y Real [])";
    let second = |part: &str| format!("{}\n(declare-network g {part})", declared(io));
    let cases: &[(String, &str)] = &[
        ("(vnnlib-version <3.0>)".into(), "line 1, column 17: version `<3.0>` is not supported"),
        ("(vnnlib-version 2.0)".into(), "line 1, column 17: a VNN-LIB 2 query begins"),
        ("(vnnlib-version <2.0>)".into(), "no network is declared"),
        (with("(declare-const X_0 Real)"), "line 6, column 1: `declare-const` is not part of VNN-LIB 2.0"),
        (with("(assert (<= X[0] 1))"), "line 6, column 13: `X[0]` is no element of a tensor of shape [1, 2]"),
        (with("(assert (<= X[0,2] 1))"), "column 13: `X[0,2]` is no element"),
        (with("(assert (<= X[0,-1] 1))"), "column 13: `X[0,-1]` is no element"),
        (with("(assert (<= X 1))"), "column 13: `X` is no element"),
        (with("(assert (<= Y[] 1))"), "column 13: `Y[]` is no element"),
        (with("(assert (<= Z[0] 1))"), "column 13: `Z` is not declared"),
        (with("(assert (<= Z 1))"), "column 13: `Z` is not declared"),
        (with("(assert (<= Y[0] Y[1] 1))"), "column 9: comparison takes two operands"),
        (with("(assert (not (<= Y[0] 1)))"), "column 9: operator `not` is not supported"),
        (with("(assert (<= (* Y[0] Y[1]) 1))"), "column 13: product of variables"),
        (with("(assert (<= Y[0 1))"), "column 13: bracket is not closed"),
        (with("(assert)"), "column 1: wrong form"),
        (
            with("(assert (<= Y[0] 1))\n(declare-network g)"),
            "line 7, column 1: declare-network after an assert",
        ),
        (
            declared("(declare-input X Real [2])"),
            "line 2, column 1: network `f` declares no input or no output",
        ),
        (declared("(declare-input X int8 [2])"), "line 2, column 20: element type `int8` is not supported"),
        (declared("(declare-input X Real)"), "line 2, column 20: wrong form"),
        (declared("(declare-input X Real [0])"), "column 20: shape `[0]` is not supported"),
        (declared("(declare-input X Real [99999,99999])"), "more than 2^28 elements"),
        (declared("(declare-input 2X Real [2])"), "column 20: `2X` is no name"),
        (declared("(declare-input f Real [2])"), "column 20: variable `f` is declared twice"),
        (declared("(declare-input X Real [2])(declare-output X Real [2])"), "`X` is declared twice"),
        (declared("(declare-input X Real [2])(declare-output Y float32 [2])"), "real and float32 in one"),
        (declared("(declare-hidden H Real [2])"), "column 20: wrong form"),
        (declared("(equal-to g) (declare-input X Real [2])"), "column 30: `g` is not declared"),
        (declared("(equal-to f)"), "column 30: `f` is not declared"),
        (second("(equal-to f)(equal-to f)"), "line 3, column 32: a network has at most one"),
        (
            second("(equal-to f)(declare-input A Real [3])(declare-output B Real [])"),
            "inputs or outputs of other shapes",
        ),
        (
            declared("(declare-input X Real [2] initialized)(declare-output Y Real [])"),
            "`initialized`, which is not supported",
        ),
        (
            declared("(declare-input X Real [2])(declare-input Z Real [1])(declare-output Y Real [])"),
            "column 46: input `Z` is the network's second",
        ),
    ];
    for (text, expected) in cases {
        let found = refused(text);
        assert!(found.contains(expected), "{text}\n  gave: {found}\n  not: {expected}");
        assert!(!found.contains('\n'));
    }
}

/// `y = relu(a·x₀ − x₁) + b`, `layers` extra ReLU layers that change nothing.
fn network(a: f32, b: f32, layers: usize) -> Chain {
    let dense = |cols: usize, weights: Vec<f32>, relu| OwnedLayer {
        affine: OwnedAffine::Dense { rows: 1, cols, weights, bias: vec![0.0] },
        relu,
    };
    let mut all = vec![dense(2, vec![a, -1.0], true)];
    all.extend((0..layers).map(|_| dense(1, vec![1.0], true)));
    all.push(OwnedLayer { affine: OwnedAffine::Scale { scale: vec![1.0], shift: vec![b] }, relu: false });
    Chain::new(all).unwrap()
}

/// The chain, step by step.
fn program(chain: &Chain) -> Program {
    let mut b = Builder::new(chain.inputs());
    let mut slot = Slot::INPUT;
    for layer in chain.layers() {
        let (map, bias) = match &layer.affine {
            OwnedAffine::Sparse { .. } => unreachable!("layers here are dense"),
            OwnedAffine::Dense { rows, cols, weights, bias } => {
                let weights = Arc::new(weights.clone());
                (Map::Dense { count: 1, rows: *rows, cols: *cols, weights }, bias)
            }
            OwnedAffine::Scale { scale, shift } => (Map::Scale(Constants::exact(scale.clone())), shift),
        };
        slot = b.affine("affine", slot, map, Some(Constants::exact(bias.clone()))).unwrap();
        if layer.relu {
            slot = b.elementwise("relu", slot, Function::Relu).unwrap();
        }
    }
    b.finish(slot).unwrap()
}

const TWO: &str = "(vnnlib-version <2.0>)
(declare-network f (declare-input A Real [2])(declare-output B Real []))
(declare-network g (isomorphic-to f) (declare-input C Real [2])(declare-output D Real []))
(assert (and (>= A[0] -2) (<= A[0] 2) (>= A[1] -1) (<= A[1] 1) (>= C[1] -3) (<= C[1] 3)))
(assert (== A[0] C[0]))
(assert (>= (+ B D C[1]) 100))
";

#[test]
fn networks_of_any_depth_run_side_by_side_and_equal_inputs_are_one() {
    let q = lowered(TWO);
    assert_eq!(q.property.inputs, 3);
    let (parts, passed) = (&q.composition.parts, &q.composition.passed);
    assert_eq!((parts[0].inputs.as_slice(), parts[1].inputs.as_slice()), (&[0, 1][..], &[0, 2][..]));
    assert_eq!(passed.as_slice(), [2]);
    for (left, right) in [(0, 0), (2, 0), (0, 3)] {
        let (f, g) = (network(1.5, 0.25, left), network(-2.0, 1.0, right));
        let evaluator = Composed { composition: &q.composition, networks: vec![&f, &g] };
        let chain = q.composition.chain(&[&f, &g], &[-2.0, -1.0, -3.0]).unwrap();
        let programs = [program(&f), program(&g)];
        let program = q.composition.program(&[&programs[0], &programs[1]]).unwrap();
        for x in [[0.5, 1.0, -3.0], [-2.0, -1.0, 3.0], [2.0, 0.25, 0.125]] {
            // Written out: B, D and the passed C[1]; every number is a small multiple of 1/16.
            let b = f64::max(1.5 * x[0] - x[1], 0.0) + 0.25;
            let d = f64::max(-2.0 * x[0] - x[2], 0.0) + 1.0;
            let expected = [b, d, x[2]];
            assert_eq!(evaluator.eval_f64(&x), expected);
            assert_eq!(chain.eval_f64(&x), expected);
            assert_eq!(Evaluate::eval_f64(&program, &x), expected);
            let x32 = x.map(|v| v as f32);
            assert_eq!(chain.eval_f32(&x32), expected.map(|v| v as f32));
            assert_eq!(evaluator.eval_f32(&x32), expected.map(|v| v as f32));
        }
    }
}

#[test]
fn a_witness_of_the_composed_network_is_exact_in_what_is_passed_on() {
    let text = TWO.replace("(>= (+ B D C[1]) 100)", "(>= C[1] 2.5)");
    let q = lowered(&text.replace("(>= C[1] 2.5)", "(and (>= C[1] 2.5) (>= (+ B C[1]) 0))"));
    let (f, g) = (network(1.0, 0.0, 0), network(1.0, 0.0, 0));
    let evaluator = Composed { composition: &q.composition, networks: vec![&f, &g] };
    assert!(check_witness(&evaluator, &q.property, &[0.0, 0.0, 2.5]).is_some());
    assert!(check_witness(&evaluator, &q.property, &[0.0, 0.0, 2.5f32.next_down()]).is_none());
}
