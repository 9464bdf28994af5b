//! What is trained, and how: architecture and settings, chosen on held-out training recordings (`docs/quickstart.md` has the numbers).

use certus_learn::data::Set;
use certus_learn::model::{Layer, Model, ModelError, Shaped};
use certus_learn::sensor::logmel::{BANDS, DECIBEL, FRAMES};
use certus_learn::train::{FillName, InitName, Method, Settings, Task};

use crate::training::network::Normalise;

/// Neurons of the hidden layer.
pub const HIDDEN: usize = 256;
/// Radii that are reported, decibels.
pub const RADII_DB: [f64; 3] = [0.5, 1.0, 2.0];
/// The radius that the artifact's monitor is set to, decibels.
pub const RADIUS_DB: f64 = 1.0;
/// The radius that is trained for, decibels: more than what is certified, which leaves room on new recordings.
pub const TRAIN_DB: f64 = 1.5;
/// Epochs of training, where nothing else is asked for.
pub const EPOCHS: f64 = 400.0;

/// The network: one hidden layer. One is enough for the accuracy, a device bounds it with one backward pass, and deeper ones were looser
/// (see `docs/quickstart.md`).
///
/// # Errors
/// Never: the layers fit.
pub fn model() -> Result<Model, ModelError> {
    let layers = [Layer::Dense { outputs: HIDDEN }, Layer::Relu, Layer::Dense { outputs: 10 }];
    Model::new(&[1, FRAMES, BANDS], &layers)
}

/// Settings of a run of `epochs`; every part of the schedule keeps its share.
pub fn settings(epochs: f64, seed: u64) -> Settings {
    Settings {
        method: Method::Ibp,
        epsilon: TRAIN_DB,
        epochs,
        batch: 128,
        warmup: 0.005 * epochs,
        ramp: 0.3 * epochs,
        kappa: [0.3, 0.3],
        regularise: 0.0,
        shift: [1, 0],
        fill: FillName::Edge,
        noise: 1.0,
        rate: 1e-3,
        rate_steps: vec![0.7 * epochs, 0.85 * epochs],
        init: InitName::Uniform,
        seed,
        ..Settings::default()
    }
}

/// The radius of `decibels`, in features.
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounded up, so that no certificate says more than it may"
)]
pub fn radius(decibels: f64) -> f32 {
    let exact = decibels * DECIBEL;
    let near = exact as f32;
    if f64::from(near) < exact { near.next_up() } else { near }
}

/// The task in normalised units: `epsilon` counts decibels. Boxes are not cut at the ends of the features' range, since those of the monitor
/// are not.
pub fn task(normalise: &Normalise) -> Task {
    #[expect(clippy::cast_possible_truncation, reason = "training is an estimate")]
    let one = |scale: &f32| (DECIBEL * f64::from(*scale)) as f32;
    Task { radius: normalise.scale.iter().map(one).collect(), range: None }
}

/// Copies of `train` and `held_out` as the network sees them while it is trained, with what was done to them.
pub fn normalised(train: &Set, held_out: &Set) -> (Normalise, Set, Set) {
    let normalise = Normalise::of(train);
    let (mut train, mut held_out) = (train.clone(), held_out.clone());
    normalise.apply_to(&mut train);
    normalise.apply_to(&mut held_out);
    (normalise, train, held_out)
}

/// The network over features from 0 to 255: the normalisation becomes part of its first layer. This is the network that is evaluated,
/// certified and exported.
///
/// # Panics
/// If the first layer is not dense.
///
/// # Rounding
/// Computed in `f64`, weights rounded once: another network than the trained one, by rounding.
pub fn in_features(model: &Model, normalise: &Normalise) -> Model {
    let mut model = model.folded();
    let Some(Shaped::Dense { size: [inputs, _], first }) = model.layers.first() else {
        panic!("the first layer is dense")
    };
    let (inputs, first) = (*inputs, *first);
    let (weights, bias) = model.parameters.split_at_mut(first + 1);
    let (Some(weights), Some(bias)) = (weights.last_mut(), bias.first_mut()) else {
        panic!("a dense layer has weights and a bias")
    };
    #[expect(clippy::cast_possible_truncation, reason = "rounded once, as stated")]
    for (row, bias) in weights.values.chunks_exact_mut(inputs).zip(&mut bias.values) {
        let shift: f64 = row.iter().zip(&normalise.shift).map(|(w, s)| f64::from(*w) * f64::from(*s)).sum();
        *bias = (f64::from(*bias) + shift) as f32;
        row.iter_mut().zip(&normalise.scale).for_each(|(w, s)| *w = (f64::from(*w) * f64::from(*s)) as f32);
    }
    model
}
