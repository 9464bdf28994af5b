#!/usr/bin/env python3
"""Runs certus, alpha-beta-CROWN (on the CPU) and Marabou in turn on each instance, with the same threads and time limit.

    tools/rivals/compare.py --rivals DIR --data BENCHMARKS --certus PATH --out FILE.csv [--limit 20] [--threads 2] [--only TEXT]

Each run is a process of its own; wall and CPU time are the process's, from start to end, start-up included; `startup_s` says how
much of the wall time it was, and the limit counts without it (a run is killed `GRACE_S` after its limit, or `STARTUP_S` after its
start if it has not begun by then). Rows are added
one by one; a row that is already in FILE is not run again. At the end a table is printed; verdicts that contradict each other are
named, and the exit code is then 1.
"""

import argparse
import csv
import gzip
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
COLUMNS = ["instance", "tool", "verdict", "wall_s", "cpu_s", "startup_s", "work_s", "peak_mib", "limit_s", "threads", "date", "error"]
# How long after its limit a tool that does not end by itself is killed, and how long it may take to begin, seconds.
GRACE_S = 6
STARTUP_S = 120


def unpack(source, target):
    with gzip.open(source) if source.endswith(".gz") else open(source, "rb") as packed, open(target, "wb") as plain:
        shutil.copyfileobj(packed, plain)


