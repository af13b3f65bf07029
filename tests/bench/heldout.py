# SPDX-License-Identifier: Apache-2.0
"""The held-out events of ../shared, as the anchors there cut them: a crop of 256x256 cells with most rain, of which
the middle 128x128 is scored, three issue times an event, rates cut at 128 mm/h. Needs netCDF4 and NumPy.
"""
import os
import time

import netCDF4
import numpy as np

SHARED = os.environ.get("GEN_SHARED", "../shared")
# file, first row and column of the crop, every n-th frame, frames after 00 of the issue times, lead steps shown
EVENTS = [("mch_20170131", 128, 288, 1, (3, 15, 27), (1, 2, 4, 6, 8, 12)),
          ("fmi_20170509", 704, 160, 1, (3, 15, 27), (1, 2, 4, 6, 8, 12)),
          ("mrms_20190610_southeast", 736, 384, 2, (3, 6, 9), (1, 3, 5, 8))]
SIDE, INNER, MARGIN = 256, 128, 64
MIDDLE = ("--crop", f"{MARGIN},{MARGIN},{INNER},{INNER}")  # of gen metrics


def source(name):
    return f"{SHARED}/data/radar/sequences/heldout/{name}.nc"


def write(path, rain, times, y, x, units, reference=None):
    """rain [time,y,x], or [member,time,y,x] with a reference time, as CF netCDF."""
    with netCDF4.Dataset(path, "w") as d:
        names = ("time", "y", "x") if rain.ndim == 3 else ("realization", "time", "y", "x")
        for name, n in zip(names, rain.shape):
            d.createDimension(name, n)
        t = d.createVariable("time", "i8", ("time",))
        t.units = "seconds since 1970-01-01 00:00:00"
        t[:] = times
        for name, v in (("y", y), ("x", x)):
            a = d.createVariable(name, "f8", (name,))
            a.units = units
            a[:] = v
        if reference is not None:
            r = d.createVariable("forecast_reference_time", "i8", ())
            r.units, r.standard_name = t.units, "forecast_reference_time"
            r[...] = reference
        v = d.createVariable("rain_rate", "f4", names, fill_value=np.float32(np.nan))
        v.units = "mm h-1"
        v[:] = rain


def event(name, y, x, every):
    with netCDF4.Dataset(source(name)) as d:
        rows, columns = slice(y, y + SIDE), slice(x, x + SIDE)
        rain = np.ma.filled(d["rain_rate"][::every, rows, columns].astype("f4"), np.nan)
        return (np.minimum(rain, 128), d["time"][::every], d["y"][rows], d["x"][columns],
                getattr(d["x"], "units", "m"))


def utc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(seconds)))
