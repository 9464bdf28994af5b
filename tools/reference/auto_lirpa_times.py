"""CPU seconds of CROWN and of 20 joint alpha iterations: auto_LiRPA, and ours when given, measured in turns.

    CERTUS_DATA=... python tools/reference/auto_lirpa_times.py [--ours PATH] [--threads 1 2] [--runs 9] [--case NAME]

What is timed: lower bounds of the margins label minus other, all intermediate bounds included, network and box loaded and
warm (one run before). Every run measures the tool and then ours, so that both meet the same load; the table has medians of
process CPU seconds and of wall seconds, the spread of the CPU seconds, and their ratio. Joint alpha runs once in three.

`--ours PATH` is called as `PATH --measure crown|alpha NET PROPERTY --label L --threads T`. It prints one line of JSON,
`{"cpu_s": .., "wall_s": .., "lower": [..]}`, of one warm run; the bounds are compared before a time is believed.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

SET = "benchmarks/vnncomp2021"
# name -> (folder, network, property)
CASES = {
    "mnist_256x6": ("mnistfc", "mnist-net_256x6", "prop_0_0.03"),
    "mnist_256x2": ("mnistfc", "mnist-net_256x2", "prop_0_0.03"),
    "acasxu_1_1": ("acasxu", "ACASXU_run2a_1_1_batch_2000", "prop_3"),
    # Not the property of the golden bounds, which the benchmark folder lacks.
    "oval_base": ("oval21", "cifar_base_kw", "cifar_base_kw-img4631-eps0.016339869281045753"),
    "oval_wide": ("oval21", "cifar_wide_kw", "cifar_wide_kw-img19-eps0.007973856209150327"),
    "oval_deep": ("oval21", "cifar_deep_kw", "cifar_deep_kw-img6430-eps0.025098039215686277"),
    "resnet_2b": ("cifar10_resnet", "resnet_2b", "prop_0_eps_0.008"),
}
METHODS = {"crown": "CROWN", "alpha": "CROWN-Optimized"}
# Ours may be tighter than the tool's CROWN, never looser by more than this; after 20 iterations by no more than 1 %.
LOOSER = {"crown": 1e-4, "alpha": 1e-2}


def files(name, data):
    """Paths of network and property."""
    folder, net, prop = CASES[name]
    base = data / SET / folder
    return base / "onnx" / f"{net}.onnx.gz", base / "vnnlib" / f"{prop}.vnnlib.gz"


def worker(threads):
    """Answers `[case, method]` lines with one measurement each, networks kept loaded."""
    import torch

    import lirpa

    torch.set_num_threads(threads)
    data, loaded = pathlib.Path(os.environ["CERTUS_DATA"]), {}
    for line in sys.stdin:
        name, method = json.loads(line)
        if name not in loaded:
            net, prop = files(name, data)
            content = lirpa.read(net)
            lower, upper = lirpa.vnnlib_box(prop)
            problem = lirpa.Problem(lambda: lirpa.convert(content), lirpa.input_shape(content), lower, upper)
            label = int(problem.output.argmax())
            loaded[name] = (*problem.bounded(), problem.margin_rows(label), label)
        module, region, rows, label = loaded[name]
        wall = time.perf_counter()
        call = lambda: module.compute_bounds(x=(region,), C=rows, method=METHODS[method], bound_upper=False)  # noqa: E731
        (lower, _), seconds = lirpa.measure(call)
        wall = time.perf_counter() - wall
        answer = {"cpu_s": seconds, "wall_s": wall, "label": label, "lower": lower.detach().reshape(-1).tolist()}
        print(json.dumps(answer), flush=True)


class Rival:
    """A process of this script that holds auto_LiRPA with a fixed number of threads."""

    def __init__(self, threads):
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, "--worker", str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )

    def measure(self, name, method):
        self.process.stdin.write(json.dumps([name, method]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"auto_LiRPA stopped on {name}, {method}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ours(path, name, method, label, threads, data):
    """One measurement of our program."""
    net, prop = files(name, data)
    command = [path, "--measure", method, net, prop, "--label", str(label), "--threads", str(threads)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def check(name, method, mine, theirs):
    """Stops if one of our bounds is looser than theirs allows."""
    for row, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        if a < b - LOOSER[method] * max(abs(b), 0.01):
            raise SystemExit(f"{name}, {method}, row {row}: ours {a}, auto_LiRPA {b}")


def line(name, method, threads, runs):
    """One row of the table, from pairs of measurements."""
    theirs, mine = [r for r, _ in runs], [m for _, m in runs if m]

    def cell(values):
        cpu = [v["cpu_s"] for v in values]
        middle = statistics.median(cpu)
        spread = 100 * (max(cpu) - min(cpu)) / middle
        return middle, f"{1e3 * middle:.3f} | {1e3 * statistics.median(v['wall_s'] for v in values):.3f} | {spread:.0f} %"

    rival, text = cell(theirs)
    row = f"| {name} | {method} | {threads} | {len(runs)} | {text} |"
    if mine:
        own, text = cell(mine)
        row += f" {text} | {rival / own:.1f} |"
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--method", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return worker(arguments.worker)
    data = pathlib.Path(os.environ["CERTUS_DATA"])
    columns = "CPU ms | wall ms | spread"
    more = f" ours {columns} | ratio |" if arguments.ours else ""
    print(f"| case | method | threads | runs | auto_LiRPA {columns} |{more}", flush=True)
    print("|" + " --- |" * (11 if arguments.ours else 7), flush=True)
    for threads in arguments.threads:
        rival = Rival(threads)
        for name in arguments.case:
            for method in arguments.method:
                label = rival.measure(name, method)["label"]
                runs = []
                for _ in range(arguments.runs if method == "crown" else max(1, arguments.runs // 3)):
                    theirs, mine = rival.measure(name, method), None
                    if arguments.ours:
                        mine = ours(arguments.ours, name, method, label, threads, data)
                        check(name, method, mine["lower"], theirs["lower"])
                    runs.append((theirs, mine))
                print(line(name, method, threads, runs), flush=True)
        rival.close()
    return None


if __name__ == "__main__":
    main()
