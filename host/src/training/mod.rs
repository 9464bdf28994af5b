//! Training, from data and settings in files to a network in a file.
//!
//! [`config`] reads the settings, [`load`] the data; [`run`] trains, keeps a log and checkpoints, and writes what comes out.
//! [`network`] and [`onnx`] are how a trained network leaves, [`import`] how one comes back.

pub mod config;
pub mod import;
pub mod layers;
pub mod load;
pub mod log;
pub mod network;
pub mod onnx;
pub mod page;
pub mod run;
pub mod sweep;
#[cfg(test)]
mod tests;
