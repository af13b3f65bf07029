# SPDX-License-Identifier: Apache-2.0
"""Products of ensembles for tests/golden/products.c.

    python tests/golden/products.py       (pysteps 1.21.5, numpy 2.4.6; seeds 1 to 4)

Writes products.json. Rain is in steps of 1/128 mm/h, stored as whole numbers, -1 where missing; a case is
[members,leads,height,width]. Results are float64 with null where missing:

probability  pysteps.postprocessing.ensemblestats.excprob of rates, and of sums over `window` lead times
mean         pysteps.postprocessing.ensemblestats.mean
percentile   numpy.percentile (linear)
matched      pysteps.postprocessing.probmatching.nonparam_match_empirical_cdf of the mean's valid cells with
             every members-th of the sorted pooled values, from the middle of the first group on. pysteps breaks
             ties of the mean by position: where cells tie, they share what pysteps gives them
"""
import json
import os

import numpy as np
from pysteps.postprocessing import ensemblestats
from pysteps.postprocessing.probmatching import nonparam_match_empirical_cdf

HERE = os.path.dirname(os.path.abspath(__file__))
EXCEED, EXCEED_SUM, PERCENTILES = [0.5, 1, 5], [0.25, 2], [0, 10, 37.5, 50, 90, 100]
STEP = 300


def matched(x):
    members = x.shape[0]
    mean = x.mean(axis=0)
    valid = ~np.isnan(mean)
    out = np.full(mean.shape, np.nan)
    if not valid.any():
        return out
    target = np.sort(np.floor(x[:, valid] * 128 + 0.5).ravel() / 128)[members // 2::members]
    pm = nonparam_match_empirical_cdf(mean[valid], target) if (mean[valid] > 0).any() else np.zeros(valid.sum())
    if mean[valid].min() > 0:  # pysteps takes the least value for dry
        pm = target[np.argsort(np.argsort(mean[valid], kind="stable"), kind="stable")]
    single = np.float32(mean[valid])
    for v in np.unique(single):
        pm[single == v] = pm[single == v].mean()
    out[valid] = pm
    return out


def products(x, exceed):
    return {"probability": ensemblestats.excprob(x, exceed), "mean": ensemblestats.mean(x),
            "percentile": np.percentile(x, PERCENTILES, axis=0), "matched": matched(x)}


def rounded(a):
    return [None if np.isnan(v) else float(np.round(v, 9)) for v in np.asarray(a).ravel()]


def case(seed, members, leads, height, width, window, wet, steps):
    rng = np.random.default_rng(seed)
    shape = (members, leads, height, width)
    r = np.round(np.maximum(rng.gamma(0.6, 4, shape), 0) * 128 / steps) * steps
    pattern = rng.random((1, leads, height, width)) < wet
    r = np.where(pattern & (rng.random(shape) < 0.8), r, 0)
    missing = rng.random(shape) < 0.02
    missing[:, :, 0, 0] = True
    x = np.where(missing, np.nan, r / 128)
    amounts = x[:, :leads // window * window].reshape(members, leads // window, window, height, width).sum(axis=2)
    amounts = np.float32(amounts * (STEP / 3600))
    return {"members": members, "leads": leads, "height": height, "width": width, "window": window,
            "rain": [int(v) for v in np.where(missing, -1, r).astype(int).ravel()],
            "rate": [{k: rounded(v) for k, v in products(x[:, t], EXCEED).items()} for t in range(leads)],
            "sum": [{k: rounded(v) for k, v in products(amounts[:, w].astype(float), EXCEED_SUM).items()}
                    for w in range(leads // window)]}


cases = [case(1, 7, 5, 9, 11, 2, 0.6, 1), case(2, 20, 3, 6, 5, 3, 0.9, 1), case(3, 4, 4, 13, 8, 1, 0.5, 64),
         case(4, 1, 2, 4, 4, 1, 0.7, 1)]
with open(os.path.join(HERE, "products.json"), "w") as f:
    json.dump({"exceed": EXCEED, "exceed_sum": EXCEED_SUM, "percentiles": PERCENTILES, "step": STEP, "cases": cases}, f,
              allow_nan=False, separators=(",", ":"))
    f.write("\n")
