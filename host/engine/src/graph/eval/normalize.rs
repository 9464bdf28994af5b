//! Functions of many numbers: reductions, normalisation, softmax.

use super::super::ops::Reduce;
use super::super::shapes::reduced_indices;
use super::{Number, Operand};

/// Operands `X`, `scale`, `B`, `mean`, `var`.
pub(super) fn batch<T: Number>(operands: &[Operand<'_, T>], epsilon: T) -> Vec<T> {
    let x = &operands[0];
    let channels = operands[1].data.len();
    let each = x.shape.get(2..).unwrap_or_default().iter().product();
    let of = |operand: usize, c: usize| operands[operand].data[c];
    let mut out = x.data.to_vec();
    for (index, channel) in out.chunks_exact_mut(each).enumerate() {
        let c = index % channels;
        let (scale, bias, mean) = (of(1, c), of(2, c), of(3, c));
        let deviation = (of(4, c) + epsilon).sqrt();
        channel.iter_mut().for_each(|x| *x = (*x - mean) / deviation * scale + bias);
    }
    out
}

fn sum<T: Number>(values: impl Iterator<Item = T>) -> T {
    values.fold(T::default(), |s, v| s + v)
}

pub(super) fn runs<T: Number>(x: &Operand<'_, T>, size: usize, epsilon: T) -> Vec<T> {
    let mut out = x.data.to_vec();
    let count = T::count(size);
    for run in out.chunks_exact_mut(size) {
        let mean = sum(run.iter().copied()) / count;
        run.iter_mut().for_each(|x| *x = *x - mean);
        let deviation = (sum(run.iter().map(|x| *x * *x)) / count + epsilon).sqrt();
        run.iter_mut().for_each(|x| *x = *x / deviation);
    }
    out
}

/// The operand is seen as `[outer, size, inner]`.
pub(super) fn softmax<T: Number>(x: &Operand<'_, T>, dims: [usize; 3], log: bool) -> Vec<T> {
    let [_, size, inner] = dims;
    let mut out = x.data.to_vec();
    for block in out.chunks_exact_mut(size * inner) {
        for i in 0..inner {
            let along = |block: &[T], j: usize| block[j * inner + i];
            let first = along(block, 0);
            let largest = (1..size).fold(first, |m, j| if m < along(block, j) { along(block, j) } else { m });
            let total = sum((0..size).map(|j| (along(block, j) - largest).exp()));
            for j in 0..size {
                let shifted = along(block, j) - largest;
                block[j * inner + i] = if log { shifted - total.ln() } else { shifted.exp() / total };
            }
        }
    }
    out
}

pub(super) fn reduce<T: Number>(x: &Operand<'_, T>, kind: Reduce, axes: &[usize]) -> Vec<T> {
    let groups = reduced_indices(x.shape, axes);
    let count = axes.iter().map(|a| x.shape[*a]).product::<usize>();
    let outputs = x.data.len() / count;
    let mut results = vec![None; outputs];
    // The logarithm of a sum of exponentials needs the largest first.
    let largest = (kind == Reduce::LogSumExp).then(|| reduce(x, Reduce::Max, axes));
    for (value, group) in x.data.iter().zip(groups) {
        let group = group as usize;
        let term = match kind {
            Reduce::L1 => value.abs(),
            Reduce::L2 | Reduce::SumSquare => *value * *value,
            Reduce::LogSumExp => (*value - largest.as_ref().map_or(T::default(), |l| l[group])).exp(),
            _ => *value,
        };
        results[group] = Some(match results[group] {
            None => term,
            Some(so_far) => match kind {
                Reduce::Max => {
                    if so_far < term {
                        term
                    } else {
                        so_far
                    }
                }
                Reduce::Min => {
                    if term < so_far {
                        term
                    } else {
                        so_far
                    }
                }
                Reduce::Prod => so_far * term,
                _ => so_far + term,
            },
        });
    }
    let finish = |(group, value): (usize, Option<T>)| {
        let value = value.expect("every output has an element");
        match kind {
            Reduce::Mean => value / T::count(count),
            Reduce::L2 => value.sqrt(),
            Reduce::LogSum => value.ln(),
            Reduce::LogSumExp => value.ln() + largest.as_ref().map_or(T::default(), |l| l[group]),
            _ => value,
        }
    };
    results.into_iter().enumerate().map(finish).collect()
}
