//! Helpers shared by the tests that cross crates.

pub mod artifacts;
pub mod naive_lowering;
pub mod program_artifact;
pub mod programs;
pub mod random;
pub mod random_networks;

use std::path::PathBuf;

/// The folder of benchmarks and golden values that `CERTUS_DATA` names; without it, says that `test` is
/// skipped.
///
/// # Panics
/// If `CERTUS_DATA` names a folder without `golden`.
pub fn certus_data(test: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("CERTUS_DATA").map(PathBuf::from) else {
        println!("{test}: skipped, CERTUS_DATA is not set");
        return None;
    };
    assert!(root.join("golden").is_dir(), "CERTUS_DATA={} holds no folder `golden`", root.display());
    Some(root)
}

/// The examples of `docs/monitor.md`, run as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/monitor.md")]
pub mod monitor_document {}
