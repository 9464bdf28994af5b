//! How much work a step can be, from shapes alone.
//!
//! Both counts are upper limits that data can only lower (inactive neurons and zero coefficients are
//! skipped). A board's worst-case time is `a · multiply_adds + b · elements + c` with its own three
//! constants, measured once.

use crate::artifact::{ArtifactView, Spec};
use crate::bounds::Method;
use crate::layer::{Affine, Layer};

/// Operations of one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Operations {
    /// Products of a constant of the network with a value, each added to a sum.
    pub multiply_adds: usize,
    /// Elements of vectors read or written outside those products, each with a bounded number of
    /// additions, comparisons and roundings.
    pub elements: usize,
}

impl Operations {
    fn new(multiply_adds: usize, elements: usize) -> Self {
        Self { multiply_adds, elements }
    }
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            multiply_adds: self.multiply_adds.saturating_add(other.multiply_adds),
            elements: self.elements.saturating_add(other.elements),
        }
    }
    pub(super) fn times(self, factor: usize) -> Self {
        Self {
            multiply_adds: self.multiply_adds.saturating_mul(factor),
            elements: self.elements.saturating_mul(factor),
        }
    }
}

/// Worst case of each stage of a step; a step runs some or all of them, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StepOperations {
    /// Finite check and range check.
    pub checks: Operations,
    /// Forward pass, class and margin.
    pub inference: Operations,
    /// Region look-up.
    pub regions: Operations,
    /// Live bounds: all of them, for every row.
    pub bounds: Operations,
}

impl StepOperations {
    /// Worst case of a whole step.
    pub fn total(&self) -> Operations {
        self.checks.plus(self.inference).plus(self.regions).plus(self.bounds)
    }
}

fn weights(layer: &Layer<'_>) -> usize {
    match layer.affine() {
        Affine::Dense(dense) => dense.rows().saturating_mul(dense.cols()),
        Affine::Scale(scale) => scale.scale().len(),
        Affine::Sparse(sparse) => sparse.values().len(),
    }
}

/// One pass over a layer: its products, and its inputs and outputs once.
fn pass(layer: &Layer<'_>) -> Operations {
    Operations::new(weights(layer), layer.inputs().saturating_add(layer.outputs()))
}

/// Worst-case operations of a step of a monitor of `view`.
pub fn worst_case_ops(view: &ArtifactView<'_>) -> StepOperations {
    let (inputs, outputs) = (view.inputs(), view.outputs());
    let forward = forward_pass(view);
    // Rows of the specification, of which a margin is the smallest; explicit rows cost products too.
    let (rows, margin) = match view.spec() {
        Spec::ArgMax | Spec::ArgMin => (outputs.saturating_sub(1), Operations::new(0, outputs)),
        Spec::Rows { coefficients, constants } => {
            (constants.len(), Operations::new(coefficients.len().saturating_mul(2), constants.len()))
        }
    };
    StepOperations {
        checks: Operations::new(0, inputs.saturating_mul(2)),
        inference: forward.plus(margin),
        // The ball, then per region containment and distance to its sides.
        regions: Operations::new(0, inputs)
            .plus(Operations::new(0, inputs.saturating_mul(2)).times(view.region_count())),
        bounds: live_bounds(view, rows),
    }
}

/// Worst-case operations of [`super::MonitorRef::output_bounds`].
pub fn worst_case_interval_ops(view: &ArtifactView<'_>) -> Operations {
    live_bounds(view, view.outputs().saturating_mul(2))
}

/// One pass over every layer.
fn forward_pass(view: &ArtifactView<'_>) -> Operations {
    view.layers().fold(Operations::default(), |sum, layer| sum.plus(pass(&layer)))
}

/// Bounds of all neurons on a ball, then of `rows` rows of the outputs.
fn live_bounds(view: &ArtifactView<'_>, rows: usize) -> Operations {
    let (inputs, outputs, forward) = (view.inputs(), view.outputs(), forward_pass(view));
    view.live_bounds().method().map_or(Operations::default(), |method| {
        let row = match method {
            Method::Ibp => Operations::new(0, outputs),
            Method::Crown | Method::CrownFull => forward.plus(Operations::new(inputs, inputs)),
        };
        // An interval step takes three products per weight; a row fills `outputs` elements first.
        let intervals = forward.times(3);
        let tightened = if method == Method::CrownFull { tightening(view) } else { Operations::default() };
        intervals.plus(tightened).plus(row.plus(Operations::new(0, outputs)).times(rows))
    })
}

/// Two backward rows for every neuron of a ReLU layer behind another, through all layers up to it.
fn tightening(view: &ArtifactView<'_>) -> Operations {
    let (mut total, mut so_far, mut relu_seen) = (Operations::default(), Operations::default(), false);
    for layer in view.layers() {
        so_far = so_far.plus(pass(&layer));
        if relu_seen && layer.relu() {
            let row =
                so_far.plus(Operations::new(view.inputs(), view.inputs().saturating_add(layer.outputs())));
            total = total.plus(row.times(layer.outputs().saturating_mul(2)));
        }
        relu_seen |= layer.relu();
    }
    total
}
