//! The proofs section: opaque blobs, one after the other, that the host's checker reads.

use super::error::ArtifactError;
use super::format::{PROOF_ENTRY_LEN, PROOFS_HEADER_LEN, SectionId};
use super::header::Section;
use super::reader::{Reader, to_usize};

/// Checked table of blobs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proofs<'a> {
    payload: &'a [u8],
    table: &'a [u8],
}

/// Offset and length of one blob.
fn entry(raw: &[u8]) -> Option<(usize, usize)> {
    let mut reader = Reader::new(raw);
    Some((to_usize(reader.u32()?), to_usize(reader.u32()?)))
}

impl<'a> Proofs<'a> {
    /// No proofs.
    pub(super) const EMPTY: Self = Self { payload: &[], table: &[] };

    pub(super) fn new_checked(section: Section<'a>) -> Result<Self, ArtifactError> {
        let short = ArtifactError::SectionLength { id: SectionId::PROOFS };
        let payload = section.payload;
        let mut reader = Reader::new(payload);
        let count = to_usize(reader.u32().ok_or(short)?);
        if reader.bytes(PROOFS_HEADER_LEN - 4).ok_or(short)?.iter().any(|byte| *byte != 0) {
            return Err(ArtifactError::ReservedNonZero { offset: section.offset.saturating_add(4) });
        }
        if count == 0 {
            return Err(short);
        }
        let table_len = count.saturating_mul(PROOF_ENTRY_LEN);
        let table = reader.bytes(table_len).ok_or(short)?;
        let mut end = table_len.saturating_add(PROOFS_HEADER_LEN);
        for (index, raw) in table.chunks_exact(PROOF_ENTRY_LEN).enumerate() {
            let (offset, len) = entry(raw).ok_or(short)?;
            if offset != end || len == 0 {
                return Err(ArtifactError::ProofPlace { index });
            }
            end = end.saturating_add(len);
            if end > payload.len() {
                return Err(ArtifactError::ProofPlace { index });
            }
        }
        if end != payload.len() {
            return Err(short);
        }
        Ok(Self { payload, table })
    }

    pub(super) fn len(&self) -> usize {
        self.table.len() / PROOF_ENTRY_LEN
    }

    /// The blobs, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let payload = self.payload;
        self.table.chunks_exact(PROOF_ENTRY_LEN).filter_map(move |raw| {
            let (offset, len) = entry(raw)?;
            payload.get(offset..offset.checked_add(len)?)
        })
    }
}
