//! The Rust module beside an artifact: its bytes in flash, and a monitor type sized for it.

use certus_core::ArtifactView;

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

/// A monitor with these capacities.
pub type Monitor = certus_core::Monitor<'static, LAYERS, MEMORY>;

#[repr(C, align(16))]
struct Aligned([u8; LEN]);

static ARTIFACT: Aligned = Aligned(*include_bytes!({file_name:?}));

/// The artifact, aligned to 16 and read in place.
pub static BYTES: &[u8] = &ARTIFACT.0;
",
        inputs = view.inputs(),
        outputs = view.outputs(),
        layers = view.layers().len(),
        memory = certus_core::monitor::memory_len(view),
        len = view.bytes().len(),
    )
}
