//! The monitor over recorded samples: every decision is logged through defmt.
#![no_std]
#![no_main]

use certus_core::monitor::MonitorRef;
use certus_core::{ArtifactView, Layer, Status};
use certus_firmware::surrogate::{BYTES, LAYERS, MEMORY, OUTPUTS};
use certus_firmware::{TRAJECTORY, board, entry};
use static_cell::ConstStaticCell;

#[entry]
fn main() -> ! {
    // Taken where it lies: a monitor of many inputs is too large for the stack (`surrogate::Monitor` owns the same memory).
    static MEMORY_CELL: ConstStaticCell<[f32; MEMORY]> = ConstStaticCell::new([0.0; MEMORY]);
    // The artifact lies in flash and is checked once; from here on nothing of it can fail.
    let view = match ArtifactView::new_checked(BYTES) {
        Ok(view) => view,
        Err(error) => {
            defmt::error!("artifact refused: {}", error);
            board::exit(1)
        }
    };
    let mut layers = view.layers();
    let Some(first) = layers.next() else { board::exit(1) };
    let mut table: [Layer<'_>; LAYERS] = [first; LAYERS];
    table.iter_mut().skip(1).zip(layers).for_each(|(place, layer)| *place = layer);
    let mut monitor = match MonitorRef::new(view, &table, MEMORY_CELL.take()) {
        Ok(monitor) => monitor,
        Err(error) => {
            defmt::error!("no monitor: {}", error);
            board::exit(1)
        }
    };
    let mut certified = 0;
    let (mut lower, mut upper) = ([0.0; OUTPUTS], [0.0; OUTPUTS]);
    for (number, sample) in TRAJECTORY.iter().enumerate() {
        let decision = monitor.step(sample);
        certified += usize::from(matches!(decision.status, Status::Certified { .. }));
        defmt::info!("sample {}: {}", number, decision);
        // A single output is a number, not a class: its answer is an interval.
        if OUTPUTS == 1 && monitor.output_bounds(&mut lower, &mut upper).is_ok() {
            defmt::info!("    output {} in {} to {}", monitor.outputs(), lower, upper);
        }
    }
    defmt::info!("{} of {} samples certified", certified, TRAJECTORY.len());
    board::exit(0)
}
