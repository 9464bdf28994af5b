#!/usr/bin/env python3
"""Wall and CPU time of `certus verify`, from the start of the process to its end, over the instances expected `sat`.

    python3 tools/bench/sat.py CERTUS BENCHMARKS [--cap S] [--repeat N] [--only TEXT] [--out FILE]

BENCHMARKS holds folders with an `instances.csv` (columns onnx, vnnlib, expected), at any depth. Of N repetitions the
fastest counts. CPU seconds are those of all threads, user and system: on a loaded machine they say what wall time cannot.
"""

import argparse
import csv
import os
import subprocess
import sys
import time
from pathlib import Path


def run(certus, net, prop, cap):
    """Verdict, wall seconds, CPU seconds."""
    command = [certus, "verify", str(net), str(prop), "--timeout", str(cap)]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    word = process.stdout.readline().decode().strip()
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    return word or f"exit {process.returncode}", wall, usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("certus")
    parser.add_argument("benchmarks", type=Path)
    parser.add_argument("--cap", type=float, default=2.0, help="seconds per instance")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--only", default="", help="folders and instances that contain this")
    parser.add_argument("--out", help="results, CSV")
    args = parser.parse_args()
    rows, total = [], [0, 0, 0]
    print(f"{'list':<22}{'sat':>5}{'solved':>8}{'<0.2 s':>8}{'<0.2 cpu':>9}{'slowest':>9}{'slowest cpu':>13}")
    for table in sorted(args.benchmarks.rglob("instances.csv")):
        with open(table, newline="") as f:
            wanted = [r for r in csv.DictReader(f) if r.get("expected") == "sat"]
        wanted = [r for r in wanted if args.only in f"{table.parent.name} {r['onnx']} {r['vnnlib']}"]
        if not wanted:
            continue
        found = []
        for r in wanted:
            paths = (table.parent / r["onnx"], table.parent / r["vnnlib"])
            best = min((run(args.certus, *paths, args.cap) for _ in range(args.repeat)), key=lambda t: t[1])
            found.append(best)
            rows.append([table.parent.name, r["onnx"], r["vnnlib"], best[0], f"{best[1]:.4f}", f"{best[2]:.4f}"])
            if best[0] != "sat" or best[1] >= 0.2:
                print(f"    {best[0]:<8} wall {best[1]:.3f} s, cpu {best[2]:.3f} s: {r['onnx']} {r['vnnlib']}")
        sat = [t for t in found if t[0] == "sat"]
        fast = sum(t[1] < 0.2 for t in sat)
        slow = [max((t[k] for t in sat), default=float("nan")) for k in (1, 2)]
        cheap = sum(t[2] < 0.2 for t in sat)
        print(
            f"{table.parent.name:<22}{len(wanted):>5}{len(sat):>8}{fast:>8}{cheap:>9}{slow[0]:>9.3f}{slow[1]:>13.3f}",
            flush=True,
        )
        total = [t + n for t, n in zip(total, (len(wanted), len(sat), fast))]
    print(f"{'all':<22}{total[0]:>5}{total[1]:>8}{total[2]:>8}")
    if args.out:
        with open(args.out, "w", newline="") as f:
            csv.writer(f).writerows([["list", "onnx", "vnnlib", "verdict", "wall_s", "cpu_s"], *rows])


if __name__ == "__main__":
    sys.exit(main())
