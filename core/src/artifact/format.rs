//! Constants of the format, shared by the view and by writers.

/// First four bytes of every artifact.
pub const MAGIC: [u8; 4] = *b"CRTS";
/// Major version; a reader accepts its own only.
pub const MAJOR: u16 = 1;
/// Minor version that writers of this crate put in; a reader accepts any.
pub const MINOR: u16 = 0;
/// Every section starts at a multiple of this, and so must the artifact in memory.
pub const ALIGN: usize = 16;
/// Bytes of the header before its section table.
pub const FIXED_HEADER_LEN: usize = 32;
/// Bytes of one entry of the section table.
pub const ENTRY_LEN: usize = 16;
/// Where the header's own CRC lies.
pub const HEADER_CRC_OFFSET: usize = 12;
/// Bytes of the trailer: SHA-256, its CRC-32, twelve zeros.
pub const TRAILER_LEN: usize = 48;
/// Flag bit of a section that a reader may skip if it does not know the id.
pub const IGNORABLE: u8 = 1;

/// Summation order of [`crate::infer`]: blocks of 32, products and sums rounded separately.
pub const ORDER_BLOCKED_32: u16 = 1;
/// Bytes of the network section before its layer table.
pub const NETWORK_HEADER_LEN: usize = 16;
/// Bytes of one entry of the layer table.
pub const LAYER_ENTRY_LEN: usize = 16;
/// Kind of a dense layer.
pub const KIND_DENSE: u8 = 1;
/// Kind of an element-by-element affine layer.
pub const KIND_SCALE: u8 = 2;

/// Bytes of the program section before its step table.
pub const PROGRAM_HEADER_LEN: usize = 32;
/// Bytes of one entry of the step table.
pub const STEP_ENTRY_LEN: usize = 32;
/// Bytes of one entry of the term table.
pub const TERM_ENTRY_LEN: usize = 80;
/// Sizes that an entry of the term table has room for.
pub const TERM_SIZES: usize = 15;
/// Kind of an affine step.
pub const STEP_AFFINE: u8 = 1;
/// Kind of an elementwise step.
pub const STEP_ELEMENTWISE: u8 = 2;
/// Kind of a max over groups.
pub const STEP_MAX: u8 = 3;
/// Kind of an index map. (4 is kept for products, which devices do not compute.)
pub const STEP_INDEX: u8 = 5;
/// Flag of a step with a bias.
pub const STEP_BIAS: u8 = 1;
/// Flag of a step whose bias, or a term whose constants, have errors beside them.
pub const WITH_ERRORS: u8 = 2;
/// Function of an elementwise step: ReLU.
pub const FUNCTION_RELU: u8 = 1;
/// Leaky ReLU.
pub const FUNCTION_LEAKY_RELU: u8 = 2;
/// Clip.
pub const FUNCTION_CLIP: u8 = 3;
/// Absolute value.
pub const FUNCTION_ABS: u8 = 4;
/// Sigmoid.
pub const FUNCTION_SIGMOID: u8 = 5;
/// Hyperbolic tangent.
pub const FUNCTION_TANH: u8 = 6;
/// Map of a term: identity.
pub const MAP_IDENTITY: u8 = 1;
/// Element by element.
pub const MAP_SCALE: u8 = 2;
/// Matrix.
pub const MAP_DENSE: u8 = 3;
/// Convolution.
pub const MAP_CONV: u8 = 4;
/// Transpose of a convolution.
pub const MAP_CONV_TRANSPOSE: u8 = 5;
/// Sparse matrix.
pub const MAP_SPARSE: u8 = 6;

/// Bytes of the settings section before its arrays.
pub const SETTINGS_HEADER_LEN: usize = 16;
/// Specification: the largest output wins.
pub const SPEC_ARG_MAX: u8 = 1;
/// Specification: the smallest output wins.
pub const SPEC_ARG_MIN: u8 = 2;
/// Specification: explicit rows.
pub const SPEC_ROWS: u8 = 3;

/// Bytes of the regions section before its records.
pub const REGIONS_HEADER_LEN: usize = 16;
/// Bytes of one region record before its box.
pub const REGION_HEADER_LEN: usize = 16;
/// Class field of a certificate about explicit rows.
pub const CLASS_ROWS: u16 = 0xFFFF;
/// Proof field of a certificate without a stored proof.
pub const NO_PROOF: u32 = 0xFFFF_FFFF;
/// Meaning bit: real arithmetic.
pub const MEANING_REAL: u8 = 1;
/// Meaning bit: the device's `f32` pass in the order of [`crate::infer`].
pub const MEANING_F32: u8 = 2;

/// Bytes of the proofs section before its table.
pub const PROOFS_HEADER_LEN: usize = 16;
/// Bytes of one entry of the proof table.
pub const PROOF_ENTRY_LEN: usize = 8;

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SectionId(pub u16);

impl SectionId {
    /// Layers and weights.
    pub const NETWORK: Self = Self(1);
    /// Range of inputs that the monitor accepts.
    pub const RANGE: Self = Self(2);
    /// Epsilon, specification, live bounds.
    pub const SETTINGS: Self = Self(3);
    /// Region certificates.
    pub const REGIONS: Self = Self(4);
    /// Proofs of the region certificates.
    pub const PROOFS: Self = Self(5);
    /// Where the artifact comes from.
    pub const PROVENANCE: Self = Self(6);
    /// Network as a program, in place of layers.
    pub const PROGRAM: Self = Self(7);

    /// The flags this section must carry, or `None` for an id that this version does not know.
    pub fn flags(self) -> Option<u8> {
        match self {
            Self::NETWORK | Self::RANGE | Self::SETTINGS | Self::REGIONS | Self::PROGRAM => Some(0),
            Self::PROOFS | Self::PROVENANCE => Some(IGNORABLE),
            _ => None,
        }
    }

    /// Name for messages; `"unknown"` for an id that this version does not know.
    pub fn name(self) -> &'static str {
        match self {
            Self::NETWORK => "network",
            Self::RANGE => "range",
            Self::SETTINGS => "settings",
            Self::REGIONS => "regions",
            Self::PROOFS => "proofs",
            Self::PROVENANCE => "provenance",
            Self::PROGRAM => "program",
            _ => "unknown",
        }
    }
}

/// CRC-32 as in IEEE 802.3, zip and PNG.
pub const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// One table in flash for both functions below.
static TABLE: crc::Crc<u32> = CRC;

/// CRC-32 of `bytes`.
pub fn crc32(bytes: &[u8]) -> u32 {
    TABLE.checksum(bytes)
}

/// CRC-32 of `first` followed by `second`.
pub fn crc32_of_two(first: &[u8], second: &[u8]) -> u32 {
    let mut digest = TABLE.digest();
    digest.update(first);
    digest.update(second);
    digest.finalize()
}

/// `len` rounded up to a multiple of [`ALIGN`], or `None` on overflow.
pub fn align_up(len: usize) -> Option<usize> {
    Some(len.checked_add(ALIGN - 1)? & !(ALIGN - 1))
}
