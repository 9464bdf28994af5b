//! Linear programs over the unit cube and half-spaces, solved exactly by pivoting in integers.
//!
//! A polytope is a list of slacks `≥ 0`, affine in the coordinates `s ∈ [0, 1]ⁿ`: the `sⱼ`, the `1 − sⱼ`, and one per
//! half-space. A *dictionary* writes all of them as affine functions of `n` of them (the non-basic ones):
//! `slack = (row[0] + Σ row[1 + k]·nonbasic[k]) / determinant`, all integers. Setting the non-basic ones to 0 gives a vertex;
//! it lies in the polytope as long as no `row[0]` is negative, which every operation here keeps.
//!
//! Pivoting divides exactly (Edmonds 1967): entries are minors of the rows as they were added, so they stay short. Bland's
//! rule (1977) ends on degenerate vertices too.

use super::number::{Int, Overflow, add, mul, neg};
use num_bigint::BigInt;
use num_rational::BigRational;

/// A polytope that is not empty, seen from one of its vertices.
#[derive(Clone, Debug)]
pub struct Dictionary<T> {
    /// Coordinates.
    n: usize,
    determinant: T,
    /// Which slack each column is; slack `j < n` is the coordinate `sⱼ`.
    nonbasic: Vec<usize>,
    /// Which slack each row is.
    basic: Vec<usize>,
    rows: Vec<Vec<T>>,
    slacks: usize,
}

impl<T: Int> Dictionary<T> {
    /// The unit cube, seen from the origin.
    pub fn cube(n: usize) -> Self {
        let upper = |j: usize| {
            let mut row = vec![T::zero(); n + 1];
            (row[0], row[1 + j]) = (T::one(), -T::one());
            row
        };
        Self {
            n,
            determinant: T::one(),
            nonbasic: (0..n).collect(),
            basic: (n..2 * n).collect(),
            rows: (0..n).map(upper).collect(),
            slacks: 2 * n,
        }
    }

    /// `form[0] + Σ form[1 + j]·sⱼ` in terms of the non-basic slacks, times the determinant.
    fn express(&self, form: &[T]) -> Result<Vec<T>, Overflow> {
        let mut row = vec![T::zero(); self.n + 1];
        row[0] = mul(&form[0], &self.determinant)?;
        for (k, slack) in self.nonbasic.iter().enumerate() {
            if *slack < self.n {
                row[1 + k] = mul(&form[1 + slack], &self.determinant)?;
            }
        }
        for (i, slack) in self.basic.iter().enumerate() {
            if *slack < self.n && !form[1 + slack].is_zero() {
                for (r, b) in row.iter_mut().zip(&self.rows[i]) {
                    *r = add(r, &mul(&form[1 + slack], b)?)?;
                }
            }
        }
        Ok(row)
    }

    /// The part where `form ≥ 0`, which holds at the vertex.
    pub fn cut(mut self, form: &[T]) -> Result<Self, Overflow> {
        let row = self.express(form)?;
        debug_assert!(!row[0].is_negative(), "the vertex lies on the side that is kept");
        self.basic.push(self.slacks);
        self.slacks += 1;
        self.rows.push(row);
        Ok(self)
    }

    /// The same polytope from a vertex where `form > 0`; `None` if there is none.
    pub fn where_positive(&self, form: &[T]) -> Result<Option<Self>, Overflow> {
        let mut at = self.clone();
        let mut objective = at.express(form)?;
        while !objective[0].is_positive() {
            if !at.improve(&mut objective)? {
                return Ok(None);
            }
        }
        Ok(Some(at))
    }

    /// The largest value of `form`, and where it is attained.
    pub fn maximum(mut self, form: &[T]) -> Result<(BigRational, Vec<BigRational>), Overflow> {
        let mut objective = self.express(form)?;
        while self.improve(&mut objective)? {}
        let value = |x: &T| BigRational::new(x.clone().into(), self.determinant.clone().into());
        let mut point = vec![BigRational::from(BigInt::from(0)); self.n];
        for (slack, row) in self.basic.iter().zip(&self.rows) {
            if *slack < self.n {
                point[*slack] = value(&row[0]);
            }
        }
        Ok((value(&objective[0]), point))
    }

