//! Enclosures that the search computes, in fast `f32` without directed rounding: *estimates*. What they suggest
//! is proved afterwards by `certus_core::proof`.
//!
//! [`Net`] is the search's form of a program: dense layers with ReLU after all but the last, weights packed both
//! ways. [`Spec`] folds the rows to be proved into the last layer. [`crown`] bounds one box, neuron by neuron;
//! [`alpha_beta`] optimises slopes and split multipliers of many subproblems in lanes. These three serve chains; [`program`]
//! bounds any program, and [`loss`] says where such a bound is lost.

pub mod alpha_beta;
pub mod crown;
pub mod explain;
pub mod loss;
mod net;
pub mod program;

pub use net::{Entries, Hidden, Matrix, Net, Spec};
