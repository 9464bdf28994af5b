//! Steps with one kink at 0 and a free line below: ReLU, leaky ReLU, absolute value.

use super::claims::{Alphas, adaptive};
use super::free::{Free, columns};
use super::{Lane, Score};
use crate::bounds::program::prepare::{Node, Prepared};
use crate::bounds::program::rows::{Rows, Support};
use crate::program::Slot;
use certus_kernels::gather::DROP;
use certus_kernels::lanes::Adam;
use certus_kernels::own::{self, Climbing};

/// One step; matrices are `[elements, lanes]`.
#[derive(Debug)]
pub(super) struct Kinks {
    input: usize,
    /// Slopes left and right of 0.
    slopes: [f32; 2],
    /// First claim byte.
    place: usize,
    /// Those that some lane does not simply pass on.
    elements: Vec<u32>,
    /// Their rows in the last pass.
    rows: Vec<u32>,
    base: Vec<f32>,
    rate: Vec<f32>,
    slope: Vec<f32>,
    intercept: Vec<f32>,
    post: Vec<f32>,
    free: Free,
}

/// What a lane has to say of one neuron.
struct Line {
    base: f32,
    rate: f32,
    slope: f32,
    intercept: f32,
}

fn line([negative, positive]: [f32; 2], [l, u]: [f32; 2]) -> Line {
    if l >= 0.0 || u <= 0.0 {
        let slope = if l >= 0.0 { positive } else { negative };
        return Line { base: slope, rate: 0.0, slope, intercept: 0.0 };
    }
    let slope = (positive * u - negative * l) / (u - l);
    Line { base: negative, rate: positive - negative, slope, intercept: (positive - slope) * u }
}

