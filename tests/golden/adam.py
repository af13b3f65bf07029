#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes adam.json: parameters after steps of torch.optim.Adam in f32 (torch 2.15, on one thread),
and their average by torch.optim.swa_utils. Gradients are by rule.py: of step s and micro-batch b,
parameter "w" has value("step/s/b/g") * scale; the loss of PyTorch is the mean over micro-batches.
Run it again with:  python3 tests/golden/adam.py"""
import json
import os

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import rule

COUNT, STEPS = 37, 60
CASES = [
    dict(name="gan", beta1=0.0, beta2=0.999, eps=1e-8, weight_decay=0.0, average=0.999, micro=1),
    dict(name="usual", beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, average=0.0, micro=1),
    dict(name="decay", beta1=0.5, beta2=0.9, eps=1e-4, weight_decay=0.03, average=0.9, micro=3),
]


def run(case):
    torch.set_num_threads(1)
    model = torch.nn.Module()
    model.w = torch.nn.Parameter(torch.from_numpy(rule.value("start/x", (COUNT,))))
    adam = torch.optim.Adam(model.parameters(), lr=1.0, betas=(case["beta1"], case["beta2"]),
                            eps=case["eps"], weight_decay=case["weight_decay"], foreach=False)
    averaged = None
    if case["average"]:
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(case["average"]))
        averaged.update_parameters(model)  # the first call copies
    for step in range(STEPS):
        adam.param_groups[0]["lr"] = 0.02 / (1 + step % 4)
        adam.zero_grad()
        for b in range(case["micro"]):
            g = rule.value(f"step/{step}/{b}/g", (COUNT,)) * np.float32(10.0 ** (step % 5 - 3))
            (torch.dot(model.w, torch.from_numpy(g)) / case["micro"]).backward()
        adam.step()
        if averaged:
            averaged.update_parameters(model)
    out = dict(case, w=model.w.detach().double().tolist())
    if averaged:
        out["ema"] = averaged.module.w.detach().double().tolist()
    return out


path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "adam.json")
with open(path, "w") as f:
    json.dump({"torch": torch.__version__.split("+")[0], "count": COUNT, "steps": STEPS,
               "cases": [run(c) for c in CASES]}, f, indent=0)
    f.write("\n")
