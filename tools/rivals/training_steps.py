#!/usr/bin/env python3
"""Times training steps of certus beside the same steps in PyTorch, in turns.

usage: training_steps.py BENCH [--rounds 5] [--count 30] [--threads 1] [--csv FILE]

BENCH is the program that `cargo bench -p certus-learn --bench steps --no-run` names. PyTorch: `pip install torch numpy`.
A step is a batch of 128 random images of 28 x 28: forward, backward, gradient clipped to norm 10, Adam. The figure is the
processor's time per step, which other work on the machine disturbs less than the clock; each round measures both, and the
table shows medians over the rounds.
"""
import argparse
import csv
import os
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

BATCH = 128
STEPS = ["clean", "ibp", "ibp+clean", "ibp+regularisers"]


def network(name):
    """The reference networks; `cnn-bn` normalises behind each hidden affine layer."""
    if name == "mlp":
        hidden = [nn.Flatten(), nn.Linear(784, 512), nn.Linear(512, 512)]
        last = nn.Linear(512, 10)
    else:
        hidden = [nn.Conv2d(1, 16, 4, 2, 1), nn.Conv2d(16, 32, 4, 2, 1), nn.Flatten(), nn.Linear(1568, 100)]
        last = nn.Linear(100, 10)
    layers = []
    for layer in hidden:
        layers.append(layer)
        if isinstance(layer, nn.Flatten):
            continue
        if name == "cnn-bn":
            norm = nn.BatchNorm2d(layer.out_channels) if isinstance(layer, nn.Conv2d) else nn.BatchNorm1d(layer.out_features)
            layers.append(norm)
        layers.append(nn.ReLU())
    return nn.Sequential(*layers, last)


def points(layers, x):
    """Logits, and mean and variance of each normalisation over the batch."""
    statistics_of = {}
    for layer in layers:
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            over = [0] + list(range(2, x.dim()))
            statistics_of[layer] = (x.mean(over), x.var(over, unbiased=False))
        x = layer(x)
    return x, statistics_of


def boxes(layers, centre, radius, statistics_of):
    """Centre and radius before the last layer, and those before each ReLU."""
    before = []
    for layer in layers[:-1]:
        if isinstance(layer, nn.Linear):
            centre, radius = layer(centre), F.linear(radius, layer.weight.abs())
        elif isinstance(layer, nn.Conv2d):
            size = F.conv2d(radius, layer.weight.abs(), None, layer.stride, layer.padding)
            centre, radius = layer(centre), size
        elif isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            mean, variance = statistics_of[layer]
            factor = layer.weight / torch.sqrt(variance + layer.eps)
            shape = [1, -1] + [1] * (centre.dim() - 2)
            centre = centre * factor.view(shape) + (layer.bias - mean * factor).view(shape)
            radius = radius * factor.abs().view(shape)
        elif isinstance(layer, nn.ReLU):
            before.append((centre, radius))
            upper, lower = F.relu(centre + radius), F.relu(centre - radius)
            centre, radius = (upper + lower) / 2, (upper - lower) / 2
        else:
            centre, radius = centre.flatten(1), radius.flatten(1)
    return centre, radius, before


def margins(last, centre, radius, label):
    """Lower bounds of the label's logit less each logit, the last layer elided."""
    logits = last(centre)
    sizes = (last.weight[:, None] - last.weight[None]).abs()
    reach = torch.einsum("bjh,bh->bj", sizes[label], radius)
    return logits.gather(1, label[:, None]) - logits - reach


def regularisers(before, input_radius, tolerance=0.5):
    """Shi et al. 2021, sections 4.2 and 4.3."""
    total = 0.0
    for centre, radius in before:
        total = total + F.relu(tolerance - input_radius / radius.mean().clamp(min=1e-12)) / tolerance
        active, inactive = (centre - radius) > 0, (centre + radius) < 0
        squares = (centre - centre.mean()) ** 2
        pairs = [((centre * active).sum(), -(centre * inactive).sum()), ((squares * active).sum(), (squares * inactive).sum())]
        for above, below in pairs:
            ratio = torch.min(above / below.clamp(min=1e-12), below / above.clamp(min=1e-12))
            total = total + F.relu(tolerance - ratio) / tolerance
    return total / len(before)


