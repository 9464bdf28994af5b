//! The artifact: one file that holds a network, what is to be certified, and what was proved about it.
//!
//! Little-endian, sections at multiples of 16, so that weights are read in place from flash. The bytes
//! are checked once, by [`ArtifactView::new_checked`]; after that no accessor can fail. The format is
//! described byte by byte in `docs/artifact.md`, its constants are in [`mod@format`].
//!
//! ```
//! # #[repr(C, align(16))] struct Aligned<T: ?Sized>(T);
//! use certus_core::{ArtifactError, ArtifactView};
//!
//! static BYTES: &Aligned<[u8]> = &Aligned(*b"not an artifact!");
//! assert_eq!(ArtifactView::new_checked(&BYTES.0).err(), Some(ArtifactError::BadMagic));
//! ```

#[cfg(target_endian = "big")]
compile_error!("artifacts are little-endian and read in place: a big-endian target is not supported");

mod error;
pub mod format;
mod header;
mod network;
mod proofs;
mod provenance;
mod range;
mod reader;
mod region;
mod settings;

pub use error::ArtifactError;
pub use header::Section;
pub use region::{Claim, Meanings, Region};
pub use settings::{LiveBounds, Spec};

use crate::layer::Layer;
use format::SectionId;
use header::Envelope;
use network::NetworkSection;
use proofs::Proofs;
use region::{Frame, Regions};
use settings::Settings;

/// A checked artifact over borrowed bytes.
#[derive(Clone, Copy, Debug)]
pub struct ArtifactView<'a> {
    envelope: Envelope<'a>,
    network: NetworkSection<'a>,
    lower: &'a [f32],
    upper: &'a [f32],
    settings: Settings<'a>,
    regions: Regions<'a>,
    proofs: Proofs<'a>,
    provenance: &'a str,
}

impl<'a> ArtifactView<'a> {
    /// Checks `bytes`, envelope first, then the meaning of every section.
    ///
    /// # Errors
    /// The first check that fails, as an [`ArtifactError`]. Nothing of the artifact is usable then.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self, ArtifactError> {
        let envelope = Envelope::new_checked(bytes)?;
        let network = NetworkSection::new_checked(envelope.require(SectionId::NETWORK)?)?;
        let (lower, upper) = range::checked(envelope.require(SectionId::RANGE)?, network.inputs)?;
        let settings =
            Settings::new_checked(envelope.require(SectionId::SETTINGS)?, network.inputs, network.outputs)?;
        let proofs = envelope.find(SectionId::PROOFS).map_or(Ok(Proofs::EMPTY), Proofs::new_checked)?;
        let frame = Frame { lower, upper, outputs: network.outputs, spec: settings.spec, proofs };
        let regions = match envelope.find(SectionId::REGIONS) {
            Some(section) => Regions::new_checked(section, &frame)?,
            None if proofs.len() > 0 => return Err(ArtifactError::ProofUnused { index: 0 }),
            None => Regions::EMPTY,
        };
        let provenance = envelope.find(SectionId::PROVENANCE).map_or(Ok(""), provenance::checked)?;
        Ok(Self { envelope, network, lower, upper, settings, regions, proofs, provenance })
    }

    /// The whole artifact.
    pub fn bytes(&self) -> &'a [u8] {
        self.envelope.bytes
    }
    /// Major and minor version of the format.
    pub fn version(&self) -> (u16, u16) {
        (format::MAJOR, self.envelope.minor)
    }
    /// SHA-256 of everything before the trailer, as stored there.
    pub fn digest(&self) -> &'a [u8; 32] {
        self.envelope.digest
    }
    /// All sections, also those this version does not know, ids ascending.
    pub fn sections(&self) -> impl Iterator<Item = Section<'a>> + use<'a> {
        self.envelope.sections()
    }

    /// The layers, input first.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = Layer<'a>> + use<'a> {
        self.network.layers()
    }
    /// Inputs of the network: features of a sample.
    pub fn inputs(&self) -> usize {
        self.network.inputs
    }
    /// Outputs of the network.
    pub fn outputs(&self) -> usize {
        self.network.outputs
    }
    /// Widest of the input and all layers.
    pub fn width(&self) -> usize {
        self.network.width
    }
    /// Sum of the outputs of all layers.
    pub fn neurons(&self) -> usize {
        self.network.neurons
    }

    /// Smallest value of each feature that the monitor accepts, raw units, `[inputs]`.
    pub fn range_lower(&self) -> &'a [f32] {
        self.lower
    }
    /// Largest value of each feature that the monitor accepts, raw units, `[inputs]`.
    pub fn range_upper(&self) -> &'a [f32] {
        self.upper
    }
    /// Radius of the ball per feature, raw units, `[inputs]`, each finite and not negative.
    pub fn epsilon(&self) -> &'a [f32] {
        self.settings.epsilon
    }
    /// What has to hold in the ball.
    pub fn spec(&self) -> Spec<'a> {
        self.settings.spec
    }
    /// Which bounds are computed when no certificate answers.
    pub fn live_bounds(&self) -> LiveBounds {
        self.settings.live_bounds
    }

    /// How many region certificates there are.
    pub fn region_count(&self) -> usize {
        self.regions.len()
    }
    /// The region certificates, in file order.
    pub fn regions(&self) -> impl Iterator<Item = Region<'a>> + use<'a> {
        self.regions.iter()
    }
    /// The stored proofs, in the order that [`Region::proof`] counts them.
    pub fn proofs(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.proofs.iter()
    }
    /// Key and value of each line of the provenance, keys ascending.
    pub fn provenance(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        provenance::pairs(self.provenance)
    }
}
