#!/usr/bin/env bash
# Runs every list of a folder of benchmarks, one after the other, and goes on where an earlier run stopped.
#
#   tools/bench/all.sh DATA OUT CAP [OPTION...]
#
# DATA     folder with benchmarks/ inside (lists are benchmarks/*/*/instances.csv), or that folder itself
# OUT      folder of the results: a CSV and a log for each list, then summary.txt, open.md and report.html
# CAP      seconds per instance at most, whatever a list says
# OPTION   handed to `certus bench`, such as --process or --threads 2
#
# Small lists come first. CERTUS names the program (default: `certus` on the path). LISTS, words separated by spaces, takes the
# place of the built-in order. Ctrl-C or SIGTERM ends the run after the instance at hand; the same command goes on.
set -u
if [ $# -lt 3 ]; then sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2; fi
data=$1 out=$2 cap=$3
shift 3
[ -d "$data/benchmarks" ] && data=$data/benchmarks
certus=${CERTUS:-certus}
command -v "$certus" >/dev/null || { echo "error: $certus: no such program; set CERTUS" >&2; exit 2; }
mkdir -p "$out" || exit 2
order="acasxu rl_benchmarks reach_prob_density collins_rul_cnn dist_shift_2023 tllverifybench safenlp cifar_biasfield
  verivital nn4sys_2023 mnistfc cifar10_resnet sri_resnet_a marabou-cifar10 eran oval21 cgan_2023 vit_2023"
files=()
stopped=0 wrong=0
trap 'stopped=1' INT TERM
for list in ${LISTS:-$order}; do
  folder=
  for candidate in "$data"/*/"$list" "$data/$list"; do
    [ -f "$candidate/instances.csv" ] && folder=$candidate
  done
  if [ -z "$folder" ]; then echo "$list: no such list under $data" >&2; continue; fi
  "$certus" bench "$folder" --timeout-cap "$cap" --resume --out "$out/$list.csv" "$@" >>"$out/$list.log" 2>&1 &
  child=$!
  # A signal ends the first wait early; the list then ends by itself.
  wait "$child"; code=$?
  if [ "$stopped" = 1 ]; then kill -TERM "$child" 2>/dev/null; wait "$child"; fi
  case $code in
    1) wrong=1; echo "$list: A VERDICT CONTRADICTS THE EXPECTED ONE, see $out/$list.log" >&2 ;;
    2) tail -n 1 "$out/$list.log" >&2; [ "$stopped" = 1 ] || continue ;;
  esac
  [ -s "$out/$list.csv" ] && files+=("$out/$list.csv")
  [ "$stopped" = 1 ] && { echo "interrupted in $list; the same command goes on" >&2; break; }
done
[ ${#files[@]} -gt 0 ] || exit 2
"$certus" bench --summary "${files[@]}" --report "$out/report.html" | tee "$out/summary.txt"
"$certus" bench --summary "${files[@]}" --open --markdown >"$out/open.md"
[ "$stopped" = 1 ] && exit 130
exit "$wrong"
