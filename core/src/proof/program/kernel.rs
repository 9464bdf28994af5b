//! The arithmetic of the checker behind a trait, so that a host can bring wide vectors: any order of summation and fused
//! products are allowed by the rounding argument, nothing else is.
//!
//! Lanes: `a[k][r]` at `k·lanes + r`; one lane is one row of coefficients.

use crate::program::{Map, Sparse, to_usize};

/// A function that is linear on both sides of 0, on an interval around 0.
#[derive(Clone, Copy, Debug)]
pub struct Kink {
    /// Lower bound of the operand, below 0.
    pub lower: f64,
    /// Upper bound of the operand, above 0.
    pub upper: f64,
    /// Slope left of 0.
    pub negative: f64,
    /// Slope right of 0.
    pub positive: f64,
    /// Slope of the line through both ends.
    pub chord: f64,
    /// Charge on a coefficient of the result.
    pub error: f64,
    /// Charge on a coefficient of the operand.
    pub error_chosen: f64,
}

/// Two sound lines: `lower_slope·z + lower_intercept ≤ f(z) ≤ upper_slope·z + upper_intercept`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lines {
    /// Slope of the lower line.
    pub lower_slope: f64,
    /// Intercept of the lower line.
    pub lower_intercept: f64,
    /// Slope of the upper line.
    pub upper_slope: f64,
    /// Intercept of the upper line.
    pub upper_intercept: f64,
}

/// A linear map of the program, with its index in the program's table of terms.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'m> {
    /// Index in the table.
    pub term: usize,
    /// The map.
    pub map: &'m Map<'m>,
}

/// Mark of a row that nobody reads, in place of 0 or 1.
pub const UNREAD: u32 = 2;

/// What the checker computes with.
pub trait Kernel {
    /// Lanes come in multiples of this.
    fn lane_multiple(&self) -> usize {
        1
    }

