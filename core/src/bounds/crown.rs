//! CROWN: one row of coefficients at a time, propagated back from the outputs (or a neuron) to the input box.
//!
//! See the parent module for the argument. Memory, for `N` neurons, `L` layers, `I` inputs, width `w`:
//! input box `2I`, intervals `2N`, row errors `N`, masses `L`, scratch `3w` (two rows, or the three
//! vectors of an interval step).

use super::ibp::{Target, affine_bounds};
use super::{BoundError, Factors, post};
use crate::layer::{Affine, Layer, Network};
use crate::round::up;

pub(super) fn memory_len(inputs: usize, width: usize, neurons: usize, layers: usize) -> usize {
    2 * inputs + 3 * neurons + layers + 3 * width
}

/// The parts of `memory`.
struct Parts<'m> {
    input_lower: &'m mut [f32],
    input_upper: &'m mut [f32],
    lower: &'m mut [f32],
    upper: &'m mut [f32],
    error: &'m mut [f32],
    mass: &'m mut [f32],
    scratch: &'m mut [f32],
}

fn parts<'m>(network: &Network<'_>, memory: &'m mut [f32]) -> Result<Parts<'m>, BoundError> {
    let (inputs, width, neurons, layers) =
        (network.inputs(), network.width(), network.neurons(), network.layers().len());
    let short = BoundError::Capacity { needed: memory_len(inputs, width, neurons, layers) };
    let (input_lower, rest) = memory.split_at_mut_checked(inputs).ok_or(short)?;
    let (input_upper, rest) = rest.split_at_mut_checked(inputs).ok_or(short)?;
    let (lower, rest) = rest.split_at_mut_checked(neurons).ok_or(short)?;
    let (upper, rest) = rest.split_at_mut_checked(neurons).ok_or(short)?;
    let (error, rest) = rest.split_at_mut_checked(neurons).ok_or(short)?;
    let (mass, rest) = rest.split_at_mut_checked(layers).ok_or(short)?;
    let (scratch, _) = rest.split_at_mut_checked(3 * width).ok_or(short)?;
    Ok(Parts { input_lower, input_upper, lower, upper, error, mass, scratch })
}

pub(super) fn pre_activations<'m>(
    network: &Network<'_>,
    memory: &'m mut [f32],
) -> Result<(&'m [f32], &'m [f32]), BoundError> {
    let parts = parts(network, memory)?;
    Ok((parts.lower, parts.upper))
}

/// What a backward pass reads: everything of the layers up to the one it starts from.
#[derive(Clone, Copy)]
struct Enclosures<'m> {
    input_lower: &'m [f32],
    input_upper: &'m [f32],
    lower: &'m [f32],
    upper: &'m [f32],
    error: &'m [f32],
    mass: &'m [f32],
}

/// Intervals of all neurons, layer by layer; with `tighten`, unstable ones also by two rows each.
pub(super) fn prepare(
    network: &Network<'_>,
    lower: &[f32],
    upper: &[f32],
    tighten: bool,
    memory: &mut [f32],
) -> Result<(), BoundError> {
    let parts = parts(network, memory)?;
    let short = BoundError::Capacity { needed: network.width() };
    for (((slot_l, slot_u), l), u) in
        parts.input_lower.iter_mut().zip(parts.input_upper.iter_mut()).zip(lower).zip(upper)
    {
        (*slot_l, *slot_u) = (*l, *u);
    }
    let mut done = 0; // neurons bounded so far
    let mut relu_before = false;
    let mut relu_seen = false;
    for (index, layer) in network.layers().iter().enumerate() {
        let (n, rows) = (layer.inputs(), layer.outputs());
        let (lower_done, lower_rest) = parts.lower.split_at_mut_checked(done).ok_or(short)?;
        let (upper_done, upper_rest) = parts.upper.split_at_mut_checked(done).ok_or(short)?;
        let (error_done, error_rest) = parts.error.split_at_mut_checked(done).ok_or(short)?;
        let inputs: (&[f32], &[f32]) = if index == 0 {
            (parts.input_lower, parts.input_upper)
        } else {
            let first = done.checked_sub(n).ok_or(short)?;
            (lower_done.get(first..).ok_or(short)?, upper_done.get(first..).ok_or(short)?)
        };
        let target = Target {
            lower: lower_rest.get_mut(..rows).ok_or(short)?,
            upper: upper_rest.get_mut(..rows).ok_or(short)?,
            error: error_rest.get_mut(..rows).ok_or(short)?,
        };
        let mass = affine_bounds(layer, inputs, relu_before, parts.scratch, target)?;
        *parts.mass.get_mut(index).ok_or(short)? = mass;
        if tighten && relu_seen && layer.relu() {
            let known = Enclosures {
                input_lower: parts.input_lower,
                input_upper: parts.input_upper,
                lower: lower_done,
                upper: upper_done,
                error: error_done,
                mass: parts.mass,
            };
            let so_far = network.layers().get(..=index).ok_or(short)?;
            tighten_layer(so_far, known, (lower_rest, upper_rest, error_rest), parts.scratch)?;
        }
        done += rows;
        relu_before = layer.relu();
        relu_seen |= relu_before;
    }
    Ok(())
}

