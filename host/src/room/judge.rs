//! The device's monitor over samples, on the host: the same code, decision by decision.

use std::collections::BTreeMap;

use certus_core::artifact::LiveBounds;
use certus_core::monitor::{MonitorRef, memory_len};
use certus_core::{ArtifactView, Decision, Status};
use certus_engine::Chain;
use certus_engine::certify::{AlignedBytes, Artifact, EmitError, InputRange, MonitorSettings, OwnedSpec};
use certus_learn::attack::{Attack, Objective, Pgd, Reach, Region, Strength, counterexamples};
use certus_learn::data::{Set, Targets};
use certus_learn::model::Random;

use super::RoomError;
use super::train::Trained;

/// What one step said.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The decision.
    pub decision: Decision,
    /// The outputs, `[outputs]`; empty if none were computed.
    pub outputs: Vec<f32>,
    /// What each output can be on the ball, `[outputs]` pairs; the whole line where nothing is proved.
    pub intervals: Vec<[f32; 2]>,
}

impl Judged {
    /// Whether the answer is certified.
    pub fn is_certified(&self) -> bool {
        matches!(self.decision.status, Status::Certified { .. })
    }
}

/// An artifact of `chain` that certifies `spec` at `epsilon` `[inputs]` within `range`.
pub fn artifact(
    chain: &Chain,
    (spec, epsilon): (OwnedSpec, Vec<f32>),
    range: InputRange,
    notes: &[(&str, String)],
) -> Artifact {
    let tool = ("tool", concat!("certus ", env!("CARGO_PKG_VERSION")).to_owned());
    let notes = notes.iter().cloned().chain([tool]);
    Artifact {
        minor: Artifact::MINOR,
        chain: chain.clone(),
        range,
        settings: MonitorSettings { epsilon, spec, live_bounds: LiveBounds::CrownFull },
        certificates: Vec::new(),
        provenance: notes.map(|(key, value)| (key.to_owned(), value)).collect::<BTreeMap<_, _>>(),
        unknown: Vec::new(),
    }
}

/// The same at another level of errors, a multiple of the sensors' own.
pub fn at_level(artifact: &Artifact, level: f64) -> Artifact {
    let mut artifact = artifact.clone();
    artifact.settings.epsilon.iter_mut().for_each(|e| *e = (f64::from(*e) * level) as f32);
    artifact
}

/// What the monitor of `artifact` says to each of `samples`.
///
/// # Errors
/// [`RoomError::Emit`] if the core refuses the artifact, [`RoomError::Monitor`] if this processor does not follow IEEE 754.
pub fn judge<'s>(
    artifact: &Artifact,
    samples: impl IntoIterator<Item = &'s [f32]>,
) -> Result<Vec<Judged>, RoomError> {
    let aligned = AlignedBytes::from(&artifact.emit()?[..]);
    let view = ArtifactView::new_checked(aligned.as_slice()).map_err(EmitError::from)?;
    let layers: Vec<_> = view.layers().collect();
    let mut memory = vec![0.0; memory_len(&view)];
    let mut monitor = MonitorRef::new(view, &layers, &mut memory)?;
    let (mut lower, mut upper) = (vec![0.0; view.outputs()], vec![0.0; view.outputs()]);
    let mut one = |sample: &[f32]| {
        let decision = monitor.step(sample);
        // Without a bound both ends are infinite, which is what is meant here.
        let _ = monitor.output_bounds(&mut lower, &mut upper);
        let intervals = lower.iter().zip(&upper).map(|(l, u)| [*l, *u]).collect();
        Judged { decision, outputs: monitor.outputs().to_vec(), intervals }
    };
    Ok(samples.into_iter().map(&mut one).collect())
}

