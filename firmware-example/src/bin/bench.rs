//! Prints instructions and stack bytes of each stage, one `name value` line each.
//!
//! The sample is a recorded state; the stages of one step are also run apart, on the same box. Bounds over
//! the whole input range, where nearly every neuron is unstable and nothing is skipped, come close to the
//! worst case, whose operations are printed beside them.
#![no_std]
#![no_main]

use core::hint::black_box;

use certus_core::bounds::{self, Method};
use certus_core::monitor::worst_case_ops;
use certus_core::{ArtifactView, Layer, Network, infer};
use certus_firmware::surrogate::{self, BYTES, INPUTS, LAYERS, OUTPUTS};
use certus_firmware::{TRAJECTORY, board, entry};
use semihosting::println;
use static_cell::StaticCell;

/// Floats that CROWN needs on the embedded network; the run says if that is too few.
const BOUNDS_MEMORY: usize = 2048;

/// Runs `work` twice: once counted, once over painted stack.
fn report(counter: &board::Counter, name: &str, mut work: impl FnMut()) {
    let instructions = counter.instructions_of(&mut work);
    println!("{name}.instructions {instructions}");
    println!("{name}.stack_bytes {}", board::stack_bytes_of(work));
}

/// Bounds every row `output of class − output j` on the box.
fn bound_rows(
    network: &Network<'_>,
    lower: &[f32],
    upper: &[f32],
    method: Method,
    memory: &mut [f32],
) -> bool {
    let mut proved = bounds::prepare(network, lower, upper, method, memory).is_ok();
    for other in 1..OUTPUTS {
        let mut row = [0.0; OUTPUTS];
        row[0] = 1.0;
        row[other] = -1.0;
        proved &= bounds::row_lower(network, method, &row, memory).is_ok();
    }
    proved
}

fn stages(
    counter: &board::Counter,
    network: &Network<'_>,
    view: &ArtifactView<'_>,
    memory: &mut [f32],
) -> bool {
    let sample = black_box(&TRAJECTORY[0]);
    let mut output = [0.0; OUTPUTS];
    let mut ok = true;
    report(counter, "inference", || ok &= infer::forward(network, sample, memory, &mut output).is_ok());
    let (mut lower, mut upper) = ([0.0; INPUTS], [0.0; INPUTS]);
    for (i, x) in sample.iter().enumerate() {
        lower[i] = x - view.epsilon()[i];
        upper[i] = x + view.epsilon()[i];
    }
    for (name, method) in [("ibp", Method::Ibp), ("crown", Method::Crown), ("crown_full", Method::CrownFull)]
    {
        report(counter, name, || ok &= bound_rows(network, &lower, &upper, method, memory));
    }
    report(counter, "crown_full_whole_range", || {
        ok &= bound_rows(network, view.range_lower(), view.range_upper(), Method::CrownFull, memory);
    });
    ok
}

/// Prints the most expensive step of the recorded encounter and what the shapes allow at most.
fn whole_steps(counter: &board::Counter, monitor: &mut surrogate::Monitor) {
    let steps = TRAJECTORY
        .iter()
        .map(|sample| counter.instructions_of(|| _ = black_box(monitor.step(black_box(sample)))));
    println!("step_most.instructions {}", steps.max().unwrap_or(0));
    let worst = worst_case_ops(monitor.view());
    for (stage, ops) in [("inference", worst.inference), ("bounds", worst.bounds), ("step", worst.total())] {
        println!("{stage}.worst_case_multiply_adds {}", ops.multiply_adds);
        println!("{stage}.worst_case_elements {}", ops.elements);
    }
}

#[entry]
fn main() -> ! {
    static MONITOR: StaticCell<surrogate::Monitor> = StaticCell::new();
    static MEMORY: StaticCell<[f32; BOUNDS_MEMORY]> = StaticCell::new();
    let counter = board::Counter::new();
    let Ok(view) = ArtifactView::new_checked(BYTES) else { board::exit(1) };
    report(&counter, "load", || _ = black_box(ArtifactView::new_checked(black_box(BYTES))));

    let mut layers = view.layers();
    let layers: [Option<Layer<'_>>; LAYERS] = core::array::from_fn(|_| layers.next());
    let layers = layers.map(|layer| layer.unwrap_or_else(|| board::exit(1)));
    let Ok(network) = Network::new(&layers) else { board::exit(1) };
    if !stages(&counter, &network, &view, MEMORY.init([0.0; BOUNDS_MEMORY])) {
        board::exit(2);
    }

    let Ok(monitor) = surrogate::Monitor::new(view) else { board::exit(1) };
    let monitor = MONITOR.init(monitor);
    report(&counter, "step", || _ = black_box(monitor.step(black_box(&TRAJECTORY[0]))));
    let outside = [f32::MAX; INPUTS];
    report(&counter, "step_out_of_range", || _ = black_box(monitor.step(black_box(&outside))));
    whole_steps(&counter, monitor);
    println!("monitor.bytes {}", size_of::<surrogate::Monitor>());
    board::exit(0)
}
