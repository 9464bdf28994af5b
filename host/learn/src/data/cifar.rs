//! The binary version of CIFAR: records of one label (CIFAR-100: two) and 3,072 bytes of an image `[3, 32, 32]`.

use super::{Array, DataError, bytes};
use std::path::Path;

const IMAGE: usize = 3 * 32 * 32;

/// Images `[n, 3, 32, 32]`, 0 to 255, and labels `[n]`. With `labels` 2 the second one, the fine label of CIFAR-100, is taken.
///
/// # Errors
/// [`DataError`] if the file cannot be read or does not divide into records.
pub fn read(path: &Path, labels: usize) -> Result<(Array, Array), DataError> {
    parse(path, &bytes::read(path)?, labels)
}

/// As [`read`], from bytes; `path` is for messages.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, bytes: &[u8], labels: usize) -> Result<(Array, Array), DataError> {
    let record = labels.clamp(1, 2) + IMAGE;
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        let what =
            format!("{} bytes do not divide into records of {record}: no binary CIFAR file", bytes.len());
        return Err(DataError::format(path, what));
    }
    let n = bytes.len() / record;
    let (mut images, mut found) = (Vec::with_capacity(n * IMAGE), Vec::with_capacity(n));
    for record in bytes.chunks_exact(record) {
        let (head, image) = record.split_at(record.len() - IMAGE);
        found.push(f32::from(head[head.len() - 1]));
        images.extend(image.iter().map(|b| f32::from(*b)));
    }
    Ok((Array { shape: vec![n, 3, 32, 32], values: images }, Array { shape: vec![n], values: found }))
}
