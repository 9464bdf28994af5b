//! The cascade.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use certus_core::program::ProgramError as CoreError;
use certus_engine::model::Model;
use certus_engine::program::{Float, Program, ProgramError};
use certus_engine::property::{Evaluate, PropertyError};
use certus_learn::attack::{Reach, Strength, counterexamples};
use certus_learn::data::{Set, Targets};
use certus_learn::model::Model as Trained;
use rayon::prelude::*;

use super::bounds::Bounder;
use super::complete::{self, Answer};
use crate::training::import;
use crate::training::network::Normalise;

/// What shows that a class wins on a whole box, loosest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// Intervals, the last layer elided.
    Ibp,
    /// A backward pass over the intervals.
    CrownIbp,
    /// Optimised slopes, one domain.
    AlphaCrown,
    /// Branch and bound.
    BranchAndBound,
}

impl Bound {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ibp => "IBP",
            Self::CrownIbp => "CROWN-IBP",
            Self::AlphaCrown => "α-CROWN",
            Self::BranchAndBound => "branch and bound",
        }
    }
}

/// What is known of one input.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// The network is wrong at the input itself.
    Wrong,
    /// It is right there, and wrong at this input of the box.
    Broken(Vec<f32>),
    /// It is right on the whole box.
    Certified(Bound),
    /// It is right at the input; of the box nothing is known.
    Open,
}

/// Why a network could not be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// A bound and an attack exclude each other.
    #[error(
        "input {input}: {bound} certifies class {class} on its box, and an attack broke it there. This is a fault of certus: no number of this run can be trusted; please report the network and this input"
    )]
    Contradiction {
        /// Which input, from 0.
        input: usize,
        /// What certified it.
        bound: &'static str,
        /// The class.
        class: usize,
    },
    /// A network of another shape than the data.
    #[error("the network has {network} {what}, the data have {data}")]
    Shape {
        /// Inputs or outputs.
        what: &'static str,
        /// Of the network.
        network: usize,
        /// Of the data.
        data: usize,
    },
    /// No data.
    #[error("there are no inputs to judge by")]
    Empty,
    /// A network that is no program.
    #[error("the network does not lower: {0}")]
    Program(ProgramError),
    /// A network that the device's bounds do not cover.
    #[error("the device's bounds do not cover the network: {0}")]
    Bounds(CoreError),
    /// No interval of the outputs.
    #[error("input {input}: no finite bound of the outputs; take a smaller radius")]
    NoBound {
        /// Which input, from 0.
        input: usize,
    },
    /// A property that does not fit: never, as shapes are checked before.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// It was interrupted.
    #[error("interrupted; nothing was judged")]
    Interrupted,
}

/// A network to judge.
#[derive(Clone, Debug)]
pub struct Subject {
    /// As the verifier reads it.
    pub network: Model,
    program: Program,
    /// As attacks differentiate it, or why they do not.
    trained: Result<(Trained, Option<Normalise>), String>,
}

impl Subject {
    /// `network`, whose inputs have the shape `shape`.
    ///
    /// # Errors
    /// [`EvaluateError::Program`].
    pub fn new(network: Model, shape: &[usize]) -> Result<Self, EvaluateError> {
        let program = network.to_program().map_err(EvaluateError::Program)?;
        let trained = import::model(&program, shape);
        Ok(Self { network, program, trained })
    }

    /// Why inputs are not attacked, if they are not.
    pub fn no_attack(&self) -> Option<&str> {
        self.trained.as_ref().err().map(String::as_str)
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// Radius of each element, `[shape]`.
    pub radius: &'a [f64],
    /// Smallest and largest value of each element.
    pub range: Option<&'a [Vec<f32>; 2]>,
    /// Inputs, from the first on; 0 takes all.
    pub count: usize,
    /// Inputs that are attacked, from the first on.
    pub attack: usize,
    /// How hard.
    pub strength: Strength,
    /// Inputs that the complete verifier decides, from the first on.
    pub verify: usize,
    /// Seconds for each.
    pub verify_timeout: f64,
    /// Seed of the attacks.
    pub seed: u64,
    /// Threads; those of the pool that it runs in.
    pub threads: usize,
    /// Ends it.
    pub stop: &'a AtomicBool,
}

impl Plan<'_> {
    /// How many inputs of `set` are judged.
    pub fn count_of(&self, set: &Set) -> usize {
        if self.count == 0 { set.len() } else { self.count.min(set.len()) }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Of each input.
    pub fates: Vec<Fate>,
    /// How many were attacked, from the first on.
    pub attacked: usize,
    /// How many were decided completely, from the first on.
    pub verified: usize,
}

impl Judged {
    /// Inputs of the first `of` that the network is right at.
    pub fn clean(&self, of: usize) -> usize {
        self.count(of, |f| !matches!(f, Fate::Wrong))
    }

