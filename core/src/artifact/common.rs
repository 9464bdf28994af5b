//! The sections that every artifact has, whatever holds its network.

use super::error::ArtifactError;
use super::format::SectionId;
use super::header::Envelope;
use super::proofs::Proofs;
use super::region::{Frame, Regions};
use super::settings::Settings;
use super::{provenance, range};

/// Checked sections beside the network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Common<'a> {
    pub(crate) envelope: Envelope<'a>,
    pub(crate) outputs: usize,
    pub(crate) lower: &'a [f32],
    pub(crate) upper: &'a [f32],
    pub(crate) settings: Settings<'a>,
    pub(crate) regions: Regions<'a>,
    pub(crate) proofs: Proofs<'a>,
    pub(crate) provenance: &'a str,
}

impl<'a> Common<'a> {
    /// Checks the sections of `envelope` against a network of `inputs` inputs and `outputs` outputs.
    // Inlined: the parts would pass through the stack twice.
    #[inline(always)]
    pub(super) fn new_checked(
        envelope: Envelope<'a>,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, ArtifactError> {
        let (lower, upper) = range::checked(envelope.require(SectionId::RANGE)?, inputs)?;
        let settings = Settings::new_checked(envelope.require(SectionId::SETTINGS)?, inputs, outputs)?;
        let proofs = envelope.find(SectionId::PROOFS).map_or(Ok(Proofs::EMPTY), Proofs::new_checked)?;
        let frame = Frame { lower, upper, outputs, spec: settings.spec, proofs };
        let regions = match envelope.find(SectionId::REGIONS) {
            Some(section) => Regions::new_checked(section, &frame)?,
            None if proofs.len() > 0 => return Err(ArtifactError::ProofUnused { index: 0 }),
            None => Regions::EMPTY,
        };
        let provenance = envelope.find(SectionId::PROVENANCE).map_or(Ok(""), provenance::checked)?;
        Ok(Self { envelope, outputs, lower, upper, settings, regions, proofs, provenance })
    }
}

/// The accessors of the common sections, for a view with a field `common`.
macro_rules! common_accessors {
    () => {
        /// The whole artifact.
        pub fn bytes(&self) -> &'a [u8] {
            self.common.envelope.bytes
        }
        /// Major and minor version of the format.
        pub fn version(&self) -> (u16, u16) {
            (crate::artifact::format::MAJOR, self.common.envelope.minor)
        }
        /// SHA-256 of everything before the trailer, as stored there.
        pub fn digest(&self) -> &'a [u8; 32] {
            self.common.envelope.digest
        }
        /// All sections, also those this version does not know, ids ascending.
        pub fn sections(&self) -> impl Iterator<Item = crate::artifact::Section<'a>> + use<'a> {
            self.common.envelope.sections()
        }

        /// Smallest value of each feature that the monitor accepts, raw units, `[inputs]`.
        pub fn range_lower(&self) -> &'a [f32] {
            self.common.lower
        }
        /// Largest value of each feature that the monitor accepts, raw units, `[inputs]`.
        pub fn range_upper(&self) -> &'a [f32] {
            self.common.upper
        }
        /// Radius of the ball per feature, raw units, `[inputs]`, each finite and not negative.
        pub fn epsilon(&self) -> &'a [f32] {
            self.common.settings.epsilon
        }
        /// What has to hold in the ball.
        pub fn spec(&self) -> crate::artifact::Spec<'a> {
            self.common.settings.spec
        }
        /// Which bounds are computed when no certificate answers.
        pub fn live_bounds(&self) -> crate::artifact::LiveBounds {
            self.common.settings.live_bounds
        }

        /// How many region certificates there are.
        pub fn region_count(&self) -> usize {
            self.common.regions.len()
        }
        /// The region certificates, in file order.
        pub fn regions(&self) -> impl Iterator<Item = crate::artifact::Region<'a>> + use<'a> {
            self.common.regions.iter()
        }
        /// The stored proofs, in the order that [`crate::artifact::Region::proof`] counts them.
        pub fn proofs(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
            self.common.proofs.iter()
        }
        /// Key and value of each line of the provenance, keys ascending.
        pub fn provenance(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
            crate::artifact::provenance_pairs(self.common.provenance)
        }
    };
}
pub(super) use common_accessors;
