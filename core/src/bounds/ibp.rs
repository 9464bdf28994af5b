//! Interval bound propagation, one layer at a time, in centre-radius form.
//!
//! See the parent module for the argument; names follow it: `c`, `r`, `m` of the inputs, `t` per row.

use super::{BoundError, Factors, post};
use crate::infer::{BLOCK, dot_blocked};
use crate::layer::{Affine, Layer, Network, SparseRow};
use crate::round::up;

/// The intervals of one layer's outputs being written, with the row error `q` if CROWN follows.
pub(super) struct Target<'m> {
    pub lower: &'m mut [f32],
    pub upper: &'m mut [f32],
    /// `qᵢ ≥ (γ_K + γ_B)tᵢ + nη`, or empty.
    pub error: &'m mut [f32],
}

/// `Σ|w|v` for `v ≥ 0`, blocked as the forward pass is.
fn abs_dot(weights: &[f32], v: &[f32]) -> f32 {
    let mut total = 0.0f32;
    for (w_block, v_block) in weights.chunks(BLOCK).zip(v.chunks(BLOCK)) {
        let mut s = 0.0f32;
        for (w, v) in w_block.iter().zip(v_block) {
            s += w.abs() * v;
        }
        total += s;
    }
    total
}

/// `Σ|w|v` for `v ≥ 0` over the weights that are stored: fewer terms, so no more roundings than the blocked sum of the row.
fn abs_sum(row: &SparseRow<'_>, v: &[f32]) -> f32 {
    let (mut total, mut sum, mut block) = (0.0f32, 0.0f32, 0);
    for (j, w) in row.iter() {
        if j / BLOCK != block {
            total += sum;
            (sum, block) = (0.0, j / BLOCK);
        }
        sum += w.abs() * v.get(j).copied().unwrap_or_default();
    }
    total + sum
}

/// Both sums of a row in one pass over the weights: `Σ|w|r` and `Σ|w|m`.
fn abs_dot_pair(weights: &[f32], r: &[f32], m: &[f32]) -> (f32, f32) {
    let (mut total_r, mut total_m) = (0.0f32, 0.0f32);
    for ((w_block, r_block), m_block) in weights.chunks(BLOCK).zip(r.chunks(BLOCK)).zip(m.chunks(BLOCK)) {
        let (mut s, mut t) = (0.0f32, 0.0f32);
        for ((w, r), m) in w_block.iter().zip(r_block).zip(m_block) {
            let w = w.abs();
            s += w * r;
            t += w * m;
        }
        total_r += s;
        total_m += t;
    }
    (total_r, total_m)
}

/// Centre inside `[lower, upper]` and a radius that reaches both ends.
#[inline]
fn centre_radius(lower: f32, upper: f32) -> (f32, f32) {
    let middle = 0.5 * lower + 0.5 * upper;
    let c = if middle < lower {
        lower
    } else if middle > upper {
        upper
    } else {
        middle
    };
    let (above, below) = (upper - c, c - lower);
    let r = if above > below { above } else { below };
    // A difference rounds to 0 only if it is 0.
    (c, if r > 0.0 { r.next_up() } else { r })
}

#[inline]
fn magnitude(lower: f32, upper: f32) -> f32 {
    let (l, u) = (lower.abs(), upper.abs());
    if l > u { l } else { u }
}

/// Bounds the pre-activations of `layer` on the box `inputs`; `relu_before` says that the box is of
/// pre-activations and ReLU comes first. Returns a bound of `Σ mⱼ`.
///
/// # Shapes
/// `inputs` two `[cols]`, `scratch` `[3 × cols]`, target slices `[rows]` (`error` may be empty).
pub(super) fn affine_bounds(
    layer: &Layer<'_>,
    inputs: (&[f32], &[f32]),
    relu_before: bool,
    scratch: &mut [f32],
    target: Target<'_>,
) -> Result<f32, BoundError> {
    let n = layer.inputs();
    let factors = Factors::new(layer)?;
    let too_short = BoundError::Capacity { needed: 3 * n };
    let (centre, rest) = scratch.split_at_mut_checked(n).ok_or(too_short)?;
    let (radius, rest) = rest.split_at_mut_checked(n).ok_or(too_short)?;
    let (mass, _) = rest.split_at_mut_checked(n).ok_or(too_short)?;
    if inputs.0.len() != n || inputs.1.len() != n || target.lower.len() != layer.outputs() {
        return Err(too_short);
    }
    let mut sum = 0.0f32;
    for ((((c, r), m), lower), upper) in
        centre.iter_mut().zip(radius.iter_mut()).zip(mass.iter_mut()).zip(inputs.0).zip(inputs.1)
    {
        let (lower, upper) = post(relu_before, *lower, *upper);
        (*c, *r) = centre_radius(lower, upper);
        *m = magnitude(lower, upper);
        sum += *m;
    }
    let rows = Rows { factors, keep_error: !target.error.is_empty() };
    let finite = match layer.affine() {
        Affine::Dense(dense) => rows.write(
            target,
            dense.row_iter().map(|(w, b)| {
                let (s, t) = if rows.keep_error {
                    abs_dot_pair(w, radius, mass)
                } else {
                    (abs_dot(w, radius), abs_dot(w, mass))
                };
                (dot_blocked(w, centre, b), s, t, b)
            }),
        ),
        Affine::Sparse(sparse) => {
            let finite = centre.iter().all(|c| c.is_finite());
            rows.write(
                target,
                sparse.row_iter().map(|(row, b)| {
                    (row.dot_blocked(centre, finite, b), abs_sum(&row, radius), abs_sum(&row, mass), b)
                }),
            )
        }
        Affine::Scale(scale) => rows.write(
            target,
            scale
                .scale()
                .iter()
                .zip(scale.shift())
                .zip(centre.iter())
                .zip(radius.iter())
                .zip(mass.iter())
                .map(|((((s, b), c), r), m)| (s * c + b, s.abs() * r, s.abs() * m, *b)),
        ),
    };
    let sum = up(sum * factors.inflate);
    if finite && sum.is_finite() { Ok(sum) } else { Err(BoundError::NonFinite) }
}

