//! What one step minimises, as a graph: the terms that count at that step, and their gradients.

use super::{Settings, Task};
use crate::graph::{Graph, Node};
use crate::loss::{self, Boxes, Interval, Normalised};
use crate::model::Model;
use crate::run::{Plan, Run};

/// Which terms count. A step of other terms is another graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    /// The clean loss.
    pub clean: bool,
    /// The loss of the bounds.
    pub worst: bool,
    /// Whether a backward pass has a share in the bounds.
    pub backward: bool,
    /// The loss at attacked points.
    pub attacked: bool,
    /// Whether targets are numbers rather than classes: losses are squared errors.
    pub numbers: bool,
    /// The regularisers of boxes.
    pub regularise: bool,
    /// `Σ|w|`.
    pub l1: bool,
}

/// Factors of the terms at a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factors {
    /// Share of the clean loss.
    pub kappa: f32,
    /// Share of the backward pass in the bounds.
    pub beta: f32,
    /// Of the regularisers.
    pub regularise: f32,
    /// Of `Σ|w|`.
    pub l1: f32,
}

/// What is read from a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// All terms together.
    pub loss: f64,
    /// The clean loss, if it counts.
    pub clean: Option<f64>,
    /// The loss of the bounds or at attacked points, if one counts.
    pub worst: Option<f64>,
    /// Inputs of the batch whose bound shows the class, if bounds of margins are there.
    pub certified: Option<usize>,
    /// Inputs whose largest logit is the label's, if logits are there.
    pub correct: Option<usize>,
}

/// The graph of some terms, with its memory.
#[derive(Debug)]
pub struct Objective {
    run: Run,
    outputs: Outputs,
    /// Whether attacked points are among the leaves.
    attacked: bool,
}

/// Places of the outputs.
#[derive(Clone, Debug, Default)]
struct Outputs {
    loss: usize,
    clean: Option<usize>,
    worst: Option<usize>,
    logits: Option<usize>,
    margins: Option<usize>,
    /// Mean and variance of each batch normalisation.
    statistics: Vec<[usize; 2]>,
    gradients: Vec<usize>,
}

/// Everything that a graph reads beside the parameters.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[shape, lanes]`.
    pub inputs: Vec<f32>,
    /// `[outputs, lanes]`.
    pub targets: Vec<f32>,
    /// Radius of each element of an input.
    pub radius: Vec<f32>,
    /// Attacked inputs, `[shape, lanes]`, if they count.
    pub attacked: Vec<f32>,
}

/// The box of radius `radius` `[elements]` around `x` `[shape, lanes]`, within the data's range.
pub(super) fn input_box(g: &mut Graph, task: &Task, x: Node, radius: Node) -> Interval {
    let shape = g.shape(x).to_vec();
    let width = task.radius.len();
    let flat = [width, shape[shape.len() - 1]];
    let (x, radius) = (g.reshape(x, &flat), g.expand(radius, &flat, 0));
    let (mut lower, mut upper) = (g.sub(x, radius), g.add(x, radius));
    if let Some(ends) = &task.range {
        let [least, most] = ends.each_ref().map(|end| {
            let end = g.tensor(&[width], end.iter().map(|x| f64::from(*x)).collect());
            g.expand(end, &flat, 0)
        });
        lower = g.max(lower, least);
        upper = g.min(upper, most);
    }
    let flat = Interval::between(g, lower, upper);
    Interval { centre: g.reshape(flat.centre, &shape), radius: g.reshape(flat.radius, &shape) }
}

