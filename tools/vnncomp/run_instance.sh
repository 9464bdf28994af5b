#!/bin/bash
# run_instance.sh v1 CATEGORY ONNX VNNLIB RESULTS TIMEOUT: verifies one instance. The first line of RESULTS is sat, unsat, timeout,
# unknown or error; after `sat` comes the counterexample. CATEGORY changes nothing: the defaults decide by the network.
if [ "${1:-}" != v1 ]; then echo "error: expected the version v1 as the first argument, got '${1:-}'" >&2; exit 1; fi
if [ $# -ne 6 ]; then echo "error: expected v1 CATEGORY ONNX VNNLIB RESULTS TIMEOUT" >&2; exit 1; fi
. "$(dirname "$0")/find_certus.sh"
onnx=$3 vnnlib=$4 results=$5 timeout=$6
running=${TMPDIR:-/tmp}/certus-vnncomp-$UID
mkdir -p "$running" || exit 1
answer=$(mktemp "$running/answer.XXXXXX") || exit 1
trap 'rm -f "$answer" "$running/$$.pid"' EXIT
"$certus" verify "$onnx" "$vnnlib" --quiet --timeout "$timeout" >"$answer" 2>"$answer.err" &
child=$!
echo "$child" >"$running/$$.pid"
trap 'kill -TERM "$child" 2>/dev/null' TERM INT
wait "$child"; code=$?
# A signal ends the first wait early.
if kill -0 "$child" 2>/dev/null; then wait "$child"; code=$?; fi
cat "$answer.err" >&2
rm -f "$answer.err"
read -r first <"$answer"
case $first in
  sat | unsat | timeout) cat "$answer" >"$results" ;;
  unknown*) echo unknown >"$results" ;;
  *) echo error >"$results"; echo "error: certus ended with code $code" >&2 ;;
esac
head -n 1 "$results"
