//! The monitor: one bounded [`step`](MonitorRef::step) per sample that runs the network and says what
//! is proved about the ball around the sample.
//!
//! Order of work, first success ends it: arithmetic probe, finite check, range check, inference, region
//! look-up, live bounds. A comparison that decides "certified" is true only for numbers: NaN never
//! certifies. [`worst_case_ops`] says how much work each stage can be.
//!
//! [`Monitor`] owns its memory, with capacities that the exporter writes out; [`MonitorRef`] borrows
//! it and holds the code, once for all capacities.

mod ball;
mod cost;
mod decision;
mod environment;
mod interval;
mod live;
mod margin;
mod program;
mod window;

pub use cost::{Operations, StepOperations, worst_case_interval_ops, worst_case_ops};
pub use decision::{Decision, Evidence, Fault, MonitorError, Status};
pub use interval::IntervalError;

pub use program::{
    ProgramMonitor, ProgramMonitorRef, program_memory_len, program_worst_case_interval_ops,
    program_worst_case_ops,
};
pub use window::{Order, Window};

use crate::artifact::{ArtifactView, Claim, Common};
use crate::bounds;
use crate::layer::{Layer, Network};
use live::Runs;

/// `f32` elements of memory that a monitor of `view` needs.
///
/// Outputs and one row of as many coefficients, the ball's two ends, and what inference or the live
/// bounds need, whichever is more (they do not run at the same time).
pub fn memory_len(view: &ArtifactView<'_>) -> usize {
    let (inputs, width) = (view.inputs(), view.width());
    let bounds = view.live_bounds().method().map_or(0, |method| {
        bounds::memory_len_of_shapes(inputs, width, view.neurons(), view.layers().len(), method)
    });
    let work = width.saturating_mul(2).max(bounds);
    view.outputs().saturating_add(inputs).saturating_mul(2).saturating_add(work)
}

/// The parts of a monitor's memory.
struct Parts<'m> {
    output: &'m mut [f32],
    row: &'m mut [f32],
    lower: &'m mut [f32],
    upper: &'m mut [f32],
    work: &'m mut [f32],
}

impl<'m> Parts<'m> {
    fn new(inputs: usize, outputs: usize, memory: &'m mut [f32]) -> Option<Self> {
        let (output, rest) = memory.split_at_mut_checked(outputs)?;
        let (row, rest) = rest.split_at_mut_checked(outputs)?;
        let (lower, rest) = rest.split_at_mut_checked(inputs)?;
        let (upper, work) = rest.split_at_mut_checked(inputs)?;
        Some(Self { output, row, lower, upper, work })
    }
}

/// A monitor that owns its memory: room for `LAYERS` layers and `MEMORY` floats ([`memory_len`]).
#[derive(Debug)]
pub struct Monitor<'a, const LAYERS: usize, const MEMORY: usize> {
    view: ArtifactView<'a>,
    layers: heapless::Vec<Layer<'a>, LAYERS>,
    memory: [f32; MEMORY],
    computed: bool,
}

impl<'a, const LAYERS: usize, const MEMORY: usize> Monitor<'a, LAYERS, MEMORY> {
    /// Builds the layer table and probes the arithmetic.
    ///
    /// # Errors
    /// [`MonitorError::Layers`] or [`MonitorError::Memory`] if a capacity does not suffice,
    /// [`MonitorError::FpEnv`] if arithmetic is not that of IEEE 754.
    pub fn new(view: ArtifactView<'a>) -> Result<Self, MonitorError> {
        let mut layers = heapless::Vec::new();
        let needed = view.layers().len();
        for layer in view.layers() {
            if layers.push(layer).is_err() {
                return Err(MonitorError::Layers { needed });
            }
        }
        let needed = memory_len(&view);
        if MEMORY < needed {
            return Err(MonitorError::Memory { needed });
        }
        if !environment::is_ieee() {
            return Err(MonitorError::FpEnv);
        }
        Ok(Self { view, layers, memory: [0.0; MEMORY], computed: false })
    }

