//! A network judged as the settings ask: the cascade at the radius of tests, and a curve over radii.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use certus_engine::model::Model;
use certus_learn::attack::Strength;
use certus_learn::data::{Set, Targets};
use certus_learn::train::Task;
use serde_json::{Value, json};

use super::cascade::{Bound, Cascade, EvaluateError, Judged, Plan, Progress, Subject};
use super::interval::{Predicted, predict};
use crate::training::config::EvaluateSettings;

/// Bounds in their order.
pub const BOUNDS: [Bound; 4] = [Bound::Ibp, Bound::CrownIbp, Bound::AlphaCrown, Bound::BranchAndBound];

/// What was found of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Radius, in units of the data's radii.
    pub epsilon: f64,
    /// Of networks that tell classes apart.
    pub judged: Option<Judged>,
    /// The same at other radii.
    pub curve: Vec<(f64, Judged)>,
    /// Of networks that predict numbers.
    pub predicted: Vec<Predicted>,
    /// Why inputs were not attacked, if they were not.
    pub no_attack: Option<String>,
    /// How many inputs there were.
    pub count: usize,
    /// Seconds it took.
    pub seconds: f64,
}

/// Judges `network` on `set` at `epsilon`, with the present thread pool.
///
/// # Errors
/// [`EvaluateError`].
pub fn judge(
    network: Model,
    set: &Set,
    task: &Task,
    (settings, epsilon): (&EvaluateSettings, f64),
    stop: &AtomicBool,
    progress: &Progress<'_>,
) -> Result<Judgement, EvaluateError> {
    let start = Instant::now();
    let subject = Subject::new(network, &set.shape)?;
    let radius = |epsilon: f64| -> Vec<f64> { task.radius.iter().map(|r| f64::from(*r) * epsilon).collect() };
    let here = radius(epsilon);
    let plan = Plan {
        radius: &here,
        range: task.range.as_ref(),
        count: settings.count,
        attack: settings.attack_count,
        strength: Strength {
            steps: settings.attack_steps,
            starts: settings.attack_starts,
            ..Strength::default()
        },
        verify: settings.verify,
        verify_timeout: settings.verify_timeout,
        seed: settings.seed,
        threads: rayon::current_num_threads(),
        stop,
    };
    let mut found = Judgement {
        epsilon,
        judged: None,
        curve: Vec::new(),
        predicted: Vec::new(),
        no_attack: subject.no_attack().map(str::to_owned),
        count: plan.count_of(set),
        seconds: 0.0,
    };
    if matches!(set.targets, Targets::Values { .. }) {
        found.predicted = predict(&subject.network, set, &plan)?;
    } else {
        let cascade = Cascade::new(&subject, set)?;
        found.judged = Some(cascade.run(&plan, progress)?);
        for factor in settings.curve.iter().filter(|_| settings.curve_count > 0) {
            let there = radius(factor * epsilon);
            let count = settings.curve_count;
            let plan =
                Plan { radius: &there, count, attack: count.min(plan.attack), verify: 0, ..plan.clone() };
            found.curve.push((factor * epsilon, cascade.run(&plan, progress)?));
        }
        found.curve.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    found.seconds = start.elapsed().as_secs_f64();
    Ok(found)
}

/// A number of the judgement: of how many inputs, which share, and what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What is counted.
    pub what: String,
    /// Inputs that were asked.
    pub of: usize,
    /// Inputs that count.
    pub count: usize,
    /// Which bound or attack it rests on.
    pub by: String,
}

impl Line {
    /// The share, %.
    pub fn percent(&self) -> f64 {
        100.0 * self.count as f64 / self.of.max(1) as f64
    }
}

impl Judgement {
    /// The numbers for a network that tells classes apart, from the loosest to the tightest.
    pub fn lines(&self) -> Vec<Line> {
        let Some(judged) = &self.judged else { return Vec::new() };
        let line = |what: &str, of, count, by: &str| Line { what: what.into(), of, count, by: by.into() };
        let all = judged.fates.len();
        let mut lines = vec![line("right", all, judged.clean(all), "the inputs themselves")];
        if judged.attacked > 0 {
            let of = judged.attacked;
            lines.push(line("unbroken, no more", of, judged.unbroken(of), "PGD, AutoPGD on two losses"));
        }
        for bound in [Bound::Ibp, Bound::CrownIbp] {
            lines.push(line("certified", all, judged.certified(all, bound), bound.name()));
        }
        if judged.verified > 0 {
            let of = judged.verified;
            for bound in BOUNDS {
                lines.push(line("certified", of, judged.certified(of, bound), bound.name()));
            }
            let most = judged.certified(of, Bound::BranchAndBound) + judged.open(of);
            lines.push(line("certified or undecided", of, most, "complete verification, time limit"));
        }
        lines
    }

    /// Everything but the inputs' own fates, as JSON.
    pub fn to_json(&self) -> Value {
        let lines = |of: &Self| -> Vec<Value> {
            of.lines()
                .iter()
                .map(|l| json!({"what": l.what, "inputs": l.of, "count": l.count, "percent": l.percent(), "by": l.by}))
                .collect()
        };
        let at = |(epsilon, judged): &(f64, Judged)| {
            let of = judged.fates.len();
            json!({
                "epsilon": epsilon, "inputs": of, "right": judged.clean(of),
                "unbroken": (judged.attacked == of).then(|| judged.unbroken(of)),
                "certified_ibp": judged.certified(of, Bound::Ibp),
                "certified_crown_ibp": judged.certified(of, Bound::CrownIbp),
            })
        };
        let predicted = |p: &Predicted| json!({"name": p.name, "mean_error": p.error, "mean_interval": p.width, "mean_worst_error": p.worst});
        json!({
            "epsilon": self.epsilon,
            "inputs": self.count,
            "numbers": lines(self),
            "curve": self.curve.iter().map(at).collect::<Vec<_>>(),
            "predicted": self.predicted.iter().map(predicted).collect::<Vec<_>>(),
            "no_attack": self.no_attack,
            "seconds": self.seconds,
        })
    }
}
