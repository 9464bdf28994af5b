//! The monitor over a recorded encounter: every decision is logged through defmt.
#![no_std]
#![no_main]

use certus_core::{ArtifactView, Status};
use certus_firmware::{TRAJECTORY, board, entry, surrogate};
use static_cell::StaticCell;

#[entry]
fn main() -> ! {
    static MONITOR: StaticCell<surrogate::Monitor> = StaticCell::new();
    // The artifact lies in flash and is checked once; from here on nothing of it can fail.
    let view = match ArtifactView::new_checked(surrogate::BYTES) {
        Ok(view) => view,
        Err(error) => {
            defmt::error!("artifact refused: {}", error);
            board::exit(1)
        }
    };
    let monitor = match surrogate::Monitor::new(view) {
        Ok(monitor) => MONITOR.init(monitor),
        Err(error) => {
            defmt::error!("no monitor: {}", error);
            board::exit(1)
        }
    };
    let mut certified = 0;
    for (time, sample) in TRAJECTORY.iter().enumerate() {
        let decision = monitor.step(sample);
        certified += usize::from(matches!(decision.status, Status::Certified { .. }));
        defmt::info!("step {} range {} m: {}", time, sample[0], decision);
    }
    defmt::info!("{} of {} steps certified", certified, TRAJECTORY.len());
    board::exit(0)
}
