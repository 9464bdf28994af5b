//! Time of a training step: `cargo bench -p certus-learn --bench steps [-- FILTER] [--count N]`.
//!
//! Batches of 128 random images of 28 × 28, Adam, clipped: forward, backward and the optimizer's step. A line for each network, kind of step and
//! number of threads: median and least wall time, and the mean time of the processor, which other work on the machine disturbs less.

use std::time::Instant;

use certus_learn::data::{Set, Targets};
use certus_learn::model::{Layer, Model, Random};
use certus_learn::train::{InitName, Method, Settings, Task, Trainer};

const BATCH: usize = 128;

/// The networks of the reference: `mlp`, `cnn`, `cnn-bn`.
fn layers(name: &str) -> Vec<Layer> {
    let dense = |outputs| Layer::Dense { outputs };
    let conv = |channels| Layer::Conv { channels, kernel: 4, stride: 2, pad: 1 };
    let hidden: Vec<Layer> = match name {
        "mlp" => vec![dense(512), dense(512)],
        _ => vec![conv(16), conv(32), dense(100)],
    };
    let mut layers = Vec::new();
    for layer in hidden {
        layers.push(layer);
        if name == "cnn-bn" {
            layers.push(Layer::BatchNorm);
        }
        layers.push(Layer::Relu);
    }
    layers.push(dense(10));
    layers
}

/// Settings under which every step is of the kind `step`.
fn settings(step: &str, threads: usize) -> Settings {
    let all = Settings {
        epsilon: 0.1,
        warmup: 0.0,
        ramp: 0.0,
        epochs: 1e5,
        batch: BATCH,
        threads,
        ..Settings::default()
    };
    match step {
        "clean" => Settings { method: Method::Clean, ..all },
        "ibp" => all,
        "ibp+clean" => Settings { kappa: [0.5, 0.5], ..all },
        // Within a ramp without end, where the regularisers count.
        "ibp+regularisers" => Settings { ramp: 1e5, init: InitName::Ibp, ..all },
        _ => unreachable!("one of the four"),
    }
}

/// Seconds of the processor over all threads so far, where the system says.
fn processor_seconds() -> Option<f64> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let mut sum = 0.0;
    for task in tasks {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        sum += text.split_whitespace().next()?.parse::<f64>().ok()?;
    }
    Some(sum * 1e-9)
}

fn measure(name: &str, step: &str, threads: usize, count: usize) {
    let mut random = Random(1);
    let inputs = (0..4 * BATCH * 784).map(|_| random.unit() as f32).collect();
    let labels = (0..4 * BATCH).map(|_| random.below(10) as u32).collect();
    let targets = Targets::Classes { labels, names: (0..10).map(|k| k.to_string()).collect() };
    let set = Set { shape: vec![1, 28, 28], inputs, targets };
    let model = Model::new(&set.shape, &layers(name)).expect("the layers fit");
    let task = Task::uniform(784, [0.0, 1.0]);
    let mut trainer =
        Trainer::new(settings(step, threads), task, model, set.len()).expect("settings in range");
    for _ in 0..5 {
        trainer.step(&set);
    }
    let before = processor_seconds();
    let mut times: Vec<f64> = (0..count)
        .map(|_| {
            let start = Instant::now();
            trainer.step(&set);
            1e3 * start.elapsed().as_secs_f64()
        })
        .collect();
    let used = processor_seconds().zip(before).map(|(after, before)| 1e3 * (after - before) / count as f64);
    times.sort_by(f64::total_cmp);
    let used = used.map_or("-".into(), |ms| format!("{ms:.2}"));
    println!(
        "{name:<7} {step:<17} {threads} threads   median {:>7.2} ms   least {:>7.2} ms   processor {used:>7} ms   {:.1} MiB",
        times[count / 2],
        times[0],
        trainer.bytes() as f64 / f64::from(1 << 20)
    );
}

fn main() {
    let mut filters = Vec::new();
    let mut count = 40;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--count" => count = args.next().and_then(|n| n.parse().ok()).unwrap_or(count).max(1),
            "--bench" => {}
            _ => filters.push(arg),
        }
    }
    for name in ["mlp", "cnn", "cnn-bn"] {
        for step in ["clean", "ibp", "ibp+clean", "ibp+regularisers"] {
            for threads in [1, 2] {
                let line = format!("{name} {step} {threads}");
                if filters.iter().all(|f| line.split(' ').any(|word| word == f)) {
                    measure(name, step, threads, count);
                }
            }
        }
    }
}
