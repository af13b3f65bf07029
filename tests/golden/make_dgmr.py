# SPDX-License-Identifier: Apache-2.0
"""Golden files of DGMR's generator, from PyTorch and the PyPI package dgmr 1.4.4, in double.

    python tests/golden/make_dgmr.py      (writes tests/golden/dgmr_*)

Weights and inputs are by rule (rule.py, seed 0). openclimatefix draws one latent for the whole
batch; here every sample has its own, so its drawing and its repetition are overridden. `Paper` is
our own PyTorch form of what the pseudo-code does otherwise (reference 6.4).
"""
import os
import sys

import einops
import numpy as np
import torch
from dgmr import common, generators
from dgmr.layers import Attention
from torch import nn
from torch.nn.functional import relu
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

import rule

HERE = os.path.dirname(os.path.abspath(__file__))


def names():
    """Our layer name -> their module path."""
    out = {"latent/conv": "latent.conv_3x3", "sampler/out": "sampler.conv_1x1"}
    parts = {"skip": "conv_1x1", "conv1": "first_conv_3x3", "conv2": "last_conv_3x3"}
    for i in range(1, 5):
        ours = f"sampler/level{5 - i}"
        out[f"conditioning/level{i}/mix"] = f"conditioning.conv{i}"
        out[f"{ours}/conv"] = "sampler.gru_conv_1x1" + (f"_{i}" if i > 1 else "")
        for gate, theirs in (("read", "read_gate"), ("update", "update_gate"), ("output", "output")):
            out[f"{ours}/gru/{gate}"] = f"sampler.convGRU{i}.cell.{theirs}_conv"
        for part, theirs in parts.items():
            out[f"conditioning/level{i}/block/{part}"] = f"conditioning.d{i}.{theirs}"
            out[f"latent/block{i}/{part}"] = f"latent.l_block{i}.{theirs}"
            out[f"{ours}/up/{part}"] = f"sampler.up_g{i}.{theirs}"
            if part != "skip":
                out[f"{ours}/block/{part}"] = f"sampler.g{i}.{theirs}"
    for ours, theirs in (("query", "query"), ("key", "key"), ("value", "value"),
                         ("out", "last_conv")):
        out[f"latent/attention/{ours}"] = f"latent.att_block.{theirs}"
    return out


def norms():
    out = {"sampler/norm": "sampler.bn"}
    for i in range(1, 5):
        for k in (1, 2):
            out[f"sampler/level{5 - i}/block/norm{k}"] = f"sampler.g{i}.bn{k}"
            out[f"sampler/level{5 - i}/up/norm{k}"] = f"sampler.up_g{i}.bn{k}"
    return out


class Generator(nn.Module):
    def __init__(self, latent, context, z, steps):
        super().__init__()
        self.conditioning = common.ContextConditioningStack(output_channels=context)
        self.latent = common.LatentConditioningStack(shape=(z, 8, 8), output_channels=latent)
        self.sampler = generators.Sampler(steps, latent, context)

    def forward(self, frames, z):  # [N,4,1,H,W], [N,Z,h,w] -> [N,T,1,H,W]
        self.latent.distribution.sample = lambda shape: z.permute(1, 2, 3, 0)
        repeat, einops.repeat = einops.repeat, lambda x, *a, **k: x
        try:
            return self.sampler(self.conditioning(frames), self.latent(frames))
        finally:
            einops.repeat = repeat


class SpatialAttention(Attention.AttentionLayer):
    def forward(self, x):
        n, _, h, w = x.shape
        q, k, v = (f(x).flatten(2).transpose(1, 2) for f in (self.query, self.key, self.value))
        out = torch.softmax(q @ k.transpose(1, 2), -1) @ v
        return x + self.gamma * self.last_conv(out.transpose(1, 2).reshape(n, -1, h, w))


