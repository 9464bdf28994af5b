//! Points that satisfy several rows at once, by damped Gauss-Newton steps: for conjunctions over few inputs, where descent on the
//! largest row zigzags between rows.
//!
//! A lane's residuals are its disjunct's rows plus a margin, as far as they are positive; the step `d` minimises
//! `‖J d + r‖² + λ ‖d‖²` over the inputs in units of the box's widths, without those at an end of the box that the gradient presses
//! against. A step that lowers the residuals is taken and `λ` lowered, else `λ` is raised. Margins differ from lane to lane, because
//! a point on the threshold itself is no witness once rounded.
//!
//! Source: Levenberg 1944, Marquardt 1963 (their damping); one-sided residuals as in penalty methods.

use super::goal::{Goal, PointBox};
use super::random::Random;
use super::{Judge, Points};
use crate::property::Witness;

/// Most open inputs and most rows of a disjunct.
const MOST: usize = 12;
/// Margins, as shares of the largest row at the start.
const MARGINS: [f32; 4] = [1e-5, 1e-4, 1e-3, 1e-2];
/// Damping at the start, after a step that pays, and after one that does not.
const DAMPING: [f64; 3] = [1e-2, 0.3, 4.0];

/// Whether there is a disjunct of several rows, and rows and inputs are few enough.
pub fn applies(goal: &Goal<'_>, region: PointBox<'_>) -> bool {
    let open = region.lower.iter().zip(region.upper).filter(|(l, u)| l < u).count();
    let rows = (0..goal.disjuncts()).map(|d| goal.rows_of(d).len());
    rows.max().is_some_and(|rows| (2..=MOST).contains(&rows)) && (1..=MOST).contains(&open)
}

/// `steps` steps of `lanes` points (a multiple of 16) of `region`, until a witness is found or `stop` says so.
pub fn solve(
    goal: &Goal<'_>,
    region: PointBox<'_>,
    (lanes, steps, seed): (usize, usize, u64),
    points: &mut dyn Points,
    judge: Judge<'_>,
    stop: &dyn Fn() -> bool,
) -> Option<Witness> {
    let several: Vec<usize> = (0..goal.disjuncts()).filter(|d| goal.rows_of(*d).len() > 1).collect();
    let open: Vec<usize> = (0..region.lower.len()).filter(|j| region.lower[*j] < region.upper[*j]).collect();
    let mut x = starts(region, lanes, &mut Random::new(seed));
    let mut rows = Vec::new();
    goal.evaluate(points.evaluate(&x, lanes), lanes, &mut rows);
    let mut lives: Vec<Lane> = (0..lanes)
        .map(|r| {
            let disjunct = several[r / MARGINS.len() % several.len()];
            let size = goal.rows_of(disjunct).map(|row| rows[row * lanes + r].abs()).fold(0.0, f32::max);
            Lane {
                disjunct,
                margin: MARGINS[r % MARGINS.len()] * size,
                damping: DAMPING[0],
                loss: f32::INFINITY,
            }
        })
        .collect();
    let mut kept = x.clone();
    let mut system: Vec<System> = lives.iter().map(|_| System::default()).collect();
    for _ in 0..steps {
        if let Some(witness) = look(goal, &rows, &x, lanes, judge) {
            return Some(witness);
        }
        if stop() {
            return None;
        }
        let mut better = vec![false; lanes];
        for (r, life) in lives.iter_mut().enumerate() {
            let loss = life.residuals(goal, &rows, lanes, r).map(|(_, v)| v * v).sum::<f32>();
            better[r] = loss < life.loss;
            life.damping *= if better[r] { DAMPING[1] } else { DAMPING[2] };
            if better[r] {
                life.loss = loss;
                system[r] = System::default();
                x[r..]
                    .iter()
                    .step_by(lanes)
                    .zip(kept[r..].iter_mut().step_by(lanes))
                    .for_each(|(x, k)| *k = *x);
            }
        }
        linearise(goal, region, &open, lanes, &lives, &rows, &better, points, &mut system);
        for (r, life) in lives.iter().enumerate() {
            let step = system[r].solve(open.len(), life.damping, |k| {
                let (j, at) = (open[k], kept[open[k] * lanes + r]);
                (at <= region.lower[j], at >= region.upper[j])
            });
            for (d, j) in step.iter().zip(&open) {
                let (l, u, at) = (region.lower[*j], region.upper[*j], kept[j * lanes + r]);
                let next = at + *d as f32 * (u - l);
                x[j * lanes + r] = if next.is_nan() { at } else { next.max(l).min(u) };
            }
        }
        goal.evaluate(points.evaluate(&x, lanes), lanes, &mut rows);
    }
    look(goal, &rows, &x, lanes, judge)
}

