//! The bytes of a proof file: see `docs/proof.md`, which describes every one.
//!
//! A header of [`HEADER`] bytes, then one record per group of cases. Reading is total: every length is compared with what is
//! left of the file before anything is allocated, a packed tree is unpacked up to its stated length and the reader's limit, and
//! header and records carry checksums. A checksum finds damage, not malice: what a file claims is proved again by the checker.

use std::io::{self, Read, Write as _};

use certus_core::proof::Meaning;
use flate2::{Compression, Crc, read::DeflateDecoder, write::DeflateEncoder};

use crate::verify::CaseProof;

/// First bytes of a proof file.
pub const MAGIC: [u8; 8] = *b"CRTPROOF";
/// Version that is written and read.
pub const VERSION: u16 = 2;
/// Bytes of the header.
pub const HEADER: usize = 164;
/// Default of the size limit, bytes.
pub const DEFAULT_LIMIT: u64 = 1 << 30;

/// Smallest record: tag, packing, count, one case, two lengths, no bytes, checksum.
const RECORD_MIN: u64 = 1 + 1 + 4 + 4 + 8 + 8 + 4;
/// Tag of a group's record.
const GROUP: u8 = 1;
/// A tree shorter than this is not packed, bytes.
const PACK_FROM: usize = 64;

/// Which checker reads the trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `certus_core::proof`: dense and diagonal layers with ReLU.
    Chain,
    /// `certus_core::proof::program`: any network.
    Program,
}

/// What a proof is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which checker.
    pub kind: Kind,
    /// For which executions.
    pub meaning: Meaning,
    /// SHA-256 of the network file, unpacked; of several, of their digests one after the other.
    pub network: [u8; 32],
    /// SHA-256 of the weights file, unpacked; zeros if none was given.
    pub weights: [u8; 32],
    /// SHA-256 of the property file, unpacked.
    pub property: [u8; 32],
    /// SHA-256 of the program and the cases as the checker reads them.
    pub lowered: [u8; 32],
    /// Cases of the property.
    pub cases: u32,
}

