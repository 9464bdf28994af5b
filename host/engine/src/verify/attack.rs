//! Counterexamples by projected gradient descent, many points at once in lanes.
//!
//! A violation of a disjunct makes all its rows non-positive, so the loss of a point is the largest row of its
//! disjunct. Each step moves a point against the sign of the gradient of that row by a share of the box's width, which
//! shrinks over the steps; points are kept in the box of `f32` witnesses.
//!
//! Source: Madry et al. 2018 (arXiv:1706.06083); starts are uniform in the box and, for half of the restarts, at corners.

use super::problem::CaseProblem;
use crate::property::{Witness, check_witness};
use certus_kernels::LANE_MULTIPLE;
use certus_kernels::relax::{bias_relu, wide};

/// Strides as shares of the box's width, from the first step to the last, in geometric progression.
const FIRST_STRIDE: f32 = 0.5;
const LAST_STRIDE: f32 = 1e-3;

/// A box of `f32` points, `[inputs]` each.
#[derive(Clone, Copy, Debug)]
pub struct PointBox<'a> {
    /// Lower ends.
    pub lower: &'a [f32],
    /// Upper ends.
    pub upper: &'a [f32],
}

/// Buffers and random numbers of one thread's attacks.
#[derive(Clone, Debug)]
pub struct Attacker {
    state: u64,
    x: Vec<f32>,
    hidden: Vec<Vec<f32>>,
    rows: Vec<f32>,
    a: Vec<f32>,
    next: Vec<f32>,
}

impl Attacker {
    /// A generator started from `seed`.
    pub fn new(seed: u64) -> Self {
        let state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
        Self { state, x: Vec::new(), hidden: Vec::new(), rows: Vec::new(), a: Vec::new(), next: Vec::new() }
    }

    /// Uniform in [0, 1) (xorshift64*).
    fn random(&mut self) -> f32 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Attacks every disjunct from `lanes` points in `region`, `steps` steps each.
    pub fn descend(
        &mut self,
        problem: &CaseProblem<'_>,
        region: PointBox<'_>,
        lanes: usize,
        steps: usize,
    ) -> Option<Witness> {
        let lanes = lanes.next_multiple_of(LANE_MULTIPLE);
        let inputs = problem.parts.net.inputs;
        self.x.resize(inputs * lanes, 0.0);
        for j in 0..inputs {
            let (l, u) = (region.lower[j], region.upper[j]);
            for r in 0..lanes {
                let t = if r % 2 == 1 { self.random().round() } else { self.random() };
                self.x[j * lanes + r] = (l + t * (u - l)).clamp(l, u);
            }
        }
        for step in 0..=steps {
            self.forward(problem, lanes);
            if let Some(witness) = self.best_point(problem, lanes) {
                return Some(witness);
            }
            if step < steps {
                self.gradient(problem, lanes);
                let share = FIRST_STRIDE * (LAST_STRIDE / FIRST_STRIDE).powf(step as f32 / steps as f32);
                for j in 0..inputs {
                    let (l, u) = (region.lower[j], region.upper[j]);
                    let stride = share * (u - l);
                    let range = j * lanes..(j + 1) * lanes;
                    for (x, g) in self.x[range.clone()].iter_mut().zip(&self.a[range]) {
                        let direction = if *g > 0.0 {
                            -1.0
                        } else if *g < 0.0 {
                            1.0
                        } else {
                            0.0
                        };
                        *x = (*x + direction * stride).clamp(l, u);
                    }
                }
            }
        }
        None
    }

