//! How much memory a search may take for its open domains.

/// Open domains take at most this part of the machine's memory, unless the settings say otherwise.
const PART: u64 = 4;

/// Where the system does not say how much there is, bytes.
const UNKNOWN: u64 = 8 << 30;

/// Bytes for open domains: `bytes`, or for 0 a quarter of the memory that the machine, or the group of processes that this one
/// belongs to, has.
pub fn limit(bytes: usize) -> usize {
    match bytes {
        0 => usize::try_from(total() / PART).unwrap_or(usize::MAX),
        bytes => bytes,
    }
}

#[cfg(target_os = "linux")]
fn total() -> u64 {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let machine = machine_bytes(&read("/proc/meminfo")).unwrap_or(UNKNOWN);
    // "max" where there is no limit.
    let group = read("/sys/fs/cgroup/memory.max").trim().parse().unwrap_or(u64::MAX);
    machine.min(group)
}

#[cfg(not(target_os = "linux"))]
fn total() -> u64 {
    UNKNOWN
}

/// `MemTotal` of `/proc/meminfo`, which counts in KiB.
#[cfg(any(target_os = "linux", test))]
fn machine_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_memory_is_read_and_a_setting_goes_first() {
        let text = "MemFree:  17 kB\nMemTotal:       24609212 kB\n";
        assert_eq!(machine_bytes(text), Some(24_609_212 * 1024));
        assert_eq!(machine_bytes("MemTotal: much"), None);
        assert_eq!(limit(3), 3);
        assert!(limit(0) >= 1 << 20, "some memory");
    }
}
