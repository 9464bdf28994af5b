//! What a backward pass leaves behind for its adjoint, and the adjoint: one forward sweep.
//!
//! Let `x*` be the point of the box where the row takes its minimum. Carried forward through the maps, and through the line that
//! each lane took, it is at every slot the derivative of the bound by the row's coefficients there. So
//! `∂bound/∂alpha = max(a, 0) · ∂lower slope/∂alpha · z*` with `z*` its value before the nonlinear step, and by the ends of that neuron's interval
//! `a⁺ · ∂(lower line)(z*) + a⁻ · ∂(upper line)(z*)`: for ReLU's upper line with `p = a⁻`,
//! `∂/∂u = p·l(x* − l)/(u − l)²`, `∂/∂l = p·u(u − x*)/(u − l)²`, up to the sign of `p`.
//!
//! Source: Xu et al. 2021 (arXiv:2011.13824) optimise the same with automatic differentiation.

use std::sync::Arc;

use super::backward::{Known, Worker, zeros};
use super::conv::Way;
use super::lines::{FreeLines, Kind, Relaxation};
use super::memory::{BoundError, Memory};
use super::prepare::{Linear, Node};
use super::rows::{Rows, Support};
use crate::relax::{product_start, relax_product};
use certus_kernels::gather::DROP;
use certus_kernels::lanes::{Adam, AlphaRow, add_chosen, minimiser, shift, sweep, sweep_knots};

/// The record of one block.
#[derive(Debug, Default)]
pub(super) struct Tape {
    /// Live neurons of each slot that the pass went through.
    pub(super) supports: Vec<Option<Arc<Support>>>,
    /// Of elementwise steps.
    pub(super) slopes: Vec<Option<Slopes>>,
    /// Of maxima and products: coefficients on what they give.
    pub(super) signs: Vec<Option<Rows>>,
    /// Coefficients on the input.
    pub(super) input: Option<Rows>,
}

/// The alphas of one block at one elementwise step, `[rows, lanes]` each, and what their adjoint needs.
#[derive(Debug)]
pub(super) struct Slopes {
    /// Rows of the block with two lines.
    pub(super) rows: Vec<u32>,
    /// Those of lines between knots below, then above: `[2, rows, lanes]`; so are `m` and `v`.
    pub(super) alpha: Vec<f32>,
    /// Coefficients on what the step gives.
    pub(super) post: Vec<f32>,
    pub(super) m: Vec<f32>,
    pub(super) v: Vec<f32>,
    /// Derivatives of the weighted bounds by the ends of each neuron's interval, `[rows]`.
    pub(super) by_ends: Vec<[f32; 2]>,
}

impl Slopes {
    /// For the neurons of `support` with two lines; alphas from `start`.
    pub(super) fn new(
        support: &Support,
        kinds: &[Kind],
        (lanes, sides): (usize, usize),
        start: impl Fn(usize) -> f32,
        memory: &Memory,
    ) -> Result<Self, BoundError> {
        let is_free = |row: &u32| kinds[support.live[*row as usize] as usize] == Kind::Lines;
        let rows: Vec<u32> = (0..support.live.len() as u32).filter(is_free).collect();
        let size = rows.len() * lanes;
        memory.take(4 * (1 + 3 * sides) * size)?;
        let mut alpha = Vec::with_capacity(sides * size);
        for row in rows.iter().cycle().take(sides * rows.len()) {
            alpha.extend(std::iter::repeat_n(start(support.live[*row as usize] as usize), lanes));
        }
        let zeros = || vec![0.0; sides * size];
        let (by_ends, post) = (vec![[0.0; 2]; rows.len()], vec![0.0; size]);
        Ok(Self { by_ends, rows, alpha, post, m: zeros(), v: zeros() })
    }

    /// The sweep of row `i`, of a neuron with `lines`.
    fn sweep(
        &mut self,
        (i, j): (usize, usize),
        z: &mut [f32],
        weight: &[f32],
        lines: &FreeLines,
        adam: Adam,
    ) {
        let lanes = z.len();
        let here = i * lanes..(i + 1) * lanes;
        let (size, post) = (self.rows.len() * lanes, &self.post[here.clone()]);
        let [(alpha, alpha_above), (m, m_above), (v, v_above)] =
            [&mut self.alpha, &mut self.m, &mut self.v].map(|x| x.split_at_mut(size));
        let below =
            AlphaRow { alpha: &mut alpha[here.clone()], m: &mut m[here.clone()], v: &mut v[here.clone()] };
        self.by_ends[i] = match lines {
            FreeLines::Lower(lines) => sweep(z, post, weight, below, &lines[j], adam),
            FreeLines::Knots(lines) => {
                let above = AlphaRow {
                    alpha: &mut alpha_above[here.clone()],
                    m: &mut m_above[here.clone()],
                    v: &mut v_above[here],
                };
                sweep_knots(z, post, weight, [below, above], &lines[j], adam)
            }
            FreeLines::None => unreachable!("slopes are optimised"),
        };
    }
}

