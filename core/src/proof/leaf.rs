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
        mixed |= relu_before || !matches!(layer.affine(), Affine::Scale(_));
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

/// Tightens the unstable neurons of `layer`, which follows `known`, by one row or two each; true if nothing is left of the leaf, which only
/// a split below (`is_cut`) can be the reason of.
///
/// All are bounded from above first. One that is inactive then gives 0, wherever its lower end is, and needs no other row.
fn tighten(
    kernel: &mut impl Kernel,
    known: Known<'_>,
    layer: &Layer<'_>,
    (lower, upper, error): (&mut [f64], &mut [f64], &[f64]),
    is_cut: bool,
    rows: &mut Lanes<'_>,
) -> Result<bool, Rejection> {
    for sign in [-1.0, 1.0] {
        let mut first = 0;
        while first < layer.outputs() {
            let last = choose((first, layer.outputs()), (lower, upper), rows)?;
            let used = rows.held;
            if used > 0 {
                begin(kernel, (known.layers.len(), layer), sign, error, rows)?;
                backward(kernel, known, NO_HINTS, rows)?;
            }
            let ends = lower.iter_mut().zip(upper.iter_mut()).take(last).skip(first);
            let unstable = ends.filter(|(l, u)| **l < 0.0 && **u > 0.0);
            for (lane, (l, u)) in unstable.enumerate() {
                let bound = rows.bound(lane, known.factors)?;
                // Both ends hold for every input that satisfies the splits. Should they cross, there is none; and where nothing
                // is split below, a bound is wrong: claim nothing.
                let crossed = if sign > 0.0 {
                    *l = if bound > *l { bound } else { *l };
                    bound > *u
                } else {
                    *u = if -bound < *u { -bound } else { *u };
                    -bound < *l
                };
                if crossed {
                    return if is_cut { Ok(true) } else { Err(Rejection::NonFinite) };
                }
            }
            first = last;
        }
    }
    Ok(false)
}

/// Lists the next unstable neurons from `first` to `end`, as many as there are lanes, in `rows.index`; returns where the
/// list ends.
fn choose(
    (first, end): (usize, usize),
    (lower, upper): (&[f64], &[f64]),
    rows: &mut Lanes<'_>,
) -> Result<usize, Rejection> {
    rows.held = 0;
    let ends = lower.iter().zip(upper).enumerate().take(end).skip(first);
    for (neuron, (l, u)) in ends {
        if !(*l < 0.0 && *u > 0.0) {
            continue;
        }
        if rows.held == rows.most {
            return Ok(neuron);
        }
        *rows.index.get_mut(rows.held).ok_or(Rejection::Shape)? = neuron as u32;
        rows.held += 1;
    }
    Ok(end)
}

/// Starts a row at `sign · z`, `sign = ±1`, of each neuron of `layer` that is listed.
fn begin(
    kernel: &mut impl Kernel,
    (index, layer): (usize, &Layer<'_>),
    sign: f64,
    error: &[f64],
    rows: &mut Lanes<'_>,
) -> Result<(), Rejection> {
    let used = rows.held;
    rows.narrow(used, kernel.lane_multiple());
    let lanes = rows.count;
    let neurons = rows.index.get(..used).ok_or(Rejection::Shape)?;
    rows.value.fill(0.0);
    rows.deduct.fill(0.0);
    let biases = layer.affine().bias();
    let starts = rows.value.iter_mut().zip(rows.deduct.iter_mut()).zip(neurons);
    for ((value, deduct), neuron) in starts {
        let neuron = *neuron as usize;
        *value = sign * f64::from(*biases.get(neuron).ok_or(Rejection::Shape)?);
        *deduct = *error.get(neuron).ok_or(Rejection::Shape)?;
    }
    match layer.affine() {
        Affine::Dense(_) if kernel.has_few(index) => units_through(kernel, (index, layer), sign, rows),
        Affine::Sparse(_) => units_through(kernel, (index, layer), sign, rows),
        Affine::Dense(dense) => {
            kernel.signed_rows(index, &dense, neurons, sign, lanes, rows.a);
            rows.hold_all(layer.inputs())
        }
        Affine::Scale(scale) => {
            rows.a.get_mut(..layer.inputs() * lanes).ok_or(Rejection::Shape)?.fill(0.0);
            for (lane, neuron) in neurons.iter().enumerate() {
                let neuron = *neuron as usize;
                let s = f64::from(*scale.scale().get(neuron).ok_or(Rejection::Shape)?);
                *rows.a.get_mut(neuron * lanes + lane).ok_or(Rejection::Shape)? = sign * s;
            }
            rows.hold_all(layer.inputs())
        }
    }
}

/// Units on the neurons held, taken through the layer: products with ±1 and sums with 0 are exact.
fn units_through(
    kernel: &mut impl Kernel,
    layer: (usize, &Layer<'_>),
    sign: f64,
    rows: &mut Lanes<'_>,
) -> Result<(), Rejection> {
    let (used, lanes) = (rows.held, rows.count);
    let units = rows.a.get_mut(..used * lanes).ok_or(Rejection::Shape)?;
    units.fill(0.0);
    for k in 0..used {
        *units.get_mut(k * lanes + k).ok_or(Rejection::Shape)? = sign;
    }
    through(kernel, layer, false, rows)
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
