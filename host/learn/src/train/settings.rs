//! What a run of training is told: typed, with defaults and ranges.

use crate::attack::Pgd;
use crate::data::augment::{Augment, AugmentError, Fill};
use crate::loss::{Slope, Weights};
use crate::model::Init;
use crate::optim::{Moments, Ramp, Rate, Rule};
use serde::{Deserialize, Serialize};

/// All settings of training. Lengths are in epochs, fractions allowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What is minimised.
    pub method: Method,
    /// Radius of the boxes, in units of the features' radii (see [`super::Task::radius`]).
    pub epsilon: f64,
    /// Radius at which choices are made and certified accuracy is counted while training; 0 takes `epsilon`.
    pub epsilon_test: f64,
    /// Passes over the training data.
    pub epochs: f64,
    /// Inputs of a step; with convolutions rounded up to a multiple of 16.
    pub batch: usize,
    /// Epochs at radius 0 (the regularisers count already).
    pub warmup: f64,
    /// Epochs in which the radius rises.
    pub ramp: f64,
    /// How it rises.
    pub ramp_shape: RampShape,
    /// Share of the clean loss at the start of the ramp and from its end on; one number stands for both.
    #[serde(deserialize_with = "one_or_two")]
    pub kappa: [f64; 2],
    /// Share of the backward pass at the start of the ramp and from its end on, for `method = "crown-ibp"`; the rest is that of intervals.
    #[serde(deserialize_with = "one_or_two")]
    pub beta: [f64; 2],
    /// Whether the backward pass bounds the cross entropy itself, one row for each input, rather than the margin to each class.
    pub fusion: bool,
    /// Slope of the line below an unstable ReLU in the backward pass.
    pub slope: SlopeName,
    /// Steps of the attack, for `method = "pgd"`.
    pub attack_steps: usize,
    /// Length of each, in radii.
    pub attack_step: f64,
    /// Weight of the regularisers of boxes before the ramp; it falls to 0 along the ramp.
    pub regularise: f64,
    /// Tolerance of the regularisers.
    pub tolerance: f64,
    /// Weight of `Σ|w|`.
    pub l1: f64,
    /// Most pixels by which images are moved, down and right or the other way.
    pub shift: [usize; 2],
    /// What comes in where they were.
    pub fill: FillName,
    /// Whether half of the images are mirrored, left to right.
    pub flip: bool,
    /// Standard deviation of noise on each input, in units of its radius where `epsilon` is 1.
    pub noise: f64,
    /// Rule of the optimizer.
    pub optimizer: OptimizerName,
    /// Step size.
    pub rate: f64,
    /// Momentum of SGD and RMSprop.
    pub momentum: f64,
    /// Weight decay.
    pub decay: f64,
    /// How the step size changes.
    pub rate_shape: RateShape,
    /// Epochs after which the step size is multiplied by `rate_factor`, for `rate_shape = "steps"`.
    pub rate_steps: Vec<f64>,
    /// See `rate_steps`.
    pub rate_factor: f64,
    /// Epochs in which the step size rises from 0.
    pub rate_warmup: f64,
    /// Largest norm of the gradient; 0 for no limit.
    pub clip: f64,
    /// Which means of the weights are kept, and are the result.
    pub average: AverageName,
    /// `β` of the exponential mean.
    pub average_keep: f64,
    /// Epoch from which weights are averaged.
    pub average_from: f64,
    /// Where the weights start.
    pub init: InitName,
    /// Seed of everything random.
    pub seed: u64,
    /// Worker threads.
    pub threads: usize,
}

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The clean loss alone.
    Clean,
    /// The loss of interval bounds, mixed with the clean loss by `kappa`.
    Ibp,
    /// The same with bounds of a backward pass over the intervals, mixed with those of intervals by `beta`.
    CrownIbp,
    /// The loss at attacked points, mixed with the clean loss by `kappa`. Nothing is bounded: what it gives is a baseline.
    Pgd,
}

/// Slopes of the line below an unstable ReLU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlopeName {
    /// 0 or 1, whichever leaves less room.
    Adaptive,
    /// That of the line above.
    Same,
}

/// What an image shows where it was moved away from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FillName {
    /// 0.
    Zero,
    /// The nearest pixel.
    Edge,
}

/// How the radius rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RampShape {
    /// In a straight line.
    Linear,
    /// A fourth power, then a straight line.
    Smoothed,
}

/// Rules of optimizers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerName {
    /// Gradient descent, with `momentum`.
    Sgd,
    /// The same, looking ahead.
    Nesterov,
    /// Adam.
    Adam,
    /// Adam with decay apart.
    AdamW,
    /// RMSprop, with `momentum`.
    RmsProp,
    /// LAMB.
    Lamb,
    /// Lion.
    Lion,
}

