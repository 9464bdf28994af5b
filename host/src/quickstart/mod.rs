//! The quickstart: the whole path on the bundled example, from ONNX to a monitored flight.

pub mod bundle;
pub mod page;
pub mod results;
pub mod sweep;
