//! The program checker's arithmetic with this processor's vectors.
//!
//! The loops of `certus_core::proof::program::lanes`, compiled wide; products with packed matrices over the rows that are not
//! zero; a convolution as one such product per pixel,
//! of the coefficients that reach it. The oracle is `certus_core::proof::program::Plain`.
//!
//! # Rounding
//! Sums in any order, products fused: all that the checker's argument asks for is that each term passes at most one rounding
//! for its product and one for each sum.

use certus_core::program::{Conv, Map, Program};
use certus_core::proof::program::{Kernel, Kink, Matrix, Plain, UNREAD, forward_lanes, lanes};
use certus_kernels::Packed as Panels;
use certus_kernels::relax::{Body, wide, wide_run};
use std::sync::{Arc, OnceLock};

/// A map packed for backward products.
#[derive(Debug)]
enum Packed {
    /// `Wᵀ`.
    Dense(Panels<f64>),
    /// One matrix per group, `[channels it gives, taps × channels it reads]`.
    Conv(Vec<Panels<f64>>),
    /// Done in plain loops.
    Plain,
}

/// Which way coefficients move through a convolution.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// From its result to its operand.
    Back,
    /// From its operand to its result: through a transposed convolution, backwards.
    Forth,
}

/// Maps of a program, packed for the checker; cheap to clone for another thread. Lanes must be a multiple of
/// [`certus_kernels::LANE_MULTIPLE`].
#[derive(Clone, Debug)]
pub struct ProgramKernel {
    maps: Arc<Vec<Packed>>,
    /// As `maps`, for products forward.
    forward: Arc<Vec<OnceLock<Packed>>>,
    /// Row of the coefficients of each element, or [`NONE`].
    rows_of: Vec<u32>,
    /// Columns of one product.
    columns: Vec<u32>,
    /// The rows they multiply, side by side, and the result.
    gathered: Vec<f64>,
    result: Vec<f64>,
    /// Rows of the coefficients that one product multiplies.
    places: Vec<u32>,
    /// Rows of one product.
    wanted: Vec<u32>,
    /// Weights of one product.
    weights: Vec<f64>,
}

/// No row.
const NONE: u32 = u32::MAX;

impl ProgramKernel {
    /// Packs the maps of a program.
    pub fn new(program: &Program<'_>) -> Self {
        let pack = |map: &Map<'_>| match map {
            Map::Dense { rows, cols, weights, .. } => {
                Packed::Dense(Panels::new(*cols, *rows, |j, i| f64::from(weights[i * cols + j])))
            }
            Map::Conv(conv) => Packed::Conv(pack_conv(conv, Way::Back)),
            Map::ConvTranspose(conv) => Packed::Conv(pack_conv(conv, Way::Forth)),
            Map::Identity | Map::Scale(_) | Map::Sparse(_) => Packed::Plain,
        };
        let maps: Vec<_> = program.term_table().iter().map(|t| pack(&t.map)).collect();
        let forward = maps.iter().map(|_| OnceLock::new()).collect();
        Self {
            maps: Arc::new(maps),
            forward: Arc::new(forward),
            rows_of: Vec::new(),
            columns: Vec::new(),
            gathered: Vec::new(),
            result: Vec::new(),
            places: Vec::new(),
            wanted: Vec::new(),
            weights: Vec::new(),
        }
    }
}

fn area(size: [usize; 2]) -> usize {
    size[0] * size[1]
}

/// Channels of one group that are read and given, and the sizes of both images.
fn sides(conv: &Conv<'_>, way: Way) -> ([usize; 2], [[usize; 2]; 2]) {
    let (operand, result) = (conv.channels_in / conv.groups, conv.channels_out / conv.groups);
    match way {
        Way::Back => ([result, operand], [conv.size_out, conv.size_in]),
        Way::Forth => ([operand, result], [conv.size_in, conv.size_out]),
    }
}

