//! Certified inference on a microcontroller: run a network, and say at every step whether the
//! answer is proved robust.
//!
//! A verifier on a host proves statements over real arithmetic; a device computes in `f32`, in one
//! order, and rounds. Everything here encloses both: a bound computed by this crate holds for the
//! network over the reals *and* for the `f32` forward pass of [`infer`], whose order is fixed.
//!
//! No heap, no panic path, no `unsafe`; kernels take slices, so code is not copied per shape.
//!
//! ```
//! use certus_core::{Dense, Layer, Network, infer};
//!
//! let hidden = Layer::dense(Dense::new(2, 2, &[1.0, -1.0, -1.0, 1.0], &[0.0, 0.0])?, true);
//! let output = Layer::dense(Dense::new(1, 2, &[1.0, 1.0], &[0.0])?, false);
//! let layers = [hidden, output];
//! let network = Network::new(&layers)?;
//! let (mut scratch, mut y) = ([0.0; 4], [0.0; 1]);
//! infer::forward(&network, &[3.0, 1.0], &mut scratch, &mut y)?;
//! assert_eq!(y, [2.0]); // |3 − 1|
//! # Ok::<(), certus_core::ShapeError>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

#[cfg(test)]
extern crate std;

pub mod artifact;
pub mod bounds;
pub mod elementary;
pub mod infer;
pub mod layer;
pub mod monitor;
pub mod program;
pub mod proof;
pub mod relax;
pub mod round;
mod sparse;

pub use artifact::{ArtifactError, ArtifactView};
pub use layer::{Affine, Dense, Layer, Network, Scale, ShapeError, Sparse, SparseRow};
pub use monitor::{Decision, Evidence, Fault, IntervalError, Monitor, MonitorError, Status};