    /// Inputs of the first `of` that are neither wrong nor broken.
    pub fn unbroken(&self, of: usize) -> usize {
        self.count(of, |f| !matches!(f, Fate::Wrong | Fate::Broken(_)))
    }

    /// Inputs of the first `of` that `bound` or a looser one certifies.
    pub fn certified(&self, of: usize, bound: Bound) -> usize {
        self.count(of, |f| matches!(f, Fate::Certified(by) if *by <= bound))
    }

    /// Inputs of the first `of` of which nothing is known.
    pub fn open(&self, of: usize) -> usize {
        self.count(of, |f| matches!(f, Fate::Open))
    }

    fn count(&self, of: usize, is: impl Fn(&Fate) -> bool) -> usize {
        self.fates.iter().take(of).filter(|f| is(f)).count()
    }
}

/// A stage of the cascade, and how far it is.
pub type Progress<'a> = dyn Fn(&str, usize, usize) + Sync + 'a;

/// Where an attack broke an input, if it did.
type Attacked = Option<Vec<f32>>;

/// The cascade over one network and set.
#[derive(Debug)]
pub struct Cascade<'a> {
    subject: &'a Subject,
    set: &'a Set,
    labels: &'a [u32],
}

/// What is known of an input that is right or not, that an attack broke or a bound certifies; both at once is the bound that does.
pub(super) fn fate(right: bool, broken: Option<Vec<f32>>, shown: Option<Bound>) -> Result<Fate, Bound> {
    match (right, broken, shown) {
        (false, ..) => Ok(Fate::Wrong),
        (true, Some(_), Some(bound)) => Err(bound),
        (true, Some(point), None) => Ok(Fate::Broken(point)),
        (true, None, Some(bound)) => Ok(Fate::Certified(bound)),
        (true, None, None) => Ok(Fate::Open),
    }
}

/// [`EvaluateError::Interrupted`] if the plan is to end.
pub(super) fn interrupted(plan: &Plan<'_>) -> Result<(), EvaluateError> {
    if plan.stop.load(Ordering::Relaxed) { Err(EvaluateError::Interrupted) } else { Ok(()) }
}

/// First index of the largest of `y`, and whether no other is as large.
fn winner<T: PartialOrd + Copy>(y: &[T]) -> (usize, bool) {
    let mut best = 0;
    for (k, v) in y.iter().enumerate() {
        if *v > y[best] {
            best = k;
        }
    }
    let alone = y.iter().enumerate().all(|(k, v)| k == best || *v < y[best]);
    (best, alone)
}

impl<'a> Cascade<'a> {
    /// Over `set`, whose targets are classes.
    ///
    /// # Errors
    /// [`EvaluateError::Shape`], [`EvaluateError::Empty`].
    pub fn new(subject: &'a Subject, set: &'a Set) -> Result<Self, EvaluateError> {
        let shape = |what, network, data| match network == data {
            true => Ok(()),
            false => Err(EvaluateError::Shape { what, network, data }),
        };
        if set.is_empty() {
            return Err(EvaluateError::Empty);
        }
        shape("inputs", subject.network.inputs(), set.width())?;
        shape("outputs", subject.network.outputs(), set.targets.outputs())?;
        let labels: &[u32] = match &set.targets {
            Targets::Classes { labels, .. } => labels,
            Targets::Values { .. } => {
                return Err(EvaluateError::Shape {
                    what: "classes",
                    network: subject.network.outputs(),
                    data: 0,
                });
            }
        };
        Ok(Self { subject, set, labels })
    }

