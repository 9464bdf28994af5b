//! Runs the network on a few samples and logs the outputs through defmt.
#![no_std]
#![no_main]

use certus_firmware::{board, entry, model, samples::Samples};

#[entry]
fn main() -> ! {
    let mut samples = Samples::new(1);
    let (lower, upper) = ([-1.0; model::INPUTS], [1.0; model::INPUTS]);
    let (mut x, mut y) = ([0.0; model::INPUTS], [0.0; model::OUTPUTS]);
    for _ in 0..8 {
        samples.draw(&lower, &upper, &mut x);
        if model::run(&x, &mut y).is_err() {
            defmt::error!("the network does not fit its buffers");
            board::exit(1);
        }
        defmt::info!("{} -> {}", x, y);
    }
    board::exit(0)
}
