//! Sums over lanes of products of rows: a convolution's gradient to its weights.
//!
//! `to[i][j] = Σₚ Σᵣ left[i·points + p][r] · right[rows[j·points + p]][r]`, where rows may be missing (the window reaches beyond the
//! image). Tiles of four by four sums stay in registers over all points and lanes.

use crate::LANE_MULTIPLE;
use crate::simd::{Level, Vector};

/// The row of a term that is left out.
pub const NONE: u32 = u32::MAX;

/// Sums of a tile, in each direction.
const TILE: usize = 4;

struct Job<'a> {
    left: &'a [f32],
    right: &'a [f32],
    rows: &'a [u32],
    points: usize,
    lanes: usize,
    /// Takes the place of missing rows.
    zeros: Vec<f32>,
    /// How many `i` and `j` there are.
    sizes: [usize; 2],
}

/// The sums `to` `[m, n]` of `left` `[m, points, lanes]` and the rows `rows` `[n, points]` of `right` `[_, lanes]`; `lanes` is a multiple of
/// [`LANE_MULTIPLE`].
///
/// # Panics
/// If a shape does not fit or a row is out of range.
///
/// # Rounding
/// *Estimate*: order unspecified, but it depends on the shapes and the processor alone.
pub fn correlate(
    left: &[f32],
    right: &[f32],
    rows: &[u32],
    points: usize,
    lanes: usize,
    [m, n]: [usize; 2],
    to: &mut [f32],
) {
    assert!(lanes > 0 && lanes.is_multiple_of(LANE_MULTIPLE), "{lanes} lanes");
    assert_eq!([left.len(), rows.len(), to.len()], [m * points * lanes, n * points, m * n], "shapes fit");
    let last = right.len() / lanes;
    assert!(rows.iter().all(|r| *r == NONE || (*r as usize) < last), "a row is out of range");
    let job = Job { left, right, rows, points, lanes, zeros: vec![0.0; lanes], sizes: [m, n] };
    dispatch(&job, Level::detect(), to);
}

fn dispatch(job: &Job<'_>, level: Level, to: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{__m256, __m512};
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
        fn avx512(job: &Job<'_>, to: &mut [f32]) {
            // SAFETY: this function is called only where AVX-512 was detected.
            unsafe { tiles::<__m512>(job, to) }
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2(job: &Job<'_>, to: &mut [f32]) {
            // SAFETY: this function is called only where AVX2 and FMA were detected.
            unsafe { tiles::<__m256>(job, to) }
        }
        match level {
            // SAFETY: `level` was detected on this processor.
            Level::Avx512 => return unsafe { avx512(job, to) },
            // SAFETY: as above.
            Level::Avx2 => return unsafe { avx2(job, to) },
            Level::Plain => {}
        }
    }
    let _ = level;
    // SAFETY: plain code needs no feature.
    unsafe { tiles::<[f32; 4]>(job, to) }
}

/// # Safety
/// The processor has `V`'s feature; the shapes were checked by [`correlate`].
#[inline(always)]
unsafe fn tiles<V: Vector<f32>>(job: &Job<'_>, to: &mut [f32]) {
    let [m, n] = job.sizes;
    for i in (0..m).step_by(TILE) {
        for j in (0..n).step_by(TILE) {
            // SAFETY: `i < m` and `j < n`; the rest is the caller's duty.
            unsafe { tile::<V>(job, [i, j], to) };
        }
    }
}

/// # Safety
/// As [`tiles`]; `at` is below the job's sizes.
#[inline(always)]
unsafe fn tile<V: Vector<f32>>(job: &Job<'_>, at: [usize; 2], to: &mut [f32]) {
    let [m, n] = job.sizes;
    let (lanes, points) = (job.lanes, job.points);
    // Tiles at the edge compute their last row or column several times.
    let mut rows = [0; TILE];
    let mut columns = [0; TILE];
    let mut k = 0;
    while k < TILE {
        rows[k] = (at[0] + k).min(m - 1);
        columns[k] = (at[1] + k).min(n - 1);
        k += 1;
    }
    // SAFETY: every row lies within its slice, as `correlate` has checked, and `lanes` is a multiple of `V::LEN`. No closures: one that
    // is not inlined would lose the vector features.
    unsafe {
        let mut sums = [[V::splat(0.0); TILE]; TILE];
        for p in 0..points {
            let mut a = [job.zeros.as_ptr(); TILE];
            let mut b = [job.zeros.as_ptr(); TILE];
            let mut k = 0;
            while k < TILE {
                a[k] = job.left.as_ptr().add((rows[k] * points + p) * lanes);
                let row = *job.rows.get_unchecked(columns[k] * points + p);
                if row != NONE {
                    b[k] = job.right.as_ptr().add(row as usize * lanes);
                }
                k += 1;
            }
            let mut lane = 0;
            while lane < lanes {
                let mut x = [V::splat(0.0); TILE];
                let mut k = 0;
                while k < TILE {
                    x[k] = V::load(a[k].add(lane));
                    k += 1;
                }
                let mut k = 0;
                while k < TILE {
                    let y = V::load(b[k].add(lane));
                    let mut i = 0;
                    while i < TILE {
                        sums[i][k] = sums[i][k].add_product(x[i], y);
                        i += 1;
                    }
                    k += 1;
                }
                lane += V::LEN;
            }
        }
        for (i, sums) in sums.iter().enumerate().take(m - at[0]) {
            for (k, sum) in sums.iter().enumerate().take(n - at[1]) {
                let mut parts = [0.0f32; LANE_MULTIPLE];
                sum.store(parts.as_mut_ptr());
                to[(at[0] + i) * n + at[1] + k] = parts[..V::LEN].iter().sum();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_equal_the_plain_ones_exactly_on_small_integers() {
        let levels = match Level::detect() {
            Level::Avx512 => vec![Level::Avx512, Level::Avx2, Level::Plain],
            Level::Avx2 => vec![Level::Avx2, Level::Plain],
            Level::Plain => vec![Level::Plain],
        };
        for (m, n, points, lanes) in [(1, 1, 1, 16), (4, 4, 3, 32), (5, 7, 4, 16), (6, 9, 2, 48)] {
            let left: Vec<f32> = (0..m * points * lanes).map(|k| ((k * 5) % 7) as f32 - 3.0).collect();
            let right: Vec<f32> = (0..6 * lanes).map(|k| ((k * 3) % 11) as f32 - 5.0).collect();
            let rows: Vec<u32> =
                (0..n * points).map(|k| if k % 5 == 3 { NONE } else { (k * 7 % 6) as u32 }).collect();
            for level in &levels {
                let mut to = vec![f32::NAN; m * n];
                let zeros = vec![0.0; lanes];
                let job =
                    Job { left: &left, right: &right, rows: &rows, points, lanes, zeros, sizes: [m, n] };
                dispatch(&job, *level, &mut to);
                for (at, found) in to.iter().enumerate() {
                    let (i, j) = (at / n, at % n);
                    let mut sum = 0.0;
                    for p in (0..points).filter(|p| rows[j * points + p] != NONE) {
                        let (a, b) = ((i * points + p) * lanes, rows[j * points + p] as usize * lanes);
                        sum += (0..lanes).map(|r| left[a + r] * right[b + r]).sum::<f32>();
                    }
                    assert_eq!(*found, sum, "{level:?}, {m}×{n}, {points} points, {lanes} lanes, at {at}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "a row is out of range")]
    fn a_row_behind_the_input_is_refused() {
        correlate(&[1.0; 16], &[1.0; 16], &[1], 1, 16, [1, 1], &mut [0.0]);
    }
}
