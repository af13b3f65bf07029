# SPDX-License-Identifier: Apache-2.0
"""GeoTIFFs written by GDAL, for radar_geotiff.c: values, and where the cells lie by pyproj.

    python tests/golden/radar_geotiff.py     (writes geotiff/*.tif and radar_geotiff.json)

rasterio 1.4.4 (GDAL 3.9), pyproj 3.7.2 with PROJ 9.5.1, NumPy; seed 7. `points`: row, column, latitude, longitude of
centres of cells, in the geographic system of the file's own ellipsoid; `values` [17,20], null = missing. To add a
case: its line in CASES.
"""
import json
import os

import numpy as np
import rasterio
from pyproj import CRS, Transformer
from rasterio.transform import Affine

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "geotiff")
H, W = 17, 20
FMI = "+proj=stere +a=6371288 +lon_0=25E +lat_0=90N +lat_ts=60 +x_0=380886.310 +y_0=3395677.920 +units=m"

# name, CRS, upper left corner, cell, type, options of GDAL; also: nodata, scale, offset, units, tags, up
CASES = [
    ("utm_u8_tiled", "EPSG:3067", (-196593.0, 8084432.0), (250.0, 250.0), "uint8",
     dict(tiled=True, blockxsize=16, blockysize=16, compress="deflate"),
     dict(nodata=255, scale=0.5, offset=-32.0, units="dBZ", tags={"TIFFTAG_DATETIME": "2016:09:28 14:45:00"})),
    ("degrees_f32", "EPSG:4326", (-130.0, 55.0), (0.01, 0.02), "float32", dict(compress="lzw", predictor=3),
     dict(nodata=float("nan"), units="mm/h", tags={"VALID_TIME": "2019-06-10T00:02:00Z"})),
    ("mercator_u16", "EPSG:3857", (500000.0, 6800000.0), (1000.0, 1000.0), "uint16",
     dict(compress="deflate", predictor=2), dict(nodata=65535, scale=0.01, units="mm/h")),
    ("laea_i16", "EPSG:3035", (4000000.0, 3000000.0), (2000.0, 2000.0), "int16", dict(compress="packbits"),
     dict(nodata=-1, scale=0.1, offset=2.0, units="mm")),
    ("britain_f64", "EPSG:27700", (400000.0, 500000.0), (1000.0, 1000.0), "float64", dict(), dict(nodata=-9999.0)),
    ("swiss_i32", "EPSG:21781", (600000.0, 300000.0), (1000.0, 1000.0), "int32", dict(ENDIANNESS="BIG"), dict()),
    ("swiss_new", "EPSG:2056", (2600000.0, 1300000.0), (1000.0, 1000.0), "uint8", dict(), dict()),
    ("dutch_u32", "EPSG:28992", (100000.0, 500000.0), (1000.0, 1000.0), "uint32", dict(BIGTIFF="YES"), dict()),
    ("new_york_feet", "EPSG:2263", (900000.0, 300000.0), (3000.0, 3000.0), "uint8", dict(), dict()),
    ("fmi_sphere", FMI, (0.0, 1224000.0), (999.674053, 999.62859), "uint8", dict(), dict()),
    ("south_stereographic", "+proj=stere +lat_0=-90 +lat_ts=-71 +lon_0=10 +ellps=WGS84 +units=m",
     (1000000.0, 1500000.0), (5000.0, 5000.0), "uint8", dict(), dict()),
    ("lambert_sphere", "+proj=lcc +lat_0=38.5 +lat_1=38.5 +lat_2=45 +lon_0=-97.5 +R=6371229 +units=m",
     (-500000.0, 400000.0), (3000.0, 3000.0), "float32", dict(compress="zstd"), dict()),
    ("equidistant", "+proj=aeqd +lat_0=52 +lon_0=5 +x_0=100000 +y_0=-20000 +ellps=WGS84 +units=m",
     (-50000.0, 60000.0), (1000.0, 1000.0), "uint8", dict(), dict()),
    ("opera", "+proj=laea +lat_0=55.0 +lon_0=10.0 +x_0=1950000.0 +y_0=-2100000.0 +units=m +ellps=WGS84",
     (100000.0, -100000.0), (2000.0, 2000.0), "uint8", dict(), dict()),
    ("transverse", "+proj=tmerc +lat_0=10 +lon_0=-70 +k=0.9999 +x_0=1000 +y_0=2000 +ellps=intl +units=m",
     (-50000.0, 60000.0), (1000.0, 1000.0), "uint8", dict(), dict()),
    ("albers", "+proj=aea +lat_1=29.5 +lat_2=45.5 +lat_0=23 +lon_0=-96 +ellps=GRS80 +units=m",
     (-50000.0, 1600000.0), (1000.0, 1000.0), "uint8", dict(), dict()),
    ("kilometres", "+proj=laea +lat_0=55 +lon_0=10 +x_0=1950000 +y_0=-2100000 +units=km +ellps=WGS84",
     (1900.0, -2000.0), (2.0, 2.0), "uint8", dict(), dict()),
    ("points_south_up", "EPSG:32632", (500000.0, 5500000.0), (1000.0, 1000.0), "uint8", dict(),
     dict(tags={"AREA_OR_POINT": "Point"}, up=True)),
]

rng = np.random.default_rng(7)
out = {}
os.makedirs(HERE, exist_ok=True)
for name, crs, (left, top), (dx, dy), kind, options, more in CASES:
    raw = rng.integers(0, 200, (H, W)).astype(kind)
    nodata = more.get("nodata")
    if nodata is not None:
        raw[rng.random((H, W)) < 0.2] = nodata
    transform = Affine(dx, 0, left, 0, -dy, top)
    if more.get("up"):
        transform = Affine(dx, 0, left, 0, dy, top - H * dy)
    path = os.path.join(HERE, name + ".tif")
    with rasterio.open(path, "w", driver="GTiff", width=W, height=H, count=1, dtype=kind, crs=crs, transform=transform,
                       nodata=nodata, **options) as f:
        f.write(raw[::-1] if more.get("up") else raw, 1)
        f.update_tags(**more.get("tags", {}))
        if "scale" in more:
            f.scales = (more["scale"],)
            f.offsets = (more.get("offset", 0.0),)
        if "units" in more:
            f.set_band_unit(1, more["units"])
    values = raw.astype(float) * more.get("scale", 1.0) + more.get("offset", 0.0)
    if nodata is not None:
        values[np.isnan(raw.astype(float)) if np.isnan(nodata) else raw == nodata] = np.nan
    system = CRS.from_user_input(crs)
    to_degrees = Transformer.from_crs(system, system.geodetic_crs, always_xy=True).transform
    points = []
    for row, col in ((0, 0), (0, W - 1), (H - 1, 0), (H - 1, W - 1), (5, 7)):
        lon, lat = to_degrees(left + (col + 0.5) * dx, top - (row + 0.5) * dy)
        points.append([row, col, round(lat, 9), round(lon, 9)])
    out[name] = {"points": points, "units": more.get("units", ""), "time": next(iter(more.get("tags", {}).values()), ""),
                 "values": [None if np.isnan(v) else round(float(v), 6) for v in values.ravel()]}
with open(os.path.join(HERE, "..", "radar_geotiff.json"), "w") as f:
    json.dump(out, f, separators=(",", ":"))
    f.write("\n")