/// For each group the matrix `[given channel, tap × read channel]`.
fn pack_conv(conv: &Conv<'_>, way: Way) -> Vec<Panels<f64>> {
    let ([read, given], _) = sides(conv, way);
    let taps = area(conv.kernel);
    let (cin, cout) = (conv.channels_in / conv.groups, conv.channels_out / conv.groups);
    let weight = |group: usize, out: usize, input: usize, tap: usize| {
        f64::from(conv.weights[((group * cout + out) * cin + input) * taps + tap])
    };
    let matrix = |group: usize| {
        Panels::new(given, taps * read, |i, column| {
            let (tap, j) = (column / read, column % read);
            if way == Way::Back { weight(group, j, i, tap) } else { weight(group, i, j, tap) }
        })
    };
    (0..conv.groups).map(matrix).collect()
}

/// The coordinate that tap `k` reads for the given coordinate `at`, along one axis.
fn read_at(conv: &Conv<'_>, way: Way, axis: usize, at: usize, k: usize) -> Option<usize> {
    let (step, shift) = (conv.stride[axis], k * conv.dilation[axis]);
    if way == Way::Forth {
        return (at * step + shift).checked_sub(conv.pad[axis]).filter(|i| *i < conv.size_in[axis]);
    }
    let scaled = (at + conv.pad[axis]).checked_sub(shift)?;
    (scaled.is_multiple_of(step) && scaled / step < conv.size_out[axis]).then_some(scaled / step)
}

impl ProgramKernel {
    fn conv(&mut self, packed: &[Panels<f64>], conv: &Conv<'_>, way: Way, job: &mut Job<'_>) {
        let ([read, given], [from, to]) = sides(conv, way);
        let (from_area, to_area, lanes) = (area(from), area(to), job.lanes);
        self.result.resize(given * lanes, 0.0);
        for (group, panels) in packed.iter().enumerate() {
            for y in 0..to[0] {
                for x in 0..to[1] {
                    let first = group * given * to_area + y * to[1] + x;
                    let marks = job.live[first..].iter().step_by(to_area).take(given);
                    self.wanted.clear();
                    self.wanted.extend((0u32..).zip(marks).filter(|(_, m)| **m != UNREAD).map(|(i, _)| i));
                    if self.wanted.is_empty() {
                        continue;
                    }
                    self.columns.clear();
                    self.places.clear();
                    for ky in 0..conv.kernel[0] {
                        let Some(fy) = read_at(conv, way, 0, y, ky) else { continue };
                        for kx in 0..conv.kernel[1] {
                            let Some(fx) = read_at(conv, way, 1, x, kx) else { continue };
                            let column = ((ky * conv.kernel[1] + kx) * read) as u32;
                            let first = group * read * from_area + fy * from[1] + fx;
                            let rows = self.rows_of[first..].iter().step_by(from_area).take(read);
                            for (column, row) in (column..).zip(rows).filter(|(_, row)| **row != NONE) {
                                self.columns.push(column);
                                self.places.push(*row);
                            }
                        }
                    }
                    if self.columns.is_empty() {
                        continue;
                    }
                    let (part, input) = ((&*self.wanted, &*self.columns), (job.a, &*self.places));
                    panels.product_part(part, input, lanes, &mut self.weights, &mut self.result);
                    for (row, i) in self.result.chunks_exact(lanes).zip(&self.wanted) {
                        job.add(first + *i as usize * to_area, row);
                    }
                }
            }
        }
    }

