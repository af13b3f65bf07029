# SPDX-License-Identifier: Apache-2.0
"""Golden files of DGMR's discriminators and losses, from PyTorch, in double.

    python tests/golden/make_dgmr_disc.py      (writes tests/golden/dgmr_disc_*)

`ocf` are the modules of the PyPI package dgmr 1.4.4, narrowed, with its drawing of frames overridden;
`paper` is our own PyTorch form of the released pseudo-code (reference 5.5), with Sonnet's spectral
norm. Weights and fields by rule (rule.py, seed 0). The regulariser is the paper's (reference 5.6).
"""
import os

import numpy as np
import torch
from dgmr.common import DBlock
from dgmr.discriminators import Discriminator
from torch import nn
from torch.nn.functional import avg_pool2d, pixel_unshuffle, relu
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

import rule
from rule_torch import fill_conv, value

HERE = os.path.dirname(os.path.abspath(__file__))
N, CONTEXT, LEADS, H, W = 2, 4, 6, 128, 160
FIRST, PICKED = 6, 4  # width of the first block, frames of the spatial discriminator
# Frames of the whole sequence: the same for all sequences (ocf); by sequence (paper).
FRAMES = {"ocf": [[7, 0, 9, 7]] * (2 * N),
          "paper": [[4, 9, 6, 7], [8, 5, 4, 6], [9, 8, 7, 5], [5, 4, 9, 8]]}
OFFSET = (37, 11)


class Sonnet(nn.Module):
    """w / sigma as Sonnet's wrapper: v first, eps inside the root."""

    def __init__(self, w, eps=1e-4):
        super().__init__()
        self.eps = eps
        self.register_buffer("_u", torch.zeros(w.shape[0]))
        self.register_buffer("_v", torch.zeros(w[0].numel()))

    def forward(self, w):
        matrix = w.flatten(1)
        u, v = self._u.clone(), self._v.clone()
        if self.training:
            with torch.no_grad():
                unit = lambda t: t * torch.rsqrt((t * t).sum() + self.eps)
                v = unit(matrix.T @ u)
                u = unit(matrix @ v)
                self._u.copy_(u)
                self._v.copy_(v)
        return w / (u @ matrix @ v)


def sonnet(layer):
    parametrize.register_parametrization(layer, "weight", Sonnet(layer.weight))
    return layer


class MeanNorm(nn.Module):
    """Batch norm without variance: the mean of all rows subtracted, an offset learned."""

    def __init__(self, channels):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))

    def forward(self, x):
        mean = self.running_mean
        if self.training:
            mean = x.mean(0)
            self.running_mean.copy_(0.9 * self.running_mean + 0.1 * mean.detach())
        return x - mean + self.bias


class PaperBlock(nn.Module):
    def __init__(self, before, after, kind=nn.Conv2d, first=False, last=False):
        super().__init__()
        self.first, self.last = first, last
        self.pooling = nn.AvgPool3d(2) if kind is nn.Conv3d else nn.AvgPool2d(2)
        if not last:
            self.conv_1x1 = sonnet(kind(before, after, 1))
        self.first_conv_3x3 = sonnet(kind(before, after, 3, padding=1))
        self.last_conv_3x3 = sonnet(kind(after, after, 3, padding=1))

    def forward(self, x):
        pool = (lambda t: t) if self.last else self.pooling
        skip = x if self.last else pool(self.conv_1x1(x))
        y = self.first_conv_3x3(x if self.first else relu(x))
        return pool(self.last_conv_3x3(relu(y))) + skip


class Paper(nn.Module):
    """One of the two: `three_d` blocks of 3-D convolutions, then blocks a frame, then the head."""

    def __init__(self, first, three_d):
        super().__init__()
        widths = [4] + [first << k for k in (0, 1, 2, 3, 4, 4)]
        self.three_d = three_d
        self.blocks = nn.ModuleList(
            PaperBlock(widths[i], widths[i + 1], nn.Conv3d if i < three_d else nn.Conv2d,
                       first=i == 0, last=i == 5) for i in range(6))
        self.bn = MeanNorm(widths[6])
        self.fc = sonnet(nn.Linear(widths[6], 1))

    def forward(self, x):  # [N,F,4,h,w]
        n, y = len(x), x
        if self.three_d:
            y = y.transpose(1, 2)
            for b in self.blocks[:self.three_d]:
                y = b(y)
            y = y.transpose(1, 2)
        y = y.flatten(0, 1)
        for b in self.blocks[self.three_d:]:
            y = b(y)
        y = self.fc(self.bn(relu(y).sum((2, 3))))
        return y.reshape(n, -1).sum(1)


