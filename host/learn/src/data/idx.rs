//! IDX, the format of MNIST: two zeros, a type, the number of axes, their lengths, then numbers; all big-endian.

use super::bytes::{self, Number};
use super::{Array, DataError};
use std::path::Path;

/// Reads an array.
///
/// # Errors
/// [`DataError`] if the file cannot be read or is no IDX file of the length that its header says.
pub fn read(path: &Path) -> Result<Array, DataError> {
    parse(path, &bytes::read(path)?)
}

/// Reads an array from bytes; `path` is for messages.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Array, DataError> {
    let wrong = |what: String| DataError::format(path, what);
    let (&[0, 0, kind, axes], rest) =
        bytes.split_first_chunk::<4>().ok_or_else(|| wrong("shorter than an IDX header".into()))?
    else {
        return Err(wrong("no IDX file: the first two bytes have to be 0".into()));
    };
    let number = match kind {
        0x08 => Number::Unsigned(1),
        0x09 => Number::Signed(1),
        0x0B => Number::Signed(2),
        0x0C => Number::Signed(4),
        0x0D => Number::Float(4),
        0x0E => Number::Float(8),
        other => return Err(wrong(format!("type {other:#04x} at byte 2 is none of IDX's"))),
    };
    let axes = usize::from(axes);
    let (lengths, data) = rest
        .split_at_checked(4 * axes)
        .ok_or_else(|| wrong(format!("the header of {axes} axes is cut off")))?;
    let shape: Vec<usize> =
        lengths.chunks_exact(4).map(|c| c.iter().fold(0, |n, byte| n << 8 | usize::from(*byte))).collect();
    let expected = shape.iter().try_fold(number.size(), |n, len| n.checked_mul(*len));
    if expected != Some(data.len()) {
        let found = data.len();
        return Err(wrong(format!(
            "shape {shape:?} asks for {} bytes of data, there are {found}",
            expected.map_or("too many".into(), |n| n.to_string())
        )));
    }
    Ok(Array { shape, values: number.decode(data, true) })
}
