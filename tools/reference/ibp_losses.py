#!/usr/bin/env python3
"""Losses of interval training and their gradients, by PyTorch in f64: golden values for the tests of `certus-learn`.

    python tools/reference/ibp_losses.py > host/learn/tests/golden/ibp_losses.json

Two networks (dense; convolutions with batch normalisation) with weights from a formula that the test repeats. Boxes are `x ± epsilon` cut to
[0, 1], epsilon per element. Needs torch alone.
"""

import json

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
BATCH = 16


def numbers(count, seed):
    """Numbers in [-1, 1] that any language gets exactly: multiples of 2^-10."""
    state, out = seed, []
    for _ in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        out.append((state >> 10) % 2048 / 1024.0 - 1.0)
    return out


def tensor(shape, seed, scale=1.0, shift=0.0):
    count = 1
    for n in shape:
        count *= n
    return (torch.tensor(numbers(count, seed)).reshape(shape) * scale + shift).requires_grad_()


def networks():
    """Layers: ("dense", W, b), ("conv", W, b, stride, pad), ("norm", scale, shift), ("relu",)."""
    dense = [
        ("dense", tensor((7, 12), 1, 0.5), tensor((7,), 2, 0.25)),
        ("relu",),
        ("dense", tensor((6, 7), 3, 0.5), tensor((6,), 4, 0.25)),
        ("relu",),
        ("dense", tensor((4, 6), 5, 0.5), tensor((4,), 6, 0.25)),
    ]
    conv = [
        ("conv", tensor((3, 2, 3, 3), 7, 0.5), tensor((3,), 8, 0.25), 2, 1),
        ("norm", tensor((3,), 9, 0.5, 1.0), tensor((3,), 10, 0.25)),
        ("relu",),
        ("dense", tensor((5, 27), 11, 0.25), tensor((5,), 12, 0.25)),
        ("norm", tensor((5,), 13, 0.5, 1.0), tensor((5,), 14, 0.25)),
        ("relu",),
        ("dense", tensor((3, 5), 15, 0.5), tensor((3,), 16, 0.25)),
    ]
    return {"dense": (dense, (12,)), "conv": (conv, (2, 5, 6))}


def forward(layers, x):
    statistics = []
    for kind, *p in layers:
        if kind == "dense":
            x = F.linear(x.flatten(1), p[0], p[1])
        elif kind == "conv":
            x = F.conv2d(x, p[0], p[1], p[2], p[3])
        elif kind == "norm":
            dims = [0] + list(range(2, x.dim()))
            mean, variance = x.mean(dims), x.var(dims, unbiased=False)
            statistics.append((mean, variance))
            view = [1, -1] + [1] * (x.dim() - 2)
            x = (x - mean.view(view)) / torch.sqrt(variance.view(view) + 1e-5) * p[0].view(view) + p[1].view(view)
        else:
            x = F.relu(x)
    return x, statistics


def boxes(layers, lower, upper, statistics):
    c, r, before, norms = (lower + upper) / 2, (upper - lower) / 2, [], iter(statistics)
    for kind, *p in layers[:-1]:
        if kind == "dense":
            c, r = F.linear(c.flatten(1), p[0], p[1]), F.linear(r.flatten(1), p[0].abs())
        elif kind == "conv":
            c, r = F.conv2d(c, p[0], p[1], p[2], p[3]), F.conv2d(r, p[0].abs(), None, p[2], p[3])
        elif kind == "norm":
            mean, variance = next(norms)
            factor = p[0] / torch.sqrt(variance + 1e-5)
            view = [1, -1] + [1] * (c.dim() - 2)
            c = c * factor.view(view) + (p[1] - mean * factor).view(view)
            r = r * factor.abs().view(view)
        else:
            before.append((c, r))
            u, l = F.relu(c + r), F.relu(c - r)
            c, r = (u + l) / 2, (u - l) / 2
    return c.flatten(1), r.flatten(1), before


def margins(layers, c, r, y):
    w, b = layers[-1][1], layers[-1][2]
    z, d = F.linear(c, w, b), (w[:, None] - w[None]).abs()
    return z.gather(1, y[:, None]) - z - torch.einsum("bjh,bh->bj", d[y], r)


def regularisers(before, radius, tol=0.5):
    total = 0.0
    for c, r in before:
        total = total + F.relu(tol - radius.mean() / r.mean()) / tol
        active, inactive = (c - r) > 0, (c + r) < 0
        off = (c - c.mean()) ** 2
        first = (c * active).sum() / (-c * inactive).sum()
        second = (off * active).sum() / (off * inactive).sum()
        for q in (first, second):
            total = total + F.relu(tol - torch.minimum(q, 1 / q)) / tol
    return total / len(before)


def main():
    out = {}
    for name, (layers, shape) in networks().items():
        parameters = [p for layer in layers for p in layer[1:3] if torch.is_tensor(p)]
        x = tensor((BATCH, *shape), 17, 0.5, 0.5).detach()
        epsilon = tensor(shape, 18, 0.03, 0.05).detach()
        y = torch.tensor([k * 5 % layers[-1][1].shape[0] for k in range(BATCH)])
        logits, statistics = forward(layers, x)
        lower, upper = (x - epsilon).clamp(min=0), (x + epsilon).clamp(max=1)
        c, r, before = boxes(layers, lower, upper, statistics)
        m = margins(layers, c, r, y)
        losses = {
            "clean": F.cross_entropy(logits, y),
            "worst_case": F.cross_entropy(-m, y),
            "regularisers": regularisers(before, (upper - lower) / 2),
        }
        found = {"margins": m.flatten().tolist(), "logits": logits.flatten().tolist()}
        for key, loss in losses.items():
            gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
            flat = [torch.zeros_like(p) if g is None else g for g, p in zip(gradients, parameters)]
            found[key] = {"value": loss.item(), "gradients": [g.flatten().tolist() for g in flat]}
        out[name] = found
    json.dump(out, __import__("sys").stdout)


if __name__ == "__main__":
    main()
