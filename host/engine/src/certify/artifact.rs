//! Writing and reading artifacts on the host; [`Artifact::parse`] and [`Artifact::emit`] are inverse.
//!
//! The format is that of [`certus_core::artifact`]. What is written is read back by the core's own
//! checked view before it is returned, so no file leaves here that a device would refuse.

use std::collections::BTreeMap;

use certus_core::artifact::format::{
    CLASS_ROWS, ENTRY_LEN, FIXED_HEADER_LEN, HEADER_CRC_OFFSET, IGNORABLE, KIND_DENSE, KIND_SCALE,
    LAYER_ENTRY_LEN, MAGIC, MAJOR, MINOR, NETWORK_HEADER_LEN, NO_PROOF, ORDER_BLOCKED_32, PROOF_ENTRY_LEN,
    PROOFS_HEADER_LEN, SPEC_ARG_MAX, SPEC_ARG_MIN, SPEC_ROWS, SectionId, TRAILER_LEN, crc32, crc32_of_two,
};
use certus_core::artifact::{Claim, LiveBounds, Spec};
use certus_core::{Affine, ArtifactError, ArtifactView, Layer};
use sha2::{Digest, Sha256};

use super::aligned::AlignedBytes;
use super::region::RegionCertificate;
use crate::chain::{Chain, OwnedAffine, OwnedLayer};

/// The inputs that the monitor accepts, raw units.
#[derive(Clone, Debug, PartialEq)]
pub struct InputRange {
    /// Smallest value per feature, `[inputs]`.
    pub lower: Vec<f32>,
    /// Largest value per feature, `[inputs]`.
    pub upper: Vec<f32>,
}

/// What has to hold in the ball around a sample; see [`Spec`].
#[derive(Clone, Debug, PartialEq)]
pub enum OwnedSpec {
    /// The class with the largest output stays the same.
    ArgMax,
    /// The class with the smallest output stays the same.
    ArgMin,
    /// Every row `C·y + d` is positive.
    Rows {
        /// `C`, `[rows, outputs]`, row-major.
        coefficients: Vec<f32>,
        /// `d`, `[rows]`.
        constants: Vec<f32>,
    },
}

/// What the monitor certifies, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorSettings {
    /// Radius of the ball per feature, raw units, `[inputs]`.
    pub epsilon: Vec<f32>,
    /// What has to hold in the ball.
    pub spec: OwnedSpec,
    /// Bounds computed when no certificate answers.
    pub live_bounds: LiveBounds,
}

/// A section that this version does not know and may ignore; kept as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct UnknownSection {
    /// Its id.
    pub id: SectionId,
    /// Version of its layout.
    pub version: u8,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// Everything that an artifact holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Artifact {
    /// Minor version of the format; [`MINOR`] for new artifacts.
    pub minor: u16,
    /// The network.
    pub chain: Chain,
    /// The inputs that the monitor accepts.
    pub range: InputRange,
    /// What the monitor certifies.
    pub settings: MonitorSettings,
    /// What was proved before export.
    pub certificates: Vec<RegionCertificate>,
    /// Where the artifact comes from: recipe, digests, versions, times.
    pub provenance: BTreeMap<String, String>,
    /// Sections that this version does not know.
    pub unknown: Vec<UnknownSection>,
}

/// Why an artifact cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// A count or an offset does not fit its field.
    #[error("the artifact would be too large: {what} does not fit its field")]
    TooLarge {
        /// What is too large.
        what: &'static str,
    },
    /// A list has another length than the network asks for.
    #[error("{what}: {found} numbers where {expected} are needed")]
    Shape {
        /// Which list.
        what: String,
        /// Numbers needed.
        expected: usize,
        /// Numbers found.
        found: usize,
    },
    /// The parts do not fit together.
    #[error("the artifact would be refused: {0}")]
    Refused(#[from] ArtifactError),
    /// Read back, the artifact would hold something else: a section of a known kind among the unknown ones.
    #[error("a section that is kept as unknown has the id of a known one")]
    Ambiguous,
}

/// A section about to be written.
pub(super) struct Part {
    id: SectionId,
    version: u8,
    flags: u8,
    payload: Vec<u8>,
}

impl Part {
    /// A section of a known kind.
    pub(super) fn known(id: SectionId, payload: Vec<u8>) -> Self {
        Self { id, version: 1, flags: id.flags().unwrap_or(0), payload }
    }
}