impl Objective {
    /// The graph of `terms` for batches of `lanes`.
    pub fn new(model: &Model, task: &Task, settings: &Settings, terms: Terms, lanes: usize) -> Self {
        let mut g = Graph::new();
        let parameters = model.leaves(&mut g);
        let shape: Vec<usize> = model.input.iter().copied().chain([lanes]).collect();
        let x = g.leaf(&shape);
        let targets = g.leaf(&[model.classes, lanes]);
        let radius = g.leaf(&[model.inputs()]);
        let [kappa, regularise, l1, beta] = [(); 4].map(|()| g.leaf(&[1]));
        let attacked = terms.attacked.then(|| g.leaf(&shape));
        let mut outputs = Outputs::default();
        let mut all: Vec<Node> = vec![];
        let mut put = |node: Node| {
            all.push(node);
            all.len() - 1
        };
        let bounds = terms.worst || terms.regularise;
        let needs_points = terms.clean || (bounds && !model.statistics.is_empty());
        let pass = needs_points.then(|| loss::forward(&mut g, model, &parameters, x, None));
        let mut normalised: Vec<Normalised> = pass.as_ref().map_or_else(Vec::new, |p| p.normalised.clone());
        let mut parts: Vec<Node> = vec![];
        let share = |g: &mut Graph, value: Node, factor: Node, shared: bool| {
            if shared { g.mul(value, factor) } else { value }
        };
        if let (true, Some(pass)) = (terms.clean, &pass) {
            let clean = point_loss(&mut g, terms, pass.logits, targets);
            outputs.clean = Some(put(clean));
            outputs.logits = (!terms.numbers).then(|| put(pass.logits));
            parts.push(share(&mut g, clean, kappa, terms.worst || terms.attacked));
        }
        let rest = g.scale(kappa, -1.0);
        let rest = g.shift(rest, 1.0);
        if let Some(points) = attacked {
            // Normalised as the clean points are, if they count, else by themselves.
            let fixed = terms.clean.then_some(normalised.as_slice());
            let pass = loss::forward(&mut g, model, &parameters, points, fixed);
            let worst = point_loss(&mut g, terms, pass.logits, targets);
            outputs.worst = Some(put(worst));
            parts.push(share(&mut g, worst, rest, terms.clean));
            normalised = pass.normalised;
        }
        if bounds {
            let input = input_box(&mut g, task, x, radius);
            let boxes = Boxes::new(&mut g, model, &parameters, input, &normalised);
            if terms.worst {
                let (worst, margins) = bound_loss(&mut g, terms, settings, &boxes, targets, beta);
                outputs.worst = Some(put(worst));
                outputs.margins = margins.map(&mut put);
                parts.push(share(&mut g, worst, rest, terms.clean));
            }
            if terms.regularise {
                let value = loss::regularisers(&mut g, input, &boxes.before, settings.weights());
                parts.push(g.mul(value, regularise));
            }
        }
        if terms.l1 {
            let sum = sum_of_sizes(&mut g, model, &parameters);
            parts.push(g.mul(sum, l1));
        }
        let loss = parts.into_iter().reduce(|a, b| g.add(a, b)).expect("some term counts");
        outputs.loss = put(loss);
        outputs.statistics = normalised.iter().map(|n| [put(n.mean), put(n.variance)]).collect();
        outputs.gradients = g.gradient(loss, &parameters).into_iter().map(&mut put).collect();
        let threads = settings.threads;
        Self { run: Run::new(Plan::new(&g, &all), threads), outputs, attacked: terms.attacked }
    }

    /// Bytes that evaluations hold.
    pub fn bytes(&self) -> usize {
        self.run.plan().bytes()
    }

    /// Evaluates terms and gradients.
    pub fn evaluate(&mut self, model: &Model, batch: &Batch, factors: Factors) -> Values {
        let factors = [[factors.kappa], [factors.regularise], [factors.l1], [factors.beta]];
        let mut leaves: Vec<&[f32]> = model.parameters.iter().map(|p| p.values.as_slice()).collect();
        leaves.extend([batch.inputs.as_slice(), &batch.targets, &batch.radius]);
        leaves.extend(factors.iter().map(|f| f.as_slice()));
        if self.attacked {
            leaves.push(&batch.attacked);
        }
        self.run.evaluate(&leaves);
        let one = |k: usize| f64::from(self.run.output(k)[0]);
        let outputs = &self.outputs;
        let lanes = batch.targets.len() / model.classes;
        Values {
            loss: one(outputs.loss),
            clean: outputs.clean.map(one),
            worst: outputs.worst.map(one),
            certified: outputs.margins.map(|k| certified(self.run.output(k), &batch.targets, lanes, lanes)),
            correct: outputs.logits.map(|k| correct(self.run.output(k), &batch.targets, lanes, lanes)),
        }
    }