/// Why bytes are no proof file, or cannot be written as one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Other first bytes.
    #[error("this is no proof file: it does not begin with CRTPROOF")]
    Magic,
    /// A version that is not read.
    #[error(
        "the proof file has version {found}, this program reads {VERSION}; check it with the certus that wrote it, or write it anew"
    )]
    Version {
        /// The file's.
        found: u16,
    },
    /// A journal.
    #[error(
        "this is the journal of a run that has not ended; go on with it by the same `certus verify --proof`"
    )]
    Unfinished,
    /// A complete proof where a journal is needed.
    #[error("this is a whole proof, not a journal; remove it or choose another file for --proof")]
    Finished,
    /// A field of the header is out of range.
    #[error("byte {at} of the header, the {what}, is {found}, which has no meaning")]
    Field {
        /// Offset.
        at: usize,
        /// Which.
        what: &'static str,
        /// Its value.
        found: u64,
    },
    /// Damage.
    #[error("the checksum of the {what} at byte {at} does not fit its content; the file is damaged")]
    Checksum {
        /// Header or record.
        what: &'static str,
        /// Offset.
        at: u64,
    },
    /// The file is shorter or longer than it says.
    #[error(
        "the file has {found} bytes where its content needs {expected}; it is cut off or has something after its end"
    )]
    Length {
        /// What the content needs, at least.
        expected: u64,
        /// What there is.
        found: u64,
    },
    /// A record that does not begin as one.
    #[error("byte {at} begins no record")]
    Record {
        /// Offset.
        at: u64,
    },
    /// Cases of a group that do not ascend.
    #[error("the cases of the group at byte {at} do not ascend")]
    Cases {
        /// Offset.
        at: u64,
    },
    /// A packed tree that does not unpack to its length.
    #[error("the packed tree at byte {at} does not unpack to its stated {expected} bytes")]
    Unpack {
        /// Offset.
        at: u64,
        /// Stated length.
        expected: u64,
    },
    /// More than the limit.
    #[error("the proof needs {bytes} bytes, more than the limit of {limit}; raise it with --proof-limit-mib")]
    TooLarge {
        /// Needed, at least.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The system refused.
    #[error("cannot read the proof: {0}")]
    Io(#[from] io::Error),
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Whether a file is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// All groups, of a stated length.
    Whole,
    /// Records of a run that goes on.
    Journal,
}

/// The header's bytes; `groups` and `length` are 0 for a journal.
pub fn header(identity: &Identity, state: State, groups: u32, length: u64) -> [u8; HEADER] {
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.push(u8::from(state == State::Journal));
    bytes.push(u8::from(identity.kind == Kind::Program));
    bytes.push(u8::from(identity.meaning == Meaning::RealAndF32));
    bytes.extend([0; 3]);
    for digest in [&identity.network, &identity.weights, &identity.property, &identity.lowered] {
        bytes.extend(digest);
    }
    bytes.extend(identity.cases.to_le_bytes());
    bytes.extend(groups.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(crc(&bytes).to_le_bytes());
    bytes.try_into().expect("the fields fill the header")
}

/// A header, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the file is about.
    pub identity: Identity,
    /// Whole or not.
    pub state: State,
    /// Groups that follow.
    pub groups: u32,
    /// Bytes of the file.
    pub length: u64,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("N bytes of a buffer that is long enough")
}

/// Reads a header.
///
/// # Errors
/// [`FormatError`].
pub fn parse_header(bytes: &[u8; HEADER]) -> Result<Header, FormatError> {
    if bytes[..8] != MAGIC {
        return Err(FormatError::Magic);
    }
    let version = u16::from_le_bytes(array(bytes, 8));
    if version != VERSION {
        return Err(FormatError::Version { found: version });
    }
    if crc(&bytes[..HEADER - 4]) != u32::from_le_bytes(array(bytes, HEADER - 4)) {
        return Err(FormatError::Checksum { what: "header", at: 0 });
    }
    let flag = |at: usize, what: &'static str| match bytes[at] {
        0 => Ok(false),
        1 => Ok(true),
        found => Err(FormatError::Field { at, what, found: found.into() }),
    };
    let state = if flag(10, "state")? { State::Journal } else { State::Whole };
    let kind = if flag(11, "kind")? { Kind::Program } else { Kind::Chain };
    let meaning = if flag(12, "meaning")? { Meaning::RealAndF32 } else { Meaning::Real };
    if let Some(at) = (13..16).find(|at| bytes[*at] != 0) {
        return Err(FormatError::Field { at, what: "reserved byte", found: bytes[at].into() });
    }
    let cases = u32::from_le_bytes(array(bytes, 144));
    let identity = Identity {
        kind,
        meaning,
        network: array(bytes, 16),
        weights: array(bytes, 48),
        property: array(bytes, 80),
        lowered: array(bytes, 112),
        cases,
    };
    let groups = u32::from_le_bytes(array(bytes, 148));
    Ok(Header { identity, state, groups, length: u64::from_le_bytes(array(bytes, 152)) })
}

/// The whole file of some proofs.
///
/// # Errors
/// [`FormatError::TooLarge`] if it were longer than `limit` bytes, or a tree were.
pub fn write(identity: &Identity, proofs: &[CaseProof], limit: u64) -> Result<Vec<u8>, FormatError> {
    let mut file = vec![0; HEADER];
    for proof in proofs {
        let bytes = proof.bytes.len() as u64;
        if bytes > limit {
            return Err(FormatError::TooLarge { bytes, limit });
        }
        record(proof, &mut file);
        let bytes = file.len() as u64;
        if bytes > limit {
            return Err(FormatError::TooLarge { bytes, limit });
        }
    }
    let groups = u32::try_from(proofs.len()).expect("no more groups than cases");
    let length = file.len() as u64;
    file[..HEADER].copy_from_slice(&header(identity, State::Whole, groups, length));
    Ok(file)
}

fn record(proof: &CaseProof, file: &mut Vec<u8>) {
    let from = file.len();
    let packed = if proof.bytes.len() < PACK_FROM { None } else { pack(&proof.bytes) };
    let stored = packed.as_deref().unwrap_or(&proof.bytes);
    file.extend([GROUP, u8::from(packed.is_some())]);
    file.extend((proof.cases.len() as u32).to_le_bytes());
    proof.cases.iter().for_each(|c| file.extend((*c as u32).to_le_bytes()));
    file.extend((proof.bytes.len() as u64).to_le_bytes());
    file.extend((stored.len() as u64).to_le_bytes());
    file.extend(stored);
    let sum = crc(&file[from..]);
    file.extend(sum.to_le_bytes());
}

/// `bytes` deflated, if that is shorter.
fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().filter(|packed| packed.len() < bytes.len())
}

