//! `certus demo control`: the whole path on the bundled control network, from ONNX to a monitored flight.
//!
//! [`bundle`] is the data, [`example`] the data read, [`prove`], [`run`] and [`sweep`] the steps, [`results`] what they
//! found, [`page`] the report on it. The subcommand only calls them in order, writes and prints.

pub mod bundle;
pub mod example;
pub mod page;
pub mod prove;
pub mod results;
pub mod run;
pub mod sweep;
