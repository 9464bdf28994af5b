//! The live view of a search on standard error: one line rewritten on a terminal, plain lines now and then elsewhere.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use certus_engine::search::{Progress, Snapshot};

/// How often the line is rewritten.
const REDRAW: Duration = Duration::from_millis(250);
/// When the first plain line is written, and how long until the next.
const FIRST_LINE: Duration = Duration::from_secs(2);
const NEXT_LINE: Duration = Duration::from_secs(10);
/// Rates are those of the last so many seconds.
const WINDOW_S: f64 = 10.0;
/// No end is foretold before so many seconds, nor from less than this share proved within the window.
const ETA_AFTER_S: f64 = 3.0;
const ETA_SHARE: f64 = 0.002;

/// A search's progress as it is shown; it ends when dropped.
pub struct View {
    shared: Arc<(Mutex<State>, Condvar)>,
    drawer: Option<JoinHandle<()>>,
}

struct State {
    latest: Option<Snapshot>,
    ended: bool,
}

impl View {
    /// Starts showing a search of `cases` parts that has `timeout` left.
    pub fn start(timeout: Duration, cases: usize) -> Self {
        let shared = Arc::new((Mutex::new(State { latest: None, ended: false }), Condvar::new()));
        let theirs = Arc::clone(&shared);
        let terminal = std::io::stderr().is_terminal();
        let drawer = std::thread::spawn(move || draw(&theirs, timeout, cases, terminal));
        Self { shared, drawer: Some(drawer) }
    }
}

impl Progress for View {
    fn update(&self, snapshot: Snapshot) {
        self.shared.0.lock().expect("the drawer does not panic").latest = Some(snapshot);
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Ok(mut state) = self.shared.0.lock() {
            state.ended = true;
        }
        self.shared.1.notify_all();
        if let Some(drawer) = self.drawer.take() {
            let _ = drawer.join();
        }
    }
}

fn draw((state, changed): &(Mutex<State>, Condvar), timeout: Duration, cases: usize, terminal: bool) {
    let start = Instant::now();
    let mut history = History::default();
    let mut next_line = FIRST_LINE;
    let mut width = 0;
    loop {
        let latest = {
            let guard = state.lock().expect("no holder panics");
            let (guard, _) =
                changed.wait_timeout_while(guard, REDRAW, |s| !s.ended).expect("no holder panics");
            if guard.ended {
                break;
            }
            guard.latest
        };
        let elapsed = start.elapsed();
        if let Some(snapshot) = latest {
            history.push(elapsed.as_secs_f64(), snapshot);
        }
        if !terminal && elapsed < next_line {
            continue;
        }
        let text =
            line(elapsed, timeout, latest, history.rate(), if cases == 1 { history.eta_s() } else { None });
        // A view that cannot be written is no reason to end a search.
        let mut stderr = std::io::stderr().lock();
        if terminal {
            let _ = write!(stderr, "\r{text:<width$}");
            let _ = stderr.flush();
            width = text.chars().count();
        } else {
            let _ = writeln!(stderr, "{text}");
            next_line = elapsed + NEXT_LINE;
        }
    }
    if terminal && width > 0 {
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "\r{:width$}\r", "");
        let _ = stderr.flush();
    }
}

/// The state in one line of at most 100 characters.
fn line(
    elapsed: Duration,
    timeout: Duration,
    latest: Option<Snapshot>,
    rate: Option<f64>,
    eta_s: Option<f64>,
) -> String {
    let left = timeout.saturating_sub(elapsed).as_secs();
    let Some(s) = latest else {
        return format!("{:>4} s: the whole box is being bounded; {left} s left", elapsed.as_secs());
    };
    let bound = s.lower_bound.map_or_else(String::new, |b| format!("bound {b:.4}, "));
    let rate = rate
        .map_or_else(String::new, |r| if r < 10.0 { format!(" ({r:.1}/s)") } else { format!(" ({r:.0}/s)") });
    let eta = eta_s
        .filter(|eta| *eta < left as f64)
        .map_or_else(String::new, |eta| format!(", done in about {}", span(eta)));
    format!(
        "{:>4} s: {bound}{} open, {} domains{rate}, {:.2} % proved{eta}; {left} s left",
        elapsed.as_secs(),
        s.open,
        s.domains,
        100.0 * s.proved,
    )
}

