//! Networks that predict numbers: how far they are off, and how far they can be pushed.

use certus_engine::model::Model;
use certus_engine::property::Evaluate;
use certus_learn::data::{Set, Targets};
use rayon::prelude::*;

use super::bounds::Bounder;
use super::cascade::{EvaluateError, Plan, interrupted};

/// What was found of one number.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// What it is called.
    pub name: String,
    /// Mean of how far the prediction is off.
    pub error: f64,
    /// Mean width of the interval of all predictions on the box.
    pub width: f64,
    /// Mean of how far a prediction on the box can be off at most.
    pub worst: f64,
}

/// Mean errors and certified intervals at the plan's radius.
///
/// # Errors
/// [`EvaluateError`]; none of its numbers if an interval was not found for some input.
pub fn predict(network: &Model, set: &Set, plan: &Plan<'_>) -> Result<Vec<Predicted>, EvaluateError> {
    let Targets::Values { values, names } = &set.targets else { return Ok(Vec::new()) };
    let program = network.to_program().map_err(EvaluateError::Program)?;
    let tables = program.tables();
    let mut places = Vec::new();
    let planned = tables.plan(&mut places).map_err(EvaluateError::Bounds)?;
    let (count, outputs) = (plan.count_of(set), names.len());
    let start = || Bounder::new(&program, &planned);
    let one = |bounder: &mut Bounder<'_>, k: usize| -> Result<Vec<[f64; 3]>, EvaluateError> {
        interrupted(plan)?;
        let x = set.input(k);
        let (lower, upper) = super::outward(x, plan.radius, plan.range);
        let ends = bounder.outputs(&lower, &upper).ok_or(EvaluateError::NoBound { input: k })?;
        let found = network.eval_f32(x);
        let right = &values[k * outputs..][..outputs];
        let numbers = found.iter().zip(right).zip(&ends);
        Ok(numbers
            .map(|((y, t), [l, u])| {
                let (y, t, l, u) = (f64::from(*y), f64::from(*t), f64::from(*l), f64::from(*u));
                [(y - t).abs(), u - l, (u - t).abs().max((l - t).abs())]
            })
            .collect())
    };
    let all: Vec<Vec<[f64; 3]>> =
        (0..count).into_par_iter().map_init(start, one).collect::<Result<_, _>>()?;
    let mean = |output: usize, which: usize| {
        all.iter().map(|of| of[output][which]).sum::<f64>() / count.max(1) as f64
    };
    let each = names.iter().enumerate().map(|(k, name)| Predicted {
        name: name.clone(),
        error: mean(k, 0),
        width: mean(k, 1),
        worst: mean(k, 2),
    });
    Ok(each.collect())
}
