//! Matrix products: `MatMul` and `Gemm`, of a constant and a computed value or of two computed values.
//!
//! `x · W` is a [`Map::Dense`] on each row of `x`. `W · x` with several columns is a convolution with a
//! kernel of one element, rows as channels and columns as pixels, one group for each matrix of a batch;
//! `x · W` with one `W` for each matrix of a batch is that of the transposes.

use std::borrow::Cow;
use std::sync::Arc;

use crate::program::{Constants, Conv, Map, Operation, Slot, Term};

use super::super::error::Fault;
use super::super::shapes::{self, MatMulShape};
use super::Lowering;
use super::operand::Operand;

impl Lowering<'_, '_> {
    pub(super) fn matmul(&mut self) -> Result<Slot, Fault> {
        let (left, right) = (self.operand(0), self.operand(1));
        let sizes = shapes::matmul(&left.shape, &right.shape).expect("shapes were checked by import");
        self.product(&left, &right, &sizes)
    }

    /// `alpha · A·B' + beta · C`: the factors go into the constants where that is exact, else `alpha` becomes
    /// a step of its own.
    pub(super) fn gemm(
        &mut self,
        alpha: f32,
        beta: f32,
        trans_a: bool,
        trans_b: bool,
    ) -> Result<Slot, Fault> {
        let (mut a, mut b) = (self.operand(0), self.operand(1));
        let constant = if a.constant.is_some() { &mut a.constant } else { &mut b.constant };
        let folded = constant.as_deref().and_then(|w| times_exactly(w, alpha));
        let folds = alpha == 1.0 || folded.is_some();
        if alpha != 1.0 && folds {
            *constant = folded.map(Cow::Owned);
        }
        if trans_a {
            a = self.transposed(a)?;
        }
        let (m, k) = (a.shape[0], a.shape[1]);
        let n = if trans_b { b.shape[0] } else { b.shape[1] };
        let mut slot = match (a.slot, &b.constant) {
            (Some(x), Some(w)) if trans_b => {
                self.reserve(w.len())?;
                let weights = Arc::new(w.to_vec());
                self.affine(x, Map::Dense { count: m, rows: n, cols: k, weights }, None)?
            }
            _ => {
                if trans_b {
                    b = self.transposed(b)?;
                }
                let sizes = shapes::matmul(&a.shape, &b.shape).expect("shapes were checked by import");
                self.product(&a, &b, &sizes)?
            }
        };
        if !folds {
            self.reserve(m * n)?;
            slot = self.affine(slot, Map::Scale(Constants::exact(vec![alpha; m * n])), None)?;
        }
        if self.node.inputs.len() < 3 {
            return Ok(slot);
        }
        self.gemm_bias(slot, beta, &[m, n])
    }

