#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes gan.json: ten turns of a toy GAN in PyTorch (double; torch 2.15): one generator with batch
norm, two discriminators under spectral norm, hinge losses, two steps of the discriminators to one of
the generator, each of two micro-batches; Adam (0, 0.999). Parameters and data are by rule.py. One
power iteration a step: the vectors depend on the weights only, and so on no micro-batch. Every micro-batch
is normalised by its own statistics; the running ones move once a step, by those of all its samples.
Run it again with:  python3 tests/golden/gan.py"""
import json
import os

import numpy as np
import torch
import torch.nn.functional as F

import rule

TURNS, N, SIDE = 10, 2, 5
torch.set_default_dtype(torch.float64)
SHAPES = {
    "g/first/w": (6, 3, 3, 3), "g/norm/gamma": (6,), "g/norm/beta": (6,),
    "g/last/w": (2, 6, 3, 3), "g/last/b": (2,),
    "d/a/w": (5, 2, 3, 3), "d/a/b": (5,), "d/a_out/w": (1, 5), "d/a_out/b": (1,),
    "d/b/w": (4, 2, 3, 3), "d/b/b": (4,), "d/b_out/w": (1, 4), "d/b_out/b": (1,),
}
P = {k: torch.tensor(rule.value(k, s), dtype=torch.float64, requires_grad=True)
     for k, s in SHAPES.items()}
U = {}
for name in ("d/a", "d/a_out", "d/b", "d/b_out"):
    u, v = rule.vectors(name, P[name + "/w"].detach().numpy().astype(np.float32))
    U[name] = torch.tensor(u, dtype=torch.float64)
RUNNING = {"mean": torch.tensor(rule.value("g/norm/mean", (6,)), dtype=torch.float64),
           "var": torch.tensor(rule.value("g/norm/var", (6,)), dtype=torch.float64)}
TURN = {"z": 0, "real": 0}


def draw(name, channels):  # [N,H,W,C] by rule -> [N,C,H,W]
    x = rule.value(f"{name}/{TURN[name]}/x", (N, SIDE, SIDE, channels))
    TURN[name] += 1
    return torch.tensor(x, dtype=torch.float64).permute(0, 3, 1, 2)


def iterate():
    """One power iteration of each weight, as torch's parametrization: u from v, v from u."""
    vectors = {}
    for name, u in U.items():
        m = P[name + "/w"].detach().flatten(1)
        v0 = V[name]
        u = F.normalize(m @ v0, dim=0, eps=1e-4)
        v = F.normalize(m.T @ u, dim=0, eps=1e-4)
        vectors[name] = (u, v)
    return vectors


V = {}
for name in U:
    V[name] = torch.tensor(rule.vectors(name, P[name + "/w"].detach().numpy()
                                        .astype(np.float32))[1], dtype=torch.float64)


def normalised(name, vectors):
    w = P[name + "/w"]
    u, v = vectors[name]
    return w / torch.dot(u, w.flatten(1) @ v)


def generator(z, statistics):
    x = F.conv2d(z, P["g/first/w"], padding=1)  # batch norm would take a bias away
    statistics.append(x.detach())
    x = F.batch_norm(x, None, None, P["g/norm/gamma"], P["g/norm/beta"], True, 0.1, 1e-5)
    return F.conv2d(F.relu(x), P["g/last/w"], P["g/last/b"], padding=1)


def scores(x, vectors):
    out = []
    for d in "ab":
        h = F.relu(F.conv2d(x, normalised(f"d/{d}", vectors), P[f"d/{d}/b"], padding=1))
        out.append(F.linear(h.mean((2, 3)), normalised(f"d/{d}_out", vectors), P[f"d/{d}_out/b"]))
    return out


def step(phase, adam):
    vectors, statistics, total = iterate(), [], 0.0
    adam.zero_grad()
    for _ in range(2):
        fake = generator(draw("z", 3), statistics)
        if phase == "d":
            both = scores(torch.cat([draw("real", 2), fake.detach()]), vectors)
            loss = sum(F.relu(1 - s[:N]).mean() + F.relu(1 + s[N:]).mean() for s in both)
        else:
            loss = sum(-s.mean() for s in scores(fake, vectors))
        (loss / 2).backward()
        total += loss.item() / 2
    adam.step()
    for name, (u, v) in vectors.items():
        U[name], V[name] = u, v
    F.batch_norm(torch.cat(statistics), RUNNING["mean"], RUNNING["var"], None, None, True, 0.1, 1e-5)
    return total


def of(prefix):
    return [p for k, p in P.items() if k.startswith(prefix)]


adam_d = torch.optim.Adam(of("d/"), lr=0.002, betas=(0.0, 0.999))
adam_g = torch.optim.Adam(of("g/"), lr=0.001, betas=(0.0, 0.999))
losses = []
for _ in range(TURNS):
    d = (step("d", adam_d) + step("d", adam_d)) / 2
    losses.append([d, step("g", adam_g)])

final = {k: p.detach().flatten().tolist() for k, p in P.items()}
final["g/norm/mean"] = RUNNING["mean"].tolist()
final["g/norm/var"] = RUNNING["var"].tolist()
final["d/b/u"] = U["d/b"].tolist()
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gan.json")
with open(path, "w") as f:
    json.dump({"torch": torch.__version__.split("+")[0], "losses": losses, "final": final}, f,
              indent=None, separators=(",\n", ":"))
    f.write("\n")
