# SPDX-License-Identifier: Apache-2.0
"""Forecast scores beside pysteps: 20 members, 256x256, rain-like fields, in turns in one run.

    python tests/bench/scores.py build [--rounds N]       (needs NumPy, pysteps)

Ours is tests/bench/serve_scores.c, a process that holds the fields; pysteps runs here, on the same
fields as float32. Slow scores of pysteps are timed on fewer lead times, both sides alike. The number
in the last column is the score itself, ours and theirs: where pysteps has the tie fault of CRPS, or
draws ties of ranks, they differ.
"""
import argparse
import os
import subprocess
import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")
K, SIZE, LEADS = 20, 256, 18
THRESHOLDS, WINDOWS = (1.0, 4.0, 8.0), (1, 4, 16, 64)


def rain(rng, shape):
    """Smooth noise with power-law spectrum, made skew and cut at zero: a third wet."""
    h, w = shape[-2:]
    k = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w)[None])
    k[0, 0] = 1
    f = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * k ** -1.5, s=(h, w))
    f /= f.std(axis=(-2, -1), keepdims=True)
    return np.maximum(np.expm1(1.2 * (f - 0.4)) * 2, 0)


def fields():
    rng = np.random.default_rng(7)
    common = rain(rng, (LEADS, 1, SIZE, SIZE))
    own = rain(rng, (LEADS, K + 1, SIZE, SIZE))
    return (np.floor((0.6 * common + 0.4 * own) * 32) / 32).astype(np.float32)


def peers():
    """What pysteps does for `leads` lead times: name -> function returning the score."""
    try:
        out, sys.stdout = sys.stdout, open(os.devnull, "w")
        from pysteps.utils.spectral import rapsd
        from pysteps.verification import detcatscores as cat, ensscores, probscores, spatialscores
    except ImportError:
        return {}
    finally:
        sys.stdout = out

    def crps(x):
        c = probscores.CRPS_init()
        for f in x:
            probscores.CRPS_accum(c, f[1:], f[0])
        return probscores.CRPS_compute(c)

    def csi(x):
        tables = [cat.det_cat_fct_init(t) for t in THRESHOLDS]
        for f in x:
            for t in tables:
                for m in f[1:]:
                    cat.det_cat_fct_accum(t, m, f[0])
        return cat.det_cat_fct_compute(tables[0], "CSI")["CSI"]

    def fss(x):
        scores = [[spatialscores.fss_init(t, w) for w in WINDOWS] for t in THRESHOLDS]
        for f in x:
            for m in f[1:]:
                for s in sum(scores, []):
                    spatialscores.fss_accum(s, m, f[0])
        return spatialscores.fss_compute(scores[0][1])

    def psd(x):
        return np.mean([[rapsd(m, fft_method=np.fft) for m in f] for f in x], 0)[1:].mean(0)[10]

    def ranks(x):
        h = ensscores.rankhist_init(K)
        for f in x:
            ensscores.rankhist_accum(h, f[1:], f[0])
        return ensscores.rankhist_compute(h)[0]

    def reliability(x):
        diagrams = [(probscores.reldiag_init(t), probscores.ROC_curve_init(t), t) for t in THRESHOLDS]
        for f in x:
            for d, r, t in diagrams:
                p = (f[1:] >= t).mean(0)
                probscores.reldiag_accum(d, p, f[0])
                probscores.ROC_curve_accum(r, p, f[0])
        return probscores.ROC_curve_compute(diagrams[0][1], True)[2]

    return {"crps": crps, "csi": csi, "fss": fss, "psd": psd, "ranks": ranks, "reliability": reliability}


ROWS = [("crps", "CRPS", 18), ("csi", "contingency tables, 3 thresholds", 18),
        ("reliability", "reliability and ROC, 3 thresholds", 18), ("ranks", "rank histogram", 18),
        ("psd", "RAPSD of each field", 6), ("fss", "FSS, 3 thresholds, 4 windows", 2),
        ("pooled", "CRPS, also pooled by 4 and 16", 18), ("all", "all of these", 18)]

ap = argparse.ArgumentParser()
ap.add_argument("build")
ap.add_argument("--rounds", type=int, default=5)
a = ap.parse_args()
path = os.path.join(a.build, "bench", "scores.npy")
os.makedirs(os.path.dirname(path), exist_ok=True)
data = fields()
np.save(path, data)
server = subprocess.Popen([os.path.join(a.build, "tests/bench/serve_scores"), path], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)
assert server.stdout.readline().startswith("ready")


def ours(what, leads, threads):
    server.stdin.write(f"{what} {leads} {threads}\n")
    server.stdin.flush()
    return [float(v) for v in server.stdout.readline().split()]


theirs = peers()
print(f"scores of {K} members {SIZE}x{SIZE}, best of {a.rounds} in turn; times ours: of one thread, of two\n"
      "| score | lead times | libgen, 1 thread ms | 2 threads ms | pysteps ms | times ours | ours, theirs |\n"
      "|---|---|---|---|---|---|---|")
for what, title, leads in ROWS:
    best = [np.inf] * 3
    other = None
    for _ in range(a.rounds):
        for i in (1, 2):
            taken, value = ours(what, leads, i)
            best[i - 1] = min(best[i - 1], taken)
        if what in theirs:
            start = time.perf_counter()
            other = theirs[what](data[:leads])
            best[2] = min(best[2], time.perf_counter() - start)
    ms = [f"{1e3 * b:.1f}" if np.isfinite(b) else "-" for b in best]
    ratio = f"{best[2] / best[0]:.0f}, {best[2] / best[1]:.0f}" if other is not None else "-"
    shown = f"{value:.6g}, {other:.6g}" if other is not None else f"{value:.6g}"
    print(f"| {title} | {leads} | {ms[0]} | {ms[1]} | {ms[2]} | {ratio} | {shown} |", flush=True)
server.stdin.close()
server.wait()
