#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# Seeds of the fuzz target `safetensors` in our own format, with the network of tests/toy.h at width
# 1: alone, and with a companion of the same network (which is allowed: its names have a prefix).
#     python3 tests/fuzz/model_seeds.py tests/fuzz/corpus/safetensors
import json
import os
import struct
import sys

TENSORS = {
    "body/b": [1], "body/u": [1], "body/v": [36], "body/w": [1, 4, 3, 3],
    "gain": [1],
    "mix/b": [5], "mix/u": [5], "mix/v": [1], "mix/w": [5, 1, 1, 1],
    "norm/beta": [1], "norm/gamma": [1], "norm/mean": [1], "norm/var": [1],
    "out/w": [2, 5, 1, 1],
}
CONFIG = {"width": 1, "folds": False, "scale": 1, "kind": "plain"}


def write(path, prefixes, metadata):
    header, at = {"__metadata__": metadata}, 0
    for prefix in prefixes:
        for name, shape in sorted(TENSORS.items()):
            size = 4
            for n in shape:
                size *= n
            header[prefix + name] = {"dtype": "F32", "shape": shape,
                                     "data_offsets": [at, at + size]}
            at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.write(struct.pack("<f", 0.5) * (at // 4))


folder = sys.argv[1]
main = {"libgen.arch": "toy", "libgen.config": json.dumps(CONFIG)}
write(os.path.join(folder, "ours.safetensors"), [""], main)
pair = dict(main, **{"libgen.companions": json.dumps([{"arch": "toy", "config": CONFIG}])})
write(os.path.join(folder, "pair.safetensors"), ["", "@toy/"], pair)
