//! Products of a matrix as it lies in the file with lanes: for the few products for which packing would not pay.
//!
//! A tile holds `TILE` outputs; its weights are read with two strides, so that a matrix and its transpose are the same
//! code. Where most weights are 0, [`Sparse`] holds the others.
//!
//! # Rounding
//! *Estimate*: each term passes at most as many roundings as the sum has terms; order and fusing are unspecified.

use crate::LANE_MULTIPLE;
use crate::relax::wide;
use crate::simd::{Level, Vector};

/// Outputs of a tile: with one vector of lanes, as many sums as hide the latency of the additions.
const TILE: usize = 8;

/// Where a product's weights are.
#[derive(Clone, Copy)]
struct Strides {
    /// Between outputs.
    output: usize,
    /// Between terms.
    term: usize,
}

struct Job<'a> {
    weights: &'a [f32],
    strides: Strides,
    outputs: usize,
    terms: usize,
    input: &'a [f32],
    lanes: usize,
}

/// `out[i][r] = Σⱼ W[i][j]·input[j][r]`.
///
/// # Shapes
/// `weights` `[rows, cols]`, `input` at least `[cols, lanes]`, `out` at least `[rows, lanes]`; `lanes` a multiple of
/// [`LANE_MULTIPLE`].
///
/// # Panics
/// If a shape does not fit.
pub fn product(weights: &[f32], [rows, cols]: [usize; 2], input: &[f32], lanes: usize, out: &mut [f32]) {
    let strides = Strides { output: cols, term: 1 };
    run(&Job { weights, strides, outputs: rows, terms: cols, input, lanes }, rows * cols, out);
}

/// `out[j][r] = Σᵢ W[i][j]·input[i][r]`: the transpose of [`product`], same `weights` `[rows, cols]`.
///
/// # Panics
/// If a shape does not fit.
pub fn product_transposed(
    weights: &[f32],
    [rows, cols]: [usize; 2],
    input: &[f32],
    lanes: usize,
    out: &mut [f32],
) {
    let strides = Strides { output: 1, term: cols };
    run(&Job { weights, strides, outputs: cols, terms: rows, input, lanes }, rows * cols, out);
}

fn run(job: &Job<'_>, weights: usize, out: &mut [f32]) {
    assert!(job.lanes > 0 && job.lanes.is_multiple_of(LANE_MULTIPLE), "{} lanes", job.lanes);
    assert_eq!(job.weights.len(), weights, "the weights have the shape [rows, cols]");
    assert!(
        job.input.len() >= job.terms * job.lanes && out.len() >= job.outputs * job.lanes,
        "lanes do not fit"
    );
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{__m256, __m512};
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
        fn avx512(job: &Job<'_>, out: &mut [f32]) {
            // SAFETY: this function is called only where AVX-512 was detected.
            unsafe { all_tiles::<__m512>(job, out) }
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2(job: &Job<'_>, out: &mut [f32]) {
            // SAFETY: this function is called only where AVX2 and FMA were detected.
            unsafe { all_tiles::<__m256>(job, out) }
        }
        match Level::detect() {
            // SAFETY: the level was detected on this processor.
            Level::Avx512 => return unsafe { avx512(job, out) },
            // SAFETY: as above.
            Level::Avx2 => return unsafe { avx2(job, out) },
            Level::Plain => {}
        }
    }
    // SAFETY: plain code needs no feature.
    unsafe { all_tiles::<[f32; 4]>(job, out) }
}

/// All tiles; the last one of a column of lanes overlaps the one before.
///
/// # Safety
/// The processor has `V`'s feature; the shapes were checked by [`run`].
#[inline(always)]
unsafe fn all_tiles<V: Vector<f32>>(job: &Job<'_>, out: &mut [f32]) {
    let mut lane = 0;
    while lane < job.lanes {
        let pair = lane + 2 * V::LEN <= job.lanes;
        let mut first = 0;
        while first < job.outputs {
            // SAFETY: a tile's outputs end at `outputs`; `lane` stays below `lanes`, a multiple of every vector length.
            unsafe {
                if job.outputs < TILE {
                    if pair {
                        tile::<V, 1, 2>(job, first, lane, out)
                    } else {
                        tile::<V, 1, 1>(job, first, lane, out)
                    }
                    first += 1;
                } else {
                    let from = if first + TILE <= job.outputs { first } else { job.outputs - TILE };
                    if pair {
                        tile::<V, TILE, 2>(job, from, lane, out)
                    } else {
                        tile::<V, TILE, 1>(job, from, lane, out)
                    }
                    first += TILE;
                }
            }
        }
        lane += if pair { 2 * V::LEN } else { V::LEN };
    }
}

