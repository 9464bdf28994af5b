//! CROWN on one box beside its GEMM floor: `cargo bench -p certus-engine [-- NET.onnx PROPERTY.vnnlib]`.
//!
//! The floor is the time of the same packed products alone, for the rows that the reference mode propagates: two per hidden neuron
//! of every layer after the first, and one per row of the spec. Without arguments a random network of the shape of ACAS Xu is bounded.
//! With `--passes N` only N passes of each mode run, for counting instructions.

use certus_engine::bounds::crown::{Bounds, Mode, Region, Scratch, bound};
use certus_engine::bounds::{Net, Spec};
use certus_engine::{Chain, OwnedAffine, OwnedLayer, graph, property};
use certus_kernels::padded_lanes;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

/// Repetitions of which the median is reported.
const RUNS: usize = 31;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let passes = args.iter().position(|a| a == "--passes").map(|i| args[i + 1].parse().expect("a number"));
    let (name, chain, lower, upper) = match args.first().filter(|a| !a.starts_with("--")) {
        Some(net) => {
            let chain = graph::load_chain(Path::new(net)).expect("the network loads");
            let property = property::load_property(Path::new(&args[1])).expect("the property loads");
            let region = property.cases[0].region.clone();
            (net.clone(), chain, region.lower, region.upper)
        }
        None => ("random 5-6x50-5".to_owned(), random_chain(), vec![-0.1; 5], vec![0.1; 5]),
    };
    let net = Net::new(&chain);
    let spec = net.output_spec();
    let (lower, upper): (Vec<f32>, Vec<f32>) =
        (lower.iter().map(|x| *x as f32).collect(), upper.iter().map(|x| *x as f32).collect());
    let region = Region { lower: &lower, upper: &upper };
    let (mut scratch, mut out) = (Scratch::default(), Bounds::default());
    if let Some(passes) = passes {
        for _ in 0..passes {
            bound(&net, &spec, region, &[], Mode::Reference, &mut scratch, &mut out);
        }
        println!("{name}: {passes} passes, first row {}", out.rows[0]);
        return;
    }
    let mut time = |mode: Mode| {
        median(|| {
            black_box(bound(&net, &spec, region, &[], mode, &mut scratch, &mut out));
        })
    };
    let (reference, default) = (time(Mode::Reference), time(Mode::Default));
    let floor = floor(&net, &spec);
    println!("crown/{name}   [1 thread, median of {RUNS}]");
    println!("  reference mode  {:9.1} us   {:5.2} x the GEMM floor", 1e6 * reference, reference / floor);
    println!("  default mode    {:9.1} us", 1e6 * default);
    println!("  GEMM floor      {:9.1} us", 1e6 * floor);
}

fn median(mut body: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            (0..20).for_each(|_| body());
            start.elapsed().as_secs_f64() / 20.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

/// Time of the products of a reference pass alone.
fn floor(net: &Net, spec: &Spec) -> f64 {
    let mut jobs = Vec::new();
    for (k, layer) in net.hidden.iter().enumerate().skip(1) {
        let mut rows = 2 * layer.rows;
        while rows > 0 {
            let block = rows.min(128);
            jobs.extend((0..k).map(|below| (below, padded_lanes(block))));
            rows -= block;
        }
    }
    jobs.extend((0..net.hidden.len()).map(|below| (below, padded_lanes(spec.rows))));
    let size = net.width() * 128;
    let (a, mut next) = (vec![0.5f32; size], vec![0.0f32; size]);
    median(|| {
        for (layer, lanes) in &jobs {
            net.hidden[*layer].backward.product(None, &a, *lanes, &mut next);
        }
        black_box(&next);
    })
}

fn random_chain() -> Chain {
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let widths = [5usize, 50, 50, 50, 50, 50, 50, 5];
    let layers = widths
        .windows(2)
        .enumerate()
        .map(|(i, p)| {
            let (cols, rows) = (p[0], p[1]);
            let scale = (2.0 / cols as f32).sqrt();
            let weights = (0..rows * cols).map(|_| scale * random()).collect();
            let bias = (0..rows).map(|_| 0.1 * random()).collect();
            OwnedLayer { affine: OwnedAffine::Dense { rows, cols, weights, bias }, relu: i < 6 }
        })
        .collect();
    Chain::new(layers).expect("a network")
}
