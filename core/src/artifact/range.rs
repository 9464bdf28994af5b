//! The range section: the inputs that the monitor accepts, `lower` then `upper`.

use super::error::ArtifactError;
use super::format::SectionId;
use super::header::Section;
use super::reader::Reader;

/// Lower and upper ends per feature, each pair finite and ordered.
pub(super) fn checked(section: Section<'_>, inputs: usize) -> Result<(&[f32], &[f32]), ArtifactError> {
    let short = ArtifactError::SectionLength { id: SectionId::RANGE };
    let mut reader = Reader::new(section.payload);
    let lower = reader.f32s(inputs).ok_or(short)?;
    let upper = reader.f32s(inputs).ok_or(short)?;
    if !reader.is_empty() {
        return Err(short);
    }
    let ordered = |(l, u): (&f32, &f32)| l.is_finite() && u.is_finite() && l <= u;
    match lower.iter().zip(upper).position(|pair| !ordered(pair)) {
        Some(feature) => Err(ArtifactError::Range { feature }),
        None => Ok((lower, upper)),
    }
}
