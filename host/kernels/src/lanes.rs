//! What bounds of programs do to blocks of lanes between two products: loops over rows of `lanes` elements.
//!
//! # Rounding
//! *Estimate*: the search's arithmetic.

use crate::relax::wide;

/// Two lines that enclose a function of one neuron, `slope·z + intercept`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinePair {
    /// Slope of the lower line.
    pub lower_slope: f32,
    /// Intercept of the lower line.
    pub lower_intercept: f32,
    /// Slope of the upper line.
    pub upper_slope: f32,
    /// Intercept of the upper line.
    pub upper_intercept: f32,
}

/// `c[r] += Σₖ a[k][r] · coefficients[live[k]]`.
///
/// # Panics
/// If `a` is shorter than `[live, lanes]` or an index is out of range.
pub fn add_weighted(a: &[f32], live: &[u32], coefficients: &[f32], lanes: usize, c: &mut [f32]) {
    #[inline(always)]
    fn body(a: &[f32], live: &[u32], coefficients: &[f32], lanes: usize, c: &mut [f32]) {
        for (a, j) in a.chunks_exact(lanes).zip(live) {
            let w = coefficients[*j as usize];
            for (a, c) in a.iter().zip(c.iter_mut()) {
                *c += a * w;
            }
        }
    }
    assert!(a.len() >= live.len() * lanes && c.len() == lanes, "the lanes fit");
    wide(|| body(a, live, coefficients, lanes, c));
}

/// `c[r] += Σₖ min over [lower, upper] of a[k][r] · x` with the interval of neuron `live[k]`.
///
/// # Panics
/// As [`add_weighted`].
pub fn concretize(a: &[f32], live: &[u32], lower: &[f32], upper: &[f32], lanes: usize, c: &mut [f32]) {
    #[inline(always)]
    fn body(a: &[f32], live: &[u32], lower: &[f32], upper: &[f32], lanes: usize, c: &mut [f32]) {
        for (a, j) in a.chunks_exact(lanes).zip(live) {
            let (l, u) = (lower[*j as usize], upper[*j as usize]);
            for (a, c) in a.iter().zip(c.iter_mut()) {
                *c += a.max(0.0) * l + a.min(0.0) * u;
            }
        }
    }
    assert!(a.len() >= live.len() * lanes && c.len() == lanes, "the lanes fit");
    wide(|| body(a, live, lower, upper, lanes, c));
}

/// `a ←` coefficients on the operand, `c +=` intercepts, for one neuron: lower line where `a > 0`, else the upper one.
pub fn relax_row(a: &mut [f32], c: &mut [f32], lines: LinePair) {
    #[inline(always)]
    fn body(a: &mut [f32], c: &mut [f32], lines: LinePair) {
        for (a, c) in a.iter_mut().zip(c) {
            let (plus, minus) = (a.max(0.0), a.min(0.0));
            *c += plus * lines.lower_intercept + minus * lines.upper_intercept;
            *a = plus * lines.lower_slope + minus * lines.upper_slope;
        }
    }
    wide(|| body(a, c, lines));
}

/// `to[r] += factor · from[r]`.
pub fn add_scaled(to: &mut [f32], from: &[f32], factor: f32) {
    #[inline(always)]
    fn body(to: &mut [f32], from: &[f32], factor: f32) {
        for (to, from) in to.iter_mut().zip(from) {
            *to += factor * from;
        }
    }
    wide(|| body(to, from, factor));
}

/// `to[r] += max(from, 0)·plus + min(from, 0)·minus`.
pub fn add_split(to: &mut [f32], from: &[f32], plus: f32, minus: f32) {
    #[inline(always)]
    fn body(to: &mut [f32], from: &[f32], plus: f32, minus: f32) {
        for (to, from) in to.iter_mut().zip(from) {
            *to += from.max(0.0) * plus + from.min(0.0) * minus;
        }
    }
    wide(|| body(to, from, plus, minus));
}

/// Centre and radius of `w · x` for `x` in `centre ± radius`: `(Σ w·centre, Σ |w|·radius)`.
pub fn dot_interval(w: &[f32], centre: &[f32], radius: &[f32]) -> (f32, f32) {
    #[inline(always)]
    fn body(w: &[f32], centre: &[f32], radius: &[f32]) -> (f32, f32) {
        const N: usize = 16;
        let (mut c, mut r) = ([0.0f32; N], [0.0f32; N]);
        let whole = w.len() / N * N;
        let blocks = w.chunks_exact(N).zip(centre.chunks_exact(N)).zip(radius.chunks_exact(N));
        for ((w, x), y) in blocks {
            for k in 0..N {
                c[k] += w[k] * x[k];
                r[k] += w[k].abs() * y[k];
            }
        }
        let (mut centre_sum, mut radius_sum) = (c.iter().sum::<f32>(), r.iter().sum::<f32>());
        for k in whole..w.len() {
            centre_sum += w[k] * centre[k];
            radius_sum += w[k].abs() * radius[k];
        }
        (centre_sum, radius_sum)
    }
    assert!(w.len() == centre.len() && w.len() == radius.len(), "the lengths agree");
    wide(|| body(w, centre, radius))
}
