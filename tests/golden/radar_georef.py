# SPDX-License-Identifier: Apache-2.0
"""Where the cells of real radar files lie, by pyproj from their own attributes, for radar_georef.c.

    GEN_SHARED=../shared python tests/golden/radar_georef.py     (writes radar_georef.json)

pyproj 3.7.2 with PROJ 9.5.1, h5py 3.16.0, pysteps 1.21.5, wradlib 2.9.6, iris 3.14.1,
rasterio 1.4.4, pygrib 2.1.8. `x`, `y`: edges of the grid in
metres, from pysteps' importer (x1, x2; y2, y1), wradlib or iris; `points`: row, column, latitude, longitude of centres
of cells, by pyproj from the upper left corner (ODIM), the offsets (KNMI) or the edges. To add a file: its line in
FILES and a function that gives its PROJ string, upper left edge, cell size, width and height, edges.
"""
import bz2
import gzip
import io
import json
import os
import tarfile
import warnings

import h5py
import iris
import netCDF4
import numpy as np
import pygrib
import rasterio
import wradlib
from pyproj import CRS, Proj, Transformer
from pyproj.transformer import TransformerGroup
from pysteps.io import importers
from wradlib.georef import projection, rect

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


def from_edges(proj, edges, h, w):
    west, east, north, south = edges
    return proj, west, north, (east - west) / w, (north - south) / h, w, h, edges


def fmi(path, _):
    data, _, m = importers.import_fmi_pgm(path, gzipped=True)
    x0, y0 = 380886.310, 3395677.920  # a false origin that pysteps adds; the file has none
    proj = m["projection"].replace("+x_0=380886.310", "").replace("+y_0=3395677.920", "")
    return from_edges(proj, [m["x1"] - x0, m["x2"] - x0, m["y2"] - y0, m["y1"] - y0], *data.shape)


def mch(path, _):
    data, _, m = importers.import_mch_gif(path, "AQC", "mm", 5)
    return from_edges(m["projection"], [m["x1"], m["x2"], m["y2"], m["y1"]], *data.shape)


def radolan(path, _):
    if path.endswith(".bz2"):
        tar = tarfile.open(fileobj=io.BytesIO(bz2.open(path).read()))
        f = io.BytesIO(tar.extractfile(tar.getnames()[0]).read())
    else:
        f = io.BytesIO(gzip.open(path).read())
    attrs = wradlib.io.read_radolan_composite(f, loaddata=False)[1]
    crs = projection.create_crs("dwd-radolan-wgs84" if attrs["formatversion"] >= 5 else "dwd-radolan-sphere")
    x, y = rect.get_radolan_coordinates(attrs["nrow"], attrs["ncol"], crs=crs, mode="edge")
    return from_edges(crs.to_proj4(), [x[0], x[-1], y[-1], y[0]], attrs["nrow"], attrs["ncol"])


def nimrod(path, _):
    cube = iris.load_raw(path)[0]
    y, x = cube.coord("projection_y_coordinate").points, cube.coord("projection_x_coordinate").points
    dx, dy = float(x[1] - x[0]), float(y[1] - y[0])
    edges = [float(x[0]) - dx / 2, float(x[-1]) + dx / 2, float(y[-1]) + dy / 2, float(y[0]) - dy / 2]
    return from_edges("EPSG:27700", edges, *cube.shape)


def meteonet(path, zone):
    places = np.load(os.path.join(os.path.dirname(path), f"radar_coords_{zone}.npz"))
    y, x = places["lats"][:, 0], places["lons"][0]
    edges = [x[0] - 0.005, x[-1] + 0.005, y[0] + 0.005, y[-1] - 0.005]
    return from_edges("+proj=longlat +datum=WGS84", edges, len(y), len(x))


def bom(path, _):
    """Not from pysteps' importer, which takes centres of cells for edges."""
    with netCDF4.Dataset(path) as f:
        mapping = {k: f["proj"].getncattr(k) for k in f["proj"].ncattrs()}
        x, y = 1000 * f["x"][:].astype(float), 1000 * f["y"][:].astype(float)
    crs = CRS.from_cf({k: v.tolist() if hasattr(v, "tolist") else v for k, v in mapping.items()})
    y = y[::-1] if y[0] < y[-1] else y
    dx, dy = float(x[1] - x[0]), float(y[0] - y[1])
    edges = [float(x[0]) - dx / 2, float(x[-1]) + dx / 2, float(y[0]) + dy / 2, float(y[-1]) - dy / 2]
    return from_edges(crs.to_proj4(), edges, len(y), len(x))


