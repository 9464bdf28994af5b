//! Attacks during a search on a chain.

use super::{DensePoints, Goal, PointBox, Points, Swarm, newton};
use crate::property::{Witness, check_witness};
use crate::verify::problem::CaseProblem;
use certus_kernels::LANE_MULTIPLE;

/// One thread's attacks on one case.
pub struct Attacker<'a> {
    problem: &'a CaseProblem<'a>,
    goal: Goal<'a>,
    points: DensePoints<'a, 'a>,
    seed: u64,
    /// Attacks so far.
    attacks: u64,
    x: Vec<f32>,
    rows: Vec<f32>,
    /// Points tried since the last attack that were closest to a violation, with their losses.
    promising: Vec<(f32, Vec<f32>)>,
}

/// How many of the points tried start lives of the next attack.
const PROMISING: usize = 8;

impl<'a> Attacker<'a> {
    /// Random numbers started from `seed`.
    pub fn new(problem: &'a CaseProblem<'a>, seed: u64) -> Self {
        let goal = Goal::new([problem.case], problem.property.outputs);
        let points = DensePoints::new(&problem.parts.dense);
        Self {
            problem,
            goal,
            points,
            seed,
            attacks: 0,
            x: Vec::new(),
            rows: Vec::new(),
            promising: Vec::new(),
        }
    }

    /// Attacks every disjunct from `lanes` points in `region`, `steps` steps each.
    pub fn descend(&mut self, region: PointBox<'_>, lanes: usize, steps: usize) -> Option<Witness> {
        if region.is_empty() {
            return None;
        }
        let seed = self.next_seed();
        let mut swarm = Swarm::new(&self.goal, lanes.next_multiple_of(LANE_MULTIPLE), steps, seed);
        swarm.confine(region);
        self.promising.drain(..).for_each(|(_, point)| swarm.suggest(point));
        let problem = self.problem;
        let judge = |x: &[f32]| check_witness(problem.parts.evaluator, problem.property, x);
        swarm.run(&mut self.points, &judge, steps, &|| false)
    }

    /// Solves for the rows of disjuncts that have several, from `lanes` points of `region`; nothing where [`newton`] does not apply.
    pub fn solve(&mut self, region: PointBox<'_>, lanes: usize, steps: usize) -> Option<Witness> {
        if region.is_empty() || !newton::applies(&self.goal, region) {
            return None;
        }
        let seed = self.next_seed();
        let problem = self.problem;
        let judge = |x: &[f32]| check_witness(problem.parts.evaluator, problem.property, x);
        let effort = (lanes.next_multiple_of(LANE_MULTIPLE), steps, seed);
        newton::solve(&self.goal, region, effort, &mut self.points, &judge, &|| false)
    }

    fn next_seed(&mut self) -> u64 {
        self.attacks += 1;
        self.seed.wrapping_add(self.attacks.wrapping_mul(0x5851_F42D_4C95_7F2D))
    }

    /// Tries given points, `[points][inputs]`.
    pub fn try_points<'x>(&mut self, points: impl ExactSizeIterator<Item = &'x [f32]>) -> Option<Witness> {
        let (lanes, inputs) = (points.len().next_multiple_of(LANE_MULTIPLE), self.points.inputs());
        let mut used = 0;
        self.x.clear();
        self.x.resize(inputs * lanes, 0.0);
        for (r, point) in points.enumerate() {
            (0..inputs).for_each(|j| self.x[j * lanes + r] = point[j]);
            used = r + 1;
        }
        if used == 0 {
            return None;
        }
        let y = self.points.evaluate(&self.x, lanes);
        self.goal.evaluate(y, lanes, &mut self.rows);
        self.remember(lanes, used);
        let problem = self.problem;
        (0..used).filter(|r| self.goal.is_met(&self.rows, lanes, *r)).find_map(|r| {
            let point: Vec<f32> = self.x[r..].iter().step_by(lanes).copied().collect();
            check_witness(problem.parts.evaluator, problem.property, &point)
        })
    }

    /// Keeps the best of the points just tried, if it is among the best so far.
    fn remember(&mut self, lanes: usize, used: usize) {
        let losses = (0..used).map(|r| (self.goal.loss(&self.rows, lanes, r), r));
        let Some((loss, r)) = losses.min_by(|a, b| a.0.total_cmp(&b.0)) else { return };
        let at = self.promising.partition_point(|(other, _)| *other <= loss);
        if at < PROMISING {
            self.promising.insert(at, (loss, self.x[r..].iter().step_by(lanes).copied().collect()));
            self.promising.truncate(PROMISING);
        }
    }
}
