# SPDX-License-Identifier: Apache-2.0
"""make check-gpu: what was compiled for a device, run there. One table: each op and type against the op's reference, then
networks and a training step against PyTorch's golden values.

    check.py BUILD_DIR [--device cuda] [--time-limit 280] [--out DIR] [--only WORD]

Each op and each program is a process of its own, since an error of a kernel ends the device for its process. Ends by
itself within the limit: what was not reached is said. Writes check.md and a log a program into DIR. Exit 7: no device."""
import argparse, concurrent.futures, os, re, subprocess, sys, time

PROGRAMS = [  # tests that open GEN_TEST_DEVICE (tests/device.h), and what they show
    ("golden/layers", "layers"),
    ("golden/adam", "Adam"),
    ("golden/gan", "ten turns of a small GAN"),
    ("property/plan", "random graphs"),
    ("golden/dgmr", "DGMR's generator, forward and backward"),
    ("golden/dgmr_disc", "DGMR's discriminators and losses"),
    ("golden/dgmr_step", "training steps of DGMR"),
]

ap = argparse.ArgumentParser()
ap.add_argument("build")
ap.add_argument("--device", default="cuda")
ap.add_argument("--time-limit", type=float, default=280)
ap.add_argument("--out")
ap.add_argument("--only", default="", help="ops and programs whose name has this word")
a = ap.parse_args()
begin = time.monotonic()
out = a.out or os.path.join(a.build, "check-gpu")
os.makedirs(out, exist_ok=True)
env = dict(os.environ, GEN_TEST_DEVICE=a.device)
ops_program = [os.path.join(a.build, "tests/check_ops")] + (["--device", a.device] if a.device != "cpu" else [])
jobs = min(4, len(os.sched_getaffinity(0)))
markdown = open(os.path.join(out, "check.md"), "w")


def say(text):
    print(text, flush=True)
    markdown.write(text + "\n")
    markdown.flush()


def run(command, name):
    """(exit status, or a word when it did not end by itself; what it said; seconds)."""
    start = time.monotonic()
    limit = a.time_limit - (start - begin) - 3
    if limit < 1:
        return "not run", "", 0
    log = os.path.join(out, re.sub(r"\W+", "_", name) + ".log")
    with open(log, "w") as f:
        try:
            status = subprocess.run(command, stdout=f, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env,
                                    timeout=limit).returncode
        except subprocess.TimeoutExpired:
            status = "out of time"
    if isinstance(status, int) and status < 0:
        status = f"died of signal {-status}"
    return status, open(log, errors="replace").read(), time.monotonic() - start


def cases_of_ops():
    """op -> cases [f32, bf16] that some kernel takes."""
    status, text, _ = run(ops_program + ["--support"], "support")
    if status == 7:
        say(f"{a.device}: {text.strip()}")
        sys.exit(7)
    count = {}
    for op, f32, bf16 in re.findall(r"^(\S+) +\S+ +\d+/(\d+) +\d+/(\d+)", text, re.M):
        n = count.setdefault(op, [0, 0])
        n[0] += int(f32)
        n[1] += int(bf16)
    return count


def check_op(op):
    return op, run(ops_program + ["--kernels", "=" + op], "op " + op)


def verdict(status, wrong, cases):
    if wrong:
        return f"FAIL {wrong} of {max(cases, wrong)}"
    if isinstance(status, str):
        return status
    return f"{cases} ok" if cases else "-"


def ops_table():
    support = cases_of_ops()
    status, text, _ = run([ops_program[0], "--list"], "list")
    ops = list(dict.fromkeys(l.split()[0] for l in text.splitlines() if l and not l.startswith("kernel ")))
    ops = [o for o in ops if a.only in o]
    bad = 0
    say("| op | f32 | bf16 | s |\n|---|---|---|---|")
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for op, (status, text, seconds) in pool.map(check_op, ops):
            wrong = [len(set(re.findall(rf"^{op}, (.+?), {t}[,:]", text, re.M))) for t in ("f32", "bf16")]
            cells = [verdict(status, w, n) for w, n in zip(wrong, support.get(op, [0, 0]))]
            if status == 0 and not any(support.get(op, [0])):
                cells = ["a view", "a view"]
            elif status and not any(wrong):
                cells = [f"FAIL ({status})"] * 2
            bad += status != 0
            say(f"| {op} | {cells[0]} | {cells[1]} | {seconds:.1f} |")
    return len(ops) - bad, bad


def programs_table():
    good = bad = 0
    say("\n| program | tests | s |\n|---|---|---|")
    for name, what in PROGRAMS:
        if a.only not in name:
            continue
        status, text, seconds = run([os.path.join(a.build, "tests", name)], name)
        passed = sum(int(n) for n in re.findall(r"\[  PASSED  \] (\d+) test", text))
        wrong = sorted(set(re.findall(r"^\[  FAILED  \] ([a-z_]\w+)", text, re.M)))
        cell = f"{passed} ok" if status == 0 else f"FAIL ({status}): " + ", ".join(wrong)
        good, bad = good + (status == 0), bad + (status != 0)
        say(f"| {name}: {what} | {cell} | {seconds:.1f} |")
    return good, bad


def device_is():
    try:
        return subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True,
                              text=True, timeout=30).stdout.strip() or "no GPU"
    except (OSError, subprocess.TimeoutExpired):
        return "no GPU"


say(f"Device {a.device} ({device_is()})\n")
ops, programs = ops_table(), programs_table()
bad = ops[1] + programs[1]
say(f"\n{ops[0]} ops and {programs[0]} programs passed, {bad} failed, {time.monotonic() - begin:.0f} s")
if not ops[0] + programs[0]:
    say("nothing was run")
sys.exit(1 if bad or not ops[0] + programs[0] else 0)
