//! Runs both networks of a room's sensors on the shared samples and prints every result word in hex, one sample per line, then the digest.
//!
//! The number of samples is the last word of the command line that the debugger hands over.
#![no_std]
#![no_main]

use certus_firmware::room_replay::{FORECAST_WORDS, OCCUPANCY_WORDS, run_forecast, run_occupancy};
use certus_firmware::{board, entry, hex, replay};
use semihosting::io::{Stdout, Write, stdout};

/// Writes one line and continues the digest.
fn put<const WORDS: usize, const LEN: usize>(
    out: &mut Stdout,
    digest: &mut u64,
    words: &[u32; WORDS],
) -> bool {
    *digest = replay::digest(*digest, words);
    let mut line = [b' '; LEN];
    hex::write(words, &mut line);
    out.write_all(&line).is_ok()
}

#[entry]
fn main() -> ! {
    let Ok(mut out) = stdout() else { board::exit(2) };
    let Some(samples) = hex::last_argument() else { board::exit(3) };
    let (mut digest, mut written) = (replay::DIGEST_START, true);
    let ran = run_occupancy(samples, |_, words| {
        written &= put::<_, { 9 * OCCUPANCY_WORDS }>(&mut out, &mut digest, words);
    });
    let ran = ran.and_then(|()| {
        run_forecast(samples, |_, words| {
            written &= put::<_, { 9 * FORECAST_WORDS }>(&mut out, &mut digest, words);
        })
    });
    if ran.is_err() {
        board::exit(1);
    }
    semihosting::println!("digest {digest:016x}");
    board::exit(if written { 0 } else { 2 })
}
