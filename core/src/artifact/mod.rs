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

mod common;
mod error;
pub mod format;
mod header;
mod network;
mod program;
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

pub use program::ProgramView;

use crate::layer::Layer;
pub(crate) use common::Common;
use common::common_accessors;
use format::SectionId;
use header::Envelope;
use network::NetworkSection;

/// A checked artifact over borrowed bytes, whose network is a chain of layers; see [`ProgramView`] for any other.
#[derive(Clone, Copy, Debug)]
pub struct ArtifactView<'a> {
    pub(crate) common: Common<'a>,
    network: NetworkSection<'a>,
}

impl<'a> ArtifactView<'a> {
    /// Checks `bytes`, envelope first, then the meaning of every section.
    ///
    /// # Errors
    /// The first check that fails, as an [`ArtifactError`]. Nothing of the artifact is usable then.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self, ArtifactError> {
        let envelope = Envelope::new_checked(bytes)?;
        let network = NetworkSection::new_checked(envelope.require(SectionId::NETWORK)?)?;
        if envelope.find(SectionId::PROGRAM).is_some() {
            return Err(ArtifactError::TwoNetworks);
        }
        let common = Common::new_checked(envelope, network.inputs, network.outputs)?;
        Ok(Self { common, network })
    }

    common_accessors!();

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
}

/// Key and value of each line of `text`.
fn provenance_pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    provenance::pairs(text)
}
