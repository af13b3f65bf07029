# SPDX-License-Identifier: Apache-2.0
"""Small ensemble forecasts as other programs write them, for tests/golden/forecast_read.c.

    python tests/golden/forecast_read.py      (pysteps 1.21.5, netCDF4 1.7.5, numpy 2.4.6; seed 5)

Writes forecasts/*.nc and forecast_read.json: the rain of each member and lead time in mm/h, row 0
north, null where missing, as numpy has it before it is written.

pysteps   precip_intensity(ens_number,time,y,x), float32, by pysteps' own exporter
depth     precip_accum of pysteps: mm in steps of 5 minutes, converted with interval=300
hours     (step,number,latitude,longitude): members behind lead times in hours, packed in int16,
          rows from the south, a scalar reference time
single    (time,y,x): no members, one lead time, with a reference time
"""
import datetime
import json
import os

import netCDF4
import numpy as np
from pysteps.io import exporters

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "forecasts")
START = datetime.datetime(2026, 3, 1, 23, 50)
REFERENCE = int(START.replace(tzinfo=datetime.timezone.utc).timestamp())
HEIGHT, WIDTH = 5, 7
rng = np.random.default_rng(5)


def rain(members, leads):
    r = np.maximum(rng.normal(0, 3, (members, leads, HEIGHT, WIDTH)), 0).astype("f4")
    r[:, :, 0, :2] = np.nan
    return r


def case(name, r, leads, interval=0):
    values = [None if np.isnan(v) else float(v) for v in r.astype("f8").ravel()]
    return {"file": name + ".nc", "members": r.shape[0], "leads": [int(x) for x in leads], "reference": REFERENCE,
            "interval": interval, "rain": values}


def by_pysteps(name, unit, factor, interval):
    r = rain(3, 4)
    meta = {"projection": "+proj=aeqd +lat_0=52 +lon_0=5 +ellps=WGS84", "unit": unit, "x1": -3500.0, "x2": 3500.0,
            "y1": -2500.0, "y2": 2500.0, "yorigin": "upper", "cartesian_unit": "m", "transform": None,
            "accutime": 5, "threshold": 0.1, "zerovalue": 0}
    e = exporters.initialize_forecast_exporter_netcdf(FOLDER, name, START, 5, 4, (HEIGHT, WIDTH), meta,
                                                      n_ens_members=3, datatype=np.float32)
    exporters.export_forecast_dataset((r * np.float32(factor)).astype("f4"), e)
    exporters.close_forecast_files(e)
    return case(name, r, [300 * (i + 1) for i in range(4)], interval)


def hours():
    r = np.round(rain(3, 2) * 100) / 100
    with netCDF4.Dataset(os.path.join(FOLDER, "hours.nc"), "w") as nc:
        for name, n in (("step", 2), ("number", 3), ("latitude", HEIGHT), ("longitude", WIDTH)):
            nc.createDimension(name, n)
        ref = nc.createVariable("run", "i4", ())
        ref.standard_name, ref.units = "forecast_reference_time", "minutes since 2026-03-01 00:00"
        ref[...] = 23 * 60 + 50
        step = nc.createVariable("step", "f8", ("step",))
        step.standard_name, step.units, step.axis, step[:] = "forecast_period", "hours", "T", [0.5, 1.0]
        lat = nc.createVariable("latitude", "f4", ("latitude",))
        lat.standard_name, lat.units, lat[:] = "latitude", "degrees_north", 50 + 0.1 * np.arange(HEIGHT)
        lon = nc.createVariable("longitude", "f4", ("longitude",))
        lon.standard_name, lon.units, lon[:] = "longitude", "degrees_east", 5 + 0.1 * np.arange(WIDTH)
        v = nc.createVariable("prate", "i2", ("step", "number", "latitude", "longitude"), fill_value=-1, zlib=True)
        v.units, v.standard_name, v.scale_factor = "mm h-1", "lwe_precipitation_rate", 0.01
        v.set_auto_scale(False)
        packed = np.where(np.isnan(r), -1, np.round(np.nan_to_num(r) * 100)).astype("i2")
        v[:] = packed.transpose(1, 0, 2, 3)[:, :, ::-1]
    return case("hours", r, [1800, 3600])


def single():
    r = rain(1, 1)
    with netCDF4.Dataset(os.path.join(FOLDER, "single.nc"), "w") as nc:
        for name, n in (("time", 1), ("y", HEIGHT), ("x", WIDTH)):
            nc.createDimension(name, n)
        for name, t in (("forecast_reference_time", REFERENCE), ("time", REFERENCE + 900)):
            v = nc.createVariable(name, "f8", ("time",) if name == "time" else ())
            v.standard_name, v.units, v[...] = name, "seconds since 1970-01-01", t
        v = nc.createVariable("rain_rate", "f4", ("time", "y", "x"))
        v.units, v[:] = "mm h-1", r[0]
    return case("single", r, [900])


os.makedirs(FOLDER, exist_ok=True)
cases = [by_pysteps("pysteps", "mm/h", 1, 0), by_pysteps("depth", "mm", 1 / 12, 300), hours(), single()]
with open(os.path.join(HERE, "forecast_read.json"), "w") as f:
    json.dump({"cases": cases}, f, allow_nan=False)
    f.write("\n")
