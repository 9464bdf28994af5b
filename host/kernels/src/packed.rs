//! A constant matrix, packed for products with lanes.

use crate::LANE_MULTIPLE;
use crate::simd::{Level, Vector};

/// Rows of the matrix that one tile holds. Ten rows × two vectors are 20 of AVX-512's 32 registers and divide the
/// 50-neuron layers of ACAS Xu.
const TILE: usize = 10;

/// `f32` or `f64`.
pub trait Element: Copy + Default + Send + Sync + sealed::Sealed + 'static {}
impl Element for f32 {}
impl Element for f64 {}

mod sealed {
    pub trait Sealed: Copy + Default + Send + Sync + 'static {
        fn tiles(level: super::Level, job: &super::Job<'_, Self>, out: &mut [Self]);
    }
}

/// A matrix `[rows, cols]` in panels of `TILE` rows: `data[panel][col][TILE]`, zero-padded.
#[derive(Clone, Debug)]
pub struct Packed<T> {
    rows: usize,
    cols: usize,
    data: Vec<T>,
    level: Level,
}

/// One product: what every tile reads.
pub struct Job<'a, T> {
    /// Weights in panels, with their rows and columns.
    data: &'a [T],
    rows: usize,
    cols: usize,
    /// Columns that are multiplied, or all.
    active: Option<&'a [u32]>,
    /// The row of the input that each of them multiplies, or one after the other.
    places: Option<&'a [u32]>,
    input: &'a [T],
    lanes: usize,
}

