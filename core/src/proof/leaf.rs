//! One leaf of a proof: intervals of all neurons by interval steps and CROWN rows, then the claimed rows.

use super::intervals::{Target, layer_intervals};
use super::{Claim, Factors, Kernel, Lines, Problem, Rejection, Split, TINY, planes, up, weights};
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

/// A block of rows under way.
struct Lanes<'m> {
    a: &'m mut [f64],
    next: &'m mut [f64],
    /// Coefficients on the inputs by planes, `[inputs, lanes]`.
    flat: &'m mut [f64],
    value: &'m mut [f64],
    deduct: &'m mut [f64],
    alpha: &'m mut [f64],
    index: &'m mut [u32],
    /// Rows of the block: that of neuron (or input) `index[k]` is the `k`-th.
    held: usize,
    /// Lanes of this block.
    count: usize,
    /// Most lanes of a block.
    most: usize,
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

/// Everything known of the layers below a row.
#[derive(Clone, Copy)]
struct Known<'k> {
    layers: &'k [Layer<'k>],
    region: (&'k [f64], &'k [f64]),
    lower: &'k [f64],
    upper: &'k [f64],
    error: &'k [f64],
    mass: &'k [f64],
    factors: Factors,
}

impl Known<'_> {
    /// Bounds of what the last layer gives before its ReLU, if it has one: `|y|` is no larger.
    fn outputs(&self) -> Result<(&[f64], &[f64]), Rejection> {
        let outputs = self.layers.last().map_or(0, Layer::outputs);
        let first = self.lower.len().checked_sub(outputs).ok_or(Rejection::Shape)?;
        let (lower, upper) = (self.lower.get(first..), self.upper.get(first..));
        Ok((lower.ok_or(Rejection::Shape)?, upper.ok_or(Rejection::Shape)?))
    }
}

/// What the claims add to a backward pass.
#[derive(Clone, Copy)]
struct Hints<'h> {
    splits: &'h [Split],
    claims: &'h [Claim<'h>],
}

const NO_HINTS: Hints<'static> = Hints { splits: &[], claims: &[] };

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

impl Claim<'_> {
    fn beta_at(&self, split: usize) -> f64 {
        match self.beta.get(4 * split..4 * split + 4) {
            Some(&[a, b, c, d]) => f64::from(f32::from_le_bytes([a, b, c, d])),
            _ => 0.0,
        }
    }
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

impl Lanes<'_> {
    /// Begins a block of `used` rows; lanes come in multiples of `multiple`.
    fn narrow(&mut self, used: usize, multiple: usize) {
        let lanes = used.max(1).checked_next_multiple_of(multiple).unwrap_or(self.most);
        self.count = if lanes < self.most { lanes } else { self.most };
    }

    /// Rows for all of `n` neurons or inputs, in order.
    fn hold_all(&mut self, n: usize) -> Result<(), Rejection> {
        for (k, slot) in self.index.get_mut(..n).ok_or(Rejection::Shape)?.iter_mut().enumerate() {
            *slot = k as u32;
        }
        self.held = n;
        Ok(())
    }

    /// `V − D`, rounded down.
    fn bound(&self, lane: usize, factors: Factors) -> Result<f64, Rejection> {
        let value = *self.value.get(lane).ok_or(Rejection::Shape)?;
        let deduct = *self.deduct.get(lane).ok_or(Rejection::Shape)?;
        let bound = (value - up(deduct * factors.inflate)).next_down();
        if bound.is_finite() { Ok(bound) } else { Err(Rejection::NonFinite) }
    }
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

/// Propagates the block of rows on the post-activations of the last of `known.layers` back to the inputs.
fn backward(
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
fn through(
    kernel: &mut impl Kernel,
    (index, layer): (usize, &Layer<'_>),
    all: bool,
    rows: &mut Lanes<'_>,
) -> Result<(), Rejection> {
    let lanes = rows.count;
    let held = rows.index.get(..rows.held).ok_or(Rejection::Shape)?;
    let dense = match layer.affine() {
        Affine::Dense(dense) => dense,
        Affine::Scale(scale) => {
            for (i, a) in held.iter().zip(rows.a.chunks_exact_mut(lanes.max(1))) {
                let s = f64::from(*scale.scale().get(*i as usize).ok_or(Rejection::Shape)?);
                a.iter_mut().for_each(|a| *a *= s);
            }
            return if all { Err(Rejection::Claim) } else { Ok(()) };
        }
    };
    if !all && kernel.has_few(index) {
        let reached = kernel.transposed_few(index, held, rows.a, lanes, rows.next);
        rows.held = reached.len();
        let slots = rows.index.get_mut(..reached.len()).ok_or(Rejection::Shape)?;
        slots.iter_mut().zip(reached).for_each(|(slot, j)| *slot = *j);
    } else {
        kernel.transposed(index, &dense, held, rows.a, lanes, rows.next);
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
    let biases = match layer.affine() {
        Affine::Dense(dense) => dense.bias(),
        Affine::Scale(scale) => scale.shift(),
    };
    if rows.held < layer.outputs() {
        hold_splits(hints, index, rows)?;
    }
    let mut kept = 0;
    for place in 0..rows.held {
        let neuron = *rows.index.get(place).ok_or(Rejection::Shape)? as usize;
        let at = start + neuron;
        let (Some(lower), Some(upper), Some(error), Some(bias)) =
            (known.lower.get(at), known.upper.get(at), known.error.get(at), biases.get(neuron))
        else {
            return Err(Rejection::Shape);
        };
        let (lower, upper, error, bias) = (*lower, *upper, *error, f64::from(*bias));
        let inactive = layer.relu() && upper <= 0.0;
        let split = hints.splits.iter().any(|s| usize::from(s.layer) == index && s.neuron as usize == neuron);
        // Coefficients that are all 0 add nothing; sparse layers have many such rows.
        let from = rows.a.get(place * lanes..(place + 1) * lanes).ok_or(Rejection::Shape)?;
        if !split && (inactive || from.iter().all(|a| *a == 0.0)) {
            continue;
        }
        if kept != place {
            // `kept < place`, so the rows do not overlap.
            let (to, from) = rows.a.split_at_mut_checked(place * lanes).ok_or(Rejection::Shape)?;
            let to = to.get_mut(kept * lanes..).ok_or(Rejection::Shape)?;
            for (slot, a) in to.iter_mut().zip(from.iter()).take(lanes) {
                *slot = *a;
            }
        }
        *rows.index.get_mut(kept).ok_or(Rejection::Shape)? = neuron as u32;
        let a = rows.a.get_mut(kept * lanes..(kept + 1) * lanes).ok_or(Rejection::Shape)?;
        kept += 1;
        if inactive {
            a.fill(0.0);
        }
        if split {
            add_beta(hints, index, neuron, a);
        }
        if !inactive && layer.relu() && lower < 0.0 {
            let upper_slope = upper / (upper - lower);
            let upper_slope = if upper_slope < 1.0 { upper_slope } else { 1.0 };
            fill_alpha(hints, at, if upper > -lower { 1.0 } else { 0.0 }, rows.alpha);
            let lines = Lines { lower, upper, upper_slope, error, bias };
            kernel.unstable(a, rows.alpha, rows.value, rows.deduct, lines);
        } else {
            kernel.pass(a, rows.value, rows.deduct, bias, error);
        }
    }
    rows.held = kept;
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