/// `OUTPUTS` outputs from `first` on × `VECTORS` vectors of lanes from `lane` on.
///
/// # Safety
/// As [`all_tiles`]; `first + OUTPUTS ≤ outputs` and `lane + VECTORS·V::LEN ≤ lanes`.
#[inline(always)]
unsafe fn tile<V: Vector<f32>, const OUTPUTS: usize, const VECTORS: usize>(
    job: &Job<'_>,
    first: usize,
    lane: usize,
    out: &mut [f32],
) {
    // SAFETY: the largest index of a weight is `(outputs − 1)·output + (terms − 1)·term = rows·cols − 1` for both strides;
    // `input` holds `terms · lanes` elements and `out` `outputs · lanes`. No closures: one that is not inlined would lose the
    // vector features.
    unsafe {
        let mut sums = [[V::splat(0.0); VECTORS]; OUTPUTS];
        let mut weights = job.weights.as_ptr().add(first * job.strides.output);
        let mut input = job.input.as_ptr().add(lane);
        for _ in 0..job.terms {
            let mut x = [V::splat(0.0); VECTORS];
            let mut v = 0;
            while v < VECTORS {
                x[v] = V::load(input.add(v * V::LEN));
                v += 1;
            }
            let mut i = 0;
            while i < OUTPUTS {
                let w = V::splat(*weights.add(i * job.strides.output));
                let mut v = 0;
                while v < VECTORS {
                    sums[i][v] = sums[i][v].add_product(w, x[v]);
                    v += 1;
                }
                i += 1;
            }
            weights = weights.wrapping_add(job.strides.term);
            input = input.wrapping_add(job.lanes);
        }
        let mut i = 0;
        while i < OUTPUTS {
            let mut v = 0;
            while v < VECTORS {
                sums[i][v].store(out.as_mut_ptr().add((first + i) * job.lanes + lane + v * V::LEN));
                v += 1;
            }
            i += 1;
        }
    }
}

/// The weights of a matrix that are not 0, row by row.
#[derive(Clone, Debug)]
pub struct Sparse {
    cols: usize,
    /// Row `i` holds `starts[i]..starts[i + 1]`.
    starts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f32>,
}

impl Sparse {
    /// The matrix `weights` `[rows, cols]`, if at most one weight in `share` is not 0.
    pub fn new(weights: &[f32], cols: usize, share: usize) -> Option<Self> {
        #[inline(always)]
        fn count(row: &[f32]) -> usize {
            row.iter().map(|w| u32::from(*w != 0.0)).sum::<u32>() as usize
        }
        let (limit, rows) = (weights.len() / share, weights.len() / cols.max(1));
        let (mut starts, mut columns, mut values) = (Vec::with_capacity(rows + 1), Vec::new(), Vec::new());
        starts.push(0);
        for row in weights.chunks_exact(cols.max(1)) {
            let found = wide(|| count(row));
            if columns.len() + found > limit || u32::try_from(cols).is_err() {
                return None;
            }
            if found > 0 {
                let stored = row.iter().enumerate().filter(|(_, w)| **w != 0.0);
                for (j, w) in stored {
                    columns.push(j as u32);
                    values.push(*w);
                }
            }
            starts.push(columns.len());
        }
        Some(Self { cols, starts, columns, values })
    }

    /// The matrix of the weights `rows` that are not 0, each with its column.
    ///
    /// # Panics
    /// If a column is not below `cols`.
    pub fn of_rows<R: IntoIterator<Item = (u32, f32)>>(
        cols: usize,
        rows: impl IntoIterator<Item = R>,
    ) -> Self {
        let mut matrix = Self { cols, starts: vec![0], columns: Vec::new(), values: Vec::new() };
        for row in rows {
            for (j, w) in row.into_iter().filter(|(_, w)| *w != 0.0) {
                assert!((j as usize) < cols, "column {j} of {cols}");
                matrix.columns.push(j);
                matrix.values.push(w);
            }
            matrix.starts.push(matrix.columns.len());
        }
        matrix
    }