/// Reads a whole file record by record; holds one group's tree at a time.
pub struct Reader<R> {
    source: R,
    header: Header,
    /// Where the next record begins.
    at: u64,
    read: u32,
    limit: u64,
}

impl<R: Read> Reader<R> {
    /// A reader of a file of `length` bytes; no tree may be longer than `limit` bytes.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn new(mut source: R, length: u64, limit: u64) -> Result<Self, FormatError> {
        let mut bytes = [0; HEADER];
        let mut magic = [0; 8];
        let short = || FormatError::Length { expected: HEADER as u64, found: length };
        if length >= 8 {
            source.read_exact(&mut magic)?;
        }
        if magic != MAGIC {
            return Err(FormatError::Magic);
        }
        if length < HEADER as u64 {
            return Err(short());
        }
        bytes[..8].copy_from_slice(&magic);
        source.read_exact(&mut bytes[8..])?;
        let header = parse_header(&bytes)?;
        if header.state == State::Journal {
            return Err(FormatError::Unfinished);
        }
        let least = HEADER as u64 + u64::from(header.groups).saturating_mul(RECORD_MIN);
        if header.length != length || least > length {
            return Err(FormatError::Length { expected: header.length.max(least), found: length });
        }
        Ok(Self { source, header, at: HEADER as u64, read: 0, limit })
    }

    /// What the file is about.
    pub fn identity(&self) -> &Identity {
        &self.header.identity
    }

    /// The next group; `None` at the end of the file, which the last group reaches.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn next_group(&mut self) -> Result<Option<CaseProof>, FormatError> {
        let (at, length) = (self.at, self.header.length);
        if self.read == self.header.groups {
            return if at == length {
                Ok(None)
            } else {
                Err(FormatError::Length { expected: at, found: length })
            };
        }
        let mut left = length - at;
        let mut sum = Crc::new();
        let mut take = |source: &mut R, n: u64| -> Result<Vec<u8>, FormatError> {
            if n > left {
                return Err(FormatError::Length { expected: length - left + n, found: length });
            }
            left -= n;
            let mut bytes = vec![0; usize::try_from(n).unwrap_or(usize::MAX)];
            source.read_exact(&mut bytes)?;
            Ok(bytes)
        };
        let head = take(&mut self.source, 6)?;
        sum.update(&head);
        if head[0] != GROUP || head[1] > 1 {
            return Err(FormatError::Record { at });
        }
        let count = u32::from_le_bytes(array(&head, 2));
        if count == 0 || count > self.header.identity.cases {
            return Err(FormatError::Cases { at });
        }
        let cases = take(&mut self.source, u64::from(count) * 4)?;
        sum.update(&cases);
        let cases: Vec<usize> =
            cases.chunks_exact(4).map(|c| u32::from_le_bytes(array(c, 0)) as usize).collect();
        if cases.windows(2).any(|w| w[0] >= w[1]) {
            return Err(FormatError::Cases { at });
        }
        let lengths = take(&mut self.source, 16)?;
        sum.update(&lengths);
        let raw = u64::from_le_bytes(array(&lengths, 0));
        let stored = u64::from_le_bytes(array(&lengths, 8));
        if raw > self.limit {
            return Err(FormatError::TooLarge { bytes: raw, limit: self.limit });
        }
        if (head[1] == 0 && stored != raw) || (head[1] == 1 && stored >= raw) {
            return Err(FormatError::Record { at });
        }
        let bytes = take(&mut self.source, stored)?;
        sum.update(&bytes);
        let stated = take(&mut self.source, 4)?;
        if sum.sum() != u32::from_le_bytes(array(&stated, 0)) {
            return Err(FormatError::Checksum { what: "record", at });
        }
        let bytes = if head[1] == 0 { bytes } else { unpack(&bytes, raw, at)? };
        (self.at, self.read) = (length - left, self.read + 1);
        Ok(Some(CaseProof { cases, bytes }))
    }
}

/// Deflated bytes that unpack to exactly `raw`.
fn unpack(stored: &[u8], raw: u64, at: u64) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    let mut decoder = DeflateDecoder::new(stored);
    let read = (&mut decoder).take(raw + 1).read_to_end(&mut bytes);
    let whole = read.is_ok() && bytes.len() as u64 == raw && decoder.total_in() == stored.len() as u64;
    if whole { Ok(bytes) } else { Err(FormatError::Unpack { at, expected: raw }) }
}
