//! Why bytes are not an artifact.

use core::fmt;

use super::format::SectionId;
use crate::layer::ShapeError;
use crate::program::ProgramError;

/// The first check that failed; see `docs/artifact.md` for their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ArtifactError {
    /// The first byte does not lie at a multiple of 16 in memory.
    Misaligned,
    /// Shorter than a header, or than its section table.
    Truncated {
        /// Bytes given.
        found: usize,
    },
    /// Does not start with `CRTS`.
    BadMagic,
    /// Written for another major version.
    Version {
        /// Major version found.
        major: u16,
    },
    /// The header states another length than that of the bytes.
    Length {
        /// Bytes that the header states.
        stated: u32,
        /// Bytes given.
        found: usize,
    },
    /// The header's CRC does not match.
    HeaderCrc,
    /// A byte that must be zero is not.
    ReservedNonZero {
        /// Its offset, bytes from the start of the artifact.
        offset: usize,
    },
    /// Section ids do not ascend.
    SectionOrder {
        /// The section that comes too late or twice.
        id: SectionId,
    },
    /// A section that must be understood is not known to this version.
    UnknownSection {
        /// Its id.
        id: SectionId,
    },
    /// A known section in a version that is not.
    SectionVersion {
        /// The section.
        id: SectionId,
        /// Its version.
        version: u8,
    },
    /// A section's flags are not those the format gives it.
    SectionFlags {
        /// The section.
        id: SectionId,
    },
    /// A section does not start where the one before it ends, rounded up to 16, or reaches past the trailer.
    SectionPlace {
        /// The section.
        id: SectionId,
    },
    /// A section's CRC does not match.
    SectionCrc {
        /// The section.
        id: SectionId,
    },
    /// A required section is missing.
    Missing {
        /// The section.
        id: SectionId,
    },
    /// A section's length is not that of its contents.
    SectionLength {
        /// The section.
        id: SectionId,
    },
    /// The trailer's CRC does not match.
    TrailerCrc,
    /// The SHA-256 of header and payload does not match.
    Digest,
    /// The summation order is not the one this crate computes in.
    SummationOrder {
        /// Code found.
        found: u16,
    },
    /// A layer's kind or ReLU field holds no known value.
    LayerKind {
        /// Index of the layer.
        layer: usize,
    },
    /// A layer's constants do not lie where they must.
    LayerPlace {
        /// Index of the layer.
        layer: usize,
    },
    /// Both a network and a program section.
    TwoNetworks,
    /// A step's kind, function, flags or sizes hold no known value.
    StepKind {
        /// Index of the step.
        step: usize,
    },
    /// A step's terms or constants do not lie where they must.
    StepPlace {
        /// Index of the step.
        step: usize,
    },
    /// The steps form no program, or not one that devices run.
    Program(ProgramError),
    /// The layers form no network, or not one with the stated inputs and outputs.
    Network(ShapeError),
    /// The range of a feature is not finite, or its lower end lies above its upper end.
    Range {
        /// Index of the feature.
        feature: usize,
    },
    /// The epsilon of a feature is negative, NaN or infinite.
    Epsilon {
        /// Index of the feature.
        feature: usize,
    },
    /// The specification is of no known kind, or does not fit the outputs.
    Spec,
    /// A coefficient or constant of a specification row is not finite.
    SpecRow {
        /// Index of the row.
        row: usize,
    },
    /// The method of the live bounds is of no known kind.
    LiveBounds {
        /// Code found.
        found: u8,
    },
    /// A region's box is empty, not finite, or leaves the input range.
    RegionBox {
        /// Index of the certificate.
        index: usize,
    },
    /// A region's class does not fit the specification.
    RegionClass {
        /// Index of the certificate.
        index: usize,
    },
    /// A region's bound is not a positive finite number.
    RegionBound {
        /// Index of the certificate.
        index: usize,
    },
    /// A region names no meaning, or one that is not known.
    RegionMeanings {
        /// Index of the certificate.
        index: usize,
    },
    /// A region refers to a proof that is not there, or not to the next one.
    RegionProof {
        /// Index of the certificate.
        index: usize,
    },
    /// A proof does not lie where it must.
    ProofPlace {
        /// Index of the proof.
        index: usize,
    },
    /// No region refers to a proof.
    ProofUnused {
        /// Index of the proof.
        index: usize,
    },
    /// The provenance is not UTF-8 lines `key=value` with ascending keys.
    Provenance,
}

