# SPDX-License-Identifier: Apache-2.0
"""Radar files of each format: one file, ours beside pysteps' importer of it, in turn; beside wradlib, iris or NumPy
where pysteps has none.

    GEN_SHARED=../shared python tests/bench/readers.py build [FORMAT...] [--rounds N]

Needs pysteps, wradlib and iris, and the libraries that they use (h5py, pygrib, rasterio, Pillow ...). Ours is
build/tests/bench/read_radar: gen_radar_read in one process, on one thread, which also makes mm/h of dBZ and depths;
the others give them as they are. pysteps' importer of FMI's GeoTIFF stands here (fmi_geotiff), with rasterio for GDAL.
Both read the file anew each time and have it in the page cache. To add a format: a line in FILES.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NATIVE = os.path.join(os.environ.get("GEN_SHARED", os.path.join(HERE, "../../../shared")), "data/radar/native")

# Format, file, pysteps' importer and its arguments, options of read_radar.
FILES = [
    ("KNMI HDF5, 765 x 700", "knmi_hdf5/RAD_NL25_RAP_5min_201008260735.h5", "import_knmi_hdf5", {"qty": "ACRR"}, []),
    ("ODIM HDF5, 2200 x 1900", "opera_hdf5_odim/T_PAAH22_C_EUOC_20241126010000.hdf", "import_odim_hdf5",
     {"qty": "RATE"}, []),
    ("ODIM HDF5, 4400 x 3800", "opera_hdf5_odim/T_PABV21_C_EUOC_20241126010000.hdf", "import_odim_hdf5",
     {"qty": "DBZH"}, []),
    ("netCDF CF (BoM), 512 x 512", "bom_netcdf/2_20180616_101200.prcp-cscn.nc", "import_bom_rf3", {}, []),
    ("PGM.gz (FMI), 1226 x 760", "fmi_pgm/201609281445_fmi.radar.composite.lowest_FIN_SUOMI1.pgm.gz",
     "import_fmi_pgm", {"gzipped": True}, []),
    ("GeoTIFF (FMI), 7316 x 4963", "fmi_geotiff/201609281445_FINUTM.tif", "fmi_geotiff", {}, []),
    ("GIF (MeteoSwiss), 640 x 710", "mch_gif/AQC151351545F_00005.801.gif", "import_mch_gif",
     {"product": "AQC", "unit": "mm", "accutime": 5.0}, []),
    ("GRIB 2 (MRMS), 3500 x 7000", "mrms_grib2/PrecipRate_00.00_20190610-000000.grib2", "import_mrms_grib",
     {"window_size": 1}, []),
    ("RADOLAN (DWD), 900 x 900; pysteps reads it unpacked", "radolan/raa01-rw_10000-1408102050-dwd---bin.gz",
     "import_dwd_radolan", {"product_name": "RW"}, []),
    ("RADOLAN.gz RW, 900 x 900; wradlib", "radolan/raa01-rw_10000-1408102050-dwd---bin.gz", "wradlib_one", {}, []),
    ("RADOLAN.gz RX, 900 x 900; wradlib", "radolan/raa01-rx_10000-1408102050-dwd---bin.gz", "wradlib_one", {}, []),
    ("RADOLAN.tar.bz2 RV, 25 x 1200 x 1100; wradlib", "radolan/DE1200_RV2210180700.tar.bz2", "wradlib_tar", {}, []),
    ("NIMROD, 2 x 704 x 548; iris", "nimrod/201007020900_u1096_ng_ey00_visibility0180_screen_2km", "iris_fields", {},
     ["native"]),
    ("MeteoNet .npz, 45 x 565 x 784; NumPy, float32", "meteonet_npz/rainfall_NW_2016_08.3.npz", "numpy_maps", {},
     ["native"]),
]


def wradlib_one(path):
    import wradlib
    wradlib.io.read_radolan_composite(path)


def wradlib_tar(path):
    import io
    import tarfile
    import wradlib
    with tarfile.open(path) as tar:
        for member in tar.getmembers():
            wradlib.io.read_radolan_composite(io.BytesIO(tar.extractfile(member).read()))


def iris_fields(path):
    import iris
    for cube in iris.load_raw(path):
        cube.data


def numpy_maps(path):
    import numpy as np
    file = np.load(path, allow_pickle=True)
    places = np.load(os.path.join(os.path.dirname(path), "radar_coords_NW.npz"))
    file["dates"], places["lats"], places["lons"]  # as ours reads them
    data = file["data"].astype("f4")
    data[data < 0] = np.nan
    data /= 100  # mm


def fmi_geotiff(path):
    """The steps of pysteps' import_fmi_geotiff, which needs GDAL's own Python module, with rasterio's GDAL."""
    import numpy as np
    import rasterio
    with rasterio.open(path) as f:
        rain = f.read(1).astype(float)
        mask = rain == 255
        rain = (rain - 64.0) / 2.0
        rain[mask] = np.nan
        least = np.nanmin(rain)
        return rain, f.crs.to_wkt(), f.transform, least, np.nanmin(rain[rain > least])


