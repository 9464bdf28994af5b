//! The backward pass: rows on a layer's post-activations become rows on the inputs, then bounds.

use super::{Claim, Factors, Kernel, Lines, Rejection, Split, TINY, planes, up};
use crate::layer::{Affine, Layer};

/// A block of rows under way.
pub(super) struct Lanes<'m> {
    pub(super) a: &'m mut [f64],
    pub(super) next: &'m mut [f64],
    /// Coefficients on the inputs by planes, `[inputs, lanes]`.
    pub(super) flat: &'m mut [f64],
    pub(super) value: &'m mut [f64],
    pub(super) deduct: &'m mut [f64],
    pub(super) alpha: &'m mut [f64],
    pub(super) index: &'m mut [u32],
    /// Rows of the block: that of neuron (or input) `index[k]` is the `k`-th.
    pub(super) held: usize,
    /// Lanes of this block.
    pub(super) count: usize,
    /// Most lanes of a block.
    pub(super) most: usize,
}

impl Lanes<'_> {
    /// Begins a block of `used` rows; lanes come in multiples of `multiple`.
    pub(super) fn narrow(&mut self, used: usize, multiple: usize) {
        let lanes = used.max(1).checked_next_multiple_of(multiple).unwrap_or(self.most);
        self.count = if lanes < self.most { lanes } else { self.most };
    }

    /// Rows for all of `n` neurons or inputs, in order.
    pub(super) fn hold_all(&mut self, n: usize) -> Result<(), Rejection> {
        for (k, slot) in self.index.get_mut(..n).ok_or(Rejection::Shape)?.iter_mut().enumerate() {
            *slot = k as u32;
        }
        self.held = n;
        Ok(())
    }

    /// `V − D`, rounded down.
    pub(super) fn bound(&self, lane: usize, factors: Factors) -> Result<f64, Rejection> {
        let value = *self.value.get(lane).ok_or(Rejection::Shape)?;
        let deduct = *self.deduct.get(lane).ok_or(Rejection::Shape)?;
        let bound = (value - up(deduct * factors.inflate)).next_down();
        if bound.is_finite() { Ok(bound) } else { Err(Rejection::NonFinite) }
    }
}

/// Everything known of the layers below a row.
#[derive(Clone, Copy)]
pub(super) struct Known<'k> {
    pub(super) layers: &'k [Layer<'k>],
    pub(super) region: (&'k [f64], &'k [f64]),
    pub(super) lower: &'k [f64],
    pub(super) upper: &'k [f64],
    pub(super) error: &'k [f64],
    pub(super) mass: &'k [f64],
    pub(super) factors: Factors,
}

impl Known<'_> {
    /// Bounds of what the last layer gives before its ReLU, if it has one: `|y|` is no larger.
    pub(super) fn outputs(&self) -> Result<(&[f64], &[f64]), Rejection> {
        let outputs = self.layers.last().map_or(0, Layer::outputs);
        let first = self.lower.len().checked_sub(outputs).ok_or(Rejection::Shape)?;
        let (lower, upper) = (self.lower.get(first..), self.upper.get(first..));
        Ok((lower.ok_or(Rejection::Shape)?, upper.ok_or(Rejection::Shape)?))
    }
}

/// What the claims add to a backward pass.
#[derive(Clone, Copy)]
pub(super) struct Hints<'h> {
    pub(super) splits: &'h [Split],
    pub(super) claims: &'h [Claim<'h>],
}

pub(super) const NO_HINTS: Hints<'static> = Hints { splits: &[], claims: &[] };

impl Claim<'_> {
    pub(super) fn beta_at(&self, split: usize) -> f64 {
        match self.beta.get(4 * split..4 * split + 4) {
            Some(&[a, b, c, d]) => f64::from(f32::from_le_bytes([a, b, c, d])),
            _ => 0.0,
        }
    }
}

