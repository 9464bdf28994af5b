//! The hot loops of certus.
//!
//! Bounds, attacks and proofs all spend their time in one operation: a small constant matrix times a block
//! of *lanes*, `out[i][r] = Σⱼ M[i][j]·a[j][r]`. A lane `r` is a row of coefficients in a backward pass, or a
//! point in a forward pass; neurons are the slow index, so that everything done neuron by neuron (relaxation,
//! bias, activation) is a loop over contiguous lanes.
//!
//! [`Packed`] holds the matrix; [`Packed::product`] multiplies with the widest vectors that the processor has
//! (AVX-512, AVX2 with FMA, or plain code), chosen at run time. The order of the sums is not specified, and products
//! may be fused: what is proved with these kernels must hold for any order.
//!
//! [`gemm`] and [`correlate`] are what training needs besides: products of matrices that change at each step, and gradients of kernels.
//!
//! [`Sparse`] is for matrices of few entries.
//!
//! `unsafe` lives here and in `engine/device`, nowhere else.

pub mod correlate;
pub mod gather;
pub mod gemm;
pub mod lanes;
pub mod own;
mod packed;
pub mod relax;
mod simd;
pub mod sparse;
pub mod unpacked;

pub use packed::{Element, Packed};
pub use simd::Level;
pub use sparse::Sparse;

/// Lanes come in multiples of this.
pub const LANE_MULTIPLE: usize = 16;

/// `rows` rounded up to a multiple of [`LANE_MULTIPLE`].
pub fn padded_lanes(rows: usize) -> usize {
    rows.next_multiple_of(LANE_MULTIPLE)
}
