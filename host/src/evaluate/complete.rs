//! The complete verifier on one input of a data set.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use certus_engine::model::Model;
use certus_engine::property::{
    Case, Composition, Disjunct, Evaluate, InputBox, Lowered, Part, Property, PropertyError, Row,
};
use certus_engine::search::Silent;
use certus_engine::verify::{Instance, Settings, Verdict};

use super::Bound;

/// What the verifier says.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// No other class wins anywhere in the box, over the reals: every leaf was accepted by the checker.
    Certified(Bound),
    /// Another class wins at this input.
    Broken(Vec<f32>),
    /// The time was over.
    Open,
}

/// Whether `class` wins on the whole box of radius `radius` around `x`, within `range`.
///
/// # Errors
/// [`PropertyError`] if the network does not fit.
pub fn decide(
    network: &Model,
    (x, class): (&[f32], usize),
    (radius, range): (&[f64], Option<&[Vec<f32>; 2]>),
    (timeout, threads): (f64, usize),
    stop: &AtomicBool,
) -> Result<Answer, PropertyError> {
    let property = property(x, class, (radius, range), network.outputs());
    let part = Part { network: 0, inputs: (0..x.len()).collect(), outputs: property.outputs };
    let composition = Composition { inputs: x.len(), parts: vec![part], passed: Vec::new() };
    let instance = Instance::new(Lowered { property, composition }, vec![network.clone()])?;
    let settings = Settings { timeout: Duration::from_secs_f64(timeout), threads, ..Settings::default() };
    let report = instance.verify(&settings, stop, &Silent);
    Ok(match report.verdict {
        Verdict::Holds(_) if report.stats.leaves <= 1 => Answer::Certified(Bound::AlphaCrown),
        Verdict::Holds(_) => Answer::Certified(Bound::BranchAndBound),
        Verdict::Violated(witness) => Answer::Broken(witness.input),
        Verdict::Unknown { .. } => Answer::Open,
    })
}

/// The question whether another class reaches `class` in the box.
fn property(
    x: &[f32],
    class: usize,
    (radius, range): (&[f64], Option<&[Vec<f32>; 2]>),
    outputs: usize,
) -> Property {
    let (lower, upper) = super::outward(x, radius, range);
    // Every `f32` inside the outward box but its ends lies in the exact one; ends do where they are the range's.
    let inner = |end: f32, centre: f32, limit: Option<f32>| {
        if Some(end) == limit || end == centre {
            end
        } else if end < centre {
            end.next_up().min(centre)
        } else {
            end.next_down().max(centre)
        }
    };
    let ends = |k: usize| range.map_or([None, None], |[l, u]| [Some(l[k]), Some(u[k])]);
    let region = InputBox {
        witness_lower: (0..x.len()).map(|k| inner(lower[k], x[k], ends(k)[0])).collect(),
        witness_upper: (0..x.len()).map(|k| inner(upper[k], x[k], ends(k)[1])).collect(),
        lower: lower.iter().map(|x| f64::from(*x)).collect(),
        upper: upper.iter().map(|x| f64::from(*x)).collect(),
    };
    let row = |k: usize| {
        let mut coefficients = vec![0.0; outputs];
        (coefficients[class], coefficients[k]) = (1.0, -1.0);
        // A proof shows a margin above 0, a witness one below.
        Disjunct { rows: vec![Row { coefficients, rhs_lower: 0.0, rhs_upper: 0.0, strict: true }] }
    };
    let disjuncts = (0..outputs).filter(|k| *k != class).map(row).collect();
    Property { inputs: x.len(), outputs, cases: vec![Case { region, disjuncts }] }
}
