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
    for line in text.split_terminator('\n') {
        let (key, _) = line.split_once('=').ok_or(ArtifactError::Provenance)?;
        if key.is_empty() || last >= Some(key) || line.chars().any(char::is_control) {
            return Err(ArtifactError::Provenance);
        }
        last = Some(key);
    }
    Ok(text)
}

/// Key and value of each line.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split_terminator('\n').filter_map(|line| line.split_once('='))
}
