//! The module that `certus export --rust` writes compiles and sizes a monitor that fits.

use certus_core::ArtifactView;
use certus_engine::certify::rust_module::rust_module;

#[path = "../golden/artifact_v1.rs"]
mod written;

#[test]
fn the_written_module_is_what_the_writer_writes_and_its_capacities_suffice() {
    let view = ArtifactView::new_checked(written::BYTES).expect("aligned by the module");
    let text = include_str!("../golden/artifact_v1.rs");
    assert_eq!(text, rust_module(&view, "artifact_v1.crts"));
    let mut monitor = written::Monitor::new(view).expect("capacities suffice");
    monitor.step(&[0.0; written::INPUTS]);
    assert_eq!(monitor.outputs().len(), written::OUTPUTS);
    assert_eq!((written::LEN, written::LAYERS), (certus_tests::artifacts::GOLDEN.len(), 3));
    // One float or one layer less does not suffice.
    const LESS: usize = written::MEMORY - 1;
    assert!(certus_core::Monitor::<'_, { written::LAYERS }, LESS>::new(view).is_err());
    assert!(certus_core::Monitor::<'_, { written::LAYERS - 1 }, { written::MEMORY }>::new(view).is_err());
}
