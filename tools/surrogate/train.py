"""Trains the surrogate network and writes `surrogate.onnx` (needs numpy and onnx; see README.md).

A multilayer perceptron on normalised inputs, trained on the policy of `encounter.py`. The loss mixes the
cross entropy at the state with the cross entropy of the worst logits that interval bound propagation
finds in a box of `EPSILON` around it (Gowal et al. 2018, arXiv:1810.12715), so that boxes of that size
can later be certified. Gradients are written out by hand: forward and backward pass are 40 lines.
"""

import argparse
import pathlib

import numpy as np

import encounter

SEED = 20260101
HIDDEN = [40, 40, 40, 40]
EPSILON = np.array([10.0, 0.005, 0.005, 0.25, 0.25])  # metres, radians, radians, m/s, m/s
KAPPA = 0.75  # weight of the plain loss; the rest is the loss of the worst case
TEMPERATURE = 0.02  # costs closer than this are almost a tie, so the target is soft
WEIGHT_DECAY = 1e-5


def normaliser(dtype=np.float32):
    """Shift and scale that map the box of states to [-1, 1]; the scale is what the network holds."""
    mean = ((encounter.LOWER + encounter.UPPER) / 2).astype(dtype)
    scale = (2.0 / (encounter.UPPER - encounter.LOWER)).astype(dtype)
    return mean, scale


def init(rng):
    sizes = [5, *HIDDEN, 5]
    return [
        [rng.normal(0, np.sqrt(2.0 / i), (o, i)).astype(np.float32), np.zeros(o, np.float32)]
        for i, o in zip(sizes, sizes[1:])
    ]


def forward(params, x):
    """Logits and the post-activations of every layer."""
    posts = [x]
    for k, (w, b) in enumerate(params):
        z = posts[-1] @ w.T + b
        posts.append(np.maximum(z, 0) if k + 1 < len(params) else z)
    return posts


def backward(params, posts, grad):
    grads = []
    for k in range(len(params) - 1, -1, -1):
        grads.append([grad.T @ posts[k], grad.sum(0)])
        if k:
            grad = (grad @ params[k][0]) * (posts[k] > 0)
    return grads[::-1]


def forward_box(params, center, radius):
    """Interval bounds in centre and radius form; what the backward pass needs is kept."""
    tape = []
    for k, (w, b) in enumerate(params):
        c, r = center @ w.T + b, radius @ np.abs(w).T
        tape.append((center, radius, c, r))
        if k + 1 < len(params):
            low, high = np.maximum(c - r, 0), np.maximum(c + r, 0)
            center, radius = (low + high) / 2, (high - low) / 2
    return c, r, tape


def backward_box(params, tape, grad_c, grad_r):
    grads = []
    for k in range(len(params) - 1, -1, -1):
        w = params[k][0]
        center, radius, c, r = tape[k]
        if k + 1 < len(params):  # through relu: low = relu(c - r), high = relu(c + r)
            low, high = (grad_c - grad_r) / 2 * (c - r > 0), (grad_c + grad_r) / 2 * (c + r > 0)
            grad_c, grad_r = low + high, high - low
        grads.append([grad_c.T @ center + np.sign(w) * (grad_r.T @ radius), grad_c.sum(0)])
        grad_c, grad_r = grad_c @ w, grad_r @ np.abs(w)
    return grads[::-1]


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def step_gradients(params, x, target, radius, kappa):
    """Gradient of the mixed loss, and both losses."""
    n = len(x)
    posts = forward(params, x)
    p = softmax(posts[-1])
    plain = -(target * np.log(p + 1e-12)).sum(1).mean()
    grads = backward(params, posts, (kappa / n) * (p - target))
    worst = 0.0
    if kappa < 1.0:
        c, r, tape = forward_box(params, x, np.broadcast_to(radius, x.shape))
        # Worst logits for the best advisory: its lower bound, the upper bounds of the others.
        sign = np.where(np.arange(5)[None] == target.argmax(1)[:, None], -1.0, 1.0).astype(np.float32)
        q = softmax(c + sign * r)
        worst = -(target * np.log(q + 1e-12)).sum(1).mean()
        g = ((1 - kappa) / n) * (q - target)
        for total, extra in zip(grads, backward_box(params, tape, g, sign * g)):
            total[0] += extra[0]
            total[1] += extra[1]
    return grads, plain, worst


