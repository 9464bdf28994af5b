//! Exact values and minima of small piecewise affine networks: the oracle of the self-test. It shares no code with bounds,
//! search or checker.

mod cells;
mod dictionary;
mod number;
mod steps;

pub use cells::{Minimum, Region, Stopped, minima};
pub use number::{Q, exact};
pub use steps::{Step, Sum, evaluate};