    /// Adds a convolution of `used` numbers of each row of `x` to the rows of `out`, `stride` apart both.
    fn conv_lanes(
        &mut self,
        packed: &[Panels<f64>],
        (conv, way): (&Conv<'_>, Way),
        (x, used): (&[f64], usize),
        (out, stride): (&mut [f64], usize),
    ) {
        let ([read, given], [from, to]) = sides(conv, way);
        let (from_area, to_area) = (area(from), area(to));
        self.result.resize(given * used, 0.0);
        for (group, panels) in packed.iter().enumerate() {
            for (y, at) in (0..to[0]).flat_map(|y| (0..to[1]).map(move |at| (y, at))) {
                self.columns.clear();
                self.gathered.clear();
                for ky in 0..conv.kernel[0] {
                    let Some(fy) = read_at(conv, way, 0, y, ky) else { continue };
                    for kx in 0..conv.kernel[1] {
                        let Some(fx) = read_at(conv, way, 1, at, kx) else { continue };
                        let column = (ky * conv.kernel[1] + kx) * read;
                        let first = group * read * from_area + fy * from[1] + fx;
                        self.columns.extend((column..column + read).map(|c| c as u32));
                        for row in (first..).step_by(from_area).take(read) {
                            self.gathered.extend_from_slice(&x[row * stride..][..used]);
                        }
                    }
                }
                if self.columns.is_empty() {
                    continue;
                }
                panels.product(Some(&self.columns), &self.gathered, used, &mut self.result);
                let first = group * given * to_area + y * to[1] + at;
                let targets = (first..).step_by(to_area).take(given);
                for (row, target) in self.result.chunks_exact(used).zip(targets) {
                    wide(|| lanes::add(row, &mut out[target * stride..][..used]));
                }
            }
        }
    }

    /// As [`Self::conv_lanes`] for `W x` on consecutive vectors.
    fn dense_lanes(
        &mut self,
        panels: &Panels<f64>,
        (count, rows, cols): (usize, usize, usize),
        (x, used): (&[f64], usize),
        (out, stride): (&mut [f64], usize),
    ) {
        self.result.resize(rows * used, 0.0);
        for vector in 0..count {
            self.gathered.clear();
            for row in vector * cols..(vector + 1) * cols {
                self.gathered.extend_from_slice(&x[row * stride..][..used]);
            }
            panels.product(None, &self.gathered, used, &mut self.result);
            for (row, target) in self.result.chunks_exact(used).zip(vector * rows..(vector + 1) * rows) {
                wide(|| lanes::add(row, &mut out[target * stride..][..used]));
            }
        }
    }

    fn dense(&mut self, panels: &Panels<f64>, height: usize, job: &mut Job<'_>) {
        let (width, lanes) = (panels.rows(), job.lanes);
        let mut used = 0;
        for vector in 0..job.live.len() / width {
            let first = (vector * height) as u32;
            let rows = job.rows[used..].iter().take_while(|j| **j < first + height as u32);
            self.columns.clear();
            self.columns.extend(rows.map(|j| j - first));
            let a = &job.a[used * lanes..][..self.columns.len() * lanes];
            used += self.columns.len();
            if self.columns.is_empty() {
                continue;
            }
            let live = &mut job.live[vector * width..][..width];
            if live.iter().all(|l| *l == 0) {
                live.fill(1);
                let out = &mut job.out[vector * width * lanes..][..width * lanes];
                panels.product(Some(&self.columns), a, lanes, out);
                continue;
            }
            self.result.resize(width * lanes, 0.0);
            panels.product(Some(&self.columns), a, lanes, &mut self.result);
            for (j, row) in self.result.chunks_exact(lanes).take(width).enumerate() {
                job.add(vector * width + j, row);
            }
        }
    }
}

/// A backward product.
struct Job<'j> {
    rows: &'j [u32],
    a: &'j [f64],
    lanes: usize,
    out: &'j mut [f64],
    live: &'j mut [u32],
}

impl Job<'_> {
    /// Adds a row of the result to an element.
    fn add(&mut self, element: usize, row: &[f64]) {
        let out = &mut self.out[element * self.lanes..][..self.lanes];
        if self.live[element] == UNREAD {
            return;
        }
        if self.live[element] == 0 {
            self.live[element] = 1;
            out.copy_from_slice(row);
        } else {
            wide(|| lanes::add(row, out));
        }
    }
}

