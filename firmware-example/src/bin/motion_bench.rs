//! Prints instructions and stack bytes of each stage of the motion network, one `name value` line each.
//!
//! The stages of one step run on the first full window of the recorded stream and the ball around it.
#![no_std]
#![no_main]

use core::hint::black_box;

use certus_core::artifact::ProgramView;
use certus_core::bounds::{Method, program as bounds};
use certus_core::monitor::{Order, Window, program_worst_case_ops};
use certus_core::program::{Place, Planned, Program, forward};
use certus_firmware::motion::{BYTES, INPUTS, MEMORY, OUTPUTS, SLOTS};
use certus_firmware::{MOTION_STREAM, board, entry, motion_replay};
use semihosting::println;
use static_cell::ConstStaticCell;

/// Runs `work` twice: once counted, once over painted stack.
fn report(counter: &board::Counter, name: &str, mut work: impl FnMut()) {
    let instructions = counter.instructions_of(&mut work);
    println!("motion_{name}.instructions {instructions}");
    println!("motion_{name}.stack_bytes {}", board::stack_bytes_of(work));
}

/// Bounds every row `output 0 − output j` on the box.
fn bound_rows(
    planned: &Planned<'_>,
    lower: &[f32],
    upper: &[f32],
    method: Method,
    memory: &mut [f32],
) -> bool {
    let mut proved = bounds::prepare(planned, lower, upper, method, memory).is_ok();
    for other in 1..OUTPUTS {
        let mut row = [0.0; OUTPUTS];
        row[0] = 1.0;
        row[other] = -1.0;
        proved &= bounds::row_lower(planned, method, &row, memory).is_ok();
    }
    proved
}

fn first_window() -> [f32; INPUTS] {
    let mut values = [0.0; INPUTS];
    if let Some(mut window) = Window::<INPUTS>::new(motion_replay::CHANNELS, Order::ChannelMajor) {
        for sample in MOTION_STREAM {
            if let Some(full) = window.push(sample) {
                values.copy_from_slice(full);
                break;
            }
        }
    }
    values
}

#[entry]
fn main() -> ! {
    static MEMORY_CELL: ConstStaticCell<[f32; MEMORY]> = ConstStaticCell::new([0.0; MEMORY]);
    let memory = MEMORY_CELL.take();
    let counter = board::Counter::new();
    let Ok(view) = motion_replay::view() else { board::exit(1) };
    report(&counter, "load", || _ = black_box(ProgramView::new_checked(black_box(BYTES))));
    let Ok(tables) = motion_replay::tables(&view) else { board::exit(1) };
    let mut places = [Place::default(); SLOTS];
    let sample = first_window();
    let mut ok = true;
    {
        let Ok(program) = Program::new(INPUTS, &tables.0, &tables.1) else { board::exit(1) };
        let Ok(planned) = Planned::new(program, &mut places, memory) else { board::exit(1) };
        let mut output = [0.0; OUTPUTS];
        report(&counter, "inference", || {
            ok &= forward::forward(&planned, black_box(&sample), memory, &mut output).is_ok();
        });
        let (mut lower, mut upper) = (sample, sample);
        for (i, epsilon) in view.epsilon().iter().enumerate() {
            lower[i] -= epsilon;
            upper[i] += epsilon;
        }
        for (name, method) in [("ibp", Method::Ibp), ("crown", Method::Crown)] {
            report(&counter, name, || ok &= bound_rows(&planned, &lower, &upper, method, memory));
        }
        let worst = program_worst_case_ops(&view, &planned);
        for (stage, ops) in
            [("inference", worst.inference), ("bounds", worst.bounds), ("step", worst.total())]
        {
            println!("motion_{stage}.worst_case_multiply_adds {}", ops.multiply_adds);
            println!("motion_{stage}.worst_case_elements {}", ops.elements);
        }
    }
    let Ok(mut monitor) = motion_replay::monitor(&tables, &mut places, memory) else { board::exit(1) };
    report(&counter, "step", || _ = black_box(monitor.step(black_box(&sample))));
    println!("motion_memory.bytes {}", 4 * MEMORY);
    board::exit(if ok { 0 } else { 2 })
}
