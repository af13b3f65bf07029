# SPDX-License-Identifier: Apache-2.0
"""ODIM files of `gen radar convert`, read by h5py, pysteps 1.21.5 and pyproj 3.7.2:

    python tests/golden/odim_readback.py build/gen FOLDER

The rain is drawn here (NumPy, seed 5) and given to the program as netCDF (netCDF4). Prints "ok NAME" or
"not ok NAME" a check. tests/cli/radar_convert.sh runs it where the peers are installed.
"""
import os
import subprocess
import sys
import warnings

import h5py
import netCDF4
import numpy as np
from pyproj import CRS, Proj
from pysteps.io import importers

warnings.filterwarnings("ignore")
GEN, OUT = os.path.abspath(sys.argv[1]), sys.argv[2]
PROJ = "+proj=stere +lat_0=90 +lon_0=25 +lat_ts=60 +x_0=380886 +y_0=3395677 +a=6371288 +units=m +no_defs"
H, W, CELL, LEFT, TOP = 70, 53, 1000.0, 120000.0, 420000.0


def check(name, fine):
    print(("ok " if fine else "not ok ") + "odim: " + name)


def write_input(path, rain, times):
    with netCDF4.Dataset(path, "w") as d:
        for name, n in (("time", len(times)), ("y", H), ("x", W)):
            d.createDimension(name, n)
        t = d.createVariable("time", "f8", ("time",))
        t.units, t[:] = "seconds since 1970-01-01 00:00:00", times
        for name, v in (("y", TOP - CELL * (np.arange(H) + 0.5)), ("x", LEFT + CELL * (np.arange(W) + 0.5))):
            a = d.createVariable(name, "f8", (name,))
            a.units, a[:] = "m", v
        crs = d.createVariable("crs", "i4")
        crs.setncatts({**CRS(PROJ).to_cf(), "proj4": PROJ})
        r = d.createVariable("rain_rate", "f8", ("time", "y", "x"), fill_value=-9.0)
        r.units, r.standard_name, r.grid_mapping = "mm h-1", "lwe_precipitation_rate", "crs"
        r[:] = np.ma.masked_invalid(rain)


def drawn(most):
    r = np.random.RandomState(5)
    rain = np.round(r.gamma(0.4, 3, (2, H, W)), 2)
    rain[r.rand(2, H, W) < 0.4] = 0
    rain[r.rand(2, H, W) < 0.1] = np.nan
    rain[:, 3, 4] = most
    return rain


def compare(name, path, rain, date, time):
    with h5py.File(path) as f:
        what, where = f["what"].attrs, f["where"].attrs
        dw = f["dataset1/data1/what"].attrs
        raw = f["dataset1/data1/data"][...]
        text = {k: f[o].attrs[k].decode() for o, k in (
            ("/", "Conventions"), ("what", "object"), ("what", "version"), ("what", "date"), ("what", "time"),
            ("what", "source"), ("where", "projdef"), ("dataset1/what", "product"), ("dataset1/what", "startdate"),
            ("dataset1/what", "starttime"), ("dataset1/what", "enddate"), ("dataset1/what", "endtime"),
            ("dataset1/data1/what", "quantity"), ("how", "comment"))}
        value = raw * dw["gain"] + dw["offset"]
        value[raw == dw["undetect"]] = 0
        value[raw == dw["nodata"]] = np.nan
        corners = [(float(where[c + "_lon"]), float(where[c + "_lat"])) for c in ("LL", "UL", "UR", "LR")]
        sizes = [int(where[k]) for k in ("xsize", "ysize")] + [float(where[k]) for k in ("xscale", "yscale")]
        bits = raw.dtype.itemsize * 8
    check(name + ": h5py finds the values", np.allclose(value, rain, atol=1e-9, equal_nan=True))
    check(name + ": the identity that ODIM 2.4 wants", text["Conventions"] == "ODIM_H5/V2_4"
          and text["object"] == "COMP" and text["version"] == "H5rad 2.4" and text["quantity"] == "RATE")
    check(name + ": date and time", (text["date"], text["time"]) == (date, time) == (text["enddate"], text["endtime"]))
    check(name + ": made by", text["comment"].startswith("gen radar convert"))
    check(name + ": sizes", sizes == [W, H, CELL, CELL])
    xy = [Proj(text["projdef"])(*c) for c in corners]
    b, r = TOP - CELL * H, LEFT + CELL * W
    check(name + ": pyproj finds the corners", np.allclose(xy, [(LEFT, b), (LEFT, TOP), (r, TOP), (r, b)], atol=1e-3))
    check(name + ": and those of the projection that was given",
          np.allclose(xy, [Proj(PROJ)(*c) for c in corners], atol=1e-3))
    precip, _, meta = importers.import_odim_hdf5(path, qty="RATE")
    check(name + ": pysteps finds the values", np.allclose(precip, rain, atol=1e-9, equal_nan=True))
    check(name + ": pysteps finds the place", np.allclose([meta[k] for k in ("x1", "x2", "y1", "y2")],
                                                            [LEFT, r, b, TOP], atol=1e-2))
    return bits


for most, expected_bits in ((512.34, 16), (2345.67, 32)):
    rain = drawn(most)
    source = os.path.join(OUT, "drawn.nc")
    write_input(source, rain, [1593605100, 1593605400])
    subprocess.run([GEN, "radar", "convert", source, "-o", os.path.join(OUT, "%Y%m%d%H%M.h5"), "--force"], check=True)
    for i, minute in enumerate(("05", "10")):
        bits = compare(f"{most} mm/h at 12:{minute}", os.path.join(OUT, f"2020070112{minute}.h5"), rain[i], "20200701",
                       f"12{minute}00")
    check(f"up to {most} mm/h fit {expected_bits} bits", bits == expected_bits)
