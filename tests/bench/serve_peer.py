# SPDX-License-Identifier: Apache-2.0
"""A runner of a peer for run.py, with the protocol of serve_gen.c: "ready SECONDS", then one forward pass for each line
on stdin, answered with its seconds.

    serve_peer.py torch|torch-cl|torch-bf16|ort|openvino|openvino-bf16 HEIGHT WIDTH THREADS ONNX_FILE
    serve_peer.py export HEIGHT WIDTH THREADS ONNX_FILE

The network is PyPI dgmr 1.4.4 with random weights, spectral norm folded and the latent an input (the package draws it
inside). torch runs it with the frames of a level in one batch where that is the faster form (channels last, bf16)."""
import logging, os, sys, time, warnings
T0 = time.perf_counter()
warnings.filterwarnings("ignore"); logging.disable(logging.WARNING)
what, H, W, threads, path = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
import numpy as np

rng = np.random.default_rng(0)
x = rng.random((1, 4, 1, H, W), dtype=np.float32)
z = rng.standard_normal((1, 8, H // 32, W // 32)).astype(np.float32)


def generator(batched):
    import torch
    from torch.nn.utils import parametrize
    from dgmr import DGMR
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = DGMR(forecast_steps=18, input_channels=1, output_shape=H, generation_steps=1).eval()
    torch.autograd.set_detect_anomaly(False)
    for m in list(model.modules()):
        if parametrize.is_parametrized(m, "weight"):
            parametrize.remove_parametrizations(m, "weight")

    class Generator(torch.nn.Module):
        def __init__(self, g):
            super().__init__()
            self.c, self.l, self.s = g.conditioning_stack, g.latent_stack, g.sampler

        def levels(self):
            s = self.s
            return ((s.convGRU1, s.gru_conv_1x1, s.g1, s.up_g1, 3), (s.convGRU2, s.gru_conv_1x1_2, s.g2, s.up_g2, 2),
                    (s.convGRU3, s.gru_conv_1x1_3, s.g3, s.up_g3, 1), (s.convGRU4, s.gru_conv_1x1_4, s.g4, s.up_g4, 0))

        def forward(self, frames, latent):
            s, l = self.s, self.l
            states = self.c(frames)
            v = l.l_block4(l.att_block(l.l_block3(l.l_block2(l.l_block1(l.conv_3x3(latent))))))
            steps = s.forecast_steps
            if not batched:
                h = [v] * steps
                for gru, one, g, up, c in self.levels():
                    h = [up(g(one(k))) for k in gru(h, states[c])]
                return torch.stack([s.depth2space(s.conv_1x1(torch.relu(s.bn(k)))) for k in h], 1)
            h = [v] * steps
            for gru, one, g, up, c in self.levels():
                y, state = [], states[c]
                for t in range(steps):
                    state = gru.cell(h[t] if isinstance(h, list) else h[t:t + 1], state)[0]
                    y.append(state)
                h = up(g(one(torch.cat(y, 0))))
            return s.depth2space(s.conv_1x1(torch.relu(s.bn(h)))).unsqueeze(0)

    return Generator(model.generator).eval()


def torch_runner():
    import torch
    cl, bf16 = what != "torch", what == "torch-bf16"
    m = generator(batched=cl)
    tx, tz = torch.from_numpy(x), torch.from_numpy(z)
    if cl:
        m = m.to(memory_format=torch.channels_last)
        tz = tz.contiguous(memory_format=torch.channels_last)

    def run():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return m(tx, tz)
    return run


def ort_runner():
    import onnxruntime as ort
    so = ort.SessionOptions()
    so.intra_op_num_threads, so.inter_op_num_threads, so.log_severity_level = threads, 1, 3
    s = ort.InferenceSession(path, so, providers=["CPUExecutionProvider"])
    feed = {i.name: a for i, a in zip(s.get_inputs(), (x, z))}
    return lambda: s.run(None, feed)


def openvino_runner():
    import openvino as ov
    core = ov.Core()
    c = core.compile_model(core.read_model(path), "CPU", {
        "INFERENCE_NUM_THREADS": str(threads), "NUM_STREAMS": "1", "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if what.endswith("bf16") else "f32"})
    req = c.create_infer_request()
    return lambda: req.infer([x, z])


if what == "export":
    import torch
    with torch.no_grad():
        torch.onnx.export(generator(False), (torch.from_numpy(x), torch.from_numpy(z)), path, dynamo=True,
                          input_names=["frames", "z"], output_names=["out"], external_data=False, verbose=False)
    sys.exit()
run = torch_runner() if what.startswith("torch") else ort_runner() if what == "ort" else openvino_runner()
print(f"ready {time.perf_counter() - T0:.3f}", flush=True)
for line in sys.stdin:
    t = time.perf_counter()
    run()
    print(f"{time.perf_counter() - t:.6f}", flush=True)