/// `sum[i·step] += w·x[i]`-like run: `count` products of one weight along a row of a convolution.
#[inline(always)]
fn run(w: f64, (x, x_step): (&[f64], usize), (sum, sum_step): (&mut [f64], usize), count: usize) {
    if x_step == 1 && sum_step == 1 {
        sum.iter_mut().zip(x).take(count).for_each(|(s, x)| *s += w * x);
    } else {
        let x = x.iter().step_by(x_step);
        sum.iter_mut().step_by(sum_step).zip(x).take(count).for_each(|(s, x)| *s += w * x);
    }
}

/// Adds a convolution of `x` (transposed: of what it gives) to `sum`, one weight along a whole row at a time.
#[inline(always)]
fn add_conv(conv: &Conv<'_>, transposed: bool, x: &[f64], sum: &mut [f64], of: impl Fn(f64) -> f64) {
    let ([ih, iw], [oh, ow], [kh, kw]) = (conv.size_in, conv.size_out, conv.kernel);
    let ([sy, sx], [dy, dx], [py, px]) = (conv.stride, conv.dilation, conv.pad);
    let (cin, cout) = (conv.channels_in / conv.groups, conv.channels_out / conv.groups);
    for (index, w) in conv.weights.iter().enumerate() {
        let (kx, ky, rest) = (index % kw, index / kw % kh, index / (kw * kh));
        let (oc, ic) = (rest / cin, rest / cin / cout * cin + rest % cin);
        // Columns whose position `ox·sx + kx·dx − px` lies in the image.
        let shift = kx * dx;
        let from = px.saturating_sub(shift).div_ceil(sx);
        let to = (iw + px).saturating_sub(shift).div_ceil(sx).min(ow);
        if from >= to {
            continue;
        }
        let w = of(f64::from(*w));
        for oy in 0..oh {
            let Some(iy) = (oy * sy + ky * dy).checked_sub(py).filter(|i| *i < ih) else { continue };
            let output = (oc * oh + oy) * ow + from;
            let input = (ic * ih + iy) * iw + from * sx + shift - px;
            if transposed {
                run(w, (&x[output..], 1), (&mut sum[input..], sx), to - from);
            } else {
                run(w, (&x[input..], sx), (&mut sum[output..], 1), to - from);
            }
        }
    }
}

/// [`add_dense`], to be compiled wide.
struct DenseSums<'s, F> {
    weights: &'s [f32],
    size: (usize, usize),
    x: &'s [f64],
    sum: &'s mut [f64],
    of: F,
}

impl<F: Fn(f64) -> f64> Body for DenseSums<'_, F> {
    #[inline(always)]
    fn run(self) {
        add_dense(self.weights, self.size, self.x, self.sum, self.of);
    }
}

/// Adds `W x` on each of the consecutive vectors.
#[inline(always)]
fn add_dense(
    weights: &[f32],
    (rows, cols): (usize, usize),
    x: &[f64],
    sum: &mut [f64],
    of: impl Fn(f64) -> f64,
) {
    for (x, sum) in x.chunks_exact(cols).zip(sum.chunks_exact_mut(rows)) {
        for (row, s) in weights.chunks_exact(cols).zip(sum) {
            // Eight sums side by side, so that they fit a vector.
            let mut parts = [0.0; 8];
            let (mut w, mut v) = (row.chunks_exact(8), x.chunks_exact(8));
            for (w, v) in w.by_ref().zip(v.by_ref()) {
                for ((p, w), v) in parts.iter_mut().zip(w).zip(v) {
                    *p += of(f64::from(*w)) * v;
                }
            }
            let rest = w.remainder().iter().zip(v.remainder());
            *s += parts.iter().sum::<f64>() + rest.map(|(w, v)| of(f64::from(*w)) * v).sum::<f64>();
        }
    }
}

