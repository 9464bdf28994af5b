//! Runs the shared samples and prints every result word in hex, one sample per line, then the digest.
//!
//! The number of samples is the last word of the command line that the debugger hands over.
#![no_std]
#![no_main]

use certus_firmware::{board, entry, hex, replay, surrogate::Monitor};
use semihosting::io::{Stdout, Write, stdout};
use static_cell::StaticCell;

fn write_line(out: &mut Stdout, words: &[u32; replay::WORDS]) -> bool {
    let mut line = [b' '; 9 * replay::WORDS];
    hex::write(words, &mut line);
    out.write_all(&line).is_ok()
}

#[entry]
fn main() -> ! {
    static MONITOR: StaticCell<Monitor> = StaticCell::new();
    let Ok(mut out) = stdout() else { board::exit(2) };
    let Some(samples) = hex::last_argument() else { board::exit(3) };
    let Ok(monitor) = replay::monitor() else { board::exit(1) };
    let (mut digest, mut written) = (replay::DIGEST_START, true);
    replay::run(MONITOR.init(monitor), samples, |_, words| {
        digest = replay::digest(digest, words);
        written &= write_line(&mut out, words);
    });
    semihosting::println!("digest {digest:016x}");
    board::exit(if written { 0 } else { 2 })
}
