//! Steps of several operands: maxima and products.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::claims::Alphas;
use super::free::{Free, columns};
use super::{Lane, Score};
use crate::bounds::program::backward::{Worker, with_row, zeros};
use crate::bounds::program::memory::BoundError;
use crate::bounds::program::prepare::{Prepared, Product};
use crate::bounds::program::rows::{Rows, Support};
use crate::bounds::program::tape::value_of;
use crate::program::{Groups, Slot};
use crate::relax::{
    Alpha, Plane, max_lower, max_start, max_upper, max_upper_by_alpha, product_by_alpha, relax_product,
};
use certus_kernels::lanes::Adam;

/// Where scores of operands are summed, by slot and element.
pub(super) type Sums = BTreeMap<(usize, u32), f32>;

/// The maxima of groups; matrices are `[outputs, lanes]`.
#[derive(Debug)]
pub(super) struct Maxima {
    input: usize,
    place: usize,
    /// The member that is the plane below.
    member: Vec<u32>,
    /// Bounds of the members, `[members, lanes]`, in the order of the groups.
    ends: Vec<[f32; 2]>,
    free: Free,
    /// Coefficients of the last pass.
    post: Option<Rows>,
}

/// Bounds, slopes and values of one group in one lane.
#[derive(Default)]
struct Group {
    lower: Vec<f32>,
    upper: Vec<f32>,
    slopes: Vec<f32>,
    x: Vec<f32>,
}

impl Group {
    fn load(&mut self, ends: &[[f32; 2]], r: usize, lanes: usize) {
        self.lower.clear();
        self.upper.clear();
        for [l, u] in ends.iter().skip(r).step_by(lanes) {
            self.lower.push(*l);
            self.upper.push(*u);
        }
        self.slopes.clear();
        self.slopes.resize(self.lower.len(), 0.0);
    }
    fn plane(&mut self, share: f32) -> f32 {
        max_upper(&self.lower, &self.upper, share, &mut self.slopes)
    }
    /// Values of the members.
    fn values(&mut self, group: &[u32], input: usize, values: &[Option<Rows>], (r, lanes): (usize, usize)) {
        self.x.clear();
        let value = |m: &u32| value_of(values, input, *m as usize, lanes).map_or(0.0, |x| x[r]);
        self.x.extend(group.iter().map(value));
    }
    fn above(&self, intercept: f32) -> f32 {
        self.slopes.iter().zip(&self.x).fold(intercept, |sum, (s, x)| sum + s * x)
    }
}

