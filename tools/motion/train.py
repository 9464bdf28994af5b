#!/usr/bin/env python3
"""Trains the motion network of the firmware example and writes it as ONNX.

Input: BasicMotions of the UCR/UEA archive (6 channels of a wrist sensor at 10 Hz, 4 activities), as CSV with lines
`label,series;series;…`, one comma-separated series of 100 samples for each channel. Output: `motion.onnx`, whose input is a window
[1, 6, 32] in raw units; `stream.csv`, test series one after the other, one sample of 6 channels in a row; `range.csv` and
`epsilon.csv` for `certus export`, the same number for all times of a channel.

Network: batch norm (normalises), 5-tap convolution, batch norm, leaky ReLU; a residual block of a depthwise and a pointwise
convolution with batch norms; max pooling; a convolution with stride 2; average pooling; a dense layer.

usage: train.py TRAIN.csv[.gz] TEST.csv[.gz] OUT_DIR      needs numpy, autograd, onnx
"""

import gzip
import os
import sys

import autograd.numpy as np
import numpy
import onnx
from autograd import grad
from onnx import TensorProto, helper, numpy_helper

WINDOW = 32
NAMES = ["standing", "running", "walking", "badminton"]
SLOPE = 0.1
EPSILON = [0.05, 0.05, 0.05, 0.03, 0.03, 0.03]  # accelerometer, gyroscope; raw units
NOISE = 0.15  # of a channel's standard deviation, added in training


def read(path):
    opener = gzip.open if path.endswith(".gz") else open
    series, labels = [], []
    with opener(path, "rt") as file:
        for line in file:
            label, rest = line.strip().split(",", 1)
            series.append([[float(v) for v in channel.split(",")] for channel in rest.split(";")])
            labels.append(NAMES.index(label.lower()))
    return numpy.array(series), numpy.array(labels)


def windows(series, labels, step):
    starts = range(0, series.shape[2] - WINDOW + 1, step)
    x = numpy.concatenate([series[:, :, s : s + WINDOW] for s in starts])
    return x, numpy.concatenate([labels for _ in starts])


def conv(x, w, pad, stride=1, groups=1):
    """[B, C, T] with [O, C / groups, K]."""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad)), "constant")
    taps = w.shape[2]
    length = (x.shape[2] - taps) // stride + 1
    parts = [x[:, :, k : k + stride * (length - 1) + 1 : stride] for k in range(taps)]
    if groups == 1:
        return sum(np.einsum("bct,oc->bot", part, w[:, :, k]) for k, part in enumerate(parts))
    return sum(part * w[None, :, 0, k, None] for k, part in enumerate(parts))


def leaky(z):
    return np.where(z >= 0, z, SLOPE * z)


NORMS = ["n0", "n1", "n2", "n3", "n4"]


def norm(params, stats, name, x, batch):
    if batch is not None:
        mean, var = np.mean(x, axis=(0, 2)), np.var(x, axis=(0, 2))
        batch[name] = (mean, var)
    else:
        mean, var = stats[name]
    scale = params[name + "_g"] / np.sqrt(var + 1e-5)
    return x * scale[None, :, None] + (params[name + "_b"] - mean * scale)[None, :, None]


