//! How much memory the blocks of a bound may take, and who has taken it.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Why there is no bound.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BoundError {
    /// Not even one block of 16 lanes fits.
    #[error("a bound needs {needed} bytes at once, the limit is {limit}: raise `memory_limit`")]
    Memory {
        /// Bytes that were to be taken.
        needed: usize,
        /// The limit, bytes.
        limit: usize,
    },
    /// A nonlinear step has no relaxation on the bounds of its operand.
    #[error(transparent)]
    Relax(#[from] crate::relax::RelaxError),
    /// The stop flag was set or the deadline passed before a bound was found.
    #[error("bounding was stopped before it found anything")]
    Stopped,
}

/// Counts the bytes of all blocks.
#[derive(Debug)]
pub struct Memory {
    limit: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
}

impl Memory {
    /// At most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0), peak: AtomicUsize::new(0) }
    }
    /// The most bytes that were taken at once.
    pub fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }

    pub(super) fn take(&self, bytes: usize) -> Result<(), BoundError> {
        let used = self.used.fetch_add(bytes, Relaxed) + bytes;
        if used > self.limit {
            self.used.fetch_sub(bytes, Relaxed);
            return Err(BoundError::Memory { needed: used, limit: self.limit });
        }
        self.peak.fetch_max(used, Relaxed);
        Ok(())
    }

    pub(super) fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
    }
}

/// Buffers of one worker, reused from block to block and counted in a [`Memory`].
#[derive(Debug)]
pub(super) struct Pool<'a> {
    memory: &'a Memory,
    free: Vec<Vec<f32>>,
    held: usize,
}

impl<'a> Pool<'a> {
    pub(super) fn new(memory: &'a Memory) -> Self {
        Self { memory, free: Vec::new(), held: 0 }
    }

    /// Where the bytes are counted.
    pub(super) fn memory(&self) -> &'a Memory {
        self.memory
    }

    /// A buffer of `len` elements of any value.
    pub(super) fn take(&mut self, len: usize) -> Result<Vec<f32>, BoundError> {
        // The smallest that is large enough, else the largest.
        let best = (0..self.free.len()).min_by_key(|i| {
            let capacity = self.free[*i].capacity();
            if capacity >= len { (0, capacity) } else { (1, usize::MAX - capacity) }
        });
        let mut buffer = best.map(|i| self.free.swap_remove(i)).unwrap_or_default();
        if buffer.capacity() < len {
            let old = 4 * buffer.capacity();
            self.memory.give(old);
            self.held -= old;
            drop(buffer);
            self.memory.take(4 * len)?;
            self.held += 4 * len;
            buffer = Vec::new();
            buffer.reserve_exact(len);
        }
        buffer.resize(len, 0.0);
        Ok(buffer)
    }

    pub(super) fn give(&mut self, buffer: Vec<f32>) {
        self.free.push(buffer);
    }

    /// Lets go of a buffer that outlives the worker: its bytes stay taken.
    pub(super) fn detach(&mut self, buffer: &Vec<f32>) {
        self.held -= 4 * buffer.capacity();
    }

    /// Takes over a buffer that was detached, perhaps from another pool.
    pub(super) fn attach(&mut self, buffer: &Vec<f32>) {
        self.held += 4 * buffer.capacity();
    }
}

impl Drop for Pool<'_> {
    fn drop(&mut self) {
        self.memory.give(self.held);
    }
}
