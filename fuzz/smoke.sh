#!/usr/bin/env bash
# Runs every fuzz target for SECONDS in all (default 60), on stable, without cargo-fuzz.
#
# The coverage flags are those that cargo-fuzz passes with `--sanitizer none`. New inputs go to a
# scratch folder; the committed corpus only changes by hand. A finding is left in fuzz/artifacts.
# For longer hunts with AddressSanitizer: `cargo +nightly fuzz run TARGET`.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-60}
targets=$(sed -n 's|^path = "fuzz_targets/\(.*\)\.rs"|\1|p' Cargo.toml)
count=$(wc -w <<<"$targets")
each=$((seconds / count > 0 ? seconds / count : 1))

host=$(rustc -vV | sed -n 's/^host: //p')
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions"
target_dir=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
# With --target the flags reach the targets but not build scripts and macros.
RUSTFLAGS="$coverage" CARGO_TARGET_DIR="$target_dir" cargo build --release --target "$host" --bins

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for target in $targets; do
    mkdir -p "$scratch/$target" "artifacts/$target"
    echo "== $target, $each s"
    "$target_dir/$host/release/$target" -max_total_time="$each" -timeout=10 -rss_limit_mb=4096 \
        -artifact_prefix="artifacts/$target/" -print_final_stats=1 -verbosity=1 \
        "$scratch/$target" "corpus/$target" 2>"$scratch/log" || { tail -n 40 "$scratch/log"; exit 1; }
    grep -E '^(Done|stat::(number_of_executed_units|peak_rss_mb))' "$scratch/log"
done
rmdir artifacts/* artifacts 2>/dev/null || true