    /// Runs the network at `sample` and says what is certified; see [`MonitorRef::step`].
    pub fn step(&mut self, sample: &[f32]) -> Decision {
        let network = Network::from_checked(&self.layers);
        let decision = decide(&self.view.common, &network, &mut self.memory, sample);
        self.computed = has_outputs(&decision);
        decision
    }

    /// Outputs of the last step, `[outputs]`; empty if it computed none.
    pub fn outputs(&self) -> &[f32] {
        outputs_of(self.view.outputs(), &self.memory, self.computed)
    }

    /// As [`MonitorRef::output_bounds`].
    ///
    /// # Errors
    /// [`IntervalError`].
    pub fn output_bounds(&mut self, lower: &mut [f32], upper: &mut [f32]) -> Result<(), IntervalError> {
        let network = Network::from_checked(&self.layers);
        let ends = (lower, upper);
        interval::output_bounds(&self.view.common, &network, &mut self.memory, self.computed, ends)
    }

    /// The artifact.
    pub fn view(&self) -> &ArtifactView<'a> {
        &self.view
    }
}

/// A monitor over borrowed memory.
#[derive(Debug)]
pub struct MonitorRef<'m, 'a> {
    view: ArtifactView<'a>,
    layers: &'m [Layer<'a>],
    memory: &'m mut [f32],
    computed: bool,
}

impl<'m, 'a> MonitorRef<'m, 'a> {
    /// Borrows `layers`, which are `view.layers()` collected, and [`memory_len`] floats.
    ///
    /// # Errors
    /// [`MonitorError::LayerTable`], [`MonitorError::Memory`] or [`MonitorError::FpEnv`].
    pub fn new(
        view: ArtifactView<'a>,
        layers: &'m [Layer<'a>],
        memory: &'m mut [f32],
    ) -> Result<Self, MonitorError> {
        let same =
            view.layers().len() == layers.len() && view.layers().zip(layers).all(|(a, b)| a.is_same(b));
        if !same {
            return Err(MonitorError::LayerTable);
        }
        let needed = memory_len(&view);
        if memory.len() < needed {
            return Err(MonitorError::Memory { needed });
        }
        if !environment::is_ieee() {
            return Err(MonitorError::FpEnv);
        }
        Ok(Self { view, layers, memory, computed: false })
    }

    /// Runs the network at `sample` (`[inputs]`, raw units) and says what is certified.
    ///
    /// # Rounding
    /// *Sound in f32* and *sound over the reals*: [`Status::Certified`] holds for both meanings.
    pub fn step(&mut self, sample: &[f32]) -> Decision {
        let network = Network::from_checked(self.layers);
        let decision = decide(&self.view.common, &network, self.memory, sample);
        self.computed = has_outputs(&decision);
        decision
    }

    /// Outputs of the last step, `[outputs]`; empty if it computed none.
    pub fn outputs(&self) -> &[f32] {
        outputs_of(self.view.outputs(), self.memory, self.computed)
    }

    /// What each output can be for any input of the ball around the sample of the last step: `[outputs]` smallest
    /// values into `lower`, `[outputs]` largest into `upper`. The ball is that of the artifact's epsilon. On an error
    /// both hold the whole line.
    ///
    /// # Errors
    /// [`IntervalError`] if the last step computed no outputs, the artifact asks for no live bounds, a slice is not
    /// `[outputs]`, or a bound is not finite.
    ///
    /// # Rounding
    /// *Sound in f32* and *sound over the reals*: lower ends are rounded down, upper ends up.
    pub fn output_bounds(&mut self, lower: &mut [f32], upper: &mut [f32]) -> Result<(), IntervalError> {
        let network = Network::from_checked(self.layers);
        let ends = (lower, upper);
        interval::output_bounds(&self.view.common, &network, self.memory, self.computed, ends)
    }

    /// The artifact.
    pub fn view(&self) -> &ArtifactView<'a> {
        &self.view
    }
}

