//! The arithmetic of the checker behind a trait, so that a host can bring wide vectors: any order of summation and
//! fused products are allowed by the rounding argument, nothing else is.

use crate::layer::{Dense, Sparse};

/// Relaxation of one neuron for a block of lanes.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// Lower bound of the pre-activation.
    pub lower: f64,
    /// Upper bound of the pre-activation.
    pub upper: f64,
    /// Slope of the upper line, in `[0, 1]`.
    pub upper_slope: f64,
    /// Row error `q` of the neuron.
    pub error: f64,
    /// Bias of the neuron.
    pub bias: f64,
}

/// What the checker computes with.
///
/// Lanes: `a[k][r]` at `k·lanes + r`.
pub trait Kernel {
    /// Lanes come in multiples of this.
    fn lane_multiple(&self) -> usize {
        1
    }

    /// `sums[0] = W c`, `sums[1] = |W| r`, `sums[2] = |W| m` for the dense layer with index `layer`.
    ///
    /// Each term passes at most `cols + 1` roundings.
    fn interval_sums(&mut self, layer: usize, dense: &Dense<'_>, inputs: [&[f64]; 3], sums: [&mut [f64]; 3]);

    /// `out[j][r] = Σₖ W[active[k]][j]·a[k][r]`; each term passes at most `K + 1` roundings, `K` the length of `active`.
    fn transposed(
        &mut self,
        layer: usize,
        dense: &Dense<'_>,
        active: &[u32],
        a: &[f64],
        lanes: usize,
        out: &mut [f64],
    );

    /// As [`Self::transposed`], of a sparse layer.
    fn transposed_sparse(
        &mut self,
        _layer: usize,
        sparse: &Sparse<'_>,
        active: &[u32],
        a: &[f64],
        lanes: usize,
        out: &mut [f64],
    ) {
        out.iter_mut().take(sparse.cols() * lanes).for_each(|slot| *slot = 0.0);
        for (i, a) in active.iter().zip(a.chunks_exact(lanes.max(1))) {
            for (j, w) in sparse.row(*i as usize).iter() {
                let (slots, w) = (out.get_mut(j * lanes..(j + 1) * lanes).unwrap_or_default(), f64::from(w));
                slots.iter_mut().zip(a).for_each(|(slot, a)| *slot += w * a);
            }
        }
    }

    /// Whether so few weights of the dense or sparse layer `layer` are not 0 that [`Self::transposed_few`] is to be used.
    fn has_few(&self, _layer: usize) -> bool {
        false
    }

    /// As [`Self::transposed`], of a layer that has few: the inputs that some weight reaches, each once, whose rows are the first of `out`, in
    /// their order; the rows of all others are 0.
    fn transposed_few(
        &mut self,
        _layer: usize,
        _active: &[u32],
        _a: &[f64],
        _lanes: usize,
        _out: &mut [f64],
    ) -> &[u32] {
        &[]
    }

    /// `out[j][r] = sign·W[neurons[r]][j]`, and 0 in the lanes beyond; exact, as `sign` is `±1`.
    fn signed_rows(
        &mut self,
        _layer: usize,
        dense: &Dense<'_>,
        neurons: &[u32],
        sign: f64,
        lanes: usize,
        out: &mut [f64],
    ) {
        let (cols, weights) = (dense.cols(), dense.weights());
        for (j, out) in out.chunks_exact_mut(lanes.max(1)).take(cols).enumerate() {
            out.fill(0.0);
            for (slot, neuron) in out.iter_mut().zip(neurons) {
                let w = weights.get(*neuron as usize * cols + j).copied().unwrap_or_default();
                *slot = sign * f64::from(w);
            }
        }
    }

    /// As [`lanes::pass`].
    fn pass(
        &mut self,
        rows: (&[f64], &mut [f64]),
        value: &mut [f64],
        deduct: &mut [f64],
        bias: f64,
        error: f64,
    ) {
        lanes::pass(rows, value, deduct, bias, error);
    }
    /// As [`lanes::unstable`].
    fn unstable(
        &mut self,
        rows: (&[f64], &mut [f64]),
        alpha: &[f64],
        value: &mut [f64],
        deduct: &mut [f64],
        lines: Lines,
    ) {
        lanes::unstable(rows, alpha, value, deduct, lines);
    }
    /// As [`lanes::concretize`].
    fn concretize(
        &mut self,
        a: &[f64],
        value: &mut [f64],
        deduct: &mut [f64],
        lower: f64,
        upper: f64,
        error: f64,
    ) {
        lanes::concretize(a, value, deduct, lower, upper, error);
    }
}

/// The loops over lanes, for kernels to compile with their own vector width.
pub mod lanes {
    use super::Lines;

