//! AutoPGD: steps with momentum whose length halves where the loss no longer rises.
//!
//! From `x₀`, with `h` half the box's width and step sizes `η` of each lane, 2 at first:
//!
//! ```text
//! z = clamp(x + η h sign ∇f(x)),    x' = clamp(x + α (z − x) + (1 − α)(x − x_before)),    α = 1 at first, then 0.75.
//! ```
//!
//! At the checkpoints `w_j = ⌈p_j N⌉`, `p = 0, 0.22, …, p_j + max(p_j − p_{j−1} − 0.03, 0.06)`, a lane's `η` is halved and `x` goes back to the
//! best point so far if the loss rose in fewer than `ρ = 0.75` of the steps since the last checkpoint, or if since then neither `η` was halved
//! nor the best loss rose.
//!
//! Source: Croce and Hein 2020 (arXiv:2003.01690), algorithm 1 and section 3.

use super::{Attack, Found, Region, copy_lane, sign};
use crate::model::{Model, Random};

/// The algorithm's settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AutoPgd {
    /// Steps of each start. Default 100, range 1…
    pub steps: usize,
    /// Random starts. Default 1, range 1…
    pub starts: usize,
}

impl Default for AutoPgd {
    fn default() -> Self {
        Self { steps: 100, starts: 1 }
    }
}

/// `α`.
const SHARE: f32 = 0.75;
/// `ρ`.
const RISES: f64 = 0.75;

/// What is known of each lane on the way from one start.
struct Course {
    step: Vec<f32>,
    /// The best point and its loss.
    best: Vec<f32>,
    top: Vec<f32>,
    /// The loss of the present point.
    now: Vec<f32>,
    /// Steps since the last checkpoint at which the loss rose.
    rises: Vec<usize>,
    /// Best loss at the last checkpoint, and whether the step was halved there.
    top_before: Vec<f32>,
    halved: Vec<bool>,
}

impl Attack {
    /// The worst points found; `targets` `[classes, lanes]` is 1 at the label, else 0.
    ///
    /// # Panics
    /// If shapes are other than the model's.
    pub fn auto_pgd(
        &mut self,
        model: &Model,
        region: Region<'_>,
        targets: &[f32],
        settings: &AutoPgd,
        random: &mut Random,
    ) -> Found {
        self.check(model, region, targets);
        let mut best = Found::nothing(region.lower, self.lanes);
        for _ in 0..settings.starts.max(1) {
            let start = region.draw(random);
            self.course(model, region, targets, settings.steps, start, &mut best);
            if best.is_complete() {
                break;
            }
        }
        self.confirm(model, region, targets, best)
    }

    fn course(
        &mut self,
        model: &Model,
        region: Region<'_>,
        targets: &[f32],
        steps: usize,
        mut x: Vec<f32>,
        best: &mut Found,
    ) {
        self.evaluate(model, &x, targets);
        self.keep(&x, best);
        let mut course = Course::new(&x, self.losses());
        let mut gradient = self.gradient().to_vec();
        let mut top_gradient = gradient.clone();
        let mut before = x.clone();
        let checkpoints = checkpoints(steps);
        let mut last = 0;
        for k in 0..steps {
            let share = if k == 0 { 1.0 } else { SHARE };
            climb(&mut x, &mut before, &gradient, region, &course.step, share);
            self.evaluate(model, &x, targets);
            self.keep(&x, best);
            gradient.copy_from_slice(self.gradient());
            for lane in course.note(&x, self.losses()) {
                copy_lane(&gradient, &mut top_gradient, lane, self.lanes);
            }
            if checkpoints.contains(&(k + 1)) {
                for lane in course.halve(k + 1 - last) {
                    copy_lane(&course.best, &mut x, lane, self.lanes);
                    copy_lane(&top_gradient, &mut gradient, lane, self.lanes);
                }
                last = k + 1;
            }
        }
    }
}

impl Course {
    fn new(x: &[f32], losses: &[f32]) -> Self {
        let n = losses.len();
        Self {
            step: vec![2.0; n],
            best: x.to_vec(),
            top: losses.to_vec(),
            now: losses.to_vec(),
            rises: vec![0; n],
            top_before: losses.to_vec(),
            halved: vec![false; n],
        }
    }

