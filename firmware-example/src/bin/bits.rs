//! Runs the shared samples and prints every result word in hex, one sample per line, then the digest.
//!
//! The number of samples is the last word of the command line that the debugger hands over.
#![no_std]
#![no_main]

use certus_firmware::{board, entry, replay, surrogate::Monitor};
use semihosting::experimental::env::args;
use semihosting::io::{Stdout, Write, stdout};
use static_cell::StaticCell;

/// Samples asked for.
fn samples() -> Option<usize> {
    let arguments = args::<128>().ok()?;
    (&arguments).into_iter().last()?.ok()?.parse().ok()
}

const LINE: usize = 9 * replay::WORDS;

fn write_line(out: &mut Stdout, words: &[u32; replay::WORDS]) -> bool {
    let mut line = [b' '; LINE];
    for (slot, word) in line.chunks_exact_mut(9).zip(words) {
        for (digit, shift) in slot.iter_mut().zip((0..8).rev()) {
            *digit = b"0123456789abcdef"[(word >> (4 * shift)) as usize & 15];
        }
    }
    line[LINE - 1] = b'\n';
    out.write_all(&line).is_ok()
}

#[entry]
fn main() -> ! {
    static MONITOR: StaticCell<Monitor> = StaticCell::new();
    let Ok(mut out) = stdout() else { board::exit(2) };
    let Some(samples) = samples() else { board::exit(3) };
    let Ok(monitor) = replay::monitor() else { board::exit(1) };
    let (mut digest, mut written) = (replay::DIGEST_START, true);
    replay::run(MONITOR.init(monitor), samples, |_, words| {
        digest = replay::digest(digest, words);
        written &= write_line(&mut out, words);
    });
    semihosting::println!("digest {digest:016x}");
    board::exit(if written { 0 } else { 2 })
}