    /// A coefficient on `z` is final, and copied: `V += a·b`, `D += |a|·q`.
    #[inline(always)]
    pub fn pass(
        (from, to): (&[f64], &mut [f64]),
        value: &mut [f64],
        deduct: &mut [f64],
        bias: f64,
        error: f64,
    ) {
        for (((a, to), v), d) in from.iter().zip(to).zip(value).zip(deduct) {
            *to = *a;
            *v += a * bias;
            *d += a.abs() * error;
        }
    }

    /// A coefficient on `relu(z)`, in `from`, becomes one on `z`, in `to`; then as [`pass`].
    #[inline(always)]
    pub fn unstable(
        (from, to): (&[f64], &mut [f64]),
        alpha: &[f64],
        value: &mut [f64],
        deduct: &mut [f64],
        lines: Lines,
    ) {
        let Lines { lower, upper, upper_slope, error, bias } = lines;
        for ((((a, to), alpha), v), d) in from.iter().zip(to).zip(alpha).zip(value).zip(deduct) {
            // `α`, the slope ≤ 1 and monotone rounding keep the chosen coefficient between 0 and `a`.
            let chosen = *a * if *a >= 0.0 { *alpha } else { upper_slope };
            let (at_lower, at_upper) = (chosen * lower, (chosen - *a) * upper);
            let reach = if at_lower > at_upper { at_lower } else { at_upper };
            let reach = if reach > 0.0 { reach } else { 0.0 };
            *v += chosen * bias;
            *d += reach + chosen.abs() * error;
            *to = chosen;
        }
    }

    /// A coefficient on an input: `V += min(a·l, a·u)`, `D += |a|·error`.
    #[inline(always)]
    pub fn concretize(a: &[f64], value: &mut [f64], deduct: &mut [f64], lower: f64, upper: f64, error: f64) {
        for ((a, v), d) in a.iter().zip(value).zip(deduct) {
            *v += a * if *a >= 0.0 { lower } else { upper };
            *d += a.abs() * error;
        }
    }
}

/// Plain loops: small, for devices and as the oracle of faster kernels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Kernel for Plain {
    fn interval_sums(&mut self, _: usize, dense: &Dense<'_>, inputs: [&[f64]; 3], sums: [&mut [f64]; 3]) {
        let [c, r, m] = inputs;
        let [sum_c, sum_r, sum_m] = sums;
        for ((((weights, _), sum_c), sum_r), sum_m) in dense.row_iter().zip(sum_c).zip(sum_r).zip(sum_m) {
            let (mut y, mut s, mut t) = (0.0, 0.0, 0.0);
            for (((w, c), r), m) in weights.iter().zip(c).zip(r).zip(m) {
                let w = f64::from(*w);
                y += w * c;
                s += w.abs() * r;
                t += w.abs() * m;
            }
            (*sum_c, *sum_r, *sum_m) = (y, s, t);
        }
    }

    fn transposed(
        &mut self,
        _: usize,
        dense: &Dense<'_>,
        active: &[u32],
        a: &[f64],
        lanes: usize,
        out: &mut [f64],
    ) {
        let cols = dense.cols();
        for slot in out.iter_mut().take(cols * lanes) {
            *slot = 0.0;
        }
        for (i, a) in active.iter().zip(a.chunks_exact(lanes.max(1))) {
            let start = (*i as usize) * cols;
            let weights = dense.weights().get(start..start + cols).unwrap_or_default();
            for (w, out) in weights.iter().zip(out.chunks_exact_mut(lanes.max(1))) {
                let w = f64::from(*w);
                for (slot, a) in out.iter_mut().zip(a) {
                    *slot += w * a;
                }
            }
        }
    }
}
