# SPDX-License-Identifier: Apache-2.0
"""Writes the foreign model files that tests/unit/import.c reads, in every layout that PyTorch has
had. Run with torch 2.x and safetensors 0.x:

    python tests/golden/model_files.py tests/golden/model_files

Values follow one rule in Python and C, value(name, i), and are multiples of 1/128 in [-1, 1), exact
in f32, f16 and bf16; so no expected values are stored but those that PyTorch computed (effective
weights under spectral norm). Names for the rule are those of the parametrized layout.
"""
import collections
import io
import os
import pickle
import sys
import zipfile

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations

OUT = sys.argv[1]


def values(name, shape, dtype=torch.float32):
    h = 2166136261
    for c in name.encode():
        h = ((h ^ c) * 16777619) & 0xFFFFFFFF
    n = int(np.prod(shape)) if len(shape) else 1
    i = np.arange(n, dtype=np.uint64)
    bits = (np.uint64(h) + i * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
    v = ((bits >> np.uint64(24)).astype(np.float32) - 128) / 128
    return torch.from_numpy(v.reshape(shape)).to(dtype)


class Toy(nn.Module):
    """Two convs under spectral norm, a batch norm, a plain conv, a gain."""

    def __init__(self):
        super().__init__()
        self.body = parametrizations.spectral_norm(nn.Conv2d(4, 6, 3))
        self.norm = nn.BatchNorm2d(6)
        self.mix = parametrizations.spectral_norm(nn.Conv2d(6, 5, 1))
        self.out = nn.Conv2d(5, 2, 1, bias=False)
        self.gain = nn.Parameter(torch.zeros(1))


def parametrized(dtype=torch.float32):
    state = Toy().state_dict()
    for k, v in state.items():
        state[k] = torch.tensor(7) if k.endswith("tracked") else values(k, tuple(v.shape), dtype)
    return state


NEW = (".parametrizations.weight.original", ".parametrizations.weight.0._u",
       ".parametrizations.weight.0._v")
OLD = (".weight_orig", ".weight_u", ".weight_v")


def hooked(state):
    out = collections.OrderedDict()
    for k, v in state.items():
        for new, old in zip(NEW, OLD):
            k = k.replace(new, old)
        out[k] = v
    return out


def effective(state, layer):
    w, u, v = (state[layer + s].double() for s in NEW)
    return (w / (u @ (w.flatten(1) @ v))).float()


def folded(dtype):
    """`body` and `mix` as plain weights; by the rule of their original names."""
    out = collections.OrderedDict()
    for k, v in parametrized().items():
        if k.endswith(NEW[1]) or k.endswith(NEW[2]):
            continue
        k = k.replace(NEW[0], ".weight")
        out[k] = v if k.endswith("tracked") else v.to(dtype)
    return out


def save(name, thing, **options):
    torch.save(thing, os.path.join(OUT, name), **options)


def views(state):
    """The same values behind strides and offsets of larger storages."""
    out = collections.OrderedDict()
    for k, v in state.items():
        if v.dim() == 4:
            v = v.to(memory_format=torch.channels_last)
        elif v.dim() == 1 and v.numel() > 1:
            big = torch.zeros(2 * v.numel() + 3, dtype=v.dtype)
            big[3::2] = v
            v = big[3::2]
        out[k] = v
    return out


class Bomb:
    def __reduce__(self):
        return os.system, ("touch executed-by-a-model-file",)


def add(z, name, data, compression=zipfile.ZIP_STORED):
    z.writestr(zipfile.ZipInfo(name), data, compression)  # without the time of day


def zip_of_pickle(name, data):
    with zipfile.ZipFile(os.path.join(OUT, name), "w") as z:
        add(z, "archive/data.pkl", data)
        add(z, "archive/version", "3\n")


def rezip(name, source, change=lambda entry, data: data, compression=zipfile.ZIP_STORED):
    """`source` again, with changed entries or compressed."""
    with zipfile.ZipFile(os.path.join(OUT, source)) as old, \
            zipfile.ZipFile(os.path.join(OUT, name), "w") as z:
        for entry in old.infolist():
            if "serialization_id" not in entry.filename:
                add(z, entry.filename, change(entry.filename, old.read(entry)), compression)


def lies():
    """Archives that are not what they say."""
    rezip("deflated.pth", "small.pth", compression=zipfile.ZIP_DEFLATED)
    rezip("short.pth", "small.pth", lambda e, d: d[:-1] if e.endswith("data/0") else d)
    rezip("big_endian.pth", "small.pth", lambda e, d: b"big" if e.endswith("order") else d)
    pkl = "data.pkl"
    rezip("offset.pth", "small.pth", lambda e, d: d.replace(b"K\0K\2K\3\x86", b"K\5K\2K\3\x86")
          if e.endswith(pkl) else d)
    rezip("stride.pth", "small.pth", lambda e, d: d.replace(b"K\3K\1\x86", b"K\4K\1\x86")
          if e.endswith(pkl) else d)
    rezip("lost.pth", "small.pth", lambda e, d: d.replace(b"X\1\0\0\0001", b"X\1\0\0\0007")
          if e.endswith(pkl) else d)
    save("expanded.pth", {"a": torch.zeros(1).expand(1000, 1000)})
    with open(os.path.join(OUT, "small.pth"), "rb") as f:
        data = f.read()
    at = data.rindex(b"PK\1\2", 0, data.index(b"small/data/0", data.index(b"PK\1\2")))
    for name, where, new in (("claims.pth", at + 24, b"\xff\xff\xff\x7f"),
                             ("checksum.pth", at + 16, b"\0\0\0\0")):
        with open(os.path.join(OUT, name), "wb") as f:
            f.write(data[:where] + new + data[where + 4:])
    endless = {}
    endless["state_dict"] = endless
    zip_of_pickle("endless.pth", pickle.dumps(endless, protocol=2))


def main():
    os.makedirs(OUT, exist_ok=True)
    torch.manual_seed(1)
    new = parametrized()
    save_file(new, os.path.join(OUT, "new.safetensors"), metadata={"format": "pt"})
    save_file(folded(torch.float16), os.path.join(OUT, "folded_f16.safetensors"))

    whole = collections.OrderedDict(new)
    for k, v in new.items():
        whole["generator." + k] = v  # the same storage, as torch.save of a whole model has it
    whole["discriminator.d1.bias"] = values("discriminator.d1.bias", (3,))
    whole["left.over"] = values("left.over", (2, 2))
    save("whole.bin", whole)
    differs = collections.OrderedDict(new)
    differs["generator.gain"] = new["gain"] + 1
    save("differs.pth", differs)

    old = hooked(new)
    save("hook_stream.pth", {"epoch": 3, "lr": 1e-3, "state_dict": old, "big": 2**70,
                             "betas": (0.0, 0.999), "names": ["a", "b"]},
         _use_new_zipfile_serialization=False)
    save("folded_bf16.pth", {"model": folded(torch.bfloat16), "step": 5}, pickle_protocol=4)
    save("views.pth", views(hooked(parametrized(torch.float64))), pickle_protocol=5)
    parameters = collections.OrderedDict((k, nn.Parameter(v) if v.is_floating_point() else v)
                                         for k, v in new.items())
    save("parameters_stream.pth", parameters, _use_new_zipfile_serialization=False)

    save("small.pth", collections.OrderedDict(a=values("a", (2, 3)), b=values("b", (5,))))
    lies()
    save_file({"mix": effective(new, "mix"), "body": effective(new, "body")},
              os.path.join(OUT, "expected.safetensors"))

    data = pickle.dumps({"body.bias": Bomb()}, protocol=2)
    zip_of_pickle("bomb.pth", data)
    stream = io.BytesIO()
    for thing in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}):
        pickle.dump(thing, stream, protocol=2)
    with open(os.path.join(OUT, "bomb_stream.pth"), "wb") as f:
        f.write(stream.getvalue() + data)


main()
