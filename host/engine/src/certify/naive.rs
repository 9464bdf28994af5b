//! The device's forward pass written a second time, from the text of its contract and with plain loops.
//!
//! Shares no code with [`certus_core::infer`]; `certus export --check` and the tests compare the two
//! bit for bit.
#![expect(clippy::assign_op_pattern, reason = "spelled out as the contract states it")]

use crate::chain::{Chain, OwnedAffine};

fn dense(weights: &[f32], bias: &[f32], x: &[f32]) -> Vec<f32> {
    let n = x.len();
    let mut out = Vec::with_capacity(bias.len());
    for i in 0..bias.len() {
        let mut total = bias[i];
        let mut block = 0;
        while block < n {
            let end = if block + 32 < n { block + 32 } else { n };
            let mut s = 0.0f32;
            for j in block..end {
                let product = weights[i * n + j] * x[j];
                s = s + product;
            }
            total = total + s;
            block = end;
        }
        out.push(total);
    }
    out
}

/// Outputs of `program` at `input` in the meaning `F32`.
///
/// # Panics
/// If `input` is not `[inputs]`.
pub fn forward(chain: &Chain, input: &[f32]) -> Vec<f32> {
    assert_eq!(input.len(), chain.inputs(), "input has the shape [inputs]");
    let mut x = input.to_vec();
    for layer in chain.layers() {
        let mut z = match &layer.affine {
            OwnedAffine::Dense { weights, bias, .. } => dense(weights, bias, &x),
            OwnedAffine::Scale { scale, shift } => {
                let mut out = Vec::new();
                for j in 0..x.len() {
                    let product = scale[j] * x[j];
                    out.push(product + shift[j]);
                }
                out
            }
        };
        if layer.relu {
            for value in &mut z {
                if *value < 0.0 {
                    *value = 0.0;
                }
            }
        }
        x = z;
    }
    x
}
