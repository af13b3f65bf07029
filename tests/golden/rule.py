# SPDX-License-Identifier: Apache-2.0
"""Values by rule: the same numbers here and in rule.h, so that golden files hold outputs only.

A value is a linear function of gen_random_uniform(seed 0, stream FNV-1a(name), index); which one
follows from the last part of the name. Vectors u and v of spectral norm are three power iterations
from such values, so that u.(W v) is near the largest singular value but not on it.
"""
import numpy as np


def stream(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


def philox(name, index):
    """Four words of each block: Philox4x32-10, key 0, counter (index, stream)."""
    low, s = np.uint64(0xFFFFFFFF), stream(name)
    index = np.asarray(index, dtype=np.uint64)
    c = [index & low, index >> np.uint64(32), np.full_like(index, s & 0xFFFFFFFF),
         np.full_like(index, s >> 32)]
    k0, k1 = 0, 0
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & low,
             (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, axis=1)


def words(name, first, n):
    """n words of a stream, from element `first` on."""
    blocks = np.arange(first // 4, (first + n + 3) // 4)
    return philox(name, blocks).reshape(-1)[first % 4:first % 4 + n]


def uniform(name, n):
    """n values in [0,1)."""
    return (words(name, 0, n) >> np.uint64(8)).astype(np.float64) * 2.0**-24


def line(name, shape):
    """(offset, span) of the values of a parameter or input."""
    last = name.rsplit("/", 1)[-1]
    if last == "w":
        span = np.sqrt(24.0 / np.prod(shape[1:]))
        return -0.5 * span, span
    return {"b": (-0.1, 0.2), "gamma": (0.75, 0.5), "beta": (-0.25, 0.5), "mean": (-0.25, 0.5),
            "var": (0.75, 0.5), "frames": (-20.0, 40.0)}.get(last, (-1.75, 3.5))


def value(name, shape):
    """float32 array of that shape; rain ("frames") is not negative."""
    offset, span = line(name, shape)
    v = offset + span * uniform(name, int(np.prod(shape)))
    if name.endswith("frames"):
        v = np.maximum(v, 0)
    return v.astype(np.float32).reshape(shape)


def vectors(name, w):
    """u and v beside weight `name`/w."""
    matrix = w.reshape(w.shape[0], -1).astype(np.float64)
    v = value(name + "/v", (matrix.shape[1],)).astype(np.float64)
    for _ in range(3):
        u = matrix @ v
        u /= np.linalg.norm(u)
        v = matrix.T @ u
        v /= np.linalg.norm(v)
    return u.astype(np.float32), v.astype(np.float32)


def samples(x, most=97):
    """At most `most` elements of x, evenly spaced, behind the norm of all."""
    x = np.asarray(x, dtype=np.float64).reshape(-1)
    k = min(x.size, most)
    return np.concatenate([[np.linalg.norm(x)], x[np.arange(k) * x.size // k]]).astype(np.float32)
