"""Runs one instance with alpha-beta-CROWN on the CPU; prints `startup` and `work`, a line each, with the tool's own lines.

    run_abcrown.py SOURCES CONFIG NET.onnx PROPERTY.vnnlib SECONDS THREADS

CONFIG is a key of CONFIGS. Start-up is everything until the tool begins with the instance: interpreter, imports, settings.
"""

import os
import sys
import time

CONFIGS = {  # file of the release, and what is changed in it
    "acasxu": ("vnncomp21/acasxu.yaml", {"solver": {"batch_size": 1024}}),
    "rl": ("vnncomp22/cartpole.yaml", {}),
    "reach": ("vnncomp22/reach_probability_gcas.yaml", {"solver": {"batch_size": 1024}}),
    "collins": ("vnncomp22/collins-rul-cnn.yaml", {}),
    "tll": ("vnncomp22/tllVerifyBench.yaml", {}),
    "safenlp": ("vnncomp24/safenlp.yaml", {}),
    # The release's way for this set needs a full licence of Gurobi.
    "mnistfc": ("vnncomp21/mnistfc.yaml", {"general": {"complete_verifier": "bab"}, "solver": {"batch_size": 256}}),
    "verivital": ("vnncomp21/verivital.yaml", {"general": {"complete_verifier": "bab"}}),
    "biasfield": ("vnncomp22/cifar_biasfield.yaml", {}),
    # The release's cuts on oval need CPLEX; this is its configuration without cuts.
    "oval": ("BICCOS/oval22/beta.yaml", {"solver": {"batch_size": 128}}),
    "resnet": ("BICCOS/cifar10_resnet/beta.yaml", {"solver": {"batch_size": 64}}),
}


def merge(into, changes):
    for key, value in changes.items():
        if isinstance(value, dict):
            merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


def process_age():
    """Seconds since this process was started."""
    ticks = int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19])
    return float(open("/proc/uptime").read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


def begin(folder):
    """Says that start-up is over: prints how long it took and makes the file `started`; returns the clock."""
    print(f"\nstartup {process_age():.3f}", flush=True)
    open(os.path.join(folder, "started"), "w").close()
    return time.perf_counter()


def main():
    sources, config, net, prop, seconds, threads = sys.argv[1:]
    for path in ("alpha-beta-CROWN", "auto_LiRPA", "onnx2pytorch", "alpha-beta-CROWN/complete_verifier"):
        sys.path.insert(0, os.path.join(sources, path))
    folder = os.path.join(sources, "alpha-beta-CROWN", "complete_verifier")
    work = os.getcwd()
    os.chdir(folder)
    import torch
    import yaml

    torch.set_num_threads(int(threads))
    import abcrown

    name, changes = CONFIGS[config]
    with open(os.path.join(folder, "exp_configs", name)) as file:
        settings = yaml.safe_load(file)
    for section, keys in {"general": ["root_path", "csv_name"], "data": ["start", "end", "dataset"]}.items():
        for key in keys:
            settings.get(section, {}).pop(key, None)
    merge(settings, changes)
    merge(settings, {"general": {"device": "cpu", "results_file": os.path.join(work, "out.txt")}})
    own = os.path.join(work, "config.yaml")
    with open(own, "w") as file:
        yaml.safe_dump(settings, file)
    verifier = abcrown.ABCROWN(
        ["--config", own, "--onnx_path", net, "--vnnlib_path", prop, "--timeout", seconds]
    )
    start = begin(work)
    verifier.main()
    print(f"\nwork {time.perf_counter() - start:.4f}")


if __name__ == "__main__":
    main()