impl fmt::Display for ArtifactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Misaligned => write!(f, "artifact does not lie at a multiple of 16 in memory"),
            Self::Truncated { found } => write!(f, "artifact of {found} bytes is cut off inside its header"),
            Self::BadMagic => write!(f, "not an artifact: it does not start with `CRTS`"),
            Self::Version { major } => {
                write!(f, "artifact format {major} is not supported (this reads format 1)")
            }
            Self::Length { stated, found } => {
                write!(f, "artifact states {stated} bytes but has {found}")
            }
            Self::HeaderCrc => write!(f, "the header is damaged (CRC)"),
            Self::ReservedNonZero { offset } => write!(f, "byte {offset} must be zero"),
            Self::SectionOrder { id } => write!(f, "section {} is out of order or comes twice", Named(id)),
            Self::UnknownSection { id } => {
                write!(f, "section {} must be understood but is not known", Named(id))
            }
            Self::SectionVersion { id, version } => {
                write!(f, "section {} has version {version}, which is not known", Named(id))
            }
            Self::SectionFlags { id } => {
                write!(f, "section {} has flags that do not belong to it", Named(id))
            }
            Self::SectionPlace { id } => write!(f, "section {} does not lie where it must", Named(id)),
            Self::SectionCrc { id } => write!(f, "section {} is damaged (CRC)", Named(id)),
            Self::Missing { id } => write!(f, "section {} is missing", Named(id)),
            Self::SectionLength { id } => write!(f, "section {} is not as long as its contents", Named(id)),
            Self::TrailerCrc => write!(f, "the trailer is damaged (CRC)"),
            Self::Digest => write!(f, "the SHA-256 of header and payload does not match"),
            Self::SummationOrder { found } => write!(f, "summation order {found} is not known"),
            Self::LayerKind { layer } => write!(f, "layer {layer} is of no known kind"),
            Self::LayerPlace { layer } => {
                write!(f, "the constants of layer {layer} do not lie where they must")
            }
            Self::TwoNetworks => write!(f, "both a network and a program section"),
            Self::StepKind { step } => write!(f, "step {step} is of no known kind"),
            Self::StepPlace { step } => {
                write!(f, "the terms or constants of step {step} do not lie where they must")
            }
            Self::Program(program) => write!(f, "{program}"),
            Self::Network(shape) => write!(f, "{shape}"),
            Self::Range { feature } => {
                write!(f, "the input range of feature {feature} is empty or not finite")
            }
            Self::Epsilon { feature } => {
                write!(f, "the epsilon of feature {feature} is negative or not finite")
            }
            Self::Spec => write!(f, "the specification is of no known kind or does not fit the outputs"),
            Self::SpecRow { row } => write!(f, "specification row {row} is not finite"),
            Self::LiveBounds { found } => write!(f, "live-bounds method {found} is not known"),
            Self::RegionBox { index } => {
                write!(f, "the box of certificate {index} is empty or leaves the input range")
            }
            Self::RegionClass { index } => {
                write!(f, "the class of certificate {index} does not fit the specification")
            }
            Self::RegionBound { index } => {
                write!(f, "the bound of certificate {index} is not positive and finite")
            }
            Self::RegionMeanings { index } => write!(f, "certificate {index} names no known meaning"),
            Self::RegionProof { index } => {
                write!(f, "certificate {index} does not refer to the next proof")
            }
            Self::ProofPlace { index } => write!(f, "proof {index} does not lie where it must"),
            Self::ProofUnused { index } => write!(f, "no certificate refers to proof {index}"),
            Self::Provenance => write!(f, "the provenance is not lines `key=value` with ascending keys"),
        }
    }
}

impl core::error::Error for ArtifactError {}

/// A section by number and name.
struct Named(SectionId);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.0, self.0.name())
    }
}
