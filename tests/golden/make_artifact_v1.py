#!/usr/bin/env python3
"""Writes artifact_v1.crts from the text of docs/artifact.md, with nothing of certus.

usage: make_artifact_v1.py OUT     (Python 3, standard library only)

The file is committed and stays readable for ever; this script says what is in it.
"""
import hashlib
import struct
import sys
import zlib


def f32s(*values):
    return struct.pack(f"<{len(values)}f", *values)


def pad(data):
    return data + bytes(-len(data) % 16)


def network():
    """scale 2 -> 2, dense 2 -> 3 with ReLU, dense 3 -> 2."""
    layers = [
        (2, 0, 2, 2, f32s(0.5, 2.0, 0.25, -0.0)),
        (1, 1, 3, 2, f32s(1.0, -1.0, -0.5, 0.25, 0.0, 1.5) + f32s(0.125, -0.25, 0.5)),
        (1, 0, 2, 3, f32s(1.0, 0.5, -1.0, -1.0, 2.0, 2.0**-149) + f32s(0.75, -0.5)),
    ]
    header = struct.pack("<HHIII", 1, len(layers), 2, 2, 0)
    offset = len(header) + 16 * len(layers)
    table, constants = b"", b""
    for index, (kind, relu, rows, cols, data) in enumerate(layers):
        table += struct.pack("<BBHIII", kind, relu, 0, rows, cols, offset)
        last = index == len(layers) - 1
        data = data if last else pad(data)
        constants += data
        offset += len(data)
    return header + table + constants


def settings():
    """argmax, CROWN, epsilon per feature."""
    return struct.pack("<BBHI8x", 1, 2, 0, 0) + f32s(0.0625, 0.0)


def regions():
    def record(cls, meanings, bound, proof, lower, upper):
        return struct.pack("<HBBfII", cls, meanings, 0, bound, proof, 0) + f32s(*lower) + f32s(*upper)

    records = [
        record(0, 3, 0.5, 0, (0.5, -1.0), (1.0, -0.5)),
        record(1, 2, 0.125, 0xFFFFFFFF, (-1.0, 1.0), (-0.5, 2.0)),
    ]
    return struct.pack("<I12x", len(records)) + b"".join(records)


def proofs():
    blobs = [b"opaque"]
    data = struct.pack("<I12x", len(blobs))
    offset = len(data) + 8 * len(blobs)
    for blob in blobs:
        data += struct.pack("<II", offset, len(blob))
        offset += len(blob)
    return data + b"".join(blobs)


SECTIONS = [
    # id, version, flags, payload
    (1, 1, 0, network()),
    (2, 1, 0, f32s(-1.0, -2.0) + f32s(1.0, 2.0)),
    (3, 1, 0, settings()),
    (4, 1, 0, regions()),
    (5, 1, 1, proofs()),
    (6, 1, 1, "recipe=golden\ntime=2026-01-01T00:00:00Z\ntool=make_artifact_v1.py\n".encode()),
    (700, 9, 1, b"a later section"),
]


def artifact():
    offset = 32 + 16 * len(SECTIONS)
    table, payload = b"", b""
    for ident, version, flags, data in SECTIONS:
        table += struct.pack("<HBBIII", ident, version, flags, offset, len(data), zlib.crc32(data))
        payload += pad(data)
        offset += len(pad(data))
    total = offset + 48
    before = b"CRTS" + struct.pack("<HHI", 1, 0, total)
    after = struct.pack("<H14x", len(SECTIONS)) + table
    body = before + struct.pack("<I", zlib.crc32(before + after)) + after + payload
    digest = hashlib.sha256(body).digest()
    return body + digest + struct.pack("<I12x", zlib.crc32(digest))


if __name__ == "__main__":
    with open(sys.argv[1], "wb") as out:
        out.write(artifact())
