//! The firmware in QEMU computes what the host computes, bit for bit.
//!
//! Both sides draw the same samples and run the same core; the firmware prints every result word
//! and the host compares all of them. A missing cross target or QEMU is named on stderr and ends the
//! test early; where `CI` is set it fails instead.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[path = "../../firmware-example/room/forecast.rs"]
#[expect(dead_code, reason = "the alias of the monitor is for devices")]
mod forecast;
#[path = "../../firmware-example/motion/motion.rs"]
#[expect(dead_code, reason = "the monitor that owns its memory is for devices")]
mod motion;
#[path = "../../firmware-example/src/motion_replay.rs"]
mod motion_replay;
#[path = "../../firmware-example/room/occupancy.rs"]
#[expect(dead_code, reason = "the alias of the monitor is for devices")]
mod occupancy;
#[path = "../../firmware-example/src/replay.rs"]
mod replay;
#[path = "../../firmware-example/src/room_replay.rs"]
mod room_replay;
#[path = "../../firmware-example/src/samples.rs"]
mod samples;
#[path = "../../firmware-example/artifact/surrogate.rs"]
mod surrogate;

/// Exit status of `fw` when a tool is missing.
const MISSING: i32 = 3;

fn driver() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example/fw")
}

/// Runs `fw`; `None` if something it needs is not installed.
fn fw(arguments: &[&str]) -> Option<Output> {
    let output = Command::new(driver()).args(arguments).output().expect("bash starts");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(MISSING) {
        assert!(std::env::var_os("CI").is_none(), "CI must not skip the firmware: {errors}");
        eprintln!("NOT TESTED: fw {}: {}", arguments.join(" "), errors.trim());
        return None;
    }
    assert!(output.status.success(), "fw {}: {}\n{errors}", arguments.join(" "), output.status);
    Some(output)
}

/// Samples for the targets whose arithmetic is software: an emulated step takes them ten times as long.
/// All of [`replay::SAMPLES`] where `CERTUS_ALL_SAMPLES` is set.
fn soft_float_samples() -> usize {
    if std::env::var_os("CERTUS_ALL_SAMPLES").is_some() { replay::SAMPLES } else { 2_000 }
}

fn compare_with_host(target: &str, samples: usize) {
    let Some(output) = fw(&["bits", "--target", target, "--samples", &samples.to_string()]) else { return };
    let text = String::from_utf8(output.stdout).expect("hex is ASCII");
    let mut lines = text.lines();
    let (mut digest, mut compared) = (replay::DIGEST_START, 0);
    let mut monitor = replay::monitor().expect("the embedded artifact is accepted");
    replay::run(&mut monitor, samples, |index, words| {
        let line =
            lines.next().unwrap_or_else(|| panic!("{target}: the firmware stopped before sample {index}"));
        let device: Vec<u32> =
            line.split(' ').map(|w| u32::from_str_radix(w, 16).expect("a hex word")).collect();
        assert_eq!(
            device, words,
            "{target}: sample {index}, words in hex: device {device:08x?}, host {words:08x?}"
        );
        digest = replay::digest(digest, words);
        compared += 1;
    });
    assert_eq!(compared, samples);
    assert_eq!(lines.next(), Some(format!("digest {digest:016x}").as_str()), "{target}");
    assert_eq!(lines.next(), None, "{target}: more lines than samples");
}

/// The recorded stream, as the firmware embeds it.
fn motion_stream() -> Vec<[f32; motion_replay::CHANNELS]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example/motion/stream.csv");
    let text = std::fs::read_to_string(path).expect("the stream lies beside the artifact");
    let row = |line: &str| {
        let mut values = line.split(',').map(|v| v.trim().parse().expect("a number"));
        std::array::from_fn(|_| values.next().expect("six channels"))
    };
    text.lines().skip(1).map(row).collect()
}

/// Windows that a target with software floats computes in reasonable time; all where `CERTUS_ALL_SAMPLES` is set.
fn soft_float_windows() -> usize {
    if std::env::var_os("CERTUS_ALL_SAMPLES").is_some() { usize::MAX } else { 12 }
}

