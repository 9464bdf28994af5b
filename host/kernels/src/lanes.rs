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

/// The lines of one neuron whose lower slope `base + rate·alpha` each lane chooses.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct AlphaLine {
    /// Lower slope at `alpha = 0`.
    pub base: f32,
    /// How the lower slope grows with alpha; 0 if it is not free.
    pub rate: f32,
    /// Intercept of the lower line.
    pub lower_intercept: f32,
    /// Slope of the upper line.
    pub upper_slope: f32,
    /// Intercept of the upper line.
    pub upper_intercept: f32,
    /// Derivatives of the lines by the ends of the neuron's interval.
    pub by_lower: LinePair,
    /// As `by_lower`, by the upper end.
    pub by_upper: LinePair,
}

impl LinePair {
    const ZERO: Self =
        Self { lower_slope: 0.0, lower_intercept: 0.0, upper_slope: 0.0, upper_intercept: 0.0 };
}

impl Default for LinePair {
    fn default() -> Self {
        Self::ZERO
    }
}

/// As [`relax_row`] with an alpha per lane; keeps the coefficients it found in `post`.
///
/// # Panics
/// If the rows differ in length.
pub fn relax_alpha(a: &mut [f32], c: &mut [f32], alpha: &[f32], post: &mut [f32], line: &AlphaLine) {
    #[inline(always)]
    fn body(a: &mut [f32], c: &mut [f32], alpha: &[f32], post: &mut [f32], line: &AlphaLine) {
        for (((a, c), alpha), post) in a.iter_mut().zip(c).zip(alpha).zip(post) {
            let (plus, minus) = (a.max(0.0), a.min(0.0));
            *post = *a;
            *c += plus * line.lower_intercept + minus * line.upper_intercept;
            *a = plus * (line.base + line.rate * alpha) + minus * line.upper_slope;
        }
    }
    assert!(a.len() == c.len() && a.len() == alpha.len() && a.len() == post.len(), "rows of one length");
    wide(|| body(a, c, alpha, post, line));
}

/// Rate and decay of an Adam step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Step length, the bias corrections included.
    pub rate: f32,
    /// Of the first moment.
    pub beta_1: f32,
    /// Of the second moment.
    pub beta_2: f32,
}

/// State of the alphas of one neuron, a row each.
#[derive(Debug)]
pub struct AlphaRow<'a> {
    /// In `[0, 1]`.
    pub alpha: &'a mut [f32],
    /// First moment of the gradient.
    pub m: &'a mut [f32],
    /// Second moment.
    pub v: &'a mut [f32],
}

/// The forward sweep through one neuron: `z`, the concretizing point's value of its operand, becomes that of the line each
/// lane took; alphas take an Adam step up the gradient `weight · max(post, 0) · rate · z`. Returns the derivatives of
/// `Σ weight · bound` by the ends of the neuron's interval.
///
/// # Panics
/// If the rows differ in length or are no multiple of 16.
pub fn sweep(
    z: &mut [f32],
    post: &[f32],
    weight: &[f32],
    state: AlphaRow<'_>,
    line: &AlphaLine,
    adam: Adam,
) -> [f32; 2] {
    const N: usize = crate::LANE_MULTIPLE;
    #[expect(clippy::manual_clamp, reason = "a NaN becomes 0, which is valid")]
    #[inline(always)]
    fn body(
        z: &mut [f32],
        post: &[f32],
        weight: &[f32],
        state: AlphaRow<'_>,
        line: &AlphaLine,
        adam: Adam,
    ) -> [f32; 2] {
        let (mut low, mut up) = ([0.0f32; N], [0.0f32; N]);
        let (l, u) = (line.by_lower, line.by_upper);
        let AlphaRow { alpha, m, v } = state;
        for first in (0..z.len()).step_by(N) {
            let at = first..first + N;
            let (z, post, weight) = (&mut z[at.clone()], &post[at.clone()], &weight[at.clone()]);
            let (alpha, m, v) = (&mut alpha[at.clone()], &mut m[at.clone()], &mut v[at]);
            for r in 0..N {
                let (plus, minus) = (weight[r] * post[r].max(0.0), weight[r] * post[r].min(0.0));
                let x = z[r];
                low[r] += plus * (l.lower_slope * x + l.lower_intercept)
                    + minus * (l.upper_slope * x + l.upper_intercept);
                up[r] += plus * (u.lower_slope * x + u.lower_intercept)
                    + minus * (u.upper_slope * x + u.upper_intercept);
                let below = (line.base + line.rate * alpha[r]) * x + line.lower_intercept;
                let above = line.upper_slope * x + line.upper_intercept;
                z[r] = if post[r] >= 0.0 { below } else { above };
                let gradient = plus * line.rate * x;
                m[r] = adam.beta_1 * m[r] + (1.0 - adam.beta_1) * gradient;
                v[r] = adam.beta_2 * v[r] + (1.0 - adam.beta_2) * gradient * gradient;
                let step = alpha[r] + adam.rate * m[r] / (v[r].sqrt() + 1e-20);
                alpha[r] = step.max(0.0).min(1.0);
            }
        }
        [low.iter().sum(), up.iter().sum()]
    }
    let n = z.len();
    let same = [post.len(), weight.len(), state.alpha.len(), state.m.len(), state.v.len()];
    assert!(n.is_multiple_of(N) && same.iter().all(|k| *k == n), "rows of one length");
    wide(|| body(z, post, weight, state, line, adam))
}

