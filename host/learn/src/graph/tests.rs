//! Derivatives against central differences in `f64`, first and second, of every operation.

use super::{Axis, Binary, Conv, Graph, Node, Unary};
use crate::run::Reference;

/// A number in `[−1, 1]` from a counter, the same on every machine.
fn random(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

fn draw(seed: u64, len: usize) -> Vec<f64> {
    let mut seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    for _ in 0..4 {
        random(&mut seed);
    }
    (0..len).map(|_| random(&mut seed)).collect()
}

/// A weighted sum of the elements of `x`, so that a wrong place shows.
fn mix(g: &mut Graph, x: Node, weights: &mut Vec<Vec<f64>>) -> Node {
    let shape = g.shape(x).to_vec();
    let w = g.leaf(&shape);
    weights.push(draw(900 + weights.len() as u64, g.entry(x).len()));
    let product = g.mul(x, w);
    g.sum(product)
}

/// Checks the gradient of a graph `build(leaves)` to each leaf, then the gradient of a mix of those gradients.
fn check(name: &str, shapes: &[&[usize]], positive: bool, build: impl Fn(&mut Graph, &[Node]) -> Node) {
    let mut g = Graph::new();
    let leaves: Vec<Node> = shapes.iter().map(|s| g.leaf(s)).collect();
    let mut values: Vec<Vec<f64>> = leaves
        .iter()
        .enumerate()
        .map(|(k, x)| {
            let all = draw(k as u64, g.entry(*x).len());
            // Away from kinks and poles.
            all.iter().map(|x| if positive { 0.6 + 0.5 * x } else { x + 0.1 * x.signum() }).collect()
        })
        .collect();
    let mut weights = Vec::new();
    let out = build(&mut g, &leaves);
    let of = mix(&mut g, out, &mut weights);
    let first = g.gradient(of, &leaves);
    let mut mixed: Option<Node> = None;
    for x in &first {
        let part = mix(&mut g, *x, &mut weights);
        mixed = Some(mixed.map_or(part, |sum| g.add(sum, part)));
    }
    let mixed = mixed.expect("a leaf");
    let second = g.gradient(mixed, &leaves);
    values.extend(weights);
    let run = Reference::new(&g, &values);
    for (order, (of, gradients)) in [(of, &first), (mixed, &second)].into_iter().enumerate() {
        for (k, gradient) in gradients.iter().enumerate() {
            for i in 0..values[k].len() {
                let at = |by: f64| {
                    let mut moved = values.clone();
                    moved[k][i] += by;
                    Reference::new(&g, &moved).value(of)[0]
                };
                let h = 1e-4;
                let quotient = (at(h) - at(-h)) / (2.0 * h);
                let found = run.value(*gradient)[i];
                assert!(
                    (quotient - found).abs() <= 1e-6 * (1.0 + quotient.abs()),
                    "{name}, order {}, leaf {k}, element {i}: {found}, differences say {quotient}",
                    order + 1
                );
            }
        }
    }
}

#[test]
fn functions_of_one_element_have_the_derivatives_that_differences_say() {
    let all = [
        Unary::Neg,
        Unary::Abs,
        Unary::Sign,
        Unary::Relu,
        Unary::Step,
        Unary::Exp,
        Unary::Recip,
        Unary::Square,
        Unary::Tanh,
        Unary::Sigmoid,
        Unary::Scale(1.7.into()),
        Unary::Shift(0.3.into()),
    ];
    for f in all {
        check(&format!("{f:?}"), &[&[2, 3]], false, |g, x| {
            let y = g.unary(f, x[0]);
            // Also where the function is linear the second derivative is not zero.
            g.mul(y, x[0])
        });
    }
    for f in [Unary::Log, Unary::Sqrt] {
        check(&format!("{f:?}"), &[&[5]], true, |g, x| g.unary(f, x[0]));
    }
}

#[test]
fn functions_of_two_elements_have_the_derivatives_that_differences_say() {
    for f in [Binary::Add, Binary::Sub, Binary::Mul, Binary::Max, Binary::Min, Binary::Greater, Binary::Equal]
    {
        check(&format!("{f:?}"), &[&[7], &[7]], false, |g, x| {
            let y = g.binary(f, x[0], x[1]);
            let z = g.mul(y, x[0]);
            g.mul(z, x[1])
        });
    }
    check("div", &[&[4], &[4]], false, |g, x| g.div(x[0], x[1]));
}

#[test]
fn sums_and_their_converse_have_the_derivatives_that_differences_say() {
    for axis in 0..3 {
        check("expand", &[&[[2, 3, 4][axis]], &[2, 3, 4]], false, |g, x| {
            let wide = g.expand(x[0], &[2, 3, 4], axis);
            let square = g.unary(Unary::Square, wide);
            g.mul(square, x[1])
        });
        check("sum", &[&[2, 3, 4]], false, |g, x| {
            let sum = g.sum_to(x[0], axis);
            g.unary(Unary::Square, sum)
        });
        check("largest", &[&[2, 3, 4]], false, |g, x| {
            let top = g.largest_to(x[0], axis);
            g.unary(Unary::Square, top)
        });
    }
    check("repeat", &[&[2, 3], &[2, 12]], false, |g, x| {
        let wide = g.repeat(x[0], 4);
        let square = g.unary(Unary::Square, wide);
        g.mul(square, x[1])
    });
    check("fold", &[&[2, 12], &[2, 3]], false, |g, x| {
        let sum = g.fold(x[0], 4);
        let square = g.unary(Unary::Square, sum);
        g.mul(square, x[1])
    });
    check("mean", &[&[2, 3], &[1]], false, |g, x| {
        let mean = g.mean(x[0]);
        let off = g.mul(mean, x[1]);
        let wide = g.fill(off, &[2, 3]);
        g.mul(wide, x[0])
    });
}

#[test]
fn products_have_the_derivatives_that_differences_say() {
    for [ta, tb] in [[false, false], [false, true], [true, false], [true, true]] {
        let a: &[usize] = if ta { &[4, 2] } else { &[2, 4] };
        let b: &[usize] = if tb { &[3, 4] } else { &[4, 3] };
        check(&format!("transposed {ta} {tb}"), &[a, b], false, |g, x| {
            let square = g.unary(Unary::Square, x[0]);
            g.matmul(square, x[1], [ta, tb])
        });
    }
}

#[test]
fn convolutions_have_the_derivatives_that_differences_say() {
    let plain = Conv {
        channels: [2, 3],
        size_in: [4, 3],
        size_out: [2, 3],
        kernel: [3, 2],
        stride: [2, 1],
        pad: [1, 1],
        groups: 1,
    };
    let grouped = Conv { channels: [4, 2], groups: 2, ..plain };
    for c in [plain, grouped] {
        let images = [c.channels[0], 4, 3, 2];
        check(&format!("{c:?}"), &[&images, &c.weights()], false, |g, x| {
            let square = g.unary(Unary::Square, x[1]);
            g.conv(c, x[0], square)
        });
    }
}

#[test]
fn slices_shapes_and_detached_nodes_have_the_derivatives_that_differences_say() {
    check("slice", &[&[4, 3]], false, |g, x| {
        let middle = g.slice(x[0], 1, 2);
        let square = g.unary(Unary::Square, middle);
        let back = g.embed(square, 2, 4);
        g.mul(back, x[0])
    });
    check("reshape", &[&[4, 3]], false, |g, x| {
        let flat = g.reshape(x[0], &[2, 6]);
        g.unary(Unary::Square, flat)
    });
    let mut g = Graph::new();
    let x = g.leaf(&[2]);
    let fixed = g.detach(x);
    let product = g.mul(fixed, x);
    let of = g.sum(product);
    let gradient = g.gradient(of, &[x])[0];
    let run = Reference::new(&g, &[vec![3.0, -2.0]]);
    assert_eq!(run.value(gradient), [3.0, -2.0], "x·detach(x) has slope detach(x)");
}

#[test]
fn roots_are_safe_at_zero() {
    let mut g = Graph::new();
    let x = g.leaf(&[3]);
    let squares = g.unary(Unary::Square, x);
    let sum = g.sum(squares);
    let norm = g.unary(Unary::Sqrt, sum);
    let gradient = g.gradient(norm, &[x])[0];
    let total = g.sum(gradient);
    let second = g.gradient(total, &[x])[0];
    let run = Reference::new(&g, &[vec![0.0; 3]]);
    assert_eq!(run.value(gradient), [0.0; 3]);
    assert_eq!(run.value(second), [0.0; 3]);
}

#[test]
fn a_node_is_entered_once_and_nothing_gives_zeros() {
    let mut g = Graph::new();
    let (x, other) = (g.leaf(&[2, 2]), g.leaf(&[3]));
    let (a, b) = (g.relu(x), g.relu(x));
    assert_eq!(a, b, "equal operations are one node");
    let of = g.sum(a);
    let gradient = g.gradient(of, &[other])[0];
    let run = Reference::new(&g, &[vec![1.0; 4], vec![1.0; 3]]);
    assert_eq!(run.value(gradient), [0.0; 3]);
    assert_eq!(Axis { outer: 2, len: 3, inner: 4 }.elements(), 24);
}

/// Eight steps of gradient descent on a small problem, and the gradient of what they reach to the start.
#[test]
fn recomputing_between_checkpoints_changes_no_gradient() {
    let build = |every: usize| {
        let mut g = Graph::new();
        let (start, data) = (g.leaf(&[3]), g.leaf(&[3]));
        let (mut w, mut checkpoints) = (start, Vec::new());
        for step in 0..8 {
            let product = g.mul(w, data);
            let y = g.unary(Unary::Tanh, product);
            let square = g.unary(Unary::Square, y);
            let loss = g.sum(square);
            let slope = g.gradient(loss, &[w])[0];
            let slope = g.scale(slope, 0.3);
            w = g.sub(w, slope);
            if every > 0 && step % every == every - 1 {
                checkpoints.push(w);
            }
        }
        let square = g.unary(Unary::Square, w);
        let of = g.sum(square);
        let before = g.entries().len();
        let gradients = g.gradient_recomputing(of, &[start, data], &checkpoints);
        let added = g.entries().len() - before;
        let run = Reference::new(&g, &[draw(1, 3), draw(2, 3)]);
        (gradients.iter().map(|x| run.value(*x).to_vec()).collect::<Vec<_>>(), added)
    };
    let (kept, fewer) = build(0);
    for every in [1, 2, 3] {
        let (again, more) = build(every);
        assert_eq!(kept, again);
        assert!(more > fewer, "nothing was computed again");
    }
}
