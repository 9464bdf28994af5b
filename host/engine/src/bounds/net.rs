//! The search's form of a network.

use crate::chain::{Chain, OwnedAffine};
use crate::property::Row;
use certus_kernels::{Packed, Sparse};

/// A constant matrix, packed for products with lanes.
#[derive(Clone, Debug)]
pub enum Matrix {
    /// All entries.
    Dense(Packed<f32>),
    /// The entries that are not 0.
    Sparse(Sparse<f32>),
}

impl Matrix {
    /// As [`Packed::product`].
    ///
    /// # Panics
    /// If a shape does not fit.
    pub fn product(&self, active: Option<&[u32]>, input: &[f32], lanes: usize, out: &mut [f32]) {
        match (self, active) {
            (Self::Dense(matrix), _) => matrix.product(active, input, lanes, out),
            (Self::Sparse(matrix), None) => matrix.product(input, lanes, out),
            (Self::Sparse(matrix), Some(active)) => {
                matrix.transpose().transposed(active, input, lanes, out);
            }
        }
    }
}

/// The entries of a layer's matrix one by one.
#[derive(Clone, Debug)]
pub enum Entries {
    /// All.
    Dense {
        /// `[rows, cols]`, row-major.
        weights: Vec<f32>,
        /// `[cols, rows]`: the transpose, for interval steps.
        transposed: Vec<f32>,
    },
    /// Those that are not 0.
    Sparse(Sparse<f32>),
}

/// A dense layer followed by ReLU.
#[derive(Clone, Debug)]
pub struct Hidden {
    /// Neurons.
    pub rows: usize,
    /// Inputs.
    pub cols: usize,
    /// `W`.
    pub entries: Entries,
    /// `[rows]`.
    pub bias: Vec<f32>,
    /// `W`, for forward products.
    pub forward: Matrix,
    /// `Wᵀ`, for backward products.
    pub backward: Matrix,
}

/// A matrix of more elements than this is kept sparse if at most one in [`SPARSE_SHARE`] is not 0: a product with a packed
/// row of lanes is about that much faster per entry.
const SPARSE_LEN: usize = 1024;
const SPARSE_SHARE: usize = 12;

impl Hidden {
    fn new(map: &Affine64) -> Self {
        let (rows, cols) = (map.rows.len(), map.cols);
        let bias = map.bias.iter().map(|b| *b as f32).collect();
        let filled: usize = map.rows.iter().map(Vec::len).sum();
        if rows * cols > SPARSE_LEN && filled * SPARSE_SHARE <= rows * cols {
            let entries = map.rows.iter().map(|row| row.iter().map(|(j, w)| (*j, *w as f32)));
            let sparse = Sparse::new(cols, entries);
            let (forward, backward) = (Matrix::Sparse(sparse.clone()), Matrix::Sparse(sparse.transpose()));
            return Self { rows, cols, entries: Entries::Sparse(sparse), bias, forward, backward };
        }
        let weights = map.to_dense();
        let transposed = (0..cols * rows).map(|k| weights[(k % rows) * cols + k / rows]).collect();
        let forward = Matrix::Dense(Packed::new(rows, cols, |i, j| weights[i * cols + j]));
        let backward = Matrix::Dense(Packed::new(cols, rows, |j, i| weights[i * cols + j]));
        Self { rows, cols, entries: Entries::Dense { weights, transposed }, bias, forward, backward }
    }
}

/// `W x + b` in `f64`, while layers are being merged; `W` row after row by its entries that are not 0.
#[derive(Clone, Debug)]
struct Affine64 {
    cols: usize,
    rows: Vec<Vec<(u32, f64)>>,
    bias: Vec<f64>,
}

impl Affine64 {
    fn of(affine: &OwnedAffine) -> Self {
        let wide = |x: &[f32]| x.iter().map(|b| f64::from(*b)).collect();
        match affine {
            OwnedAffine::Dense { cols, weights, bias, .. } => {
                let row = |row: &[f32]| entries(row.iter().map(|w| f64::from(*w)));
                Self { cols: *cols, rows: weights.chunks_exact(*cols).map(row).collect(), bias: wide(bias) }
            }
            OwnedAffine::Sparse { matrix, bias } => {
                let mut rows = vec![Vec::new(); matrix.rows()];
                let values = &matrix.values.values;
                matrix.for_each(|i, j, k| {
                    if values[k] != 0.0 {
                        rows[i].push((j as u32, f64::from(values[k])));
                    }
                });
                Self { cols: matrix.cols, rows, bias: wide(bias) }
            }
            OwnedAffine::Scale { scale, shift } => {
                let rows = scale.iter().enumerate().map(|(i, s)| vec![(i as u32, f64::from(*s))]).collect();
                Self { cols: scale.len(), rows, bias: wide(shift) }
            }
        }
    }

