//! The proof checker's arithmetic with this processor's vectors.
//!
//! The same loops as `certus_core::proof::lanes`, compiled wide, and packed products; nothing else. The oracle is
//! `certus_core::proof::Plain`.

use certus_core::proof::{Kernel, Lines, lanes};
use certus_core::{Affine, Dense, Layer};
use certus_kernels::relax::wide;
use certus_kernels::{Packed, Sparse};
use std::sync::Arc;

/// A dense layer's weights as `f64`.
#[derive(Debug)]
enum Wide {
    Dense {
        /// `[cols, rows]`.
        transposed: Vec<f64>,
        /// `Wᵀ`.
        backward: Packed<f64>,
    },
    /// `W`, of which at most one entry in [`SPARSE_SHARE`] is not 0.
    Sparse(Sparse<f64>),
}

/// A matrix of more elements than this is kept sparse if at most one in [`SPARSE_SHARE`] is not 0.
const SPARSE_LEN: usize = 1024;
const SPARSE_SHARE: usize = 12;

impl Wide {
    fn new(dense: &Dense<'_>) -> Self {
        let (rows, cols, w) = (dense.rows(), dense.cols(), dense.weights());
        let filled = w.iter().filter(|w| **w != 0.0).count();
        if w.len() > SPARSE_LEN && filled * SPARSE_SHARE <= w.len() {
            let row = |row: &[f32]| -> Vec<(u32, f64)> {
                let entries = row.iter().enumerate().filter(|(_, w)| **w != 0.0);
                entries.map(|(j, w)| (j as u32, f64::from(*w))).collect()
            };
            return Self::Sparse(Sparse::new(cols, dense.row_iter().map(|(weights, _)| row(weights))));
        }
        Self::Dense {
            transposed: (0..cols * rows).map(|k| f64::from(w[(k % rows) * cols + k / rows])).collect(),
            backward: Packed::new(cols, rows, |j, i| f64::from(w[i * cols + j])),
        }
    }
}

/// Weights of a network, packed for the checker; cheap to clone for another thread.
#[derive(Clone, Debug)]
pub struct ProofKernel {
    layers: Arc<Vec<Option<Wide>>>,
}

impl ProofKernel {
    /// Packs the dense layers of a network.
    pub fn new(layers: &[Layer<'_>]) -> Self {
        let pack = |layer: &Layer<'_>| match layer.affine() {
            Affine::Dense(dense) => Some(Wide::new(&dense)),
            Affine::Scale(_) => None,
        };
        Self { layers: Arc::new(layers.iter().map(pack).collect()) }
    }

    fn layer(&self, index: usize) -> &Wide {
        self.layers[index]
            .as_ref()
            .expect("the checker multiplies with dense layers of the network that was packed")
    }
}

#[inline(always)]
fn add_columns(transposed: &[f64], inputs: [&[f64]; 3], sums: [&mut [f64]; 3]) {
    let [sum_c, sum_r, sum_m] = sums;
    let rows = sum_c.len();
    let columns = transposed.chunks_exact(rows).zip(inputs[0]).zip(inputs[1]).zip(inputs[2]);
    for (((column, c), r), m) in columns {
        if *m == 0.0 {
            continue;
        }
        let sums = sum_c.iter_mut().zip(sum_r.iter_mut()).zip(sum_m.iter_mut());
        for (w, ((sum_c, sum_r), sum_m)) in column.iter().zip(sums) {
            *sum_c += w * c;
            *sum_r += w.abs() * r;
            *sum_m += w.abs() * m;
        }
    }
}

/// Entries that are 0 add nothing to any sum: their inputs are finite.
fn add_rows(sparse: &Sparse<f64>, inputs: [&[f64]; 3], sums: [&mut [f64]; 3]) {
    let [sum_c, sum_r, sum_m] = sums;
    let sums = sum_c.iter_mut().zip(sum_r.iter_mut()).zip(sum_m.iter_mut());
    for (i, ((sum_c, sum_r), sum_m)) in sums.enumerate() {
        let (mut y, mut s, mut t) = (0.0, 0.0, 0.0);
        let (index, values) = sparse.row(i);
        for (j, w) in index.iter().zip(values) {
            let j = *j as usize;
            y += w * inputs[0][j];
            s += w.abs() * inputs[1][j];
            t += w.abs() * inputs[2][j];
        }
        (*sum_c, *sum_r, *sum_m) = (y, s, t);
    }
}

