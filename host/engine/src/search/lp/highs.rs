//! HiGHS as a solver of [`Lp`]s, where its shared library is found at run time.

use super::{Limits, Lp, Optimum, Outcome, dual};
use crate::device::highs::{Highs, HighsError, RawLp, RawOutcome};
use std::sync::OnceLock;
use std::time::Instant;

/// The library, looked for once; see [`Highs::load`] for where.
pub fn library() -> Option<&'static Highs> {
    found().as_ref().ok()
}

/// Why there is no library, in one line.
pub fn missing() -> Option<String> {
    found().as_ref().err().map(ToString::to_string)
}

fn found() -> &'static Result<Highs, HighsError> {
    static FOUND: OnceLock<Result<Highs, HighsError>> = OnceLock::new();
    FOUND.get_or_init(Highs::load)
}

impl Highs {
    /// Solves an [`Lp`].
    ///
    /// # Errors
    /// [`HighsError`].
    pub fn solve_lp(&self, lp: &Lp, limits: Limits) -> Result<Outcome, HighsError> {
        let int = |x: usize| i32::try_from(x).map_err(|_| HighsError::Call("an LP of 2³¹ entries"));
        let starts: Vec<i32> = lp.starts[..lp.rows()].iter().map(|s| int(*s)).collect::<Result<_, _>>()?;
        let columns: Vec<i32> = lp.columns.iter().map(|j| int(*j as usize)).collect::<Result<_, _>>()?;
        let raw = RawLp {
            cost: &lp.cost,
            lower: &lp.lower,
            upper: &lp.upper,
            row_lower: &lp.row_lower,
            row_upper: &lp.row_upper,
            starts: &starts,
            columns: &columns,
            values: &lp.values,
        };
        let left = |d: Instant| d.saturating_duration_since(Instant::now()).as_secs_f64().max(1e-3);
        let outcome = self.solve(raw, limits.deadline.map_or(1e9, left))?;
        let admissible = |mut duals: Vec<f64>| {
            dual::admissible(lp, &mut duals);
            duals
        };
        Ok(match outcome {
            RawOutcome::Optimal { primal, duals } => {
                Outcome::Optimal(Optimum { value: lp.value(&primal), primal, duals: admissible(duals) })
            }
            RawOutcome::Infeasible { ray } => {
                let ray = ray.ok_or(HighsError::Call("Highs_getDualRay"))?;
                let either = [admissible(ray.clone()), admissible(ray.iter().map(|y| -y).collect())];
                let proved = either.into_iter().find(|y| dual::infeasibility(lp, y) > 0.0);
                Outcome::Infeasible { ray: proved.ok_or(HighsError::Call("Highs_getDualRay"))? }
            }
            RawOutcome::Other { duals } => {
                let duals = admissible(duals);
                Outcome::Stopped { bound: dual::bound(lp, &duals), duals }
            }
        })
    }
}