    /// `sum += M·x`. At most one rounding per product and sum.
    fn forward(&mut self, matrix: Matrix<'_>, x: &[f64], sum: &mut [f64]);

    /// `sum += |M|·x`.
    fn forward_absolute(&mut self, matrix: Matrix<'_>, x: &[f64], sum: &mut [f64]);

    /// `out[i][r] += Σⱼ M[i][j]·x[j][r]` for `r < used`; `x` and `out` have rows of `stride` numbers.
    fn forward_lanes(&mut self, matrix: Matrix<'_>, x: (&[f64], usize), out: (&mut [f64], usize)) {
        forward_lanes(matrix.map, x, out);
    }

    /// `out[j][r] += Σₖ M[rows[k]][j]·a[k][r]` for `a` `[rows, lanes]`; `rows` ascends. Where `live[j]` is 0, `out[j]` holds anything
    /// and stands for zeros: what is written there sets it to 1, and what stays zero may be left alone. Where it is [`UNREAD`] nothing is written.
    fn transposed(
        &mut self,
        matrix: Matrix<'_>,
        rows: &[u32],
        a: (&[f64], usize),
        out: &mut [f64],
        live: &mut [u32],
    );

    /// As [`lanes::pass`].
    fn pass(&mut self, a: &[f64], value: &mut [f64], deduct: &mut [f64], constant: f64, error: f64) {
        lanes::pass(a, value, deduct, constant, error);
    }
    /// As [`lanes::kink`].
    fn kink(&mut self, a: &mut [f64], free: &[f64], deduct: &mut [f64], kink: Kink) {
        lanes::kink(a, free, deduct, kink);
    }
    /// As [`lanes::add`].
    fn add(&mut self, a: &[f64], out: &mut [f64]) {
        lanes::add(a, out);
    }
    /// As [`lanes::spread`].
    fn spread(&mut self, a: &[f64], out: &mut [f64], lower: f64, upper: f64) {
        lanes::spread(a, out, lower, upper);
    }
    /// As [`lanes::signed`].
    fn signed(
        &mut self,
        a: &[f64],
        value: &mut [f64],
        deduct: &mut [f64],
        constant: [f64; 2],
        error: [f64; 2],
    ) {
        lanes::signed(a, value, deduct, constant, error);
    }
}

/// The loops over lanes, for kernels to compile with their own vector width.
pub mod lanes {
    use super::Kink;

    /// `V += a·constant`, `D += |a|·error`.
    #[inline(always)]
    pub fn pass(a: &[f64], value: &mut [f64], deduct: &mut [f64], constant: f64, error: f64) {
        for ((a, v), d) in a.iter().zip(value).zip(deduct) {
            *v += a * constant;
            *d += a.abs() * error;
        }
    }

    /// A coefficient on `f(z)` becomes one on `z`: `free` is the slope of the free side (the lower line of a convex `f`, the
    /// upper of a concave), the chord that of the other. What the line misses at the ends and at 0 enters `D` (the chord misses as
    /// much at both ends, but for rounding).
    #[inline(always)]
    pub fn kink(a: &mut [f64], free: &[f64], deduct: &mut [f64], kink: Kink) {
        let Kink { lower, upper, negative, positive, chord, error, error_chosen } = kink;
        let convex = negative <= positive;
        for ((a, free), d) in a.iter_mut().zip(free).zip(deduct) {
            let chosen = *a * if (*a >= 0.0) == convex { *free } else { chord };
            let (at_lower, at_upper) = ((chosen - *a * negative) * lower, (chosen - *a * positive) * upper);
            let reach = if at_lower > at_upper { at_lower } else { at_upper };
            let reach = if reach > 0.0 { reach } else { 0.0 };
            *d += reach + (a.abs() * error + chosen.abs() * error_chosen);
            *a = chosen;
        }
    }

    /// `out += a`.
    #[inline(always)]
    pub fn add(a: &[f64], out: &mut [f64]) {
        for (a, out) in a.iter().zip(out) {
            *out += a;
        }
    }

    /// `out += a·lower` where `a ≥ 0`, else `a·upper`.
    #[inline(always)]
    pub fn spread(a: &[f64], out: &mut [f64], lower: f64, upper: f64) {
        for (a, out) in a.iter().zip(out) {
            *out += a * if *a >= 0.0 { lower } else { upper };
        }
    }

    /// As [`pass`], with constants for `a ≥ 0` and for `a < 0`.
    #[inline(always)]
    pub fn signed(a: &[f64], value: &mut [f64], deduct: &mut [f64], constant: [f64; 2], error: [f64; 2]) {
        for ((a, v), d) in a.iter().zip(value).zip(deduct) {
            let positive = *a >= 0.0;
            *v += a * if positive { constant[0] } else { constant[1] };
            *d += a.abs() * if positive { error[0] } else { error[1] };
        }
    }
}

/// Plain loops: small, for devices and as the oracle of faster kernels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

/// Calls `visit(output, input, weight)` for every constant of a map that is not [`Map::Dense`]; `len` is its operand's.
fn for_each(map: &Map<'_>, len: usize, mut visit: impl FnMut(usize, usize, f64)) {
    let of = |values: &[f32], k: usize| values.get(k).copied().map_or(f64::NAN, f64::from);
    match map {
        Map::Identity => (0..len).for_each(|i| visit(i, i, 1.0)),
        Map::Scale(scale) => scale.values.iter().enumerate().for_each(|(i, s)| visit(i, i, f64::from(*s))),
        Map::Dense { .. } => {}
        Map::Conv(conv) => conv.for_each(|o, i, w| visit(o, i, of(conv.weights, w))),
        Map::ConvTranspose(conv) => conv.for_each(|o, i, w| visit(i, o, of(conv.weights, w))),
        Map::Sparse(Sparse { values, .. }) => {
            if let Map::Sparse(sparse) = map {
                sparse.for_each(|o, i, k| visit(o, i, of(values.values, k)));
            }
        }
    }
}

/// As [`Kernel::forward_lanes`], in plain loops.
pub fn forward_lanes(map: &Map<'_>, (x, used): (&[f64], usize), (out, stride): (&mut [f64], usize)) {
    let stride = stride.max(1);
    let mut add = |output: usize, input: usize, w: f64| {
        let (from, to) = (input * stride, output * stride);
        if let (Some(x), Some(out)) = (x.get(from..from + used), out.get_mut(to..to + used)) {
            out.iter_mut().zip(x).for_each(|(out, x)| *out += w * x);
        }
    };
    if let Map::Dense { count, rows, cols, weights } = *map {
        for vector in 0..count {
            for (k, w) in weights.iter().enumerate() {
                add(vector * rows + k / cols.max(1), vector * cols + k % cols.max(1), f64::from(*w));
            }
        }
        return;
    }
    for_each(map, x.len() / stride, add);
}

impl Plain {
    fn sums(map: &Map<'_>, x: &[f64], sum: &mut [f64], weight: impl Fn(f64) -> f64) {
        if let Map::Dense { rows, cols, weights, .. } = *map {
            for (x, sum) in x.chunks_exact(cols.max(1)).zip(sum.chunks_exact_mut(rows.max(1))) {
                for (row, s) in weights.chunks_exact(cols.max(1)).zip(sum) {
                    *s += row.iter().zip(x).fold(0.0, |t, (w, x)| t + weight(f64::from(*w)) * x);
                }
            }
        }
        for_each(map, x.len(), |output, input, w| {
            if let (Some(x), Some(s)) = (x.get(input), sum.get_mut(output)) {
                *s += weight(w) * x;
            }
        });
    }
}

/// Adds `w·a` to the lanes of element `j`.
fn add_scaled((a, lanes): (&[f64], usize), w: f64, j: usize, out: &mut [f64], live: &mut [u32]) {
    if let (Some(out), Some(live)) = (out.get_mut(j * lanes..(j + 1) * lanes), live.get_mut(j)) {
        if *live == UNREAD {
            return;
        }
        if *live == 0 {
            *live = 1;
            out.fill(0.0);
        }
        out.iter_mut().zip(a).for_each(|(out, a)| *out += w * a);
    }
}

impl Kernel for Plain {
    fn forward(&mut self, matrix: Matrix<'_>, x: &[f64], sum: &mut [f64]) {
        Self::sums(matrix.map, x, sum, |w| w);
    }

    fn forward_absolute(&mut self, matrix: Matrix<'_>, x: &[f64], sum: &mut [f64]) {
        Self::sums(matrix.map, x, sum, f64::abs);
    }

    fn transposed(
        &mut self,
        matrix: Matrix<'_>,
        rows: &[u32],
        (a, lanes): (&[f64], usize),
        out: &mut [f64],
        live: &mut [u32],
    ) {
        let (map, lanes) = (matrix.map, lanes.max(1));
        if let Map::Dense { rows: height, cols, weights, .. } = *map {
            for (row, a) in rows.iter().zip(a.chunks_exact(lanes)) {
                let (vector, row) = (to_usize(*row) / height.max(1), to_usize(*row) % height.max(1));
                let weights = weights.get(row * cols..(row + 1) * cols).unwrap_or_default();
                for (j, w) in weights.iter().enumerate() {
                    add_scaled((a, lanes), f64::from(*w), vector * cols + j, out, live);
                }
            }
            return;
        }
        for_each(map, out.len() / lanes, |output, input, w| {
            let Ok(k) = rows.binary_search_by(|r| to_usize(*r).cmp(&output)) else { return };
            let a = a.get(k * lanes..(k + 1) * lanes).unwrap_or_default();
            add_scaled((a, lanes), w, input, out, live);
        });
    }
}
