//! A monitor of a network that is a program: the same decisions as for a chain of layers.

use super::cost::{Operations, StepOperations};
use super::{Decision, IntervalError, MonitorError, decide, environment, has_outputs, interval, outputs_of};
use crate::artifact::{ProgramView, Spec};
use crate::bounds::{self, Method};
use crate::program::plan::Sizes;
use crate::program::rows::counts;
use crate::program::{Map, Operation, Place, Planned, Program, Slot, Step, Term};

/// `f32` elements of memory that a monitor of `view`, whose program is `planned`, needs.
///
/// Outputs and one row of as many coefficients, the ball's two ends, and what inference or the live
/// bounds need, whichever is more (they do not run at the same time).
pub fn program_memory_len(view: &ProgramView<'_>, planned: &Planned<'_>) -> usize {
    let sizes = planned.sizes();
    let bounds = view.live_bounds().method().map_or(0, |method| bounds::program::memory_len(planned, method));
    let work = sizes.arena.max(bounds).max(sizes.width);
    view.outputs().saturating_add(view.inputs()).saturating_mul(2).saturating_add(work)
}

/// Tables, places and memory in use; the code of both monitors.
fn step(
    view: &ProgramView<'_>,
    planned: &Planned<'_>,
    memory: &mut [f32],
    sample: &[f32],
) -> (Decision, bool) {
    let decision = decide(&view.common, planned, memory, sample);
    (decision, has_outputs(&decision))
}

/// Checks the program in the tables, finds its places, and whether memory suffices.
fn build<'p>(
    view: &ProgramView<'_>,
    steps: &'p [Step<'p>],
    terms: &'p [Term<'p>],
    places: &'p mut [Place],
    memory: &mut [f32],
) -> Result<Planned<'p>, MonitorError> {
    let program = Program::new(view.inputs(), steps, terms).map_err(MonitorError::Program)?;
    let widest = (0..program.slots()).map(|slot| program.size(Slot(slot))).fold(0, usize::max);
    let scratch = memory.get_mut(..widest).ok_or(MonitorError::Memory { needed: widest })?;
    let planned = Planned::new(program, places, scratch).map_err(MonitorError::Program)?;
    let needed = program_memory_len(view, &planned);
    if memory.len() < needed {
        return Err(MonitorError::Memory { needed });
    }
    if !environment::is_ieee() {
        return Err(MonitorError::FpEnv);
    }
    Ok(planned)
}

/// A monitor that owns its memory: room for `STEPS` steps, `TERMS` terms, `SLOTS` (`STEPS + 1`) places and `MEMORY`
/// floats ([`program_memory_len`]).
#[derive(Debug)]
pub struct ProgramMonitor<'a, const STEPS: usize, const TERMS: usize, const SLOTS: usize, const MEMORY: usize>
{
    view: ProgramView<'a>,
    steps: heapless::Vec<Step<'a>, STEPS>,
    terms: heapless::Vec<Term<'a>, TERMS>,
    places: [Place; SLOTS],
    sizes: Sizes,
    memory: [f32; MEMORY],
    computed: bool,
}

