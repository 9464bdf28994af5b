//! Prints instructions and stack bytes of each stage, one `name value` line each.
#![no_std]
#![no_main]

use core::hint::black_box;

use certus_firmware::{board, entry, model};
use semihosting::println;

#[entry]
fn main() -> ! {
    let counter = board::Counter::new();
    let (x, mut y) = ([0.25; model::INPUTS], [0.0; model::OUTPUTS]);
    println!(
        "inference.instructions {}",
        counter.instructions_of(|| _ = black_box(model::run(black_box(&x), &mut y)))
    );
    println!(
        "inference.stack_bytes {}",
        board::stack_bytes_of(|| _ = black_box(model::run(black_box(&x), &mut y)))
    );
    board::exit(0)
}