/// One lane's task.
struct Lane {
    disjunct: usize,
    margin: f32,
    damping: f64,
    /// The lowest sum of squares so far.
    loss: f32,
}

impl Lane {
    /// The positive residuals with their rows.
    fn residuals<'r>(
        &self,
        goal: &Goal<'_>,
        rows: &'r [f32],
        lanes: usize,
        r: usize,
    ) -> impl Iterator<Item = (usize, f32)> + use<'r> {
        let margin = self.margin;
        let values = goal.rows_of(self.disjunct).map(move |row| (row, rows[row * lanes + r] + margin));
        values.filter(|(_, v)| *v > 0.0)
    }
}

/// The residuals of a lane's best point and their gradients by the open inputs.
#[derive(Clone, Debug, Default)]
struct System {
    residuals: Vec<f64>,
    gradients: Vec<Vec<f64>>,
}

impl System {
    /// The step over `n` open inputs; `ends` says whether an input is at its lower and at its upper end.
    fn solve(&self, n: usize, damping: f64, ends: impl Fn(usize) -> (bool, bool)) -> Vec<f64> {
        let pull = |k: usize| self.residuals.iter().zip(&self.gradients).map(|(r, g)| r * g[k]).sum::<f64>();
        let free: Vec<usize> = (0..n)
            .filter(|k| {
                let (low, high) = ends(*k);
                let pull = pull(*k);
                !(low && pull > 0.0 || high && pull < 0.0)
            })
            .collect();
        let m = free.len();
        let trace: f64 = self.gradients.iter().flat_map(|g| free.iter().map(|k| g[*k] * g[*k])).sum();
        let ridge = damping * (trace / m.max(1) as f64).max(1e-30);
        // Normal equations with their right-hand side as the last column.
        let mut a = vec![vec![0.0; m + 1]; m];
        for (i, ki) in free.iter().enumerate() {
            for (j, kj) in free.iter().enumerate() {
                a[i][j] = self.gradients.iter().map(|g| g[*ki] * g[*kj]).sum::<f64>();
            }
            a[i][i] += ridge;
            a[i][m] = -pull(*ki);
        }
        let mut step = vec![0.0; n];
        for (value, k) in eliminate(a).into_iter().zip(&free) {
            step[*k] = value;
        }
        step
    }
}

/// The solution of a positive definite system `[m, m + 1]` by elimination; NaN where it is singular.
fn eliminate(mut a: Vec<Vec<f64>>) -> Vec<f64> {
    let m = a.len();
    for i in 0..m {
        let (done, rest) = a.split_at_mut(i + 1);
        let pivot = &done[i];
        for row in rest {
            let factor = row[i] / pivot[i];
            row.iter_mut().zip(pivot).for_each(|(v, p)| *v -= factor * p);
        }
    }
    let mut x = vec![0.0; m];
    for i in (0..m).rev() {
        let known: f64 = (i + 1..m).map(|j| a[i][j] * x[j]).sum();
        x[i] = (a[i][m] - known) / a[i][i];
    }
    x
}

