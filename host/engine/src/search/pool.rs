//! Open domains shared by worker threads.
//!
//! Depth first: the newest domain is taken first, which keeps the pool as small as the tree is deep. A worker that finds
//! the pool empty waits until another pushes, or until all are idle: then the search is complete.

use std::sync::{Condvar, Mutex};

/// A stack of open domains.
#[derive(Debug)]
pub struct Pool<D> {
    state: Mutex<State<D>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<D> {
    open: Vec<D>,
    working: usize,
    ended: bool,
}

impl<D> Pool<D> {
    /// A pool that holds `first`.
    pub fn new(first: impl IntoIterator<Item = D>) -> Self {
        let state = State { open: first.into_iter().collect(), working: 0, ended: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The newest domain, or `None` when nothing is open and nobody works, or the search was ended. Every `Some` is
    /// followed by one [`Pool::finish`].
    pub fn take(&self) -> Option<D> {
        let mut state = self.state.lock().expect("no worker panics while it holds the pool");
        loop {
            if state.ended {
                return None;
            }
            if let Some(domain) = state.open.pop() {
                state.working += 1;
                return Some(domain);
            }
            if state.working == 0 {
                self.changed.notify_all();
                return None;
            }
            state = self.changed.wait(state).expect("no worker panics while it holds the pool");
        }
    }

    /// As [`Pool::take`], up to `most` domains; empty where that gives `None`. Followed by one [`Pool::finish_many`].
    pub fn take_many(&self, most: usize) -> Vec<D> {
        let mut taken: Vec<D> = self.take().into_iter().collect();
        if !taken.is_empty() {
            let mut state = self.state.lock().expect("no worker panics while it holds the pool");
            let more = (most.max(1) - 1).min(state.open.len());
            let from = state.open.len() - more;
            taken.extend(state.open.drain(from..).rev());
            state.working += more;
        }
        taken
    }

    /// Ends the work on `taken` domains, leaving `children` open.
    pub fn finish_many(&self, taken: usize, children: impl IntoIterator<Item = D>) {
        let mut state = self.state.lock().expect("no worker panics while it holds the pool");
        state.open.extend(children);
        state.working -= taken;
        self.changed.notify_all();
    }

    /// Ends the work on a domain that was taken, leaving `children` open.
    pub fn finish(&self, children: impl IntoIterator<Item = D>) {
        self.finish_many(1, children);
    }

    /// Lets every [`Pool::take`] return `None` from now on.
    pub fn end(&self) {
        self.state.lock().expect("no worker panics while it holds the pool").ended = true;
        self.changed.notify_all();
    }

    /// Adds domains that come from no other.
    pub fn open(&self, domains: impl IntoIterator<Item = D>) {
        self.state.lock().expect("no worker panics while it holds the pool").open.extend(domains);
        self.changed.notify_all();
    }

    /// How many domains wait.
    pub fn len(&self) -> usize {
        self.state.lock().expect("no worker panics while it holds the pool").open.len()
    }

    /// Whether no domain waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is still open.
    pub fn into_open(self) -> Vec<D> {
        self.state.into_inner().expect("no worker panics while it holds the pool").open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_domain_of_a_binary_tree_is_taken_once_by_several_workers() {
        let pool = Pool::new([0u32]);
        let taken = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some(depth) = pool.take() {
                        taken.fetch_add(1, Ordering::Relaxed);
                        pool.finish((depth < 10).then_some([depth + 1, depth + 1]).into_iter().flatten());
                    }
                });
            }
        });
        assert_eq!(taken.into_inner(), (1 << 11) - 1);
        assert!(pool.is_empty());
    }

    #[test]
    fn ending_a_pool_keeps_what_is_open() {
        let pool = Pool::new([1, 2, 3]);
        assert_eq!(pool.take(), Some(3));
        pool.finish([]);
        pool.end();
        assert_eq!(pool.take(), None);
        assert_eq!(pool.into_open(), [1, 2]);
    }
}
