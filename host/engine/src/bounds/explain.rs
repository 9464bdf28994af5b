//! What keeps a property open at the root: its weakest row, and the layers and neurons at which that row's bound is lost.
//!
//! All bounds are those of the search: *estimates*.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::loss::{LossError, Losses, losses};
use super::program::{
    BoundError, Bounds, Climb, Clip, Domain, Intermediate, Interval, Prepared, Region, Settings, Spec, Stop,
    bound, bound_all, climb, interval_margin,
};
use crate::model::Model;
use crate::program::{Operation, Program, ProgramError, Slot};
use crate::property::{Case, Property, Row};

/// Cases of a property that are looked at for the weakest; more than this are left out.
const MOST_CASES: usize = 64;

/// How long and how wide to look.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// When to be done, about: each part looks at it.
    pub deadline: Instant,
    /// When it is set, the same.
    pub flag: &'a AtomicBool,
    /// Threads of the bounds.
    pub threads: usize,
    /// Neurons of which both halves are bounded.
    pub splits: usize,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// The network is no program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The root could not be bounded.
    #[error("{0}; more time, or a smaller box, may help")]
    Bound(#[from] BoundError),
    /// The bound could not be taken apart.
    #[error(transparent)]
    Loss(#[from] LossError),
}

/// A nonlinear step's part.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// What it gives; 0 is the input.
    pub slot: usize,
    /// Name of the node it comes from.
    pub name: String,
    /// Its function.
    pub kind: &'static str,
    /// Elements.
    pub neurons: usize,
    /// Those whose relaxation is not exact.
    pub unstable: usize,
    /// What it loses of the bound.
    pub loss: f64,
}

/// A neuron and what splitting it gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// The step's slot.
    pub slot: usize,
    /// Element.
    pub element: usize,
    /// Bounds of its operand; of the first one, where it has several.
    pub lower: f32,
    /// The same.
    pub upper: f32,
    /// The row's coefficient on it.
    pub coefficient: f64,
    /// What it loses of the bound.
    pub loss: f64,
    /// Where its operand is split; `None` for steps of several operands.
    pub point: Option<f32>,
    /// CROWN bounds of the row where the operand is at most, at least the point.
    pub halves: Option<[f32; 2]>,
}

impl Split {
    /// How much the weaker half's bound is above that of the whole.
    pub fn gain(&self, whole: f32) -> Option<f32> {
        self.halves.map(|[below, above]| below.min(above) - whole)
    }
}

/// What keeps a property open.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The weakest case, disjunct of it, and that disjunct's best row, from 0.
    pub case: usize,
    /// The same.
    pub disjunct: usize,
    /// Disjuncts of the case.
    pub disjuncts: usize,
    /// The same.
    pub row: usize,
    /// Rows of the disjunct: one refuted row is enough.
    pub rows: usize,
    /// Lower bound of `coefficients·y − rhs` by intervals; the row is refuted above 0.
    pub interval: f32,
    /// By CROWN.
    pub crown: f32,
    /// By α-CROWN, intermediate bounds climbing too; `None` if there was no time.
    pub alpha: Option<f32>,
    /// The bound that is taken apart: lines of least area on the tightest intervals.
    pub bound: f64,
    /// The row where that bound is reached.
    pub value: f64,
    /// Nonlinear steps in order.
    pub layers: Vec<Layer>,
    /// The neurons that lose most.
    pub splits: Vec<Split>,
}

impl Explanation {
    /// What the relaxation loses; the layers' losses add up to it.
    pub fn looseness(&self) -> f64 {
        self.value - self.bound
    }

    /// The best of the root's bounds.
    pub fn best(&self) -> f32 {
        self.alpha.unwrap_or(f32::NEG_INFINITY).max(self.crown).max(self.interval)
    }
}

/// Explains `property` of `model`.
///
/// # Errors
/// [`ExplainError`].
///
/// # Panics
/// If the property's inputs or outputs are not the model's.
pub fn explain(model: &Model, property: &Property, limits: &Limits<'_>) -> Result<Explanation, ExplainError> {
    let program = model.to_program()?;
    let net = Prepared::new(&program);
    let stop = Stop { deadline: Some(limits.deadline), flag: Some(limits.flag) };
    let settings =
        Settings { intermediate: Intermediate::Intersected, threads: limits.threads, ..Settings::default() };
    let (case, disjunct, row) = weakest(&net, property, &settings, stop)?;
    let chosen = &property.cases[case];
    let statement = &chosen.disjuncts[disjunct].rows[row];
    let spec = spec_of([statement]);
    let (lower, upper) = rounded(chosen);
    let region = Region { lower: &lower, upper: &upper };
    let interval = interval_margin(&net, region, &spec)?.rows[0];
    let crown = bound(&net, region, &spec, &settings, Stop::default())?;
    let climbed = climb(&net, region.into(), &spec, &settings, &Climb::default(), stop).ok();
    let tightest = climbed.as_ref().unwrap_or(&crown);
    let ends = (chosen.region.lower.as_slice(), chosen.region.upper.as_slice());
    let lost = losses(&program, ends, (&statement.coefficients, -statement.rhs_upper), &tightest.slots)?;
    let mut splits = candidates(&program, &lost, &tightest.slots, limits.splits);
    bound_halves(&net, region, &spec, &settings, stop, &program, &mut splits);
    Ok(Explanation {
        case,
        disjunct,
        disjuncts: chosen.disjuncts.len(),
        row,
        rows: chosen.disjuncts[disjunct].rows.len(),
        interval,
        crown: crown.rows[0],
        alpha: climbed.map(|c: Bounds| c.rows[0]),
        bound: lost.bound,
        value: lost.value,
        layers: layers(&program, &lost),
        splits,
    })
}

