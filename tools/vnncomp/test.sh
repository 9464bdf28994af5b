#!/bin/bash
# test.sh: the three scripts on three bundled instances (unsat, sat, timeout) and on what they have to refuse. CERTUS names the program.
# The witness of `sat` is evaluated again by `certus eval`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
. "$here/find_certus.sh"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
net=$root/assets/surrogate.onnx
fail() { echo "FAILED: $1" >&2; exit 1; }

check() { # name, network, property, timeout, expected first line
  "$here/prepare_instance.sh" v1 test "$2" "$3" || fail "$1: prepare_instance.sh"
  "$here/run_instance.sh" v1 test "$2" "$3" "$folder/$1.txt" "$4" >/dev/null || fail "$1: run_instance.sh"
  first=$(head -n 1 "$folder/$1.txt")
  [ "$first" = "$5" ] || fail "$1: $first where $5 is expected"
  echo "$1: $first"
}

check unsat "$net" "$root/assets/properties/1_falling_behind_is_clear.vnnlib" 60 unsat
[ "$(wc -l <"$folder/unsat.txt")" = 1 ] || fail "unsat: more than a line"

check sat "$net" "$root/assets/properties/8_beyond_3000_m_is_clear.vnnlib" 60 sat
# ((X_0 v) … (Y_0 v)): the inputs, evaluated, give the outputs.
values() { tr '()' '\n\n' <"$folder/sat.txt" | sed -n "s/^ *$1_\([0-9]*\) \(.*\)$/\1 \2/p" | sort -n | cut -d' ' -f2 | paste -sd,; }
values X >"$folder/input.csv"
[ -n "$(cat "$folder/input.csv")" ] || fail "sat: no witness"
"$certus" eval "$net" --input "$folder/input.csv" >"$folder/outputs.txt"
first_output=$(values Y | cut -d, -f1)
grep -qF -- "$(printf '%.4f' "$first_output")" <(tr ', ' '\n\n' <"$folder/outputs.txt" | while read -r v; do printf '%.4f\n' "$v" 2>/dev/null || true; done) ||
  fail "sat: the outputs of the witness are not those of the network"

check timeout "$net" "$root/assets/properties/1_falling_behind_is_clear.vnnlib" 0.000001 timeout

echo '(assert' >"$folder/broken.vnnlib"
"$here/run_instance.sh" v1 test "$net" "$folder/broken.vnnlib" "$folder/broken.txt" 10 >/dev/null 2>&1 || fail "broken: exit code"
[ "$(cat "$folder/broken.txt")" = error ] || fail "broken: $(cat "$folder/broken.txt")"
echo "broken property: error"
for script in prepare_instance run_instance install_tool; do
  if "$here/$script.sh" v2 a b c d e >/dev/null 2>&1; then fail "$script.sh takes another version"; fi
done
if "$here/prepare_instance.sh" v1 test "$folder/none.onnx" "$folder/broken.vnnlib" 2>/dev/null; then fail "a missing network is not refused"; fi
echo "all as expected"