/// How the step size changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateShape {
    /// It does not.
    Constant,
    /// At `rate_steps`.
    Steps,
    /// Along half a cosine, to 0.
    Cosine,
}

/// Means of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AverageName {
    /// None: the last weights are the result.
    None,
    /// An exponential mean over the steps.
    Ema,
    /// The plain mean over the ends of epochs.
    Swa,
}

/// Rules for the first weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitName {
    /// Uniform on `±1/√n`.
    Uniform,
    /// That of Shi et al. for interval bounds.
    Ibp,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            method: Method::Ibp,
            epsilon: 1.0,
            epsilon_test: 0.0,
            epochs: 20.0,
            batch: 128,
            warmup: 1.0,
            ramp: 8.0,
            ramp_shape: RampShape::Smoothed,
            kappa: [0.0, 0.0],
            beta: [1.0, 0.0],
            fusion: true,
            slope: SlopeName::Adaptive,
            attack_steps: 10,
            attack_step: 0.25,
            regularise: 0.5,
            tolerance: 0.5,
            l1: 0.0,
            shift: [0, 0],
            fill: FillName::Zero,
            flip: false,
            noise: 0.0,
            optimizer: OptimizerName::Adam,
            rate: 5e-4,
            momentum: 0.9,
            decay: 0.0,
            rate_shape: RateShape::Steps,
            rate_steps: vec![14.0, 17.0],
            rate_factor: 0.2,
            rate_warmup: 0.0,
            clip: 10.0,
            average: AverageName::None,
            average_keep: 0.999,
            average_from: 0.0,
            init: InitName::Ibp,
            seed: 0,
            threads: 0,
        }
    }
}

/// Two numbers, or one for both.
fn one_or_two<'d, D: serde::Deserializer<'d>>(from: D) -> Result<[f64; 2], D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a number, or two in a list")]
    enum Either {
        One(f64),
        Two([f64; 2]),
    }
    Ok(match Either::deserialize(from)? {
        Either::One(x) => [x; 2],
        Either::Two(both) => both,
    })
}

/// A setting out of its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is {found}; it takes {range}")]
pub struct SettingError {
    /// Its name.
    pub key: &'static str,
    /// Its value.
    pub found: String,
    /// What it may be.
    pub range: String,
}

/// Checks that the setting `key` is `least` to `most`.
///
/// # Errors
/// [`SettingError`] if it is not.
pub fn within(key: &'static str, x: f64, [least, most]: [f64; 2]) -> Result<(), SettingError> {
    if x >= least && x <= most {
        return Ok(());
    }
    // Beyond that all digits would be written out.
    let found = if x.abs() < 1e16 { x.to_string() } else { format!("{x:e}") };
    Err(SettingError { key, found, range: format!("a number from {least} to {most}") })
}

impl Settings {
    /// Checks every range.
    ///
    /// # Errors
    /// [`SettingError`] of the first that is outside.
    pub fn check(&self) -> Result<(), SettingError> {
        within("epsilon", self.epsilon, [0.0, 1e6])?;
        within("epsilon_test", self.epsilon_test, [0.0, 1e6])?;
        within("epochs", self.epochs, [0.0, 1e6])?;
        within("batch", self.batch as f64, [1.0, 65536.0])?;
        within("warmup", self.warmup, [0.0, 1e6])?;
        within("ramp", self.ramp, [0.0, 1e6])?;
        within("kappa", self.kappa[0], [0.0, 1.0])?;
        within("kappa", self.kappa[1], [0.0, 1.0])?;
        within("beta", self.beta[0], [0.0, 1.0])?;
        within("beta", self.beta[1], [0.0, 1.0])?;
        within("attack_steps", self.attack_steps as f64, [1.0, 1e4])?;
        within("attack_step", self.attack_step, [1e-6, 2.0])?;
        within("noise", self.noise, [0.0, 1e6])?;
        within("regularise", self.regularise, [0.0, 1e3])?;
        within("tolerance", self.tolerance, [1e-3, 1.0])?;
        within("l1", self.l1, [0.0, 1e3])?;
        within("rate", self.rate, [0.0, 1e3])?;
        within("momentum", self.momentum, [0.0, 0.9999])?;
        within("decay", self.decay, [0.0, 1e3])?;
        within("rate_factor", self.rate_factor, [0.0, 1.0])?;
        within("rate_warmup", self.rate_warmup, [0.0, 1e6])?;
        within("clip", self.clip, [0.0, 1e9])?;
        within("average_keep", self.average_keep, [0.0, 0.999_999])?;
        within("average_from", self.average_from, [0.0, 1e6])?;
        within("threads", self.threads as f64, [0.0, 1024.0])?;
        for step in &self.rate_steps {
            within("rate_steps", *step, [0.0, 1e6])?;
        }
        Ok(())
    }

