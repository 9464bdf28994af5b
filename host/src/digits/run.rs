//! Training, with what it looks like on the recordings held out, and the artifact of what came out.

use std::collections::BTreeMap;
use std::time::Instant;

use certus_core::artifact::LiveBounds;
use certus_engine::Chain;
use certus_engine::certify::{Artifact, InputRange, MonitorSettings, OwnedSpec, RegionCertificate};
use certus_learn::model::Model;
use certus_learn::sensor::logmel::{FEATURES, MOST};
use certus_learn::train::{Measure, SettingError, Settings, Trainer};

use super::data::Split;
use super::results::CurvePoint;
use super::{NOTICE, recipe};
use crate::training::network;

/// Points of the curve of training.
const POINTS: u64 = 40;

/// What training gave.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The network over features from 0 to 255.
    pub model: Model,
    /// The same as layers that devices run.
    pub chain: Chain,
    /// Along the run.
    pub curve: Vec<CurvePoint>,
    /// Steps done, and steps asked for.
    pub steps: [u64; 2],
    /// Wall time, seconds.
    pub seconds: f64,
}

/// Why there is no trained network.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A setting out of its range.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The layers.
    #[error(transparent)]
    Model(#[from] certus_learn::model::ModelError),
    /// Training diverged.
    #[error("training ended with weights that are not finite: {0}")]
    Program(#[from] certus_engine::program::ProgramError),
    /// The layers, for a device.
    #[error(transparent)]
    Chain(#[from] certus_engine::chain::ChainError),
}

/// Trains on `split.train`. `progress` hears steps done, steps in all and the latest point of the curve; it ends the run early by returning
/// `false`.
///
/// # Errors
/// [`TrainError`].
pub fn train(
    split: &Split,
    settings: Settings,
    progress: &mut dyn FnMut(u64, u64, Option<&CurvePoint>) -> bool,
) -> Result<Trained, TrainError> {
    let start = Instant::now();
    let (normalise, train, held_out) = recipe::normalised(&split.train, &split.held_out);
    let task = recipe::task(&normalise);
    let mut trainer = Trainer::new(settings, task.clone(), recipe::model()?, train.len())?;
    let mut measure =
        Measure::new(trainer.model(), &task, trainer.settings().batch, trainer.settings().threads);
    let (total, per_epoch) = (trainer.total_steps(), trainer.steps_per_epoch());
    let every = (total / POINTS).max(1);
    let mut curve: Vec<CurvePoint> = Vec::new();
    while !trainer.is_done() {
        let step = trainer.step(&train);
        let done = step.number + 1;
        if done % every == 0 || done == total {
            let model = trainer.model();
            let one = |measure: &mut Measure, set| {
                measure.measure(model, &task, set, recipe::RADIUS_DB, held_out.len())
            };
            let (seen, new) = (one(&mut measure, &train), one(&mut measure, &held_out));
            curve.push(CurvePoint {
                epoch: done as f64 / per_epoch as f64,
                radius_db: step.epsilon,
                loss: step.values.loss,
                train: [seen.clean(), seen.bounded()],
                held_out: [new.clean(), new.bounded()],
            });
        }
        if !progress(done, total, curve.last()) {
            break;
        }
    }
    let model = recipe::in_features(&trainer.result(&train), &normalise);
    let chain = network::program(&model, None)?.into_chain()?;
    Ok(Trained {
        model,
        chain,
        curve,
        steps: [trainer.steps(), total],
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// Methods of live bounds, loosest first, as everything names them.
pub const METHODS: [(LiveBounds, &str); 2] =
    [(LiveBounds::Ibp, "intervals (IBP)"), (LiveBounds::Crown, "CROWN")];
/// Index into [`METHODS`] of the one that the artifact asks for. With one hidden layer CROWN for the outputs is CROWN for every neuron.
pub const SHIPPED: usize = 1;

/// The artifact: network, range, the monitor set to [`recipe::RADIUS_DB`], certificates.
pub fn artifact(
    chain: &Chain,
    certificates: Vec<RegionCertificate>,
    provenance: &[(&str, String)],
) -> Artifact {
    let mut notes: BTreeMap<String, String> =
        provenance.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    notes.insert("licence of the training data".into(), NOTICE.into());
    notes.insert("tool".into(), concat!("certus ", env!("CARGO_PKG_VERSION")).into());
    Artifact {
        minor: Artifact::MINOR,
        chain: chain.clone(),
        range: range(),
        settings: MonitorSettings {
            epsilon: vec![recipe::radius(recipe::RADIUS_DB); FEATURES],
            spec: OwnedSpec::ArgMax,
            live_bounds: METHODS[SHIPPED].0,
        },
        certificates,
        provenance: notes,
        unknown: Vec::new(),
    }
}

/// Features are 0 to 255; a certified box around silence reaches below, by less than 3 dB ([`super::regions::LADDER_DB`]).
pub fn range() -> InputRange {
    let room = recipe::radius(3.0);
    InputRange { lower: vec![-room; FEATURES], upper: vec![MOST + room; FEATURES] }
}
