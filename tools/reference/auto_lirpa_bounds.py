"""Writes auto_LiRPA's bounds of networks of several kinds: one JSON file and the small networks as ONNX.

    CERTUS_DATA=... python tools/reference/auto_lirpa_bounds.py tests/golden/auto_LiRPA-9d100ec [--case NAME]

Per case: the box, onnxruntime's output at its centre, lower and upper bounds of every output and, for a classifier,
lower bounds of the margins label minus other, by four methods:

- `ibp`: interval propagation.
- `crown`: backward bounds, auto_LiRPA's defaults. A node that feeds a ReLU or leaky ReLU first gets one interval step
  from the stored bounds of its predecessors; neurons that are stable by it keep that interval, the others get the
  backward value, not intersected. A first affine layer on the input gets its interval. Other nodes: backward value.
- `crown_backward`: the same without the interval step (`sparse_intermediate_bounds=False`): backward values only.
- `alpha_fixed`, `alpha_joint`: 20 iterations of Adam, rate 0.1, decay 0.98; *fixed* holds the intermediate bounds at
  their `crown` values, *joint* recomputes them in each iteration. Where the tool stops with an error in this setting, the
  figure is without the interval step and says so in `options`; a method that it cannot run at all has `error`.
"""

import argparse
import json
import os
import pathlib
import platform

import numpy as np
import onnxruntime
import torch

import small_nets
from lirpa import (
    ALPHA, COMMIT, CONVERTER, Problem, convert, input_shape, intermediate_bounds, measure, onnx_outputs, read, sha256,
    vnnlib_box,
)

# name -> (model, property, options); the options are those without which the tool stops with an error.
BENCHMARKS = {
    "mnist_256x4": ("vnncomp2021/mnistfc/onnx/mnist-net_256x4", "vnncomp2021/mnistfc/vnnlib/prop_0_0.03", {}),
    "mnist_concat": (
        "vnncomp2024/dist_shift_2023/onnx/mnist_concat", "vnncomp2024/dist_shift_2023/vnnlib/index2101_delta0.13", {},
    ),
    "ffnn_sigmoid": (
        "vnncomp2021/eran/onnx/ffnnSIGMOID__Point_6x200", "vnncomp2021/eran/vnnlib/mnist_spec_idx_1655_eps_0.01200", {},
    ),
    "convnet_avgpool": (
        "vnncomp2021/verivital/onnx/Convnet_avgpool", "vnncomp2021/verivital/vnnlib/prop_0_0.02", {},
    ),
    "convnet_maxpool": (
        "vnncomp2021/verivital/onnx/Convnet_maxpool", "vnncomp2021/verivital/vnnlib/prop_0_0.004", {},
    ),
    "vit_pgd_2_3_16": (
        "vnncomp2024/vit_2023/onnx/pgd_2_3_16", "vnncomp2024/vit_2023/vnnlib/pgd_2_3_16_8835",
        {"conv_mode": "matrix", "fixed_reducemax_index": True},
    ),
}
# What takes the tool too long to be worth the figure: seconds after which it was stopped.
STOPPED = {("vit_pgd_2_3_16", "alpha_joint"): 600}
OPTIONS = {"attention": {"fixed_reducemax_index": True}}

RELAXATIONS = {
    "relu": "upper: the chord; lower: slope 1 iff u/(u-l) > 0.5, else 0, through the origin",
    "leaky_relu": "upper: the chord, slope k = (u - s l)/(u - l); lower: slope 1 iff k > 0.5, else s, through the origin",
    "sigmoid, tanh": "l >= 0 or u <= 0: the chord and the tangent at the midpoint; across 0: per side the chord where it"
    " bounds, else the tangent whose line meets the far end point (point of contact from a table over that end point"
    " rounded outward to a multiple of 0.01), replaced by the tangent at the midpoint m where the point of contact of the"
    " lower line is >= m or that of the upper line < m",
    "sin, cos": "as tanh on an interval inside one half period; otherwise lines from the tool's own cases",
    "pow 2": "upper: the chord; lower: the tangent at 0 across 0, else the tangent at the midpoint",
    "pow 3": "as tanh with convex and concave exchanged",
    "exp": "upper: the chord; lower: the tangent at min((l+u)/2, l+0.99)",
    "reciprocal (l > 0)": "upper: the chord; lower: the tangent at the midpoint; a quotient is a product with it",
    "sqrt": "lower: the chord; upper: the tangent at the midpoint",
    "product, matrix product": "lower: yl x + xl y - xl yl; upper: yu x + xl y - xl yu",
    "max pool": "lower: the input with the greatest lower bound; upper: that input if its lower bound is at least every"
    " other upper bound, else the constant greatest upper bound",
    "softmax": "exp(x - x_j) over the sum, j the largest at the centre, as reciprocal and product",
}


def numbers(tensor):
    """A flat list; every f32 is printed so that it reads back exactly."""
    return [float(x) for x in tensor.detach().reshape(-1)]


def summarise(module):
    """Name, consumer, size, unstable neurons and summed bounds of each node that a relaxation reads."""
    consumers = {}
    for node in module.nodes():
        for index, before in enumerate(node.inputs):
            if index in node.requires_input_bounds:
                consumers.setdefault(before.name, type(node).__name__.removeprefix("Bound"))
    rows = []
    for name, (lower, upper) in intermediate_bounds(module).items():
        if name in consumers:
            rows.append({
                "node": name, "feeds": consumers[name], "size": lower.numel(),
                "unstable": int(((lower < 0) & (upper > 0)).sum()),
                "lower_sum": float(lower.double().sum()), "upper_sum": float(upper.double().sum()),
            })
    return rows


