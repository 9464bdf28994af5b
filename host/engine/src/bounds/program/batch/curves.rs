//! Steps whose lines have knots: sigmoid, tanh, sine and all others without a free line below a kink at 0.

use super::claims::{Alphas, KNOTS, Knots, MIDDLE, Straight, knots, line};
use super::free::{Free, columns};
use super::{Lane, Score};
use crate::bounds::program::interval::Interval;
use crate::bounds::program::lines::{self, Relaxation};
use crate::bounds::program::memory::BoundError;
use crate::bounds::program::prepare::Prepared;
use crate::bounds::program::rows::Rows;
use crate::program::{Float, Function, Slot};
use certus_kernels::gather::DROP;
use certus_kernels::lanes::Adam;

/// One step; matrices are `[elements, lanes]`.
#[derive(Debug)]
pub(super) struct Curves {
    input: usize,
    function: Function,
    /// First claim byte; bytes of an element.
    place: (usize, usize),
    /// The rows of the last pass, `[elements]`.
    rows: Vec<u32>,
    knots: Vec<Knots>,
    /// Bounds of the operand.
    ends: Vec<[f32; 2]>,
    /// Of the lines below, and above.
    free: [Free; 2],
    post: Vec<f32>,
}

impl Curves {
    pub(super) fn new(
        net: &Prepared,
        (slot, input): (usize, usize),
        function: Function,
        place: (usize, usize),
        (lanes, width): (&[Lane<'_>], usize),
    ) -> Result<Self, BoundError> {
        let n = net.sizes[slot];
        let mut all = vec![Knots::default(); n * width];
        let mut ends = vec![[0.0f32; 2]; n * width];
        let mut alpha = [vec![MIDDLE; n * width], vec![MIDDLE; n * width]];
        for (r, lane) in lanes.iter().enumerate() {
            let start = lane.start.map(|s| &s.alpha);
            for j in 0..n {
                let (at, here) = (j * width + r, lane.intervals[input].at(j));
                ends[at] = here;
                // Domains share the bounds before their first split.
                all[at] = if r > 0 && ends[at - 1] == here {
                    all[at - 1]
                } else {
                    knots(function, here).map_or_else(|| fixed(net, slot, function, here), Ok)?
                };
                for side in 0..place.1 {
                    // One byte is that of the free side, above.
                    let free = if place.1 == 1 { 1 } else { side };
                    let given = start.and_then(|a| a.get((place.0 + place.1 * j + side) as u32));
                    alpha[free][at] = given.map_or(MIDDLE, |b| f32::from(b) / 255.0);
                }
            }
        }
        let (rows, post) = (vec![DROP; n], vec![0.0; n * width]);
        Ok(Self { input, function, place, rows, knots: all, ends, free: alpha.map(Free::new), post })
    }

    pub(super) fn backward(&mut self, rows: &mut Rows, value: &mut [f32]) {
        let lanes = value.len();
        self.rows.copy_from_slice(&rows.support.pos);
        for (j, row) in self.rows.iter().enumerate().filter(|(_, row)| **row != DROP) {
            let here = &mut rows.data[*row as usize * lanes..][..lanes];
            for (r, (a, value)) in here.iter_mut().zip(value.iter_mut()).enumerate() {
                let at = j * lanes + r;
                self.post[at] = *a;
                if *a != 0.0 {
                    let side = usize::from(*a < 0.0);
                    let (line, _) = line(&self.knots[at][side], self.free[side].share(at));
                    *value += *a * line.intercept;
                    *a *= line.slope;
                }
            }
        }
    }

    pub(super) fn sweep(&mut self, z: &mut Rows, lanes: usize, adam: Adam) {
        for (j, row) in self.rows.iter().enumerate().filter(|(_, row)| **row != DROP) {
            for (r, z) in z.data[*row as usize * lanes..][..lanes].iter_mut().enumerate() {
                let at = j * lanes + r;
                let (a, x) = (self.post[at], *z);
                let side = usize::from(a < 0.0);
                let (line, rate) = line(&self.knots[at][side], self.free[side].share(at));
                *z = line.slope * x + line.intercept;
                self.free[side].climb(at, a * (rate.slope * x + rate.intercept), adam);
            }
        }
    }

    pub(super) fn score(&self, z: &Rows, (r, lanes): (usize, usize), scores: &mut Vec<Score>) {
        for (j, row) in self.rows.iter().enumerate().filter(|(_, row)| **row != DROP) {
            let at = j * lanes + r;
            let (a, [l, u]) = (self.post[at], self.ends[at]);
            let x = z.data[*row as usize * lanes + r].max(l).min(u);
            let side = usize::from(a < 0.0);
            let (line, _) = line(&self.knots[at][side], self.free[side].share(at));
            let gap = a * (x.apply(self.function) - (line.slope * x + line.intercept));
            if l < u && gap > 0.0 {
                let (slot, element) = (Slot(self.input), j as u32);
                scores.push(Score { slot, element, gap, intercept: gap, branches: [gap; 2] });
            }
        }
    }

    pub(super) fn column(&self, (r, lanes): (usize, usize), alphas: &mut Alphas) {
        let (first, width) = self.place;
        for j in 0..self.rows.len() {
            let at = j * lanes + r;
            if self.ends[at][0] < self.ends[at][1] {
                for side in 0..width {
                    alphas.places.push((first + width * j + side) as u32);
                    alphas.shares.push(self.free[if width == 1 { 1 } else { side }].best[at]);
                }
            }
        }
    }

    pub(super) fn free(&mut self) -> &mut [Free; 2] {
        &mut self.free
    }

    pub(super) fn compact(&mut self, lanes: &[usize], before: usize) {
        self.knots = columns(&self.knots, lanes, before);
        self.ends = columns(&self.ends, lanes, before);
        self.post = columns(&self.post, lanes, before);
        self.free.iter_mut().for_each(|f| f.compact(lanes, before));
    }
}

/// Lines without a choice, where the function has no others in `f32`.
fn fixed(net: &Prepared, slot: usize, function: Function, [l, u]: [f32; 2]) -> Result<Knots, BoundError> {
    let operand = Interval { lower: vec![l], upper: vec![u] };
    let Relaxation::Lines { pairs, .. } = lines::elementwise(&net.names[slot], function, &operand)? else {
        return Ok(Knots::default());
    };
    let below = Straight { slope: pairs[0].lower_slope, intercept: pairs[0].lower_intercept };
    let above = Straight { slope: pairs[0].upper_slope, intercept: pairs[0].upper_intercept };
    Ok([[below; KNOTS], [above; KNOTS]])
}
