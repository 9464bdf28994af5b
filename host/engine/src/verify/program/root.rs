//! The first domain: attacks, bounds from cheap to dear, and what is to be split.
//!
//! CROWN; then slopes of the rows it leaves; then slopes of every intermediate bound too, which one lemma at the root states for all
//! domains below.

use std::time::{Duration, Instant};

use super::checker::Desk;
use super::domain::Domain;
use super::inputs::{Judged, lowest};
use super::tree::{LemmaBytes, Tip, adaptive_lemma};
use super::values::Values;
use super::worker::{Base, Worker};
use crate::bounds::program::batch::{RowSlopes, SlotSlopes, Start, climb_with_slopes};
use crate::bounds::program::{self as bounds, Climb, Intermediate, Interval, Region, Spec, Stop};
use crate::program::{Function, Operation, Step};
use crate::verify::Branching;
use certus_core::proof::program::Bounds;

/// Up to this many free inputs, boxes are halved; above, computed values are split. Halves tell more than splits of values even of a
/// large network (`cifar_bias_field`: 16 inputs, 45,056 neurons, two boxes), though each box takes the checker a lemma.
const INPUT_SPLIT_INPUTS: usize = 20;

/// Iterations of the slopes of the rows alone.
pub const ROWS: usize = 20;

/// Iterations of the root's rows once all intermediate bounds are settled.
pub const ROOT: usize = 60;

/// Iterations of joint slopes at the root, if all functions are straight but for a kink at 0.
const KINKS: usize = 20;

/// Iterations of joint slopes at the root else: splits of curves gain less.
const CURVES: usize = 50;

/// Inputs that are more than a decimal rounded to both sides.
pub fn free_inputs(lower: &[f64], upper: &[f64]) -> usize {
    let ends = lower.iter().zip(upper);
    ends.filter(|(l, u)| *u - *l > 1e-12 * (1.0 + l.abs())).count()
}

/// Whether boxes with so many free inputs are halved, and not computed values.
pub fn splits_inputs(branching: Branching, free: usize) -> bool {
    match branching {
        Branching::Automatic => free <= INPUT_SPLIT_INPUTS,
        Branching::Inputs => true,
        Branching::Neurons => false,
    }
}

/// What a climb of all bounds found.
struct Slopes {
    lemma: LemmaBytes,
    /// Rows of the spec, and where they start.
    starts: Vec<(usize, Start)>,
    slots: Vec<SlotSlopes>,
}

/// How to go on after the root.
pub enum Plan {
    /// The case is decided, or time is up.
    Ended,
    /// Inputs are halved.
    Inputs(Vec<Domain>),
    /// Computed values are split: the root with its hints, its bounds, and the slopes that gave them.
    Values { domain: Domain, intervals: Vec<Interval>, slopes: Vec<SlotSlopes> },
    /// Computed values are split on, from what an earlier run left.
    Resumed { domain: Domain, intervals: Vec<Interval>, tips: Vec<Tip> },
}

impl Worker<'_, '_> {
    /// Whether boxes are halved, and not computed values.
    pub fn splits_inputs(&self, root: &Domain) -> bool {
        splits_inputs(self.shared.settings.branching, free_inputs(&root.lower, &root.upper))
    }

