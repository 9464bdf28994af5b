//! NPY and NPZ, NumPy's formats: a header that names type, order and shape; NPZ is an archive of such files.
//!
//! Source: `numpy.lib.format`, versions 1 to 3.

use super::bytes::{self, Number};
use super::{Array, DataError};
use std::io::Read;
use std::path::Path;

/// Most bytes of an array in an archive.
const LIMIT: u64 = 8 << 30;

/// Reads an NPY file.
///
/// # Errors
/// [`DataError`] if the file cannot be read, is none or holds no numbers.
pub fn read(path: &Path) -> Result<Array, DataError> {
    parse(path, &bytes::read(path)?)
}

/// Reads the array `name` of an NPZ file; without a name the only one.
///
/// # Errors
/// [`DataError`] if the file cannot be read, is no archive or has no such array; the message lists those it has.
pub fn read_archive(path: &Path, name: Option<&str>) -> Result<Array, DataError> {
    parse_archive(path, &bytes::read(path)?, name)
}

/// As [`read_archive`], from bytes; `path` is for messages.
///
/// # Errors
/// As [`read_archive`].
pub fn parse_archive(path: &Path, bytes: &[u8], name: Option<&str>) -> Result<Array, DataError> {
    let wrong = |e: zip::result::ZipError| DataError::format(path, format!("no NPZ archive: {e}"));
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(wrong)?;
    let names: Vec<String> = archive.file_names().map(|n| n.trim_end_matches(".npy").to_owned()).collect();
    let at = match name {
        Some(name) => names.iter().position(|n| n == name),
        None => (names.len() == 1).then_some(0),
    };
    let at = at.ok_or_else(|| {
        let asked = name.map_or("name one array".into(), |n| format!("no array `{n}`"));
        DataError::format(path, format!("{asked}; there are: {}", names.join(", ")))
    })?;
    let full = archive.file_names().nth(at).expect("the name is from the list").to_owned();
    let file = archive.by_name(&full).map_err(wrong)?;
    let mut data = Vec::new();
    file.take(LIMIT + 1)
        .read_to_end(&mut data)
        .map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    if data.len() as u64 > LIMIT {
        return Err(DataError::Large { path: path.to_owned(), limit: LIMIT });
    }
    parse(path, &data)
}

/// Reads an array from the bytes of an NPY file; `path` is for messages.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Array, DataError> {
    let wrong = |what: String| DataError::format(path, what);
    let cut = || wrong("the NPY header is cut off".into());
    let rest = bytes
        .strip_prefix(b"\x93NUMPY")
        .ok_or_else(|| wrong("no NPY file: it has to begin with \\x93NUMPY".into()))?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
    let (len, rest) = match version[0] {
        1 => {
            let (n, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
            (usize::from(u16::from_le_bytes(*n)), rest)
        }
        2 | 3 => {
            let (n, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
            (u32::from_le_bytes(*n) as usize, rest)
        }
        other => return Err(wrong(format!("NPY version {other}; 1 to 3 are read"))),
    };
    let (header, data) = rest.split_at_checked(len).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).map_err(|_| wrong("the NPY header is no text".into()))?;
    let descr = value(header, "descr").ok_or_else(|| wrong("the NPY header has no `descr`".into()))?;
    let (number, big) = number(descr.trim_matches(['\'', '"']))
        .ok_or_else(|| wrong(format!("type {descr}; numbers of 1 to 8 bytes and booleans are read")))?;
    let shape = shape(header).ok_or_else(|| wrong("the NPY header has no `shape` of numbers".into()))?;
    let columns_first = value(header, "fortran_order").is_some_and(|v| v.starts_with("True"));
    let expected = shape.iter().try_fold(number.size(), |n, len| n.checked_mul(*len));
    if expected != Some(data.len()) {
        let asked = expected.map_or("too many".into(), |n| n.to_string());
        return Err(wrong(format!(
            "shape {shape:?} asks for {asked} bytes of data, there are {}",
            data.len()
        )));
    }
    let values = number.decode(data, big);
    let values = if columns_first { rows_first(&values, &shape) } else { values };
    Ok(Array { shape, values })
}

/// What follows `'key':` in the header, to its end.
fn value<'h>(header: &'h str, key: &str) -> Option<&'h str> {
    let quoted = [format!("'{key}'"), format!("\"{key}\"")];
    let at = quoted.iter().find_map(|q| header.find(q.as_str()).map(|at| at + q.len()))?;
    let rest = header.get(at..)?.trim_start().strip_prefix(':')?.trim_start();
    let end = match rest.chars().next()? {
        quote @ ('\'' | '"') => rest.get(1..)?.find(quote)? + 2,
        '(' => rest.find(')')? + 1,
        _ => rest.find([',', '}']).unwrap_or(rest.len()),
    };
    rest.get(..end)
}

fn number(descr: &str) -> Option<(Number, bool)> {
    let (order, kind) = match descr.chars().next()? {
        order @ ('<' | '>' | '|' | '=') => (order, descr.get(1..)?),
        _ => ('|', descr),
    };
    let number = match kind {
        "b1" | "?" => Number::Unsigned(1),
        "u1" | "u2" | "u4" | "u8" => Number::Unsigned(kind[1..].parse().ok()?),
        "i1" | "i2" | "i4" | "i8" => Number::Signed(kind[1..].parse().ok()?),
        "f4" | "f8" => Number::Float(kind[1..].parse().ok()?),
        _ => return None,
    };
    Some((number, order == '>'))
}

fn shape(header: &str) -> Option<Vec<usize>> {
    let inside = value(header, "shape")?.strip_prefix('(')?.strip_suffix(')')?;
    inside.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|s| s.parse().ok()).collect()
}

/// The elements of an array whose first axis is contiguous, with the last axis contiguous.
fn rows_first(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let mut strides = vec![1usize; shape.len()];
    for k in 1..shape.len() {
        strides[k] = strides[k - 1] * shape[k - 1];
    }
    (0..values.len())
        .map(|at| {
            let (mut rest, mut from) = (at, 0);
            for (len, stride) in shape.iter().zip(&strides).rev() {
                from += rest % len * stride;
                rest /= len;
            }
            values[from]
        })
        .collect()
}