pub(super) fn u32_of(value: usize, what: &'static str) -> Result<u32, EmitError> {
    u32::try_from(value).map_err(|_| EmitError::TooLarge { what })
}

pub(super) fn put_f32s(bytes: &mut Vec<u8>, values: &[f32]) {
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

pub(super) fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(16), 0);
}

/// The network section's bytes.
fn network_payload(chain: &Chain) -> Result<Vec<u8>, EmitError> {
    let layers = chain.layers();
    let count =
        u16::try_from(layers.len()).map_err(|_| EmitError::TooLarge { what: "the number of layers" })?;
    let mut bytes = Vec::new();
    bytes.extend(ORDER_BLOCKED_32.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(u32_of(chain.inputs(), "the number of inputs")?.to_le_bytes());
    bytes.extend(u32_of(chain.outputs(), "the number of outputs")?.to_le_bytes());
    bytes.extend(0u32.to_le_bytes());
    let mut constants = Vec::new();
    let start = NETWORK_HEADER_LEN + layers.len() * LAYER_ENTRY_LEN;
    for layer in layers {
        pad(&mut constants);
        let affine = layer.affine.written_out();
        let (kind, rows, cols, first, second) = match affine.as_ref() {
            OwnedAffine::Sparse { .. } => unreachable!("its weights are written out"),
            OwnedAffine::Dense { rows, cols, weights, bias } => (KIND_DENSE, *rows, *cols, weights, bias),
            OwnedAffine::Scale { scale, shift } => (KIND_SCALE, scale.len(), scale.len(), scale, shift),
        };
        bytes.extend([kind, u8::from(layer.relu), 0, 0]);
        bytes.extend(u32_of(rows, "a layer")?.to_le_bytes());
        bytes.extend(u32_of(cols, "a layer")?.to_le_bytes());
        bytes.extend(u32_of(start + constants.len(), "the network")?.to_le_bytes());
        put_f32s(&mut constants, first);
        put_f32s(&mut constants, second);
    }
    bytes.extend(constants);
    Ok(bytes)
}

/// SHA-256 of the network as an artifact stores it: names a network by its layers and constants.
///
/// # Errors
/// [`EmitError::TooLarge`] if the network does not fit an artifact.
pub fn network_digest(chain: &Chain) -> Result<[u8; 32], EmitError> {
    Ok(Sha256::digest(network_payload(chain)?).into())
}

fn range_payload(range: &InputRange) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_f32s(&mut bytes, &range.lower);
    put_f32s(&mut bytes, &range.upper);
    bytes
}

fn settings_payload(settings: &MonitorSettings) -> Result<Vec<u8>, EmitError> {
    let (kind, coefficients, constants) = match &settings.spec {
        OwnedSpec::ArgMax => (SPEC_ARG_MAX, &[][..], &[][..]),
        OwnedSpec::ArgMin => (SPEC_ARG_MIN, &[][..], &[][..]),
        OwnedSpec::Rows { coefficients, constants } => (SPEC_ROWS, &coefficients[..], &constants[..]),
    };
    let mut bytes = vec![kind, settings.live_bounds as u8, 0, 0];
    bytes.extend(u32_of(constants.len(), "the number of rows")?.to_le_bytes());
    bytes.extend([0; 8]);
    put_f32s(&mut bytes, &settings.epsilon);
    put_f32s(&mut bytes, coefficients);
    put_f32s(&mut bytes, constants);
    Ok(bytes)
}

fn regions_payload(certificates: &[RegionCertificate]) -> Result<Vec<u8>, EmitError> {
    let mut bytes = Vec::new();
    bytes.extend(u32_of(certificates.len(), "the number of certificates")?.to_le_bytes());
    bytes.extend([0; 12]);
    let mut proofs = 0u32;
    for certificate in certificates {
        let class = match certificate.claim {
            Claim::Class(class) => class,
            Claim::Rows => CLASS_ROWS,
        };
        let proof = certificate.proof.as_ref().map_or(NO_PROOF, |_| proofs);
        proofs += u32::from(certificate.proof.is_some());
        bytes.extend(class.to_le_bytes());
        bytes.extend([certificate.meanings.bits(), 0]);
        bytes.extend(certificate.bound.to_le_bytes());
        bytes.extend(proof.to_le_bytes());
        bytes.extend(0u32.to_le_bytes());
        put_f32s(&mut bytes, &certificate.lower);
        put_f32s(&mut bytes, &certificate.upper);
    }
    Ok(bytes)
}