impl<'a, const STEPS: usize, const TERMS: usize, const SLOTS: usize, const MEMORY: usize>
    ProgramMonitor<'a, STEPS, TERMS, SLOTS, MEMORY>
{
    /// Builds and checks the tables, plans the memory and probes the arithmetic.
    ///
    /// # Errors
    /// [`MonitorError::Tables`] or [`MonitorError::Memory`] if a capacity does not suffice,
    /// [`MonitorError::Program`] if the steps form no program that devices run,
    /// [`MonitorError::FpEnv`] if arithmetic is not that of IEEE 754.
    pub fn new(view: ProgramView<'a>) -> Result<Self, MonitorError> {
        let mut monitor = Self {
            view,
            steps: heapless::Vec::new(),
            terms: heapless::Vec::new(),
            places: [Place::default(); SLOTS],
            sizes: Sizes::default(),
            memory: [0.0; MEMORY],
            computed: false,
        };
        let short = MonitorError::Tables { steps: view.step_count(), terms: view.term_count() };
        if SLOTS <= view.step_count() {
            return Err(short);
        }
        for step in view.steps() {
            monitor.steps.push(step).map_err(|_| short)?;
        }
        for term in view.terms() {
            monitor.terms.push(term).map_err(|_| short)?;
        }
        let planned = build(&view, &monitor.steps, &monitor.terms, &mut monitor.places, &mut monitor.memory)?;
        monitor.sizes = planned.sizes();
        Ok(monitor)
    }

    /// Runs the network at `sample` (`[inputs]`, raw units) and says what is certified.
    ///
    /// # Rounding
    /// *Sound in f32* and *sound over the reals*: [`super::Status::Certified`] holds for both meanings.
    pub fn step(&mut self, sample: &[f32]) -> Decision {
        let program = Program::from_checked(self.view.inputs(), &self.steps, &self.terms);
        let planned = Planned::from_parts(program, &self.places, self.sizes);
        let (decision, computed) = step(&self.view, &planned, &mut self.memory, sample);
        self.computed = computed;
        decision
    }

    /// Outputs of the last step, `[outputs]`; empty if it computed none.
    pub fn outputs(&self) -> &[f32] {
        outputs_of(self.view.outputs(), &self.memory, self.computed)
    }

    /// As [`super::MonitorRef::output_bounds`].
    ///
    /// # Errors
    /// [`IntervalError`].
    pub fn output_bounds(&mut self, lower: &mut [f32], upper: &mut [f32]) -> Result<(), IntervalError> {
        let program = Program::from_checked(self.view.inputs(), &self.steps, &self.terms);
        let planned = Planned::from_parts(program, &self.places, self.sizes);
        let ends = (lower, upper);
        interval::output_bounds(&self.view.common, &planned, &mut self.memory, self.computed, ends)
    }

    /// The artifact.
    pub fn view(&self) -> &ProgramView<'a> {
        &self.view
    }
}

/// A monitor over borrowed tables and memory.
#[derive(Debug)]
pub struct ProgramMonitorRef<'m, 'a> {
    view: ProgramView<'a>,
    planned: Planned<'m>,
    memory: &'m mut [f32],
    computed: bool,
}

impl<'m, 'a: 'm> ProgramMonitorRef<'m, 'a> {
    /// Borrows `steps` and `terms`, which are those of `view` collected, a place for each slot, and
    /// [`program_memory_len`] floats.
    ///
    /// # Errors
    /// As [`ProgramMonitor::new`]; [`MonitorError::Tables`] also if the tables are not as long as the artifact's.
    pub fn new(
        view: ProgramView<'a>,
        steps: &'m [Step<'a>],
        terms: &'m [Term<'a>],
        places: &'m mut [Place],
        memory: &'m mut [f32],
    ) -> Result<Self, MonitorError> {
        let (needed_steps, needed_terms) = (view.step_count(), view.term_count());
        if steps.len() != needed_steps || terms.len() != needed_terms || places.len() <= needed_steps {
            return Err(MonitorError::Tables { steps: needed_steps, terms: needed_terms });
        }
        let planned = build(&view, steps, terms, places, memory)?;
        Ok(Self { view, planned, memory, computed: false })
    }
}

impl<'a> ProgramMonitorRef<'_, 'a> {
    /// As [`ProgramMonitor::step`].
    pub fn step(&mut self, sample: &[f32]) -> Decision {
        let (decision, computed) = step(&self.view, &self.planned, self.memory, sample);
        self.computed = computed;
        decision
    }

    /// Outputs of the last step, `[outputs]`; empty if it computed none.
    pub fn outputs(&self) -> &[f32] {
        outputs_of(self.view.outputs(), self.memory, self.computed)
    }

    /// As [`super::MonitorRef::output_bounds`].
    ///
    /// # Errors
    /// [`IntervalError`].
    pub fn output_bounds(&mut self, lower: &mut [f32], upper: &mut [f32]) -> Result<(), IntervalError> {
        let ends = (lower, upper);
        interval::output_bounds(&self.view.common, &self.planned, self.memory, self.computed, ends)
    }

    /// The artifact.
    pub fn view(&self) -> &ProgramView<'a> {
        &self.view
    }
}

