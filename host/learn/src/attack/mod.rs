//! Attacks: points of boxes at which a network is wrong, or at least bad.
//!
//! An attack climbs a loss of many points at once, one lane each, by the sign of its gradient ([`Pgd`], [`AutoPgd`]), and never leaves the
//! boxes. What it finds bounds from above how many inputs can hold; what it does not find proves nothing.
//!
//! Steps count in half widths of the box, element by element: with boxes `x ± ε` within a range of data, a step of 0.25 is `ε/4` where the
//! range does not cut. Random starts come from the generator handed over; threads change nothing.

mod auto;
mod pgd;
mod set;
#[cfg(test)]
mod tests;

pub use auto::AutoPgd;
pub use pgd::Pgd;
pub use set::{Reach, Strength, counterexamples};

use crate::graph::{Binary, Graph, Node, Unary};
use crate::loss::{self, Normalised};
use crate::model::{Model, Random};
use crate::run::{Plan, Run};

/// What is climbed, for each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Objective {
    /// Cross entropy.
    #[default]
    CrossEntropy,
    /// The largest other logit less the label's.
    Margin,
    /// The same over the gap between the first and the third logit, so that scaling the logits does not matter; for fewer than three classes
    /// [`Objective::Margin`].
    ///
    /// Source: Croce and Hein 2020 (arXiv:2003.01690), equation 6.
    Dlr,
    /// Squared error of all outputs; nothing counts as broken.
    Square,
}

/// Boxes, one for each lane.
#[derive(Clone, Copy, Debug)]
pub struct Region<'a> {
    /// Least values, `[inputs, lanes]`.
    pub lower: &'a [f32],
    /// Largest values.
    pub upper: &'a [f32],
}

/// What an attack found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The worst point of each box, `[inputs, lanes]`: a counterexample if there is one, and of the largest loss.
    pub points: Vec<f32>,
    /// The losses there, `[lanes]`.
    pub losses: Vec<f32>,
    /// Whether some other logit is larger than the label's there: evaluated at the point itself, which lies in its box.
    pub broken: Vec<bool>,
}

/// Losses and gradients of a batch of points of networks of one architecture.
#[derive(Debug)]
pub struct Attack {
    run: Run,
    lanes: usize,
}

/// Places of the outputs.
const LOSSES: usize = 0;
const EXCESS: usize = 1;
const GRADIENT: usize = 2;

impl Attack {
    /// For networks like `model`, `lanes` points at a time; convolutions need a multiple of [`certus_kernels::LANE_MULTIPLE`].
    pub fn new(model: &Model, objective: Objective, lanes: usize, threads: usize) -> Self {
        let mut g = Graph::new();
        let parameters = model.leaves(&mut g);
        let statistics = |s: &crate::model::Statistics, g: &mut Graph| Normalised {
            mean: g.leaf(&[s.mean.len()]),
            variance: g.leaf(&[s.variance.len()]),
        };
        let normalised: Vec<Normalised> = model.statistics.iter().map(|s| statistics(s, &mut g)).collect();
        let shape: Vec<usize> = model.input.iter().copied().chain([lanes]).collect();
        let x = g.leaf(&shape);
        let targets = g.leaf(&[model.classes, lanes]);
        let logits = loss::forward(&mut g, model, &parameters, x, Some(&normalised)).logits;
        let losses = losses(&mut g, objective, logits, targets);
        let excess = match objective {
            Objective::Square => g.constant(0.0, &[lanes]),
            _ => margin(&mut g, logits, targets),
        };
        let sum = g.sum(losses);
        let gradient = g.gradient(sum, &[x])[0];
        Self { run: Run::new(Plan::new(&g, &[losses, excess, gradient]), threads), lanes }
    }

    /// Points at a time.
    pub fn lanes(&self) -> usize {
        self.lanes
    }

    /// Bytes that evaluations hold.
    pub fn bytes(&self) -> usize {
        self.run.plan().bytes()
    }

    fn evaluate(&mut self, model: &Model, x: &[f32], targets: &[f32]) {
        let mut leaves: Vec<&[f32]> = model.parameters.iter().map(|p| p.values.as_slice()).collect();
        leaves.extend(model.statistics.iter().flat_map(|s| [s.mean.as_slice(), &s.variance]));
        leaves.extend([x, targets]);
        self.run.evaluate(&leaves);
    }

    fn losses(&self) -> &[f32] {
        self.run.output(LOSSES)
    }

    fn gradient(&self) -> &[f32] {
        self.run.output(GRADIENT)
    }

