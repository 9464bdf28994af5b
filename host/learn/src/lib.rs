//! Certified training: a small differentiable core and what trains on it.

pub mod attack;
pub mod data;
pub mod graph;
pub mod loss;
pub mod model;
pub mod optim;
pub mod run;
pub mod sensor;
pub mod train;