    fn identity(n: usize) -> Self {
        Self { cols: n, rows: (0..n).map(|i| vec![(i as u32, 1.0)]).collect(), bias: vec![0.0; n] }
    }

    /// `self ∘ first`.
    fn after(&self, first: &Self) -> Self {
        let mut bias = self.bias.clone();
        let mut sums = vec![0.0; first.cols];
        let mut touched = vec![false; first.cols];
        let mut rows = Vec::with_capacity(self.rows.len());
        for (row, bias) in self.rows.iter().zip(&mut bias) {
            let mut columns = Vec::new();
            for (k, a) in row {
                *bias += a * first.bias[*k as usize];
                for (j, w) in &first.rows[*k as usize] {
                    let at = *j as usize;
                    sums[at] += a * w;
                    if !std::mem::replace(&mut touched[at], true) {
                        columns.push(*j);
                    }
                }
            }
            columns.sort_unstable();
            let take = |j: u32| {
                touched[j as usize] = false;
                (j, std::mem::take(&mut sums[j as usize]))
            };
            rows.push(columns.into_iter().map(take).filter(|(_, w)| *w != 0.0).collect());
        }
        Self { cols: first.cols, rows, bias }
    }

    /// `[rows, cols]`, row-major.
    fn to_dense(&self) -> Vec<f32> {
        let mut weights = vec![0.0; self.rows.len() * self.cols];
        for (row, out) in self.rows.iter().zip(weights.chunks_exact_mut(self.cols.max(1))) {
            row.iter().for_each(|(j, w)| out[*j as usize] = *w as f32);
        }
        weights
    }
}

/// What is not 0 of a row.
fn entries(row: impl Iterator<Item = f64>) -> Vec<(u32, f64)> {
    row.enumerate().filter(|(_, w)| *w != 0.0).map(|(j, w)| (j as u32, w)).collect()
}

/// A program as the search reads it: hidden layers with ReLU, then one affine layer.
#[derive(Clone, Debug)]
pub struct Net {
    /// Inputs.
    pub inputs: usize,
    /// The layers with ReLU, input first. May be empty.
    pub hidden: Vec<Hidden>,
    last: Affine64,
}

impl Net {
    /// Merges neighbouring affine layers of `program` (in `f64`, rounded to `f32` at the end).
    pub fn new(chain: &Chain) -> Self {
        let mut hidden = Vec::new();
        let mut pending: Option<Affine64> = None;
        let mut width = chain.inputs();
        for layer in chain.layers() {
            let affine = Affine64::of(&layer.affine);
            let merged = match pending.take() {
                Some(first) => affine.after(&first),
                None => affine,
            };
            width = merged.bias.len();
            if layer.relu {
                hidden.push(Hidden::new(&merged));
            } else {
                pending = Some(merged);
            }
        }
        let last = pending.unwrap_or_else(|| Affine64::identity(width));
        Self { inputs: chain.inputs(), hidden, last }
    }

    /// Neurons with ReLU.
    pub fn neurons(&self) -> usize {
        self.hidden.iter().map(|h| h.rows).sum()
    }

    /// Widest of the input and the hidden layers.
    pub fn width(&self) -> usize {
        self.hidden.iter().fold(self.inputs, |w, h| w.max(h.rows))
    }

    /// Outputs.
    pub fn outputs(&self) -> usize {
        self.last.bias.len()
    }

    /// Folds `rows` (`coefficients·y ≤ rhs` is to be refuted) into the last layer.
    pub fn spec(&self, rows: &[&Row]) -> Spec {
        let map = Affine64 {
            cols: self.outputs(),
            rows: rows.iter().map(|r| entries(r.coefficients.iter().copied())).collect(),
            bias: rows.iter().map(|r| -r.rhs_upper).collect(),
        };
        let folded = map.after(&self.last);
        Spec::new(&folded)
    }

    /// The outputs themselves as rows.
    pub fn output_spec(&self) -> Spec {
        Spec::new(&self.last)
    }
}

/// Rows over the last hidden layer: `weights·x + bias` equals `coefficients·y − rhs`, positive iff the row is refuted.
#[derive(Clone, Debug)]
pub struct Spec {
    /// How many rows.
    pub rows: usize,
    /// Neurons of the last hidden layer (or inputs).
    pub cols: usize,
    /// `[rows, cols]`, row-major.
    pub weights: Vec<f32>,
    /// `[rows]`.
    pub bias: Vec<f32>,
    /// The rows as a matrix, for forward products.
    pub forward: Packed<f32>,
}