    /// Runs it.
    ///
    /// # Errors
    /// [`EvaluateError`], above all [`EvaluateError::Contradiction`].
    pub fn run(&self, plan: &Plan<'_>, progress: &Progress<'_>) -> Result<Judged, EvaluateError> {
        let count = plan.count_of(self.set);
        let right = self.right(count, plan, progress)?;
        let (broken, attacked) = self.attack(count, plan, &right, progress)?;
        let shown = self.bound(&right, plan, progress)?;
        let mut fates = Vec::with_capacity(count);
        for (k, (broken, shown)) in broken.into_iter().zip(shown).enumerate() {
            fates.push(fate(right[k], broken, shown).map_err(|bound| self.contradiction(k, bound))?);
        }
        let verified = plan.verify.min(count);
        self.complete(&mut fates[..verified], plan, progress)?;
        Ok(Judged { fates, attacked, verified })
    }

    fn label(&self, k: usize) -> usize {
        self.labels[k] as usize
    }

    fn contradiction(&self, input: usize, bound: Bound) -> EvaluateError {
        EvaluateError::Contradiction { input, bound: bound.name(), class: self.label(input) }
    }

    /// Whether each input is of the right class, on the device and in `f64`, with no other output as large.
    fn right(
        &self,
        count: usize,
        plan: &Plan<'_>,
        progress: &Progress<'_>,
    ) -> Result<Vec<bool>, EvaluateError> {
        progress("clean", 0, count);
        let one = |k: usize| {
            interrupted(plan)?;
            Ok(self.wins(self.set.input(k), self.label(k)))
        };
        (0..count).into_par_iter().map(one).collect()
    }

    /// Whether `class` alone has the largest output at `x`, in `f32` and in `f64`.
    fn wins(&self, x: &[f32], class: usize) -> bool {
        let wide: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        winner(&self.subject.network.eval_f32(x)) == (class, true)
            && winner(&self.subject.network.eval_f64(&wide)) == (class, true)
    }

    /// Whether another class has a larger output at `x`, in `f32` and in `f64`.
    fn loses(&self, x: &[f32], class: usize) -> bool {
        fn beaten<T: Float + PartialOrd>(y: &[T], class: usize) -> bool {
            y.iter().any(|v| *v > y[class])
        }
        let wide: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        beaten(&self.subject.network.eval_f32(x), class)
            && beaten(&self.subject.network.eval_f64(&wide), class)
    }

    /// Inputs that break it, of the first inputs, and how many were attacked.
    fn attack(
        &self,
        count: usize,
        plan: &Plan<'_>,
        right: &[bool],
        progress: &Progress<'_>,
    ) -> Result<(Vec<Attacked>, usize), EvaluateError> {
        let mut broken = vec![None; count];
        let attacked = plan.attack.min(count);
        let Ok((model, normalise)) = &self.subject.trained else { return Ok((broken, 0)) };
        let which: Vec<u32> = (0..attacked as u32).filter(|k| right[*k as usize]).collect();
        if plan.strength.steps == 0 || which.is_empty() {
            return Ok((broken, if plan.strength.steps == 0 { 0 } else { attacked }));
        }
        let mut set = self.set.subset(&which);
        let (radius, range) = seen(plan, normalise.as_ref(), &mut set);
        let reach = Reach { radius: &radius, range: range.as_ref() };
        let total = which.len();
        let mut heard = |done: usize| {
            progress("attack", done, total);
            !plan.stop.load(Ordering::Relaxed)
        };
        let strength = Strength { lanes: plan.strength.lanes.min(total), ..plan.strength };
        let found =
            counterexamples(model, &set, (reach, total), strength, (plan.seed, plan.threads), &mut heard);
        interrupted(plan)?;
        for (k, point) in which.iter().map(|k| *k as usize).zip(found) {
            let Some(point) = point else { continue };
            let mut point = normalise.as_ref().map_or(point.clone(), |of| of.undo(&point));
            self.move_into_box(&mut point, k, plan);
            if self.loses(&point, self.label(k)) {
                broken[k] = Some(point);
            }
        }
        Ok((broken, attacked))
    }