/// Residuals and gradients of the lanes that moved: one backward pass for each row that some of them needs.
#[expect(clippy::too_many_arguments, reason = "the parts of one step")]
fn linearise(
    goal: &Goal<'_>,
    region: PointBox<'_>,
    open: &[usize],
    lanes: usize,
    lives: &[Lane],
    rows: &[f32],
    better: &[bool],
    points: &mut dyn Points,
    system: &mut [System],
) {
    let mut wanted: Vec<Vec<(usize, f32)>> = lives.iter().map(|_| Vec::new()).collect();
    for (r, life) in lives.iter().enumerate().filter(|(r, _)| better[*r]) {
        wanted[r] = life.residuals(goal, rows, lanes, r).collect();
    }
    let passes = wanted.iter().map(Vec::len).max().unwrap_or(0);
    for pass in 0..passes {
        let mut weights = vec![0.0; goal.outputs() * lanes];
        for (r, wanted) in wanted.iter().enumerate() {
            if let Some((row, _)) = wanted.get(pass) {
                goal.add_row(*row, 1.0, &mut weights, lanes, r);
            }
        }
        let gradient = points.gradient(&weights, 0.0);
        for (r, wanted) in wanted.iter().enumerate() {
            if let Some((_, value)) = wanted.get(pass) {
                let scaled =
                    |j: &usize| f64::from(gradient[j * lanes + r] * (region.upper[*j] - region.lower[*j]));
                system[r].residuals.push(f64::from(*value));
                system[r].gradients.push(open.iter().map(scaled).collect());
            }
        }
    }
}

/// Uniform points, for half of the lanes with half of the inputs at an end.
fn starts(region: PointBox<'_>, lanes: usize, random: &mut Random) -> Vec<f32> {
    let mut x = Vec::with_capacity(region.lower.len() * lanes);
    for (l, u) in region.lower.iter().zip(region.upper) {
        for r in 0..lanes {
            let (t, end) = (random.unit(), random.unit());
            let t = if r / MARGINS.len() % 2 == 1 && end < 0.5 { t.round() } else { t };
            x.push((l + t * (u - l)).max(*l).min(*u));
        }
    }
    x
}

fn look(goal: &Goal<'_>, rows: &[f32], x: &[f32], lanes: usize, judge: Judge<'_>) -> Option<Witness> {
    (0..lanes).filter(|r| goal.is_met(rows, lanes, *r)).find_map(|r| {
        let point: Vec<f32> = x[r..].iter().step_by(lanes).copied().collect();
        judge(&point)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{case, network};
    use super::super::{DenseLayers, DensePoints};
    use super::*;
    use crate::property::{Property, check_witness};

    #[test]
    fn elimination_solves_a_system() {
        // x = (1, −2, 3).
        let a = vec![vec![4.0, 1.0, 0.5, 3.5], vec![1.0, 3.0, 0.0, -5.0], vec![0.5, 0.0, 2.0, 6.5]];
        let x = eliminate(a);
        [1.0, -2.0, 3.0].iter().zip(&x).for_each(|(e, x)| assert!((e - x).abs() < 1e-12, "{x}"));
    }

    #[test]
    fn outputs_are_steered_into_a_window_of_a_thousandth() {
        let mut missed = 0;
        for seed in 0..10 {
            let chain = network(&[4, 20, 20, 3], 300 + seed);
            let mut random = Random::new(seed);
            let inside: Vec<f64> = (0..4).map(|_| f64::from(1.8 * random.unit() - 0.9)).collect();
            let y = chain.eval_f64(&inside);
            // |yᵢ − y⁰ᵢ| ≤ 0.001 for all three outputs, y⁰ those of a point inside.
            let mut of = case(4, &[&vec![vec![0.0; 3]; 6]], 0.0);
            for (k, row) in of.disjuncts[0].rows.iter_mut().enumerate() {
                let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
                row.coefficients[k / 2] = sign;
                (row.rhs_lower, row.rhs_upper) = (sign * y[k / 2] + 1e-3, sign * y[k / 2] + 1e-3);
            }
            let property = Property { inputs: 4, outputs: 3, cases: vec![of] };
            let layers = chain.core_layers();
            let dense = DenseLayers::new(&layers);
            let goal = Goal::new(&property.cases, 3);
            assert!(applies(&goal, goal.boxes[0]));
            let judge = |x: &[f32]| check_witness(&chain, &property, x);
            let found = solve(
                &goal,
                goal.boxes[0],
                (64, 40, 1000 + seed),
                &mut DensePoints::new(&dense),
                &judge,
                &|| false,
            );
            missed += usize::from(found.is_none());
        }
        assert!(missed <= 1, "missed {missed} of 10");
    }
}
