//! The planned executor against the plain one.

use super::{Plan, Reference, Run};
use crate::graph::{Binary, Conv, Graph, Node, Unary};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    fn values(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.next() as f32 / (1u64 << 30) as f32 - 1.0).collect()
    }
}

/// Evaluates `outputs` both ways, with one thread and three.
fn compare(name: &str, g: &Graph, outputs: &[Node], leaves: &[Vec<f32>]) {
    let wide: Vec<Vec<f64>> = leaves.iter().map(|x| x.iter().map(|v| f64::from(*v)).collect()).collect();
    let plain = Reference::new(g, &wide);
    let slices: Vec<&[f32]> = leaves.iter().map(Vec::as_slice).collect();
    let mut before: Option<Vec<Vec<u32>>> = None;
    for threads in [1, 3] {
        let mut run = Run::new(Plan::new(g, outputs), threads);
        // Twice: nothing may depend on what memory held.
        for round in 0..2 {
            run.evaluate(&slices);
            for (k, output) in outputs.iter().enumerate() {
                for (i, (found, right)) in run.output(k).iter().zip(plain.value(*output)).enumerate() {
                    assert!(
                        (f64::from(*found) - right).abs() <= 2e-4 * (1.0 + right.abs()),
                        "{name}, {threads} threads, round {round}, output {k}, element {i}: {found}, not {right}"
                    );
                }
                assert_eq!(run.output(k).len(), plain.value(*output).len());
            }
        }
        let bits: Vec<Vec<u32>> =
            (0..outputs.len()).map(|k| run.output(k).iter().map(|x| x.to_bits()).collect()).collect();
        assert!(before.is_none_or(|b| b == bits), "{name}: the bits depend on the threads");
        before = Some(bits);
    }
}

#[test]
fn random_graphs_and_their_gradients_have_the_values_of_the_plain_executor() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let mut g = Graph::new();
        let lanes = 16 * (1 + random.below(3));
        let shape = [3 + random.below(40), lanes];
        let mut nodes: Vec<Node> = (0..3).map(|_| g.leaf(&shape)).collect();
        let square = g.leaf(&[shape[0], shape[0]]);
        let leaves = [nodes.as_slice(), &[square]].concat();
        for _ in 0..25 {
            let [a, b] = [0, 1].map(|_| nodes[random.below(nodes.len())]);
            let unary = [
                Unary::Neg,
                Unary::Abs,
                Unary::Relu,
                Unary::Square,
                Unary::Tanh,
                Unary::Sigmoid,
                Unary::Scale(0.5.into()),
                Unary::Shift((-0.25).into()),
            ];
            let binary = [Binary::Add, Binary::Sub, Binary::Mul, Binary::Max, Binary::Min];
            let node = match random.below(10) {
                0..4 => g.unary(unary[random.below(unary.len())], a),
                4..7 => {
                    let y = g.binary(binary[random.below(binary.len())], a, b);
                    g.unary(Unary::Tanh, y)
                }
                7 => {
                    let y = g.matmul(square, a, [random.below(2) == 0, false]);
                    g.scale(y, 0.1)
                }
                8 => {
                    let axis = random.below(2);
                    let (sum, largest) = (g.sum_to(a, axis), g.largest_to(b, axis));
                    let sum = g.scale(sum, 0.1);
                    let both = g.mul(sum, largest);
                    g.expand(both, &shape, axis)
                }
                _ => {
                    let part = g.slice(a, 1, 2);
                    let padded = g.embed(part, random.below(shape[0] - 1), shape[0]);
                    g.add(padded, b)
                }
            };
            nodes.push(node);
        }
        let last = *nodes.last().expect("a node");
        let tanh = g.unary(Unary::Tanh, last);
        let of = g.mean(tanh);
        let mut outputs = vec![of, nodes[nodes.len() / 2]];
        outputs.retain(|n| !leaves.contains(n));
        outputs.extend(g.gradient(of, &leaves));
        let values: Vec<Vec<f32>> = leaves.iter().map(|x| random.values(g.entry(*x).len())).collect();
        compare(&format!("seed {seed}"), &g, &outputs, &values);
    }
}

#[test]
fn convolutions_and_their_gradients_have_the_values_of_the_plain_executor() {
    let base = Conv {
        channels: [1, 5],
        size_in: [7, 6],
        size_out: [4, 3],
        kernel: [3, 4],
        stride: [2, 2],
        pad: [1, 1],
        groups: 1,
    };
    let all = [
        base,
        Conv { channels: [3, 16], ..base },
        Conv { channels: [6, 4], groups: 2, ..base },
        Conv { channels: [4, 4], groups: 4, kernel: [2, 2], pad: [0, 0], size_out: [3, 3], ..base },
    ];
    for c in all {
        let mut g = Graph::new();
        let x = g.leaf(&[c.channels[0], 7, 6, 16]);
        let w = g.leaf(&c.weights());
        let y = g.conv(c, x, w);
        let y = g.unary(Unary::Tanh, y);
        let of = g.mean(y);
        let gradients = g.gradient(of, &[x, w]);
        let mut random = Random(7);
        let values: Vec<Vec<f32>> = [x, w].iter().map(|n| random.values(g.entry(*n).len())).collect();
        compare(&format!("{c:?}"), &g, &[of, y, gradients[0], gradients[1]], &values);
    }
}

#[test]
fn memory_is_used_again() {
    let mut g = Graph::new();
    let x = g.leaf(&[64, 16]);
    let w = g.leaf(&[64, 64]);
    let mut y = x;
    for _ in 0..50 {
        y = g.matmul(w, y, [false, false]);
        y = g.unary(Unary::Tanh, y);
    }
    let plan = Plan::new(&g, &[y]);
    assert!(plan.bytes() < 4 * (4 * 64 * 16 + 8192), "{} bytes for a chain of 50 products", plan.bytes());
}

#[test]
fn repeated_lanes_and_their_sums_have_the_values_of_the_plain_executor() {
    let mut g = Graph::new();
    let (x, y) = (g.leaf(&[5, 16]), g.leaf(&[5, 48]));
    let wide = g.repeat(x, 3);
    let product = g.mul(wide, y);
    let sums = g.fold(product, 3);
    let tanh = g.unary(Unary::Tanh, sums);
    let of = g.mean(tanh);
    let gradients = g.gradient(of, &[x, y]);
    let mut random = Random(3);
    let values = [random.values(80), random.values(240)];
    compare("repeat", &g, &[of, wide, sums, gradients[0], gradients[1]], &values);
}

#[test]
fn repeated_numbers_and_results_that_the_same_loop_reads_have_the_values_of_the_plain_executor() {
    let mut random = Random(9);
    let mut g = Graph::new();
    // Runs of equal elements that fill blocks, and runs that end within one.
    let shape = [5, 1300];
    let (x, factor, summand) = (g.leaf(&shape), g.leaf(&[5]), g.leaf(&[5]));
    let wide = [factor, summand].map(|v| g.expand(v, &shape, 0));
    let scaled = g.mul(x, wide[0]);
    let moved = g.sub(wide[1], scaled);
    let both = g.mul(wide[0], wide[1]);
    let size = g.unary(Unary::Abs, wide[0]);
    let last = [g.relu(moved), g.sub(moved, both), g.max(size, scaled)];
    let outputs = [&[moved, wide[1], both], last.as_slice()].concat();
    let leaves: Vec<Vec<f32>> = [5 * 1300, 5, 5].map(|n| random.values(n)).to_vec();
    compare("repeated numbers", &g, &outputs, &leaves);
}
