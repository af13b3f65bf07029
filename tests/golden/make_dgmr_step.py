# SPDX-License-Identifier: Apache-2.0
"""Golden files of DGMR's whole training step, and of ten turns, from PyTorch, in double.

    python tests/golden/make_dgmr_step.py [NAME...]      (writes tests/golden/dgmr_step_*; torch 2.15)

Networks and losses are those of make_dgmr.py and make_dgmr_disc.py (the PyPI package dgmr 1.4.4, and
our own PyTorch form of the paper's pseudo-code with Sonnet's spectral norm). A turn: two steps of the
discriminators, one of the generator with several draws of each sequence. A step may be cut: into
pieces of its sequences, and its draws into groups. Everything is normalised by the statistics of what
runs together; gradients, vectors of spectral norm and running statistics are those of the step.

Weights, samples and masks are by rule (rule.py, seed 0), as are noise, frames and windows: they
restate in NumPy what weather/dgmr_train.h, gen_dgmr_pick and gen_dgmr_place draw with seed 0.
"""
import os
import sys

import numpy as np
import torch
from scipy.special import ndtri
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, adaptive_avg_pool3d
from torch.nn.utils import parametrize

import make_dgmr
import make_dgmr_disc as disc
import rule

HERE = os.path.dirname(os.path.abspath(__file__))
N, CONTEXT, LEADS, SIDE, PICKED = 2, 4, 4, 64, 3
LATENT, STATES, Z, FIRST = 64, 48, 1, 6  # widths
D_STEPS, TURNS, G_RATE, MOST = 2, 10, 5e-5, 25
# name: form, pieces of the batch, draws, draws at once, lambda, rate of D, first turn
CASES = {"ocf": ("ocf", 1, 2, 2, 20, 2e-4, 0), "ocf_two_passes": ("ocf", 1, 4, 2, 0.005, 2e-6, 0),
         "paper": ("paper", 1, 2, 2, 0.005, 2e-4, 0), "paper_pieces": ("paper", 2, 2, 1, 20, 2e-4, 0)}


# ---- networks --------------------------------------------------------------------------------

