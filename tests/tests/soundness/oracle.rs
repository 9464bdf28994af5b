//! The exact answers themselves: against values by hand, against sampling, against the program's own evaluation.

use std::time::Duration;

use certus_engine::Model;
use certus_engine::graph::parse_onnx_bytes;
use certus_engine::selftest::exact::{Q, Region, evaluate, minima};
use certus_engine::selftest::{Network, Node, Op, Random, draw, onnx_bytes, oracle_agrees, truth};
use num_bigint::BigInt;
use num_traits::{ToPrimitive, Zero};

fn q(numerator: i64, denominator: i64) -> Q {
    Q::new(BigInt::from(numerator), BigInt::from(denominator))
}

fn dense(weights: &[f32], bias: &[f32]) -> Op {
    Op::Dense { weights: weights.to_vec(), bias: bias.to_vec(), factors: [1.0, 1.0], matmul: false }
}

#[test]
fn minima_by_hand() {
    // y = |x₀| − |x₁| on [−1, 1] × [−3/4, 1/2]: −3/4 at (0, −3/4). y = max(x₀, x₁) − x₀ / 3: 0 − … by hand below.
    let ops = [
        dense(&[1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0], &[0.0; 4]),
        Op::Relu,
        dense(&[1.0, 1.0, -1.0, -1.0], &[0.0]),
    ];
    let nodes = ops.into_iter().enumerate().map(|(k, op)| Node { op, inputs: vec![k] }).collect();
    let network = Network { input: vec![2], nodes };
    let (steps, last) = network.steps();
    let region = Region { lower: vec![q(-1, 1), q(-3, 4)], upper: vec![q(1, 1), q(1, 2)] };
    let objective = |factor: i64| {
        let terms = vec![(last, 0, q(factor, 1))];
        vec![certus_engine::selftest::exact::Sum { terms, constant: Q::zero() }]
    };
    let found = minima(&steps[..last], &[objective(1), objective(-1)], &region, 100).unwrap();
    assert_eq!((found[0].value.clone(), found[0].at.clone()), (q(-3, 4), vec![q(0, 1), q(-3, 4)]));
    assert_eq!(found[1].value, q(-1, 1));
    // The largest of both: |‖x₀| − |x₁‖ is 0 somewhere.
    let both = [objective(1), objective(-1)].concat();
    assert_eq!(minima(&steps[..last], &[both], &region, 100).unwrap()[0].value, Q::zero());
}

#[test]
fn minima_are_attained_and_nowhere_undercut() {
    let mut checked = 0;
    for index in 0..150 {
        let drawn = draw(11, index, Duration::from_secs(1));
        let Some((question, truth)) = drawn.questions.first() else { continue };
        let (steps, last) = question.network.steps();
        let mut random = Random::new(index);
        for (case, minima) in question.statement.cases.iter().zip(&truth.minima) {
            for (rows, minimum) in case.disjuncts.iter().zip(minima) {
                let worst = |x: &[Q]| {
                    let y = evaluate(&steps[..last], x);
                    rows.iter().map(|r| r.excess_at(&y)).max().unwrap()
                };
                assert_eq!(worst(&minimum.at), minimum.value, "network {index}");
                for _ in 0..30 {
                    let ends = case.region.lower.iter().zip(&case.region.upper);
                    let x: Vec<Q> =
                        ends.map(|(l, u)| l + (u - l) * q(random.within(0, 8).into(), 8)).collect();
                    assert!(worst(&x) >= minimum.value, "network {index}: less at {x:?}");
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 150);
}

#[test]
fn the_exact_network_is_the_imported_one() {
    for index in 0..300 {
        let drawn = draw(13, index, Duration::from_secs(1));
        let Some((question, _)) = drawn.questions.first() else { continue };
        let network = &question.network;
        let program = parse_onnx_bytes(&onnx_bytes(network), "drawn").unwrap().lower().unwrap();
        let steps = network.steps().0;
        let mut random = Random::new(index);
        for model in [Model::Program(program.clone()), Model::from(program)] {
            let x: Vec<f64> = (0..network.inputs()).map(|_| random.unit().into()).collect();
            assert!(
                oracle_agrees(network, &steps, &model, &x),
                "network {index} ({:?}) at {x:?}",
                drawn.family
            );
        }
    }
}

#[test]
fn the_margin_moves_as_the_thresholds_do() {
    let drawn = (0..).map(|i| draw(17, i, Duration::from_secs(1))).find(|d| !d.questions.is_empty()).unwrap();
    let (question, before) = &drawn.questions[0];
    let by = q(3, 16);
    let after = truth(&question.network, &question.statement.shifted(&by), 3000).unwrap();
    assert_eq!(after.margin(), &(before.margin() - &by));
    assert_eq!(after.minima, before.shifted(&by).minima);
    assert!(after.mass.to_f64().unwrap() > 0.0);
}