    /// One pivot that does not lower `objective`; false at its maximum.
    fn improve(&mut self, objective: &mut [T]) -> Result<bool, Overflow> {
        let entering =
            (0..self.n).filter(|k| objective[1 + k].is_positive()).min_by_key(|k| self.nonbasic[*k]);
        let Some(column) = entering else { return Ok(false) };
        let Some(row) = self.leaving(column)? else {
            unreachable!("the cube is bounded");
        };
        self.pivot(row, column, objective)?;
        Ok(true)
    }

    /// The row whose slack reaches 0 first as the column's grows; of several, that of the lowest slack.
    fn leaving(&self, column: usize) -> Result<Option<usize>, Overflow> {
        let mut best: Option<usize> = None;
        for (i, row) in self.rows.iter().enumerate() {
            if !row[1 + column].is_negative() {
                continue;
            }
            let Some(b) = best else {
                best = Some(i);
                continue;
            };
            // row[0] / −row[c] against that of the best, multiplied out; both divisors are positive.
            let here = mul(&row[0], &self.rows[b][1 + column])?;
            let there = mul(&self.rows[b][0], &row[1 + column])?;
            if here > there || (here == there && self.basic[i] < self.basic[b]) {
                best = Some(i);
            }
        }
        Ok(best)
    }

    fn pivot(&mut self, row: usize, column: usize, objective: &mut [T]) -> Result<(), Overflow> {
        let mut pivot = self.rows[row].clone();
        let determinant = neg(&pivot[1 + column])?;
        let old = std::mem::replace(&mut self.determinant, determinant.clone());
        let c = 1 + column;
        let update = |other: &mut [T]| -> Result<(), Overflow> {
            let factor = other[c].clone();
            for (k, x) in other.iter_mut().enumerate() {
                *x = match k == c {
                    true => neg(&factor)?,
                    false => add(&mul(x, &determinant)?, &mul(&factor, &pivot[k])?)? / old.clone(),
                };
            }
            Ok(())
        };
        for (i, other) in self.rows.iter_mut().enumerate() {
            if i != row {
                update(other)?;
            }
        }
        update(objective)?;
        pivot[c] = neg(&old)?;
        self.rows[row] = pivot;
        std::mem::swap(&mut self.basic[row], &mut self.nonbasic[column]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(rows: &[[i64; 3]]) -> Vec<Vec<BigInt>> {
        rows.iter().map(|r| r.iter().map(|x| BigInt::from(*x)).collect()).collect()
    }

    #[test]
    fn a_program_solved_by_hand() {
        // s₀ + s₁ ≤ 3/2 and s₁ ≤ s₀/2 in the square: the maximum of s₀ + 3s₁ is at (1, 1/2).
        let f = forms(&[[3, -2, -2], [0, 1, -2], [0, 1, 3], [-5, 1, 3], [-4, 2, 4]]);
        let polytope = Dictionary::cube(2).cut(&f[0]).unwrap().cut(&f[1]).unwrap();
        let (value, at) = polytope.clone().maximum(&f[2]).unwrap();
        let half = BigRational::new(1.into(), 2.into());
        assert_eq!(value, &half * BigRational::from(BigInt::from(5)));
        assert_eq!(at, [BigRational::from(BigInt::from(1)), half]);
        assert!(polytope.where_positive(&f[3]).unwrap().is_none());
        // Touched at one point only: 0 is not positive.
        assert!(polytope.where_positive(&f[4]).unwrap().is_none());
        assert!(polytope.where_positive(&f[2]).unwrap().is_some());
    }

    #[test]
    fn short_integers_say_when_they_overflow() {
        let big = i128::MAX / 2;
        let cut = Dictionary::cube(1).cut(&[3, -big]).and_then(|d| d.maximum(&[1, big]));
        assert_eq!(cut.unwrap_err(), Overflow);
    }
}
