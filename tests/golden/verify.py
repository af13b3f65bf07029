#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes verify_forecast.nc, a small seeded ensemble over a part of examples/rain.nc, and verify.json,
its scores by pysteps 1.21.5 and NumPy: tests/golden/verify.c compares gen_verify with them.

    python3 tests/golden/verify.py       (netCDF4, numpy, pysteps; in the root of the tree)
"""
import json
import os

import netCDF4
import numpy as np
from pysteps.utils.spectral import rapsd
from pysteps.verification import detcatscores, spatialscores
from pysteps.verification.probscores import (ROC_curve, ROC_curve_accum, ROC_curve_compute, ROC_curve_init,
                                             reldiag_accum, reldiag_compute, reldiag_init)

HERE = os.path.dirname(os.path.abspath(__file__))
REFERENCE, LEADS, MEMBERS = 12, 3, 5          # index of the newest frame known
TOP, LEFT, H, W = 116, 64, 48, 60             # of the forecast, in the observations
CROP = (8, 10, 32, 40)                        # scored, in the forecast
INNER = (16, 30, 20, 20)                      # for persistence: advection knows these cells, too
THRESHOLDS = (0.5, 4.0)
WINDOWS = (1, 4, 9)


def field(data, i):
    return np.ma.filled(data["rain_rate"][i].astype("f8"), np.nan)


def make_forecast(obs):
    """Members: the frame that follows, moved by some cells and scaled; a few cells missing."""
    rng = np.random.default_rng(20)
    out = np.empty((MEMBERS, LEADS, H, W))
    for k in range(MEMBERS):
        dy, dx = rng.integers(-4, 5, 2)
        for t in range(LEADS):
            f = field(obs, REFERENCE + 1 + t)
            out[k, t] = f[TOP + dy:TOP + dy + H, LEFT + dx:LEFT + dx + W] * rng.uniform(0.5, 1.6)
    out[2, 1, 20:24, 30:33] = np.nan
    out = np.round(out * 128) / 128            # exact in the packing
    path = os.path.join(HERE, "verify_forecast.nc")
    with netCDF4.Dataset(path, "w") as d:
        for name, n in (("realization", MEMBERS), ("time", LEADS), ("y", H), ("x", W)):
            d.createDimension(name, n)
        t = d.createVariable("time", "i8", ("time",))
        t.units = obs["time"].units
        t[:] = obs["time"][REFERENCE + 1:REFERENCE + 1 + LEADS]
        r = d.createVariable("forecast_reference_time", "i8", ())
        r.units, r.standard_name = t.units, "forecast_reference_time"
        r[...] = obs["time"][REFERENCE]
        k = d.createVariable("realization", "i4", ("realization",))
        k.standard_name = "realization"
        k[:] = np.arange(MEMBERS)
        for name, at in (("y", slice(TOP, TOP + H)), ("x", slice(LEFT, LEFT + W))):
            v = d.createVariable(name, "f8", (name,))
            v.units, v.standard_name = "m", f"projection_{name}_coordinate"
            v[:] = obs[name][at]
        v = d.createVariable("rain_rate", "i2", ("realization", "time", "y", "x"), zlib=True, complevel=9,
                             shuffle=True, fill_value=-32768)
        v.units, v.scale_factor, v.add_offset = "mm h-1", 1 / 128, 32767 / 128
        v[:] = np.ma.masked_invalid(out)
        d.title = "A seeded ensemble for tests, after simulated rain"
    return out


def crps(x, y):
    k = len(x)
    s = np.sort(x, 0)
    i = np.arange(1, k + 1)[:, None]
    return float((np.abs(x - y).mean(0) - ((2 * i - k - 1) * s).sum(0) / k**2).mean())


def scores(members, y):
    """members [K,h,w], y [h,w]: as gen_score takes them."""
    ok = ~np.isnan(y) & ~np.isnan(members).any(0)
    x, o = members[:, ok], y[ok]
    out = {"cells": int(ok.sum()), "missing": int((~ok).sum()), "crps": crps(x, o), "observed": float(o.mean()),
           "rmse": float(np.sqrt(((x.mean(0) - o)**2).mean())),
           "spread": float(np.sqrt(x.var(0, ddof=1).mean())) if len(x) > 1 else None, "at": []}
    filled = np.where(ok, members, 0), np.where(ok, y, 0)
    for threshold in THRESHOLDS:
        table = detcatscores.det_cat_fct_init(threshold)
        for m in x:
            detcatscores.det_cat_fct_accum(table, m, o)
        at = {"hits": int(table["hits"]), "misses": int(table["misses"]),
              "false_alarms": int(table["false_alarms"]),
              "correct_negatives": int(table["correct_negatives"])}
        at.update({n.lower(): float(v) for n, v in
                   detcatscores.det_cat_fct_compute(table, ["CSI", "POD", "FAR", "HSS", "ETS"]).items()})
        p = (x >= np.float32(threshold)).mean(0)
        roc = ROC_curve_init(threshold)
        ROC_curve_accum(roc, p, o)
        at["roc_area"] = float(ROC_curve_compute(roc, compute_area=True)[2])
        at["fss"] = []
        for window in WINDOWS:
            whole = spatialscores.fss_init(threshold, window)
            for m in filled[0]:
                spatialscores.fss_accum(whole, m, filled[1])
            at["fss"].append(float(spatialscores.fss_compute(whole)))
        out["at"].append(at)
    out["psd_observed"] = [float(v) for v in rapsd(filled[1], fft_method=np.fft)]
    out["psd_members"] = [float(v) for v in
                          np.mean([rapsd(m, fft_method=np.fft) for m in filled[0]], 0)]
    return out


def known(v):
    """Without NaN, which JSON has not."""
    if isinstance(v, dict):
        return {k: known(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [known(x) for x in v]
    return None if isinstance(v, float) and np.isnan(v) else v


def main():
    with netCDF4.Dataset(os.path.join(HERE, "..", "..", "examples", "rain.nc")) as obs:
        forecast = make_forecast(obs)
        result = {"made_by": "tests/golden/verify.py, pysteps 1.21.5, seed 20", "crop": CROP, "inner": INNER,
                  "thresholds": THRESHOLDS, "windows": WINDOWS, "forecast": [], "persistence": []}
        newest = field(obs, REFERENCE)[TOP:TOP + H, LEFT:LEFT + W]

        def cut(f, crop):
            return f[..., crop[0]:crop[0] + crop[2], crop[1]:crop[1] + crop[3]]

        for t in range(LEADS):
            y = field(obs, REFERENCE + 1 + t)[TOP:TOP + H, LEFT:LEFT + W]
            members = forecast[:, t]
            result["forecast"].append(scores(cut(members, CROP), cut(y, CROP)))
            both = np.where(np.isnan(members).any(0), np.nan, y)  # the same cells for all
            result["persistence"].append(scores(cut(newest[None], INNER), cut(both, INNER)))
    with open(os.path.join(HERE, "verify.json"), "w") as f:
        json.dump(known(result), f, indent=None, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    main()
