//! Open domains shared by worker threads.
//!
//! Depth first: the newest domain is taken first, which keeps the pool as small as the tree is deep. A worker that finds
//! the pool empty waits until another pushes, or until all are idle: then the search is complete.
//!
//! What waits is counted in bytes. Above the pool's limit the oldest domains give up what a search can find again ([`Waiting::shed`]);
//! while that is not enough, domains are taken one by one, so that no level of the tree is opened in breadth.

use std::sync::{Condvar, Mutex};
use std::thread::ThreadId;

/// What a pool asks of its domains.
pub trait Waiting {
    /// Bytes that it holds; what it shares with others counts in full.
    fn bytes(&self) -> usize {
        0
    }
    /// Gives up what can be found again: what is left decides the same domain.
    fn shed(&mut self) {}
    /// A lower bound of what is open in it, as far as one is known.
    fn bound(&self) -> f32 {
        f32::NEG_INFINITY
    }
}

/// Cases, by their numbers.
impl Waiting for Vec<usize> {}

/// A stack of open domains.
#[derive(Debug)]
pub struct Pool<D> {
    state: Mutex<State<D>>,
    changed: Condvar,
    /// Bytes above which domains shed.
    limit: usize,
}

#[derive(Debug)]
struct State<D> {
    open: Vec<D>,
    /// Of all that is open.
    bytes: usize,
    /// The first so many have shed.
    shed: usize,
    /// Threads that work, and the lowest bound of what each took.
    working: Vec<(ThreadId, f32)>,
    /// Domains taken and not finished.
    taken: usize,
    /// Lowest bound of what stays open for good.
    lost: f32,
    ended: bool,
}

impl<D: Waiting> State<D> {
    fn push(&mut self, domains: impl IntoIterator<Item = D>, limit: usize) {
        for domain in domains {
            self.bytes = self.bytes.saturating_add(domain.bytes());
            self.open.push(domain);
        }
        while self.bytes > limit
            && let Some(oldest) = self.open.get_mut(self.shed)
        {
            let before = oldest.bytes();
            oldest.shed();
            self.bytes = self.bytes.saturating_sub(before).saturating_add(oldest.bytes());
            self.shed += 1;
        }
    }

    fn pop(&mut self) -> Option<D> {
        let domain = self.open.pop()?;
        self.bytes = self.bytes.saturating_sub(domain.bytes());
        self.shed = self.shed.min(self.open.len());
        Some(domain)
    }
}

impl<D: Waiting> Pool<D> {
    /// A pool that holds `first`, of any number of bytes.
    pub fn new(first: impl IntoIterator<Item = D>) -> Self {
        Self::with_limit(first, usize::MAX)
    }

    /// A pool that holds `first`; above `limit` bytes domains shed.
    pub fn with_limit(first: impl IntoIterator<Item = D>, limit: usize) -> Self {
        let (open, working, lost) = (Vec::new(), Vec::new(), f32::INFINITY);
        let mut state = State { open, bytes: 0, shed: 0, working, taken: 0, lost, ended: false };
        state.push(first, limit);
        Self { state: Mutex::new(state), changed: Condvar::new(), limit }
    }

    /// The newest domain, or `None` when nothing is open and nobody works, or the search was ended. Every `Some` is
    /// followed by one [`Pool::finish`] of the same thread.
    pub fn take(&self) -> Option<D> {
        self.take_many(1).pop()
    }

    /// As [`Pool::take`], up to `most` domains; empty where that gives `None`. Followed by one [`Pool::finish_many`].
    pub fn take_many(&self, most: usize) -> Vec<D> {
        let mut state = self.state.lock().expect("no worker panics while it holds the pool");
        while !state.ended && state.open.is_empty() && state.taken > 0 {
            state = self.changed.wait(state).expect("no worker panics while it holds the pool");
        }
        if state.ended || state.open.is_empty() {
            self.changed.notify_all();
            return Vec::new();
        }
        let most = if state.bytes > self.limit { 1 } else { most.max(1) };
        let mut taken = Vec::with_capacity(most.min(state.open.len()));
        while taken.len() < most
            && let Some(domain) = state.pop()
        {
            taken.push(domain);
        }
        state.taken += taken.len();
        let lowest = taken.iter().map(Waiting::bound).fold(f32::INFINITY, f32::min);
        state.working.push((std::thread::current().id(), lowest));
        taken
    }

