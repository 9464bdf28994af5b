//! From recordings to a certified network over the sensors' own units.

use certus_engine::Chain;
use certus_learn::data::{Set, Targets};
use certus_learn::model::{Layer, Model, ModelError, Shaped};
use certus_learn::train::{Method, Settings, Task, Trainer};

use super::RoomError;
use crate::training::network::{Normalise, program};

/// What a network is made by.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// Settings of training; `epsilon` counts in errors of the sensors.
    pub settings: Settings,
    /// Element of the input to which the output is added, if the network learns a change rather than a value. The element is 0 or more.
    pub carry: Option<usize>,
}

impl Recipe {
    /// The same training without bounds: what it costs to leave the certificate out of training.
    pub fn uncertified(&self) -> Self {
        let settings = Settings { method: Method::Clean, ..self.settings.clone() };
        Self { settings, ..self.clone() }
    }
}

/// A trained network.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The network over normalised inputs.
    pub model: Model,
    /// What normalises them.
    pub normalise: Normalise,
    /// Both as one network over the sensors' units: what is exported, and every number is of.
    pub chain: Chain,
}

/// Trains on `set`, whose inputs are off by `epsilon` `[inputs]` at level 1; `done` hears steps and their total.
///
/// # Errors
/// [`RoomError`] if the set is empty, the recipe is wrong or training left the range of numbers.
pub fn train(
    set: &Set,
    epsilon: &[f32],
    recipe: &Recipe,
    done: &mut dyn FnMut(usize, usize),
) -> Result<Trained, RoomError> {
    if set.is_empty() {
        return Err(RoomError::Empty("train".to_owned()));
    }
    let normalise = Normalise::of(set);
    let mut normal = set.clone();
    if let (Some(carry), Targets::Values { values, .. }) = (recipe.carry, &mut normal.targets) {
        values.iter_mut().enumerate().for_each(|(k, y)| *y -= set.input(k)[carry]);
    }
    normalise.apply_to(&mut normal);
    let scales = normalise_targets(&mut normal.targets);
    let outputs = normal.targets.outputs();
    let mut layers = Vec::new();
    for width in &recipe.hidden {
        layers.extend([Layer::Dense { outputs: *width }, Layer::Relu]);
    }
    layers.push(Layer::Dense { outputs });
    let model = Model::new(&normal.shape, &layers)?;
    let radius = epsilon.iter().zip(&normalise.scale).map(|(e, scale)| e * scale).collect();
    // The device's ball is not cut at the range either.
    let task = Task { radius, range: None };
    let mut trainer = Trainer::new(recipe.settings.clone(), task, model, normal.len())?;
    let total = trainer.total_steps() as usize;
    while !trainer.is_done() {
        trainer.step(&normal);
        done(trainer.steps() as usize, total);
    }
    let mut model = trainer.result(&normal).folded();
    restore_targets(&mut model, &scales);
    if let Some(carry) = recipe.carry {
        model = carried(&model, (carry, &normalise), &recipe.hidden)?;
    }
    let chain = program(&model, Some(&normalise))?.into_chain()?;
    Ok(Trained { model, normalise, chain })
}

/// Numbers to learn, brought to mean 0 and deviation 1; mean and deviation of each.
fn normalise_targets(targets: &mut Targets) -> Vec<[f64; 2]> {
    let Targets::Values { values, names } = targets else { return Vec::new() };
    let outputs = names.len();
    let column = |k: usize| values.iter().skip(k).step_by(outputs).map(|v| f64::from(*v));
    let scales: Vec<[f64; 2]> = (0..outputs)
        .map(|k| {
            let count = column(k).count().max(1) as f64;
            let mean = column(k).sum::<f64>() / count;
            let square = column(k).map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
            [mean, if square > 0.0 { square.sqrt() } else { 1.0 }]
        })
        .collect();
    for (index, value) in values.iter_mut().enumerate() {
        let [mean, deviation] = scales[index % outputs];
        *value = ((f64::from(*value) - mean) / deviation) as f32;
    }
    scales
}

/// The last layer in the targets' own units.
fn restore_targets(model: &mut Model, scales: &[[f64; 2]]) {
    let Some(Shaped::Dense { size: [cols, _], first }) = model.layers.last() else { return };
    let (cols, first) = (*cols, *first);
    for (row, [mean, deviation]) in scales.iter().enumerate() {
        let weights = &mut model.parameters[first].values[row * cols..][..cols];
        weights.iter_mut().for_each(|w| *w = (f64::from(*w) * deviation) as f32);
        let bias = &mut model.parameters[first + 1].values[row];
        *bias = (f64::from(*bias) * deviation + mean) as f32;
    }
}

/// `model`, of one output and these hidden layers, plus element `carry` of its input in the input's own unit.
///
/// Each hidden layer gets a neuron more, which hands the element on: it is 0 or more, so ReLU leaves it as it is. The network stays one
/// chain of layers, and bounds see that what is added and what is learned depend on the same input.
fn carried(
    model: &Model,
    (carry, normalise): (usize, &Normalise),
    hidden: &[usize],
) -> Result<Model, ModelError> {
    let mut layers = Vec::new();
    for width in hidden {
        layers.extend([Layer::Dense { outputs: width + 1 }, Layer::Relu]);
    }
    layers.push(Layer::Dense { outputs: 1 });
    let mut wider = Model::new(&model.input, &layers)?;
    let dense = |model: &Model| -> Vec<([usize; 2], usize)> {
        let one = |layer: &Shaped| match layer {
            Shaped::Dense { size, first } => Some((*size, *first)),
            _ => None,
        };
        model.layers.iter().filter_map(one).collect()
    };
    let last = hidden.len();
    for (at, (([cols, rows], from), ([wide, _], to))) in
        dense(model).into_iter().zip(dense(&wider)).enumerate()
    {
        for row in 0..rows {
            let weights = &model.parameters[from].values[row * cols..][..cols];
            wider.parameters[to].values[row * wide..][..cols].copy_from_slice(weights);
            wider.parameters[to + 1].values[row] = model.parameters[from + 1].values[row];
        }
        // Behind the first layer the element lies at the end, as `scale` times itself.
        let column = if at == 0 { carry } else { wide - 1 };
        let row = if at == last { 0 } else { rows };
        wider.parameters[to].values[row * wide + column] =
            if at == last { 1.0 / normalise.scale[carry] } else { 1.0 };
        if at == 0 {
            wider.parameters[to + 1].values[row] = -normalise.shift[carry];
        }
    }
    Ok(wider)
}
