//! Published settings, for inputs in `[0, 1]`.
//!
//! | name | network there | source |
//! | --- | --- | --- |
//! | `shi-mnist`, `shi-cifar10` | seven layers with batch normalisation | Shi et al. 2021 (arXiv:2103.17268), method `fast` of the repository Fast-Certified-Robust-Training |
//! | `crown-ibp-mnist`, `crown-ibp-cifar10` | the same | method `crown-ibp` of the same repository: no initialisation of its own, no regularisers, the cross entropy fused into the network |
//! | `crown-ibp-mnist-long` | Gowal's large network, no normalisation | Zhang et al. 2020 (arXiv:1906.06316), `mnist_dm-large_0.4` of the repository CROWN-IBP |
//! | `pgd-mnist` | two convolutions, two dense layers | Madry et al. 2018 (arXiv:1706.06083), the repository mnist_challenge |
//! | `pgd-cifar10` | a wide residual network | the same, the repository cifar10_challenge |
//!
//! A preset is about training; networks are set apart. Where a source counts steps, epochs of 60,000 (MNIST) or 50,000 inputs (CIFAR-10) stand
//! for them. `epsilon` is the radius of training: Shi et al. train on MNIST at 0.4 for tests at 0.3 and 0.4.
//!
//! # What differs
//! Shi et al. regularise boxes of radius 10⁻⁶ where the schedule has 0. Zhang et al. leave the last share of the clean loss open; here it is 0.

use super::{FillName, InitName, Method, OptimizerName, RampShape, RateShape, Settings};

/// Names of all presets.
pub const PRESETS: [&str; 7] = [
    "shi-mnist",
    "shi-cifar10",
    "crown-ibp-mnist",
    "crown-ibp-cifar10",
    "crown-ibp-mnist-long",
    "pgd-mnist",
    "pgd-cifar10",
];

impl Settings {
    /// The settings called `name`, one of [`PRESETS`]; `None` if it is none of them.
    pub fn preset(name: &str) -> Option<Self> {
        let unaided = |with: Self| Self {
            method: Method::CrownIbp,
            beta: [1.0, 0.0],
            fusion: true,
            regularise: 0.0,
            init: InitName::Uniform,
            ..with
        };
        Some(match name {
            "shi-mnist" => shi_mnist(),
            "shi-cifar10" => shi_cifar10(),
            "crown-ibp-mnist" => unaided(shi_mnist()),
            "crown-ibp-cifar10" => unaided(shi_cifar10()),
            "crown-ibp-mnist-long" => Self {
                epochs: 200.0,
                warmup: 10.0,
                ramp: 50.0,
                ramp_shape: RampShape::Linear,
                kappa: [1.0, 0.0],
                fusion: false,
                rate_steps: vec![130.0, 190.0],
                rate_factor: 0.1,
                clip: 0.0,
                ..unaided(shi_mnist())
            },
            "pgd-mnist" => pgd_mnist(),
            "pgd-cifar10" => pgd_cifar10(),
            _ => return None,
        })
    }
}

/// `--scheduler_opts=start=1,length=20 --lr-decay-milestones=50,60 --num-epochs=70`; the schedule counts epochs from 1.
fn shi_mnist() -> Settings {
    Settings {
        method: Method::Ibp,
        epsilon: 0.4,
        epochs: 70.0,
        batch: 256,
        warmup: 0.0,
        ramp: 20.0,
        ramp_shape: RampShape::Smoothed,
        kappa: [0.0, 0.0],
        regularise: 0.5,
        tolerance: 0.5,
        optimizer: OptimizerName::Adam,
        rate: 5e-4,
        rate_shape: RateShape::Steps,
        rate_steps: vec![50.0, 60.0],
        rate_factor: 0.2,
        clip: 10.0,
        init: InitName::Ibp,
        ..Settings::default()
    }
}

/// `--scheduler_opts=start=2,length=80 --lr-decay-milestones=120,140 --num-epochs=160`, crops of images that were padded by 2.
fn shi_cifar10() -> Settings {
    Settings {
        epsilon: 8.0 / 255.0,
        epochs: 160.0,
        batch: 128,
        warmup: 1.0,
        ramp: 80.0,
        rate_steps: vec![120.0, 140.0],
        shift: [2, 2],
        fill: FillName::Edge,
        flip: true,
        ..shi_mnist()
    }
}

/// 100,000 steps of 50 inputs; 40 steps of 0.01 each.
fn pgd_mnist() -> Settings {
    Settings {
        method: Method::Pgd,
        epsilon: 0.3,
        epochs: 100_000.0 * 50.0 / 60_000.0,
        batch: 50,
        warmup: 0.0,
        ramp: 0.0,
        kappa: [0.0, 0.0],
        attack_steps: 40,
        attack_step: 0.01 / 0.3,
        regularise: 0.0,
        optimizer: OptimizerName::Adam,
        rate: 1e-4,
        rate_shape: RateShape::Constant,
        clip: 0.0,
        init: InitName::Uniform,
        ..Settings::default()
    }
}

