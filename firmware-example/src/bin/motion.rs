//! Runs the motion network over its recorded stream and prints every result word in hex, one window per line, then the
//! digest.
//!
//! The number of windows is the last word of the command line that the debugger hands over.
#![no_std]
#![no_main]

use certus_core::program::Place;
use certus_firmware::motion::{MEMORY, SLOTS};
use certus_firmware::{MOTION_STREAM, board, entry, hex, motion_replay, replay};
use semihosting::io::{Write, stdout};
use static_cell::ConstStaticCell;

#[entry]
fn main() -> ! {
    // Taken where it lies: it never passes through the stack.
    static MEMORY_CELL: ConstStaticCell<[f32; MEMORY]> = ConstStaticCell::new([0.0; MEMORY]);
    let Ok(mut out) = stdout() else { board::exit(2) };
    let Some(count) = hex::last_argument() else { board::exit(3) };
    let Ok(tables) = motion_replay::view().and_then(|view| motion_replay::tables(&view)) else {
        board::exit(1)
    };
    let mut places = [Place::default(); SLOTS];
    let Ok(mut monitor) = motion_replay::monitor(&tables, &mut places, MEMORY_CELL.take()) else {
        board::exit(1)
    };
    let (mut digest, mut written) = (replay::DIGEST_START, true);
    motion_replay::run(&mut monitor, MOTION_STREAM, count, |_, words| {
        digest = replay::digest(digest, words);
        let mut line = [b' '; 9 * motion_replay::WORDS];
        hex::write(words, &mut line);
        written &= out.write_all(&line).is_ok();
    });
    semihosting::println!("digest {digest:016x}");
    board::exit(if written { 0 } else { 2 })
}
