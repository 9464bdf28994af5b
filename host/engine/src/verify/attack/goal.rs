//! What an attack wants: for some disjunct of some case, all rows non-positive at a point of the case's box.

use crate::property::Case;
use certus_kernels::lanes::add_scaled;

/// A box of `f32` points, `[inputs]` each.
#[derive(Clone, Copy, Debug)]
pub struct PointBox<'a> {
    /// Lower ends.
    pub lower: &'a [f32],
    /// Upper ends.
    pub upper: &'a [f32],
}

impl PointBox<'_> {
    /// Whether it holds a point.
    pub fn is_empty(&self) -> bool {
        self.lower.iter().zip(self.upper).any(|(l, u)| l > u || l.is_nan() || u.is_nan())
    }
}

/// The rows `weights·y + bias` of the disjuncts of some cases, in `f32`.
#[derive(Clone, Debug)]
pub struct Goal<'a> {
    /// Boxes of witnesses, `[cases]`; none of them empty.
    pub boxes: Vec<PointBox<'a>>,
    /// Per disjunct the case it belongs to, an index into `boxes`.
    pub case_of: Vec<usize>,
    /// Where the rows of each disjunct begin; one more entry at the end.
    first_row: Vec<usize>,
    /// Per row its coefficients that are not 0: output and factor.
    rows: Vec<Vec<(u32, f32)>>,
    bias: Vec<f32>,
    outputs: usize,
}

impl<'a> Goal<'a> {
    /// All disjuncts of `cases` whose boxes hold a witness.
    pub fn new(cases: impl IntoIterator<Item = &'a Case>, outputs: usize) -> Self {
        let (boxes, case_of, rows, bias) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut goal = Self { boxes, case_of, first_row: vec![0], rows, bias, outputs };
        for case in cases {
            let region = &case.region;
            let on = PointBox { lower: &region.witness_lower, upper: &region.witness_upper };
            if on.is_empty() {
                continue;
            }
            for disjunct in &case.disjuncts {
                for row in &disjunct.rows {
                    let terms = row.coefficients.iter().enumerate().filter(|(_, c)| **c != 0.0);
                    goal.rows.push(terms.map(|(j, c)| (j as u32, *c as f32)).collect());
                    goal.bias.push(-row.rhs_upper as f32);
                }
                goal.first_row.push(goal.rows.len());
                goal.case_of.push(goal.boxes.len());
            }
            goal.boxes.push(on);
        }
        goal
    }

    /// How many disjuncts.
    pub fn disjuncts(&self) -> usize {
        self.case_of.len()
    }

    /// Rows of a disjunct.
    pub fn rows_of(&self, disjunct: usize) -> std::ops::Range<usize> {
        self.first_row[disjunct]..self.first_row[disjunct + 1]
    }

    /// All rows at outputs `y` `[outputs, lanes]`, into `rows` `[rows, lanes]`.
    pub fn evaluate(&self, y: &[f32], lanes: usize, rows: &mut Vec<f32>) {
        rows.resize(self.rows.len() * lanes, 0.0);
        for ((row, terms), bias) in rows.chunks_exact_mut(lanes).zip(&self.rows).zip(&self.bias) {
            row.fill(*bias);
            for (j, c) in terms {
                add_scaled(row, &y[*j as usize * lanes..][..lanes], *c);
            }
        }
    }

    /// The largest row of the disjunct that is closest to being violated in lane `lane` of `rows` `[rows, lanes]`.
    pub fn loss(&self, rows: &[f32], lanes: usize, lane: usize) -> f32 {
        let largest =
            |d: usize| self.rows_of(d).map(|row| rows[row * lanes + lane]).fold(f32::NEG_INFINITY, f32::max);
        (0..self.disjuncts()).map(largest).fold(f32::INFINITY, f32::min)
    }

    /// Whether lane `lane` of `rows` `[rows, lanes]` makes all rows of some disjunct non-positive.
    pub fn is_met(&self, rows: &[f32], lanes: usize, lane: usize) -> bool {
        (0..self.disjuncts()).any(|d| self.rows_of(d).all(|row| rows[row * lanes + lane] <= 0.0))
    }

    /// Adds `factor` times a row's coefficients to lane `lane` of `weights` `[outputs, lanes]`.
    pub fn add_row(&self, row: usize, factor: f32, weights: &mut [f32], lanes: usize, lane: usize) {
        for (j, c) in &self.rows[row] {
            weights[*j as usize * lanes + lane] += factor * c;
        }
    }

    /// Outputs of the network.
    pub fn outputs(&self) -> usize {
        self.outputs
    }
}
