#!/usr/bin/env python3
"""CROWN-IBP bounds, the loss with the cross entropy fused into the network, and their gradients, by auto_LiRPA in f64: golden values for the
tests of `certus-learn`.

    python tools/reference/crown_losses.py > host/learn/tests/golden/crown_losses.json

The networks, boxes and labels of `ibp_losses.py`; batch normalisations divide by fixed statistics. Needs auto_LiRPA (see `lirpa.py`).
"""

import json
import sys

import torch
import torch.nn.functional as F
from ibp_losses import BATCH, networks, tensor

from lirpa import COMMIT, quiet

from auto_LiRPA import BoundedModule, BoundedTensor, CrossEntropyWrapper, PerturbationLpNorm
from auto_LiRPA.bound_ops import BoundExp

torch.set_default_dtype(torch.float64)
BETA = 0.25


def module(layers, shape):
    """A torch module of these layers, and the statistics of its batch normalisations."""
    parts, statistics, channels, image = [], [], shape[0], len(shape) == 3
    for kind, *p in layers:
        if kind == "dense":
            if image:
                parts.append(torch.nn.Flatten())
            part, image, channels = torch.nn.Linear(p[0].shape[1], p[0].shape[0]), False, p[0].shape[0]
        elif kind == "conv":
            part = torch.nn.Conv2d(p[0].shape[1], p[0].shape[0], p[0].shape[2], p[2], p[3])
            channels = p[0].shape[0]
        elif kind == "norm":
            part = (torch.nn.BatchNorm2d if image else torch.nn.BatchNorm1d)(channels)
            seed = 20 + 2 * len(statistics)
            part.running_mean.copy_(tensor((channels,), seed, 0.5).detach())
            part.running_var.copy_(tensor((channels,), seed + 1, 0.25, 1.0).detach())
            statistics.append([part.running_mean.tolist(), part.running_var.tolist()])
        else:
            part = torch.nn.ReLU()
        if kind != "relu":
            with torch.no_grad():
                part.weight.copy_(p[0])
                part.bias.copy_(p[1])
        parts.append(part)
    return torch.nn.Sequential(*parts).eval(), statistics


def value_and_gradients(bounded, names, of):
    """A loss, and its gradients to the parameters of these original names."""
    found = {n.ori_name.removeprefix("model."): n.param for n in bounded.modules() if hasattr(n, "param")}
    all_of = torch.autograd.grad(of, [found[name] for name in names], retain_graph=True, allow_unused=True)
    flat = [torch.zeros_like(found[n]) if g is None else g for g, n in zip(all_of, names)]
    return {"value": of.item(), "gradients": [g.flatten().tolist() for g in flat]}


def margin_rows(y, classes):
    """Label less each class; the label's own row is 0."""
    unit = torch.eye(classes)
    return unit[y][:, None] - unit[None]


def main():
    out = {"tool": f"auto_LiRPA {COMMIT}", "beta": BETA}
    for name, (layers, shape) in networks().items():
        x = tensor((BATCH, *shape), 17, 0.5, 0.5).detach()
        epsilon = tensor(shape, 18, 0.03, 0.05).detach()
        lower, upper = (x - epsilon).clamp(min=0), (x + epsilon).clamp(max=1)
        centre = (lower + upper) / 2
        y = torch.tensor([k * 5 % layers[-1][1].shape[0] for k in range(BATCH)])
        rows = margin_rows(y, layers[-1][1].shape[0])
        found = {}
        for slope in ("adaptive", "same-slope"):
            plain, statistics = module(layers, shape)
            names = [n for n, _ in plain.named_parameters()]
            options = {"activation_bound_option": slope, "conv_mode": "matrix"}
            with quiet():
                bounded = BoundedModule(plain, centre, bound_opts=options)
            box = lambda: BoundedTensor(centre, PerturbationLpNorm(x_L=lower, x_U=upper))
            margins, _ = bounded.compute_bounds(x=(box(),), C=rows, method="CROWN-IBP", bound_upper=False)
            loss = F.cross_entropy(-margins, y)
            found[slope] = {
                "margins": margins.flatten().tolist(),
                "loss": value_and_gradients(bounded, names, loss),
            }

            plain, _ = module(layers, shape)
            options = {**options, "loss_fusion": True}
            with quiet():
                fused = BoundedModule(CrossEntropyWrapper(plain), (centre, y), bound_opts=options)
            _, interval = fused.compute_bounds(x=(box(), y), IBP=True, method=None)
            (exp,) = [m for m in fused.modules() if isinstance(m, BoundExp)]
            # Intervals are shifted by a maximum through which gradients flow, the backward pass by a constant of the same value; a mixture of
            # both has the gradient of its value only if the shift is the same.
            interval = interval * (exp.max_input - exp.max_input.detach()).exp()
            _, crown = fused.compute_bounds(x=None, IBP=False, method="backward", bound_lower=False, bound_upper=True)
            for key, beta in [("fused", 1.0), ("mixed", BETA)]:
                each = (crown * beta + interval * (1 - beta)).log() + exp.max_input
                found[slope][key] = {
                    "each": each.flatten().tolist(),
                    **value_and_gradients(fused, names, each.mean()),
                }
        found["statistics"] = statistics
        out[name] = found
    json.dump(out, sys.stdout)


main()
