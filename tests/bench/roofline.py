# SPDX-License-Identifier: Apache-2.0
"""What a plan would take on a device at best, from its dump: of each step the most of operations over the peak of its
type, bytes over what copies reach, and launches. An estimate from operations and bytes, and no measurement: kernels do not
reach these peaks, and small ones stay far below.

    build/tests/bench/plans forecast 256 256 bf16 cuda | python3 tests/bench/roofline.py --tensor 790
    roofline.py [DUMP...] [--bandwidth 3.0] [--tensor 790|400|60] [--plain 60] [--launch 2] [--top 15] [--by op]

TB/s, TFLOP/s, microseconds. --tensor is for convolutions and products, --plain for the rest; a file of several plans
is several tables."""
import argparse, collections, re, sys

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("dump", nargs="*")
ap.add_argument("--bandwidth", type=float, default=3.0, help="of copies, TB/s")
ap.add_argument("--tensor", type=float, default=790, help="of convolutions and products, TFLOP/s")
ap.add_argument("--plain", type=float, default=60, help="of everything else, TFLOP/s")
ap.add_argument("--launch", type=float, default=2, help="least time of a kernel, us")
ap.add_argument("--top", type=int, default=15)
ap.add_argument("--by", choices=["kernel", "name"], default="kernel", help="rows of the table: kernels, or scopes")
a = ap.parse_args()
STEP = re.compile(r" *(\d+) (\S.{17}|\S+) +([\d.]+) \+ ([\d.]+) MB +([\d.]+) GFLOP +(\d+) launches (.*)")


def plans(files):
    steps = None
    for f in files:
        for line in f:
            if line.startswith("#") and " steps (" in line:
                if steps:
                    yield steps
                steps = []
            m = STEP.match(line)
            if m and steps is not None:
                steps.append((m[2].strip(), (float(m[3]) + float(m[4])) * 1e6, float(m[5]) * 1e9, int(m[6]), m[7],
                              float(m[4]) * 1e6))
    if steps:
        yield steps


class Total:
    def __init__(self):
        self.n = self.launches = 0
        self.time = self.bytes = self.flops = 0.0
        self.bound = collections.Counter()

    def add(self, s, bound):
        self.n, self.launches, self.bytes, self.flops = self.n + 1, self.launches + s[3], self.bytes + s[1], self.flops + s[2]
        why = max(bound, key=bound.get)
        self.time += bound[why]
        self.bound[why] += bound[why]

    def row(self, name, all_time):
        share = ", ".join(f"{w} {t / self.time:.0%}" for w, t in self.bound.most_common() if t > 0.005 * self.time) if self.time else "-"
        return (f"{name:24s} {self.n:6d} {self.launches:8d} {self.bytes / 1e9:9.3f} {self.flops / 1e12:8.3f} "
                f"{self.time * 1e3:9.3f} {self.time / all_time:5.0%}  {share}")


def bound_of(s):
    heavy = re.match(r"\S*(conv|matmul|matvec)", s[0])
    more = s[5] / a.bandwidth / 1e12  # by launches of their own, before or after
    return {"operations": s[2] / (a.tensor if heavy else a.plain) / 1e12 + more, "bytes": s[1] / a.bandwidth / 1e12,
            "launch": s[3] * a.launch / 1e6}


for steps in plans([open(p) for p in a.dump] or [sys.stdin]):
    every, part, each = Total(), collections.defaultdict(Total), []
    for s in steps:
        b = bound_of(s)
        name = s[0] if a.by == "kernel" else s[4].split("# ")[-1] if "# " in s[4] else "-"
        every.add(s, b)
        part[name].add(s, b)
        each.append((max(b.values()), max(b, key=b.get), s))
    print(f"{'kernel' if a.by == 'kernel' else 'scope':24s} {'steps':>6s} {'launches':>8s} {'GB':>9s} {'TFLOP':>8s} {'ms':>9s} {'':5s}  bound by")
    for name, t in sorted(part.items(), key=lambda p: -p[1].time):
        print(t.row(name, every.time))
    print(every.row("all", every.time))
    print()
    for t, why, s in sorted(each, key=lambda e: -e[0])[:a.top]:
        print(f"{t * 1e6:9.1f} us  {why:10s} {s[1] / 1e6:9.2f} MB {s[2] / 1e9:9.3f} GFLOP  {s[0]:18s} {s[4]}")
    print()