class PaperPair(nn.Module):
    frames, offset = FRAMES["paper"], OFFSET

    def __init__(self, first):
        super().__init__()
        self.spatial, self.temporal = Paper(first, 0), Paper(first, 2)

    def heads(self):
        for part in (self.spatial, self.temporal):
            yield list(part.blocks), part.fc, part.bn

    def forward(self, x):  # [N,T,1,H,W] -> two scores [N]
        rows = torch.stack([x[n, self.frames[n]] for n in range(len(x))])
        pooled = avg_pool2d(rows.flatten(0, 1), 2).unflatten(0, rows.shape[:2])
        h, w = x.shape[3] // 2, x.shape[4] // 2
        row, column = self.offset
        window = x[..., row:row + h, column:column + w]
        return self.spatial(pixel_unshuffle(pooled, 2)), self.temporal(pixel_unshuffle(window, 2))


class OcfPair(nn.Module):
    frames = FRAMES["ocf"]

    def __init__(self, first):
        super().__init__()
        self.d = Discriminator(1, num_spatial_frames=PICKED)
        w = [first << k for k in range(5)]
        s, t = self.d.spatial_discriminator, self.d.temporal_discriminator
        s.d1, t.d1 = DBlock(4, w[0], first_relu=False), DBlock(4, w[0], "3d", first_relu=False)
        t.d2 = DBlock(w[0], w[1], "3d")
        s.intermediate_dblocks = nn.ModuleList(DBlock(w[i], w[i + 1]) for i in range(4))
        t.intermediate_dblocks = nn.ModuleList(DBlock(w[i], w[i + 1]) for i in range(1, 4))
        s.d6, t.d_last = (DBlock(w[4], w[4], keep_same_output=True) for _ in range(2))
        for part in (s, t):
            part.fc, part.bn = spectral_norm(nn.Linear(w[4], 1)), nn.BatchNorm1d(w[4])

    def heads(self):
        s, t = self.d.spatial_discriminator, self.d.temporal_discriminator
        yield [s.d1, *s.intermediate_dblocks, s.d6], s.fc, s.bn
        yield [t.d1, t.d2, *t.intermediate_dblocks, t.d_last], t.fc, t.bn

    def forward(self, x):
        draw, torch.randint = torch.randint, lambda **k: torch.tensor(self.frames[0])
        try:
            scores = self.d(x)  # [N,2,1]
        finally:
            torch.randint = draw
        return scores[:, 0, 0], scores[:, 1, 0]


def fill(pair):
    """All values by rule; our name -> tensor of parameters and of states."""
    trained, states = {}, {}

    def layer(name, conv):
        fill_conv(conv, name)
        trained[name + "/w"], trained[name + "/b"] = conv.parametrizations.weight.original, conv.bias
        states[name + "/u"] = conv.parametrizations.weight[0]._u
        states[name + "/v"] = conv.parametrizations.weight[0]._v

    for part, (blocks, fc, bn) in zip(("spatial", "temporal"), pair.heads()):
        name = f"discriminator/{part}"
        for i, block in enumerate(blocks):
            for ours, theirs in (("skip", "conv_1x1"), ("conv1", "first_conv_3x3"),
                                 ("conv2", "last_conv_3x3")):
                if i < 5 or ours != "skip":
                    layer(f"{name}/block{i + 1}/{ours}", getattr(block, theirs))
        layer(f"{name}/linear", fc)
        for ours, theirs, to in (("gamma", "weight", trained), ("beta", "bias", trained),
                                 ("mean", "running_mean", states), ("var", "running_var", states)):
            if hasattr(bn, theirs):
                to[f"{name}/norm/{ours}"] = t = getattr(bn, theirs)
                with torch.no_grad():
                    t.copy_(value(f"{name}/norm/{ours}", *t.shape))
    return trained, states


def field(name, frames, scale=1):
    """[N,T,1,H,W], mm/h."""
    return scale * value(name, N, frames, H, W, 1).permute(0, 1, 4, 2, 3)