/// Propagates the block of rows on the post-activations of the last of `known.layers` back to the inputs.
pub(super) fn backward(
    kernel: &mut impl Kernel,
    known: Known<'_>,
    hints: Hints<'_>,
    rows: &mut Lanes<'_>,
) -> Result<(), Rejection> {
    let lanes = rows.count;
    let mut end: usize = known.layers.iter().map(Layer::outputs).sum();
    for (index, layer) in known.layers.iter().enumerate().rev() {
        let start = end.checked_sub(layer.outputs()).ok_or(Rejection::Shape)?;
        let flat = index == 0 && hints.claims.iter().any(|c| !c.planes.is_empty());
        if flat {
            take_planes(known, hints, layer, rows)?;
        }
        relax_layer(kernel, known, hints, (index, layer), start, rows)?;
        through(kernel, (index, layer), flat, rows)?;
        let mass = *known.mass.get(index).ok_or(Rejection::Shape)?;
        for deduct in rows.deduct.iter_mut() {
            *deduct += TINY * (1.0 + mass);
        }
        if flat {
            let inputs = layer.inputs() * lanes;
            rows.a.iter_mut().zip(rows.flat.iter()).take(inputs).for_each(|(a, more)| *a += more);
        }
        end = start;
    }
    let (lower, upper) = known.region;
    let held = rows.index.get(..rows.held).ok_or(Rejection::Shape)?;
    for (a, j) in rows.a.chunks_exact(lanes.max(1)).zip(held) {
        let (Some(l), Some(u)) = (lower.get(*j as usize), upper.get(*j as usize)) else {
            return Err(Rejection::Shape);
        };
        let mass = if l.abs() > u.abs() { l.abs() } else { u.abs() };
        kernel.concretize(a, rows.value, rows.deduct, *l, *u, up(2.0 * known.factors.g * mass) + TINY);
    }
    Ok(())
}