def geotiff(path, _):
    with rasterio.open(path) as f:
        b = f.bounds
        return from_edges(f.crs.to_proj4(), [b.left, b.right, b.top, b.bottom], f.height, f.width)


def mrms(path, _):
    lats, lons = pygrib.open(path)[1].latlons()
    dx, dy = 0.01, 0.01  # the last point is rounded in MRMS' files
    west, north = float(lons[0, 0]) - 360 - dx / 2, float(lats[0, 0]) + dy / 2
    h, w = lats.shape
    return from_edges("+proj=longlat +a=6378160 +b=6356775", [west, west + w * dx, north, north - h * dy], h, w)


def inverse(proj):
    """x, y -> longitude, latitude: of WGS 84 where the grid's datum is tied to it, else of its own ellipsoid."""
    if "EPSG" in proj:  # OSGB36 to WGS 84 (6), within 2 m; outside Britain pyproj would shift nothing
        return TransformerGroup(proj, "EPSG:4326", always_xy=True).transformers[0].transform
    if "towgs84" in proj:
        return Transformer.from_crs(proj, "EPSG:4326", always_xy=True).transform
    if "longlat" in proj:
        return lambda x, y: (x, y)
    p = Proj(proj)
    return lambda x, y: p(x, y, inverse=True)


FILES = [
    ("bom_netcdf/2_20180616_100000.prcp-cscn.nc", bom, None),
    ("bom_netcdf/66_20201031_030000.prcp-c10.nc", bom, None),
    ("fmi_geotiff/201609281445_FINUTM.tif", geotiff, None),
    ("fmi_pgm/201609281445_fmi.radar.composite.lowest_FIN_SUOMI1.pgm.gz", fmi, None),
    ("knmi_hdf5/RAD_NL25_RAP_5min_201008260000.h5", knmi, "ACRR"),
    ("mch_gif/AQC151351545F_00005.801.gif", mch, None),
    ("meteonet_npz/rainfall_NW_2016_08.3.npz", meteonet, "NW"),
    ("meteonet_npz/reflectivity_old_SE_2016_08.3.npz", meteonet, "SE"),
    ("mrms_grib2/PrecipRate_00.00_20190610-000000.grib2", mrms, None),
    ("nimrod/201007020900_u1096_ng_ey00_visibility0180_screen_2km", nimrod, None),
    ("opera_hdf5_odim/T_PAAH21_C_EUOC_20180824180000.hdf", odim, "RATE"),
    ("opera_hdf5_odim/T_PAAH22_C_EUOC_20241126010000.hdf", odim, "RATE"),
    ("opera_hdf5_odim/T_PABV21_C_EUOC_20241126010000.hdf", odim, "DBZH"),
    ("radolan/DE1200_RV2210180700.tar.bz2", radolan, None),
    ("radolan/RQ2210180700_000.gz", radolan, None),
    ("radolan/raa01-rw_10000-1408102050-dwd---bin.gz", radolan, None),
]

cases = {}
for name, read, quantity in FILES:
    proj, left, top, dx, dy, w, h, edges = read(os.path.join(NATIVE, name), quantity)
    to_degrees = inverse(proj)
    points = []
    for row, col in ((0, 0), (0, w - 1), (h // 2, w // 3), (h - 1, 0), (h - 1, w - 1)):
        lon, lat = to_degrees(left + (col + 0.5) * dx, top - (row + 0.5) * dy)
        points.append([row, col, round(float(lat), 9), round(float(lon), 9)])
    cases[name] = {"x": [round(float(v), 3) for v in edges[:2]], "y": [round(float(v), 3) for v in edges[2:]],
                   "points": points}
with open(os.path.join(HERE, "radar_georef.json"), "w") as f:
    json.dump(cases, f, indent=1)
    f.write("\n")
