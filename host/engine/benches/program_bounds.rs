//! CROWN and joint α-CROWN of programs beside auto_LiRPA's recorded times:
//! `CERTUS_DATA=… cargo bench -p certus-engine --bench program_bounds [-- CASE]`.
//!
//! The rival's figures are those of a quiet machine with two AVX-512 cores (golden/verification, spec 1.2); ours are the least of
//! several runs, wall time, so run it on a quiet machine too. The kernel's rate is what the products alone reach on a
//! layer of 256 × 256 with one block of lanes. `oval_base` stands with another image than the rival's (its file is not in the data).

use certus_engine::bounds::program::{
    Climb, Intermediate, LANES, Prepared, Region, Settings, Spec, Stop, bound, climb,
};
use certus_engine::{graph, property};
use certus_kernels::gather::{Panels, Term};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A network with the rival's times, ms: CROWN on `threads` threads, joint α-CROWN on one.
struct Case {
    name: &'static str,
    network: &'static str,
    property: &'static str,
    label: usize,
    threads: usize,
    crown_ms: f64,
    joint_ms: Option<f64>,
}

const fn case(
    name: &'static str,
    files: [&'static str; 2],
    label: usize,
    threads: usize,
    crown_ms: f64,
    joint_ms: Option<f64>,
) -> Case {
    Case { name, network: files[0], property: files[1], label, threads, crown_ms, joint_ms }
}

const CASES: [Case; 5] = [
    case(
        "acasxu_1_1",
        ["acasxu/onnx/ACASXU_run2a_1_1_batch_2000.onnx.gz", "acasxu/vnnlib/prop_3.vnnlib.gz"],
        2,
        1,
        14.5,
        Some(646.0),
    ),
    case(
        "mnist_256x6",
        ["mnistfc/onnx/mnist-net_256x6.onnx.gz", "mnistfc/vnnlib/prop_0_0.03.vnnlib.gz"],
        8,
        1,
        37.0,
        Some(2790.0),
    ),
    case(
        "oval_base",
        [
            "oval21/onnx/cifar_base_kw.onnx.gz",
            "oval21/vnnlib/cifar_base_kw-img4631-eps0.016339869281045753.vnnlib.gz",
        ],
        7,
        1,
        21.0,
        Some(1580.0),
    ),
    case(
        "oval_deep",
        [
            "oval21/onnx/cifar_deep_kw.onnx.gz",
            "oval21/vnnlib/cifar_deep_kw-img6430-eps0.025098039215686277.vnnlib.gz",
        ],
        1,
        2,
        45.0,
        None,
    ),
    case(
        "resnet_2b",
        ["cifar10_resnet/onnx/resnet_2b.onnx.gz", "cifar10_resnet/vnnlib/prop_0_eps_0.008.vnnlib.gz"],
        2,
        2,
        154.0,
        None,
    ),
];

fn main() {
    let Some(data) = std::env::var_os("CERTUS_DATA").map(PathBuf::from) else {
        println!("CERTUS_DATA is not set: nothing was measured");
        return;
    };
    let filter = std::env::args().skip(1).find(|a| !a.starts_with("--")).unwrap_or_default();
    println!("kernel: {:.0} GFLOP/s on 256 × 256 × {LANES}", kernel_rate());
    for case in CASES.iter().filter(|c| c.name.contains(&filter)) {
        measure(&data.join("benchmarks/vnncomp2021"), case);
    }
}

fn measure(base: &Path, case: &Case) {
    let program = graph::load_program(&base.join(case.network)).expect("the network lowers");
    let property = property::load_property(&base.join(case.property)).expect("the property loads");
    let region = &property.cases[0].region;
    let [lower, upper] =
        [&region.lower, &region.upper].map(|x| x.iter().map(|x| *x as f32).collect::<Vec<f32>>());
    let region = Region { lower: &lower, upper: &upper };
    let (net, spec) = (Prepared::new(&program), margins(program.outputs(), case.label));
    // The rival's bounds exactly, so that the times compare.
    let intermediate = Intermediate::Reference;
    let settings = Settings { intermediate, threads: case.threads, ..Settings::default() };
    let run = || bound(&net, region, &spec, &settings, Stop::default()).expect("bounds");
    let margin = |rows: &[f32]| rows.iter().copied().fold(f32::INFINITY, f32::min);
    let (value, time) = (margin(&run().rows), least(|| drop(black_box(run()))));
    println!(
        "crown/{:<12} {:10.3} ms   auto_LiRPA {:8.1} ms   {:6.1} ×   margin {value:.4}   [{} thread(s)]",
        case.name,
        time,
        case.crown_ms,
        case.crown_ms / time,
        case.threads
    );
    let Some(rival) = case.joint_ms else { return };
    let how = Climb { stop_when_positive: false, ..Climb::default() };
    let run = || climb(&net, region.into(), &spec, &settings, &how, Stop::default()).expect("bounds");
    let (value, time) = (margin(&run().rows), least(|| drop(black_box(run()))));
    println!(
        "joint/{:<12} {time:10.3} ms   auto_LiRPA {rival:8.1} ms   {:6.1} ×   margin {value:.4}   [{} iterations]",
        case.name,
        rival / time,
        how.iterations
    );
}

/// Rows `label − other`.
fn margins(n: usize, label: usize) -> Spec {
    let mut weights = Vec::new();
    for other in (0..n).filter(|other| *other != label) {
        let mut row = vec![0.0; n];
        (row[label], row[other]) = (1.0, -1.0);
        weights.extend(row);
    }
    Spec { weights, bias: vec![0.0; n - 1] }
}

/// Least time of at least five runs and a second, ms.
fn least(mut run: impl FnMut()) -> f64 {
    let (begin, mut best, mut runs) = (Instant::now(), f64::INFINITY, 0);
    while runs < 5 || begin.elapsed().as_secs_f64() < 1.0 {
        let start = Instant::now();
        run();
        best = best.min(1e3 * start.elapsed().as_secs_f64());
        runs += 1;
    }
    best
}

/// GFLOP/s of the products of a dense layer.
fn kernel_rate() -> f64 {
    let n = 256;
    let panels = Panels::new(n, n, |i, j| (i * 7 + j * 3) as f32 % 5.0 - 2.0);
    let terms: Vec<Term> = (0..n as u32).map(|k| Term { col: k, row: k }).collect();
    let targets: Vec<u32> = (0..n as u32).collect();
    let (input, mut out) = (vec![0.5; n * LANES], vec![0.0; n * LANES]);
    let ms = least(|| {
        for _ in 0..100 {
            panels.product(&terms, &input, LANES, &targets, &mut out);
        }
        black_box(&out);
    });
    100.0 * 2.0 * (n * n * LANES) as f64 / ms * 1e-6
}
