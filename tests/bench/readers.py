# SPDX-License-Identifier: Apache-2.0
"""Radar files of each format: one file, ours beside pysteps' importer of it, in turn.

    GEN_SHARED=../shared python tests/bench/readers.py build [--rounds N] [FORMAT...]

Needs pysteps, and the libraries that its importers use (h5py, pygrib, rasterio, Pillow ...). Ours is
build/tests/bench/read_radar: gen_radar_read in one process, on one thread, which also makes mm/h of dBZ and depths;
pysteps gives them as they are. Both read the file anew each time and have it in the page cache. To add a format: a
line in FILES.
"""
import argparse
import json
import os
import subprocess
import sys
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
    ("GeoTIFF (FMI), 7316 x 4963", "fmi_geotiff/201609281445_FINUTM.tif", "import_fmi_geotiff", {}, []),
    ("GIF (MeteoSwiss), 640 x 710", "mch_gif/AQC151351545F_00005.801.gif", "import_mch_gif",
     {"product": "AQC", "unit": "mm", "accutime": 5.0}, []),
    ("GRIB 2 (MRMS), 3500 x 7000", "mrms_grib2/PrecipRate_00.00_20190610-000000.grib2", "import_mrms_grib",
     {"window_size": 1}, []),
    ("RADOLAN (DWD), 900 x 900", "radolan/raa01-rw_10000-1408102050-dwd---bin.gz", "import_dwd_radolan",
     {"product_name": "RW"}, []),
]


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
                getattr(importers, name)(path, **arguments)
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
    peer, notes = Peer(), []
    print(f"one file of each format, best of {3 * a.rounds} reads, {a.rounds} rounds in turn")
    print("| format | libgen ms | pysteps ms | times ours |\n|---|---|---|---|")
    for name, file, importer, arguments, options in FILES:
        path = os.path.join(NATIVE, file)
        if (a.formats and not any(name.lower().startswith(f.lower()) for f in a.formats)) or not os.path.exists(path):
            continue
        ours, theirs = [], []
        for _ in range(a.rounds):
            run = subprocess.run([os.path.join(a.build, "tests/bench/read_radar"), "3", path, *options],
                                 capture_output=True, text=True)
            ours.append(run.stdout.strip() or run.stderr.strip())
            theirs.append(peer.read(3, importer, path, arguments))
        best = [min(filter(None, map(number, t)), default=None) for t in (ours, theirs)]
        notes += [f"{name}: {t[0]}" for t, b in zip((ours, theirs), best) if b is None]
        ms = ["-" if b is None else f"{b:.1f}" for b in best]
        print(f"| {name} | {ms[0]} | {ms[1]} | {'-' if None in best else f'{best[1] / best[0]:.1f}'} |", flush=True)
    for note in notes:
        print(note)


serve() if "--serve" in sys.argv else main()
