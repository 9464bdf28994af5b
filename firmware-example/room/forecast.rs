//! Written by `certus export`; do not edit.
//!
//! ```ignore
//! let view = certus_core::ArtifactView::new_checked(BYTES)?;
//! let mut monitor = Monitor::new(view)?;
//! ```

/// Features of a sample.
pub const INPUTS: usize = 16;
/// Outputs of the network.
pub const OUTPUTS: usize = 1;
/// Layers of the network.
pub const LAYERS: usize = 4;
/// Working memory of the monitor, `f32` elements.
pub const MEMORY: usize = 346;
/// Bytes of the artifact.
pub const LEN: usize = 5136;

/// A monitor with these capacities.
pub type Monitor = certus_core::Monitor<'static, LAYERS, MEMORY>;

#[repr(C, align(16))]
struct Aligned([u8; LEN]);

static ARTIFACT: Aligned = Aligned(*include_bytes!("forecast.crts"));

/// The artifact, aligned to 16 and read in place.
pub static BYTES: &[u8] = &ARTIFACT.0;