def save(name, values):
    values = np.asarray(values, dtype=np.float32)
    np.save(os.path.join(HERE, f"dgmr_disc_{name}.npy"), values)
    print(name, values.shape, "max", float(np.abs(values).max()), flush=True)


def samples(tensors):
    return np.concatenate([rule.samples(t.detach()) for t in tensors])


def hinge(real, generated):
    return relu(1 - real).mean() + relu(1 + generated).mean()


def regulariser(mean, target, mask, kind):
    w = {"paper": lambda y: (y + 1).clamp(max=24), "clip": lambda y: y.clamp(0, 24),
         "literal_max": lambda y: (y + 1).clamp(min=24)}[kind](target)
    return ((mean - target).abs() * w * mask).sum() / mask.sum()


def losses(name, kind, training):
    pair = kind(FIRST).double()
    trained, states = fill(pair)
    pair.train(training)
    context, target = field("context/frames", CONTEXT), field("target/frames", LEADS, 2)
    mask = (field("mask", LEADS) > -1).double()
    draws = [field(f"draw{k}/frames", LEADS).requires_grad_() for k in (1, 2)]
    scores = []
    with parametrize.cached():  # one power iteration a weight, however often it is used
        for x in draws:
            real = torch.cat([context, target * mask], 1)
            s, t = pair(torch.cat([real, torch.cat([context, x * mask], 1)]))
            scores.append((s, t))
            if x is draws[0]:
                after = {k: v.clone() for k, v in states.items()}  # the owner commits one draw's
        (s, t), d_loss = scores[0], 0
        for score in (s, t):
            d_loss = d_loss + hinge(score[:N], score[N:])
        adversarial = [-s[N:].mean() - t[N:].mean() for s, t in scores]
        cells = [regulariser(sum(draws) / 2, target, mask, k) for k in
                 ("paper", "clip", "literal_max")]
        g_loss = sum(adversarial) / 2 + 20 * cells[0]
        wrt = [trained[k] for k in sorted(trained)]
        d_grads = torch.autograd.grad(d_loss, wrt, retain_graph=True)
        g_grads = [torch.autograd.grad(loss, draws, retain_graph=True)
                   for loss in (sum(adversarial) / 2, g_loss)]
    save(f"{name}_losses", [*s.tolist(), *t.tolist(), d_loss.item(), *(a.item() for a in adversarial),
                            *(c.item() for c in cells)])
    save(f"{name}_d_grads", samples(d_grads))
    save(f"{name}_g_grads", samples(t.movedim(2, -1) for t in sum(g_grads, ())))
    if training:
        save(f"{name}_states", samples([after[k] for k in sorted(after)]))


def file_names():
    """dgmr_disc_ocf_names.txt: every entry of a checkpoint of the package's discriminators: name, our
    name ('-': not used), shape."""
    pair, ours = OcfPair(FIRST), {}
    path = {id(m): name for name, m in pair.d.named_modules()}
    for part, (blocks, fc, bn) in zip(("spatial", "temporal"), pair.heads()):
        to = f"discriminator/{part}"
        layers = {path[id(fc)]: f"{to}/linear"}
        for i, block in enumerate(blocks):
            for a, b in (("skip", "conv_1x1"), ("conv1", "first_conv_3x3"),
                         ("conv2", "last_conv_3x3")):
                if i < 5 or a != "skip":
                    layers[path[id(getattr(block, b))]] = f"{to}/block{i + 1}/{a}"
        for theirs, layer in layers.items():
            ours.update({f"{theirs}.{a}": f"{layer}/{b}" for a, b in (
                ("parametrizations.weight.original", "w"), ("bias", "b"),
                ("parametrizations.weight.0._u", "u"), ("parametrizations.weight.0._v", "v"))})
        ours.update({f"{path[id(bn)]}.{a}": f"{to}/norm/{b}" for a, b in (
            ("weight", "gamma"), ("bias", "beta"), ("running_mean", "mean"), ("running_var", "var"))})
    with open(os.path.join(HERE, "dgmr_disc_ocf_names.txt"), "w") as f:
        for name, value in pair.d.state_dict().items():
            print(f"discriminator.{name}", ours.get(name, "-"), *value.shape, file=f)


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    file_names()
    for name, kind in (("ocf", OcfPair), ("paper", PaperPair)):
        losses(f"{name}_eval", kind, False)
        losses(f"{name}_train", kind, True)


if __name__ == "__main__":
    main()
