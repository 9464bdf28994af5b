//! Counterexamples by projected gradient descent on a program, many points at once in lanes.
//!
//! The loss of a point is the largest row of the disjunct its lane attacks: a violation makes all rows non-positive. Each step
//! moves against the sign of the gradient by a share of the box's width, which shrinks over the steps.
//!
//! Source: Madry et al. 2018 (arXiv:1706.06083); half of the starts are corners, one is the centre.

use super::problem::CaseProblem;
use crate::bounds::program::Points;
use crate::property::{Witness, check_witness};
use crate::search::Budget;
use crate::verify::attack::PointBox;

/// Strides as shares of the box's width, from the first step to the last, in geometric progression.
const FIRST_STRIDE: f32 = 0.5;
const LAST_STRIDE: f32 = 1e-3;

/// Buffers and random numbers of one thread's attacks.
pub struct Attacker<'a> {
    problem: &'a CaseProblem<'a>,
    points: Points<'a>,
    state: u64,
    /// `[inputs, lanes]`.
    x: Vec<f32>,
    /// `[rows, lanes]`.
    rows: Vec<f32>,
}

impl<'a> Attacker<'a> {
    /// Attacks of `lanes` points each, random numbers from `seed`.
    pub fn new(problem: &'a CaseProblem<'a>, lanes: usize, seed: u64) -> Self {
        let state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
        let points = Points::new(&problem.parts.net, lanes);
        Self { problem, points, state, x: Vec::new(), rows: Vec::new() }
    }

    /// Uniform in [0, 1) (xorshift64*).
    fn random(&mut self) -> f32 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Attacks every disjunct from random points of `region`, `steps` steps each, until `stop` says so.
    pub fn descend(
        &mut self,
        region: PointBox<'_>,
        steps: usize,
        stop: impl Fn() -> bool,
    ) -> Option<Witness> {
        self.start(region);
        for step in 0..=steps {
            if let Some(witness) = self.look() {
                return Some(witness);
            }
            if step == steps || stop() {
                return None;
            }
            let share = FIRST_STRIDE * (LAST_STRIDE / FIRST_STRIDE).powf(step as f32 / steps as f32);
            self.stride(region, share);
        }
        None
    }

    /// Attacks every disjunct from random points of the whole box of witnesses, `rounds` times.
    pub fn descend_root(&mut self, rounds: usize, steps: usize, budget: &Budget<'_>) -> Option<Witness> {
        let region = &self.problem.case.region;
        if region.witness_lower.iter().zip(&region.witness_upper).any(|(l, u)| l > u) {
            return None;
        }
        let points = PointBox { lower: &region.witness_lower, upper: &region.witness_upper };
        let stop = || budget.is_spent();
        (0..rounds).find_map(|_| if stop() { None } else { self.descend(points, steps, stop) })
    }

    /// The gradient of the row that lane 0 attacks at `point`, `[inputs]`.
    pub fn gradient_at(&mut self, point: &[f32], row: usize) -> Vec<f32> {
        let lanes = self.points.lanes();
        let x: Vec<f32> = point.iter().flat_map(|x| std::iter::repeat_n(*x, lanes)).collect();
        self.points.evaluate(&x);
        let outputs = self.problem.parts.net.outputs();
        let weights = &self.problem.spec.weights[row * outputs..][..outputs];
        let weights: Vec<f32> = weights.iter().flat_map(|w| std::iter::repeat_n(*w, lanes)).collect();
        self.points.gradient(&weights).iter().step_by(lanes).copied().collect()
    }

    fn start(&mut self, region: PointBox<'_>) {
        let (inputs, lanes) = (region.lower.len(), self.points.lanes());
        self.x.resize(inputs * lanes, 0.0);
        for j in 0..inputs {
            let (l, u) = (region.lower[j], region.upper[j]);
            for r in 0..lanes {
                let t = match r {
                    0 => 0.5,
                    r if r % 2 == 1 => self.random().round(),
                    _ => self.random(),
                };
                self.x[j * lanes + r] = (l + t * (u - l)).clamp(l, u);
            }
        }
    }

    /// Evaluates all points; the first that is a witness.
    fn look(&mut self) -> Option<Witness> {
        let (problem, lanes) = (self.problem, self.points.lanes());
        self.points.evaluate(&self.x);
        self.rows = self.points.rows(&problem.spec.weights, &problem.spec.bias);
        let holds = |r: usize, d: usize| problem.rows_of(d).all(|row| self.rows[row * lanes + r] <= 0.0);
        let candidates = (0..lanes).filter(|r| (0..problem.disjuncts()).any(|d| holds(*r, d)));
        for r in candidates {
            let point: Vec<f32> = self.x[r..].iter().step_by(lanes).copied().collect();
            let witness = check_witness(problem.parts.network, problem.property, &point);
            if witness.is_some() {
                return witness;
            }
        }
        None
    }

    fn stride(&mut self, region: PointBox<'_>, share: f32) {
        let (problem, lanes) = (self.problem, self.points.lanes());
        let outputs = problem.parts.net.outputs();
        let mut weights = vec![0.0; outputs * lanes];
        for r in 0..lanes {
            let value = |row: &usize| self.rows[row * lanes + r];
            let rows = problem.rows_of((r / 2) % problem.disjuncts());
            let row = rows.max_by(|a, b| value(a).total_cmp(&value(b))).expect("a disjunct has a row");
            let row = &problem.spec.weights[row * outputs..][..outputs];
            weights[r..].iter_mut().step_by(lanes).zip(row).for_each(|(a, w)| *a = *w);
        }
        let gradient = self.points.gradient(&weights);
        for (j, (x, g)) in self.x.chunks_exact_mut(lanes).zip(gradient.chunks_exact(lanes)).enumerate() {
            let (l, u) = (region.lower[j], region.upper[j]);
            let stride = share * (u - l);
            for (x, g) in x.iter_mut().zip(g) {
                // A NaN moves nothing.
                let direction = f32::from(i8::from(*g < 0.0) - i8::from(*g > 0.0));
                *x = (*x + direction * stride).clamp(l, u);
            }
        }
    }
}
