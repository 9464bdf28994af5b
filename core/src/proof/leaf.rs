//! One leaf of a proof: intervals of all neurons by interval steps and CROWN rows, then the claimed rows.

use super::backward::{Hints, Known, Lanes, NO_HINTS, backward, through};
use super::intervals::{Target, layer_intervals};
use super::{Claim, Factors, Kernel, Problem, Rejection, Split, weights};
use crate::layer::{Affine, Layer, Network};

/// Memory of the checker, lent by the caller.
pub struct Memory<'m> {
    /// At least [`memory_len`] elements.
    pub floats: &'m mut [f64],
    /// At least [`Network::width`] elements.
    pub index: &'m mut [u32],
    /// Rows bounded together; fixes the layout. More is faster, and takes more memory.
    pub lanes: usize,
}

/// Elements of `f64` memory that [`check_leaf`] needs.
pub fn memory_len(network: &Network<'_>, lanes: usize) -> usize {
    let (width, neurons, layers) = (network.width(), network.neurons(), network.layers().len());
    3 * neurons + layers + 6 * width + 2 * width * lanes + network.inputs() * lanes + 3 * lanes
}

/// The parts of `floats`.
struct Parts<'m> {
    lower: &'m mut [f64],
    upper: &'m mut [f64],
    error: &'m mut [f64],
    mass: &'m mut [f64],
    sums: &'m mut [f64],
    rows: Lanes<'m>,
}

fn parts<'m>(network: &Network<'_>, memory: &'m mut Memory<'_>) -> Result<Parts<'m>, Rejection> {
    let (width, neurons, layers, lanes) =
        (network.width(), network.neurons(), network.layers().len(), memory.lanes);
    let mut rest = &mut *memory.floats;
    let mut take = |n: usize| {
        let (head, tail) = core::mem::take(&mut rest).split_at_mut_checked(n).ok_or(Rejection::Shape)?;
        rest = tail;
        Ok(head)
    };
    let (lower, upper, error) = (take(neurons)?, take(neurons)?, take(neurons)?);
    let (mass, sums) = (take(layers)?, take(6 * width)?);
    let (a, next) = (take(width * lanes)?, take(width * lanes)?);
    let flat = take(network.inputs() * lanes)?;
    let (value, deduct, alpha) = (take(lanes)?, take(lanes)?, take(lanes)?);
    let index = memory.index.get_mut(..width).ok_or(Rejection::Shape)?;
    Ok(Parts {
        lower,
        upper,
        error,
        mass,
        sums,
        rows: Lanes { a, next, flat, value, deduct, alpha, index, held: 0, count: lanes, most: lanes },
    })
}

