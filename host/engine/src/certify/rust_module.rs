//! The Rust module beside an artifact: its bytes in flash, and a monitor type sized for it.

use certus_core::ArtifactView;
use certus_core::artifact::ProgramView;
use certus_core::program::ProgramError;

use super::program_artifact;

/// Source of a module that includes `file_name` (next to the module) and names its capacities.
pub fn rust_module(view: &ArtifactView<'_>, file_name: &str) -> String {
    format!(
        "\
//! Written by `certus export`; do not edit.
//!
//! ```ignore
//! let view = certus_core::ArtifactView::new_checked(BYTES)?;
//! let mut monitor = Monitor::new(view)?;
//! ```

/// Features of a sample.
pub const INPUTS: usize = {inputs};
/// Outputs of the network.
pub const OUTPUTS: usize = {outputs};
/// Layers of the network.
pub const LAYERS: usize = {layers};
/// Working memory of the monitor, `f32` elements.
pub const MEMORY: usize = {memory};
/// Bytes of the artifact.
pub const LEN: usize = {len};

{monitor}

{BYTES}",
        inputs = view.inputs(),
        outputs = view.outputs(),
        layers = view.layers().len(),
        memory = certus_core::monitor::memory_len(view),
        len = view.bytes().len(),
        monitor = monitor_type("Monitor<'static, LAYERS, MEMORY>"),
        BYTES = bytes_of(file_name),
    )
}

/// The alias of the monitor type.
fn monitor_type(of: &str) -> String {
    format!("/// A monitor with these capacities.\npub type Monitor = certus_core::{of};")
}

/// The artifact's bytes in flash.
fn bytes_of(file_name: &str) -> String {
    format!(
        "\
#[repr(C, align(16))]
struct Aligned([u8; LEN]);

static ARTIFACT: Aligned = Aligned(*include_bytes!({file_name:?}));

/// The artifact, aligned to 16 and read in place.
pub static BYTES: &[u8] = &ARTIFACT.0;
"
    )
}

/// As [`rust_module`], for an artifact of a program.
///
/// # Errors
/// [`ProgramError`] if the steps form no program that devices run.
pub fn program_rust_module(view: &ProgramView<'_>, file_name: &str) -> Result<String, ProgramError> {
    let memory = program_artifact::memory_len(view)?;
    Ok(format!(
        "\
//! Written by `certus export`; do not edit.
//!
//! ```ignore
//! let view = certus_core::artifact::ProgramView::new_checked(BYTES)?;
//! let mut monitor = Monitor::new(view)?;
//! ```

/// Features of a sample.
pub const INPUTS: usize = {inputs};
/// Outputs of the network.
pub const OUTPUTS: usize = {outputs};
/// Steps of the network.
pub const STEPS: usize = {steps};
/// Terms of its affine steps and index maps.
pub const TERMS: usize = {terms};
/// Values: the input, and what each step gives.
pub const SLOTS: usize = STEPS + 1;
/// Working memory of the monitor, `f32` elements.
pub const MEMORY: usize = {memory};
/// Bytes of the artifact.
pub const LEN: usize = {len};

{monitor}

{BYTES}",
        inputs = view.inputs(),
        outputs = view.outputs(),
        steps = view.step_count(),
        terms = view.term_count(),
        len = view.bytes().len(),
        monitor = monitor_type("monitor::ProgramMonitor<'static, STEPS, TERMS, SLOTS, MEMORY>"),
        BYTES = bytes_of(file_name),
    ))
}
