//! Matrix products and convolutions.
//!
//! The innermost loop runs over outputs, so that it vectorises; each output's sum is in the order of its
//! products all the same.

use super::super::shapes::{broadcast_indices, matmul as matmul_shape};
use super::super::window::{PADDING, Window};
use super::{Number, Operand};

/// `out += factor · row`.
fn add_scaled<T: Number>(out: &mut [T], factor: T, row: &[T]) {
    for (o, r) in out.iter_mut().zip(row) {
        *o = *o + factor * *r;
    }
}

/// `[m, k] · [k, n]`.
fn product<T: Number>(a: &[T], b: &[T], k: usize, n: usize, out: &mut [T]) {
    for (out, a) in out.chunks_exact_mut(n).zip(a.chunks_exact(k)) {
        for (factor, row) in a.iter().zip(b.chunks_exact(n)) {
            add_scaled(out, *factor, row);
        }
    }
}

pub(super) fn matmul<T: Number>(a: &Operand<'_, T>, b: &Operand<'_, T>) -> Vec<T> {
    let sizes = matmul_shape(a.shape, b.shape).expect("shapes were checked by import");
    let (m, k, n) = (sizes.m, sizes.k, sizes.n);
    let batch_of = |shape: &[usize]| {
        let own = &shape[..shape.len().saturating_sub(2)];
        broadcast_indices(own, &sizes.batch)
    };
    let mut out = vec![T::default(); sizes.output.iter().product()];
    let batches = batch_of(a.shape).into_iter().zip(batch_of(b.shape));
    for ((p, q), out) in batches.zip(out.chunks_exact_mut(m * n)) {
        product(&a.data[p * m * k..][..m * k], &b.data[q * k * n..][..k * n], k, n, out);
    }
    out
}

/// `A'·B'` of Gemm.
pub(super) fn gemm<T: Number>(
    a: &Operand<'_, T>,
    b: &Operand<'_, T>,
    trans_a: bool,
    trans_b: bool,
    output: &[usize],
) -> Vec<T> {
    let (m, n) = (output[0], output[1]);
    let k = a.data.len() / m;
    let mut out = vec![T::default(); m * n];
    for i in 0..m {
        let row: Vec<T> = (0..k).map(|l| a.data[if trans_a { l * m + i } else { i * k + l }]).collect();
        let out = &mut out[i * n..][..n];
        if trans_b {
            for (o, column) in out.iter_mut().zip(b.data.chunks_exact(k)) {
                *o = row.iter().zip(column).fold(T::default(), |s, (a, b)| s + *a * *b);
            }
        } else {
            product(&row, &b.data, k, n, out);
        }
    }
    out
}

/// `alpha · product + beta · c`.
pub(super) fn combine<T: Number>(
    mut product: Vec<T>,
    alpha: f32,
    beta: f32,
    c: Option<&Operand<'_, T>>,
    output: &[usize],
) -> Vec<T> {
    let (alpha, beta) = (T::from(alpha), T::from(beta));
    match c {
        None => product.iter_mut().for_each(|p| *p = alpha * *p),
        Some(c) => {
            for (p, i) in product.iter_mut().zip(broadcast_indices(c.shape, output)) {
                *p = alpha * *p + beta * c.data[i];
            }
        }
    }
    product
}

/// Adds `bias[c]` to every element of channel `c` of `[N, C, …]`.
pub(super) fn add_bias<T: Number>(
    mut sums: Vec<T>,
    bias: Option<&Operand<'_, T>>,
    output: &[usize],
) -> Vec<T> {
    let Some(bias) = bias else { return sums };
    let each = output[2..].iter().product();
    for (channel, b) in sums.chunks_exact_mut(each).zip(bias.data.iter().cycle()) {
        channel.iter_mut().for_each(|s| *s = *s + *b);
    }
    sums
}

/// For each tap of the kernel the places `(output, input)` of a channel that it joins.
fn joined(window: &Window) -> Vec<Vec<(u32, u32)>> {
    let kernel = window.len_kernel();
    let mut pairs = vec![Vec::new(); kernel];
    for (output, taps) in window.taps().chunks_exact(kernel).enumerate() {
        for (tap, input) in taps.iter().enumerate().filter(|(_, i)| **i != PADDING) {
            pairs[tap].push((output as u32, *input));
        }
    }
    pairs
}

/// `X` `[N, C, …]`, `W` `[M, C / groups, kernel…]`.
pub(super) fn conv<T: Number>(
    x: &Operand<'_, T>,
    w: &Operand<'_, T>,
    window: &Window,
    groups: usize,
    output: &[usize],
) -> Vec<T> {
    let (batch, channels_out) = (output[0], output[1]);
    let (channels_in, own_in, own_out) = (x.shape[1], w.shape[1], channels_out / groups);
    let (len_in, len_out, kernel) = (window.len_in(), window.len_out(), window.len_kernel());
    let pairs = joined(window);
    let mut out = vec![T::default(); output.iter().product()];
    for (index, out) in out.chunks_exact_mut(len_out).enumerate().take(batch * channels_out) {
        let (n, m) = (index / channels_out, index % channels_out);
        for c in 0..own_in {
            let channel = &x.data[(n * channels_in + m / own_out * own_in + c) * len_in..][..len_in];
            let weights = &w.data[(m * own_in + c) * kernel..][..kernel];
            for (weight, pairs) in weights.iter().zip(&pairs) {
                for (o, i) in pairs {
                    out[*o as usize] = out[*o as usize] + *weight * channel[*i as usize];
                }
            }
        }
    }
    out
}

/// `X` `[N, C, …]`, `W` `[C, M / groups, kernel…]`; the window goes from the result to `X`.
pub(super) fn conv_transpose<T: Number>(
    x: &Operand<'_, T>,
    w: &Operand<'_, T>,
    window: &Window,
    groups: usize,
    output: &[usize],
) -> Vec<T> {
    let (batch, channels_out) = (output[0], output[1]);
    let (channels_in, own_out) = (x.shape[1], w.shape[1]);
    let own_in = channels_in / groups;
    let (len_out, len_in, kernel) = (window.len_in(), window.len_out(), window.len_kernel());
    let pairs = joined(window);
    let mut out = vec![T::default(); output.iter().product()];
    for (index, out) in out.chunks_exact_mut(len_out).enumerate().take(batch * channels_out) {
        let (n, m) = (index / channels_out, index % channels_out);
        let group = m / own_out;
        for c in group * own_in..(group + 1) * own_in {
            let channel = &x.data[(n * channels_in + c) * len_in..][..len_in];
            let weights = &w.data[(c * own_out + m % own_out) * kernel..][..kernel];
            for (weight, pairs) in weights.iter().zip(&pairs) {
                for (i, o) in pairs {
                    out[*o as usize] = out[*o as usize] + *weight * channel[*i as usize];
                }
            }
        }
    }
    out
}