/// Checks that each disjunct of `problem` is refuted, as its claim says, on the box `region` cut by `splits`.
///
/// # Shapes
/// `region` two `[inputs]`; `claims` one per disjunct.
///
/// # Errors
/// [`Rejection`]; never accepts what does not hold for the problem's meaning.
pub fn check_leaf(
    problem: &Problem<'_>,
    kernel: &mut impl Kernel,
    region: (&[f64], &[f64]),
    splits: &[Split],
    claims: &[Claim<'_>],
    memory: &mut Memory<'_>,
) -> Result<(), Rejection> {
    let network = &problem.network;
    let lanes = memory.lanes;
    check_shapes(problem, region, splits, claims, lanes)?;
    let factors = Factors::new(network);
    let Parts { lower, upper, error, mass, sums, mut rows } = parts(network, memory)?;
    let mut done = 0;
    // Intervals are exact through layers that scale; after a dense one or a ReLU, rows are tighter.
    let (mut relu_before, mut mixed) = (false, false);
    for (index, layer) in network.layers().iter().enumerate() {
        let width = layer.outputs();
        let (lower_done, lower_now) = lower.split_at_mut_checked(done).ok_or(Rejection::Shape)?;
        let (upper_done, upper_now) = upper.split_at_mut_checked(done).ok_or(Rejection::Shape)?;
        let (error_done, error_now) = error.split_at_mut_checked(done).ok_or(Rejection::Shape)?;
        let target = Target {
            lower: lower_now.get_mut(..width).ok_or(Rejection::Shape)?,
            upper: upper_now.get_mut(..width).ok_or(Rejection::Shape)?,
            error: error_now.get_mut(..width).ok_or(Rejection::Shape)?,
        };
        let inputs = if index == 0 {
            region
        } else {
            let first = done.checked_sub(layer.inputs()).ok_or(Rejection::Shape)?;
            (
                lower_done.get(first..).ok_or(Rejection::Shape)?,
                upper_done.get(first..).ok_or(Rejection::Shape)?,
            )
        };
        let arithmetic = (factors, problem.meaning);
        let sum = layer_intervals(kernel, (index, layer), (inputs, relu_before), arithmetic, sums, target)?;
        *mass.get_mut(index).ok_or(Rejection::Shape)? = sum;
        if layer.relu() {
            if mixed {
                let known = Known {
                    layers: network.layers().get(..index).ok_or(Rejection::Shape)?,
                    region,
                    lower: lower_done,
                    upper: upper_done,
                    error: error_done,
                    mass,
                    factors,
                };
                let is_cut = splits.iter().any(|s| usize::from(s.layer) < index);
                if tighten(kernel, known, layer, (lower_now, upper_now, error_now), is_cut, &mut rows)? {
                    return Ok(()); // no input satisfies the splits
                }
            }
            for split in splits.iter().filter(|s| usize::from(s.layer) == index) {
                if cut(split, lower_now, upper_now)? {
                    return Ok(()); // no input satisfies the splits
                }
            }
        }
        done += width;
        relu_before = layer.relu();
        mixed |= relu_before || matches!(layer.affine(), Affine::Dense(_));
    }
    let known = Known { layers: network.layers(), region, lower, upper, error, mass, factors };
    check_claims(problem, kernel, known, splits, claims, &mut rows)
}

fn check_shapes(
    problem: &Problem<'_>,
    (lower, upper): (&[f64], &[f64]),
    splits: &[Split],
    claims: &[Claim<'_>],
    lanes: usize,
) -> Result<(), Rejection> {
    let network = &problem.network;
    let inputs = network.inputs();
    let boxed = lower.len() == inputs
        && upper.len() == inputs
        && lower.iter().zip(upper).all(|(l, u)| l.is_finite() && u.is_finite() && l <= u);
    if !boxed || lanes < 2 || claims.len() != problem.disjuncts.len() {
        return Err(Rejection::Shape);
    }
    for split in splits {
        let layer = network.layers().get(usize::from(split.layer)).ok_or(Rejection::Split { at: 0 })?;
        if !layer.relu() || split.neuron as usize >= layer.outputs() {
            return Err(Rejection::Split { at: 0 });
        }
    }
    for (claim, rows) in claims.iter().zip(problem.disjuncts) {
        let row = rows.get(usize::from(claim.row)).ok_or(Rejection::Claim)?;
        let alpha = claim.alpha.is_empty() || claim.alpha.len() == network.neurons();
        let beta = claim.beta.is_empty() || claim.beta.len() == 4 * splits.len();
        let finite = row.coefficients.iter().all(|c| c.is_finite()) && row.rhs.is_finite();
        let first = network.layers().first().map_or(0, |l| if l.relu() { l.outputs() } else { 0 });
        let planes = claim.planes.fit(inputs, first);
        if row.coefficients.len() != network.outputs() || !finite {
            return Err(Rejection::Shape);
        }
        weights::fit(claim.weights, rows, network.outputs())?;
        if !(alpha && beta && planes)
            || (0..splits.len()).any(|i| !(claim.beta_at(i) >= 0.0 && claim.beta_at(i).is_finite()))
        {
            return Err(Rejection::Claim);
        }
    }
    Ok(())
}

/// Cuts the split neuron's interval at 0; true if nothing is left.
fn cut(split: &Split, lower: &mut [f64], upper: &mut [f64]) -> Result<bool, Rejection> {
    let l = lower.get_mut(split.neuron as usize).ok_or(Rejection::Split { at: 0 })?;
    let u = upper.get_mut(split.neuron as usize).ok_or(Rejection::Split { at: 0 })?;
    if split.active {
        *l = if *l > 0.0 { *l } else { 0.0 };
    } else {
        *u = if *u < 0.0 { *u } else { 0.0 };
    }
    Ok(*l > *u)
}

/// Tightens the unstable neurons of `layer`, which follows `known`, by two rows each; true if nothing is left of the leaf, which only
/// a split below (`is_cut`) can be the reason of.
fn tighten(
    kernel: &mut impl Kernel,
    known: Known<'_>,
    layer: &Layer<'_>,
    (lower, upper, error): (&mut [f64], &mut [f64], &[f64]),
    is_cut: bool,
    rows: &mut Lanes<'_>,
) -> Result<bool, Rejection> {
    let pairs = rows.most / 2;
    let unstable = |(l, u): (&f64, &f64)| *l < 0.0 && *u > 0.0;
    let mut first = 0;
    while first < layer.outputs() {
        let (mut used, mut last) = (0, first);
        for ends in lower.iter().zip(upper.iter()).take(layer.outputs()).skip(first) {
            if used == pairs {
                break;
            }
            used += usize::from(unstable(ends));
            last += 1;
        }
        rows.narrow(2 * used, kernel.lane_multiple());
        let neurons = (first..last).zip(lower.iter().zip(upper.iter()).skip(first));
        let neurons = neurons.filter(|(_, ends)| unstable(*ends)).map(|(neuron, _)| neuron);
        if kernel.has_few(known.layers.len()) {
            begin_few(kernel, (known.layers.len(), layer), neurons, error, used, rows)?;
        } else {
            let block = layer.inputs().checked_mul(rows.count).ok_or(Rejection::Shape)?;
            rows.a.get_mut(..block).ok_or(Rejection::Shape)?.fill(0.0);
            for (pair, neuron) in neurons.enumerate() {
                let q = *error.get(neuron).ok_or(Rejection::Shape)?;
                load(layer, neuron, 1.0, q, 2 * pair, rows)?;
                load(layer, neuron, -1.0, q, 2 * pair + 1, rows)?;
            }
            rows.hold_all(layer.inputs())?;
        }
        if used > 0 {
            finish_block(0, 2 * used, rows)?;
            backward(kernel, known, NO_HINTS, rows)?;
            let mut lane = 0;
            let ends = lower.iter_mut().zip(upper.iter_mut()).take(last).skip(first);
            for (l, u) in ends.filter(|(l, u)| **l < 0.0 && **u > 0.0) {
                let below = rows.bound(lane, known.factors)?;
                let above = -rows.bound(lane + 1, known.factors)?;
                lane += 2;
                // Both enclosures hold for every input that satisfies the splits. Should they cross, there is none; and where
                // nothing is split below, a bound is wrong: claim nothing.
                if below > *u || above < *l || below > above {
                    return if is_cut { Ok(true) } else { Err(Rejection::NonFinite) };
                }
                *l = if below > *l { below } else { *l };
                *u = if above < *u { above } else { *u };
            }
        }
        first = last;
    }
    Ok(false)
}

/// Starts a row at `sign · z` of one neuron of `layer`, in lane `lane` of a block that holds zeros.
fn load(
    layer: &Layer<'_>,
    neuron: usize,
    sign: f64,
    error: f64,
    lane: usize,
    rows: &mut Lanes<'_>,
) -> Result<(), Rejection> {
    let lanes = rows.count;
    let slots = rows.a.get_mut(lane..).ok_or(Rejection::Shape)?.iter_mut().step_by(lanes.max(1));
    let bias = match layer.affine() {
        Affine::Dense(dense) => {
            let start = neuron * dense.cols();
            let weights = dense.weights().get(start..start + dense.cols()).ok_or(Rejection::Shape)?;
            for (slot, w) in slots.zip(weights).filter(|(_, w)| **w != 0.0) {
                *slot = sign * f64::from(*w);
            }
            dense.bias().get(neuron)
        }
        Affine::Scale(scale) => {
            for (j, (slot, s)) in slots.zip(scale.scale()).enumerate() {
                *slot = if j == neuron { sign * f64::from(*s) } else { 0.0 };
            }
            scale.shift().get(neuron)
        }
    };
    *rows.value.get_mut(lane).ok_or(Rejection::Shape)? = sign * f64::from(*bias.ok_or(Rejection::Shape)?);
    *rows.deduct.get_mut(lane).ok_or(Rejection::Shape)? = error;
    Ok(())
}

/// Starts rows at `z` and `−z` of each of `used` neurons of a layer of few weights: units on the neurons, taken through the layer.
fn begin_few(
    kernel: &mut impl Kernel,
    (index, layer): (usize, &Layer<'_>),
    neurons: impl Iterator<Item = usize>,
    error: &[f64],
    used: usize,
    rows: &mut Lanes<'_>,
) -> Result<(), Rejection> {
    let Affine::Dense(dense) = layer.affine() else { return Err(Rejection::Shape) };
    let lanes = rows.count;
    rows.a.get_mut(..used * lanes).ok_or(Rejection::Shape)?.fill(0.0);
    for (pair, neuron) in neurons.enumerate() {
        *rows.index.get_mut(pair).ok_or(Rejection::Shape)? = neuron as u32;
        let bias = f64::from(*dense.bias().get(neuron).ok_or(Rejection::Shape)?);
        let q = *error.get(neuron).ok_or(Rejection::Shape)?;
        for (lane, sign) in [(2 * pair, 1.0), (2 * pair + 1, -1.0)] {
            *rows.a.get_mut(pair * lanes + lane).ok_or(Rejection::Shape)? = sign;
            *rows.value.get_mut(lane).ok_or(Rejection::Shape)? = sign * bias;
            *rows.deduct.get_mut(lane).ok_or(Rejection::Shape)? = q;
        }
    }
    rows.held = used;
    // Products with ±1 and sums with 0 are exact.
    through(kernel, (index, layer), false, rows)
}

/// Clears the unused lanes of a block.
fn finish_block(height: usize, used: usize, rows: &mut Lanes<'_>) -> Result<(), Rejection> {
    for row in rows.a.chunks_exact_mut(rows.count.max(1)).take(height) {
        row.get_mut(used..).ok_or(Rejection::Shape)?.fill(0.0);
    }
    rows.value.get_mut(used..).ok_or(Rejection::Shape)?.fill(0.0);
    rows.deduct.get_mut(used..).ok_or(Rejection::Shape)?.fill(0.0);
    Ok(())
}

/// The claimed row of each disjunct, in blocks of lanes.
fn check_claims(
    problem: &Problem<'_>,
    kernel: &mut impl Kernel,
    known: Known<'_>,
    splits: &[Split],
    claims: &[Claim<'_>],
    rows: &mut Lanes<'_>,
) -> Result<(), Rejection> {
    let most = rows.most.max(1);
    for (block, (claims, disjuncts)) in claims.chunks(most).zip(problem.disjuncts.chunks(most)).enumerate() {
        rows.narrow(claims.len(), kernel.lane_multiple());
        let lanes = rows.count.max(1);
        for (lane, (claim, disjunct)) in claims.iter().zip(disjuncts).enumerate() {
            let row = disjunct.get(usize::from(claim.row)).ok_or(Rejection::Claim)?;
            let slots = rows.a.get_mut(lane..).ok_or(Rejection::Shape)?.iter_mut().step_by(lanes);
            let mut off = 0.0;
            if claim.weights.is_empty() {
                for (slot, c) in slots.zip(row.coefficients) {
                    *slot = *c;
                }
            } else {
                off = weights::combine(claim.weights, disjunct, known.outputs()?, slots);
            }
            *rows.value.get_mut(lane).ok_or(Rejection::Shape)? = 0.0;
            *rows.deduct.get_mut(lane).ok_or(Rejection::Shape)? = off;
        }
        finish_block(problem.network.outputs(), claims.len(), rows)?;
        rows.hold_all(problem.network.outputs())?;
        backward(kernel, known, Hints { splits, claims }, rows)?;
        for (lane, (claim, disjunct)) in claims.iter().zip(disjuncts).enumerate() {
            let row = disjunct.get(usize::from(claim.row)).ok_or(Rejection::Claim)?;
            let bound = rows.bound(lane, known.factors)?;
            let rhs = match claim.weights {
                [] => row.rhs,
                weights => weights::right_side(weights, disjunct),
            };
            let proved = bound > rhs;
            if !proved {
                return Err(Rejection::NotProved { disjunct: block * most + lane });
            }
        }
    }
    Ok(())
}