impl Kernel for ProofKernel {
    fn lane_multiple(&self) -> usize {
        certus_kernels::LANE_MULTIPLE
    }

    fn interval_sums(&mut self, layer: usize, dense: &Dense<'_>, inputs: [&[f64]; 3], sums: [&mut [f64]; 3]) {
        let rows = dense.rows();
        let sums = sums.map(|s| &mut s[..rows]);
        match self.layer(layer) {
            Wide::Sparse(sparse) => add_rows(sparse, inputs, sums),
            Wide::Dense { transposed, .. } => wide(|| {
                let [a, b, c] = sums;
                a.fill(0.0);
                b.fill(0.0);
                c.fill(0.0);
                add_columns(transposed, inputs, [a, b, c]);
            }),
        }
    }

    fn transposed(
        &mut self,
        layer: usize,
        _: &Dense<'_>,
        active: &[u32],
        a: &[f64],
        lanes: usize,
        out: &mut [f64],
    ) {
        match self.layer(layer) {
            Wide::Sparse(sparse) => sparse.transposed(active, a, lanes, out),
            Wide::Dense { backward, .. } => backward.product(Some(active), a, lanes, out),
        }
    }

    fn pass(&mut self, a: &[f64], value: &mut [f64], deduct: &mut [f64], bias: f64, error: f64) {
        wide(|| lanes::pass(a, value, deduct, bias, error));
    }
    fn unstable(
        &mut self,
        a: &mut [f64],
        alpha: &[f64],
        value: &mut [f64],
        deduct: &mut [f64],
        lines: Lines,
    ) {
        wide(|| lanes::unstable(a, alpha, value, deduct, lines));
    }
    fn concretize(
        &mut self,
        a: &[f64],
        value: &mut [f64],
        deduct: &mut [f64],
        lower: f64,
        upper: f64,
        error: f64,
    ) {
        wide(|| lanes::concretize(a, value, deduct, lower, upper, error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use certus_core::proof::Plain;

    /// Small integers: every sum is exact, so any order gives the same.
    fn layer_data(rows: usize, cols: usize) -> (Vec<f32>, Vec<f32>) {
        (
            (0..rows * cols).map(|k| ((k * 37) % 17) as f32 - 8.0).collect(),
            (0..rows).map(|i| i as f32 - 2.0).collect(),
        )
    }

    fn sums(kernel: &mut impl Kernel, dense: &Dense<'_>, inputs: &[Vec<f64>; 3]) -> [Vec<f64>; 3] {
        let mut out = std::array::from_fn(|_| vec![f64::NAN; dense.rows()]);
        let [a, b, c] = &mut out;
        kernel.interval_sums(0, dense, [&inputs[0], &inputs[1], &inputs[2]], [a, b, c]);
        out
    }

    #[test]
    fn both_kernels_compute_the_same_sums_and_products() {
        for (rows, cols, every) in [(50, 5, 1), (7, 33, 1), (1, 1, 1), (20, 64, 1), (60, 70, 19)] {
            let (mut weights, bias) = layer_data(rows, cols);
            // The last one is kept sparse.
            weights.iter_mut().enumerate().filter(|(k, _)| k % every != 0).for_each(|(_, w)| *w = 0.0);
            let dense = Dense::new(rows, cols, &weights, &bias).unwrap();
            let mut fast = ProofKernel::new(&[Layer::dense(dense, true)]);
            let inputs: [Vec<f64>; 3] =
                std::array::from_fn(|k| (0..cols).map(|j| ((j * (k + 3)) % 5) as f64 + 1.0).collect());
            let plain = sums(&mut Plain, &dense, &inputs);
            let packed = sums(&mut fast, &dense, &inputs);
            assert_eq!(plain, packed, "{rows}×{cols}");

            let lanes = 16;
            let active: Vec<u32> = (0..rows as u32).filter(|i| i % 3 != 1).collect();
            let a: Vec<f64> = (0..active.len() * lanes).map(|k| (k % 7) as f64 - 3.0).collect();
            let (mut x, mut y) = (vec![0.0; cols * lanes], vec![0.0; cols * lanes]);
            Plain.transposed(0, &dense, &active, &a, lanes, &mut x);
            fast.transposed(0, &dense, &active, &a, lanes, &mut y);
            assert_eq!(x, y, "{rows}×{cols} transposed");
        }
    }
}
