# SPDX-License-Identifier: Apache-2.0
"""PyTorch's runner for train_step.py: a turn of DGMR's training on the network that train_step.c trains, with its protocol
("ready SECONDS", then a turn for each line on stdin, answered with its seconds).

    train_step_peer.py WIDTH SIZE BATCH LEADS f32|bf16 THREADS

The modules are those of the golden tests (the package dgmr's, in the paper's form). Where the package goes through lead
times one by one, they are one batch here, but for the ConvGRUs and for the statistics of batch norm; both draws are one
batch; memory is channels last; spectral norm is computed once a step; no anomaly mode. bf16: autocast."""
import os, sys, time, warnings
T0 = time.perf_counter()
warnings.filterwarnings("ignore")
import logging
logging.disable(logging.WARNING)
width, size, batch, leads, precision, threads = (f(a) for f, a in zip((float, int, int, int, str, int), sys.argv[1:]))
import torch
from torch import nn
from torch.nn.functional import relu
from torch.nn.utils import parametrize

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../golden"))
import make_dgmr, make_dgmr_disc

torch.set_num_threads(threads)
torch.manual_seed(0)
CONTEXT, DRAWS, PICKED, LAMBDA = 4, 2, 8, 20
LAST = torch.channels_last


def by_lead(bn, x):
    """Batch norm of [T*N,C,H,W] with each lead time's own statistics."""
    return torch.cat([bn(c) for c in x.chunk(leads)])


def block(g, x, up=False):
    skip, y = x, relu(by_lead(g.bn1, x))
    if up:
        skip, y = g.upsample(x), g.upsample(y)
    if up or x.shape[1] != g.output_channels:
        skip = g.conv_1x1(skip)
    y = g.first_conv_3x3(y)
    return g.last_conv_3x3(relu(by_lead(g.bn2, y))) + skip


def gru(cell, x, h):
    """x: T tensors [N,C,H,W], or one for all steps; -> [T*N,C,H,W]."""
    out = []
    for t in range(leads):
        xt = x[t] if isinstance(x, tuple) else x
        xh = torch.cat([xt, h], 1)
        r, u = torch.sigmoid(cell.read_gate_conv(xh)), torch.sigmoid(cell.update_gate_conv(xh))
        c = relu(cell.output_conv(torch.cat([xt, r * h], 1)))
        h = u * h + (1 - u) * c
        out.append(h)
    return torch.cat(out)


class Generator(make_dgmr.Paper):
    def forward(self, frames, z):  # [N,4,1,H,W], [K*N,Z,h,w] -> [K*N,T,1,H,W]
        s, l = self.sampler, self.latent
        k = len(z) // len(frames)
        states = [h.repeat(k, 1, 1, 1) for h in self.conditioning(frames)]
        x = l.l_block4(l.att_block(l.l_block3(l.l_block2(l.l_block1(l.conv_3x3(z))))))
        for i, state in zip("1234", states[::-1]):
            h = gru(getattr(s, f"convGRU{i}").cell, x, state)
            h = getattr(s, "gru_conv_1x1" + (f"_{i}" if i > "1" else ""))(h)
            h = block(getattr(s, f"up_g{i}"), block(getattr(s, f"g{i}"), h), up=True)
            x = h.chunk(leads)
        h = s.depth2space(s.conv_1x1(relu(by_lead(s.bn, h))))
        return h.unflatten(0, (leads, len(z))).transpose(0, 1)


class Discriminators(make_dgmr_disc.PaperPair):
    def forward(self, x):  # [N,T,1,H,W] -> two scores [N]
        pick = CONTEXT + torch.rand(len(x), leads).argsort(1)[:, :PICKED]
        rows = x.gather(1, pick[:, :, None, None, None].expand(-1, -1, *x.shape[2:]))
        pooled = nn.functional.avg_pool2d(rows.flatten(0, 1), 2).unflatten(0, rows.shape[:2])
        r, c = torch.randint(size // 2, (2,)).tolist()
        window = x[..., r:r + size // 2, c:c + size // 2]
        unshuffle = nn.functional.pixel_unshuffle
        return self.spatial(unshuffle(pooled, 2)), self.temporal(unshuffle(window, 2))


def last(net):
    for m in net.modules():
        if isinstance(m, nn.Conv2d):
            m.to(memory_format=LAST)
        elif isinstance(m, nn.Conv3d):
            m.to(memory_format=torch.channels_last_3d)
        elif isinstance(m, (nn.AvgPool2d, nn.AvgPool3d)):
            m.ceil_mode = True  # maps of one cell stay
    return net.train()


latent, context = int(768 * width), int(384 * width)
noise = min(8, latent // 32 - 1)  # the package's first L block must widen it
g = last(Generator(latent, context, noise, leads))
d = last(Discriminators(int(48 * width)))
adam_g = torch.optim.Adam(g.parameters(), 5e-5, (0.0, 0.999))
adam_d = torch.optim.Adam(d.parameters(), 2e-4, (0.0, 0.999))
rain = torch.rand(batch, CONTEXT + leads, 1, size, size) * 10
past, target, mask = rain[:, :CONTEXT], rain[:, CONTEXT:], torch.ones(batch, leads, 1, size, size)
weight = (target + 1).clamp(max=24) * mask / mask.sum()


def draws(k):
    return g(past, torch.randn(k * batch, noise, size // 32, size // 32).contiguous(memory_format=LAST))


def pair(made):
    k = len(made) // batch
    whole = torch.cat([past.repeat(k, 1, 1, 1, 1), made * mask.repeat(k, 1, 1, 1, 1)], 1)
    return torch.cat([torch.cat([past, target * mask], 1), whole])


def cast():
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")


def d_step():
    with parametrize.cached(), cast():
        with torch.no_grad():
            made = draws(1)
        loss = sum(relu(1 - s[:batch]).mean() + relu(1 + s[batch:]).mean() for s in d(pair(made)))
    adam_d.zero_grad()
    loss.backward()
    adam_d.step()


def g_step():
    for p in d.parameters():
        p.requires_grad_(False)
    with parametrize.cached(), cast():
        made = draws(DRAWS)
        held = ((made.unflatten(0, (DRAWS, batch)).mean(0) - target).abs() * weight).sum()
        loss = LAMBDA * held - sum(s[batch:].mean() for s in d(pair(made)))
    adam_g.zero_grad()
    loss.backward()
    adam_g.step()
    for p in d.parameters():
        p.requires_grad_(True)


print(f"ready {time.perf_counter() - T0:.3f}", flush=True)
for line in sys.stdin:
    t = time.perf_counter()
    d_step()
    d_step()
    g_step()
    print(f"{time.perf_counter() - t:.6f}", flush=True)
