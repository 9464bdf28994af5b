//! When a search has to end, and what it says meanwhile.

use super::Recorder;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A deadline and a flag by which somebody else ends the search.
#[derive(Debug)]
pub struct Budget<'a> {
    start: Instant,
    deadline: Instant,
    stop: &'a AtomicBool,
}

impl<'a> Budget<'a> {
    /// `timeout` from now; `stop` set to true ends it earlier.
    pub fn new(timeout: Duration, stop: &'a AtomicBool) -> Self {
        let start = Instant::now();
        let deadline = start.checked_add(timeout).unwrap_or(start + Duration::from_secs(u64::from(u32::MAX)));
        Self { start, deadline, stop }
    }

    /// Whether time is up or somebody asked for the end.
    pub fn is_spent(&self) -> bool {
        self.is_stopped() || Instant::now() >= self.deadline
    }

    /// When time is up.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The flag by which somebody ends the search.
    pub fn stop_flag(&self) -> &'a AtomicBool {
        self.stop
    }

    /// Whether somebody asked for the end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// The state of a search at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Snapshot {
    /// Domains bounded so far.
    pub domains: usize,
    /// Domains waiting.
    pub open: usize,
    /// Share of the input boxes' splits that is proved, in `[0, 1]`: each half of a split counts half of its parent.
    pub proved: f64,
    /// Lower bound of the part that is being decided: the lowest of all its open domains, if one is known.
    pub lower_bound: Option<f32>,
}

/// Somebody who wants to know how a search goes. Called from any thread, a few times a second.
pub trait Progress: Sync {
    /// The state now.
    fn update(&self, snapshot: Snapshot);

    /// Where the search is to take notes of its trees. Default nowhere.
    fn recorder(&self) -> Option<Arc<dyn Recorder>> {
        None
    }
}

/// Nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn update(&self, _: Snapshot) {}
}
