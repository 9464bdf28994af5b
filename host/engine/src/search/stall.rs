//! When one way of branching is given up for another.

use super::Budget;
use std::time::{Duration, Instant};

/// A way that would have proved less than this share when time is up is given up.
const ENOUGH: f64 = 0.25;
/// The fewest domains that say something of the pace.
const DOMAINS: usize = 24;
/// The least time a way is given; a sixteenth of what there is, if that is more.
const LEAST: Duration = Duration::from_secs(2);

/// Watches what share of a case is proved.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    start: Instant,
    end: Instant,
}

impl Patience {
    /// From now until the budget is spent.
    pub fn new(budget: &Budget<'_>) -> Self {
        Self { start: Instant::now(), end: budget.deadline() }
    }

    /// Over at once, whatever is proved.
    #[cfg(test)]
    pub fn lost() -> Self {
        let start = Instant::now() - Duration::from_secs(100);
        Self { start, end: start + LEAST }
    }

    /// Whether the pace so far leaves most of the case open, `proved` being the share that is not after so many domains.
    pub fn is_over(&self, proved: f64, domains: usize) -> bool {
        domains >= DOMAINS && self.is_over_after(proved, self.start.elapsed())
    }

    fn is_over_after(&self, proved: f64, elapsed: Duration) -> bool {
        let all = self.end.saturating_duration_since(self.start);
        elapsed >= LEAST.max(all / 16) && proved * all.as_secs_f64() < ENOUGH * elapsed.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends_where_the_pace_proves_too_little() {
        let start = Instant::now();
        let patience = Patience { start, end: start + Duration::from_secs(160) };
        let over = |proved, seconds| patience.is_over_after(proved, Duration::from_secs(seconds));
        assert!(!over(0.0, 9), "less than a sixteenth of the time");
        assert!(over(0.0, 10));
        // A quarter of 20/160.
        assert!(over(0.031, 20) && !over(0.032, 20));
        let short = Patience { start, end: start + Duration::from_secs(4) };
        assert!(!short.is_over_after(0.0, Duration::from_millis(1900)));
        assert!(short.is_over_after(0.1, Duration::from_millis(2100)));
    }
}
