"""Writes tests/golden/networks.json.gz: small networks as PyTorch and Keras export them, with their outputs.

    pip install torch onnxscript onnx numpy            (PyTorch part)
    pip install tensorflow-cpu tf2onnx onnx numpy      (Keras part, may be another environment)
    python3 tools/onnx-cases/make_networks.py torch
    python3 tools/onnx-cases/make_networks.py keras

Each call replaces its own part of the file. The exports are those that docs/import.md shows.
"""

import base64
import gzip
import io
import json
import pathlib
import sys

import numpy as np

PATH = pathlib.Path(__file__).parents[2] / "tests/golden/networks.json.gz"


def entry(name, model, x, y):
    return {
        "name": name,
        "model": base64.b64encode(model).decode(),
        "x": [float(v) for v in np.asarray(x).ravel()],
        "y": [float(v) for v in np.asarray(y).ravel()],
    }


def torch_networks():
    from torch import nn

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU())
            self.second = nn.Conv2d(4, 4, 3, padding=1, groups=2)
            self.skip = nn.Conv2d(2, 4, 1, stride=2)
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            hidden = (self.second(self.first(x)) + self.skip(x)).relu()
            return self.head(hidden.mean(dim=(2, 3)))

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.queries, self.keys, self.values = (nn.Linear(8, 8) for _ in range(3))
            self.normal = nn.LayerNorm(8)
            self.mix = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
            self.head = nn.Linear(8, 2)

        def forward(self, x):
            q, k, v = (f(x).unflatten(-1, (2, 4)).transpose(1, 2) for f in (self.queries, self.keys, self.values))
            weights = (q @ k.transpose(-1, -2) / 2.0).softmax(-1)
            mixed = (weights @ v).transpose(1, 2).flatten(2)
            hidden = self.normal(x + mixed)
            return self.head((hidden + self.mix(hidden)).mean(1))

    sensor = nn.Sequential(
        nn.Conv1d(3, 6, 5, padding=2), nn.LeakyReLU(0.1), nn.MaxPool1d(2),
        nn.Conv1d(6, 6, 3, groups=6, dilation=2), nn.SiLU(), nn.AvgPool1d(2, ceil_mode=True),
        nn.Flatten(), nn.Linear(12, 4), nn.LogSoftmax(1),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(4, 12), nn.Unflatten(1, (3, 2, 2)), nn.ConvTranspose2d(3, 2, 3, stride=2, output_padding=1),
        nn.Upsample(scale_factor=2), nn.Hardtanh(), nn.ConstantPad2d((1, 0, 0, 2), 0.25), nn.GroupNorm(1, 2),
        nn.PixelShuffle(1), nn.Sigmoid(),
    )  # fmt: skip
    plain = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 6), nn.ELU(), nn.Linear(6, 2), nn.Softsign())
    return {
        "residual": (Residual(), (1, 2, 9, 8)),
        "attention": (Attention(), (1, 5, 8)),
        "sensor": (sensor, (1, 3, 16)),
        "decoder": (decoder, (1, 4)),
        "plain": (plain, (1, 5)),
    }


def torch_part():
    import torch

    torch.manual_seed(3)
    found = []
    for name, (net, shape) in torch_networks().items():
        for part in net.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2)
        net.eval()
        x = torch.randn(shape)
        y = net(x).detach().numpy()
        for opset in (11, 13, 17):
            file = io.BytesIO()
            try:
                torch.onnx.export(net, x, file, opset_version=opset, dynamo=False)
            except torch.onnx.errors.UnsupportedOperatorError as problem:
                print(f"{name} at {opset}: {problem}", file=sys.stderr)
                continue
            found.append(entry(f"torch script {name} {opset}", file.getvalue(), x, y))
        program = torch.onnx.export(net, (x,), dynamo=True, opset_version=18)
        found.append(entry(f"torch dynamo {name} 18", program.model_proto.SerializeToString(), x, y))
    return {"torch": torch.__version__}, found


def keras_part():
    import keras
    import tensorflow as tf
    import tf2onnx

    keras.utils.set_random_seed(3)
    layers = keras.layers
    image = keras.Sequential([
        layers.Input((8, 8, 2)), layers.Conv2D(4, 3, padding="same", strides=2, activation="relu"),
        layers.BatchNormalization(), layers.DepthwiseConv2D(3, padding="same"), layers.LeakyReLU(),
        layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    sensor = keras.Sequential([
        layers.Input((16, 3)), layers.Conv1D(6, 5, padding="same", activation="tanh"),
        layers.GlobalAveragePooling1D(), layers.Dense(4, activation="elu"), layers.Dense(2),
    ])  # fmt: skip
    found = []
    for name, net in {"image": image, "sensor": sensor}.items():
        x = np.random.default_rng(3).normal(size=(1, *net.input_shape[1:])).astype(np.float32)
        signature = [tf.TensorSpec((1, *net.input_shape[1:]), tf.float32)]
        for opset in (11, 13, 17):
            model, _ = tf2onnx.convert.from_function(tf.function(net), signature, opset=opset)
            found.append(entry(f"keras {name} {opset}", model.SerializeToString(), x, net(x)))
    return {"tensorflow": tf.__version__, "keras": keras.__version__, "tf2onnx": tf2onnx.__version__}, found


def main(part):
    old = json.loads(gzip.decompress(PATH.read_bytes())) if PATH.exists() else {"tools": {}, "networks": []}
    tools, networks = {"torch": torch_part, "keras": keras_part}[part]()
    kept = [n for n in old["networks"] if not n["name"].startswith(part)]
    text = json.dumps({"tools": old["tools"] | tools, "networks": kept + networks})
    with gzip.GzipFile(PATH, "wb", mtime=0) as f:
        f.write(text.encode())
    print(len(kept) + len(networks), "networks,", PATH.stat().st_size, "bytes")


main(sys.argv[1])
