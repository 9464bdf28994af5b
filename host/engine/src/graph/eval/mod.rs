//! Evaluation of the network, operator by operator in plain loops: easy to compare with ONNX's definitions.
//! Neither the device's order of sums nor the verifier's arithmetic; the oracle of lowering.

mod elementwise;
mod linear;
mod normalize;
mod number;
mod pool;

use std::borrow::Cow;

use super::network::{Network, Node};
use super::ops::Op;
use super::tensor::TensorData;

pub use self::number::Number;

/// A value at hand.
struct Operand<'a, T: Number> {
    shape: &'a [usize],
    data: Cow<'a, [T]>,
}

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
    /// *Estimate*, rounded in `T` at every operation. Where the network is undefined (the logarithm of a
    /// negative number, …) the result is NaN or infinite.
    pub fn eval<T: Number>(&self, input: &[T]) -> Vec<T> {
        assert_eq!(input.len(), self.input().len(), "input has the shape of the network's input");
        let mut values: Vec<Option<Vec<T>>> = self.values.iter().map(|_| None).collect();
        values[self.input_id().0] = Some(input.to_vec());
        let last_use = self.last_uses();
        for (index, node) in self.nodes().iter().enumerate() {
            let result = self.eval_node(node, &values);
            values[node.output.0] = Some(result);
            for id in node.inputs.iter().filter(|id| last_use[id.0] == index) {
                values[id.0] = None;
            }
        }
        values[self.output_id().0].take().expect("the last node gives the output")
    }

    /// For each value the node that reads it last; the output is never given up.
    fn last_uses(&self) -> Vec<usize> {
        let mut last = vec![usize::MAX; self.values.len()];
        for (index, node) in self.nodes().iter().enumerate() {
            node.inputs.iter().for_each(|id| last[id.0] = index);
        }
        last[self.output_id().0] = usize::MAX;
        last
    }

    fn eval_node<T: Number>(&self, node: &Node, values: &[Option<Vec<T>>]) -> Vec<T> {
        let operand = |i: usize| -> Operand<'_, T> {
            let value = self.value(node.inputs[i]);
            let data = match (value.constant.as_deref(), &values[node.inputs[i].0]) {
                (Some(TensorData::Float(constants)), _) => T::constants(constants),
                (_, Some(computed)) => Cow::Borrowed(computed.as_slice()),
                _ => unreachable!("nodes are in topological order and read no integers"),
            };
            Operand { shape: &value.shape, data }
        };
        let third = || (node.inputs.len() == 3).then(|| operand(2));
        let output = self.value(node.output).shape.as_slice();
        match &node.op {
            Op::Gemm { alpha, beta, trans_a, trans_b } => {
                let product = linear::gemm(&operand(0), &operand(1), *trans_a, *trans_b, output);
                linear::combine(product, *alpha, *beta, third().as_ref(), output)
            }
            Op::MatMul => linear::matmul(&operand(0), &operand(1)),
            Op::Conv { window, groups } => {
                let sums = linear::conv(&operand(0), &operand(1), window, *groups, output);
                linear::add_bias(sums, third().as_ref(), output)
            }
            Op::ConvTranspose { window, groups } => {
                let sums = linear::conv_transpose(&operand(0), &operand(1), window, *groups, output);
                linear::add_bias(sums, third().as_ref(), output)
            }
            Op::MaxPool(window) => pool::max(&operand(0), window),
            Op::AveragePool { window, count_include_pad } => {
                pool::average(&operand(0), window, *count_include_pad)
            }
            Op::BatchNormalization { epsilon } => {
                let operands: Vec<_> = (0..5).map(operand).collect();
                normalize::batch(&operands, T::from(*epsilon))
            }
            Op::Normalize { size, epsilon } => normalize::runs(&operand(0), *size, T::from(*epsilon)),
            Op::Softmax { outer, size, inner, log } => {
                normalize::softmax(&operand(0), [*outer, *size, *inner], *log)
            }
            Op::Unary(function) => {
                operand(0).data.iter().map(|x| elementwise::unary(*function, *x)).collect()
            }
            Op::Binary(function) => elementwise::binary(*function, &operand(0), &operand(1), output),
            Op::Reduce { kind, axes } => normalize::reduce(&operand(0), *kind, axes),
            Op::Index { indices } => {
                let operands: Vec<_> = (0..node.inputs.len()).map(operand).collect();
                index(&operands, indices)
            }
            Op::Reshape => operand(0).data.to_vec(),
        }
    }
}

fn index<T: Number>(operands: &[Operand<'_, T>], indices: &[u32]) -> Vec<T> {
    if let [only] = operands {
        return indices.iter().map(|i| only.data[*i as usize]).collect();
    }
    let all: Vec<T> = operands.iter().flat_map(|o| o.data.iter().copied()).collect();
    indices.iter().map(|i| all[*i as usize]).collect()
}