fn add_map(map: &Map<'_>, x: &[f64], sum: &mut [f64], of: impl Fn(f64) -> f64) -> bool {
    match map {
        Map::Dense { rows, cols, weights, .. } => {
            wide_run(DenseSums { weights, size: (*rows, *cols), x, sum, of });
        }
        Map::Conv(conv) => wide(|| add_conv(conv, false, x, sum, of)),
        Map::ConvTranspose(conv) => wide(|| add_conv(conv, true, x, sum, of)),
        Map::Identity | Map::Scale(_) | Map::Sparse(_) => return false,
    }
    true
}

impl Kernel for ProgramKernel {
    fn lane_multiple(&self) -> usize {
        certus_kernels::LANE_MULTIPLE
    }

    fn forward(&mut self, matrix: Matrix<'_>, x: &[f64], sum: &mut [f64]) {
        if !add_map(matrix.map, x, sum, |w| w) {
            Plain.forward(matrix, x, sum);
        }
    }

    fn forward_absolute(&mut self, matrix: Matrix<'_>, x: &[f64], sum: &mut [f64]) {
        if !add_map(matrix.map, x, sum, f64::abs) {
            Plain.forward_absolute(matrix, x, sum);
        }
    }

    fn forward_lanes(&mut self, matrix: Matrix<'_>, x: (&[f64], usize), out: (&mut [f64], usize)) {
        let maps = Arc::clone(&self.forward);
        let packed = maps[matrix.term].get_or_init(|| match matrix.map {
            Map::Dense { rows, cols, weights, .. } => {
                Packed::Dense(Panels::new(*rows, *cols, |i, j| f64::from(weights[i * cols + j])))
            }
            Map::Conv(conv) => Packed::Conv(pack_conv(conv, Way::Forth)),
            Map::ConvTranspose(conv) => Packed::Conv(pack_conv(conv, Way::Back)),
            Map::Identity | Map::Scale(_) | Map::Sparse(_) => Packed::Plain,
        });
        match (packed, matrix.map) {
            (Packed::Dense(panels), Map::Dense { count, rows, cols, .. }) => {
                self.dense_lanes(panels, (*count, *rows, *cols), x, out);
            }
            (Packed::Conv(packed), Map::Conv(conv)) => self.conv_lanes(packed, (conv, Way::Forth), x, out),
            (Packed::Conv(packed), Map::ConvTranspose(conv)) => {
                self.conv_lanes(packed, (conv, Way::Back), x, out);
            }
            _ => wide(|| forward_lanes(matrix.map, x, out)),
        }
    }

    fn transposed(
        &mut self,
        matrix: Matrix<'_>,
        rows: &[u32],
        (a, lanes): (&[f64], usize),
        out: &mut [f64],
        live: &mut [u32],
    ) {
        let maps = Arc::clone(&self.maps);
        let mut job = Job { rows, a, lanes, out, live };
        match (&maps[matrix.term], matrix.map) {
            (Packed::Dense(panels), Map::Dense { rows: height, .. }) => self.dense(panels, *height, &mut job),
            (Packed::Conv(packed), Map::Conv(conv) | Map::ConvTranspose(conv)) => {
                let (way, size) = match matrix.map {
                    Map::Conv(_) => (Way::Back, conv.outputs()),
                    _ => (Way::Forth, conv.inputs()),
                };
                self.rows_of.clear();
                self.rows_of.resize(size, NONE);
                (0u32..).zip(rows).for_each(|(k, row)| self.rows_of[*row as usize] = k);
                self.conv(packed, conv, way, &mut job);
            }
            _ => Plain.transposed(matrix, rows, (a, lanes), job.out, job.live),
        }
    }

