//! Pooling over windows of each channel.

use super::super::window::{PADDING, Window};
use super::{Number, Operand};

/// `f` of the elements in each window of each channel and the window's index.
fn windows<T: Number>(x: &Operand<'_, T>, window: &Window, f: impl Fn(&[T], usize) -> T) -> Vec<T> {
    let (taps, kernel) = (window.taps(), window.len_kernel());
    let mut out = Vec::with_capacity(x.data.len() / window.len_in() * window.len_out());
    let mut inside = Vec::with_capacity(kernel);
    for channel in x.data.chunks_exact(window.len_in()) {
        for (index, taps) in taps.chunks_exact(kernel).enumerate() {
            inside.clear();
            inside.extend(taps.iter().filter(|t| **t != PADDING).map(|t| channel[*t as usize]));
            out.push(f(&inside, index));
        }
    }
    out
}

pub(super) fn max<T: Number>(x: &Operand<'_, T>, window: &Window) -> Vec<T> {
    windows(x, window, |inside, _| {
        let first = inside.first().copied().expect("import refuses windows of padding");
        inside.iter().fold(first, |m, x| if m < *x { *x } else { m })
    })
}

pub(super) fn average<T: Number>(x: &Operand<'_, T>, window: &Window, count_include_pad: bool) -> Vec<T> {
    let divisors = window.average_divisors(count_include_pad);
    windows(x, window, |inside, index| {
        inside.iter().fold(T::default(), |s, x| s + *x) / T::count(divisors[index])
    })
}
