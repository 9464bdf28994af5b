//! Evaluation of the network, operator by operator in plain loops: slow, and easy to compare with ONNX's
//! definitions. Neither the device's order of sums nor the verifier's arithmetic; the oracle of lowering.

use std::ops::{Add, Mul, Sub};

use super::network::{Network, Node, Value};
use super::ops::{Binary, Op, Unary};
use super::shapes;

/// Numbers to evaluate in: `f32` or `f64`.
pub trait Number:
    Copy + Default + PartialOrd + From<f32> + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
}
impl Number for f32 {}
impl Number for f64 {}

impl Network {
    /// The output at `input`.
    ///
    /// # Shapes
    /// `input` has as many elements as [`Network::input`], row-major; so has the result for the output.
    ///
    /// # Panics
    /// If `input` has another length.
    ///
    /// # Rounding
    /// *Estimate*, rounded in `T` at every operation.
    pub fn eval<T: Number>(&self, input: &[T]) -> Vec<T> {
        assert_eq!(input.len(), self.input().len(), "input has the shape of the network's input");
        let constant = |v: &Value| v.floats().map(|c| c.iter().map(|x| T::from(*x)).collect());
        let mut values: Vec<Option<Vec<T>>> = self.values.iter().map(constant).collect();
        values[self.input_id().0] = Some(input.to_vec());
        for node in self.nodes() {
            let result = self.eval_node(node, &values);
            values[node.output.0] = Some(result);
        }
        values[self.output_id().0].take().expect("the last node gives the output")
    }

    fn eval_node<T: Number>(&self, node: &Node, values: &[Option<Vec<T>>]) -> Vec<T> {
        let operand = |i: usize| -> Operand<'_, T> {
            let id = node.inputs[i];
            let data = values[id.0].as_deref().expect("nodes are in topological order");
            Operand { shape: &self.value(id).shape, data }
        };
        let output = &self.value(node.output).shape;
        match node.op.clone() {
            Op::Binary(Binary::Add) => zip(&operand(0), &operand(1), output, |a, b| a + b),
            Op::Binary(Binary::Sub) => zip(&operand(0), &operand(1), output, |a, b| a - b),
            Op::Binary(Binary::Mul) => zip(&operand(0), &operand(1), output, |a, b| a * b),
            Op::MatMul => matmul(&operand(0), &operand(1)),
            Op::Gemm { alpha, beta, trans_a: _, trans_b } => {
                let c = (node.inputs.len() == 3).then(|| operand(2));
                gemm(alpha, beta, trans_b, &operand(0), &operand(1), c.as_ref(), output)
            }
            Op::Unary(Unary::Relu) => {
                let zero = T::default();
                operand(0).data.iter().map(|z| if *z < zero { zero } else { *z }).collect()
            }
            Op::Reshape => operand(0).data.to_vec(),
            other => unreachable!("import gives no {other:?}"),
        }
    }
}

struct Operand<'a, T> {
    shape: &'a [usize],
    data: &'a [T],
}

fn zip<T: Number>(a: &Operand<'_, T>, b: &Operand<'_, T>, output: &[usize], f: impl Fn(T, T) -> T) -> Vec<T> {
    let (i, j) = (shapes::broadcast_indices(a.shape, output), shapes::broadcast_indices(b.shape, output));
    i.into_iter().zip(j).map(|(i, j)| f(a.data[i], b.data[j])).collect()
}

fn matmul<T: Number>(a: &Operand<'_, T>, b: &Operand<'_, T>) -> Vec<T> {
    let sizes = shapes::matmul(a.shape, b.shape).expect("shapes were checked by import");
    let (m, k, n) = (sizes.m, sizes.k, sizes.n);
    let batch_of = |shape: &[usize]| {
        let own = &shape[..shape.len().saturating_sub(2)];
        shapes::broadcast_indices(own, &sizes.batch)
    };
    let mut out = Vec::with_capacity(sizes.output.iter().product());
    for (p, q) in batch_of(a.shape).into_iter().zip(batch_of(b.shape)) {
        let (a, b) = (&a.data[p * m * k..][..m * k], &b.data[q * k * n..][..k * n]);
        for i in 0..m {
            for j in 0..n {
                let products = (0..k).map(|l| a[i * k + l] * b[l * n + j]);
                out.push(products.fold(T::default(), |s, p| s + p));
            }
        }
    }
    out
}

fn gemm<T: Number>(
    alpha: f32,
    beta: f32,
    trans_b: bool,
    a: &Operand<'_, T>,
    b: &Operand<'_, T>,
    c: Option<&Operand<'_, T>>,
    output: &[usize],
) -> Vec<T> {
    let (m, n, k) = (output[0], output[1], a.shape[1]);
    let summand =
        c.map(|c| shapes::broadcast_indices(c.shape, output).into_iter().map(|i| c.data[i]).collect());
    let summand: Vec<T> = summand.unwrap_or_else(|| vec![T::default(); m * n]);
    let mut out = Vec::with_capacity(m * n);
    for i in 0..m {
        for j in 0..n {
            let b_at = |l: usize| if trans_b { b.data[j * k + l] } else { b.data[l * n + j] };
            let product = (0..k).fold(T::default(), |s, l| s + a.data[i * k + l] * b_at(l));
            out.push(T::from(alpha) * product + T::from(beta) * summand[i * n + j]);
        }
    }
    out
}
