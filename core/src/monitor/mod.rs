//! The monitor: one bounded [`step`](MonitorRef::step) per sample that runs the network and says what
//! is proved about the ball around the sample.
//!
//! Order of work, first success ends it: arithmetic probe, finite check, range check, inference, live
//! bounds. A comparison that decides "certified" is true only for numbers: NaN never certifies.
//!
//! [`Monitor`] owns its memory, with capacities that the exporter writes out; [`MonitorRef`] borrows
//! it and holds the code, once for all capacities.

mod decision;
mod environment;
mod margin;

pub use decision::{Decision, Evidence, Fault, MonitorError, Status};

use crate::artifact::ArtifactView;
use crate::infer;
use crate::layer::{Layer, Network};

/// `f32` elements of memory that a monitor of `view` needs.
pub fn memory_len(view: &ArtifactView<'_>) -> usize {
    view.outputs().saturating_add(view.width().saturating_mul(2))
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
        let decision = decide(&self.view, &network, &mut self.memory, sample);
        self.computed = has_outputs(&decision);
        decision
    }

    /// Outputs of the last step, `[outputs]`; empty if it computed none.
    pub fn outputs(&self) -> &[f32] {
        outputs_of(&self.view, &self.memory, self.computed)
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
        let decision = decide(&self.view, &network, self.memory, sample);
        self.computed = has_outputs(&decision);
        decision
    }

    /// Outputs of the last step, `[outputs]`; empty if it computed none.
    pub fn outputs(&self) -> &[f32] {
        outputs_of(&self.view, self.memory, self.computed)
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

fn outputs_of<'m>(view: &ArtifactView<'_>, memory: &'m [f32], computed: bool) -> &'m [f32] {
    if computed { memory.get(..view.outputs()).unwrap_or_default() } else { &[] }
}

/// A decision without outputs.
fn without_outputs(status: Status) -> Decision {
    Decision { class: None, margin: f32::NEG_INFINITY, status }
}

fn decide(view: &ArtifactView<'_>, network: &Network<'_>, memory: &mut [f32], sample: &[f32]) -> Decision {
    if let Some(status) = refuse(view, sample) {
        return without_outputs(status);
    }
    let ran = memory
        .split_at_mut_checked(view.outputs())
        .map(|(output, scratch)| (infer::forward(network, sample, scratch, output), output));
    let Some((Ok(()), output)) = ran else {
        // Lengths were checked when the monitor was built.
        return without_outputs(Status::Invalid(Fault::Length));
    };
    if !output.iter().all(|y| y.is_finite()) {
        return without_outputs(Status::Invalid(Fault::Overflow));
    }
    let (class, margin) = margin::class_and_margin(view.spec(), output);
    Decision { class, margin, status: Status::NotCertified { margin_lower: f32::NEG_INFINITY } }
}

/// Why `sample` cannot be judged, if so.
fn refuse(view: &ArtifactView<'_>, sample: &[f32]) -> Option<Status> {
    if !environment::is_ieee() {
        return Some(Status::Invalid(Fault::FpEnv));
    }
    if sample.len() != view.inputs() {
        return Some(Status::Invalid(Fault::Length));
    }
    if !sample.iter().all(|x| x.is_finite()) {
        return Some(Status::Invalid(Fault::NonFinite));
    }
    let inside = |((x, l), u): ((&f32, &f32), &f32)| l <= x && x <= u;
    let feature = sample.iter().zip(view.range_lower()).zip(view.range_upper()).position(|p| !inside(p))?;
    Some(Status::OutOfRange { feature: u16::try_from(feature).unwrap_or(u16::MAX) })
}
