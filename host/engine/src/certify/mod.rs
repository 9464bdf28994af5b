//! From network and certificates to an artifact.
//!
//! [`region`] holds what was proved about boxes of inputs, [`artifact`] writes and reads the file that a
//! device carries, [`rust_module`] the source that sizes a monitor for it.

pub mod aligned;
pub mod artifact;
pub mod check;
pub mod check_program;
pub mod naive;
pub mod program_artifact;
pub mod prove;
pub mod region;
pub mod region_proof;
pub mod rust_module;

pub use aligned::AlignedBytes;
pub use artifact::{Artifact, EmitError, InputRange, MonitorSettings, OwnedSpec};
pub use program_artifact::ProgramArtifact;
pub use region::{CertificateFile, CertificateFileError, RegionCertificate};

/// SHA-256 of `bytes`.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}