impl Spec {
    fn new(map: &Affine64) -> Self {
        let (rows, cols) = (map.bias.len(), map.cols);
        let weights = map.to_dense();
        let bias = map.bias.iter().map(|b| *b as f32).collect();
        let forward = Packed::new(rows, cols, |i, j| weights[i * cols + j]);
        Self { rows, cols, weights, bias, forward }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::crown::{Bounds, Mode, Region, Scratch, bound};
    use crate::chain::OwnedLayer;

    /// Two inputs, three wide layers of two entries per row (pairwise differences and sums), one output.
    fn lattice() -> Chain {
        let mut state = 5u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let widths = [2usize, 64, 64, 48, 1];
        let layer = |(k, p): (usize, &[usize])| {
            let (cols, rows) = (p[0], p[1]);
            let mut weights = vec![0.0; rows * cols];
            for i in 0..rows {
                for t in 0..if k == 3 { cols } else { 2 } {
                    weights[i * cols + (i * 7 + t * 13 + k) % cols] = random();
                }
            }
            let bias = (0..rows).map(|_| 0.2 * random()).collect();
            OwnedLayer { affine: OwnedAffine::Dense { rows, cols, weights, bias }, relu: k < 3 }
        };
        Chain::new(widths.windows(2).enumerate().map(layer).collect()).expect("a network")
    }

    /// The same layer with all its entries.
    fn densified(layer: &Hidden) -> Hidden {
        let mut weights = vec![0.0; layer.rows * layer.cols];
        match &layer.entries {
            Entries::Dense { .. } => return layer.clone(),
            Entries::Sparse(sparse) => {
                for (i, row) in weights.chunks_exact_mut(layer.cols).enumerate() {
                    let (index, values) = sparse.row(i);
                    index.iter().zip(values).for_each(|(j, w)| row[*j as usize] = *w);
                }
            }
        }
        let (rows, cols) = (layer.rows, layer.cols);
        let transposed = (0..cols * rows).map(|k| weights[(k % rows) * cols + k / rows]).collect();
        let forward = Matrix::Dense(Packed::new(rows, cols, |i, j| weights[i * cols + j]));
        let backward = Matrix::Dense(Packed::new(cols, rows, |j, i| weights[i * cols + j]));
        let (entries, bias) = (Entries::Dense { weights, transposed }, layer.bias.clone());
        Hidden { rows, cols, entries, bias, forward, backward }
    }

    #[test]
    fn sparse_layers_are_bounded_as_dense_ones() {
        let chain = lattice();
        let sparse = Net::new(&chain);
        let kept = |h: &&Hidden| matches!(h.entries, Entries::Sparse(_));
        assert!(sparse.hidden.iter().filter(kept).count() >= 2, "the layers are sparse");
        let dense = Net { hidden: sparse.hidden.iter().map(densified).collect(), ..sparse.clone() };
        let (lower, upper) = ([-0.5f32, -0.4], [0.6f32, 0.7]);
        let region = Region { lower: &lower, upper: &upper };
        for mode in [Mode::Default, Mode::Reference] {
            let all = [&sparse, &dense].map(|net| {
                let (mut scratch, mut out) = (Scratch::attributing(), Bounds::default());
                assert!(bound(net, &net.output_spec(), region, &[], mode, &mut scratch, &mut out));
                out
            });
            let close = |a: &[f32], b: &[f32]| {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5 * (1.0 + a.abs()))
            };
            assert!(close(&all[0].rows, &all[1].rows), "{:?} {:?}", all[0].rows, all[1].rows);
            assert!(close(&all[0].input_rows, &all[1].input_rows));
            assert!(
                close(&all[0].loss.gaps, &all[1].loss.gaps)
                    && close(&all[0].loss.shares, &all[1].loss.shares)
            );
            for (a, b) in all[0].layers.iter().zip(&all[1].layers) {
                assert!(close(&a.lower, &b.lower) && close(&a.upper, &b.upper));
            }
        }
    }

    #[test]
    fn merged_layers_are_the_layers_one_after_the_other() {
        let affine = |rows: usize, cols: usize, weights: &[f32], bias: &[f32]| OwnedLayer {
            affine: OwnedAffine::Dense { rows, cols, weights: weights.to_vec(), bias: bias.to_vec() },
            relu: false,
        };
        let layers = vec![
            affine(3, 2, &[1.0, 0.0, 0.0, 2.0, 1.0, 1.0], &[0.5, 0.0, -1.0]),
            affine(2, 3, &[1.0, 0.0, -1.0, 0.0, 3.0, 0.0], &[0.0, 0.25]),
        ];
        let chain = Chain::new(layers).expect("a network");
        let spec = Net::new(&chain).output_spec();
        for x in [[0.0f32, 0.0], [1.0, -2.0], [0.5, 3.0]] {
            let row = |i: usize| {
                spec.bias[i] + spec.weights[i * 2..][..2].iter().zip(&x).map(|(w, x)| w * x).sum::<f32>()
            };
            assert_eq!([row(0), row(1)].as_slice(), chain.eval_f32(&x));
        }
    }
}
