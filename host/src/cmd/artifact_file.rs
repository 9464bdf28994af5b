//! Artifacts in files.

use std::path::Path;

use certus::core::artifact::{ProgramView, format::SectionId};
use certus::core::{ArtifactError, ArtifactView};
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

/// A checked artifact of either kind.
pub enum View<'a> {
    /// Its network is a chain of layers.
    Chain(ArtifactView<'a>),
    /// Its network is a program.
    Program(ProgramView<'a>),
}

/// Checks the bytes of the file at `path`.
pub fn view<'a>(bytes: &'a AlignedBytes, path: &Path) -> Result<View<'a>, Error> {
    let missing = ArtifactError::Missing { id: SectionId::NETWORK };
    match ArtifactView::new_checked(bytes.as_slice()) {
        Ok(view) => Ok(View::Chain(view)),
        Err(error) if error == missing => match ProgramView::new_checked(bytes.as_slice()) {
            Ok(view) => Ok(View::Program(view)),
            // Neither kind of network.
            Err(ArtifactError::Missing { id: SectionId::PROGRAM }) => Err(in_file(path)(missing)),
            Err(error) => Err(in_file(path)(error)),
        },
        Err(error) => Err(in_file(path)(error)),
    }
}
