//! Training: a loop over steps, each a batch, an objective and a step of the optimizer.
//!
//! What a step does depends on its number, the settings and the data alone: orders of the data come from the seed and the epoch. A run that
//! goes on from a [`Checkpoint`] therefore takes the same steps, bit for bit, on the same kind of processor with as many threads.

mod checkpoint;
mod measure;
mod objective;
mod presets;
mod settings;
#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use measure::{Measure, Measured};
pub use objective::Values;
pub use presets::PRESETS;
pub use settings::{
    AverageName, FillName, InitName, Method, OptimizerName, RampShape, RateShape, SettingError, Settings,
    SlopeName, within,
};

use crate::attack::{self, Attack, Region};
use crate::data::{Set, Targets};
use crate::model::{Model, Random, Shaped};
use crate::optim::{self, Average, Optimizer};
use objective::{Batch, Factors, Objective, Terms};
use std::collections::HashMap;

/// What a network is trained for: how far each element of an input may be off, and within which range.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Radius of each element when `epsilon` is 1, `[shape]`.
    pub radius: Vec<f32>,
    /// Smallest and largest value of each element, `[shape]` each; boxes end there.
    pub range: Option<[Vec<f32>; 2]>,
}

impl Task {
    /// The same radius for `width` elements, between `least` and `most`.
    pub fn uniform(width: usize, [least, most]: [f32; 2]) -> Self {
        Self { radius: vec![1.0; width], range: Some([vec![least; width], vec![most; width]]) }
    }
}

/// What a step was.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its number, from 0.
    pub number: u64,
    /// Its radius.
    pub epsilon: f64,
    /// Its step size.
    pub rate: f64,
    /// Its share of the clean loss.
    pub kappa: f64,
    /// Norm of the gradient before it was clipped.
    pub norm: f64,
    /// Inputs of its batch.
    pub lanes: usize,
    /// Values of its terms.
    pub values: Values,
}

/// A run of training.
#[derive(Debug)]
pub struct Trainer {
    settings: Settings,
    task: Task,
    model: Model,
    optimizer: Optimizer,
    average: Option<Average>,
    step: u64,
    per_epoch: u64,
    lanes: usize,
    order: (u64, Vec<u32>),
    objectives: HashMap<Terms, Objective>,
    attack: Option<Attack>,
    batch: Batch,
    pool: rayon::ThreadPool,
}

/// How much of the running means of batch normalisation a step replaces.
const STATISTICS_SHARE: f32 = 0.1;

impl Trainer {
    /// A run from the start: fresh weights in `model`, for `inputs` training inputs.
    ///
    /// # Errors
    /// [`SettingError`].
    ///
    /// # Panics
    /// If there are no inputs, or the task has another shape than the model.
    pub fn new(
        settings: Settings,
        task: Task,
        mut model: Model,
        inputs: usize,
    ) -> Result<Self, SettingError> {
        settings.check()?;
        settings.check_shape(&model.input)?;
        settings.init().fill(&mut model, &mut Random(settings.seed));
        Ok(Self::with(settings, task, model, inputs))
    }

    fn with(mut settings: Settings, task: Task, model: Model, inputs: usize) -> Self {
        assert!(inputs > 0, "there is something to learn from");
        assert_eq!(task.radius.len(), model.inputs(), "the task's radius has the input's shape");
        if settings.threads == 0 {
            settings.threads = std::thread::available_parallelism().map_or(1, usize::from);
        }
        let sizes = || model.parameters.iter().map(|p| p.values.len());
        let lanes = whole_lanes(&model, settings.batch.min(inputs));
        let average = match settings.average {
            AverageName::None => None,
            AverageName::Ema => Some(Average::new(Some(settings.average_keep as f32), sizes())),
            AverageName::Swa => Some(Average::new(None, sizes())),
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(settings.threads).build();
        Self {
            optimizer: Optimizer::new(settings.rule(), settings.decay as f32, sizes()),
            average,
            step: 0,
            per_epoch: inputs.div_ceil(lanes) as u64,
            lanes,
            order: (u64::MAX, Vec::new()),
            objectives: HashMap::new(),
            batch: Batch {
                inputs: vec![0.0; model.inputs() * lanes],
                targets: vec![0.0; model.classes * lanes],
                radius: vec![0.0; model.inputs()],
                attacked: Vec::new(),
            },
            attack: None,
            pool: pool.expect("threads can be started"),
            settings,
            task,
            model,
        }
    }

    /// The settings, threads made definite.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is trained for.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// The network as it is now.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Steps of an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.per_epoch
    }