impl Maxima {
    pub(super) fn new(
        groups: &Groups,
        input: usize,
        place: usize,
        (lanes, width): (&[Lane<'_>], usize),
    ) -> Self {
        let n = groups.iter().count();
        let mut ends = vec![[0.0f32; 2]; groups.members.len() * width];
        for (r, lane) in lanes.iter().enumerate() {
            for (k, j) in groups.members.iter().enumerate() {
                ends[k * width + r] = lane.intervals[input].at(*j as usize);
            }
        }
        let (mut member, mut alpha) = (vec![0u32; n * width], vec![0.0; n * width]);
        let (mut first, mut scratch) = (0, Group::default());
        for (output, group) in groups.iter().enumerate() {
            let here = &ends[first * width..(first + group.len()) * width];
            for (r, lane) in lanes.iter().enumerate() {
                scratch.load(here, r, width);
                let at = output * width + r;
                // A proof names the member by a byte, and a later one falls to the first.
                let below = max_lower(&scratch.lower, &scratch.upper);
                member[at] = group[if below <= 255 { below } else { 0 }];
                let given = lane.start.and_then(|s| s.alpha.get((place + 2 * output + 1) as u32));
                let start = || max_start(&scratch.lower, &scratch.upper);
                alpha[at] = given.map_or_else(start, |b| f32::from(b) / 255.0);
            }
            first += group.len();
        }
        Self { input, place, member, ends, free: Free::new(alpha), post: None }
    }

    pub(super) fn backward(
        &mut self,
        groups: &Groups,
        rows: Rows,
        alive: &Arc<Support>,
        worker: &mut Worker<'_>,
        value: &mut [f32],
    ) -> Result<(), BoundError> {
        let lanes = value.len();
        let mut marks = vec![false; alive.pos.len()];
        for (output, group) in groups.iter().enumerate() {
            if rows.support.pos[output] != certus_kernels::gather::DROP {
                group.iter().for_each(|m| marks[*m as usize] = true);
            }
        }
        let mut to = zeros(Support::marked(alive, &marks), lanes, worker)?;
        let (mut first, mut scratch) = (0, Group::default());
        for (output, group) in groups.iter().enumerate() {
            let here = &self.ends[first * lanes..(first + group.len()) * lanes];
            first += group.len();
            let row = rows.support.pos[output] as usize;
            let Some(row) = rows.data.get(row * lanes..(row + 1) * lanes) else { continue };
            for (r, a) in row.iter().enumerate() {
                let at = output * lanes + r;
                if *a > 0.0 {
                    with_row(&mut to, self.member[at] as usize, lanes, |to| to[r] += a);
                } else if *a < 0.0 {
                    scratch.load(here, r, lanes);
                    value[r] += a * scratch.plane(self.free.share(at));
                    for (m, slope) in group.iter().zip(&scratch.slopes) {
                        with_row(&mut to, *m as usize, lanes, |to| to[r] += a * slope);
                    }
                }
            }
        }
        if let Some(old) = self.post.replace(rows) {
            worker.pool.give(old.data);
        }
        worker.put(self.input, to, lanes)
    }

    pub(super) fn sweep(
        &mut self,
        groups: &Groups,
        values: &[Option<Rows>],
        (lanes, adam): (usize, Adam),
        mut scores: Option<&mut [Sums]>,
        worker: &mut Worker<'_>,
    ) -> Result<Option<Rows>, BoundError> {
        let Some(post) = &self.post else { return Ok(None) };
        let mut to = zeros(Arc::clone(&post.support), lanes, worker)?;
        let (mut first, mut scratch) = (0, Group::default());
        for (output, group) in groups.iter().enumerate() {
            let here = &self.ends[first * lanes..(first + group.len()) * lanes];
            first += group.len();
            let row = post.support.pos[output] as usize;
            let Some(signs) = post.data.get(row * lanes..(row + 1) * lanes) else { continue };
            for (r, a) in signs.iter().enumerate() {
                let at = output * lanes + r;
                scratch.load(here, r, lanes);
                scratch.values(group, self.input, values, (r, lanes));
                let share = self.free.share(at);
                let intercept = scratch.plane(share);
                let chosen = group.iter().position(|m| *m == self.member[at]).unwrap_or(0);
                let y = if *a >= 0.0 { scratch.x[chosen] } else { scratch.above(intercept) };
                to.data[row * lanes + r] = y;
                if let Some(sums) = scores.as_mut().and_then(|s| s.get_mut(r)) {
                    scratch.score((self.input, group), *a, (chosen, y), sums);
                }
                if *a < 0.0 {
                    let rate = max_upper_by_alpha(&scratch.lower, &scratch.upper, share, &scratch.x);
                    self.free.climb(at, a * rate, adam);
                }
            }
        }
        Ok(Some(to))
    }

    pub(super) fn column(&self, groups: &Groups, (r, lanes): (usize, usize), alphas: &mut Alphas) {
        let (mut first, mut scratch) = (0, Group::default());
        for (output, group) in groups.iter().enumerate() {
            scratch.load(&self.ends[first * lanes..(first + group.len()) * lanes], r, lanes);
            first += group.len();
            let greatest = |x: &[f32]| x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            if greatest(&scratch.lower) < greatest(&scratch.upper) {
                alphas.places.push((self.place + 2 * output + 1) as u32);
                alphas.shares.push(self.free.best[output * lanes + r]);
            }
        }
    }

    pub(super) fn free(&mut self) -> &mut Free {
        &mut self.free
    }

    pub(super) fn compact(&mut self, lanes: &[usize], before: usize) {
        self.member = columns(&self.member, lanes, before);
        self.ends = columns(&self.ends, lanes, before);
        self.free.compact(lanes, before);
        self.post = None;
    }
}

impl Group {
    /// What a maximum loses goes to the members that may be it: those of the plane above, or the one below and the largest value.
    fn score(&self, (slot, group): (usize, &[u32]), a: f32, (chosen, y): (usize, f32), sums: &mut Sums) {
        let inside = |k: usize| self.x[k].max(self.lower[k]).min(self.upper[k]);
        let values: Vec<f32> = (0..group.len()).map(inside).collect();
        let Some(top) = (0..group.len()).max_by(|a, b| values[*a].total_cmp(&values[*b])) else { return };
        let gap = a * (values[top] - y);
        if !(gap > 0.0 && a != 0.0) {
            return;
        }
        if a > 0.0 {
            for k in [chosen, top] {
                *sums.entry((slot, group[k])).or_default() += gap;
            }
            return;
        }
        for (m, slope) in group.iter().zip(&self.slopes).filter(|(_, s)| **s > 0.0) {
            *sums.entry((slot, *m)).or_default() += gap * slope;
        }
    }
}

/// Products of two computed values; matrices are `[outputs·k, lanes]`.
#[derive(Debug)]
pub(super) struct Products {
    product: Product,
    place: usize,
    /// Bounds of the operands of each term.
    ends: Vec<[[f32; 2]; 2]>,
    /// Of the planes below, and above.
    free: [Free; 2],
    post: Option<Rows>,
}

impl Products {
    pub(super) fn new(
        net: &Prepared,
        slot: usize,
        product: Product,
        place: usize,
        (lanes, width): (&[Lane<'_>], usize),
    ) -> Self {
        let terms = net.sizes[slot] * product.k;
        let mut ends = vec![[[0.0f32; 2]; 2]; terms * width];
        let mut alpha = [vec![0.5; terms * width], vec![0.5; terms * width]];
        for (r, lane) in lanes.iter().enumerate() {
            for t in 0..terms {
                let (x, y) = product.operands(t / product.k, t % product.k);
                let at = t * width + r;
                ends[at] = [lane.intervals[product.left].at(x), lane.intervals[product.right].at(y)];
                for (side, alpha) in alpha.iter_mut().enumerate() {
                    let given = lane.start.and_then(|s| s.alpha.get((place + 2 * t + side) as u32));
                    alpha[at] = given.map_or(0.5, |b| f32::from(b) / 255.0);
                }
            }
        }
        Self { product, place, ends, free: alpha.map(Free::new), post: None }
    }

    fn plane(&self, at: usize, a: f32) -> Plane {
        let [x, y] = self.ends[at];
        let alpha = Alpha { lower: self.free[0].share(at), upper: self.free[1].share(at) };
        let planes = relax_product(x.into(), y.into(), alpha);
        if a >= 0.0 { planes.lower } else { planes.upper }
    }

    pub(super) fn backward(
        &mut self,
        alive: &[Arc<Support>],
        rows: Rows,
        worker: &mut Worker<'_>,
        value: &mut [f32],
    ) -> Result<(), BoundError> {
        let (lanes, p) = (value.len(), self.product);
        let mut marks = [p.left, p.right].map(|s| vec![false; alive[s].pos.len()]);
        for (j, t) in rows.support.live.iter().flat_map(|j| (0..p.k).map(move |t| (*j as usize, t))) {
            let (x, y) = p.operands(j, t);
            (marks[0][x], marks[1][y]) = (true, true);
        }
        let mut left = zeros(Support::marked(&alive[p.left], &marks[0]), lanes, worker)?;
        let mut right = zeros(Support::marked(&alive[p.right], &marks[1]), lanes, worker)?;
        for (row, j) in rows.data.chunks_exact(lanes).zip(&rows.support.live) {
            for t in 0..p.k {
                let (x, y) = p.operands(*j as usize, t);
                let first = (*j as usize * p.k + t) * lanes;
                for (r, a) in row.iter().enumerate().filter(|(_, a)| **a != 0.0) {
                    let plane = self.plane(first + r, *a);
                    value[r] += a * plane.intercept;
                    with_row(&mut left, x, lanes, |to| to[r] += a * plane.left);
                    with_row(&mut right, y, lanes, |to| to[r] += a * plane.right);
                }
            }
        }
        if let Some(old) = self.post.replace(rows) {
            worker.pool.give(old.data);
        }
        worker.put(p.left, left, lanes)?;
        worker.put(p.right, right, lanes)
    }

    pub(super) fn sweep(
        &mut self,
        values: &[Option<Rows>],
        (lanes, adam): (usize, Adam),
        mut scores: Option<&mut [Sums]>,
        worker: &mut Worker<'_>,
    ) -> Result<Option<Rows>, BoundError> {
        let Some(post) = self.post.take() else { return Ok(None) };
        let p = self.product;
        let mut to = zeros(Arc::clone(&post.support), lanes, worker)?;
        for (i, j) in post.support.live.iter().map(|j| *j as usize).enumerate() {
            for t in 0..p.k {
                let (left, right) = p.operands(j, t);
                let row = |slot, element| value_of(values, slot, element, lanes);
                let (xs, ys) = (row(p.left, left), row(p.right, right));
                for r in 0..lanes {
                    let (x, y) = (xs.map_or(0.0, |x| x[r]), ys.map_or(0.0, |y| y[r]));
                    let (at, a) = ((j * p.k + t) * lanes + r, post.data[i * lanes + r]);
                    let plane = self.plane(at, a);
                    to.data[i * lanes + r] += plane.at(x, y);
                    let [x_ends, y_ends] = self.ends[at];
                    if let Some(sums) = scores.as_mut().and_then(|s| s.get_mut(r)) {
                        let inside = |v: f32, [l, u]: [f32; 2]| v.max(l).min(u);
                        let (x, y) = (inside(x, x_ends), inside(y, y_ends));
                        let gap = a * (x * y - plane.at(x, y));
                        if gap > 0.0 {
                            *sums.entry((p.left, left as u32)).or_default() += gap;
                            *sums.entry((p.right, right as u32)).or_default() += gap;
                        }
                    }
                    let rates = product_by_alpha(x_ends.into(), y_ends.into());
                    let (side, rate) = if a >= 0.0 { (0, rates.lower) } else { (1, rates.upper) };
                    self.free[side].climb(at, a * rate.at(x, y), adam);
                }
            }
        }
        self.post = Some(post);
        Ok(Some(to))
    }

    pub(super) fn column(&self, (r, lanes): (usize, usize), alphas: &mut Alphas) {
        for (t, ends) in self.ends.iter().skip(r).step_by(lanes).enumerate() {
            if ends.iter().all(|[l, u]| l < u) {
                for (side, free) in self.free.iter().enumerate() {
                    alphas.places.push((self.place + 2 * t + side) as u32);
                    alphas.shares.push(free.best[t * lanes + r]);
                }
            }
        }
    }

    pub(super) fn free(&mut self) -> &mut [Free; 2] {
        &mut self.free
    }

    pub(super) fn compact(&mut self, lanes: &[usize], before: usize) {
        self.ends = columns(&self.ends, lanes, before);
        self.free.iter_mut().for_each(|f| f.compact(lanes, before));
        self.post = None;
    }
}

/// The scores of summed gaps.
pub(super) fn summed(sums: Sums, scores: &mut Vec<Score>) {
    scores.extend(sums.into_iter().map(|((slot, element), gap)| Score {
        slot: Slot(slot),
        element,
        gap,
        intercept: gap,
        branches: [gap; 2],
    }));
}
