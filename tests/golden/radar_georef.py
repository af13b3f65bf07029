# SPDX-License-Identifier: Apache-2.0
"""Where the cells of real radar files lie, by pyproj from their own attributes, for radar_georef.c.

    GEN_SHARED=../shared python tests/golden/radar_georef.py     (writes radar_georef.json)

pyproj 3.7.2 with PROJ 9.5.1, h5py 3.16.0, pysteps 1.21.5. `x`, `y`: edges of the grid in metres, from pysteps'
importer (x1, x2; y2, y1); `points`: row, column, latitude, longitude of centres of cells, by pyproj from the upper
left corner (ODIM) or the offsets (KNMI). To add a file: its line in FILES and
a function that gives its upper left edge, cell size and PROJ string.
"""
import json
import os
import warnings

import h5py
from pyproj import Proj
from pysteps.io import importers

warnings.filterwarnings("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
NATIVE = os.path.join(os.environ.get("GEN_SHARED", os.path.join(HERE, "../../../shared")), "data/radar/native")


def odim(path, quantity):
    with h5py.File(path) as f:
        w = dict(f["where"].attrs)
    proj = w["projdef"].decode()
    left, top = Proj(proj)(w["UL_lon"], w["UL_lat"])
    meta = importers.import_odim_hdf5(path, qty=quantity)[2]
    edges = [meta["x1"], meta["x2"], meta["y2"], meta["y1"]]
    return proj, left, top, w["xscale"], w["yscale"], int(w["xsize"]), int(w["ysize"]), edges


def knmi(path, quantity):
    with h5py.File(path) as f:
        g = dict(f["geographic"].attrs)
        proj = f["geographic/map_projection"].attrs["projection_proj4_params"].decode()
    proj = proj.replace("+a=6378.137 +b=6356.752", "+a=6378137 +b=6356752")  # kilometres
    dx, dy = 1000 * float(g["geo_pixel_size_x"][0]), -1000 * float(g["geo_pixel_size_y"][0])
    left, top = dx * float(g["geo_column_offset"][0]), -dy * float(g["geo_row_offset"][0])
    meta = importers.import_knmi_hdf5(path, qty=quantity)[2]
    edges = [1000 * meta[k] for k in ("x1", "x2", "y2", "y1")]
    return proj, left, top, dx, dy, int(g["geo_number_columns"][0]), int(g["geo_number_rows"][0]), edges


FILES = [
    ("knmi_hdf5/RAD_NL25_RAP_5min_201008260000.h5", knmi, "ACRR"),
    ("opera_hdf5_odim/T_PAAH21_C_EUOC_20180824180000.hdf", odim, "RATE"),
    ("opera_hdf5_odim/T_PAAH22_C_EUOC_20241126010000.hdf", odim, "RATE"),
    ("opera_hdf5_odim/T_PABV21_C_EUOC_20241126010000.hdf", odim, "DBZH"),
]

cases = {}
for name, read, quantity in FILES:
    proj, left, top, dx, dy, w, h, edges = read(os.path.join(NATIVE, name), quantity)
    p = Proj(proj)
    points = []
    for row, col in ((0, 0), (0, w - 1), (h // 2, w // 3), (h - 1, 0), (h - 1, w - 1)):
        lon, lat = p(left + (col + 0.5) * dx, top - (row + 0.5) * dy, inverse=True)
        points.append([row, col, round(lat, 9), round(lon, 9)])
    cases[name] = {"x": [round(float(v), 3) for v in edges[:2]], "y": [round(float(v), 3) for v in edges[2:]],
                   "points": points}
with open(os.path.join(HERE, "radar_georef.json"), "w") as f:
    json.dump(cases, f, indent=1)
    f.write("\n")
