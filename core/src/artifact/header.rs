//! Header, section table and trailer: everything that is checked before a section's meaning.

use super::error::ArtifactError;
use super::format::{
    ALIGN, ENTRY_LEN, FIXED_HEADER_LEN, HEADER_CRC_OFFSET, IGNORABLE, MAGIC, MAJOR, SectionId, TRAILER_LEN,
    align_up, crc32, crc32_of_two,
};
use super::reader::{Reader, to_usize};

/// One section as its table entry states it, with its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// What it holds.
    pub id: SectionId,
    /// Version of its layout.
    pub version: u8,
    /// [`IGNORABLE`] or 0.
    pub flags: u8,
    /// Bytes from the start of the artifact.
    pub offset: usize,
    /// CRC-32 of `payload`.
    pub crc: u32,
    /// Its bytes.
    pub payload: &'a [u8],
}

/// An artifact whose envelope is intact: checksums hold, sections follow each other without gap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) minor: u16,
    table: &'a [u8],
    pub(super) digest: &'a [u8; 32],
}

fn entry<'a>(bytes: &'a [u8], entry: &[u8]) -> Option<Section<'a>> {
    let mut reader = Reader::new(entry);
    let (id, version, flags) = (SectionId(reader.u16()?), reader.u8()?, reader.u8()?);
    let (offset, len, crc) = (to_usize(reader.u32()?), to_usize(reader.u32()?), reader.u32()?);
    let payload = bytes.get(offset..offset.checked_add(len)?)?;
    Some(Section { id, version, flags, offset, crc, payload })
}

/// Refuses a non-zero byte in `bytes[from..to]`.
fn check_zeros(bytes: &[u8], from: usize, to: usize) -> Result<(), ArtifactError> {
    let gap = bytes.get(from..to).ok_or(ArtifactError::Truncated { found: bytes.len() })?;
    match gap.iter().position(|byte| *byte != 0) {
        Some(at) => Err(ArtifactError::ReservedNonZero { offset: from.saturating_add(at) }),
        None => Ok(()),
    }
}

impl<'a> Envelope<'a> {
    /// Checks, in this order: address, magic, version, length, header CRC, reserved bytes, then for each
    /// section order, flags, version, place, padding, CRC; last the trailer.
    pub(super) fn new_checked(bytes: &'a [u8]) -> Result<Self, ArtifactError> {
        if bytes.as_ptr().addr() & (ALIGN - 1) != 0 {
            return Err(ArtifactError::Misaligned);
        }
        let truncated = ArtifactError::Truncated { found: bytes.len() };
        let mut reader = Reader::new(bytes);
        if reader.bytes(4).ok_or(truncated)? != MAGIC {
            return Err(ArtifactError::BadMagic);
        }
        let major = reader.u16().ok_or(truncated)?;
        if major != MAJOR {
            return Err(ArtifactError::Version { major });
        }
        let minor = reader.u16().ok_or(truncated)?;
        let stated = reader.u32().ok_or(truncated)?;
        if to_usize(stated) != bytes.len() {
            return Err(ArtifactError::Length { stated, found: bytes.len() });
        }
        let header_crc = reader.u32().ok_or(truncated)?;
        let sections = usize::from(reader.u16().ok_or(truncated)?);
        let header_len = sections.saturating_mul(ENTRY_LEN).saturating_add(FIXED_HEADER_LEN);
        let before_crc = bytes.get(..HEADER_CRC_OFFSET).ok_or(truncated)?;
        let after_crc = bytes.get(HEADER_CRC_OFFSET + 4..header_len).ok_or(truncated)?;
        if crc32_of_two(before_crc, after_crc) != header_crc {
            return Err(ArtifactError::HeaderCrc);
        }
        check_zeros(bytes, HEADER_CRC_OFFSET + 6, FIXED_HEADER_LEN)?;
        let table = bytes.get(FIXED_HEADER_LEN..header_len).ok_or(truncated)?;
        let end = Self::check_sections(bytes, table, header_len)?;
        let digest = Self::check_trailer(bytes, end)?;
        Ok(Self { bytes, minor, table, digest })
    }

    /// Checks the sections one after the other and returns where the trailer starts.
    fn check_sections(bytes: &[u8], table: &[u8], header_len: usize) -> Result<usize, ArtifactError> {
        let mut end = header_len;
        let mut last = None;
        for raw in table.chunks_exact(ENTRY_LEN) {
            let id = SectionId(Reader::new(raw).u16().unwrap_or(0));
            if last >= Some(id) {
                return Err(ArtifactError::SectionOrder { id });
            }
            last = Some(id);
            let section = entry(bytes, raw).ok_or(ArtifactError::SectionPlace { id })?;
            match id.flags() {
                Some(flags) if flags != section.flags => return Err(ArtifactError::SectionFlags { id }),
                Some(_) if section.version != 1 => {
                    return Err(ArtifactError::SectionVersion { id, version: section.version });
                }
                None if section.flags == 0 => return Err(ArtifactError::UnknownSection { id }),
                None if section.flags != IGNORABLE => return Err(ArtifactError::SectionFlags { id }),
                _ => {}
            }
            if section.offset != end {
                return Err(ArtifactError::SectionPlace { id });
            }
            let stop = end.saturating_add(section.payload.len());
            end = align_up(stop).ok_or(ArtifactError::SectionPlace { id })?;
            check_zeros(bytes, stop, end)?;
            if crc32(section.payload) != section.crc {
                return Err(ArtifactError::SectionCrc { id });
            }
        }
        Ok(end)
    }

    fn check_trailer(bytes: &'a [u8], start: usize) -> Result<&'a [u8; 32], ArtifactError> {
        let truncated = ArtifactError::Truncated { found: bytes.len() };
        let trailer = bytes.get(start..).ok_or(truncated)?;
        if trailer.len() != TRAILER_LEN {
            return Err(truncated);
        }
        let (digest, rest) = trailer.split_first_chunk::<32>().ok_or(truncated)?;
        if Some(crc32(digest)) != Reader::new(rest).u32() {
            return Err(ArtifactError::TrailerCrc);
        }
        check_zeros(bytes, start.saturating_add(36), bytes.len())?;
        #[cfg(feature = "sha256")]
        {
            use sha2::{Digest, Sha256};
            let covered = bytes.get(..start).ok_or(truncated)?;
            if Sha256::digest(covered).as_slice() != digest {
                return Err(ArtifactError::Digest);
            }
        }
        Ok(digest)
    }

    /// All sections, ids ascending.
    pub(super) fn sections(&self) -> impl Iterator<Item = Section<'a>> + use<'a> {
        let bytes = self.bytes;
        self.table.chunks_exact(ENTRY_LEN).filter_map(move |raw| entry(bytes, raw))
    }

    pub(super) fn find(&self, id: SectionId) -> Option<Section<'a>> {
        self.sections().find(|section| section.id == id)
    }

    pub(super) fn require(&self, id: SectionId) -> Result<Section<'a>, ArtifactError> {
        self.find(id).ok_or(ArtifactError::Missing { id })
    }
}
