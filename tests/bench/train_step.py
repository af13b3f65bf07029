# SPDX-License-Identifier: Apache-2.0
"""A turn of DGMR's training beside PyTorch's on the same network: two steps of the discriminators, one of the generator
with two draws, Adam. Runners are processes of their own that take turns; figures are ratios of the best times, and the
peak memory of each process.

    train_step.py GEN_BUILD_DIR [--peers PYTHON] [--rounds N] [--threads 2] [--full] [--realtime PRIORITY]

Width 0.25, 64x64, batch 4, 4 + 12 frames; --full: width 1, 256x256, batch 1, 4 + 18 frames, minutes a turn, where ours
runs once more with one draw at a time (less memory)."""
import argparse, os, statistics, subprocess, sys

ap = argparse.ArgumentParser()
ap.add_argument("build")
ap.add_argument("--peers", default=os.path.expanduser(os.environ.get("PEERS", "~/.cache/libgen-peers")) + "/venv/bin/python")
ap.add_argument("--rounds", type=int)
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--full", action="store_true")
ap.add_argument("--realtime", type=int, help="priority of all runners once they are ready (chrt -f), where other work goes on")
a = ap.parse_args()
here = os.path.dirname(os.path.abspath(__file__))
case = ["1", "256", "1", "18"] if a.full else ["0.25", "64", "4", "12"]
rounds = a.rounds or (1 if a.full else 12)
env = dict(os.environ, OMP_NUM_THREADS=str(a.threads))


class Runner:
    def __init__(self, name, command, precision, *more):
        self.name, self.times = name, []
        self.p = subprocess.Popen(command + case + [precision, str(a.threads), *more], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
        if not self.p.stdout.readline().startswith("ready"):
            print(f"  {name}: does not run here", flush=True)
            self.p.kill()
            self.p.wait()
            self.p = None
        elif a.realtime:
            subprocess.check_call(["chrt", "-a", "-f", "-p", str(a.realtime), str(self.p.pid)])

    def once(self):
        self.p.stdin.write("run\n")
        self.p.stdin.flush()
        return float(self.p.stdout.readline().split()[0])

    def close(self):
        self.p.stdin.close()
        _, status, usage = os.wait4(self.p.pid, 0)
        self.p.returncode = status
        return usage.ru_maxrss / 1e6


ours = [os.path.join(a.build, "tests/bench/train_step")]
peer = [a.peers, os.path.join(here, "train_step_peer.py")]
runners = [Runner("libgen f32", ours, "f32"), Runner("libgen bf16", ours, "bf16")]
if a.full:
    runners.append(Runner("libgen bf16, one draw at a time", ours, "bf16", "1"))
if os.path.exists(a.peers):
    runners += [Runner("PyTorch f32 channels last", peer, "f32"), Runner("PyTorch bf16 channels last", peer, "bf16")]
runners = [r for r in runners if r.p]
for r in runners:
    if not a.full:
        r.once()  # warm-up
for _ in range(rounds):
    for r in runners:
        r.times.append(r.once())
best = {r.name: min(r.times) for r in runners}
print(f"\nTurn of DGMR's training, width {case[0]}, {case[1]}x{case[1]}, batch {case[2]}, 4 + {case[3]} frames, {a.threads} threads, "
      f"{rounds} rounds in turn\n| runner | best s | median s | times ours in f32 | peak GB |\n|---|---|---|---|---|")
for r in runners:
    print(f"| {r.name} | {best[r.name]:.3f} | {statistics.median(r.times):.3f} | {best[r.name] / best['libgen f32']:.2f} | {r.close():.2f} |",
          flush=True)