/// Runs the motion network on the host; the words of each window.
fn motion_on_host(count: usize) -> Vec<[u32; motion_replay::WORDS]> {
    let view = motion_replay::view().expect("the embedded artifact is accepted");
    let tables = motion_replay::tables(&view).expect("the module's capacities are right");
    let mut places = [certus_core::program::Place::default(); motion::SLOTS];
    let mut memory = [0.0; motion::MEMORY];
    let mut monitor = motion_replay::monitor(&tables, &mut places, &mut memory).expect("and suffice");
    let mut all = Vec::new();
    motion_replay::run(&mut monitor, &motion_stream(), count, |index, words| {
        assert_eq!(index, all.len());
        all.push(*words);
    });
    all
}

fn compare_motion_with_host(target: &str, count: usize) {
    let expected = motion_on_host(count);
    let samples = expected.len().to_string();
    let Some(output) = fw(&["motion", "--target", target, "--samples", &samples]) else { return };
    let text = String::from_utf8(output.stdout).expect("hex is ASCII");
    let mut lines = text.lines();
    let mut digest = replay::DIGEST_START;
    for (index, words) in expected.iter().enumerate() {
        let line =
            lines.next().unwrap_or_else(|| panic!("{target}: the firmware stopped before window {index}"));
        let device: Vec<u32> =
            line.split(' ').map(|w| u32::from_str_radix(w, 16).expect("a hex word")).collect();
        assert_eq!(device, words, "{target}: window {index}");
        digest = replay::digest(digest, words);
    }
    assert_eq!(lines.next(), Some(format!("digest {digest:016x}").as_str()), "{target}");
    assert_eq!(lines.next(), None, "{target}: more lines than windows");
}

/// Runs both networks of the room on the host; the words of each sample.
fn room_on_host(samples: usize) -> Vec<Vec<u32>> {
    let mut all = Vec::new();
    room_replay::run_occupancy(samples, |_, words| all.push(words.to_vec()))
        .expect("the artifact is accepted");
    room_replay::run_forecast(samples, |_, words| all.push(words.to_vec()))
        .expect("the artifact is accepted");
    assert_eq!(all.len(), 2 * samples);
    all
}

fn compare_room_with_host(target: &str, samples: usize) {
    let Some(output) = fw(&["room", "--target", target, "--samples", &samples.to_string()]) else { return };
    let text = String::from_utf8(output.stdout).expect("hex is ASCII");
    let mut lines = text.lines();
    let mut digest = replay::DIGEST_START;
    for (index, words) in room_on_host(samples).iter().enumerate() {
        let line =
            lines.next().unwrap_or_else(|| panic!("{target}: the firmware stopped before sample {index}"));
        let device: Vec<u32> =
            line.split(' ').map(|w| u32::from_str_radix(w, 16).expect("a hex word")).collect();
        assert_eq!(device, *words, "{target}: sample {index}");
        digest = replay::digest(digest, words);
    }
    assert_eq!(lines.next(), Some(format!("digest {digest:016x}").as_str()), "{target}");
    assert_eq!(lines.next(), None, "{target}: more lines than samples");
}

#[test]
fn classes_and_intervals_of_a_room_on_a_cortex_m4f_equal_the_host_on_every_sample() {
    compare_room_with_host("thumbv7em-none-eabihf", replay::SAMPLES);
}

#[test]
fn classes_and_intervals_of_a_room_in_soft_float_on_armv6m_equal_the_host() {
    compare_room_with_host("thumbv6m-none-eabi", soft_float_samples());
}

#[test]
fn classes_and_intervals_of_a_room_in_soft_float_on_riscv_equal_the_host() {
    compare_room_with_host("riscv32imac-unknown-none-elf", soft_float_samples());
}

#[test]
fn the_samples_of_a_room_meet_bounded_and_unbounded_outputs() {
    let all = room_on_host(replay::SAMPLES);
    let (classes, numbers) = all.split_at(replay::SAMPLES);
    for (words, outputs) in [(classes, occupancy::OUTPUTS), (numbers, forecast::OUTPUTS)] {
        let is_bounded =
            |words: &&Vec<u32>| words[..2 * outputs].iter().all(|w| f32::from_bits(*w).is_finite());
        let tag = |words: &Vec<u32>| words[2 * outputs + 2];
        let bounded = words.iter().filter(is_bounded).count();
        assert!(bounded > 5_000 && words.len() - bounded > 500, "{bounded} of {}", words.len());
        for kind in 2..=5 {
            assert!(words.iter().filter(|w| tag(w) == kind).count() >= 50, "decisions of kind {kind}");
        }
    }
}