fn proofs_payload(proofs: &[&Vec<u8>]) -> Result<Vec<u8>, EmitError> {
    let mut bytes = Vec::new();
    bytes.extend(u32_of(proofs.len(), "the number of proofs")?.to_le_bytes());
    bytes.extend([0; 12]);
    let mut offset = PROOFS_HEADER_LEN + proofs.len() * PROOF_ENTRY_LEN;
    for proof in proofs {
        bytes.extend(u32_of(offset, "the proofs")?.to_le_bytes());
        bytes.extend(u32_of(proof.len(), "a proof")?.to_le_bytes());
        offset += proof.len();
    }
    proofs.iter().for_each(|proof| bytes.extend(proof.iter()));
    Ok(bytes)
}

fn provenance_payload(pairs: &BTreeMap<String, String>) -> Vec<u8> {
    pairs.iter().flat_map(|(key, value)| format!("{key}={value}\n").into_bytes()).collect()
}

/// Header, section table, padded sections, trailer.
pub(super) fn assemble(minor: u16, parts: &[Part]) -> Result<Vec<u8>, EmitError> {
    let sections =
        u16::try_from(parts.len()).map_err(|_| EmitError::TooLarge { what: "the number of sections" })?;
    let header_len = FIXED_HEADER_LEN + parts.len() * ENTRY_LEN;
    let total =
        header_len + parts.iter().map(|p| p.payload.len().next_multiple_of(16)).sum::<usize>() + TRAILER_LEN;
    let mut bytes = Vec::with_capacity(total);
    bytes.extend(MAGIC);
    bytes.extend(MAJOR.to_le_bytes());
    bytes.extend(minor.to_le_bytes());
    bytes.extend(u32_of(total, "its length")?.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(sections.to_le_bytes());
    bytes.resize(FIXED_HEADER_LEN, 0);
    let mut offset = header_len;
    for part in parts {
        bytes.extend(part.id.0.to_le_bytes());
        bytes.extend([part.version, part.flags]);
        bytes.extend(u32_of(offset, "its length")?.to_le_bytes());
        bytes.extend(u32_of(part.payload.len(), "a section")?.to_le_bytes());
        bytes.extend(crc32(&part.payload).to_le_bytes());
        offset += part.payload.len().next_multiple_of(16);
    }
    let crc = crc32_of_two(&bytes[..HEADER_CRC_OFFSET], &bytes[HEADER_CRC_OFFSET + 4..]);
    bytes[HEADER_CRC_OFFSET..HEADER_CRC_OFFSET + 4].copy_from_slice(&crc.to_le_bytes());
    for part in parts {
        bytes.extend(&part.payload);
        pad(&mut bytes);
    }
    let digest = Sha256::digest(&bytes);
    bytes.extend(digest);
    bytes.extend(crc32(&digest).to_le_bytes());
    bytes.extend([0; 12]);
    Ok(bytes)
}

fn owned_layer(layer: &Layer<'_>) -> OwnedLayer {
    let affine = match layer.affine() {
        Affine::Dense(dense) => OwnedAffine::Dense {
            rows: dense.rows(),
            cols: dense.cols(),
            weights: dense.weights().to_vec(),
            bias: dense.bias().to_vec(),
        },
        Affine::Sparse(sparse) => {
            let mut weights = vec![0.0; sparse.rows() * sparse.cols()];
            for (i, (row, _)) in sparse.row_iter().enumerate() {
                row.iter().for_each(|(j, w)| weights[i * sparse.cols() + j] = w);
            }
            let (rows, cols, bias) = (sparse.rows(), sparse.cols(), sparse.bias().to_vec());
            OwnedAffine::Dense { rows, cols, weights, bias }
        }
        Affine::Scale(scale) => {
            OwnedAffine::Scale { scale: scale.scale().to_vec(), shift: scale.shift().to_vec() }
        }
    };
    OwnedLayer { affine, relu: layer.relu() }
}

/// Everything of an artifact but its network.
pub(super) struct Content<'a> {
    pub(super) range: &'a InputRange,
    pub(super) settings: &'a MonitorSettings,
    pub(super) certificates: &'a [RegionCertificate],
    pub(super) provenance: &'a BTreeMap<String, String>,
    pub(super) unknown: &'a [UnknownSection],
}

