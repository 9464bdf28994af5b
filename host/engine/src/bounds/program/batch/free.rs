//! Free shares of one step: one for each element and lane, climbed by Adam.

use super::claims::byte;
use certus_kernels::lanes::Adam;
use certus_kernels::own::{keep_shares, share};

/// `[elements, lanes]` each.
#[derive(Debug, Default)]
pub(super) struct Free {
    pub(super) alpha: Vec<f32>,
    pub(super) m: Vec<f32>,
    pub(super) v: Vec<f32>,
    /// Of the best bound so far.
    pub(super) best: Vec<u8>,
}

impl Free {
    pub(super) fn new(alpha: Vec<f32>) -> Self {
        let zeros = || vec![0.0; alpha.len()];
        Self { m: zeros(), v: zeros(), best: alpha.iter().map(|a| byte(*a)).collect(), alpha }
    }

    /// The share that a pass reads.
    pub(super) fn share(&self, at: usize) -> f32 {
        share(self.alpha[at])
    }

    /// A step up the gradient.
    #[expect(clippy::manual_clamp, reason = "a NaN becomes 0, which is valid")]
    pub(super) fn climb(&mut self, at: usize, gradient: f32, adam: Adam) {
        let (m, v) = (&mut self.m[at], &mut self.v[at]);
        let step = ascend(m, v, gradient, adam);
        self.alpha[at] = (self.alpha[at] + step).max(0.0).min(1.0);
    }

    /// Keeps the present shares of the lanes that `chosen` marks.
    pub(super) fn keep(&mut self, chosen: &[bool]) {
        keep_shares(&self.alpha, &mut self.best, chosen);
    }

    /// Goes back to the best shares.
    pub(super) fn restore(&mut self) {
        self.alpha.iter_mut().zip(&self.best).for_each(|(a, b)| *a = f32::from(*b) / 255.0);
    }

    pub(super) fn compact(&mut self, lanes: &[usize], before: usize) {
        for x in [&mut self.alpha, &mut self.m, &mut self.v] {
            *x = columns(x, lanes, before);
        }
        self.best = columns(&self.best, lanes, before);
    }
}

/// Adam's step, its rate included.
pub(super) fn ascend(m: &mut f32, v: &mut f32, gradient: f32, adam: Adam) -> f32 {
    *m = adam.beta_1 * *m + (1.0 - adam.beta_1) * gradient;
    *v = adam.beta_2 * *v + (1.0 - adam.beta_2) * gradient * gradient;
    adam.rate * *m / (v.sqrt() + 1e-20)
}

/// The columns `lanes` of a matrix `[_, before]`, `usize::MAX` giving zeros.
pub(super) fn columns<T: Copy + Default>(x: &[T], lanes: &[usize], before: usize) -> Vec<T> {
    let mut out = Vec::with_capacity(x.len() / before.max(1) * lanes.len());
    for row in x.chunks_exact(before.max(1)) {
        out.extend(lanes.iter().map(|r| row.get(*r).copied().unwrap_or_default()));
    }
    out
}
