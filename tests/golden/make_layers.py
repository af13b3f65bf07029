# SPDX-License-Identifier: Apache-2.0
"""Golden files of libgen/nn's layers, from PyTorch and the PyPI package dgmr 1.4.4, in double.

    python tests/golden/make_layers.py      (writes tests/golden/layers_*.npy)

Values by rule (rule.py). Each file is the pieces named in `save`, flattened channels last, one after
the other, in the order in which tests/golden/layers.c asks for them.
"""
import os

import numpy as np
import torch
from dgmr import common
from dgmr.layers import Attention, ConvGRU
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

import rule
from rule_torch import fill_block, fill_conv, fill_norm, value

HERE = os.path.dirname(os.path.abspath(__file__))


def image(name, *shape):
    """[N,H,W,C] by rule, as PyTorch wants it."""
    return value(name, *shape).permute(0, 3, 1, 2)


def save(name, *pieces):
    """Pieces of rank 4 are images, of 5 [T,N,C,H,W]."""
    flat = []
    for p in pieces:
        p = p.detach()
        p = p.movedim(-3, -1) if p.dim() in (4, 5) else p
        flat.append(p.reshape(-1).numpy())
    out = np.concatenate(flat).astype(np.float32)
    np.save(os.path.join(HERE, f"layers_{name}.npy"), out)
    print(name, out.shape, float(np.abs(out).max()))


def normal_weight():
    """w/sigma and the new u, v of one training step; gradient of sum(w/sigma * dy) by w; w/sigma of
    the stored vectors in eval. Weight [6,4,3,3]. eps is large enough to be seen."""
    shape, eps = (6, 4, 3, 3), 0.5
    w = rule.value("torch/w", shape)
    dy = value("dy", *shape)
    conv = spectral_norm(nn.Conv2d(4, 6, 3), eps=eps).double()
    fill_conv(conv, "torch")
    conv.eval()
    stored = conv.weight.clone()
    conv.train()
    normal = conv.weight
    (normal * dy).sum().backward()
    sn = conv.parametrizations.weight
    flat = lambda t: t.reshape(-1)
    save("sn_torch", flat(normal), sn[0]._u, sn[0]._v, flat(sn.original.grad), flat(stored))

    # Sonnet: v from u, u from v, t * rsqrt(sum t^2 + eps); its matrix is the transpose of ours.
    w = torch.from_numpy(rule.value("sonnet/w", shape).astype(np.float64)).requires_grad_()
    u, v = (torch.from_numpy(a).double() for a in rule.vectors("sonnet", w.detach().numpy()))
    matrix = w.reshape(6, -1)
    stored = w / (u @ matrix @ v)
    unit = lambda t: t * torch.rsqrt((t * t).sum() + eps)
    with torch.no_grad():
        v = unit(matrix.T @ u)
        u = unit(matrix @ v)
    normal = w / (u @ matrix @ v)
    (normal * dy).sum().backward()
    save("sn_sonnet", flat(normal), u, v, flat(w.grad), flat(stored))


def gru():
    """States of 3 steps with an x of their own, then with the first x at every step."""
    cell = ConvGRU(5 + 4, 4).double().eval()
    for ours, theirs in (("read", "read_gate"), ("update", "update_gate"), ("output", "output")):
        fill_conv(getattr(cell.cell, theirs + "_conv"), f"gru/{ours}")
    x = value("x", 3, 2, 6, 5, 5).movedim(-1, -3)  # [T,N,C,H,W]
    h = image("h", 2, 6, 5, 4)
    save("gru", cell(x, h), cell([x[0]] * 3, h))


def blocks():
    """All in eval, then the G block in training with 2 groups of statistics, and the running
    statistics of its first norm after that."""
    x = image("x", 4, 6, 4, 6)
    g, up = common.GBlock(6, 10).double(), common.UpsampleGBlock(6, 3).double()
    d, same = common.DBlock(6, 10).double(), common.DBlock(6, 6, keep_same_output=True).double()
    first, l_block = common.DBlock(6, 10, first_relu=False).double(), common.LBlock(6, 10).double()
    for block, name in ((g, "g"), (up, "up"), (d, "d"), (same, "same"), (first, "first"),
                        (l_block, "l")):
        fill_block(block, name)
        block.eval()
    pieces = [b(x) for b in (g, up, d, same, first, l_block)]
    g.train()
    with parametrize.cached():
        pieces.append(torch.cat([g(x[:2]), g(x[2:])]))
    save("blocks", *pieces, g.bn1.running_mean, g.bn1.running_var)


def norm():
    """Training with 2 groups, mean only; its running mean after; the same in eval; and a linear layer
    on the last."""
    x = image("x", 4, 3, 5, 6)
    beta, mean = value("norm/beta", 6), value("norm/mean", 6)
    shift = beta[:, None, None]
    halves, running = [], mean.clone()
    for half in (x[:2], x[2:]):
        m = half.mean((0, 2, 3))
        halves.append(half - m[:, None, None] + shift)
        running = 0.9 * running + 0.1 * m
    still = x - mean[:, None, None] + shift
    w, b = value("linear/w", 7, 6), value("linear/b", 7)
    save("norm", torch.cat(halves), running, still, (still.movedim(1, -1) @ w.T + b).movedim(-1, 1))


class SpatialAttention(Attention.AttentionLayer):
    def forward(self, x):
        n, _, h, w = x.shape
        q, k, v = (f(x).flatten(2).transpose(1, 2) for f in (self.query, self.key, self.value))
        out = torch.softmax(q @ k.transpose(1, 2), -1) @ v
        return x + self.gamma * self.last_conv(out.transpose(1, 2).reshape(n, -1, h, w))


def attention():
    """Over positions, then over the rows of channel maps; not square."""
    x = image("x", 2, 3, 5, 16)
    pieces = []
    for kind, name in ((SpatialAttention, "spatial"), (Attention.AttentionLayer, "rows")):
        layer = kind(16, 16).double()
        for ours, theirs in (("query", "query"), ("key", "key"), ("value", "value"),
                             ("out", "last_conv")):
            fill_conv(getattr(layer, theirs), f"{name}/{ours}")
        with torch.no_grad():
            layer.gamma.copy_(value(f"{name}/gamma", 1))
        pieces.append(layer(x))
    save("attention", *pieces)


for case in (normal_weight, gru, blocks, norm, attention):
    case()
