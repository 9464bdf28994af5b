//! Runs the shared samples and prints every result word in hex, one sample per line, then the digest.
#![no_std]
#![no_main]

use certus_firmware::{board, entry, replay};
use semihosting::io::{Stdout, Write, stdout};

const LINE: usize = 9 * replay::WORDS;

fn write_line(out: &mut Stdout, words: &[u32]) -> bool {
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
    let Ok(mut out) = stdout() else { board::exit(2) };
    let (mut digest, mut written) = (replay::DIGEST_START, true);
    let outcome = replay::run(|_, words| {
        digest = replay::digest(digest, words);
        written &= write_line(&mut out, words);
    });
    if outcome.is_err() || !written {
        board::exit(1);
    }
    semihosting::println!("digest {digest:016x}");
    board::exit(0)
}