    fn check(&self, model: &Model, region: Region<'_>, targets: &[f32]) {
        let n = model.inputs() * self.lanes;
        assert_eq!([region.lower.len(), region.upper.len()], [n, n], "a box for each lane");
        assert_eq!(targets.len(), model.classes * self.lanes, "a target for each lane");
    }

    /// Takes the present points into `best` where they are worse.
    fn keep(&self, x: &[f32], best: &mut Found) {
        let (losses, excess) = (self.losses(), self.run.output(EXCESS));
        for lane in 0..self.lanes {
            let broken = excess[lane] > 0.0;
            let worse = (broken, losses[lane]) > (best.broken[lane], best.losses[lane]);
            // Pairs with NaN compare as equal or not at all.
            if worse {
                best.broken[lane] = broken;
                best.losses[lane] = losses[lane];
                copy_lane(x, &mut best.points, lane, self.lanes);
            }
        }
    }

    /// `best` with what is broken decided anew: at the points themselves, and within the boxes.
    fn confirm(&mut self, model: &Model, region: Region<'_>, targets: &[f32], mut best: Found) -> Found {
        let lanes = self.lanes;
        self.evaluate(model, &best.points, targets);
        let excess = self.run.output(EXCESS);
        for (lane, broken) in best.broken.iter_mut().enumerate() {
            let at = |x: &[f32], k: usize| x[k * lanes + lane];
            let inside = (0..best.points.len() / lanes).all(|k| {
                let x = at(&best.points, k);
                at(region.lower, k) <= x && x <= at(region.upper, k)
            });
            *broken = inside && excess[lane] > 0.0;
        }
        best
    }
}

impl Found {
    /// Nothing: the points `x`, whose losses are not known.
    fn nothing(x: &[f32], lanes: usize) -> Self {
        Self { points: x.to_vec(), losses: vec![f32::NEG_INFINITY; lanes], broken: vec![false; lanes] }
    }

    /// Whether every lane is broken.
    fn is_complete(&self) -> bool {
        self.broken.iter().all(|b| *b)
    }
}

impl Region<'_> {
    fn middle(&self) -> Vec<f32> {
        self.lower.iter().zip(self.upper).map(|(l, u)| (l + 0.5 * (u - l)).max(*l).min(*u)).collect()
    }

    fn draw(&self, random: &mut Random) -> Vec<f32> {
        let one = |(l, u): (&f32, &f32)| (l + (u - l) * random.unit() as f32).max(*l).min(*u);
        self.lower.iter().zip(self.upper).map(one).collect()
    }
}

fn copy_lane(from: &[f32], to: &mut [f32], lane: usize, lanes: usize) {
    let from = from[lane..].iter().step_by(lanes);
    to[lane..].iter_mut().step_by(lanes).zip(from).for_each(|(to, x)| *to = *x);
}

/// −1, 0 or 1; 0 for NaN.
fn sign(x: f32) -> f32 {
    f32::from(i8::from(x > 0.0) - i8::from(x < 0.0))
}

/// The loss of each lane, `[lanes]`.
fn losses(g: &mut Graph, objective: Objective, logits: Node, targets: Node) -> Node {
    let classes = g.shape(logits)[0];
    match objective {
        Objective::CrossEntropy => loss::clean_each(g, logits, targets),
        Objective::Dlr if classes > 2 => dlr(g, logits, targets),
        Objective::Margin | Objective::Dlr => margin(g, logits, targets),
        Objective::Square => {
            let off = g.sub(logits, targets);
            let square = g.unary(Unary::Square, off);
            g.sum_to(square, 1)
        }
    }
}

/// More than any logit.
const FAR: f64 = 1e9;

/// The largest of the logits not marked, `[lanes]`.
fn largest_but(g: &mut Graph, logits: Node, marked: Node) -> Node {
    let away = g.scale(marked, FAR);
    let rest = g.sub(logits, away);
    g.largest_to(rest, 1)
}

fn margin(g: &mut Graph, logits: Node, label: Node) -> Node {
    let other = largest_but(g, logits, label);
    let at = g.mul(logits, label);
    let at = g.sum_to(at, 1);
    g.sub(other, at)
}

fn dlr(g: &mut Graph, logits: Node, label: Node) -> Node {
    let shape = g.shape(logits).to_vec();
    let mut marked = g.constant(0.0, &shape);
    let mut largest = Vec::new();
    for _ in 0..3 {
        let top = largest_but(g, logits, marked);
        let wide = g.expand(top, &shape, 1);
        let is_top = g.binary(Binary::Equal, logits, wide);
        marked = g.max(marked, is_top);
        largest.push(top);
    }
    let margin = margin(g, logits, label);
    let gap = g.sub(largest[0], largest[2]);
    let gap = g.shift(gap, 1e-12);
    g.div(margin, gap)
}
