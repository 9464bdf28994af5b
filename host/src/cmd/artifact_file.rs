//! Artifacts in files.

use std::path::Path;

use certus::engine::certify::AlignedBytes;
use certus::engine::file;

use super::Error;

/// Cap on an artifact, bytes: its length field is a `u32`.
const LIMIT_BYTES: u64 = u32::MAX as u64;

/// The bytes of the file at `path`, aligned for a view.
pub fn read(path: &Path) -> Result<AlignedBytes, Error> {
    Ok(AlignedBytes::from(&file::read(path, LIMIT_BYTES)?[..]))
}

/// An [`Error::Artifact`] for `path`.
pub fn in_file(path: &Path) -> impl FnOnce(certus::core::ArtifactError) -> Error + '_ {
    move |source| Error::Artifact { path: path.display().to_string(), source }
}
