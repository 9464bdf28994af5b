"""Records flights of the trained network: `states.csv`, `trajectory.csv`, `track.csv`.

The network flies own aircraft in closed loop (needs numpy and onnxruntime; see README.md).
"""

import argparse
import pathlib

import numpy as np
import onnxruntime

import encounter

SEED = 20260103
STEP_S = 0.4
STEPS = 200
STATES = 300


def write_csv(path, header, rows, decimals):
    lines = [",".join(header)]
    lines += [",".join(f"{value:.{d}f}" for value, d in zip(row, decimals)) for row in rows]
    path.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("assets", type=pathlib.Path)
    args = parser.parse_args()
    session = onnxruntime.InferenceSession(str(args.assets / "surrogate.onnx"))

    def logits(states):
        return np.concatenate([session.run(None, {"state": s[None].astype(np.float32)})[0] for s in states])

    def decide(state):
        return logits(state[None])[0].argmax()

    # A faster intruder comes from the left on a course that passes well behind own aircraft, then turns
    # towards it.
    own = (0.0, 0.0, 0.0, 36.0)
    intruder = (590.0, 2330.0, np.deg2rad(-51.0), 60.0)

    def turn(t):
        return np.deg2rad(-4.0) if 6.0 <= t < 12.0 else 0.0

    states, tracks, flown = encounter.fly(decide, own, intruder, STEPS, STEP_S, turn)
    print("advisories", "".join(str(a) for a in flown), "closest", states[:, 0].min())
    unavoided, _, _ = encounter.fly(lambda _: 0, own, intruder, STEPS, STEP_S, turn)
    print("closest without turning", unavoided[:, 0].min())
    decimals = [1, 4, 4, 1, 1]
    write_csv(args.assets / "trajectory.csv", encounter.FEATURES, states, decimals)
    track = np.concatenate([STEP_S * np.arange(STEPS)[:, None], tracks], axis=1)
    names = ["time_s", "own_x_m", "own_y_m", "own_heading_rad", "intruder_x_m", "intruder_y_m", "intruder_heading_rad"]
    write_csv(args.assets / "track.csv", names, track, [1, 1, 1, 4, 1, 1, 4])

    # States met on many flights, a few of each, until there are enough.
    rng = np.random.default_rng(SEED)
    recorded = []
    while len(recorded) < STATES:
        start = encounter.encounter_states(rng, 1)[0]
        distance, bearing, heading, own_speed, intruder_speed = start
        position = distance * np.cos(bearing), distance * np.sin(bearing)
        flight, _, _ = encounter.fly(decide, (0.0, 0.0, 0.0, own_speed), (*position, heading, intruder_speed), 60, 1.0)
        inside = flight[((flight >= encounter.LOWER) & (flight <= encounter.UPPER)).all(axis=1)]
        recorded += list(inside[rng.choice(len(inside), min(3, len(inside)), replace=False)])
    recorded = np.array(recorded[:STATES])
    write_csv(args.assets / "states.csv", encounter.FEATURES, recorded, decimals)
    print("labels", np.bincount(encounter.label(recorded)[0], minlength=5), "network", np.bincount(logits(recorded).argmax(1), minlength=5))
    agree = [(encounter.label(s)[0] == logits(s).argmax(1)).mean() for s in (recorded, states[states[:, 0] <= 5000])]
    print("agreement with the policy: states %.3f, trajectory %.3f" % tuple(agree))


if __name__ == "__main__":
    main()
