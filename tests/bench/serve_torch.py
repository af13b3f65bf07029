# SPDX-License-Identifier: Apache-2.0
"""PyTorch's runner for gpu.py, with the protocol of serve_gen.c on the same model file and inputs: "ready SECONDS", then
a forecast for each line on stdin, from frames in host memory to rain in host memory, answered with its seconds.

    serve_torch.py MODEL HEIGHT WIDTH f32|tf32|bf16 THREADS DEVICE MEMBERS LEADS [compile]

The network is dgmr_torch.py's; bf16: weights and frames in bf16. `compile` is torch.compile with CUDA graphs. Lines that
begin with "o PATH" write the last result as .npy, with m are answered with the most device memory taken, and with p with
the share of the time in which the device ran a kernel, by torch.profiler."""
import os, sys, time, warnings
T0 = time.perf_counter()
warnings.filterwarnings("ignore")
path, precision, device = sys.argv[1], sys.argv[4], sys.argv[6]
height, width, threads, members, leads = (int(sys.argv[i]) for i in (2, 3, 5, 7, 8))
here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, "../golden")]
import numpy as np
import torch
import dgmr_torch, rule

torch.set_num_threads(threads)
on_gpu = device != "cpu"
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "f32"
torch.backends.cudnn.benchmark = True
net, config = dgmr_torch.from_file(path, leads)
kind = torch.bfloat16 if precision == "bf16" else torch.float32
net = net.to(device, kind)
if "compile" in sys.argv:
    net = torch.compile(net, mode="reduce-overhead" if on_gpu else None)


def given(name, *shape):
    t = torch.from_numpy(rule.uniform(name, int(np.prod(shape))).astype(np.float32).reshape(shape))
    return t.pin_memory() if on_gpu else t


frames = given("frames", 1, 4, 1, height, width)
z = given("z", members, height // 32, width // 32, config["z_channels"]).permute(0, 3, 1, 2)  # channels last
rain = torch.empty(members, leads, 1, height, width, pin_memory=on_gpu)


def run():
    with torch.inference_mode():
        x, y = (t.to(device, kind, non_blocking=True) for t in (frames, z))
        rain.copy_(net(x, y).float(), non_blocking=True)
    if on_gpu:
        torch.cuda.synchronize()


def busy(runs=3):
    """Of the time of a run, that in which some kernel or copy ran."""
    from torch.profiler import ProfilerActivity, profile
    with profile(activities=[ProfilerActivity.CUDA]) as p:
        t = time.perf_counter()
        for _ in range(runs):
            run()
        wall = time.perf_counter() - t
    return sum(e.device_time_total for e in p.events()) / 1e6 / wall


for _ in range(3 if on_gpu else 1):  # cuDNN chooses, the compiler compiles and records
    run()
if on_gpu:
    torch.cuda.reset_peak_memory_stats()
print(f"ready {time.perf_counter() - T0:.3f}", flush=True)
for line in sys.stdin:
    if line[0] == "o":
        np.save(line[2:].strip(), rain.numpy().reshape(members, leads, height, width, 1))
        print(0, flush=True)
    elif line[0] == "m":
        print(torch.cuda.max_memory_reserved() if on_gpu else 0, flush=True)
    elif line[0] == "p":
        print(f"{busy() if on_gpu else 0:.4f}", flush=True)
    else:
        t = time.perf_counter()
        run()
        print(f"{time.perf_counter() - t:.6f}", flush=True)
