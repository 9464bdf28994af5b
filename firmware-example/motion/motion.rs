//! Written by `certus export`; do not edit.
//!
//! ```ignore
//! let view = certus_core::artifact::ProgramView::new_checked(BYTES)?;
//! let mut monitor = Monitor::new(view)?;
//! ```

/// Features of a sample.
pub const INPUTS: usize = 192;
/// Outputs of the network.
pub const OUTPUTS: usize = 4;
/// Steps of the network.
pub const STEPS: usize = 16;
/// Terms of its affine steps and index maps.
pub const TERMS: usize = 12;
/// Values: the input, and what each step gives.
pub const SLOTS: usize = STEPS + 1;
/// Working memory of the monitor, `f32` elements.
pub const MEMORY: usize = 11134;
/// Bytes of the artifact.
pub const LEN: usize = 35792;

/// A monitor with these capacities.
pub type Monitor = certus_core::monitor::ProgramMonitor<'static, STEPS, TERMS, SLOTS, MEMORY>;

#[repr(C, align(16))]
struct Aligned([u8; LEN]);

static ARTIFACT: Aligned = Aligned(*include_bytes!("motion.crts"));

/// The artifact, aligned to 16 and read in place.
pub static BYTES: &[u8] = &ARTIFACT.0;