/// Takes the rows held, on the pre-activations of a layer, to its inputs: to all of them if `all`.
pub(super) fn through(
    kernel: &mut impl Kernel,
    (index, layer): (usize, &Layer<'_>),
    all: bool,
    rows: &mut Lanes<'_>,
) -> Result<(), Rejection> {
    let lanes = rows.count;
    let held = rows.index.get(..rows.held).ok_or(Rejection::Shape)?;
    if let Affine::Scale(scale) = layer.affine() {
        for (i, a) in held.iter().zip(rows.a.chunks_exact_mut(lanes.max(1))) {
            let s = f64::from(*scale.scale().get(*i as usize).ok_or(Rejection::Shape)?);
            a.iter_mut().for_each(|a| *a *= s);
        }
        return if all { Err(Rejection::Claim) } else { Ok(()) };
    }
    if !all && kernel.has_few(index) {
        let reached = kernel.transposed_few(index, held, rows.a, lanes, rows.next);
        rows.held = reached.len();
        let slots = rows.index.get_mut(..reached.len()).ok_or(Rejection::Shape)?;
        slots.iter_mut().zip(reached).for_each(|(slot, j)| *slot = *j);
    } else {
        match layer.affine() {
            Affine::Dense(dense) => kernel.transposed(index, &dense, held, rows.a, lanes, rows.next),
            Affine::Sparse(sparse) => {
                kernel.transposed_sparse(index, &sparse, held, rows.a, lanes, rows.next);
            }
            Affine::Scale(_) => return Err(Rejection::Claim),
        }
        rows.hold_all(layer.inputs())?;
    }
    core::mem::swap(&mut rows.a, &mut rows.next);
    Ok(())
}

/// Takes what claims bound by planes out of the rows on the first layer's post-activations, into `flat`.
fn take_planes(
    known: Known<'_>,
    hints: Hints<'_>,
    layer: &Layer<'_>,
    rows: &mut Lanes<'_>,
) -> Result<(), Rejection> {
    let Affine::Dense(dense) = layer.affine() else { return Err(Rejection::Claim) };
    let lanes = rows.count;
    rows.flat.get_mut(..layer.inputs() * lanes).ok_or(Rejection::Shape)?.fill(0.0);
    for (lane, claim) in hints.claims.iter().enumerate() {
        for plane in claim.planes.iter() {
            let neuron = plane.0;
            let (Some(lower), Some(upper), Some(error)) =
                (known.lower.get(neuron), known.upper.get(neuron), known.error.get(neuron))
            else {
                return Err(Rejection::Shape);
            };
            let held = rows.index.get(..rows.held).ok_or(Rejection::Shape)?;
            let Some(place) = held.iter().position(|j| *j as usize == neuron) else { continue };
            let a = rows.a.get_mut(place * lanes + lane).ok_or(Rejection::Shape)?;
            // A stable neuron, and so a split one, is exact without.
            if !(*lower < 0.0 && *upper > 0.0 && *a < 0.0) {
                continue;
            }
            let flat = rows.flat.get_mut(lane..).ok_or(Rejection::Shape)?;
            let constant = planes::add_plane(&dense, plane, known.region, *a, flat, lanes)?;
            *rows.value.get_mut(lane).ok_or(Rejection::Shape)? += constant;
            *rows.deduct.get_mut(lane).ok_or(Rejection::Shape)? += -*a * error;
            *a = 0.0;
        }
    }
    Ok(())
}

/// Adds rows of zeros for split neurons of a layer that have none.
fn hold_splits(hints: Hints<'_>, index: usize, rows: &mut Lanes<'_>) -> Result<(), Rejection> {
    let lanes = rows.count;
    for split in hints.splits.iter().filter(|s| usize::from(s.layer) == index) {
        let held = rows.held;
        if !rows.index.get(..held).ok_or(Rejection::Shape)?.contains(&split.neuron) {
            rows.a.get_mut(held * lanes..(held + 1) * lanes).ok_or(Rejection::Shape)?.fill(0.0);
            *rows.index.get_mut(held).ok_or(Rejection::Shape)? = split.neuron;
            rows.held = held + 1;
        }
    }
    Ok(())
}

/// Turns coefficients on a layer's post-activations into coefficients on its pre-activations, with their bias and error;
/// holds only the rows of neurons that have any.
fn relax_layer(
    kernel: &mut impl Kernel,
    known: Known<'_>,
    hints: Hints<'_>,
    (index, layer): (usize, &Layer<'_>),
    start: usize,
    rows: &mut Lanes<'_>,
) -> Result<(), Rejection> {
    let lanes = rows.count;
    let biases = layer.affine().bias();
    if rows.held < layer.outputs() {
        hold_splits(hints, index, rows)?;
    }
    let is_split = hints.splits.iter().any(|s| usize::from(s.layer) == index);
    let (from, mut to) = (rows.a.chunks_exact_mut(lanes.max(1)), rows.next.chunks_exact_mut(lanes.max(1)));
    let mut kept = 0;
    for (place, from) in from.take(rows.held).enumerate() {
        let neuron = *rows.index.get(place).ok_or(Rejection::Shape)? as usize;
        let at = start + neuron;
        let (Some(lower), Some(upper), Some(error), Some(bias)) =
            (known.lower.get(at), known.upper.get(at), known.error.get(at), biases.get(neuron))
        else {
            return Err(Rejection::Shape);
        };
        let (lower, upper, error, bias) = (*lower, *upper, *error, f64::from(*bias));
        let inactive = layer.relu() && upper <= 0.0;
        let split = is_split
            && hints.splits.iter().any(|s| usize::from(s.layer) == index && s.neuron as usize == neuron);
        // Coefficients that are all 0 add nothing; sparse layers have many such rows.
        if !split && (inactive || from.iter().all(|a| *a == 0.0)) {
            continue;
        }
        *rows.index.get_mut(kept).ok_or(Rejection::Shape)? = neuron as u32;
        let to = to.next().ok_or(Rejection::Shape)?;
        kept += 1;
        if inactive {
            from.fill(0.0);
        }
        if split {
            add_beta(hints, index, neuron, from);
        }
        if !inactive && layer.relu() && lower < 0.0 {
            let upper_slope = upper / (upper - lower);
            let upper_slope = if upper_slope < 1.0 { upper_slope } else { 1.0 };
            let alpha = rows.alpha.get_mut(..lanes).ok_or(Rejection::Shape)?;
            fill_alpha(hints, at, if upper > -lower { 1.0 } else { 0.0 }, alpha);
            let lines = Lines { lower, upper, upper_slope, error, bias };
            kernel.unstable((from, to), alpha, rows.value, rows.deduct, lines);
        } else {
            kernel.pass((from, to), rows.value, rows.deduct, bias, error);
        }
    }
    rows.held = kept;
    core::mem::swap(&mut rows.a, &mut rows.next);
    Ok(())
}

/// `a ← a − s·β` for every split of this neuron (a split neuron is never unstable: its interval is cut).
fn add_beta(hints: Hints<'_>, layer: usize, neuron: usize, a: &mut [f64]) {
    for (i, split) in hints.splits.iter().enumerate() {
        if usize::from(split.layer) == layer && split.neuron as usize == neuron {
            for (a, claim) in a.iter_mut().zip(hints.claims) {
                let beta = claim.beta_at(i);
                *a -= if split.active { beta } else { -beta };
            }
        }
    }
}

/// The lower slope of each lane.
fn fill_alpha(hints: Hints<'_>, neuron: usize, adaptive: f64, alpha: &mut [f64]) {
    alpha.fill(adaptive);
    for (slot, claim) in alpha.iter_mut().zip(hints.claims) {
        if let Some(a) = claim.alpha.get(neuron) {
            *slot = f64::from(*a) / 255.0;
        }
    }
}
