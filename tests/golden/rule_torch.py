# SPDX-License-Identifier: Apache-2.0
"""Values by rule (rule.py) in PyTorch's modules."""
import numpy as np
import torch
from torch.nn.utils import parametrize

import rule


def value(name, *shape):
    return torch.from_numpy(rule.value(name, shape).astype(np.float64))


def fill_conv(conv, name):
    with torch.no_grad():
        normal = parametrize.is_parametrized(conv, "weight")
        raw = conv.parametrizations.weight.original if normal else conv.weight
        w = rule.value(name + "/w", tuple(raw.shape))
        raw.copy_(torch.from_numpy(w))
        if conv.bias is not None:
            conv.bias.copy_(value(name + "/b", *conv.bias.shape))
        if normal:
            u, v = rule.vectors(name, w)
            conv.parametrizations.weight[0]._u.copy_(torch.from_numpy(u))
            conv.parametrizations.weight[0]._v.copy_(torch.from_numpy(v))


def fill_norm(bn, name):
    with torch.no_grad():
        for part, t in (("gamma", bn.weight), ("beta", bn.bias), ("mean", bn.running_mean),
                        ("var", bn.running_var)):
            t.copy_(value(f"{name}/{part}", *t.shape))


def fill_block(block, name):
    for ours, theirs in (("skip", "conv_1x1"), ("conv1", "first_conv_3x3"),
                         ("conv2", "last_conv_3x3")):
        fill_conv(getattr(block, theirs), f"{name}/{ours}")
    for k in (1, 2):
        if hasattr(block, f"bn{k}"):
            fill_norm(getattr(block, f"bn{k}"), f"{name}/norm{k}")