/// The case with the weakest disjunct, that disjunct, and its best row, by CROWN.
fn weakest(
    net: &Prepared,
    property: &Property,
    settings: &Settings,
    stop: Stop<'_>,
) -> Result<(usize, usize, usize), BoundError> {
    let mut worst = (f32::INFINITY, (0, 0, 0));
    for (index, case) in property.cases.iter().enumerate().take(MOST_CASES) {
        let (lower, upper) = rounded(case);
        let spec = spec_of(case.disjuncts.iter().flat_map(|d| &d.rows));
        // The first case decides whether anything can be said; time cuts the others short.
        let stop = if index == 0 { Stop::default() } else { stop };
        let found = match bound(net, Region { lower: &lower, upper: &upper }, &spec, settings, stop) {
            Err(BoundError::Stopped) => break,
            found => found?,
        };
        let mut rows = found.rows.iter().map(|b| if b.is_nan() { f32::NEG_INFINITY } else { *b });
        for (disjunct, statement) in case.disjuncts.iter().enumerate() {
            let bounds = rows.by_ref().take(statement.rows.len()).enumerate();
            let best = bounds.max_by(|a, b| a.1.total_cmp(&b.1)).expect("a disjunct has a row");
            if best.1 < worst.0 {
                worst = (best.1, (index, disjunct, best.0));
            }
        }
    }
    Ok(worst.1)
}

fn spec_of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Spec {
    let mut spec = Spec { weights: Vec::new(), bias: Vec::new() };
    for row in rows {
        spec.weights.extend(row.coefficients.iter().map(|c| *c as f32));
        spec.bias.push(-row.rhs_upper as f32);
    }
    spec
}

/// The case's box in `f32`, rounded outward.
fn rounded(case: &Case) -> (Vec<f32>, Vec<f32>) {
    let down = |x: &f64| if f64::from(*x as f32) > *x { (*x as f32).next_down() } else { *x as f32 };
    let up = |x: &f64| if f64::from(*x as f32) < *x { (*x as f32).next_up() } else { *x as f32 };
    (case.region.lower.iter().map(down).collect(), case.region.upper.iter().map(up).collect())
}

fn layers(program: &Program, lost: &Losses) -> Vec<Layer> {
    let layer = |step: &super::loss::StepLoss| {
        let of = &program.steps()[step.slot.0 - 1];
        let kind = match &of.operation {
            Operation::Elementwise { function, .. } => function.name(),
            Operation::Max { .. } => "maximum",
            _ => "product",
        };
        let (name, neurons) = (of.name.clone(), program.size(step.slot));
        Layer { slot: step.slot.0, name, kind, neurons, unstable: step.unstable, loss: step.loss }
    };
    lost.steps.iter().map(layer).collect()
}

/// The neurons that lose most.
fn candidates(program: &Program, lost: &Losses, intervals: &[Interval], most: usize) -> Vec<Split> {
    let mut all: Vec<Split> = Vec::new();
    for step in &lost.steps {
        // Of each step no more than can be shown.
        for neuron in step.neurons.iter().take(most) {
            let (operand, element, splittable) = operand(program, step.slot, neuron.element);
            let ends = &intervals[operand.0];
            let (lower, upper) = (ends.lower[element], ends.upper[element]);
            // At the kink where there is one, else in the middle.
            let middle = if lower < 0.0 && upper > 0.0 { 0.0 } else { 0.5 * lower + 0.5 * upper };
            all.push(Split {
                slot: step.slot.0,
                element: neuron.element,
                lower,
                upper,
                coefficient: neuron.coefficient,
                loss: neuron.loss,
                point: (splittable && lower < middle && middle < upper).then_some(middle),
                halves: None,
            });
        }
    }
    all.sort_by(|a, b| b.loss.total_cmp(&a.loss));
    all.truncate(most);
    all
}

/// The first operand of an element of a nonlinear step, and whether it is its only one.
fn operand(program: &Program, slot: Slot, element: usize) -> (Slot, usize, bool) {
    match &program.steps()[slot.0 - 1].operation {
        Operation::Elementwise { input, .. } => (*input, element, true),
        Operation::Max { input, groups } => {
            (*input, groups.members[groups.starts[element] as usize] as usize, false)
        }
        Operation::Product { left, m, k, n, .. } => {
            (*left, (element / (m * n) * m + element / n % m) * k, false)
        }
        Operation::Affine(_) | Operation::Index { .. } => unreachable!("no nonlinear step"),
    }
}

/// Bounds both halves of every neuron that has a point, while there is time.
fn bound_halves(
    net: &Prepared,
    region: Region<'_>,
    spec: &Spec,
    settings: &Settings,
    stop: Stop<'_>,
    program: &Program,
    splits: &mut [Split],
) {
    for split in splits.iter_mut() {
        let Some(point) = split.point else { continue };
        let (slot, element, _) = operand(program, Slot(split.slot), split.element);
        let clip = |lower: f32, upper: f32| [Clip { slot, element, lower, upper }];
        let clips = [clip(f32::NEG_INFINITY, point), clip(point, f32::INFINITY)];
        let domains = clips.each_ref().map(|clips| Domain { region, clips });
        let found = bound_all(net, &domains, spec, settings, stop);
        if let [Ok(below), Ok(above)] = found.as_slice() {
            split.halves = Some([below.rows[0], above.rows[0]]);
        }
    }
}
