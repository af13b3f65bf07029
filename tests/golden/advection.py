# SPDX-License-Identifier: Apache-2.0
"""Advection beside pysteps on the held-out radar events: error by lead time, and time taken.

    python tests/golden/advection.py build/gen [--write]      (needs pysteps, netCDF4, ../shared)

pysteps 1.21.5 with its defaults (Lucas-Kanade on three frames in dB, semi-Lagrangian advection),
the crops and issue times of ../shared/bench/nowcast_anchors.md; mean absolute error over the central
128x128 cells, missing cells dropped, what comes from outside counted as dry. Ours is the program
itself on a file of the same three frames. --write stores pysteps' errors in advection.json, which
tests/golden/advection.c holds ours against.
"""
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings

import netCDF4
import numpy as np

warnings.filterwarnings("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get("GEN_SHARED", os.path.join(HERE, "../../../shared"))
# file, every n-th frame, first row and column of the crop, issue frames, lead times
EVENTS = [
    ("mch_20170131", 1, 128, 288, (3, 15, 27), 12),
    ("fmi_20170509", 1, 704, 160, (3, 15, 27), 12),
    ("mrms_20190610_southeast", 2, 736, 384, (3, 6, 9), 8),
]
SIZE, INNER, CAP = 256, slice(64, 192), 128.0


def pysteps_forecast(past, steps):
    from pysteps import motion, nowcasts
    from pysteps.utils import transformation
    db, _ = transformation.dB_transform(past, threshold=0.1, zerovalue=-15.0)
    start = time.time()
    out, sys.stdout = sys.stdout, open(os.devnull, "w")
    v = motion.get_method("LK")(db)
    r = nowcasts.get_method("extrapolation")(past[-1], v, steps)
    sys.stdout = out
    return r, time.time() - start


def write(path, frames, step):
    with netCDF4.Dataset(path, "w") as d:
        for name, n in (("time", len(frames)), ("y", SIZE), ("x", SIZE)):
            d.createDimension(name, n)
        t = d.createVariable("time", "f8", ("time",))
        t.units = "seconds since 2020-01-01"
        t[:] = np.arange(len(frames)) * step
        d.createVariable("y", "f8", ("y",))[:] = np.arange(SIZE)[::-1]
        d.createVariable("x", "f8", ("x",))[:] = np.arange(SIZE)
        v = d.createVariable("rain_rate", "f4", ("time", "y", "x"), fill_value=np.float32(np.nan))
        v.units = "mm h-1"
        v[:] = frames


def our_forecast(gen, frames, steps, folder):
    source, target = os.path.join(folder, "in.nc"), os.path.join(folder, "out.nc")
    write(source, frames, 300)
    start = time.time()
    subprocess.run([gen, "nowcast", source, "--method", "advection", "--lead", str(5 * steps), "--encoding", "float", "-q",
                    "--force", "-o", target], check=True)
    taken = time.time() - start
    with netCDF4.Dataset(target) as d:
        return np.ma.filled(d["rain_rate"][0].astype("f4"), np.nan), taken


def error(forecast, observed):
    out = []
    for f, o in zip(forecast, observed):
        f, o = np.nan_to_num(f[INNER, INNER]), o[INNER, INNER]
        out.append(float(np.abs(f - o)[~np.isnan(o)].mean()))
    return out


def main():
    gen, result, worst = sys.argv[1], {}, 0
    times = [[], []]
    for name, every, y, x, starts, steps in EVENTS:
        with netCDF4.Dataset(f"{SHARED}/data/radar/sequences/heldout/{name}.nc") as d:
            r = np.ma.filled(d["rain_rate"][:, y:y + SIZE, x:x + SIZE].astype("f4"), np.nan)
        r = np.minimum(r[::every], CAP)
        errors = [[], []]
        for t in starts:
            observed = r[t + 1:t + 1 + steps]
            theirs, seconds = pysteps_forecast(np.nan_to_num(r[t - 2:t + 1]), steps)
            times[0].append(seconds)
            errors[0].append(error(theirs, observed))
            with tempfile.TemporaryDirectory() as folder:
                ours, seconds = our_forecast(gen, r[t - 2:t + 1], steps, folder)
            times[1].append(seconds)
            errors[1].append(error(ours, observed))
        theirs, ours = np.mean(errors[0], 0), np.mean(errors[1], 0)
        worst = max(worst, float((ours / theirs).max()))
        print(f"{name}: lead, MAE of pysteps, MAE of gen, ratio")
        for i in range(steps):
            print(f"  {i + 1:2d}  {theirs[i]:.4f}  {ours[i]:.4f}  {ours[i] / theirs[i]:.3f}")
        result[name] = [round(float(v), 6) for v in theirs]
    print(f"worst ratio {worst:.3f}; seconds: pysteps {np.median(times[0]):.3f} in process, "
          f"gen {np.median(times[1]):.3f} with start, reading and writing")
    if "--write" in sys.argv:
        with open(os.path.join(HERE, "advection.json"), "w") as f:
            json.dump(result, f, indent=1)
            f.write("\n")
    sys.exit(worst > 1.05)


main()