OTHERS = {f.__name__: f for f in (wradlib_one, wradlib_tar, iris_fields, numpy_maps, fmi_geotiff)}


def unpacked(path, folder):
    """pysteps' importer of RADOLAN opens files as they are."""
    import gzip
    out = os.path.join(folder, "radolan")
    with gzip.open(path) as f, open(out, "wb") as to:
        to.write(f.read())
    return out


def serve():
    """The peer: a line of JSON [times, importer, path, arguments] -> the best milliseconds, or an error."""
    import warnings
    warnings.filterwarnings("ignore")
    out, sys.stdout = sys.stdout, sys.stderr
    from pysteps.io import importers
    for line in sys.stdin:
        n, name, path, arguments = json.loads(line)
        best = 1e9
        try:
            for _ in range(n):
                start = time.perf_counter()
                (OTHERS.get(name) or getattr(importers, name))(path, **arguments)
                best = min(best, 1e3 * (time.perf_counter() - start))
            print(best, file=out, flush=True)
        except Exception as e:
            print("error", type(e).__name__, str(e).replace("\n", " ")[:150], file=out, flush=True)


class Peer:
    def __init__(self):
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--serve"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def read(self, n, importer, path, arguments):
        print(json.dumps([n, importer, path, arguments]), file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()


def number(text):
    try:
        return float(text)
    except ValueError:
        return None


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("build")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("formats", nargs="*", help="only those whose names begin so")
    a = ap.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run(a, scratch)


def run(a, scratch):
    peer, notes = Peer(), []
    print(f"one file of each format, best of {3 * a.rounds} reads, {a.rounds} rounds in turn")
    print("| format | libgen ms | theirs ms | times ours |\n|---|---|---|---|")
    for name, file, importer, arguments, options in FILES:
        path = os.path.join(NATIVE, file)
        if (a.formats and not any(name.lower().startswith(f.lower()) for f in a.formats)) or not os.path.exists(path):
            continue
        if importer == "import_dwd_radolan":
            path = unpacked(path, scratch)
        ours, theirs = [], []
        for _ in range(a.rounds):
            done = subprocess.run([os.path.join(a.build, "tests/bench/read_radar"), "3", path, *options],
                                  capture_output=True, text=True)
            ours.append(done.stdout.strip() or done.stderr.strip())
            theirs.append(peer.read(3, importer, path, arguments))
        best = [min(filter(None, map(number, t)), default=None) for t in (ours, theirs)]
        notes += [f"{name}: {t[0]}" for t, b in zip((ours, theirs), best) if b is None]
        ms = ["-" if b is None else f"{b:.1f}" for b in best]
        print(f"| {name} | {ms[0]} | {ms[1]} | {'-' if None in best else f'{best[1] / best[0]:.1f}'} |", flush=True)
    for note in notes:
        print(note)


serve() if "--serve" in sys.argv else main()