    /// Weights that are not 0.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether all weights are 0.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// `out[i][r] = Σⱼ W[i][j]·input[j][r]`, as [`product`].
    ///
    /// # Panics
    /// If a shape does not fit.
    pub fn product(&self, input: &[f32], lanes: usize, out: &mut [f32]) {
        #[inline(always)]
        fn body(m: &Sparse, input: &[f32], lanes: usize, out: &mut [f32]) {
            for (row, out) in m.starts.windows(2).zip(out.chunks_exact_mut(lanes)) {
                out.fill(0.0);
                for (j, w) in m.columns[row[0]..row[1]].iter().zip(&m.values[row[0]..row[1]]) {
                    let input = &input[*j as usize * lanes..][..lanes];
                    out.iter_mut().zip(input).for_each(|(o, x)| *o += w * x);
                }
            }
        }
        let rows = self.starts.len() - 1;
        assert!(input.len() >= self.cols * lanes && out.len() >= rows * lanes, "lanes do not fit");
        wide(|| body(self, input, lanes, &mut out[..rows * lanes]));
    }

    /// `out[j][r] = Σᵢ W[i][j]·input[i][r]`, as [`product_transposed`].
    ///
    /// # Panics
    /// If a shape does not fit.
    pub fn product_transposed(&self, input: &[f32], lanes: usize, out: &mut [f32]) {
        #[inline(always)]
        fn body(m: &Sparse, input: &[f32], lanes: usize, out: &mut [f32]) {
            out[..m.cols * lanes].fill(0.0);
            for (row, input) in m.starts.windows(2).zip(input.chunks_exact(lanes)) {
                for (j, w) in m.columns[row[0]..row[1]].iter().zip(&m.values[row[0]..row[1]]) {
                    let out = &mut out[*j as usize * lanes..][..lanes];
                    out.iter_mut().zip(input).for_each(|(o, x)| *o += w * x);
                }
            }
        }
        let rows = self.starts.len() - 1;
        assert!(input.len() >= rows * lanes && out.len() >= self.cols * lanes, "lanes do not fit");
        wide(|| body(self, input, lanes, out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_their_transposes_equal_the_plain_sums_exactly_on_small_integers() {
        for (rows, cols, lanes) in
            [(1, 1, 16), (50, 50, 112), (23, 7, 48), (9, 33, 16), (7, 8, 32), (8, 3, 16)]
        {
            // Two in three are 0.
            let weights: Vec<f32> =
                (0..rows * cols).map(|k| if k % 3 == 1 { (k % 13) as f32 - 6.5 } else { 0.0 }).collect();
            let lane =
                |n: usize| -> Vec<f32> { (0..n * lanes).map(|k| ((k * 7) % 11) as f32 - 5.0).collect() };
            let sparse = Sparse::new(&weights, cols, 1).unwrap();
            let sum = |n: usize, x: &[f32], r: usize, w: &dyn Fn(usize) -> f32| -> f32 {
                (0..n).map(|k| w(k) * x[k * lanes + r]).sum()
            };
            let (x, mut forward, mut other) =
                (lane(cols), vec![f32::NAN; rows * lanes], vec![f32::NAN; rows * lanes]);
            product(&weights, [rows, cols], &x, lanes, &mut forward);
            sparse.product(&x, lanes, &mut other);
            for k in 0..rows * lanes {
                let expected = sum(cols, &x, k % lanes, &|j| weights[k / lanes * cols + j]);
                assert_eq!((forward[k], other[k]), (expected, expected), "{rows}×{cols}×{lanes} at {k}");
            }
            let (x, mut backward, mut other) =
                (lane(rows), vec![f32::NAN; cols * lanes], vec![f32::NAN; cols * lanes]);
            product_transposed(&weights, [rows, cols], &x, lanes, &mut backward);
            sparse.product_transposed(&x, lanes, &mut other);
            for k in 0..cols * lanes {
                let expected = sum(rows, &x, k % lanes, &|i| weights[i * cols + k / lanes]);
                assert_eq!((backward[k], other[k]), (expected, expected), "{rows}×{cols}×{lanes} at {k}");
            }
        }
    }

    #[test]
    fn a_matrix_with_more_than_its_share_is_not_sparse() {
        assert!(Sparse::new(&[1.0, 0.0, 0.0, 0.0], 2, 4).is_some());
        assert!(Sparse::new(&[1.0, 0.0, 2.0, 0.0], 2, 4).is_none());
    }
}