    /// A matrix transposed.
    fn transposed<'c>(&mut self, matrix: Operand<'c>) -> Result<Operand<'c>, Fault> {
        let (rows, cols) = (matrix.shape[0], matrix.shape[1]);
        if matrix.constant.is_some() {
            self.reserve(rows * cols)?;
        }
        Ok(Operand {
            shape: vec![cols, rows],
            slot: matrix.slot.map(|slot| self.transpose(slot, 1, rows, cols)).transpose()?,
            constant: matrix.constant.map(|w| Cow::Owned(transpose(&w, rows, cols))),
        })
    }

    /// `slot + beta · C`.
    fn gemm_bias(&mut self, slot: Slot, beta: f32, output: &[usize]) -> Result<Slot, Fault> {
        let c = self.operand(2);
        if let Some(c_slot) = c.slot {
            let c_slot = self.broadcast_slot(c_slot, &c.shape, output)?;
            let len = self.program.size(c_slot);
            self.reserve(len)?;
            let scaled = match beta {
                1.0 => Map::Identity,
                _ => Map::Scale(Constants::exact(vec![beta; len])),
            };
            let terms = [(slot, Map::Identity), (c_slot, scaled)];
            return self.sum(terms.map(|(input, map)| Term { input, map }).to_vec(), None);
        }
        let constant = c.constant.expect("an operand is computed or constant");
        let constant = self.broadcast_constant(&constant, &c.shape, output)?;
        let bias = times_exactly(&constant, beta).ok_or_else(|| {
            self.refuse("beta times C is not exact in f32; multiply C by beta before export")
        })?;
        self.affine(slot, Map::Identity, Some(Constants::exact(bias)))
    }

    /// `left · right`.
    fn product(
        &mut self,
        left: &Operand<'_>,
        right: &Operand<'_>,
        sizes: &MatMulShape,
    ) -> Result<Slot, Fault> {
        let constant = left.constant.as_deref().or(right.constant.as_deref());
        self.reserve(constant.map_or(0, <[f32]>::len))?;
        match (left.slot, right.slot, constant) {
            (Some(x), Some(y), _) => self.computed_product(x, left, y, right, sizes),
            (None, Some(x), Some(w)) => self.constant_left(w, left, x, right, sizes),
            (Some(x), None, Some(w)) => self.constant_right(x, left, w, right, sizes),
            _ => Err(self.refuse("has only constant operands; fold constants before export")),
        }
    }

    fn computed_product(
        &mut self,
        x: Slot,
        left: &Operand<'_>,
        y: Slot,
        right: &Operand<'_>,
        sizes: &MatMulShape,
    ) -> Result<Slot, Fault> {
        let &MatMulShape { m, k, n, .. } = sizes;
        let left_to: Vec<usize> = sizes.batch.iter().copied().chain([m, k]).collect();
        let right_to: Vec<usize> = sizes.batch.iter().copied().chain([k, n]).collect();
        let left_slot = self.broadcast_slot(x, &matrix(&left.shape, true), &left_to)?;
        let right_slot = self.broadcast_slot(y, &matrix(&right.shape, false), &right_to)?;
        let count = sizes.batch.iter().product();
        self.push(Operation::Product { left: left_slot, right: right_slot, count, m, k, n })
    }

    fn constant_left(
        &mut self,
        w: &[f32],
        left: &Operand<'_>,
        x: Slot,
        right: &Operand<'_>,
        sizes: &MatMulShape,
    ) -> Result<Slot, Fault> {
        let &MatMulShape { m, k, n, .. } = sizes;
        if right.len() == k && n == 1 && w.len() == m * k {
            let map = Map::Dense { count: 1, rows: m, cols: k, weights: Arc::new(w.to_vec()) };
            return self.affine(x, map, None);
        }
        let count: usize = sizes.batch.iter().product();
        let with = |a: usize, b: usize| -> Vec<usize> { sizes.batch.iter().copied().chain([a, b]).collect() };
        let w = self.broadcast_constant(w, &matrix(&left.shape, true), &with(m, k))?;
        let x = self.broadcast_slot(x, &matrix(&right.shape, false), &with(k, n))?;
        self.affine(x, pointwise(count, m, k, n, w), None)
    }

    fn constant_right(
        &mut self,
        x: Slot,
        left: &Operand<'_>,
        w: &[f32],
        right: &Operand<'_>,
        sizes: &MatMulShape,
    ) -> Result<Slot, Fault> {
        let &MatMulShape { m, k, n, .. } = sizes;
        let count: usize = sizes.batch.iter().product();
        let with = |a: usize, b: usize| -> Vec<usize> { sizes.batch.iter().copied().chain([a, b]).collect() };
        let x = self.broadcast_slot(x, &matrix(&left.shape, true), &with(m, k))?;
        if w.len() == k * n {
            let weights = Arc::new(transpose(w, k, n));
            return self.affine(x, Map::Dense { count: count * m, rows: n, cols: k, weights }, None);
        }
        let w = self.broadcast_constant(w, &matrix(&right.shape, false), &with(k, n))?;
        let w: Vec<f32> = w.chunks_exact(k * n).flat_map(|w| transpose(w, k, n)).collect();
        let columns = self.transpose(x, count, m, k)?;
        let product = self.affine(columns, pointwise(count, n, k, m, w), None)?;
        self.transpose(product, count, n, m)
    }

    /// Each of `count` matrices `[rows, cols]` transposed.
    fn transpose(&mut self, slot: Slot, count: usize, rows: usize, cols: usize) -> Result<Slot, Fault> {
        if rows == 1 || cols == 1 {
            return Ok(slot);
        }
        let from = |i: usize| {
            let (batch, j, i) = (i / (rows * cols), i / rows % cols, i % rows);
            (batch * rows + i) * cols + j
        };
        self.index(slot, (0..count * rows * cols).map(from))
    }
}

/// A vector as the matrix that it stands for: a row on the left, a column on the right.
fn matrix(shape: &[usize], is_left: bool) -> Vec<usize> {
    match shape {
        [k] if is_left => vec![1, *k],
        [k] => vec![*k, 1],
        _ => shape.to_vec(),
    }
}

/// `count` products `W · x`, `W` `[m, k]`, `x` `[k, n]`.
fn pointwise(count: usize, m: usize, k: usize, n: usize, weights: Vec<f32>) -> Map {
    Map::Conv(Conv {
        channels_in: count * k,
        channels_out: count * m,
        groups: count,
        size_in: [1, n],
        size_out: [1, n],
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [0, 0],
        weights: Arc::new(weights),
    })
}

/// `[rows, cols]` row-major as `[cols, rows]`.
fn transpose(w: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    (0..cols).flat_map(|j| (0..rows).map(move |i| w[i * cols + j])).collect()
}

/// `factor · values`, if no product rounds. Products of two `f32` are exact in `f64`.
fn times_exactly(values: &[f32], factor: f32) -> Option<Vec<f32>> {
    let exact = |v: &f32| {
        let product = f64::from(*v) * f64::from(factor);
        #[expect(clippy::cast_possible_truncation, reason = "compared with the product")]
        let narrowed = product as f32;
        (f64::from(narrowed) == product).then_some(narrowed)
    };
    values.iter().map(exact).collect()
}