impl Kinks {
    /// The step that gives `slot` from `input`, and which of its neurons may be something else than 0. `forced` neurons have a row in any case.
    pub(super) fn new(
        net: &Prepared,
        (slot, input): (usize, usize),
        slopes: [f32; 2],
        place: usize,
        (lanes, width): (&[Lane<'_>], usize),
        forced: &[u32],
    ) -> (Self, Support) {
        let n = net.sizes[slot];
        let (mut alive, mut apart) = (vec![false; n], vec![false; n]);
        for lane in lanes {
            let ends = &lane.intervals[input];
            for (((l, u), alive), apart) in ends.lower.iter().zip(&ends.upper).zip(&mut alive).zip(&mut apart)
            {
                let active = *l >= 0.0 && slopes[1] == 1.0;
                *apart |= !active;
                *alive |= *u > 0.0 || slopes[0] != 0.0 || *l >= 0.0;
            }
        }
        for j in forced {
            (alive[*j as usize], apart[*j as usize]) = (true, true);
        }
        let chosen = |marks: &[bool]| (0..n as u32).filter(|j| marks[*j as usize]).collect::<Vec<u32>>();
        let support = Support::new(n, chosen(&alive));
        apart.iter_mut().zip(&alive).for_each(|(a, alive)| *a &= alive);
        let elements = chosen(&apart);
        let zeros = || vec![0.0f32; elements.len() * width];
        let (mut base, mut rate, mut slope) = (zeros(), zeros(), zeros());
        let (mut intercept, mut alpha) = (zeros(), zeros());
        for (r, lane) in lanes.iter().enumerate() {
            // Places and elements both ascend.
            let (places, shares) = lane.start.map_or((&[][..], &[][..]), |s| s.alpha.from(place as u32));
            let mut given = places.iter().zip(shares).peekable();
            for (i, j) in elements.iter().enumerate() {
                let (at, ends) = (i * width + r, lane.intervals[input].at(*j as usize));
                let line = line(slopes, ends);
                (base[at], rate[at]) = (line.base, line.rate);
                (slope[at], intercept[at]) = (line.slope, line.intercept);
                if line.rate != 0.0 {
                    let here = place as u32 + j;
                    while given.next_if(|(p, _)| **p < here).is_some() {}
                    let share = given.next_if(|(p, _)| **p == here).map(|(_, share)| *share);
                    alpha[at] = f32::from(share.unwrap_or_else(|| adaptive(ends))) / 255.0;
                }
            }
        }
        let rows = vec![DROP; elements.len()];
        let (post, free) = (zeros(), Free::new(alpha));
        (Self { input, slopes, place, elements, rows, base, rate, slope, intercept, post, free }, support)
    }

    fn kinks<'k>(rows: &'k [u32], [base, rate, slope, intercept]: [&'k [f32]; 4]) -> own::Kinks<'k> {
        own::Kinks { rows, base, rate, slope, intercept }
    }

    pub(super) fn backward(&mut self, rows: &mut Rows, value: &mut [f32]) {
        for (row, j) in self.rows.iter_mut().zip(&self.elements) {
            *row = rows.support.pos[*j as usize];
        }
        let lines = [&self.base[..], &self.rate, &self.slope, &self.intercept];
        let kinks = Self::kinks(&self.rows, lines);
        own::relax_kinks(&mut rows.data, value, &self.free.alpha, &mut self.post, &kinks);
    }

    /// Values of the operand become values of the result.
    pub(super) fn sweep(&mut self, z: &mut Rows, lanes: usize, adam: Adam) {
        let lines = [&self.base[..], &self.rate, &self.slope, &self.intercept];
        let kinks = Self::kinks(&self.rows, lines);
        let Free { alpha, m, v, .. } = &mut self.free;
        own::sweep_kinks(&mut z.data, lanes, &self.post, Climbing { alpha, m, v }, &kinks, adam);
    }

    /// What lane `r` loses at each neuron where the operand has the values `z`.
    pub(super) fn score(
        &self,
        net: &Prepared,
        z: &Rows,
        (r, lanes): (usize, usize),
        scores: &mut Vec<Score>,
    ) {
        let bias = match &net.nodes[self.input] {
            Node::Affine { bias, .. } => bias.as_deref(),
            _ => None,
        };
        let [negative, positive] = self.slopes;
        for (i, j) in self.elements.iter().enumerate() {
            let at = i * lanes + r;
            let (a, row) = (self.post[at], self.rows[i]);
            if self.rate[at] == 0.0 || row == DROP || a == 0.0 {
                continue;
            }
            let x = z.data[row as usize * lanes + r];
            let value = if x >= 0.0 { positive * x } else { negative * x };
            let (plus, minus) = (a.max(0.0), a.min(0.0));
            let below = self.base[at] + self.rate[at] * self.free.share(at);
            let gap = plus * (value - below * x) - minus * (self.slope[at] * x + self.intercept[at] - value);
            let intercept = -minus * self.intercept[at];
            let chosen = plus * below + minus * self.slope[at];
            let b = bias.map_or(0.0, |b| b[*j as usize]);
            let branches = [positive, negative].map(|s| (a * s - chosen) * b + intercept);
            let slot = Slot(self.input);
            scores.push(Score { slot, element: *j, gap: gap.max(0.0), intercept, branches });
        }
    }

    /// The best shares of lane `r`.
    pub(super) fn column(&self, (r, lanes): (usize, usize), alphas: &mut Alphas) {
        for (i, j) in self.elements.iter().enumerate() {
            if self.rate[i * lanes + r] != 0.0 {
                alphas.places.push(self.place as u32 + j);
                alphas.shares.push(self.free.best[i * lanes + r]);
            }
        }
    }

    pub(super) fn free(&mut self) -> &mut Free {
        &mut self.free
    }

    pub(super) fn compact(&mut self, lanes: &[usize], before: usize) {
        let matrices = [&mut self.base, &mut self.rate, &mut self.slope, &mut self.intercept, &mut self.post];
        for x in matrices {
            *x = columns(x, lanes, before);
        }
        self.free.compact(lanes, before);
    }
}
