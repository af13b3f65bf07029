# SPDX-License-Identifier: Apache-2.0
"""GeoTIFFs of `gen radar convert`, read by GDAL (rasterio 1.4.4) and pyproj 3.7.2:

    python tests/golden/geotiff_readback.py build/gen FOLDER

Input are the files that GDAL wrote for radar_geotiff.c, in eighteen coordinate systems. Prints "ok NAME" or
"not ok NAME" a check. tests/cli/radar_convert.sh runs it where the peers are installed.
"""
import glob
import os
import shutil
import subprocess
import sys

import numpy as np
import rasterio
from pyproj import CRS, Transformer

GEN, OUT = os.path.abspath(sys.argv[1]), sys.argv[2]
HERE = os.path.dirname(os.path.abspath(__file__))


def check(name, fine):
    print(("ok " if fine else "not ok ") + "geotiff: " + name)


def rain(f):
    """North first, NaN where missing; below 0 is missing too."""
    raw = f.read(1).astype(float)
    missing = np.isnan(raw) | (raw == (np.nan if f.nodata is None else f.nodata))
    v = raw * f.scales[0] + f.offsets[0]
    v[missing] = np.nan
    v[v < 0] = np.nan
    return v[::-1] if f.transform.e > 0 else v


def corners(f):
    crs = CRS(f.crs.to_wkt())
    to_degrees = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform
    top, bottom = (f.height - 0.5, 0.5) if f.transform.e > 0 else (0.5, f.height - 0.5)
    return [to_degrees(*(f.transform * (col, row))) for row in (top, bottom) for col in (0.5, f.width - 0.5)]


def compare(name, path, precision):
    folder = os.path.join(OUT, name)
    os.makedirs(folder, exist_ok=True)
    source = os.path.join(folder, "201609281445.tif")
    shutil.copyfile(path, source)
    target = os.path.join(folder, "out%s.tif" % precision)
    subprocess.run([GEN, "radar", "convert", source, "--units", "mm/h", "--pattern", "%Y%m%d%H%M.tif", "--precision",
                    str(precision), "-o", target], check=True)
    with rasterio.open(path) as a, rasterio.open(target) as b:
        before, after = rain(a), rain(b)
        whole = np.nanmax(before) / precision < 65535
        most = precision * 0.5001 if whole else 1e-4
        check(f"{name}, {precision}: values", np.array_equal(np.isnan(before), np.isnan(after))
              and np.nanmax(np.abs(before - after)) <= most)
        check(f"{name}, {precision}: type", b.dtypes[0] == ("uint16" if whole else "float32"))
        check(f"{name}, {precision}: place", np.abs(np.array(corners(a)) - np.array(corners(b))).max() < 2e-8)
        tags, time = b.tags(), a.tags().get("VALID_TIME", "2016-09-28T14:45:00Z")
        check(f"{name}, {precision}: tags", b.units[0] == "mm/h" and b.descriptions[0] == "rain_rate"
              and tags["VALID_TIME"] == time
              and tags["TIFFTAG_DATETIME"] == time.replace("-", ":").replace("T", " ")[:19]
              and "radar convert" in tags["history"] and tags["history"] == tags["TIFFTAG_IMAGEDESCRIPTION"])


for path in sorted(glob.glob(os.path.join(HERE, "geotiff", "*.tif"))):
    name = os.path.basename(path)[:-4]
    compare(name, path, 0.1)
    if name == "britain_f64":
        compare(name, path, 0.001)
