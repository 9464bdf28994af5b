//! The inverse of a basis' kernel: the square part of the matrix where tight rows meet basic columns.

/// Pivots below this share of the matrix' largest entry count as 0.
const SINGULAR: f64 = 1e-11;

/// `M = K⁻¹`, `K[t][e]` the coefficient of tight row `t` on basic column `e`; `M[e][t]`, row-major.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    size: usize,
    inverse: Vec<f64>,
}

impl Kernel {
    /// `M[e]`.
    pub fn row(&self, e: usize) -> &[f64] {
        &self.inverse[e * self.size..][..self.size]
    }

    /// `M v`.
    pub fn times(&self, v: &[f64]) -> Vec<f64> {
        (0..self.size).map(|e| self.row(e).iter().zip(v).map(|(m, v)| m * v).sum()).collect()
    }

    /// `Mᵀ v`.
    pub fn transposed_times(&self, v: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.size];
        for (e, v) in v.iter().enumerate().filter(|(_, v)| **v != 0.0) {
            out.iter_mut().zip(self.row(e)).for_each(|(o, m)| *o += m * v);
        }
        out
    }

    /// Inverts `matrix`, `[size, size]` row-major as `K[t][e]`, by Gauss and Jordan with full pivoting.
    ///
    /// # Errors
    /// The rows and columns that depend on the others; nothing is changed then.
    pub fn factor(&mut self, size: usize, mut matrix: Vec<f64>) -> Result<(), (Vec<usize>, Vec<usize>)> {
        let largest = matrix.iter().fold(0.0f64, |m, a| m.max(a.abs()));
        let mut inverse = vec![0.0; size * size];
        (0..size).for_each(|i| inverse[i * size + i] = 1.0);
        let (mut row_of, mut used) = (vec![usize::MAX; size], vec![false; size]);
        for _ in 0..size {
            let mut best = (SINGULAR * largest, None);
            for t in (0..size).filter(|t| !used[*t]) {
                let row = &matrix[t * size..][..size];
                for (e, a) in row.iter().enumerate() {
                    if a.abs() > best.0 && row_of[e] == usize::MAX {
                        best = (a.abs(), Some((t, e)));
                    }
                }
            }
            let Some((t, e)) = best.1 else {
                let rows = (0..size).filter(|t| !used[*t]).collect();
                return Err((rows, (0..size).filter(|e| row_of[*e] == usize::MAX).collect()));
            };
            (row_of[e], used[t]) = (t, true);
            let pivot = 1.0 / matrix[t * size + e];
            for a in [&mut matrix, &mut inverse] {
                a[t * size..][..size].iter_mut().for_each(|x| *x *= pivot);
            }
            let (pivot_row, pivot_inverse) =
                (matrix[t * size..][..size].to_vec(), inverse[t * size..][..size].to_vec());
            for i in (0..size).filter(|i| *i != t) {
                let factor = matrix[i * size + e];
                if factor != 0.0 {
                    let subtract = |out: &mut [f64], from: &[f64]| {
                        out.iter_mut().zip(from).for_each(|(o, f)| *o -= factor * f);
                    };
                    subtract(&mut matrix[i * size..][..size], &pivot_row);
                    subtract(&mut inverse[i * size..][..size], &pivot_inverse);
                }
            }
        }
        // Row `row_of[e]` has become the unit row of column `e`.
        self.size = size;
        self.inverse = row_of.iter().flat_map(|t| inverse[t * size..][..size].to_vec()).collect();
        Ok(())
    }

    /// Row and column join at the end: `column = M f` for the new column's part `f` on the old rows, `row = Mᵀg` for the new row's
    /// part `g` on the old columns, `pivot = h − gMf`.
    pub fn border(&mut self, column: &[f64], row: &[f64], pivot: f64) {
        let (old, new) = (self.size, self.size + 1);
        let mut inverse = vec![0.0; new * new];
        for e in 0..old {
            let (to, scale) = (&mut inverse[e * new..][..new], column[e] / pivot);
            for ((to, m), w) in to.iter_mut().zip(&self.inverse[e * old..][..old]).zip(row) {
                *to = m + scale * w;
            }
            to[old] = -scale;
        }
        let last = &mut inverse[old * new..];
        last.iter_mut().zip(row).for_each(|(to, w)| *to = -w / pivot);
        last[old] = 1.0 / pivot;
        (self.size, self.inverse) = (new, inverse);
    }

    /// Tight row `t` gives its place to one whose `Mᵀg` is `row`.
    pub fn replace_row(&mut self, t: usize, row: &[f64]) {
        let size = self.size;
        let pivot = row[t];
        for e in 0..size {
            let m = &mut self.inverse[e * size..][..size];
            let scale = m[t] / pivot;
            for (i, (m, w)) in m.iter_mut().zip(row).enumerate() {
                *m -= scale * (w - if i == t { 1.0 } else { 0.0 });
            }
        }
    }

    /// Basic column `e` gives its place to one whose `M f` is `column`.
    pub fn replace_column(&mut self, e: usize, column: &[f64]) {
        let size = self.size;
        let pivot_row: Vec<f64> = self.row(e).iter().map(|m| m / column[e]).collect();
        for (i, v) in column.iter().enumerate() {
            let factor = v - if i == e { 1.0 } else { 0.0 };
            let m = &mut self.inverse[i * size..][..size];
            m.iter_mut().zip(&pivot_row).for_each(|(m, p)| *m -= factor * p);
        }
    }

    /// Tight row `t` and basic column `e` leave; the last of each take their places.
    pub fn shrink(&mut self, e: usize, t: usize) {
        let (size, new) = (self.size, self.size - 1);
        let pivot = self.inverse[e * size + t];
        let gone: Vec<f64> = self.row(e).iter().map(|m| m / pivot).collect();
        let mut inverse = Vec::with_capacity(new * new);
        let order = |gone: usize| (0..new).map(move |i| if i == gone { new } else { i });
        for i in order(e) {
            let (m, factor) = (self.row(i), self.inverse[i * size + t]);
            inverse.extend(order(t).map(|j| m[j] - factor * gone[j]));
        }
        (self.size, self.inverse) = (new, inverse);
    }
}
