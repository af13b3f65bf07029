# SPDX-License-Identifier: Apache-2.0
"""Each convolution of DGMR's plan against the register peak of this machine: how many reach 85 %, why the others do not,
and where the time goes. Reads what `gen model bench` prints.

    convolutions.py GEN_BUILD_DIR"""
import collections, os, re, subprocess, sys

build = sys.argv[1]
model = os.path.join(build, "bench", "dgmr-ocf.safetensors")
line = re.compile(r"^\s*\d+ (\S+)\s+([\d.]+) us\s+([\d.]+) GFLOP/s\s+(\d+) %\s+([\d.]+) GB/s (.*?)\s+conv (%.*)$")
for precision in ("f32", "bf16"):
    text = subprocess.run([os.path.join(build, "gen"), "model", "bench", model, "--precision", precision, "--runs", "5"],
                          capture_output=True, text=True, check=True).stdout
    head = [l for l in text.splitlines() if l.startswith("# best")]
    rows = [m.groups() for m in map(line.match, text.splitlines()) if m]
    total = sum(float(r[1]) for r in rows)
    print(f"\nConvolutions of DGMR 256x256, {precision}: {head[0][2:] if head else ''}\n")
    print("| at the peak | steps | ms | share |\n|---|---|---|---|")
    groups = collections.defaultdict(list)
    for kernel, us, gflops, percent, _, why, _ in rows:
        groups["85 % or more" if int(percent) >= 85 else f"below: {why.strip() or 'no reason given'}"].append(float(us))
    for name, us in sorted(groups.items(), key=lambda g: -sum(g[1])):
        print(f"| {name} | {len(us)} | {sum(us) / 1e3:.1f} | {100 * sum(us) / total:.0f} % |")
