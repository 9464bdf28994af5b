//! Points that descend towards a violation, each in a lane of its own.
//!
//! The loss of a point is the largest row of the disjunct that its lane attacks: a violation makes all rows non-positive. A lane
//! lives for a number of steps and then starts anew. A step moves against the gradient and goes on a part of the step before
//! (momentum); the stride, a share of the box's width, is halved where it stopped paying, and the lane goes back to its best
//! point then. Lanes differ in what they try:
//!
//! * start: the middle, corners, faces, uniform points, points that were handed over, neighbours of the best point so far;
//! * the first steps of half of the lanes follow a random direction of the outputs, which spreads starts further than noise in
//!   the inputs does;
//! * direction: the signs of the gradient, or, where few inputs are open, also the gradient itself, scaled by the widths;
//! * of a disjunct with several rows: the largest row, or all positive rows weighted by their size;
//! * on a plateau (a gradient of zeros: all neurons of a layer are inactive) a lane follows the gradient that inactive neurons would have
//!   if they leaked, and does not go back for standing still;
//! * the disjunct: given, or at each step the one that is closest to being violated.
//!
//! Source: projected descent: Madry et al. 2018 (arXiv:1706.06083); strides, momentum and returns: Croce and Hein 2020
//! (arXiv:2003.01690), with each lane its own schedule; starts by output directions: Tashiro et al. 2020 (arXiv:2003.06878).

use super::goal::{Goal, PointBox};
use super::random::Random;
use super::{Judge, Points};
use crate::property::Witness;
use certus_kernels::relax::wide;

/// Share of a new step in the move; the rest repeats the last one.
const MOMENTUM_SHARE: f32 = 0.75;
/// Most points that are replayed after one evaluation: the deepest violations first.
const REPLAYS: usize = 4;
/// Slope of inactive neurons in the gradient of a lane on a plateau. A small one follows the neurons that are active.
const LEAK: f32 = 0.01;
/// With at most this many open inputs, half of the lanes follow the gradient itself.
const FEW_INPUTS: usize = 16;

/// What a lane does until it starts anew.
#[derive(Clone, Debug)]
struct Life {
    /// Steps done, steps in all.
    age: usize,
    length: usize,
    /// Steps along a random direction of the outputs that are left.
    wander: usize,
    /// Weighs all positive rows instead of taking the largest.
    sums: bool,
    /// The disjunct, if it is not chosen anew at each step.
    disjunct: usize,
    /// Whether it is.
    nearest: bool,
    /// Whether the last gradient was all zeros.
    plateau: bool,
    best: f32,
    /// Since the last checkpoint: steps that improved, the best loss and whether the stride was just halved.
    improved: usize,
    best_then: f32,
    halved: bool,
    /// The checkpoint and how many steps the last interval had.
    next_check: usize,
    interval: usize,
}

/// Lanes on their way, with their random numbers.
#[derive(Debug)]
pub struct Swarm<'g> {
    goal: &'g Goal<'g>,
    /// Where lives begin, in the place of the case's box.
    region: Option<PointBox<'g>>,
    random: Random,
    lanes: usize,
    lives: Vec<Life>,
    /// All `[inputs, lanes]`: points, points a step before, best points of the lives; ends of the lanes' boxes.
    x: Vec<f32>,
    before: Vec<f32>,
    best: Vec<f32>,
    lower: Vec<f32>,
    upper: Vec<f32>,
    /// `[lanes]`: share of the width; 1 for signs and else 0; factor of the gradient.
    stride: Vec<f32>,
    signs: Vec<f32>,
    scale: Vec<f32>,
    /// Directions of the outputs, `[outputs, lanes]`.
    wanders: Vec<f32>,
    rows: Vec<f32>,
    weights: Vec<f32>,
    /// The gradient where lanes are on plateaus, `[inputs, lanes]`.
    slopes: Vec<f32>,
    losses: Vec<f32>,
    targets: Vec<usize>,
    /// Starts handed over, `[inputs]` each.
    queue: Vec<Vec<f32>>,
    /// The best point of all lives, its loss and its disjunct.
    record: Option<(f32, usize, Vec<f32>)>,
    /// Losses of the disjuncts at the first points seen, lowest first.
    order: Vec<usize>,
    started: usize,
    steps: usize,
}

