//! Products of a constant matrix with rows gathered from a block of lanes.
//!
//! `out[target[i]][r] = Σ over terms (j, k) of M[i][j] · input[k][r]`. A convolution's backward pass at one pixel is
//! such a product (the terms are the taps that reach it), a dense layer's is one with a term for every neuron that is
//! not constant. Rows without a target are dropped, and a panel that has none costs nothing.

use crate::LANE_MULTIPLE;
use crate::relax::wide;
use crate::simd::{Level, Vector};

/// One summand of a product: a column of the matrix and the row of lanes it multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// Column of the matrix.
    pub col: u32,
    /// Row of the input.
    pub row: u32,
}

/// The target of a row that is not wanted.
pub const DROP: u32 = u32::MAX;

/// A matrix `[rows, cols]` in panels of `tile` rows: `data[panel][col][tile]`, zero-padded.
#[derive(Clone, Debug)]
pub struct Panels {
    rows: usize,
    cols: usize,
    tile: usize,
    data: Vec<f32>,
    level: Level,
}

impl Panels {
    /// Packs the matrix whose entry `(i, j)` is `entry(i, j)`, in the panel height that wastes least.
    pub fn new(rows: usize, cols: usize, entry: impl Fn(usize, usize) -> f32) -> Self {
        // Twelve rows × two vectors are 24 of AVX-512's 32 registers; on a tie the higher panel reuses more.
        let tile = [12, 10, 8, 4].into_iter().min_by_key(|t| rows.next_multiple_of(*t)).expect("not empty");
        let mut data = Vec::with_capacity(rows.next_multiple_of(tile) * cols);
        for first in (0..rows).step_by(tile) {
            for j in 0..cols {
                data.extend((first..first + tile).map(|i| if i < rows { entry(i, j) } else { 0.0 }));
            }
        }
        Self { rows, cols, tile, data, level: Level::detect() }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Columns.
    pub fn cols(&self) -> usize {
        self.cols
    }
    /// Memory that the packed matrix takes, bytes.
    pub fn bytes(&self) -> usize {
        4 * self.data.len()
    }

    /// `out[targets[i]][r] = Σ M[i][col] · input[row][r]` over `terms`.
    ///
    /// # Shapes
    /// `input` and `out` are `[_, lanes]`; `targets` is `[rows]`, [`DROP`] where the row is not wanted; `lanes` a
    /// multiple of [`LANE_MULTIPLE`].
    ///
    /// # Panics
    /// If a shape does not fit or an index is out of range.
    ///
    /// # Rounding
    /// *Estimate*: each term passes at most `terms + 1` roundings in an unspecified order.
    pub fn product(&self, terms: &[Term], input: &[f32], lanes: usize, targets: &[u32], out: &mut [f32]) {
        self.products(terms, &[terms.len()], input, lanes, targets, out);
    }

    /// As [`Self::product`], many times: product `p` has the terms up to `ends[p]` from where the one before ended, and the targets
    /// `targets[p·rows..(p + 1)·rows]`.
    ///
    /// # Panics
    /// As [`Self::product`]; or if `ends` falls, or does not end at the last term.
    pub fn products(
        &self,
        terms: &[Term],
        ends: &[usize],
        input: &[f32],
        lanes: usize,
        targets: &[u32],
        out: &mut [f32],
    ) {
        assert!(lanes > 0 && lanes.is_multiple_of(LANE_MULTIPLE), "{lanes} lanes");
        assert_eq!(targets.len(), self.rows * ends.len(), "one target a row");
        assert!(
            ends.is_sorted() && ends.last().is_none_or(|e| *e == terms.len()),
            "the terms are divided up"
        );
        let (inputs, outs) = ((input.len() / lanes) as u64, (out.len() / lanes) as u64);
        let (col, row) = wide(|| largest(terms));
        assert!(
            terms.is_empty() || ((col as usize) < self.cols && u64::from(row) < inputs),
            "a term is out of range"
        );
        assert!(u64::from(wide(|| last_target(targets))) <= outs, "a target is out of range");
        dispatch(&Jobs { matrix: self, terms, ends, input, lanes, targets }, out);
    }
}

#[inline(always)]
fn largest(terms: &[Term]) -> (u32, u32) {
    let (mut col, mut row) = (0u32, 0u32);
    for term in terms {
        (col, row) = (col.max(term.col), row.max(term.row));
    }
    (col, row)
}

/// One more than the last target; `DROP + 1` wraps to 0.
#[inline(always)]
fn last_target(targets: &[u32]) -> u32 {
    targets.iter().fold(0, |m: u32, t| m.max(t.wrapping_add(1)))
}

/// Products of one matrix.
struct Jobs<'a> {
    matrix: &'a Panels,
    terms: &'a [Term],
    ends: &'a [usize],
    input: &'a [f32],
    lanes: usize,
    targets: &'a [u32],
}