/// 80,000 steps of 128 inputs, the rate falling after 40,000 and 60,000; 10 steps of 2/255 each; crops of images that were padded by 2.
fn pgd_cifar10() -> Settings {
    let epochs = |steps: f64| steps * 128.0 / 50_000.0;
    Settings {
        epsilon: 8.0 / 255.0,
        epochs: epochs(80_000.0),
        batch: 128,
        attack_steps: 10,
        attack_step: 0.25,
        optimizer: OptimizerName::Sgd,
        momentum: 0.9,
        decay: 2e-4,
        rate: 0.1,
        rate_shape: RateShape::Steps,
        rate_steps: vec![epochs(40_000.0), epochs(60_000.0)],
        rate_factor: 0.1,
        shift: [2, 2],
        fill: FillName::Zero,
        flip: true,
        ..pgd_mnist()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Set, Targets};
    use crate::model::{Layer, Model, Random};
    use crate::train::{Task, Trainer};

    fn preset(name: &str) -> Settings {
        Settings::preset(name).unwrap()
    }

    /// The sources' loops, in steps: `⌈60,000/256⌉` and so on.
    #[test]
    fn schedules_are_those_of_the_sources_step_by_step() {
        let (shi, per_epoch) = (preset("shi-mnist"), 235);
        let ramp = shi.radius_ramp(per_epoch);
        assert_eq!([ramp.at(0), ramp.at(20 * 235)], [0.0, 1.0]);
        // The formula of the smoothed schedule, whose middle is at a quarter: the tangent goes through 1 at the end.
        let (m, all) = (5.0 * 235.0, 20.0 * 235.0_f64);
        let middle = m / (4.0 * (all - m) + m);
        assert!((ramp.at(5 * 235) - middle).abs() < 1e-12);
        for (epoch, factor) in [(0, 1.0), (49, 1.0), (50, 0.2), (60, 0.04), (69, 0.04)] {
            assert!((shi.rate_at(epoch * per_epoch, per_epoch) - 5e-4 * factor).abs() < 1e-15, "{epoch}");
        }
        let long = preset("crown-ibp-mnist-long");
        let ramp = long.radius_ramp(per_epoch);
        assert_eq!([10, 35, 60].map(|e| ramp.at(e * per_epoch)), [0.0, 0.5, 1.0]);
        assert_eq!(preset("shi-cifar10").radius_ramp(391).at(391), 0.0);
        assert_eq!(preset("shi-cifar10").radius_ramp(391).at(81 * 391), 1.0);
        assert_eq!(preset("pgd-mnist").steps(1200), 100_000);
        assert!((preset("pgd-mnist").attack_step * 0.3 - 0.01).abs() < 1e-12);
        // 50,000 inputs are 390.6 batches of 128, each epoch's last one filled up.
        let cifar = preset("pgd-cifar10");
        assert!((cifar.steps(391) as f64 / 80_000.0 - 1.0).abs() < 1e-3);
        let rate = |step: u64| cifar.rate_at(step, 391);
        for (step, right) in [(0, 0.1), (39_900, 0.1), (40_100, 0.01), (59_900, 0.01), (60_100, 0.001)] {
            assert!((rate(step) - right).abs() < 1e-12, "{step}: {}", rate(step));
        }
    }

    #[test]
    fn every_preset_is_within_its_ranges_and_takes_steps() {
        let mut random = Random(1);
        let inputs = (0..40 * 36).map(|_| random.unit() as f32).collect();
        let targets = Targets::Classes {
            labels: (0..40).map(|k| k % 3).collect(),
            names: ["a", "b", "c"].map(String::from).into(),
        };
        let set = Set { shape: vec![1, 6, 6], inputs, targets };
        let layers = [
            Layer::Conv { channels: 4, kernel: 3, stride: 2, pad: 1 },
            Layer::BatchNorm,
            Layer::Relu,
            Layer::Dense { outputs: 3 },
        ];
        for name in PRESETS {
            // A ramp of one epoch: bounds and attacks count from the second step on.
            let settings = Settings { batch: 32, warmup: 0.0, ramp: 1.0, threads: 1, ..preset(name) };
            let model = Model::new(&[1, 6, 6], &layers).unwrap();
            let mut trainer =
                Trainer::new(settings, Task::uniform(36, [0.0, 1.0]), model, set.len()).unwrap();
            for _ in 0..3 {
                let step = trainer.step(&set);
                assert!(step.values.loss.is_finite(), "{name}: {step:?}");
            }
        }
        assert_eq!(Settings::preset("none"), None);
    }
}