class Rival:
    def __init__(self, name, step):
        torch.manual_seed(0)
        self.step_kind = step
        self.layers = network(name)
        self.has_norm = name == "cnn-bn"
        self.adam = torch.optim.Adam(self.layers.parameters(), lr=5e-4)
        self.images = torch.rand(4 * BATCH, 1, 28, 28)
        self.labels = torch.randint(0, 10, (4 * BATCH,))

    def step(self):
        pick = torch.randint(0, 4 * BATCH, (BATCH,))
        x, y = self.images[pick], self.labels[pick]
        kind, layers = self.step_kind, self.layers
        loss, logits, known = 0.0, None, {}
        if self.has_norm or kind in ("clean", "ibp+clean"):
            logits, known = points(layers, x)
        if kind in ("clean", "ibp+clean"):
            loss = F.cross_entropy(logits, y) * (1.0 if kind == "clean" else 0.5)
        if kind != "clean":
            lower, upper = (x - 0.1).clamp(min=0), (x + 0.1).clamp(max=1)
            centre, radius, before = boxes(layers, (lower + upper) / 2, (upper - lower) / 2, known)
            worst = F.cross_entropy(-margins(layers[-1], centre, radius, y), y)
            loss = loss + worst * (0.5 if kind == "ibp+clean" else 1.0)
            if kind == "ibp+regularisers":
                loss = loss + 0.5 * regularisers(before, (upper - lower).mean() / 2)
        self.adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.layers.parameters(), 10.0)
        self.adam.step()
        return loss.item()


def time_rival(name, step, count):
    rival = Rival(name, step)
    for _ in range(5):
        rival.step()
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(count):
        rival.step()
    return [1e3 * (time.perf_counter() - wall) / count, 1e3 * (time.process_time() - processor) / count]


def time_certus(bench, name, step, threads, count):
    command = [bench, name, step, str(threads), "--count", str(count)]
    words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    value = lambda key: float(words[words.index(key) + 1])
    return [value("median"), value("processor")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--csv")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = {}
    for round_number in range(args.rounds):
        for name in ["mlp", "cnn", "cnn-bn"]:
            for step in STEPS:
                ours = time_certus(args.bench, name, step, args.threads, args.count)
                theirs = time_rival(name, step, args.count)
                rows.setdefault((name, step), []).append((ours, theirs))
                if sys.stderr.isatty():
                    print(f"\rround {round_number + 1} of {args.rounds}: {name} {step}      ", end="", file=sys.stderr)
    print(f"torch {torch.__version__}, {args.threads} threads, load {os.getloadavg()[0]:.1f}; ms of the processor per step")
    print(f"{'network':<8} {'step':<18} {'certus':>8} {'PyTorch':>8} {'ratio':>6} {'least':>6} {'wall ratio':>10}")
    table = []
    for (name, step), found in rows.items():
        ours = statistics.median(o[1] for o, _ in found)
        theirs = statistics.median(t[1] for _, t in found)
        ratios = [t[1] / o[1] for o, t in found]
        wall = statistics.median(t[0] / o[0] for o, t in found)
        ratio = statistics.median(ratios)
        print(f"{name:<8} {step:<18} {ours:>8.2f} {theirs:>8.2f} {ratio:>6.2f} {min(ratios):>6.2f} {wall:>10.2f}")
        table.append([name, step, args.threads, f"{ours:.3f}", f"{theirs:.3f}", f"{ratio:.3f}"])
    if args.csv:
        with open(args.csv, "w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["network", "step", "threads", "certus_ms", "pytorch_ms", "ratio"])
            out.writerows(table)


main()
