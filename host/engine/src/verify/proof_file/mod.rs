//! Proofs on disk: written by a search, checked by nothing but network, property and file.
//!
//! A file names what it is about by SHA-256 digests (network, weights, property, and the problem as the checker reads it), and
//! holds for each group of the property's cases the tree of splits, lemmas and claims that `certus_core::proof` checks. Its
//! bytes are described in `docs/proof.md`; [`mod@format`] reads and writes them.
//!
//! [`check`] accepts a file if every group's tree is accepted for the group's cases and every case of the property is in some
//! group. It reads nothing of the search: boxes come from property and splits, bounds from box, splits and claims.

mod check;
mod digest;
pub mod format;
mod journal;
mod judge;
mod shorten;

pub use check::{CheckOptions, Checked, check};
pub use digest::{case_key, identify, sha256_of_file};
pub use format::{FormatError, Identity, Kind, Reader, write};
pub use journal::Journal;
pub use judge::{DEPTH, LEVELS};
pub use shorten::shorten;

use certus_core::proof::Rejection;

/// Why a proof file is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The bytes are no proof file.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The file is of something else.
    #[error(
        "the proof is of another {what} (SHA-256 {found} in the file, {expected} given); prove this one with `certus verify --proof`"
    )]
    Other {
        /// What differs.
        what: &'static str,
        /// Digest in the file.
        found: String,
        /// Digest of what was given.
        expected: String,
    },
    /// The file is of something else, by a value without a digest.
    #[error("the proof is of {found}, the question is of {expected}")]
    Differs {
        /// In the file.
        found: String,
        /// Asked.
        expected: String,
    },
    /// A group names a case that the property does not have.
    #[error("group {group} names case {case}, but the property has {cases}")]
    Case {
        /// Which group, from 0.
        group: usize,
        /// The case.
        case: usize,
        /// Cases of the property.
        cases: usize,
    },
    /// No group is of this case.
    #[error("no proof of case {case} (of {cases}); {missing} are missing in all")]
    Missing {
        /// The first case that is missing.
        case: usize,
        /// Cases of the property.
        cases: usize,
        /// How many are missing.
        missing: usize,
    },
    /// The checker does not accept a tree.
    #[error("the proof of group {group} (case {case}) is rejected: {reason}")]
    Rejected {
        /// Which group, from 0.
        group: usize,
        /// Its first case.
        case: usize,
        /// Why.
        reason: Rejection,
    },
    /// Another process writes the journal.
    #[error("another run is writing this journal; wait for its end or choose another file for --proof")]
    Busy,
    /// Somebody asked for the end.
    #[error("interrupted before the proof was checked to its end")]
    Stopped,
}
