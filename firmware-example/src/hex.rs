//! Result words as text, and the count that the debugger hands over.

use semihosting::experimental::env::args;

/// The last word of the command line, as a number.
pub fn last_argument() -> Option<usize> {
    let arguments = args::<128>().ok()?;
    (&arguments).into_iter().last()?.ok()?.parse().ok()
}

/// Writes each word as 8 hex digits and a space, the last space a line feed. `line` has 9 bytes for each word.
pub fn write(words: &[u32], line: &mut [u8]) {
    for (slot, word) in line.chunks_exact_mut(9).zip(words) {
        for (digit, shift) in slot.iter_mut().zip((0..8).rev()) {
            *digit = b"0123456789abcdef"[(word >> (4 * shift)) as usize & 15];
        }
    }
    if let Some(last) = line.last_mut() {
        *last = b'\n';
    }
}
