# Sourced: sets `certus` to the program, the variable CERTUS first, then what install_tool.sh built.
certus=${CERTUS:-${CARGO_TARGET_DIR:-$(dirname "$0")/../../target}/release/certus}
if [ ! -x "$certus" ]; then echo "error: $certus: no such program; run install_tool.sh v1 or set CERTUS" >&2; exit 1; fi
