//! WAV: sounds of plain samples (PCM of 8 to 32 bits, or floating), as arrays `[channels, samples]` in `[−1, 1]`.

use super::bytes::{self, Number};
use super::{Array, DataError};
use std::path::Path;

/// A sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Samples a second.
    pub rate: u32,
    /// `[channels, samples]`.
    pub samples: Array,
}

/// Reads a sound.
///
/// # Errors
/// [`DataError`] if the file cannot be read, is no WAV file or is compressed.
pub fn read(path: &Path) -> Result<Sound, DataError> {
    parse(path, &bytes::read(path)?)
}

/// As [`read`], from bytes; `path` is for messages.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Sound, DataError> {
    let wrong = |what: &str| DataError::format(path, what);
    let u16_at = |b: &[u8], at: usize| b.get(at..at + 2).map(|x| u16::from_le_bytes([x[0], x[1]]));
    let u32_at =
        |b: &[u8], at: usize| b.get(at..at + 4).map(|x| u32::from_le_bytes([x[0], x[1], x[2], x[3]]));
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return Err(wrong("no WAV file: it has to begin with RIFF and WAVE"));
    }
    let (mut rest, mut format) = (&bytes[12..], None);
    while let (Some(name), Some(len)) = (rest.get(..4), u32_at(rest, 4)) {
        let body = &rest[8..];
        // A recorder that was switched off leaves a length that is too large: what is there counts.
        let len = (len as usize).min(body.len());
        match (name, format) {
            (b"fmt ", _) => {
                let chunk = &body[..len];
                let fields = (u16_at(chunk, 0), u16_at(chunk, 2), u32_at(chunk, 4), u16_at(chunk, 14));
                let (Some(mut tag), Some(channels), Some(rate), Some(bits)) = fields else {
                    return Err(wrong("the chunk `fmt ` is cut off"));
                };
                if tag == 0xFFFE {
                    tag = u16_at(chunk, 24).ok_or_else(|| wrong("the extensible chunk `fmt ` is cut off"))?;
                }
                let number = match (tag, bits) {
                    (1, 8) => Number::Unsigned(1),
                    (1, 16 | 24 | 32) => Number::Signed(usize::from(bits) / 8),
                    (3, 32 | 64) => Number::Float(usize::from(bits) / 8),
                    _ => {
                        let what = format!(
                            "samples of format {tag} with {bits} bits; PCM of 8, 16, 24, 32 bits or floats of 32, 64 are read"
                        );
                        return Err(DataError::format(path, what));
                    }
                };
                if channels == 0 {
                    return Err(wrong("a sound of no channels"));
                }
                format = Some((number, usize::from(channels), rate));
            }
            (b"data", Some((number, channels, rate))) => {
                let frame = number.size() * channels;
                let data = &body[..len / frame * frame];
                let values = number.decode(data, false);
                let n = values.len() / channels;
                let scaled = |x: f32| match number {
                    Number::Unsigned(_) => (x - 128.0) / 128.0,
                    Number::Signed(bytes) => x / (1u64 << (8 * bytes - 1)) as f32,
                    Number::Float(_) => x,
                };
                let at = |k: usize| scaled(values[k % n * channels + k / n]);
                let values = if n == 0 { Vec::new() } else { (0..n * channels).map(at).collect() };
                return Ok(Sound { rate, samples: Array { shape: vec![channels, n], values } });
            }
            (b"data", None) => return Err(wrong("the chunk `data` comes before `fmt `")),
            _ => {}
        }
        // Chunks begin at even places.
        rest = body.get(len + len % 2..).unwrap_or_default();
    }
    Err(wrong("no chunk `data`"))
}