    /// Bounds the root; `bounds` are derived for the lemma that is returned, if one is.
    pub fn root(&mut self, desk: &Desk<'_>, bounds: &mut Bounds<'_>) -> (Option<LemmaBytes>, Plan) {
        let (shared, problem) = (self.shared, self.shared.problem);
        let attack = shared.settings.attack;
        let mut domain = Domain::root(&problem.case.region.lower, &problem.case.region.upper);
        if shared.columns > 0 {
            let ended = attack && self.attack_root(1) || shared.out_of_budget();
            return (None, if ended { Plan::Ended } else { Plan::Inputs(vec![domain]) });
        }
        if super::inputs::nested::applies(shared) {
            let ended = attack && self.attack_root(1) || shared.out_of_budget();
            return (None, if ended { Plan::Ended } else { Plan::Inputs(self.step_nested(domain)) });
        }
        let (lower, upper) = domain.rounded();
        let region = Region { lower: &lower, upper: &upper };
        let Some(judged) = self.bound(region) else {
            shared.out_of_budget();
            return (None, Plan::Ended);
        };
        if judged.lowest <= 0.0 && (attack && self.attack_root(1) || shared.out_of_budget()) {
            return (None, Plan::Ended);
        }
        let climbed = self.climb_rows(region, &judged, ROWS);
        let lowest = lowest(&judged, &climbed);
        let mut lemma = None;
        if lowest > 0.0 {
            let adaptive = adaptive_lemma();
            if self.referee.derive(self.threads, domain.place(), &adaptive, bounds, shared.stop()) {
                let base = Base::new(shared, &adaptive, bounds);
                let claims = self.claims_of(&judged, &climbed);
                if self.prove(Some(&base), &mut domain, None, claims) {
                    shared.tree.state(0, adaptive);
                    shared.note(lowest, 1.0);
                    return (None, Plan::Ended);
                }
                lemma = Some(adaptive);
            }
        }
        if attack && self.attack_root(1) || shared.out_of_budget() {
            return (None, Plan::Ended);
        }
        if self.splits_inputs(&domain) {
            shared.note(judged.lowest, 0.0);
            if let Some(lemma) = &lemma {
                shared.tree.state(0, lemma.clone());
            }
            let cut = self.choose_coordinate(&domain, region, &judged.rows, &climbed);
            return (lemma, Plan::Inputs(cut.map_or(Vec::new(), |cut| shared.halve(domain, cut))));
        }
        let slopes = if lemma.is_some() { None } else { self.climb_all(region, &judged) };
        let lemma = match (lemma, &slopes) {
            (Some(lemma), _) => lemma,
            (None, slopes) => {
                let lemma = slopes.as_ref().map_or_else(adaptive_lemma, |all| all.lemma.clone());
                if !self.referee.derive(self.threads, domain.place(), &lemma, bounds, shared.stop()) {
                    shared.out_of_budget();
                    return (None, Plan::Ended);
                }
                lemma
            }
        };
        let Some(intervals) = desk.intervals(bounds) else { return (None, Plan::Ended) };
        let starts = |disjunct: usize| {
            let of_all = slopes.as_ref().and_then(|all| all.starts.iter().find(|(d, _)| *d == disjunct));
            let of_rows = || climbed.iter().find(|c| c.disjunct == disjunct).map(|c| c.found.start.clone());
            of_all.map(|(_, start)| start.clone()).or_else(of_rows).unwrap_or_default()
        };
        domain.hints = self.root_hints(&judged.rows, starts);
        shared.tree.state(0, lemma.clone());
        let slopes = slopes.map_or(Vec::new(), |all| all.slots);
        (Some(lemma), Plan::Values { domain, intervals, slopes })
    }

    /// Slopes of every intermediate bound with those of the open rows. `None` if there is no
    /// time or memory for it.
    fn climb_all(&mut self, region: Region<'_>, judged: &Judged) -> Option<Slopes> {
        let problem = self.shared.problem;
        let open = || judged.rows.iter().enumerate().filter(|(_, (_, bound))| *bound <= 0.0);
        let rows: Vec<usize> =
            open().map(|(d, (row, _))| problem.rows_of(d).start + usize::from(*row)).collect();
        let outputs = problem.parts.net.outputs();
        let spec = Spec {
            weights: rows
                .iter()
                .flat_map(|r| &problem.spec.weights[r * outputs..(r + 1) * outputs])
                .copied()
                .collect(),
            bias: rows.iter().map(|r| problem.spec.bias[*r]).collect(),
        };
        let settings = bounds::Settings {
            intermediate: Intermediate::Intersected,
            threads: self.threads,
            ..bounds::Settings::default()
        };
        let stop = self.shared.stop();
        let now = Instant::now();
        let left = stop.deadline.map_or(Duration::MAX, |end| end.saturating_duration_since(now));
        // A share of what is left, so that something remains for the search.
        let stop = Stop { deadline: Some(now + (left / 6).min(Duration::from_secs(20))), ..stop };
        let curved = |s: &Step| match s.operation {
            Operation::Elementwise { function, .. } => {
                !matches!(function, Function::Relu | Function::LeakyRelu { .. } | Function::Abs)
            }
            _ => false,
        };
        let iterations = if problem.parts.program.steps().iter().any(curved) { CURVES } else { KINKS };
        let climb = Climb { iterations, ..Climb::default() };
        let (bounds, slopes) =
            climb_with_slopes(&problem.parts.net, region.into(), &spec, &settings, &climb, stop).ok()?;
        let lemma = slopes.lemma(&problem.parts.net, &bounds.slots);
        let RowSlopes { rows: alphas, slots } = slopes;
        let starts =
            rows.into_iter().zip(alphas).map(|(row, alpha)| (row, Start { alpha, beta: Vec::new() }));
        Some(Slopes { lemma: lemma[1..].into(), starts: starts.collect(), slots })
    }

    /// The root of a value search, optimised for longer.
    pub fn step_root(&mut self, values: &Values<'_>, domain: Domain) -> Vec<Domain> {
        self.step_values(values, vec![domain], ROOT)
    }
}