struct Rows {
    factors: Factors,
    keep_error: bool,
}

impl Rows {
    /// Turns the sums of each row (centre, `Σ|w|r`, `Σ|w|m`, bias) into an interval; false if one is not finite.
    fn write(&self, target: Target<'_>, rows: impl Iterator<Item = (f32, f32, f32, f32)>) -> bool {
        let Factors { forward, backward, inflate, eta } = self.factors;
        let both = up(forward + backward);
        let mut finite = true;
        let mut errors = target.error.iter_mut();
        for (((y, s, t, b), lower), upper) in rows.zip(target.lower.iter_mut()).zip(target.upper.iter_mut()) {
            let t = up((t + eta) * inflate) + b.abs();
            let t = up(t * inflate);
            let spread = up((s + eta) * inflate);
            let device = up(forward * t + eta);
            let reach = up(spread + 2.0 * device);
            *lower = (y - reach).next_down();
            *upper = (y + reach).next_up();
            finite &= lower.is_finite() && upper.is_finite() && t.is_finite();
            if let Some(error) = errors.next() {
                *error = up(both * t + eta);
                finite &= error.is_finite();
            }
        }
        finite
    }
}

/// Current and next intervals, and scratch of three widths (the last pair is written where the first was).
pub(super) fn memory_len(width: usize) -> usize {
    7 * width
}

/// Splits `memory` into (now lower, now upper, next lower, next upper, scratch).
type Parts<'m> = (&'m mut [f32], &'m mut [f32], &'m mut [f32], &'m mut [f32], &'m mut [f32]);

fn parts(width: usize, memory: &mut [f32]) -> Result<Parts<'_>, BoundError> {
    let short = BoundError::Capacity { needed: memory_len(width) };
    let (a, rest) = memory.split_at_mut_checked(width).ok_or(short)?;
    let (b, rest) = rest.split_at_mut_checked(width).ok_or(short)?;
    let (c, rest) = rest.split_at_mut_checked(width).ok_or(short)?;
    let (d, rest) = rest.split_at_mut_checked(width).ok_or(short)?;
    let (scratch, _) = rest.split_at_mut_checked(3 * width).ok_or(short)?;
    Ok((a, b, c, d, scratch))
}

/// Leaves the outputs' intervals at the start of `memory`.
pub(super) fn prepare(
    network: &Network<'_>,
    lower: &[f32],
    upper: &[f32],
    memory: &mut [f32],
) -> Result<(), BoundError> {
    let width = network.width();
    let short = BoundError::Capacity { needed: memory_len(width) };
    let (now_lower, now_upper, next_lower, next_upper, scratch) = parts(width, memory)?;
    for (((slot_l, slot_u), l), u) in now_lower.iter_mut().zip(now_upper.iter_mut()).zip(lower).zip(upper) {
        (*slot_l, *slot_u) = (*l, *u);
    }
    let mut relu_before = false;
    for layer in network.layers() {
        let (n, rows) = (layer.inputs(), layer.outputs());
        let inputs = (now_lower.get(..n).ok_or(short)?, now_upper.get(..n).ok_or(short)?);
        let target = Target {
            lower: next_lower.get_mut(..rows).ok_or(short)?,
            upper: next_upper.get_mut(..rows).ok_or(short)?,
            error: &mut [],
        };
        affine_bounds(layer, inputs, relu_before, scratch, target)?;
        relu_before = layer.relu();
        for (now, next) in now_lower.iter_mut().zip(next_lower.iter()).take(rows) {
            *now = *next;
        }
        for (now, next) in now_upper.iter_mut().zip(next_upper.iter()).take(rows) {
            *now = *next;
        }
    }
    if relu_before {
        for (l, u) in now_lower.iter_mut().zip(now_upper.iter_mut()).take(network.outputs()) {
            (*l, *u) = post(true, *l, *u);
        }
    }
    Ok(())
}

/// `Σ min(cᵢlᵢ, cᵢuᵢ)` over the outputs' intervals, rounded down.
pub(super) fn row_lower(
    network: &Network<'_>,
    coefficients: &[f32],
    memory: &mut [f32],
) -> Result<f32, BoundError> {
    let (lower, upper, ..) = parts(network.width(), memory)?;
    let mut sum = 0.0f32;
    for ((c, l), u) in coefficients.iter().zip(lower.iter()).zip(upper.iter()) {
        if *c != 0.0 {
            let end = if *c > 0.0 { *l } else { *u };
            sum = (sum + (c * end).next_down()).next_down();
        }
    }
    Ok(sum)
}