impl<'g> Swarm<'g> {
    /// `lanes` points (a multiple of 16) for `goal`, lives of `steps` steps, random numbers from `seed`.
    pub fn new(goal: &'g Goal<'g>, lanes: usize, steps: usize, seed: u64) -> Self {
        let inputs = goal.boxes.first().map_or(0, |b| b.lower.len());
        let (block, row) = (vec![0.0; inputs * lanes], vec![0.0; lanes]);
        Self {
            goal,
            region: None,
            random: Random::new(seed),
            lanes,
            lives: Vec::new(),
            x: block.clone(),
            before: block.clone(),
            best: block.clone(),
            lower: block.clone(),
            upper: block,
            stride: row.clone(),
            signs: row.clone(),
            scale: row,
            wanders: vec![0.0; goal.outputs() * lanes],
            rows: Vec::new(),
            weights: Vec::new(),
            slopes: Vec::new(),
            losses: vec![0.0; lanes],
            targets: vec![0; lanes],
            queue: Vec::new(),
            record: None,
            order: (0..goal.disjuncts()).collect(),
            started: 0,
            steps: steps.max(2),
        }
    }

    /// Hands over a start for a later life.
    pub fn suggest(&mut self, point: Vec<f32>) {
        self.queue.push(point);
    }

    /// Begins all lives anew, in `region` in the place of the only case's box.
    pub fn confine(&mut self, region: PointBox<'g>) {
        self.region = Some(region);
        self.lives.clear();
    }

    /// Up to `steps` steps of all lanes, until a witness is found or `stop` says so.
    pub fn run(
        &mut self,
        points: &mut dyn Points,
        judge: Judge<'_>,
        steps: usize,
        stop: &dyn Fn() -> bool,
    ) -> Option<Witness> {
        if self.goal.disjuncts() == 0 {
            return None;
        }
        for step in 0..=steps {
            self.renew();
            let y = points.evaluate(&self.x, self.lanes);
            let mut rows = std::mem::take(&mut self.rows);
            self.goal.evaluate(y, self.lanes, &mut rows);
            self.rows = rows;
            if let Some(witness) = self.look(judge) {
                return Some(witness);
            }
            if step == steps || stop() {
                return None;
            }
            self.weigh();
            let mut gradient = points.gradient(&self.weights, 0.0);
            if self.find_plateaus(gradient) {
                self.slopes.clear();
                self.slopes.extend_from_slice(gradient);
                self.leave_plateaus(points.gradient(&self.weights, LEAK));
                gradient = &self.slopes;
            }
            advance(
                self.lanes,
                gradient,
                Moving {
                    x: &mut self.x,
                    before: &mut self.before,
                    lower: &self.lower,
                    upper: &self.upper,
                    stride: &self.stride,
                    signs: &self.signs,
                    scale: &mut self.scale,
                },
            );
        }
        None
    }

    /// Takes note of the lanes whose `gradient` is all zeros; whether there are any.
    fn find_plateaus(&mut self, gradient: &[f32]) -> bool {
        self.lives.iter_mut().for_each(|life| life.plateau = true);
        let mut left = self.lanes;
        for row in gradient.chunks_exact(self.lanes) {
            for (life, _) in self.lives.iter_mut().zip(row).filter(|(life, g)| life.plateau && **g != 0.0) {
                life.plateau = false;
                left -= 1;
            }
            if left == 0 {
                return false;
            }
        }
        true
    }

    /// Lanes on plateaus take their gradient from `leaking`.
    fn leave_plateaus(&mut self, leaking: &[f32]) {
        for (row, from) in self.slopes.chunks_exact_mut(self.lanes).zip(leaking.chunks_exact(self.lanes)) {
            for ((g, leaking), life) in row.iter_mut().zip(from).zip(&self.lives) {
                *g = if life.plateau { *leaking } else { *g };
            }
        }
    }

    /// Starts the lanes whose lives are over.
    fn renew(&mut self) {
        if self.lives.is_empty() {
            self.lives.reserve(self.lanes);
            for r in 0..self.lanes {
                let life = self.begin(r);
                self.lives.push(life);
            }
            return;
        }
        for r in 0..self.lanes {
            if self.lives[r].age >= self.lives[r].length {
                self.lives[r] = self.begin(r);
            }
        }
    }

