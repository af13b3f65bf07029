# SPDX-License-Identifier: Apache-2.0
"""The package dgmr 1.4.4 beside `gen model convert` and `gen model run`, in every layout:

    python tests/golden/convert.py build/gen FOLDER [LATENT CONTEXT]

Random weights (768 and 384 channels are the published widths), a grid that is not square. Prints
"ok NAME" or "not ok NAME" a layout; the limit is max|difference| / max|reference| < 1e-4.
tests/cli/convert.sh runs it where the peers are installed.
"""
import os
import subprocess
import sys

import numpy as np
import torch
from dgmr import DGMR, common
from safetensors.torch import save_file, save_model
from torch.nn.utils import parametrize

GEN, OUT = os.path.abspath(sys.argv[1]), sys.argv[2]
LATENT, CONTEXT = (int(a) for a in sys.argv[3:5]) if len(sys.argv) > 3 else (288, 144)
HEIGHT, WIDTH, STEPS = 64, 96, 4


def build():
    torch.manual_seed(0)
    model = DGMR(forecast_steps=STEPS, input_channels=1, output_shape=64, latent_channels=LATENT,
                 context_channels=CONTEXT).eval()
    with torch.no_grad():
        model.latent_stack.att_block.gamma.fill_(0.7)
        for name, b in model.named_buffers():
            if name.endswith("running_mean"):
                b.normal_(0, 0.1)
            elif name.endswith("running_var"):
                b.uniform_(0.5, 1.5)
    return model


def reference(model, frames, z):
    """Their generator on our latent: the drawing and its repetition are overridden."""
    model.latent_stack.distribution.sample = lambda shape: z.permute(1, 2, 3, 0)
    repeat, common.einops.repeat = common.einops.repeat, lambda x, *a, **k: x
    try:
        with torch.no_grad():
            return model.generator(frames).permute(0, 1, 3, 4, 2).numpy()
    finally:
        common.einops.repeat = repeat


def spelled(state, weight, u, v):
    change = {".parametrizations.weight.original": weight, ".parametrizations.weight.0._u": u,
              ".parametrizations.weight.0._v": v}
    out = {}
    for k, t in state.items():
        for new, old in change.items():
            k = k.replace(new, old)
        out[k] = t
    return out


def folded(generator):
    out = {}
    for path, m in generator.named_modules():
        if parametrize.is_parametrized(m, "weight"):
            out[path + ".weight"] = m.weight.detach().contiguous()
    for k, t in generator.state_dict().items():
        if "parametrizations" not in k:
            out[k] = t.contiguous()
    return out


def main():
    os.chdir(OUT)
    model = build()
    frames, z = torch.rand(1, 4, 1, HEIGHT, WIDTH) * 5, torch.randn(1, 8, HEIGHT // 32, WIDTH // 32)
    expected = reference(model, frames, z)
    np.save("frames.npy", frames.permute(0, 1, 3, 4, 2).contiguous().numpy())
    np.save("z.npy", z.permute(0, 2, 3, 1).contiguous().numpy())
    with open("config.json", "w") as f:
        f.write('{"forecast_steps": %d, "visualize": false}' % STEPS)
    state = model.state_dict()
    hooks = spelled(state, ".weight_orig", ".weight_u", ".weight_v")
    layouts = {
        "pytorch_model.bin": lambda p: torch.save(state, p),
        "hooks.pth": lambda p: torch.save({"state_dict": hooks, "epoch": 1}, p,
                                          _use_new_zipfile_serialization=False),
        "model.safetensors": lambda p: save_model(model, p),
        "folded.safetensors": lambda p: save_file(folded(model.generator), p),
    }
    for name, write in layouts.items():
        write(name)
        for args in (["convert", name, "-o", "ours", "--force"],
                     ["run", "ours", "--input", "frames=frames.npy", "--input", "z=z.npy",
                      "--output", "rain=rain.npy", "--force"]):
            subprocess.run([GEN, "model"] + args, check=True, stdout=subprocess.DEVNULL)
        found = np.load("rain.npy")
        error = np.abs(found - expected).max() / np.abs(expected).max()
        good = found.shape == expected.shape and error < 1e-4
        print("%s dgmr 1.4.4 from %s: error %.1e" % ("ok" if good else "not ok", name, error))
        os.remove(name)


main()