/// Inputs of `set` whose class an attack changes within `epsilon` `[inputs]` of them, as the device computes it.
///
/// PGD, then AutoPGD on the cross entropy and on the ratio of logits. Every point found is moved into the box of floats around its input
/// and evaluated again there.
pub fn broken(trained: &Trained, set: &Set, epsilon: &[f32], seed: u64) -> Vec<bool> {
    let mut normal = set.clone();
    trained.normalise.apply_to(&mut normal);
    let scales = trained.normalise.scale.iter();
    let radius: Vec<f64> = epsilon.iter().zip(scales).map(|(e, s)| f64::from(*e) * f64::from(*s)).collect();
    let reach = Reach { radius: &radius, range: None };
    let found = counterexamples(
        &trained.model,
        &normal,
        (reach, set.len()),
        Strength::default(),
        (seed, 1),
        &mut |_| true,
    );
    let class = |x: &[f32]| first_largest(&trained.chain.eval_f32(x));
    let Targets::Classes { labels, .. } = &set.targets else { return vec![false; set.len()] };
    let breaks = |(k, point): (usize, &Option<Vec<f32>>)| {
        let Some(point) = point else { return false };
        let x = inside(&trained.normalise.undo(point), set.input(k), epsilon);
        class(&x) != labels[k] as usize
    };
    found.iter().enumerate().map(breaks).collect()
}

/// Smallest and largest value of output 0 that an attack finds within `epsilon` of each input of `set`, as the device computes it.
pub fn reached(trained: &Trained, set: &Set, epsilon: &[f32], seed: u64) -> Vec<[f32; 2]> {
    const LANES: usize = 128;
    /// Beyond every output, so that the squared error to it has no other slope.
    const FAR: f32 = 1e5;
    let mut normal = set.clone();
    trained.normalise.apply_to(&mut normal);
    let model = &trained.model;
    let mut attack = Attack::new(model, Objective::Square, LANES, 1);
    let settings = Pgd { steps: 20, step: 0.25, starts: 1, random: true };
    let mut random = Random(seed);
    let mut all = Vec::with_capacity(set.len());
    for first in (0..set.len()).step_by(LANES) {
        // The last batch is filled up with its last input, which does not count.
        let which: Vec<u32> = (first..first + LANES).map(|k| k.min(set.len() - 1) as u32).collect();
        let mut centre = vec![0.0; model.inputs() * LANES];
        normal.gather(&which, &mut centre);
        let (mut lower, mut upper) = (centre.clone(), centre);
        for (element, (e, scale)) in epsilon.iter().zip(&trained.normalise.scale).enumerate() {
            lower[element * LANES..][..LANES].iter_mut().for_each(|x| *x -= e * scale);
            upper[element * LANES..][..LANES].iter_mut().for_each(|x| *x += e * scale);
        }
        let region = Region { lower: &lower, upper: &upper };
        let mut towards = |target: f32| {
            let targets = vec![target; model.classes * LANES];
            attack.pgd(model, region, &targets, &settings, &mut random).points
        };
        let points = [towards(FAR), towards(-FAR)];
        for lane in 0..LANES.min(set.len() - first) {
            let input = set.input(first + lane);
            let ends = points.each_ref().map(|points| {
                let point: Vec<f32> = points[lane..].iter().step_by(LANES).copied().collect();
                trained.chain.eval_f32(&inside(&trained.normalise.undo(&point), input, epsilon))[0]
            });
            all.push([ends[0].min(ends[1]), ends[0].max(ends[1])]);
        }
    }
    all
}

/// `point` moved into the floats `x` with `|x − input| ≤ epsilon`.
fn inside(point: &[f32], input: &[f32], epsilon: &[f32]) -> Vec<f32> {
    let one = |((p, x), e): ((&f32, &f32), &f32)| {
        let off = (f64::from(*p) - f64::from(*x)).clamp(-f64::from(*e), f64::from(*e));
        let moved = (f64::from(*x) + off) as f32;
        if (f64::from(moved) - f64::from(*x)).abs() <= f64::from(*e) {
            moved
        } else if moved > *x {
            moved.next_down()
        } else {
            moved.next_up()
        }
    };
    point.iter().zip(input).zip(epsilon).map(one).collect()
}

/// The first of the largest outputs, as the monitor names classes.
pub fn first_largest(outputs: &[f32]) -> usize {
    let mut best = 0;
    for (index, y) in outputs.iter().enumerate() {
        if *y > outputs[best] {
            best = index;
        }
    }
    best
}