    /// The gradient to each parameter, of the last evaluation.
    pub fn gradients(&self) -> Vec<&[f32]> {
        self.outputs.gradients.iter().map(|k| self.run.output(*k)).collect()
    }

    /// Mean and variance of each batch normalisation over the batch, of the last evaluation.
    pub fn statistics(&self) -> impl Iterator<Item = [&[f32]; 2]> {
        self.outputs.statistics.iter().map(|ks| ks.map(|k| self.run.output(k)))
    }
}

/// The loss of points.
fn point_loss(g: &mut Graph, terms: Terms, outputs: Node, targets: Node) -> Node {
    if terms.numbers { loss::squared(g, outputs, targets) } else { loss::clean(g, outputs, targets) }
}

/// The loss of boxes, and bounds of the margins if there are any.
fn bound_loss(
    g: &mut Graph,
    terms: Terms,
    settings: &Settings,
    boxes: &Boxes<'_>,
    targets: Node,
    beta: Node,
) -> (Node, Option<Node>) {
    let slope = settings.slope();
    if terms.numbers {
        let mut outputs = boxes.interval_outputs(g);
        if terms.backward {
            let [lower, upper] = boxes.outputs(g, slope);
            let crown = Interval::between(g, lower, upper);
            outputs.centre = loss::mix(g, beta, crown.centre, outputs.centre);
            outputs.radius = loss::mix(g, beta, crown.radius, outputs.radius);
        }
        return (loss::worst_squared(g, outputs, targets), None);
    }
    let interval = boxes.interval_margins(g, targets);
    if terms.backward && settings.fusion {
        let each = boxes.fused_losses(g, targets, Some(beta), slope);
        return (g.mean(each), Some(interval));
    }
    let margins = if terms.backward {
        let crown = boxes.margins(g, targets, slope);
        loss::mix(g, beta, crown, interval)
    } else {
        interval
    };
    (loss::worst_case(g, margins), Some(margins))
}

/// `Σ|w|` over the weights of affine layers.
fn sum_of_sizes(g: &mut Graph, model: &Model, parameters: &[Node]) -> Node {
    let mut sum = g.constant(0.0, &[1]);
    for (parameter, node) in model.parameters.iter().zip(parameters) {
        if parameter.name.ends_with(".weight") {
            let sizes = g.abs(*node);
            let part = g.sum(sizes);
            sum = g.add(sum, part);
        }
    }
    sum
}

/// Of the first `count` lanes, those of which all margins but the label's (which is 0) are above 0; NaN is not.
pub(super) fn certified(margins: &[f32], targets: &[f32], lanes: usize, count: usize) -> usize {
    let holds = |lane: &usize| {
        let mut rows = (*lane..margins.len()).step_by(lanes);
        rows.all(|at| targets[at] == 1.0 || margins[at] > 0.0)
    };
    (0..count).filter(holds).count()
}

/// Of the first `count` lanes, those whose largest logit is the label's, the first among equals.
pub(super) fn correct(logits: &[f32], targets: &[f32], lanes: usize, count: usize) -> usize {
    let right = |lane: &usize| {
        let mut best = *lane;
        for at in (*lane..logits.len()).step_by(lanes) {
            if logits[at] > logits[best] {
                best = at;
            }
        }
        targets[best] == 1.0 && logits[best].is_finite()
    };
    (0..count).filter(right).count()
}