/// One product: what every tile reads.
struct Job<'a> {
    matrix: &'a Panels,
    terms: &'a [Term],
    input: &'a [f32],
    lanes: usize,
    targets: &'a [u32],
}

fn dispatch(jobs: &Jobs<'_>, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{__m256, __m512};
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
        fn avx512(jobs: &Jobs<'_>, out: &mut [f32]) {
            // SAFETY: this function is called only where AVX-512 was detected.
            unsafe { all_jobs::<__m512, 2>(jobs, out) }
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2(jobs: &Jobs<'_>, out: &mut [f32]) {
            // SAFETY: this function is called only where AVX2 and FMA were detected.
            unsafe { all_jobs::<__m256, 1>(jobs, out) }
        }
        match jobs.matrix.level {
            // SAFETY: `level` was detected on this processor.
            Level::Avx512 => return unsafe { avx512(jobs, out) },
            // SAFETY: as above.
            Level::Avx2 => return unsafe { avx2(jobs, out) },
            Level::Plain => {}
        }
    }
    // SAFETY: plain code needs no feature.
    unsafe { all_jobs::<[f32; 4], 1>(jobs, out) }
}

/// All jobs in turn.
///
/// # Safety
/// The processor has `V`'s feature; the shapes were checked by [`Panels::products`].
#[inline(always)]
unsafe fn all_jobs<V: Vector<f32>, const VECTORS: usize>(jobs: &Jobs<'_>, out: &mut [f32]) {
    let mut first = 0;
    for (end, targets) in jobs.ends.iter().zip(jobs.targets.chunks_exact(jobs.matrix.rows)) {
        let Jobs { matrix, input, lanes, .. } = *jobs;
        let job = Job { matrix, terms: &jobs.terms[first..*end], input, lanes, targets };
        // SAFETY: the caller's duty.
        unsafe { all_tiles::<V, VECTORS>(&job, out) };
        first = *end;
    }
}

/// All tiles of a job, at most `VECTORS` (1 or 2) vectors of lanes at once.
///
/// # Safety
/// The processor has `V`'s feature; the shapes were checked by [`Panels::products`].
#[inline(always)]
unsafe fn all_tiles<V: Vector<f32>, const VECTORS: usize>(job: &Job<'_>, out: &mut [f32]) {
    let mut lane = 0;
    while lane < job.lanes {
        let wide = VECTORS == 2 && lane + 2 * V::LEN <= job.lanes;
        // SAFETY: `lane` stays below `lanes`, a multiple of every vector length; the rest is the caller's duty.
        unsafe {
            match (job.matrix.tile, wide) {
                (12, true) => panels::<V, 12, 2>(job, lane, out),
                (10, true) => panels::<V, 10, 2>(job, lane, out),
                (8, true) => panels::<V, 8, 2>(job, lane, out),
                (_, true) => panels::<V, 4, 2>(job, lane, out),
                (12, false) => panels::<V, 12, 1>(job, lane, out),
                (10, false) => panels::<V, 10, 1>(job, lane, out),
                (8, false) => panels::<V, 8, 1>(job, lane, out),
                (_, false) => panels::<V, 4, 1>(job, lane, out),
            }
        }
        lane += if wide { 2 * V::LEN } else { V::LEN };
    }
}

