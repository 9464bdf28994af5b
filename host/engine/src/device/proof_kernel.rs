//! The proof checker's arithmetic with this processor's vectors.
//!
//! The same loops as `certus_core::proof::lanes`, compiled wide, and packed products; nothing else. The oracle is
//! `certus_core::proof::Plain`.

use certus_core::proof::{Kernel, Lines, Plain, lanes};
use certus_core::{Affine, Dense, Layer};
use certus_kernels::relax::wide;
use certus_kernels::sparse::add_scaled;
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
    /// Inputs that the last product of few weights reached.
    reached: Vec<u32>,
    /// Per input its place in `reached` plus 1, or 0; all 0 between uses.
    places: Vec<u32>,
}

impl ProofKernel {
    /// Packs the dense layers of a network.
    pub fn new(layers: &[Layer<'_>]) -> Self {
        let pack = |layer: &Layer<'_>| match layer.affine() {
            Affine::Dense(dense) => Some(Wide::new(&dense)),
            Affine::Scale(_) => None,
            Affine::Sparse(sparse) => {
                let rows = sparse.row_iter().map(|(row, _)| {
                    row.iter().filter(|(_, w)| *w != 0.0).map(|(j, w)| (j as u32, f64::from(w)))
                });
                Some(Wide::Sparse(Sparse::new(sparse.cols(), rows)))
            }
        };
        Self { layers: Arc::new(layers.iter().map(pack).collect()), reached: Vec::new(), places: Vec::new() }
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

    fn has_few(&self, layer: usize) -> bool {
        matches!(self.layers[layer], Some(Wide::Sparse(_)))
    }

    fn transposed_few(
        &mut self,
        layer: usize,
        active: &[u32],
        a: &[f64],
        lanes: usize,
        out: &mut [f64],
    ) -> &[u32] {
        let Some(Wide::Sparse(sparse)) = &self.layers[layer] else {
            unreachable!("the checker asks whether the layer has few weights")
        };
        let (reached, places) = (&mut self.reached, &mut self.places);
        reached.clear();
        if places.len() < sparse.cols() {
            places.resize(sparse.cols(), 0);
        }
        wide(|| {
            for (i, a) in active.iter().zip(a.chunks_exact(lanes.max(1))) {
                let (index, values) = sparse.row(*i as usize);
                for (j, w) in index.iter().zip(values) {
                    let place = &mut places[*j as usize];
                    if *place == 0 {
                        out[reached.len() * lanes..][..lanes].fill(0.0);
                        reached.push(*j);
                        *place = reached.len() as u32;
                    }
                    add_scaled(&mut out[(*place as usize - 1) * lanes..][..lanes], *w, a);
                }
            }
        });
        reached.iter().for_each(|j| places[*j as usize] = 0);
        reached
    }

    fn signed_rows(
        &mut self,
        layer: usize,
        dense: &Dense<'_>,
        neurons: &[u32],
        sign: f64,
        lanes: usize,
        out: &mut [f64],
    ) {
        let Wide::Dense { transposed, .. } = self.layer(layer) else {
            return Plain.signed_rows(layer, dense, neurons, sign, lanes, out);
        };
        let columns = transposed.chunks_exact(dense.rows());
        for (column, out) in columns.zip(out.chunks_exact_mut(lanes)) {
            let (used, beyond) = out.split_at_mut(neurons.len());
            for (slot, neuron) in used.iter_mut().zip(neurons) {
                *slot = sign * column[*neuron as usize];
            }
            beyond.fill(0.0);
        }
    }

    fn pass(
        &mut self,
        rows: (&[f64], &mut [f64]),
        value: &mut [f64],
        deduct: &mut [f64],
        bias: f64,
        error: f64,
    ) {
        wide(|| lanes::pass(rows, value, deduct, bias, error));
    }
    fn unstable(
        &mut self,
        rows: (&[f64], &mut [f64]),
        alpha: &[f64],
        value: &mut [f64],
        deduct: &mut [f64],
        lines: Lines,
    ) {
        wide(|| lanes::unstable(rows, alpha, value, deduct, lines));
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

            let neurons: Vec<u32> = active.iter().copied().take(lanes - 3).collect();
            let sign = if rows % 2 == 0 { 1.0 } else { -1.0 };
            let (mut x, mut y) = (vec![f64::NAN; cols * lanes], vec![f64::NAN; cols * lanes]);
            Plain.signed_rows(0, &dense, &neurons, sign, lanes, &mut x);
            fast.signed_rows(0, &dense, &neurons, sign, lanes, &mut y);
            let (i, r) = (neurons[neurons.len() - 1] as usize, neurons.len() - 1);
            assert_eq!(x[r], sign * f64::from(weights[i * cols]), "{rows}×{cols} signed");
            assert_eq!(x, y, "{rows}×{cols} signed");
        }
    }