    /// A new life in lane `r`.
    fn begin(&mut self, r: usize) -> Life {
        let (goal, lanes, number) = (self.goal, self.lanes, self.started);
        self.started += 1;
        // Half of the lanes take the disjuncts in turn, those that were nearest first and more often.
        let turn = number / 2;
        let rank = if turn % 2 == 0 { turn / 2 } else { self.random.below(1 + self.order.len() / 2) };
        let mut disjunct = self.order[rank % self.order.len()];
        let nearest = number % 2 == 0 && goal.boxes.len() == 1;
        let corner = number % 8 == 1;
        let face = number % 8 == 4 || number % 8 == 5;
        let middle = number == 0;
        let near = if number >= lanes && number % 8 == 6 { self.record.clone() } else { None };
        let handed = if middle { None } else { self.queue.pop() };
        if let (Some((_, d, _)), None) = (&near, &handed) {
            disjunct = *d;
        }
        let on = self.region.unwrap_or(goal.boxes[goal.case_of[disjunct]]);
        let mut open = 0;
        for j in 0..on.lower.len() {
            let (l, u) = (on.lower[j], on.upper[j]);
            open += usize::from(l < u);
            let t = self.random.unit();
            let x = match (&handed, &near) {
                (Some(point), _) => point[j],
                (None, Some((_, _, point))) => point[j] + 0.1 * (2.0 * t - 1.0) * (u - l),
                _ if middle => 0.5 * l + 0.5 * u,
                _ if corner || (face && self.random.unit() < 0.5) => {
                    if t < 0.5 {
                        l
                    } else {
                        u
                    }
                }
                _ => l + t * (u - l),
            };
            let at = j * lanes + r;
            (self.lower[at], self.upper[at]) = (l, u);
            self.x[at] = if x.is_nan() { l } else { x.max(l).min(u) };
            self.before[at] = self.x[at];
            self.best[at] = self.x[at];
        }
        let fresh = handed.is_none() && near.is_none();
        let wander = if fresh && !middle && number % 4 >= 2 { (self.steps / 6).clamp(1, 4) } else { 0 };
        if wander > 0 {
            for k in 0..goal.outputs() {
                self.wanders[k * lanes + r] = 2.0 * self.random.unit() - 1.0;
            }
        }
        let signs = open > FEW_INPUTS || number / 2 % 2 == 0;
        self.signs[r] = if signs { 1.0 } else { 0.0 };
        self.stride[r] = if fresh { 0.5 } else { 0.1 };
        let interval = (self.steps * 22).div_ceil(100).max(2);
        Life {
            age: 0,
            length: self.steps + wander,
            wander,
            sums: number / 4 % 2 == 1,
            disjunct,
            nearest,
            plateau: false,
            best: f32::INFINITY,
            improved: 0,
            best_then: f32::INFINITY,
            halved: true,
            next_check: wander + interval,
            interval,
        }
    }