    fn pass(&mut self, a: &[f64], value: &mut [f64], deduct: &mut [f64], constant: f64, error: f64) {
        wide(|| lanes::pass(a, value, deduct, constant, error));
    }
    fn kink(&mut self, a: &mut [f64], free: &[f64], deduct: &mut [f64], kink: Kink) {
        wide(|| lanes::kink(a, free, deduct, kink));
    }
    fn add(&mut self, a: &[f64], out: &mut [f64]) {
        wide(|| lanes::add(a, out));
    }
    fn spread(&mut self, a: &[f64], out: &mut [f64], lower: f64, upper: f64) {
        wide(|| lanes::spread(a, out, lower, upper));
    }
    fn signed(
        &mut self,
        a: &[f64],
        value: &mut [f64],
        deduct: &mut [f64],
        constant: [f64; 2],
        error: [f64; 2],
    ) {
        wide(|| lanes::signed(a, value, deduct, constant, error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use certus_core::program::{Constants, Operation, Slot, Step, Terms};
    use certus_core::program::{Sparse, Term as ProgramTerm};

    /// Small integers: every sum is exact, so any order gives the same.
    fn integers(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|k| ((k * 37 + seed * 11) % 17) as f32 - 8.0).collect()
    }

    fn convs(weights: &[Vec<f32>]) -> Vec<Conv<'_>> {
        let conv = |k: usize,
                    channels: [usize; 2],
                    groups,
                    sizes: [[usize; 2]; 2],
                    [kernel, stride, dilation, pad]: [[usize; 2]; 4]| Conv {
            channels_in: channels[0],
            channels_out: channels[1],
            groups,
            size_in: sizes[0],
            size_out: sizes[1],
            kernel,
            stride,
            dilation,
            pad,
            weights: &weights[k][..channels[1] * (channels[0] / groups) * kernel[0] * kernel[1]],
        };
        vec![
            conv(0, [3, 8], 1, [[6, 7], [6, 7]], [[3, 3], [1, 1], [1, 1], [1, 1]]),
            conv(1, [4, 6], 2, [[5, 9], [3, 4]], [[3, 3], [2, 2], [1, 1], [1, 0]]),
            conv(2, [2, 13], 1, [[1, 12], [1, 5]], [[1, 4], [1, 2], [1, 2], [0, 1]]),
            conv(3, [5, 5], 5, [[4, 4], [4, 4]], [[2, 2], [1, 1], [2, 2], [1, 1]]),
            conv(4, [2, 3], 1, [[3, 2], [7, 5]], [[2, 3], [1, 1], [1, 1], [4, 3]]),
        ]
    }

    /// Compares both kernels on one map of an operand of `len` elements.
    fn compare(map: Map<'_>, len: usize) {
        let (reads, gives) = map.shape(len);
        assert_eq!(reads, len);
        let terms = [ProgramTerm { input: Slot(0), map }];
        let steps = [Step {
            len: gives,
            operation: Operation::Affine { terms: Terms { first: 0, count: 1 }, bias: None },
        }];
        let program = Program::new(len, &steps, &terms).unwrap();
        let mut fast = ProgramKernel::new(&program);
        let matrix = Matrix { term: 0, map: &terms[0].map };
        let wide = |v: Vec<f32>| v.into_iter().map(f64::from).collect::<Vec<_>>();
        let x = wide(integers(len, 3));
        let (mut a, mut b) = (wide(integers(gives, 5)), wide(integers(gives, 5)));
        fast.forward(matrix, &x, &mut a);
        Plain.forward(matrix, &x, &mut b);
        assert_eq!(a, b, "{map:?}");
        fast.forward_absolute(matrix, &x, &mut a);
        Plain.forward_absolute(matrix, &x, &mut b);
        assert_eq!(a, b, "absolute {map:?}");
        let stride = 48;
        for used in [16, 32, 48] {
            let x = wide(integers(len * stride, 9));
            let mut y = wide(integers(gives * stride, 6));
            let mut plain = y.clone();
            fast.forward_lanes(matrix, (&x, used), (&mut y, stride));
            Plain.forward_lanes(matrix, (&x, used), (&mut plain, stride));
            assert_eq!(y, plain, "{used} of {stride} lanes, {map:?}");
            let lane: Vec<f64> = x.iter().skip(used - 1).step_by(stride).copied().collect();
            let mut sum: Vec<f64> =
                wide(integers(gives * stride, 6)).iter().skip(used - 1).step_by(stride).copied().collect();
            Plain.forward(matrix, &lane, &mut sum);
            assert!(sum.iter().eq(y.iter().skip(used - 1).step_by(stride)), "{map:?}");
        }
        let lanes = 32;
        for keep in [1, 3, 7, 1000] {
            let rows: Vec<u32> = (0..gives as u32).filter(|i| i % keep == 0).collect();
            let coefficients = wide(integers(rows.len() * lanes, 7));
            // None is live, every third, all; of each some that nobody reads, or none.
            for (gap, unread) in [len + 1, 3, 1].into_iter().flat_map(|g| [(g, len + 1), (g, 4), (g, 1)]) {
                let mark = |j: usize| {
                    if j.is_multiple_of(unread) { UNREAD } else { u32::from(j.is_multiple_of(gap)) }
                };
                let mut live: Vec<u32> = (1..=len).map(mark).collect();
                let before = live.clone();
                let mut x = wide(integers(len * lanes, 1));
                for (row, live) in x.chunks_exact_mut(lanes).zip(&live) {
                    if *live != 1 {
                        row.fill(f64::NAN);
                    }
                }
                let (mut y, mut live_too) = (x.clone(), live.clone());
                fast.transposed(matrix, &rows, (&coefficients, lanes), &mut x, &mut live);
                Plain.transposed(matrix, &rows, (&coefficients, lanes), &mut y, &mut live_too);
                for marks in [&live, &live_too] {
                    let kept = |(m, b): (&u32, &u32)| (*m == UNREAD) == (*b == UNREAD);
                    assert!(marks.iter().zip(&before).all(kept), "{map:?}");
                }
                // Where nobody reads nothing was written. What either left alone is zero.
                for x in [&x, &y] {
                    let rows = x.chunks_exact(lanes).zip(&before).filter(|(_, m)| **m == UNREAD);
                    assert!(rows.into_iter().all(|(x, _)| x.iter().all(|x| x.is_nan())), "{map:?}");
                }
                let zero_dead = |x: &mut [f64], live: &[u32]| {
                    x.chunks_exact_mut(lanes)
                        .zip(live)
                        .filter(|(_, l)| **l != 1)
                        .for_each(|(x, _)| x.fill(0.0));
                };
                zero_dead(&mut x, &live);
                zero_dead(&mut y, &live_too);
                assert_eq!(x, y, "transposed, every {keep}th row, live every {gap}th, {map:?}");
            }
        }
    }

    #[test]
    fn both_kernels_compute_the_same_for_every_kind_of_map() {
        let weights: Vec<Vec<f32>> = (0..5).map(|k| integers(400, k)).collect();
        for conv in convs(&weights) {
            compare(Map::Conv(conv), conv.inputs());
            compare(Map::ConvTranspose(conv), conv.outputs());
        }
        for (count, rows, cols) in [(1, 7, 33), (3, 20, 5), (4, 1, 1), (1, 50, 64)] {
            compare(Map::Dense { count, rows, cols, weights: &integers(rows * cols, 2) }, count * cols);
        }
        compare(Map::Identity, 5);
        compare(Map::Scale(Constants::exact(&integers(9, 4))), 9);
        let values = integers(6, 1);
        let sparse = Sparse {
            cols: 5,
            starts: &[0, 2, 2, 6],
            columns: &[0, 4, 1, 1, 2, 3],
            values: Constants::exact(&values),
        };
        compare(Map::Sparse(sparse), 5);
    }
}