    /// The greatest bound of a row that the checker accepts with a kernel, but for bisection.
    fn proved(
        kernel: &mut impl Kernel,
        layers: &[Layer<'_>],
        splits: &[certus_core::proof::Split],
        beta: &[u8],
    ) -> f64 {
        use certus_core::proof::{Claim, Meaning, Memory, Problem, Row, check_leaf, memory_len};
        let network = certus_core::Network::new(layers).unwrap();
        let (mut floats, mut index) = (vec![0.0; memory_len(&network, 16)], vec![0; network.width()]);
        let region: (&[f64], &[f64]) = (&[-0.7, 0.1], &[0.4, 0.9]);
        let (mut low, mut high) = (-1e4, 1e4);
        for _ in 0..60 {
            let rhs = 0.5 * (low + high);
            let rows = [Row { coefficients: &[1.0], rhs }];
            let problem = Problem { network, disjuncts: &[&rows], meaning: Meaning::Real };
            let mut memory = Memory { floats: &mut floats, index: &mut index, lanes: 16 };
            let claims = [Claim { beta, ..Claim::default() }];
            let accepted = check_leaf(&problem, kernel, region, splits, &claims, &mut memory).is_ok();
            *(if accepted { &mut low } else { &mut high }) = rhs;
        }
        low
    }

    /// Layers of a lattice: wide, two weights per neuron. Rows of few neurons are held, and the same is proved.
    #[test]
    fn layers_of_few_weights_prove_what_all_their_weights_prove() {
        let widths = [2usize, 60, 70, 50, 1];
        let mut state = 9u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let data: Vec<(Vec<f32>, Vec<f32>)> = widths
            .windows(2)
            .enumerate()
            .map(|(k, p)| {
                let mut weights = vec![0.0; p[0] * p[1]];
                for i in 0..p[1] {
                    for t in 0..if p[1] == 1 { p[0] } else { 2 } {
                        weights[i * p[0] + (i * 7 + t * 13 + k) % p[0]] = random();
                    }
                }
                (weights, (0..p[1]).map(|_| 0.2 * random()).collect())
            })
            .collect();
        let layer = |k: usize| {
            let (weights, bias) = &data[k];
            Layer::dense(Dense::new(widths[k + 1], widths[k], weights, bias).unwrap(), k < 3)
        };
        let layers: Vec<Layer<'_>> = (0..4).map(layer).collect();
        let mut fast = ProofKernel::new(&layers);
        assert!(fast.has_few(1) && fast.has_few(2) && !fast.has_few(0), "the layers have few weights");
        let mut differ = 0;
        let free = proved(&mut Plain, &layers, &[], &[]);
        for neuron in 0..50u32 {
            for active in [true, false] {
                let split = |layer| certus_core::proof::Split { layer, neuron, active };
                let splits = [split(1), split(2)];
                let beta: Vec<u8> = [0.05f32, 0.02].iter().flat_map(|b| b.to_le_bytes()).collect();
                let plain = proved(&mut Plain, &layers, &splits, &beta);
                let few = proved(&mut fast, &layers, &splits, &beta);
                assert!((plain - few).abs() <= 1e-9 * (1.0 + plain.abs()), "{neuron}: {plain} {few}");
                differ += usize::from((plain - free).abs() > 1e-6);
            }
        }
        assert!(differ > 20, "splits of {differ} neurons matter");
    }
}
