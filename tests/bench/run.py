# SPDX-License-Identifier: Apache-2.0
"""make bench: DGMR (openclimatefix form, 4x256x256 -> 18x256x256) beside the peers that are installed.

Every runner is a process of its own that waits while the others work; they take turns, so that a slower or faster spell
of the machine meets all of them, and figures are ratios of the best times. Then the same with one core busy elsewhere,
then start to first result and peak memory of fresh processes.

    run.py GEN_BUILD_DIR [--rounds N] [--size 256] [--threads 2] [--peers PYTHON] [--only f32|bf16] [--no-cold] [--no-busy] [--cold-only]"""
import argparse, os, resource, statistics, subprocess, sys, time

ap = argparse.ArgumentParser()
ap.add_argument("build")
ap.add_argument("--rounds", type=int, default=7)
ap.add_argument("--size", type=int, default=256)
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--peers", default=os.path.expanduser(os.environ.get("PEERS", "~/.cache/libgen-peers")) + "/venv/bin/python")
ap.add_argument("--only", default="")
ap.add_argument("--no-cold", action="store_true")
ap.add_argument("--no-busy", action="store_true")
ap.add_argument("--cold-only", action="store_true")
a = ap.parse_args()
here = os.path.dirname(os.path.abspath(__file__))
work = os.path.join(a.build, "bench")
os.makedirs(work, exist_ok=True)
size, threads = str(a.size), str(a.threads)
env = dict(os.environ, OMP_NUM_THREADS=threads)
have_peers = os.path.exists(a.peers)
model = os.path.join(work, "dgmr-ocf.safetensors")
onnx = os.path.join(work, f"dgmr_{size}.onnx")
gen = os.path.join(a.build, "gen")


def ours(precision, *more):
    return [os.path.join(a.build, "tests/bench/serve_gen"), model, size, size, precision, threads, *more]


def peer(what):
    return [a.peers, os.path.join(here, "serve_peer.py"), what, size, size, threads, onnx]


class Runner:
    def __init__(self, name, command):
        self.name, self.times = name, []
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
        self.ready = self.p.stdout.readline().strip()
        if not self.ready.startswith("ready"):
            print(f"  {name}: does not run here", flush=True)
            self.p.kill()
            self.p = None

    def once(self):
        self.p.stdin.write("run\n")
        self.p.stdin.flush()
        return float(self.p.stdout.readline())

    def close(self):
        if self.p:
            self.p.stdin.close()
            self.p.wait()


def table(title, runners, rounds, reference):
    runners = [r for r in runners if r.p]
    for r in runners:
        r.once()  # warm-up
        r.times = []
    for _ in range(rounds):
        for r in runners:
            r.times.append(r.once())
    best = {r.name: min(r.times) for r in runners}
    print(f"\n{title}, {threads} threads, {rounds} rounds in turn\n| runner | best s | median s | times ours |\n|---|---|---|---|")
    for r in runners:
        print(f"| {r.name} | {best[r.name]:.3f} | {statistics.median(r.times):.3f} | {best[r.name] / best[reference]:.2f} |", flush=True)


def cold(name, command):
    t = time.perf_counter()
    p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
    ready = p.stdout.readline()
    if not ready.startswith("ready"):
        print(f"| {name} | - | - |")
        return
    p.stdin.write("run\n")
    p.stdin.flush()
    p.stdout.readline()
    first = time.perf_counter() - t
    p.stdin.close()
    _, _, usage = os.wait4(p.pid, 0)
    p.returncode = 0
    print(f"| {name} | {first:.2f} | {usage.ru_maxrss / 1024:.0f} |", flush=True)


def whole(name, command):
    """A command from start to end."""
    t = time.perf_counter()
    p = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = status
    print(f"| {name} | {time.perf_counter() - t:.2f} | {usage.ru_maxrss / 1024:.0f} |", flush=True)


if not os.path.exists(model):
    subprocess.check_call([gen, "model", "new", "--arch", "dgmr-ocf", "--seed", "1", "-o", model])
if have_peers and not os.path.exists(onnx):
    subprocess.call(peer("export"), env=env)

f32 = [("libgen f32", ours("f32"))]
bf16 = [("libgen bf16", ours("bf16"))]
if have_peers:
    f32 += [("OpenVINO f32", peer("openvino")), ("ONNX Runtime f32", peer("ort")), ("PyTorch f32", peer("torch")),
            ("PyTorch f32 channels last", peer("torch-cl"))]
    bf16 += [("OpenVINO bf16", peer("openvino-bf16")), ("PyTorch bf16 channels last", peer("torch-bf16"))]
for precision, commands in (("f32", f32), ("bf16", bf16)):
    if a.cold_only or (a.only and a.only != precision):
        continue
    runners = [Runner(n, c) for n, c in commands]
    table(f"DGMR {size}x{size}, 18 lead times, {precision}", runners, a.rounds, commands[0][0])
    if not a.no_busy:
        spin = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        table(f"the same, with one core busy elsewhere", runners, max(3, a.rounds // 2), commands[0][0])
        spin.kill()
        spin.wait()
    for r in runners:
        r.close()
if not a.no_cold:
    print("\nStart to first result (fresh process, files in the page cache)\n| runner | s | peak MB |\n|---|---|---|")
    for n, c in f32 + bf16:
        cold(n, c)
    radar = os.path.join(here, "../../examples/rain.nc")
    for precision in ("f32", "bf16"):
        whole(f"gen nowcast --method dgmr --precision {precision}, 1 member, from the file to the file",
              [gen, "nowcast", radar, "--method", "dgmr", "-m", model, "--members", "1", "--precision", precision,
               "-q", "--force", "-o", os.path.join(work, "nowcast.nc")])
