# SPDX-License-Identifier: Apache-2.0
"""make bench-gpu: DGMR's forecasts and training turns beside PyTorch, eager and torch.compile, on the same device.

    gpu.py GEN_BUILD_DIR [--device cuda] [--time-limit 290] [--out DIR] [--peers PYTHON] [--only WORD] [--tiny]

Every runner is a process of its own (serve_gen.c, serve_torch.py; train_step.c, train_step_peer.py). All start at once, so
that what compiles does so in parallel, and are timed only when no one compiles any more; then the runners of a case take
turns. A forecast is from frames in host memory to rain in host memory. Runners that are not ready in time, or that fail,
are named with what they said last. `busy` is the share of the time in which the device ran a kernel: of ours the sum of the
plan's steps over the time of a run, of PyTorch's from torch.profiler. Writes bench.md, bench.json and a log a runner
into DIR. --tiny and --device cpu are a rehearsal."""
import argparse, json, os, queue, re, signal, statistics, subprocess, sys, threading, time

ap = argparse.ArgumentParser()
ap.add_argument("build")
ap.add_argument("--device", default="cuda")
ap.add_argument("--time-limit", type=float, default=290)
ap.add_argument("--out")
ap.add_argument("--peers", default=sys.executable)
ap.add_argument("--only", default="", help="cases whose name has this word")
ap.add_argument("--tiny", action="store_true")
a = ap.parse_args()
begin = time.monotonic()
here = os.path.dirname(os.path.abspath(__file__))
out = a.out or os.path.join(a.build, "bench-gpu")
os.makedirs(out, exist_ok=True)
threads = str(min(8, len(os.sched_getaffinity(0))))
env = dict(os.environ, OMP_NUM_THREADS=threads, TORCHINDUCTOR_COMPILE_THREADS="4")
# Where our programs find cuDNN and cuBLASLt; PyTorch finds its own.
own_env = dict(env, LD_LIBRARY_PATH=os.environ.get("GEN_GPU_LIBRARIES", "") or os.environ.get("LD_LIBRARY_PATH", ""))


def left():
    return a.time_limit - (time.monotonic() - begin)


class Runner:
    """One process; what it says comes through a queue, so that waiting has an end."""

    def __init__(self, name, command):
        self.name, self.times, self.said, self.memory, self.busy = name, [], queue.Queue(), 0, None
        self.log = os.path.join(out, re.sub(r"\W+", "_", name) + ".log")
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.log, "w"),
                                  text=True, env=env if command[0] == a.peers else own_env, start_new_session=True)
        threading.Thread(target=self.listen, daemon=True).start()
        self.why = None

    def listen(self):
        for line in self.p.stdout:
            self.said.put(line)
        self.said.put("")

    def hear(self, seconds):
        """The next line; None when it ended or took too long, and then it is over."""
        try:
            line = self.said.get(timeout=max(seconds, 0.1))
        except queue.Empty:
            line, self.why = "", f"no answer in {seconds:.0f} s"
        if line:
            return line
        self.close()
        return None

    def ask(self, line, seconds=60):
        try:
            self.p.stdin.write(line + "\n")
            self.p.stdin.flush()
        except OSError:
            pass
        return self.hear(min(seconds, left()))

    def wait_ready(self, seconds):
        line = self.hear(seconds)
        self.ready = line.split() if line and line.startswith("ready") else None
        if line and not self.ready:
            self.close()

    def once(self):
        line = self.ask("run")
        if line:
            self.times.append(float(line.split()[0]))

    def close(self):
        """Ends it, and all that it started."""
        self.ready = None
        if self.p.poll() is None:
            try:
                self.p.stdin.close()
                self.p.wait(2)
            except (OSError, subprocess.TimeoutExpired):
                os.killpg(self.p.pid, signal.SIGKILL)
                self.p.wait()
        if self.p.returncode and not self.why:
            text = [l.strip() for l in open(self.log) if l.strip()]
            self.why = f"ended with {self.p.returncode}: " + (text[-1][:160] if text else "said nothing")


