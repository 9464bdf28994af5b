//! Lanes that each relax every neuron in a way of their own: blocks whose lanes are subproblems.
//!
//! # Rounding
//! *Estimate*: the search's arithmetic.

use crate::LANE_MULTIPLE as N;
use crate::gather::DROP;
use crate::lanes::Adam;
use crate::relax::wide;

/// The share that a byte of a proof would state for `alpha`.
#[inline(always)]
pub fn share(alpha: f32) -> f32 {
    (255.0 * alpha).round_ties_even() * (1.0 / 255.0)
}

/// The lines of the neurons of one step, `[neurons, lanes]` each: below `(base + rate·share)·z`, above `slope·z + intercept`.
#[derive(Clone, Copy, Debug)]
pub struct Kinks<'a> {
    /// Row of each neuron in the block, [`DROP`] if it has none; `[neurons]`.
    pub rows: &'a [u32],
    /// Slope below at `alpha = 0`.
    pub base: &'a [f32],
    /// How it grows with the share of `alpha`.
    pub rate: &'a [f32],
    /// Slope above.
    pub slope: &'a [f32],
    /// Intercept above.
    pub intercept: &'a [f32],
}

impl Kinks<'_> {
    fn check(&self, lanes: usize, others: &[usize]) {
        let n = self.rows.len() * lanes;
        let own = [self.base.len(), self.rate.len(), self.slope.len(), self.intercept.len()];
        assert!(own.iter().chain(others).all(|k| *k == n), "rows of one length");
        assert!(lanes.is_multiple_of(N), "{lanes} lanes");
    }
}

/// Vectors `from..from + N` of a slice.
#[inline(always)]
fn vector(x: &[f32], from: usize) -> &[f32; N] {
    x[from..from + N].try_into().expect("N elements")
}

/// As [`vector`].
#[inline(always)]
fn vector_mut(x: &mut [f32], from: usize) -> &mut [f32; N] {
    (&mut x[from..from + N]).try_into().expect("N elements")
}

/// Coefficients on what a step gives become coefficients on its operand; `c +=` intercepts; `post` keeps what they were.
///
/// # Panics
/// If a shape does not fit.
pub fn relax_kinks(data: &mut [f32], c: &mut [f32], alpha: &[f32], post: &mut [f32], kinks: &Kinks<'_>) {
    #[inline(always)]
    fn body(data: &mut [f32], c: &mut [f32], alpha: &[f32], post: &mut [f32], kinks: &Kinks<'_>) {
        let lanes = c.len();
        for (i, row) in kinks.rows.iter().enumerate() {
            if *row == DROP {
                post[i * lanes..(i + 1) * lanes].fill(0.0);
                continue;
            }
            for first in (0..lanes).step_by(N) {
                let at = i * lanes + first;
                let a = vector_mut(data, *row as usize * lanes + first);
                let (c, post) = (vector_mut(c, first), vector_mut(post, at));
                let (alpha, base, rate) = (vector(alpha, at), vector(kinks.base, at), vector(kinks.rate, at));
                let (slope, intercept) = (vector(kinks.slope, at), vector(kinks.intercept, at));
                for r in 0..N {
                    let (plus, minus) = (a[r].max(0.0), a[r].min(0.0));
                    post[r] = a[r];
                    c[r] += minus * intercept[r];
                    a[r] = plus * (base[r] + rate[r] * share(alpha[r])) + minus * slope[r];
                }
            }
        }
    }
    kinks.check(c.len(), &[alpha.len(), post.len()]);
    wide(|| body(data, c, alpha, post, kinks));
}

/// The slopes of the neurons of one step and their moments, `[neurons, lanes]` each.
#[derive(Debug)]
pub struct Climbing<'a> {
    /// In `[0, 1]`.
    pub alpha: &'a mut [f32],
    /// First moment of the gradient.
    pub m: &'a mut [f32],
    /// Second moment.
    pub v: &'a mut [f32],
}

