"""Writes the properties of the surrogate as VNN-LIB, and searches for violations by sampling.

A property says of every state in a box that the advisory is among `allowed`. Its file states the violation:
some other advisory is at least as high as every allowed one. Sampling only finds violations; that
there are none is for the verifier to prove.
"""

import argparse
import pathlib

import numpy as np
import onnxruntime

import encounter

CLEAR, WEAK_LEFT, WEAK_RIGHT, STRONG_LEFT, STRONG_RIGHT = range(5)
ANY = {CLEAR, WEAK_LEFT, WEAK_RIGHT, STRONG_LEFT, STRONG_RIGHT}

# name: (meaning, box of range, bearing, heading, own speed, intruder speed, allowed advisories)
PROPERTIES = {
    "1_falling_behind_is_clear": (
        "An intruder behind and slower, on about the same course, is clear of conflict.",
        [(1000, 4000), (2.2, 3.1), (-0.6, 0.6), (42, 60), (20, 40)],
        {CLEAR},
    ),
    "2_opening_ahead_is_clear": (
        "An intruder ahead and faster, on about the same course, is clear of conflict.",
        [(1500, 5000), (-0.6, 0.6), (-0.5, 0.5), (25, 40), (50, 80)],
        {CLEAR},
    ),
    "3_head_on_is_not_clear": (
        "An intruder head-on between 1500 m and 2500 m never goes without a turn.",
        [(1500, 2500), (-0.05, 0.05), (3.04, 3.14), (35, 55), (40, 70)],
        ANY - {CLEAR},
    ),
    "4_head_on_goes_right": (
        "Head-on, a little to the left: own aircraft turns right, never left.",
        [(1500, 2200), (0.02, 0.1), (3.04, 3.14), (35, 55), (40, 70)],
        {WEAK_RIGHT, STRONG_RIGHT},
    ),
    "5_converging_from_left_no_left": (
        "An intruder abeam on the left that converges slowly never gets a turn towards it.",
        [(700, 1500), (1.3, 1.9), (-0.7, -0.2), (35, 55), (35, 55)],
        ANY - {WEAK_LEFT, STRONG_LEFT},
    ),
    "6_far_and_slow_is_clear": (
        "Beyond 4500 m two slow aircraft need no turn, wherever the intruder is and however it flies.",
        [(4500, 5000), (-3.14, 3.14), (-3.14, 3.14), (25, 30), (20, 30)],
        {CLEAR},
    ),
    "7_passing_abeam_left_is_clear": (
        "Opposite courses with an intruder abeam on the left are clear of conflict.",
        [(900, 3000), (1.4, 1.9), (2.8, 3.14), (30, 60), (30, 80)],
        {CLEAR},
    ),
    "8_beyond_3000_m_is_clear": (
        "A claim that is wrong: beyond 3000 m no turn is ever needed.",
        [(3000, 5000), (-0.5, 0.5), (-3.14, 3.14), (25, 60), (20, 80)],
        {CLEAR},
    ),
}


def vnnlib(meaning, box, allowed):
    lines = [f"; {meaning}", "; Inputs: range m, bearing rad, heading rad, own speed m/s, intruder speed m/s."]
    lines.append("; Outputs: clear, weak left, weak right, strong left, strong right; the largest is the advisory.")
    lines.append("; The file states the violation, as VNN-LIB does.")
    lines += [f"(declare-const X_{i} Real)" for i in range(5)]
    lines += [f"(declare-const Y_{i} Real)" for i in range(5)]
    for i, (lower, upper) in enumerate(box):
        lines += [f"(assert (>= X_{i} {float(lower)}))", f"(assert (<= X_{i} {float(upper)}))"]
    cases = [
        "(and " + " ".join(f"(>= Y_{bad} Y_{good})" for good in sorted(allowed)) + ")"
        for bad in sorted(ANY - allowed)
    ]
    lines.append("(assert (or\n  " + "\n  ".join(cases) + "\n))")
    return "\n".join(lines) + "\n"


def lowest_margin(evaluate, box, allowed, rng, rounds=12, samples=40000):
    """Smallest margin of an allowed advisory over the others that sampling and shrinking search find."""
    lower, upper = np.array(box, float).T
    best, at, radius = np.inf, (lower + upper) / 2, (upper - lower) / 2
    for k in range(rounds):
        low, high = (lower, upper) if k < 4 else (np.maximum(lower, at - radius), np.minimum(upper, at + radius))
        x = rng.uniform(low, high, (samples, 5)).astype(np.float32)
        y = evaluate(x)
        good = y[:, sorted(allowed)].max(1)
        margin = good - y[:, sorted(ANY - allowed)].max(1)
        if margin.min() < best:
            best, at = margin.min(), x[margin.argmin()].astype(float)
        if k >= 4:
            radius = radius * 0.6
    return best, at


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("assets", type=pathlib.Path)
    args = parser.parse_args()
    import onnx
    from onnx import numpy_helper

    model = onnx.load(args.assets / "surrogate.onnx")
    c = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}

    def evaluate(x):
        x, k = (x - c["mean"]) * c["scale"], 0
        while f"w{k}" in c:
            x = x @ c[f"w{k}"].T + c[f"b{k}"]
            k += 1
            x = np.maximum(x, 0) if f"w{k}" in c else x
        return x

    # The evaluation above against onnxruntime, on a few states.
    session = onnxruntime.InferenceSession(model.SerializeToString())
    rng = np.random.default_rng(20260104)
    some = encounter.uniform_states(rng, 50).astype(np.float32)
    assert max(np.abs(session.run(None, {"state": s[None]})[0][0] - evaluate(s)).max() for s in some) < 1e-4
    folder = args.assets / "properties"
    folder.mkdir(exist_ok=True)
    for name, (meaning, box, allowed) in PROPERTIES.items():
        (folder / f"{name}.vnnlib").write_text(vnnlib(meaning, box, allowed))
        margin, at = lowest_margin(evaluate, box, allowed, rng)
        print(f"{name:36s} lowest margin found {margin:8.3f} at {np.round(at, 3).tolist()}")


if __name__ == "__main__":
    main()