# ---- runners ----------------------------------------------------------------------------------------
def model(width):
    path = os.path.join(out, f"dgmr_{width}.safetensors")
    if not os.path.exists(path):
        subprocess.check_call([os.path.join(a.build, "gen"), "model", "new", "--arch", "dgmr", "--config",
                               f"width={width}", "--seed", "1", "-o", path])
    return path


def forecast(kind, precision, width, h, w, members, leads):
    size = [model(width), str(h), str(w), precision, threads, a.device, str(members), str(leads)]
    if kind == "libgen":
        return [os.path.join(a.build, "tests/bench/serve_gen")] + size
    return [a.peers, os.path.join(here, "serve_torch.py")] + size + (["compile"] if kind == "compile" else [])


def turn(kind, precision, width, size, batch, leads):
    case = [str(width), str(size), str(batch), str(leads), precision, threads]
    if kind == "libgen":
        return [os.path.join(a.build, "tests/bench/train_step")] + case + ["0", a.device]
    return [a.peers, os.path.join(here, "train_step_peer.py")] + case + [a.device] + (["compile"] if kind == "compile" else [])


FAST, ALL = ("tf32", "bf16"), ("libgen", "eager", "compile")
cases = [  # name, command, sizes, runners; the last wave is begun when the others are done
    ("DGMR 256x256, 18 lead times", forecast, (1, 256, 256, 1, 18), [(k, p) for p in FAST for k in ALL], 1),
    ("DGMR 256x256, 8 members", forecast, (1, 256, 256, 8, 18), [(k, "bf16") for k in ALL], 1),
    ("DGMR 1536x1280, 18 lead times", forecast, (1, 1536, 1280, 1, 18),
     [("libgen", "tf32"), ("eager", "tf32"), ("libgen", "bf16"), ("eager", "bf16"), ("compile", "bf16")], 1),
    ("turn of training, width 0.25, 64x64, batch 4", turn, (0.25, 64, 4, 12),
     [("libgen", "tf32"), ("eager", "tf32")] + [(k, "bf16") for k in ALL], 1),
    ("turn of training, width 1, 256x256, batch 1", turn, (1, 256, 1, 18), [("libgen", "bf16"), ("eager", "bf16")], 2),
]
if a.tiny:
    cases = [
        ("DGMR 64x96, 3 lead times", forecast, (0.1, 64, 96, 1, 3), [(k, p) for p in FAST for k in ALL[:2]], 1),
        ("DGMR 64x64, 3 members", forecast, (0.1, 64, 64, 3, 2), [(k, "bf16") for k in ALL], 1),
        ("turn of training, width 0.125, 64x64, batch 1", turn, (0.125, 64, 1, 8), [(k, "bf16") for k in ALL[:2]], 2),
    ]
cases = [c for c in cases if a.only in c[0]]
NAMES = {"libgen": "libgen", "eager": "PyTorch", "compile": "torch.compile"}


def start(case):
    name, command, sizes, wanted, _ = case
    if not torch_is:
        wanted = [w for w in wanted if w[0] == "libgen"]
    made = []
    for kind, precision in wanted:
        r = Runner(f"{name}: {NAMES[kind]} {precision}", command(kind, precision, *sizes))
        r.kind, r.precision = kind, precision
        made.append(r)
    return made


# ---- measuring --------------------------------------------------------------------------------------
def measure(runners, seconds):
    """Rounds in turn, at least two behind a warm-up."""
    until = time.monotonic() + seconds
    for r in runners:
        r.once()
        r.times = []
    n = 0
    while n < 2 or (n < 40 and time.monotonic() < until):
        for r in runners:
            if r.ready:
                r.once()
        n += 1
        if left() < 5:
            break


