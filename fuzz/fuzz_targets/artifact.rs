//! Any bytes as an artifact, as they are and with all checksums repaired: the view refuses them, or what
//! it shows fits together, is written again alike, and a monitor runs on it.
#![no_main]

use certus_core::ArtifactView;
use certus_engine::certify::AlignedBytes;
use libfuzzer_sys::fuzz_target;

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/src/artifacts.rs"]
mod artifacts;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    let mut repaired = bytes.to_vec();
    artifacts::repair(&mut repaired);
    check(&repaired);
});

fn check(bytes: &[u8]) {
    let aligned = AlignedBytes::from(bytes);
    if let Ok(view) = ArtifactView::new_checked(aligned.as_slice()) {
        artifacts::assert_well_formed(&view);
    }
}
