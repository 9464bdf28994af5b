//! The bytes of a file, unpacked if it is packed.

use super::DataError;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// Most bytes of a file, unpacked.
const LIMIT: u64 = 8 << 30;

/// All bytes of `path`; gzip is recognised by its first two.
pub fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let fail = |source| DataError::Read { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(fail)?);
    let mut head = Vec::new();
    file.by_ref().take(2).read_to_end(&mut head).map_err(fail)?;
    let packed = head == [0x1f, 0x8b];
    let whole = std::io::Cursor::new(head).chain(file);
    let mut bytes = Vec::new();
    let mut limited: Box<dyn Read> = if packed {
        Box::new(MultiGzDecoder::new(whole).take(LIMIT + 1))
    } else {
        Box::new(whole.take(LIMIT + 1))
    };
    limited.read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > LIMIT {
        return Err(DataError::Large { path: path.to_owned(), limit: LIMIT });
    }
    Ok(bytes)
}

/// A type of number in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Unsigned, of so many bytes.
    Unsigned(usize),
    /// Signed, of so many bytes.
    Signed(usize),
    /// Floating, of 4 or 8 bytes.
    Float(usize),
}

impl Number {
    /// Bytes of one.
    pub fn size(self) -> usize {
        let (Self::Unsigned(n) | Self::Signed(n) | Self::Float(n)) = self;
        n
    }

    /// All numbers of `bytes`.
    pub fn decode(self, bytes: &[u8], big_endian: bool) -> Vec<f32> {
        bytes
            .chunks_exact(self.size())
            .map(|chunk| {
                let mut word = [0u8; 8];
                // Little-endian, in the low bytes.
                for (k, byte) in chunk.iter().enumerate() {
                    word[if big_endian { chunk.len() - 1 - k } else { k }] = *byte;
                }
                let bits = u64::from_le_bytes(word);
                match self {
                    Self::Unsigned(_) => bits as f32,
                    Self::Signed(n) => {
                        let shift = 64 - 8 * n as u32;
                        (((bits << shift) as i64) >> shift) as f32
                    }
                    Self::Float(4) => f32::from_bits(bits as u32),
                    Self::Float(_) => f64::from_bits(bits) as f32,
                }
            })
            .collect()
    }
}
