"""Two aircraft in the horizontal plane, and the policy that the surrogate network imitates.

State (raw units), seen from own aircraft:
    range_m            distance to the intruder, metres
    bearing_rad        direction to the intruder from own nose, radians, left positive, in [-pi, pi]
    heading_rad        intruder's heading minus own heading, radians, left positive, in [-pi, pi]
    own_speed_mps      metres per second
    intruder_speed_mps metres per second

Policy: for each advisory own aircraft turns at the advisory's rate for at most TURN_S seconds and then
flies straight, the intruder flies straight; the separation is the smallest distance over HORIZON_S
seconds. An advisory costs its lost separation below SEPARATION_M, as a share, plus a price for turning;
the cheapest advisory is the label.
"""

import numpy as np

FEATURES = ["range_m", "bearing_rad", "heading_rad", "own_speed_mps", "intruder_speed_mps"]
LOWER = np.array([150.0, -np.pi, -np.pi, 25.0, 20.0])
UPPER = np.array([5000.0, np.pi, np.pi, 60.0, 80.0])

ADVISORIES = ["clear", "weak_left", "weak_right", "strong_left", "strong_right"]
TURN_RATE = np.deg2rad([0.0, 1.5, -1.5, 3.0, -3.0])  # radians per second, left positive
# A strong turn costs more than a weak one; left a little more than right, so that a tie goes right.
PRICE = np.array([0.0, 0.09, 0.07, 0.24, 0.22])

SEPARATION_M = 600.0  # about 2000 ft, the horizontal well-clear distance proposed for small unmanned aircraft
TURN_S = 20.0
HORIZON_S = 50.0
STEP_S = 1.0


def own_track(speed, rate, turn_s=TURN_S, horizon_s=HORIZON_S, step_s=STEP_S):
    """Positions `[B, T, 2]` of own aircraft starting at the origin with heading 0."""
    t = np.arange(0.0, horizon_s + step_s / 2, step_s)
    turning = np.minimum(t, turn_s)
    if rate == 0.0:
        x, y = turning, np.zeros_like(turning)
    else:
        x, y = np.sin(rate * turning) / rate, (1.0 - np.cos(rate * turning)) / rate
    straight = t - turning
    x = x + straight * np.cos(rate * turn_s)
    y = y + straight * np.sin(rate * turn_s)
    return speed[:, None, None] * np.stack([x, y], axis=-1)[None]


def separation(states, rate):
    """Smallest distance `[B]` over the horizon when own aircraft turns at `rate`."""
    rng, bearing, heading, own, intruder = states.T
    t = np.arange(0.0, HORIZON_S + STEP_S / 2, STEP_S)
    start = np.stack([rng * np.cos(bearing), rng * np.sin(bearing)], axis=-1)
    velocity = np.stack([intruder * np.cos(heading), intruder * np.sin(heading)], axis=-1)
    relative = start[:, None] + velocity[:, None] * t[None, :, None] - own_track(own, rate)
    # Between two time steps both fly almost straight: the distance of the origin from the segment.
    a, step = relative[:, :-1], np.diff(relative, axis=1)
    along = np.clip(-(a * step).sum(-1) / np.maximum((step * step).sum(-1), 1e-9), 0.0, 1.0)
    return np.linalg.norm(a + along[..., None] * step, axis=-1).min(axis=1)


def costs(states):
    """Cost of each advisory, `[B, 5]`."""
    lost = [np.maximum(0.0, 1.0 - separation(states, rate) / SEPARATION_M) for rate in TURN_RATE]
    return np.stack(lost, axis=1) + PRICE


def label(states, chunk=20000):
    """Index of the cheapest advisory `[B]`, and how much dearer the next one is."""
    best, gap = [], []
    for at in range(0, len(states), chunk):
        c = costs(states[at : at + chunk])
        ordered = np.sort(c, axis=1)
        best.append(c.argmin(axis=1))
        gap.append(ordered[:, 1] - ordered[:, 0])
    return np.concatenate(best), np.concatenate(gap)


def uniform_states(rng, n):
    """States drawn uniformly from the box."""
    return rng.uniform(LOWER, UPPER, size=(n, 5))


def encounter_states(rng, n):
    """States that lead to a close approach within a minute if nobody turns, and what precedes it."""
    out = []
    while sum(len(s) for s in out) < n:
        own = rng.uniform(LOWER[3], UPPER[3], n)
        intruder = rng.uniform(LOWER[4], UPPER[4], n)
        heading = rng.uniform(-np.pi, np.pi, n)
        miss = rng.uniform(0.0, 2.0 * SEPARATION_M, n)
        angle = rng.uniform(-np.pi, np.pi, n)
        ahead_s = rng.uniform(0.0, 60.0, n)
        # At closest approach the intruder is at distance `miss`; fly both back by `ahead_s`.
        dx = miss * np.cos(angle) - ahead_s * (intruder * np.cos(heading) - own)
        dy = miss * np.sin(angle) - ahead_s * intruder * np.sin(heading)
        states = np.stack([np.hypot(dx, dy), np.arctan2(dy, dx), heading, own, intruder], axis=1)
        out.append(states[(states >= LOWER).all(axis=1) & (states <= UPPER).all(axis=1)])
    return np.concatenate(out)[:n]


def wrap(angle):
    """`angle` in [-pi, pi)."""
    return (angle + np.pi) % (2.0 * np.pi) - np.pi


def observe(own_xy, own_heading, own_speed, intruder_xy, intruder_heading, intruder_speed):
    """State of one moment of a flight in the world's frame."""
    d = intruder_xy - own_xy
    return np.array(
        [
            np.hypot(*d),
            wrap(np.arctan2(d[1], d[0]) - own_heading),
            wrap(intruder_heading - own_heading),
            own_speed,
            intruder_speed,
        ]
    )


def fly(decide, own, intruder, steps, step_s, intruder_rate=lambda t: 0.0):
    """Flies an encounter in closed loop; `own`, `intruder` are (x, y, heading, speed).

    `intruder_rate` is the intruder's turn rate at a time in seconds, radians per second.

    Returns states `[steps, 5]`, tracks `[steps, 6]` (own x, y, heading; intruder x, y, heading) and the
    advisories flown `[steps]`.
    """
    own_xy, own_heading, own_speed = np.array(own[:2], float), own[2], own[3]
    int_xy, int_heading, int_speed = np.array(intruder[:2], float), intruder[2], intruder[3]
    states, tracks, flown = [], [], []
    for step in range(steps):
        state = observe(own_xy, own_heading, own_speed, int_xy, int_heading, int_speed)
        advisory = int(decide(state))
        states.append(state)
        tracks.append([*own_xy, own_heading, *int_xy, int_heading])
        flown.append(advisory)
        own_heading = wrap(own_heading + TURN_RATE[advisory] * step_s)
        own_xy = own_xy + step_s * own_speed * np.array([np.cos(own_heading), np.sin(own_heading)])
        int_heading = wrap(int_heading + intruder_rate(step * step_s) * step_s)
        int_xy = int_xy + step_s * int_speed * np.array([np.cos(int_heading), np.sin(int_heading)])
    return np.array(states), np.array(tracks), np.array(flown)