def look_closer(r):
    """Device memory, and the share of a run in which the device works."""
    answer = None
    if r.ready and r.kind != "libgen":
        answer = r.ask("m")
        r.memory = int(answer) / 1e9 if answer else 0
    elif r.ready and len(r.ready) > 5:
        r.memory = (float(r.ready[3]) + float(r.ready[5])) / 1e9
    if not r.ready or not r.times or len(r.ready) == 2 and r.kind == "libgen" or "turn" in r.name:
        return
    if r.kind != "libgen":
        answer = r.ask("p")
        r.busy = float(answer) if answer else None
        return
    total, line = 0, r.ask("d")
    with open(r.log.replace(".log", ".plan"), "w") as f:
        while line and line != "end\n":
            f.write(line)
            step = re.match(r" *\d+ \S.*? ([0-9.]+) us ", line)
            total += float(step.group(1)) if step else 0
            line = r.hear(30)
    r.busy = total / 1e6 / min(r.times) if total else None


def agree(runners):
    """max |difference| / max of each forecast, against the first peer's."""
    import numpy as np
    found = {}
    for r in runners:
        path = os.path.join(out, "rain.npy")
        if r.ready and r.ask("o " + path):
            found[r.name] = np.load(path)
            os.remove(path)
    judge = next((n for n in found if "PyTorch tf32" in n), None) or next(iter(found), None)
    return {n: float(np.abs(y - found[judge]).max() / np.abs(found[judge]).max()) for n, y in found.items()} if judge else {}


report = {"device": a.device, "cases": []}
markdown = open(os.path.join(out, "bench.md"), "w")


def say(text):
    print(text, flush=True)
    markdown.write(text + "\n")
    markdown.flush()


def table(name, runners, off):
    say(f"\n{name}\n| runner | best ms | median ms | times ours | GB | busy | off |\n|---|---|---|---|---|---|---|")
    rows = []
    for r in runners:
        label = r.name.split(": ")[1]
        if not r.times:
            say(f"| {label} | {r.why or 'not run'} |")
            rows.append({"runner": label, "why": r.why})
            continue
        best = min(r.times)
        ours = [min(o.times) for o in runners if o.kind == "libgen" and o.precision == r.precision and o.times]
        ratio = f"{best / ours[0]:.2f}" if ours else "-"
        busy = f"{r.busy:.0%}" if r.busy else "-"
        say(f"| {label} | {1e3 * best:.2f} | {1e3 * statistics.median(r.times):.2f} | {ratio} | {r.memory:.2f} | {busy} | "
            f"{off[r.name]:.1e} |" if r.name in off else
            f"| {label} | {1e3 * best:.2f} | {1e3 * statistics.median(r.times):.2f} | {ratio} | {r.memory:.2f} | {busy} | |")
        rows.append({"runner": label, "seconds": r.times, "memory_gb": r.memory, "busy": r.busy, "off": off.get(r.name)})
    report["cases"].append({"name": name, "rows": rows})
    json.dump(report, open(os.path.join(out, "bench.json"), "w"), indent=1)


def tell(command):
    """What a command says, or nothing."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=100).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


torch_is = tell([a.peers, "-c", "import torch; print('PyTorch', torch.__version__, 'for CUDA', torch.version.cuda)"])
card = tell(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"])
say(f"Device {a.device}: {card or 'no GPU'}; {torch_is or 'no PyTorch'}")
waves = sorted({c[4] for c in cases})
failed = []
for wave in waves:
    mine = [c for c in cases if c[4] == wave]
    until = left() * (0.75 if wave < waves[-1] else 1)  # of the time, for this wave
    started = [(c, start(c)) for c in mine]
    end = time.monotonic() + 0.65 * until
    for c, runners in started:
        for r in runners:
            r.wait_ready(end - time.monotonic())
    end = time.monotonic() + until - 0.65 * until if left() > until else time.monotonic() + left() - 10
    for i, (c, runners) in enumerate(started):
        able = [r for r in runners if r.ready]
        measure(able, min(20, 0.5 * (end - time.monotonic()) / (len(started) - i)))
        for r in able:
            look_closer(r)
        off = agree(able) if c[1] is forecast and left() > 20 else {}
        for r in runners:
            r.close()
        table(c[0], runners, off)
        failed += [r.name for r in runners if r.kind == "libgen" and not r.times]
say(f"\n{time.monotonic() - begin:.0f} s")
for name in failed:
    say(f"failed: {name}")
sys.exit(1 if failed else 0)