    /// Steps in all.
    pub fn total_steps(&self) -> u64 {
        self.settings.steps(self.per_epoch)
    }

    /// Whether all steps are done.
    pub fn is_done(&self) -> bool {
        self.step >= self.total_steps()
    }

    /// Bytes that the graphs so far hold, beside data and weights.
    pub fn bytes(&self) -> usize {
        let attack = self.attack.as_ref().map_or(0, Attack::bytes);
        attack + self.objectives.values().map(Objective::bytes).sum::<usize>()
    }

    /// The next step on `set`.
    ///
    /// # Panics
    /// If `set` is not what the run began with.
    pub fn step(&mut self, set: &Set) -> Step {
        let number = self.step;
        self.fill(set);
        let share = self.settings.radius_ramp(self.per_epoch).at(number);
        let epsilon = share * self.settings.epsilon;
        let along = |[from, to]: [f64; 2]| from + share * (to - from);
        let method = self.settings.method;
        let bounds = matches!(method, Method::Ibp | Method::CrownIbp);
        // Without a radius an attack has nowhere to go.
        let attacked = method == Method::Pgd && epsilon > 0.0;
        let kappa = if bounds || attacked { along(self.settings.kappa) } else { 1.0 };
        let beta = if method == Method::CrownIbp && epsilon > 0.0 { along(self.settings.beta) } else { 0.0 };
        let regularise = (1.0 - share) * self.settings.regularise;
        for (to, unit) in self.batch.radius.iter_mut().zip(&self.task.radius) {
            *to = (f64::from(*unit) * epsilon) as f32;
        }
        let terms = Terms {
            clean: kappa > 0.0,
            worst: bounds && kappa < 1.0,
            backward: beta > 0.0,
            attacked: attacked && kappa < 1.0,
            numbers: matches!(set.targets, Targets::Values { .. }),
            regularise: bounds && regularise > 0.0,
            l1: self.settings.l1 > 0.0,
        };
        let factors = Factors {
            kappa: kappa as f32,
            beta: beta as f32,
            regularise: regularise as f32,
            l1: self.settings.l1 as f32,
        };
        if terms.attacked {
            self.attack_batch(terms.numbers);
        }
        let Self { objectives, model, task, settings, lanes, batch, pool, optimizer, .. } = self;
        let objective =
            objectives.entry(terms).or_insert_with(|| Objective::new(model, task, settings, terms, *lanes));
        let values = pool.install(|| objective.evaluate(model, batch, factors));
        let rate = settings.rate_at(number, self.per_epoch);
        let norm = pool.install(|| {
            let gradients = objective.gradients();
            let limit = if settings.clip > 0.0 { settings.clip as f32 } else { f32::INFINITY };
            let (factor, norm) = optim::clip(&gradients, limit);
            let tensors = model.parameters.iter_mut().map(|p| p.values.as_mut_slice());
            optimizer.step(tensors, &gradients, rate as f32, factor);
            norm
        });
        let areas = model.areas();
        for ((of, [mean, variance]), area) in
            model.statistics.iter_mut().zip(objective.statistics()).zip(areas)
        {
            let count = (area * *lanes) as f32;
            let unbiased = count / (count - 1.0).max(1.0);
            let mix = |to: &mut [f32], now: &[f32], factor: f32| {
                to.iter_mut().zip(now).for_each(|(a, b)| *a += STATISTICS_SHARE * (b * factor - *a));
            };
            mix(&mut of.mean, mean, 1.0);
            mix(&mut of.variance, variance, unbiased);
        }
        self.step += 1;
        self.add_to_average();
        Step { number, epsilon, rate, kappa, norm, lanes: self.lanes, values }
    }

    /// Fills the batch's attacked points: what the attack makes of its inputs, on the network as it would be evaluated.
    fn attack_batch(&mut self, numbers: bool) {
        let Self { attack, model, task, settings, lanes, batch, pool, step, .. } = self;
        let (lower, upper) = input_ends(task, &batch.inputs, &batch.radius, *lanes);
        let goal = if numbers { attack::Objective::Square } else { attack::Objective::CrossEntropy };
        let attack = attack.get_or_insert_with(|| Attack::new(model, goal, *lanes, settings.threads));
        let mut random = stream(settings.seed, ATTACKS + *step);
        let region = Region { lower: &lower, upper: &upper };
        batch.attacked = pool
            .install(|| attack.last_points(model, region, &batch.targets, &settings.attack(), &mut random));
    }