    /// Takes note of the losses of the next points; the lanes whose point is the best so far.
    fn note(&mut self, x: &[f32], losses: &[f32]) -> Vec<usize> {
        let mut improved = Vec::new();
        for (lane, loss) in losses.iter().enumerate() {
            self.rises[lane] += usize::from(*loss > self.now[lane]);
            self.now[lane] = *loss;
            if *loss > self.top[lane] {
                self.top[lane] = *loss;
                copy_lane(x, &mut self.best, lane, losses.len());
                improved.push(lane);
            }
        }
        improved
    }

    /// Decides at a checkpoint, `count` steps after the last; the lanes that go back to their best point.
    fn halve(&mut self, count: usize) -> Vec<usize> {
        let mut back = Vec::new();
        for lane in 0..self.step.len() {
            let few = (self.rises[lane] as f64) < RISES * count as f64;
            let stuck = !self.halved[lane] && self.top[lane] <= self.top_before[lane];
            self.halved[lane] = few || stuck;
            if self.halved[lane] {
                self.step[lane] *= 0.5;
                self.now[lane] = self.top[lane];
                back.push(lane);
            }
            self.rises[lane] = 0;
            self.top_before[lane] = self.top[lane];
        }
        back
    }
}

/// The steps after which step sizes are decided upon.
fn checkpoints(steps: usize) -> Vec<usize> {
    // In hundredths, which are exact.
    let (mut before, mut now, mut all) = (0, 22, Vec::new());
    while now < 100 {
        all.push((now * steps).div_ceil(100));
        (before, now) = (now, now + (now - before - 3).max(6));
    }
    all.dedup();
    all
}

/// One step of all lanes, with momentum; `before` becomes what `x` was.
fn climb(x: &mut [f32], before: &mut [f32], gradient: &[f32], region: Region<'_>, steps: &[f32], share: f32) {
    let lanes = steps.len();
    let rows = x.chunks_exact_mut(lanes).zip(before.chunks_exact_mut(lanes));
    for (row, (x, before)) in rows.enumerate() {
        let of = |v: &[f32], lane: usize| v[row * lanes + lane];
        for lane in 0..lanes {
            let (lower, upper) = (of(region.lower, lane), of(region.upper, lane));
            let within = |x: f32| x.max(lower).min(upper);
            let z = within(x[lane] + steps[lane] * 0.5 * (upper - lower) * sign(of(gradient, lane)));
            let moved = x[lane] + share * (z - x[lane]) + (1.0 - share) * (x[lane] - before[lane]);
            before[lane] = x[lane];
            x[lane] = within(moved);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first checkpoints of 100 steps, by hand: p = 0.22, 0.41, 0.57, 0.70, 0.80, 0.87, 0.93, 0.99.
    #[test]
    fn checkpoints_are_those_of_the_paper() {
        assert_eq!(checkpoints(100), [22, 41, 57, 70, 80, 87, 93, 99]);
    }

    #[test]
    fn a_lane_halves_its_step_when_its_loss_rises_too_seldom_or_not_at_all() {
        let mut course = Course::new(&[0.0; 3], &[0.0; 3]);
        // Lane 0 rises at each of four steps, lane 1 at two of four, lane 2 at none.
        for k in 1..=4 {
            let k = k as f32;
            course.note(&[k; 3], &[k, if k > 2.0 { -k } else { k }, 0.0]);
        }
        assert_eq!(course.halve(4), [1, 2]);
        assert_eq!(course.step, [2.0, 1.0, 1.0]);
        assert_eq!(course.best, [4.0, 2.0, 0.0]);
        // Just halved: a lane is not halved for want of a better point alone, but it is for too few rises.
        course.now = vec![-9.0; 3];
        for k in 1..=4 {
            course.note(&[9.0; 3], &[4.0, -9.0 + k as f32, -9.0 + k as f32]);
        }
        assert_eq!(
            course.halve(4),
            [0],
            "one rise of four; lanes 1 and 2 rose each time and were halved before"
        );
        assert_eq!(course.halve(0), [1, 2], "no better point, and not halved since");
    }
}
