//! Rows of a disjunct that contradict each other on a domain, although none is refuted by itself.
//!
//! CROWN bounds row `k` from below by `aₖ·x + bₖ` on the box. A violation makes all rows of a disjunct at most 0, and so every
//! combination `Σ wₖ(aₖ·x + bₖ)`, `wₖ ≥ 0`: if one is positive on the box, there is none. By duality that is all that clipping the
//! box by the rows' linear bounds (Zhou et al. 2025, arXiv:2512.11087) could show by an empty box. Cutting off slices that one row
//! refutes, as leaves of their own, took more domains than it saved on ACAS-like networks of two to five inputs.

use crate::bounds::crown::Region;

/// The linear lower bounds of a disjunct's rows on a box.
pub(super) struct Rows {
    inputs: usize,
    /// `aₖ`, `[rows, inputs]`.
    slopes: Vec<f32>,
    /// Lowest value of each on the box.
    lowest: Vec<f32>,
}

/// Steps of the weights, and the first one's length.
const ROUNDS: usize = 40;
const RATE: f32 = 3.0;
/// Share of the rows' values that rounding may take.
const ROUNDING: f32 = 1e-6;

impl Rows {
    /// Rows `range` of `coefficients` (`[inputs, lanes]`) with their least values `lowest`.
    pub fn new(
        coefficients: &[f32],
        lanes: usize,
        range: std::ops::Range<usize>,
        lowest: &[f32],
        inputs: usize,
    ) -> Self {
        let slopes = range.clone().flat_map(|row| (0..inputs).map(move |j| coefficients[j * lanes + row]));
        Self { inputs, slopes: slopes.collect(), lowest: lowest[range].to_vec() }
    }

    fn slopes(&self, row: usize) -> &[f32] {
        &self.slopes[row * self.inputs..][..self.inputs]
    }

    /// Weights under which the rows' sum is greatest where it is least, and whether it is positive there.
    ///
    /// The least value of the sum on the box is concave in the weights; its supergradient are the rows' values where it is attained.
    /// Multiplicative steps along it keep the weights on the simplex (Beck and Teboulle 2003, entropic mirror descent).
    pub fn contradiction(&self, region: Region<'_>) -> (Vec<f32>, bool) {
        let count = self.lowest.len();
        let constants: Vec<f32> =
            (0..count).map(|row| self.lowest[row] - least(self.slopes(row), region)).collect();
        let scale = self.lowest.iter().fold(f32::MIN_POSITIVE, |s, v| s.max(v.abs()));
        let (mut weights, mut sum) = (vec![1.0 / count as f32; count], vec![0.0f32; self.inputs]);
        for round in 0..ROUNDS {
            sum.fill(0.0);
            for (row, weight) in weights.iter().enumerate() {
                sum.iter_mut().zip(self.slopes(row)).for_each(|(s, a)| *s += weight * a);
            }
            let values: Vec<f32> =
                (0..count).map(|row| constants[row] + self.at_least(row, &sum, region)).collect();
            let value: f32 = weights.iter().zip(&values).map(|(w, v)| w * v).sum();
            if value > ROUNDING * scale {
                return (weights, true);
            }
            let rate = RATE / (scale * ((round + 1) as f32).sqrt());
            weights.iter_mut().zip(&values).for_each(|(w, v)| *w *= (rate * v).clamp(-30.0, 30.0).exp());
            let total: f32 = weights.iter().sum();
            weights.iter_mut().for_each(|w| *w /= total);
        }
        (weights, false)
    }

    /// The slopes of `row` times the point of the box at which `sum·x` is least.
    fn at_least(&self, row: usize, sum: &[f32], region: Region<'_>) -> f32 {
        let ends = region.lower.iter().zip(region.upper);
        let terms = self.slopes(row).iter().zip(sum).zip(ends);
        terms.map(|((a, s), (l, u))| if *s >= 0.0 { a * l } else { a * u }).sum()
    }
}

/// The least value of `slopes·x` on a box.
fn least(slopes: &[f32], region: Region<'_>) -> f32 {
    let ends = region.lower.iter().zip(region.upper);
    slopes.iter().zip(ends).map(|(a, (l, u))| if *a >= 0.0 { a * l } else { a * u }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(state: &mut u64) -> f32 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// Rows `a·x + b` on a box, in the search's layout.
    fn rows(slopes: &[Vec<f32>], constants: &[f32], region: Region<'_>) -> Rows {
        let (inputs, count) = (region.lower.len(), slopes.len());
        let lanes = count + 3;
        let mut coefficients = vec![f32::NAN; inputs * lanes];
        for (k, row) in slopes.iter().enumerate() {
            row.iter().enumerate().for_each(|(j, a)| coefficients[j * lanes + k] = *a);
        }
        let lowest: Vec<f32> = slopes.iter().zip(constants).map(|(a, b)| b + least(a, region)).collect();
        Rows::new(&coefficients, lanes, 0..count, &lowest, inputs)
    }

    #[test]
    fn rows_that_a_point_satisfies_do_not_contradict() {
        let mut state = 7;
        let (mut contradicted, mut kept) = (0, 0);
        for _ in 0..400 {
            let (lower, upper) = ([-1.0f32, -0.5, 0.0], [1.0f32, 0.5, 2.0]);
            let region = Region { lower: &lower, upper: &upper };
            let slopes: Vec<Vec<f32>> =
                (0..4).map(|_| (0..3).map(|_| random(&mut state)).collect()).collect();
            let constants: Vec<f32> = (0..4).map(|_| random(&mut state)).collect();
            let rows = rows(&slopes, &constants, region);
            let (weights, excluded) = rows.contradiction(region);
            contradicted += usize::from(excluded);
            assert!(weights.iter().all(|w| *w >= 0.0), "{weights:?}");
            for _ in 0..200 {
                let x: Vec<f32> = (0..3)
                    .map(|j| lower[j] + (upper[j] - lower[j]) * (0.5 + 0.5 * random(&mut state)))
                    .collect();
                let value =
                    |k: usize| constants[k] + slopes[k].iter().zip(&x).map(|(a, x)| a * x).sum::<f32>();
                if (0..4).all(|k| value(k) <= 0.0) {
                    kept += 1;
                    assert!(!excluded, "{x:?} satisfies all rows that are said to contradict");
                }
            }
        }
        assert!(contradicted > 50 && kept > 50, "{contradicted} {kept}");
    }

    /// `x + y ≤ 0` and `−x − y + 1 ≤ 0` hold for no point; each alone holds for some.
    #[test]
    fn two_rows_that_exclude_each_other_are_found() {
        let region = Region { lower: &[-3.0, -2.0], upper: &[2.0, 3.0] };
        let rows = rows(&[vec![1.0, 1.0], vec![-1.0, -1.0]], &[0.0, 1.0], region);
        let (weights, excluded) = rows.contradiction(region);
        assert!(excluded);
        assert!((weights[0] - weights[1]).abs() <= 0.2 * weights[0], "{weights:?}");
    }
}
