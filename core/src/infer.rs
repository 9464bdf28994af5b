//! The device's forward pass: the meaning `F32` of a network.
//!
//! The order is part of the contract, because every certificate about `F32` speaks of exactly this
//! sequence of roundings (host and device agree bit for bit, `to_bits`):
//!
//! * dense: `total = bias`; for each block of 32 inputs: `s = 0`, then `s = s + w·x` in index order,
//!   then `total = total + s`. Product and sum round separately (never a fused `mul_add`).
//! * sparse: as the dense layer with zeros in all other places.
//! * scale: `scale·x`, then `+ shift`.
//! * ReLU: `if z < 0 { 0 } else { z }`: −0 stays −0 and NaN stays NaN.
//!
//! Round to nearest, ties to even, subnormals kept.

use crate::layer::{Affine, Dense, Network, ShapeError};

/// Inputs summed before their sum is added to the total.
pub const BLOCK: usize = 32;

/// ReLU by comparison; the sign of a zero and NaN pass unchanged.
#[inline]
pub fn relu(z: f32) -> f32 {
    if z < 0.0 { 0.0 } else { z }
}

/// `bias + w·x` in the stated order.
#[inline]
pub fn dot_blocked(weights: &[f32], x: &[f32], bias: f32) -> f32 {
    let mut total = bias;
    for (w_block, x_block) in weights.chunks(BLOCK).zip(x.chunks(BLOCK)) {
        let mut s = 0.0f32;
        for (w, x) in w_block.iter().zip(x_block) {
            s += w * x;
        }
        total += s;
    }
    total
}

fn dense_into(dense: &Dense<'_>, relu_after: bool, x: &[f32], out: &mut [f32]) {
    for ((weights, bias), y) in dense.row_iter().zip(out) {
        let z = dot_blocked(weights, x, bias);
        *y = if relu_after { relu(z) } else { z };
    }
}

/// Elements of scratch that [`forward`] needs.
pub fn forward_scratch_len(network: &Network<'_>) -> usize {
    2 * network.width()
}

/// Evaluates `network` at `input`, writing its outputs.
///
/// # Shapes
/// `input` `[inputs]`, `output` `[outputs]`, `scratch` at least [`forward_scratch_len`].
///
/// # Errors
/// [`ShapeError::Length`] or [`ShapeError::Buffer`] if a slice does not fit.
///
/// # Rounding
/// This *is* the meaning `F32`; overflow gives infinities or NaN as IEEE 754 says.
pub fn forward(
    network: &Network<'_>,
    input: &[f32],
    scratch: &mut [f32],
    output: &mut [f32],
) -> Result<(), ShapeError> {
    let width = network.width();
    if input.len() != network.inputs() {
        return Err(ShapeError::Length { expected: network.inputs(), found: input.len() });
    }
    if output.len() != network.outputs() {
        return Err(ShapeError::Length { expected: network.outputs(), found: output.len() });
    }
    let needed = 2 * width;
    let found = scratch.len();
    let (now, next) = scratch.split_at_mut_checked(width).ok_or(ShapeError::Buffer { needed, found })?;
    if next.len() < width {
        return Err(ShapeError::Buffer { needed, found });
    }
    for (slot, value) in now.iter_mut().zip(input) {
        *slot = *value;
    }
    let (mut now, mut next) = (now, next);
    let mut len = input.len();
    for layer in network.layers() {
        let x = now.get(..len).unwrap_or_default();
        match layer.affine() {
            Affine::Dense(dense) => dense_into(&dense, layer.relu(), x, next),
            Affine::Sparse(sparse) => {
                let finite = x.iter().all(|x| x.is_finite());
                for ((row, bias), y) in sparse.row_iter().zip(next.iter_mut()) {
                    let z = row.dot_blocked(x, finite, bias);
                    *y = if layer.relu() { relu(z) } else { z };
                }
            }
            Affine::Scale(scale) => {
                for (((x, s), t), y) in x.iter().zip(scale.scale()).zip(scale.shift()).zip(next.iter_mut()) {
                    let z = s * x + t;
                    *y = if layer.relu() { relu(z) } else { z };
                }
            }
        }
        len = layer.outputs();
        core::mem::swap(&mut now, &mut next);
    }
    for (slot, value) in output.iter_mut().zip(now.iter()) {
        *slot = *value;
    }
    Ok(())
}