    /// Moves `point` to the nearest `f32` in the exact box of input `k`.
    fn move_into_box(&self, point: &mut [f32], k: usize, plan: &Plan<'_>) {
        for (at, (x, centre)) in point.iter_mut().zip(self.set.input(k)).enumerate() {
            let r = plan.radius[at];
            let [least, most] =
                plan.range.map_or([f32::NEG_INFINITY, f32::INFINITY], |[l, u]| [l[at], u[at]]);
            *x = x.clamp(least, most);
            // Differences of `f32` are compared in `f64` with room for their rounding.
            while (f64::from(*x) - f64::from(*centre)).abs() > r * (1.0 - 1e-15) && *x != *centre {
                *x = if *x > *centre {
                    ((f64::from(*centre) + r) as f32).min(x.next_down()).max(*centre)
                } else {
                    ((f64::from(*centre) - r) as f32).max(x.next_up()).min(*centre)
                };
            }
        }
    }

    /// The bound that certifies each input, if one does; attacked inputs too.
    fn bound(
        &self,
        right: &[bool],
        plan: &Plan<'_>,
        progress: &Progress<'_>,
    ) -> Result<Vec<Option<Bound>>, EvaluateError> {
        let tables = self.subject.program.tables();
        let mut places = Vec::new();
        let planned = tables.plan(&mut places).map_err(EvaluateError::Bounds)?;
        let done = AtomicUsize::new(0);
        let start = || Bounder::new(&self.subject.program, &planned);
        let one = |bounder: &mut Bounder<'_>, k: usize| {
            interrupted(plan)?;
            progress("bounds", done.fetch_add(1, Ordering::Relaxed), right.len());
            if !right[k] {
                return Ok(None);
            }
            let (lower, upper) = super::outward(self.set.input(k), plan.radius, plan.range);
            Ok(bounder.shows(&lower, &upper, self.label(k)))
        };
        (0..right.len()).into_par_iter().map_init(start, one).collect()
    }

    /// Decides what is open.
    fn complete(
        &self,
        fates: &mut [Fate],
        plan: &Plan<'_>,
        progress: &Progress<'_>,
    ) -> Result<(), EvaluateError> {
        let open: Vec<usize> = (0..fates.len()).filter(|k| matches!(fates[*k], Fate::Open)).collect();
        // One input a thread, the verifier on one thread each.
        let (done, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let one = |k: &usize| {
            interrupted(plan)?;
            progress("verifier", done.fetch_add(1, Ordering::Relaxed), open.len());
            let reach = (plan.radius, plan.range);
            let at = (self.set.input(*k), self.label(*k));
            let answer =
                complete::decide(&self.subject.network, at, reach, (plan.verify_timeout, 1), plan.stop)?;
            all.lock().expect("nobody panics").push((*k, answer));
            Ok(())
        };
        open.par_iter().map(one).collect::<Result<(), EvaluateError>>()?;
        interrupted(plan)?;
        for (k, answer) in all.into_inner().expect("nobody panics") {
            fates[k] = match answer {
                Answer::Certified(bound) => Fate::Certified(bound),
                Answer::Broken(point) => Fate::Broken(point),
                Answer::Open => Fate::Open,
            };
        }
        Ok(())
    }
}

/// Radius and range as the layers behind `normalise` see them; `set` is brought there.
fn seen(plan: &Plan<'_>, normalise: Option<&Normalise>, set: &mut Set) -> (Vec<f64>, Option<[Vec<f32>; 2]>) {
    let Some(of) = normalise else { return (plan.radius.to_vec(), plan.range.cloned()) };
    of.apply_to(set);
    let radius = plan.radius.iter().zip(&of.scale).map(|(r, s)| r * f64::from(s.abs())).collect();
    let range = plan.range.map(|[least, most]| {
        let (mut a, mut b) = (least.clone(), most.clone());
        of.apply(&mut a);
        of.apply(&mut b);
        let ends = |pick: fn(f32, f32) -> f32| a.iter().zip(&b).map(|(a, b)| pick(*a, *b)).collect();
        [ends(f32::min), ends(f32::max)]
    });
    (radius, range)
}
