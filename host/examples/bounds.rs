//! Bounds of a network's outputs on a box, three ways: `cargo run --release --example bounds -- NET.onnx 0.02`.

use std::path::Path;

use certus::engine::bounds::program::{
    Climb, Domain, Prepared, Region, Settings, Spec, Stop, bound, climb, interval_margin,
};
use certus::engine::graph;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().unwrap_or_else(|| "assets/surrogate.onnx".into());
    let epsilon: f32 = args.next().map_or(Ok(0.02), |e| e.parse())?;
    let program = graph::load_program(Path::new(&path))?;
    let net = Prepared::new(&program);
    let (lower, upper) = (vec![-epsilon; net.inputs()], vec![epsilon; net.inputs()]);
    let region = Region { lower: &lower, upper: &upper };
    // One row per output: the output itself, from below.
    let outputs = net.outputs();
    let mut weights = vec![0.0; outputs * outputs];
    (0..outputs).for_each(|i| weights[i * outputs + i] = 1.0);
    let spec = Spec { weights, bias: vec![0.0; outputs] };
    let (settings, slopes) = (Settings::default(), Climb { stop_when_positive: false, ..Climb::default() });
    let interval = interval_margin(&net, region, &spec)?.rows;
    let crown = bound(&net, region, &spec, &settings, Stop::default())?.rows;
    let alpha = climb(&net, Domain { region, clips: &[] }, &spec, &settings, &slopes, Stop::default())?.rows;
    println!("{:>6} {:>14} {:>14} {:>14}", "output", "intervals", "CROWN", "α-CROWN");
    for i in 0..outputs {
        println!("{i:>6} {:>14.6} {:>14.6} {:>14.6}", interval[i], crown[i], alpha[i]);
    }
    Ok(())
}