    /// Tries given points, `[points][inputs]`.
    pub fn try_points<'x>(
        &mut self,
        problem: &CaseProblem<'_>,
        points: impl ExactSizeIterator<Item = &'x [f32]>,
    ) -> Option<Witness> {
        let lanes = points.len().next_multiple_of(LANE_MULTIPLE);
        let inputs = problem.parts.net.inputs;
        self.x.clear();
        self.x.resize(inputs * lanes, 0.0);
        let mut last: &[f32] = &[];
        let mut used = 0;
        for (r, point) in points.enumerate() {
            (0..inputs).for_each(|j| self.x[j * lanes + r] = point[j]);
            last = point;
            used = r + 1;
        }
        if used == 0 {
            return None;
        }
        for r in used..lanes {
            (0..inputs).for_each(|j| self.x[j * lanes + r] = last[j]);
        }
        self.forward(problem, lanes);
        self.best_point(problem, lanes)
    }

    /// Evaluates all points: post-activations into `hidden`, rows of the spec into `rows`.
    fn forward(&mut self, problem: &CaseProblem<'_>, lanes: usize) {
        let net = &problem.parts.net;
        self.hidden.resize_with(net.hidden.len(), Vec::new);
        for (k, layer) in net.hidden.iter().enumerate() {
            let (before, now) = self.hidden.split_at_mut(k);
            let out = &mut now[0];
            out.resize(layer.rows * lanes, 0.0);
            layer.forward.product(None, before.last().unwrap_or(&self.x), lanes, out);
            wide(|| activate(out, &layer.bias, lanes, true));
        }
        self.rows.resize(problem.spec.rows * lanes, 0.0);
        let last = self.hidden.last().unwrap_or(&self.x);
        problem.spec.forward.product(None, last, lanes, &mut self.rows);
        let rows = &mut self.rows;
        wide(|| activate(rows, &problem.spec.bias, lanes, false));
    }

    /// The disjunct that lane `r` attacks, and the row of it that is largest there.
    fn target(&self, problem: &CaseProblem<'_>, lanes: usize, r: usize) -> usize {
        let rows = problem.rows_of((r / 2) % problem.disjuncts());
        let value = |row: &usize| self.rows[row * lanes + r];
        rows.max_by(|a, b| value(a).total_cmp(&value(b))).expect("a disjunct has a row")
    }

    /// Gradient of each lane's row with respect to its input, into `a`.
    fn gradient(&mut self, problem: &CaseProblem<'_>, lanes: usize) {
        let net = &problem.parts.net;
        self.a.resize(net.width() * lanes, 0.0);
        self.next.resize(net.width() * lanes, 0.0);
        for r in 0..lanes {
            let row = self.target(problem, lanes, r);
            let weights = &problem.spec.weights[row * problem.spec.cols..][..problem.spec.cols];
            self.a[r..].iter_mut().step_by(lanes).zip(weights).for_each(|(a, w)| *a = *w);
        }
        for (layer, post) in net.hidden.iter().zip(&self.hidden).rev() {
            self.a[..layer.rows * lanes]
                .iter_mut()
                .zip(post)
                .filter(|(_, x)| **x <= 0.0)
                .for_each(|(a, _)| *a = 0.0);
            layer.backward.product(None, &self.a, lanes, &mut self.next);
            std::mem::swap(&mut self.a, &mut self.next);
        }
    }

    /// The first lane in which some disjunct's rows are all about non-positive and the witness holds up.
    fn best_point(&mut self, problem: &CaseProblem<'_>, lanes: usize) -> Option<Witness> {
        for r in 0..lanes {
            let violated = (0..problem.disjuncts())
                .any(|d| problem.rows_of(d).all(|row| self.rows[row * lanes + r] <= 0.0));
            if violated {
                let point: Vec<f32> =
                    self.x[r..].iter().step_by(lanes).take(problem.parts.net.inputs).copied().collect();
                let witness = check_witness(problem.parts.evaluator, problem.property, &point);
                if witness.is_some() {
                    return witness;
                }
            }
        }
        None
    }
}

#[inline(always)]
fn activate(z: &mut [f32], bias: &[f32], lanes: usize, relu: bool) {
    for (row, b) in z.chunks_exact_mut(lanes).zip(bias) {
        bias_relu(row, *b, relu);
    }
}