    /// Losses, records and checkpoints of all lanes; a point that is a witness, if one is.
    fn look(&mut self, judge: Judge<'_>) -> Option<Witness> {
        let (goal, lanes) = (self.goal, self.lanes);
        let mut found: Vec<(f32, usize)> = Vec::new();
        for r in 0..lanes {
            let (target, loss, depth) = self.measure(r);
            self.targets[r] = target;
            self.losses[r] = loss;
            if depth <= 0.0 {
                found.push((depth, r));
            }
            if depth < self.record.as_ref().map_or(f32::INFINITY, |record| record.0) {
                let point = self.x[r..].iter().step_by(lanes).copied().collect();
                self.record = Some((depth, target, point));
            }
        }
        if self.started == lanes && goal.boxes.len() == 1 {
            self.rank();
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (_, r) in found.into_iter().take(REPLAYS) {
            let point: Vec<f32> = self.x[r..].iter().step_by(lanes).copied().collect();
            if let Some(witness) = judge(&point) {
                return Some(witness);
            }
        }
        for r in 0..lanes {
            self.account(r);
        }
        None
    }

    /// Of lane `r`: the disjunct it attacks, its loss, and the largest row of that disjunct.
    fn measure(&self, r: usize) -> (usize, f32, f32) {
        let (goal, lanes, life) = (self.goal, self.lanes, &self.lives[r]);
        let largest = |d: usize| {
            // A NaN is no violation.
            let rows = goal.rows_of(d).map(|row| self.rows[row * lanes + r]);
            rows.fold(f32::NEG_INFINITY, |m, v| if v.is_nan() { f32::INFINITY } else { m.max(v) })
        };
        let (target, depth) = if life.nearest {
            let all = (0..goal.disjuncts()).map(|d| (d, largest(d)));
            all.min_by(|a, b| a.1.total_cmp(&b.1)).expect("a goal has a disjunct")
        } else {
            (life.disjunct, largest(life.disjunct))
        };
        if !life.sums || depth <= 0.0 {
            return (target, depth, depth);
        }
        let squares: f32 = goal.rows_of(target).map(|row| self.rows[row * lanes + r].max(0.0).powi(2)).sum();
        (target, squares.sqrt(), depth)
    }

    /// Puts the disjuncts in the order of their loss at the first lane, which is in the middle.
    fn rank(&mut self) {
        let (goal, lanes) = (self.goal, self.lanes);
        let loss =
            |d: usize| goal.rows_of(d).map(|row| self.rows[row * lanes]).fold(f32::NEG_INFINITY, f32::max);
        let mut order: Vec<(f32, usize)> = (0..goal.disjuncts()).map(|d| (loss(d), d)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.order = order.into_iter().map(|(_, d)| d).collect();
    }

    /// Takes note of lane `r`'s loss; at a checkpoint, halves the stride and goes back to the best point if that is due.
    fn account(&mut self, r: usize) {
        let (lanes, loss) = (self.lanes, self.losses[r]);
        let life = &mut self.lives[r];
        life.age += 1;
        if life.wander > 0 {
            life.wander -= 1;
            return;
        }
        if loss < life.best || life.plateau && loss == life.best {
            life.best = loss;
            life.improved += 1;
            copy_lane(&self.x, &mut self.best, lanes, r);
        }
        if life.age < life.next_check {
            return;
        }
        let stuck = !life.halved && !life.plateau && life.best >= life.best_then;
        let due = 4 * life.improved < 3 * life.interval || stuck;
        if due || life.plateau {
            self.stride[r] *= 0.5;
        }
        if due {
            copy_lane(&self.best, &mut self.x, lanes, r);
            copy_lane(&self.best, &mut self.before, lanes, r);
        }
        life.halved = due;
        life.best_then = life.best;
        life.improved = 0;
        life.interval = (life.interval - (3 * life.length).div_ceil(100).min(life.interval - 1))
            .max((6 * life.length).div_ceil(100))
            .max(1);
        life.next_check = life.age + life.interval;
    }

    /// What each lane's step is to lower: its row, its rows, or a random direction of the outputs.
    fn weigh(&mut self) {
        let (goal, lanes) = (self.goal, self.lanes);
        let mut weights = std::mem::take(&mut self.weights);
        weights.clear();
        weights.resize(goal.outputs() * lanes, 0.0);
        for (r, life) in self.lives.iter().enumerate() {
            if life.wander > 0 {
                for k in 0..goal.outputs() {
                    weights[k * lanes + r] = self.wanders[k * lanes + r];
                }
                continue;
            }
            let value = |row: &usize| self.rows[row * lanes + r];
            let rows = goal.rows_of(self.targets[r]);
            let largest =
                rows.clone().max_by(|a, b| value(a).total_cmp(&value(b))).expect("a disjunct has a row");
            let top = value(&largest);
            let norm = self.losses[r];
            if life.sums && top > 0.0 && norm.is_finite() {
                for row in rows {
                    goal.add_row(row, value(&row).max(0.0) / norm, &mut weights, lanes, r);
                }
            } else {
                goal.add_row(largest, 1.0, &mut weights, lanes, r);
            }
        }
        self.weights = weights;
    }
}

fn copy_lane(from: &[f32], to: &mut [f32], lanes: usize, r: usize) {
    to[r..].iter_mut().step_by(lanes).zip(from[r..].iter().step_by(lanes)).for_each(|(t, f)| *t = *f);
}

/// What a step reads and changes, as in [`Swarm`].
struct Moving<'m> {
    x: &'m mut [f32],
    before: &'m mut [f32],
    lower: &'m [f32],
    upper: &'m [f32],
    stride: &'m [f32],
    signs: &'m [f32],
    scale: &'m mut [f32],
}

/// One step of all lanes against `gradient` `[inputs, lanes]`.
fn advance(lanes: usize, gradient: &[f32], m: Moving<'_>) {
    wide(|| {
        if m.signs.contains(&0.0) {
            largest(lanes, gradient, m.lower, m.upper, m.scale);
        }
        step(lanes, gradient, m);
    });
}

/// `scale[r] = 1 / maxⱼ |gradient · width|`, 0 where that is not finite.
#[inline(always)]
fn largest(lanes: usize, gradient: &[f32], lower: &[f32], upper: &[f32], scale: &mut [f32]) {
    scale.fill(0.0);
    for ((g, l), u) in
        gradient.chunks_exact(lanes).zip(lower.chunks_exact(lanes)).zip(upper.chunks_exact(lanes))
    {
        for (((s, g), l), u) in scale.iter_mut().zip(g).zip(l).zip(u) {
            *s = s.max((g * (u - l)).abs());
        }
    }
    for s in scale.iter_mut() {
        *s = if *s > 0.0 && s.is_finite() { 1.0 / *s } else { 0.0 };
    }
}

#[inline(always)]
fn step(lanes: usize, gradient: &[f32], m: Moving<'_>) {
    let ends = m.lower.chunks_exact(lanes).zip(m.upper.chunks_exact(lanes));
    let places = m.x.chunks_exact_mut(lanes).zip(m.before.chunks_exact_mut(lanes));
    for (((x, before), g), (lower, upper)) in places.zip(gradient.chunks_exact(lanes)).zip(ends) {
        for r in 0..lanes {
            let (l, u, at, width) = (lower[r], upper[r], x[r], upper[r] - lower[r]);
            let g = g[r];
            // A NaN moves nothing.
            let sign = if g > 0.0 {
                1.0
            } else if g < 0.0 {
                -1.0
            } else {
                0.0
            };
            let raw = g * width * m.scale[r];
            let raw = if raw.is_nan() { 0.0 } else { raw };
            let direction = m.signs[r] * sign + (1.0 - m.signs[r]) * raw;
            let there = (at - m.stride[r] * width * direction).max(l).min(u);
            let next = at + MOMENTUM_SHARE * (there - at) + (1.0 - MOMENTUM_SHARE) * (at - before[r]);
            before[r] = at;
            x[r] = next.max(l).min(u);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{case, network};
    use super::super::{DenseLayers, DensePoints};
    use super::*;

    #[test]
    fn a_step_follows_the_gradient_of_the_loss_as_difference_quotients_have_it() {
        let chain = network(&[3, 12, 12, 3], 7);
        let layers = chain.core_layers();
        let dense = DenseLayers::new(&layers);
        // Two disjuncts, of one row and of three.
        let rows = [vec![1.0, -1.0, 0.0], vec![1.0, 2.0, 0.5], vec![-1.0, 0.0, 3.0], vec![0.0, 1.0, 1.0]];
        let case = case(3, &[&rows[..1], &rows[1..]], -9.0);
        let goal = Goal::new([&case], 3);
        let mut swarm = Swarm::new(&goal, 32, 20, 3);
        let mut points = DensePoints::new(&dense);
        swarm.renew();
        swarm.lives.iter_mut().for_each(|l| l.wander = 0);
        let y = points.evaluate(&swarm.x, 32).to_vec();
        goal.evaluate(&y, 32, &mut swarm.rows);
        assert!(swarm.look(&|_| None).is_none());
        swarm.weigh();
        let gradient = points.gradient(&swarm.weights, 0.0).to_vec();
        let loss = |x: &[f64], target: usize, sums: bool| -> f64 {
            let y = chain.eval_f64(x);
            let rows = case.disjuncts[target].rows.iter();
            let values = rows.map(|r| r.coefficients.iter().zip(&y).map(|(c, y)| c * y).sum::<f64>() + 9.0);
            if sums {
                values.map(|v| v.max(0.0).powi(2)).sum::<f64>().sqrt()
            } else {
                values.fold(f64::MIN, f64::max)
            }
        };
        let mut seen = [0, 0];
        for r in 0..32 {
            let (target, sums) = (swarm.targets[r], swarm.lives[r].sums);
            let at: Vec<f64> = (0..3).map(|j| f64::from(swarm.x[j * 32 + r])).collect();
            assert!((loss(&at, target, sums) - f64::from(swarm.losses[r])).abs() < 1e-4, "lane {r}");
            for j in 0..3 {
                let (mut above, mut below) = (at.clone(), at.clone());
                above[j] += 1e-6;
                below[j] -= 1e-6;
                let quotient = (loss(&above, target, sums) - loss(&below, target, sums)) / 2e-6;
                let found = f64::from(gradient[j * 32 + r]);
                assert!(
                    (quotient - found).abs() < 1e-3 * (1.0 + quotient.abs()),
                    "lane {r}, input {j}: {found} {quotient}"
                );
            }
            seen[usize::from(sums && target == 1)] += 1;
        }
        assert!(seen[0] > 0 && seen[1] > 0, "both kinds of loss were met: {seen:?}");
    }
}
