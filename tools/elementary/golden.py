"""Values of elementary functions to 106 bits, the oracle of core/tests/elementary.rs.

    python3 tools/elementary/golden.py > core/tests/golden/elementary.csv     (mpmath 1.3)

One line a case: function, argument, nearest double, rest; doubles as 16 hexadecimal digits of their bits.
"""

import math
import random
import struct
import sys

import mpmath as mp

mp.mp.prec = 2300  # sines of large arguments and erf near 1


def bits(x):
    return "%016x" % struct.unpack("<Q", struct.pack("<d", x))[0]


def from_bits(b):
    return struct.unpack("<d", struct.pack("<Q", b))[0]


TINY = 5e-324


def double(v):
    """Nearest double (mpmath rounds correctly, but not into subnormals)."""
    if v == 0:
        return 0.0
    if abs(v) < mp.mpf(2) ** -1022:
        return math.ldexp(int(mp.nint(mp.ldexp(v, 1074))), -1074)
    return float(v)


def line(name, x, v):
    near = double(v)
    if math.isinf(near):
        return
    rest = v - mp.mpf(near)
    low = double(rest)
    if rest != 0 and low == 0:
        low = TINY if rest > 0 else -TINY
    print(name, bits(x), bits(near), bits(low), sep=",")


def arguments(rng, name):
    special = [0.0, TINY, 1e-310, from_bits(0x0010000000000000), 1e-200, 1e-20, 1e-9, 2.0**-26, 0.1, 0.25, 0.35, 0.5,
               1.0, 1.5, 2.0, math.pi, 6.0, 10.0, 17.5, 19.0, 36.7, 100.0, 700.0, 709.78, 745.1, 1e5, 1.4e6]
    near = []
    for k in (1, 2, 3, 4, 5, 7, 100, 1001, 12345, 800001):
        near += [k * math.pi / 2, k * math.pi / 4, k * math.log(2) / 2 if k < 1500 else 1.0]
    out = []
    for x in special + near:
        out += [x, math.nextafter(x, math.inf), math.nextafter(x, -math.inf)]
    for _ in range(60):
        out.append(rng.uniform(0, 1))
        out.append(rng.uniform(0, 8))
        out.append(rng.uniform(0, 700))
        out.append(2.0 ** rng.uniform(-1070, 1000) if name in ("log", "sqrt") else 2.0 ** rng.uniform(-60, 10))
    if name in ("log", "sqrt"):
        for e in (-1074, -1060, -1022, -1021, -3, -1, 0, 1, 2, 500, 1023):
            for m in (1.0, 1.0000000000000002, 1.4142135623730951, 1.414213562373095, 1.9999999999999998, 1.7):
                out.append(math.ldexp(m, e))
        out.append(sys.float_info.max)
        out += [float(k * k) for k in (3, 12345, 94906265)]
    else:
        out += [-x for x in out]
    return out


FUNCTIONS = {
    "exp": mp.exp,
    "exp_m1": mp.expm1,
    "log": mp.log,
    "sqrt": mp.sqrt,
    "sin": mp.sin,
    "cos": mp.cos,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "tanh": mp.tanh,
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "erf": mp.erf,
}


def main():
    rng = random.Random(7)
    for name, f in FUNCTIONS.items():
        for x in arguments(rng, name):
            if name == "log" and x <= 0 or name == "sqrt" and x < 0:
                continue
            if name in ("exp", "exp_m1", "softplus") and x > 709.782:
                continue
            if name == "erf" and abs(x) > 30:
                continue
            if abs(x) > 1e300 and name not in ("log", "sqrt"):
                continue
            line(name, x, f(mp.mpf(x)))


main()