def bound(problem, method, rows, options, fixed=False):
    """Bounds of `rows` (of the outputs if `None`) and the intermediate bounds behind them, or the error."""
    sides = {"bound_upper": False} if rows is not None else {}
    try:
        module, region = problem.bounded(**options)
        extra = {}
        if fixed:
            measure(lambda: module.compute_bounds(x=(region,), C=rows, method="CROWN", **sides))
            extra["interm_bounds"] = intermediate_bounds(module)
            module, region = problem.bounded(**options)
        call = lambda: module.compute_bounds(x=(region,), C=rows, method=method, **sides, **extra)  # noqa: E731
        (lower, upper), seconds = measure(call)
    except (RuntimeError, NotImplementedError, AssertionError, AttributeError, KeyError, MemoryError) as error:
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}, None
    found = {"lower": numbers(lower)}
    if rows is None:
        found["upper"] = numbers(upper)
    found["cpu_s"] = round(seconds, 4)
    return found, module


BACKWARD_ONLY = {"sparse_intermediate_bounds": False}
METHODS = {
    "ibp": ("IBP", {}, False),
    "crown": ("CROWN", {}, False),
    "crown_backward": ("CROWN", BACKWARD_ONLY, False),
    "alpha_fixed": ("CROWN-Optimized", {}, True),
    "alpha_joint": ("CROWN-Optimized", {}, False),
}


def evaluate(case, problem, options, classifier):
    """All methods on outputs and margins."""
    result = {}
    if classifier:
        result["label"] = int(problem.output.argmax())
    for name, (method, more, fixed) in METHODS.items():
        if (case, name) in STOPPED:
            result[name] = {"error": f"not finished after {STOPPED[case, name]} s"}
            continue
        result[name], module = bound(problem, method, None, {**options, **more}, fixed)
        if module is None:
            more = BACKWARD_ONLY
            result[name], module = bound(problem, method, None, {**options, **more}, fixed)
            result[name]["options"] = more
        if module is not None and name.startswith("crown"):
            result[name]["intermediate"] = summarise(module)
        if classifier and module is not None:
            margin, _ = bound(problem, method, problem.margin_rows(result["label"]), {**options, **more}, fixed)
            result[name]["margin"] = margin
        print(" ", name, result[name].get("error") or f"{result[name]['cpu_s']} s", flush=True)
    return result


def benchmark_case(name, data):
    """A network and a property of the benchmark sets, read below `CERTUS_DATA/benchmarks`."""
    model, prop, options = BENCHMARKS[name]
    model, prop = f"{model}.onnx.gz", f"{prop}.vnnlib.gz"
    model_bytes = read(data / model)
    lower, upper = vnnlib_box(data / prop)
    shape = input_shape(model_bytes)
    problem = Problem(lambda: convert(model_bytes), shape, lower, upper)
    head = {
        "case": name, "model": f"benchmarks/{model}", "vnnlib": f"benchmarks/{prop}", "input_shape": shape,
        "lower_sha256_f32le": sha256(lower), "upper_sha256_f32le": sha256(upper),
    }
    return head, problem, model_bytes, options, True


def small_case(name, out):
    """A network of `small_nets`, written next to the JSON."""
    path = out / f"{name}.onnx"
    small_nets.export(name, path)
    model_bytes = read(path)
    network, center = small_nets.make(name)
    radius = small_nets.KINDS[name].radius
    lower, upper = (center - radius).reshape(-1), (center + radius).reshape(-1)
    problem = Problem(lambda: small_nets.make(name)[0], list(center.shape), lower.numpy(), upper.numpy())
    head = {
        "case": name, "model": path.name, "seed": small_nets.SEED, "input_shape": list(center.shape),
        "lower_input": numbers(lower), "upper_input": numbers(upper),
    }
    return head, problem, model_bytes, OPTIONS.get(name, {}), False


def run(name, data, out):
    """One entry of the JSON file."""
    print(name, flush=True)
    loaded = benchmark_case(name, data) if name in BENCHMARKS else small_case(name, out)
    head, problem, model_bytes, options, classifier = loaded
    output = onnx_outputs(model_bytes, problem.center.numpy())
    head["options"] = options
    head["center_output_onnxruntime"] = [float(x) for x in output]
    head["onnx_vs_torch_max_difference"] = float(np.abs(output - problem.output.numpy()).max())
    return {**head, **evaluate(name, problem, options, classifier)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--case", action="append", help="only this case; others in the file stay")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = pathlib.Path(os.environ["CERTUS_DATA"]) / "benchmarks"
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "bounds.json"
    cases = {c["case"]: c for c in json.loads(path.read_text())["cases"]} if path.exists() else {}
    names = [*BENCHMARKS, *small_nets.KINDS]
    for name in arguments.case or names:
        cases[name] = run(name, data, arguments.out)
        document = {
            "tool": f"auto_LiRPA {COMMIT}", "converter": CONVERTER,
            "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
                         "onnxruntime": onnxruntime.__version__},
            "command": "python tools/reference/auto_lirpa_bounds.py tests/golden/auto_LiRPA-9d100ec",
            "dtype": "float32", "threads": 1, "alpha": ALPHA, "relaxations": RELAXATIONS,
            "cases": [cases[n] for n in names if n in cases],
        }
        path.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
