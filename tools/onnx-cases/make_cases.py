"""Writes tests/golden/operators.json.gz: small models of one operator each, with golden outputs.

Two sources: the test cases of the ONNX standard (package `onnx`, onnx.backend.test.case.node), and the cases
of `own_cases.py` for settings and operator sets that those leave out. Every model is run by onnxruntime at
every operator set in which its operator's definition changed; a value is kept only if standard and runtime
agree, or (own cases) runtime and the standard's reference evaluator; disagreements are printed.

    pip install onnx onnxruntime numpy
    python3 tools/onnx-cases/make_cases.py
"""

import base64
import gzip
import json
import pathlib
import re
import sys
import warnings

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import own_cases

ROOT = pathlib.Path(__file__).parents[2]
ELEMENTS_MAX = 2500  # of all tensors of a case together
SETS = range(7, 26)
TYPES = [np.dtype(t) for t in [np.float32, np.float16, np.int8, np.uint8, np.int32, np.int64, np.bool_]]


def operators():
    """Name and versions from the table in the code."""
    text = (ROOT / "host/engine/src/graph/import/operators.rs").read_text()
    found = re.findall(r'op\(\s*"(\w+)",\s*&\[([\d, ]+)\]', text)
    return {name: [int(v) for v in versions.split(",")] for name, versions in found}


def as_case(model, inputs, output):
    """One float input `x` (the first), everything else constant, one float output; None if there is none."""
    graph = model.graph
    names = [i.name for i in graph.input]
    if len(names) != len(inputs) or any(not isinstance(v, np.ndarray) for v in inputs):
        return None
    if not all(i.type.HasField("tensor_type") for i in graph.input):
        return None
    if any(v.dtype not in TYPES for v in inputs):
        return None
    kind = {o.name: o.type.tensor_type.elem_type for o in graph.output}
    nodes = list(graph.node)
    constants = dict(zip(names, inputs))
    folded = graph.node[0].op_type in ("Range", "ConstantOfShape")
    if inputs and not folded and inputs[0].dtype == np.float32 and kind[output] == TensorProto.FLOAT and inputs[0].size:
        x, y = names[0], output
        value = constants.pop(x)
    else:
        # Computed from constants alone: `y = float(output) + x`, with one number x.
        x, y, value = "x_added", "y_sum", np.array(0.5, np.float32)
        nodes.append(helper.make_node("Cast", [output], ["as_float"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Add", ["as_float", x], [y]))
    keep = helper.make_graph(
        nodes,
        "case",
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, value.shape)],
        [helper.make_tensor_value_info(y, TensorProto.FLOAT, None)],
        list(graph.initializer) + [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()],
    )
    return keep, value


def run(graph, value, version):
    """Outputs by onnxruntime, else by the reference evaluator; None if neither takes the model."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])
    model.ir_version = 8 if version < 21 else 10
    results = []
    context = onnx.checker.DEFAULT_CONTEXT.__class__()
    context.ir_version, context.opset_imports = model.ir_version, {"": version}
    try:
        for node in graph.node:
            onnx.checker.check_node(node, context)
    except onnx.checker.ValidationError:
        return None
    feeds = {graph.input[0].name: value}
    try:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        results.append(session.run(None, feeds)[0])
    except Exception:
        pass
    try:
        results.append(ReferenceEvaluator(model).run(None, feeds)[0])
    except Exception:
        pass
    return results or None


def close(a, b):
    if a.shape != b.shape:
        return False
    scale = max(float(np.abs(b).max(initial=0.0)), 1e-30)
    return bool(np.all(np.abs(a - b) <= 1e-5 * scale))


def entry(name, operator, graph, value, expected, versions, stand_in=None):
    """The case with all operator sets at which it gives `expected` (that of the last set if None).

    `stand_in` is a graph that says the same at operator set 21, for what neither tool runs."""
    sets, values = [], expected
    if stand_in is not None:
        sets, values, versions = sorted(versions), run(stand_in, value, 21)[0], []
    for version in sorted(versions, reverse=True):
        results = run(graph, value, version)
        if results is None:
            continue
        if values is None:
            if len(results) == 2 and not close(results[0], results[1]):
                print(f"{name} at {version}: onnxruntime and the reference evaluator disagree", file=sys.stderr)
            values = results[0]
        if close(np.asarray(results[0]), values):
            sets.append(version)
        else:
            print(f"{name} at {version}: onnxruntime disagrees", file=sys.stderr)
    if not sets or values.dtype != np.float32 or not np.all(np.isfinite(values)) or values.size == 0:
        return None
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", sets[0])])
    model.ir_version = 8
    # As in a file: shapes of results are not stated.
    for o in model.graph.output:
        o.type.tensor_type.ClearField("shape")
    return {
        "name": name,
        "operator": operator,
        "operator_sets": sorted(sets),
        "model": base64.b64encode(model.SerializeToString()).decode(),
        "x": [float(v) for v in value.ravel()],
        "shape": list(values.shape),
        "y": [float(v) for v in values.ravel()],
    }


def standard_cases(table):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    seen = set()
    for case in cases:
        nodes = case.model.graph.node
        if case.name in seen or len(nodes) != 1 or nodes[0].domain or nodes[0].op_type not in table:
            continue
        seen.add(case.name)
        operator = nodes[0].op_type
        inputs, outputs = case.data_sets[0]
        for index, output in enumerate(case.model.graph.output):
            value = outputs[index]
            if index and operator != "Split":
                break
            if not isinstance(value, np.ndarray) or value.dtype.kind not in "fib":
                continue
            made = as_case(case.model, inputs, output.name)
            if made is None:
                continue
            graph, x = made
            size = x.size + value.size + sum(numpy_helper.to_array(t).size for t in graph.initializer)
            if size > ELEMENTS_MAX or not np.all(np.isfinite(x)):
                continue
            expected = value.astype(np.float32)
            if graph.input[0].name == "x_added":
                expected = expected + np.float32(0.5)
            elif value.dtype != np.float32:
                continue
            name = case.name.removeprefix("test_") + (f"_output{index}" if index else "")
            yield name, operator, graph, x, expected


def main():
    table = operators()
    found = []
    for name, operator, graph, value, expected in standard_cases(table):
        versions = {v for v in table[operator] if v in SETS} | {21}
        case = entry(name, operator, graph, value, expected, versions)
        if case is None:
            print(f"{name}: left out", file=sys.stderr)
        else:
            found.append(case)
    for name, operator, graph, value, versions, *stand_in in own_cases.cases():
        versions = versions or set(table[operator]) | {21}
        case = entry("own_" + name, operator, graph, value, None, versions, *stand_in)
        if case is None:
            print(f"own {name}: left out", file=sys.stderr)
        else:
            found.append(case)
    missing = {
        f"{o} {v}"
        for o, versions in table.items()
        for v in versions
        if not any(c["operator"] == o and v in c["operator_sets"] for c in found)
    }
    print(f"{len(found)} cases, {sum(len(c['operator_sets']) for c in found)} with operator sets")
    print("without a case:", ", ".join(sorted(missing)) or "none")
    tools = {"onnx": onnx.__version__, "onnxruntime": ort.__version__, "numpy": np.__version__}
    text = json.dumps({"tools": tools, "cases": found})
    path = ROOT / "tests/golden/operators.json.gz"
    with gzip.GzipFile(path, "wb", mtime=0) as f:
        f.write(text.encode())
    print(path, path.stat().st_size)


main()
