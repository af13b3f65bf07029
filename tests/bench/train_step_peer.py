# SPDX-License-Identifier: Apache-2.0
"""PyTorch's runner for train_step.py and gpu.py: a turn of DGMR's training on the network that train_step.c trains, with
its protocol ("ready SECONDS", then a turn for each line on stdin, answered with its seconds).

    train_step_peer.py WIDTH SIZE BATCH LEADS f32|tf32|bf16 THREADS [DEVICE] [compile]

The network is dgmr_torch.py's; both draws are one batch; memory is channels last; spectral norm is computed once a step.
bf16: autocast. On a GPU Adam is the fused one, and a turn ends when the device is idle. A line that begins with m is
answered with the device memory taken at most."""
import os, sys, time, warnings
T0 = time.perf_counter()
warnings.filterwarnings("ignore")
width, size, batch, leads, precision, threads = (f(a) for f, a in zip((float, int, int, int, str, int), sys.argv[1:]))
device = sys.argv[7] if len(sys.argv) > 7 else "cpu"
import torch
from torch.nn.functional import relu
from torch.nn.utils import parametrize

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dgmr_torch

torch.set_num_threads(threads)
torch.manual_seed(0)
on_gpu = device != "cpu"
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "f32"
torch.backends.cudnn.benchmark = True
CONTEXT, DRAWS, PICKED, LAMBDA, Z = dgmr_torch.CONTEXT, 2, min(8, leads), 20, 8
LAST = torch.channels_last

g = dgmr_torch.Generator(round(768 * width / 32) * 32, round(384 * width / 16) * 16, Z, leads)
d = dgmr_torch.Discriminators(int(48 * width))
g, d = (dgmr_torch.channels_last(net.to(device)) for net in (g, d))
for m in [*g.modules(), *d.modules()]:
    if isinstance(m, (torch.nn.AvgPool2d, torch.nn.AvgPool3d)):
        m.ceil_mode = True  # maps of one cell stay
fused = {"fused": True} if on_gpu else {}
adam_g = torch.optim.Adam(g.parameters(), 5e-5, (0.0, 0.999), **fused)
adam_d = torch.optim.Adam(d.parameters(), 2e-4, (0.0, 0.999), **fused)
rain = (torch.rand(batch, CONTEXT + leads, 1, size, size) * 10).to(device)
past, target, mask = rain[:, :CONTEXT], rain[:, CONTEXT:], torch.ones(batch, leads, 1, size, size, device=device)
weight = (target + 1).clamp(max=24) * mask / mask.sum()
make, judge = (torch.compile(net) if "compile" in sys.argv else net for net in (g, d))


def draws(k):
    return make(past, torch.randn(k * batch, Z, size // 32, size // 32, device=device).contiguous(memory_format=LAST))


def pair(made):
    """Real sequences, then made ones, judged on the same draw of frames and place."""
    k = len(made) // batch
    x = torch.cat([torch.cat([past, target * mask], 1),
                   torch.cat([past.repeat(k, 1, 1, 1, 1), made * mask.repeat(k, 1, 1, 1, 1)], 1)])
    pick = CONTEXT + torch.rand(len(x), leads, device=device).argsort(1)[:, :PICKED]
    row, column = torch.randint(size // 2, (2,)).tolist()
    return judge(x, pick, row, column)


def cast():
    return torch.autocast(device.split(":")[0], torch.bfloat16, enabled=precision == "bf16")


def d_step():
    with parametrize.cached(), cast():
        with torch.no_grad():
            made = draws(1)
        loss = sum(relu(1 - s[:batch]).mean() + relu(1 + s[batch:]).mean() for s in pair(made))
    adam_d.zero_grad()
    loss.backward()
    adam_d.step()


def g_step():
    for p in d.parameters():
        p.requires_grad_(False)
    with parametrize.cached(), cast():
        made = draws(DRAWS)
        held = ((made.unflatten(0, (DRAWS, batch)).mean(0) - target).abs() * weight).sum()
        loss = LAMBDA * held - sum(s[batch:].mean() for s in pair(made))
    adam_g.zero_grad()
    loss.backward()
    adam_g.step()
    for p in d.parameters():
        p.requires_grad_(True)


def turn():
    d_step()
    d_step()
    g_step()
    if on_gpu:
        torch.cuda.synchronize()


if on_gpu or "compile" in sys.argv:
    turn()  # cuDNN chooses, the compiler compiles
print(f"ready {time.perf_counter() - T0:.3f}", flush=True)
for line in sys.stdin:
    if line[0] == "m":
        print(torch.cuda.max_memory_allocated() if on_gpu else 0, flush=True)
        continue
    t = time.perf_counter()
    turn()
    print(f"{time.perf_counter() - t:.6f}", flush=True)
