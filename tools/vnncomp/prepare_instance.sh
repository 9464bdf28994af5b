#!/bin/bash
# prepare_instance.sh v1 CATEGORY ONNX VNNLIB: nothing is converted; ends what an earlier instance left running, and says whether the
# files are there. Exit code 0: ready; 1: the instance is to be skipped.
if [ "${1:-}" != v1 ]; then echo "error: expected the version v1 as the first argument, got '${1:-}'" >&2; exit 1; fi
if [ $# -ne 4 ]; then echo "error: expected v1 CATEGORY ONNX VNNLIB" >&2; exit 1; fi
. "$(dirname "$0")/find_certus.sh"
# Only processes of run_instance.sh, which writes their numbers down.
for file in "${TMPDIR:-/tmp}"/certus-vnncomp-"$UID"/*.pid; do
  [ -f "$file" ] || continue
  pid=$(cat "$file")
  if [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$(readlink -f "$certus")" ]; then kill -KILL "$pid"; fi
  rm -f "$file"
done
for file in "$3" "$4"; do
  if [ ! -r "$file" ]; then echo "error: $file: cannot be read" >&2; exit 1; fi
done