impl Content<'_> {
    /// All sections, that of the network given.
    pub(super) fn parts(&self, network: Part) -> Result<Vec<Part>, EmitError> {
        let mut parts = vec![
            network,
            Part::known(SectionId::RANGE, range_payload(self.range)),
            Part::known(SectionId::SETTINGS, settings_payload(self.settings)?),
        ];
        if !self.certificates.is_empty() {
            parts.push(Part::known(SectionId::REGIONS, regions_payload(self.certificates)?));
        }
        let proofs: Vec<_> = self.certificates.iter().filter_map(|c| c.proof.as_ref()).collect();
        if !proofs.is_empty() {
            parts.push(Part::known(SectionId::PROOFS, proofs_payload(&proofs)?));
        }
        if !self.provenance.is_empty() {
            parts.push(Part::known(SectionId::PROVENANCE, provenance_payload(self.provenance)));
        }
        parts.extend(self.unknown.iter().map(|section| Part {
            id: section.id,
            version: section.version,
            flags: IGNORABLE,
            payload: section.payload.clone(),
        }));
        parts.sort_by_key(|part| part.id);
        Ok(parts)
    }

    /// Lists of another length could still add up to a section of the right one, with its numbers in other places.
    pub(super) fn check_shapes(&self, inputs: usize, outputs: usize) -> Result<(), EmitError> {
        let check = |what: &str, expected: usize, found: usize| {
            let what = || what.to_owned();
            if expected == found { Ok(()) } else { Err(EmitError::Shape { what: what(), expected, found }) }
        };
        check("lower end of the input range", inputs, self.range.lower.len())?;
        check("upper end of the input range", inputs, self.range.upper.len())?;
        check("epsilon", inputs, self.settings.epsilon.len())?;
        if let OwnedSpec::Rows { coefficients, constants } = &self.settings.spec {
            check("coefficients of the specification", constants.len() * outputs, coefficients.len())?;
        }
        for (index, certificate) in self.certificates.iter().enumerate() {
            check(&format!("lower end of certificate {index}"), inputs, certificate.lower.len())?;
            check(&format!("upper end of certificate {index}"), inputs, certificate.upper.len())?;
        }
        Ok(())
    }
}

/// Range, settings, certificates, provenance and unknown sections of a view of either kind.
macro_rules! content_of {
    ($view:expr) => {{
        let view = $view;
        let proofs: Vec<_> = view.proofs().collect();
        let proof_of = |index: u32| proofs.get(index as usize).map(|proof| proof.to_vec());
        let certificates = view
            .regions()
            .map(|region| $crate::certify::RegionCertificate {
                lower: region.lower.to_vec(),
                upper: region.upper.to_vec(),
                claim: region.claim,
                bound: region.bound,
                meanings: region.meanings,
                proof: region.proof.and_then(proof_of),
            })
            .collect();
        let unknown = view
            .sections()
            .filter(|section| section.id.flags().is_none())
            .map(|section| $crate::certify::artifact::UnknownSection {
                id: section.id,
                version: section.version,
                payload: section.payload.to_vec(),
            })
            .collect();
        let settings = $crate::certify::MonitorSettings {
            epsilon: view.epsilon().to_vec(),
            spec: view.spec().into(),
            live_bounds: view.live_bounds(),
        };
        let range = $crate::certify::InputRange {
            lower: view.range_lower().to_vec(),
            upper: view.range_upper().to_vec(),
        };
        let provenance = view.provenance().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        (range, settings, certificates, provenance, unknown)
    }};
}
pub(super) use content_of;

impl From<Spec<'_>> for OwnedSpec {
    fn from(spec: Spec<'_>) -> Self {
        match spec {
            Spec::ArgMax => Self::ArgMax,
            Spec::ArgMin => Self::ArgMin,
            Spec::Rows { coefficients, constants } => {
                Self::Rows { coefficients: coefficients.to_vec(), constants: constants.to_vec() }
            }
        }
    }
}