/// Lines of a [`KnotLine`] on each side.
pub const KNOTS: usize = 5;

/// The lines of one neuron whose lines below and above each lane chooses: means of neighbours among [`KNOTS`] lines of each side.
/// An `alpha` of 0 is the first, 1 the last.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct KnotLine {
    /// Slopes of the lines below, and above.
    pub slope: [[f32; KNOTS]; 2],
    /// Their intercepts.
    pub intercept: [[f32; KNOTS]; 2],
    /// Derivatives of the middle lines by the ends of the neuron's interval.
    pub by_lower: LinePair,
    /// As `by_lower`, by the upper end.
    pub by_upper: LinePair,
}

/// Slope and intercept at `alpha` of knots, and how fast they grow with it.
#[inline(always)]
fn between(slope: &[f32; KNOTS], intercept: &[f32; KNOTS], alpha: f32) -> [f32; 4] {
    let steps = (KNOTS - 1) as f32;
    let position = steps * alpha;
    let (mut s, mut i, mut s_rate, mut i_rate) = (slope[0], intercept[0], 0.0, 0.0);
    for k in 0..KNOTS - 1 {
        let way = (position - k as f32).clamp(0.0, 1.0);
        let (s_step, i_step) = (slope[k + 1] - slope[k], intercept[k + 1] - intercept[k]);
        s += way * s_step;
        i += way * i_step;
        let here = position >= k as f32;
        (s_rate, i_rate) = if here { (steps * s_step, steps * i_step) } else { (s_rate, i_rate) };
    }
    [s, i, s_rate, i_rate]
}

/// As [`relax_alpha`] with an alpha for each side: `below` and `above`.
///
/// # Panics
/// If the rows differ in length.
pub fn relax_knots(
    a: &mut [f32],
    c: &mut [f32],
    [below, above]: [&[f32]; 2],
    post: &mut [f32],
    line: &KnotLine,
) {
    #[inline(always)]
    fn body(a: &mut [f32], c: &mut [f32], [below, above]: [&[f32]; 2], post: &mut [f32], line: &KnotLine) {
        for ((((a, c), below), above), post) in a.iter_mut().zip(c).zip(below).zip(above).zip(post) {
            let (plus, minus) = (a.max(0.0), a.min(0.0));
            *post = *a;
            let low = between(&line.slope[0], &line.intercept[0], *below);
            let high = between(&line.slope[1], &line.intercept[1], *above);
            *c += plus * low[1] + minus * high[1];
            *a = plus * low[0] + minus * high[0];
        }
    }
    assert!(a.len() == c.len() && a.len() == post.len(), "rows of one length");
    assert!(a.len() == below.len() && a.len() == above.len(), "rows of one length");
    wide(|| body(a, c, [below, above], post, line));
}

