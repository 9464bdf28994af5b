//! The settings section: what the monitor is asked to certify, and how.

use super::error::ArtifactError;
use super::format::{CLASS_ROWS, SETTINGS_HEADER_LEN, SPEC_ARG_MAX, SPEC_ARG_MIN, SPEC_ROWS, SectionId};
use super::header::Section;
use super::reader::{Reader, to_usize};
use crate::bounds::Method;

/// Which bounds the monitor computes when no certificate answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum LiveBounds {
    /// None: only region certificates count.
    Off = 0,
    /// Interval bounds.
    Ibp = 1,
    /// CROWN rows for the outputs over interval bounds.
    Crown = 2,
    /// CROWN rows for every pre-activation as well.
    CrownFull = 3,
}

impl LiveBounds {
    /// The method to call, or `None` for [`LiveBounds::Off`].
    pub fn method(self) -> Option<Method> {
        match self {
            Self::Off => None,
            Self::Ibp => Some(Method::Ibp),
            Self::Crown => Some(Method::Crown),
            Self::CrownFull => Some(Method::CrownFull),
        }
    }
    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Off,
            1 => Self::Ibp,
            2 => Self::Crown,
            3 => Self::CrownFull,
            _ => return None,
        })
    }
}

/// What has to hold in the whole ball around a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spec<'a> {
    /// The class with the largest output stays the same.
    ArgMax,
    /// The class with the smallest output stays the same.
    ArgMin,
    /// Every row `C·y + d` is positive.
    Rows {
        /// `C`, `[rows, outputs]`, row-major.
        coefficients: &'a [f32],
        /// `d`, `[rows]`.
        constants: &'a [f32],
    },
}

/// Checked settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings<'a> {
    pub(crate) epsilon: &'a [f32],
    pub(crate) spec: Spec<'a>,
    pub(crate) live_bounds: LiveBounds,
}

impl<'a> Settings<'a> {
    pub(super) fn new_checked(
        section: Section<'a>,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, ArtifactError> {
        let short = ArtifactError::SectionLength { id: SectionId::SETTINGS };
        let mut reader = Reader::new(section.payload);
        let kind = reader.u8().ok_or(short)?;
        let method = reader.u8().ok_or(short)?;
        let reserved = reader.u16().ok_or(short)?;
        let rows = to_usize(reader.u32().ok_or(short)?);
        let reserved_end = reader.bytes(8).ok_or(short)?;
        if reserved != 0 {
            return Err(ArtifactError::ReservedNonZero { offset: section.offset.saturating_add(2) });
        }
        if reserved_end.iter().any(|byte| *byte != 0) {
            return Err(ArtifactError::ReservedNonZero {
                offset: section.offset.saturating_add(SETTINGS_HEADER_LEN - 8),
            });
        }
        let live_bounds = LiveBounds::from_code(method).ok_or(ArtifactError::LiveBounds { found: method })?;
        let epsilon = reader.f32s(inputs).ok_or(short)?;
        if let Some(feature) = epsilon.iter().position(|e| !(e.is_finite() && *e >= 0.0)) {
            return Err(ArtifactError::Epsilon { feature });
        }
        // A class is a `u16`, and the largest value stands for rows.
        let classes = (2..=usize::from(CLASS_ROWS)).contains(&outputs);
        let spec = match (kind, rows) {
            (SPEC_ARG_MAX, 0) if classes => Spec::ArgMax,
            (SPEC_ARG_MIN, 0) if classes => Spec::ArgMin,
            (SPEC_ROWS, 1..) => {
                let coefficients = reader.f32s(rows.checked_mul(outputs).ok_or(short)?).ok_or(short)?;
                let constants = reader.f32s(rows).ok_or(short)?;
                Self::check_rows(coefficients, constants, outputs)?;
                Spec::Rows { coefficients, constants }
            }
            _ => return Err(ArtifactError::Spec),
        };
        if !reader.is_empty() {
            return Err(short);
        }
        Ok(Self { epsilon, spec, live_bounds })
    }

    fn check_rows(coefficients: &[f32], constants: &[f32], outputs: usize) -> Result<(), ArtifactError> {
        let finite = |row: &[f32]| row.iter().all(|c| c.is_finite());
        let mut rows = coefficients.chunks_exact(outputs.max(1)).zip(constants);
        match rows.position(|(row, constant)| !(finite(row) && constant.is_finite())) {
            Some(row) => Err(ArtifactError::SpecRow { row }),
            None => Ok(()),
        }
    }
}