def make_data(rng, n):
    """Half from close encounters, a third close range, the rest uniform; soft targets from the costs."""
    states = np.concatenate(
        [encounter.encounter_states(rng, 2 * n // 3), encounter.uniform_states(rng, n - 2 * n // 3)]
    )
    labels, targets = [], []
    for at in range(0, n, 20000):
        c = encounter.costs(states[at : at + 20000])
        labels.append(c.argmin(1))
        targets.append(softmax(-c / TEMPERATURE))
    return states.astype(np.float32), np.concatenate(labels), np.concatenate(targets).astype(np.float32)


def train(rng, data, epochs, batch):
    states, _, targets = data
    mean, scale = normaliser()
    x = (states - mean) * scale
    radius = (EPSILON * scale).astype(np.float32)
    params = init(rng)
    m = [[np.zeros_like(a) for a in layer] for layer in params]
    v = [[np.zeros_like(a) for a in layer] for layer in params]
    steps, t = epochs * (len(x) // batch), 0
    for epoch in range(epochs):
        order, losses = rng.permutation(len(x)), []
        for at in range(0, len(x) - batch + 1, batch):
            t += 1
            done = t / steps
            ramp = min(1.0, max(0.0, (done - 0.1) / 0.5))  # the box grows from a tenth to 60 % of the steps
            rate = 2e-3 * 0.5 * (1 + np.cos(np.pi * done)) * min(1.0, t / 500)
            rows = order[at : at + batch]
            grads, plain, worst = step_gradients(
                params, x[rows], targets[rows], radius * ramp, 1.0 - (1.0 - KAPPA) * (ramp > 0)
            )
            losses.append((plain, worst))
            for layer, g, m1, v1 in zip(params, grads, m, v):
                for i in range(2):
                    m1[i] += 0.1 * (g[i] - m1[i])
                    v1[i] += 0.001 * (g[i] ** 2 - v1[i])
                    update = (m1[i] / (1 - 0.9**t)) / (np.sqrt(v1[i] / (1 - 0.999**t)) + 1e-8)
                    layer[i] -= (rate * (update + WEIGHT_DECAY * layer[i] * (i == 0))).astype(np.float32)
        if epoch % 5 == 4 or epoch + 1 == epochs:
            print(f"epoch {epoch + 1:3d}  plain {np.mean(losses, 0)[0]:.4f}  worst {np.mean(losses, 0)[1]:.4f}", flush=True)
    return params


def accuracy(params, data):
    """Share of states whose advisory is the policy's, and that of the clear-cut ones among them."""
    states, labels, targets = data
    mean, scale = normaliser()
    out = forward(params, (states - mean) * scale)[-1].argmax(1)
    ordered = np.sort(targets, 1)
    clear_cut = ordered[:, -1] > 0.9
    return (out == labels).mean(), (out == labels)[clear_cut].mean(), clear_cut.mean()


def certified_share(params, states, factor):
    """Share of states whose advisory interval bounds prove constant in `factor` times `EPSILON`."""
    mean, scale = normaliser()
    x = (states - mean) * scale
    out = forward(params, x)[-1].argmax(1)
    c, r, _ = forward_box(params, x, np.broadcast_to((factor * EPSILON * scale).astype(np.float32), x.shape))
    lower = (c - r)[np.arange(len(x)), out]
    upper = c + r
    upper[np.arange(len(x)), out] = -np.inf
    return (lower > upper.max(1)).mean()


def export(params, path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    mean, scale = normaliser()
    constants = [("mean", mean), ("scale", scale)]
    nodes = [
        helper.make_node("Sub", ["state", "mean"], ["centred"], name="normalise_shift"),
        helper.make_node("Mul", ["centred", "scale"], ["normalised"], name="normalise_scale"),
    ]
    at = "normalised"
    for k, (w, b) in enumerate(params):
        last = k + 1 == len(params)
        constants += [(f"w{k}", w), (f"b{k}", b)]
        out = "advisory" if last else f"pre{k}"
        nodes.append(helper.make_node("Gemm", [at, f"w{k}", f"b{k}"], [out], name=f"layer{k}", transB=1))
        if not last:
            nodes.append(helper.make_node("Relu", [out], [f"post{k}"], name=f"relu{k}"))
            at = f"post{k}"
    graph = helper.make_graph(
        nodes,
        "surrogate",
        [helper.make_tensor_value_info("state", TensorProto.FLOAT, [1, 5])],
        [helper.make_tensor_value_info("advisory", TensorProto.FLOAT, [1, 5])],
        [numpy_helper.from_array(np.ascontiguousarray(a, dtype=np.float32), name) for name, a in constants],
    )
    model = helper.make_model(
        graph, producer_name="certus-surrogate", ir_version=8, opset_imports=[helper.make_opsetid("", 13)]
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("surrogate.onnx"))
    parser.add_argument("--states", type=int, default=400_000)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch", type=int, default=1024)
    args = parser.parse_args()
    rng = np.random.default_rng(SEED)
    data = make_data(rng, args.states)
    held_out = make_data(np.random.default_rng(SEED + 1), 50_000)
    print("labels", np.bincount(data[1], minlength=5) / len(data[1]))
    params = train(rng, data, args.epochs, args.batch)
    print("accuracy: all %.4f, clear-cut %.4f (%.3f of all)" % accuracy(params, held_out))
    close = encounter.encounter_states(np.random.default_rng(SEED + 2), 10_000).astype(np.float32)
    for factor in (0.25, 0.5, 1.0, 2.0):
        print(f"certified by intervals at {factor} epsilon: {certified_share(params, close, factor):.3f}")
    export(params, args.out)


if __name__ == "__main__":
    main()