/// Seconds with as many digits as an estimate has.
fn span(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{:.0} s", s.max(1.0)),
        s if s < 120.0 => format!("{:.0} s", (s / 5.0).round() * 5.0),
        s => format!("{:.0} min", s / 60.0),
    }
}

/// The last [`WINDOW_S`] seconds.
#[derive(Default)]
struct History {
    samples: VecDeque<(f64, Snapshot)>,
}

impl History {
    fn push(&mut self, seconds: f64, snapshot: Snapshot) {
        if self.samples.back().is_some_and(|(_, last)| snapshot.domains < last.domains) {
            // Another part of the property: its tree starts anew.
            self.samples.clear();
        }
        self.samples.push_back((seconds, snapshot));
        while self.samples.front().is_some_and(|(at, _)| seconds - at > WINDOW_S) {
            self.samples.pop_front();
        }
    }

    /// Domains in a second.
    fn rate(&self) -> Option<f64> {
        let ((t0, first), (t1, last)) = (self.samples.front()?, self.samples.back()?);
        (t1 - t0 >= 0.5).then(|| (last.domains - first.domains) as f64 / (t1 - t0))
    }

    /// Seconds until all is proved, if the proved share grows evenly: about as much in each half of the window. `None` where that
    /// cannot be said; a search whose hard part comes last proves less and less, and no estimate is made.
    fn eta_s(&self) -> Option<f64> {
        let ((t0, first), (t1, last)) = (self.samples.front()?, self.samples.back()?);
        let (_, middle) = self.samples.get(self.samples.len() / 2)?;
        let (early, late) = (middle.proved - first.proved, last.proved - middle.proved);
        let grown = last.proved - first.proved;
        if t1 - t0 < ETA_AFTER_S || grown < ETA_SHARE || early > 2.0 * late || late > 2.0 * early {
            return None;
        }
        Some((1.0 - last.proved) * (t1 - t0) / grown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(domains: usize, proved: f64) -> Snapshot {
        Snapshot { domains, open: 12, proved, lower_bound: Some(-0.5) }
    }

    fn history(proved: impl Fn(f64) -> f64) -> History {
        let mut history = History::default();
        for i in 0..=40 {
            let t = f64::from(i) * 0.25;
            history.push(t, at(100 * i as usize, proved(t)));
        }
        history
    }

    #[test]
    fn an_end_is_foretold_only_from_even_growth() {
        // 1 % a second from 0 to 10 s: 90 s to go.
        let even = history(|t| 0.01 * t);
        assert!((even.eta_s().unwrap() - 90.0).abs() < 1e-6 && (even.rate().unwrap() - 400.0).abs() < 1e-6);
        // Ever less: nothing is said.
        assert_eq!(history(|t| 1.0 - 0.5f64.powf(t)).eta_s(), None);
        assert_eq!(history(|_| 0.3).eta_s(), None);
        let mut next = even;
        next.push(10.25, at(1, 0.0));
        assert_eq!((next.eta_s(), next.rate()), (None, None));
    }

    #[test]
    fn the_line_says_what_is_known() {
        let seconds = Duration::from_secs;
        let text = line(seconds(12), seconds(120), Some(at(4000, 0.25)), Some(400.0), Some(47.0));
        assert_eq!(
            text,
            "  12 s: bound -0.5000, 12 open, 4000 domains (400/s), 25.00 % proved, done in about 45 s; 108 s left"
        );
        let late = line(seconds(119), seconds(120), Some(at(4000, 0.25)), None, Some(47.0));
        assert!(!late.contains("done in"), "no end after the deadline: {late}");
        assert_eq!(
            line(seconds(3), seconds(10), None, None, None),
            "   3 s: the whole box is being bounded; 7 s left"
        );
    }
}
