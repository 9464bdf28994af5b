//! The regions section: boxes in which the specification was proved before export.

use super::error::ArtifactError;
use super::format::{
    CLASS_ROWS, MEANING_F32, MEANING_REAL, NO_PROOF, REGION_HEADER_LEN, REGIONS_HEADER_LEN, SectionId,
};
use super::header::Section;
use super::proofs::Proofs;
use super::reader::{Reader, to_usize};
use super::settings::Spec;

/// What a certificate speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Claim {
    /// Every input of the box has this class.
    Class(u16),
    /// Every row of the specification is positive on the box.
    Rows,
}

/// Networks that a certificate speaks of: over the reals, and the device's `f32` pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Meanings(u8);

impl Meanings {
    /// Both meanings.
    pub const BOTH: Self = Self(MEANING_REAL | MEANING_F32);

    /// Meanings from their bits; `None` if there is none, or an unknown one.
    pub fn from_bits(bits: u8) -> Option<Self> {
        (bits != 0 && bits & !Self::BOTH.0 == 0).then_some(Self(bits))
    }
    /// The bits, as stored.
    pub fn bits(self) -> u8 {
        self.0
    }
    /// Whether the statement holds over the reals.
    pub fn real(self) -> bool {
        self.0 & MEANING_REAL != 0
    }
    /// Whether the statement holds for the device's `f32` pass.
    pub fn f32(self) -> bool {
        self.0 & MEANING_F32 != 0
    }
}

/// A region certificate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region<'a> {
    /// Lower ends of the box, raw units, `[inputs]`.
    pub lower: &'a [f32],
    /// Upper ends of the box, raw units, `[inputs]`.
    pub upper: &'a [f32],
    /// What was proved.
    pub claim: Claim,
    /// Proved lower bound of the margin on the box; positive.
    pub bound: f32,
    /// For which meanings.
    pub meanings: Meanings,
    /// Index of its proof, if one is stored.
    pub proof: Option<u32>,
}

/// Checked records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Regions<'a> {
    records: &'a [u8],
    inputs: usize,
}

/// Bytes of one record.
fn record_len(inputs: usize) -> usize {
    inputs.saturating_mul(8).saturating_add(REGION_HEADER_LEN)
}

/// One record as stored, before its meaning is checked.
struct Record<'a> {
    class: u16,
    meanings: u8,
    reserved: u8,
    bound: f32,
    proof: u32,
    reserved_end: u32,
    lower: &'a [f32],
    upper: &'a [f32],
}

impl<'a> Record<'a> {
    fn read(raw: &'a [u8], inputs: usize) -> Option<Self> {
        let mut reader = Reader::new(raw);
        Some(Self {
            class: reader.u16()?,
            meanings: reader.u8()?,
            reserved: reader.u8()?,
            bound: reader.f32()?,
            proof: reader.u32()?,
            reserved_end: reader.u32()?,
            lower: reader.f32s(inputs)?,
            upper: reader.f32s(inputs)?,
        })
    }

    fn region(&self) -> Option<Region<'a>> {
        Some(Region {
            lower: self.lower,
            upper: self.upper,
            claim: if self.class == CLASS_ROWS { Claim::Rows } else { Claim::Class(self.class) },
            bound: self.bound,
            meanings: Meanings::from_bits(self.meanings)?,
            proof: (self.proof != NO_PROOF).then_some(self.proof),
        })
    }
}

/// What a record is checked against.
pub(super) struct Frame<'a> {
    pub(super) lower: &'a [f32],
    pub(super) upper: &'a [f32],
    pub(super) outputs: usize,
    pub(super) spec: Spec<'a>,
    pub(super) proofs: Proofs<'a>,
}

impl Frame<'_> {
    /// Checks certificate `index`; `proofs_before` certificates before it have a proof.
    fn check(&self, record: &Record<'_>, index: usize, proofs_before: usize) -> Result<(), ArtifactError> {
        let box_inside = record.lower.iter().zip(record.upper).zip(self.lower.iter().zip(self.upper));
        if !box_inside.into_iter().all(|((l, u), (from, to))| from <= l && l <= u && u <= to) {
            return Err(ArtifactError::RegionBox { index });
        }
        let class_fits = match self.spec {
            Spec::ArgMax | Spec::ArgMin => usize::from(record.class) < self.outputs,
            Spec::Rows { .. } => record.class == CLASS_ROWS,
        };
        if !class_fits {
            return Err(ArtifactError::RegionClass { index });
        }
        if !(record.bound.is_finite() && record.bound > 0.0) {
            return Err(ArtifactError::RegionBound { index });
        }
        if Meanings::from_bits(record.meanings).is_none() {
            return Err(ArtifactError::RegionMeanings { index });
        }
        let proof = to_usize(record.proof);
        if record.proof != NO_PROOF && (proof != proofs_before || proof >= self.proofs.len()) {
            return Err(ArtifactError::RegionProof { index });
        }
        Ok(())
    }
}

impl<'a> Regions<'a> {
    /// No certificates.
    pub(super) const EMPTY: Self = Self { records: &[], inputs: 0 };

    pub(super) fn new_checked(section: Section<'a>, frame: &Frame<'_>) -> Result<Self, ArtifactError> {
        let short = ArtifactError::SectionLength { id: SectionId::REGIONS };
        let inputs = frame.lower.len();
        let mut reader = Reader::new(section.payload);
        let count = to_usize(reader.u32().ok_or(short)?);
        if reader.bytes(REGIONS_HEADER_LEN - 4).ok_or(short)?.iter().any(|byte| *byte != 0) {
            return Err(ArtifactError::ReservedNonZero { offset: section.offset.saturating_add(4) });
        }
        let stride = record_len(inputs);
        let records = reader.bytes(count.saturating_mul(stride)).ok_or(short)?;
        if count == 0 || !reader.is_empty() {
            return Err(short);
        }
        let mut with_proof = 0usize;
        for (index, raw) in records.chunks_exact(stride.max(1)).enumerate() {
            let record = Record::read(raw, inputs).ok_or(short)?;
            if record.reserved != 0 || record.reserved_end != 0 {
                let at = REGIONS_HEADER_LEN.saturating_add(index.saturating_mul(stride));
                let at = at.saturating_add(if record.reserved != 0 { 3 } else { 12 });
                return Err(ArtifactError::ReservedNonZero { offset: section.offset.saturating_add(at) });
            }
            frame.check(&record, index, with_proof)?;
            with_proof = with_proof.saturating_add(usize::from(record.proof != NO_PROOF));
        }
        if with_proof != frame.proofs.len() {
            return Err(ArtifactError::ProofUnused { index: with_proof });
        }
        Ok(Self { records, inputs })
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len().checked_div(record_len(self.inputs)).unwrap_or(0)
    }

    /// The certificates, in file order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Region<'a>> + use<'a> {
        let inputs = self.inputs;
        let records = self.records.chunks_exact(record_len(inputs).max(1));
        records.filter_map(move |raw| Record::read(raw, inputs)?.region())
    }
}
