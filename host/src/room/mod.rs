//! `certus demo occupancy` and `certus demo forecast`: from a room's sensor recordings to a monitor on a device.
//!
//! [`data`] reads the recordings, [`train`] makes a certified network of them, [`judge`] runs the device's monitor over samples that it
//! never saw. [`occupancy`] names a class and certifies it; [`forecast`] predicts a number and certifies an interval.
//! [`page`] draws what both found.
//!
//! Errors of sensors are in their own units: the box of an input is each sensor's `epsilon`, independently at each time.

pub mod data;
pub mod forecast;
pub mod judge;
pub mod levels;
pub mod occupancy;
pub mod page;
pub mod train;

use certus_core::monitor::MonitorError;
use certus_engine::certify::EmitError;
use certus_engine::chain::ChainError;
use certus_engine::program::ProgramError;
use certus_learn::data::DataError;
use certus_learn::model::ModelError;
use certus_learn::train::SettingError;

/// Why an example stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoomError {
    /// A recording that could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// No recordings were found.
    #[error(
        "no recordings (train.csv.gz, test1.csv.gz, test2.csv.gz) in {0}; name their folder with --data, or run inside a checkout of certus"
    )]
    Missing(String),
    /// A recording that gives no inputs.
    #[error(
        "the recording `{0}` has nothing to learn from or to measure: it is empty, or has no stretch without gaps that is long enough"
    )]
    Empty(String),
    /// Settings of training.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The architecture.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The trained network has a weight that is not finite.
    #[error("the trained network: {0}")]
    Program(#[from] ProgramError),
    /// The trained network is no chain of layers.
    #[error("the trained network: {0}")]
    Chain(#[from] ChainError),
    /// It cannot be put into an artifact.
    #[error("the artifact: {0}")]
    Emit(#[from] EmitError),
    /// The monitor cannot be built.
    #[error("the monitor: {0}")]
    Monitor(#[from] MonitorError),
}
