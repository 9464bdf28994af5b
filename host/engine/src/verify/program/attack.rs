//! Attacks during a search on a program.

use super::problem::CaseProblem;
use crate::bounds::program::Points;
use crate::property::{Witness, check_witness};
use crate::search::Budget;
use crate::verify::attack::{self, Goal, PointBox, Swarm};
use certus_kernels::LANE_MULTIPLE;

/// One thread's attacks on one case.
pub struct Attacker<'a> {
    problem: &'a CaseProblem<'a>,
    goal: Goal<'a>,
    points: Points<'a>,
    lanes: usize,
    seed: u64,
    /// Attacks so far.
    attacks: u64,
}

impl<'a> Attacker<'a> {
    /// Attacks of `lanes` points each, random numbers from `seed`.
    pub fn new(problem: &'a CaseProblem<'a>, lanes: usize, seed: u64) -> Self {
        let goal = Goal::new([problem.case], problem.property.outputs);
        let points = Points::new(&problem.parts.net, lanes);
        Self { problem, goal, points, lanes: lanes.next_multiple_of(LANE_MULTIPLE), seed, attacks: 0 }
    }

    /// Attacks every disjunct from points of `region`, `steps` steps each, until `stop` says so.
    pub fn descend(
        &mut self,
        region: PointBox<'_>,
        steps: usize,
        stop: impl Fn() -> bool,
    ) -> Option<Witness> {
        if region.is_empty() {
            return None;
        }
        let seed = self.seed.wrapping_add(self.attacks.wrapping_mul(0x5851_F42D_4C95_7F2D));
        self.attacks += 1;
        let mut swarm = Swarm::new(&self.goal, self.lanes, steps, seed);
        swarm.confine(region);
        let problem = self.problem;
        let judge = |x: &[f32]| check_witness(problem.parts.network, problem.property, x);
        swarm.run(&mut self.points, &judge, steps, &stop)
    }

    /// Attacks every disjunct from points of the whole box of witnesses, `rounds` times.
    pub fn descend_root(&mut self, rounds: usize, steps: usize, budget: &Budget<'_>) -> Option<Witness> {
        let region = &self.problem.case.region;
        let points = PointBox { lower: &region.witness_lower, upper: &region.witness_upper };
        let stop = || budget.is_spent();
        (0..rounds).find_map(|_| if stop() { None } else { self.descend(points, steps, stop) })
    }

    /// The gradient of row `row` at `point`, `[inputs]`.
    pub fn gradient_at(&mut self, point: &[f32], row: usize) -> Vec<f32> {
        gradient_at(&mut self.points, self.problem, point, row)
    }
}

/// The gradient of row `row` of a problem at `point`, `[inputs]`.
pub fn gradient_at(
    points: &mut Points<'_>,
    problem: &CaseProblem<'_>,
    point: &[f32],
    row: usize,
) -> Vec<f32> {
    let lanes = LANE_MULTIPLE;
    let spread =
        |values: &[f32]| -> Vec<f32> { values.iter().flat_map(|x| std::iter::repeat_n(*x, lanes)).collect() };
    attack::Points::evaluate(points, &spread(point), lanes);
    let outputs = problem.parts.net.outputs();
    let weights = spread(&problem.spec.weights[row * outputs..][..outputs]);
    points.gradient(&weights, 0.0).iter().step_by(lanes).copied().collect()
}

impl attack::Points for Points<'_> {
    fn inputs(&self) -> usize {
        self.net().inputs()
    }
    fn outputs(&self) -> usize {
        self.net().outputs()
    }
    fn work(&self) -> usize {
        self.net().products()
    }
    fn evaluate(&mut self, x: &[f32], lanes: usize) -> &[f32] {
        self.set_lanes(lanes);
        Points::evaluate(self, x)
    }
    fn gradient(&mut self, weights: &[f32], leak: f32) -> &[f32] {
        Points::gradient(self, weights, leak)
    }
}