    /// The network that the run gives: its mean weights if it keeps them (batch normalisations estimated anew on `set`), else the last ones.
    pub fn result(&self, set: &Set) -> Model {
        let mut model = self.model.clone();
        if let Some(average) = self.average.as_ref().filter(|a| a.count > 0) {
            for (parameter, mean) in model.parameters.iter_mut().zip(&average.tensors) {
                parameter.values.clone_from(mean);
            }
            self.pool
                .install(|| measure::estimate_statistics(&mut model, set, self.lanes, self.settings.threads));
        }
        model
    }

    /// Runs `body` with the run's threads.
    pub fn with_threads<R: Send>(&self, body: impl FnOnce() -> R + Send) -> R {
        self.pool.install(body)
    }

    /// Gathers the batch of the present step: the next inputs of the epoch's order, which begins again at its end.
    fn fill(&mut self, set: &Set) {
        let n = set.len();
        assert_eq!(n.div_ceil(self.lanes) as u64, self.per_epoch, "the training data are those of the start");
        let epoch = self.step / self.per_epoch;
        if self.order.0 != epoch {
            self.order = (epoch, stream(self.settings.seed, epoch).permutation(n));
        }
        let first = (self.step % self.per_epoch) as usize * self.lanes;
        let which: Vec<u32> = (first..first + self.lanes).map(|k| self.order.1[k % n]).collect();
        set.gather(&which, &mut self.batch.inputs);
        set.gather_targets(&which, &mut self.batch.targets);
        let augment = self.settings.augment();
        if !augment.is_none() {
            let mut random = stream(self.settings.seed, VARIATIONS + self.step);
            let (unit, range) = (Some(self.task.radius.as_slice()), self.task.range.as_ref());
            augment.apply(&mut self.batch.inputs, &set.shape, self.lanes, unit, range, &mut random);
        }
    }

    fn add_to_average(&mut self) {
        let from = settings::steps(self.settings.average_from, self.per_epoch);
        let due = match self.settings.average {
            AverageName::Swa => self.step.is_multiple_of(self.per_epoch),
            _ => true,
        };
        if let (Some(average), true) = (&mut self.average, due && self.step > from) {
            average.add(self.model.parameters.iter().map(|p| p.values.as_slice()));
        }
    }
}

/// `lanes`, or as many more as convolutions need: their loops take whole vectors.
pub(crate) fn whole_lanes(model: &Model, lanes: usize) -> usize {
    let convolves = model.layers.iter().any(|layer| matches!(layer, Shaped::Conv { .. }));
    if convolves { lanes.next_multiple_of(certus_kernels::LANE_MULTIPLE) } else { lanes }
}

/// The ends of the boxes of radius `radius` `[elements]` around `x` `[elements, lanes]`, within the data's range.
fn input_ends(task: &Task, x: &[f32], radius: &[f32], lanes: usize) -> (Vec<f32>, Vec<f32>) {
    let (mut lower, mut upper) = (x.to_vec(), x.to_vec());
    let rows = lower.chunks_exact_mut(lanes).zip(upper.chunks_exact_mut(lanes));
    for (k, (lower, upper)) in rows.enumerate() {
        let [least, most] = match &task.range {
            Some([least, most]) => [least[k], most[k]],
            None => [f32::NEG_INFINITY, f32::INFINITY],
        };
        lower.iter_mut().for_each(|x| *x = (*x - radius[k]).max(least));
        upper.iter_mut().for_each(|x| *x = (*x + radius[k]).min(most));
    }
    (lower, upper)
}

/// Parts of a run's random numbers: orders of epochs lie below.
const ATTACKS: u64 = 1 << 48;
const VARIATIONS: u64 = 2 << 48;

/// Random numbers of part `part` of a run.
fn stream(seed: u64, part: u64) -> Random {
    let mut first = Random(seed ^ 0x5EED_0F0D_E500_0000);
    let mut random = Random(first.bits() ^ part.wrapping_mul(0xD134_2543_DE82_EF95));
    random.bits();
    random
}