impl Tape {
    pub(super) fn new(slots: usize) -> Self {
        let none = |_| None;
        Self {
            supports: vec![None; slots],
            slopes: (0..slots).map(none).collect(),
            signs: (0..slots).map(|_| None).collect(),
            input: None,
        }
    }
}

impl Known<'_> {
    /// The adjoint of the pass on `tape` from `slot`: moves the alphas up the gradient of `Σ weight[r] · bound[r]` and leaves the
    /// derivatives by intervals in [`Slopes::by_ends`].
    pub(super) fn sweep(
        &self,
        slot: usize,
        tape: &mut Tape,
        weight: &[f32],
        adam: Adam,
        worker: &mut Worker<'_>,
    ) -> Result<(), BoundError> {
        let lanes = weight.len();
        let mut values: Vec<Option<Rows>> = (0..=slot).map(|_| None).collect();
        // The start itself needs no value, unless a nonlinear step gives it.
        let end = if matches!(self.net.nodes[slot], Node::Affine { .. } | Node::Index { .. }) {
            slot
        } else {
            slot + 1
        };
        for at in 0..end {
            let Some(support) = tape.supports[at].clone() else { continue };
            let value = match &self.net.nodes[at] {
                Node::Unused => continue,
                Node::Input => {
                    let Some(mut rows) = tape.input.take() else { continue };
                    worker.pool.attach(&rows.data);
                    for (row, j) in rows.data.chunks_exact_mut(lanes).zip(&rows.support.live) {
                        minimiser(row, self.region.lower[*j as usize], self.region.upper[*j as usize]);
                    }
                    rows
                }
                Node::Affine { terms, bias } => {
                    self.affine_forward(terms, bias.as_deref(), support, &values, lanes, worker)?
                }
                Node::Elementwise { input, .. } => {
                    let Some(Relaxation::Lines { free, .. }) = &self.relaxed[at] else { continue };
                    let mut z = self.restricted(&mut values, *input, at, &support, lanes, worker)?;
                    if let Some(slopes) = &mut tape.slopes[at] {
                        for i in 0..slopes.rows.len() {
                            let row = slopes.rows[i] as usize;
                            let z = &mut z.data[row * lanes..][..lanes];
                            slopes.sweep((i, support.live[row] as usize), z, weight, free, adam);
                        }
                    }
                    z
                }
                Node::Index { inputs, sources } => {
                    index_forward(inputs, sources, support, &values, lanes, worker)?
                }
                Node::Max { .. } | Node::Product(_) => {
                    let Some(signs) = tape.signs[at].take() else { continue };
                    worker.pool.attach(&signs.data);
                    let to = self.planes_forward(at, &signs, &values, lanes, worker)?;
                    worker.pool.give(signs.data);
                    to
                }
            };
            values[at] = Some(value);
            for input in self.net.nodes[at].inputs() {
                if self.net.last_reader[input] <= at
                    && let Some(done) = values[input].take()
                {
                    worker.pool.give(done.data);
                }
            }
        }
        values.into_iter().flatten().for_each(|rows| worker.pool.give(rows.data));
        for rows in tape.input.take().into_iter().chain(tape.signs.iter_mut().filter_map(Option::take)) {
            worker.pool.attach(&rows.data);
            worker.pool.give(rows.data);
        }
        Ok(())
    }

    /// Values of an affine step at the neurons of `support`.
    pub(super) fn affine_forward(
        &self,
        terms: &[(usize, Linear)],
        bias: Option<&[f32]>,
        support: Arc<Support>,
        values: &[Option<Rows>],
        lanes: usize,
        worker: &mut Worker<'_>,
    ) -> Result<Rows, BoundError> {
        let mut sum: Option<Rows> = None;
        for (input, map) in terms {
            let Some(from) = &values[*input] else { continue };
            let data = worker.pool.take(support.live.len() * lanes)?;
            let mut to = Rows { support: Arc::clone(&support), data };
            map.apply(Way::Forward, from, &mut to, lanes, &mut worker.lists);
            sum = Some(match sum {
                None => to,
                Some(sum) => sum.add(to, lanes, &mut worker.pool)?,
            });
        }
        let mut sum = match sum {
            Some(sum) => sum,
            None => zeros(support, lanes, worker)?,
        };
        if let Some(bias) = bias {
            for (row, j) in sum.data.chunks_exact_mut(lanes).zip(&sum.support.live) {
                shift(row, bias[*j as usize]);
            }
        }
        Ok(sum)
    }

    /// The value of `input` at the neurons of `support`; taken if `at` is its last reader and nothing is to be left out.
    pub(super) fn restricted(
        &self,
        values: &mut [Option<Rows>],
        input: usize,
        at: usize,
        support: &Arc<Support>,
        lanes: usize,
        worker: &mut Worker<'_>,
    ) -> Result<Rows, BoundError> {
        let same = |rows: &Rows| Arc::ptr_eq(&rows.support, support) || rows.support.live == support.live;
        if self.net.last_reader[input] <= at && values[input].as_ref().is_some_and(same) {
            return Ok(values[input].take().expect("just seen"));
        }
        let mut to = zeros(Arc::clone(support), lanes, worker)?;
        for (row, j) in to.data.chunks_exact_mut(lanes).zip(&support.live) {
            if let Some(from) = value_of(values, input, *j as usize, lanes) {
                row.copy_from_slice(from);
            }
        }
        Ok(to)
    }

    /// Values of a maximum or a product by the planes that the lanes took.
    fn planes_forward(
        &self,
        at: usize,
        signs: &Rows,
        values: &[Option<Rows>],
        lanes: usize,
        worker: &mut Worker<'_>,
    ) -> Result<Rows, BoundError> {
        let mut to = zeros(Arc::clone(&signs.support), lanes, worker)?;
        let rows =
            to.data.chunks_exact_mut(lanes).zip(signs.data.chunks_exact(lanes)).zip(&signs.support.live);
        let one = vec![1.0; lanes];
        for ((row, sign), j) in rows {
            let j = *j as usize;
            match (&self.net.nodes[at], &self.relaxed[at]) {
                (Node::Max { input, .. }, Some(Relaxation::Planes(planes))) => {
                    let (above, intercept) = planes.above(j);
                    add_chosen(row, &one, sign, 0.0, intercept);
                    let below = std::iter::once((planes.lower[j], 1.0, 0.0));
                    for (member, plus, minus) in below.chain(above.iter().map(|(m, s)| (*m, 0.0, *s))) {
                        if let Some(x) = value_of(values, *input, member as usize, lanes) {
                            add_chosen(row, x, sign, plus, minus);
                        }
                    }
                }
                (Node::Product(product), _) => {
                    for (i, k) in (0..product.k).map(|term| product.operands(j, term)) {
                        let ends = |slot: usize, j: usize| self.intervals[slot].at(j).into();
                        let planes =
                            relax_product(ends(product.left, i), ends(product.right, k), product_start());
                        let (below, above) = (planes.lower, planes.upper);
                        add_chosen(row, &one, sign, below.intercept, above.intercept);
                        if let Some(x) = value_of(values, product.left, i, lanes) {
                            add_chosen(row, x, sign, below.left, above.left);
                        }
                        if let Some(y) = value_of(values, product.right, k, lanes) {
                            add_chosen(row, y, sign, below.right, above.right);
                        }
                    }
                }
                _ => unreachable!("maxima and products only"),
            }
        }
        Ok(to)
    }
}

/// Values that an index map picks, at the neurons of `support`.
pub(super) fn index_forward(
    inputs: &[usize],
    sources: &[Option<(u32, u32)>],
    support: Arc<Support>,
    values: &[Option<Rows>],
    lanes: usize,
    worker: &mut Worker<'_>,
) -> Result<Rows, BoundError> {
    let mut to = zeros(support, lanes, worker)?;
    let Rows { support, data } = &mut to;
    for (row, j) in data.chunks_exact_mut(lanes).zip(&support.live) {
        if let Some((of, element)) = sources[*j as usize]
            && let Some(from) = value_of(values, inputs[of as usize], element as usize, lanes)
        {
            row.copy_from_slice(from);
        }
    }
    Ok(to)
}

/// The row of neuron `j` of a slot, if it has one; without one its value is 0.
pub(super) fn value_of(values: &[Option<Rows>], slot: usize, j: usize, lanes: usize) -> Option<&[f32]> {
    let rows = values[slot].as_ref()?;
    let at = rows.support.pos[j];
    (at != DROP).then(|| &rows.data[at as usize * lanes..][..lanes])
}
