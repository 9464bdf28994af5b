//! A constant matrix of few entries, and its products with lanes.
//!
//! What the layers of a lattice or of a selection look like: thousands of rows with two to four entries each. A product
//! costs one pass over a row of lanes per entry.

use std::ops::{AddAssign, Mul};

use crate::Element;
use crate::relax::wide;

/// A matrix `[rows, cols]`, row after row: the columns of its entries and their values.
#[derive(Clone, Debug)]
pub struct Sparse<T> {
    cols: usize,
    /// `[rows + 1]`: where each row's entries begin.
    starts: Vec<usize>,
    index: Vec<u32>,
    values: Vec<T>,
}

impl<T: Element + AddAssign + Mul<Output = T>> Sparse<T> {
    /// Packs `rows`, each its entries `(column, value)`.
    ///
    /// # Panics
    /// If a column is not below `cols`.
    pub fn new<R: IntoIterator<Item = (u32, T)>>(cols: usize, rows: impl IntoIterator<Item = R>) -> Self {
        let mut matrix = Self { cols, starts: vec![0], index: Vec::new(), values: Vec::new() };
        for row in rows {
            for (j, value) in row {
                assert!((j as usize) < cols, "column {j} of {cols}");
                matrix.index.push(j);
                matrix.values.push(value);
            }
            matrix.starts.push(matrix.index.len());
        }
        matrix
    }

    /// The transpose.
    pub fn transpose(&self) -> Self {
        let mut rows = vec![Vec::new(); self.cols];
        for i in 0..self.rows() {
            let (index, values) = self.row(i);
            index.iter().zip(values).for_each(|(j, w)| rows[*j as usize].push((i as u32, *w)));
        }
        Self::new(self.rows(), rows)
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }
    /// Columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Columns and values of row `i`.
    pub fn row(&self, i: usize) -> (&[u32], &[T]) {
        let range = self.starts[i]..self.starts[i + 1];
        (&self.index[range.clone()], &self.values[range])
    }

    /// `out[i][r] = Σⱼ M[i][j]·input[j][r]`.
    ///
    /// # Panics
    /// If a shape does not fit: `input` at least `[cols, lanes]`, `out` at least `[rows, lanes]`.
    pub fn product(&self, input: &[T], lanes: usize, out: &mut [T]) {
        assert!(input.len() >= self.cols * lanes && out.len() >= self.rows() * lanes, "lanes do not fit");
        wide(|| {
            for (i, out) in out.chunks_exact_mut(lanes.max(1)).take(self.rows()).enumerate() {
                out.fill(T::default());
                let (index, values) = self.row(i);
                for (j, w) in index.iter().zip(values) {
                    add_scaled(out, *w, &input[*j as usize * lanes..][..lanes]);
                }
            }
        });
    }

    /// `out[j][r] = Σₖ M[active[k]][j]·a[k][r]`: a product with the transpose of the rows in `active`.
    ///
    /// # Panics
    /// If a shape does not fit: `a` at least `[K, lanes]`, `out` at least `[cols, lanes]`; or an index is out of range.
    ///
    /// # Rounding
    /// Each term passes at most `K + 1` roundings.
    pub fn transposed(&self, active: &[u32], a: &[T], lanes: usize, out: &mut [T]) {
        assert!(a.len() >= active.len() * lanes && out.len() >= self.cols * lanes, "lanes do not fit");
        wide(|| {
            out[..self.cols * lanes].fill(T::default());
            for (i, a) in active.iter().zip(a.chunks_exact(lanes.max(1))) {
                let (index, values) = self.row(*i as usize);
                for (j, w) in index.iter().zip(values) {
                    add_scaled(&mut out[*j as usize * lanes..][..lanes], *w, a);
                }
            }
        });
    }
}

/// `out += w·a`, lane by lane.
#[inline(always)]
pub fn add_scaled<T: Element + AddAssign + Mul<Output = T>>(out: &mut [T], w: T, a: &[T]) {
    for (out, a) in out.iter_mut().zip(a) {
        *out += w * *a;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Packed;

    /// Small integers: every sum is exact, so that any order gives the same.
    #[test]
    fn products_equal_those_of_the_dense_matrix() {
        let (rows, cols, lanes) = (23, 17, 32);
        let entry = |i: usize, j: usize| {
            if (i * 5 + j * 3).is_multiple_of(7) { (i + 2 * j) as f32 - 9.0 } else { 0.0 }
        };
        let entries =
            (0..rows).map(|i| (0..cols).map(move |j| (j as u32, entry(i, j))).filter(|e| e.1 != 0.0));
        let sparse = Sparse::new(cols, entries);
        assert_eq!((sparse.rows(), sparse.cols()), (rows, cols));
        let x: Vec<f32> = (0..cols * lanes).map(|k| (k % 11) as f32 - 5.0).collect();
        let (mut y, mut z) = (vec![f32::NAN; rows * lanes], vec![f32::NAN; rows * lanes]);
        sparse.product(&x, lanes, &mut y);
        Packed::new(rows, cols, entry).product(None, &x, lanes, &mut z);
        assert_eq!(y, z);

        let active: Vec<u32> = (0..rows as u32).filter(|i| i % 3 != 1).collect();
        let a: Vec<f32> = (0..active.len() * lanes).map(|k| (k % 7) as f32 - 3.0).collect();
        let (mut y, mut z) = (vec![f32::NAN; cols * lanes], vec![f32::NAN; cols * lanes]);
        sparse.transposed(&active, &a, lanes, &mut y);
        Packed::new(cols, rows, |j, i| entry(i, j)).product(Some(&active), &a, lanes, &mut z);
        assert_eq!(y, z);
        let mut back = vec![f32::NAN; cols * lanes];
        let all: Vec<f32> = (0..rows * lanes).map(|k| (k % 5) as f32).collect();
        sparse.transpose().product(&all, lanes, &mut back);
        sparse.transposed(&(0..rows as u32).collect::<Vec<_>>(), &all, lanes, &mut y);
        assert_eq!(back, y);
    }
}