def forward(params, stats, x, batch=None):
    n = lambda name, x: norm(params, stats, name, x, batch)
    x = n("n0", x)
    x = leaky(n("n1", conv(x, params["c1"], 2)))
    y = leaky(n("n2", conv(x, params["dw"], 1, groups=12)))
    x = leaky(x + n("n3", conv(y, params["pw"], 0)))
    x = np.max(np.reshape(x, (x.shape[0], 12, WINDOW // 2, 2)), axis=3)
    x = leaky(n("n4", conv(x, params["c2"], 1, stride=2)))
    x = np.mean(x, axis=2)
    return np.dot(x, params["w"].T) + params["b"]


def loss(params, x, labels, batch):
    z = forward(params, None, x, batch)
    z = z - np.max(z, axis=1, keepdims=True)
    logp = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    decay = sum(np.sum(params[k] ** 2) for k in ["c1", "dw", "pw", "c2", "w"])
    return -np.mean(logp[np.arange(len(labels)), labels]) + 2e-3 * decay


def value(box):
    return numpy.array(getattr(box, "_value", box))


def train(x, labels, epochs=14, size=64):
    random = numpy.random.default_rng(7)
    shapes = {"c1": (12, 6, 5), "dw": (12, 1, 3), "pw": (12, 12, 1), "c2": (16, 12, 3), "w": (4, 16)}
    params = {k: random.normal(size=s) * (2 / numpy.prod(s[1:])) ** 0.5 for k, s in shapes.items()}
    params["b"] = numpy.zeros(4)
    for name, channels in zip(NORMS, [6, 12, 12, 12, 16]):
        params[name + "_g"], params[name + "_b"] = numpy.ones(channels), numpy.zeros(channels)
    stats = {}
    first = {k: numpy.zeros_like(v) for k, v in params.items()}
    second = {k: numpy.zeros_like(v) for k, v in params.items()}
    gradient = grad(loss)
    spread = x.std(axis=(0, 2))[None, :, None]
    step = 0
    for epoch in range(epochs):
        order = random.permutation(len(x))
        rate = 3e-3 * 0.5 * (1 + numpy.cos(numpy.pi * epoch / epochs))
        for start in range(0, len(x) - size + 1, size):
            rows = order[start : start + size]
            noisy = x[rows] + NOISE * spread * random.normal(size=x[rows].shape)
            batch = {}
            g = gradient(params, noisy, labels[rows], batch)
            for name, (mean, var) in batch.items():
                mean, var = value(mean), value(var)
                old = stats.get(name, (mean, var))
                stats[name] = (0.9 * old[0] + 0.1 * mean, 0.9 * old[1] + 0.1 * var)
            step += 1
            for k in params:
                first[k] = 0.9 * first[k] + 0.1 * g[k]
                second[k] = 0.99 * second[k] + 0.01 * g[k] ** 2
                params[k] = params[k] - rate * first[k] / (1 - 0.9**step) / (
                    numpy.sqrt(second[k] / (1 - 0.99**step)) + 1e-8
                )
    return params, stats


def write_onnx(params, stats, path):
    tensors, nodes = [], []

    def constant(name, values):
        tensors.append(numpy_helper.from_array(numpy.asarray(values, dtype=numpy.float32), name))
        return name

    def batch_norm(name, x, out):
        mean, var = stats[name]
        inputs = [x, constant(name + "_g", params[name + "_g"]), constant(name + "_b", params[name + "_b"])]
        inputs += [constant(name + "_mean", mean), constant(name + "_var", var)]
        nodes.append(helper.make_node("BatchNormalization", inputs, [out], name=out, epsilon=1e-5))

    def node(op, inputs, out, **attributes):
        nodes.append(helper.make_node(op, inputs, [out], name=out, **attributes))

    def convolution(name, x, out, pad, stride=1, group=1):
        taps = params[name].shape[2]
        node("Conv", [x, constant(name, params[name])], out, kernel_shape=[taps], pads=[pad, pad], strides=[stride], group=group)

    batch_norm("n0", "window", "normalised")
    convolution("c1", "normalised", "stem_conv", 2)
    batch_norm("n1", "stem_conv", "stem_norm")
    node("LeakyRelu", ["stem_norm"], "stem", alpha=SLOPE)
    convolution("dw", "stem", "depthwise", 1, group=12)
    batch_norm("n2", "depthwise", "depthwise_norm")
    node("LeakyRelu", ["depthwise_norm"], "depthwise_leaky", alpha=SLOPE)
    convolution("pw", "depthwise_leaky", "pointwise", 0)
    batch_norm("n3", "pointwise", "pointwise_norm")
    node("Add", ["stem", "pointwise_norm"], "sum")
    node("LeakyRelu", ["sum"], "block", alpha=SLOPE)
    node("MaxPool", ["block"], "pooled", kernel_shape=[2], strides=[2])
    convolution("c2", "pooled", "down_conv", 1, stride=2)
    batch_norm("n4", "down_conv", "down_norm")
    node("LeakyRelu", ["down_norm"], "down", alpha=SLOPE)
    node("GlobalAveragePool", ["down"], "average")
    node("Flatten", ["average"], "features", axis=1)
    node("Gemm", ["features", constant("w", params["w"]), constant("b", params["b"])], "activity", transB=1)
    graph = helper.make_graph(
        nodes,
        "motion",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, 6, WINDOW])],
        [helper.make_tensor_value_info("activity", TensorProto.FLOAT, [1, 4])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="certus tools/motion")
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main():
    train_path, test_path, out = sys.argv[1:4]
    series, labels = read(train_path)
    test_series, test_labels = read(test_path)
    params, stats = train(*windows(series, labels, 6))
    for name, s, l in [("train", series, labels), ("test", test_series, test_labels)]:
        x, y = windows(s, l, 4)
        right = numpy.argmax(forward(params, stats, x), axis=1) == y
        print(f"{name}: {right.mean():.4f} of {len(y)} windows")
    print("standard deviation per channel:", series.std(axis=(0, 2)))
    os.makedirs(out, exist_ok=True)
    write_onnx(params, stats, os.path.join(out, "motion.onnx"))
    chosen = [i for label in range(4) for i in numpy.flatnonzero(test_labels == label)[:3]]
    with open(os.path.join(out, "stream.csv"), "w") as file:
        file.write("acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z\n")
        for i in chosen:
            for t in range(series.shape[2]):
                file.write(",".join(f"{v:.6f}" for v in test_series[i, :, t]) + "\n")
    spread = lambda values: ",".join(f"{v:g}" for v in values for _ in range(WINDOW)) + "\n"
    names = ",".join(f"{c}_{t}" for c in ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"] for t in range(WINDOW))
    low, high = series.min(axis=(0, 2)), series.max(axis=(0, 2))
    for name, rows in [("range", [numpy.floor(1.25 * low), numpy.ceil(1.25 * high)]), ("epsilon", [EPSILON])]:
        with open(os.path.join(out, name + ".csv"), "w") as file:
            file.write(names + "\n" + "".join(spread(row) for row in rows))


main()