    /// Ends the work on `taken` domains, leaving `children` open.
    pub fn finish_many(&self, taken: usize, children: impl IntoIterator<Item = D>) {
        let mut state = self.state.lock().expect("no worker panics while it holds the pool");
        state.push(children, self.limit);
        state.taken -= taken;
        let me = std::thread::current().id();
        if let Some(mine) = state.working.iter().position(|(thread, _)| *thread == me) {
            state.working.swap_remove(mine);
        }
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
        let mut state = self.state.lock().expect("no worker panics while it holds the pool");
        state.push(domains, self.limit);
        self.changed.notify_all();
    }

    /// Takes note of a domain that stays open for good.
    pub fn lose(&self, domain: &D) {
        let mut state = self.state.lock().expect("no worker panics while it holds the pool");
        state.lost = state.lost.min(domain.bound());
    }

    /// The lowest bound of all that is open, waiting or in work: a lower bound of the whole. Infinity if nothing is.
    pub fn lowest(&self) -> f32 {
        let state = self.state.lock().expect("no worker panics while it holds the pool");
        let working = state.working.iter().map(|(_, bound)| *bound);
        state.open.iter().map(Waiting::bound).chain(working).fold(state.lost, f32::min)
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

    impl Waiting for u32 {}
    impl Waiting for i32 {}

    /// Ten bytes to itself, and as many as may go.
    #[derive(Debug, PartialEq)]
    struct Heavy {
        more: usize,
        bound: f32,
    }

    impl Waiting for Heavy {
        fn bytes(&self) -> usize {
            10 + self.more
        }
        fn shed(&mut self) {
            self.more = 0;
        }
        fn bound(&self) -> f32 {
            self.bound
        }
    }

    fn heavy(more: usize, bound: f32) -> Heavy {
        Heavy { more, bound }
    }

    #[test]
    fn the_oldest_domains_shed_above_the_limit_and_then_batches_are_single() {
        let pool = Pool::with_limit([heavy(50, -1.0), heavy(50, -2.0), heavy(50, -3.0)], 150);
        // 180 bytes: one sheds.
        assert_eq!(pool.take_many(2), [heavy(50, -3.0), heavy(50, -2.0)]);
        pool.finish_many(2, [heavy(90, 0.0), heavy(90, 0.0)]);
        assert_eq!(pool.take_many(1), [heavy(90, 0.0)], "the newest keeps what it has");
        pool.finish_many(1, []);
        assert_eq!(pool.into_open(), [heavy(0, -1.0), heavy(0, 0.0)]);
        let full = Pool::with_limit((0..9).map(|i| heavy(50, i as f32)), 20);
        for left in (7..9).rev() {
            assert_eq!(full.take_many(4), [heavy(0, left as f32)], "one by one above the limit");
            full.finish_many(1, []);
        }
    }

    #[test]
    fn the_lowest_bound_is_that_of_all_that_waits_works_or_is_lost() {
        let pool = Pool::new([heavy(0, -1.0), heavy(0, -5.0)]);
        assert_eq!(pool.lowest(), -5.0);
        assert_eq!(pool.take(), Some(heavy(0, -5.0)));
        assert_eq!(pool.lowest(), -5.0, "in work");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(pool.take(), Some(heavy(0, -1.0)));
                assert_eq!(pool.lowest(), -5.0);
                pool.finish([heavy(0, -0.5)]);
            });
        });
        assert_eq!(pool.lowest(), -5.0);
        pool.finish([heavy(0, -2.0)]);
        assert_eq!(pool.lowest(), -2.0, "its halves know more");
        let halves = pool.take_many(2);
        pool.lose(&halves[1]);
        pool.finish_many(2, []);
        assert_eq!(pool.lowest(), halves[1].bound);
        assert_eq!(Pool::<u32>::new([]).lowest(), f32::INFINITY);
    }

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
