# SPDX-License-Identifier: Apache-2.0
"""Writes forecast.json: scores of rain fields by rule, from pysteps and from plain definitions.

    python tests/golden/forecast.py          (pysteps 1.21.5, numpy, scipy 1.17)

Fields are functions of names and indices (rule.py), on a grid of 1/32 mm/h, so that zeros, ties and
values at thresholds are frequent; some cells are missing. From pysteps: contingency scores, FSS,
reliability, ROC, RAPSD, and its own form of CRPS. By definition, in NumPy: CRPS (pysteps' goes wrong
on ties), the shares of ranks (pysteps draws; the script checks that its mean agrees), economic value
(pysteps has none), Brier score, errors, spread, pooling.
"""
import json
import os
import warnings

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.stats import permutation_test

from pysteps.utils.spectral import rapsd
from pysteps.verification import detcatscores, ensscores, probscores, spatialscores
from rule import uniform

warnings.filterwarnings("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
THRESHOLDS = [1.0, 4.0, 8.0]
WINDOWS = [1, 2, 4, 5, 16, 64]
POOLS = [2, 4, 64]
RATIOS = [(i + 1) / 100 for i in range(99)]
# name, height, width, members, cases, share of cells missing in each field, on the grid of 1/32
CONFIGS = [
    ("uneven", 23, 30, 7, 3, 0.03, True),
    ("square", 64, 64, 20, 1, 0.0, True),
    ("pair", 48, 33, 2, 2, 0.1, True),
    ("single", 20, 20, 1, 1, 0.02, True),
    ("smooth", 40, 40, 9, 2, 0.02, False),
]
UNITS = [2, 3, 7, 12, 14]  # of the permutation test, by SciPy
SPECTRA = [(64, 64), (23, 30), (31, 31), (1, 8), (8, 1), (1, 1), (2, 2), (37, 53), (60, 100), (64, 24)]


def upper(coarse, h, w):
    y, x = np.arange(h) // 6, np.arange(w) // 6
    return coarse.reshape(h // 6 + 1, w // 6 + 1)[y][:, x]


def field(name, which, h, w, missing, quantised):
    """float32 [h,w]; NaN = missing. The C side is forecast.c's make_field."""
    cells = (h // 6 + 1) * (w // 6 + 1)
    u = (0.5 * upper(uniform(name, cells), h, w) + 0.2 * upper(uniform(f"{name}/{which}", cells), h, w)
         + 0.3 * uniform(f"{name}/{which}/fine", h * w).reshape(h, w))
    v = (u * u - 0.25) * 30.0
    if quantised:
        v = np.floor(np.maximum(v, 0) * 32.0) / 32.0
    v = v.astype(np.float32)
    v[uniform(f"{name}/{which}/missing", h * w).reshape(h, w) < missing] = np.nan
    return v


def crps(x, y):
    """Standard and fair sums over cells; x [k,n] and y [n] in double."""
    k = len(x)
    off = np.abs(x - y).mean(0)
    apart = np.abs(x[:, None] - x[None]).sum((0, 1))
    return (off - apart / (2 * k * k)).sum(), (off - apart / (2 * k * (k - 1))).sum() if k > 1 else None


def pool(x, p, how):
    h, w = x.shape[-2] // p, x.shape[-1] // p
    x = x[..., :h * p, :w * p].astype(np.float64)
    x = x.reshape(x.shape[:-2] + (h, p, w, p))
    return how(how(x, axis=-1), axis=-2).astype(np.float32)


def pooled_crps(cases, p, how):
    standard, fair, n = 0, 0, 0
    for y, x, valid in cases:
        if y.shape[0] < p or y.shape[1] < p:
            continue
        gap = np.where(valid, 0, np.nan)
        good = np.isfinite(pool(gap, p, np.mean))
        a, b = crps(np.array([pool(np.nan_to_num(m), p, how)[good] for m in x], float),
                    pool(np.nan_to_num(y), p, how)[good].astype(float))
        standard, fair, n = standard + a, fair + (b or 0), n + int(good.sum())
    return [n, standard / n if n else None, fair / n if n and len(cases[0][1]) > 1 else None]


def categories(pairs, threshold):
    table = detcatscores.det_cat_fct_init(threshold)
    for forecast, observed in pairs:
        detcatscores.det_cat_fct_accum(table, forecast, observed)
    names = ["CSI", "POD", "FAR", "FA", "BIAS", "ETS", "HSS", "HK"]
    values = {}
    for n in names:
        values.update(detcatscores.det_cat_fct_compute(table, n))
    return {"table": [int(table[n]) for n in ("hits", "misses", "false_alarms", "correct_negatives")],
            "scores": [float(values[n]) for n in names]}


def ranks(x, y, least):
    """Expected shares: each admissible rank of a tie gets the same part."""
    if least is not None:
        keep = (y >= least) | (x >= least).any(0)
        x, y = x[:, keep].copy(), y[keep].copy()
        x[x < least], y[y < least] = least - 1, least - 1
    out = np.zeros(len(x) + 1)
    for i in range(y.size):
        low, ties = int((x[:, i] < y[i]).sum()), int((x[:, i] == y[i]).sum())
        out[low:low + ties + 1] += 1 / (ties + 1)
    return [int(y.size), list(out / out.sum())]


def check_ranks(x, y, least, expected):
    np.random.seed(1)
    mean = np.mean([ensscores.rankhist(x, y, least) for _ in range(200)], 0)
    assert np.abs(mean - expected).max() < 4 / np.sqrt(200 * y.size), (mean, expected)


def economic_value(ratio, p, event):
    """Expense per loss of acting where p reaches t, for the best t, between climate and perfect."""
    s, best = event.mean(), -np.inf
    climate, perfect = min(ratio, s), s * ratio
    for t in np.unique(np.concatenate([[0, 1], p])):
        act = p >= t
        expense = np.where(act, ratio, np.where(event, 1.0, 0.0)).mean()
        best = max(best, (climate - expense) / (climate - perfect))
    return best


def fss_of(cases, pick, threshold, window, k):
    f = spatialscores.fss_init(threshold, window)
    for y, x, valid in cases:
        for forecast in pick(x):
            spatialscores.fss_accum(f, np.where(valid, forecast, np.nan).astype(float),
                                    np.where(valid, y, np.nan).astype(float))
    return float(spatialscores.fss_compute(f))


def fss_of_shares(cases, threshold, window):
    over = under = 0
    for y, x, valid in cases:
        share = ((x >= threshold) & valid).mean(0)
        o = ((y >= threshold) & valid).astype(float)
        share, o = (uniform_filter(v, size=window, mode="constant") if window > 1 else v for v in (share, o))
        over, under = over + ((share - o) ** 2).sum(), under + (share ** 2 + o ** 2).sum()
    return float(1 - over / under)


def mean_of(x):
    return x.astype(float).mean(0).astype(np.float32)


def probabilities(x, y, threshold):
    p, event = (x >= threshold).mean(0), y >= threshold
    r, f = probscores.reldiag(p, y, threshold)
    fa, pod, area = probscores.ROC_curve(p, y, threshold, compute_area=True)
    none = event.all() or not event.any()
    return {"base_rate": event.mean(), "brier": ((p - event) ** 2).mean(),
            "reliability": [list(r), list(f)], "roc": [list(fa), list(pod)], "roc_area": area,
            "value": None if none else [economic_value(q, p, event) for q in RATIOS]}


def config(name, h, w, k, cases, missing, quantised):
    all_cases = []
    for c in range(cases):
        y = field(f"{name}{c}", "observed", h, w, missing, quantised)
        x = np.array([field(f"{name}{c}", f"member{m}", h, w, missing / k, quantised) for m in range(k)])
        all_cases.append((y, x, np.isfinite(y) & np.isfinite(x).all(0)))
    y = np.concatenate([y[v] for y, x, v in all_cases]).astype(float)
    x = np.concatenate([x[:, v] for y, x, v in all_cases], axis=1).astype(float)
    mean, e = x.mean(0), x - y
    standard, fair = crps(x, y)
    out = {"cells": y.size, "missing": h * w * cases - y.size, "observed": y.mean(), "forecast": mean.mean(),
           "mae": np.abs(mean - y).mean(), "rmse": np.sqrt(((mean - y) ** 2).mean()),
           "bias": mean.mean() - y.mean(), "members_mae": np.abs(e).mean(),
           "members_rmse": np.sqrt((e ** 2).mean()),
           "spread": np.sqrt(x.var(0, ddof=1).mean()) if k > 1 else None,
           "crps": [y.size, standard / y.size, fair / y.size if k > 1 else None],
           "crps_pysteps": probscores.CRPS(x, y),
           "average": [pooled_crps(all_cases, p, np.mean) for p in POOLS],
           "maximum": [pooled_crps(all_cases, p, np.max) for p in POOLS], "at": []}
    for t in THRESHOLDS:
        at = {"members": categories([(m, y) for m in x], t),
              "mean": categories([(mean.astype(np.float32), y)], t), **probabilities(x, y, t), "fss": []}
        for n in WINDOWS:
            at["fss"].append([fss_of(all_cases, lambda f: f, t, n, k),
                              fss_of(all_cases, lambda f: [mean_of(f)], t, n, k),
                              fss_of_shares(all_cases, t, n)])
        out["at"].append(at)
    out["ranks"] = [ranks(x, y, least) for least in (None, 1.0)]
    for least, r in zip((None, 1.0), out["ranks"]):
        check_ranks(x, y, least, r[1])
    if quantised is False:
        assert np.allclose(ensscores.rankhist(x, y), out["ranks"][0][1]), "no ties: pysteps is exact"
    clean = lambda f, v: np.where(v, f, 0).astype(float)
    psd = lambda f: rapsd(f, fft_method=np.fft)
    out["psd"] = [list(np.mean([psd(clean(y, v)) for y, x, v in all_cases], 0)),
                  list(np.mean([psd(clean(m, v)) for y, x, v in all_cases for m in x], 0)),
                  list(np.mean([psd(clean(mean_of(x), v)) for y, x, v in all_cases], 0))]
    return out


def plain(v):
    """Numbers that are none become null."""
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    if v is None or isinstance(v, (int, np.integer)):
        return None if v is None else int(v)
    return float(f"{v:.13g}") if np.isfinite(v) else None


def main():
    out = {c[0]: config(*c) for c in CONFIGS}
    out["spectra"] = []
    for h, w in SPECTRA:
        f = np.nan_to_num(field(f"spectrum{h}x{w}", "field", h, w, 0, False)).astype(float)
        out["spectra"].append({"h": h, "w": w, "power": list(rapsd(f, fft_method=np.fft)),
                               "shares": list(rapsd(f, fft_method=np.fft, normalize=True))})
    out["permutation"] = []
    for n in UNITS:
        a, b = uniform(f"units{n}a", n), uniform(f"units{n}b", n) + 0.15
        p = permutation_test((a, b), lambda x, y: (x - y).mean(), permutation_type="samples",
                             n_resamples=np.inf).pvalue
        out["permutation"].append(p)
    with open(os.path.join(HERE, "forecast.json"), "w") as f:
        json.dump(plain(out), f, separators=(",", ":"), allow_nan=False)
        f.write("\n")


main()