    /// The radius that counts when choices are made.
    pub fn test_radius(&self) -> f64 {
        if self.epsilon_test > 0.0 { self.epsilon_test } else { self.epsilon }
    }

    /// The optimizer's rule.
    pub fn rule(&self) -> Rule {
        let momentum = self.momentum as f32;
        match self.optimizer {
            OptimizerName::Sgd => Rule::Sgd { momentum, dampening: 0.0, nesterov: false },
            OptimizerName::Nesterov => Rule::Sgd { momentum, dampening: 0.0, nesterov: true },
            OptimizerName::Adam => Rule::Adam(Moments::default()),
            OptimizerName::AdamW => Rule::AdamW(Moments::default()),
            OptimizerName::RmsProp => Rule::RmsProp { smoothing: 0.99, epsilon: 1e-8, momentum },
            OptimizerName::Lamb => Rule::Lamb(Moments { epsilon: 1e-6, ..Moments::default() }),
            OptimizerName::Lion => Rule::Lion { betas: [0.9, 0.99] },
        }
    }

    /// Where the weights start.
    pub fn init(&self) -> Init {
        match self.init {
            InitName::Uniform => Init::Uniform,
            InitName::Ibp => Init::Ibp,
        }
    }

    /// Slope of the backward pass.
    pub fn slope(&self) -> Slope {
        match self.slope {
            SlopeName::Adaptive => Slope::Adaptive,
            SlopeName::Same => Slope::Same,
        }
    }

    /// The attack on each batch.
    pub fn attack(&self) -> Pgd {
        Pgd { steps: self.attack_steps, step: self.attack_step as f32, starts: 1, random: true }
    }

    /// How inputs are varied.
    pub fn augment(&self) -> Augment {
        let fill = match self.fill {
            FillName::Zero => Fill::Value(0.0),
            FillName::Edge => Fill::Edge,
        };
        Augment { shift: self.shift, fill, flip: self.flip, noise: self.noise as f32 }
    }

    /// Checks that inputs of `shape` can be varied as set.
    ///
    /// # Errors
    /// [`SettingError`] that names what cannot.
    pub fn check_shape(&self, shape: &[usize]) -> Result<(), SettingError> {
        let Err(error) = self.augment().check(shape) else { return Ok(()) };
        let (key, range) = match error {
            AugmentError::NoImage(_) if self.flip => ("flip", "false, as inputs are no images".to_owned()),
            AugmentError::NoImage(_) => ("shift", "[0, 0], as inputs are no images".to_owned()),
            AugmentError::Shift { size: [h, w], .. } => {
                ("shift", format!("numbers below the size of images, {h} and {w}"))
            }
            AugmentError::Noise => ("noise", "a number of 0 or more".to_owned()),
        };
        let found = match key {
            "flip" => self.flip.to_string(),
            "shift" => format!("{:?}", self.shift),
            _ => self.noise.to_string(),
        };
        Err(SettingError { key, found, range })
    }

    /// The regularisers' own settings.
    pub fn weights(&self) -> Weights {
        Weights { tolerance: self.tolerance }
    }

    /// How many steps there are, of `per_epoch` each.
    pub fn steps(&self, per_epoch: u64) -> u64 {
        steps(self.epochs, per_epoch)
    }

    /// How the radius rises.
    pub fn radius_ramp(&self, per_epoch: u64) -> Ramp {
        let between = [steps(self.warmup, per_epoch), steps(self.warmup + self.ramp, per_epoch)];
        match self.ramp_shape {
            RampShape::Linear => Ramp::Linear { between },
            RampShape::Smoothed => Ramp::Smoothed { between, middle: 0.25 },
        }
    }

    /// The step size at `step`.
    pub fn rate_at(&self, step: u64, per_epoch: u64) -> f64 {
        let shape = match self.rate_shape {
            RateShape::Constant => Rate::Constant,
            RateShape::Steps => {
                let at = self.rate_steps.iter().map(|e| steps(*e, per_epoch)).collect();
                Rate::Steps { at, factor: self.rate_factor }
            }
            RateShape::Cosine => Rate::Cosine { total: self.steps(per_epoch), floor: 0.0 },
        };
        self.rate * shape.at(step, steps(self.rate_warmup, per_epoch))
    }
}

/// Epochs in steps.
pub(super) fn steps(epochs: f64, per_epoch: u64) -> u64 {
    (epochs * per_epoch as f64).round() as u64
}