/// The panels that have a target, for `VECTORS` vectors of lanes from `lane` on.
///
/// # Safety
/// As [`all_tiles`]; the matrix has panels of `ROWS` rows and `lane + VECTORS · V::LEN ≤ lanes`.
#[inline(always)]
unsafe fn panels<V: Vector<f32>, const ROWS: usize, const VECTORS: usize>(
    job: &Job<'_>,
    lane: usize,
    out: &mut [f32],
) {
    for (panel, targets) in job.targets.chunks(ROWS).enumerate() {
        if targets.iter().all(|t| *t == DROP) {
            continue;
        }
        // SAFETY: `data` holds `panels · cols · ROWS` elements and every column is below `cols`; every row of `input`
        // and every target has `lanes` elements. No closures: one that is not inlined would lose the vector features.
        unsafe {
            let weights = job.matrix.data.as_ptr().add(panel * job.matrix.cols * ROWS);
            let input = job.input.as_ptr().add(lane);
            let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
            for term in job.terms {
                let w = weights.add(term.col as usize * ROWS);
                let a = input.add(term.row as usize * job.lanes);
                let mut x = [V::splat(0.0); VECTORS];
                let mut v = 0;
                while v < VECTORS {
                    x[v] = V::load(a.add(v * V::LEN));
                    v += 1;
                }
                let mut i = 0;
                while i < ROWS {
                    let w = V::splat(*w.add(i));
                    let mut v = 0;
                    while v < VECTORS {
                        sums[i][v] = sums[i][v].add_product(w, x[v]);
                        v += 1;
                    }
                    i += 1;
                }
            }
            let mut i = 0;
            while i < ROWS {
                if i < targets.len() && targets[i] != DROP {
                    let to = out.as_mut_ptr().add(targets[i] as usize * job.lanes + lane);
                    let mut v = 0;
                    while v < VECTORS {
                        sums[i][v].store(to.add(v * V::LEN));
                        v += 1;
                    }
                }
                i += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels() -> Vec<Level> {
        match Level::detect() {
            Level::Avx512 => vec![Level::Avx512, Level::Avx2, Level::Plain],
            Level::Avx2 => vec![Level::Avx2, Level::Plain],
            Level::Plain => vec![Level::Plain],
        }
    }

    #[test]
    fn gathered_products_equal_the_plain_sum_exactly_on_small_integers() {
        for (rows, cols, lanes) in
            [(1, 1, 16), (3, 12, 32), (16, 9, 48), (50, 20, 32), (12, 5, 16), (31, 7, 64)]
        {
            let entry = |i: usize, j: usize| ((i * 31 + j * 17) % 13) as f32 - 6.0;
            let terms: Vec<Term> = (0..cols as u32)
                .filter(|j| cols < 3 || j % 3 != 1)
                .map(|col| Term { col, row: (col * 5) % 11 })
                .collect();
            let input: Vec<f32> = (0..11 * lanes).map(|k| ((k * 7) % 11) as f32 - 5.0).collect();
            // Targets in reverse order, every fifth row dropped.
            let targets: Vec<u32> =
                (0..rows as u32).map(|i| if i % 5 == 3 { DROP } else { rows as u32 - 1 - i }).collect();
            for level in levels() {
                let mut panels = Panels::new(rows, cols, entry);
                panels.level = level;
                // Twice: the second product, of the terms in reverse, goes to rows of its own.
                let all: Vec<Term> = terms.iter().chain(terms.iter().rev()).copied().collect();
                let shifted = targets.iter().map(|t| if *t == DROP { DROP } else { t + rows as u32 });
                let all_targets: Vec<u32> = targets.iter().copied().chain(shifted).collect();
                let mut out = vec![7.0; 2 * rows * lanes];
                panels.products(&all, &[terms.len(), all.len()], &input, lanes, &all_targets, &mut out);
                for (i, target) in targets.iter().enumerate() {
                    for r in 0..lanes {
                        let sum: f32 = terms
                            .iter()
                            .map(|t| entry(i, t.col as usize) * input[t.row as usize * lanes + r])
                            .sum();
                        let (at, expected) = match *target {
                            DROP => ((rows - 1 - i) * lanes + r, 7.0),
                            t => (t as usize * lanes + r, sum),
                        };
                        for at in [at, at + rows * lanes] {
                            assert_eq!(out[at], expected, "{level:?} {rows}×{cols}×{lanes} at ({i}, {r})");
                        }
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "a target is out of range")]
    fn a_target_behind_the_output_is_refused() {
        let panels = Panels::new(2, 1, |_, _| 1.0);
        panels.product(&[Term { col: 0, row: 0 }], &[1.0; 16], 16, &[0, 1], &mut [0.0; 16]);
    }

    #[test]
    #[should_panic(expected = "a term is out of range")]
    fn a_term_behind_the_input_is_refused() {
        let panels = Panels::new(1, 1, |_, _| 1.0);
        panels.product(&[Term { col: 0, row: 1 }], &[1.0; 16], 16, &[0], &mut [0.0; 16]);
    }
}
