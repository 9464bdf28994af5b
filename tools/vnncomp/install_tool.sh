#!/bin/bash
# install_tool.sh v1: builds certus. Rust comes from rustup where `cargo` is missing; nothing else is needed, no licence and no GPU.
set -eu
if [ "${1:-}" != v1 ]; then echo "error: expected the version v1 as the first argument, got '${1:-}'" >&2; exit 1; fi
root=$(cd "$(dirname "$0")/../.." && pwd)
if ! command -v cargo >/dev/null; then
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --default-toolchain none
  . "$HOME/.cargo/env"
fi
cargo build --release --locked --manifest-path "$root/Cargo.toml" -p certus
"${CARGO_TARGET_DIR:-$root/target}/release/certus" --version
