//! How good a network is on a set, as training sees it: *estimates* in `f32`, for curves and choices.

use super::Task;
use super::objective::{certified, correct, input_box};
use crate::data::Set;
use crate::graph::{Graph, Node};
use crate::loss::{self, Normalised};
use crate::model::Model;
use crate::run::{Plan, Run};

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Inputs.
    pub count: usize,
    /// Inputs of the right class.
    pub correct: usize,
    /// Inputs whose interval bounds show the right class on the whole box.
    pub certified: usize,
}

impl Measured {
    /// Share of the right class, %.
    pub fn clean(&self) -> f64 {
        100.0 * self.correct as f64 / self.count.max(1) as f64
    }

    /// Share that interval bounds show, %.
    pub fn bounded(&self) -> f64 {
        100.0 * self.certified as f64 / self.count.max(1) as f64
    }
}

/// The graphs that measure a network of one architecture.
#[derive(Debug)]
pub struct Measure {
    run: Run,
    lanes: usize,
}

impl Measure {
    /// For networks like `model`, `lanes` inputs at a time.
    pub fn new(model: &Model, task: &Task, lanes: usize, threads: usize) -> Self {
        let lanes = super::whole_lanes(model, lanes);
        let mut g = Graph::new();
        let parameters = model.leaves(&mut g);
        let normalised = fixed(&mut g, model);
        let shape: Vec<usize> = model.input.iter().copied().chain([lanes]).collect();
        let x = g.leaf(&shape);
        let targets = g.leaf(&[model.classes, lanes]);
        let radius = g.leaf(&[model.inputs()]);
        let pass = loss::forward(&mut g, model, &parameters, x, Some(&normalised));
        let input = input_box(&mut g, task, x, radius);
        let (last, _) = loss::propagate(&mut g, model, &parameters, input, &normalised);
        let margins = loss::margins(&mut g, model, &parameters, last, targets);
        Self { run: Run::new(Plan::new(&g, &[pass.logits, margins]), threads), lanes }
    }

    /// Clean and interval-certified inputs of `set` at radius `epsilon`; the first `limit` inputs.
    ///
    /// # Panics
    /// If the shapes are other than those of [`Self::new`].
    pub fn measure(&mut self, model: &Model, task: &Task, set: &Set, epsilon: f64, limit: usize) -> Measured {
        let count = set.len().min(limit);
        let radius: Vec<f32> = task.radius.iter().map(|r| (f64::from(*r) * epsilon) as f32).collect();
        let (mut inputs, mut targets) =
            (vec![0.0; model.inputs() * self.lanes], vec![0.0; model.classes * self.lanes]);
        let mut found = Measured { count, correct: 0, certified: 0 };
        for first in (0..count).step_by(self.lanes) {
            // The last batch is filled up with its last input, which does not count.
            let which: Vec<u32> = (first..first + self.lanes).map(|k| k.min(count - 1) as u32).collect();
            set.gather(&which, &mut inputs);
            set.gather_targets(&which, &mut targets);
            let mut leaves = constants(model);
            leaves.extend([inputs.as_slice(), &targets, &radius]);
            self.run.evaluate(&leaves);
            let real = self.lanes.min(count - first);
            found.correct += correct(self.run.output(0), &targets, self.lanes, real);
            found.certified += certified(self.run.output(1), &targets, self.lanes, real);
        }
        found
    }
}

/// Leaves for the statistics of each batch normalisation.
fn fixed(g: &mut Graph, model: &Model) -> Vec<Normalised> {
    let leaf = |s: &crate::model::Statistics, g: &mut Graph| Normalised {
        mean: g.leaf(&[s.mean.len()]),
        variance: g.leaf(&[s.variance.len()]),
    };
    model.statistics.iter().map(|s| leaf(s, g)).collect()
}

/// Parameters and statistics, as the leaves of [`fixed`] graphs.
fn constants(model: &Model) -> Vec<&[f32]> {
    let parameters = model.parameters.iter().map(|p| p.values.as_slice());
    let statistics = model.statistics.iter().flat_map(|s| [s.mean.as_slice(), &s.variance]);
    parameters.chain(statistics).collect()
}

/// Mean and variance of each batch normalisation over `set`, from batches of `lanes` each normalised by itself.
pub(super) fn estimate_statistics(model: &mut Model, set: &Set, lanes: usize, threads: usize) {
    if model.statistics.is_empty() {
        return;
    }
    let mut g = Graph::new();
    let parameters = model.leaves(&mut g);
    let shape: Vec<usize> = model.input.iter().copied().chain([lanes]).collect();
    let x = g.leaf(&shape);
    let pass = loss::forward(&mut g, model, &parameters, x, None);
    let outputs: Vec<Node> = pass.normalised.iter().flat_map(|n| [n.mean, n.variance]).collect();
    let mut run = Run::new(Plan::new(&g, &outputs), threads);
    let mut sums: Vec<[Vec<f64>; 2]> =
        model.statistics.iter().map(|s| [vec![0.0; s.mean.len()], vec![0.0; s.mean.len()]]).collect();
    let mut inputs = vec![0.0; model.inputs() * lanes];
    let batches = (set.len() / lanes).max(1);
    for batch in 0..batches {
        let which: Vec<u32> = (0..lanes).map(|k| ((batch * lanes + k) % set.len()) as u32).collect();
        set.gather(&which, &mut inputs);
        let mut leaves: Vec<&[f32]> = model.parameters.iter().map(|p| p.values.as_slice()).collect();
        leaves.push(&inputs);
        run.evaluate(&leaves);
        for (k, [mean, square]) in sums.iter_mut().enumerate() {
            for (c, (m, v)) in run.output(2 * k).iter().zip(run.output(2 * k + 1)).enumerate() {
                let (m, v) = (f64::from(*m), f64::from(*v));
                mean[c] += m;
                square[c] += v + m * m;
            }
        }
    }
    for (of, [mean, square]) in model.statistics.iter_mut().zip(&sums) {
        for (c, (m, s)) in mean.iter().zip(square).enumerate() {
            let m = m / batches as f64;
            of.mean[c] = m as f32;
            of.variance[c] = (s / batches as f64 - m * m).max(0.0) as f32;
        }
    }
}
