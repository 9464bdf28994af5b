//! What each output can be on the ball around the last sample: the answer of a regression network.
//!
//! A class has a margin; a number has an interval. Both are bounds of rows of the outputs on the same ball: output
//! `k` lies in `[min eₖ·y, −min(−eₖ·y)]`, with `eₖ` the `k`-th unit vector.

use core::fmt;

use super::live::Runs;
use super::{Parts, environment};
use crate::artifact::Common;
use crate::bounds::{BoundError, Method};

/// Why outputs could not be bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum IntervalError {
    /// The last step computed no outputs, or one that is not finite, or there was no step.
    NoOutputs,
    /// The artifact asks for no live bounds, so there is no memory for any.
    Off,
    /// A slice is not `[outputs]`.
    Length,
    /// Arithmetic does not round to nearest even, flushes subnormals, or fuses products and sums.
    FpEnv,
    /// There is no finite bound.
    Bound(BoundError),
}

impl fmt::Display for IntervalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoOutputs => f.write_str("the last step computed no outputs"),
            Self::Off => f.write_str("the artifact asks for no live bounds"),
            Self::Length => f.write_str("a slice is not as long as there are outputs"),
            Self::FpEnv => f.write_str("arithmetic does not follow IEEE 754"),
            Self::Bound(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for IntervalError {}

/// Bounds every output on the ball that the last step left in `memory`; `computed` is whether it computed outputs.
/// What is not bounded is left as the whole line. One copy for all capacities: it is not inlined.
#[inline(never)]
pub(super) fn output_bounds(
    common: &Common<'_>,
    network: &impl Runs,
    memory: &mut [f32],
    computed: bool,
    (least, most): (&mut [f32], &mut [f32]),
) -> Result<(), IntervalError> {
    least.fill(f32::NEG_INFINITY);
    most.fill(f32::INFINITY);
    if least.len() != common.outputs || most.len() != common.outputs {
        return Err(IntervalError::Length);
    }
    let method = common.settings.live_bounds.method().ok_or(IntervalError::Off)?;
    let parts = Parts::new(common.lower.len(), common.outputs, memory);
    let Parts { output, row, lower, upper, work } = parts.ok_or(IntervalError::Length)?;
    // Only where every output is finite did the step go on to write the ball.
    if !computed || !output.iter().all(|y| y.is_finite()) {
        return Err(IntervalError::NoOutputs);
    }
    if !environment::is_ieee() {
        return Err(IntervalError::FpEnv);
    }
    network.prepare(lower, upper, method, work).map_err(IntervalError::Bound)?;
    for (index, (least, most)) in least.iter_mut().zip(most).enumerate() {
        for sign in [1.0, -1.0] {
            let bound = unit_lower(network, method, (row, index, sign), work)?;
            if sign > 0.0 {
                *least = bound;
            } else {
                *most = -bound;
            }
        }
    }
    Ok(())
}

/// Lower bound of `sign·y_index` on the box that was prepared.
fn unit_lower(
    network: &impl Runs,
    method: Method,
    (row, index, sign): (&mut [f32], usize, f32),
    work: &mut [f32],
) -> Result<f32, IntervalError> {
    row.fill(0.0);
    row.iter_mut().skip(index).take(1).for_each(|slot| *slot = sign);
    let bound = network.row_lower(method, row, work).map_err(IntervalError::Bound)?;
    // A bound is a number; anything else says nothing.
    if bound.is_finite() { Ok(bound) } else { Err(IntervalError::Bound(BoundError::NonFinite)) }
}