class Paper(Generator):
    """Wide D blocks, frame-major mixing, attention over positions, narrow inside of up blocks."""

    def __init__(self, latent, context, z, steps):
        super().__init__(latent, context, z, steps)
        c = self.conditioning
        widths = [4] + [context >> k for k in (3, 2, 1, 0)]
        for i in range(4):
            setattr(c, f"d{i + 1}", common.DBlock(widths[i], widths[i + 1]))
            mix = nn.Conv2d(4 * widths[i + 1], widths[i + 1], 3, padding=1)
            setattr(c, f"conv{i + 1}", spectral_norm(mix))
            up = getattr(self.sampler, f"up_g{i + 1}")
            wide, narrow = latent >> i, latent >> (i + 1)
            up.first_conv_3x3 = spectral_norm(nn.Conv2d(wide, narrow, 3, padding=1))
            up.last_conv_3x3 = spectral_norm(nn.Conv2d(narrow, narrow, 3, padding=1))
            up.bn2 = nn.BatchNorm2d(narrow)
        c._mixing_layer = lambda x, conv: relu(conv(x.flatten(1, 2)))
        self.latent.att_block = SpatialAttention(latent // 4, latent // 4)


def fill(model):
    """Sets all values by rule; returns our name -> tensor, of parameters and of states."""
    trained, states = {}, {}
    module = dict(model.named_modules())
    with torch.no_grad():
        for ours, path in names().items():
            conv = module[path]
            normal = parametrize.is_parametrized(conv, "weight")
            raw = conv.parametrizations.weight.original if normal else conv.weight
            w = rule.value(ours + "/w", tuple(raw.shape))
            raw.copy_(torch.from_numpy(w))
            trained[ours + "/w"] = raw
            if conv.bias is not None:
                conv.bias.copy_(torch.from_numpy(rule.value(ours + "/b", tuple(conv.bias.shape))))
                trained[ours + "/b"] = conv.bias
            if normal:
                sn = conv.parametrizations.weight[0]
                u, v = rule.vectors(ours, w)
                sn._u.copy_(torch.from_numpy(u))
                sn._v.copy_(torch.from_numpy(v))
                states[ours + "/u"], states[ours + "/v"] = sn, sn
        for ours, path in norms().items():
            bn = module[path]
            for part, t in (("gamma", bn.weight), ("beta", bn.bias), ("mean", bn.running_mean),
                            ("var", bn.running_var)):
                t.copy_(torch.from_numpy(rule.value(f"{ours}/{part}", tuple(t.shape))))
                (trained if part in ("gamma", "beta") else states)[f"{ours}/{part}"] = t
        gamma = model.latent.att_block.gamma
        gamma.copy_(torch.from_numpy(rule.value("latent/attention/gamma", (1,))))
        trained["latent/attention/gamma"] = gamma
    return trained, states


def inputs(n, h, w, z):
    frames = rule.value("frames", (n, 4, h, w, 1))
    noise = rule.value("z", (n, h // 32, w // 32, z))
    to = lambda a, axes: torch.from_numpy(a.astype(np.float64)).permute(*axes)
    return to(frames, (0, 1, 4, 2, 3)), to(noise, (0, 3, 1, 2))


def save(name, values):
    values = np.asarray(values, dtype=np.float32)
    np.save(os.path.join(HERE, f"dgmr_{name}.npy"), values)
    print(name, values.shape, "max", float(np.abs(values).max()), flush=True)


def forward(name, kind, latent, context, z, case, every):
    n, steps, h, w = case
    model = kind(latent, context, z, steps)
    fill(model)
    model.double().eval()
    with torch.no_grad():
        rain = model(*inputs(n, h, w, z))  # [N,T,1,H,W]
    save(name, rain.numpy().reshape(-1)[::every])


def state_value(states, name):
    t = states[name]
    return t if torch.is_tensor(t) else getattr(t, "_" + name[-1])


def gradients(name, training):
    latent, context, z = 64, 32, 1
    n, steps, h, w = 2, 3, 64, 96
    model = Generator(latent, context, z, steps)
    model.double()
    trained, states = fill(model)
    model.train(training)
    with parametrize.cached():  # one power iteration a weight, however often it is used
        rain = model(*inputs(n, h, w, z))
        dy = torch.from_numpy(rule.value("dy", (n, steps, h, w, 1)).astype(np.float64))
        (rain * dy.permute(0, 1, 4, 2, 3)).sum().backward()
    assert all(trained[k].grad is not None for k in trained)
    save(f"{name}_out", rain.detach().numpy().reshape(-1)[::7])
    save(f"{name}_grads", np.concatenate([rule.samples(trained[k].grad) for k in sorted(trained)]))
    if training:
        save(f"{name}_states", np.concatenate(
            [rule.samples(state_value(states, k).detach()) for k in sorted(states)]))


def file_names():
    """dgmr_ocf_names.txt: every entry of a checkpoint at the width of `gradients`, under the prefixes
    that saving their whole model as safetensors leaves (reference 6.1): name, our name ('-': not
    used), shape."""
    model = Generator(64, 32, 1, 3)
    ours = {}
    for layer, path in names().items():
        ours.update({f"{path}.{a}": f"{layer}/{b}" for a, b in (
            ("weight", "w"), ("parametrizations.weight.original", "w"), ("bias", "b"),
            ("parametrizations.weight.0._u", "u"), ("parametrizations.weight.0._v", "v"))})
    for layer, path in norms().items():
        ours.update({f"{path}.{a}": f"{layer}/{b}" for a, b in (
            ("weight", "gamma"), ("bias", "beta"), ("running_mean", "mean"), ("running_var", "var"))})
    ours["latent.att_block.gamma"] = "latent/attention/gamma"
    prefix = {"conditioning": "conditioning_stack", "latent": "generator.latent_stack",
              "sampler": "generator.sampler"}
    with open(os.path.join(HERE, "dgmr_ocf_names.txt"), "w") as f:
        for name, value in model.state_dict().items():
            part, rest = name.split(".", 1)
            print(f"{prefix[part]}.{rest}", ours.get(name, "-"), *value.shape, file=f)


def main():
    torch.manual_seed(0)
    torch.set_num_threads(2)
    wanted = sys.argv[1:]
    run = lambda name, f, *a: f(name, *a) if not wanted or name in wanted else None
    run("names", lambda name: file_names())
    run("small", forward, Generator, 192, 96, 2, (2, 3, 64, 64), 7)
    run("small_wide", forward, Generator, 192, 96, 2, (1, 2, 64, 96), 5)
    run("paper", forward, Paper, 192, 96, 2, (2, 2, 64, 96), 7)
    run("eval", gradients, False)
    run("train", gradients, True)
    run("full_wide", forward, Generator, 768, 384, 8, (1, 2, 32, 64), 1)
    run("full", forward, Generator, 768, 384, 8, (1, 18, 64, 64), 11)


if __name__ == "__main__":
    main()
