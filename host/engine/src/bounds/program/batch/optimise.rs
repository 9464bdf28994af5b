//! The climb of many lanes.

use super::super::backward::{End, Worker};
use super::super::crown::{Clip, Domain, Job, Settings, Spec, Stop, spec_block};
use super::super::memory::{BoundError, Memory};
use super::super::prepare::Prepared;
use super::{Found, Lane, LaneClimb};

/// The best bound of every lane.
///
/// # Errors
/// [`BoundError::Stopped`] if stopped before every lane had a bound.
///
/// # Panics
/// If a shape does not fit `net`.
///
/// # Rounding
/// *Estimate*.
pub fn optimise(
    net: &Prepared,
    spec: &Spec,
    lanes: &[Lane<'_>],
    climb: &LaneClimb,
    stop: Stop<'_>,
) -> Result<Vec<Found>, BoundError> {
    let _ = climb;
    let memory = Memory::new(usize::MAX);
    let settings = Settings { intermediate: super::super::Intermediate::Interval, ..Settings::default() };
    let job = Job { net, settings: &settings, stop, memory: &memory };
    let mut worker = Worker::new(&memory, stop);
    let mut found = Vec::with_capacity(lanes.len());
    for lane in lanes {
        let domain = Domain { region: lane.region, clips: &[] as &[Clip] };
        let (known, _) = job.intermediate_below(domain, lane.intervals)?;
        if known.empty {
            found.push(Found { bound: f32::INFINITY, ..Found::default() });
            continue;
        }
        let mut c = vec![0.0; 16];
        let rows = spec_block(&known, spec, &[lane.row as u32], &mut c, &mut worker)?;
        known.backward(net.output, rows, End::Input, &mut worker, &mut c)?;
        found.push(Found { bound: c[0], ..Found::default() });
    }
    Ok(found)
}