impl<T: Element> Packed<T> {
    /// Packs the matrix whose entry `(i, j)` is `entry(i, j)`.
    pub fn new(rows: usize, cols: usize, entry: impl Fn(usize, usize) -> T) -> Self {
        let panels = rows.div_ceil(TILE);
        let mut data = Vec::with_capacity(panels * cols * TILE);
        for panel in 0..panels {
            for j in 0..cols {
                for i in panel * TILE..(panel + 1) * TILE {
                    data.push(if i < rows { entry(i, j) } else { T::default() });
                }
            }
        }
        Self { rows, cols, data, level: Level::detect() }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The same matrix, multiplied by code of another level (for tests and benches).
    ///
    /// # Panics
    /// If the processor lacks that level.
    pub fn with_level(mut self, level: Level) -> Self {
        let found = Level::detect();
        let present = match level {
            Level::Plain => true,
            Level::Avx2 => found != Level::Plain,
            Level::Avx512 => found == Level::Avx512,
        };
        assert!(present, "this processor has {found:?}, not {level:?}");
        self.level = level;
        self
    }

    /// `out[i][r] = Σₖ M[i][active[k]]·input[k][r]`, or over all columns if `active` is `None`.
    ///
    /// # Shapes
    /// `input` at least `[K, lanes]` with `K` the length of `active` or `cols`; `out` at least `[rows, lanes]`;
    /// `lanes` a multiple of [`LANE_MULTIPLE`].
    ///
    /// # Panics
    /// If a shape does not fit or an index is out of range.
    ///
    /// # Rounding
    /// Each term passes at most `K + 1` roundings; order and fusing are unspecified.
    pub fn product(&self, active: Option<&[u32]>, input: &[T], lanes: usize, out: &mut [T]) {
        let terms = active.map_or(self.cols, <[u32]>::len);
        assert!(lanes.is_multiple_of(LANE_MULTIPLE), "{lanes} lanes are no multiple of {LANE_MULTIPLE}");
        assert!(input.len() >= terms * lanes && out.len() >= self.rows * lanes, "lanes do not fit");
        if let Some(active) = active {
            assert!(active.iter().all(|j| (*j as usize) < self.cols), "an index is out of range");
        }
        let (data, rows, cols) = (self.data.as_slice(), self.rows, self.cols);
        T::tiles(self.level, &Job { data, rows, cols, active, places: None, input, lanes }, out);
    }

    /// `out[i][r] = Σₖ M[rows[i]][columns[k]]·input[places[k]][r]`: a part of the matrix, packed anew into `scratch`, or as it is if `rows` are
    /// all of them in order.
    ///
    /// # Panics
    /// If a shape does not fit or an index is out of range.
    ///
    /// # Rounding
    /// As [`Self::product`].
    pub fn product_part(
        &self,
        (rows, columns): (&[u32], &[u32]),
        (input, places): (&[T], &[u32]),
        lanes: usize,
        scratch: &mut Vec<T>,
        out: &mut [T],
    ) {
        assert!(lanes.is_multiple_of(LANE_MULTIPLE), "{lanes} lanes are no multiple of {LANE_MULTIPLE}");
        assert!(columns.len() == places.len() && out.len() >= rows.len() * lanes, "lanes do not fit");
        assert!(columns.iter().all(|j| (*j as usize) < self.cols), "a column is out of range");
        assert!(rows.iter().all(|i| (*i as usize) < self.rows), "a row is out of range");
        let whole_rows = input.len() / lanes.max(1);
        assert!(places.iter().all(|p| (*p as usize) < whole_rows), "a row of the input is out of range");
        let (all, places) = (rows.len() == self.rows, Some(places));
        if all && rows.iter().zip(0u32..).all(|(i, k)| *i == k) {
            let (data, rows, cols) = (self.data.as_slice(), self.rows, self.cols);
            let job = Job { data, rows, cols, active: Some(columns), places, input, lanes };
            return T::tiles(self.level, &job, out);
        }
        self.gather(rows, columns, scratch);
        let (data, rows, cols) = (scratch.as_slice(), rows.len(), columns.len());
        T::tiles(self.level, &Job { data, rows, cols, active: None, places, input, lanes }, out);
    }

    /// Packs some rows and columns into `part`.
    fn gather(&self, rows: &[u32], columns: &[u32], part: &mut Vec<T>) {
        part.clear();
        part.reserve(rows.len().div_ceil(TILE) * columns.len() * TILE);
        for rows in rows.chunks(TILE) {
            let mut firsts = [0; TILE];
            for (first, i) in firsts.iter_mut().zip(rows) {
                let i = *i as usize;
                *first = i / TILE * self.cols * TILE + i % TILE;
            }
            for j in columns {
                let at = *j as usize * TILE;
                // Where rows are missing the first is repeated; its sums are not stored.
                part.extend(firsts.iter().map(|first| self.data[first + at]));
            }
        }
    }
}

/// Adds one term to every sum of a tile.
///
/// # Safety
/// The processor has `V`'s feature; [`TILE`] weights and `VECTORS` vectors of input can be read.
#[inline(always)]
unsafe fn accumulate<T: Element, V: Vector<T>, const VECTORS: usize>(
    sums: &mut [[V; VECTORS]; TILE],
    weights: *const T,
    input: *const T,
) {
    // SAFETY: the caller's duty.
    unsafe {
        let mut a = [V::splat(T::default()); VECTORS];
        let mut v = 0;
        while v < VECTORS {
            a[v] = V::load(input.add(v * V::LEN));
            v += 1;
        }
        let mut i = 0;
        while i < TILE {
            let w = V::splat(*weights.add(i));
            let mut v = 0;
            while v < VECTORS {
                sums[i][v] = sums[i][v].add_product(w, a[v]);
                v += 1;
            }
            i += 1;
        }
    }
}

/// One tile: [`TILE`] rows × `VECTORS` vectors of lanes, starting at panel `panel` and lane `lane`.
///
/// # Safety
/// The processor has `V`'s feature; `lane + VECTORS·V::LEN ≤ lanes`; the shapes were checked by [`Packed::product`] or
/// [`Packed::product_part`].
#[inline(always)]
unsafe fn tile<T: Element, V: Vector<T>, const VECTORS: usize>(
    job: &Job<'_, T>,
    panel: usize,
    lane: usize,
    out: &mut [T],
) {
    let cols = job.cols;
    // SAFETY: `data` holds `panels · cols · TILE` elements, `input` at least `terms · lanes`, or so many that each of `places` is a row
    // of it, `out` at least `rows · lanes`; every index in `active` is below `cols`, and `places` is as long as the columns that are
    // multiplied. The stores below stop at `rows`.
    unsafe {
        let weights = job.data.as_ptr().add(panel * cols * TILE);
        let mut input = job.input.as_ptr().add(lane);
        let mut sums = [[V::splat(T::default()); VECTORS]; TILE];
        // No closures here: one that is not inlined would lose the vector features.
        if let Some(places) = job.places {
            let mut k = 0;
            while k < places.len() {
                let input = input.add(places[k] as usize * job.lanes);
                let j = match job.active {
                    Some(active) => active[k] as usize,
                    None => k,
                };
                accumulate::<T, V, VECTORS>(&mut sums, weights.add(j * TILE), input);
                k += 1;
            }
        } else if let Some(active) = job.active {
            for j in active {
                accumulate::<T, V, VECTORS>(&mut sums, weights.add(*j as usize * TILE), input);
                input = input.wrapping_add(job.lanes);
            }
        } else {
            for j in 0..cols {
                accumulate::<T, V, VECTORS>(&mut sums, weights.add(j * TILE), input);
                input = input.wrapping_add(job.lanes);
            }
        }
        let first = panel * TILE;
        for (i, sums) in sums.iter().enumerate().take(job.rows - first) {
            for (v, sum) in sums.iter().enumerate() {
                sum.store(out.as_mut_ptr().add((first + i) * job.lanes + lane + v * V::LEN));
            }
        }
    }
}

/// All tiles of a job.
///
/// # Safety
/// As [`tile`], without the condition on lanes.
#[inline(always)]
unsafe fn all_tiles<T: Element, V: Vector<T>>(job: &Job<'_, T>, out: &mut [T]) {
    let mut lane = 0;
    while lane < job.lanes {
        let pair = lane + 2 * V::LEN <= job.lanes;
        for panel in 0..job.rows.div_ceil(TILE) {
            // SAFETY: `lane` stays below `lanes`, a multiple of every vector length.
            unsafe {
                if pair {
                    tile::<T, V, 2>(job, panel, lane, out);
                } else {
                    tile::<T, V, 1>(job, panel, lane, out);
                }
            }
        }
        lane += if pair { 2 * V::LEN } else { V::LEN };
    }
}

macro_rules! dispatch {
    ($scalar:ty, $wide:ident, $half:ident) => {
        impl sealed::Sealed for $scalar {
            fn tiles(level: Level, job: &Job<'_, Self>, out: &mut [Self]) {
                #[cfg(target_arch = "x86_64")]
                {
                    use core::arch::x86_64::{$half, $wide};
                    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
                    fn avx512(job: &Job<'_, $scalar>, out: &mut [$scalar]) {
                        // SAFETY: this function is called only where AVX-512 was detected.
                        unsafe { all_tiles::<$scalar, $wide>(job, out) }
                    }
                    #[target_feature(enable = "avx2,fma")]
                    fn avx2(job: &Job<'_, $scalar>, out: &mut [$scalar]) {
                        // SAFETY: this function is called only where AVX2 and FMA were detected.
                        unsafe { all_tiles::<$scalar, $half>(job, out) }
                    }
                    match level {
                        // SAFETY: `level` was detected on this processor, or lowered from what was.
                        Level::Avx512 => return unsafe { avx512(job, out) },
                        // SAFETY: as above.
                        Level::Avx2 => return unsafe { avx2(job, out) },
                        Level::Plain => {}
                    }
                }
                let _ = level;
                // SAFETY: plain code needs no feature.
                unsafe { all_tiles::<$scalar, [$scalar; 4]>(job, out) }
            }
        }
    };
}
dispatch!(f32, __m512, __m256);
dispatch!(f64, __m512d, __m256d);

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
    fn products_equal_the_plain_sum_exactly_on_small_integers() {
        for (rows, cols, lanes) in [(1, 1, 16), (50, 50, 112), (23, 7, 48), (10, 33, 16), (61, 5, 32)] {
            let entry = |i: usize, j: usize| ((i * 31 + j * 17) % 13) as f32 - 6.0;
            let active: Vec<u32> = (0..cols as u32).filter(|j| cols < 3 || j % 3 != 1).collect();
            for subset in [None, Some(active.as_slice())] {
                let index: Vec<usize> =
                    subset.map_or_else(|| (0..cols).collect(), |a| a.iter().map(|j| *j as usize).collect());
                let input: Vec<f32> = (0..index.len() * lanes).map(|k| ((k * 7) % 11) as f32 - 5.0).collect();
                for level in levels() {
                    let packed = Packed::new(rows, cols, entry).with_level(level);
                    let mut out = vec![f32::NAN; rows * lanes];
                    packed.product(subset, &input, lanes, &mut out);
                    let wide = Packed::new(rows, cols, |i, j| f64::from(entry(i, j))).with_level(level);
                    let wide_input: Vec<f64> = input.iter().map(|x| f64::from(*x)).collect();
                    let mut wide_out = vec![f64::NAN; rows * lanes];
                    wide.product(subset, &wide_input, lanes, &mut wide_out);
                    for i in 0..rows {
                        for r in 0..lanes {
                            let sum: f32 = index
                                .iter()
                                .enumerate()
                                .map(|(k, j)| entry(i, *j) * input[k * lanes + r])
                                .sum();
                            assert_eq!(
                                out[i * lanes + r],
                                sum,
                                "{level:?} {rows}×{cols}×{lanes} at ({i}, {r})"
                            );
                            assert_eq!(
                                wide_out[i * lanes + r],
                                f64::from(sum),
                                "{level:?} f64 at ({i}, {r})"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn parts_of_a_matrix_times_rows_anywhere_equal_the_plain_sum_exactly() {
        let entry = |i: usize, j: usize| ((i * 31 + j * 17) % 13) as f64 - 6.0;
        let (height, width, lanes) = (33, 21, 48);
        let input: Vec<f64> = (0..50 * lanes).map(|k| ((k * 7) % 11) as f64 - 5.0).collect();
        let columns: Vec<u32> = (0..width as u32).filter(|j| j % 3 != 1).collect();
        let places: Vec<u32> = (0..columns.len() as u32).map(|k| (k * 29 + 3) % 50).collect();
        for step in [1, 2, 5, 32] {
            let rows: Vec<u32> = (0..height as u32).step_by(step).collect();
            for level in levels() {
                let packed = Packed::new(height, width, entry).with_level(level);
                let (mut scratch, mut out) = (Vec::new(), vec![f64::NAN; rows.len() * lanes]);
                packed.product_part((&rows, &columns), (&input, &places), lanes, &mut scratch, &mut out);
                for (i, row) in rows.iter().enumerate() {
                    for r in 0..lanes {
                        let terms = columns.iter().zip(&places);
                        let sum: f64 = terms
                            .map(|(j, p)| entry(*row as usize, *j as usize) * input[*p as usize * lanes + r])
                            .sum();
                        assert_eq!(out[i * lanes + r], sum, "{level:?}, every {step}th row, at ({i}, {r})");
                    }
                }
            }
        }
    }
}