/// The forward sweep through one step: the concretizing point's values of the operand become those of the lines that the lanes took,
/// and alphas take an Adam step up the gradient `max(post, 0)·rate·z`.
///
/// # Panics
/// If a shape does not fit.
pub fn sweep_kinks(
    data: &mut [f32],
    lanes: usize,
    post: &[f32],
    state: Climbing<'_>,
    kinks: &Kinks<'_>,
    adam: Adam,
) {
    #[expect(clippy::manual_clamp, reason = "a NaN becomes 0, which is valid")]
    #[inline(always)]
    fn body(
        data: &mut [f32],
        lanes: usize,
        post: &[f32],
        state: Climbing<'_>,
        kinks: &Kinks<'_>,
        adam: Adam,
    ) {
        for (i, row) in kinks.rows.iter().enumerate().filter(|(_, row)| **row != DROP) {
            for first in (0..lanes).step_by(N) {
                let at = i * lanes + first;
                let z = vector_mut(data, *row as usize * lanes + first);
                let (post, base, rate) = (vector(post, at), vector(kinks.base, at), vector(kinks.rate, at));
                let (slope, intercept) = (vector(kinks.slope, at), vector(kinks.intercept, at));
                let (m, v) = (vector_mut(state.m, at), vector_mut(state.v, at));
                let alpha = vector_mut(state.alpha, at);
                for r in 0..N {
                    let x = z[r];
                    let below = (base[r] + rate[r] * share(alpha[r])) * x;
                    let above = slope[r] * x + intercept[r];
                    z[r] = if post[r] >= 0.0 { below } else { above };
                    let gradient = post[r].max(0.0) * rate[r] * x;
                    m[r] = adam.beta_1 * m[r] + (1.0 - adam.beta_1) * gradient;
                    v[r] = adam.beta_2 * v[r] + (1.0 - adam.beta_2) * gradient * gradient;
                    let step = alpha[r] + adam.rate * m[r] / (v[r].sqrt() + 1e-20);
                    alpha[r] = step.max(0.0).min(1.0);
                }
            }
        }
    }
    let n = kinks.rows.len() * lanes;
    kinks.check(lanes, &[post.len(), state.alpha.len(), state.m.len(), state.v.len()]);
    debug_assert_eq!(n, post.len());
    wide(|| body(data, lanes, post, state, kinks, adam));
}

/// `best ←` the byte of `alpha` in the lanes that `chosen` marks, `[_, lanes]` each.
///
/// # Panics
/// If a shape does not fit.
pub fn keep_shares(alpha: &[f32], best: &mut [u8], chosen: &[bool]) {
    #[inline(always)]
    fn body(alpha: &[f32], best: &mut [u8], chosen: &[bool]) {
        let rows = alpha.chunks_exact(chosen.len()).zip(best.chunks_exact_mut(chosen.len()));
        for (alpha, best) in rows {
            for ((alpha, best), chosen) in alpha.iter().zip(best).zip(chosen) {
                let byte = (255.0 * alpha).round_ties_even() as i32 as u8;
                *best = if *chosen { byte } else { *best };
            }
        }
    }
    assert!(alpha.len() == best.len() && alpha.len().is_multiple_of(chosen.len().max(1)), "the lanes fit");
    wide(|| body(alpha, best, chosen));
}

/// As [`crate::lanes::concretize`], each lane in a box of its own: `lower` and `upper` are `[neurons, lanes]`.
///
/// # Panics
/// If a shape does not fit.
pub fn concretize_own(a: &[f32], live: &[u32], lower: &[f32], upper: &[f32], c: &mut [f32]) {
    #[inline(always)]
    fn body(a: &[f32], live: &[u32], lower: &[f32], upper: &[f32], c: &mut [f32]) {
        let lanes = c.len();
        for (a, j) in a.chunks_exact(lanes).zip(live) {
            let at = *j as usize * lanes;
            let (l, u) = (&lower[at..at + lanes], &upper[at..at + lanes]);
            for (((a, c), l), u) in a.iter().zip(c.iter_mut()).zip(l).zip(u) {
                *c += a.max(0.0) * l + a.min(0.0) * u;
            }
        }
    }
    assert!(a.len() == live.len() * c.len(), "the lanes fit");
    wide(|| body(a, live, lower, upper, c));
}