def run(command, limit, environment, folder, marks):
    """Output, wall, CPU, peak memory (MiB) and whether it was killed."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                 env={**os.environ, **environment}, cwd=folder, start_new_session=True)
        killed, mark = False, os.path.join(folder, "started")
        begun = None if marks else start
        while True:
            pid, _, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            now = time.perf_counter()
            if begun is None and os.path.exists(mark):
                begun = now
            if now - start > STARTUP_S if begun is None else now - begun > limit + GRACE_S:
                killed = True
                os.killpg(child.pid, signal.SIGKILL)
                _, _, usage = os.wait4(child.pid, 0)
                break
            # Short runs are timed to a tenth of a millisecond, long ones do not cost a core.
            time.sleep(1e-4 if now - start < 0.5 else 5e-3)
        wall = time.perf_counter() - start
        child.returncode = 0
        output.seek(0)
        text = output.read().decode(errors="replace")
    return text, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, killed


def field(name, text):
    found = re.findall(rf"^{name}:? (\S+)", text, re.MULTILINE)
    return found[-1] if found else ""


def commands(args, row, net, prop):
    """For each tool: its command, its environment, and the verdict in its output."""
    limit, threads = str(args.limit), str(args.threads)
    blas = {name: threads for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    python = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore", **blas}
    source = os.path.join(args.rivals, "src")
    first = lambda text: text.split("\n", 1)[0].split(" ")[0]
    words = {"unsat": "unsat", "safe": "unsat", "sat": "sat", "unsafe": "sat", "timeout": "timeout", "unknown": "unknown"}
    theirs = lambda text: next((v for k, v in words.items() if field("Result", text).startswith(k)), "error")
    return {
        "certus": ([args.certus, "verify", net, prop, "--quiet", "--timeout", limit, "--threads", threads], {}, first),
        "abcrown": ([os.path.join(args.rivals, "abcrown/bin/python"), os.path.join(HERE, "run_abcrown.py"), source,
                     row["config"], net, prop, limit, threads], python, theirs),
        "marabou": ([os.path.join(args.rivals, "marabou/bin/python"), os.path.join(HERE, "run_marabou.py"), net, prop,
                     limit, threads], python, lambda text: field("verdict", text) or "error"),
    }


def own_startup(certus):
    """Median wall time of the program doing nothing."""
    times = []
    for _ in range(11):
        start = time.perf_counter()
        subprocess.run([certus, "--version"], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - start)
    return sorted(times)[5]


def one_run(args, name, tool, command, environment, verdict, startup, folder):
    mark = os.path.join(folder, "started")
    if os.path.exists(mark):
        os.remove(mark)
    text, wall, cpu, peak, killed = run(command, args.limit, environment, folder, marks=tool != "certus")
    found = "timeout" if killed else verdict(text)
    if found not in ("sat", "unsat", "timeout", "unknown"):
        found = "error"
    lines = [line for line in text.strip().splitlines() if line.strip()]
    error = re.sub(r"[\s,]+", " ", lines[-1])[:160] if found == "error" and lines else ""
    started = f"{startup:.4f}" if tool == "certus" else field("startup", text)
    return {
        "instance": name, "tool": tool, "verdict": found, "wall_s": f"{wall:.4f}", "cpu_s": f"{cpu:.4f}",
        "startup_s": started, "work_s": f"{wall - startup:.4f}" if tool == "certus" else field("work", text),
        "peak_mib": f"{peak:.0f}", "limit_s": args.limit, "threads": args.threads,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "error": error,
    }


def table(rows):
    tools = [t for t in ("certus", "abcrown", "marabou") if any(r["tool"] == t for r in rows)]
    by = {(r["instance"], r["tool"]): r for r in rows}
    names = list(dict.fromkeys(r["instance"] for r in rows))
    print("\n| instance | " + " | ".join(f"{t} | wall s | CPU s | start-up s" for t in tools) + " |")
    print("| --- |" + " --- | ---: | ---: | ---: |" * len(tools))
    for name in names:
        cells = []
        for tool in tools:
            r = by.get((name, tool))
            time_of = lambda key: f"{float(r[key]):.3f}" if r[key] else "-"
            cells += [r["verdict"], time_of("wall_s"), time_of("cpu_s"), time_of("startup_s")] if r else ["-"] * 4
        print(f"| {name} | " + " | ".join(cells) + " |")
    wrong = [n for n in names if {"sat", "unsat"} <= {by[n, t]["verdict"] for t in tools if (n, t) in by}]
    for tool in tools:
        own = [r for r in rows if r["tool"] == tool]
        if not own:
            continue
        solved = [r for r in own if r["verdict"] in ("sat", "unsat")]
        total = sum(float(r["wall_s"]) for r in own), sum(float(r["cpu_s"]) for r in own)
        print(f"{tool}: {len(solved)} of {len(own)} decided; wall {total[0]:.1f} s, CPU {total[1]:.1f} s in all")
    for name in wrong:
        print(f"!!! VERDICTS CONTRADICT EACH OTHER: {name}: " + ", ".join(f"{t} {by[name, t]['verdict']}" for t in tools if (name, t) in by))
    return bool(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rivals", required=True, help="folder that setup.sh made")
    parser.add_argument("--data", default=os.path.join(os.environ.get("CERTUS_DATA", "."), "benchmarks"), help="folder of the lists")
    parser.add_argument("--certus", default="certus", help="program")
    parser.add_argument("--out", required=True, help="CSV")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for each run, start-up not counted")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="instances whose name contains this")
    parser.add_argument("--tools", nargs="+", default=["certus", "abcrown", "marabou"])
    args = parser.parse_args()
    args.certus = shutil.which(args.certus) or sys.exit(f"error: {args.certus}: no such program")
    args.certus, args.rivals = os.path.abspath(args.certus), os.path.abspath(args.rivals)
    rows = list(csv.DictReader(open(args.out))) if os.path.exists(args.out) else []
    done = {(r["instance"], r["tool"]) for r in rows}
    own = own_startup(args.certus)
    with open(args.out, "a", newline="") as file, tempfile.TemporaryDirectory() as folder:
        writer = csv.DictWriter(file, COLUMNS)
        if not rows:
            writer.writeheader()
        for row in csv.DictReader(open(os.path.join(HERE, "instances.csv"))):
            short = lambda path: re.sub(r"(\.onnx|\.vnnlib|\.gz)+$", "", os.path.basename(path))
            name = f"{os.path.basename(row['list'])} {short(row['onnx'])} {short(row['vnnlib'])}"
            if args.only not in name:
                continue
            net, prop = os.path.join(folder, "net.onnx"), os.path.join(folder, "prop.vnnlib")
            unpack(os.path.join(args.data, row["list"], row["onnx"]), net)
            unpack(os.path.join(args.data, row["list"], row["vnnlib"]), prop)
            for tool, (command, environment, verdict) in commands(args, row, net, prop).items():
                if tool not in args.tools or (name, tool) in done:
                    continue
                found = one_run(args, name, tool, command, environment, verdict, own if tool == "certus" else 0.0, folder)
                rows.append(found)
                writer.writerow(found)
                file.flush()
                print(f"{name:<60} {tool:<8} {found['verdict']:<8} wall {found['wall_s']} s  CPU {found['cpu_s']} s  {found['error']}", flush=True)
    rows = [r for r in rows if args.only in r["instance"]]
    sys.exit(int(table(rows)))


if __name__ == "__main__":
    main()
