//! Library and command line of certus: see the crates `certus-engine` and `certus-core` for the parts.
pub use certus_core as core;
pub use certus_engine as engine;
pub use certus_learn as learn;

pub mod control;
pub mod csv;
pub mod digits;
pub mod evaluate;
pub mod interrupt;
pub mod live;
pub mod machine;
pub mod output;
pub mod progress;
pub mod report;
pub mod room;
pub mod settings;
pub mod table;
pub mod training;