/// As [`crate::lanes::minimiser`], with ends for each lane.
///
/// # Panics
/// If the rows differ in length.
pub fn minimiser_own(x: &mut [f32], lower: &[f32], upper: &[f32]) {
    #[inline(always)]
    fn body(x: &mut [f32], lower: &[f32], upper: &[f32]) {
        for ((x, l), u) in x.iter_mut().zip(lower).zip(upper) {
            *x = if *x >= 0.0 { *l } else { *u };
        }
    }
    assert!(x.len() == lower.len() && x.len() == upper.len(), "rows of one length");
    wide(|| body(x, lower, upper));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lane 0 is unstable with `a > 0`, lane 1 with `a < 0`, lane 2 inactive, lane 3 active.
    #[test]
    fn each_lane_takes_its_own_line_and_climbs() {
        let lanes = |values: [f32; 4]| -> Vec<f32> {
            let mut row = vec![0.0; N];
            row[..4].copy_from_slice(&values);
            row
        };
        let (base, rate) = (lanes([0.0, 0.0, 0.0, 1.0]), lanes([1.0, 1.0, 0.0, 0.0]));
        let (slope, intercept) = (lanes([0.5, 0.5, 0.0, 1.0]), lanes([1.0, 1.0, 0.0, 0.0]));
        let rows = [1, DROP];
        let twice = |x: &[f32]| [x, x].concat();
        let [base, rate, slope, intercept] = [&base, &rate, &slope, &intercept].map(|x| twice(x));
        let kinks = Kinks { rows: &rows, base: &base, rate: &rate, slope: &slope, intercept: &intercept };
        let mut data = [lanes([7.0; 4]), lanes([2.0, -2.0, 3.0, -3.0])].concat();
        let (mut c, mut post) = (vec![0.0; N], vec![9.0; 2 * N]);
        let mut alpha = vec![0.2f32; 2 * N];
        relax_kinks(&mut data, &mut c, &alpha, &mut post, &kinks);
        assert_eq!(data[N..N + 4], [2.0 * share(0.2), -1.0, 0.0, -3.0]);
        assert_eq!(
            (c[..4].to_vec(), post[..4].to_vec()),
            (vec![0.0, -2.0, 0.0, 0.0], vec![2.0, -2.0, 3.0, -3.0])
        );
        assert_eq!((data[0], post[N]), (7.0, 0.0));
        let mut z = [lanes([5.0; 4]), lanes([4.0; 4])].concat();
        let (mut m, mut v) = (vec![0.0; 2 * N], vec![0.0; 2 * N]);
        let adam = Adam { rate: 0.125, beta_1: 0.0, beta_2: 0.0 };
        let state = Climbing { alpha: &mut alpha, m: &mut m, v: &mut v };
        sweep_kinks(&mut z, N, &post, state, &kinks, adam);
        assert_eq!(z[N..N + 4], [4.0 * share(0.2), 3.0, 0.0, 4.0]);
        assert_eq!((m[0], m[1], alpha[0], alpha[1]), (8.0, 0.0, 0.325, 0.2));
        assert_eq!((z[0], alpha[N]), (5.0, 0.2));
        let mut best = vec![1u8; 2 * N];
        let chosen: Vec<bool> = (0..N).map(|r| r == 1).collect();
        keep_shares(&alpha, &mut best, &chosen);
        assert_eq!(best[..3], [1, 51, 1]);
    }

    #[test]
    fn boxes_of_lanes_are_theirs() {
        let (lower, upper): (Vec<f32>, Vec<f32>) = (0..N).map(|r| (-(r as f32), 1.0 + r as f32)).unzip();
        let mut a = vec![2.0; N];
        a[3] = -1.0;
        let mut c = vec![0.5; N];
        concretize_own(&a, &[0], &lower, &upper, &mut c);
        assert_eq!(c[2..4], [-3.5, -3.5]);
        minimiser_own(&mut a, &lower, &upper);
        assert_eq!(a[2..4], [-2.0, 4.0]);
    }
}