fn has_outputs(decision: &Decision) -> bool {
    match decision.status {
        Status::Certified { .. } | Status::NotCertified { .. } => true,
        Status::Invalid(fault) => fault == Fault::Overflow,
        Status::OutOfRange { .. } => false,
    }
}

fn outputs_of(outputs: usize, memory: &[f32], computed: bool) -> &[f32] {
    if computed { memory.get(..outputs).unwrap_or_default() } else { &[] }
}

/// A decision without outputs.
fn without_outputs(status: Status) -> Decision {
    Decision { class: None, margin: f32::NEG_INFINITY, status }
}

fn decide(common: &Common<'_>, network: &impl Runs, memory: &mut [f32], sample: &[f32]) -> Decision {
    if let Some(status) = refuse(common, sample) {
        return without_outputs(status);
    }
    let settings = &common.settings;
    let parts = Parts::new(common.lower.len(), common.outputs, memory);
    // Neither fails: lengths were checked when the monitor was built.
    let Some(Parts { output, row, lower, upper, work }) = parts else {
        return without_outputs(Status::Invalid(Fault::Length));
    };
    if network.forward(sample, work, output).is_err() {
        return without_outputs(Status::Invalid(Fault::Length));
    }
    if !output.iter().all(|y| y.is_finite()) {
        return without_outputs(Status::Invalid(Fault::Overflow));
    }
    let (class, margin) = margin::class_and_margin(settings.spec, output);
    ball::enclose(sample, settings.epsilon, lower, upper);
    if let Some(radius) = look_up(common, class, sample, lower, upper) {
        return Decision { class, margin, status: Status::Certified { by: Evidence::Region, radius } };
    }
    let margin_lower = match settings.live_bounds.method() {
        Some(method) => {
            live::Live { network, method, lower, upper, row, memory: work }.margin_lower(settings.spec, class)
        }
        None => f32::NEG_INFINITY,
    };
    let status = if margin_lower > 0.0 {
        Status::Certified { by: Evidence::Bounds, radius: 1.0 }
    } else {
        Status::NotCertified { margin_lower }
    };
    Decision { class, margin, status }
}

/// The largest radius that a region certificate gives the sample, if one holds the ball and speaks of
/// both meanings and of the class that was computed.
fn look_up(
    common: &Common<'_>,
    class: Option<u16>,
    sample: &[f32],
    lower: &[f32],
    upper: &[f32],
) -> Option<f32> {
    let claim = class.map_or(Claim::Rows, Claim::Class);
    let mut largest: Option<f32> = None;
    for region in common.regions.iter() {
        let speaks = region.claim == claim && region.meanings.real() && region.meanings.f32();
        if speaks && ball::lies_inside(lower, upper, region.lower, region.upper) {
            let radius = ball::radius_inside(sample, common.settings.epsilon, region.lower, region.upper);
            if largest.is_none_or(|largest| radius > largest) {
                largest = Some(radius);
            }
        }
    }
    largest
}

/// Why `sample` cannot be judged, if so.
fn refuse(common: &Common<'_>, sample: &[f32]) -> Option<Status> {
    if !environment::is_ieee() {
        return Some(Status::Invalid(Fault::FpEnv));
    }
    if sample.len() != common.lower.len() {
        return Some(Status::Invalid(Fault::Length));
    }
    if !sample.iter().all(|x| x.is_finite()) {
        return Some(Status::Invalid(Fault::NonFinite));
    }
    let inside = |((x, l), u): ((&f32, &f32), &f32)| l <= x && x <= u;
    let feature = sample.iter().zip(common.lower).zip(common.upper).position(|p| !inside(p))?;
    Some(Status::OutOfRange { feature: u16::try_from(feature).unwrap_or(u16::MAX) })
}
