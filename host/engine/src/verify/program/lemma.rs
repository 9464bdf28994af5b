//! The bytes of a lemma, as far as the search looks into them.

use super::checker::Desk;
use super::tree::{FORMS, LemmaBytes};
use crate::search::Bytes;

/// Entries of this mode state bounds by cases.
const CASES: u8 = 5;

/// Reads a lemma after the step's first byte to its end, telling `mode` of each entry; returns its bytes.
pub fn read<'b>(bytes: &mut Bytes<'b>, desk: &Desk<'_>, mut mode: impl FnMut(u8)) -> Option<&'b [u8]> {
    let from = bytes.rest;
    let ([default], count) = (bytes.array()?, bytes.u16()?);
    // Of affine forms, the number is that of symbols, and there are no entries.
    for _ in 0..if default == FORMS { 0 } else { count } {
        let (slot, [kind]) = (bytes.u32()? as usize, bytes.array()?);
        mode(kind);
        let both = desk.slopes_of(slot).checked_mul(2)?;
        let length = match kind {
            0 | 1 => 0,
            2 => both,
            3 | 4 => both.checked_add(4)?.checked_mul(bytes.u32()? as usize)?,
            CASES => {
                let (count, length) = (bytes.u32()? as usize, bytes.u32()? as usize);
                count.checked_mul(12)?.checked_add(length)?
            }
            _ => return None,
        };
        bytes.take(length)?;
    }
    from.get(..from.len() - bytes.rest.len())
}

/// Whether a lemma states bounds by cases.
pub fn is_refined(lemma: &LemmaBytes, desk: &Desk<'_>) -> bool {
    let mut found = false;
    let whole = read(&mut Bytes::new(lemma), desk, |mode| found |= mode == CASES);
    found && whole.is_some()
}
