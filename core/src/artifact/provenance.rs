//! The provenance section: UTF-8 lines `key=value\n`, keys ascending.

use super::error::ArtifactError;
use super::header::Section;

/// The text, if every line is `key=value`, free of control characters, and keys ascend.
pub(super) fn checked(section: Section<'_>) -> Result<&str, ArtifactError> {
    let text = core::str::from_utf8(section.payload).map_err(|_| ArtifactError::Provenance)?;
    if !text.ends_with('\n') {
        return Err(ArtifactError::Provenance);
    }
    let mut last: Option<&str> = None;
    for line in lines(text) {
        let (key, _) = split_once(line, b'=').ok_or(ArtifactError::Provenance)?;
        if key.is_empty() || last >= Some(key) || line.chars().any(char::is_control) {
            return Err(ArtifactError::Provenance);
        }
        last = Some(key);
    }
    Ok(text)
}

/// Key and value of each line.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    lines(text).filter_map(|line| split_once(line, b'='))
}

/// The lines that end in a newline.
fn lines(mut text: &str) -> impl Iterator<Item = &str> {
    core::iter::from_fn(move || {
        let (line, rest) = split_once(text, b'\n')?;
        text = rest;
        Some(line)
    })
}

/// What stands before and after the first `byte`, which is ASCII. (Searches of `str` for a `char` keep a
/// panic path in some builds.)
fn split_once(text: &str, byte: u8) -> Option<(&str, &str)> {
    let (before, rest) = text.split_at_checked(text.bytes().position(|b| b == byte)?)?;
    Some((before, rest.get(1..)?))
}
