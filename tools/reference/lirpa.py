"""What the two auto_LiRPA scripts share: networks, boxes, and the bound calls with their settings.

auto_LiRPA (commit 9d100ec, "Dec 2025 release") and onnx2pytorch (8447c42) must be importable, next to torch 2.8.0,
numpy below 2.3, onnx and onnxruntime. Neither is part of this repository.
"""

import contextlib
import gzip
import hashlib
import logging
import re
import time
import warnings

import numpy as np
import onnx
import torch

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

from auto_LiRPA import BoundedModule, BoundedTensor, PerturbationLpNorm  # noqa: E402

COMMIT = "9d100ec070868440b48d34e2f1dd21b97aab9172"
CONVERTER = "onnx2pytorch 8447c42c3192dad383e5598edc74dddac5706ee2"
# The optimiser of every alpha-CROWN figure; the rest of auto_LiRPA's options stay at their defaults.
ALPHA = {"iteration": 20, "lr_alpha": 0.1, "lr_decay": 0.98, "early_stop_patience": 1000}


def read(path):
    """The bytes of a file, unpacked if its name ends in `.gz`."""
    with (gzip.open if str(path).endswith(".gz") else open)(path, "rb") as file:
        return file.read()


def vnnlib_box(path):
    """Lower and upper input bounds of a VNN-LIB 1.0 file with one box, rounded to the nearest f32."""
    text = read(path).decode()
    size = len(re.findall(r"declare-const\s+X_\d+", text))
    lower, upper = np.full(size, -np.inf), np.full(size, np.inf)
    for relation, index, value in re.findall(r"\(\s*(<=|>=)\s+X_(\d+)\s+(\S+?)\s*\)", text):
        index, value = int(index), float(value)
        if relation == "<=":
            upper[index] = min(upper[index], value)
        else:
            lower[index] = max(lower[index], value)
    assert np.isfinite(lower).all() and np.isfinite(upper).all(), path
    return lower.astype(np.float32), upper.astype(np.float32)


def sha256(values):
    """Digest of the values as little-endian f32."""
    return hashlib.sha256(np.asarray(values, dtype="<f4").tobytes()).hexdigest()


def convert(model_bytes):
    """A torch module from an ONNX file. Parsed anew each time: the converter shares memory with the parsed model."""
    from onnx2pytorch import ConvertModel

    with quiet():
        return ConvertModel(onnx.load_from_string(model_bytes), experimental=True).eval()


def input_shape(model_bytes):
    """The shape of the network's only input, unknown extents as 1."""
    graph = onnx.load_from_string(model_bytes).graph
    constants = {t.name for t in graph.initializer}
    (entry,) = [i for i in graph.input if i.name not in constants]
    return [d.dim_value or 1 for d in entry.type.tensor_type.shape.dim]


def onnx_outputs(model_bytes, point):
    """onnxruntime's output at `point`, optimisations off."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model_bytes, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: point})[0].reshape(-1)


@contextlib.contextmanager
def quiet():
    """Swallows what the libraries print."""
    import io

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


class Problem:
    """A network on a box; every bound call starts from a fresh `BoundedModule`."""

    def __init__(self, make_module, shape, lower, upper):
        self.make_module = make_module
        self.lower = torch.tensor(lower).reshape(shape)
        self.upper = torch.tensor(upper).reshape(shape)
        self.center = (self.lower + self.upper) / 2
        with torch.no_grad(), quiet():
            self.output = make_module()(self.center).reshape(-1)

    def bounded(self, **options):
        """The bounded module and its input; `options` override auto_LiRPA's `bound_opts`."""
        options = {"conv_mode": "patches", "optimize_bound_args": ALPHA, **options}
        with quiet():
            module = BoundedModule(self.make_module(), self.center, bound_opts=options, device="cpu")
        return module, BoundedTensor(self.center, PerturbationLpNorm(x_L=self.lower, x_U=self.upper))

    def margin_rows(self, label):
        """One row per other class: output `label` minus that class. `[1, classes - 1, classes]`."""
        classes = self.output.numel()
        others = [k for k in range(classes) if k != label]
        rows = torch.zeros(1, classes - 1, classes)
        rows[0, range(classes - 1), label] = 1.0
        rows[0, range(classes - 1), others] = -1.0
        return rows


def intermediate_bounds(module):
    """Bounds of every node before the output that has them, by node name."""
    return {
        node.name: [node.lower.detach().clone(), node.upper.detach().clone()]
        for node in module.nodes()
        if node.perturbed and node.name not in module.root_names and node.name != module.final_name
        and isinstance(getattr(node, "lower", None), torch.Tensor) and isinstance(node.upper, torch.Tensor)
    }


def measure(call):
    """The result of `call` and its process CPU seconds."""
    start = time.process_time()
    with quiet():
        result = call()
    return result, time.process_time() - start
