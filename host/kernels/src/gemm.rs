//! Products of matrices that change at each step, so that packing one of them would not pay: the `gemm` crate's.
//!
//! # Rounding
//! *Estimate*: sums in an unspecified order, which depends on the shapes and the processor alone.

use gemm::Parallelism;

/// `to = A·B`, or `to += A·B` if `add`; `A` is `[m, k]` and `B` `[k, n]`, or their transposes where `transposed` says so.
/// `threads` of rayon's current pool take part.
///
/// # Panics
/// If a length does not fit.
pub fn product(
    to: &mut [f32],
    [a, b]: [&[f32]; 2],
    [m, k, n]: [usize; 3],
    transposed: [bool; 2],
    add: bool,
    threads: usize,
) {
    assert_eq!([to.len(), a.len(), b.len()], [m * n, m * k, k * n], "a product of {m}×{k} and {k}×{n}");
    // Row stride, column stride.
    let strides = |rows: usize, cols: usize, transposed: bool| {
        let [rows, cols] = [rows, cols].map(|x| isize::try_from(x).expect("a slice is shorter"));
        if transposed { (1, rows) } else { (cols, 1) }
    };
    let ((a_row, a_col), (b_row, b_col)) = (strides(m, k, transposed[0]), strides(k, n, transposed[1]));
    let parallelism = if threads > 1 { Parallelism::Rayon(threads) } else { Parallelism::None };
    // SAFETY: the strides keep within the lengths, which were checked; `to` is not aliased.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            to.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.as_ptr(),
            a_col,
            a_row,
            b.as_ptr(),
            b_col,
            b_row,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_four_ways_equal_the_plain_sum_exactly_on_small_integers() {
        let (m, k, n) = (5, 33, 18);
        let number = |i: usize| ((i * 7) % 11) as f32 - 5.0;
        for transposed in [[false, false], [false, true], [true, false], [true, true]] {
            let a: Vec<f32> = (0..m * k).map(number).collect();
            let b: Vec<f32> = (0..k * n).map(|i| number(i + 3)).collect();
            let entry_a = |i: usize, l: usize| if transposed[0] { a[l * m + i] } else { a[i * k + l] };
            let entry_b = |l: usize, j: usize| if transposed[1] { b[j * k + l] } else { b[l * n + j] };
            let mut to = vec![1.0; m * n];
            for (add, start) in [(false, 0.0), (true, 1.0)] {
                to.fill(1.0);
                product(&mut to, [&a, &b], [m, k, n], transposed, add, 2);
                for (at, found) in to.iter().enumerate() {
                    let sum: f32 = (0..k).map(|l| entry_a(at / n, l) * entry_b(l, at % n)).sum();
                    assert_eq!(*found, start + sum, "{transposed:?}, {add}, at {at}");
                }
            }
        }
    }
}