#[test]
fn a_convolutional_network_on_a_cortex_m4f_equals_the_host_on_every_window() {
    compare_motion_with_host("thumbv7em-none-eabihf", usize::MAX);
}

#[test]
fn a_convolutional_network_in_soft_float_on_armv6m_equals_the_host() {
    compare_motion_with_host("thumbv6m-none-eabi", soft_float_windows());
}

#[test]
fn a_convolutional_network_in_soft_float_on_riscv_equals_the_host() {
    compare_motion_with_host("riscv32imac-unknown-none-elf", soft_float_windows());
}

#[test]
fn the_stream_meets_every_kind_of_decision() {
    let mut counts = [0usize; 6];
    let windows = motion_on_host(usize::MAX);
    windows.iter().for_each(|words| counts[words[motion_replay::WORDS - 2] as usize] += 1);
    let [unknown, by_region, by_bounds, not_certified, out_of_range, invalid] = counts;
    assert!(windows.len() >= 1_000 && unknown == 0 && by_region == 0, "{counts:?}");
    for count in [by_bounds, not_certified, out_of_range, invalid] {
        assert!(count >= 50, "{counts:?}");
    }
}

#[test]
fn a_cortex_m4f_equals_the_host_on_every_sample() {
    compare_with_host("thumbv7em-none-eabihf", replay::SAMPLES);
}

#[test]
fn soft_float_on_armv6m_equals_the_host_on_every_sample() {
    compare_with_host("thumbv6m-none-eabi", soft_float_samples());
}

#[test]
fn soft_float_on_riscv_equals_the_host_on_every_sample() {
    compare_with_host("riscv32imac-unknown-none-elf", soft_float_samples());
}

#[test]
fn the_samples_meet_every_kind_of_decision() {
    let mut counts = [0usize; 6];
    let mut monitor = replay::monitor().expect("the embedded artifact is accepted");
    replay::run(&mut monitor, replay::SAMPLES, |_, words| counts[words[replay::WORDS - 2] as usize] += 1);
    let [unknown, by_region, by_bounds, not_certified, out_of_range, invalid] = counts;
    assert_eq!(unknown, 0, "a status has no number");
    for count in [by_region, by_bounds, not_certified, out_of_range, invalid] {
        assert!(count >= 50, "{counts:?}");
    }
}

#[test]
fn the_samples_hold_every_kind_of_awkward_float() {
    let (lower, upper) = ([-1.0f32, 0.5, -3.0], [1.0f32, 2.0, -1.0]);
    let mut generator = samples::Samples::new(replay::SEED);
    let mut x = [0.0f32; 3];
    let (
        mut negative_zero,
        mut subnormal,
        mut nan,
        mut infinite,
        mut huge,
        mut on_edge,
        mut outside,
        mut inside,
    ) = (0, 0, 0, 0, 0, 0, 0, 0);
    for _ in 0..replay::SAMPLES {
        generator.draw(&lower, &upper, &mut x);
        let within = |(x, (l, u)): (&f32, (&f32, &f32))| l <= x && x <= u;
        inside += usize::from(x.iter().zip(lower.iter().zip(&upper)).all(within));
        outside += usize::from(!x.iter().zip(lower.iter().zip(&upper)).all(within));
        on_edge += usize::from(x.iter().zip(lower.iter().zip(&upper)).any(|(x, (l, u))| x == l || x == u));
        negative_zero += usize::from(x.iter().any(|x| x.to_bits() == 1 << 31));
        subnormal += usize::from(x.iter().any(|x| x.is_subnormal()));
        nan += usize::from(x.iter().any(|x| x.is_nan()));
        infinite += usize::from(x.iter().any(|x| x.is_infinite()));
        huge += usize::from(x.iter().any(|x| x.is_finite() && x.abs() > 1e38));
    }
    for count in [negative_zero, subnormal, nan, infinite, huge, on_edge] {
        assert!(count >= 100, "{count} of a kind");
    }
    assert!(outside >= 2_000 && inside >= 5_000, "{outside} outside, {inside} inside");
}