/// Products of one pass over a map.
fn products(map: &Map<'_>, outputs: usize) -> usize {
    match map {
        Map::Sparse(sparse) => sparse.columns.len(),
        map => outputs.saturating_mul(counts(map).products),
    }
}

/// One pass over a step: its products, and its operands and outputs once.
fn pass(program: &Program<'_>, step: &Step<'_>) -> Operations {
    let mut elements = step.len;
    program.for_each_input(step, |slot| elements = elements.saturating_add(program.size(slot)));
    let multiply_adds = match step.operation {
        Operation::Affine { terms, .. } => program
            .terms(terms)
            .iter()
            .fold(0usize, |sum, term| sum.saturating_add(products(&term.map, step.len))),
        Operation::Max { groups, .. } => {
            elements = elements.saturating_add(groups.members.len());
            0
        }
        _ => 0,
    };
    Operations { multiply_adds, elements }
}

/// Worst-case operations of a step of a monitor of `view`, whose program is `planned`.
pub fn program_worst_case_ops(view: &ProgramView<'_>, planned: &Planned<'_>) -> StepOperations {
    let program = planned.program();
    let (inputs, outputs) = (view.inputs(), view.outputs());
    let forward = forward_pass(program);
    let (rows, margin) = match view.spec() {
        Spec::ArgMax | Spec::ArgMin => {
            (outputs.saturating_sub(1), Operations { multiply_adds: 0, elements: outputs })
        }
        Spec::Rows { coefficients, constants } => {
            let multiply_adds = coefficients.len().saturating_mul(2);
            (constants.len(), Operations { multiply_adds, elements: constants.len() })
        }
    };
    let elements = |elements: usize| Operations { multiply_adds: 0, elements };
    StepOperations {
        checks: elements(inputs.saturating_mul(2)),
        inference: forward.plus(margin),
        regions: elements(inputs).plus(elements(inputs.saturating_mul(2)).times(view.region_count())),
        bounds: live_bounds(view, planned, rows),
    }
}

/// Worst-case operations of [`ProgramMonitor::output_bounds`].
pub fn program_worst_case_interval_ops(view: &ProgramView<'_>, planned: &Planned<'_>) -> Operations {
    live_bounds(view, planned, view.outputs().saturating_mul(2))
}

/// Bounds of all neurons on a ball, then of `rows` rows of the outputs.
fn live_bounds(view: &ProgramView<'_>, planned: &Planned<'_>, rows: usize) -> Operations {
    let program = planned.program();
    let (inputs, outputs) = (view.inputs(), view.outputs());
    let forward = forward_pass(program);
    let elements = |elements: usize| Operations { multiply_adds: 0, elements };
    view.live_bounds().method().map_or(Operations::default(), |method| {
        let row = match method {
            Method::Ibp => elements(outputs),
            Method::Crown | Method::CrownFull => {
                forward.plus(Operations { multiply_adds: inputs, elements: inputs })
            }
        };
        let tightened = if method == Method::CrownFull { tightening(planned) } else { Operations::default() };
        // An interval step takes three products per weight; a row fills `outputs` elements first.
        forward.times(3).plus(tightened).plus(row.plus(elements(outputs)).times(rows))
    })
}

/// One pass over every step.
fn forward_pass(program: &Program<'_>) -> Operations {
    program.steps().iter().fold(Operations::default(), |sum, step| sum.plus(pass(program, step)))
}

/// Two backward rows for every element that is kept behind a nonlinear step, through all steps before it.
fn tightening(planned: &Planned<'_>) -> Operations {
    let program = planned.program();
    let inputs = program.inputs();
    let (mut total, mut so_far, mut relaxed) = (Operations::default(), Operations::default(), false);
    for (index, step) in program.steps().iter().enumerate() {
        so_far = so_far.plus(pass(program, step));
        if relaxed && planned.kept(Slot(index.saturating_add(1))).is_some() {
            let row =
                so_far.plus(Operations { multiply_adds: inputs, elements: inputs.saturating_add(step.len) });
            total = total.plus(row.times(step.len.saturating_mul(2)));
        }
        relaxed |= matches!(step.operation, Operation::Elementwise { .. } | Operation::Max { .. });
    }
    total
}
