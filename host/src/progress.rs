//! Progress of long runs: count, rate and time left, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Milliseconds before a bar is drawn: what is over sooner shows none.
const QUIET_MS: u64 = 500;

/// A bar over `total` steps on standard error; draws nothing unless that is a terminal.
///
/// # Panics
/// Never: the template is valid.
pub fn bar(what: &str, total: usize) -> Progress {
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden());
    let template = "{msg:.bold} {bar:28} {pos}/{len}  {per_sec}  {eta} left";
    bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
    bar.set_message(what.to_owned());
    Progress { bar, drawn: false }
}

/// A line that says what is going on, for steps that cannot be counted; only on a terminal.
pub fn spinner(what: &str) -> Progress {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(125));
    Progress { bar, drawn: true }
}

/// A bar that removes itself when dropped.
pub struct Progress {
    bar: ProgressBar,
    drawn: bool,
}

impl Progress {
    /// Shows that `done` steps are over.
    pub fn at(&mut self, done: usize) {
        if !self.drawn && self.bar.elapsed() > Duration::from_millis(QUIET_MS) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(8));
            self.drawn = true;
        }
        self.bar.set_position(done as u64);
    }

    /// Changes what is said before the bar.
    pub fn say(&mut self, what: &str) {
        self.bar.set_message(what.to_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
