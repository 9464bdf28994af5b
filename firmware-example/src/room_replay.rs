//! The bit-equality run of the networks of a room's sensors: samples through a monitor, every result word written down, the interval of each
//! output among them.
//!
//! Host and firmware include this file, [`crate::samples`] and the exported modules [`crate::occupancy`] and [`crate::forecast`].

use certus_core::{ArtifactError, ArtifactView, Decision, Monitor, MonitorError};

use crate::replay::{NONE, SEED, bits, status_words};
use crate::samples::Samples;
use crate::{forecast, occupancy};

/// Words recorded per sample of a network: both ends of the interval of each output, then class, margin and status of
/// the decision, then the outputs.
pub const fn words(outputs: usize) -> usize {
    3 * outputs + 4
}
/// Words of a sample of the network that names a class.
pub const OCCUPANCY_WORDS: usize = words(occupancy::OUTPUTS);
/// Words of a sample of the network that predicts a number.
pub const FORECAST_WORDS: usize = words(forecast::OUTPUTS);

/// Why the run could not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// An artifact is refused.
    Artifact(ArtifactError),
    /// The monitor does not fit it.
    Monitor(MonitorError),
}

/// A monitor of the artifact in `bytes`.
///
/// # Errors
/// [`Error`], if the artifact or the capacities of its module are wrong.
pub fn monitor<const LAYERS: usize, const MEMORY: usize>(
    bytes: &'static [u8],
) -> Result<Monitor<'static, LAYERS, MEMORY>, Error> {
    let view = ArtifactView::new_checked(bytes).map_err(Error::Artifact)?;
    Monitor::new(view).map_err(Error::Monitor)
}

/// Everything that one step gave.
fn record<const WORDS: usize>(
    outputs: &[f32],
    (lower, upper): (&[f32], &[f32]),
    decision: &Decision,
) -> [u32; WORDS] {
    let mut words = [NONE; WORDS];
    let [tag, carried] = status_words(&decision.status);
    let judged = [decision.class.map_or(NONE, u32::from), bits(decision.margin), tag, carried];
    let ends = lower.iter().chain(upper).map(|x| bits(*x));
    words
        .iter_mut()
        .zip(ends.chain(judged).chain(outputs.iter().map(|y| bits(*y))))
        .for_each(|(slot, word)| *slot = word);
    words
}

/// Runs `count` samples of `INPUTS` features and hands each one's index and words to `write`.
pub fn run<
    const LAYERS: usize,
    const MEMORY: usize,
    const INPUTS: usize,
    const OUTPUTS: usize,
    const WORDS: usize,
>(
    monitor: &mut Monitor<'static, LAYERS, MEMORY>,
    count: usize,
    mut write: impl FnMut(usize, &[u32; WORDS]),
) {
    let (from, to) = (monitor.view().range_lower(), monitor.view().range_upper());
    let mut samples = Samples::new(SEED);
    let mut sample = [0.0; INPUTS];
    let (mut lower, mut upper) = ([0.0; OUTPUTS], [0.0; OUTPUTS]);
    for index in 0..count {
        samples.draw(from, to, &mut sample);
        let decision = monitor.step(&sample);
        // What is not bounded is the whole line, and compared as such.
        let _ = monitor.output_bounds(&mut lower, &mut upper);
        write(index, &record(monitor.outputs(), (&lower, &upper), &decision));
    }
}

/// Runs `count` samples of the network that names a class.
///
/// # Errors
/// As [`monitor`].
pub fn run_occupancy(count: usize, write: impl FnMut(usize, &[u32; OCCUPANCY_WORDS])) -> Result<(), Error> {
    let mut monitor = monitor::<{ occupancy::LAYERS }, { occupancy::MEMORY }>(occupancy::BYTES)?;
    run::<_, _, { occupancy::INPUTS }, { occupancy::OUTPUTS }, _>(&mut monitor, count, write);
    Ok(())
}

/// Runs `count` samples of the network that predicts a number.
///
/// # Errors
/// As [`monitor`].
pub fn run_forecast(count: usize, write: impl FnMut(usize, &[u32; FORECAST_WORDS])) -> Result<(), Error> {
    let mut monitor = monitor::<{ forecast::LAYERS }, { forecast::MEMORY }>(forecast::BYTES)?;
    run::<_, _, { forecast::INPUTS }, { forecast::OUTPUTS }, _>(&mut monitor, count, write);
    Ok(())
}
