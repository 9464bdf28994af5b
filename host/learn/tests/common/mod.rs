//! The networks and inputs of `tools/reference/ibp_losses.py`.

use certus_learn::model::{Layer, Model};
use serde_json::Value;

/// Points of a batch.
pub const BATCH: usize = 16;

/// Numbers in `[−1, 1]`, the same as the script's.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        ((state >> 10) % 2048) as f64 / 1024.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Numbers within `shift ± scale`, the same as the script's.
pub fn scaled(count: usize, seed: u64, scale: f64, shift: f64) -> Vec<f64> {
    numbers(count, seed).iter().map(|x| x * scale + shift).collect()
}

/// `[batch, elements]` as `[elements, batch]`.
pub fn lanes(x: &[f64]) -> Vec<f64> {
    let n = x.len() / BATCH;
    (0..n * BATCH).map(|at| x[at % BATCH * n + at / BATCH]).collect()
}

/// A network.
pub struct Case {
    /// Its name in the golden files.
    pub name: &'static str,
    /// Shape of its input.
    pub input: Vec<usize>,
    /// Its layers.
    pub layers: Vec<Layer>,
    /// Scale and shift of each parameter.
    draws: Vec<(f64, f64)>,
    /// Seed of the first parameter.
    seed: u64,
}

impl Case {
    /// Values of the parameters.
    pub fn parameters(&self, model: &Model) -> Vec<Vec<f64>> {
        let all = model.parameters.iter().zip(&self.draws).enumerate();
        all.map(|(k, (of, (scale, shift)))| scaled(of.values.len(), self.seed + k as u64, *scale, *shift))
            .collect()
    }
}

/// Points, the ends of their boxes and their labels as leaves, `[elements, batch]` each.
pub fn inputs(model: &Model) -> [Vec<f64>; 4] {
    let n = model.inputs();
    let centre = scaled(n * BATCH, 17, 0.5, 0.5);
    let epsilon = scaled(n, 18, 0.03, 0.05);
    let end = |sign: f64| -> Vec<f64> {
        centre.iter().enumerate().map(|(i, x)| (x + sign * epsilon[i % n]).clamp(0.0, 1.0)).collect()
    };
    let labels = (0..model.classes * BATCH)
        .map(|at| f64::from(u8::from(at % BATCH * 5 % model.classes == at / BATCH)))
        .collect();
    [lanes(&centre), lanes(&end(-1.0)), lanes(&end(1.0)), labels]
}

/// `[classes, batch]` as the scripts' `[batch, classes]`.
pub fn transposed(x: &[f64]) -> Vec<f64> {
    let n = x.len() / BATCH;
    (0..n * BATCH).map(|at| x[at % n * BATCH + at / n]).collect()
}

/// A dense network, and one of convolutions and batch normalisations.
pub fn cases() -> [Case; 2] {
    let dense = |outputs| Layer::Dense { outputs };
    let (weight, small, bias, scale) = ((0.5, 0.0), (0.25, 0.0), (0.25, 0.0), (0.5, 1.0));
    [
        Case {
            name: "dense",
            input: vec![12],
            layers: vec![dense(7), Layer::Relu, dense(6), Layer::Relu, dense(4)],
            draws: vec![weight, bias, weight, bias, weight, bias],
            seed: 1,
        },
        Case {
            name: "conv",
            input: vec![2, 5, 6],
            layers: vec![
                Layer::Conv { channels: 3, kernel: 3, stride: 2, pad: 1 },
                Layer::BatchNorm,
                Layer::Relu,
                dense(5),
                Layer::BatchNorm,
                Layer::Relu,
                dense(3),
            ],
            draws: vec![weight, bias, scale, bias, small, bias, scale, bias, weight, bias],
            seed: 7,
        },
    ]
}

/// All elements within 1e-10, relative where they are large.
pub fn close(name: &str, found: &[f64], right: &Value) {
    let right: Vec<f64> = right.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!(found.len(), right.len(), "{name}");
    for (i, (a, b)) in found.iter().zip(&right).enumerate() {
        assert!((a - b).abs() <= 1e-10 * (1.0 + b.abs()), "{name}, element {i}: {a}, not {b}");
    }
}