class Pool(nn.Module):
    """Halves each axis, but for those of one cell."""

    def forward(self, x):
        pool = adaptive_avg_pool3d if x.dim() == 5 else adaptive_avg_pool2d
        return pool(x, [max(1, s // 2) for s in x.shape[2:]])


def sonnet(model):
    """Sonnet's spectral norm in place of PyTorch's."""
    for layer in list(model.modules()):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
            disc.sonnet(layer)
    return model


class Gan:
    def __init__(self, form, draws, d_rate):
        disc.PICKED = PICKED
        if form == "ocf":
            self.g, self.d = make_dgmr.Generator(LATENT, STATES, Z, LEADS), disc.OcfPair(FIRST)
        else:
            self.g = sonnet(make_dgmr.Paper(LATENT, STATES, Z, LEADS))
            self.d = disc.PaperPair(FIRST)
        for block in self.d.modules():
            if hasattr(block, "pooling"):
                block.pooling = Pool()
        self.form, self.of_sequence = form, draws
        self.g.double(), self.d.double()
        self.of_g, g_states = make_dgmr.fill(self.g)
        self.of_d, d_states = disc.fill(self.d)
        self.states = {**g_states, **d_states}
        self.adam_g = self.adam(self.of_g, G_RATE)
        self.adam_d = self.adam(self.of_d, d_rate)
        self.norms = {m: [] for part in (self.g, self.d) for m in part.modules()
                      if isinstance(m, (nn.modules.batchnorm._BatchNorm, disc.MeanNorm))}
        self.seen = None
        for m in self.norms:
            m.register_forward_pre_hook(self.look)

    @staticmethod
    def adam(trained, rate):
        return torch.optim.Adam([trained[k] for k in sorted(trained)], rate, betas=(0.0, 0.999))

    def look(self, norm, inputs):
        if self.seen is not None:
            self.seen[norm][-1].append(inputs[0].detach())

    def micro_batch(self):
        for calls in self.seen.values():
            calls.append([])


class Step:
    """States of batch norm move once, as if each call had had the samples of all micro-batches; those
    of spectral norm once, because its weights are cached."""

    def __init__(self, gan):
        self.gan = gan

    def __enter__(self):
        self.gan.seen = {m: [] for m in self.gan.norms}
        self.before = {m: {k: v.clone() for k, v in m.state_dict().items()} for m in self.gan.norms}
        self.cached = parametrize.cached()
        self.cached.__enter__()

    def __exit__(self, *failed):
        self.cached.__exit__(*failed)
        seen, self.gan.seen = self.gan.seen, None
        with torch.no_grad():
            for norm, micro in seen.items():
                for name in ("running_mean", "running_var"):
                    if name in self.before[norm]:
                        getattr(norm, name).copy_(self.before[norm][name])
                for calls in zip(*micro):
                    norm(torch.cat(calls))


# ---- what is drawn ---------------------------------------------------------------------------

def draw(stream, number, at, n):
    return int(rule.philox(stream, [(number << 20) + at])[0, 0]) * n >> 32


def frames(form, sequences, number):
    """The frames of the spatial discriminator: any, the same for all; or lead times, none twice."""
    stream = "discriminator/spatial/index"
    if form == "ocf":
        return [[draw(stream, number, p, CONTEXT + LEADS) for p in range(PICKED)]] * sequences
    out = []
    for i in range(sequences):
        chosen = []
        for p in range(PICKED):
            last = LEADS - PICKED + p
            t = draw(stream, number, i * PICKED + p, last + 1)
            chosen.append(last if t in chosen else t)
        out.append([CONTEXT + t for t in chosen])
    return out


def window(number):
    return [draw("discriminator/temporal/offset", number, axis, SIDE // 2) for axis in (0, 1)]


def noise(number, k, draws, piece, n):
    size = (SIDE // 32)**2 * Z
    first = ((number * draws + k) * N + piece * n) * size
    word = rule.words("dgmr/train/z", first, n * size).astype(np.float64)
    z = ndtri((word + 0.5) * 2.0**-32).astype(np.float32).astype(np.float64)
    return torch.from_numpy(z.reshape(n, SIDE // 32, SIDE // 32, Z)).permute(0, 3, 1, 2)


def sample(index):
    """Rain, 0 where it is missing, and the mask: [T,1,H,W]. Heavy, in areas of 16 x 16 cells, so that
    sequences differ, and batch norm does not divide by what is rounding error."""
    frames = CONTEXT + LEADS
    shape = (frames, 1, SIDE, SIDE)
    mask = rule.value(f"sample/{index}/mask", shape) > -1
    area = rule.value(f"sample/{index}/area", (frames, 1, SIDE // 16, SIDE // 16))
    area = 8 * np.maximum(area, 0).repeat(16, 2).repeat(16, 3)
    rain = rule.value(f"sample/{index}/frames", shape) * area * mask
    return torch.from_numpy(rain.astype(np.float64)), torch.from_numpy(mask.astype(np.float64))


class Batch:
    """Piece `piece` of the batch of a step."""

    def __init__(self, number, piece, pieces):
        every = [sample(number * N + i) for i in range(N)]
        self.n = N // pieces
        own = every[piece * self.n:(piece + 1) * self.n]
        rain, mask = (torch.stack([s[k] for s in own]) for k in (0, 1))
        self.context, self.target, self.mask = rain[:, :CONTEXT], rain[:, CONTEXT:], mask[:, CONTEXT:]
        self.cells = sum(m[CONTEXT:].sum() for _, m in every) / pieces
        self.number, self.piece = number, piece

    def draws(self, gan, which):
        """Those draws together: of each sequence the first, then of each the second ..."""
        z = torch.cat([noise(self.number, k, gan.of_sequence, self.piece, self.n) for k in which])
        return gan.g(self.context.repeat(len(which), 1, 1, 1, 1), z)

    def scores(self, gan, drawn):
        k = len(drawn) // self.n
        view = self.number * N + self.piece
        gan.d.frames, gan.d.offset = frames(gan.form, (1 + k) * self.n, view), window(view)
        real = torch.cat([self.context, self.target * self.mask], 1)
        made = torch.cat([self.context.repeat(k, 1, 1, 1, 1),
                          drawn * self.mask.repeat(k, 1, 1, 1, 1)], 1)
        return [(s[:self.n], s[self.n:]) for s in gan.d(torch.cat([real, made]))]


# ---- steps -----------------------------------------------------------------------------------

def take(adam, loss):
    adam.zero_grad()
    loss.backward()
    grads = {p: p.grad.clone() for group in adam.param_groups for p in group["params"]}
    adam.step()
    return grads


def d_step(gan, number, pieces):
    loss = real = made = 0
    with Step(gan):
        for piece in range(pieces):
            gan.micro_batch()
            b = Batch(number, piece, pieces)
            for r, m in b.scores(gan, b.draws(gan, [0]).detach()):
                loss = loss + disc.hinge(r, m) / pieces
                real, made = real + r.mean().item() / pieces, made + m.mean().item() / pieces
        grads = take(gan.adam_d, loss)
    return [loss.item(), real, made], grads


def g_step(gan, number, pieces, at_once, weight):
    adversarial = held = 0
    share = pieces * (gan.of_sequence // at_once)
    with Step(gan):
        for piece in range(pieces):
            b, drawn = Batch(number, piece, pieces), []
            for first in range(0, gan.of_sequence, at_once):
                gan.micro_batch()
                drawn.append(b.draws(gan, range(first, first + at_once)))
                for _, made in b.scores(gan, drawn[-1]):
                    adversarial = adversarial - made.mean() / share
            mean = torch.cat(drawn).unflatten(0, (gan.of_sequence, b.n)).mean(0)
            distance = (mean - b.target).abs() * (b.target + 1).clamp(max=24) * b.mask
            held = held + distance.sum() / b.cells / pieces
        loss = adversarial + weight * held
        grads = take(gan.adam_g, loss)
    return [loss.item(), adversarial.item(), held.item()], grads


def save(name, values):
    values = np.asarray(values, dtype=np.float32)
    np.save(os.path.join(HERE, f"dgmr_step_{name}.npy"), values)
    print(name, values.shape, "max", float(np.abs(values).max()), flush=True)


def samples(tensors):
    return np.concatenate([rule.samples(t.detach(), MOST) for t in tensors])


def run(name, form, pieces, draws, at_once, weight, d_rate, start):
    gan, rows = Gan(form, draws, d_rate), []
    for turn in range(start, start + TURNS):
        number, of_d = turn * (D_STEPS + 1), []
        for step in range(D_STEPS):
            row, grads = d_step(gan, number + step, pieces)
            of_d.append(row)
            if turn == start and step == 0:
                save(f"{name}_d_grads", samples(grads[gan.of_d[k]] for k in sorted(gan.of_d)))
        of_g, grads = g_step(gan, number + D_STEPS, pieces, at_once, weight)
        rows.append([*np.mean(of_d, 0), *of_g, *of_d[0]])
        print(turn, *(f"{v:.6g}" for v in rows[-1]), flush=True)
        if turn == start:
            save(f"{name}_g_grads", samples(grads[gan.of_g[k]] for k in sorted(gan.of_g)))
            save(f"{name}_states", samples(make_dgmr.state_value(gan.states, k)
                                           for k in sorted(gan.states)))
    save(f"{name}_losses", rows)


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for name in sys.argv[1:] or CASES:
        run(name, *CASES[name])


if __name__ == "__main__":
    main()
