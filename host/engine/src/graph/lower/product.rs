//! Matrix products: `MatMul` and `Gemm`, of a constant and a computed value or of two computed values.
//!
//! `x · W` is a [`Map::Dense`] on each row of `x`. `W · x` with several columns is a convolution with a
//! kernel of one element, rows as channels and columns as pixels, one group for each matrix of a batch;
//! `x · W` with one `W` for each matrix of a batch is that of the transposes.

use std::borrow::Cow;
use std::sync::Arc;

use crate::program::{Conv, Map, Operation, Slot};

use super::super::error::Fault;
use super::super::shapes::{self, MatMulShape};
use super::Lowering;
use super::enclosure::Enclosure;
use super::operand::{Known, Operand};

impl<'a> Lowering<'a, '_> {
    pub(super) fn matmul(&mut self) -> Result<Slot, Fault> {
        if let Some(slot) = self.few_weights(false)? {
            return Ok(slot);
        }
        let (left, right) = (self.factor_operand(0)?, self.factor_operand(1)?);
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
        if alpha == 1.0
            && !trans_a
            && let Some(slot) = self.few_weights(trans_b)?
        {
            return self.gemm_sum(slot, beta);
        }
        let (mut a, mut b) = (self.factor_operand(0)?, self.factor_operand(1)?);
        let constant = if a.known.is_some() { &mut a } else { &mut b };
        let mut folds = alpha == 1.0;
        let exactly = |w| if folds { None } else { times_exactly(w, alpha) };
        if let Some(folded) = constant.exact().and_then(exactly) {
            constant.known = Some(Known::Exact(Cow::Owned(folded)));
            folds = true;
        }
        if trans_a {
            a = self.transposed(a)?;
        }
        let (m, k) = (a.shape[0], a.shape[1]);
        let n = if trans_b { b.shape[0] } else { b.shape[1] };
        let mut slot = match (a.slot, b.exact()) {
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
            slot = self.scaled(slot, Enclosure::float(alpha))?;
        }
        self.gemm_sum(slot, beta)
    }

    /// `slot + beta · C`, if there is a `C`.
    fn gemm_sum(&mut self, slot: Slot, beta: f32) -> Result<Slot, Fault> {
        if self.node.inputs.len() < 3 {
            return Ok(slot);
        }
        let output = &self.output().shape;
        self.gemm_bias(slot, beta, output)
    }

    /// Operand `i`; a constant that is not exact, and one beside another constant, as a computed value.
    fn factor_operand(&mut self, i: usize) -> Result<Operand<'a>, Fault> {
        let operand = self.operand(i);
        let other = self.operand(1 - i);
        if operand.slot.is_some() || (operand.exact().is_some() && (other.slot.is_some() || i == 1)) {
            return Ok(operand);
        }
        let slot = self.slot_of(&operand)?;
        Ok(Operand { slot: Some(slot), known: None, ..operand })
    }

    /// A matrix transposed.
    fn transposed<'c>(&mut self, matrix: Operand<'c>) -> Result<Operand<'c>, Fault> {
        let (rows, cols) = (matrix.shape[0], matrix.shape[1]);
        if matrix.known.is_some() {
            self.reserve(rows * cols)?;
        }
        let known = matrix.exact().map(|w| Known::Exact(Cow::Owned(transpose(w, rows, cols))));
        let slot = matrix.slot.map(|slot| self.transpose(slot, 1, rows, cols)).transpose()?;
        Ok(Operand { shape: vec![cols, rows], slot, known })
    }

    /// `slot + beta · C`.
    fn gemm_bias(&mut self, slot: Slot, beta: f32, output: &[usize]) -> Result<Slot, Fault> {
        let c = self.operand(2);
        let beta = Enclosure::float(beta);
        if let Some(known) = &c.known {
            let bias = self.broadcast_known(known, &c.shape, output, |c| beta * c)?;
            return self.affine(slot, Map::Identity, Some(bias));
        }
        let c_slot = self.computed(2)?;
        let c_slot = self.broadcast_slot(c_slot, &c.shape, output)?;
        self.combination([(slot, Enclosure::ONE), (c_slot, beta)])
    }

    /// `left · right`.
    fn product(
        &mut self,
        left: &Operand<'_>,
        right: &Operand<'_>,
        sizes: &MatMulShape,
    ) -> Result<Slot, Fault> {
        let constant = left.exact().or(right.exact());
        self.reserve(constant.map_or(0, <[f32]>::len))?;
        match (left.slot, right.slot, constant) {
            (Some(x), Some(y), _) => self.computed_product(x, left, y, right, sizes),
            (None, Some(x), Some(w)) => self.constant_left(w, left, x, right, sizes),
            (Some(x), None, Some(w)) => self.constant_right(x, left, w, right, sizes),
            _ => Err(self.refuse("multiplies integers; convert them to float")),
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

/// `[rows, cols]` row-major as `[cols, rows]`; in tiles, so that every line of cache that is read is used up.
fn transpose(w: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    const TILE: usize = 16;
    let mut to = vec![0.0; rows * cols];
    for first in (0..rows).step_by(TILE) {
        let last = (first + TILE).min(rows);
        for j in 0..cols {
            for i in first..last {
                to[j * rows + i] = w[i * cols + j];
            }
        }
    }
    to
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
