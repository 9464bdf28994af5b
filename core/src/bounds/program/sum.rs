//! Long sums in blocks, so that they round little.

use crate::program::plan::SUM_BLOCK;

/// A sum of products in blocks of [`SUM_BLOCK`]; see [`crate::program::plan::blocked_sum_roundings`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum {
    total: f32,
    block: f32,
    left: usize,
}

impl Sum {
    pub(super) fn new() -> Self {
        Self { total: 0.0, block: 0.0, left: SUM_BLOCK }
    }
    #[inline]
    pub(super) fn add(&mut self, value: f32) {
        self.block += value;
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.total += self.block;
            (self.block, self.left) = (0.0, SUM_BLOCK);
        }
    }
    pub(super) fn value(self) -> f32 {
        self.total + self.block
    }
}
