"""Small networks of kinds the benchmark sets lack, with weights from a fixed seed, for the auto_LiRPA comparison."""

import math

import torch
from torch import nn


class LeakyConv(nn.Module):
    """Strided convolution, leaky ReLU, a residual branch through tanh, transposed convolution, leaky ReLU, dense."""

    shape, radius = [1, 2, 8, 8], 0.04

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.branch = nn.Conv2d(4, 4, 3, padding=1)
        self.up = nn.ConvTranspose2d(4, 2, 4, stride=2, padding=1)
        self.dense = nn.Linear(2 * 8 * 8, 4)

    def forward(self, x):
        x = nn.functional.leaky_relu(self.down(x), 0.1)
        x = x + torch.tanh(self.branch(x))
        x = nn.functional.leaky_relu(self.up(x), 0.01)
        return self.dense(x.flatten(1))


class Elementary(nn.Module):
    """Sine, cosine, a product, powers 2 and 3, a quotient with a positive denominator, square root, exponential."""

    shape, radius = [1, 4], 0.1

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        pre = self.first(x)
        product = torch.sin(pre) * torch.cos(self.second(pre))
        below = 1.0 + torch.pow(product, 2)
        quotient = torch.pow(pre, 3) / below
        return self.last(quotient + torch.sqrt(below) + 0.1 * torch.exp(product))


class Attention(nn.Module):
    """One head of self-attention over 3 tokens of width 4, a residual addition, and a ReLU block."""

    shape, radius = [1, 3, 4], 0.03

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.wide, self.narrow, self.dense = nn.Linear(4, 8), nn.Linear(8, 4), nn.Linear(12, 3)

    def forward(self, x):
        scores = torch.matmul(self.query(x), self.key(x).transpose(1, 2)) / math.sqrt(4.0)
        x = x + torch.matmul(torch.softmax(scores, dim=-1), self.value(x))
        x = x + self.narrow(torch.relu(self.wide(x)))
        return self.dense(x.flatten(1))


SEED = 20261122
KINDS = {"leaky_conv": LeakyConv, "elementary": Elementary, "attention": Attention}


def make(name):
    """The network and the centre of its box, both from `SEED`."""
    torch.manual_seed(SEED)
    network = KINDS[name]().eval()
    return network, torch.randn(KINDS[name].shape) * 0.5


def export(name, path):
    """Writes the network as ONNX."""
    network, center = make(name)
    torch.onnx.export(network, center, path, input_names=["x"], output_names=["y"], opset_version=13, dynamo=False)
