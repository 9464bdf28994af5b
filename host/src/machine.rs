//! What a measurement depends on: the machine, the time it took of the processor, the date.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds of processor time that this process has used so far, all threads together; `None` where the system does not say.
pub fn cpu_seconds() -> Option<f64> {
    usage::cpu_seconds(usage::Who::Process)
}

/// As [`cpu_seconds`], of the child processes that have ended and were waited for.
pub fn children_cpu_seconds() -> Option<f64> {
    usage::cpu_seconds(usage::Who::Children)
}

/// Most memory this process has held so far, bytes; `None` where the system does not say.
pub fn peak_bytes() -> Option<u64> {
    usage::peak_bytes()
}

#[cfg(target_os = "linux")]
mod usage {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;

    pub enum Who {
        Process,
        Children,
    }

    pub fn cpu_seconds(who: Who) -> Option<f64> {
        let who = match who {
            Who::Process => UsageWho::RUSAGE_SELF,
            Who::Children => UsageWho::RUSAGE_CHILDREN,
        };
        let used = getrusage(who).ok()?;
        Some((used.user_time().num_microseconds() + used.system_time().num_microseconds()) as f64 * 1e-6)
    }

    pub fn peak_bytes() -> Option<u64> {
        // Linux counts in KiB.
        u64::try_from(getrusage(UsageWho::RUSAGE_SELF).ok()?.max_rss()).ok().map(|kib| kib * 1024)
    }
}

#[cfg(not(target_os = "linux"))]
mod usage {
    pub enum Who {
        Process,
        Children,
    }

    pub fn cpu_seconds(_: Who) -> Option<f64> {
        None
    }

    pub fn peak_bytes() -> Option<u64> {
        None
    }
}

/// The machine in words: cores, processor and memory as far as the system says.
pub fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find(|l| l.starts_with(key))?;
        line.split_once(':').map(|(_, v)| v.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let processor = value(&read("/proc/cpuinfo"), "model name");
    let memory = value(&read("/proc/meminfo"), "MemTotal");
    let memory = memory.and_then(|m| m.split(' ').next()?.parse::<f64>().ok());
    let memory = memory.map(|kib| format!(" {:.0} GiB", kib / f64::from(1u32 << 20)));
    format!(
        "{cores} x {}{} {}",
        processor.unwrap_or_else(|| std::env::consts::ARCH.into()),
        memory.unwrap_or_default(),
        std::env::consts::OS
    )
}

/// The time now in UTC, as in `2026-11-22T17:05:09Z`.
pub fn now_utc() -> String {
    utc(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs())
}

/// Seconds since 1970 as a date and time. Days to year, month and day: H. Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`.
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months counted from March, so that the leap day comes last.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // From `date -u -d @N +%FT%TZ`.
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(utc(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn work_uses_processor_time() {
        let before = cpu_seconds().unwrap();
        let start = std::time::Instant::now();
        let mut x = 1u64;
        while start.elapsed() < Duration::from_millis(200) {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        assert!(cpu_seconds().unwrap() > before);
        assert!(peak_bytes().unwrap() > 100_000);
    }
}