/// Tightens the unstable neurons of the last of `layers` by a CROWN row for each end.
fn tighten_layer(
    layers: &[Layer<'_>],
    known: Enclosures<'_>,
    (lower, upper, error): (&mut [f32], &mut [f32], &[f32]),
    scratch: &mut [f32],
) -> Result<(), BoundError> {
    let rows = layers.last().map_or(0, Layer::outputs);
    for (neuron, (l, u)) in lower.iter_mut().zip(upper.iter_mut()).take(rows).enumerate() {
        if !(*l < 0.0 && *u > 0.0) {
            continue;
        }
        let below = start_row(layers, known, error, neuron, 1.0, scratch)?;
        let above = -start_row(layers, known, error, neuron, -1.0, scratch)?;
        if below > *l {
            *l = below;
        }
        if above < *u {
            *u = above;
        }
        // Both hold, so the intersection is not empty unless a bound is wrong: say nothing then.
        if *l > *u {
            return Err(BoundError::NonFinite);
        }
    }
    Ok(())
}

/// Lower bound of `sign · z` of one neuron of the last of `layers`.
fn start_row(
    layers: &[Layer<'_>],
    known: Enclosures<'_>,
    error: &[f32],
    neuron: usize,
    sign: f32,
    scratch: &mut [f32],
) -> Result<f32, BoundError> {
    let rows = layers.last().map_or(0, Layer::outputs);
    let row = scratch.get_mut(..rows).ok_or(BoundError::Capacity { needed: rows })?;
    row.fill(0.0);
    *row.get_mut(neuron).ok_or(BoundError::Capacity { needed: rows })? = sign;
    backward(layers, known, error, scratch)
}

/// Lower bound of `coefficients · y`.
pub(super) fn row_lower(
    network: &Network<'_>,
    coefficients: &[f32],
    memory: &mut [f32],
) -> Result<f32, BoundError> {
    let parts = parts(network, memory)?;
    let short = BoundError::Capacity { needed: network.width() };
    let last = network.layers().last().ok_or(short)?;
    let rows = last.outputs();
    let before = network.neurons().checked_sub(rows).ok_or(short)?;
    let (lower, last_lower) = parts.lower.split_at_checked(before).ok_or(short)?;
    let (upper, last_upper) = parts.upper.split_at_checked(before).ok_or(short)?;
    let (error, last_error) = parts.error.split_at_checked(before).ok_or(short)?;
    let row = parts.scratch.get_mut(..rows).ok_or(short)?;
    for (slot, c) in row.iter_mut().zip(coefficients) {
        *slot = *c;
    }
    let mut constant = 0.0;
    if last.relu() {
        constant = relu_step(row, last_lower, last_upper, Factors::new(last)?.inflate);
    }
    let known = Enclosures {
        input_lower: parts.input_lower,
        input_upper: parts.input_upper,
        lower,
        upper,
        error,
        mass: parts.mass,
    };
    let below = backward(network.layers(), known, last_error, parts.scratch)?;
    Ok((below + constant).next_down())
}

/// Turns coefficients on `relu(z)` into coefficients on `z`; returns the (non-positive) constant, rounded down.
/// What underflows in the products is below the `2⁻¹²⁶` that `up` adds.
///
/// The lower slope is 1 if `u > −l`, else 0 (the adaptive rule: the smaller of the two triangles' areas).
fn relu_step(row: &mut [f32], lower: &[f32], upper: &[f32], inflate: f32) -> f32 {
    let mut deduct = 0.0f32;
    for ((a, l), u) in row.iter_mut().zip(lower).zip(upper) {
        if *l >= 0.0 {
            continue;
        }
        if *u <= 0.0 {
            *a = 0.0;
        } else if *a >= 0.0 {
            if *u <= -*l {
                *a = 0.0;
            }
        } else {
            let slope = *u / (*u - *l);
            let chosen = *a * if slope < 1.0 { slope } else { 1.0 };
            let (at_lower, at_upper) = (chosen * l, (chosen - *a) * u);
            deduct += if at_lower > at_upper { at_lower } else { at_upper };
            *a = chosen;
        }
    }
    -up(deduct * inflate)
}

/// Lower bound of `row · z`, `z` the pre-activations of the last of `layers`, whose row is in `scratch`
/// and whose errors are `last_error`; `known` holds what lies before it.
fn backward(
    layers: &[Layer<'_>],
    known: Enclosures<'_>,
    last_error: &[f32],
    scratch: &mut [f32],
) -> Result<f32, BoundError> {
    let width = scratch.len() / 3;
    let short = BoundError::Capacity { needed: 2 * width };
    let (mut row, rest) = scratch.split_at_mut_checked(width).ok_or(short)?;
    let (mut next, _) = rest.split_at_mut_checked(width).ok_or(short)?;
    let mut constant = 0.0f32;
    let mut end = known.lower.len(); // neurons before the current layer
    let mut error = last_error;
    for (index, layer) in layers.iter().enumerate().rev() {
        let (rows, cols) = (layer.outputs(), layer.inputs());
        let factors = Factors::new(layer)?;
        let coefficients = row.get_mut(..rows).ok_or(short)?;
        let out = next.get_mut(..cols).ok_or(short)?;
        let bias_sum = affine_step(layer, coefficients, out);
        let mut rounding = 0.0f32;
        for (a, q) in coefficients.iter().zip(error) {
            rounding += a.abs() * q;
        }
        let mass = *known.mass.get(index).ok_or(short)?;
        let rounding = up(up((rounding + factors.eta) * factors.inflate) + up(factors.eta * up(mass + 1.0)));
        constant = ((constant + bias_sum).next_down() - rounding).next_down();
        core::mem::swap(&mut row, &mut next);
        if let Some(previous) = index.checked_sub(1).and_then(|i| layers.get(i)) {
            let start = end.checked_sub(previous.outputs()).ok_or(short)?;
            let (lower, upper) =
                (known.lower.get(start..end).ok_or(short)?, known.upper.get(start..end).ok_or(short)?);
            error = known.error.get(start..end).ok_or(short)?;
            end = start;
            if previous.relu() {
                let row = row.get_mut(..cols).ok_or(short)?;
                constant = (constant + relu_step(row, lower, upper, factors.inflate)).next_down();
            }
        } else {
            let row = row.get(..cols).ok_or(short)?;
            constant = concretize(row, known.input_lower, known.input_upper, constant, factors);
        }
    }
    if constant.is_finite() { Ok(constant) } else { Err(BoundError::NonFinite) }
}

/// `out = rowᵀ W`, and the sum of `row · b`.
fn affine_step(layer: &Layer<'_>, row: &[f32], out: &mut [f32]) -> f32 {
    let mut bias_sum = 0.0f32;
    match layer.affine() {
        Affine::Dense(dense) => {
            out.fill(0.0);
            for ((weights, b), a) in dense.row_iter().zip(row) {
                if *a != 0.0 {
                    bias_sum += a * b;
                    for (slot, w) in out.iter_mut().zip(weights) {
                        *slot += a * w;
                    }
                }
            }
        }
        Affine::Sparse(sparse) => {
            out.fill(0.0);
            for ((weights, b), a) in sparse.row_iter().zip(row) {
                if *a != 0.0 {
                    bias_sum += a * b;
                    for (j, w) in weights.iter() {
                        if let Some(slot) = out.get_mut(j) {
                            *slot += a * w;
                        }
                    }
                }
            }
        }
        Affine::Scale(scale) => {
            for (((slot, a), s), b) in out.iter_mut().zip(row).zip(scale.scale()).zip(scale.shift()) {
                bias_sum += a * b;
                *slot = a * s;
            }
        }
    }
    bias_sum
}

/// `constant + min over the box of row · x`, rounded down.
fn concretize(row: &[f32], lower: &[f32], upper: &[f32], constant: f32, factors: Factors) -> f32 {
    let (mut value, mut mass) = (0.0f32, 0.0f32);
    for ((a, l), u) in row.iter().zip(lower).zip(upper) {
        let m = post_magnitude(*l, *u);
        value += a * if *a >= 0.0 { *l } else { *u };
        mass += a.abs() * m;
    }
    let off = up(factors.backward * up((mass + factors.eta) * factors.inflate) + factors.eta);
    ((constant + value).next_down() - off).next_down()
}

fn post_magnitude(lower: f32, upper: f32) -> f32 {
    let (lower, upper) = post(false, lower, upper);
    let (l, u) = (lower.abs(), upper.abs());
    if l > u { l } else { u }
}
