//! Training, from data and settings in files to a network in a file.
//!
//! [`network`] and [`onnx`] are how a trained network leaves.

pub mod network;
pub mod onnx;
#[cfg(test)]
mod tests;
