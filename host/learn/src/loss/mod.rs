//! Losses of a [`crate::model::Model`] as nodes of a graph.

mod boxes;
mod cross_entropy;
mod crown;
mod fusion;
mod points;
mod regression;
mod regularise;

pub use boxes::{Interval, margins, propagate};
pub use cross_entropy::{clean, clean_each, worst_case};
pub use crown::{Boxes, Slope, mix};
pub use points::{EPSILON, Normalised, Pass, forward};
pub use regression::{squared, worst_squared};
pub use regularise::{Weights, regularisers};
