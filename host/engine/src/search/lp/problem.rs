//! The data of a linear program.

/// `min cost·x` over `lower ≤ x ≤ upper` and rows `row_lower ≤ a·x ≤ row_upper`.
///
/// Columns are boxed: every quantity of a network on a box is, and then a dual simplex needs no first phase and no LP is unbounded.
/// Rows are sparse, one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lp {
    pub(super) cost: Vec<f64>,
    pub(super) lower: Vec<f64>,
    pub(super) upper: Vec<f64>,
    pub(super) row_lower: Vec<f64>,
    pub(super) row_upper: Vec<f64>,
    /// Where each row begins; one more entry at the end.
    pub(super) starts: Vec<usize>,
    pub(super) columns: Vec<u32>,
    pub(super) values: Vec<f64>,
}

/// What makes no linear program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LpError {
    /// A column's box is empty or not finite.
    #[error("column {column} has no finite box; give every column finite bounds, lower at most upper")]
    Column {
        /// Which column.
        column: usize,
    },
    /// A cost or coefficient is not finite, or a row's bounds are crossed or NaN.
    #[error("row {row} has crossed bounds, or a coefficient that is not finite")]
    Row {
        /// Which row; the number of rows for the cost.
        row: usize,
    },
}

impl Lp {
    /// An LP without rows.
    ///
    /// # Errors
    /// [`LpError::Column`]; [`LpError::Row`] for a cost that is not finite.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn new(lower: Vec<f64>, upper: Vec<f64>, cost: Vec<f64>) -> Result<Self, LpError> {
        assert!(lower.len() == upper.len() && lower.len() == cost.len(), "one box and cost per column");
        let boxed = |(l, u): (&f64, &f64)| l.is_finite() && u.is_finite() && l <= u;
        if let Some(column) = lower.iter().zip(&upper).position(|b| !boxed(b)) {
            return Err(LpError::Column { column });
        }
        if !cost.iter().all(|c| c.is_finite()) {
            return Err(LpError::Row { row: 0 });
        }
        Ok(Self { cost, lower, upper, starts: vec![0], ..Self::default() })
    }

    /// Adds a column that costs nothing and is in no row yet; returns its index.
    ///
    /// # Errors
    /// [`LpError::Column`].
    pub fn push_column(&mut self, lower: f64, upper: f64) -> Result<usize, LpError> {
        let column = self.columns();
        if !(lower.is_finite() && upper.is_finite() && lower <= upper) {
            return Err(LpError::Column { column });
        }
        self.cost.push(0.0);
        self.lower.push(lower);
        self.upper.push(upper);
        Ok(column)
    }

    /// Adds `lower ≤ Σ a·x ≤ upper`; either bound may be infinite. A column named twice counts twice.
    ///
    /// # Errors
    /// [`LpError::Row`].
    ///
    /// # Panics
    /// If a column does not exist.
    pub fn push_row(
        &mut self,
        entries: impl IntoIterator<Item = (usize, f64)>,
        lower: f64,
        upper: f64,
    ) -> Result<(), LpError> {
        let row = self.rows();
        if !(lower <= upper && lower < f64::INFINITY && upper > f64::NEG_INFINITY) {
            return Err(LpError::Row { row });
        }
        let start = self.columns.len();
        for (column, value) in entries {
            assert!(column < self.columns(), "a column of the program");
            if !value.is_finite() {
                self.columns.truncate(start);
                self.values.truncate(start);
                return Err(LpError::Row { row });
            }
            if value != 0.0 {
                self.columns.push(column as u32);
                self.values.push(value);
            }
        }
        self.starts.push(self.columns.len());
        self.row_lower.push(lower);
        self.row_upper.push(upper);
        Ok(())
    }

    /// How many columns.
    pub fn columns(&self) -> usize {
        self.cost.len()
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.row_lower.len()
    }

    /// The entries of a row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let range = self.starts[row]..self.starts[row + 1];
        self.columns[range.clone()].iter().zip(&self.values[range]).map(|(j, a)| (*j as usize, *a))
    }

    /// Box of a column.
    pub fn bounds(&self, column: usize) -> (f64, f64) {
        (self.lower[column], self.upper[column])
    }

    /// Bounds of a row.
    pub fn row_bounds(&self, row: usize) -> (f64, f64) {
        (self.row_lower[row], self.row_upper[row])
    }

    /// What is minimised.
    pub fn cost(&self) -> &[f64] {
        &self.cost
    }

    /// Minimises something else.
    ///
    /// # Panics
    /// If `cost` is not `[columns]`, or not finite.
    pub fn set_cost(&mut self, cost: &[f64]) {
        assert!(cost.iter().all(|c| c.is_finite()), "finite costs");
        self.cost.copy_from_slice(cost);
    }

    /// Another box for a column.
    ///
    /// # Panics
    /// If it is not finite or empty.
    pub fn set_bounds(&mut self, column: usize, (lower, upper): (f64, f64)) {
        assert!(lower.is_finite() && upper.is_finite() && lower <= upper, "a finite box");
        (self.lower[column], self.upper[column]) = (lower, upper);
    }

    /// Other bounds for a row.
    ///
    /// # Panics
    /// If they are crossed.
    pub fn set_row_bounds(&mut self, row: usize, (lower, upper): (f64, f64)) {
        assert!(lower <= upper, "bounds in order");
        (self.row_lower[row], self.row_upper[row]) = (lower, upper);
    }

    /// `cost·x`.
    pub fn value(&self, x: &[f64]) -> f64 {
        self.cost.iter().zip(x).map(|(c, x)| c * x).sum()
    }

    /// `a·x` of a row.
    pub fn activity(&self, row: usize, x: &[f64]) -> f64 {
        self.row(row).map(|(j, a)| a * x[j]).sum()
    }
}
