//! Scaling by powers of two, exact to undo: columns to boxes of about unit reach, rows and cost to a largest coefficient of about 1.

use super::Lp;

/// Factors of a scaled LP: `x = column·x'`, `row·(a·x)` is the scaled row, `cost·(c·x)` the scaled objective.
#[derive(Clone, Debug)]
pub struct Scaling {
    column: Vec<f64>,
    row: Vec<f64>,
    cost: f64,
}

/// The power of two next to `1/x`, kept far from overflow; 1 for 0.
fn inverse_power(x: f64) -> f64 {
    if x > 0.0 && x.is_finite() { (-x.log2().round().clamp(-300.0, 300.0)).exp2() } else { 1.0 }
}

impl Scaling {
    /// The scaled LP and its factors.
    pub fn of(lp: &Lp) -> (Lp, Self) {
        let width = |(l, u): (&f64, &f64)| {
            let reach = (u - l).max(1e-6 * l.abs().max(u.abs()));
            inverse_power(inverse_power(reach))
        };
        let column: Vec<f64> = lp.lower.iter().zip(&lp.upper).map(width).collect();
        let mut out = lp.clone();
        for (j, s) in column.iter().enumerate() {
            out.lower[j] /= s;
            out.upper[j] /= s;
            out.cost[j] *= s;
        }
        let mut row = Vec::with_capacity(lp.rows());
        for i in 0..lp.rows() {
            let range = lp.starts[i]..lp.starts[i + 1];
            for (a, j) in out.values[range.clone()].iter_mut().zip(&lp.columns[range.clone()]) {
                *a *= column[*j as usize];
            }
            let values = &mut out.values[range];
            let s = inverse_power(values.iter().fold(0.0, |m: f64, a| m.max(a.abs())));
            values.iter_mut().for_each(|a| *a *= s);
            out.row_lower[i] *= s;
            out.row_upper[i] *= s;
            row.push(s);
        }
        let cost = inverse_power(out.cost.iter().fold(0.0, |m: f64, c| m.max(c.abs())));
        out.cost.iter_mut().for_each(|c| *c *= cost);
        (out, Self { column, row, cost })
    }

    /// Unscales a point.
    pub fn primal(&self, x: &[f64]) -> Vec<f64> {
        x.iter().zip(&self.column).map(|(x, s)| x * s).collect()
    }

    /// Unscales multipliers of the objective.
    pub fn duals(&self, y: &[f64]) -> Vec<f64> {
        y.iter().zip(&self.row).map(|(y, s)| y * s / self.cost).collect()
    }

    /// Unscales a ray.
    pub fn ray(&self, y: &[f64]) -> Vec<f64> {
        y.iter().zip(&self.row).map(|(y, s)| y * s).collect()
    }

    /// Scales a value of the objective.
    pub fn objective(&self, value: f64) -> f64 {
        value * self.cost
    }
}