impl Artifact {
    /// The artifact's bytes; the same value gives the same bytes.
    ///
    /// # Errors
    /// [`EmitError::Shape`], [`EmitError::Refused`] with the check that the bytes would fail, or another
    /// [`EmitError`].
    pub fn emit(&self) -> Result<Vec<u8>, EmitError> {
        let content = Content {
            range: &self.range,
            settings: &self.settings,
            certificates: &self.certificates,
            provenance: &self.provenance,
            unknown: &self.unknown,
        };
        content.check_shapes(self.chain.inputs(), self.chain.outputs())?;
        let parts = content.parts(Part::known(SectionId::NETWORK, network_payload(&self.chain)?))?;
        let bytes = assemble(self.minor, &parts)?;
        if Self::parse(&bytes)? == *self { Ok(bytes) } else { Err(EmitError::Ambiguous) }
    }

    /// Reads an artifact whole.
    ///
    /// # Errors
    /// As [`ArtifactView::new_checked`], for bytes at any address.
    pub fn parse(bytes: &[u8]) -> Result<Self, ArtifactError> {
        Self::from_view(&ArtifactView::new_checked(AlignedBytes::from(bytes).as_slice())?)
    }

    /// Copies what `view` shows.
    ///
    /// # Errors
    /// None on a checked view; the network is checked again by [`Chain::new`].
    pub fn from_view(view: &ArtifactView<'_>) -> Result<Self, ArtifactError> {
        let chain =
            Chain::new(view.layers().map(|l| owned_layer(&l)).collect()).map_err(ArtifactError::Network)?;
        let (range, settings, certificates, provenance, unknown) = content_of!(view);
        Ok(Self { minor: view.version().1, chain, range, settings, certificates, provenance, unknown })
    }

    /// Minor version for new artifacts.
    pub const MINOR: u16 = MINOR;
}

#[cfg(test)]
mod tests {
    use super::*;
    use certus_core::artifact::Meanings;
    use certus_core::{Monitor, Status};

    fn small() -> Artifact {
        let layers = vec![
            OwnedLayer {
                affine: OwnedAffine::Scale { scale: vec![0.5, 2.0], shift: vec![0.0, -1.0] },
                relu: false,
            },
            OwnedLayer {
                affine: OwnedAffine::Dense {
                    rows: 3,
                    cols: 2,
                    weights: vec![1.0, -1.0, -0.5, 0.25, 0.0, 1.0],
                    bias: vec![0.1, -0.2, 0.3],
                },
                relu: true,
            },
            OwnedLayer {
                affine: OwnedAffine::Dense {
                    rows: 2,
                    cols: 3,
                    weights: vec![1.0, 0.5, -1.0, -1.0, 2.0, 0.0],
                    bias: vec![0.0, -0.0],
                },
                relu: false,
            },
        ];
        Artifact {
            minor: MINOR,
            chain: Chain::new(layers).unwrap(),
            range: InputRange { lower: vec![-1.0, -2.0], upper: vec![1.0, 2.0] },
            settings: MonitorSettings {
                epsilon: vec![0.25, 0.0],
                spec: OwnedSpec::ArgMax,
                live_bounds: LiveBounds::Off,
            },
            certificates: vec![RegionCertificate {
                lower: vec![-1.0, 0.0],
                upper: vec![0.5, 0.0],
                claim: Claim::Class(0),
                bound: 0.5,
                meanings: Meanings::BOTH,
                proof: Some(vec![1, 2, 3]),
            }],
            provenance: [("tool".to_owned(), "certus test".to_owned())].into(),
            unknown: vec![UnknownSection { id: SectionId(900), version: 7, payload: vec![9; 5] }],
        }
    }

    #[test]
    fn parse_and_emit_are_inverse() {
        let artifact = small();
        let bytes = artifact.emit().unwrap();
        let parsed = Artifact::parse(&bytes).unwrap();
        assert_eq!(parsed, artifact);
        assert_eq!(parsed.emit().unwrap(), bytes);
    }

    #[test]
    fn a_monitor_computes_what_the_program_computes() {
        let artifact = small();
        let bytes = AlignedBytes::from(&artifact.emit().unwrap()[..]);
        let view = ArtifactView::new_checked(bytes.as_slice()).unwrap();
        let mut monitor = Monitor::<'_, 3, 64>::new(view).unwrap();
        let decision = monitor.step(&[0.25, -1.5]);
        assert!(matches!(decision.status, Status::NotCertified { .. }));
        let expected: Vec<u32> = artifact.chain.eval_f32(&[0.25, -1.5]).iter().map(|y| y.to_bits()).collect();
        assert_eq!(monitor.outputs().iter().map(|y| y.to_bits()).collect::<Vec<_>>(), expected);
    }
}
