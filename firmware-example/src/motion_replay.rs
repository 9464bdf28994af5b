//! The bit-equality run of the motion network: a stream of samples through a window and a monitor, every result word
//! written down.
//!
//! Host and firmware include this file and the exported module [`crate::motion`].

use certus_core::artifact::{ArtifactError, ProgramView};
use certus_core::monitor::{Order, ProgramMonitorRef, Window};
use certus_core::program::{Place, Step, Term};
use certus_core::{Decision, MonitorError};

use crate::motion::{BYTES, INPUTS, MEMORY, OUTPUTS, SLOTS, STEPS, TERMS};
use crate::replay::{NONE, bits, status_words};

/// Channels of a sample.
pub const CHANNELS: usize = 6;
/// Words recorded per window: the outputs, then class, margin and status of the decision.
pub const WORDS: usize = OUTPUTS + 4;

/// Why the run could not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The artifact is refused.
    Artifact(ArtifactError),
    /// The capacities of its module are wrong.
    Capacity,
    /// The monitor does not fit it.
    Monitor(MonitorError),
}

/// The checked artifact.
///
/// # Errors
/// [`Error::Artifact`] if it is refused.
pub fn view() -> Result<ProgramView<'static>, Error> {
    ProgramView::new_checked(BYTES).map_err(Error::Artifact)
}

/// The tables of the artifact's steps and terms.
///
/// # Errors
/// [`Error::Capacity`] if there are others than the exported module says.
pub fn tables(
    view: &ProgramView<'static>,
) -> Result<([Step<'static>; STEPS], [Term<'static>; TERMS]), Error> {
    let (mut steps, mut terms) = (view.steps(), view.terms());
    let (steps, terms) = (core::array::from_fn(|_| steps.next()), core::array::from_fn(|_| terms.next()));
    let (steps, terms): ([Option<Step<'_>>; STEPS], [Option<Term<'_>>; TERMS]) = (steps, terms);
    let (Some(first_step), Some(first_term)) = (steps[0], terms[0]) else { return Err(Error::Capacity) };
    if steps.iter().any(Option::is_none) || terms.iter().any(Option::is_none) {
        return Err(Error::Capacity);
    }
    Ok((steps.map(|s| s.unwrap_or(first_step)), terms.map(|t| t.unwrap_or(first_term))))
}

/// A monitor over the tables.
///
/// # Errors
/// [`Error::Monitor`] if it cannot be built.
pub fn monitor<'m>(
    (steps, terms): &'m ([Step<'static>; STEPS], [Term<'static>; TERMS]),
    places: &'m mut [Place; SLOTS],
    memory: &'m mut [f32; MEMORY],
) -> Result<ProgramMonitorRef<'m, 'static>, Error> {
    ProgramMonitorRef::new(view()?, steps, terms, places, memory).map_err(Error::Monitor)
}

/// A sample of the stream as it is pushed: every 400 samples one is out of range and one is not a number.
fn disturbed(index: usize, sample: &[f32; CHANNELS]) -> [f32; CHANNELS] {
    let mut sample = *sample;
    match index % 400 {
        199 => sample[1] = 1e4,
        399 => sample[4] = f32::NAN,
        _ => {}
    }
    sample
}

/// Everything that one step gave.
fn record(outputs: &[f32], decision: &Decision) -> [u32; WORDS] {
    let mut words = [NONE; WORDS];
    let (output, verdict) = words.split_at_mut(OUTPUTS);
    output.iter_mut().zip(outputs).for_each(|(word, y)| *word = bits(*y));
    let [tag, carried] = status_words(&decision.status);
    let judged = [decision.class.map_or(NONE, u32::from), bits(decision.margin), tag, carried];
    verdict.iter_mut().zip(judged).for_each(|(slot, word)| *slot = word);
    words
}

/// Pushes the samples of `stream`, and hands the index and words of the first `count` full windows to `write`.
pub fn run(
    monitor: &mut ProgramMonitorRef<'_, '_>,
    stream: &[[f32; CHANNELS]],
    count: usize,
    mut write: impl FnMut(usize, &[u32; WORDS]),
) {
    let Some(mut window) = Window::<INPUTS>::new(CHANNELS, Order::ChannelMajor) else { return };
    let mut done = 0;
    for (index, sample) in stream.iter().enumerate() {
        if done == count {
            return;
        }
        if let Some(values) = window.push(&disturbed(index, sample)) {
            let decision = monitor.step(values);
            write(done, &record(monitor.outputs(), &decision));
            done += 1;
        }
    }
}