/// As [`sweep`] for [`relax_knots`]: the alphas of the side that a lane took climb.
///
/// # Panics
/// If the rows differ in length or are no multiple of 16.
pub fn sweep_knots(
    z: &mut [f32],
    post: &[f32],
    weight: &[f32],
    [below, above]: [AlphaRow<'_>; 2],
    line: &KnotLine,
    adam: Adam,
) -> [f32; 2] {
    const N: usize = crate::LANE_MULTIPLE;
    #[expect(clippy::manual_clamp, reason = "a NaN becomes 0, which is valid")]
    #[inline(always)]
    fn climb(state: &mut AlphaRow<'_>, r: usize, gradient: f32, adam: Adam) {
        let (m, v) = (&mut state.m[r], &mut state.v[r]);
        *m = adam.beta_1 * *m + (1.0 - adam.beta_1) * gradient;
        *v = adam.beta_2 * *v + (1.0 - adam.beta_2) * gradient * gradient;
        let step = state.alpha[r] + adam.rate * *m / (v.sqrt() + 1e-20);
        state.alpha[r] = step.max(0.0).min(1.0);
    }
    #[inline(always)]
    fn body(
        z: &mut [f32],
        post: &[f32],
        weight: &[f32],
        [mut below, mut above]: [AlphaRow<'_>; 2],
        line: &KnotLine,
        adam: Adam,
    ) -> [f32; 2] {
        let (mut low, mut up) = ([0.0f32; N], [0.0f32; N]);
        let (l, u) = (line.by_lower, line.by_upper);
        for first in (0..z.len()).step_by(N) {
            let at = first..first + N;
            let (z, post, weight) = (&mut z[at.clone()], &post[at.clone()], &weight[at.clone()]);
            for r in 0..N {
                let (plus, minus) = (weight[r] * post[r].max(0.0), weight[r] * post[r].min(0.0));
                let x = z[r];
                low[r] += plus * (l.lower_slope * x + l.lower_intercept)
                    + minus * (l.upper_slope * x + l.upper_intercept);
                up[r] += plus * (u.lower_slope * x + u.lower_intercept)
                    + minus * (u.upper_slope * x + u.upper_intercept);
                let under = between(&line.slope[0], &line.intercept[0], below.alpha[first + r]);
                let over = between(&line.slope[1], &line.intercept[1], above.alpha[first + r]);
                z[r] = if post[r] >= 0.0 { under[0] * x + under[1] } else { over[0] * x + over[1] };
                climb(&mut below, first + r, plus * (under[2] * x + under[3]), adam);
                climb(&mut above, first + r, minus * (over[2] * x + over[3]), adam);
            }
        }
        [low.iter().sum(), up.iter().sum()]
    }
    let n = z.len();
    let rows = |s: &AlphaRow<'_>| [s.alpha.len(), s.m.len(), s.v.len()];
    let same = [[post.len(), weight.len(), n], rows(&below), rows(&above)];
    assert!(n.is_multiple_of(N) && same.iter().flatten().all(|k| *k == n), "rows of one length");
    wide(|| body(z, post, weight, [below, above], line, adam))
}

/// `x[r] ← lower` where `x[r] ≥ 0`, else `upper`: the point of the box that attains the minimum of `x·input`.
pub fn minimiser(x: &mut [f32], lower: f32, upper: f32) {
    #[inline(always)]
    fn body(x: &mut [f32], lower: f32, upper: f32) {
        for x in x {
            *x = if *x >= 0.0 { lower } else { upper };
        }
    }
    wide(|| body(x, lower, upper));
}

/// `x[r] += shift`.
pub fn shift(x: &mut [f32], shift: f32) {
    #[inline(always)]
    fn body(x: &mut [f32], shift: f32) {
        for x in x {
            *x += shift;
        }
    }
    wide(|| body(x, shift));
}

/// `to[r] += factor_plus · from[r]` where `sign[r] ≥ 0`, else `factor_minus · from[r]`.
pub fn add_chosen(to: &mut [f32], from: &[f32], sign: &[f32], plus: f32, minus: f32) {
    #[inline(always)]
    fn body(to: &mut [f32], from: &[f32], sign: &[f32], plus: f32, minus: f32) {
        for ((to, from), sign) in to.iter_mut().zip(from).zip(sign) {
            *to += from * if *sign >= 0.0 { plus } else { minus };
        }
    }
    wide(|| body(to, from, sign, plus, minus));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_between_knots_has_the_gradient_of_the_pass() {
        let line = KnotLine {
            slope: [[0.0, 0.25, 0.5, 0.25, 0.125], [1.0, 0.5, 0.25, 0.5, 2.0]],
            intercept: [[0.5, 0.25, -0.5, -1.0, -3.0], [2.0, 3.0, 4.0, 5.0, 7.0]],
            ..KnotLine::default()
        };
        let alphas: Vec<f32> = (0..16).map(|r| 0.013 + 0.06 * r as f32).collect();
        for coefficient in [2.0f32, -2.0] {
            // The value at the operand's 3 of what one pass leaves.
            let value = |below: &[f32], above: &[f32]| -> Vec<f32> {
                let (mut a, mut c, mut post) = ([coefficient; 16], [0.0f32; 16], [0.0f32; 16]);
                relax_knots(&mut a, &mut c, [below, above], &mut post, &line);
                assert_eq!(post, [coefficient; 16]);
                a.iter().zip(&c).map(|(a, c)| 3.0 * a + c).collect()
            };
            let moved: Vec<f32> = alphas.iter().map(|a| a + 1e-3).collect();
            let still = value(&alphas, &alphas);
            let (by_below, by_above) = (value(&moved, &alphas), value(&alphas, &moved));
            let (mut z, weight) = ([3.0f32; 16], [1.0f32; 16]);
            let mut states = [(); 2].map(|()| (alphas.clone(), vec![0.0f32; 16], vec![0.0f32; 16]));
            let adam = Adam { rate: 0.0, beta_1: 0.0, beta_2: 0.0 };
            let rows = states.each_mut().map(|(alpha, m, v)| AlphaRow { alpha, m, v });
            sweep_knots(&mut z, &[coefficient; 16], &weight, rows, &line, adam);
            for r in 0..16 {
                assert!((coefficient * z[r] - still[r]).abs() < 1e-4, "{r}");
                for (moved, (_, m, _)) in [&by_below, &by_above].into_iter().zip(&states) {
                    let difference = (moved[r] - still[r]) / 1e-3;
                    assert!((difference - m[r]).abs() < 0.05, "{coefficient} {r}: {difference} {}", m[r]);
                }
            }
        }
    }

    #[test]
    fn a_sweep_takes_the_line_of_the_sign_and_climbs() {
        let line = AlphaLine {
            base: 0.25,
            rate: 0.5,
            lower_intercept: 0.125,
            upper_slope: 2.0,
            upper_intercept: 3.0,
            by_lower: LinePair { upper_slope: 1.0, ..LinePair::ZERO },
            by_upper: LinePair { lower_slope: 1.0, upper_intercept: 2.0, ..LinePair::ZERO },
        };
        let mut z = [4.0f32; 16];
        let mut post = [0.0f32; 16];
        (post[0], post[1], post[2]) = (1.0, -1.0, 2.0);
        let mut weight = [1.0f32; 16];
        weight[2] = 0.0;
        let (mut alpha, mut m, mut v) = ([0.5f32; 16], [0.0f32; 16], [0.0f32; 16]);
        let state = AlphaRow { alpha: &mut alpha, m: &mut m, v: &mut v };
        let adam = Adam { rate: 0.125, beta_1: 0.0, beta_2: 0.0 };
        let [low, up] = sweep(&mut z, &post, &weight, state, &line, adam);
        // (0.25 + 0.25)·4 + 0.125 and 2·4 + 3.
        assert_eq!(z[..3], [2.125, 11.0, 2.125]);
        // Lane 1 alone reads the upper line: −(1·4); by the upper end: lane 0 gives 4, lane 1 −2.
        assert_eq!([low, up], [-4.0, 2.0]);
        assert_eq!(alpha[..3], [0.625, 0.5, 0.5]);
    }
}
