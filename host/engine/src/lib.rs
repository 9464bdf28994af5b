//! The engine of certus: networks in, verdicts with evidence out.
//!
//! Floors, each using only those before it: [`graph`] and [`property`] (what is asked), `bounds` (linear
//! and interval enclosures), `search` (domains and splits), `verify` (attack, branch and bound, proof),
//! `certify` (certificates and artifacts).

pub mod bounds;
pub mod certify;
pub mod chain;
pub mod device;
pub mod file;
pub mod graph;
pub mod model;
pub mod program;
pub mod property;
pub mod relax;
pub mod search;
pub mod selftest;
pub mod verify;

pub use chain::{Chain, OwnedAffine, OwnedLayer};
pub use model::Model;
pub use program::Program;
